//! Coalescing, so that a shift's log is readable: of the same event again and again (a camera that comes and goes, a program
//! that asks for what was refused), the first ones stand in the log at once, and one entry per interval counts the rest. Nothing
//! is dropped silently: what was counted is told with the next entry, or when the interval is over.

use chrono::{DateTime, TimeDelta, Utc};
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
};

/// Keys that are remembered; beyond this those of ended intervals are forgotten first.
const MOST: usize = 4096;

/// What was told when, by key.
#[derive(Debug)]
pub(crate) struct Coalesced<K> {
    interval: TimeDelta,
    each: u32,
    told: Mutex<HashMap<K, Told>>,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    at: DateTime<Utc>,
    each: u32,
    since: u64,
}

impl<K: Eq + Hash + Clone> Coalesced<K> {
    /// Tells the first `each` of an interval one by one.
    pub(crate) fn new(interval: TimeDelta, each: u32) -> Self {
        Self { interval, each, told: Mutex::default() }
    }

    /// Whether an event is to be told now, and how many like it were not told since the last one that was.
    pub(crate) fn tell(&self, key: K, now: DateTime<Utc>) -> Option<u64> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= MOST {
            told.retain(|_, known| now - known.at < self.interval || known.since > 0);
        }
        let Some(known) = told.get_mut(&key) else {
            // So many different ones at once are no repetition: each is told.
            if told.len() < MOST {
                told.insert(key, Told { at: now, each: 1, since: 0 });
            }
            return Some(0);
        };
        // A clock that was set back must not silence anything.
        if now >= known.at && now - known.at < self.interval {
            if known.each < self.each {
                known.each += 1;
                return Some(0);
            }
            known.since += 1;
            return None;
        }
        let since = known.since;
        *known = Told { at: now, each: 1, since: 0 };
        Some(since)
    }

    /// Everything that was counted and not yet told, to be told once: nothing comes after.
    pub(crate) fn rest(&self) -> Vec<(K, u64)> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.drain().filter(|(_, known)| known.since > 0).map(|(key, known)| (key, known.since)).collect()
    }

    /// What was counted and not yet told, of intervals that are over: each with its count, to be told once.
    pub(crate) fn overdue(&self, now: DateTime<Utc>) -> Vec<(K, u64)> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |known: &Told| now < known.at || now - known.at >= self.interval;
        let due: Vec<(K, u64)> = told
            .iter()
            .filter(|(_, known)| over(known) && known.since > 0)
            .map(|(key, known)| (key.clone(), known.since))
            .collect();
        told.retain(|_, known| !over(known));
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_rest_as_a_count() {
        let at = |second: i64| DateTime::from_timestamp(1_795_000_000 + second, 0).unwrap();
        let flapping = Coalesced::new(TimeDelta::minutes(10), 1);
        assert_eq!(flapping.tell("a", at(0)), Some(0));
        assert_eq!(flapping.tell("b", at(1)), Some(0));
        assert_eq!((flapping.tell("a", at(2)), flapping.tell("a", at(599))), (None, None));
        assert_eq!(flapping.tell("a", at(600)), Some(2));
        assert_eq!(flapping.tell("a", at(610)), None);
        assert_eq!(flapping.overdue(at(1199)), []);
        assert_eq!(flapping.overdue(at(1200)), [("a", 1)]);
        assert_eq!(flapping.overdue(at(1201)), []);
        assert_eq!(flapping.tell("a", at(1202)), Some(0));
        // The clock was set back: told, not swallowed.
        assert_eq!(flapping.tell("a", at(5)), Some(0));
        let refusals = Coalesced::new(TimeDelta::minutes(1), 3);
        let told = (0..10).filter(|second| refusals.tell("a", at(*second)).is_some()).count();
        assert_eq!((told, refusals.tell("a", at(60))), (3, Some(7)));
        for second in 61..66 {
            refusals.tell("a", at(second));
        }
        // At a stop the interval is not waited for.
        assert_eq!((refusals.rest(), refusals.rest()), (vec![("a", 3)], vec![]));
    }
}
