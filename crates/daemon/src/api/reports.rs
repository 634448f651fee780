//! Figures from the facts and the counters, without persons (Wpg 22), and the list of footage that was closed off.

use super::{App, Caller, Endpoint, Needs, ask, endpoint, problem::ApiError, query::Asked};
use crate::{
    clock::SharedClock,
    gate::{request, word},
    identity::Session,
    journal::Snapshot,
    report::{self, Figures},
};
use axum::{
    Extension, Json,
    extract::{Path, State},
    http::header,
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, get},
};
use chrono::{DateTime, TimeDelta, Utc};
use mandate::{
    Action, CameraId, MunicipalityId, Object, Statement, retention_term,
    statement::{FigureSource, Level},
};
use protocol::api::{CaptureBasis, Quarantine, Sentence};
use std::sync::Arc;

/// The longest period of one report: a year and a day.
const LONGEST: TimeDelta = TimeDelta::days(367);

/// The endpoints of this room.
pub(super) fn table() -> Vec<(Endpoint, MethodRouter<App>)> {
    const CLOSED_OFF: Needs = Needs::Action(&[Action::ReadQuarantine]);
    let e = endpoint;
    vec![
        (
            e(
                "GET",
                "/reports",
                Needs::Action(&[Action::ReportStatistics]),
                "report",
                "Figures of a period without persons; `format` is json, csv or html",
                None,
                (200, Some("Report")),
            )
            .asking(&["municipality", "from", "until", "format"]),
            get(figures),
        ),
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

/// `GET /reports`.
async fn figures(
    State(app): State<App>,
    Extension(session): Caller,
    asked: Asked,
) -> Result<Response, ApiError> {
    let clock: &SharedClock = app.gate.clock();
    let now: DateTime<Utc> = clock.now();
    let from = asked.instant("from")?.unwrap_or(now - TimeDelta::days(28));
    let until = asked.instant("until")?.unwrap_or(now);
    if until <= from || until - from > LONGEST {
        return Err(ApiError::Malformed(format!(
            "`until` must lie after `from`, by at most {} days",
            LONGEST.num_days()
        )));
    }
    let said = Statement {
        level: Some(Level::Aggregate),
        source: Some(FigureSource::Register),
        ..Statement::default()
    };
    let wanted = asked.text("municipality").map(MunicipalityId::from);
    let object = wanted.clone().map_or(Object::None, Object::Municipality);
    let mut ask = ask(&session, Action::ReportStatistics, object, "report");
    ask.request = ask.request.saying(said.clone());
    app.gate.act(&ask).await?;
    let snapshot = app.gate.snapshot();
    let seen: Vec<MunicipalityId> = snapshot
        .register
        .municipalities()
        .map(|m| m.id.clone())
        .filter(|id| wanted.as_ref().is_none_or(|wanted| wanted == id))
        .filter(|id| {
            let object = Object::Municipality(id.clone());
            let each = request(&session, Action::ReportStatistics, object).saying(said.clone());
            app.gate.preview(&each).is_permit()
        })
        .collect();
    let rooms = app.clone();
    let made = tokio::task::spawn_blocking(move || {
        let figures = Figures {
            register: &snapshot.register,
            tally: &rooms.tally,
            incidents: &rooms.incidents,
            settings: rooms.reports,
            demo: rooms.demo,
        };
        report::make(&figures, from, until, now, &seen)
    })
    .await
    .map_err(|e| ApiError::Internal(e.to_string()))?
    .map_err(|e| ApiError::Internal(e.to_string()))?;
    match asked.text("format").unwrap_or("json") {
        "json" => Ok(Json(made).into_response()),
        "csv" => {
            let headers = [
                (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"rtr-report.csv\""),
            ];
            Ok((headers, report::csv(&made)).into_response())
        }
        "html" => {
            let headers = [
                (header::CONTENT_TYPE, "text/html; charset=utf-8"),
                (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
            ];
            Ok((headers, report::html(&made)).into_response())
        }
        other => Err(ApiError::Malformed(format!("`format` is json, csv or html, not `{other}`"))),
    }
}

fn sees(app: &App, session: &Session, camera: &CameraId) -> bool {
    app.gate.preview(&request(session, Action::ReadQuarantine, Object::Camera(camera.clone()))).is_permit()
}

/// `GET /quarantine`.
async fn quarantine(
    State(app): State<App>,
    Extension(session): Caller,
) -> Result<Json<Vec<Quarantine>>, ApiError> {
    app.gate.list(&ask(&session, Action::ReadQuarantine, Object::None, "quarantine.list")).await?;
    let snapshot = app.gate.snapshot();
    let all = app.captured.quarantined().map_err(|e| ApiError::Internal(e.to_string()))?;
    let mut seen = Vec::new();
    for found in all.into_iter().filter(|found| sees(&app, &session, &found.camera)) {
        let spans = app.captured.spans(&found.camera, found.from, found.until);
        let mut captured_on = Vec::new();
        for fact in spans.map_err(|e| ApiError::Internal(e.to_string()))?.into_iter().flat_map(|s| s.basis) {
            if !captured_on.contains(&fact) {
                captured_on.push(fact);
            }
        }
        let (nl, en) = found.code.sentence();
        seen.push(Quarantine {
            id: found.id,
            municipality: snapshot.register.camera(&found.camera).map(|c| c.municipality.clone()),
            destroyed_by: found.until + term(&snapshot, &found.camera, found.from),
            camera: found.camera,
            from: found.from,
            until: found.until,
            code: found.code,
            sentence: Sentence { nl: nl.to_owned(), en: en.to_owned() },
            fact: found.fact,
            known: word(&found.known),
            found_at: found.found_at,
            captured_on,
        });
    }
    Ok(Json(seen))
}

fn term(snapshot: &Arc<Snapshot>, camera: &CameraId, at: DateTime<Utc>) -> TimeDelta {
    retention_term(&snapshot.register, camera, at).unwrap_or(TimeDelta::zero())
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
        .list(&ask(&session, Action::ReadQuarantine, Object::Camera(camera.clone()), "capture.basis"))
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
