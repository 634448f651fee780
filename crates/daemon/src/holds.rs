//! Holds as the room knows them: for which case and offence, by whom, until which review. The vault keeps the footage and
//! its keys; a row without them keeps nothing, and a hold in the vault without a row is shown as one nobody asked for.

use crate::{
    clock::{instant, micros},
    gate::{EntryOf, Gate, Seen},
    incidents::IncidentError,
};
use chrono::{DateTime, Utc};
use mandate::{CameraId, HoldState, PersonId};
use media::StreamId;
use protocol::api::{HoldView, NewHold};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};
use vault::Held;

/// The holds, in `holds.sqlite`.
pub struct Holds(Mutex<Connection>);

/// One row.
#[derive(Clone, Debug)]
pub struct HoldRow {
    /// Its number.
    pub number: i64,
    /// What was asked.
    pub asked: NewHold,
    /// When it is to be looked at again.
    pub review_at: DateTime<Utc>,
    /// Who set it.
    pub set_by: PersonId,
    /// When.
    pub set_at: DateTime<Utc>,
    /// When and by whom it was released.
    pub released: Option<(DateTime<Utc>, PersonId)>,
    /// Its entry in the log; older rows have none.
    pub entry: Option<EntryOf>,
}

impl HoldRow {
    /// Whether the police's witness has seen its entry; before that it gives nobody anything beyond the footage's ordinary
    /// term (`decisions.md` 15).
    pub fn witnessed(&self, gate: &Gate) -> bool {
        self.entry.as_ref().is_none_or(|entry| gate.seen(entry) == Seen::Yes)
    }

    /// The name under which the vault keeps it.
    pub fn id(&self) -> String {
        format!("hold-{}", self.number)
    }

    /// As the law sees it.
    pub fn in_law(&self) -> mandate::Hold {
        mandate::Hold {
            case_number: Some(self.asked.case_number.clone()),
            state: if self.released.is_some() { HoldState::Released } else { HoldState::Active },
            set_at: Some(self.set_at),
        }
    }

    /// As the API shows it, with what the vault knows.
    pub fn view(&self, held: Option<&Held>, witnessed: bool, now: DateTime<Utc>) -> HoldView {
        let asked = self.asked.clone();
        HoldView {
            id: self.id(),
            camera: asked.camera,
            from: asked.from,
            until: asked.until,
            case_number: asked.case_number,
            offence: asked.offence,
            set_by: self.set_by.clone(),
            set_at: self.set_at,
            review_at: self.review_at,
            review_due: self.released.is_none() && self.review_at <= now,
            bytes: held.map_or(0, |held| held.bytes),
            whole: held.is_some_and(|held| held.whole),
            witnessed,
            request: None,
            further: Vec::new(),
            left_out: Vec::new(),
            released_at: self.released.as_ref().map(|(at, _)| *at),
            released_by: self.released.as_ref().map(|(_, by)| by.clone()),
        }
    }
}

impl Holds {
    /// Opens the store at `path`.
    ///
    /// # Errors
    /// When the store cannot be opened.
    pub fn open(path: &Path) -> Result<Self, IncidentError> {
        let store = Connection::open(path)?;
        store.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;
             CREATE TABLE IF NOT EXISTS holds (
               number INTEGER PRIMARY KEY AUTOINCREMENT, camera TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL,
               case_number TEXT NOT NULL, offence TEXT NOT NULL, review_at INTEGER NOT NULL, set_by TEXT NOT NULL,
               set_at INTEGER NOT NULL, released_at INTEGER, released_by TEXT) STRICT;",
        )?;
        let version: i64 = store.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version < 1 {
            store.execute_batch(
                "BEGIN; ALTER TABLE holds ADD COLUMN entry INTEGER; PRAGMA user_version = 1; COMMIT;",
            )?;
        }
        if version < 2 {
            store.execute_batch(
                "BEGIN; ALTER TABLE holds ADD COLUMN log TEXT; PRAGMA user_version = 2; COMMIT;",
            )?;
        }
        Ok(Self(Mutex::new(store)))
    }

    fn store(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a row before the vault claims the keys. The caller has passed the gate.
    ///
    /// # Errors
    /// When the store fails.
    pub fn add(
        &self,
        asked: &NewHold,
        review_at: DateTime<Utc>,
        by: &PersonId,
        now: DateTime<Utc>,
        entry: Option<EntryOf>,
    ) -> Result<HoldRow, IncidentError> {
        let store = self.store();
        store.execute(
            "INSERT INTO holds (camera, since, until, case_number, offence, review_at, set_by, set_at, entry, log)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                asked.camera.as_str(),
                micros(asked.from).0,
                micros(asked.until).0,
                asked.case_number,
                asked.offence,
                micros(review_at).0,
                by.as_str(),
                micros(now).0,
                entry.as_ref().map(|entry| entry.seq as i64),
                entry.as_ref().and_then(|entry| entry.log.as_deref())
            ],
        )?;
        let number = store.last_insert_rowid();
        Ok(HoldRow {
            number,
            asked: asked.clone(),
            review_at,
            set_by: by.clone(),
            set_at: now,
            released: None,
            entry,
        })
    }

    /// Takes back a row whose keys could not be claimed.
    ///
    /// # Errors
    /// When the store fails.
    pub fn remove(&self, number: i64) -> Result<(), IncidentError> {
        self.store().execute("DELETE FROM holds WHERE number = ?", [number])?;
        Ok(())
    }

    /// Notes a release. The caller has passed the gate.
    ///
    /// # Errors
    /// When the store fails.
    pub fn released(&self, number: i64, at: DateTime<Utc>, by: &PersonId) -> Result<(), IncidentError> {
        self.store().execute(
            "UPDATE holds SET released_at = ?, released_by = ? WHERE number = ?",
            params![micros(at).0, by.as_str(), number],
        )?;
        Ok(())
    }

    /// Every hold ever set, newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn all(&self) -> Result<Vec<HoldRow>, IncidentError> {
        let store = self.store();
        let mut statement = store.prepare_cached(&format!("{SELECT} ORDER BY number DESC"))?;
        let rows = statement.query_map([], read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// One hold by its id.
    ///
    /// # Errors
    /// When the store fails.
    pub fn find(&self, id: &str) -> Result<Option<HoldRow>, IncidentError> {
        let Some(number) = id.strip_prefix("hold-").and_then(|n| n.parse::<i64>().ok()) else {
            return Ok(None);
        };
        Ok(self.store().query_row(&format!("{SELECT} WHERE number = ?"), [number], read).optional()?)
    }
}

