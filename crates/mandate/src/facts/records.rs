//! What the law wants on record about the processing itself: breaches, requests of data subjects, audits and what they
//! found (Wpg 24a-28, 33, 33a). None of it is a condition of any look; each has a term that somebody must keep.
//!
//! No names: a request carries the number under which the controller keeps it.

use crate::ids::{AuditId, BreachId, FindingId, MunicipalityId, SubjectRequestId};
use chrono::{DateTime, Days, Months, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How likely it is that a breach harms those whom the data are about (Wpg 33a).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Nothing need be told.
    Unlikely,
    /// The supervisor must be told.
    #[default]
    Possible,
    /// Those whom the data are about too.
    High,
}

/// A breach (datalek). The clock of 72 hours runs from the moment the controller knew, through nights and weekends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Breach {
    /// Its number.
    pub id: BreachId,
    /// The municipality, if it is about one.
    #[serde(default)]
    pub municipality: Option<MunicipalityId>,
    /// When it happened or began, as far as is known.
    #[serde(default)]
    pub happened_at: Option<DateTime<Utc>>,
    /// When the controller became aware of it.
    pub known_at: DateTime<Utc>,
    /// What happened, and to what kinds of data.
    pub facts: String,
    /// About how many people it is.
    #[serde(default)]
    pub persons: Option<u32>,
    /// What may come of it.
    #[serde(default)]
    pub consequences: Option<String>,
    /// What was done about it.
    #[serde(default)]
    pub measures: Option<String>,
    /// How bad it may be.
    #[serde(default)]
    pub risk: Risk,
    /// When the supervisor (AP) was told.
    #[serde(default)]
    pub reported_at: Option<DateTime<Utc>>,
    /// Why later than 72 hours.
    #[serde(default)]
    pub delay_reason: Option<String>,
    /// When those whom the data are about were told.
    #[serde(default)]
    pub subjects_informed_at: Option<DateTime<Utc>>,
}

impl Breach {
    /// When the supervisor must have been told: 72 hours after it was known (Wpg 33a lid 1).
    pub fn due_at(&self) -> DateTime<Utc> {
        self.known_at.checked_add_signed(TimeDelta::hours(72)).unwrap_or(self.known_at)
    }
}

/// What somebody asks about data that concern them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubjectRight {
    /// To see them (Wpg 25).
    Access,
    /// To have them corrected (Wpg 28).
    Rectification,
    /// To have them destroyed (Wpg 28).
    Erasure,
    /// To have them set aside (Wpg 28).
    Restriction,
}

/// What the controller decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubjectOutcome {
    /// As was asked.
    Granted,
    /// In part.
    Partly,
    /// Not (Wpg 27).
    Refused,
}

/// A request of a data subject (inzageverzoek and the like). The controller answers it, the processor never does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubjectRequest {
    /// The number under which the controller keeps it; no name.
    pub id: SubjectRequestId,
    /// The municipality, if it is about one.
    #[serde(default)]
    pub municipality: Option<MunicipalityId>,
    /// What is asked.
    pub right: SubjectRight,
    /// When it came in, wherever it did.
    pub received_at: DateTime<Utc>,
    /// When the room passed it on to the controller.
    #[serde(default)]
    pub forwarded_to_controller_at: Option<DateTime<Utc>>,
    /// By how many weeks an answer on access was deferred: four, or six (Wpg 25 lid 2).
    #[serde(default)]
    pub deferred_weeks: Option<u32>,
    /// When the controller decided.
    #[serde(default)]
    pub decided_at: Option<DateTime<Utc>>,
    /// What.
    #[serde(default)]
    pub outcome: Option<SubjectOutcome>,
    /// On which ground it was refused (Wpg 27).
    #[serde(default)]
    pub refusal_ground: Option<String>,
}

impl SubjectRequest {
    /// When the answer is due: access in six weeks and what it was deferred by (Wpg 25), the others in four (Wpg 28).
    pub fn due_at(&self) -> DateTime<Utc> {
        let weeks = match self.right {
            SubjectRight::Access => 6 + self.deferred_weeks.unwrap_or(0),
            SubjectRight::Rectification | SubjectRight::Erasure | SubjectRight::Restriction => 4,
        };
        self.received_at.checked_add_days(Days::new(7 * u64::from(weeks))).unwrap_or(self.received_at)
    }
}

/// Who audits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditKind {
    /// The controller's own people, every year (Bpg 6:5).
    Internal,
    /// An independent auditor, every four years (Wpg 33 lid 1).
    External,
}

/// An audit (Wpg 33; Bpg 6:5; Regeling periodieke audit politiegegevens).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// Its number.
    pub id: AuditId,
    /// Who; `type` in JSON, where `kind` is the tag of the fact.
    #[serde(rename = "type")]
    pub kind: AuditKind,
    /// The auditor or their organisation.
    pub auditor: String,
    /// The plan by which it is done.
    #[serde(default)]
    pub plan_ref: Option<String>,
    /// What it covers begins here.
    pub scope_from: DateTime<Utc>,
    /// And ends here: entries of the log before this instant have been audited (Wpg 32 lid 4).
    pub scope_until: DateTime<Utc>,
    /// When the auditor was done; none: it is going on.
    #[serde(default)]
    pub done_at: Option<DateTime<Utc>>,
    /// When the supervisor (AP) got the report.
    #[serde(default)]
    pub reported_at: Option<DateTime<Utc>>,
    /// When the report on what is to be improved is due: at most three months after it was done.
    #[serde(default)]
    pub report_due: Option<DateTime<Utc>>,
    /// When it is to be audited again what was wrong: at most a year after it was done.
    #[serde(default)]
    pub reaudit_due: Option<DateTime<Utc>>,
    /// When that report was made.
    #[serde(default)]
    pub improvement_reported_at: Option<DateTime<Utc>>,
    /// When it was audited again.
    #[serde(default)]
    pub reaudited_at: Option<DateTime<Utc>>,
}

impl Audit {
    /// When the next one of its kind must be done: a year, or four, after this one. None: this one is not done.
    pub fn next_due_at(&self) -> Option<DateTime<Utc>> {
        let months = match self.kind {
            AuditKind::Internal => 12,
            AuditKind::External => 48,
        };
        self.done_at?.checked_add_months(Months::new(months))
    }
}

/// Something an audit found (bevinding).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditFinding {
    /// Its number.
    pub id: FindingId,
    /// The audit.
    pub audit: AuditId,
    /// What.
    pub text: String,
    /// When it must be mended.
    #[serde(default)]
    pub mend_by: Option<DateTime<Utc>>,
    /// When it was.
    #[serde(default)]
    pub mended_at: Option<DateTime<Utc>>,
}
