//! Grants wait for the witness (`decisions.md` 15): an authorisation that somebody entered gives nothing before the police's witness
//! has signed a log that holds its entry, so that no host can let somebody in and take the entry back. What it takes (an earlier
//! end, a smaller scope) it takes at once: until it is witnessed, the part holds that it has in common with the version before.
//!
//! Facts of the first start never wait, and where no witness is configured nothing does. Which events wait is kept beside them, so
//! that a restart without a witness changes nothing for those who had their rights before.

use super::{Journal, JournalError};
use chrono::{DateTime, Utc};
use mandate::{Fact, FactBody, facts::Authorisation};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Versions of authorisations that wait, by id and version, each with the log's entry that is to be witnessed.
pub(super) type Waiting = BTreeMap<(String, u32), u64>;

/// What waits, where a witness is asked for.
#[derive(Debug, Default)]
pub(super) struct Grants {
    /// None: no witness is configured (yet), nothing waits.
    waiting: Mutex<Option<Waiting>>,
}

impl Grants {
    fn lock(&self) -> MutexGuard<'_, Option<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn waiting(&self) -> Waiting {
        self.lock().clone().unwrap_or_default()
    }

    /// Whether new grants are to wait at all.
    pub(super) fn wait(&self) -> bool {
        self.lock().is_some()
    }
}

/// The facts that the law is asked on.
pub(super) fn in_force<'a>(facts: &'a [Fact], waiting: &Waiting) -> Cow<'a, [Fact]> {
    if waiting.is_empty() {
        return Cow::Borrowed(facts);
    }
    let mut known: HashMap<String, Authorisation> = HashMap::new();
    let mut kept = Vec::with_capacity(facts.len());
    for fact in facts {
        let FactBody::Authorisation(new) = &fact.body else {
            kept.push(fact.clone());
            continue;
        };
        let id = new.id.to_string();
        if !waiting.contains_key(&(id.clone(), fact.version)) {
            known.insert(id, new.clone());
            kept.push(fact.clone());
        } else if let Some(before) = known.get(&id) {
            let common = common(before, new, fact);
            if common.municipalities != before.municipalities
                || (common.from, common.until) != (before.from, before.until)
            {
                known.insert(id, common.clone());
                kept.push(Fact { body: FactBody::Authorisation(common), ..fact.clone() });
            }
        }
    }
    Cow::Owned(kept)
}

/// What two versions both give.
fn common(before: &Authorisation, new: &Authorisation, fact: &Fact) -> Authorisation {
    let mut common = before.clone();
    common.from = before.from.max(new.from);
    common.until = before.until.min(new.until);
    common.municipalities.retain(|municipality| new.municipalities.contains(municipality));
    if common.municipalities.is_empty() || (&new.person, new.role) != (&before.person, before.role) {
        // Nothing in common: the one before has ended, and is not rewritten.
        common.municipalities.clone_from(&before.municipalities);
        common.until = common.until.min(fact.known_from);
    }
    common
}

/// Keeps that an event waits, if it is a grant that somebody entered. In the transaction that makes it effective.
pub(super) fn keep(store: &Connection, seq: u64) -> rusqlite::Result<()> {
    store.execute(
        "INSERT INTO unwitnessed (event) SELECT seq FROM events
         WHERE seq = ? AND kind = 'authorisation' AND proposal IS NOT NULL",
        params![seq as i64],
    )?;
    Ok(())
}

/// Lets what waits act from an instant on (UTC): the grants with these ids and versions, or all.
fn act(
    store: &mut Connection,
    due: Option<&[(String, u32)]>,
    at: DateTime<Utc>,
) -> Result<(), rusqlite::Error> {
    let change = store.transaction()?;
    let sql = "INSERT INTO granted (event, at) SELECT u.event, ?1 FROM unwitnessed u JOIN events e ON e.seq = u.event
               WHERE ?2 IS NULL OR (e.id = ?2 AND e.version = ?3)";
    let all: [(Option<&str>, u32); 1] = [(None, 0)];
    let named =
        due.map(|due| due.iter().map(|(id, version)| (Some(id.as_str()), *version)).collect::<Vec<_>>());
    for (id, version) in named.as_deref().unwrap_or(&all) {
        change.execute(sql, params![at.timestamp_micros(), id, version])?;
    }
    change.execute("DELETE FROM unwitnessed WHERE event IN (SELECT event FROM granted)", [])?;
    change.commit()
}

