//! The daemon's one clock. Nothing else reads the time of day; tests pass a [`ManualClock`] and own it.

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use futures::future::BoxFuture;
use media::Micros;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

/// An instant as the people of the room read it: Dutch time, to the minute.
pub(crate) fn local(at: DateTime<Utc>) -> String {
    at.with_timezone(&chrono_tz::Europe::Amsterdam).format("%Y-%m-%d %H:%M").to_string()
}

/// Whether an instant that somebody gives can be calculated with: further out, adding a term to it would overflow.
pub(crate) fn is_near(at: DateTime<Utc>) -> bool {
    (1970..=9999).contains(&at.year())
}

/// Tells the time (UTC) and waits for an instant.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> DateTime<Utc>;
    /// Ends when [`Clock::now`] is at or after `instant`.
    fn reached(&self, instant: DateTime<Utc>) -> BoxFuture<'static, ()>;
    /// What the machine's clock shows, right or wrong.
    fn wall(&self) -> DateTime<Utc>;
    /// Says what guarded time it is: a wall clock that is set back from there reopens nothing (`decisions.md` 20).
    fn not_before(&self, floor: Floor);
}

/// Guarded time at an instant of the machine's uptime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    /// Guarded time (UTC).
    pub at: DateTime<Utc>,
    /// How long the machine had been up.
    pub up: TimeDelta,
}

/// How far the wall clock may be behind guarded time: steps of a clock that is synchronised.
pub(crate) const STEP: TimeDelta = TimeDelta::seconds(30);

/// The time where the wall clock shows `wall` and at least `least` must have come.
fn guarded(wall: DateTime<Utc>, least: Option<DateTime<Utc>>) -> DateTime<Utc> {
    least.filter(|least| wall + STEP < *least).unwrap_or(wall)
}

/// The clock in the daemon's hands.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock. Set back, it goes on from guarded time.
#[derive(Clone, Debug, Default)]
pub struct SystemClock(Arc<Mutex<Option<Floor>>>);

impl SystemClock {
    fn floor(&self) -> Option<DateTime<Utc>> {
        let floor = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        floor.map(|floor| floor.at + (crate::guard::uptime() - floor.up).max(TimeDelta::zero()))
    }
}

/// How long to sleep at most before looking at the wall clock again: it can be set while we wait.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        guarded(self.wall(), self.floor())
    }

    fn wall(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn not_before(&self, floor: Floor) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(floor);
    }

    fn reached(&self, instant: DateTime<Utc>) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        Box::pin(async move {
            while let Ok(rest) = (instant - clock.now()).to_std()
                && !rest.is_zero()
            {
                tokio::time::sleep(rest.min(LOOK_AGAIN)).await;
            }
        })
    }
}

/// A clock that stands still until a test moves it.
#[derive(Clone, Debug)]
pub struct ManualClock(watch::Sender<DateTime<Utc>>, Arc<Mutex<Option<DateTime<Utc>>>>);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self(watch::Sender::new(now), Arc::default())
    }

    /// Sets it and wakes everyone who waited for an instant up to then.
    pub fn set(&self, now: DateTime<Utc>) {
        self.0.send_replace(now);
    }

    /// Moves it on.
    pub fn advance(&self, by: TimeDelta) {
        self.0.send_modify(|now| *now += by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        guarded(self.wall(), *self.1.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn wall(&self) -> DateTime<Utc> {
        *self.0.borrow()
    }

    fn not_before(&self, floor: Floor) {
        *self.1.lock().unwrap_or_else(PoisonError::into_inner) = Some(floor.at);
    }

    fn reached(&self, instant: DateTime<Utc>) -> BoxFuture<'static, ()> {
        let mut receiver = self.0.subscribe();
        Box::pin(async move {
            if receiver.wait_for(|now| *now >= instant).await.is_err() {
                // The clock is gone, so this instant never comes.
                std::future::pending::<()>().await;
            }
        })
    }
}

/// An instant as media time (µs UTC).
pub fn micros(instant: DateTime<Utc>) -> Micros {
    Micros(instant.timestamp_micros())
}

/// An instant cut to whole microseconds, the grain of media time: no piece of a range is shorter.
pub fn to_micros(at: DateTime<Utc>) -> DateTime<Utc> {
    instant(micros(at))
}

/// Media time as an instant; the ends of chrono's range stand for what lies beyond.
pub fn instant(micros: Micros) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros.0).unwrap_or(if micros.0 < 0 {
        DateTime::<Utc>::MIN_UTC
    } else {
        DateTime::<Utc>::MAX_UTC
    })
}
