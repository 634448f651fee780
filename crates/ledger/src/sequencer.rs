//! The writer: one thread owns the sequence file. It takes everything that waits, writes it in one go, syncs once and
//! answers: group commit.

use crate::{
    LedgerError,
    config::Receipt,
    entry::{Entry, Operation},
    looks::UNANSWERED,
    privacy::{Prepared, Privacy, instant, month_of, with_logged_at},
    sequence::{Record, Sequence},
    shared::{Append, Probe, Shared, lock},
};
use chrono::{DateTime, Utc};
use serde_json::json;
use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// Why a log counts as failing whose writes take longer than [`crate::LedgerConfig::limit`].
pub(crate) const SLOW: &str = "a write took too long";
/// How often a failing ledger is tried again, and how long the sequencer sleeps at most.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// The most entries in one sync: bounds memory and the time to the first answer.
const LARGEST_BATCH: usize = 1024;

/// Entries that the ledger itself owes: kept until they are logged.
#[derive(Default)]
pub(crate) struct Backlog(Vec<Prepared>);

impl Backlog {
    pub(crate) fn add(&mut self, privacy: &Privacy, entry: &Entry) {
        match privacy.prepare(entry) {
            Ok(prepared) => self.0.push(prepared),
            Err(e) => {
                tracing::error!(error = %e, action = %entry.action, "an entry of the ledger's own is lost");
            }
        }
    }
}

/// The one thread that writes the sequence file.
pub(crate) struct Sequencer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) sequence: Sequence,
    pub(crate) backlog: Backlog,
}

impl Sequencer {
    pub(crate) fn run(mut self) {
        let mut tried: Option<Instant> = None;
        let mut month = String::new();
        loop {
            let (batch, probes, stop) = self.wait(tried);
            let failing_since = self.shared.health.borrow().failing_since;
            match failing_since {
                None => {
                    let wrote = self.write(batch, None);
                    if !wrote && !probes.is_empty() {
                        self.probe();
                    }
                    tried = (!self.shared.health.borrow().writable).then(Instant::now);
                }
                Some(since) => {
                    for append in batch {
                        self.shared.refused.fetch_add(1, Ordering::Relaxed);
                        answer(append.answer, Err(LedgerError::Unwritable { since }));
                    }
                    if !self.shared.is_disowned()
                        && (stop || tried.is_none_or(|at| at.elapsed() >= TRY_AGAIN))
                    {
                        tried = Some(Instant::now());
                        self.write(Vec::new(), Some(since));
                    }
                }
            }
            let failing_since = self.shared.health.borrow().failing_since;
            for probe in probes {
                answer(probe, failing_since.map_or(Ok(()), |since| Err(LedgerError::Unwritable { since })));
            }
            if stop {
                return;
            }
            let now = Utc::now();
            if month != month_of(now) && self.shared.privacy.prepare_months(now).is_ok() {
                month = month_of(now);
            }
        }
    }

    /// Waits until there is something to write, or to try again. Returns what is to be appended, and whether this is
    /// the last round.
    fn wait(&self, tried: Option<Instant>) -> (Vec<Append>, Vec<Probe>, bool) {
        let mut queue = lock(&self.shared.queue);
        loop {
            let failing = !self.shared.health.borrow().writable;
            let idle = queue.appends.is_empty()
                && queue.probes.is_empty()
                && (failing || !queue.spooled && self.backlog.0.is_empty());
            let due = failing && tried.is_none_or(|at| at.elapsed() >= TRY_AGAIN);
            if queue.stop || !idle || due {
                break;
            }
            let pause = match tried {
                Some(at) if failing => TRY_AGAIN.saturating_sub(at.elapsed()),
                _ => Duration::from_mins(1),
            };
            (queue, _) = self.shared.wake.wait_timeout(queue, pause).unwrap_or_else(PoisonError::into_inner);
        }
        let many = queue.appends.len().min(LARGEST_BATCH);
        let batch = queue.appends.drain(..many).collect();
        queue.spooled = false;
        let probes = std::mem::take(&mut queue.probes);
        (batch, probes, queue.stop && queue.appends.is_empty())
    }

