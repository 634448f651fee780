//! Facts that wait for a second person: entered, then verified or withdrawn, never removed.

use super::{Journal, JournalError};
use chrono::{DateTime, Utc};
use mandate::{FactBody, PersonId, Role};
use rusqlite::{OptionalExtension as _, Row, params};

/// A proposal as the journal keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposed {
    /// Its number.
    pub id: u64,
    /// What is to be recorded.
    pub body: FactBody,
    /// Who entered it.
    pub entered_by: PersonId,
    /// In which role.
    pub role: Role,
    /// When.
    pub entered_at: DateTime<Utc>,
    /// Why, in the words of who entered it.
    pub note: Option<String>,
    /// How it ended; none while it waits.
    pub end: Option<Ending>,
    /// Whether its event waits for the log to say whether it was written.
    pub settling: bool,
    /// Whether it is recorded and gives nothing before the witness has seen its entry.
    pub unwitnessed: bool,
}

/// How a proposal can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A second person verified it; it has effect.
    Verified,
    /// It has effect without a second person: what it is about needs none.
    Effective,
    /// It was taken back without effect.
    Withdrawn,
}

/// The end of a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// How.
    pub outcome: Outcome,
    /// By whom.
    pub by: PersonId,
    /// When.
    pub at: DateTime<Utc>,
}

const SELECT: &str =
    "SELECT p.id, p.body, p.entered_by, p.entered_role, p.entered_at, p.note, e.outcome, e.by, e.at,
     EXISTS (SELECT 1 FROM events v WHERE v.proposal = p.id AND v.state = 'pending'),
     EXISTS (SELECT 1 FROM events v JOIN unwitnessed u ON u.event = v.seq WHERE v.proposal = p.id)
     FROM proposals p LEFT JOIN proposal_ends e ON e.proposal = p.id";

fn read(row: &Row<'_>) -> rusqlite::Result<Result<Proposed, JournalError>> {
    let id: i64 = row.get(0)?;
    let (body, entered_by, role) =
        (row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get::<_, String>(3)?);
    let (entered_at, note) = (row.get::<_, i64>(4)?, row.get(5)?);
    let end =
        (row.get::<_, Option<String>>(6)?, row.get::<_, Option<String>>(7)?, row.get::<_, Option<i64>>(8)?);
    let (settling, unwitnessed) = (row.get(9)?, row.get(10)?);
    let damaged =
        |e: &dyn std::fmt::Display| JournalError::Machine(format!("proposal {id} cannot be read: {e}"));
    let instant = |at: i64| DateTime::from_timestamp_micros(at).ok_or_else(|| damaged(&"no instant"));
    Ok((|| {
        let end = match end {
            (Some(outcome), Some(by), Some(at)) => {
                let outcome = match outcome.as_str() {
                    "verified" => Outcome::Verified,
                    "effective" => Outcome::Effective,
                    _ => Outcome::Withdrawn,
                };
                Some(Ending { outcome, by: PersonId::from(by), at: instant(at)? })
            }
            _ => None,
        };
        Ok(Proposed {
            id: id as u64,
            body: serde_json::from_str(&body).map_err(|e| damaged(&e))?,
            entered_by: PersonId::from(entered_by),
            role: serde_json::from_value(serde_json::Value::String(role)).map_err(|e| damaged(&e))?,
            entered_at: instant(entered_at)?,
            note,
            end,
            settling,
            unwitnessed,
        })
    })())
}

impl Journal {
    /// Keeps what somebody enters. The caller has passed the gate.
    pub fn propose(
        &self,
        body: &FactBody,
        entered_by: &PersonId,
        role: Role,
        note: Option<&str>,
    ) -> Result<Proposed, JournalError> {
        let text = serde_json::to_string(body).map_err(|e| JournalError::Invalid(e.to_string()))?;
        let at = self.0.clock.now().timestamp_micros();
        let store = self.store();
        store.execute(
            "INSERT INTO proposals (body, entered_by, entered_role, entered_at, note) VALUES (?, ?, ?, ?, ?)",
            params![text, entered_by.as_str(), crate::gate::word(&role), at, note],
        )?;
        let id = store.last_insert_rowid() as u64;
        drop(store);
        self.proposal(id)?.ok_or_else(|| JournalError::Machine(format!("proposal {id} is gone")))
    }

    /// One proposal.
    pub fn proposal(&self, id: u64) -> Result<Option<Proposed>, JournalError> {
        let store = self.store();
        store.query_row(&format!("{SELECT} WHERE p.id = ?"), [id as i64], read).optional()?.transpose()
    }

    /// The newest proposals, newest first.
    pub fn proposals(&self, limit: u32) -> Result<Vec<Proposed>, JournalError> {
        let store = self.store();
        let mut statement = store.prepare_cached(&format!("{SELECT} ORDER BY p.id DESC LIMIT ?"))?;
        statement.query_map([limit], read)?.map(|row| row?).collect()
    }

    /// Those that wait, in the order in which they were entered.
    pub fn open_proposals(&self) -> Result<Vec<Proposed>, JournalError> {
        let store = self.store();
        let mut statement =
            store.prepare_cached(&format!("{SELECT} WHERE e.proposal IS NULL ORDER BY p.id LIMIT 10000"))?;
        statement.query_map([], read)?.map(|row| row?).collect()
    }

    /// Ends a proposal that waits, without effect. False when it had ended, or is on its way to being recorded.
    pub fn withdraw(&self, id: u64, by: &PersonId) -> Result<bool, JournalError> {
        let at = self.0.clock.now().timestamp_micros();
        let ended = self.store().execute(
            "INSERT INTO proposal_ends (proposal, outcome, by, at)
             SELECT id, 'withdrawn', ?2, ?3 FROM proposals p WHERE id = ?1
               AND NOT EXISTS (SELECT 1 FROM proposal_ends WHERE proposal = ?1)
               AND NOT EXISTS (SELECT 1 FROM events WHERE proposal = ?1)",
            params![id as i64, by.as_str(), at],
        )?;
        Ok(ended > 0)
    }
}
