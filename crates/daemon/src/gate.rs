//! The gate. Every stream, replay and command passes `Gate::pass`: decide, log (durable), then effect. A look gets a
//! [`Lease`], which only this module can make, and which ends when its basis ends.
//!
//! At the instant a permit names, and at every change of the register, the `supervisor` decides every open lease
//! again: with a new basis it logs that and the look goes on, else it cuts, at once and without waiting for the log.
//! When the log fails, new looks are refused and running ones end after [`GRACE`].

mod entries;
mod lease;
mod logs;
mod supervisor;
mod telling;
#[cfg(test)]
mod tests;
mod witness;

pub use entries::{actor, code_text, origin, request};
pub(crate) use entries::{article, word};
pub use lease::{Lease, LeaseState, Ticket};
pub use logs::{EntryOf, Logs, Seen};
pub use witness::{POLICE_ONLY_AFTER, unwitnessed};

use crate::{
    clock::SharedClock, coalesce::Coalesced, identity::Session, journal::Snapshot, log::SharedLog,
    tally::Acts,
};
use chrono::{DateTime, TimeDelta, Utc};
use entries::{entry_of, incomplete, look_id, operation};
use lease::Held;
use ledger::{Entry, Operation, Outcome};
use mandate::{
    Action, Actor, CameraId, Decision, Denial, FactKind, FactRef, IncidentId, Object, ReasonCode, Request,
    decide, next_opening,
    outlook::{View, camera_openings},
};
use protocol::{
    api::{Access, Refusal, Sentence},
    socket::EndCause,
};
use std::{
    collections::{BTreeMap, HashSet},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tokio::sync::{Notify, watch};

/// How long running looks go on after the log was found to fail. The rule says 30 seconds from the failure; noticing it
/// takes up to `PROBE` and the two seconds that the log may take to say so, and one is kept for the way to
/// the screen.
pub const GRACE: TimeDelta = TimeDelta::seconds(22);
/// How far ahead a closed tile looks for the instant at which it opens.
pub const HORIZON: TimeDelta = TimeDelta::days(8);
/// While looks are open the log is probed this often, so that its failure is noticed though nobody asks anything. A probe leaves no
/// entry: a shift's log stays readable.
const PROBE: TimeDelta = TimeDelta::seconds(5);
/// Of the same refusal of the same person so many stand in the log one by one within a minute; further ones are counted.
const REFUSALS_EACH: u32 = 10;
const REFUSALS_WITHIN: TimeDelta = TimeDelta::minutes(1);
/// Of one address that goes on guessing one entry stands for so long.
const GUESSES_WITHIN: TimeDelta = TimeDelta::minutes(10);
/// How often the log shows a sign of life, so that silence is visible to the witness.
const HEARTBEAT: TimeDelta = TimeDelta::seconds(60);

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

/// Adds to an entry what its maker knows.
type Tell<'a> = &'a (dyn Fn(&mut Entry) + Send + Sync);

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
    /// The clock is ahead of what has passed, and no witness confirms it.
    ClockDoubted,
    /// The police's witness has been silent for too long.
    Unwitnessed,
}

