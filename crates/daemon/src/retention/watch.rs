//! What the scheduler watches beside the terms: the clock, the witness of its announcements, the two copies of the keys.

use super::{Inner, Reading, Retention, UNWITNESSED, state::State};
use crate::{
    gate::{EntryOf, Seen},
    guard::Guarded,
};
use chrono::{DateTime, Utc};
use ledger::{Entry, Operation};
use std::sync::atomic::Ordering::Relaxed;

impl Retention {
    /// What opening the key store found, told once a start: copies that differed and were mended, keys that are gone.
    pub(super) fn tell_of_opening(&self, inner: &mut Inner, now: DateTime<Utc>) {
        if std::mem::replace(&mut inner.opening_told, true) {
            return;
        }
        let stats = self.vault.stats();
        if stats.keys_mended > 0 {
            tracing::error!(
                slots = stats.keys_mended,
                "THE TWO COPIES OF THE KEYS DIFFERED and were brought into line"
            );
            let mut entry = Entry::new(now, Operation::Maintenance, "keys.differ");
            entry.data = Some(serde_json::json!({ "at": "start", "mended": stats.keys_mended }));
            self.gate.log().append_spooled(entry);
        }
        if stats.keys_lost {
            self.gate.log().append_spooled(Entry::new(now, Operation::Maintenance, "keys.lost"));
        }
    }

    /// Compares the two copies of keys and holds. A copy that cannot be read is worse than one that differs.
    pub(super) fn compare_copies(&self, inner: &mut Inner, now: DateTime<Utc>) {
        let (slots, unreadable) = match self.vault.differing_keys() {
            Ok(slots) => (slots, None),
            Err(error) => (0, Some(error.to_string())),
        };
        let holds = self.vault.differing_holds();
        self.figures.differing_keys.store(slots, Relaxed);
        self.figures.unreadable_keys.store(unreadable.is_some(), Relaxed);
        self.figures.differing_holds.store(holds.len() as u64, Relaxed);
        let differ = slots > 0 || unreadable.is_some() || !holds.is_empty();
        let data =
            differ.then(|| serde_json::json!({ "slots": slots, "unreadable": unreadable, "holds": holds }));
        if let Some(data) = data.clone().filter(|_| data != inner.copies) {
            tracing::error!(
                slots,
                unreadable,
                ?holds,
                "THE TWO COPIES OF THE KEYS DIFFER; a restart mends what can be mended"
            );
            let mut entry = Entry::new(now, Operation::Maintenance, "keys.differ");
            entry.data = Some(data);
            self.gate.log().append_spooled(entry);
        }
        inner.copies = data;
    }

    pub(super) fn clock_set_back(&self, reading: &Reading, guarded: Guarded) {
        tracing::error!(wall = %reading.wall, believed = %guarded.now,
            "THE CLOCK IS BEHIND WHAT HAS PASSED: time goes on without it, and nothing opens again");
        let mut entry = Entry::new(guarded.now, Operation::Maintenance, "clock.set_back");
        entry.data = Some(serde_json::json!({ "wall": reading.wall, "believed": guarded.now }));
        self.gate.log().append_spooled(entry);
    }

    /// Announcements that a witness has cosigned count from then on; one that waits for too long alarms. One that was lost with
    /// its log was none: its hours are announced anew.
    pub(super) fn count_witnessed(&self, inner: &mut Inner, now: DateTime<Utc>) {
        let State { unwitnessed, announced, .. } = &mut inner.state;
        unwitnessed.retain(|seq, announcement| {
            let seen = self.gate.seen(&EntryOf { seq: *seq, log: announcement.log.clone() });
            if let (Seen::Never, Some(hours)) = (seen, announced.get_mut(&announcement.stream)) {
                hours.retain(|hour| !announcement.hours.contains(hour));
            }
            seen == Seen::NotYet
        });
        let late = inner.state.unwitnessed.values().filter(|a| now - a.at > UNWITNESSED).count() as u64;
        if self.figures.unwitnessed.swap(late, Relaxed) == 0 && late > 0 {
            tracing::error!(
                announcements = late,
                "ALARM: no witness has confirmed announcements of destruction; what is due dies on time all the same"
            );
        }
    }

    pub(super) fn clock_changed(&self, reading: &Reading, guarded: Guarded) {
        let name = if guarded.trusted { "clock.confirmed" } else { "clock.doubted" };
        if guarded.trusted {
            tracing::info!("the clock is confirmed");
        } else {
            tracing::error!(wall = %reading.wall, believed = %guarded.now,
                "THE CLOCK IS AHEAD OF WHAT HAS PASSED and no witness confirms it: nothing is destroyed, no look begins");
        }
        let mut entry = Entry::new(reading.wall, Operation::Maintenance, name);
        entry.data = Some(serde_json::json!({ "wall": reading.wall, "believed": guarded.now }));
        self.gate.log().append_spooled(entry);
    }
}
