//! The register's journal: every fact the municipalities and the police recorded, in order, never changed, and the
//! snapshot of the register that follows from it.
//!
//! Each event has one leaf in the ledger, and takes effect in three steps (`decisions.md` 10): the row is *pending*,
//! the leaf is durable, the row is *effective*. After a crash between them, [`Journal::open`] asks the ledger which side
//! it is on. Events are chained by salted hashes; a journal whose head is not the ledger's last register leaf is refused.

use crate::{
    clock::SharedClock,
    identity::{hex, random},
    log::SharedLog,
};
use chrono::{DateTime, Utc};
use ledger::{Change, Entry, Object, Operation, Outcome};
use mandate::{CameraId, Fact, FactBody, MunicipalityId, PersonId, Policy, Register};
use media::StreamId;
use protocol::api::StreamRole;
use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};
use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// The action of a register leaf.
pub const RECORD: &str = "register.record";

/// Why the journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The store failed.
    #[error("journal: {0}")]
    Store(#[from] rusqlite::Error),
    /// The fact contradicts the register.
    #[error("{0}")]
    Invalid(String),
    /// A stored event cannot be read.
    #[error("journal event {seq} cannot be read: {reason}")]
    Damaged {
        /// Which.
        seq: u64,
        /// Why.
        reason: String,
    },
    /// Journal and ledger do not belong together.
    #[error(
        "the journal ends with event {journal}, the ledger's last register entry is {ledger}: one of them was replaced. \
         Nothing is recorded or shown until the right one is put back"
    )]
    Apart {
        /// The journal's head.
        journal: String,
        /// The ledger's.
        ledger: String,
    },
    /// The leaf could not be written, so the fact has no effect (yet).
    #[error("the log cannot be written: {0}")]
    Log(#[from] ledger::LedgerError),
    /// No random numbers.
    #[error("{0}")]
    Machine(String),
    /// Already filled.
    #[error("the journal is not empty: the first facts are entered once only")]
    NotEmpty,
}

/// The register at one moment, with the head of the journal that it is the projection of.
pub struct Snapshot {
    /// The compiled register.
    pub register: Register,
    /// Hash of the last event, hexadecimal; goes into every decision's leaf.
    pub head: Arc<str>,
    /// Every version of every fact.
    pub facts: Arc<Vec<Fact>>,
}

/// The newest register leaf of the ledger, as far as the journal must know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterLeaf {
    /// The journal's own number of the event.
    pub journal_seq: u64,
    /// The event's hash, hexadecimal.
    pub hash: String,
    /// The leaf's instant.
    pub at: DateTime<Utc>,
    /// The leaf's index.
    pub ledger_seq: u64,
}

impl RegisterLeaf {
    /// Reads a leaf; `None` for other leaves.
    pub fn read(ledger_seq: u64, leaf: &serde_json::Value) -> Option<Self> {
        if leaf.get("action")?.as_str()? != RECORD {
            return None;
        }
        let data = leaf.get("data")?;
        Some(Self {
            journal_seq: data.get("journal")?.as_u64()?,
            hash: data.get("event")?.as_str()?.to_owned(),
            at: leaf.get("at")?.as_str()?.parse().ok()?,
            ledger_seq,
        })
    }
}

/// Who entered a fact and who verified it.
#[derive(Clone, Debug, Default)]
pub struct Provenance {
    /// Who; none at first start.
    pub entered_by: Option<PersonId>,
    /// The second person.
    pub verified_by: Option<PersonId>,
    /// For the leaf: who acts now.
    pub actor: Option<ledger::Actor>,
    /// For the leaf: from where.
    pub origin: ledger::Origin,
}

struct Inner {
    store: Mutex<Connection>,
    log: SharedLog,
    clock: SharedClock,
    policy: Policy,
    snapshot: watch::Sender<Arc<Snapshot>>,
    /// One event at a time, from pending to effective.
    writing: tokio::sync::Mutex<()>,
}

/// The journal. Cheap to clone.
#[derive(Clone)]
pub struct Journal(Arc<Inner>);

struct Row {
    seq: u64,
    hash: String,
    body: String,
    version: u32,
    known_from: Option<i64>,
}

