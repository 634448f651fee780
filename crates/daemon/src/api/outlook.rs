//! Looking ahead and looking back: when something opens, what a proposal would change, what ends soon, and why something
//! was permitted on a night long ago.

use super::{
    App, Caller, Endpoint, Needs, ask,
    emergency::unconfirmed_windows,
    endpoint,
    entering::{newest, request_for, unstamped, way_in},
    problem::{ApiError, read_body},
    query::Asked,
    register::{Scope, field_changes, sentences, with_waiting},
    room::line,
};
use crate::{
    identity::Session,
    journal::{Snapshot, municipality_of, name_of},
    pieces::binding_at,
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::State,
    routing::{MethodRouter, get, post},
};
use chrono::{DateTime, TimeDelta, Utc};
use mandate::{
    Action, Actor, CameraId, Decision, FactBody, IncidentId, LogPurpose, MunicipalityId, Object, PersonId,
    Request, Role, Statement, decide, endings, entry, outlook,
    roles::{ROLE_MATRIX, may_ever},
};
use protocol::api::{
    ChangeState, Difference, Endings, Explanation, LONGEST_OF_PERSON_DAYS, NewPreview, Outlook, Preview,
    Sentence,
};
use std::{collections::HashSet, sync::Arc};

/// How far a proposal's consequences are looked at after they begin.
const PREVIEW: TimeDelta = TimeDelta::days(28);
/// The longest stretch that may be asked about; people's costs a look at every camera.
const LONGEST: TimeDelta = TimeDelta::days(366);
const LONGEST_OF_PERSON: TimeDelta = TimeDelta::days(LONGEST_OF_PERSON_DAYS);
/// What ends within so many days, if nothing else is asked.
const ENDINGS_DAYS: i64 = 90;

/// The endpoints of this room.
pub(super) fn table() -> Vec<(Endpoint, MethodRouter<App>)> {
    const REGISTER: Needs = Needs::Action(&[Action::ReadRegister]);
    let e = endpoint;
    vec![
        (
            e(
                "GET",
                "/register/outlook",
                REGISTER,
                "outlook",
                "When a camera, a person or a municipality is open between two instants",
                None,
                (200, Some("Outlook")),
            )
            .asking(&["camera", "person", "municipality", "from", "until"]),
            get(look_ahead),
        ),
        (
            e(
                "GET",
                "/register/endings",
                REGISTER,
                "endings",
                "What ends soon, what is due, and emergency windows that wait for written confirmation",
                None,
                (200, Some("Endings")),
            )
            .asking(&["days"]),
            get(ends),
        ),
        (
            e(
                "POST",
                "/register/preview",
                Needs::Action(&[Action::ReadRegister, Action::ConfigureCamera]),
                "preview",
                "What facts would change, open and close; nothing is entered",
                Some("NewPreview"),
                (200, Some("Preview")),
            ),
            post(preview),
        ),
        (
            e(
                "GET",
                "/register/explanation",
                Needs::Action(&[Action::ReadLog]),
                "explanation",
                "Why something was permitted or refused, computed again from the facts as they stood",
                None,
                (200, Some("Explanation")),
            )
            .asking(&[
                "purpose",
                "camera",
                "person",
                "role",
                "action",
                "at",
                "known_at",
                "incident",
                "from",
                "until",
                "said_purpose",
                "offence_ref",
                "case_number",
                "recipient_kind",
            ]),
            get(explain),
        ),
    ]
}

fn malformed(text: &str) -> ApiError {
    ApiError::Malformed(text.to_owned())
}

/// Work that takes milliseconds to seconds, off the async threads.
async fn computed<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| ApiError::Internal(e.to_string()))
}