const SELECT: &str =
    "SELECT e.id, e.version, e.ledger_seq FROM unwitnessed u JOIN events e ON e.seq = u.event";

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<((String, u32), u64)> {
    Ok(((row.get(0)?, row.get(1)?), row.get::<_, i64>(2)? as u64))
}

impl Journal {
    /// Says once, before anything is decided, whether grants wait for a witness.
    ///
    /// # Errors
    /// When the store or the register cannot be read.
    pub fn wait_for_witness(&self, required: bool) -> Result<(), JournalError> {
        if !required {
            act(&mut self.store(), None, self.0.clock.now())?;
            return Ok(());
        }
        let mut waiting: Waiting = {
            let store = self.store();
            let mut statement = store.prepare(SELECT)?;
            statement.query_map([], read)?.collect::<Result<_, _>>()?
        };
        // The newest register leaf chains all events before it. In a new epoch it stands where the old log's numbers mean nothing.
        if let Some(newest) = self.0.newest_leaf {
            for entry in waiting.values_mut() {
                *entry = (*entry).min(newest);
            }
        }
        *self.0.grants.lock() = Some(waiting);
        self.refresh_all()
    }

    /// An event became effective: from now on it waits, if it is to.
    pub(super) fn grant_waits(&self, seq: u64) -> Result<(), JournalError> {
        let found = self
            .store()
            .query_row(&format!("{SELECT} WHERE e.seq = ?"), params![seq as i64], read)
            .optional()?;
        if let (Some((grant, entry)), Some(waiting)) = (found, self.0.grants.lock().as_mut()) {
            waiting.insert(grant, entry);
        }
        Ok(())
    }

    /// Lets each grant act as soon as the witness has seen its entry. Runs for as long as the daemon lives.
    pub async fn keep_granting(self) {
        let mut health = self.0.log.health();
        let mut register = self.watch();
        loop {
            register.mark_unchanged();
            let witnessed = health.borrow_and_update().witnessed_entries;
            if self.0.grants.waiting().values().any(|entry| *entry < witnessed) {
                let _one_at_a_time = self.0.writing.lock().await;
                if let Err(error) = self.granted(witnessed) {
                    tracing::error!(%error, "grants that were witnessed could not take effect; it is tried again");
                }
            }
            // The witness may have been faster than the register.
            let changed = tokio::select! {
                changed = health.changed() => changed,
                changed = register.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    fn granted(&self, witnessed: u64) -> Result<(), JournalError> {
        let due: Vec<(String, u32)> = {
            let waiting = self.0.grants.waiting();
            waiting.into_iter().filter(|(_, entry)| *entry < witnessed).map(|(grant, _)| grant).collect()
        };
        act(&mut self.store(), Some(&due), self.0.clock.now())?;
        if let Some(waiting) = self.0.grants.lock().as_mut() {
            waiting.retain(|grant, _| !due.contains(grant));
        }
        self.refresh_all()
    }

    /// What waited at an instant (UTC), so that the register as it stood then can be asked again.
    pub(super) fn waiting_at(&self, at: DateTime<Utc>) -> Result<Waiting, JournalError> {
        let store = self.store();
        let mut statement = store.prepare_cached(
            "SELECT id, version, ledger_seq FROM events WHERE state = 'effective' AND (
               seq IN (SELECT event FROM unwitnessed) OR seq IN (SELECT event FROM granted WHERE at > ?))",
        )?;
        Ok(statement.query_map([at.timestamp_micros()], read)?.collect::<Result<_, _>>()?)
    }

    fn refresh_all(&self) -> Result<(), JournalError> {
        let snapshot = self.snapshot();
        self.publish(snapshot.facts.to_vec(), &snapshot.head)
    }
}
