//! The act itself, and what a crash, a full disk or a lost key store left half-done.
//!
//! An hour is written down as dying before its first key is touched. Where the daemon ends between key and volume, the next
//! pass finds the hour without a key, takes away what is left of it, and tells what nobody told.

use super::{Inner, LONGEST, Retention, Subject, object, report::hours, state::Dying};
use crate::clock::micros;
use chrono::{DateTime, Utc};
use ledger::{Entry, Operation};
use media::Micros;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::Ordering::Relaxed,
};
use vault::Destroyed;

/// What the log calls a destruction.
const DONE: &str = "destroy.done";

impl Retention {
    /// Destroys a stream's whole hours. False: it could not be destroyed, or there was nothing.
    pub(super) fn destroy(
        &self,
        inner: &mut Inner,
        subject: &Subject,
        (from, until): (Micros, Micros),
        now: DateTime<Utc>,
        data: serde_json::Value,
        for_budget: bool,
    ) -> bool {
        self.mark_dying(inner, subject, (from, until));
        let destroyed = match self.vault.destroy_hours(subject.stream, from, until) {
            Ok(destroyed) => destroyed,
            Err(error) => {
                self.figures.failures.fetch_add(1, Relaxed);
                tracing::error!(stream = subject.stream.0, %error, "footage that is due could not be destroyed whole; it is tried again");
                return false;
            }
        };
        if destroyed.keys.is_empty() {
            return false;
        }
        let keys = destroyed.keys.len() as u64;
        let tally = self.account(inner, subject, keys, &destroyed);
        tally.for_budget += if for_budget { keys } else { 0 };
        self.settle(inner, subject, (from, until), destroyed.unfinished);
        self.tell(subject, (from, until), now, data, destroyed);
        true
    }

    /// Writes down that these hours die now.
    pub(super) fn mark_dying(&self, inner: &mut Inner, subject: &Subject, (from, until): (Micros, Micros)) {
        let here = self.vault.key_hours(subject.stream).into_iter();
        let dying: BTreeMap<i64, Dying> = here
            .filter(|hour| *hour >= from && *hour < until)
            .map(|hour| {
                let keys = self.vault.keys_of_hour(subject.stream, hour).into_iter();
                let name =
                    |key: vault::KeyName| key.commitment.unwrap_or_else(|| format!("id {:016x}", key.id));
                (hour.0, Dying { keys: keys.map(name).collect(), told: false })
            })
            .collect();
        if !dying.is_empty() {
            inner.state.dying.entry(subject.stream.0).or_default().extend(dying);
            inner.state.keep(&self.path);
        }
    }

    /// What is dead is no longer announced; what is not finished stays on the list of what is dying.
    fn settle(
        &self,
        inner: &mut Inner,
        subject: &Subject,
        (from, until): (Micros, Micros),
        unfinished: bool,
    ) {
        let inside = |hour: i64| hour >= from.0 && hour < until.0;
        if let Some(announced) = inner.state.announced.get_mut(&subject.stream.0) {
            announced.retain(|hour| !inside(*hour));
        }
        if unfinished {
            self.figures.failures.fetch_add(1, Relaxed);
            let dying = inner.state.dying.entry(subject.stream.0).or_default();
            for (_, hour) in dying.iter_mut().filter(|(hour, _)| inside(**hour)) {
                hour.told = true;
            }
        } else if let Some(dying) = inner.state.dying.get_mut(&subject.stream.0) {
            dying.retain(|hour, _| !inside(*hour));
        }
        inner.state.dying.retain(|_, hours| !hours.is_empty());
        inner.state.announced.retain(|_, hours| !hours.is_empty());
    }

