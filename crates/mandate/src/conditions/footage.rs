//! Footage (F): recorded lawfully as known then and as known now, inside its term or held for this case (151c lid 9),
//! and what becomes of it.
//!
//! A range is asked as a whole: every frame must have been recorded lawfully, and the earliest must be inside its term.
//! [`footage_pieces`](crate::footage_pieces) cuts a range into what may be seen and what may not.

use super::{
    Step, Walk,
    basis::{self, ChainFacts},
    need, refuse, sooner,
};
use crate::{
    decision::{FactRef, ReasonCode},
    dossier::{DestroyGround, HoldState},
    facts::Role,
    grounds::CameraGround,
    policy::MAXIMUM_RETENTION_DAYS,
    register::Register,
    request::{Action, Object},
};
use chrono::{DateTime, TimeDelta, Utc};

/// The smallest step between two instants: half-open intervals of single frames.
const TICK: TimeDelta = TimeDelta::nanoseconds(1);

/// That a frame was recorded without a basis: the condition that failed and the fact on which it broke.
#[derive(Clone, Copy)]
pub(crate) struct Unlawful<'a> {
    pub(crate) code: ReasonCode,
    pub(crate) fact: Option<&'a FactRef>,
}

/// What holds for a frame, and for the frames after it until `same_until`.
pub(crate) struct Capture<'a> {
    /// Why it was unlawful as known at capture.
    pub(crate) unlawful_then: Option<Unlawful<'a>>,
    /// Why it was unlawful as known now.
    pub(crate) unlawful_now: Option<Unlawful<'a>>,
    /// What its lawfulness rested on, as known at capture.
    pub(crate) basis_then: ChainFacts<'a>,
    /// What its lawfulness rests on, as known now.
    pub(crate) basis: ChainFacts<'a>,
    /// How long it is kept.
    pub(crate) term: TimeDelta,
    /// The first later capture time for which the answer could differ.
    pub(crate) same_until: Option<DateTime<Utc>>,
}

impl<'a> Capture<'a> {
    /// Why it was unlawful: as known now, else as known then.
    pub(crate) fn unlawful(&self) -> Option<Unlawful<'a>> {
        self.unlawful_now.or(self.unlawful_then)
    }
}

/// The basis at capture, as known then and as known now: late knowledge only narrows (`decisions.md` 3).
pub(crate) fn capture<'a>(
    register: &'a Register,
    camera: &'a CameraGround,
    captured: DateTime<Utc>,
) -> Capture<'a> {
    let days_of = |chain: &basis::Chain<'_>| {
        chain.decree.map_or(MAXIMUM_RETENTION_DAYS, |ground| ground.decree.retention_days)
    };
    let now = basis::best(register.grounds(), camera, captured, basis::Reach::Use);
    let (then, more_known_at) = register.grounds_known_at(captured);
    let mut same_until = sooner(now.until, more_known_at, captured);
    let mut days = days_of(&now);
    let (unlawful_then, basis_then) = if std::ptr::eq(then, register.grounds()) {
        (now.unlawful(), now.rests_on.clone())
    } else if let Some(camera) = then.camera(&camera.camera.id) {
        let then = basis::best(then, camera, captured, basis::Reach::Use);
        days = days.min(days_of(&then));
        same_until = sooner(same_until, then.until, captured);
        (then.unlawful(), then.rests_on)
    } else {
        // The camera was not known yet.
        (Some(Unlawful { code: ReasonCode::CameraOutsideArea, fact: None }), ChainFacts::default())
    };
    let term = TimeDelta::days(days.min(MAXIMUM_RETENTION_DAYS).into());
    Capture { unlawful_then, unlawful_now: now.unlawful(), basis_then, basis: now.rests_on, term, same_until }
}

/// The footage that the request is about: its camera, its first instant and the instant after its last.
fn range<'a>(walk: &Walk<'a>) -> Option<(&'a CameraGround, DateTime<Utc>, DateTime<Utc>)> {
    match &walk.request.object {
        Object::Footage { from, until, .. } => {
            Some((walk.camera()?, *from, (*until).max(from.checked_add_signed(TICK)?)))
        }
        _ => None,
    }
}

