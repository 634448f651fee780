//! The journal's tables. Each change of their shape is one migration, numbered by SQLite's `user_version`; what was
//! recorded is never rewritten. Triggers keep it so: an effective event, a proposal and its end can be neither changed nor
//! removed, whatever code asks for it.

use super::JournalError;
use rusqlite::{Connection, TransactionBehavior};

/// In order; a store of version n has run the first n. Never change one that was released: add another.
const MIGRATIONS: &[&str] = &[
    // 1: the tables of the first release, which carried no number yet.
    "CREATE TABLE IF NOT EXISTS events (
       seq INTEGER PRIMARY KEY, hash TEXT NOT NULL, salt BLOB NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
       version INTEGER NOT NULL, body TEXT NOT NULL, entered_by TEXT, verified_by TEXT,
       known_from INTEGER, ledger_seq INTEGER,
       state TEXT NOT NULL CHECK (state IN ('pending', 'effective')),
       UNIQUE (kind, id, version)) STRICT;
     CREATE TABLE IF NOT EXISTS proposals (
       id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL, entered_by TEXT NOT NULL,
       entered_role TEXT NOT NULL, entered_at INTEGER NOT NULL, verified_by TEXT) STRICT;
     CREATE TABLE IF NOT EXISTS streams (
       stream INTEGER PRIMARY KEY AUTOINCREMENT, camera TEXT NOT NULL, role TEXT NOT NULL,
       UNIQUE (camera, role)) STRICT;",
    // 2: how a proposal ended stands beside it, events name the proposal they came from, and nothing can be rewritten.
    "CREATE TABLE proposal_ends (
       proposal INTEGER PRIMARY KEY REFERENCES proposals (id), outcome TEXT NOT NULL
         CHECK (outcome IN ('verified', 'effective', 'withdrawn')), by TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
     INSERT INTO proposal_ends
       SELECT id, 'verified', verified_by, entered_at FROM proposals WHERE verified_by IS NOT NULL;
     ALTER TABLE proposals DROP COLUMN verified_by;
     ALTER TABLE proposals ADD COLUMN note TEXT;
     ALTER TABLE events ADD COLUMN proposal INTEGER REFERENCES proposals (id);
     CREATE TRIGGER events_stay BEFORE DELETE ON events WHEN OLD.state = 'effective'
       BEGIN SELECT RAISE(ABORT, 'an event of the register is never removed'); END;
     CREATE TRIGGER events_fixed BEFORE UPDATE ON events
       WHEN OLD.state = 'effective' OR NEW.seq IS NOT OLD.seq OR NEW.hash IS NOT OLD.hash
         OR NEW.salt IS NOT OLD.salt OR NEW.kind IS NOT OLD.kind OR NEW.id IS NOT OLD.id
         OR NEW.version IS NOT OLD.version OR NEW.body IS NOT OLD.body OR NEW.entered_by IS NOT OLD.entered_by
         OR NEW.verified_by IS NOT OLD.verified_by OR NEW.proposal IS NOT OLD.proposal
       BEGIN SELECT RAISE(ABORT, 'an event of the register is never changed'); END;
     CREATE TRIGGER proposals_stay BEFORE DELETE ON proposals
       BEGIN SELECT RAISE(ABORT, 'a proposal is never removed'); END;
     CREATE TRIGGER proposals_fixed BEFORE UPDATE ON proposals
       BEGIN SELECT RAISE(ABORT, 'a proposal is never changed'); END;
     CREATE TRIGGER ends_stay BEFORE DELETE ON proposal_ends
       BEGIN SELECT RAISE(ABORT, 'the end of a proposal is never removed'); END;
     CREATE TRIGGER ends_fixed BEFORE UPDATE ON proposal_ends
       BEGIN SELECT RAISE(ABORT, 'the end of a proposal is never changed'); END;
     CREATE TRIGGER streams_stay BEFORE DELETE ON streams
       BEGIN SELECT RAISE(ABORT, 'a stream keeps its number for ever'); END;
     CREATE TRIGGER streams_fixed BEFORE UPDATE ON streams
       BEGIN SELECT RAISE(ABORT, 'a stream keeps its number for ever'); END;",
    // 3: grants that wait for the witness. What was recorded before waits for nothing.
    "CREATE TABLE unwitnessed (event INTEGER PRIMARY KEY REFERENCES events (seq)) STRICT;",
    // 4: since when (microseconds, UTC) a grant that waited acts, so that the register can be asked as it stood before.
    "CREATE TABLE granted (event INTEGER PRIMARY KEY REFERENCES events (seq), at INTEGER NOT NULL) STRICT;
     CREATE TRIGGER granted_stay BEFORE DELETE ON granted
       BEGIN SELECT RAISE(ABORT, 'since when a grant acts is never removed'); END;
     CREATE TRIGGER granted_fixed BEFORE UPDATE ON granted
       BEGIN SELECT RAISE(ABORT, 'since when a grant acts is never changed'); END;",
];

/// Brings a store to the newest version, each step in a transaction of its own.
///
/// # Errors
/// [`JournalError::Newer`] for a store that a later release wrote; the store's own errors.
pub(super) fn migrate(store: &mut Connection) -> Result<(), JournalError> {
    store.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         PRAGMA recursive_triggers = ON;",
    )?;
    let version: usize = store.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))? as usize;
    let Some(missing) = MIGRATIONS.get(version..) else {
        return Err(JournalError::Newer { version, known: MIGRATIONS.len() });
    };
    for (number, migration) in (version + 1..).zip(missing) {
        let change = store.transaction_with_behavior(TransactionBehavior::Immediate)?;
        change.execute_batch(migration)?;
        change.pragma_update(None, "user_version", number as i64)?;
        change.commit()?;
    }
    Ok(())
}
