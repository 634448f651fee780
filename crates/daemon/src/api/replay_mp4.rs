//! Looking back with any player: a permitted range as fragmented MP4, through the gate like every look back. The lease is
//! honoured throughout: when its basis ends, the stream breaks off.
//!
//! The stream begins with the key frame from which the first picture is decoded and presents from that picture on; where the
//! key frame may not be seen, it begins with the next one. What may not be seen is left out. Where the camera changed its
//! parameters it goes on; where it changed its codec the stream ends, and a player asks again from there. `speed=1` paces
//! it for players that take everything at once. With `curl` or `ffplay -headers "Authorization: Bearer …"`.

use super::{
    App, Caller, Endpoint, Needs, ask, endpoint, problem::ApiError, query::Asked, room::live_request,
};
use crate::{
    clock::{micros, to_micros},
    gate::{Lease, Ticket},
    identity::Session,
    pieces::{Run, decodable},
    replay::{LONGEST, Pacer, bad_range, check_motion},
};
use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderValue, header},
    response::Response,
    routing::{MethodRouter, get},
};
use bytes::Bytes;
use mandate::{Action, CameraId, IncidentId, Object, Statement};
use media::{
    StreamId,
    mp4::{Fragments, Mp4Error},
};
use protocol::{
    api::{Sentence, StreamRole},
    socket::Motion,
};
use std::{io, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use vault::{Direction, Item, Pictures, Vault};

/// Pieces read ahead of the player; bounds memory at some seconds of video.
const READ_AHEAD: usize = 64;

type Sink = mpsc::Sender<Result<Bytes, io::Error>>;

/// The endpoint of this room.
pub(super) fn table() -> Vec<(Endpoint, MethodRouter<App>)> {
    let replay = endpoint(
        "GET",
        "/replay.mp4",
        Needs::Action(&[Action::Replay]),
        "replayMp4",
        "Look back as fragmented MP4, for any player",
        None,
        (200, None),
    );
    let query = &["camera", "from", "until", "incident", "purpose", "offence_ref", "case_number", "speed"];
    vec![(replay.asking(query), get(replay_mp4))]
}

/// `GET /replay.mp4`.
async fn replay_mp4(
    State(app): State<App>,
    Extension(session): Caller,
    asked: Asked,
) -> Result<Response, ApiError> {
    let camera = CameraId::new(asked.needed("camera")?);
    asked.needed("from")?;
    let now = app.gate.clock().now();
    let from = asked.instant("from")?.unwrap_or(now);
    let until = asked.instant("until")?.unwrap_or(now).min(to_micros(now));
    let stream = app.streams.get(&camera).ok_or(ApiError::NotFound)?.stream(StreamRole::Main);
    if from >= until || until - from > LONGEST {
        return Err(ApiError::Invalid(bad_range()));
    }
    let speed = asked.text("speed").map_or(Ok(0.0), str::parse).unwrap_or(f32::NAN);
    let motion = Motion { speed, ..Motion::default() };
    if speed < 0.0 || check_motion(&motion).is_err() {
        return Err(ApiError::Invalid(Sentence {
            nl: "`speed` is een getal van 0 (zo snel als het gaat) tot 64.".to_owned(),
            en: "`speed` is a number from 0 (as fast as it is taken) to 64.".to_owned(),
        }));
    }
    let footage = Object::Footage { camera: camera.clone(), from, until };
    let mut base = ask(&session, Action::Replay, footage, "replay");
    base.display = Some("mp4".to_owned());
    base.request = base.request.saying(Statement {
        purpose: asked.word("purpose")?,
        offence_ref: asked.text("offence_ref").map(ToOwned::to_owned),
        case_number: asked.text("case_number").map(ToOwned::to_owned),
        ..Statement::default()
    });
    let incident = asked.text("incident").map(IncidentId::new);
    base.request.resolved = live_request(&app, &session, &camera).resolved;
    base.request.resolved.incident =
        incident.and_then(|id| app.incidents.resolve(&id, &camera).ok().flatten());
    let (first, pieces) = decodable(&app, &base.request, &camera, stream, (from, until)).await?;
    let (looks, _) = pieces.looks(&app.gate, &base, &camera, (first, until)).await?;
    let (out, queue) = mpsc::channel(READ_AHEAD);
    let pacer = Pacer::new(&motion, micros(from), now);
    tokio::spawn(send(app, session, stream, looks, Fragments::shown_from(micros(from)), pacer, out));
    let body =
        futures::stream::unfold(
            queue,
            |mut queue| async move { queue.recv().await.map(|piece| (piece, queue)) },
        );
    let mut response = Response::new(Body::from_stream(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("video/mp4"));
    Ok(response)
}

/// How one stretch ended.
enum End {
    /// All of it went out.
    Whole,
    /// The stream ends here, as it should.
    Over,
    /// It was cut, or the player went away.
    Cut(&'static str),
}

/// Sends every stretch under its lease. Dropping a lease logs the end of its look.
async fn send(
    app: App,
    session: Session,
    stream: StreamId,
    looks: Vec<(Lease, Run)>,
    mut fragments: Fragments,
    mut pacer: Pacer,
    out: Sink,
) {
    for (lease, run) in looks {
        match stretch(&app, &session, stream, &run, &lease, &mut fragments, &mut pacer, &out).await {
            End::Whole => {}
            End::Over => return,
            End::Cut(why) => {
                // The player must not take what it has for all there was.
                drop(out.try_send(Err(io::Error::other(why))));
                return;
            }
        }
        // The look ends when its last group is out, not before.
        match fragments.finish() {
            Ok(pieces) => {
                if !covered(&app, &lease.ticket()).await || !give(&out, pieces).await {
                    return;
                }
            }
            Err(error) => return tracing::error!(%error, "a look back could not be written"),
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "the parts of one look, used once")]
async fn stretch(
    app: &App,
    session: &Session,
    stream: StreamId,
    run: &Run,
    lease: &Lease,
    fragments: &mut Fragments,
    pacer: &mut Pacer,
    out: &Sink,
) -> End {
    let (items, mut queue) = mpsc::channel(READ_AHEAD);
    let (vault, own, from) = (app.vault.clone(), run.clone(), micros(run.from));
    tokio::task::spawn_blocking(move || read(&vault, stream, &own, &items));
    let ticket = lease.ticket();
    let mut state = lease.watch();
    let ended = state.wait_for(|s| matches!(s, crate::gate::LeaseState::Ended(_)));
    tokio::pin!(ended);
    let mut started = false;
    loop {
        let item = tokio::select! {
            biased;
            _ = &mut ended => return End::Cut("the look was ended"),
            () = session.ended.cancelled() => return End::Cut("the session ended"),
            () = app.stop.cancelled() => return End::Cut("the daemon stops"),
            () = out.closed() => return End::Over,
            item = queue.recv() => item,
        };
        let unit = match item {
            None => return End::Whole,
            Some(Err(())) => return End::Cut("the footage cannot be read"),
            Some(Ok(unit)) => unit,
        };
        // Nothing captured before what may be seen leaves (`decisions.md` 22): begin with the next key frame.
        if unit.captured < from || (!started && !unit.key) {
            continue;
        }
        started = true;
        if let Some(due) = pacer.due(&unit) {
            tokio::select! {
                biased;
                _ = &mut ended => return End::Cut("the look was ended"),
                () = session.ended.cancelled() => return End::Cut("the session ended"),
                () = app.stop.cancelled() => return End::Cut("the daemon stops"),
                () = out.closed() => return End::Over,
                () = tokio::time::sleep_until(due) => {}
            }
        }
        let pieces = match fragments.push(&unit) {
            Ok(pieces) => pieces,
            Err(Mp4Error::CodecChanged { .. }) => {
                if let Ok(pieces) = fragments.finish()
                    && covered(app, &ticket).await
                {
                    give(out, pieces).await;
                }
                return End::Over;
            }
            Err(error) => {
                tracing::error!(%error, "a look back could not be written");
                return End::Cut("the footage cannot be written");
            }
        };
        if pieces.is_empty() {
            continue;
        }
        if !covered(app, &ticket).await {
            return End::Cut("the look was ended");
        }
        let sent = tokio::select! {
            biased;
            _ = &mut ended => return End::Cut("the look was ended"),
            () = session.ended.cancelled() => return End::Cut("the session ended"),
            sent = give(out, pieces) => sent,
        };
        if !sent {
            return End::Over;
        }
    }
}

/// Reads and decrypts, which is no work for the async threads. Ends when the queue is dropped.
fn read(vault: &Vault, stream: StreamId, run: &Run, items: &mpsc::Sender<Result<media::AccessUnit, ()>>) {
    let range = (micros(run.from), micros(run.until));
    match vault.read_as(stream, range, Direction::Forward, Pictures::All, &run.kept) {
        Ok(reader) => {
            for item in reader {
                if let Item::Unit(unit) = item
                    && items.blocking_send(Ok(unit)).is_err()
                {
                    return;
                }
            }
        }
        Err(error) => {
            tracing::error!(%error, "footage could not be read");
            drop(items.blocking_send(Err(())));
        }
    }
}

/// Waits until the look's permit reaches beyond now; not so when the look is over. The gate decides anew within
/// milliseconds.
async fn covered(app: &App, ticket: &Arc<Ticket>) -> bool {
    while !ticket.covers(app.gate.clock().now()) {
        if !ticket.running() {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    true
}

/// Whether the player took everything.
async fn give(out: &Sink, pieces: Vec<Bytes>) -> bool {
    for piece in pieces {
        if out.send(Ok(piece)).await.is_err() {
            return false;
        }
    }
    true
}
