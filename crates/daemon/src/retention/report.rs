//! What is told of destruction: each day a report for each municipality, and the oldest footage of each camera.

use super::{HOUR, Inner, Retention, state::Tally};
use crate::clock::instant;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use ledger::{Entry, Object as LogObject, Operation};
use mandate::CameraId;
use media::Micros;
use std::collections::BTreeMap;

/// Days without the daemon for which a report is made up for.
const MADE_UP: i64 = 31;

impl Retention {
    /// Once a day, for each municipality: what was destroyed the day before, and what is oldest now. Days on which the
    /// daemon did not run have their report too: nothing was destroyed on them.
    pub(super) fn report(&self, inner: &mut Inner, now: DateTime<Utc>) {
        let today = now.date_naive();
        let Some(day) = inner.state.day.replace(today) else { return };
        if day >= today {
            // A clock that the police set back: the day goes on with its tallies.
            return;
        }
        let first = day.max(today - TimeDelta::days(MADE_UP));
        let mut tallies = std::mem::take(&mut inner.state.tallies);
        for day in first.iter_days().take_while(|day| *day < today) {
            self.report_of(day, std::mem::take(&mut tallies), now);
        }
    }

    fn report_of(&self, day: NaiveDate, mut tallies: BTreeMap<String, Tally>, now: DateTime<Utc>) {
        let snapshot = self.gate.snapshot();
        let mut by_municipality: BTreeMap<String, BTreeMap<String, DateTime<Utc>>> = BTreeMap::new();
        for subject in self.subjects() {
            let name = subject.name();
            if let Ok(Some(oldest)) = self.vault.oldest(subject.stream) {
                by_municipality.entry(subject.municipality).or_default().insert(name, instant(oldest));
            }
        }
        let mut names: Vec<String> = snapshot.register.municipalities().map(|m| m.id.to_string()).collect();
        // Whose it was nobody knows any more: told all the same.
        names.extend(tallies.keys().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>());
        for municipality in names {
            let tally = tallies.remove(&municipality).unwrap_or_default();
            let oldest = by_municipality.remove(&municipality).unwrap_or_default();
            let mut entry = Entry::new(now, Operation::Destroy, "destroy.report");
            entry.object = Some(LogObject {
                municipality: Some(municipality).filter(|name| !name.is_empty()),
                ..LogObject::thing("footage", day.to_string())
            });
            entry.data = Some(serde_json::json!({
                "day": day, "keys": tally.keys, "bytes": tally.bytes.to_string(), "volumes_unlinked": tally.volumes,
                "keys_for_budget": tally.for_budget, "oldest": oldest,
            }));
            self.gate.log().append_spooled(entry);
        }
    }

    /// The start of the oldest footage by camera, cameras that are configured no more included.
    pub fn oldest(&self) -> Vec<(CameraId, Micros)> {
        self.subjects()
            .into_iter()
            .filter_map(|subject| Some((subject.camera?, self.vault.oldest(subject.stream).ok()??)))
            .collect()
    }

    /// Adds to the day's tally what a destruction took.
    pub(super) fn tally<'a>(
        inner: &'a mut Inner,
        municipality: &str,
        keys: u64,
        gone: &vault::Destroyed,
    ) -> &'a mut Tally {
        inner.state.dead_bytes = (inner.state.dead_bytes + gone.bytes).saturating_sub(gone.bytes_unlinked);
        let tally = inner.state.tallies.entry(municipality.to_owned()).or_default();
        tally.keys += keys;
        tally.bytes += gone.bytes;
        tally.volumes += gone.volumes_unlinked;
        tally
    }
}

/// The whole hours of a stretch (µs UTC).
pub(super) fn hours(from: Micros, until: Micros) -> impl Iterator<Item = i64> {
    (from.0.div_euclid(HOUR) * HOUR..until.0).step_by(HOUR as usize)
}
