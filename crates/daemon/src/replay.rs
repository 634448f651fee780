//! One look back: the gate's permit, the pieces that may be seen, and the footage of the vault up to the live edge.
//!
//! A range is decided in pieces ([`crate::pieces`]); a refused piece is a gap with its reason. Within what is permitted the
//! client moves as it likes, forward or backward, without another entry: the look is the range. Pictures are paced by the
//! motion that it asks for ([`motion`]); replays with one motion are in step. The lease is honoured throughout: when its
//! basis ends, so does the look back.

mod motion;

use crate::{
    api::{App, ask, room::live_request},
    clock::{instant, micros, to_micros},
    gate::{Lease, LeaseState, Ticket},
    identity::Session,
    live::unknown_camera,
    media_socket::{Out, Outgoing, parameters},
    pieces::{Pieces, Run, reach_back},
    recorder::gap_word,
};
use chrono::{DateTime, TimeDelta, Utc};
use mandate::{Action, CameraId, FactRef, IncidentId, Object, Statement};
use media::{AccessUnit, GapReason, StreamId};
pub(crate) use motion::{Pacer, check as check_motion};
use protocol::{
    api::{Sentence, StreamRole},
    socket::{EndCause, Motion, Offence, ServerMessage},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use vault::Item;

/// Items read ahead of the client; bounds memory at some seconds of video.
const READ_AHEAD: usize = 64;
/// Longest stretch in one look back.
pub(crate) const LONGEST: TimeDelta = TimeDelta::hours(24);

/// The newest steering: the client's number for it, and the motion.
pub(crate) type Steering = watch::Receiver<Option<(u32, Motion)>>;

/// What a client asked to see again.
pub(crate) struct Back {
    pub(crate) subscription: u32,
    pub(crate) camera: CameraId,
    pub(crate) stream: StreamRole,
    pub(crate) from: DateTime<Utc>,
    pub(crate) until: DateTime<Utc>,
    pub(crate) incident: Option<IncidentId>,
    pub(crate) of: Option<Offence>,
    pub(crate) motion: Motion,
    pub(crate) stay: bool,
}

/// Runs a look back until its end, and says why it ended.
pub(crate) async fn run(
    app: App,
    session: Session,
    back: Back,
    out: Out,
    stop: CancellationToken,
    steering: Steering,
) {
    let subscription = back.subscription;
    let cause = match look(&app, &session, back, &out, &stop, steering).await {
        Ok(cause) | Err(cause) => cause,
    };
    // A socket that is gone needs no message.
    drop(out.send(Outgoing::Control(ServerMessage::Ended { subscription, cause })).await);
}

/// A range that no look back may have, for people.
pub(crate) fn bad_range() -> Sentence {
    Sentence {
        nl: "Het tijdvak is leeg, ligt in de toekomst, of is langer dan een dag.".to_owned(),
        en: "The stretch is empty, lies in the future, or is longer than a day.".to_owned(),
    }
}

async fn look(
    app: &App,
    session: &Session,
    back: Back,
    out: &Out,
    stop: &CancellationToken,
    steering: Steering,
) -> Result<EndCause, EndCause> {
    // Only the full picture is recorded; whoever asks for the small one gets it in full.
    let (Some(streams), StreamRole::Main | StreamRole::Sub) = (app.streams.get(&back.camera), back.stream)
    else {
        return Err(unknown_camera());
    };
    let stream = streams.stream(StreamRole::Main);
    let back = Back { from: to_micros(back.from), until: to_micros(back.until), ..back };
    let until = back.until.min(to_micros(app.gate.clock().now()));
    if back.from >= until || until - back.from > LONGEST {
        return Err(EndCause::Invalid { sentence: bad_range() });
    }
    motion::check(&back.motion)?;
    // The picture of that instant is decoded from the key frame before it. Whether that may leave is decided with the rest:
    // where the right itself begins later, the stretch begins with the next key frame (`decisions.md` 22).
    let unreadable = |error| {
        tracing::error!(?error, "what is there of a stretch could not be looked up");
        EndCause::Invalid { sentence: unreadable() }
    };
    let from = reach_back(app, &back.camera, stream, back.from).await.map_err(unreadable)?;
    let footage = Object::Footage { camera: back.camera.clone(), from, until };
    let mut ask = ask(session, Action::Replay, footage, "replay");
    ask.request.resolved = live_request(app, session, &back.camera).resolved;
    ask.request.resolved.incident =
        back.incident.as_ref().and_then(|id| app.incidents.resolve(id, &back.camera).ok().flatten());
    if let Some(of) = back.of {
        let Offence { purpose, offence_ref, case_number } = of;
        ask.request =
            ask.request.saying(Statement { purpose, offence_ref, case_number, ..Statement::default() });
    }
    let pieces = Pieces::of(app, &ask.request, &back.camera, (from, until)).map_err(unreadable)?;
    let looks = pieces.looks(&app.gate, &ask, &back.camera, (from, until)).await;
    let (leases, refused) = looks.map_err(crate::gate::Refused::into_end)?;
    let Some((first, _)) = leases.first() else { return Err(unknown_camera()) };
    let LeaseState::Running { basis, until: decided_until } = first.state() else {
        return Err(EndCause::Stopped);
    };
    let subscription = back.subscription;
    let say = Say { out, subscription };
    say.tell(ServerMessage::Started {
        subscription,
        ledger_seq: first.ledger_seq(),
        basis: basis.to_vec(),
        until: decided_until,
    })
    .await?;
    for piece in refused {
        let (nl, en) = piece.denial.sentence();
        say.gap(piece.from, piece.until, GapReason::Refused, Some(Sentence { nl, en })).await?;
    }
    let mut playing =
        Playing { app, session, stream, say, stop, steering, stay: back.stay, generation: None };
    playing.play(&leases, back.motion).await
}

/// The way to the client.
#[derive(Clone, Copy)]
struct Say<'a> {
    out: &'a Out,
    subscription: u32,
}

