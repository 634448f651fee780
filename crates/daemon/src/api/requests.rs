//! Footage requests over the API: asked by who investigates, approved by another person, fetched once by who is named.
//!
//! Every step asks the gate about exactly the footage it concerns, camera by camera and piece by piece (`decisions.md` 3):
//! a request that the law refuses in part is kept for the rest, and what is left out is listed with its reason. An approval
//! secures the footage before it answers. A file leaves only as long as every picture in it is still lawful as known now.

mod fetch;

use super::{
    App, Caller, Endpoint, Needs, ask, endpoint,
    holds::after,
    problem::{ApiError, read_body},
    room::in_scope,
};
use crate::{
    clock::to_micros,
    exports::{ExportError, produce},
    gate::{Ask, code_text},
    identity::Session,
    pieces::{Pieces, Run, Stretch, hold_of, reach_back},
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    routing::{MethodRouter, get, post},
};
use chrono::TimeDelta;
use evidence::{FootageRequest, HeldStretch, LeftOut, NewFootageRequest, RequestError, RequestState};
use ledger::{Entry, Object as LogObject, Operation};
use mandate::{Action, Actor, CameraId, ExportId, Object, Purpose, ReasonCode, Role, Statement};
use protocol::api::{Approval, Sentence, StreamRole, WithReason};

/// Requests in one answer.
const NEWEST: u32 = 500;
/// Longest time in which files may be fetched, hours: two weeks.
const LONGEST_HOURS: u32 = 336;

/// The endpoints of this room.
pub(super) fn table() -> Vec<(Endpoint, MethodRouter<App>)> {
    const ANY: Needs = Needs::Action(&[Action::RequestExport, Action::ApproveExport, Action::DownloadExport]);
    const APPROVE: Needs = Needs::Action(&[Action::ApproveExport]);
    const ONE: (u16, Option<&str>) = (200, Some("FootageRequest"));
    let e = endpoint;
    vec![
        (
            e(
                "GET",
                "/requests",
                ANY,
                "footageRequests",
                "Footage requests that are yours to see",
                None,
                (200, Some("FootageRequest[]")),
            ),
            get(list),
        ),
        (
            e(
                "POST",
                "/requests",
                Needs::Action(&[Action::RequestExport]),
                "requestFootage",
                "Ask for footage of an offence; another person approves",
                Some("NewFootageRequest"),
                (201, Some("FootageRequest")),
            ),
            post(request),
        ),
        (e("GET", "/requests/{id}", ANY, "footageRequest", "One footage request", None, ONE), get(one)),
        (
            e(
                "POST",
                "/requests/{id}/approve",
                APPROVE,
                "approveRequest",
                "Approve somebody else's request; the footage is secured",
                Some("Approval"),
                ONE,
            ),
            post(approve),
        ),
        (
            e(
                "POST",
                "/requests/{id}/refuse",
                APPROVE,
                "refuseRequest",
                "Refuse a request; the reason is kept",
                Some("WithReason"),
                ONE,
            ),
            post(refuse),
        ),
        (
            e(
                "POST",
                "/requests/{id}/close",
                Needs::Action(&[Action::ReleaseHold]),
                "closeRequest",
                "End an approval and release what it secured",
                Some("WithReason"),
                ONE,
            ),
            post(close),
        ),
        (
            e(
                "GET",
                "/requests/{id}/files/{seq}",
                Needs::Action(&[Action::DownloadExport]),
                "downloadFile",
                "Fetch one file of an approved request (MP4), once, as its named recipient",
                None,
                (200, None),
            ),
            get(fetch::file),
        ),
    ]
}

