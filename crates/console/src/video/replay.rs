//! The position of a replay: one clock for all tiles that play in step.
//!
//! Recorded pictures are shown when the clock reaches their capture time, however fast the daemon sends them. The clock
//! waits at its start until the first picture is there, so that the time to seek is not played away.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Where a replay is, and which way it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// µs UTC.
    pub(super) at: i64,
    /// Backward.
    pub(super) backward: bool,
}

impl Place {
    /// Whether a picture's time has come.
    pub(super) fn has_reached(self, captured: i64) -> bool {
        if self.backward { captured >= self.at } else { captured <= self.at }
    }

    /// How long (µs) a picture has been due; below 0: it is not yet.
    pub(super) fn overdue(self, captured: i64) -> i64 {
        let late = self.at.saturating_sub(captured);
        if self.backward { late.saturating_neg() } else { late }
    }
}

/// The rule, with time passed in. All positions are µs UTC.
#[derive(Clone, Copy, Debug)]
struct Running {
    /// Position at `since`.
    at: i64,
    /// When it ran from there; `None` while it waits for the first picture.
    since: Option<Duration>,
    speed: f32,
    paused: bool,
}

impl Running {
    fn position(&self, now: Duration) -> i64 {
        match self.since {
            Some(since) if !self.paused => {
                let elapsed = now.saturating_sub(since).as_secs_f64() * f64::from(self.speed);
                self.at.saturating_add((elapsed * 1e6) as i64)
            }
            _ => self.at,
        }
    }

    /// Keeps the position while something about the running changes.
    fn rebase(&mut self, now: Duration) {
        self.at = self.position(now);
        self.since = self.since.map(|_| now);
    }
}

/// A replay's position, shared by its tiles. Cheap to clone; any thread.
#[derive(Clone, Debug)]
pub struct ReplayClock(Arc<(Instant, Mutex<Running>)>);

impl ReplayClock {
    /// Waits at `captured` (µs UTC) for the first picture, then runs at `speed` (1.0 is real time, below 0 backward).
    pub fn new(captured: i64, speed: f32) -> Self {
        let running = Running { at: captured, since: None, speed, paused: false };
        Self(Arc::new((Instant::now(), Mutex::new(running))))
    }

    /// The position now, µs UTC.
    pub fn position(&self) -> i64 {
        self.change(|running, now| running.position(now))
    }

    /// The position now, and which way it goes.
    pub(super) fn place(&self) -> Place {
        self.change(|running, now| Place { at: running.position(now), backward: running.speed < 0.0 })
    }

    /// Jumps to `captured` (µs UTC) and waits there for a picture; call [`super::Player::flush`] on each tile too.
    pub fn seek(&self, captured: i64) {
        self.change(|running, _| {
            running.at = captured;
            running.since = None;
        });
    }

    /// Jumps to `captured` (µs UTC) within what the tiles hold: a step by one picture.
    pub fn step_to(&self, captured: i64) {
        self.change(|running, now| {
            running.at = captured;
            running.since = Some(now);
        });
    }

    /// 1.0 is real time; below 0 backward.
    pub fn set_speed(&self, speed: f32) {
        self.change(|running, now| {
            running.rebase(now);
            running.speed = speed;
        });
    }

    /// The speed asked for.
    pub fn speed(&self) -> f32 {
        self.change(|running, _| running.speed)
    }

    /// Stops and goes on.
    pub fn set_paused(&self, paused: bool) {
        self.change(|running, now| {
            running.rebase(now);
            running.paused = paused;
        });
    }

    /// Whether it stands still because someone said so.
    pub fn is_paused(&self) -> bool {
        self.change(|running, _| running.paused)
    }

    /// A picture is there: run.
    pub(super) fn picture_arrived(&self) {
        self.change(|running, now| {
            running.since.get_or_insert(now);
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut Running, Duration) -> T) -> T {
        let (started, running) = &*self.0;
        change(&mut running.lock().unwrap_or_else(PoisonError::into_inner), started.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_runs_stops_and_changes_speed() {
        let at = Duration::from_secs;
        let mut clock = Running { at: 5_000_000, since: None, speed: 1.0, paused: false };
        assert_eq!(clock.position(at(100)), 5_000_000, "no picture yet");
        clock.since = Some(at(100));
        assert_eq!(clock.position(at(102)), 7_000_000);
        clock.rebase(at(102));
        clock.speed = 4.0;
        assert_eq!(clock.position(at(103)), 11_000_000);
        clock.rebase(at(103));
        clock.speed = -2.0;
        assert_eq!(clock.position(at(104)), 9_000_000, "backward");
        clock.speed = 4.0;
        clock.paused = true;
        assert_eq!(clock.position(at(200)), 11_000_000);
        clock.rebase(at(200));
        clock.paused = false;
        assert_eq!(clock.position(at(201)), 15_000_000);
    }

    #[test]
    fn a_seek_waits_for_its_picture_and_a_step_does_not() {
        let clock = ReplayClock::new(1_000, 0.0);
        clock.picture_arrived();
        assert_eq!(clock.position(), 1_000);
        clock.seek(9_000);
        clock.set_speed(1_000.0);
        assert_eq!(clock.position(), 9_000);
        clock.set_paused(true);
        clock.step_to(49_000);
        assert_eq!(clock.position(), 49_000);
    }
}
