//! How a look back moves: which pictures are read for it, and when each is due.

use chrono::{DateTime, TimeDelta, Utc};
use media::{AccessUnit, Micros};
use protocol::{
    api::Sentence,
    socket::{EndCause, Motion},
};
use std::time::Duration;
use tokio::time::Instant;
use vault::{Direction, Pictures};

/// What a replay that stands still has ahead of its position, for steps by one picture.
pub(super) const STILL: TimeDelta = TimeDelta::seconds(2);
/// Pictures on a common clock are sent so much before they are due.
const AHEAD: Duration = Duration::from_millis(700);
/// Times real time, either way.
const FASTEST: f32 = 64.0;
/// Above this, key frames only.
const EVERY_PICTURE_UP_TO: f32 = 4.0;
/// Distance of key frames on the screen (µs): ten a second are as much as an eye takes in.
const APART: f32 = 100_000.0;

/// Whether there is such a motion.
///
/// # Errors
/// The end of the look back, with a sentence for people.
pub(crate) fn check(motion: &Motion) -> Result<(), EndCause> {
    if motion.speed.abs() <= FASTEST {
        return Ok(());
    }
    let sentence = Sentence {
        nl: format!("De snelheid ligt tussen -{FASTEST} en {FASTEST} keer."),
        en: format!("The speed lies between -{FASTEST} and {FASTEST} times."),
    };
    Err(EndCause::Invalid { sentence })
}

/// What is read for a motion.
pub(super) fn reading(motion: &Motion) -> (Direction, Pictures) {
    let direction = if motion.speed < 0.0 { Direction::Backward } else { Direction::Forward };
    let fast = motion.speed.abs() > EVERY_PICTURE_UP_TO;
    let pictures = if fast || motion.key_frames_only {
        Pictures::KeyFrames { apart: Micros((motion.speed.abs() * APART) as i64) }
    } else {
        Pictures::All
    };
    (direction, pictures)
}

/// Sends pictures no faster than the client asked.
pub(crate) struct Pacer {
    /// Times real time, below 0 backward; 0: as fast as they are taken.
    speed: f64,
    position: i64,
    /// When the position is due; with the first picture, if nobody says.
    at: Option<Instant>,
    ahead: Duration,
    /// Backward: the end (µs) of the group whose pictures come now.
    group_end: i64,
    next_group_end: i64,
}

impl Pacer {
    pub(crate) fn new(motion: &Motion, position: Micros, now: DateTime<Utc>) -> Self {
        Self::since(motion, position, now, Instant::now())
    }

    /// With the instants of both clocks: `now` (UTC) is `machine`.
    fn since(motion: &Motion, position: Micros, now: DateTime<Utc>, machine: Instant) -> Self {
        let at = motion.at.map(|at| {
            let (later, begun) = ((at - now).to_std(), (now - at).to_std().unwrap_or_default());
            later.map_or_else(|_| machine.checked_sub(begun).unwrap_or(machine), |later| machine + later)
        });
        Self {
            speed: f64::from(motion.speed),
            position: position.0,
            at,
            ahead: if at.is_some() { AHEAD } else { Duration::ZERO },
            group_end: position.0,
            next_group_end: position.0,
        }
    }

    /// When a picture may go; none: now.
    pub(crate) fn due(&mut self, unit: &AccessUnit) -> Option<Instant> {
        if self.speed == 0.0 {
            return None;
        }
        let captured = if self.speed < 0.0 {
            // A group is shown from its end, and its end is where the one before it began.
            if unit.key {
                self.group_end = self.next_group_end;
                self.next_group_end = unit.captured.0;
            }
            self.group_end
        } else {
            unit.captured.0
        };
        let at = if let Some(at) = self.at {
            at
        } else {
            if self.speed > 0.0 {
                self.position = captured;
            }
            *self.at.insert(Instant::now())
        };
        let behind = ((captured - self.position) as f64 / self.speed).max(0.0);
        (at + Duration::from_micros(behind as u64)).checked_sub(self.ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use media::{Codec, Parameters, StreamId, Ticks};
    use std::sync::Arc;

    fn unit(captured: i64, key: bool) -> AccessUnit {
        let record = Bytes::from_static(b"r");
        AccessUnit {
            stream: StreamId(1),
            parameters: Arc::new(Parameters {
                generation: 1,
                codec: Codec::H264,
                width: 2,
                height: 2,
                record,
            }),
            captured: Micros(captured),
            media_time: Ticks(0),
            duration: 3600,
            key,
            discontinuity: false,
            received: Micros(captured),
            camera_time: None,
            received_within: 0,
            payload: Bytes::new(),
        }
    }

    fn ms(from: Instant, due: Option<Instant>) -> u128 {
        due.map_or(0, |due| due.duration_since(from).as_millis())
    }

    #[tokio::test]
    async fn pictures_are_due_by_the_common_clock_in_either_direction() {
        let now = Utc::now();
        let position = 100_000_000;
        // Due in two seconds, twice as fast; what leads to the position is sent at once.
        let motion = Motion { speed: 2.0, at: Some(now + TimeDelta::seconds(2)), ..Motion::default() };
        let began = Instant::now();
        let mut one = Pacer::since(&motion, Micros(position), now, began);
        let mut other = Pacer::since(&motion, Micros(position), now, began);
        assert_eq!(ms(began, one.due(&unit(position - 500_000, true))), 1300);
        assert_eq!(ms(began, one.due(&unit(position + 4_000_000, false))), 3300);
        // Another camera, whose first picture lies elsewhere, is in step.
        assert_eq!(ms(began, other.due(&unit(position + 4_000_000, true))), 3300);
        let motion = Motion { speed: -1.0, ..motion };
        let mut back = Pacer::since(&motion, Micros(position), now, began);
        assert_eq!(ms(began, back.due(&unit(position - 2_000_000, true))), 1300);
        assert_eq!(ms(began, back.due(&unit(position - 40_000, false))), 1300, "with its group");
        assert_eq!(ms(began, back.due(&unit(position - 4_000_000, true))), 3300);
        // Without a common clock the first picture goes at once.
        let mut alone = Pacer::new(&Motion::default(), Micros(position), now);
        let first = alone.due(&unit(position + 7_000_000, true)).unwrap();
        assert!(first <= Instant::now());
        assert_eq!(ms(first, alone.due(&unit(position + 8_000_000, false))), 1000);
        let still = Motion { speed: 0.0, ..Motion::default() };
        assert!(Pacer::new(&still, Micros(position), now).due(&unit(position, true)).is_none());
    }

    #[test]
    fn fast_motion_reads_key_frames_only_and_thins_them_out() {
        let of = |speed, key_frames_only| reading(&Motion { speed, key_frames_only, ..Motion::default() });
        assert_eq!(of(1.0, false), (Direction::Forward, Pictures::All));
        assert_eq!(of(-4.0, false), (Direction::Backward, Pictures::All));
        assert_eq!(of(64.0, false), (Direction::Forward, Pictures::KeyFrames { apart: Micros(6_400_000) }));
        assert_eq!(of(-1.0, true), (Direction::Backward, Pictures::KeyFrames { apart: Micros(100_000) }));
        assert!(check(&Motion { speed: 65.0, ..Motion::default() }).is_err());
        assert!(check(&Motion { speed: f32::NAN, ..Motion::default() }).is_err());
    }
}
