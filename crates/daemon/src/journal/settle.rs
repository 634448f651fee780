//! Events of which it is not known whether their leaf became durable. The ledger is the judge: its newest register leaf
//! is that event, or the event never was.
//!
//! At run time the question can be asked as soon as the log is writable again: the sequencer is one thread, so by then it
//! has written or dropped everything that was handed to it before it failed. What turns out durable takes effect at that
//! instant, and an entry `register.settled` says so, since the ledger itself noted "no effect" for an answer that nobody
//! waited for.

use super::{Journal, JournalError, RECORD, RegisterLeaf, granting};
use chrono::{DateTime, Utc};
use ledger::{Entry, LedgerError, Operation, Outcome};
use mandate::{Fact, PersonId};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::{sync::Arc, time::Duration};

/// How long to wait before asking again when asking failed although the log can be written.
const ASK_AGAIN: Duration = Duration::from_secs(1);

struct Pending {
    seq: u64,
    hash: String,
    body: String,
    version: u32,
    by: People,
}

/// What the end of a proposal must name.
#[derive(Clone, Debug, Default)]
pub(super) struct People {
    pub(super) entered_by: Option<PersonId>,
    pub(super) verified_by: Option<PersonId>,
    pub(super) proposal: Option<u64>,
}

/// Whether the ledger certainly wrote nothing.
pub(super) fn never_tried(error: &LedgerError) -> bool {
    matches!(error, LedgerError::Unwritable { .. } | LedgerError::TooLarge(_) | LedgerError::NotCanonical(_))
}

/// Settles the row that a crash left pending: effective if its leaf is in the ledger, else as if it had never been.
pub(super) fn after_crash(
    store: &mut Connection,
    last_leaf: Option<&RegisterLeaf>,
) -> Result<(), JournalError> {
    let pending = pending_of(store)?;
    if let (Some(leaf), Some(pending)) = (last_leaf, pending)
        && leaf.hash == pending.hash
        && leaf.journal_seq == pending.seq
    {
        // Whether a witness is asked for is said later, and where none is, nothing waits.
        make_effective(store, pending.seq, leaf.at, leaf.ledger_seq, &pending.by, true)?;
    }
    store.execute("DELETE FROM events WHERE state = 'pending'", [])?;
    Ok(())
}

fn pending_of(store: &Connection) -> Result<Option<Pending>, JournalError> {
    let sql = "SELECT seq, hash, body, version, entered_by, verified_by, proposal FROM events WHERE state = 'pending'";
    Ok(store
        .query_row(sql, [], |row| {
            Ok(Pending {
                seq: row.get::<_, i64>(0)? as u64,
                hash: row.get(1)?,
                body: row.get(2)?,
                version: row.get(3)?,
                by: People {
                    entered_by: row.get::<_, Option<String>>(4)?.map(PersonId::from),
                    verified_by: row.get::<_, Option<String>>(5)?.map(PersonId::from),
                    proposal: row.get::<_, Option<i64>>(6)?.map(|id| id as u64),
                },
            })
        })
        .optional()?)
}

/// The row and its proposal together, or neither.
fn make_effective(
    store: &mut Connection,
    seq: u64,
    known_from: DateTime<Utc>,
    ledger_seq: u64,
    by: &People,
    waits: bool,
) -> Result<(), JournalError> {
    let change = store.transaction()?;
    change.execute(
        "UPDATE events SET state = 'effective', known_from = ?, ledger_seq = ? WHERE seq = ?",
        params![known_from.timestamp_micros(), ledger_seq as i64, seq as i64],
    )?;
    if waits {
        granting::keep(&change, seq)?;
    }
    if let (Some(proposal), Some(person)) = (by.proposal, by.verified_by.as_ref().or(by.entered_by.as_ref()))
    {
        let outcome = if by.verified_by.is_some() { "verified" } else { "effective" };
        change.execute(
            "INSERT INTO proposal_ends (proposal, outcome, by, at) VALUES (?, ?, ?, ?)",
            params![proposal as i64, outcome, person.as_str(), known_from.timestamp_micros()],
        )?;
    }
    Ok(change.commit()?)
}

impl Journal {
    pub(super) fn effective(
        &self,
        seq: u64,
        known_from: DateTime<Utc>,
        ledger_seq: u64,
        by: &People,
    ) -> Result<(), JournalError> {
        let waits = self.0.grants.wait();
        make_effective(&mut self.store(), seq, known_from, ledger_seq, by, waits)?;
        self.grant_waits(seq)
    }

    pub(super) fn take_back(&self, seq: u64) -> Result<(), JournalError> {
        self.store().execute("DELETE FROM events WHERE seq = ? AND state = 'pending'", [seq as i64])?;
        Ok(())
    }

    /// Settles what is pending, if anything is. Under the lock of `writing`.
    ///
    /// # Errors
    /// [`JournalError::Unsettled`] while the log cannot be written.
    pub(super) async fn settle(&self) -> Result<(), JournalError> {
        let Some(pending) = pending_of(&self.store())? else { return Ok(()) };
        if !self.0.log.health().borrow().writable {
            return Err(JournalError::Unsettled { seq: pending.seq });
        }
        let log = self.0.log.clone();
        let newest = tokio::task::spawn_blocking(move || log.newest(RECORD))
            .await
            .map_err(|e| JournalError::Machine(e.to_string()))??;
        let leaf = newest.and_then(|(seq, leaf)| RegisterLeaf::read(seq, &leaf));
        let Some(leaf) = leaf.filter(|leaf| leaf.hash == pending.hash) else {
            tracing::warn!(
                event = pending.seq,
                "an event of the register never reached the log; it has no effect"
            );
            return self.take_back(pending.seq);
        };
        let mut entry = Entry::new(self.0.clock.now(), Operation::Admin, "register.settled");
        entry.outcome = Outcome::Done;
        entry.legal_context.register_head = Some(pending.hash.clone());
        entry.data = Some(serde_json::json!({
            "journal": pending.seq, "event": pending.hash, "refers": leaf.ledger_seq, "effect": "effective",
        }));
        let receipt = self.0.log.append(entry).await?;
        // In force from now: until this instant everything was decided without it.
        let known_from = receipt.at;
        self.effective(pending.seq, known_from, leaf.ledger_seq, &pending.by)?;
        tracing::warn!(event = pending.seq, "an event of the register was durable late; it takes effect now");
        let body = serde_json::from_str(&pending.body)
            .map_err(|e| JournalError::Damaged { seq: pending.seq, reason: e.to_string() })?;
        let mut facts = self.snapshot().facts.to_vec();
        facts.push(Fact { known_from, version: pending.version, body });
        self.publish(facts, &pending.hash)
    }

    /// Settles whatever is left pending as soon as the log can be written. Runs for as long as the daemon lives.
    pub async fn keep_settled(self) {
        let mut health = self.0.log.health();
        loop {
            let unsettled = Arc::clone(&self.0);
            unsettled.unsettled.notified().await;
            loop {
                if health.wait_for(|health| health.writable).await.is_err() {
                    return;
                }
                let settled = {
                    let _one_at_a_time = self.0.writing.lock().await;
                    self.settle().await
                };
                match settled {
                    Ok(()) => break,
                    Err(JournalError::Unsettled { .. }) => {}
                    Err(error) => {
                        tracing::error!(%error, "an event of the register could not be settled");
                        tokio::time::sleep(ASK_AGAIN).await;
                    }
                }
            }
        }
    }
}
