//! What the tests of several rooms share: a small register in which one camera is open, and a log that fails on command.

use crate::{
    clock::{Clock as _, ManualClock},
    journal::Journal,
    log::Log,
};
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use ledger::{Entry, LedgerError, LedgerHealth, Receipt};
use mandate::{FactBody, Policy};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// A log in memory.
pub(crate) struct FakeLog {
    pub(crate) entries: Mutex<Vec<Entry>>,
    /// Set: the next append takes too long. It keeps the entry to write it late.
    late: Mutex<Option<Vec<Entry>>>,
    health: watch::Sender<LedgerHealth>,
    clock: ManualClock,
}

impl FakeLog {
    pub(crate) fn new(clock: &ManualClock) -> Arc<Self> {
        let health = LedgerHealth {
            entries: 0,
            writable: true,
            failing_since: None,
            witnessed_at: None,
            witnessed_entries: 0,
            spooled: 0,
            spool_lost: 0,
        };
        Arc::new(Self {
            entries: Mutex::default(),
            late: Mutex::default(),
            health: watch::Sender::new(health),
            clock: clock.clone(),
        })
    }

    /// From now on nothing can be written, or all can again.
    pub(crate) fn fail(&self, failing_since: Option<DateTime<Utc>>) {
        self.health.send_modify(|h| {
            h.writable = failing_since.is_none();
            h.failing_since = failing_since;
        });
    }

    /// The witness cosigned at this instant.
    pub(crate) fn witnessed(&self, at: DateTime<Utc>) {
        self.health.send_modify(|h| h.witnessed_at = Some(at));
    }

    /// The witness cosigned everything that is there.
    pub(crate) fn witnessed_all(&self) {
        self.health.send_modify(|h| h.witnessed_entries = h.entries);
    }

    /// The next append takes too long: it fails with `Slow`, and so does every later one until [`FakeLog::recover`].
    pub(crate) fn hang(&self) {
        *self.late.lock().unwrap() = Some(Vec::new());
    }

    /// The disk answers again, having written what hung, or not.
    pub(crate) fn recover(&self, written: bool) {
        for entry in self.late.lock().unwrap().take().unwrap_or_default() {
            if written {
                self.keep(entry);
            }
        }
        self.fail(None);
    }

    pub(crate) fn actions(&self) -> Vec<String> {
        self.entries.lock().unwrap().iter().map(|e| format!("{} {}", e.action, e.outcome.as_str())).collect()
    }

    fn keep(&self, entry: Entry) -> u64 {
        let mut entries = self.entries.lock().unwrap();
        entries.push(entry);
        let count = entries.len() as u64;
        drop(entries);
        self.health.send_modify(|h| h.entries = count);
        count - 1
    }
}

impl Log for FakeLog {
    fn append(&self, entry: Entry) -> BoxFuture<'_, Result<Receipt, LedgerError>> {
        Box::pin(async move {
            if !self.health.borrow().writable {
                return Err(LedgerError::Unwritable { since: self.clock.now() });
            }
            if let Some(late) = self.late.lock().unwrap().as_mut() {
                late.push(entry);
                self.fail(Some(self.clock.now()));
                return Err(LedgerError::Slow);
            }
            let at = entry.at;
            Ok(Receipt { seq: self.keep(entry), at })
        })
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), LedgerError>> {
        Box::pin(async move {
            if !self.health.borrow().writable {
                return Err(LedgerError::Unwritable { since: self.clock.now() });
            }
            if self.late.lock().unwrap().is_some() {
                self.fail(Some(self.clock.now()));
                return Err(LedgerError::Slow);
            }
            Ok(())
        })
    }

    fn append_spooled(&self, entry: Entry) {
        self.keep(entry);
    }

    fn health(&self) -> watch::Receiver<LedgerHealth> {
        self.health.subscribe()
    }

    fn newest(&self, action: &str) -> Result<Option<(u64, serde_json::Value)>, LedgerError> {
        let entries = self.entries.lock().unwrap();
        Ok(entries.iter().enumerate().rev().find(|(_, e)| e.action == action).map(|(seq, e)| {
            (seq as u64, serde_json::json!({ "action": e.action, "at": e.at, "data": e.data }))
        }))
    }
}

/// The facts of a small register: Enschede, whose camera `C1` is used day and night and watched from 21:00 to 06:00,
/// the observer `anna`, the officer `bert`, and the legal admin `carla`.
pub(crate) fn facts() -> Vec<FactBody> {
    serde_json::from_str(include_str!("testing.json")).unwrap()
}

/// A journal in `folder` with [`facts`] recorded.
pub(crate) async fn journal(folder: &std::path::Path, log: &Arc<FakeLog>, clock: &ManualClock) -> Journal {
    let path = folder.join("journal.sqlite");
    let journal =
        Journal::open(&path, log.clone(), Arc::new(clock.clone()), Policy::default(), None).unwrap();
    journal.record_first(facts()).await.unwrap();
    journal
}
