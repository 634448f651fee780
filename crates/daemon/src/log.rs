//! What the daemon asks of the ledger, as a seam: tests put a log in its place that fails on command.

use futures::future::BoxFuture;
use ledger::{Entry, Ledger, LedgerError, LedgerHealth, Receipt};
use std::sync::Arc;
use tokio::sync::watch;

/// The log as gate, journal and recorder use it.
pub trait Log: Send + Sync + 'static {
    /// Durable before it returns `Ok`.
    fn append(&self, entry: Entry) -> BoxFuture<'_, Result<Receipt, LedgerError>>;
    /// Whether an append would succeed; leaves nothing in the log.
    fn probe(&self) -> BoxFuture<'_, Result<(), LedgerError>>;
    /// For what never waits: cuts, stops and the recorder's own entries.
    fn append_spooled(&self, entry: Entry);
    /// The state of the log, as it changes.
    fn health(&self) -> watch::Receiver<LedgerHealth>;
    /// The newest durable entry of an action, as its leaf and with its number. Reads from disk: not on an async thread.
    fn newest(&self, action: &str) -> Result<Option<(u64, serde_json::Value)>, LedgerError>;
}

/// The log in the daemon's hands.
pub type SharedLog = Arc<dyn Log>;

impl Log for Ledger {
    fn append(&self, entry: Entry) -> BoxFuture<'_, Result<Receipt, LedgerError>> {
        Box::pin(Ledger::append(self, entry))
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), LedgerError>> {
        Box::pin(Ledger::probe(self))
    }

    fn append_spooled(&self, entry: Entry) {
        Ledger::append_spooled(self, entry);
    }

    fn health(&self) -> watch::Receiver<LedgerHealth> {
        Ledger::health(self)
    }

    fn newest(&self, action: &str) -> Result<Option<(u64, serde_json::Value)>, LedgerError> {
        Ledger::newest(self, action)
    }
}
