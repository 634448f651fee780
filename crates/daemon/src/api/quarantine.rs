//! Footage that turned out to lack a basis: who may see that it exists, on which bases a camera's footage was captured,
//! and the controller's decision that what should not exist goes before its term (GW-21).
//!
//! One key serves a camera's hour, so a decision takes whole hours, and the list says how much lawful footage goes with
//! it. Who needs some of that for a case secures it first: a hold keeps its own keys.

use super::{
    App, Caller, Endpoint, Needs, ask, endpoint,
    problem::{ApiError, read_body},
    query::Asked,
};
use crate::{
    captured::Quarantined,
    clock::{instant, local},
    gate::{request, word},
    identity::Session,
    journal::Snapshot,
    pieces::binding,
    recorder::{record_request, system_ask},
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
    routing::{MethodRouter, get, post},
};
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use mandate::{
    Action, CameraId, DestroyGround, Object, Request, Statement,
    judgement::{Verdict, judge},
    retention_term,
};
use protocol::api::{CaptureBasis, DestroyQuarantined, Quarantine, Sentence, Span};

/// What one key serves.
const KEY: TimeDelta = TimeDelta::hours(1);

/// The endpoints of this room.
pub(super) fn table() -> Vec<(Endpoint, MethodRouter<App>)> {
    const CLOSED_OFF: Needs = Needs::Action(&[Action::ReadQuarantine]);
    let e = endpoint;
    vec![
        (
            e(
                "GET",
                "/quarantine",
                CLOSED_OFF,
                "quarantine",
                "Footage that turned out to lack a basis, newest first",
                None,
                (200, Some("Quarantine[]")),
            ),
            get(quarantine),
        ),
        (
            e(
                "POST",
                "/quarantine/{id}/destruction",
                Needs::Action(&[Action::DecideQuarantine]),
                "destroyQuarantined",
                "Decide that such footage goes now; its keys are destroyed before this answers",
                Some("DestroyQuarantined"),
                (200, Some("Quarantine")),
            ),
            post(destroy),
        ),
        (
            e(
                "GET",
                "/cameras/{id}/basis",
                CLOSED_OFF,
                "captureBasis",
                "Under which bases a camera's footage was captured",
                None,
                (200, Some("CaptureBasis[]")),
            )
            .asking(&["from", "until"]),
            get(basis),
        ),
    ]
}

fn sees(app: &App, session: &Session, camera: &CameraId) -> bool {
    app.gate.preview(&request(session, Action::ReadQuarantine, Object::Camera(camera.clone()))).is_permit()
}

fn internal(error: impl ToString) -> ApiError {
    ApiError::Internal(error.to_string())
}

/// The hours whose keys open a stretch.
fn hours_of(found: &Quarantined) -> Span {
    let from = found.from.duration_trunc(KEY).unwrap_or(found.from);
    let last = found.until.duration_trunc(KEY).unwrap_or(found.until);
    Span { from, until: if last < found.until { last + KEY } else { last } }
}

/// How much of a stretch of a camera's recording was lawful.
fn lawful(app: &App, snapshot: &Snapshot, camera: &CameraId, span: Span) -> Result<TimeDelta, ApiError> {
    let mut lawful = TimeDelta::zero();
    for recorded in app.captured.spans(camera, span.from, span.until).map_err(internal)? {
        let (from, until) = (recorded.from.max(span.from), recorded.until.min(span.until));
        if from >= until {
            continue;
        }
        let judged = judge(&snapshot.register, camera, from, until);
        let pieces = judged.iter().filter(|piece| matches!(piece.verdict, Verdict::Lawful { .. }));
        lawful = pieces.fold(lawful, |sum, piece| sum + (piece.until - piece.from));
    }
    Ok(lawful)
}

fn view(app: &App, snapshot: &Snapshot, found: Quarantined) -> Result<Quarantine, ApiError> {
    let mut captured_on = Vec::new();
    let spans = app.captured.spans(&found.camera, found.from, found.until).map_err(internal)?;
    for fact in spans.into_iter().flat_map(|span| span.basis) {
        if !captured_on.contains(&fact) {
            captured_on.push(fact);
        }
    }
    let hours = hours_of(&found);
    let lawful_seconds = lawful(app, snapshot, &found.camera, hours)?.num_seconds().max(0) as u64;
    let (nl, en) = found.code.sentence();
    Ok(Quarantine {
        id: found.id,
        municipality: snapshot.register.camera(&found.camera).map(|c| c.municipality.clone()),
        destroyed_by: found.until + term(snapshot, &found.camera, found.from),
        hours,
        lawful_seconds,
        decided_by: found.decided.as_ref().map(|decided| decided.by.clone()),
        decided_at: found.decided.as_ref().map(|decided| decided.at),
        destroyed_at: found.decided.as_ref().and_then(|decided| decided.destroyed_at),
        camera: found.camera,
        from: found.from,
        until: found.until,
        code: found.code,
        sentence: Sentence { nl: nl.to_owned(), en: en.to_owned() },
        fact: found.fact,
        known: word(&found.known),
        found_at: found.found_at,
        captured_on,
    })
}

