//! Securing footage for a case, and releasing it. Each act passes the gate, which logs it before it has effect.

use super::{
    App, Caller, Endpoint, Needs, Rooms, ask,
    problem::{ApiError, read_body},
    requests::{asked_of, lawful_runs},
    room::in_scope,
};
use crate::{
    clock::to_micros,
    gate::{Ask, Gate},
    holds::{self, HoldRow},
    pieces::{Run, is_witnessed, reach_back},
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    routing::{MethodRouter, get, post},
};
use chrono::{DateTime, TimeDelta, Utc};
use evidence::{FootageRequest, HeldStretch, LeftOut, RequestState};
use ledger::{Entry, Object as LogObject, Operation};
use mandate::{Action, Actor, HoldState, Object, Purpose, Statement};
use media::StreamId;
use protocol::api::{HoldRelease, HoldView, NewHold, Sentence};
use std::collections::BTreeSet;
use vault::{Vault, VaultError};

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

/// `GET /holds`: those set for a case, newest first, and those that approvals of footage requests made.
async fn list(State(app): State<App>, Extension(session): Caller) -> Result<Json<Vec<HoldView>>, ApiError> {
    app.gate.list(&ask(&session, Action::ListIncidents, Object::None, "holds.list")).await?;
    let now = app.gate.clock().now();
    let held = app.vault.holds();
    let held_as = |id: &str| held.iter().find(|held| held.id == id);
    let rows = app.holds.all()?;
    let seen = rows.iter().filter(|row| in_scope(&app, &session, &row.asked.camera));
    let mut views: Vec<HoldView> =
        seen.map(|row| row.view(held_as(&row.id()), row.witnessed(&app.gate), now)).collect();
    for request in app.exports.newest(u32::MAX)? {
        let approved = (request.decided_by.as_ref(), request.decided_at);
        let (RequestState::Approved, (Some(by), Some(at))) = (request.state, approved) else { continue };
        let asked = &request.asked;
        for stretch in request.held.iter().filter(|held| in_scope(&app, &session, &held.camera)) {
            let review_at = review_of(&request).unwrap_or(at);
            let kept = held_as(&stretch.hold);
            views.push(HoldView {
                id: stretch.hold.clone(),
                camera: stretch.camera.clone(),
                from: stretch.from,
                until: stretch.until,
                case_number: asked.case_number.clone().unwrap_or_default(),
                offence: asked.offence_ref.clone().unwrap_or_default(),
                set_by: by.clone(),
                set_at: at,
                review_at,
                review_due: review_at <= now,
                bytes: kept.map_or(0, |held| held.bytes),
                whole: kept.is_some_and(|held| held.whole),
                witnessed: is_witnessed(&app.gate, &request),
                request: Some(request.id.clone()),
                further: Vec::new(),
                left_out: Vec::new(),
                released_at: None,
                released_by: None,
            });
        }
    }
    Ok(Json(views))
}

