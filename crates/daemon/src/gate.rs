//! The gate. Every stream, replay and command passes `Gate::pass`: decide, log (durable), then effect. A look gets a
//! [`Lease`], which only this module can make, and which ends when its basis ends.
//!
//! At the instant a permit names, and at every change of the register, one task decides every open lease again: with a
//! new basis it logs that and the look goes on, else it cuts, at once and without waiting for the log. When the log
//! fails, new looks are refused and running ones end after [`GRACE`].

use crate::{
    clock::SharedClock,
    identity::{Session, hex, random},
    journal::Snapshot,
    log::SharedLog,
};
use chrono::{DateTime, TimeDelta, Utc};
use ledger::{
    Actor as LogActor, Entry, Justification, LegalContext, Object as LogObject, Operation, Origin, Outcome,
};
use mandate::{
    Action, Actor, CameraId, Decision, Denial, FactKind, FactRef, Object, ReasonCode, Request, decide,
    decision::LogOperation, next_opening,
};
use protocol::{
    api::{Access, Refusal, Sentence},
    socket::EndCause,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
};
use tokio::sync::{Notify, watch};

/// How long running looks go on after the log was found to fail. The rule says 30 seconds from the failure; noticing it
/// takes up to `HEARTBEAT_LOOKS` and the two seconds that the log may take to say so, and one is kept for the way to
/// the screen.
pub const GRACE: TimeDelta = TimeDelta::seconds(22);
/// How far ahead a closed tile looks for the instant at which it opens.
pub const HORIZON: TimeDelta = TimeDelta::days(8);
/// While looks are open the log shows a sign of life this often, so that its failure is noticed though nobody asks anything.
const HEARTBEAT_LOOKS: TimeDelta = TimeDelta::seconds(5);
/// And this often when there are none.
const HEARTBEAT_IDLE: TimeDelta = TimeDelta::seconds(60);

/// What is asked of the gate: a request, and what the log must know beside it.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The request to decide.
    pub request: Request,
    /// The session it comes from; none for the platform itself.
    pub session: Option<Session>,
    /// The action's name in the log: `live_view`, `replay`, `incident.mark`.
    pub name: &'static str,
    /// Where it is shown: `tile 3`.
    pub display: Option<String>,
}

/// What follows from a permit, which decides what is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// A list without pictures: only its refusal is logged.
    List,
    /// One act.
    Act,
    /// An entry that waits for its second person: that nobody confirmed it yet is no refusal.
    Propose,
    /// A look that lasts.
    Look,
}

/// Why the gate did not open.
#[derive(Clone, Debug)]
pub enum Refused {
    /// The law.
    Denied {
        /// As the person reads it.
        refusal: Box<Refusal>,
        /// The entry of the refusal; none when the log could not be written.
        ledger_seq: Option<u64>,
    },
    /// No look without an entry.
    LogUnavailable,
}

impl Refused {
    /// As the end of a look that never began.
    pub fn into_end(self) -> EndCause {
        match self {
            Self::Denied { refusal, .. } => EndCause::Refused(*refusal),
            Self::LogUnavailable => EndCause::LogUnavailable { sentence: log_unavailable() },
        }
    }
}

/// What the operator reads when the log fails.
pub fn log_unavailable() -> Sentence {
    Sentence {
        nl: "Het logboek kan niet worden geschreven. Zonder logregel mag er niet worden gekeken. Opnemen gaat door. \
             Waarschuw de technisch beheerder."
            .to_owned(),
        en: "The log cannot be written. Without an entry nobody may look. Recording goes on. Call the system administrator."
            .to_owned(),
    }
}

/// One act that was permitted and logged.
#[derive(Clone, Debug)]
pub struct Pass {
    /// The entry; none for lists.
    pub ledger_seq: Option<u64>,
    /// The facts it rests on.
    pub basis: Vec<FactRef>,
    /// The first instant at which the answer could change.
    pub until: Option<DateTime<Utc>>,
}

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

    fn set_until(&self, until: Option<DateTime<Utc>>) {
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
            held.ticket.running.store(false, Ordering::Release);
            self.gate.log_stop(&held, Outcome::Done);
        }
    }
}

