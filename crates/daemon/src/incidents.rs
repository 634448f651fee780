//! The shift's incidents: what was marked, by whom, on which cameras. No names stand in a note. Looking back and
//! police instructions refer to open incidents, which only this room can resolve.

use chrono::{DateTime, Utc};
use mandate::{CameraId, IncidentId, PersonId};
use protocol::api::{Incident, IncidentChange, NewIncident};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Longest note, characters.
pub const LONGEST_NOTE: usize = 2000;

/// Why an incident cannot be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum IncidentError {
    /// The store failed.
    #[error("incidents: {0}")]
    Store(#[from] rusqlite::Error),
    /// A row cannot be read.
    #[error("incidents: {0}")]
    Damaged(String),
}

/// The incidents, in `incidents.sqlite`.
pub struct Incidents(Mutex<Connection>);

impl Incidents {
    /// Opens the store at `path`.
    pub fn open(path: &Path) -> Result<Self, IncidentError> {
        let store = Connection::open(path)?;
        store.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE IF NOT EXISTS incidents (
               number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, cameras TEXT NOT NULL,
               category TEXT NOT NULL, note TEXT NOT NULL, source TEXT NOT NULL, instruction TEXT,
               marked_by TEXT NOT NULL, closed_at INTEGER) STRICT;",
        )?;
        let version: i64 = store.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version < 1 {
            store.execute_batch(
                "BEGIN; ALTER TABLE incidents ADD COLUMN outside_number TEXT; PRAGMA user_version = 1; COMMIT;",
            )?;
        }
        Ok(Self(Mutex::new(store)))
    }

    fn store(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a mark. The caller has passed the gate.
    pub fn mark(&self, new: &NewIncident, marked_by: &PersonId) -> Result<Incident, IncidentError> {
        let store = self.store();
        store.execute(
            "INSERT INTO incidents (at, cameras, category, note, source, instruction, marked_by, outside_number)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                new.at.timestamp_micros(),
                text(&new.cameras)?,
                text(&new.category)?,
                shortened(&new.note),
                text(&new.source)?,
                new.instruction,
                marked_by.as_str(),
                new.outside_number
            ],
        )?;
        let number = store.last_insert_rowid();
        drop(store);
        self.find(&IncidentId::new(number.to_string()))?
            .ok_or_else(|| IncidentError::Damaged(format!("incident {number} is gone")))
    }

    /// One incident.
    pub fn find(&self, id: &IncidentId) -> Result<Option<Incident>, IncidentError> {
        let Ok(number) = id.as_str().parse::<i64>() else { return Ok(None) };
        let row = self
            .store()
            .query_row(&format!("SELECT {COLUMNS} FROM incidents WHERE number = ?"), [number], read)
            .optional()?;
        row.transpose()
    }

    /// The newest, newest first.
    pub fn newest(&self, limit: u32) -> Result<Vec<Incident>, IncidentError> {
        let store = self.store();
        let mut statement =
            store.prepare_cached(&format!("SELECT {COLUMNS} FROM incidents ORDER BY number DESC LIMIT ?"))?;
        let rows = statement.query_map([limit], read)?;
        rows.map(|row| row?).collect()
    }

    /// Those that were marked at `from <= at < until`, for the figures.
    pub fn between(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<Vec<Incident>, IncidentError> {
        let store = self.store();
        let mut statement =
            store.prepare_cached(&format!("SELECT {COLUMNS} FROM incidents WHERE at >= ? AND at < ?"))?;
        let rows = statement.query_map([from.timestamp_micros(), until.timestamp_micros()], read)?;
        rows.map(|row| row?).collect()
    }

    /// Changes or closes one. The caller has passed the gate.
    pub fn change(
        &self,
        id: &IncidentId,
        change: &IncidentChange,
        now: DateTime<Utc>,
    ) -> Result<Option<Incident>, IncidentError> {
        let Ok(number) = id.as_str().parse::<i64>() else { return Ok(None) };
        let category = change.category.as_ref().map(text).transpose()?;
        let closed = change.close.then(|| now.timestamp_micros());
        self.store().execute(
            "UPDATE incidents SET category = coalesce(?, category), note = coalesce(?, note),
             closed_at = coalesce(closed_at, ?) WHERE number = ?",
            params![category, change.note.as_deref().map(shortened), closed, number],
        )?;
        self.find(id)
    }

    /// The incident, if it exists, is open and concerns the camera (`decisions.md` 1).
    pub fn resolve(&self, id: &IncidentId, camera: &CameraId) -> Result<Option<IncidentId>, IncidentError> {
        Ok(self.find(id)?.filter(|i| i.closed_at.is_none() && i.cameras.contains(camera)).map(|i| i.id))
    }
}

const COLUMNS: &str = "number, at, cameras, category, note, source, instruction, marked_by, closed_at, \
                       outside_number";

fn read(row: &Row<'_>) -> rusqlite::Result<Result<Incident, IncidentError>> {
    let (number, at, closed_at) =
        (row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Option<i64>>(8)?);
    let (cameras, category, source) =
        (row.get::<_, String>(2)?, row.get::<_, String>(3)?, row.get::<_, String>(5)?);
    let (note, instruction, marked_by) = (row.get(4)?, row.get(6)?, row.get::<_, String>(7)?);
    let outside_number = row.get(9)?;
    let damaged = |e: &dyn std::fmt::Display| IncidentError::Damaged(format!("incident {number}: {e}"));
    Ok((|| {
        Ok(Incident {
            id: IncidentId::new(number.to_string()),
            at: DateTime::from_timestamp_micros(at).ok_or_else(|| damaged(&"no instant"))?,
            cameras: serde_json::from_str(&cameras).map_err(|e| damaged(&e))?,
            category: serde_json::from_str(&category).map_err(|e| damaged(&e))?,
            note,
            source: serde_json::from_str(&source).map_err(|e| damaged(&e))?,
            instruction,
            marked_by: PersonId::from(marked_by),
            closed_at: closed_at.and_then(DateTime::from_timestamp_micros),
            outside_number,
        })
    })())
}

fn text(value: &impl serde::Serialize) -> Result<String, IncidentError> {
    serde_json::to_string(value).map_err(|e| IncidentError::Damaged(e.to_string()))
}

fn shortened(note: &str) -> String {
    note.chars().take(LONGEST_NOTE).collect()
}