impl From<ExportError> for ApiError {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::NoSuchRequest | ExportError::Step(RequestError::NoSuchFile) => Self::NotFound,
            ExportError::Step(error) => error.into(),
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        let sentence = |nl: &str, en: &str| Sentence { nl: nl.to_owned(), en: en.to_owned() };
        match error {
            RequestError::Invalid(what) => Self::Invalid(Sentence {
                nl: format!("De aanvraag klopt niet: {what}."),
                en: format!("The request is not right: {what}."),
            }),
            RequestError::State(state) => Self::Conflict(match state {
                RequestState::Requested => sentence(
                    "Over deze aanvraag is nog niet beslist.",
                    "This request has not been decided about yet.",
                ),
                RequestState::Approved => {
                    sentence("Deze aanvraag is al goedgekeurd.", "This request is approved already.")
                }
                RequestState::Refused => sentence("Deze aanvraag is afgewezen.", "This request was refused."),
                RequestState::Closed => sentence("Deze aanvraag is afgesloten.", "This request is closed."),
            }),
            RequestError::Fetched => Self::Conflict(sentence(
                "Dit bestand is al opgehaald. Vraag de beelden opnieuw aan als het verloren ging.",
                "This file was fetched already. Ask for the footage again if it was lost.",
            )),
            RequestError::TriedTooOften => Self::Conflict(sentence(
                "Het ophalen van dit bestand is te vaak afgebroken. Vraag de beelden opnieuw aan.",
                "Fetching this file broke off too often. Ask for the footage again.",
            )),
            RequestError::NoSuchFile => Self::NotFound,
        }
    }
}

/// Whether a request is this session's to see: its maker, its recipient, or somebody who decides, in scope of all cameras.
fn visible(app: &App, session: &Session, request: &FootageRequest) -> bool {
    let concerned = request.requested_by == session.person
        || request.asked.recipient == session.person
        || session.role == Role::PoliceApprover;
    concerned && request.asked.cameras.iter().all(|camera| in_scope(app, session, camera))
}

fn find(app: &App, session: &Session, id: String) -> Result<FootageRequest, ApiError> {
    let request = app.exports.find(&ExportId::from(id))?;
    if visible(app, session, &request) { Ok(request) } else { Err(ApiError::NotFound) }
}

/// `GET /requests`.
async fn list(
    State(app): State<App>,
    Extension(session): Caller,
) -> Result<Json<Vec<FootageRequest>>, ApiError> {
    app.gate.list(&ask(&session, Action::ListCameras, Object::None, "export.list")).await?;
    let mut all = app.exports.newest(NEWEST)?;
    all.retain(|request| visible(&app, &session, request));
    Ok(Json(all))
}

/// `GET /requests/{id}`.
async fn one(
    State(app): State<App>,
    Extension(session): Caller,
    Path(id): Path<String>,
) -> Result<Json<FootageRequest>, ApiError> {
    app.gate.list(&ask(&session, Action::ListCameras, Object::None, "export.read")).await?;
    find(&app, &session, id).map(Json)
}

/// Which runs of a camera's footage the law gives for this ask, and what is left out and why. Where it gives none, the
/// whole stretch is asked at the gate, which refuses and logs that.
pub(super) async fn lawful_runs(
    app: &App,
    ask: &Ask,
    camera: &CameraId,
    (from, until): Stretch,
) -> Result<(Vec<Run>, Vec<LeftOut>), ApiError> {
    let pieces = Pieces::of(app, &ask.request, camera, (from, until))?;
    if pieces.runs.is_empty() {
        let run = Run { from, until, law: pieces.all_law(), kept: Vec::new() };
        app.gate.act(&asked_of(ask, camera, &run)).await?;
        // The register changed in between: the gate gives what was refused a moment ago.
        return Ok((vec![run], Vec::new()));
    }
    let left_out = pieces.refused.into_iter().map(|piece| {
        let (nl, en) = piece.denial.sentence();
        let (from, until, reason) = (piece.from, piece.until, code_text(piece.denial.code));
        LeftOut { camera: camera.clone(), from, until, reason, nl, en }
    });
    Ok((pieces.runs, left_out.collect()))
}

/// The ask, about one run.
pub(super) fn asked_of(ask: &Ask, camera: &CameraId, run: &Run) -> Ask {
    let mut one = ask.clone();
    one.request.object = run.footage(camera);
    one.request.resolved.holds.clone_from(&run.law);
    one
}