struct Held {
    ask: Ask,
    /// What ties start and stop together in the log.
    look: String,
    basis: Arc<[FactRef]>,
    /// A new basis whose entry is on its way to the log.
    pending: Option<Vec<FactRef>>,
    /// When to decide again.
    review_at: Option<DateTime<Utc>>,
    /// Counts decisions, so that a late answer of the log never revives what was cut or decided anew meanwhile.
    epoch: u64,
    ticket: Arc<Ticket>,
    state: watch::Sender<LeaseState>,
}

struct Inner {
    register: watch::Receiver<Arc<Snapshot>>,
    log: SharedLog,
    clock: SharedClock,
    held: Mutex<BTreeMap<u64, Held>>,
    next_id: AtomicU64,
    new_lease: Notify,
    denials: AtomicU64,
}

/// The gate. Cheap to clone.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

impl Gate {
    /// A gate over a register and a log. Run [`Gate::supervise`] beside it.
    pub fn new(register: watch::Receiver<Arc<Snapshot>>, log: SharedLog, clock: SharedClock) -> Self {
        Self(Arc::new(Inner {
            register,
            log,
            clock,
            held: Mutex::default(),
            next_id: AtomicU64::new(1),
            new_lease: Notify::new(),
            denials: AtomicU64::new(0),
        }))
    }

