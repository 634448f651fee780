//! What can go wrong at the ledger's door.

use chrono::{DateTime, Utc};
use std::{io, path::PathBuf};

/// An error of the ledger. The caller's rule is the same for all of them: no entry, no effect.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The ledger cannot be written at present; nothing was tried.
    #[error("the ledger cannot be written since {since}; it tries again each second")]
    Unwritable {
        /// Since when.
        since: DateTime<Utc>,
    },
    /// The write was tried and failed.
    #[error("the entry could not be made durable: {0}")]
    Write(String),
    /// The entry did not become durable within the limit. If it does so later, an entry says that it had no effect.
    #[error("the entry was not durable in time")]
    Slow,
    /// The leaf is longer than a tile can hold (65,535 bytes).
    #[error("the entry is {0} bytes; a leaf holds at most 65535")]
    TooLarge(usize),
    /// A number in the entry has no exact canonical form.
    #[error("the entry has no canonical form: {0}")]
    NotCanonical(&'static str),
    /// Another process has this ledger open.
    #[error("another process has the ledger in {0} open")]
    InUse(PathBuf),
    /// The log on disk is shorter than, or other than, what was signed or witnessed. Nothing may be appended until
    /// the police have signed a new epoch (decision 15).
    #[error("the log on disk does not carry what was signed before: {0}")]
    Rewritten(String),
    /// A file or folder could not be used.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A key or a note is malformed.
    #[error("{0}")]
    Key(String),
    /// What was kept beside an entry for the month's key does not belong to it.
    #[error("the sealed details are not those of the entry: {0}")]
    Details(String),
    /// A cosignature does not hold.
    #[error("the cosignature does not hold: {0}")]
    Cosignature(String),
    /// The query index failed. A damaged one was made anew before this was said; its disk takes nothing at present.
    #[cfg(feature = "writer")]
    #[error("the query index failed: {0}")]
    Index(#[from] rusqlite::Error),
    /// There is no such entry, or no such tree size.
    #[error("the log holds {size} entries; {asked} is beyond it")]
    Beyond {
        /// What was asked.
        asked: u64,
        /// What there is.
        size: u64,
    },
    /// The entry was purged at the end of the log's own term.
    #[error("entry {asked} was purged with all before {first}, at the end of the log's term")]
    Purged {
        /// What was asked.
        asked: u64,
        /// The first entry that is left.
        first: u64,
    },
    /// The writer thread is gone; the daemon must restart.
    #[error("the ledger has shut down")]
    Closed,
}

impl LedgerError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
