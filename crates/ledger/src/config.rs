//! What the ledger is given, and what it says of itself.

use crate::faults::DiskFaults;
use chrono::{DateTime, Utc};
use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

/// Where the ledger lives and whom it trusts.
#[derive(Clone)]
pub struct LedgerConfig {
    /// The log's folder: sequence file, spool, index, `checkpoint`, `tile/…`.
    pub dir: PathBuf,
    /// The log's signing key; made on first open, mode 0600. Keep it outside `dir`, which is published.
    pub key_file: PathBuf,
    /// The log's name in its checkpoints, a URL without scheme: `rtr.example/demo`.
    pub origin: String,
    /// The folder of the months' keys for pseudonyms and details. In no backup; outside `dir`.
    pub month_keys: PathBuf,
    /// Public keys (vkey texts) of the witnesses whose cosignatures count.
    pub witnesses: Vec<String>,
    /// Where the newest cosigned checkpoint is kept a second time, outside `dir`: a folder that was put back from a backup brings
    /// its own older one along, and this one tells.
    pub witnessed: PathBuf,
    /// Size of the spool in bytes, preallocated.
    pub spool_bytes: u64,
    /// How long a write may take, sync included, before the log counts as failing: two seconds (decision 12); tests on a shared disk give more.
    pub limit: Duration,
    /// Test seam: makes the disk fail or hang.
    pub faults: Option<Arc<dyn DiskFaults>>,
}

impl LedgerConfig {
    /// The usual: month keys and what was witnessed beside the log's key, no witness yet, a spool of 4 MiB (some 6,000 cuts).
    pub fn new(dir: impl Into<PathBuf>, key_file: impl Into<PathBuf>, origin: impl Into<String>) -> Self {
        let key_file = key_file.into();
        let month_keys = key_file.with_file_name("ledger-months");
        let witnessed = key_file.with_extension("witnessed");
        Self {
            dir: dir.into(),
            key_file,
            origin: origin.into(),
            month_keys,
            witnessed,
            witnesses: Vec::new(),
            spool_bytes: 4 << 20,
            limit: Duration::from_secs(2),
            faults: None,
        }
    }
}

impl fmt::Debug for LedgerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LedgerConfig")
            .field("dir", &self.dir)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// That an entry is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its number: its place in the tree.
    pub seq: u64,
    /// The entry's own time (UTC).
    pub at: DateTime<Utc>,
}

/// How the ledger fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerHealth {
    /// How many entries are durable.
    pub entries: u64,
    /// Whether an append would be tried.
    pub writable: bool,
    /// Since when it is not (UTC).
    pub failing_since: Option<DateTime<Utc>>,
    /// The time of the newest cosignature that holds (UTC, by the witness's clock).
    pub witnessed_at: Option<DateTime<Utc>>,
    /// How many entries that cosignature covers.
    pub witnessed_entries: u64,
    /// Spooled entries that wait to be logged.
    pub spooled: usize,
    /// Spooled entries that found no room since the ledger began to fail.
    pub spool_lost: u64,
}