    /// The register the gate decides by.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.register.borrow().clone()
    }

    /// The register as it changes.
    pub fn register(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.0.register.clone()
    }

    /// The daemon's clock.
    pub fn clock(&self) -> &SharedClock {
        &self.0.clock
    }

    /// The log.
    pub fn log(&self) -> &SharedLog {
        &self.0.log
    }

    /// Open looks, and refusals since the start.
    pub fn figures(&self) -> (usize, u64) {
        (self.held().len(), self.0.denials.load(Ordering::Relaxed))
    }

    /// What the answer would be now. Shows nothing, opens nothing, logs nothing.
    pub fn preview(&self, request: &Request) -> Decision {
        decide(&self.snapshot().register, request, self.0.clock.now())
    }

    /// The same, as a tile shows it.
    pub fn access(&self, request: &Request) -> Access {
        match self.preview(request) {
            Decision::Permit(permit) => Access::Open { until: permit.until() },
            Decision::Deny(denial) => Access::Closed(self.refusal(request, &denial)),
        }
    }

    /// Asks for a list without pictures. Only a refusal is logged.
    pub async fn list(&self, ask: &Ask) -> Result<Pass, Refused> {
        self.pass(ask, Effect::List, None).await
    }

    /// Asks for one act; when this returns `Ok`, its entry is durable.
    pub async fn act(&self, ask: &Ask) -> Result<Pass, Refused> {
        self.pass(ask, Effect::Act, None).await
    }

    /// Asks to enter what a second person must confirm; like [`Gate::act`], but the missing confirmation is no refusal.
    pub async fn propose(&self, ask: &Ask) -> Result<Pass, Refused> {
        self.pass(ask, Effect::Propose, None).await
    }

    /// Asks for a look; when this returns `Ok`, its start is durable in the log and pictures may flow.
    pub async fn look(&self, ask: Ask) -> Result<Lease, Refused> {
        let look = look_id().ok_or(Refused::LogUnavailable)?;
        let pass = self.pass(&ask, Effect::Look, Some(&look)).await?;
        let basis: Arc<[FactRef]> = pass.basis.into();
        let ticket = Arc::new(Ticket { running: AtomicBool::new(true), until: AtomicI64::new(0) });
        ticket.set_until(pass.until);
        let state = watch::Sender::new(LeaseState::Running { basis: basis.clone(), until: pass.until });
        let receiver = state.subscribe();
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        // Reviewed at once: the register may have changed while the log was written.
        let review_at = Some(self.0.clock.now());
        let held =
            Held { ask, look, basis, pending: None, review_at, epoch: 0, ticket: ticket.clone(), state };
        self.held().insert(id, held);
        self.0.new_lease.notify_one();
        let ledger_seq = pass.ledger_seq.unwrap_or_default();
        Ok(Lease { gate: self.clone(), id, ledger_seq, ticket, state: receiver })
    }

    /// The one function: decide, log, then effect.
    async fn pass(&self, ask: &Ask, effect: Effect, look: Option<&str>) -> Result<Pass, Refused> {
        let snapshot = self.snapshot();
        let now = self.0.clock.now();
        let decision = decide(&snapshot.register, &ask.request, now);
        let basis = match &decision {
            Decision::Permit(permit) => permit.basis().to_vec(),
            Decision::Deny(denial) if effect == Effect::Propose && denial.code == ReasonCode::FourEyes => {
                Vec::new()
            }
            Decision::Deny(denial) => return Err(self.denied(ask, denial, now, &snapshot).await),
        };
        let until = decision.until();
        let ledger_seq = if effect == Effect::List {
            None
        } else {
            if !self.0.log.health().borrow().writable {
                return Err(Refused::LogUnavailable);
            }
            let suffix = if effect == Effect::Look { ".start" } else { "" };
            let mut entry =
                entry_of(ask, operation(decision.obligations().log), suffix, now, &snapshot, &basis, until);
            entry.look = look.map(ToOwned::to_owned);
            entry.outcome = Outcome::Permit;
            let receipt = self.0.log.append(entry).await.map_err(|error| {
                tracing::error!(%error, "the log refused an entry; nothing is shown without one");
                Refused::LogUnavailable
            })?;
            Some(receipt.seq)
        };
        Ok(Pass { ledger_seq, basis, until })
    }

    /// Refuses by a code that another room of the daemon found, and logs it like the law's own.
    pub async fn refuse(&self, ask: &Ask, code: ReasonCode) -> Refused {
        let snapshot = self.snapshot();
        let now = self.0.clock.now();
        let (nl, en) = code.sentence();
        let refusal = Refusal {
            code,
            sentence: Sentence { nl: nl.to_owned(), en: en.to_owned() },
            decree: None,
            until: None,
            opens_at: None,
        };
        let ledger_seq = self.log_denial(ask, code, now, &snapshot).await;
        Refused::Denied { refusal: Box::new(refusal), ledger_seq }
    }

    async fn denied(&self, ask: &Ask, denial: &Denial, now: DateTime<Utc>, snapshot: &Snapshot) -> Refused {
        let refusal = Box::new(self.refusal(&ask.request, denial));
        let ledger_seq = self.log_denial(ask, denial.code, now, snapshot).await;
        Refused::Denied { refusal, ledger_seq }
    }

    async fn log_denial(
        &self,
        ask: &Ask,
        code: ReasonCode,
        now: DateTime<Utc>,
        snapshot: &Snapshot,
    ) -> Option<u64> {
        self.0.denials.fetch_add(1, Ordering::Relaxed);
        let mut entry = entry_of(ask, Operation::AccessDenied, "", now, snapshot, &[], None);
        entry.outcome = Outcome::Deny { reason_code: code_text(code) };
        // A refusal has no effect that must wait; when the log fails it is spooled and the answer is the same.
        if self.0.log.health().borrow().writable
            && let Ok(receipt) = self.0.log.append(entry.clone()).await
        {
            return Some(receipt.seq);
        }
        self.0.log.append_spooled(entry);
        None
    }

    /// A denial as the person reads it: the reason, the decision it rests on, and when it opens.
    pub fn refusal(&self, request: &Request, denial: &Denial) -> Refusal {
        let snapshot = self.snapshot();
        let now = self.0.clock.now();
        let (nl, en) = denial.sentence();
        let named = denial.fact.as_ref().filter(|f| f.kind == FactKind::Decree).map(|f| f.id.to_string());
        let decree = named.or_else(|| {
            let camera = request.object.camera()?;
            snapshot.register.decree_of(camera, now).map(|d| d.id.to_string())
        });
        let opens_at = next_opening(&snapshot.register, request, now, HORIZON);
        Refusal { code: denial.code, sentence: Sentence { nl, en }, decree, until: denial.until, opens_at }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<u64, Held>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_stop(&self, held: &Held, outcome: Outcome) {
        let snapshot = self.snapshot();
        let mut entry = entry_of(
            &held.ask,
            Operation::Consult,
            ".stop",
            self.0.clock.now(),
            &snapshot,
            &held.basis,
            None,
        );
        entry.look = Some(held.look.clone());
        entry.outcome = outcome;
        self.0.log.append_spooled(entry);
    }

    /// Decides open leases again when an instant, a change of the register or the log's health asks for it. Runs until
    /// the register's journal is gone.
    pub async fn supervise(self) {
        let mut register = self.0.register.clone();
        let mut health = self.0.log.health();
        let mut beat_at = self.0.clock.now() + HEARTBEAT_IDLE;
        loop {
            let (next, open) = {
                let held = self.held();
                (held.values().filter_map(|h| h.review_at).min(), !held.is_empty())
            };
            let failing = health.borrow_and_update().failing_since;
            let grace_over = failing.filter(|_| open).map(|since| since + GRACE);
            let now = self.0.clock.now();
            if open {
                beat_at = beat_at.min(now + HEARTBEAT_LOOKS);
            }
            let wake = [next, grace_over, Some(beat_at)].into_iter().flatten().min().unwrap_or(beat_at);
            let mut changed = false;
            tokio::select! {
                () = self.0.clock.reached(wake) => {}
                result = register.changed() => {
                    if result.is_err() {
                        return;
                    }
                    changed = true;
                }
                result = health.changed() => {
                    if result.is_err() {
                        return;
                    }
                }
                () = self.0.new_lease.notified() => {}
            }
            let now = self.0.clock.now();
            if health.borrow().failing_since.is_some_and(|since| now >= since + GRACE) {
                self.cut_all();
            }
            self.review(now, changed);
            if now >= beat_at {
                beat_at = now + if open { HEARTBEAT_LOOKS } else { HEARTBEAT_IDLE };
                let log = self.0.log.clone();
                // Not awaited here: a failing log takes seconds to say so, and cuts must not wait for it.
                tokio::spawn(async move {
                    if let Err(error) = log.append(Entry::heartbeat(now, ledger::Clock::Unknown)).await {
                        tracing::error!(%error, "no sign of life could be written to the log");
                    }
                });
            }
        }
    }

    fn cut_all(&self) {
        let all = std::mem::take(&mut *self.held());
        for held in all.into_values() {
            self.cut(
                held,
                EndCause::LogUnavailable { sentence: log_unavailable() },
                "LOG_UNAVAILABLE".to_owned(),
            );
        }
    }

    /// Ends a look, first in effect and then in the log.
    fn cut(&self, held: Held, cause: EndCause, reason_code: String) {
        held.ticket.running.store(false, Ordering::Release);
        held.state.send_replace(LeaseState::Ended(cause));
        self.log_stop(&held, Outcome::Deny { reason_code });
    }

    /// Decides again what is due, or everything when the register changed.
    fn review(&self, now: DateTime<Utc>, all: bool) {
        let snapshot = self.snapshot();
        let mut cuts = Vec::new();
        let mut continued = HashMap::new();
        {
            let mut held = self.held();
            let due: Vec<u64> = held
                .iter()
                .filter(|(_, h)| all || h.review_at.is_some_and(|at| at <= now))
                .map(|(id, _)| *id)
                .collect();
            for id in due {
                let Some(entry) = held.get_mut(&id) else { continue };
                match decide(&snapshot.register, &entry.ask.request, now) {
                    Decision::Permit(permit) if entry.pending.as_deref() == Some(permit.basis()) => {
                        entry.review_at = permit.until();
                    }
                    Decision::Permit(permit) => {
                        entry.epoch += 1;
                        entry.pending = None;
                        entry.review_at = permit.until();
                        if permit.basis() == &*entry.basis {
                            let until = permit.until();
                            entry.ticket.set_until(until);
                            entry.state.send_if_modified(|state| {
                                let fresh = LeaseState::Running { basis: entry.basis.clone(), until };
                                let differs = *state != fresh;
                                *state = fresh;
                                differs
                            });
                        } else {
                            entry.pending = Some(permit.basis().to_vec());
                            continued.insert(id, (entry.epoch, permit));
                        }
                    }
                    Decision::Deny(denial) => {
                        if let Some(entry) = held.remove(&id) {
                            cuts.push((entry, denial));
                        }
                    }
                }
            }
        }
        for (held, denial) in cuts {
            let refusal = self.refusal(&held.ask.request, &denial);
            self.cut(held, EndCause::Refused(refusal), code_text(denial.code));
        }
        if !continued.is_empty() {
            let gate = self.clone();
            tokio::spawn(async move { gate.go_on(continued, now, &snapshot).await });
        }
    }

    /// Looks that go on under another basis: logged first, one entry however many they are.
    async fn go_on(
        &self,
        continued: HashMap<u64, (u64, mandate::Permit)>,
        now: DateTime<Utc>,
        snapshot: &Snapshot,
    ) {
        let entry = {
            let held = self.held();
            let mut looks: Vec<_> =
                continued.iter().filter_map(|(id, (_, permit))| held.get(id).map(|h| (h, permit))).collect();
            looks.sort_by(|a, b| a.0.look.cmp(&b.0.look));
            let Some((first, permit)) = looks.first() else { return };
            let basis = permit.basis();
            if looks.len() == 1 {
                let mut entry = entry_of(
                    &first.ask,
                    Operation::Consult,
                    ".continue",
                    now,
                    snapshot,
                    basis,
                    permit.until(),
                );
                entry.look = Some(first.look.clone());
                entry.outcome = Outcome::Permit;
                entry
            } else {
                let mut entry = Entry::new(now, Operation::Consult, "looks.continue");
                entry.outcome = Outcome::Permit;
                entry.legal_context.register_head = Some(snapshot.head.to_string());
                let looks: Vec<_> = looks
                    .iter()
                    .map(|(h, p)| {
                        let basis: Vec<_> =
                            p.basis().iter().filter(|f| !personal(f.kind)).map(fact_text).collect();
                        serde_json::json!({ "look": h.look, "basis": basis })
                    })
                    .collect();
                entry.data = Some(serde_json::json!({ "looks": looks }));
                entry
            }
        };
        let logged = self.0.log.append(entry).await;
        let mut cuts = Vec::new();
        {
            let mut held = self.held();
            for (id, (epoch, permit)) in continued {
                let Some(entry) = held.get_mut(&id).filter(|h| h.epoch == epoch) else { continue };
                if logged.is_err() {
                    cuts.extend(held.remove(&id));
                    continue;
                }
                entry.pending = None;
                entry.basis = permit.basis().into();
                entry.ticket.set_until(permit.until());
                entry
                    .state
                    .send_replace(LeaseState::Running { basis: entry.basis.clone(), until: permit.until() });
            }
        }
        for held in cuts {
            self.cut(
                held,
                EndCause::LogUnavailable { sentence: log_unavailable() },
                "LOG_UNAVAILABLE".to_owned(),
            );
        }
    }
}