    /// Writes one batch: what the ledger owes, what waits in the spool, on recovery the entry that says so, and what
    /// is to be appended. Returns whether there was anything to write.
    fn write(&mut self, batch: Vec<Append>, recovering: Option<DateTime<Utc>>) -> bool {
        // Whoever no longer waits gets nothing written.
        let batch: Vec<Append> = batch.into_iter().filter(|append| !append.answer.is_closed()).collect();
        let now = Utc::now();
        let refused = self.shared.refused.load(Ordering::Relaxed);
        if recovering.is_some() {
            self.keep_spool(refused);
        }
        let (waiting, lost) = {
            let spool = lock(&self.shared.spool);
            (spool.waiting(), spool.lost)
        };
        let record = |spool, prepared: Prepared| Record {
            spool,
            leaf: prepared.leaf.into_bytes(),
            details: prepared.details,
        };
        let mut records: Vec<Record> = self.backlog.0.iter().cloned().map(|owed| record(0, owed)).collect();
        let newest_spooled = waiting.last().map_or(0, |last| last.number);
        for waiting in waiting {
            let leaf = with_logged_at(&waiting.leaf, now);
            records.push(Record { spool: waiting.number, leaf: leaf.into_bytes(), details: waiting.details });
        }
        let tell = recovering.is_some() || lost > 0 || refused > 0;
        if tell {
            let recovered = Entry {
                data: Some(
                    json!({ "failing_since": recovering.map(instant), "refused": refused, "spool_lost": lost }),
                ),
                ..Entry::new(now, Operation::Maintenance, "ledger.recovered")
            };
            match self.shared.privacy.prepare(&self.shared.stamped(recovered)) {
                Ok(prepared) => records.push(record(0, prepared)),
                Err(e) => tracing::error!(error = %e, "the recovery could not be described"),
            }
        }
        let first_append = records.len();
        records.extend(batch.iter().map(|append| record(0, append.prepared.clone())));
        if records.is_empty() {
            return false;
        }

        let began = Instant::now();
        let offsets = match self.sequence.append(&records) {
            Ok(offsets) => offsets,
            Err(e) => {
                self.shared.begin_failing(&e.to_string());
                let spooled = lock(&self.shared.spool).len();
                self.shared
                    .health
                    .send_if_modified(|health| std::mem::replace(&mut health.spooled, spooled) != spooled);
                for append in batch {
                    answer(append.answer, Err(LedgerError::Write(e.to_string())));
                }
                return true;
            }
        };
        let in_time = began.elapsed() < self.shared.limit;

        let first = self.sequence.count() - records.len() as u64;
        {
            let mut log = self.shared.log_mut();
            for (record, offset) in records.iter().zip(offsets) {
                log.take(record, offset);
            }
        }
        self.backlog.0.clear();
        let spooled = {
            let mut spool = lock(&self.shared.spool);
            spool.taken(newest_spooled);
            spool.lost -= lost;
            if tell {
                let left = self.shared.refused.fetch_sub(refused, Ordering::Relaxed) - refused;
                if let Err(e) = spool.keep_counts(left) {
                    tracing::error!(error = %e, "what the log told may be told again after a crash");
                }
            }
            spool.len()
        };
        if !in_time {
            self.shared.begin_failing(SLOW);
        }
        // A write that was under way when the log was disowned opens it no more.
        let recovered = recovering.is_some() && in_time;
        self.shared.health.send_modify(|health| {
            health.entries = self.sequence.count();
            health.spooled = spooled;
            if recovered && !self.shared.is_disowned() {
                health.writable = true;
                health.failing_since = None;
                health.spool_lost = 0;
            }
        });
        if recovered {
            tracing::info!("the ledger can be written again");
        }
        for (seq, append) in (first + first_append as u64..).zip(batch) {
            let receipt = Receipt { seq, at: append.prepared.at };
            if append.answer.send(Ok(receipt)).is_err() {
                // Durable, but its maker gave up and did nothing: the log must not suggest otherwise.
                self.backlog.add(
                    &self.shared.privacy,
                    &Entry {
                        look: append.look,
                        data: Some(json!({ "refers": seq, "effect": "none" })),
                        ..Entry::new(now, Operation::Maintenance, UNANSWERED)
                    },
                );
            }
        }
        true
    }

    /// Makes what waits, and what was counted, survive a loss of power. The lock is not held while the disk is asked to sync.
    fn keep_spool(&self, refused: u64) {
        let kept = {
            let mut spool = lock(&self.shared.spool);
            spool.keep_counts(refused).map(|()| spool.file())
        };
        let synced = kept.and_then(|file| file.map_or(Ok(()), |file| file.sync_data()));
        if let Err(e) = synced {
            tracing::error!(error = %e, "the spool could not be kept");
        }
    }

    fn probe(&self) {
        let began = Instant::now();
        match self.sequence.probe() {
            Err(e) => self.shared.begin_failing(&e.to_string()),
            Ok(()) if began.elapsed() >= self.shared.limit => self.shared.begin_failing(SLOW),
            Ok(()) => {}
        }
    }
}

fn answer<T>(to: oneshot::Sender<Result<T, LedgerError>>, with: Result<T, LedgerError>) {
    if to.send(with).is_err() {
        tracing::debug!("nobody waits for this answer any more");
    }
}
