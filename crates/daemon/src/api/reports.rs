//! Figures from the facts and the counters, without persons (Wpg 22).

use super::{App, Caller, Endpoint, Needs, ask, endpoint, problem::ApiError, query::Asked};
use crate::{
    clock::SharedClock,
    gate::request,
    report::{self, Figures},
};
use axum::{
    Extension, Json,
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, get},
};
use chrono::{DateTime, TimeDelta, Utc};
use mandate::{
    Action, MunicipalityId, Object, Statement,
    statement::{FigureSource, Level},
};

/// The longest period of one report: a year and a day.
const LONGEST: TimeDelta = TimeDelta::days(367);

/// The endpoints of this room.
pub(super) fn table() -> Vec<(Endpoint, MethodRouter<App>)> {
    let e = endpoint;
    vec![(
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
    )]
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
            facts: &snapshot.facts,
            tally: &rooms.tally,
            incidents: &rooms.incidents,
            exports: &rooms.exports,
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