/// An entry about an ask, with everything the law wants to know of it.
fn entry_of(
    ask: &Ask,
    operation: Operation,
    suffix: &str,
    now: DateTime<Utc>,
    snapshot: &Snapshot,
    basis: &[FactRef],
    until: Option<DateTime<Utc>>,
) -> Entry {
    let mut entry = Entry::new(now, operation, format!("{}{suffix}", ask.name));
    entry.actor = actor(&ask.request.actor, snapshot, basis);
    entry.origin = ask.session.as_ref().map(origin).unwrap_or_default();
    entry.object = object(&ask.request.object, snapshot, ask.display.as_deref());
    let said = ask.request.statement.as_deref();
    entry.justification = Justification {
        purpose: said.and_then(|s| s.log_purpose.as_ref().map(word).or_else(|| s.purpose.as_ref().map(word))),
        incident: ask.request.resolved.incident.as_ref().map(ToString::to_string),
        offence: said.and_then(|s| s.offence_ref.clone()),
        instruction: ask.request.resolved.instruction.as_ref().map(ToString::to_string),
        case_number: said.and_then(|s| s.case_number.clone()),
        note: None,
    };
    entry.legal_context = LegalContext {
        basis: basis.iter().filter(|f| !personal(f.kind)).map(fact_text).collect(),
        policy_version: Some(snapshot.register.policy_version().to_string()),
        register_head: Some(snapshot.head.to_string()),
        until,
    };
    entry
}