/// `GET /register/outlook`.
async fn look_ahead(
    State(app): State<App>,
    Extension(session): Caller,
    asked: Asked,
) -> Result<Json<Outlook>, ApiError> {
    app.gate.list(&ask(&session, Action::ReadRegister, Object::None, "register.outlook")).await?;
    let now = app.gate.clock().now();
    let from = asked.instant("from")?.unwrap_or(now);
    let until = asked.instant("until")?.unwrap_or(from + TimeDelta::days(28));
    let longest = if asked.text("person").is_some() { LONGEST_OF_PERSON } else { LONGEST };
    if until <= from || until - from > longest {
        return Err(malformed(&format!(
            "`until` must lie after `from`, by at most {} days",
            longest.num_days()
        )));
    }
    let snapshot = app.gate.snapshot();
    let mut scope = Scope::new(&app, &session);
    let mut answer = Outlook { from, until, cameras: Vec::new(), person: None };
    match (asked.text("camera"), asked.text("person"), asked.text("municipality")) {
        (Some(camera), None, None) => {
            let camera = CameraId::from(camera);
            let of = snapshot
                .register
                .camera(&camera)
                .map(|c| c.municipality.clone())
                .ok_or(ApiError::NotFound)?;
            if !scope.holds(Some(&of)) {
                return Err(ApiError::NotFound);
            }
            let ahead =
                computed(move || outlook::of_camera(&snapshot.register, &camera, from, until)).await?;
            answer.cameras.extend(ahead);
        }
        (None, Some(person), None) => {
            let person = PersonId::from(person);
            let ahead =
                computed(move || outlook::of_person(&snapshot.register, &person, from, until)).await?;
            let mut ahead = ahead.ok_or(ApiError::NotFound)?;
            let register = &app.gate.snapshot().register;
            ahead.roles.retain(|role| scope.holds(Some(&role.municipality)));
            ahead.cameras.retain(|(camera, _)| scope.holds(register.camera(camera).map(|c| &c.municipality)));
            answer.person = Some(ahead);
        }
        (None, None, Some(municipality)) => {
            let municipality = MunicipalityId::from(municipality);
            if !scope.holds(Some(&municipality)) {
                return Err(ApiError::NotFound);
            }
            answer.cameras =
                computed(move || outlook::of_municipality(&snapshot.register, &municipality, from, until))
                    .await?;
        }
        _ => return Err(malformed("name one of `camera`, `person`, `municipality`")),
    }
    Ok(Json(answer))
}

/// `GET /register/endings`.
async fn ends(
    State(app): State<App>,
    Extension(session): Caller,
    asked: Asked,
) -> Result<Json<Endings>, ApiError> {
    app.gate.list(&ask(&session, Action::ReadRegister, Object::None, "register.endings")).await?;
    let days = match asked.text("days") {
        Some(text) => text.parse().ok().filter(|days| (1..=3660).contains(days)),
        None => Some(ENDINGS_DAYS),
    };
    let days = TimeDelta::days(days.ok_or_else(|| malformed("`days` is a number from 1 to 3660"))?);
    let now = app.gate.clock().now();
    let snapshot = app.gate.snapshot();
    let mut scope = Scope::new(&app, &session);
    let mut endings = endings::endings(&snapshot.register, now, now + days);
    endings.retain(|e| e.municipalities.is_empty() || e.municipalities.iter().any(|m| scope.holds(Some(m))));
    let mut unconfirmed = unconfirmed_windows(&app, &snapshot, now)?;
    unconfirmed.retain(|w| scope.holds(w.municipality.as_ref()));
    let mut duties = Vec::new();
    if may_ever(session.role, Action::ReadRecords) {
        duties = mandate::duties::duties(&snapshot.register, now, now + days);
        duties.retain(|duty| scope.holds(duty.municipality.as_ref()));
    }
    Ok(Json(Endings { now, endings, unconfirmed, duties }))
}

