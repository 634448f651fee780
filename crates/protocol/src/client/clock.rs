//! The server's clock.

use super::{ClientError, Session};
use crate::api::{ClockAcceptance, ClockView};

impl Session {
    /// What the server's clock shows and what is believed of it.
    pub async fn clock(&self) -> Result<ClockView, ClientError> {
        self.get("clock").await
    }

    /// Says that the server's clock is right.
    pub async fn accept_clock(&self, acceptance: &ClockAcceptance) -> Result<ClockView, ClientError> {
        self.post("clock/accept", acceptance).await
    }
}
