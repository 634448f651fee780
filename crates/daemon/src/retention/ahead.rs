//! Frames that were recorded while the clock was ahead carry a capture time that has not come yet, and by it alone they would
//! outlive the longest term. What counts for them is when they were first seen, by guarded time ([`crate::guard`]).
//!
//! A clock that is ahead may also be right: the machine was off, and nobody has confirmed it yet. So the hours are noted while
//! the clock is doubted, and the doubt's end decides: confirmed as it stands, they were right; set back, they were not.

use super::{EARLY, HOUR, Inner, Retention, state::Ahead};
use crate::clock::{STEP, instant, micros};
use chrono::{DateTime, Utc};
use media::{Micros, StreamId};
use std::collections::{BTreeMap, BTreeSet};

impl Retention {
    /// Notes the hours that begin later than it is (by more than a clock steps that is synchronised); gives whether there is a new one. `sure`: it is known what time it is.
    pub(super) fn note_ahead(&self, inner: &mut Inner, now: DateTime<Utc>, sure: bool) -> bool {
        let edge = micros(now + STEP);
        let mut noted = false;
        for stream in self.vault.streams() {
            let hours = self.vault.key_hours(stream);
            for hour in hours.iter().rev().take_while(|hour| **hour > edge) {
                inner.state.ahead.entry(stream.0).or_default().entry(hour.0).or_insert_with(|| {
                    noted = true;
                    tracing::error!(stream = stream.0, hour = %instant(*hour), seen = %now,
                        "footage was recorded under a time that has not come yet; it dies by when it was seen");
                    Ahead { seen: now, sure }
                });
            }
        }
        noted
    }

    /// The doubt is over. What begins by now was recorded under a clock that was right; the rest was not.
    pub(super) fn settle_ahead(inner: &mut Inner, now: DateTime<Utc>) {
        let edge = micros(now + STEP).0;
        for hours in inner.state.ahead.values_mut() {
            hours.retain(|hour, ahead| {
                ahead.sure |= *hour > edge;
                ahead.sure
            });
        }
    }

    /// Forgets hours that are destroyed.
    pub(super) fn forget_ahead(&self, inner: &mut Inner) {
        inner.state.ahead.retain(|stream, hours| {
            let living: BTreeSet<Micros> = self.vault.key_hours(StreamId(*stream)).into_iter().collect();
            hours.retain(|hour, _| living.contains(&Micros(*hour)));
            !hours.is_empty()
        });
    }
}

/// When an hour is due that is due at `due` by its capture time.
pub(super) fn due(hours: Option<&BTreeMap<i64, Ahead>>, hour: Micros, due: DateTime<Utc>) -> DateTime<Utc> {
    let term = due - instant(hour);
    // Seen a pass later than recorded, at most.
    let seen = hours.and_then(|hours| hours.get(&hour.0)).map(|ahead| ahead.seen - EARLY + term);
    seen.map_or(due, |seen| seen.min(due))
}

/// Whether an hour (start, µs UTC) may be due before so long after it begins.
pub(super) fn is_noted(hours: Option<&BTreeMap<i64, Ahead>>, hour: Micros) -> bool {
    debug_assert!(hour.0 % HOUR == 0, "hours begin at hours");
    hours.is_some_and(|hours| hours.contains_key(&hour.0))
}