/// `POST /register/preview`.
async fn preview(
    State(app): State<App>,
    Extension(session): Caller,
    body: Bytes,
) -> Result<Json<Preview>, ApiError> {
    let action = [Action::ReadRegister, Action::ConfigureCamera]
        .into_iter()
        .find(|action| may_ever(session.role, *action))
        .unwrap_or(Action::ReadRegister);
    app.gate.list(&ask(&session, action, Object::None, "register.preview")).await?;
    let NewPreview { bodies, proposals, complete, from, until } = read_body(&body)?;
    let bodies: Vec<FactBody> = bodies.into_iter().map(unstamped).collect();
    let mut all = Vec::new();
    for id in proposals {
        all.push(app.journal.proposal(id)?.ok_or(ApiError::NotFound)?.body);
    }
    all.extend(bodies);
    let differences = differences(&app, &session, &all, complete)?;
    let now = app.gate.clock().now();
    let from = from.unwrap_or(now);
    let until = until.unwrap_or_else(|| {
        let last = all.iter().flat_map(|body| turns(&app.gate.snapshot(), body)).fold(from, Ord::max);
        (last + PREVIEW).min(from + LONGEST)
    });
    if until <= from || until - from > LONGEST {
        return Err(malformed(&format!(
            "`until` must lie after `from`, by at most {} days",
            LONGEST.num_days()
        )));
    }
    let changing: Vec<FactBody> = all
        .into_iter()
        .zip(&differences)
        .filter(|(_, d)| matches!(d.state, ChangeState::New | ChangeState::Changed))
        .map(|(body, _)| as_confirmed(body, now))
        .collect();
    let mut changes = Vec::new();
    if !changing.is_empty() {
        let (before, after) = (app.gate.snapshot(), app.journal.suppose(changing)?);
        changes = computed(move || outlook::compare(&before.register, &after.register, from, until)).await?;
        let register = &app.gate.snapshot().register;
        let mut scope = Scope::new(&app, &session);
        changes.retain(|change| match &change.subject {
            outlook::Subject::Camera { camera, .. } => {
                scope.holds(register.camera(camera).map(|c| &c.municipality))
            }
            outlook::Subject::Person { municipality, .. } => scope.holds(Some(municipality)),
        });
    }
    Ok(Json(Preview { differences, changes, from, until }))
}

/// The instants at which a fact begins and ends, or ended before: where what it opens and closes is to be looked for.
fn turns(snapshot: &Snapshot, body: &FactBody) -> Vec<DateTime<Utc>> {
    let bounds = |body: &FactBody| match body {
        FactBody::Ordinance(f) => [Some(f.in_force_from), f.in_force_until],
        FactBody::Decree(f) => [Some(f.valid_from), Some(f.valid_until)],
        FactBody::Extension(f) => [snapshot.register.decree_end(&f.decree), None],
        FactBody::Revocation(f) => [Some(f.revoked_from), None],
        FactBody::Period(f) => [Some(f.effective_from), f.effective_until],
        FactBody::ExtraWindow(f) => [Some(f.from), Some(f.until)],
        FactBody::Position(f) => [Some(f.from), f.until],
        FactBody::Agreement(f) => [Some(f.valid_from), f.valid_until],
        FactBody::Authorisation(f) => [Some(f.from), Some(f.until)],
        FactBody::Shift(f) => [Some(f.from), Some(f.until)],
        FactBody::Maintenance(f) => [Some(f.from), Some(f.until)],
        FactBody::Instruction(f) => [Some(f.from), Some(f.until)],
        _ => [None, None],
    };
    let [from, until] = bounds(body);
    match newest(snapshot, body).map(bounds) {
        // Of a new one its beginning; its end is where what it opened is over.
        None => from.into_iter().collect(),
        Some([old_from, old_until]) => {
            let moved = |new: Option<_>, old: Option<_>| if new == old { [None, None] } else { [new, old] };
            moved(from, old_from).into_iter().chain(moved(until, old_until)).flatten().collect()
        }
    }
}

/// As it will be once it is confirmed: a mask is looked at as verified.
fn as_confirmed(body: FactBody, now: DateTime<Utc>) -> FactBody {
    match body {
        FactBody::Mask(mut mask) => {
            mask.verified_at = mask.verified_at.or(Some(now));
            FactBody::Mask(mask)
        }
        other => other,
    }
}