/// The shortest term of any frame in the range, and when its first frame has outlived it.
fn expiry(walk: &Walk<'_>) -> Option<DateTime<Utc>> {
    let (camera, mut from, until) = range(walk)?;
    let mut earliest = from.checked_add_signed(capture(walk.register, camera, from).term)?;
    while let Some(next) = capture(walk.register, camera, from).same_until.filter(|next| *next < until) {
        from = next;
        earliest = earliest.min(from.checked_add_signed(capture(walk.register, camera, from).term)?);
    }
    Some(earliest)
}

/// Every frame was recorded on a basis.
pub(crate) fn lawful(walk: &mut Walk<'_>) -> Step {
    let Some((camera, from, until)) = range(walk) else {
        return refuse(ReasonCode::UnlawfullyRecorded, None);
    };
    let mut captured = from;
    loop {
        let piece = capture(walk.register, camera, captured);
        if let Some(unlawful) = piece.unlawful() {
            walk.obligations.quarantine = true;
            walk.obligations.notify = Some(Role::PrivacyOfficer);
            // Quarantine never extends a term.
            walk.obligations.destroy_at = expiry(walk);
            return refuse(ReasonCode::UnlawfullyRecorded, unlawful.fact);
        }
        // Lawful as known now and as known then: it rests on both.
        for fact in piece.basis.iter().chain(piece.basis_then.iter()) {
            walk.rests_on(fact);
        }
        match piece.same_until {
            Some(next) if next < until => captured = next,
            _ => return Ok(()),
        }
    }
}

/// Inside the term, or held for the case that is asked about. Elapsed hours, not calendar days (V5).
pub(crate) fn within_term(walk: &mut Walk<'_>) -> Step {
    let Some(expiry) = expiry(walk) else {
        return refuse(ReasonCode::RetentionExceeded, None);
    };
    if !active_hold(walk) {
        walk.obligations.destroy_at = Some(expiry);
    }
    if walk.at < expiry {
        walk.changes(Some(expiry));
        return Ok(());
    }
    let case = match (walk.request.action, &walk.request.resolved.export) {
        (Action::ApproveExport, Some(export)) => export.case_number.as_deref(),
        _ => walk.statement().and_then(|statement| statement.case_number.as_deref()),
    };
    // A hold that was set after the term cannot bring back what was due.
    let mut in_time =
        active_holds(walk).filter(|hold| hold.set_at.is_none_or(|set_at| set_at < expiry)).peekable();
    need(in_time.peek().is_some(), ReasonCode::RetentionExceeded)?;
    let same_case = in_time.any(|hold| hold.case_number.is_some() && hold.case_number.as_deref() == case);
    need(same_case, ReasonCode::HoldOtherCase)
}

fn active_holds<'a>(walk: &Walk<'a>) -> impl Iterator<Item = &'a crate::dossier::Hold> {
    let at = walk.at;
    walk.request
        .resolved
        .holds
        .iter()
        .filter(move |hold| hold.state == HoldState::Active && hold.set_at.is_none_or(|set_at| set_at <= at))
}

fn active_hold(walk: &Walk<'_>) -> bool {
    active_holds(walk).next().is_some()
}

/// Not further back than the controller allows inside an incident.
pub(crate) fn within_replay_limit(walk: &mut Walk<'_>) -> Step {
    let (Some((_, captured, _)), Some(limit)) = (range(walk), walk.register.policy().replay_limit) else {
        return refuse(ReasonCode::ReplayLimit, None);
    };
    // The limit itself is still allowed, so the answer changes one tick later.
    let last = captured.checked_add_signed(limit);
    walk.changes(last.and_then(|last| last.checked_add_signed(TICK)));
    need(last.is_some_and(|last| walk.at <= last), ReasonCode::ReplayLimit)
}

/// What is made keeps the capture time and so the term of the picture it was made from.
pub(crate) fn inherits(walk: &mut Walk<'_>) {
    walk.obligations.inherits_retention = true;
    starts_term(walk);
}

