//! The facts that decisions rest on (`Gemeentewet` 151c, `Wpg`), as the municipalities and the police recorded them.
//!
//! A fact is never overwritten. Each [`Fact`] carries the instant at which it became known; a correction is a new
//! version of the same id. The register "as known at k" is the newest version of every id with `known_from <= k`.
//! All instants are UTC; wall-clock windows are in Europe/Amsterdam. Intervals are half-open: `from <= t < until`.

mod cameras;
mod decisions;
mod maintenance;
mod parties;
mod records;

pub use cameras::{Camera, Mask, Position};
pub use decisions::{
    Area, Consultation, Day, DecidedBy, Decree, Extension, ExtraKind, ExtraWindow, LiveOutsideWindow,
    Municipality, Ordinance, Period, Revocation, Ring, Signage, Use, WeeklyWindow,
};
pub use maintenance::MaintenanceAccess;
pub use parties::{
    Agreement, AgreementKind, Authorisation, Organisation, OrganisationKind, Person, PoliceInstruction, Role,
    Shift,
};
pub use records::{
    Audit, AuditFinding, AuditKind, Breach, Risk, SubjectOutcome, SubjectRequest, SubjectRight,
};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One version of one fact, with the instant from which it was known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fact {
    /// When this version became effective in the register (UTC).
    pub known_from: DateTime<Utc>,
    /// 1 for the first version of an id, then one more each time.
    pub version: u32,
    /// What was recorded.
    pub body: FactBody,
}

/// What a fact says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FactBody {
    /// A municipality that takes part.
    Municipality(Municipality),
    /// An organisation that takes part.
    Organisation(Organisation),
    /// A council ordinance that gives the mayor the power (151c lid 1).
    Ordinance(Ordinance),
    /// A designation decree of a mayor (151c lid 2).
    Decree(Decree),
    /// An area designated by a decree.
    Area(Area),
    /// An extension of a decree.
    Extension(Extension),
    /// A revocation of a decree (151c lid 5).
    Revocation(Revocation),
    /// A consultation with the public prosecutor (151c lid 3).
    Consultation(Consultation),
    /// The period in which cameras are used and watched (151c lid 3).
    Period(Period),
    /// An event or emergency window.
    ExtraWindow(ExtraWindow),
    /// A sign register entry (151c lid 6).
    Signage(Signage),
    /// A camera.
    Camera(Camera),
    /// Where a camera hung, from when until when.
    Position(Position),
    /// A privacy mask and its verification (151c lid 7).
    Mask(Mask),
    /// An agreement between the parties (Wpg 6c).
    Agreement(Agreement),
    /// A person with an account.
    Person(Person),
    /// An authorisation of a person (Wpg 6).
    Authorisation(Authorisation),
    /// A shift of an observer.
    Shift(Shift),
    /// A police instruction to look outside the live windows.
    Instruction(PoliceInstruction),
    /// A breach (Wpg 33a).
    Breach(Breach),
    /// A request of a data subject (Wpg 24a-28).
    SubjectRequest(SubjectRequest),
    /// An audit (Wpg 33).
    Audit(Audit),
    /// What an audit found.
    AuditFinding(AuditFinding),
    /// Technical work, announced and witnessed.
    Maintenance(MaintenanceAccess),
}

impl FactBody {
    /// Whether it is a record about the processing itself: nothing rests on it, and only those who answer for the
    /// processing read it (Wpg 34, 36).
    pub fn is_record(&self) -> bool {
        matches!(self, Self::Breach(_) | Self::SubjectRequest(_) | Self::Audit(_) | Self::AuditFinding(_))
    }
}