/// `POST /requests`.
async fn request(
    State(app): State<App>,
    Extension(session): Caller,
    body: Bytes,
) -> Result<(StatusCode, Json<FootageRequest>), ApiError> {
    let mut new: NewFootageRequest = read_body(&body)?;
    (new.from, new.until) = (to_micros(new.from), to_micros(new.until));
    let now = app.gate.clock().now();
    new.check(now)?;
    let mut base = ask(&session, Action::RequestExport, Object::None, "export.request");
    base.request = base.request.saying(new.statement());
    let mut acts = Vec::new();
    for camera in &new.cameras {
        if app.streams.get(camera).is_none() {
            return Err(ApiError::NotFound);
        }
        let (runs, _) = lawful_runs(&app, &base, camera, (new.from, new.until)).await?;
        acts.extend(runs.iter().map(|run| asked_of(&base, camera, run)));
    }
    // Asked only when every camera has something to give, so that a permit is never followed by a refusal.
    for ask in acts {
        app.gate.act(&ask).await?;
    }
    let request = app.exports.add(session.person.clone(), now, new)?;
    Ok((StatusCode::CREATED, Json(request)))
}

/// `POST /requests/{id}/approve`.
async fn approve(
    State(app): State<App>,
    Extension(session): Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<FootageRequest>, ApiError> {
    let approval: Approval = read_body(&body)?;
    let known = find(&app, &session, id)?;
    if !(1..=LONGEST_HOURS).contains(&approval.download_hours) {
        return Err(RequestError::Invalid("files can be fetched for 1 to 336 hours").into());
    }
    let now = app.gate.clock().now();
    let mut base = ask(&session, Action::ApproveExport, Object::None, "export.approve");
    base.request = base.request.saying(known.statement());
    base.request.resolved.export = Some(Box::new(known.export(true)));
    if known.state != RequestState::Requested {
        return Err(RequestError::State(known.state).into());
    }
    let (mut held, mut acts, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    for camera in &known.asked.cameras {
        let Some(streams) = app.streams.get(camera) else { return Err(ApiError::NotFound) };
        // Pictures from the key frame on, so that the first one asked for can be decoded.
        let stream = streams.stream(StreamRole::Main);
        let from = reach_back(&app, camera, stream, known.asked.from).await?;
        let (runs, refused) = lawful_runs(&app, &base, camera, (from, known.asked.until)).await?;
        // Pictures before the start were not asked for; that they may not be given is no gap.
        left_out.extend(refused.into_iter().filter_map(|piece| after(piece, known.asked.from)));
        for run in runs {
            acts.push(asked_of(&base, camera, &run));
            let (hold, camera) = (format!("export-{}-{}", known.id, held.len()), camera.clone());
            held.push(HeldStretch { hold, camera, from: run.from, until: run.until, out_of: run.kept });
        }
    }
    let no_case = known.asked.case_number.as_ref().is_none_or(|case| case.trim().is_empty());
    if known.asked.purpose == Purpose::Investigation && no_case {
        // What is secured is secured for a case.
        return Err(app.gate.refuse(&base, ReasonCode::CaseNumberRequired).await.into());
    }
    let mut entry = None;
    for ask in &acts {
        // The newest of them: whoever has seen it has seen them all.
        entry = app.gate.act(ask).await?.ledger_seq.or(entry);
    }
    let entry = entry.map(|seq| app.gate.entry_of(seq));
    let until = now + TimeDelta::hours(approval.download_hours.into());
    let approved = app.exports.change(&known.id, |request| {
        request.approve(session.person.clone(), now, until, held)?;
        request.left_out = left_out;
        if let Some(entry) = entry {
            (request.entry, request.entry_log) = (Some(entry.seq), entry.log);
        }
        Ok(())
    })?;
    prepare(&app, approved).await.map(Json)
}

/// Secures the footage of an approved request and finds its files. Goes on when the caller goes away.
pub(crate) async fn prepare(app: &App, request: FootageRequest) -> Result<FootageRequest, ApiError> {
    let own = app.clone();
    let work = tokio::task::spawn_blocking(move || {
        let (files, left_out) = produce::prepare(&own.vault, &own.streams, &request)?;
        let ready = own.exports.change(&request.id, |kept| {
            (kept.files, kept.left_out, kept.ready) = (files, left_out, true);
            Ok(())
        })?;
        let mut entry = Entry::new(own.gate.clock().now(), Operation::Combine, "export.ready");
        entry.object = Some(LogObject::thing("export", &ready.id));
        let files = ready.files.iter().map(|file| {
            serde_json::json!({
                "number": file.number, "camera": file.camera, "from": file.from, "until": file.until,
                "bytes": file.bytes.to_string(), "sha256": file.sha256,
            })
        });
        entry.data = Some(serde_json::json!({
            "files": files.collect::<Vec<_>>(), "left_out": ready.left_out.len(),
        }));
        let by = ready.decided_by.clone();
        let by = by.map(|person| Actor::Person { person, role: Role::PoliceApprover });
        super::holds::of_request(&own, &ready, by.as_ref(), "hold.secured", &ready.held);
        own.gate.log().append_spooled(entry);
        Ok::<_, ExportError>(ready)
    });
    Ok(work.await.map_err(|e| ApiError::Internal(e.to_string()))??)
}

/// Takes up what a stop cut short: approvals whose footage is not secured or whose files are not known.
pub(crate) async fn resume(app: App) {
    let waiting = match app.exports.newest(NEWEST) {
        Ok(all) => all.into_iter().filter(|r| r.state == RequestState::Approved && !r.ready),
        Err(error) => return tracing::error!(%error, "the footage requests cannot be read"),
    };
    for request in waiting {
        let id = request.id.clone();
        if let Err(error) = prepare(&app, request).await {
            tracing::error!(request = %id, ?error, "an approved request could not be prepared");
        }
    }
}

/// `POST /requests/{id}/refuse`.
async fn refuse(
    State(app): State<App>,
    Extension(session): Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<FootageRequest>, ApiError> {
    let why: WithReason = read_body(&body)?;
    let known = find(&app, &session, id)?;
    // Refusing shows and gives nothing, so it is asked like the list, and logged as the act it is.
    let mut own = ask(&session, Action::ListCameras, Object::None, "export.refuse");
    own.request = own.request.saying(Statement { reason: Some(why.reason.clone()), ..known.statement() });
    let now = app.gate.clock().now();
    // Tried on a copy first, so that the log says nothing that then does not happen.
    known.clone().refuse(session.person.clone(), now, &why.reason)?;
    own.request.resolved.export = Some(Box::new(known.export(false)));
    let about = |entry: &mut Entry| {
        entry.operation = Operation::Disclose;
        entry.object = Some(LogObject::thing("export", &known.id));
    };
    app.gate.act_telling(&own, about).await?;
    Ok(Json(app.exports.change(&known.id, |r| r.refuse(session.person.clone(), now, &why.reason))?))
}

/// `POST /requests/{id}/close`.
async fn close(
    State(app): State<App>,
    Extension(session): Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<FootageRequest>, ApiError> {
    let why: WithReason = read_body(&body)?;
    let known = find(&app, &session, id)?;
    // What could not be released is released by a second call.
    let unfinished = known.state == RequestState::Closed
        && known.held.iter().any(|stretch| app.vault.held(&stretch.hold).is_some());
    if !unfinished {
        known.clone().close()?;
    }
    for stretch in &known.held {
        let footage =
            Object::Footage { camera: stretch.camera.clone(), from: stretch.from, until: stretch.until };
        let mut own = ask(&session, Action::ReleaseHold, footage, "hold.release");
        own.request = own.request.saying(Statement { reason: Some(why.reason.clone()), ..known.statement() });
        own.request.resolved.holds.push(hold_of(&known));
        app.gate.act(&own).await?;
    }
    let closed = if unfinished { known } else { app.exports.change(&known.id, FootageRequest::close)? };
    let (own, request, by) =
        (app.clone(), closed.clone(), Actor::Person { person: session.person.clone(), role: session.role });
    let released = tokio::task::spawn_blocking(move || {
        let (gone, kept): (Vec<_>, Vec<_>) =
            request.held.iter().cloned().partition(|stretch| released(&own.vault, &stretch.hold));
        super::holds::of_request(&own, &request, Some(&by), "hold.released", &gone);
        kept.len()
    });
    match released.await {
        Ok(0) => Ok(Json(closed)),
        Ok(_) => Err(ApiError::Internal("a hold could not be released".to_owned())),
        Err(error) => Err(ApiError::Internal(error.to_string())),
    }
}

/// Whether a hold is gone.
fn released(vault: &vault::Vault, hold: &str) -> bool {
    match vault.release(hold) {
        Ok(()) | Err(vault::VaultError::NoSuchHold(_)) => true,
        Err(error) => {
            tracing::error!(hold, %error, "a hold could not be released");
            false
        }
    }
}