/// `POST /holds`. The keys are claimed before this answers: 201, or 202 while the witness has not seen the entry yet, until
/// when the hold gives nobody anything beyond the footage's ordinary term (`decisions.md` 15).
async fn set(
    State(app): State<App>,
    Extension(session): Caller,
    body: Bytes,
) -> Result<(StatusCode, Json<HoldView>), ApiError> {
    let mut new: NewHold = read_body(&body)?;
    (new.from, new.until) = (to_micros(new.from), to_micros(new.until));
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
    let mut ask = ask(&session, Action::SetHold, Object::None, "hold.set");
    ask.request = ask.request.saying(Statement {
        purpose: Some(Purpose::Investigation),
        offence_ref: Some(new.offence.clone()),
        case_number: Some(new.case_number.clone()),
        ..Statement::default()
    });
    // The picture at its start is decoded from the key frame before, which is secured with it where that is lawful too.
    let key = reach_back(&app, &new.camera, stream, new.from).await?;
    let (mut runs, mut left_out) = lawful_runs(&app, &ask, &new.camera, (key, new.until)).await?;
    runs.retain(|run| run.until > new.from);
    if runs.is_empty() {
        // Nothing of what was asked for: the gate refuses that, and logs it.
        (runs, left_out) = lawful_runs(&app, &ask, &new.camera, (new.from, new.until)).await?;
    }
    let mut permitted = Vec::new();
    for run in runs {
        let pass = app.gate.act(&asked_of(&ask, &new.camera, &run)).await?;
        permitted.push((run, pass.ledger_seq));
    }
    let mut views = Vec::new();
    for stretch in joined(permitted) {
        views.push(secure(&app, &ask, &new, review_at, now, (stream, stretch)).await?);
    }
    let further = views.iter().skip(1).map(|view| view.id.clone()).collect();
    let witnessed = views.iter().all(|view| view.witnessed);
    let first =
        views.into_iter().next().ok_or_else(|| ApiError::Internal("nothing was secured".to_owned()))?;
    let left_out = left_out.into_iter().filter_map(|piece| after(piece, new.from)).collect();
    let status = if witnessed { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    Ok((status, Json(HoldView { further, left_out, ..first })))
}

/// What is left out of a stretch that was asked from an instant on: pictures before it were not asked for.
pub(super) fn after(mut piece: LeftOut, from: DateTime<Utc>) -> Option<LeftOut> {
    piece.from = piece.from.max(from);
    (piece.from < piece.until).then_some(piece)
}

/// A stretch that becomes one hold.
#[derive(Debug, PartialEq)]
struct ToSecure {
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    /// Holds that keep some of it.
    older: BTreeSet<String>,
    /// The newest entry that permits some of it.
    entry: Option<u64>,
}

/// Runs that follow one another without a gap become one hold.
fn joined(permitted: Vec<(Run, Option<u64>)>) -> Vec<ToSecure> {
    let mut stretches: Vec<ToSecure> = Vec::new();
    for (run, entry) in permitted {
        match stretches.last_mut() {
            Some(last) if last.until == run.from => {
                last.until = run.until;
                last.older.extend(run.kept);
                last.entry = entry.or(last.entry);
            }
            _ => {
                let older = run.kept.into_iter().collect();
                stretches.push(ToSecure { from: run.from, until: run.until, older, entry });
            }
        }
    }
    stretches
}

/// Secures one stretch that the gate has let through, and tells what came of it.
async fn secure(
    app: &App,
    ask: &Ask,
    new: &NewHold,
    review_at: DateTime<Utc>,
    now: DateTime<Utc>,
    (stream, stretch): (StreamId, ToSecure),
) -> Result<HoldView, ApiError> {
    let Actor::Person { person, .. } = &ask.request.actor else {
        return Err(ApiError::Internal("a hold is set by a person".to_owned()));
    };
    let asked = NewHold { from: stretch.from.max(new.from), until: stretch.until, ..new.clone() };
    let entry = stretch.entry.map(|seq| app.gate.entry_of(seq));
    let row = app.holds.add(&asked, review_at, person, now, entry)?;
    let older: Vec<String> = stretch.older.into_iter().collect();
    let (rooms, own) = (app.clone(), row.clone());
    let work = move || holds::secure(&rooms.vault, &rooms.holds, &own, stream, stretch.from, &older);
    let held =
        tokio::task::spawn_blocking(work).await.map_err(|error| ApiError::Internal(error.to_string()))?;
    let held = match held {
        Ok(held) => held,
        Err(error) => {
            done(app, ask, &row, "hold.failed", serde_json::json!({ "error": error }));
            return Err(ApiError::Internal(error));
        }
    };
    let data = serde_json::json!({
        "chunks": held.chunks, "bytes": held.bytes.to_string(), "whole": held.whole, "missing": held.missing,
        "review_at": review_at,
    });
    done(app, ask, &row, "hold.secured", data);
    Ok(row.view(Some(&held), row.witnessed(&app.gate), now))
}

/// `POST /holds/{id}/release`.
async fn release(
    State(app): State<App>,
    Extension(session): Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<HoldView>, ApiError> {
    let release: HoldRelease = read_body(&body)?;
    if id.starts_with("export-") {
        return Err(ApiError::Conflict(Sentence {
            nl: "Deze veiligstelling hoort bij een beeldaanvraag: sluit die af.".to_owned(),
            en: "This hold belongs to a footage request: close that one.".to_owned(),
        }));
    }
    let row = app.holds.find(&id)?.ok_or(ApiError::NotFound)?;
    if !in_scope(&app, &session, &row.asked.camera) {
        return Err(ApiError::NotFound);
    }
    // What could not be released is released by a second call.
    let unfinished = row.released.is_some() && app.vault.held(&row.id()).is_some();
    if row.released.is_some() && !unfinished {
        return Err(ApiError::Conflict(Sentence {
            nl: "Deze veiligstelling is al opgeheven.".to_owned(),
            en: "This hold is released already.".to_owned(),
        }));
    }
    let (from, until) = (row.asked.from, row.asked.until);
    let object = Object::Footage { camera: row.asked.camera.clone(), from, until };
    let mut ask = ask(&session, Action::ReleaseHold, object, "hold.release");
    ask.request.resolved.holds = vec![mandate::Hold { state: HoldState::Active, ..row.in_law() }];
    ask.request = ask.request.saying(Statement {
        reason: Some(release.reason),
        case_number: Some(row.asked.case_number.clone()),
        ..Statement::default()
    });
    app.gate.act(&ask).await?;
    let now = app.gate.clock().now();
    if !unfinished {
        app.holds.released(row.number, now, &session.person)?;
    }
    let (vault, name) = (app.vault.clone(), row.id());
    let released = tokio::task::spawn_blocking(move || vault.release(&name)).await;
    match released.map_err(|error| ApiError::Internal(error.to_string()))? {
        // Gone is gone: the scheduler may have been faster.
        Ok(()) | Err(VaultError::NoSuchHold(_)) => {}
        Err(error) => return Err(ApiError::Internal(error.to_string())),
    }
    let data = serde_json::json!({ "case_key": "both copies overwritten and synced" });
    done(&app, &ask, &row, "hold.released", data);
    let row = app.holds.find(&id)?.ok_or(ApiError::NotFound)?;
    Ok(Json(row.view(None, row.witnessed(&app.gate), now)))
}

/// Alarms of holds that keep nothing: said at the start, when none is being set.
pub(crate) fn tell_of_empty(app: &App) {
    let kept: BTreeSet<String> = app.vault.holds().into_iter().map(|held| held.id).collect();
    let rows = match app.holds.all() {
        Ok(rows) => rows,
        Err(error) => return tracing::error!(%error, "the holds cannot be looked over"),
    };
    for row in rows.iter().filter(|row| row.released.is_none() && !kept.contains(&row.id())) {
        tracing::error!(hold = row.id(), "ALARM: a hold was set and the footage store keeps nothing for it");
        let mut entry = Entry::new(app.gate.clock().now(), Operation::Alter, "hold.failed");
        entry.object = Some(LogObject::thing("hold", row.id()));
        entry.data =
            Some(serde_json::json!({ "at": "start", "error": "the footage store keeps nothing for it" }));
        app.gate.log().append_spooled(entry);
    }
}

/// Finishes releases that a stop or a disk cut short: a row or a request that says it is over keeps nothing. Runs with every
/// pass of destruction.
pub(crate) fn finish_releases(app: &Rooms) {
    let (rows, requests) = match (app.holds.all(), app.exports.newest(u32::MAX)) {
        (Ok(rows), Ok(requests)) => (rows, requests),
        (rows, requests) => {
            return tracing::error!(rows = ?rows.err(), requests = ?requests.err(), "the holds cannot be looked over");
        }
    };
    let rows = rows.iter().filter(|row| row.released.is_some()).map(HoldRow::id);
    let closed = requests.iter().filter(|request| request.state == RequestState::Closed);
    let held = closed.flat_map(|request| request.held.iter().map(|held| held.hold.clone()));
    release_again(&app.vault, &app.gate, rows.chain(held));
}

/// Releases holds that are over, as far as anything of them is still there.
pub(crate) fn release_again(vault: &Vault, gate: &Gate, over: impl Iterator<Item = String>) {
    for id in over {
        match vault.release(&id) {
            Ok(()) => {
                let mut entry = Entry::new(gate.clock().now(), Operation::Alter, "hold.released");
                entry.object = Some(LogObject::thing("hold", &id));
                entry.data = Some(serde_json::json!({ "after": "it was cut short" }));
                gate.log().append_spooled(entry);
            }
            // Nothing is there any more, as it should be.
            Err(VaultError::NoSuchHold(_)) => {}
            Err(error) => {
                tracing::error!(hold = id, %error, "a hold could not be released; it is tried again");
            }
        }
    }
}

/// When a request's holds are looked at again: what was fetched, or may be fetched no more, needs none.
fn review_of(request: &FootageRequest) -> Option<DateTime<Utc>> {
    let at = request.decided_at?;
    Some(request.download_until.unwrap_or(at).min(at + REVIEW))
}

/// Logs what came of the holds of a footage request, one entry each, like of those that were set for a case.
pub(super) fn of_request(
    app: &App,
    request: &FootageRequest,
    by: Option<&Actor>,
    name: &'static str,
    stretches: &[HeldStretch],
) {
    let snapshot = app.gate.snapshot();
    let kept = app.vault.holds();
    for stretch in stretches {
        let mut entry = Entry::new(app.gate.clock().now(), Operation::Alter, name);
        if let Some(by) = by {
            entry.actor = crate::gate::actor(by, &snapshot, &[]);
        }
        entry.object = Some(LogObject {
            kind: "hold".to_owned(),
            id: Some(stretch.hold.clone()),
            camera: Some(stretch.camera.to_string()),
            municipality: snapshot.register.camera(&stretch.camera).map(|c| c.municipality.to_string()),
            from: Some(stretch.from),
            until: Some(stretch.until),
            ..LogObject::default()
        });
        let mut data = serde_json::json!({ "request": request.id });
        if let Some(held) = kept.iter().find(|held| held.id == stretch.hold) {
            data["chunks"] = held.chunks.into();
            data["bytes"] = held.bytes.to_string().into();
            data["whole"] = held.whole.into();
            data["review_at"] = serde_json::json!(review_of(request));
        }
        entry.data = Some(data);
        app.gate.log().append_spooled(entry);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_without_a_gap_become_one_hold_and_what_lies_between_is_none() {
        let at =
            |minute: i64| DateTime::from_timestamp(1_790_000_000, 0).unwrap() + TimeDelta::minutes(minute);
        let run = |from, until, kept: &[&str]| Run {
            from: at(from),
            until: at(until),
            law: Vec::new(),
            kept: kept.iter().map(|id| (*id).to_owned()).collect(),
        };
        let permitted = vec![
            (run(0, 5, &["hold-1"]), Some(4)),
            (run(5, 10, &["hold-2"]), Some(5)),
            (run(20, 30, &[]), Some(6)),
        ];
        let stretch = |from, until, older: &[&str], entry| ToSecure {
            from: at(from),
            until: at(until),
            older: older.iter().map(|id| (*id).to_owned()).collect(),
            entry: Some(entry),
        };
        assert_eq!(joined(permitted), [stretch(0, 10, &["hold-1", "hold-2"], 5), stretch(20, 30, &[], 6)]);
        let left_out = |from, until| LeftOut {
            camera: "C1".into(),
            from: at(from),
            until: at(until),
            reason: String::new(),
            nl: String::new(),
            en: String::new(),
        };
        assert_eq!(after(left_out(0, 2), at(1)), Some(left_out(1, 2)));
        assert_eq!(after(left_out(0, 1), at(1)), None);
    }
}
