//! Securing footage for a case, and releasing it. Each act passes the gate, which logs it before it has effect.

use super::{
    App, Caller, Endpoint, Needs, ask,
    problem::{ApiError, read_body},
    room::in_scope,
};
use crate::{
    gate::Ask,
    holds::{self, HoldRow},
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    routing::{MethodRouter, get, post},
};
use chrono::TimeDelta;
use ledger::{Entry, Object as LogObject, Operation};
use mandate::{Action, Object, Purpose, Statement};
use protocol::api::{HoldRelease, HoldView, NewHold, Sentence};

/// Longest interval of one hold.
const LONGEST: TimeDelta = TimeDelta::hours(24);
/// When a hold is looked at again if nobody says otherwise, and at the latest.
const REVIEW: TimeDelta = TimeDelta::days(28);
/// Longest text, characters.
const LONGEST_TEXT: usize = 200;

/// The endpoints of this module.
pub(super) fn table() -> Vec<(Endpoint, MethodRouter<App>)> {
    let e = super::endpoint;
    vec![
        (
            e(
                "GET",
                "/holds",
                Needs::Action(&[Action::SetHold, Action::ReleaseHold]),
                "holds",
                "Footage secured for cases, with review dates",
                None,
                (200, Some("HoldView[]")),
            ),
            get(list),
        ),
        (
            e(
                "POST",
                "/holds",
                Needs::Action(&[Action::SetHold]),
                "setHold",
                "Secure footage for a case",
                Some("NewHold"),
                (201, Some("HoldView")),
            ),
            post(set),
        ),
        (
            e(
                "POST",
                "/holds/{id}/release",
                Needs::Action(&[Action::ReleaseHold]),
                "releaseHold",
                "Release secured footage; what is past its term is destroyed at once",
                Some("HoldRelease"),
                (200, Some("HoldView")),
            ),
            post(release),
        ),
    ]
}

fn invalid(nl: &str, en: &str) -> ApiError {
    ApiError::Invalid(Sentence { nl: nl.to_owned(), en: en.to_owned() })
}

/// `GET /holds`.
async fn list(State(app): State<App>, Extension(session): Caller) -> Result<Json<Vec<HoldView>>, ApiError> {
    app.gate.list(&ask(&session, Action::ListIncidents, Object::None, "holds.list")).await?;
    let now = app.gate.clock().now();
    let held = app.vault.holds();
    let rows = app.holds.all()?;
    let seen = rows.iter().filter(|row| in_scope(&app, &session, &row.asked.camera));
    Ok(Json(seen.map(|row| row.view(held.iter().find(|held| held.id == row.id()), now)).collect()))
}

