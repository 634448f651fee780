//! One live look: a lease from the gate, a subscription of the hub, and the pictures between them.

use crate::{
    api::{App, ask, room::live_request},
    clock::micros,
    gate::{Lease, LeaseState},
    identity::Session,
    media_socket::{Out, Outgoing, parameters},
};
use ingest::{Delivery, SessionState, SubscribeOptions, Subscription};
use mandate::{Action, CameraId, IncidentId, Object};
use media::StreamId;
use protocol::{
    api::{Sentence, StreamRole},
    socket::{EndCause, ServerMessage},
};
use std::sync::atomic::Ordering;
use tokio_util::sync::CancellationToken;

/// What a client asked to watch.
pub(crate) struct Watch {
    pub(crate) subscription: u32,
    pub(crate) camera: CameraId,
    pub(crate) stream: StreamRole,
    pub(crate) incident: Option<IncidentId>,
    pub(crate) display: Option<String>,
    pub(crate) key_frames_only: bool,
}

/// Runs a look until its end, and says why it ended.
pub(crate) async fn run(app: App, session: Session, watch: Watch, out: Out, stop: CancellationToken) {
    let subscription = watch.subscription;
    let cause = look(&app, &session, watch, &out, &stop).await;
    // A socket that is gone needs no message.
    drop(out.send(Outgoing::Control(ServerMessage::Ended { subscription, cause })).await);
}

async fn look(app: &App, session: &Session, watch: Watch, out: &Out, stop: &CancellationToken) -> EndCause {
    let Some(stream) = app.streams.get(&watch.camera).map(|s| s.stream(watch.stream)) else {
        return unknown_camera();
    };
    let mut ask = ask(session, Action::LiveView, Object::Camera(watch.camera.clone()), "live_view");
    ask.display = watch.display.map(|d| d.chars().take(64).collect());
    ask.request.resolved = live_request(app, session, &watch.camera).resolved;
    ask.request.resolved.incident =
        watch.incident.as_ref().and_then(|id| app.incidents.resolve(id, &watch.camera).ok().flatten());
    let request = ask.request.clone();
    let mut lease = match app.gate.look(ask).await {
        Ok(lease) => lease,
        Err(refused) => return refused.into_end(),
    };
    // No unit captured before the permitted start leaves (`decisions.md` 22): what lies in the hub's group may be older
    // than the window. A permit that already held is no edge, so look back at most one long group.
    let now = app.gate.clock().now();
    let snapshot = app.gate.snapshot();
    let reach = chrono::TimeDelta::seconds(10);
    let open = mandate::open_intervals(
        &snapshot.register,
        &request,
        now - reach,
        now + chrono::TimeDelta::milliseconds(1),
    );
    let not_before = open.last().map(|(from, _)| micros(*from));
    let options = SubscribeOptions {
        key_frames_only: watch.key_frames_only,
        not_before,
        ..SubscribeOptions::default()
    };
    let LeaseState::Running { basis, until } = lease.state() else { return ended(&lease) };
    let started = ServerMessage::Started {
        subscription: watch.subscription,
        ledger_seq: lease.ledger_seq(),
        basis: basis.to_vec(),
        until,
    };
    if out.send(Outgoing::Control(started)).await.is_err() {
        return EndCause::Stopped;
    }
    carry(app, &mut lease, stream, options, watch.subscription, out, stop, session).await
}

#[expect(clippy::too_many_arguments, reason = "the parts of one look, used once")]
async fn carry(
    app: &App,
    lease: &mut Lease,
    stream: StreamId,
    options: SubscribeOptions,
    subscription: u32,
    out: &Out,
    stop: &CancellationToken,
    session: &Session,
) -> EndCause {
    let mut pictures = Some(app.ingest.hub().subscribe(stream, options));
    let mut generation = None;
    let ticket = lease.ticket();
    // The group so far comes at once and is older than the look: only what comes after counts as delay.
    let began = micros(app.gate.clock().now());
    loop {
        tokio::select! {
            biased;
            state = lease.changed() => match state {
                LeaseState::Running { basis, until } => {
                    let basis = basis.to_vec();
                    let message = ServerMessage::Continued { subscription, basis, until };
                    if out.send(Outgoing::Control(message)).await.is_err() {
                        return EndCause::Stopped;
                    }
                }
                LeaseState::Ended(cause) => return cause,
            },
            () = stop.cancelled() => return EndCause::Stopped,
            () = session.ended.cancelled() => return EndCause::Stopped,
            delivery = next(app, stream, &mut pictures, &options) => match delivery {
                Delivery::Unit(unit) => {
                    // At the instant a permit ends, pictures wait for the gate's new decision: some milliseconds.
                    while !ticket.covers(app.gate.clock().now()) {
                        match lease.changed().await {
                            LeaseState::Running { basis, until } => {
                                let message = ServerMessage::Continued { subscription, basis: basis.to_vec(), until };
                                if out.send(Outgoing::Control(message)).await.is_err() {
                                    return EndCause::Stopped;
                                }
                            }
                            LeaseState::Ended(cause) => return cause,
                        }
                    }
                    if generation != Some(unit.parameters.generation) {
                        generation = Some(unit.parameters.generation);
                        let message = Outgoing::Control(parameters(subscription, &unit.parameters));
                        if out.send(message).await.is_err() {
                            return EndCause::Stopped;
                        }
                    }
                    let live = unit.received >= began;
                    let ticket = ticket.clone();
                    let picture = Outgoing::Unit { subscription, unit, ticket, live, last: false, gap: false };
                    // A slow socket must not keep a look alive: the lease's end is heard while waiting.
                    tokio::select! {
                        biased;
                        sent = out.send(picture) => if sent.is_err() {
                            return EndCause::Stopped;
                        },
                        () = stop.cancelled() => return EndCause::Stopped,
                        () = ended_by_gate(lease) => return ended(lease),
                    }
                }
                Delivery::Skipped(pictures) => {
                    app.media.skipped.fetch_add(pictures, Ordering::Relaxed);
                    let message = ServerMessage::Skipped { subscription, pictures };
                    if out.send(Outgoing::Control(message)).await.is_err() {
                        return EndCause::Stopped;
                    }
                }
            },
        }
    }
}

/// The next picture; when the stream was closed and is opened again, from its new subscription. Cancellation safe.
async fn next(
    app: &App,
    stream: StreamId,
    pictures: &mut Option<Subscription>,
    options: &SubscribeOptions,
) -> Delivery {
    loop {
        if let Some(subscription) = pictures {
            if let Some(delivery) = subscription.next().await {
                return delivery;
            }
            *pictures = None;
        }
        let mut state = app.ingest.state(stream);
        if state.wait_for(|s| *s != SessionState::Idle).await.is_err() {
            std::future::pending::<()>().await;
        }
        *pictures = Some(app.ingest.hub().subscribe(stream, *options));
    }
}

/// Waits until the gate cut the look; changes that go on are left for the main loop.
async fn ended_by_gate(lease: &Lease) {
    let mut state = lease.watch();
    if state.wait_for(|s| matches!(s, LeaseState::Ended(_))).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn ended(lease: &Lease) -> EndCause {
    match lease.state() {
        LeaseState::Ended(cause) => cause,
        LeaseState::Running { .. } => EndCause::Stopped,
    }
}

/// The answer for a camera that is not configured, or not in the register.
pub(crate) fn unknown_camera() -> EndCause {
    EndCause::Invalid {
        sentence: Sentence {
            nl: "Deze camera is niet bekend.".to_owned(),
            en: "This camera is not known.".to_owned(),
        },
    }
}
