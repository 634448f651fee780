//! One look back: the gate's permit, the pieces that may be seen, and the footage of the vault up to the live edge.
//!
//! A range is decided in pieces (`decisions.md` 3); a refused piece is a gap with its reason. Footage is paced at the
//! speed the client asks for, and the lease is honoured throughout: when its basis ends, so does the look back.

use crate::{
    api::{App, ask},
    clock::{instant, micros},
    gate::{Lease, LeaseState, Refused},
    identity::Session,
    live::unknown_camera,
    media_socket::{Out, Outgoing, parameters},
    recorder::gap_word,
};
use chrono::{DateTime, TimeDelta, Utc};
use mandate::{Action, CameraId, Decision, IncidentId, Object, footage_pieces};
use media::{AccessUnit, GapReason, StreamId};
use protocol::{
    api::{Sentence, StreamRole},
    socket::{EndCause, ServerMessage},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use vault::Item;

/// Items read ahead of the client; bounds memory at some seconds of video.
const READ_AHEAD: usize = 64;
/// How far before the start that was asked its key frame may lie; longer groups begin with the next one.
const LEAD: TimeDelta = TimeDelta::seconds(10);
/// Longest stretch in one look back.
const LONGEST: TimeDelta = TimeDelta::hours(24);

/// What a client asked to see again.
pub(crate) struct Back {
    pub(crate) subscription: u32,
    pub(crate) camera: CameraId,
    pub(crate) stream: StreamRole,
    pub(crate) from: DateTime<Utc>,
    pub(crate) until: DateTime<Utc>,
    pub(crate) incident: Option<IncidentId>,
    pub(crate) speed: f32,
}

/// Runs a look back until its end, and says why it ended.
pub(crate) async fn run(app: App, session: Session, back: Back, out: Out, stop: CancellationToken) {
    let subscription = back.subscription;
    let cause = look(&app, &session, back, &out, &stop).await;
    // A socket that is gone needs no message.
    drop(out.send(Outgoing::Control(ServerMessage::Ended { subscription, cause })).await);
}

async fn look(app: &App, session: &Session, back: Back, out: &Out, stop: &CancellationToken) -> EndCause {
    // Only the full picture is recorded; whoever asks for the small one gets it in full.
    let (Some(streams), StreamRole::Main | StreamRole::Sub) = (app.streams.get(&back.camera), back.stream)
    else {
        return unknown_camera();
    };
    let stream = streams.stream(StreamRole::Main);
    let now = app.gate.clock().now();
    let until = back.until.min(now);
    if back.from >= until || until - back.from > LONGEST || !(0.0..=64.0).contains(&back.speed) {
        return EndCause::Invalid {
            sentence: Sentence {
                nl: "Het tijdvak is leeg, ligt in de toekomst, of is langer dan een dag.".to_owned(),
                en: "The stretch is empty, lies in the future, or is longer than a day.".to_owned(),
            },
        };
    }
    // The picture of that instant is decoded from the key frame before it. Whether that may leave is decided with the rest:
    // where the right itself begins later, the stretch begins with the next key frame (`decisions.md` 22).
    let (vault, start) = (app.vault.clone(), micros(back.from));
    let key = tokio::task::spawn_blocking(move || vault.key_frame_before(stream, start)).await;
    let key = key.ok().and_then(Result::ok).flatten().map(instant);
    let back = Back { from: key.filter(|key| back.from - *key <= LEAD).unwrap_or(back.from), ..back };
    let footage = Object::Footage { camera: back.camera.clone(), from: back.from, until };
    let mut ask = ask(session, Action::Replay, footage, "replay");
    ask.request.resolved.incident =
        back.incident.as_ref().and_then(|id| app.incidents.resolve(id, &back.camera).ok().flatten());
    let snapshot = app.gate.snapshot();
    let pieces = footage_pieces(&snapshot.register, &ask.request, now);
    // Each run of pieces that may be seen is a look of its own, with its own entry; if there is none, the whole range is
    // asked, and the gate refuses and logs that.
    let permitted: Vec<(DateTime<Utc>, DateTime<Utc>)> =
        pieces.iter().filter(|p| p.decision.is_permit()).map(|p| (p.from, p.until)).collect();
    let runs = joined(&permitted);
    let refused_pieces: Vec<_> = pieces
        .iter()
        .filter_map(|p| match &p.decision {
            Decision::Deny(denial) => Some((p.from, p.until, Some(denial.clone()))),
            Decision::Permit(_) => None,
        })
        .collect();
    let mut leases = Vec::new();
    for (from, until) in if runs.is_empty() { vec![(back.from, until)] } else { runs } {
        let mut one = ask.clone();
        one.request.object = Object::Footage { camera: back.camera.clone(), from, until };
        match app.gate.look(one).await {
            Ok(lease) => leases.push((lease, from, until)),
            Err(refused @ (Refused::LogUnavailable | Refused::ClockDoubted | Refused::Unwitnessed)) => {
                return refused.into_end();
            }
            Err(refused) if leases.is_empty() => return refused.into_end(),
            Err(_) => {}
        }
    }
    let Some((first, ..)) = leases.first() else { return unknown_camera() };
    let LeaseState::Running { basis, until: decided_until } = first.state() else { return EndCause::Stopped };
    let started = ServerMessage::Started {
        subscription: back.subscription,
        ledger_seq: first.ledger_seq(),
        basis: basis.to_vec(),
        until: decided_until,
    };
    if out.send(Outgoing::Control(started)).await.is_err() {
        return EndCause::Stopped;
    }
    for (from, until, denial) in refused_pieces {
        let sentence = denial.map(|d| d.sentence()).map(|(nl, en)| Sentence { nl, en });
        let message = gap(back.subscription, from, until, GapReason::Refused, sentence);
        if out.send(Outgoing::Control(message)).await.is_err() {
            return EndCause::Stopped;
        }
    }
    let mut pacer = Pacer { speed: f64::from(back.speed), began: None };
    let mut generation = None;
    let count = leases.len();
    for (i, (mut lease, from, until)) in leases.into_iter().enumerate() {
        let part = Part { stream, from, until, subscription: back.subscription, last: i + 1 == count };
        if let Some(cause) =
            play(app, session, &mut lease, &part, &mut pacer, &mut generation, out, stop).await
        {
            return cause;
        }
    }
    EndCause::Complete
}

/// Touching stretches as one.
pub(crate) fn joined(pieces: &[(DateTime<Utc>, DateTime<Utc>)]) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let mut runs: Vec<(DateTime<Utc>, DateTime<Utc>)> = Vec::new();
    for (from, until) in pieces {
        match runs.last_mut() {
            Some(last) if last.1 == *from => last.1 = *until,
            _ => runs.push((*from, *until)),
        }
    }
    runs
}

