//! What the journal knows of each event beside the fact itself: who entered and who verified it, and where it stands in
//! the ledger.

use super::{Journal, JournalError};
use chrono::{DateTime, Utc};
use mandate::{Fact, PersonId};
use rusqlite::{OptionalExtension as _, params};

/// One effective event.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Its number in the journal.
    pub seq: u64,
    /// Its leaf in the ledger.
    pub ledger_seq: u64,
    /// The fact's version.
    pub fact: Fact,
    /// Who entered it; none at first start.
    pub entered_by: Option<PersonId>,
    /// Who verified it; none at first start and for what needs no second person.
    pub verified_by: Option<PersonId>,
}

impl Journal {
    /// Every version of one fact, oldest first. `kind` is the stable word of [`super::name_of`].
    pub fn history(&self, kind: &str, id: &str) -> Result<Vec<Recorded>, JournalError> {
        let store = self.store();
        let mut statement = store.prepare_cached(
            "SELECT seq, ledger_seq, version, body, known_from, entered_by, verified_by FROM events
             WHERE kind = ? AND id = ? AND state = 'effective' ORDER BY version",
        )?;
        let rows = statement.query_map(params![kind, id], |row| {
            let seq = row.get::<_, i64>(0)? as u64;
            let (body, known_from) = (row.get::<_, String>(3)?, row.get::<_, i64>(4)?);
            let (ledger_seq, version) = (row.get::<_, i64>(1)? as u64, row.get(2)?);
            let people: (Option<String>, Option<String>) = (row.get(5)?, row.get(6)?);
            let damaged = |reason: String| JournalError::Damaged { seq, reason };
            Ok((|| {
                let body = serde_json::from_str(&body).map_err(|e| damaged(e.to_string()))?;
                let known_from = DateTime::from_timestamp_micros(known_from)
                    .ok_or_else(|| damaged("no instant".to_owned()))?;
                Ok(Recorded {
                    seq,
                    ledger_seq,
                    fact: Fact { known_from, version, body },
                    entered_by: people.0.map(PersonId::from),
                    verified_by: people.1.map(PersonId::from),
                })
            })())
        })?;
        rows.map(|row| row?).collect()
    }

    /// The head of the register as known at an instant (UTC); empty before the first event.
    pub fn head_at(&self, at: DateTime<Utc>) -> Result<String, JournalError> {
        let sql =
            "SELECT hash FROM events WHERE state = 'effective' AND known_from <= ? ORDER BY seq DESC LIMIT 1";
        let head = self.store().query_row(sql, [at.timestamp_micros()], |row| row.get(0)).optional()?;
        Ok(head.unwrap_or_default())
    }
}