/// What is recorded now must be destroyed when its term is over.
pub(crate) fn starts_term(walk: &mut Walk<'_>) {
    if let Some(camera) = walk.camera() {
        let term = capture(walk.register, camera, walk.at).term;
        walk.obligations.destroy_at = walk.at.checked_add_signed(term);
    }
}

/// A hold is made: the footage outlives its term for this case.
pub(crate) fn held(walk: &mut Walk<'_>) {
    walk.obligations.creates_hold = true;
    walk.obligations.extends_retention = true;
    walk.obligations.destroy_at = None;
}

/// A hold is released: past the term the footage goes at once, else the term runs on.
pub(crate) fn released(walk: &mut Walk<'_>) {
    let expiry = expiry(walk);
    walk.obligations.destroy_now = expiry.is_none_or(|expiry| expiry <= walk.at);
    walk.obligations.destroy_at = expiry.filter(|expiry| walk.at < *expiry);
    walk.changes(expiry);
}

/// Something in the range was recorded without a basis, and no hold binds it: somebody may decide that it goes.
pub(crate) fn to_be_decided_about(walk: &mut Walk<'_>) -> Step {
    not_held(walk)?;
    let Some((camera, mut captured, until)) = range(walk) else {
        return refuse(ReasonCode::NotDue, None);
    };
    loop {
        let piece = capture(walk.register, camera, captured);
        if piece.unlawful().is_some() {
            walk.obligations.destroy_now = true;
            return Ok(());
        }
        match piece.same_until {
            Some(next) if next < until => captured = next,
            _ => return refuse(ReasonCode::NotDue, None),
        }
    }
}

/// No hold binds it.
fn not_held(walk: &mut Walk<'_>) -> Step {
    let hold_from = walk.request.resolved.holds.iter().filter(|hold| hold.state == HoldState::Active);
    let hold_from = hold_from.filter_map(|hold| hold.set_at).filter(|set_at| *set_at > walk.at).min();
    walk.changes(hold_from);
    need(!active_hold(walk), ReasonCode::Held)
}

/// Footage may go: its term is over, or there is a ground to destroy it earlier; and no hold binds it.
pub(crate) fn due(walk: &mut Walk<'_>) -> Step {
    not_held(walk)?;
    let Some((camera, from, until)) = range(walk) else {
        return refuse(ReasonCode::NotDue, None);
    };
    let (mut captured, mut all_lawful) = (from, true);
    let mut due = None;
    loop {
        let piece = capture(walk.register, camera, captured);
        all_lawful &= piece.unlawful().is_none();
        // Half-open: the last frame of the piece lies one tick before its end.
        let end = piece.same_until.map_or(until, |next| next.min(until));
        let last = end.checked_sub_signed(TICK).and_then(|last| last.checked_add_signed(piece.term));
        due = due.max(last);
        if end >= until {
            break;
        }
        captured = end;
    }
    let released = walk.request.resolved.holds.iter().any(|hold| hold.state == HoldState::Released);
    let early = match walk.request.resolved.destroy_ground {
        Some(DestroyGround::HoldReleased | DestroyGround::BudgetInstruction) => true,
        // The decision is about footage that should not exist; lawful footage stays until its term.
        Some(DestroyGround::QuarantineDecision) => !all_lawful,
        None => released,
    };
    walk.changes(due);
    need(early || due.is_some_and(|due| due <= walk.at), ReasonCode::NotDue)
}

/// The first later capture time whose answer, at an instant, could differ from the one of `captured`.
pub(crate) fn piece_end(
    register: &Register,
    camera: &crate::ids::CameraId,
    captured: DateTime<Utc>,
    at: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let piece = capture(register, register.grounds().camera(camera)?, captured);
    // Frames up to and including `at - term` have outlived the term; those before `at - limit` lie too far back.
    let youngest_expired = at.checked_sub_signed(piece.term).and_then(|edge| edge.checked_add_signed(TICK));
    let oldest_allowed = register.policy().replay_limit.and_then(|limit| at.checked_sub_signed(limit));
    let end = sooner(piece.same_until, youngest_expired, captured);
    sooner(end, oldest_allowed, captured)
}
