//! The server's clock, and the police's word that it is right.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET /clock`: what the server's clock shows and what is believed of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClockView {
    /// What the machine's clock shows.
    pub wall: DateTime<Utc>,
    /// The time by which footage is destroyed: what has passed since the last time that was believed.
    pub believed: DateTime<Utc>,
    /// Whether the clock is ahead of that and nobody confirms it: nothing is destroyed and no look begins.
    pub doubted: bool,
}

/// `POST /clock/accept`: a person of the police says that the machine's clock is right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClockAcceptance {
    /// The time on the person's own watch; the machine's clock must show the same within five minutes.
    pub time: DateTime<Utc>,
    /// What was checked, for the log.
    pub reason: String,
}
