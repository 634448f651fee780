//! A small SQLite store of one room: one connection, one caller at a time.

use rusqlite::Connection;
use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The store.
pub(crate) struct Store(Mutex<Connection>);

impl Store {
    /// Opens the file at `path`, made when it is not there, and brings it to `schema`. A crash loses what came in the last
    /// moments at most: these are notes beside the footage and the log, never the only bearer of a decision.
    pub(crate) fn open(path: &Path, schema: &str) -> Result<Self, rusqlite::Error> {
        let store = Connection::open(path)?;
        store.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")?;
        store.execute_batch(schema)?;
        Ok(Self(Mutex::new(store)))
    }

    /// The connection; others wait. What a caller that died left open was rolled back.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