fn differences(
    app: &App,
    session: &Session,
    bodies: &[FactBody],
    complete: bool,
) -> Result<Vec<Difference>, ApiError> {
    let snapshot = app.gate.snapshot();
    let waiting = app.journal.open_proposals()?;
    let waiting_register = with_waiting(app)?;
    let now = app.gate.clock().now();
    // All of them together, so that each may refer to any other.
    let findings = entry::check(&waiting_register.register, &waiting_register.facts, bodies, Some(now))
        .unwrap_or_default();
    let supposed = app.journal.suppose(waiting.iter().map(|p| p.body.clone()).chain(bodies.iter().cloned()));
    let supposed: &Snapshot = supposed.as_ref().unwrap_or(&waiting_register);
    let mut differences = Vec::new();
    for body in bodies {
        let (kind, id) = name_of(body);
        let known = newest(&snapshot, body).map(|known| unstamped(known.clone()));
        let fields = field_changes(known.as_ref(), body);
        let state = match &known {
            None => ChangeState::New,
            Some(_) if fields.is_empty() => ChangeState::Unchanged,
            Some(_) => ChangeState::Changed,
        };
        let way = way_in(&snapshot, body, now);
        let roles =
            ROLE_MATRIX.iter().find(|(action, _)| *action == way.action).map(|(_, roles)| roles.to_vec());
        let mut difference = Difference {
            kind,
            id,
            state,
            fields: if state == ChangeState::Changed { fields } else { Vec::new() },
            waits: waiting.iter().find(|p| p.body == *body).map(|p| p.id),
            refused: None,
            remarks: Vec::new(),
            enter: roles.unwrap_or_default(),
            confirm: way.confirm.to_vec(),
        };
        if state != ChangeState::Unchanged {
            let key = body.key();
            let of_this: Vec<_> =
                findings.iter().filter(|f| f.kind == key.0 && f.id == key.1).cloned().collect();
            let (objections, remarks) = sentences(&of_this);
            difference.remarks = remarks;
            difference.refused = objections
                .into_iter()
                .next()
                .or_else(|| objection(session, &snapshot, supposed, body, &difference.enter, now));
        }
        differences.push(difference);
    }
    if complete {
        differences.extend(gone(app, session, &snapshot, bodies));
    }
    Ok(differences)
}

/// Why the law would refuse a fact that somebody in the right role enters.
fn objection(
    session: &Session,
    known: &Snapshot,
    supposed: &Snapshot,
    body: &FactBody,
    enter: &[Role],
    now: DateTime<Utc>,
) -> Option<Sentence> {
    // In another role the person's own chain says nothing about the fact.
    if !enter.contains(&session.role) {
        return None;
    }
    let request = request_for(known, supposed, &session.person, session.role, body, now);
    super::entering::foreseen(supposed, &request, now).map(|code| {
        let (nl, en) = code.sentence();
        Sentence { nl: nl.to_owned(), en: en.to_owned() }
    })
}

/// Facts of the municipalities that are named, which the list itself does not name.
fn gone(app: &App, session: &Session, snapshot: &Snapshot, bodies: &[FactBody]) -> Vec<Difference> {
    let municipalities: HashSet<MunicipalityId> =
        bodies.iter().filter_map(|b| municipality_of(snapshot, b)).collect();
    let named: HashSet<(String, String)> = bodies.iter().map(name_of).collect();
    let mut scope = Scope::new(app, session);
    let mut seen = HashSet::new();
    let mut gone = Vec::new();
    for fact in snapshot.facts.iter() {
        let (kind, id) = name_of(&fact.body);
        let Some(of) = municipality_of(snapshot, &fact.body) else { continue };
        let key = (kind.clone(), id.clone());
        if municipalities.contains(&of)
            && scope.holds(Some(&of))
            && !named.contains(&key)
            && !matches!(fact.body, FactBody::Instruction(_))
            && !fact.body.is_record()
            && seen.insert(key)
        {
            gone.push(Difference {
                kind,
                id,
                state: ChangeState::Gone,
                fields: Vec::new(),
                waits: None,
                refused: None,
                remarks: Vec::new(),
                enter: Vec::new(),
                confirm: Vec::new(),
            });
        }
    }
    gone
}

