//! Footage requests as they are kept, and the files that come out of them.
//!
//! * [`Exports`]: the store, `requests.sqlite`; each change is one transaction on one request
//! * `produce`: a file, byte by byte the same each time, from the hold that an approval made
//!
//! Nothing here decides: `api::requests` asks the gate before each step.

pub(crate) mod produce;

use chrono::{DateTime, Utc};
use evidence::{FootageRequest, NewFootageRequest, RequestError};
use mandate::{ExportId, PersonId};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};
use vault::VaultError;

/// Why requests cannot be kept, found or carried out.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store failed.
    #[error("requests: {0}")]
    Store(#[from] rusqlite::Error),
    /// A row cannot be read.
    #[error("requests: request {0} cannot be read: {1}")]
    Damaged(String, String),
    /// The store was made by a newer version of this program.
    #[error("requests: the store has version {0}; this program knows up to {known}: use the newer one", known = STEPS.len())]
    Newer(i64),
    /// There is no such request.
    #[error("there is no such request")]
    NoSuchRequest,
    /// The step cannot be taken.
    #[error(transparent)]
    Step(#[from] RequestError),
    /// The footage cannot be secured or read.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The pictures do not make a file.
    #[error(transparent)]
    Mp4(#[from] media::mp4::Mp4Error),
}

/// How the store came to be, step by step; a step is never changed, only added.
const STEPS: &[&str] = &["CREATE TABLE requests (
       number INTEGER PRIMARY KEY AUTOINCREMENT, requested_at INTEGER NOT NULL, request TEXT NOT NULL) STRICT;"];

/// The requests, in `requests.sqlite`.
pub struct Exports(Mutex<Connection>);

impl Exports {
    /// Opens the store at `path`, bringing it up to this version.
    pub fn open(path: &Path) -> Result<Self, ExportError> {
        let mut store = Connection::open(path)?;
        store.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;",
        )?;
        let known: i64 = store.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let steps = usize::try_from(known).ok().and_then(|known| STEPS.get(known..));
        let steps = steps.ok_or(ExportError::Newer(known))?;
        let change = store.transaction()?;
        for step in steps {
            change.execute_batch(step)?;
        }
        change.pragma_update(None, "user_version", STEPS.len() as i64)?;
        change.commit()?;
        Ok(Self(Mutex::new(store)))
    }

    fn store(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a new request. The caller has passed the gate.
    pub fn add(
        &self,
        by: PersonId,
        at: DateTime<Utc>,
        new: NewFootageRequest,
    ) -> Result<FootageRequest, ExportError> {
        let mut store = self.store();
        let change = store.transaction()?;
        change.execute(
            "INSERT INTO requests (requested_at, request) VALUES (?, '')",
            [at.timestamp_micros()],
        )?;
        let number = change.last_insert_rowid();
        let request = FootageRequest::new(ExportId::new(number.to_string()), by, at, new);
        keep(&change, &request)?;
        change.commit()?;
        Ok(request)
    }

    /// One request.
    pub fn find(&self, id: &ExportId) -> Result<FootageRequest, ExportError> {
        find(&self.store(), id)
    }

    /// The newest, newest first.
    pub fn newest(&self, limit: u32) -> Result<Vec<FootageRequest>, ExportError> {
        let store = self.store();
        let mut statement =
            store.prepare_cached("SELECT number, request FROM requests ORDER BY number DESC LIMIT ?")?;
        let rows = statement
            .query_map([limit], |row| Ok((row.get::<_, i64>(0)?.to_string(), row.get::<_, String>(1)?)))?;
        rows.map(|row| {
            let (number, text) = row?;
            serde_json::from_str(&text).map_err(|e| ExportError::Damaged(number, e.to_string()))
        })
        .collect()
    }

    /// Changes one request, or leaves it as it is when the step cannot be taken. Gives it as it is then.
    pub fn change(
        &self,
        id: &ExportId,
        step: impl FnOnce(&mut FootageRequest) -> Result<(), RequestError>,
    ) -> Result<FootageRequest, ExportError> {
        let mut store = self.store();
        let change = store.transaction()?;
        let mut request = find(&change, id)?;
        step(&mut request)?;
        keep(&change, &request)?;
        change.commit()?;
        Ok(request)
    }
}

fn find(store: &Connection, id: &ExportId) -> Result<FootageRequest, ExportError> {
    let number: i64 = id.as_str().parse().map_err(|_| ExportError::NoSuchRequest)?;
    let text: Option<String> = store
        .query_row("SELECT request FROM requests WHERE number = ?", [number], |row| row.get(0))
        .optional()?;
    let text = text.ok_or(ExportError::NoSuchRequest)?;
    serde_json::from_str(&text).map_err(|e| ExportError::Damaged(number.to_string(), e.to_string()))
}

fn keep(store: &Connection, request: &FootageRequest) -> Result<(), ExportError> {
    let damaged = |e: &dyn std::fmt::Display| ExportError::Damaged(request.id.to_string(), e.to_string());
    let number: i64 = request.id.as_str().parse().map_err(|e| damaged(&e))?;
    let text = serde_json::to_string(request).map_err(|e| damaged(&e))?;
    store.execute("UPDATE requests SET request = ? WHERE number = ?", params![text, number])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate::{CameraId, Purpose, RecipientKind};

    #[test]
    fn requests_survive_a_restart_and_a_step_that_cannot_be_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("requests.sqlite");
        let at = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let new = NewFootageRequest {
            cameras: vec![CameraId::new("C1")],
            from: at - chrono::TimeDelta::minutes(5),
            until: at,
            purpose: Purpose::Investigation,
            offence_ref: Some("Sr 300".to_owned()),
            case_number: None,
            description: None,
            recipient: None,
            recipient_kind: RecipientKind::Police,
        };
        let exports = Exports::open(&path).unwrap();
        let request = exports.add(PersonId::new("rechercheur"), at, new).unwrap();
        assert!(matches!(exports.change(&request.id, FootageRequest::close), Err(ExportError::Step(_))));
        exports.change(&request.id, |r| r.refuse(PersonId::new("goedkeurder"), at, "no need")).unwrap();
        drop(exports);
        let exports = Exports::open(&path).unwrap();
        assert_eq!(exports.find(&request.id).unwrap().refusal_reason.as_deref(), Some("no need"));
        assert_eq!(exports.newest(9).unwrap().len(), 1);
        assert!(matches!(exports.find(&ExportId::new("x")), Err(ExportError::NoSuchRequest)));
        exports.store().pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(Exports::open(&path), Err(ExportError::Newer(99))));
    }
}