struct Part {
    stream: StreamId,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    subscription: u32,
    last: bool,
}

/// Sends pictures no faster than the client asked.
struct Pacer {
    speed: f64,
    /// When the first picture went, and its capture time (µs).
    began: Option<(tokio::time::Instant, i64)>,
}

impl Pacer {
    fn due(&mut self, captured: i64) -> Option<tokio::time::Instant> {
        if self.speed <= 0.0 {
            return None;
        }
        let (began, first) = *self.began.get_or_insert((tokio::time::Instant::now(), captured));
        let behind = (captured - first).max(0) as f64 / self.speed;
        Some(began + Duration::from_micros(behind as u64))
    }
}

/// Plays one permitted stretch; `Some` when the look back is over before its end.
#[expect(clippy::too_many_arguments, reason = "the parts of one look, used once")]
async fn play(
    app: &App,
    session: &Session,
    lease: &mut Lease,
    part: &Part,
    pacer: &mut Pacer,
    generation: &mut Option<u16>,
    out: &Out,
    stop: &CancellationToken,
) -> Option<EndCause> {
    let (items, mut queue) = mpsc::channel::<Result<Item, String>>(READ_AHEAD);
    let vault = app.vault.clone();
    let (stream, from, until) = (part.stream, micros(part.from), micros(part.until));
    // The vault reads and decrypts; that is no work for the async threads. The task ends when the queue is dropped.
    tokio::task::spawn_blocking(move || match vault.read(stream, from, until) {
        Ok(reader) => {
            for item in reader {
                if items.blocking_send(Ok(item)).is_err() {
                    return;
                }
            }
        }
        Err(error) => drop(items.blocking_send(Err(error.to_string()))),
    });
    let ticket = lease.ticket();
    let mut after_gap = false;
    let mut started = false;
    let mut held: Option<Arc<AccessUnit>> = None;
    loop {
        // One unit is held back, so that the last one can be marked.
        let item = tokio::select! {
            biased;
            state = lease.changed() => match state {
                LeaseState::Ended(cause) => return Some(cause),
                LeaseState::Running { basis, until } => {
                    let message = ServerMessage::Continued { subscription: part.subscription, basis: basis.to_vec(), until };
                    if out.send(Outgoing::Control(message)).await.is_err() {
                        return Some(EndCause::Stopped);
                    }
                    continue;
                }
            },
            () = stop.cancelled() => return Some(EndCause::Stopped),
            () = session.ended.cancelled() => return Some(EndCause::Stopped),
            item = queue.recv() => item,
        };
        let (ready, finished) = match item {
            Some(Ok(Item::Unit(unit))) => {
                // The reader starts at a key frame that may lie before the permitted start; nothing older leaves
                // (`decisions.md` 22), so the stretch begins with the next key frame.
                if unit.captured < from || (!started && !unit.key) {
                    continue;
                }
                started = true;
                (held.replace(Arc::new(unit)), false)
            }
            Some(Ok(Item::Gap { from, until, reason })) => {
                if let Some(cause) =
                    send(app, lease, part, held.take(), false, &mut after_gap, pacer, generation, out, stop)
                        .await
                {
                    return Some(cause);
                }
                after_gap = true;
                let message = gap(part.subscription, instant(from), instant(until), reason, None);
                if out.send(Outgoing::Control(message)).await.is_err() {
                    return Some(EndCause::Stopped);
                }
                continue;
            }
            Some(Err(error)) => {
                tracing::error!(%error, "footage could not be read");
                return Some(EndCause::Invalid {
                    sentence: Sentence {
                        nl: "De opname kan hier niet worden gelezen. Waarschuw de technisch beheerder."
                            .to_owned(),
                        en: "The footage cannot be read here. Call the system administrator.".to_owned(),
                    },
                });
            }
            None => (held.take(), true),
        };
        let last = finished && part.last;
        if let Some(cause) =
            send(app, lease, part, ready, last, &mut after_gap, pacer, generation, out, stop).await
        {
            return Some(cause);
        }
        if finished {
            return if ticket.running() { None } else { Some(EndCause::Stopped) };
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "the parts of one look, used once")]
async fn send(
    app: &App,
    lease: &Lease,
    part: &Part,
    unit: Option<Arc<AccessUnit>>,
    last: bool,
    after_gap: &mut bool,
    pacer: &mut Pacer,
    generation: &mut Option<u16>,
    out: &Out,
    stop: &CancellationToken,
) -> Option<EndCause> {
    let unit = unit?;
    let subscription = part.subscription;
    let mut state = lease.watch();
    let sending = async {
        if let Some(due) = pacer.due(unit.captured.0) {
            tokio::time::sleep_until(due).await;
        }
        let ticket = lease.ticket();
        while !ticket.covers(app.gate.clock().now()) && ticket.running() {
            // The gate decides anew within milliseconds.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if *generation != Some(unit.parameters.generation) {
            *generation = Some(unit.parameters.generation);
            if out.send(Outgoing::Control(parameters(subscription, &unit.parameters))).await.is_err() {
                return true;
            }
        }
        let gap = std::mem::take(after_gap);
        out.send(Outgoing::Unit { subscription, unit, ticket, live: false, last, gap }).await.is_err()
    };
    tokio::select! {
        gone = sending => gone.then_some(EndCause::Stopped),
        () = stop.cancelled() => Some(EndCause::Stopped),
        ended = state.wait_for(|s| matches!(s, LeaseState::Ended(_))) => match ended.as_deref() {
            Ok(LeaseState::Ended(cause)) => Some(cause.clone()),
            _ => Some(EndCause::Stopped),
        },
    }
}

fn gap(
    subscription: u32,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    reason: GapReason,
    sentence: Option<Sentence>,
) -> ServerMessage {
    let sentence = sentence.unwrap_or_else(|| gap_sentence(reason));
    ServerMessage::Gap { subscription, from, until, reason: gap_word(reason).to_owned(), sentence }
}

/// Why there are no pictures, for people.
pub(crate) fn gap_sentence(reason: GapReason) -> Sentence {
    let (nl, en) = match reason {
        GapReason::NotRunning => ("Het systeem draaide niet.", "The system was not running."),
        GapReason::CameraOffline => ("De camera gaf geen beeld.", "The camera gave no picture."),
        GapReason::NotInUse => (
            "Buiten de gebruiksperiode: er is niet opgenomen.",
            "Outside the use period: nothing was recorded.",
        ),
        GapReason::DiskFull => ("De schijf was vol.", "The disk was full."),
        GapReason::Overload => ("Het systeem was overbelast.", "The system was overloaded."),
        GapReason::Crash => ("Verloren bij een storing.", "Lost in a crash."),
        GapReason::Destroyed => {
            ("Vernietigd aan het einde van de termijn.", "Destroyed at the end of its term.")
        }
        GapReason::Refused => ("U mag dit niet zien.", "You may not see this."),
        GapReason::Damaged => ("De opname is beschadigd.", "The footage is damaged."),
    };
    Sentence { nl: nl.to_owned(), en: en.to_owned() }
}
