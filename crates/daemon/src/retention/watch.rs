//! What the scheduler watches beside the terms: the clock, the witness of its announcements, the two copies of the keys.

use super::{Inner, Reading, Retention, UNWITNESSED};
use crate::guard::Guarded;
use chrono::{DateTime, Utc};
use ledger::{Entry, Operation};
use std::sync::atomic::Ordering::Relaxed;

impl Retention {
    pub(super) fn compare_copies(&self, now: DateTime<Utc>) {
        if let Ok(differ) = self.vault.differing_keys()
            && self.figures.differing_keys.swap(differ, Relaxed) != differ
            && differ > 0
        {
            tracing::error!(
                slots = differ,
                "THE TWO COPIES OF THE KEYS DIFFER; a restart mends what can be mended"
            );
            let mut entry = Entry::new(now, Operation::Maintenance, "keys.differ");
            entry.data = Some(serde_json::json!({ "slots": differ }));
            self.gate.log().append_spooled(entry);
        }
    }

    pub(super) fn clock_set_back(&self, reading: &Reading, guarded: Guarded) {
        tracing::error!(wall = %reading.wall, believed = %guarded.now,
            "THE CLOCK IS BEHIND WHAT HAS PASSED: time goes on without it, and nothing opens again");
        let mut entry = Entry::new(guarded.now, Operation::Maintenance, "clock.set_back");
        entry.data = Some(serde_json::json!({ "wall": reading.wall, "believed": guarded.now }));
        self.gate.log().append_spooled(entry);
    }

    /// Announcements that a witness has cosigned count from then on; one that waits for too long alarms.
    pub(super) fn count_witnessed(&self, inner: &mut Inner, now: DateTime<Utc>) {
        let witnessed = self.gate.log().health().borrow().witnessed_entries;
        let asked = self.gate.requires_witness();
        inner.state.unwitnessed.retain(|seq, _| asked && *seq >= witnessed);
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
