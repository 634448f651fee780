//! How long to wait before the next attempt: doubling from half a second to fifteen, jittered so that cameras which
//! went down together (a switch, a power cut) do not all come back in the same instant.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(15);

/// The series of waits of one session.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure: between half of and the whole of the current step. `random` is any uniform
    /// number; [`random`] makes one.
    pub(crate) fn wait(&mut self, random: u64) -> Duration {
        let step = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        jittered(step, random)
    }

    /// The longest wait, taken at once: after a refused password, because cameras lock accounts after a few wrong
    /// attempts in a row.
    pub(crate) fn longest(&mut self, random: u64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        jittered(LONGEST, random)
    }

    /// The connection proved itself; the next failure starts the series anew.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

fn jittered(step: Duration, random: u64) -> Duration {
    let half = step / 2;
    let spread = half.as_micros() as u64 + 1;
    half + Duration::from_micros(random % spread)
}

/// A random number good enough to spread reconnects, from the standard library's seeded hasher.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(std::thread::current().id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_from_half_a_second_to_the_longest() {
        let mut backoff = Backoff::default();
        let most: Vec<_> = (0..8).map(|_| backoff.wait(7_500_000).as_millis().max(250)).collect();
        let steps = [500u128, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000];
        for (wait, step) in most.iter().zip(steps) {
            assert!((step / 2..=step).contains(wait), "{wait} not within half of {step}");
        }
    }

    #[test]
    fn every_random_number_stays_within_the_step() {
        for random in [0, 1, 249_999, 250_000, 250_001, u64::MAX / 3, u64::MAX] {
            let wait = Backoff::default().wait(random);
            assert!((FIRST / 2..=FIRST).contains(&wait), "{random} gave {wait:?}");
        }
        assert_ne!(Backoff::default().wait(3), Backoff::default().wait(4));
    }

    #[test]
    fn a_refused_password_waits_long_at_once_and_for_ever_never_overflows() {
        let mut backoff = Backoff::default();
        assert!(backoff.longest(0) >= LONGEST / 2);
        for _ in 0..10_000 {
            assert!(backoff.wait(u64::MAX) <= LONGEST);
        }
        backoff.reset();
        assert!(backoff.wait(u64::MAX) <= FIRST);
    }
}
