//! The right to a look: who holds it, how it stands, and what is told per frame without a lock.

use super::{Ask, Gate, Pass};
use chrono::{DateTime, Utc};
use ledger::Outcome;
use mandate::FactRef;
use protocol::socket::EndCause;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};
use tokio::sync::watch;

/// How a lease stands.
#[derive(Clone, Debug, PartialEq)]
pub enum LeaseState {
    /// It carries.
    Running {
        /// The facts it rests on.
        basis: Arc<[FactRef]>,
        /// When it is decided again.
        until: Option<DateTime<Utc>>,
    },
    /// It is over.
    Ended(EndCause),
}

/// Whether pictures may go out now, readable per frame without a lock.
#[derive(Debug)]
pub struct Ticket {
    running: AtomicBool,
    /// µs UTC; `i64::MAX` when only a change of the register can end it.
    until: AtomicI64,
}

impl Ticket {
    /// Whether the look runs.
    pub fn running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    /// Whether the look runs and its permit reaches beyond `now`.
    pub fn covers(&self, now: DateTime<Utc>) -> bool {
        self.running() && now.timestamp_micros() < self.until.load(Ordering::Acquire)
    }

    /// No picture goes out from here on.
    pub(super) fn stop(&self) {
        self.running.store(false, Ordering::Release);
    }

    pub(super) fn set_until(&self, until: Option<DateTime<Utc>>) {
        self.until.store(until.map_or(i64::MAX, |u| u.timestamp_micros()), Ordering::Release);
    }
}

/// The right to a look, from the gate's permit until its end. Dropping it ends the look and logs the stop.
pub struct Lease {
    gate: Gate,
    id: u64,
    ledger_seq: u64,
    ticket: Arc<Ticket>,
    state: watch::Receiver<LeaseState>,
}

impl Lease {
    /// The right that follows from a logged permit, and the gate's own half of it.
    pub(super) fn begin(gate: Gate, id: u64, ask: Ask, look: String, pass: Pass) -> (Self, Held) {
        let basis: Arc<[FactRef]> = pass.basis.into();
        let ticket = Arc::new(Ticket { running: AtomicBool::new(true), until: AtomicI64::new(0) });
        ticket.set_until(pass.until);
        let state = watch::Sender::new(LeaseState::Running { basis: basis.clone(), until: pass.until });
        // Reviewed at once: the register may have changed while the log was written.
        let review_at = Some(gate.clock().now());
        let lease = Self {
            gate,
            id,
            ledger_seq: pass.ledger_seq.unwrap_or_default(),
            ticket: ticket.clone(),
            state: state.subscribe(),
        };
        (lease, Held { ask, look, basis, pending: None, review_at, epoch: 0, ticket, state })
    }

    /// The entry of its start.
    pub fn ledger_seq(&self) -> u64 {
        self.ledger_seq
    }

    /// For whoever writes frames to a socket.
    pub fn ticket(&self) -> Arc<Ticket> {
        self.ticket.clone()
    }

    /// How it stands.
    pub fn state(&self) -> LeaseState {
        self.state.borrow().clone()
    }

    /// How it stands, to be waited on beside [`Lease::changed`].
    pub fn watch(&self) -> watch::Receiver<LeaseState> {
        self.state.clone()
    }

    /// Waits for the next change. Cancellation safe.
    pub async fn changed(&mut self) -> LeaseState {
        if self.state.changed().await.is_err() {
            return LeaseState::Ended(EndCause::Stopped);
        }
        self.state.borrow_and_update().clone()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let held = self.gate.held().remove(&self.id);
        if let Some(held) = held {
            // Not cut by the gate: the client stopped, or went away.
            held.ticket.stop();
            self.gate.log_stop(&held, Outcome::Done, None);
        }
    }
}

pub(super) struct Held {
    pub(super) ask: Ask,
    /// What ties start and stop together in the log.
    pub(super) look: String,
    pub(super) basis: Arc<[FactRef]>,
    /// A new basis whose entry is on its way to the log.
    pub(super) pending: Option<Vec<FactRef>>,
    /// When to decide again.
    pub(super) review_at: Option<DateTime<Utc>>,
    /// Counts decisions, so that a late answer of the log never revives what was cut or decided anew meanwhile.
    pub(super) epoch: u64,
    pub(super) ticket: Arc<Ticket>,
    pub(super) state: watch::Sender<LeaseState>,
}
