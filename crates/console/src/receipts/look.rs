//! What the entry of a look must say: the workstation asked for it and knows. A host that shows pictures unlogged could tell the
//! number of any entry.

use chrono::{DateTime, TimeDelta, Utc};
use mandate::CameraId;
use protocol::socket::ClientMessage;
use serde::{Deserialize, Serialize};

/// How far the clocks of daemon and workstation may lie apart.
const CLOCKS_APART: TimeDelta = TimeDelta::minutes(5);

/// A look as this workstation asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// What its entry is called: `live_view.start` or `replay.start`.
    action: String,
    camera: CameraId,
    /// When it began (UTC), by this workstation's own clock.
    at: DateTime<Utc>,
}

impl Look {
    /// The look that this message asks for at an instant (UTC), with its number on the socket; nothing where it opens none.
    pub fn asked(message: &ClientMessage, at: DateTime<Utc>) -> Option<(u32, Self)> {
        let (subscription, action, camera) = match message {
            ClientMessage::Watch { subscription, camera, .. } => (*subscription, "live_view.start", camera),
            ClientMessage::Replay { subscription, camera, .. } => (*subscription, "replay.start", camera),
            _ => return None,
        };
        Some((subscription, Self { action: action.to_owned(), camera: camera.clone(), at }))
    }

    /// The same look, told at this instant (UTC) to have begun.
    #[must_use]
    pub fn begun(self, at: DateTime<Utc>) -> Self {
        Self { at, ..self }
    }

    /// Whether an entry is this look's.
    pub(super) fn is_entered(&self, leaf: &[u8]) -> bool {
        let entry: serde_json::Value = serde_json::from_slice(leaf).unwrap_or_default();
        let text = |pointer: &str| entry.pointer(pointer).and_then(serde_json::Value::as_str);
        let at = text("/at").and_then(|at| at.parse::<DateTime<Utc>>().ok());
        text("/action") == Some(self.action.as_str())
            && text("/object/camera") == Some(&self.camera.to_string())
            && at.is_some_and(|at| (at - self.at).abs() <= CLOCKS_APART)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_of_a_look_only_where_action_camera_and_time_are_its_own() {
        let at = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        let look = Look { action: "live_view.start".to_owned(), camera: CameraId::new("markt-01"), at };
        let leaf = |action: &str, camera: &str, at: DateTime<Utc>| {
            let at = at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
            serde_json::json!({ "action": action, "at": at, "object": { "camera": camera } }).to_string()
        };
        let entered = |leaf: String| look.is_entered(leaf.as_bytes());
        assert!(entered(leaf("live_view.start", "markt-01", at + TimeDelta::minutes(4))));
        assert!(entered(leaf("live_view.start", "markt-01", at - TimeDelta::minutes(4))));
        assert!(!entered(leaf("live_view.stop", "markt-01", at)));
        assert!(!entered(leaf("replay.start", "markt-01", at)));
        assert!(!entered(leaf("live_view.start", "markt-02", at)));
        assert!(!entered(leaf("live_view.start", "markt-01", at + TimeDelta::minutes(6))));
        assert!(!entered(leaf("live_view.start", "markt-01", at - TimeDelta::hours(1))));
        assert!(!entered("no entry".to_owned()));
    }
}