/// `POST /holds`.
async fn set(
    State(app): State<App>,
    Extension(session): Caller,
    body: Bytes,
) -> Result<(StatusCode, Json<HoldView>), ApiError> {
    let new: NewHold = read_body(&body)?;
    let now = app.gate.clock().now();
    if new.from >= new.until || new.until > now || new.until - new.from > LONGEST {
        return Err(invalid(
            "Het tijdvak is leeg, reikt in de toekomst, of is langer dan een dag.",
            "The interval is empty, reaches into the future, or is longer than a day.",
        ));
    }
    let review_at = new.review_at.unwrap_or(now + REVIEW);
    if review_at <= now || review_at > now + REVIEW {
        return Err(invalid(
            "De herbeoordeling moet binnen 28 dagen liggen.",
            "The review must lie within 28 days from now.",
        ));
    }
    if [&new.case_number, &new.offence].iter().any(|text| text.chars().count() > LONGEST_TEXT) {
        return Err(invalid("Zaaknummer of feit is te lang.", "Case number or offence is too long."));
    }
    let stream = app.streams.get(&new.camera).map(|c| c.main.stream).ok_or(ApiError::NotFound)?;
    let object = Object::Footage { camera: new.camera.clone(), from: new.from, until: new.until };
    let mut ask = ask(&session, Action::SetHold, object, "hold.set");
    ask.request.resolved.holds = app.holds.on(&new.camera, new.from, new.until)?;
    ask.request = ask.request.saying(Statement {
        purpose: Some(Purpose::Investigation),
        offence_ref: Some(new.offence.clone()),
        case_number: Some(new.case_number.clone()),
        ..Statement::default()
    });
    app.gate.act(&ask).await?;
    let row = app.holds.add(&new, review_at, &session.person, now)?;
    let (rooms, own) = (app.clone(), row.clone());
    let held = tokio::task::spawn_blocking(move || holds::secure(&rooms.vault, &rooms.holds, &own, stream))
        .await
        .map_err(|error| ApiError::Internal(error.to_string()))?;
    let held = match held {
        Ok(held) => held,
        Err(error) => {
            done(&app, &ask, &row, "hold.failed", serde_json::json!({ "error": error }));
            return Err(ApiError::Internal(error));
        }
    };
    let data = serde_json::json!({
        "chunks": held.chunks, "bytes": held.bytes.to_string(), "whole": held.whole, "review_at": review_at,
    });
    done(&app, &ask, &row, "hold.secured", data);
    Ok((StatusCode::CREATED, Json(row.view(Some(&held), now))))
}

/// `POST /holds/{id}/release`.
async fn release(
    State(app): State<App>,
    Extension(session): Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<HoldView>, ApiError> {
    let release: HoldRelease = read_body(&body)?;
    let row = app.holds.find(&id)?.ok_or(ApiError::NotFound)?;
    if !in_scope(&app, &session, &row.asked.camera) {
        return Err(ApiError::NotFound);
    }
    if row.released.is_some() {
        return Err(ApiError::Conflict(Sentence {
            nl: "Deze veiligstelling is al opgeheven.".to_owned(),
            en: "This hold is released already.".to_owned(),
        }));
    }
    let (from, until) = (row.asked.from, row.asked.until);
    let object = Object::Footage { camera: row.asked.camera.clone(), from, until };
    let mut ask = ask(&session, Action::ReleaseHold, object, "hold.release");
    ask.request.resolved.holds = vec![row.in_law()];
    ask.request = ask.request.saying(Statement {
        reason: Some(release.reason),
        case_number: Some(row.asked.case_number.clone()),
        ..Statement::default()
    });
    app.gate.act(&ask).await?;
    let now = app.gate.clock().now();
    app.holds.released(row.number, now, &session.person)?;
    let (vault, name) = (app.vault.clone(), row.id());
    let released = tokio::task::spawn_blocking(move || vault.release(&name)).await;
    released
        .map_err(|error| ApiError::Internal(error.to_string()))?
        .map_err(|error| ApiError::Internal(error.to_string()))?;
    let data = serde_json::json!({ "case_key": "both copies overwritten and synced" });
    done(&app, &ask, &row, "hold.released", data);
    let row = app.holds.find(&id)?.ok_or(ApiError::NotFound)?;
    Ok(Json(row.view(None, now)))
}

/// What came of an act that the gate has let through.
fn done(app: &App, ask: &Ask, row: &HoldRow, name: &'static str, data: serde_json::Value) {
    let snapshot = app.gate.snapshot();
    let mut entry = Entry::new(app.gate.clock().now(), Operation::Alter, name);
    entry.actor = crate::gate::actor(&ask.request.actor, &snapshot, &[]);
    entry.object = Some(LogObject {
        kind: "hold".to_owned(),
        id: Some(row.id()),
        camera: Some(row.asked.camera.to_string()),
        municipality: snapshot.register.camera(&row.asked.camera).map(|c| c.municipality.to_string()),
        from: Some(row.asked.from),
        until: Some(row.asked.until),
        ..LogObject::default()
    });
    entry.data = Some(data);
    app.gate.log().append_spooled(entry);
}