/// `GET /quarantine`.
async fn quarantine(
    State(app): State<App>,
    Extension(session): Caller,
) -> Result<Json<Vec<Quarantine>>, ApiError> {
    app.gate.list(&ask(&session, Action::ReadQuarantine, Object::None, "quarantine.list")).await?;
    let snapshot = app.gate.snapshot();
    let all = app.captured.quarantined().map_err(internal)?;
    let seen = all.into_iter().filter(|found| sees(&app, &session, &found.camera));
    Ok(Json(seen.map(|found| view(&app, &snapshot, found)).collect::<Result<_, _>>()?))
}

fn term(snapshot: &Snapshot, camera: &CameraId, at: DateTime<Utc>) -> TimeDelta {
    retention_term(&snapshot.register, camera, at).unwrap_or(TimeDelta::zero())
}

fn conflict(nl: &str, en: &str) -> ApiError {
    ApiError::Conflict(Sentence { nl: nl.to_owned(), en: en.to_owned() })
}

/// `POST /quarantine/{id}/destruction`: the person's decision, then the platform's own act, each with its entry before
/// anything is destroyed (`decisions.md` 11).
async fn destroy(
    State(app): State<App>,
    Extension(session): Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Quarantine>, ApiError> {
    let DestroyQuarantined { reason } = read_body(&body)?;
    let id: u64 = id.parse().map_err(|_| ApiError::NotFound)?;
    let find = || -> Result<Quarantined, ApiError> {
        let all = app.captured.quarantined().map_err(internal)?;
        all.into_iter()
            .find(|found| found.id == id && sees(&app, &session, &found.camera))
            .ok_or(ApiError::NotFound)
    };
    let found = find()?;
    if found.decided.as_ref().is_some_and(|decided| decided.destroyed_at.is_some()) {
        return Err(conflict("Deze beelden zijn al vernietigd.", "This footage is destroyed already."));
    }
    let hours = hours_of(&found);
    let now = app.gate.clock().now();
    let recording = app.gate.preview(&record_request(&found.camera)).is_permit();
    if hours.until > now && recording {
        let from = local(hours.until);
        return Err(conflict(
            &format!("In dit uur wordt nog opgenomen: beslis na {from}."),
            &format!("This hour is still being recorded: decide after {from}."),
        ));
    }
    let stream = app.streams.recorded(&found.camera).ok_or(ApiError::NotFound)?;
    let object = Object::Footage { camera: found.camera.clone(), from: found.from, until: found.until };
    let holds = binding(&app, &found.camera, (found.from, found.until))?;
    let mut decision = ask(&session, Action::DecideQuarantine, object.clone(), "quarantine.decide");
    decision.request.resolved.holds.clone_from(&holds);
    decision.request =
        decision.request.saying(Statement { reason: Some(reason.clone()), ..Statement::default() });
    app.gate.act(&decision).await?;
    app.captured.decide(id, &session.person, now).map_err(internal)?;

    let mut act = Request::by_system(Action::Destroy, object);
    act.resolved.holds = holds;
    act.resolved.destroy_ground = Some(DestroyGround::QuarantineDecision);
    app.gate.act(&system_ask(act, "destroy.quarantine")).await?;
    let data = serde_json::json!({ "ground": "quarantine decision", "quarantine": id });
    let retention = app.retention.clone();
    let carried_out = tokio::task::spawn_blocking(move || {
        retention.destroy_decided(stream, (hours.from, hours.until), data)
    });
    let gone = carried_out.await.map_err(internal)?;
    let left = app.vault.key_hours(stream).into_iter().map(instant);
    let open = left.filter(|hour| *hour >= hours.from && *hour < hours.until).count();
    if open > 0 {
        return Err(ApiError::Internal(format!("{open} keys could not be destroyed; decide again")));
    }
    tracing::info!(camera = %found.camera, id, gone, "footage without a basis was destroyed by decision");
    let now = app.gate.clock().now();
    app.captured
        .destroyed(&found.camera, (hours.from, hours.until), &session.person, now)
        .map_err(internal)?;
    Ok(Json(view(&app, &app.gate.snapshot(), find()?)?))
}

/// `GET /cameras/{id}/basis`.
async fn basis(
    State(app): State<App>,
    Extension(session): Caller,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Json<Vec<CaptureBasis>>, ApiError> {
    let camera = CameraId::from(id);
    if app.gate.snapshot().register.camera(&camera).is_none() {
        return Err(ApiError::NotFound);
    }
    app.gate
        .act(&ask(&session, Action::ReadQuarantine, Object::Camera(camera.clone()), "capture.basis"))
        .await?;
    let now = app.gate.clock().now();
    let from = asked.instant("from")?.unwrap_or(now - TimeDelta::days(1));
    let until = asked.instant("until")?.unwrap_or(now);
    let spans = app.captured.spans(&camera, from, until).map_err(|e| ApiError::Internal(e.to_string()))?;
    Ok(Json(
        spans
            .into_iter()
            .map(|s| CaptureBasis {
                from: s.from,
                until: s.until,
                basis: s.basis,
                register_head: s.register_head,
            })
            .collect(),
    ))
}