fn look_id() -> Option<String> {
    random::<8>().ok().map(|bytes| hex(&bytes))
}

/// Who acts, as the log names them.
pub fn actor(actor: &Actor, snapshot: &Snapshot, basis: &[FactRef]) -> LogActor {
    match actor {
        Actor::System => LogActor::System,
        Actor::Person { person, role } => LogActor::Person {
            person: person.to_string(),
            role: word(role),
            organisation: snapshot
                .register
                .person(person)
                .map(|p| p.organisation.to_string())
                .unwrap_or_default(),
            authorisation: basis.iter().find(|f| f.kind == FactKind::Authorisation).map(|f| f.id.to_string()),
        },
    }
}

/// Where a session comes from, as the log names it.
pub fn origin(session: &Session) -> Origin {
    Origin {
        workstation: Some(session.workstation.to_string()),
        session: Some(session.id.to_string()),
        address: Some(session.address.to_string()),
    }
}

fn object(object: &Object, snapshot: &Snapshot, display: Option<&str>) -> Option<LogObject> {
    let municipality = |camera: &CameraId| {
        snapshot.register.camera(camera).map(|c| c.municipality.to_string()).unwrap_or_default()
    };
    let mut object = match object {
        Object::None => return None,
        Object::Municipality(id) => {
            LogObject { municipality: Some(id.to_string()), ..LogObject::thing("municipality", id) }
        }
        Object::Camera(camera) => LogObject::camera(camera, municipality(camera)),
        Object::Footage { camera, from, until } => {
            LogObject::footage(camera, municipality(camera), *from, *until)
        }
    };
    object.screen = display.map(ToOwned::to_owned);
    Some(object)
}

