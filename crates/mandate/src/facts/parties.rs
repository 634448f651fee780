//! Who takes part (Wpg 1, 6, 6c): organisations, their agreements, people and what they are authorised for.

use crate::ids::{
    AgreementId, AuthorisationId, CameraId, InstructionId, MunicipalityId, OrganisationId, PersonId, ShiftId,
};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An organisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Organisation {
    /// `politie`, `vrt`, `rj-security`, `gemeente-enschede`.
    pub id: OrganisationId,
    /// The name people read.
    pub name: String,
    /// Which part it plays under the Wpg; `type` in JSON, where `kind` is the tag of the fact (files may say `kind`).
    #[serde(rename = "type", alias = "kind")]
    pub kind: OrganisationKind,
}

/// The part an organisation plays under the Wpg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrganisationKind {
    /// The controller (Wpg 1 f).
    Police,
    /// The processor: the Veiligheidsregio (Wpg 6c).
    Processor,
    /// The sub-processor: the security company.
    SecurityCompany,
    /// A municipality.
    Municipality,
    /// The public prosecution service.
    PublicProsecutor,
    /// Anyone else.
    Other,
}

/// Which agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgreementKind {
    /// Police and VRT cooperate.
    Cooperation,
    /// Police – VRT (Wpg 6c lid 2).
    Processor,
    /// VRT – security company (Wpg 6c lid 4).
    Subprocessor,
    /// Municipalities – VRT.
    ServiceMunicipalities,
    /// VRT – security company, services.
    ServiceSecurity,
}

/// An agreement between the parties.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// Its id.
    pub id: AgreementId,
    /// Which one.
    #[serde(rename = "type")]
    pub kind: AgreementKind,
    /// The parties, controller or client first.
    pub parties: Vec<OrganisationId>,
    /// First instant.
    pub valid_from: DateTime<Utc>,
    /// End, if any.
    #[serde(default)]
    pub valid_until: Option<DateTime<Utc>>,
    /// The controller's written consent (sub-processor only).
    #[serde(default)]
    pub controller_consent_ref: Option<String>,
    /// The agreement above it in the chain.
    #[serde(default)]
    pub parent: Option<AgreementId>,
    /// The points of Bpg 6:1b that it covers.
    #[serde(default)]
    pub checklist: Vec<String>,
}

/// A natural person with an account; never a shared desk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Its id, which is also the log-in name.
    pub id: PersonId,
    /// The name people read.
    pub name: String,
    /// The employer.
    pub organisation: OrganisationId,
    /// When the undertaking of secrecy was signed (Wpg 7).
    #[serde(default)]
    pub secrecy_signed_at: Option<DateTime<Utc>>,
    /// End of the korpschef's permission (Wpbr 7 lid 2), company staff only.
    #[serde(default)]
    pub wpbr_permission_until: Option<DateTime<Utc>>,
    /// The employer's number for them.
    #[serde(default)]
    pub personnel_no: Option<String>,
    /// End of the training that is valid (policy; listed ahead, no condition).
    #[serde(default)]
    pub training_until: Option<DateTime<Utc>>,
}

/// A role. The first names are those of `domain.md` 5b.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Camera-observant (security company).
    Observer,
    /// RTR-coördinator (VRT).
    RoomCoordinator,
    /// Politieregisseur.
    PoliceOperator,
    /// Opsporingsambtenaar.
    Investigator,
    /// Mandated police officer for release and hold.
    PoliceApprover,
    /// Privacyfunctionaris (Wpg 34).
    PrivacyOfficer,
    /// Auditor (Wpg 33).
    Auditor,
    /// Beheerder besluitenregister.
    LegalAdmin,
    /// Ambtenaar OOV of one municipality.
    MunicipalOfficer,
    /// Autorisatiebeheerder.
    UserAdmin,
    /// Technisch beheerder.
    SystemAdmin,
    /// The platform itself.
    System,
    /// No role in this processing.
    None,
}

/// An authorisation of one person for one role (Wpg 6).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Authorisation {
    /// Its id.
    pub id: AuthorisationId,
    /// The person.
    pub person: PersonId,
    /// The role.
    pub role: Role,
    /// The municipalities in scope.
    pub municipalities: Vec<MunicipalityId>,
    /// First instant.
    pub from: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
    /// The controller's document.
    #[serde(default)]
    pub document_ref: Option<String>,
    /// Who granted it; never the person itself.
    #[serde(default)]
    pub granted_by: Option<PersonId>,
}

/// A shift of an observer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shift {
    /// Its id.
    pub id: ShiftId,
    /// The person.
    pub person: PersonId,
    /// Start.
    pub from: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
    /// At which desk.
    #[serde(default)]
    pub desk: Option<String>,
    /// Minutes between two changes of desk.
    #[serde(default)]
    pub rotation_minutes: Option<u32>,
}

/// A police operator's instruction to look at cameras outside the live windows (V12).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PoliceInstruction {
    /// Its reference.
    pub id: InstructionId,
    /// The cameras.
    pub cameras: Vec<CameraId>,
    /// Start.
    pub from: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
    /// The police operator who entered it.
    pub entered_by: PersonId,
}
