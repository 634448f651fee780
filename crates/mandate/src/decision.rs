//! What comes out: a permit with the facts it rests on, or a denial with the fact that is missing.

use crate::facts::Role;
use arrayvec::ArrayVec;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a request is refused. The order of the variants is the order in which conditions are tested
/// (`reason_precedence` of the scenario suite): of several failures the first is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct FactRef {
    /// `decree`, `ordinance`, `area`, `period`, `window`, `agreement`, `authorisation` …
    pub kind: FactKind,
    /// Its id.
    pub id: std::sync::Arc<str>,
    /// Its version.
    pub version: u32,
}

/// The kinds of fact a decision can rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
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
    Agreement,
    Person,
    Authorisation,
    Shift,
    Instruction,
    Incident,
    Breach,
    SubjectRequest,
    Audit,
    AuditFinding,
    Maintenance,
}

/// The kind of processing, as the log names it (Wpg 32a lid 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogOperation {
    /// Verzamelen.
    Collect,
    /// Wijzigen.
    Alter,
    /// Raadplegen.
    Consult,
    /// Verstrekken (and making available, Wpg 15).
    Disclose,
    /// Combineren.
    Combine,
    /// Vernietigen.
    Destroy,
}

/// What a decision obliges the one who carries it out to do, besides logging it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obligations {
    /// As what it is logged; a denial is logged as the attempt at it (V9).
    pub log: LogOperation,
    /// Who must be told.
    pub notify: Option<Role>,
    /// The footage must be closed off until somebody decides about it (GW-21).
    pub quarantine: bool,
    /// The footage now outlives its ordinary term.
    pub extends_retention: bool,
    /// What is made keeps the capture time and the term of its source.
    pub inherits_retention: bool,
    /// The footage must be held for the case.
    pub creates_hold: bool,
    /// The footage must be destroyed at once.
    pub destroy_now: bool,
    /// When the footage must be destroyed if nothing else happens (UTC).
    pub destroy_at: Option<DateTime<Utc>>,
}

impl Obligations {
    pub(crate) fn new(log: LogOperation) -> Self {
        Self {
            log,
            notify: None,
            quarantine: false,
            extends_retention: false,
            inherits_retention: false,
            creates_hold: false,
            destroy_now: false,
            destroy_at: None,
        }
    }

    /// Without what only a permitted act brings about. Whom to tell, what to close off and when footage is due anyway stay.
    pub(crate) fn of_a_refusal(self) -> Self {
        Self {
            extends_retention: false,
            inherits_retention: false,
            creates_hold: false,
            destroy_now: false,
            ..self
        }
    }
}

/// The most facts that one decision names. A look: person chain 8, basis chain 11 and a sign of each point, mask, incident,
/// instruction, its author, their employer and authorisation. A short replay adds the chain of what it shows, as known now and as
/// known then; a range across two decrees, a second one. What rests on more says so ([`Permit::is_complete`]).
pub(crate) const BASIS_CAPACITY: usize = 48;

/// The facts that a permit rests on, without an allocation.
pub(crate) type Basis = ArrayVec<FactRef, BASIS_CAPACITY>;

/// A permit. Only [`decide`](crate::decide()) makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    pub(crate) basis: Basis,
    pub(crate) complete: bool,
    pub(crate) until: Option<DateTime<Utc>>,
    pub(crate) obligations: Obligations,
}

impl Permit {
    /// The facts it rests on, with their versions: one complete chain.
    pub fn basis(&self) -> &[FactRef] {
        &self.basis
    }

    /// Whether the basis names every fact: a range of footage over many changes of the register may rest on more than there is
    /// room for.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The first fact of a kind in the basis.
    pub fn fact(&self, kind: FactKind) -> Option<&FactRef> {
        self.basis.iter().find(|fact| fact.kind == kind)
    }

    /// The first instant at which the answer could change (UTC); the gate decides again then. None: only a change of
    /// the register or of what was resolved can change it.
    pub fn until(&self) -> Option<DateTime<Utc>> {
        self.until
    }

    /// What must be done with it.
    pub fn obligations(&self) -> &Obligations {
        &self.obligations
    }
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Denial {
    /// The first condition that fails.
    pub code: ReasonCode,
    /// The fact that fails it, where there is one.
    pub fact: Option<FactRef>,
    /// The first instant at which the answer could change (UTC); [`next_opening`](crate::next_opening) says when it opens.
    pub until: Option<DateTime<Utc>>,
    /// What must be done about it.
    pub obligations: Obligations,
}

impl Denial {
    /// The reason in Dutch and in English, with the fact that it is about.
    pub fn sentence(&self) -> (String, String) {
        let (nl, en) = self.code.sentence();
        match &self.fact {
            Some(fact) => (format!("{nl} ({})", fact.id), format!("{en} ({})", fact.id)),
            None => (nl.to_owned(), en.to_owned()),
        }
    }
}

/// The answer to a request at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "the basis is inline so that deciding allocates nothing")]
pub enum Decision {
    /// It may be done.
    Permit(Permit),
    /// It may not.
    Deny(Denial),
}

impl Decision {
    /// Whether it may be done.
    pub fn is_permit(&self) -> bool {
        matches!(self, Self::Permit(_))
    }

    /// The permit, if it is one.
    pub fn permit(&self) -> Option<&Permit> {
        match self {
            Self::Permit(permit) => Some(permit),
            Self::Deny(_) => None,
        }
    }

    /// The denial, if it is one.
    pub fn denial(&self) -> Option<&Denial> {
        match self {
            Self::Permit(_) => None,
            Self::Deny(denial) => Some(denial),
        }
    }

    /// The first instant at which the answer could change (UTC).
    pub fn until(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Permit(permit) => permit.until,
            Self::Deny(denial) => denial.until,
        }
    }

    /// What must be done with or about it.
    pub fn obligations(&self) -> &Obligations {
        match self {
            Self::Permit(permit) => &permit.obligations,
            Self::Deny(denial) => &denial.obligations,
        }
    }
}
