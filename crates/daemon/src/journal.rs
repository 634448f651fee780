//! The register's journal: every fact the municipalities and the police recorded, in order, never changed, and the
//! snapshot of the register that follows from it.
//!
//! Each event has one leaf in the ledger, and takes effect in three steps (`decisions.md` 10): the row is *pending*,
//! the leaf is durable, the row is *effective*. When it is not known whether the leaf became durable (the log took too
//! long, or the daemon died), the ledger is asked: at run time as soon as it can be written again (`settle`), after a
//! crash by [`Journal::open`]. Events are chained by salted hashes; a journal whose head is not the ledger's last register
//! leaf is refused.

mod granting;
mod history;
mod place;
mod proposals;
mod schema;
mod settle;
mod streams;

use granting::{Grants, Waiting, in_force};
pub use history::Recorded;
pub use proposals::{Ending, Outcome as ProposalOutcome, Proposed};
use settle::People;

use crate::{
    clock::SharedClock,
    identity::{hex, random},
    log::SharedLog,
};
use chrono::{DateTime, TimeDelta, Utc};
use ledger::{Change, Entry, Object, Operation, Outcome};
use mandate::{Fact, FactBody, MunicipalityId, PersonId, Policy, Register};
use rusqlite::{Connection, params};
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
    /// A later release wrote it.
    #[error("the journal has version {version}, this program knows {known}: start the release that wrote it")]
    Newer {
        /// The store's version.
        version: usize,
        /// The newest that is known here.
        known: usize,
    },
    /// It is not known whether the log holds an event; asked again as soon as the log can be written.
    #[error(
        "event {seq} waits for the log to say whether it was written; wait until the log can be written again"
    )]
    Unsettled {
        /// Which.
        seq: u64,
    },
    /// Somebody else ended the proposal first.
    #[error("proposal {0} has ended already")]
    Ended(u64),
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
    /// The proposal that becomes effective by it.
    pub proposal: Option<u64>,
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
    /// Rung when an event was left pending.
    unsettled: tokio::sync::Notify,
    /// Grants that the witness has not seen yet.
    grants: Grants,
    /// The newest register leaf at the start.
    newest_leaf: Option<u64>,
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
        let mut store = Connection::open(path)?;
        schema::migrate(&mut store)?;
        settle::after_crash(&mut store, last_leaf)?;
        let (facts, head) = load(&store)?;
        let ledger_head = last_leaf.map_or("", |leaf| leaf.hash.as_str());
        if head != ledger_head {
            let name = |h: &str| if h.is_empty() { "none".to_owned() } else { h.to_owned() };
            return Err(JournalError::Apart { journal: name(&head), ledger: name(ledger_head) });
        }
        let none = Waiting::new();
        let snapshot =
            watch::Sender::new(Arc::new(published(facts, &head, clock.now(), &policy, &none, None)?));
        Ok(Self(Arc::new(Inner {
            store: Mutex::new(store),
            log,
            clock,
            policy,
            snapshot,
            writing: tokio::sync::Mutex::default(),
            unsettled: tokio::sync::Notify::new(),
            grants: Grants::default(),
            newest_leaf: last_leaf.map(|leaf| leaf.ledger_seq),
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
        let fresh = self.published(old.facts.to_vec(), &old.head, &old)?;
        self.0.snapshot.send_replace(Arc::new(fresh));
        Ok(())
    }

    /// Records a fact: pending, leaf durable, effective. Runs to its end also when the caller goes away.
    ///
    /// # Errors
    /// [`JournalError::Log`] and [`JournalError::Unsettled`]: no effect yet; when the log's answer is not known, the event
    /// takes effect or vanishes as soon as the log can be asked. Others: no effect.
    pub async fn record(&self, body: FactBody, by: Provenance) -> Result<Fact, JournalError> {
        self.record_many(vec![(body, by)])
            .await?
            .pop()
            .ok_or_else(|| JournalError::Machine("no event".to_owned()))
    }

    /// Records several facts in order; the register changes once, when all are recorded. When one cannot be, those
    /// before it have taken effect.
    pub async fn record_many(&self, entries: Vec<(FactBody, Provenance)>) -> Result<Vec<Fact>, JournalError> {
        let journal = self.clone();
        // On a task of its own: a request that is dropped half-way must leave nothing in doubt.
        let recording = tokio::spawn(async move { journal.record_here(entries).await });
        recording.await.map_err(|e| JournalError::Machine(e.to_string()))?
    }

    /// Records the facts of the first start, on an empty journal only.
    pub async fn record_first(&self, bodies: Vec<FactBody>) -> Result<usize, JournalError> {
        if !self.snapshot().facts.is_empty() {
            return Err(JournalError::NotEmpty);
        }
        let entries = bodies.into_iter().map(|body| (body, Provenance::default())).collect();
        Ok(self.record_many(entries).await?.len())
    }

    /// The register as it would be known now if these facts were recorded too.
    pub fn suppose(&self, bodies: impl IntoIterator<Item = FactBody>) -> Result<Snapshot, JournalError> {
        let before = self.snapshot();
        let now = self.0.clock.now();
        let (facts, _) = with_added(&before.facts, bodies, now);
        snapshot(facts, &before.head, now, &self.0.policy, &self.0.grants.waiting())
    }

    /// The register as it was known at an instant (UTC).
    pub fn as_known(&self, at: DateTime<Utc>) -> Result<Snapshot, JournalError> {
        let facts: Vec<Fact> = self.snapshot().facts.iter().filter(|f| f.known_from <= at).cloned().collect();
        let head = self.head_at(at)?;
        snapshot(facts, &head, at, &self.0.policy, &self.waiting_at(at)?)
    }

    async fn record_here(&self, entries: Vec<(FactBody, Provenance)>) -> Result<Vec<Fact>, JournalError> {
        let _one_at_a_time = self.0.writing.lock().await;
        self.settle().await?;
        for proposal in entries.iter().filter_map(|(_, by)| by.proposal) {
            if self.proposal(proposal)?.is_none_or(|known| known.end.is_some()) {
                return Err(JournalError::Ended(proposal));
            }
        }
        let before = self.snapshot();
        let now = self.0.clock.now();
        let (bodies, by): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
        // First everything in memory, so that a contradiction is found before anything is written.
        let (all, first) = with_added(&before.facts, bodies, now);
        snapshot(all.clone(), &before.head, now, &self.0.policy, &self.0.grants.waiting())?;
        let mut facts = before.facts.to_vec();
        let mut head = before.head.to_string();
        let mut outcome = Ok(());
        for (fact, by) in all.into_iter().skip(first).zip(by) {
            match self.take_effect(&head, fact, &facts, now, by).await {
                Ok((hash, fact)) => {
                    head = hash;
                    facts.push(fact);
                }
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        let done: Vec<Fact> = facts.iter().skip(first).cloned().collect();
        if !done.is_empty() {
            self.publish(facts, &head)?;
        }
        outcome.map(|()| done)
    }

    fn publish(&self, facts: Vec<Fact>, head: &str) -> Result<(), JournalError> {
        let old = self.snapshot();
        let fresh = self.published(facts, head, &old)?;
        self.0.snapshot.send_replace(Arc::new(fresh));
        Ok(())
    }

    fn published(&self, facts: Vec<Fact>, head: &str, old: &Snapshot) -> Result<Snapshot, JournalError> {
        let waiting = self.0.grants.waiting();
        published(facts, head, self.0.clock.now(), &self.0.policy, &waiting, Some(old))
    }

    /// Pending, leaf durable, effective. Gives the new head.
    async fn take_effect(
        &self,
        head: &str,
        fact: Fact,
        facts: &[Fact],
        now: DateTime<Utc>,
        by: Provenance,
    ) -> Result<(String, Fact), JournalError> {
        let seq = self.next_seq()?;
        let key = fact.body.key();
        let old = facts.iter().rev().find(|f| f.body.key() == key).map(|f| &f.body);
        let (hash, mut entry) = self.pend(seq, head, &fact, old, now, &by)?;
        if let Some(object) = &mut entry.object {
            object.municipality = place::municipality_of(&fact.body, facts).map(|id| id.to_string());
        }
        match self.0.log.append(entry).await {
            Ok(receipt) => {
                let by =
                    People { entered_by: by.entered_by, verified_by: by.verified_by, proposal: by.proposal };
                let effective = self.effective(seq, receipt.at, receipt.seq, &by);
                if let Err(error) = effective {
                    self.0.unsettled.notify_one();
                    return Err(error);
                }
                Ok((hash, Fact { known_from: receipt.at, ..fact }))
            }
            Err(error) => {
                if settle::never_tried(&error) {
                    self.take_back(seq)?;
                } else {
                    self.0.unsettled.notify_one();
                }
                Err(error.into())
            }
        }
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
            "INSERT INTO events (seq, hash, salt, kind, id, version, body, entered_by, verified_by, proposal, state)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending')",
            params![
                seq as i64,
                hash,
                salt,
                kind,
                id,
                fact.version,
                body,
                by.entered_by.as_ref().map(PersonId::as_str),
                by.verified_by.as_ref().map(PersonId::as_str),
                by.proposal.map(|id| id as i64)
            ],
        )?;
        let old = old.map(json).transpose()?.unwrap_or_default();
        let mut note = None;
        let change = match &fact.body {
            body if names_people(body) => Change::Private { old, new: value },
            // Windows stand in clear, but for what somebody wrote about them in their own words.
            FactBody::ExtraWindow(window) => {
                note.clone_from(&window.ground);
                Change::Clear { old: without(old, "ground"), new: without(value, "ground") }
            }
            _ => Change::Clear { old, new: value },
        };
        let mut entry = Entry::new(now, Operation::Admin, RECORD);
        entry.actor = by.actor.clone().unwrap_or(ledger::Actor::System);
        entry.origin = by.origin.clone();
        entry.object = Some(object_of(&fact.body));
        entry.change = Some(change);
        entry.justification.note = note;
        entry.outcome = Outcome::Done;
        entry.legal_context.register_head = Some(head.to_owned());
        entry.data = Some(serde_json::json!({
            "journal": seq, "event": hash, "previous": head, "kind": kind, "version": fact.version,
            "proposal": by.proposal,
        }));
        Ok((hash, entry))
    }

    /// The number after the last event.
    fn next_seq(&self) -> Result<u64, JournalError> {
        let last: Option<i64> =
            self.store().query_row("SELECT max(seq) FROM events", [], |row| row.get(0))?;
        Ok(last.map_or(1, |seq| seq as u64 + 1))
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, Connection> {
        self.0.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

/// The facts with new versions behind them, and how many there were.
fn with_added(
    facts: &[Fact],
    bodies: impl IntoIterator<Item = FactBody>,
    now: DateTime<Utc>,
) -> (Vec<Fact>, usize) {
    let first = facts.len();
    let mut facts = facts.to_vec();
    for body in bodies {
        let key = body.key();
        let version = facts.iter().filter(|f| f.body.key() == key).map(|f| f.version).max().unwrap_or(0) + 1;
        facts.push(Fact { known_from: now, version, body });
    }
    (facts, first)
}

/// Footage of this age may be asked about any moment (151c lid 9), held footage apart.
const ASKED_ABOUT: TimeDelta = TimeDelta::days(28);

/// What was known for a shorter time than this hardly anything was recorded under; it is compiled when it is asked about.
const KNOWN_FOR: TimeDelta = TimeDelta::seconds(1);
/// So many instants at which more became known are compiled ahead: some hundred changes a month would be a busy register.
const COMPILED_AHEAD: usize = 128;

/// A snapshot that is to be decided by: what was known at any instant of the longest term is compiled before anybody asks, so
/// that deciding does not wait for it. What `before` has compiled is shared.
fn published(
    facts: Vec<Fact>,
    head: &str,
    now: DateTime<Utc>,
    policy: &Policy,
    waiting: &Waiting,
    before: Option<&Snapshot>,
) -> Result<Snapshot, JournalError> {
    let mut fresh = snapshot(facts, head, now, policy, waiting)?;
    if let Some(before) = before {
        fresh.register.share_known(&before.register, now - ASKED_ABOUT);
    }
    fresh.register.warm_lasting(now - ASKED_ABOUT, now, KNOWN_FOR, COMPILED_AHEAD);
    Ok(fresh)
}

fn snapshot(
    facts: Vec<Fact>,
    head: &str,
    now: DateTime<Utc>,
    policy: &Policy,
    waiting: &Waiting,
) -> Result<Snapshot, JournalError> {
    let register = Register::with_policy(&in_force(&facts, waiting), now, policy.clone())
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

/// What an entry says it is about: the thing by its name, or the person.
pub fn object_of(body: &FactBody) -> Object {
    let (kind, id) = name_of(body);
    person_of(body).map_or_else(|| Object::thing(&kind, &id), Object::person)
}

/// Whether a fact names people or says something in somebody's own words: it stands in the ledger as commitments only. Who
/// verified a mask, gave an instruction, was consulted or audited stands in the fact itself; what somebody asked about themselves,
/// what went wrong with whose data and what was found is nobody's to read in the log.
fn names_people(body: &FactBody) -> bool {
    person_of(body).is_some()
        || matches!(
            body,
            FactBody::Mask(_)
                | FactBody::Instruction(_)
                | FactBody::SubjectRequest(_)
                | FactBody::Breach(_)
                | FactBody::Consultation(_)
                | FactBody::Audit(_)
                | FactBody::AuditFinding(_)
        )
}

/// An object without one of its fields.
fn without(mut value: serde_json::Value, field: &str) -> serde_json::Value {
    if let Some(fields) = value.as_object_mut() {
        fields.remove(field);
    }
    value
}

/// The person a fact is about; such facts stand in the ledger as commitments only.
pub fn person_of(body: &FactBody) -> Option<&PersonId> {
    match body {
        FactBody::Person(f) => Some(&f.id),
        FactBody::Authorisation(f) => Some(&f.person),
        FactBody::Shift(f) => Some(&f.person),
        FactBody::Maintenance(f) => Some(&f.person),
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
        FactBody::Breach(f) => f.municipality.clone(),
        FactBody::SubjectRequest(f) => f.municipality.clone(),
        FactBody::Organisation(_)
        | FactBody::Agreement(_)
        | FactBody::Person(_)
        | FactBody::Authorisation(_)
        | FactBody::Shift(_)
        | FactBody::Instruction(_)
        | FactBody::Audit(_)
        | FactBody::AuditFinding(_)
        | FactBody::Maintenance(_) => None,
    }
}

#[cfg(test)]
mod tests;
