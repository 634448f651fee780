//! Figures without persons, and the footage that was closed off.

use super::{Sentence, Span};
use chrono::{DateTime, Utc};
use mandate::{CameraId, FactRef, MunicipalityId, PersonId, ReasonCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A count. Small ones are not told: they could be about somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Figure {
    /// The count.
    Exact(u64),
    /// Something, but fewer than this.
    Fewer {
        /// The smallest count that is told.
        fewer_than: u64,
    },
}

impl Figure {
    /// A count, hidden when it lies between zero and `smallest`.
    pub fn suppressed(count: u64, smallest: u64) -> Self {
        if count > 0 && count < smallest { Self::Fewer { fewer_than: smallest } } else { Self::Exact(count) }
    }
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(count) => write!(f, "{count}"),
            Self::Fewer { fewer_than } => write!(f, "<{fewer_than}"),
        }
    }
}

/// Hours in which somebody did something. Few ones are not told, like small counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Hours {
    /// The hours.
    Exact(f64),
    /// Some, but fewer than this.
    Fewer {
        /// The least that is told.
        fewer_than: u64,
    },
}

impl Hours {
    /// Hours, hidden when they lie between zero and `smallest`.
    pub fn suppressed(hours: f64, smallest: u64) -> Self {
        if hours > 0.0 && hours < smallest as f64 {
            Self::Fewer { fewer_than: smallest }
        } else {
            Self::Exact(hours)
        }
    }
}

/// With as many decimals as are asked for.
impl std::fmt::Display for Hours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(hours) => std::fmt::Display::fmt(hours, f),
            Self::Fewer { fewer_than } => write!(f, "<{fewer_than}"),
        }
    }
}

/// A word with its count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counted {
    /// The word: a kind of incident, a reason code, an action.
    pub what: String,
    /// How often.
    pub count: Figure,
}

/// `GET /reports`: the figures of a period, for the council, the mayors and the room itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// First instant.
    pub from: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// Whether the decisions in it are made up.
    pub demo: bool,
    /// Municipality by municipality, those in scope.
    pub municipalities: Vec<MunicipalityReport>,
    /// How costs are split: parts per key, as configured.
    pub cost_key: CostKey,
}

/// The parts of a cost key; only their ratio matters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CostKey {
    /// By number of cameras.
    pub cameras: f64,
    /// By hours in which a camera was watched.
    pub watched_hours: f64,
    /// By terabytes stored, times days.
    pub stored_terabyte_days: f64,
}

/// One municipality's figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MunicipalityReport {
    /// Its id.
    pub id: MunicipalityId,
    /// Its name.
    pub name: String,
    /// Cameras that were in use at some time of the period.
    pub cameras: u64,
    /// Hours of use that the decisions opened, all cameras together.
    pub use_hours: f64,
    /// Hours of live viewing that the decisions opened.
    pub live_hours: f64,
    /// Hours in which a camera was watched by at least one person.
    pub watched_hours: Hours,
    /// Hours that were recorded.
    pub recorded_hours: f64,
    /// Recorded share of the hours of use, 0 to 1; none when there were none.
    pub recorded_share: Option<f64>,
    /// Terabytes stored, times days.
    pub stored_terabyte_days: f64,
    /// Incidents by kind.
    pub incidents: Vec<Counted>,
    /// Requests for footage.
    pub requests: Figure,
    /// Provisions and disclosures that were approved.
    pub disclosures: Figure,
    /// Refusals by reason.
    pub refusals: Vec<Counted>,
    /// Share of the costs by the configured key, 0 to 1 of all municipalities together.
    pub cost_share: f64,
}

/// `GET /quarantine`: footage that was closed off as unlawfully recorded (GW-21).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quarantine {
    /// Its number.
    pub id: u64,
    /// The camera.
    pub camera: CameraId,
    /// Its municipality.
    #[serde(default)]
    pub municipality: Option<MunicipalityId>,
    /// First instant.
    pub from: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
    /// The condition that failed.
    pub code: ReasonCode,
    /// The same in words.
    pub sentence: Sentence,
    /// The fact that fails it.
    #[serde(default)]
    pub fact: Option<FactRef>,
    /// As known when the basis was missing: `then`, `now`, `then_and_now`.
    pub known: String,
    /// When it was found.
    pub found_at: DateTime<Utc>,
    /// The basis on which it was recorded, as known then.
    pub captured_on: Vec<FactRef>,
    /// When its keys are destroyed at the latest: quarantine never extends a term.
    pub destroyed_by: DateTime<Utc>,
    /// What a decision to destroy it takes: one key serves an hour of a camera, so whole hours go.
    pub hours: Span,
    /// How much of those hours was recorded lawfully and would go with it, seconds. What a hold keeps stays.
    pub lawful_seconds: u64,
    /// Who decided that it goes before its term.
    #[serde(default)]
    pub decided_by: Option<PersonId>,
    /// When.
    #[serde(default)]
    pub decided_at: Option<DateTime<Utc>>,
    /// When its keys were destroyed by that decision.
    #[serde(default)]
    pub destroyed_at: Option<DateTime<Utc>>,
}

/// `POST /quarantine/{id}/destruction`: the controller decides that footage which was closed off goes now (GW-21).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DestroyQuarantined {
    /// Why; kept in the log.
    pub reason: String,
}

/// `GET /cameras/{id}/basis`: the bases under which a camera's footage was captured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CaptureBasis {
    /// First instant.
    pub from: DateTime<Utc>,
    /// End; of the stretch that runs, the last instant at which it was seen to hold.
    pub until: DateTime<Utc>,
    /// The facts, with their versions.
    pub basis: Vec<FactRef>,
    /// Head of the register then.
    pub register_head: String,
}
