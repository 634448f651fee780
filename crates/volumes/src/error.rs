//! What can go wrong, as far as a caller can act on it.

use std::{io, path::PathBuf, sync::Arc};

/// Why the vault refused or failed. Reading never fails half-way: what does not open becomes a gap.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The operating system refused; the path says where.
    #[error("{path}: {source}")]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has this folder open. Two recorders must never write one vault.
    #[error("{0} is in use by another process; stop that one first")]
    Locked(PathBuf),
    /// The file was made by a version of RTR that this one does not know.
    #[error("{path} has format version {found}; this program reads version {known}")]
    UnknownVersion {
        /// The file.
        path: PathBuf,
        /// The version it carries.
        found: u32,
        /// The version this program reads.
        known: u32,
    },
    /// The file is not what its name says, or its head is damaged.
    #[error("{path} is not {expected}, or its head is damaged")]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What it should have been.
        expected: &'static str,
    },
    /// The file belongs to another vault: a disk was swapped, or folders were mixed up.
    #[error("{path} belongs to another vault (its identity does not match)")]
    AnotherVault {
        /// The file.
        path: PathBuf,
    },
    /// The folder holds footage but no identity file.
    #[error("{0} holds footage but its identity file is missing; was only a part restored?")]
    IdentityMissing(PathBuf),
    /// The two copies of the key store are not copies of one.
    #[error(
        "{first} and {second} hold keys of different key stores: is a disk mounted in the wrong place, or was one made anew \
         while the other was away? Put the right one back, or move the wrong one aside"
    )]
    KeyStoresDiffer {
        /// First copy.
        first: PathBuf,
        /// Second copy.
        second: PathBuf,
    },
    /// A key is sealed, and what opens it is not there or is not the right one.
    #[error("a key of footage is sealed and cannot be opened: {0}")]
    Sealed(String),
    /// The key store was sealed by another credential.
    #[error(
        "the keys in {0} were sealed by another credential than the one given; give that one, or move the keys aside and lose \
         what they open"
    )]
    AnotherCredential(PathBuf),
    /// There is no hold of this name, or it is released.
    #[error("there is no hold `{0}`")]
    NoSuchHold(String),
    /// There is a hold of this name already.
    #[error("there is a hold `{0}` already")]
    HoldExists(String),
    /// What waited could not be written, and everybody who waited for it is told the same.
    #[error("{0}")]
    Unwritten(Arc<VaultError>),
    /// The index database failed; it can be rebuilt from the volumes.
    #[error("index: {0}")]
    Index(#[from] rusqlite::Error),
    /// The operating system gave no random numbers.
    #[error("no random numbers from the operating system")]
    Random,
    /// The vault is closing, or its writer has died.
    #[error("the vault is closed")]
    Closed,
}

/// Adds the path to an I/O error.
pub trait At<T> {
    /// The same, with the path in its error.
    fn at(self, path: impl Into<PathBuf>) -> Result<T, VaultError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: impl Into<PathBuf>) -> Result<T, VaultError> {
        self.map_err(|source| VaultError::Io { path: path.into(), source })
    }
}

impl<T> At<T> for rustix::io::Result<T> {
    fn at(self, path: impl Into<PathBuf>) -> Result<T, VaultError> {
        self.map_err(|source| VaultError::Io { path: path.into(), source: source.into() })
    }
}
