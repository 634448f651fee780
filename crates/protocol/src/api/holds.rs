//! Footage secured for a case (veiligstelling).

use chrono::{DateTime, Utc};
use evidence::LeftOut;
use mandate::{CameraId, PersonId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `POST /holds`: secures what a camera recorded in an interval, exact to the frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHold {
    /// The camera.
    pub camera: CameraId,
    /// First instant.
    pub from: DateTime<Utc>,
    /// End, exclusive; not in the future.
    pub until: DateTime<Utc>,
    /// The police case number.
    pub case_number: String,
    /// The concrete offence, for example `Sr 300`.
    pub offence: String,
    /// When somebody must look at it again; within 28 days if not given.
    #[serde(default)]
    pub review_at: Option<DateTime<Utc>>,
}

/// `POST /holds/{id}/release`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldRelease {
    /// Why it is no longer needed.
    pub reason: String,
}

/// A hold. `GET /holds`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HoldView {
    /// Its id.
    pub id: String,
    /// The camera.
    pub camera: CameraId,
    /// First instant.
    pub from: DateTime<Utc>,
    /// End, exclusive.
    pub until: DateTime<Utc>,
    /// The police case number.
    pub case_number: String,
    /// The concrete offence.
    pub offence: String,
    /// Who set it.
    pub set_by: PersonId,
    /// When.
    pub set_at: DateTime<Utc>,
    /// When somebody must look at it again.
    pub review_at: DateTime<Utc>,
    /// Whether that is past.
    pub review_due: bool,
    /// Bytes of footage it keeps.
    pub bytes: u64,
    /// Whether its footage stands beside its keys on both devices.
    pub whole: bool,
    /// Whether the police's witness has seen its entry. Until then the footage is safe, but nobody gets any of it beyond
    /// its ordinary term.
    #[serde(default)]
    pub witnessed: bool,
    /// The footage request whose approval made it; closing that request releases it.
    #[serde(default)]
    pub request: Option<mandate::ExportId>,
    /// What was set with it in one call, where what may be secured comes in several stretches: the ids of the others.
    #[serde(default)]
    pub further: Vec<String>,
    /// In the answer of the call that set it: what was asked for and is not secured, and why.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// When it was released; it keeps nothing since then.
    pub released_at: Option<DateTime<Utc>>,
    /// By whom.
    pub released_by: Option<PersonId>,
}
