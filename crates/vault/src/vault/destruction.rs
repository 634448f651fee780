//! Destruction: the keys first, in both copies; then the rows of the index; then the volumes in which nothing lives.
//!
//! Each step may fail or be cut short by a crash after the one before it. A key that is dead stays dead, so whatever was
//! left behind opens no more and only takes room: calling again, or [`Vault::finish_destroyed`], takes it away.

use super::Vault;
use crate::{
    config::Destroyed,
    error::VaultError,
    index::{GapMark, MINUTE, Removed},
    indexing::IndexCommand,
    keys::{self, HOUR},
    queue::Event,
};
use media::{GapReason, Micros, StreamId};
use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{
        atomic::Ordering,
        mpsc::{self, SyncSender},
    },
};

const MINUTES_PER_HOUR: i64 = HOUR / MINUTE;

impl Vault {
    /// Destroys the footage of a stream in every hour that began before an instant (µs UTC): overwrites the keys in
    /// both copies and syncs, removes the rows, records the gap, unlinks volumes in which nothing lives. The last hour
    /// goes whole, up to 60 minutes early, never late. May be called again at any time.
    ///
    /// # Errors
    /// What the disk of the key store said. Where only the index fails afterwards, [`Destroyed::unfinished`] says so: the
    /// footage already opens no more, and calling again finishes the rest.
    pub fn destroy_expired(&self, stream: StreamId, before: Micros) -> Result<Destroyed, VaultError> {
        self.destroy_hours(stream, Micros(0), before)
    }

    /// The same for the hours that began at or after `from` and before `before` only.
    ///
    /// # Errors
    /// As [`Vault::destroy_expired`].
    pub fn destroy_hours(
        &self,
        stream: StreamId,
        from: Micros,
        before: Micros,
    ) -> Result<Destroyed, VaultError> {
        let shared = &self.inner.shared;
        let hours = keys::hour_of(from.plus(HOUR - 1))..keys::hour_of(before.plus(HOUR - 1));
        let inside = |at: Micros| at.0 >= i64::from(hours.start) * HOUR && at.0 < i64::from(hours.end) * HOUR;
        if let Some(queue) = shared.queues.known(stream) {
            let state = queue.lock();
            let waits = state.chunks.iter().any(|chunk| inside(chunk.from))
                || state.units_in_memory().iter().any(|unit| inside(unit.captured));
            drop(state);
            if waits {
                // So that what is due has its row, and the row goes with it. A full disk must not stop destruction.
                if let Err(error) = self.flush() {
                    tracing::warn!(%error, "destroying although the newest footage could not be written first");
                }
            }
        }
        let destroyed = shared.keys().destroy(stream, hours.clone())?;
        let (removed, unfinished) = match self.remove_rows(stream, hours) {
            Ok(removed) => (removed, false),
            Err(error) => {
                tracing::error!(stream = stream.0, %error,
                    "keys are destroyed, but their rows and volumes could not be removed; it is tried again");
                (Removed::default(), true)
            }
        };
        let of_key = || destroyed.iter().map(|(hour, _)| i64::from(*hour) * HOUR);
        Ok(Destroyed {
            from: of_key().min().map(Micros),
            until: of_key().max().map(|hour| Micros(hour + HOUR)),
            keys: destroyed.into_iter().map(|(_, commitment)| commitment).collect(),
            unfinished,
            ..counted(&removed)
        })
    }