/// `GET /register/explanation`.
async fn explain(
    State(app): State<App>,
    Extension(session): Caller,
    asked: Asked,
) -> Result<Json<Explanation>, ApiError> {
    let log_purpose: Option<LogPurpose> = asked.word("purpose")?;
    let mut reading = ask(&session, Action::ReadLog, Object::None, "register.explain");
    reading.request = reading.request.saying(Statement { log_purpose, ..Statement::default() });
    let at = asked.instant("at")?.ok_or_else(|| malformed("`at` is missing in the query"))?;
    let camera = CameraId::from(asked.needed("camera")?);
    if app.gate.snapshot().register.camera(&camera).is_some() {
        reading.request.object = Object::Camera(camera.clone());
    }
    app.gate.act(&reading).await?;

    let known_at = asked.instant("known_at")?.unwrap_or(at);
    // Of the platform itself nothing but its recording is of interest.
    let usual = if asked.text("person").is_some() { Action::LiveView } else { Action::Record };
    let action: Action = asked.word("action")?.unwrap_or(usual);
    let object = explained_object(&asked, action, &camera, at)?;
    let actor = match asked.text("person") {
        Some(person) => Actor::Person {
            person: PersonId::from(person),
            role: asked.word("role")?.ok_or_else(|| malformed("`role` is missing in the query"))?,
        },
        None => Actor::System,
    };
    let incident = match asked.text("incident") {
        Some(id) => {
            let found = app.incidents.find(&IncidentId::from(id))?.ok_or(ApiError::NotFound)?;
            let open = found.at <= at && found.closed_at.is_none_or(|closed| at < closed);
            (open && found.cameras.contains(&camera)).then_some(found.id)
        }
        None => None,
    };
    let snapshot = Arc::new(app.journal.as_known(known_at)?);
    if snapshot.register.camera(&camera).is_none() {
        return Err(ApiError::Invalid(Sentence {
            nl: format!("Camera `{camera}` stond op dat moment niet in het register."),
            en: format!("The register did not know camera `{camera}` at that instant."),
        }));
    }
    let mut request = Request::by_system(action, object).saying(explained_statement(&asked)?);
    request.actor = actor;
    if let Object::Footage { from, until, .. } = &request.object {
        request.resolved.holds = binding_at(&app, &camera, (*from, *until), at)?;
    }
    request.resolved.incident = incident;
    request.resolved.instruction = snapshot.register.instruction_for(&camera, at).map(|i| i.id.clone());
    let decision = decide(&snapshot.register, &request, at);
    let (basis, code, sentence) = match &decision {
        Decision::Permit(permit) => {
            let sentence = Sentence { nl: "Toegestaan.".to_owned(), en: "Permitted.".to_owned() };
            (permit.basis().to_vec(), None, sentence)
        }
        Decision::Deny(denial) => {
            let (nl, en) = denial.sentence();
            (denial.fact.iter().cloned().collect(), Some(denial.code), Sentence { nl, en })
        }
    };
    Ok(Json(Explanation {
        at,
        known_at,
        register_head: snapshot.head.to_string(),
        policy_version: snapshot.register.policy_version().to_string(),
        permitted: decision.is_permit(),
        code,
        sentence,
        lines: basis.iter().map(|fact| line(&snapshot, fact)).collect(),
        basis,
        until: decision.until(),
    }))
}

/// What an action that can be computed again was about. The others rest on what is not kept as it was then: the proposal, the
/// footage request, the direction of the camera.
fn explained_object(
    asked: &Asked,
    action: Action,
    camera: &CameraId,
    at: DateTime<Utc>,
) -> Result<Object, ApiError> {
    use Action::{ListCameras, LiveView, MarkIncident, Record, Replay, RequestExport, SetHold, Snapshot};
    match action {
        LiveView | MarkIncident | Snapshot | Record | ListCameras => Ok(Object::Camera(camera.clone())),
        Replay | RequestExport | SetHold => {
            let from = asked.instant("from")?.unwrap_or(at - TimeDelta::minutes(1));
            let until = asked.instant("until")?.unwrap_or(at);
            if from >= until {
                return Err(malformed("`until` must lie after `from`"));
            }
            Ok(Object::Footage { camera: camera.clone(), from, until })
        }
        _ => Err(ApiError::Invalid(Sentence {
            nl: "Dit kan niet opnieuw worden berekend. Wel: live_view, mark_incident, snapshot, record, list_cameras, replay, \
                 request_export en set_hold."
                .to_owned(),
            en: "This cannot be computed again. What can: live_view, mark_incident, snapshot, record, list_cameras, replay, \
                 request_export and set_hold."
                .to_owned(),
        })),
    }
}

