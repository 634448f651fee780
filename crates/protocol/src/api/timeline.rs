//! What there is of a camera's footage between two instants, for the time axis.

use super::Sentence;
use chrono::{DateTime, Utc};
use mandate::{CameraId, ReasonCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET /cameras/{id}/timeline`. Nothing in it is a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timeline {
    /// The camera.
    pub camera: CameraId,
    /// First instant.
    pub from: DateTime<Utc>,
    /// End, exclusive.
    pub until: DateTime<Utc>,
    /// Recorded stretches and gaps, in order, without overlap; beyond the live edge there is none.
    pub spans: Vec<TimelineSpan>,
    /// What may not be seen, and why, in order.
    pub refused: Vec<RefusedSpan>,
    /// Length of one step of the curve, seconds.
    pub step: u32,
    /// Bytes of predicted pictures a second, on average, for each step from `from`: where it rises, something moved. 0 where
    /// nothing is recorded and where nothing may be seen.
    pub activity: Vec<u32>,
}

/// A stretch with pictures, or without.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimelineSpan {
    /// First instant.
    pub from: DateTime<Utc>,
    /// End, exclusive.
    pub until: DateTime<Utc>,
    /// Why there are no pictures; none: there are.
    pub gap: Option<GapText>,
}

/// Why there are no pictures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GapText {
    /// As a stable word.
    pub reason: String,
    /// For people.
    pub sentence: Sentence,
}

/// A stretch that may not be seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedSpan {
    /// First instant.
    pub from: DateTime<Utc>,
    /// End, exclusive.
    pub until: DateTime<Utc>,
    /// The law's reason.
    pub code: ReasonCode,
    /// For people.
    pub sentence: Sentence,
}