impl Journal {
    /// Opens `journal.sqlite` at `path`, finishes or takes back what a crash interrupted, and compares its head with
    /// `last_leaf`, the ledger's newest register leaf.
    pub fn open(
        path: &Path,
        log: SharedLog,
        clock: SharedClock,
        policy: Policy,
        last_leaf: Option<&RegisterLeaf>,
    ) -> Result<Self, JournalError> {
        let store = Connection::open(path)?;
        store.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             CREATE TABLE IF NOT EXISTS events (
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
        )?;
        reconcile(&store, last_leaf)?;
        let (facts, head) = load(&store)?;
        let ledger_head = last_leaf.map_or("", |leaf| leaf.hash.as_str());
        if head != ledger_head {
            let name = |h: &str| if h.is_empty() { "none".to_owned() } else { h.to_owned() };
            return Err(JournalError::Apart { journal: name(&head), ledger: name(ledger_head) });
        }
        let snapshot = watch::Sender::new(Arc::new(snapshot(facts, &head, clock.now(), &policy)?));
        Ok(Self(Arc::new(Inner {
            store: Mutex::new(store),
            log,
            clock,
            policy,
            snapshot,
            writing: tokio::sync::Mutex::default(),
        })))
    }

    /// The register as it is now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshot.borrow().clone()
    }

    /// The register now and whenever it changes.
    pub fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.0.snapshot.subscribe()
    }

    /// Compiles the register anew for the present: its windows reach a bounded way ahead.
    pub fn refresh(&self) -> Result<(), JournalError> {
        let old = self.snapshot();
        let fresh = snapshot(old.facts.to_vec(), &old.head, self.0.clock.now(), &self.0.policy)?;
        self.0.snapshot.send_replace(Arc::new(fresh));
        Ok(())
    }

    /// Records a fact: pending, leaf durable, effective. Not cancellation safe in its answer, but safe in its effect:
    /// what a dropped call left pending is settled by the next call or start.
    pub async fn record(&self, body: FactBody, by: Provenance) -> Result<Fact, JournalError> {
        self.record_all(vec![body], by)
            .await?
            .pop()
            .ok_or_else(|| JournalError::Machine("no event".to_owned()))
    }

    /// Records the facts of the first start, on an empty journal only.
    pub async fn record_first(&self, bodies: Vec<FactBody>) -> Result<usize, JournalError> {
        if !self.snapshot().facts.is_empty() {
            return Err(JournalError::NotEmpty);
        }
        Ok(self.record_all(bodies, Provenance::default()).await?.len())
    }

    async fn record_all(&self, bodies: Vec<FactBody>, by: Provenance) -> Result<Vec<Fact>, JournalError> {
        let _one_at_a_time = self.0.writing.lock().await;
        let before = self.snapshot();
        let now = self.0.clock.now();
        let mut facts: Vec<Fact> = before.facts.to_vec();
        let mut head = before.head.to_string();
        let mut added = Vec::new();
        // First everything in memory, so that a contradiction is found before anything is written.
        for body in bodies {
            let key = body.key();
            let version = facts.iter().filter(|f| f.body.key() == key).count() as u32 + 1;
            let fact = Fact { known_from: now, version, body };
            facts.push(fact.clone());
            added.push(fact);
        }
        snapshot(facts.clone(), &head, now, &self.0.policy)?;
        let first = facts.len() - added.len();
        let mut done = Vec::new();
        for (i, fact) in added.into_iter().enumerate() {
            let seq = self.next_seq()?;
            let old = before.facts.iter().rev().find(|f| f.body.key() == fact.body.key()).map(|f| &f.body);
            let (hash, entry) = self.pend(seq, &head, &fact, old, now, &by)?;
            let receipt = self.0.log.append(entry).await?;
            let known_from = receipt.at;
            self.store().execute(
                "UPDATE events SET state = 'effective', known_from = ?, ledger_seq = ? WHERE seq = ?",
                params![known_from.timestamp_micros(), receipt.seq as i64, seq as i64],
            )?;
            let fact = Fact { known_from, ..fact };
            if let Some(slot) = facts.get_mut(first + i) {
                *slot = fact.clone();
            }
            done.push(fact);
            head = hash;
        }
        self.0.snapshot.send_replace(Arc::new(snapshot(facts, &head, self.0.clock.now(), &self.0.policy)?));
        Ok(done)
    }

    /// Writes the pending row and makes its leaf.
    fn pend(
        &self,
        seq: u64,
        head: &str,
        fact: &Fact,
        old: Option<&FactBody>,
        now: DateTime<Utc>,
        by: &Provenance,
    ) -> Result<(String, Entry), JournalError> {
        let (kind, id) = name_of(&fact.body);
        let value = json(&fact.body)?;
        let body = value.to_string();
        let salt: [u8; 16] = random().map_err(|e| JournalError::Machine(e.to_string()))?;
        let hash = event_hash(head, &salt, &body);
        self.store().execute(
            "INSERT INTO events (seq, hash, salt, kind, id, version, body, entered_by, verified_by, state)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending')",
            params![
                seq as i64,
                hash,
                salt,
                kind,
                id,
                fact.version,
                body,
                by.entered_by.as_ref().map(PersonId::as_str),
                by.verified_by.as_ref().map(PersonId::as_str)
            ],
        )?;
        let old = old.map(json).transpose()?.unwrap_or_default();
        let (object, change) = match person_of(&fact.body) {
            Some(person) => (Object::person(person), Change::Private { old, new: value }),
            None => (Object::thing(&kind, &id), Change::Clear { old, new: value }),
        };
        let mut entry = Entry::new(now, Operation::Admin, RECORD);
        entry.actor = by.actor.clone().unwrap_or(ledger::Actor::System);
        entry.origin = by.origin.clone();
        entry.object = Some(object);
        entry.change = Some(change);
        entry.outcome = Outcome::Done;
        entry.legal_context.register_head = Some(head.to_owned());
        entry.data = Some(serde_json::json!({
            "journal": seq, "event": hash, "previous": head, "kind": kind, "version": fact.version,
        }));
        Ok((hash, entry))
    }

    /// The number after the last effective event; a pending row that a failed append left behind gives way.
    fn next_seq(&self) -> Result<u64, JournalError> {
        let store = self.store();
        // A failed append may still have become durable; then the ledger is ahead, which the next start finds and
        // repairs from this row. Until then nothing else may take its place.
        let pending: Option<i64> = store
            .query_row("SELECT seq FROM events WHERE state = 'pending'", [], |row| row.get(0))
            .optional()?;
        if let Some(seq) = pending {
            return Err(JournalError::Machine(format!(
                "event {seq} waits for the log to say whether it was written; restart the daemon when the log works again"
            )));
        }
        let last: Option<i64> = store.query_row("SELECT max(seq) FROM events", [], |row| row.get(0))?;
        Ok(last.map_or(1, |seq| seq as u64 + 1))
    }

    /// The number under which a camera's stream is filed, made on first use and kept for ever.
    pub fn stream(&self, camera: &CameraId, role: StreamRole) -> Result<StreamId, JournalError> {
        let role = match role {
            StreamRole::Main => "main",
            StreamRole::Sub => "sub",
        };
        let store = self.store();
        store.execute(
            "INSERT OR IGNORE INTO streams (camera, role) VALUES (?, ?)",
            params![camera.as_str(), role],
        )?;
        let number: u32 = store.query_row(
            "SELECT stream FROM streams WHERE camera = ? AND role = ?",
            params![camera.as_str(), role],
            |row| row.get(0),
        )?;
        Ok(StreamId(number))
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, Connection> {
        self.0.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Settles the row that a crash left pending: effective if its leaf is in the ledger, else as if it had never been.
fn reconcile(store: &Connection, last_leaf: Option<&RegisterLeaf>) -> Result<(), JournalError> {
    if let Some(leaf) = last_leaf {
        store.execute(
            "UPDATE events SET state = 'effective', known_from = ?, ledger_seq = ? WHERE state = 'pending' AND seq = ? AND hash = ?",
            params![leaf.at.timestamp_micros(), leaf.ledger_seq as i64, leaf.journal_seq as i64, leaf.hash],
        )?;
    }
    store.execute("DELETE FROM events WHERE state = 'pending'", [])?;
    Ok(())
}

fn load(store: &Connection) -> Result<(Vec<Fact>, String), JournalError> {
    let mut statement =
        store.prepare("SELECT seq, hash, salt, body, version, known_from FROM events ORDER BY seq")?;
    let rows = statement.query_map([], |row| {
        let salt: Vec<u8> = row.get(2)?;
        let row = Row {
            seq: row.get::<_, i64>(0)? as u64,
            hash: row.get(1)?,
            body: row.get(3)?,
            version: row.get(4)?,
            known_from: row.get(5)?,
        };
        Ok((row, salt))
    })?;
    let mut facts = Vec::new();
    let mut head = String::new();
    for row in rows {
        let (row, salt) = row?;
        let damaged = |reason: &str| JournalError::Damaged { seq: row.seq, reason: reason.to_owned() };
        if event_hash(&head, &salt, &row.body) != row.hash {
            return Err(damaged("its hash is another one"));
        }
        let known_from =
            row.known_from.and_then(DateTime::from_timestamp_micros).ok_or_else(|| damaged("no instant"))?;
        let body = serde_json::from_str(&row.body).map_err(|e| damaged(&e.to_string()))?;
        facts.push(Fact { known_from, version: row.version, body });
        head = row.hash;
    }
    Ok((facts, head))
}

fn snapshot(
    facts: Vec<Fact>,
    head: &str,
    now: DateTime<Utc>,
    policy: &Policy,
) -> Result<Snapshot, JournalError> {
    let register = Register::with_policy(&facts, now, policy.clone())
        .map_err(|e| JournalError::Invalid(e.to_string()))?;
    Ok(Snapshot { register, head: Arc::from(head), facts: Arc::new(facts) })
}

fn json(body: &FactBody) -> Result<serde_json::Value, JournalError> {
    serde_json::to_value(body).map_err(|e| JournalError::Invalid(e.to_string()))
}

fn event_hash(head: &str, salt: &[u8], body: &str) -> String {
    let mut hash = Sha256::new();
    // Lengths first, so that no two events share their bytes.
    for part in [head.as_bytes(), salt, body.as_bytes()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex(&hash.finalize())
}

/// Kind (as the stable word) and id of a fact: what its versions have in common.
pub fn name_of(body: &FactBody) -> (String, String) {
    let (kind, id) = body.key();
    (crate::gate::word(&kind), id.to_string())
}

/// The person a fact is about; such facts stand in the ledger as commitments only.
pub fn person_of(body: &FactBody) -> Option<&PersonId> {
    match body {
        FactBody::Person(f) => Some(&f.id),
        FactBody::Authorisation(f) => Some(&f.person),
        FactBody::Shift(f) => Some(&f.person),
        _ => None,
    }
}

/// The municipality a fact belongs to, found through its decree, area or camera where it names none itself.
pub fn municipality_of(snapshot: &Snapshot, body: &FactBody) -> Option<MunicipalityId> {
    let newest = |kind: &str, id: &str| {
        snapshot.facts.iter().rev().map(|f| &f.body).find(|b| {
            let (k, i) = name_of(b);
            k == kind && i == id
        })
    };
    let through = |kind: &str, id: &str| newest(kind, id).and_then(|found| municipality_of(snapshot, found));
    match body {
        FactBody::Municipality(f) => Some(f.id.clone()),
        FactBody::Ordinance(f) => Some(f.municipality.clone()),
        FactBody::Decree(f) => Some(f.municipality.clone()),
        FactBody::Consultation(f) => Some(f.municipality.clone()),
        FactBody::Camera(f) => Some(f.municipality.clone()),
        FactBody::Area(f) => through("decree", f.decree.as_str()),
        FactBody::Extension(f) => through("decree", f.decree.as_str()),
        FactBody::Revocation(f) => through("decree", f.decree.as_str()),
        FactBody::Period(f) => through("decree", f.decree.as_str()),
        FactBody::ExtraWindow(f) => through("decree", f.decree.as_str()),
        FactBody::Signage(f) => through("area", f.area.as_str()),
        FactBody::Position(f) => through("camera", f.camera.as_str()),
        FactBody::Mask(f) => through("position", f.position.as_str()),
        FactBody::Organisation(_)
        | FactBody::Agreement(_)
        | FactBody::Person(_)
        | FactBody::Authorisation(_)
        | FactBody::Shift(_)
        | FactBody::Instruction(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::ManualClock,
        testing::{FakeLog, facts, journal},
    };

    fn clock() -> ManualClock {
        ManualClock::new("2026-06-13T20:00:00Z".parse().unwrap())
    }

    /// The newest register leaf, as the ledger would give it back.
    fn leaf(log: &FakeLog, back: usize) -> Option<RegisterLeaf> {
        let entries = log.entries.lock().unwrap();
        let (seq, entry) = entries.iter().enumerate().rev().filter(|(_, e)| e.action == RECORD).nth(back)?;
        let json = serde_json::json!({ "action": RECORD, "at": entry.at, "data": entry.data });
        RegisterLeaf::read(seq as u64, &json)
    }

    fn open(folder: &Path, log: &Arc<FakeLog>, leaf: Option<&RegisterLeaf>) -> Result<Journal, JournalError> {
        Journal::open(&folder.join("journal.sqlite"), log.clone(), Arc::new(clock()), Policy::default(), leaf)
    }

    #[tokio::test]
    async fn what_was_recorded_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let log = FakeLog::new(&clock());
        let first = journal(folder.path(), &log, &clock()).await;
        let (head, count) = (first.snapshot().head.clone(), first.snapshot().facts.len());
        assert_eq!(count, facts().len());
        assert_eq!(log.entries.lock().unwrap().len(), count, "one leaf for each event");
        assert!(matches!(first.record_first(facts()).await, Err(JournalError::NotEmpty)));
        drop(first);
        let again = open(folder.path(), &log, leaf(&log, 0).as_ref()).unwrap();
        assert_eq!(again.snapshot().head, head);
        assert_eq!(again.snapshot().facts.len(), count);
    }

    #[tokio::test]
    async fn a_crash_between_the_steps_is_settled_by_the_ledger() {
        let folder = tempfile::tempdir().unwrap();
        let log = FakeLog::new(&clock());
        let journal = journal(folder.path(), &log, &clock()).await;
        let count = journal.snapshot().facts.len() as i64;
        let pending = |journal: &Journal| {
            let sql =
                "UPDATE events SET state = 'pending', known_from = NULL, ledger_seq = NULL WHERE seq = ?";
            journal.store().execute(sql, [count]).unwrap();
        };
        // The leaf was durable: the event took place.
        pending(&journal);
        drop(journal);
        let journal = open(folder.path(), &log, leaf(&log, 0).as_ref()).unwrap();
        assert_eq!(journal.snapshot().facts.len() as i64, count);
        // It was not: the event never was.
        pending(&journal);
        drop(journal);
        let journal = open(folder.path(), &log, leaf(&log, 1).as_ref()).unwrap();
        assert_eq!(journal.snapshot().facts.len() as i64, count - 1);
    }

    #[tokio::test]
    async fn a_journal_that_is_not_the_ledgers_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let log = FakeLog::new(&clock());
        let journal = journal(folder.path(), &log, &clock()).await;
        drop(journal);
        assert!(matches!(open(folder.path(), &log, leaf(&log, 3).as_ref()), Err(JournalError::Apart { .. })));
        assert!(matches!(open(folder.path(), &log, None), Err(JournalError::Apart { .. })));
    }

    #[tokio::test]
    async fn a_changed_event_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let log = FakeLog::new(&clock());
        let journal = journal(folder.path(), &log, &clock()).await;
        let sql = "UPDATE events SET body = replace(body, '21:00', '20:00') WHERE kind = 'period'";
        assert_eq!(journal.store().execute(sql, []).unwrap(), 1);
        drop(journal);
        assert!(matches!(
            open(folder.path(), &log, leaf(&log, 0).as_ref()),
            Err(JournalError::Damaged { .. })
        ));
    }

    #[tokio::test]
    async fn nothing_takes_effect_without_its_leaf() {
        let folder = tempfile::tempdir().unwrap();
        let log = FakeLog::new(&clock());
        let journal = journal(folder.path(), &log, &clock()).await;
        let before = journal.snapshot();
        log.fail(Some(before.register.known_at()));
        let refused = journal.record(facts().remove(0), Provenance::default()).await;
        assert!(matches!(refused, Err(JournalError::Log(_))));
        assert!(Arc::ptr_eq(&before, &journal.snapshot()));
    }
}
