//! What comes out: a permit with the facts it rests on, or a denial with the fact that is missing.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Why a request is refused. The order of the variants is the order in which conditions are tested
/// (`reason_precedence` of the scenario suite): of several failures the first is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are the suite's vocabulary; `sentence` explains each")]
pub enum ReasonCode {
    RoleNotPermitted,
    AuthorisationMissing,
    AuthorisationExpired,
    AuthorisationScope,
    ConfidentialityMissing,
    ProcessorAgreementLapsed,
    SubprocessorAgreementLapsed,
    SubprocessorNotApproved,
    PersonNotCleared,
    NotOnShift,
    OrdinanceNotInForce,
    NoDecreeForMunicipality,
    NotCompetent,
    DecreeNotInForce,
    DecreeExpired,
    DecreeRevoked,
    DecreeExceedsOrdinance,
    CameraOutsideArea,
    OvjConsultationMissing,
    SignageMissing,
    OutsideUsePeriod,
    OutsideLiveWindow,
    MaskNotVerified,
    MaskRemovalForbidden,
    AudioNotPermitted,
    TargetNotPublic,
    TargetOutsideArea,
    UnlawfullyRecorded,
    HoldOtherCase,
    RetentionExceeded,
    ReplayLimit,
    IncidentRequired,
    PurposeNotAllowed,
    NoConcreteOffence,
    CaseNumberRequired,
    RecipientNotEntitled,
    DisclosureRecordIncomplete,
    FourEyes,
    NotApproved,
    RecipientMismatch,
    ExportExpired,
    IntegrityFailed,
    Held,
    RetroactiveDecree,
    RetentionAboveMaximum,
    WindowExceedsDecree,
    AuthorisationDocumentMissing,
    SelfGrant,
    RoleConflict,
    LogPurposeNotAllowed,
    LogImmutable,
    LogRetention,
    StatisticsPersonalData,
    BiometricNotPermitted,
    ReferToController,
    NotDue,
}

/// Id and version of one fact that a decision rests on, for example `decree DEMO-ENS-01 v1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FactRef {
    /// `decree`, `ordinance`, `area`, `period`, `window`, `agreement`, `authorisation` …
    pub kind: FactKind,
    /// Its id.
    pub id: std::sync::Arc<str>,
    /// Its version.
    pub version: u32,
}

/// The kinds of fact a decision can rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the fact of the same name in `facts`")]
pub enum FactKind {
    Municipality,
    Organisation,
    Ordinance,
    Decree,
    Area,
    Extension,
    Revocation,
    Consultation,
    Period,
    Window,
    ExtraWindow,
    Signage,
    Camera,
    Position,
    Mask,
    ProcessorAgreement,
    SubprocessorAgreement,
    Person,
    Authorisation,
    Shift,
    Instruction,
    Incident,
}