/// What was said about it then.
fn explained_statement(asked: &Asked) -> Result<Statement, ApiError> {
    Ok(Statement {
        purpose: asked.word("said_purpose")?,
        offence_ref: asked.text("offence_ref").map(ToOwned::to_owned),
        case_number: asked.text("case_number").map(ToOwned::to_owned),
        recipient_kind: asked.word("recipient_kind")?.unwrap_or_default(),
        ..Statement::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::ManualClock,
        testing::{FakeLog, journal},
    };
    use serde_json::json;

    /// What is said about footage is part of the question, and what cannot be computed again is not answered.
    #[tokio::test]
    async fn an_explanation_of_footage_knows_what_was_said() {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new("2026-06-13T20:00:00Z".parse().unwrap());
        let snapshot = journal(folder.path(), &FakeLog::new(&clock), &clock).await.snapshot();
        let at: DateTime<Utc> = "2026-06-13T20:30:00Z".parse().unwrap();
        let (camera, said) = (
            CameraId::from("C1"),
            [("said_purpose", "investigation"), ("offence_ref", "Sr 300"), ("case_number", "PL0500-1")],
        );
        let decided = |action, said: &[(&str, &str)]| {
            let asked = Asked::of(said);
            let object = explained_object(&asked, action, &camera, at).unwrap();
            let statement = explained_statement(&asked).unwrap();
            let request = Request::new("bert".into(), Role::PoliceOperator, action, object).saying(statement);
            decide(&snapshot.register, &request, at).denial().map(|denial| denial.code)
        };
        for action in [Action::Replay, Action::SetHold] {
            assert_eq!(decided(action, &said), None, "{action:?}");
            assert_eq!(decided(action, &[]), Some(mandate::ReasonCode::PurposeNotAllowed), "{action:?}");
        }
        assert_eq!(decided(Action::SetHold, &said[..2]), Some(mandate::ReasonCode::CaseNumberRequired));
        for action in [Action::ApproveExport, Action::ConfigureDecree, Action::PtzControl] {
            let answer = explained_object(&Asked::of(&[]), action, &camera, at);
            assert!(matches!(answer, Err(ApiError::Invalid(_))), "{action:?}");
        }
        let upside_down = Asked::of(&[("from", "2026-06-13T20:30:00Z"), ("until", "2026-06-13T20:00:00Z")]);
        assert!(explained_object(&upside_down, Action::Replay, &camera, at).is_err());
    }

    /// A period that begins in half a year is looked at where it begins; one that ends otherwise, where it would have ended.
    #[tokio::test]
    async fn a_preview_looks_where_something_begins_or_ends() {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new("2026-06-13T20:00:00Z".parse().unwrap());
        let snapshot = journal(folder.path(), &FakeLog::new(&clock), &clock).await.snapshot();
        let at = |text: &str| -> DateTime<Utc> { text.parse().unwrap() };
        let turns = |body: serde_json::Value| turns(&snapshot, &serde_json::from_value(body).unwrap());
        let to_come = json!({ "kind": "period", "id": "P2", "decree": "D1", "consultation": "O1",
            "effective_from": "2026-12-01T00:00:00Z", "use": { "mode": "continuous" } });
        assert_eq!(turns(to_come), [at("2026-12-01T00:00:00Z")]);
        let shorter = json!({ "kind": "authorisation", "id": "AUT-anna", "person": "anna", "role": "observer",
            "municipalities": ["enschede"], "from": "2026-01-01T00:00:00Z", "until": "2026-07-01T00:00:00Z" });
        assert_eq!(turns(shorter), [at("2026-07-01T00:00:00Z"), at("2028-01-01T00:00:00Z")]);
        let extension = json!({ "kind": "extension", "decree": "D1", "number": 1, "valid_until": "2028-01-01T00:00:00Z" });
        assert_eq!(turns(extension), [at("2027-01-01T00:00:00Z")], "where the decree would have ended");
    }
}
