//! What the daemon asks of the ledger, as a seam: tests put a log in its place that fails on command.

use futures::future::BoxFuture;
use ledger::{Entry, Ledger, LedgerError, LedgerHealth, Receipt};
use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
    sync::Arc,
};
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

/// Keeps the log's public key text beside the log, where a person takes it from. Written only when it is another one, and
/// whole or not at all: a start on a full disk must not empty it.
pub(crate) fn keep_public_key(path: &Path, vkey: &str) -> io::Result<()> {
    let text = format!("{vkey}\n");
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let fresh = path.with_extension("vkey.new");
    let mut file = File::create(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_key_is_replaced_whole_and_only_when_it_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.vkey");
        keep_public_key(&path, "a+1+x").unwrap();
        let made = fs::metadata(&path).unwrap();
        // Nothing can be written here: a folder stands where the fresh file would.
        fs::create_dir(folder.path().join("ledger.vkey.new")).unwrap();
        keep_public_key(&path, "a+1+x").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), made.modified().unwrap());
        keep_public_key(&path, "b+2+y").unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a+1+x\n", "the old one is whole");
        fs::remove_dir(folder.path().join("ledger.vkey.new")).unwrap();
        keep_public_key(&path, "b+2+y").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "b+2+y\n");
    }
}
