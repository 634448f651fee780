//! What the daemon's case files say about footage: holds, requests for footage, grounds to destroy early.

use crate::{
    ids::{ExportId, PersonId},
    statement::{Purpose, RecipientKind},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Whether a hold binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// It binds.
    Active,
    /// It was released.
    Released,
}

/// A hold on footage (veiligstelling, 151c lid 9): for one case, about one offence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The case it was set for.
    pub case_number: Option<String>,
    /// Whether it binds.
    pub state: HoldState,
    /// From when; none: from the beginning.
    #[serde(default)]
    pub set_at: Option<DateTime<Utc>>,
}

/// How far a request for footage has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportState {
    /// Waiting for a police approver.
    Requested,
    /// Approved.
    Approved,
    /// Refused, withdrawn or fetched as often as allowed.
    Closed,
}

/// A request for footage (beeldaanvraag) and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Export {
    /// Its id.
    pub id: ExportId,
    /// How far it has come.
    pub state: ExportState,
    /// Who asked.
    pub requested_by: Option<PersonId>,
    /// Who approved.
    pub approved_by: Option<PersonId>,
    /// When.
    pub approved_at: Option<DateTime<Utc>>,
    /// The named recipient.
    pub recipient: Option<String>,
    /// What kind of recipient.
    #[serde(default)]
    pub recipient_kind: RecipientKind,
    /// What for.
    pub purpose: Option<Purpose>,
    /// The concrete offence.
    pub offence_ref: Option<String>,
    /// The police case number.
    pub case_number: Option<String>,
    /// What is asked for.
    pub description: Option<String>,
    /// Whether the package still has the hash that was approved; computed by the daemon.
    pub sha256_ok: bool,
    /// End of the time in which it may be fetched.
    pub download_until: Option<DateTime<Utc>>,
}

/// Why footage may be destroyed before its term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DestroyGround {
    /// A hold was released.
    HoldReleased,
    /// The police decided about unlawfully recorded footage.
    QuarantineDecision,
    /// The controller's standing instruction when the disk budget is used up.
    BudgetInstruction,
}