impl Say<'_> {
    /// Says something; a socket that is gone ends the look.
    async fn tell(&self, message: ServerMessage) -> Result<(), EndCause> {
        self.out.send(Outgoing::Control(message)).await.map_err(|_| EndCause::Stopped)
    }

    async fn gap(
        &self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        reason: GapReason,
        sentence: Option<Sentence>,
    ) -> Result<(), EndCause> {
        let sentence = sentence.unwrap_or_else(|| gap_sentence(reason));
        let (subscription, reason) = (self.subscription, gap_word(reason).to_owned());
        self.tell(ServerMessage::Gap { subscription, from, until, reason, sentence }).await
    }
}

/// A look back that runs.
struct Playing<'a> {
    app: &'a App,
    session: &'a Session,
    stream: StreamId,
    say: Say<'a>,
    stop: &'a CancellationToken,
    steering: Steering,
    stay: bool,
    /// Of the parameters that were sent last.
    generation: Option<u16>,
}

/// How one way through the footage came to its end.
enum Passed {
    /// All of it was sent.
    All,
    /// The client turned elsewhere.
    Steered,
}

/// Something that concerns the look and not its pictures.
enum Event {
    Steered,
    Continued(Arc<[FactRef]>, Option<DateTime<Utc>>),
    Over(EndCause),
}