    /// Takes away what destructions left behind in hours that began before an instant (µs UTC): rows whose keys are dead,
    /// however they died, and volumes in which nothing lives (after a crash, after the loss of the key store, after the
    /// index was made anew). Gives what went, by stream; volumes stand with the last one, or without any stream.
    ///
    /// # Errors
    /// [`VaultError::Index`] when the index cannot be read or written: call again later.
    pub fn finish_destroyed(&self, before: Micros) -> Result<Vec<(Option<StreamId>, Destroyed)>, VaultError> {
        let shared = &self.inner.shared;
        let end = before.0.div_euclid(HOUR) + i64::from(before.0.rem_euclid(HOUR) > 0);
        let streams: Vec<StreamId> =
            shared.reader().streams()?.into_iter().map(|(stream, ..)| stream).collect();
        let mut done = Vec::new();
        for stream in streams {
            for hours in self.hours_without_key(stream, end)? {
                let removed = self.remove_rows(stream, hours.clone())?;
                done.push((
                    Some(stream),
                    Destroyed {
                        from: Some(Micros(i64::from(hours.start) * HOUR)),
                        until: Some(Micros(i64::from(hours.end) * HOUR)),
                        ..counted(&removed)
                    },
                ));
            }
        }
        let swept = self.ask_index(|reply| IndexCommand::Sweep { before: end * MINUTES_PER_HOUR, reply })?;
        self.count_removed(&swept);
        if swept.volumes_unlinked + swept.unlinks_failed > 0 {
            done.push((None, counted(&swept)));
        }
        Ok(done)
    }

    /// The runs of hours before `end` (since 1970) in which a stream has rows and no key.
    fn hours_without_key(&self, stream: StreamId, end: i64) -> Result<Vec<Range<u32>>, VaultError> {
        let shared = &self.inner.shared;
        let mut runs: Vec<Range<u32>> = Vec::new();
        let mut minute = 0;
        let mut keys: Option<BTreeSet<u32>> = None;
        loop {
            let next = shared.reader().minute_from(stream, minute)?;
            let Some(hour) = next.map(|minute| minute.div_euclid(MINUTES_PER_HOUR)).filter(|h| *h < end)
            else {
                return Ok(runs);
            };
            minute = (hour + 1) * MINUTES_PER_HOUR;
            let keys = keys.get_or_insert_with(|| shared.keys().hours(stream).into_iter().collect());
            let Some(hour) = u32::try_from(hour).ok().filter(|hour| !keys.contains(hour)) else { continue };
            match runs.last_mut() {
                Some(run) if run.end == hour => run.end = hour + 1,
                _ => runs.push(hour..hour + 1),
            }
        }
    }

    /// Removes the rows of whole hours, tells the gap, and unlinks what nothing lives in any more.
    fn remove_rows(&self, stream: StreamId, hours: Range<u32>) -> Result<Removed, VaultError> {
        let minutes = (i64::from(hours.start) * MINUTES_PER_HOUR, i64::from(hours.end) * MINUTES_PER_HOUR);
        let removed = self.ask_index(|reply| IndexCommand::Destroy { stream, minutes, reply })?;
        let queue = self.inner.shared.queues.of(stream);
        let mut state = queue.lock();
        for (from, until) in &removed.stretches {
            // Not `mark`: this is no gap of its own but the trace of footage, and may begin where a gap began.
            state.pending.push_back(Event::Gap(GapMark {
                from: *from,
                until: *until,
                reason: GapReason::Destroyed,
            }));
        }
        drop(state);
        self.count_removed(&removed);
        Ok(removed)
    }

    fn count_removed(&self, removed: &Removed) {
        let shared = &self.inner.shared;
        shared.bytes.fetch_sub(removed.bytes_unlinked, Ordering::Relaxed);
        shared.volumes.fetch_sub(removed.volumes_unlinked, Ordering::Relaxed);
    }

    fn ask_index(
        &self,
        command: impl FnOnce(SyncSender<Result<Removed, VaultError>>) -> IndexCommand,
    ) -> Result<Removed, VaultError> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.inner.index.send(command(reply)).map_err(|_| VaultError::Closed)?;
        answer.recv().map_err(|_| VaultError::Closed)?
    }
}

fn counted(removed: &Removed) -> Destroyed {
    Destroyed {
        bytes: removed.bytes,
        volumes_unlinked: removed.volumes_unlinked,
        bytes_unlinked: removed.bytes_unlinked,
        unlinks_failed: removed.unlinks_failed,
        ..Destroyed::default()
    }
}