    fn account<'a>(
        &self,
        inner: &'a mut Inner,
        subject: &Subject,
        keys: u64,
        gone: &Destroyed,
    ) -> &'a mut super::state::Tally {
        self.figures.keys.fetch_add(keys, Relaxed);
        self.figures.unlinks_failed.store(gone.unlinks_failed, Relaxed);
        Self::tally(inner, &subject.municipality, keys, gone)
    }

    fn tell(
        &self,
        subject: &Subject,
        (from, until): (Micros, Micros),
        now: DateTime<Utc>,
        mut data: serde_json::Value,
        gone: Destroyed,
    ) {
        if let Some(data) = data.as_object_mut() {
            data.insert("keys".to_owned(), gone.keys.into());
            data.insert("copies".to_owned(), "both overwritten and synced".into());
            data.insert("bytes".to_owned(), gone.bytes.to_string().into());
            data.insert("volumes_unlinked".to_owned(), gone.volumes_unlinked.into());
            data.insert("unlinks_failed".to_owned(), gone.unlinks_failed.into());
            if gone.unfinished {
                data.insert("unfinished".to_owned(), true.into());
            }
        }
        let mut entry = Entry::new(now, Operation::Destroy, DONE);
        entry.object = Some(object(subject, from, until));
        entry.data = Some(data);
        self.gate.log().append_spooled(entry);
    }

    /// Finishes what an earlier pass or an earlier run began: hours that were announced or marked as dying and have no key
    /// any more; rows past every term that have no key, however it was lost; volumes in which nothing lives.
    pub(super) fn finish(&self, inner: &mut Inner, now: DateTime<Utc>) {
        for subject in self.every_subject(inner) {
            self.finish_stream(inner, &subject, now);
        }
        let gone = match self.vault.finish_destroyed(micros(now - LONGEST)) {
            Ok(gone) => gone,
            Err(error) => {
                self.figures.failures.fetch_add(1, Relaxed);
                tracing::error!(%error, "what destructions left behind could not be taken away; it is tried again");
                return;
            }
        };
        let mut failed = 0;
        for (stream, gone) in gone {
            failed = gone.unlinks_failed;
            let subject = stream.map(|stream| self.subject(stream));
            let municipality = subject.as_ref().map_or("", |subject| &subject.municipality);
            Self::tally(inner, municipality, 0, &gone);
            if let (Some(subject), Some(from), Some(until)) = (subject, gone.from, gone.until)
                && gone.bytes > 0
            {
                let data =
                    serde_json::json!({ "recovered": true, "ground": "past every term, without a key" });
                self.tell(&subject, (from, until), now, data, gone);
            }
        }
        self.figures.unlinks_failed.store(failed, Relaxed);
        inner.stuck &= failed > 0;
    }

    fn finish_stream(&self, inner: &mut Inner, subject: &Subject, now: DateTime<Utc>) {
        let living: BTreeSet<i64> =
            self.vault.key_hours(subject.stream).into_iter().map(|hour| hour.0).collect();
        let stream = subject.stream.0;
        let mut open = inner.state.dying.get(&stream).cloned().unwrap_or_default();
        for hour in inner.state.announced.get(&stream).into_iter().flatten() {
            open.entry(*hour).or_default();
        }
        for (hour, dying) in open {
            if living.contains(&hour) {
                // It was not destroyed after all: what is due is due again.
                if let Some(dying) = inner.state.dying.get_mut(&stream) {
                    dying.remove(&hour);
                }
                continue;
            }
            let range = (Micros(hour), Micros(hour + super::HOUR));
            let gone = match self.vault.destroy_hours(subject.stream, range.0, range.1) {
                Ok(gone) if !gone.unfinished => gone,
                _ => {
                    self.figures.failures.fetch_add(1, Relaxed);
                    continue;
                }
            };
            let keys = if dying.told { 0 } else { dying.keys.len() as u64 };
            self.account(inner, subject, keys, &gone);
            self.settle(inner, subject, range, false);
            tracing::warn!(stream, "a destruction that was cut short between key and volume is finished");
            let data = serde_json::json!({ "recovered": true });
            self.tell(subject, range, now, data, Destroyed { keys: dying.keys, ..gone });
        }
    }

    /// The key store was lost: what was announced of it died with it, and nobody can say that it was overwritten.
    pub(super) fn forget_lost(&self, inner: &mut Inner) {
        for subject in self.every_subject(inner) {
            let living = self.vault.key_hours(subject.stream);
            let stream = subject.stream.0;
            if let Some(announced) = inner.state.announced.get_mut(&stream) {
                announced.retain(|hour| living.contains(&Micros(*hour)));
            }
            inner.state.dying.remove(&stream);
        }
    }

    /// Every stream of which something is announced or dying.
    fn every_subject(&self, inner: &Inner) -> Vec<Subject> {
        let streams: BTreeSet<u32> =
            inner.state.announced.keys().chain(inner.state.dying.keys()).copied().collect();
        streams.into_iter().map(|stream| self.subject(media::StreamId(stream))).collect()
    }
}

/// How many hours of a stretch count, by what is asked of each.
pub(super) fn count_hours(from: i64, until: i64, counts: impl Fn(&i64) -> bool) -> usize {
    hours(Micros(from), Micros(until)).filter(counts).count()
}
