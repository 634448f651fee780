//! The one WebSocket of a console: control messages and all its pictures.
//!
//! A reader takes messages, each look is a task of its own, and one writer owns the socket. The queue between them is
//! short: when the socket is slow, looks wait, the hub skips to a key frame, and the client is told how many pictures
//! it missed. The writer asks each picture's ticket before it writes: what was queued under a lease that ended meanwhile
//! never leaves. Nothing here knows the console; every client gets the same.

use crate::{
    api::{
        App, Caller, Token,
        problem::{ApiError, read_json},
        room::{ledger_view, live_request, state_view},
    },
    gate::Ticket,
    identity::Session,
    live, receipts, replay,
};
use axum::{
    Extension,
    extract::{
        FromRequestParts as _, Request as HttpRequest, State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    response::Response,
};
use bytes::Bytes;
use chrono::TimeDelta;
use futures::{SinkExt as _, StreamExt as _, stream::SplitSink};
use ingest::SessionState;
use media::{AccessUnit, Parameters};
use protocol::{
    api::{Sentence, StreamRole},
    socket::{ClientMessage, EndCause, Motion, ServerMessage},
    wire::{self, UnitHeader},
};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

/// Messages between looks and writer. At 16 looks of 25 pictures a second this is a sixth of a second.
const QUEUE: usize = 64;
/// Looks at the same time on one socket.
const MOST_LOOKS: usize = 64;
/// Longest control message, bytes.
const LONGEST_MESSAGE: usize = 64 << 10;
/// A socket that takes no byte for so long is dead.
const DEAD_AFTER: Duration = Duration::from_secs(20);
/// How often the socket counts as use of its session, and the log's state is told.
const PULSE: Duration = Duration::from_secs(1);

/// Counts over all media sockets.
#[derive(Debug, Default)]
pub struct Figures {
    /// Sockets open now.
    pub sockets: AtomicU64,
    /// Pictures written.
    pub units: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
    /// Pictures that viewers missed because they were slow.
    pub skipped: AtomicU64,
    /// Time from the last packet of a live picture to the socket, by upper bound in ms: 1, 2, 5, 10, 20, 50, 100, more.
    pub delay: [AtomicU64; 8],
    /// Sum of the same, µs.
    pub delay_us: AtomicU64,
}

/// Upper bounds of [`Figures::delay`], ms.
pub const DELAY_BOUNDS_MS: [u64; 7] = [1, 2, 5, 10, 20, 50, 100];

impl Figures {
    fn delayed(&self, microseconds: i64) {
        let us = microseconds.max(0) as u64;
        let bucket = DELAY_BOUNDS_MS.iter().position(|ms| us <= ms * 1000).unwrap_or(DELAY_BOUNDS_MS.len());
        if let Some(count) = self.delay.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.delay_us.fetch_add(us, Ordering::Relaxed);
    }
}

/// What looks hand to the writer.
pub(crate) enum Outgoing {
    /// A control message.
    Control(ServerMessage),
    /// A picture, to be written only while its ticket runs.
    Unit {
        /// The client's number.
        subscription: u32,
        /// The picture.
        unit: Arc<AccessUnit>,
        /// Whether it may still leave.
        ticket: Arc<Ticket>,
        /// Whether it is live, and so counts for the delay.
        live: bool,
        /// The last of a replay.
        last: bool,
        /// A gap precedes it.
        gap: bool,
    },
}

/// The way from a look to the writer.
pub(crate) type Out = mpsc::Sender<Outgoing>;

/// The codec parameters as a message.
pub(crate) fn parameters(subscription: u32, parameters: &Parameters) -> ServerMessage {
    use base64::Engine as _;
    ServerMessage::Parameters {
        subscription,
        generation: parameters.generation,
        codec: match parameters.codec {
            media::Codec::H264 => "h264".to_owned(),
            media::Codec::H265 => "h265".to_owned(),
        },
        width: parameters.width,
        height: parameters.height,
        record: base64::engine::general_purpose::STANDARD.encode(&parameters.record),
    }
}

/// `GET /media`.
pub(crate) async fn open(
    State(app): State<App>,
    Extension(session): Caller,
    Extension(token): Extension<Token>,
    request: HttpRequest,
) -> Result<Response, ApiError> {
    let (mut parts, _) = request.into_parts();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &app)
        .await
        .map_err(|e| ApiError::Malformed(format!("this address is a WebSocket: {e}")))?;
    let upgrade =
        upgrade.protocols(["rtr.v1"]).max_message_size(LONGEST_MESSAGE).max_frame_size(LONGEST_MESSAGE);
    Ok(upgrade.on_upgrade(move |socket| serve(app, session, token, socket)))
}