impl Refused {
    /// As the end of a look that never began.
    pub fn into_end(self) -> EndCause {
        match self {
            Self::Denied { refusal, .. } => EndCause::Refused(*refusal),
            Self::LogUnavailable => EndCause::LogUnavailable { sentence: log_unavailable() },
            Self::ClockDoubted => EndCause::LogUnavailable { sentence: clock_doubted() },
            Self::Unwitnessed => EndCause::LogUnavailable { sentence: unwitnessed() },
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

/// What the operator reads when the clock cannot be believed.
pub fn clock_doubted() -> Sentence {
    Sentence {
        nl: "De klok van de server loopt voor en het getuigenlogboek bevestigt de tijd niet. Tot dat is opgelost begint er \
             geen beeld. Waarschuw de technisch beheerder."
            .to_owned(),
        en: "The server's clock is ahead and the log's witness does not confirm the time. Until that is settled no look \
             begins. Call the system administrator."
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

struct Inner {
    register: watch::Receiver<Arc<Snapshot>>,
    log: SharedLog,
    clock: SharedClock,
    held: Mutex<BTreeMap<u64, Held>>,
    next_id: AtomicU64,
    new_lease: Notify,
    denials: AtomicU64,
    /// Whether the clock is ahead of what has passed and nobody confirms it: no look begins meanwhile.
    clock_doubted: AtomicBool,
    /// Since when a silent witness counts, if one is asked for.
    witness_since: OnceLock<DateTime<Utc>>,
    /// The logs that numbers kept elsewhere may belong to.
    logs: OnceLock<Logs>,
    /// Incidents that were closed since the start: nothing rests on them any more (V12).
    closed: Mutex<HashSet<IncidentId>>,
    /// Refusals that are told one by one, and those that are counted.
    refusals: Coalesced<(Actor, Action, Option<CameraId>, &'static str, String)>,
    /// Log-ins beyond the limit of attempts, by address.
    guesses: Coalesced<IpAddr>,
    /// What was asked since the counters were last written: no person, no session.
    acts: Mutex<Acts>,
}

/// Footage may be older than what a snapshot has compiled ahead, where a hold keeps it: then it is compiled here, so that
/// deciding itself never waits.
fn warm(snapshot: &Snapshot, request: &Request) {
    if let Object::Footage { from, until, .. } = &request.object {
        snapshot.register.warm(*from, *until);
    }
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
            clock_doubted: AtomicBool::new(false),
            witness_since: OnceLock::new(),
            logs: OnceLock::new(),
            closed: Mutex::default(),
            refusals: Coalesced::new(REFUSALS_WITHIN, REFUSALS_EACH),
            guesses: Coalesced::new(GUESSES_WITHIN, 1),
            acts: Mutex::default(),
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

    /// Says whether the clock can be believed; while it cannot, no look begins.
    pub fn doubt_clock(&self, doubted: bool) {
        self.0.clock_doubted.store(doubted, Ordering::Release);
    }

    /// Whether the clock cannot be believed at present.
    pub fn clock_is_doubted(&self) -> bool {
        self.0.clock_doubted.load(Ordering::Acquire)
    }

    /// Open looks, and refusals since the start.
    pub fn figures(&self) -> (usize, u64) {
        (self.held().len(), self.0.denials.load(Ordering::Relaxed))
    }

    /// What was asked and how it was answered since this was last called, for the counters.
    pub fn take_acts(&self) -> Acts {
        std::mem::take(&mut *self.0.acts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn count(&self, request: &Request, outcome: String, snapshot: &Snapshot) {
        let municipality = match &request.object {
            Object::Municipality(id) => Some(id.clone()),
            Object::Camera(camera) | Object::Footage { camera, .. } => {
                snapshot.register.camera(camera).map(|c| c.municipality.clone())
            }
            Object::None => None,
        };
        let mut acts = self.0.acts.lock().unwrap_or_else(PoisonError::into_inner);
        *acts.entry((municipality, word(&request.action), outcome)).or_default() += 1;
    }

    /// What the answer would be now. Shows nothing, opens nothing, logs nothing.
    pub fn preview(&self, request: &Request) -> Decision {
        let snapshot = self.snapshot();
        warm(&snapshot, request);
        decide(&snapshot.register, request, self.0.clock.now())
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

    /// Like [`Gate::act`], with what the law wants to know of this act beside who, what and why: also in the entry of a refusal.
    pub async fn act_telling(
        &self,
        ask: &Ask,
        tell: impl Fn(&mut Entry) + Send + Sync,
    ) -> Result<Pass, Refused> {
        self.pass_telling(&self.snapshot(), ask, &ask.request, Effect::Act, None, &tell).await
    }

    /// Asks to enter what a second person must confirm; like [`Gate::act`], but the missing confirmation is no refusal.
    pub async fn propose(&self, ask: &Ask) -> Result<Pass, Refused> {
        self.pass(ask, Effect::Propose, None).await
    }

    /// Like [`Gate::act_telling`], decided on a register that is not in force: what it would be if entries that are confirmed
    /// together took effect.
    pub async fn act_supposing(
        &self,
        ask: &Ask,
        supposed: &Snapshot,
        tell: impl Fn(&mut Entry) + Send + Sync,
    ) -> Result<Pass, Refused> {
        self.pass_telling(supposed, ask, &ask.request, Effect::Act, None, &tell).await
    }

    /// A second person confirms what somebody else asks: decided is the other's request, logged is the confirmation.
    pub async fn confirm(
        &self,
        own: &Ask,
        request: &Request,
        supposed: &Snapshot,
        tell: impl Fn(&mut Entry) + Send + Sync,
    ) -> Result<Pass, Refused> {
        self.pass_telling(supposed, own, request, Effect::Act, None, &tell).await
    }

    /// Like [`Gate::propose`], decided on a register in which what waits has taken effect.
    pub async fn propose_supposing(
        &self,
        ask: &Ask,
        supposed: &Snapshot,
        tell: impl Fn(&mut Entry) + Send + Sync,
    ) -> Result<Pass, Refused> {
        self.pass_telling(supposed, ask, &ask.request, Effect::Propose, None, &tell).await
    }

    /// Asks for a look; when this returns `Ok`, its start is durable in the log and pictures may flow.
    pub async fn look(&self, ask: Ask) -> Result<Lease, Refused> {
        if self.clock_is_doubted() {
            return Err(Refused::ClockDoubted);
        }
        let look = look_id().ok_or(Refused::LogUnavailable)?;
        let pass = self.pass(&ask, Effect::Look, Some(&look)).await?;
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        let (lease, held) = Lease::begin(self.clone(), id, ask, look, pass);
        self.held().insert(id, held);
        self.0.new_lease.notify_one();
        Ok(lease)
    }

    /// The one function: decide, log, then effect.
    async fn pass(&self, ask: &Ask, effect: Effect, look: Option<&str>) -> Result<Pass, Refused> {
        self.pass_on(&self.snapshot(), ask, &ask.request, effect, look).await
    }

    async fn pass_on(
        &self,
        snapshot: &Snapshot,
        ask: &Ask,
        request: &Request,
        effect: Effect,
        look: Option<&str>,
    ) -> Result<Pass, Refused> {
        self.pass_telling(snapshot, ask, request, effect, look, &|_| {}).await
    }

    async fn pass_telling(
        &self,
        snapshot: &Snapshot,
        ask: &Ask,
        request: &Request,
        effect: Effect,
        look: Option<&str>,
        tell: Tell<'_>,
    ) -> Result<Pass, Refused> {
        let now = self.0.clock.now();
        warm(snapshot, request);
        let decision = decide(&snapshot.register, request, now);
        let mut complete = true;
        let basis = match &decision {
            Decision::Permit(permit) => {
                complete = permit.is_complete();
                permit.basis().to_vec()
            }
            Decision::Deny(denial) if effect == Effect::Propose && denial.code == ReasonCode::FourEyes => {
                Vec::new()
            }
            Decision::Deny(denial) => {
                return Err(self.denied(ask, denial, now, snapshot, tell).await);
            }
        };
        let until = decision.until();
        if effect == Effect::Look && self.waits_for_witness(&request.actor, now) {
            self.log_denial(ask, witness::CODE.to_owned(), now, snapshot, tell).await;
            return Err(Refused::Unwitnessed);
        }
        let ledger_seq = if effect == Effect::List {
            None
        } else {
            if !self.0.log.health().borrow().writable {
                return Err(Refused::LogUnavailable);
            }
            let suffix = if effect == Effect::Look { ".start" } else { "" };
            let mut entry =
                entry_of(ask, operation(decision.obligations().log), suffix, now, snapshot, &basis, until);
            entry.look = look.map(ToOwned::to_owned);
            entry.outcome = Outcome::Permit;
            if !complete {
                entry.data = Some(incomplete());
            }
            tell(&mut entry);
            let receipt = self.0.log.append(entry).await.map_err(|error| {
                tracing::error!(%error, "the log refused an entry; nothing is shown without one");
                Refused::LogUnavailable
            })?;
            self.count(request, "permit".to_owned(), snapshot);
            Some(receipt.seq)
        };
        Ok(Pass { ledger_seq, basis, until })
    }

    /// Refuses by a code that another room of the daemon found, and logs it like the law's own.
    pub async fn refuse(&self, ask: &Ask, code: ReasonCode) -> Refused {
        self.refuse_telling(ask, code, |_| {}).await
    }

    /// The same, with what the law wants to know of the attempt beside who, what and why.
    pub async fn refuse_telling(
        &self,
        ask: &Ask,
        code: ReasonCode,
        tell: impl Fn(&mut Entry) + Send + Sync,
    ) -> Refused {
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
        let ledger_seq = self.log_denial(ask, code_text(code), now, &snapshot, &tell).await;
        Refused::Denied { refusal: Box::new(refusal), ledger_seq }
    }

    async fn denied(
        &self,
        ask: &Ask,
        denial: &Denial,
        now: DateTime<Utc>,
        snapshot: &Snapshot,
        tell: Tell<'_>,
    ) -> Refused {
        let refusal = Box::new(self.refusal(&ask.request, denial));
        let told = |entry: &mut Entry| {
            tell(entry);
            telling::rests_on(entry, denial);
        };
        let ledger_seq = self.log_denial(ask, code_text(denial.code), now, snapshot, &told).await;
        Refused::Denied { refusal, ledger_seq }
    }

    async fn log_denial(
        &self,
        ask: &Ask,
        reason_code: String,
        now: DateTime<Utc>,
        snapshot: &Snapshot,
        tell: Tell<'_>,
    ) -> Option<u64> {
        self.0.denials.fetch_add(1, Ordering::Relaxed);
        self.count(&ask.request, reason_code.clone(), snapshot);
        // A program that asks again and again must not bury the others' refusals.
        let Request { actor, action, object, .. } = &ask.request;
        let key = (actor.clone(), *action, object.camera().cloned(), ask.name, reason_code.clone());
        let repeated = self.0.refusals.tell(key, now)?;
        let mut entry = entry_of(ask, Operation::AccessDenied, "", now, snapshot, &[], None);
        entry.outcome = Outcome::Deny { reason_code };
        if repeated > 0 {
            entry.data = Some(serde_json::json!({ "repeated": repeated }));
        }
        tell(&mut entry);
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
        // Whose shift ends before the next window still wants to know when the camera is watched again.
        let opens_at = next_opening(&snapshot.register, request, now, HORIZON).or_else(|| {
            let camera = request.object.camera().filter(|_| request.action == Action::LiveView)?;
            let openings = camera_openings(&snapshot.register, camera, View::Live, now, now + HORIZON);
            openings.first().map(|opening| opening.from)
        });
        Refusal { code: denial.code, sentence: Sentence { nl, en }, decree, until: denial.until, opens_at }
    }

    /// An incident was closed: looks that rest on it end now, those that another basis carries go on (V12). Remembered, so that
    /// a look which was asked for a moment before and begins a moment later does not outlive it.
    pub fn incident_closed(&self, incident: &IncidentId) {
        self.closed().insert(incident.clone());
        self.review(self.0.clock.now(), true);
    }

    fn closed(&self) -> MutexGuard<'_, HashSet<IncidentId>> {
        self.0.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<u64, Held>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
