//! Identifiers of the domain. Each is a type of its own, so that a camera can never be passed where a decree is meant.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

macro_rules! id {
    ($(#[$doc:meta] $name:ident),* $(,)?) => {$(
        #[$doc]
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The identifier made from its text.
            pub fn new(text: impl AsRef<str>) -> Self { Self(Arc::from(text.as_ref())) }
            /// The text of the identifier.
            pub fn as_str(&self) -> &str { &self.0 }
            /// The text, shared.
            pub fn shared(&self) -> Arc<str> { Arc::clone(&self.0) }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{}({})", stringify!($name), self.0) }
        }
        impl From<&str> for $name { fn from(text: &str) -> Self { Self::new(text) } }
        impl From<String> for $name { fn from(text: String) -> Self { Self::new(text) } }
    )*};
}

id! {
    /// A municipality (gemeente), in lower case: `enschede`.
    MunicipalityId,
    /// An organisation: `politie`, `vrt`, `rj-security`.
    OrganisationId,
    /// A camera, for example `ENS-C01`.
    CameraId,
    /// A natural person with an account.
    PersonId,
    /// An ordinance (verordening, APV article).
    OrdinanceId,
    /// A designation decree (aanwijzingsbesluit).
    DecreeId,
    /// A designated area (aangewezen gebied).
    AreaId,
    /// A use period (gebruiksperiode) fixed by the mayor.
    PeriodId,
    /// A weekly window or an event or emergency window.
    WindowId,
    /// A consultation with the public prosecutor (OvJ-overleg).
    ConsultationId,
    /// A sign register entry (kenbaarheid).
    SignageId,
    /// A camera position over time.
    PositionId,
    /// A privacy mask.
    MaskId,
    /// An agreement between the parties.
    AgreementId,
    /// An authorisation of one person (autorisatie, Wpg 6).
    AuthorisationId,
    /// A shift (dienst).
    ShiftId,
    /// An incident.
    IncidentId,
    /// An instruction that a police operator entered in their own session.
    InstructionId,
    /// A request for footage (beeldaanvraag) and the export that comes out of it.
    ExportId,
    /// A stretch of technical work (technisch werk).
    MaintenanceId,
    /// A breach (datalek).
    BreachId,
    /// A request of a data subject, by the controller's number.
    SubjectRequestId,
    /// An audit.
    AuditId,
    /// Something an audit found.
    FindingId,
}
