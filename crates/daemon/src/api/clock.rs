//! The server's clock: what it shows, and the police's word that it is right (`clock.accept`, `decisions.md` 20).
//!
//! While the clock is ahead of what has passed and no witness confirms it, nothing is destroyed and no look begins; while
//! it is behind, time goes on without it. Who ran the machine may have set it, so only the police settle it.

use super::{
    App, Caller, Endpoint, Needs, ask,
    problem::{ApiError, read_body},
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::State,
    routing::{MethodRouter, get, post},
};
use chrono::TimeDelta;
use ledger::{Entry, Operation};
use mandate::{Action, Object};
use protocol::api::{ClockAcceptance, ClockView, Sentence};

/// How far the machine's clock may be from the person's watch.
const AGREES: TimeDelta = TimeDelta::minutes(5);
/// Longest reason, characters.
const LONGEST_REASON: usize = 200;

/// The endpoints of this module.
pub(super) fn table() -> Vec<(Endpoint, MethodRouter<App>)> {
    let e = super::endpoint;
    vec![
        (
            e(
                "GET",
                "/clock",
                Needs::Action(&[Action::ReadHealth, Action::AcceptClock]),
                "clock",
                "What the server's clock shows and what is believed of it",
                None,
                (200, Some("ClockView")),
            ),
            get(show),
        ),
        (
            e(
                "POST",
                "/clock/accept",
                Needs::Action(&[Action::AcceptClock]),
                "acceptClock",
                "The police say that the server's clock is right; what is due by it is destroyed",
                Some("ClockAcceptance"),
                (200, Some("ClockView")),
            ),
            post(accept),
        ),
    ]
}

fn view(app: &App) -> ClockView {
    let (wall, believed) = app.retention.believed();
    ClockView { wall, believed: believed.now, doubted: !believed.trusted }
}

/// `GET /clock`.
async fn show(State(app): State<App>, Extension(session): Caller) -> Result<Json<ClockView>, ApiError> {
    let read = app.gate.list(&ask(&session, Action::ReadHealth, Object::None, "clock.read")).await;
    if read.is_err() {
        app.gate.list(&ask(&session, Action::AcceptClock, Object::None, "clock.read")).await?;
    }
    Ok(Json(view(&app)))
}

/// `POST /clock/accept`.
async fn accept(
    State(app): State<App>,
    Extension(session): Caller,
    body: Bytes,
) -> Result<Json<ClockView>, ApiError> {
    let given: ClockAcceptance = read_body(&body)?;
    let reason = given.reason.trim();
    if reason.is_empty() || reason.chars().count() > LONGEST_REASON {
        return Err(ApiError::Invalid(Sentence {
            nl: "Zeg in hoogstens 200 tekens wat er is gecontroleerd.".to_owned(),
            en: "Say in 200 characters at most what was checked.".to_owned(),
        }));
    }
    let before = view(&app);
    if (before.wall - given.time).abs() > AGREES {
        return Err(ApiError::Invalid(Sentence {
            nl: format!(
                "De klok van de server wijst {} aan; dat is niet de tijd die u ziet. Laat eerst de klok gelijkzetten.",
                before.wall.format("%Y-%m-%d %H:%M:%S UTC")
            ),
            en: format!(
                "The server's clock shows {}; that is not the time you see. Have the clock set right first.",
                before.wall.format("%Y-%m-%d %H:%M:%S UTC")
            ),
        }));
    }
    app.gate.act(&ask(&session, Action::AcceptClock, Object::None, "clock.accept")).await?;
    // What was said and about what; the person and the permission stand in the entry before it.
    let mut entry = Entry::new(before.wall, Operation::Maintenance, "clock.accepted");
    entry.data = Some(serde_json::json!({
        "wall": before.wall, "believed": before.believed, "doubted": before.doubted, "watch": given.time,
    }));
    entry.justification.note = Some(reason.to_owned());
    app.gate.log().append_spooled(entry);
    let retention = app.retention.clone();
    tokio::task::spawn_blocking(move || retention.accept_clock())
        .await
        .map_err(|error| ApiError::Internal(error.to_string()))?
        .map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(Json(view(&app)))
}