async fn serve(app: App, session: Session, token: Token, socket: WebSocket) {
    app.media.sockets.fetch_add(1, Ordering::Relaxed);
    let (sink, mut incoming) = socket.split();
    let (out, queue) = mpsc::channel(QUEUE);
    let closed = CancellationToken::new();
    let (began, started) = mpsc::unbounded_channel();
    let writer = tokio::spawn(write(app.clone(), sink, queue, closed.clone(), began));
    let mut receipts = tokio::spawn(receipts::run(app.clone(), started, out.clone()));
    let mut pulse = tokio::spawn(pulse(app.clone(), session.clone(), token, out.clone()));
    let mut looks = Looks {
        app: app.clone(),
        session: session.clone(),
        out: out.clone(),
        running: HashMap::new(),
        tasks: JoinSet::new(),
    };
    let hello = ServerMessage::Hello {
        now: app.gate.clock().now().timestamp_micros(),
        ledger: ledger_view(&app.gate.log().health().borrow(), app.gate.clock().now()),
    };
    if out.send(Outgoing::Control(hello)).await.is_ok() {
        loop {
            let message = tokio::select! {
                message = incoming.next() => message,
                Some(ended) = looks.tasks.join_next(), if !looks.tasks.is_empty() => {
                    if let Ok(subscription) = ended {
                        looks.running.remove(&subscription);
                    }
                    continue;
                }
                () = session.ended.cancelled() => break,
                () = closed.cancelled() => break,
                () = app.stop.cancelled() => break,
            };
            match message {
                Some(Ok(Message::Text(text))) => {
                    if !looks.said(text.as_str()).await {
                        break;
                    }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            }
        }
    }
    // Leases end with their tasks, and log their stops.
    looks.tasks.shutdown().await;
    pulse.abort();
    drop((&mut pulse).await);
    receipts.abort();
    drop((&mut receipts).await);
    drop(looks);
    drop(out);
    if tokio::time::timeout(Duration::from_secs(1), writer).await.is_err() {
        closed.cancel();
    }
    app.media.sockets.fetch_sub(1, Ordering::Relaxed);
}

/// A look that runs.
struct Running {
    stop: CancellationToken,
    /// Of a replay.
    steer: Option<watch::Sender<Option<(u32, Motion)>>>,
}

/// The looks of one socket.
struct Looks {
    app: App,
    session: Session,
    out: Out,
    running: HashMap<u32, Running>,
    tasks: JoinSet<u32>,
}

impl Looks {
    /// Does what the client said; `false` when the socket is gone.
    async fn said(&mut self, text: &str) -> bool {
        let message = match read_json::<ClientMessage>(text.as_bytes()) {
            Ok(message) => message,
            Err(error) => {
                let sentence = Sentence {
                    nl: format!("Het bericht is niet te lezen: {error}"),
                    en: format!("The message cannot be read: {error}"),
                };
                return self.out.send(Outgoing::Control(ServerMessage::Error { sentence })).await.is_ok();
            }
        };
        match message {
            ClientMessage::Ping { sent } => {
                let now = self.app.gate.clock().now().timestamp_micros();
                self.out.send(Outgoing::Control(ServerMessage::Pong { sent, now })).await.is_ok()
            }
            ClientMessage::Stop { subscription } => {
                if let Some(running) = self.running.get(&subscription) {
                    running.stop.cancel();
                }
                true
            }
            ClientMessage::Watch { subscription, camera, stream, incident, display, key_frames_only } => {
                if !self.free(subscription).await {
                    return true;
                }
                let stop = self.begin(subscription, None);
                let watch = live::Watch { subscription, camera, stream, incident, display, key_frames_only };
                let (app, session, out) = (self.app.clone(), self.session.clone(), self.out.clone());
                self.tasks.spawn(async move {
                    live::run(app, session, watch, out, stop).await;
                    subscription
                });
                true
            }
            ClientMessage::Replay {
                subscription,
                camera,
                stream,
                from,
                until,
                incident,
                of,
                motion,
                stay,
            } => {
                if !self.free(subscription).await {
                    return true;
                }
                let (steer, steering) = watch::channel(None);
                let stop = self.begin(subscription, Some(steer));
                let back =
                    replay::Back { subscription, camera, stream, from, until, incident, of, motion, stay };
                let (app, session, out) = (self.app.clone(), self.session.clone(), self.out.clone());
                self.tasks.spawn(async move {
                    replay::run(app, session, back, out, stop, steering).await;
                    subscription
                });
                true
            }
            ClientMessage::Steer { subscriptions, serial, motion } => {
                for subscription in subscriptions {
                    // One that has ended meanwhile has said so.
                    if let Some(Running { steer: Some(steer), .. }) = self.running.get(&subscription) {
                        steer.send_replace(Some((serial, motion.clone())));
                    }
                }
                true
            }
        }
    }

    fn begin(
        &mut self,
        subscription: u32,
        steer: Option<watch::Sender<Option<(u32, Motion)>>>,
    ) -> CancellationToken {
        let stop = CancellationToken::new();
        self.running.insert(subscription, Running { stop: stop.clone(), steer });
        stop
    }

    async fn free(&self, subscription: u32) -> bool {
        let sentence = if self.running.contains_key(&subscription) {
            Sentence {
                nl: format!("Nummer {subscription} is op deze verbinding al in gebruik."),
                en: format!("Number {subscription} is in use on this connection already."),
            }
        } else if self.running.len() >= MOST_LOOKS {
            Sentence {
                nl: format!("Meer dan {MOST_LOOKS} beelden tegelijk kan niet."),
                en: format!("More than {MOST_LOOKS} pictures at a time is not possible."),
            }
        } else {
            return true;
        };
        let message = if self.running.contains_key(&subscription) {
            // The number belongs to the look that runs; ending it would be wrong.
            ServerMessage::Error { sentence }
        } else {
            ServerMessage::Ended { subscription, cause: EndCause::Invalid { sentence } }
        };
        // A socket that is gone is found by the reader.
        drop(self.out.send(Outgoing::Control(message)).await);
        false
    }
}

/// The one writer of a socket.
async fn write(
    app: App,
    mut sink: SplitSink<WebSocket, Message>,
    mut queue: mpsc::Receiver<Outgoing>,
    closed: CancellationToken,
    began: mpsc::UnboundedSender<u64>,
) {
    while let Some(outgoing) = queue.recv().await {
        let message = match outgoing {
            Outgoing::Control(message) => {
                if let ServerMessage::Started { ledger_seq, .. } = message {
                    // Nobody waits for receipts any more when the socket is closing.
                    began.send(ledger_seq).ok();
                }
                match serde_json::to_string(&message) {
                    Ok(text) => Message::Text(text.into()),
                    Err(error) => {
                        tracing::error!(%error, "a control message could not be written");
                        continue;
                    }
                }
            }
            Outgoing::Unit { subscription, unit, ticket, live, last, gap } => {
                if !ticket.running() {
                    continue;
                }
                let sent = app.gate.clock().now().timestamp_micros();
                app.media.units.fetch_add(1, Ordering::Relaxed);
                app.media.bytes.fetch_add(unit.payload.len() as u64, Ordering::Relaxed);
                if live {
                    app.media.delayed(sent - unit.received.0);
                }
                Message::Binary(encode(subscription, &unit, sent, last, gap))
            }
        };
        match tokio::time::timeout(DEAD_AFTER, sink.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => break,
        }
    }
    closed.cancel();
    // Whether the other side still hears it makes no difference.
    drop(tokio::time::timeout(Duration::from_millis(500), sink.close()).await);
}

fn encode(subscription: u32, unit: &AccessUnit, sent: i64, last: bool, gap: bool) -> Bytes {
    let header = UnitHeader {
        subscription,
        key: unit.key,
        discontinuity: unit.discontinuity,
        last,
        gap,
        generation: unit.parameters.generation,
        captured: unit.captured.0,
        // 90 kHz ticks to µs: times 100 / 9.
        duration: (u64::from(unit.duration) * 100 / 9).min(u64::from(u32::MAX)) as u32,
        sent,
        received: unit.received.0,
    };
    wire::encode(&header, &unit.payload)
}

/// What a console hears without asking: the state of its cameras, changes of the register, the log's health. An open
/// socket is also use of its session.
async fn pulse(app: App, session: Session, token: Token, out: Out) {
    let mut register = app.gate.register();
    let mut health = app.gate.log().health();
    let mut writable = health.borrow_and_update().writable;
    let mut told_entries = 0;
    let mut known: HashMap<u32, SessionState> = HashMap::new();
    let mut states = Vec::new();
    for streams in app.streams.iter() {
        if crate::api::room::in_scope(&app, &session, &streams.camera) {
            states.push((
                streams.main.stream.0,
                streams.camera.clone(),
                app.ingest.state(streams.stream(StreamRole::Main)),
            ));
        }
    }
    let mut tick = tokio::time::interval(PULSE);
    let mut boundary = next_boundary(&app, &session);
    loop {
        let mut changed = false;
        let clock = app.gate.clock().clone();
        let reached = async {
            match boundary {
                Some(at) => clock.reached(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            result = register.changed() => {
                if result.is_err() {
                    return;
                }
                changed = true;
            }
            () = reached => changed = true,
            result = health.changed() => {
                if result.is_err() {
                    return;
                }
                // Every entry changes the health; only the state itself is urgent, the count waits for the tick.
                if health.borrow_and_update().writable == writable {
                    continue;
                }
            }
            _ = tick.tick() => {
                // The session may have ended by its term; then the socket's own loop ends it.
                drop(app.identity.session(&token.0));
            }
        }
        if changed {
            boundary = next_boundary(&app, &session);
            if out.send(Outgoing::Control(ServerMessage::RegisterChanged)).await.is_err() {
                return;
            }
        }
        let now = health.borrow().clone();
        if now.writable != writable || now.entries.abs_diff(told_entries) > 0 {
            writable = now.writable;
            told_entries = now.entries;
            if out
                .send(Outgoing::Control(ServerMessage::Ledger {
                    ledger: ledger_view(&now, app.gate.clock().now()),
                }))
                .await
                .is_err()
            {
                return;
            }
        }
        for (number, camera, state) in &mut states {
            let state = state.borrow_and_update().clone();
            if known.get(number) != Some(&state) {
                let message = ServerMessage::Camera { camera: camera.clone(), state: state_view(&state) };
                known.insert(*number, state);
                if out.send(Outgoing::Control(message)).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// The next instant at which the answer for any camera of this session may change.
fn next_boundary(app: &App, session: &Session) -> Option<chrono::DateTime<chrono::Utc>> {
    let now = app.gate.clock().now();
    let snapshot = app.gate.snapshot();
    let next = snapshot
        .register
        .cameras()
        .filter_map(|c| app.gate.preview(&live_request(app, session, &c.id)).until())
        .filter(|at| *at > now)
        .min()?;
    // A little after it, so that the lists that the console then asks for show the new state.
    Some(next + TimeDelta::milliseconds(5))
}