/// Facts about persons are named in the entry's actor, never in the clear list of the basis.
fn personal(kind: FactKind) -> bool {
    matches!(kind, FactKind::Person | FactKind::Authorisation | FactKind::Shift)
}

fn fact_text(fact: &FactRef) -> String {
    format!("{} {} v{}", word(&fact.kind), fact.id, fact.version)
}

/// The stable word of an enum, as its serialisation spells it.
pub(crate) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        _ => String::new(),
    }
}

/// A reason code as text.
pub fn code_text(code: ReasonCode) -> String {
    word(&code)
}

fn operation(log: LogOperation) -> Operation {
    match log {
        LogOperation::Collect => Operation::Collect,
        LogOperation::Alter => Operation::Alter,
        LogOperation::Consult => Operation::Consult,
        LogOperation::Disclose => Operation::Disclose,
        LogOperation::Combine => Operation::Combine,
        LogOperation::Destroy => Operation::Destroy,
    }
}

/// A request of a session's person about one object.
pub fn request(session: &Session, action: Action, object: Object) -> Request {
    Request::new(session.person.clone(), session.role, action, object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock as _, ManualClock},
        journal::{Journal, Provenance},
        testing::{FakeLog, journal},
    };
    use mandate::{FactBody, PersonId, Role};
    use tokio_util::sync::CancellationToken;

    struct Room {
        gate: Gate,
        journal: Journal,
        log: Arc<FakeLog>,
        clock: ManualClock,
        _folder: tempfile::TempDir,
    }

    /// Saturday evening, inside the window of 21:00 to 06:00 in Enschede.
    async fn room() -> Room {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new("2026-06-13T20:00:00Z".parse().unwrap());
        let log = FakeLog::new(&clock);
        let journal = journal(folder.path(), &log, &clock).await;
        log.entries.lock().unwrap().clear();
        let gate = Gate::new(journal.watch(), log.clone(), Arc::new(clock.clone()));
        tokio::spawn(gate.clone().supervise());
        Room { gate, journal, log, clock, _folder: folder }
    }

    fn session(person: &str, role: Role) -> Session {
        Session {
            id: "s".into(),
            person: PersonId::new(person),
            role,
            workstation: "desk 1".into(),
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            expires_at: "2026-06-14T20:00:00Z".parse().unwrap(),
            ended: CancellationToken::new(),
        }
    }

    fn live(person: &str, role: Role) -> Ask {
        let session = session(person, role);
        Ask {
            request: request(&session, Action::LiveView, Object::Camera("C1".into())),
            session: Some(session),
            name: "live_view",
            display: Some("tile 1".to_owned()),
        }
    }

    async fn end(lease: &mut Lease) -> EndCause {
        loop {
            if let LeaseState::Ended(cause) = lease.state() {
                return cause;
            }
            lease.changed().await;
        }
    }

    #[tokio::test]
    async fn a_look_is_logged_before_it_begins_and_when_it_stops() {
        let room = room().await;
        let lease = room.gate.look(live("anna", Role::Observer)).await.unwrap();
        assert_eq!(room.log.actions(), ["live_view.start permit"]);
        assert!(lease.ticket().covers(room.clock.now()));
        let ticket = lease.ticket();
        drop(lease);
        assert!(!ticket.running());
        assert_eq!(room.log.actions(), ["live_view.start permit", "live_view.stop done"]);
        let entries = room.log.entries.lock().unwrap();
        assert_eq!(entries[0].look, entries[1].look);
        assert!(entries[0].legal_context.basis.contains(&"decree D1 v1".to_owned()));
    }

    #[tokio::test]
    async fn a_refusal_is_logged_and_says_why_and_when_it_opens() {
        let room = room().await;
        room.clock.set("2026-06-13T12:00:00Z".parse().unwrap());
        let request = live("bert", Role::PoliceOperator);
        let Err(Refused::Denied { refusal, ledger_seq }) = room.gate.look(request).await else {
            panic!("open at noon")
        };
        assert_eq!(refusal.code, ReasonCode::OutsideLiveWindow);
        assert_eq!(refusal.opens_at, Some("2026-06-13T19:00:00Z".parse().unwrap()));
        assert_eq!(ledger_seq, Some(0));
        assert_eq!(room.log.actions(), ["live_view deny"]);
    }

    #[tokio::test]
    async fn the_end_of_the_window_ends_the_look_and_both_entries_stand() {
        let room = room().await;
        let mut lease = room.gate.look(live("bert", Role::PoliceOperator)).await.unwrap();
        let ticket = lease.ticket();
        // 06:00 in Amsterdam; before it nothing ends, at it the ticket itself no longer covers.
        let close = "2026-06-14T04:00:00Z".parse().unwrap();
        assert!(ticket.covers(close - TimeDelta::milliseconds(1)) && !ticket.covers(close));
        room.clock.set(close);
        let EndCause::Refused(refusal) = end(&mut lease).await else { panic!("another end") };
        assert_eq!(refusal.code, ReasonCode::OutsideLiveWindow);
        assert!(!ticket.running());
        drop(lease);
        let actions = room.log.actions();
        assert_eq!(
            actions.iter().filter(|a| a.starts_with("live_view")).collect::<Vec<_>>(),
            ["live_view.start permit", "live_view.stop deny"]
        );
    }

    #[tokio::test]
    async fn a_revocation_cuts_every_look_at_once() {
        let room = room().await;
        let mut looks = Vec::new();
        for _ in 0..20 {
            looks.push(room.gate.look(live("bert", Role::PoliceOperator)).await.unwrap());
        }
        let now = room.clock.now();
        let revocation = serde_json::json!({ "kind": "revocation", "decree": "D1", "revoked_from": now });
        let body: FactBody = serde_json::from_value(revocation).unwrap();
        room.journal.record(body, Provenance::default()).await.unwrap();
        for look in &mut looks {
            let EndCause::Refused(refusal) = end(look).await else { panic!("another end") };
            assert_eq!(refusal.code, ReasonCode::DecreeRevoked);
        }
        let (open, _) = room.gate.figures();
        assert_eq!(open, 0);
    }

    #[tokio::test]
    async fn a_new_basis_goes_on_without_a_break_and_many_looks_log_one_entry() {
        let room = room().await;
        let mut looks = Vec::new();
        for _ in 0..3 {
            looks.push(room.gate.look(live("bert", Role::PoliceOperator)).await.unwrap());
        }
        let decree = room.journal.snapshot().facts.iter().find_map(|f| match &f.body {
            FactBody::Decree(d) => Some(d.clone()),
            _ => None,
        });
        let mut decree = decree.unwrap();
        decree.necessity = Some("better reasons".to_owned());
        room.log.entries.lock().unwrap().clear();
        room.journal.record(FactBody::Decree(decree), Provenance::default()).await.unwrap();
        for look in &mut looks {
            loop {
                let LeaseState::Running { basis, .. } = look.changed().await else { panic!("it broke") };
                if basis.iter().any(|f| f.kind == FactKind::Decree && f.version == 2) {
                    break;
                }
            }
            assert!(look.ticket().covers(room.clock.now()));
        }
        assert_eq!(room.log.actions(), ["register.record done", "looks.continue permit"]);
    }

    #[tokio::test]
    async fn a_failing_log_refuses_new_looks_at_once_and_ends_running_ones_after_the_grace() {
        let room = room().await;
        let mut lease = room.gate.look(live("bert", Role::PoliceOperator)).await.unwrap();
        let since = room.clock.now();
        room.log.fail(Some(since));
        let refused = room.gate.look(live("bert", Role::PoliceOperator)).await;
        assert!(matches!(refused, Err(Refused::LogUnavailable)));
        assert!(
            lease.ticket().covers(since + GRACE - TimeDelta::milliseconds(1)),
            "running looks have their grace"
        );
        room.clock.set(since + GRACE);
        assert!(matches!(end(&mut lease).await, EndCause::LogUnavailable { .. }));
        room.log.fail(None);
        room.gate.look(live("bert", Role::PoliceOperator)).await.unwrap();
    }

    #[tokio::test]
    async fn every_role_that_may_never_look_is_refused() {
        let room = room().await;
        for role in [Role::UserAdmin, Role::SystemAdmin, Role::LegalAdmin, Role::Auditor, Role::Investigator]
        {
            let Err(Refused::Denied { refusal, .. }) = room.gate.look(live("bert", role)).await else {
                panic!("{role:?} saw a picture")
            };
            assert_eq!(refusal.code, ReasonCode::RoleNotPermitted);
        }
    }
}