const SELECT: &str = "SELECT number, camera, since, until, case_number, offence, review_at, set_by, set_at, released_at, \
                      released_by, entry, log FROM holds";

fn read(row: &Row<'_>) -> Result<HoldRow, rusqlite::Error> {
    let at = |column: usize| row.get(column).map(|at| instant(media::Micros(at)));
    let released_at: Option<i64> = row.get(9)?;
    let released_by: Option<String> = row.get(10)?;
    let (entry, log): (Option<i64>, Option<String>) = (row.get(11)?, row.get(12)?);
    Ok(HoldRow {
        number: row.get(0)?,
        asked: NewHold {
            camera: CameraId::from(row.get::<_, String>(1)?),
            from: at(2)?,
            until: at(3)?,
            case_number: row.get(4)?,
            offence: row.get(5)?,
            review_at: Some(at(6)?),
        },
        review_at: at(6)?,
        set_by: PersonId::from(row.get::<_, String>(7)?),
        set_at: at(8)?,
        released: released_at
            .zip(released_by)
            .map(|(at, by)| (instant(media::Micros(at)), PersonId::from(by))),
        entry: entry.map(|seq| EntryOf { seq: seq as u64, log }),
    })
}

/// Secures footage in the vault from an instant on, at or before the one asked, where older holds keep some of it; the row
/// goes when that fails, so that no hold keeps nothing.
///
/// # Errors
/// What the vault met.
pub fn secure(
    vault: &vault::Vault,
    holds: &Holds,
    row: &HoldRow,
    stream: StreamId,
    from: DateTime<Utc>,
    older: &[String],
) -> Result<Held, String> {
    let held = vault.hold_also(&row.id(), stream, micros(from), micros(row.asked.until), older);
    held.map_err(|error| {
        if let Err(error) = holds.remove(row.number) {
            tracing::error!(%error, hold = row.id(), "the row of a hold that failed could not be taken back");
        }
        error.to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_for_which_case_and_binds_until_it_is_released() {
        let folder = tempfile::tempdir().unwrap();
        let holds = Holds::open(&folder.path().join("holds.sqlite")).unwrap();
        let now: DateTime<Utc> = "2026-06-01T12:00:00Z".parse().unwrap();
        let hour = chrono::TimeDelta::hours(1);
        let asked = NewHold {
            camera: "C1".into(),
            from: now - hour,
            until: now,
            case_number: "PL0600-1".to_owned(),
            offence: "Sr 300".to_owned(),
            review_at: None,
        };
        let by = PersonId::new("bert");
        let entry = Some(EntryOf { seq: 7, log: Some("room+aaaa".to_owned()) });
        let row = holds.add(&asked, now + hour, &by, now, entry.clone()).unwrap();
        assert_eq!((row.in_law().state, &row.entry), (HoldState::Active, &entry));
        assert!(!row.view(None, true, now).review_due && row.view(None, true, now + hour).review_due);
        holds.released(row.number, now, &by).unwrap();
        let found = holds.find(&row.id()).unwrap().unwrap();
        assert_eq!((found.in_law().state, found.released), (HoldState::Released, Some((now, by))));
        assert_eq!(found.entry, entry);
        assert!(holds.find("hold-99").unwrap().is_none() && holds.find("x").unwrap().is_none());
    }
}