impl Playing<'_> {
    /// Plays by one motion after another.
    async fn play(&mut self, leases: &[(Lease, Run)], mut motion: Motion) -> Result<EndCause, EndCause> {
        loop {
            let passed = self.pass(leases, &motion).await?;
            if matches!(passed, Passed::All) {
                if !self.stay {
                    return Ok(EndCause::Complete);
                }
                self.say.tell(ServerMessage::AtEnd { subscription: self.say.subscription }).await?;
                self.rest(leases).await?;
            }
            let steered = self.steering.borrow_and_update().clone();
            if let Some((serial, to)) = steered {
                motion::check(&to)?;
                motion = to;
                let subscription = self.say.subscription;
                self.say.tell(ServerMessage::Steered { subscription, serial }).await?;
            }
        }
    }

    /// Once through what may be seen, from the motion's position in its direction.
    async fn pass(&mut self, leases: &[(Lease, Run)], motion: &Motion) -> Result<Passed, EndCause> {
        let (Some((_, first)), Some((_, last))) = (leases.first(), leases.last()) else {
            return Ok(Passed::All);
        };
        let backward = motion.speed < 0.0;
        let start = motion.position.unwrap_or(if backward { last.until } else { first.from });
        let still = self.stay && motion.speed == 0.0;
        let ahead = start.checked_add_signed(motion::STILL).filter(|_| still);
        let end = ahead.unwrap_or(last.until);
        let mut pacer = Pacer::new(motion, micros(start), self.app.gate.clock().now());
        let mut runs: Vec<_> = leases
            .iter()
            .filter(|(_, run)| if backward { run.from < start } else { run.until > start && run.from < end })
            .collect();
        if backward {
            runs.reverse();
        }
        let count = runs.len();
        for (n, (lease, run)) in runs.into_iter().enumerate() {
            let (from, until) = if backward {
                (run.from, run.until.min(start))
            } else {
                (run.from.max(start), run.until.min(end))
            };
            let stretch = Stretch { from, until, last: n + 1 == count && !self.stay, run, motion };
            if matches!(self.stretch(lease, &stretch, &mut pacer).await?, Passed::Steered) {
                return Ok(Passed::Steered);
            }
        }
        Ok(Passed::All)
    }

    /// Waits to be steered, with every lease still running.
    async fn rest(&mut self, leases: &[(Lease, Run)]) -> Result<(), EndCause> {
        let Some((lease, _)) = leases.first() else { return Err(EndCause::Stopped) };
        let mut state = lease.watch();
        loop {
            match self.event(&mut state).await {
                Event::Steered => return Ok(()),
                Event::Over(cause) => return Err(cause),
                Event::Continued(basis, until) => self.continued(&basis, until).await?,
            }
        }
    }

    /// What happens beside the pictures. Cancellation safe.
    async fn event(&mut self, state: &mut watch::Receiver<LeaseState>) -> Event {
        tokio::select! {
            biased;
            changed = state.changed() => match changed.map(|()| state.borrow_and_update().clone()) {
                Ok(LeaseState::Running { basis, until }) => Event::Continued(basis, until),
                Ok(LeaseState::Ended(cause)) => Event::Over(cause),
                Err(_) => Event::Over(EndCause::Stopped),
            },
            () = self.stop.cancelled() => Event::Over(EndCause::Stopped),
            () = self.session.ended.cancelled() => Event::Over(EndCause::Stopped),
            Ok(()) = self.steering.changed() => Event::Steered,
        }
    }

    async fn continued(&self, basis: &[FactRef], until: Option<DateTime<Utc>>) -> Result<(), EndCause> {
        let subscription = self.say.subscription;
        self.say.tell(ServerMessage::Continued { subscription, basis: basis.to_vec(), until }).await
    }

    /// Plays one permitted stretch.
    async fn stretch(
        &mut self,
        lease: &Lease,
        stretch: &Stretch<'_>,
        pacer: &mut Pacer,
    ) -> Result<Passed, EndCause> {
        let (items, mut queue) = mpsc::channel::<Result<Item, String>>(READ_AHEAD);
        let (vault, stream, kept) = (self.app.vault.clone(), self.stream, stretch.run.kept.clone());
        let range = (micros(stretch.from), micros(stretch.until));
        let (direction, pictures) = motion::reading(stretch.motion);
        // The vault reads and decrypts; that is no work for the async threads. The task ends when the queue is dropped.
        tokio::task::spawn_blocking(move || match vault.read_as(stream, range, direction, pictures, &kept) {
            Ok(reader) => {
                for item in reader {
                    if items.blocking_send(Ok(item)).is_err() {
                        return;
                    }
                }
            }
            Err(error) => drop(items.blocking_send(Err(error.to_string()))),
        });
        let mut state = lease.watch();
        let permitted_from = micros(stretch.run.from);
        let mut sending = Sending { ticket: lease.ticket(), started: false, after_gap: false };
        let mut waiting: Option<Arc<AccessUnit>> = None;
        loop {
            // One unit is held back, so that the last one can be marked.
            let item = tokio::select! {
                biased;
                event = self.event(&mut state) => match event {
                    Event::Steered => return Ok(Passed::Steered),
                    Event::Over(cause) => return Err(cause),
                    Event::Continued(basis, until) => {
                        self.continued(&basis, until).await?;
                        continue;
                    }
                },
                item = queue.recv() => item,
            };
            let (ready, gap) = match item {
                Some(Ok(Item::Unit(unit))) => {
                    // The reader starts at a key frame that may lie before the permitted start; nothing older leaves
                    // (`decisions.md` 22), so there the stretch begins with the next key frame.
                    if unit.captured < permitted_from {
                        sending.started = false;
                        continue;
                    }
                    if !sending.started && !unit.key {
                        continue;
                    }
                    sending.started = true;
                    (waiting.replace(Arc::new(unit)), None)
                }
                Some(Ok(Item::Gap { from, until, reason })) => {
                    (waiting.take(), Some((instant(from), instant(until), reason)))
                }
                Some(Err(error)) => {
                    tracing::error!(%error, "footage could not be read");
                    return Err(EndCause::Invalid { sentence: unreadable() });
                }
                None => {
                    let last = stretch.last;
                    if let Some(unit) = waiting.take()
                        && matches!(
                            self.send(&mut state, &mut sending, pacer, unit, last).await?,
                            Passed::Steered
                        )
                    {
                        return Ok(Passed::Steered);
                    }
                    return if sending.ticket.running() { Ok(Passed::All) } else { Err(EndCause::Stopped) };
                }
            };
            if let Some(unit) = ready
                && matches!(self.send(&mut state, &mut sending, pacer, unit, false).await?, Passed::Steered)
            {
                return Ok(Passed::Steered);
            }
            if let Some((from, until, reason)) = gap {
                sending.after_gap = true;
                self.say.gap(from, until, reason, None).await?;
            }
        }
    }

    /// Sends one picture when it is due and while the lease runs.
    async fn send(
        &mut self,
        state: &mut watch::Receiver<LeaseState>,
        sending: &mut Sending,
        pacer: &mut Pacer,
        unit: Arc<AccessUnit>,
        last: bool,
    ) -> Result<Passed, EndCause> {
        let due = pacer.due(&unit);
        let (ticket, clock) = (sending.ticket.clone(), self.app.gate.clock().clone());
        let may_go = async {
            if let Some(due) = due {
                tokio::time::sleep_until(due).await;
            }
            while !ticket.covers(clock.now()) && ticket.running() {
                // The gate decides anew within milliseconds.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::pin!(may_go);
        loop {
            tokio::select! {
                biased;
                event = self.event(state) => match event {
                    Event::Steered => return Ok(Passed::Steered),
                    Event::Over(cause) => return Err(cause),
                    Event::Continued(basis, until) => self.continued(&basis, until).await?,
                },
                () = &mut may_go => break,
            }
        }
        let subscription = self.say.subscription;
        if self.generation != Some(unit.parameters.generation) {
            self.generation = Some(unit.parameters.generation);
            self.say.tell(parameters(subscription, &unit.parameters)).await?;
        }
        let (ticket, gap) = (sending.ticket.clone(), std::mem::take(&mut sending.after_gap));
        let outgoing = Outgoing::Unit { subscription, unit, ticket, live: false, last, gap };
        let out = self.say.out;
        loop {
            tokio::select! {
                biased;
                event = self.event(state) => match event {
                    Event::Steered => return Ok(Passed::Steered),
                    Event::Over(cause) => return Err(cause),
                    Event::Continued(basis, until) => self.continued(&basis, until).await?,
                },
                place = out.reserve() => {
                    place.map_err(|_| EndCause::Stopped)?.send(outgoing);
                    return Ok(Passed::All);
                }
            }
        }
    }
}

/// One permitted stretch on one way through.
struct Stretch<'a> {
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    /// Its last picture is the last of all.
    last: bool,
    run: &'a Run,
    motion: &'a Motion,
}

/// Where the sending of a stretch stands.
struct Sending {
    ticket: Arc<Ticket>,
    /// A key frame that may be seen has come.
    started: bool,
    /// A gap was told since the last picture.
    after_gap: bool,
}

fn unreadable() -> Sentence {
    Sentence {
        nl: "De opname kan hier niet worden gelezen. Waarschuw de technisch beheerder.".to_owned(),
        en: "The footage cannot be read here. Call the system administrator.".to_owned(),
    }
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
