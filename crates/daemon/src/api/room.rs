//! What the room works with: cameras and whether they are open, incidents, health. No pictures pass here.

use super::{
    App, Caller, ask,
    problem::{ApiError, read_body},
};
use crate::{
    clock::{instant, local},
    gate::{Gate, Pass, Refused, request},
    identity::Session,
    incidents::LONGEST_NOTE,
    journal::Snapshot,
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
};
use chrono::TimeDelta;
use ingest::SessionState;
use mandate::{
    Action, CameraId, Decision, FactBody, FactKind, FactRef, IncidentId, Object, ReasonCode, Request,
    Resolved, Role, Statement,
};
use protocol::api::{
    About, Access, CameraHealth, CameraState, CameraView, Health, Incident, IncidentChange, LedgerHealth,
    MunicipalityView, NewIncident, Sentence, StreamRole, Why,
};

/// Incidents in one answer.
const NEWEST: u32 = 500;
/// Longest number of the police's own system, characters.
const LONGEST_NUMBER: usize = 200;
/// What stands for an incident that the police know and that has no number here yet.
const OUTSIDE: &str = "outside";
/// A mark may lie this far in the past at most.
const MARK_REACH: TimeDelta = TimeDelta::hours(24);

/// `GET /about`.
pub(super) async fn about(State(app): State<App>) -> Json<About> {
    Json(About {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        demo: app.demo,
        origin: app.origin.clone(),
        now: app.gate.clock().now(),
    })
}

/// `GET /municipalities`.
pub(super) async fn municipalities(
    State(app): State<App>,
    Extension(session): Caller,
) -> Result<Json<Vec<MunicipalityView>>, ApiError> {
    app.gate.list(&ask(&session, Action::ListCameras, Object::None, "cameras.list")).await?;
    let snapshot = app.gate.snapshot();
    let all = snapshot.register.municipalities();
    let seen = all.filter(|m| {
        app.gate
            .preview(&request(&session, Action::ListCameras, Object::Municipality(m.id.clone())))
            .is_permit()
    });
    Ok(Json(seen.map(|m| MunicipalityView { id: m.id.clone(), name: m.name.clone() }).collect()))
}

/// Whether a session sees that a camera exists.
pub(crate) fn in_scope(app: &App, session: &Session, camera: &CameraId) -> bool {
    app.gate.preview(&request(session, Action::ListCameras, Object::Camera(camera.clone()))).is_permit()
}

/// `GET /cameras`.
pub(super) async fn cameras(
    State(app): State<App>,
    Extension(session): Caller,
) -> Result<Json<Vec<CameraView>>, ApiError> {
    app.gate.list(&ask(&session, Action::ListCameras, Object::None, "cameras.list")).await?;
    let snapshot = app.gate.snapshot();
    let seen = snapshot.register.cameras().filter(|c| in_scope(&app, &session, &c.id));
    let views = seen.map(|c| CameraView {
        id: c.id.clone(),
        number: c.number,
        name: c.name.clone(),
        municipality: c.municipality.clone(),
        ptz: c.ptz,
        access: app.gate.access(&live_request(&app, &session, &c.id)),
        state: camera_state(&app, &c.id, StreamRole::Main),
    });
    Ok(Json(views.collect()))
}

/// The question that a tile asks: may this person watch this camera now? With the instruction that covers it, if any.
pub(crate) fn live_request(app: &App, session: &Session, camera: &CameraId) -> Request {
    let mut request = request(session, Action::LiveView, Object::Camera(camera.clone()));
    let snapshot = app.gate.snapshot();
    let instruction = snapshot.register.instruction_for(camera, app.gate.clock().now());
    request.resolved.instruction = instruction.map(|i| i.id.clone());
    request
}

/// `GET /cameras/{id}/why`.
pub(super) async fn why(
    State(app): State<App>,
    Extension(session): Caller,
    Path(id): Path<String>,
) -> Result<Json<Why>, ApiError> {
    let camera = CameraId::from(id);
    if app.gate.snapshot().register.camera(&camera).is_none() {
        return Err(ApiError::NotFound);
    }
    app.gate.list(&ask(&session, Action::ListCameras, Object::Camera(camera.clone()), "cameras.why")).await?;
    let live = live_request(&app, &session, &camera);
    let decision = app.gate.preview(&live);
    let basis = decision.permit().map(|p| p.basis().to_vec()).unwrap_or_default();
    let access = match &decision {
        Decision::Permit(permit) => Access::Open { until: permit.until() },
        Decision::Deny(denial) => Access::Closed(app.gate.refusal(&live, denial)),
    };
    let snapshot = app.gate.snapshot();
    let lines = basis.iter().map(|fact| line(&snapshot, fact)).collect();
    Ok(Json(Why { camera, at: app.gate.clock().now(), access, basis, lines }))
}

/// One fact of a basis in words.
pub(super) fn line(snapshot: &Snapshot, fact: &FactRef) -> Sentence {
    let (nl, en) = match fact.kind {
        FactKind::Municipality => ("Gemeente", "Municipality"),
        FactKind::Organisation => ("Organisatie", "Organisation"),
        FactKind::Ordinance => ("Verordening", "Ordinance"),
        FactKind::Decree => ("Aanwijzingsbesluit", "Designation decree"),
        FactKind::Area => ("Aangewezen gebied", "Designated area"),
        FactKind::Extension => ("Verlenging", "Extension"),
        FactKind::Revocation => ("Intrekking", "Revocation"),
        FactKind::Consultation => {
            ("Overleg met de officier van justitie", "Consultation with the public prosecutor")
        }
        FactKind::Period => ("Gebruiksperiode", "Use period"),
        FactKind::Window => ("Uitkijkperiode", "Live window"),
        FactKind::ExtraWindow => ("Evenement- of spoedperiode", "Event or emergency window"),
        FactKind::Signage => ("Borden (kenbaarheid)", "Signs"),
        FactKind::Camera => ("Camera", "Camera"),
        FactKind::Position => ("Opstelling van de camera", "Camera position"),
        FactKind::Mask => ("Privacymasker", "Privacy mask"),
        FactKind::ProcessorAgreement => ("Verwerkersovereenkomst", "Processor agreement"),
        FactKind::SubprocessorAgreement => ("Subverwerkersovereenkomst", "Sub-processor agreement"),
        FactKind::Agreement => ("Overeenkomst", "Agreement"),
        FactKind::Person => ("Persoon", "Person"),
        FactKind::Authorisation => ("Autorisatie", "Authorisation"),
        FactKind::Shift => ("Dienst", "Shift"),
        FactKind::Instruction => ("Politie-instructie", "Police instruction"),
        FactKind::Breach => ("Datalek", "Breach"),
        FactKind::SubjectRequest => ("Verzoek van betrokkene", "Data subject's request"),
        FactKind::Audit => ("Audit", "Audit"),
        FactKind::AuditFinding => ("Bevinding", "Finding"),
        FactKind::Incident => ("Incident", "Incident"),
        FactKind::Maintenance => ("Technisch werk", "Technical work"),
    };
    let body = snapshot
        .facts
        .iter()
        .find(|f| f.version == fact.version && f.body.key() == (fact.kind, fact.id.clone()))
        .map(|f| &f.body);
    let until = match body {
        Some(FactBody::Decree(d)) => Some(d.valid_until),
        Some(FactBody::Period(p)) => p.effective_until,
        Some(FactBody::ExtraWindow(w)) => Some(w.until),
        Some(FactBody::Authorisation(a)) => Some(a.until),
        Some(FactBody::Shift(s)) => Some(s.until),
        Some(FactBody::Maintenance(m)) => Some(m.until),
        Some(FactBody::Agreement(a)) => a.valid_until,
        Some(FactBody::Instruction(i)) => Some(i.until),
        _ => None,
    };
    let version = if fact.version > 1 { format!(" (v{})", fact.version) } else { String::new() };
    let end = until.map(local);
    Sentence {
        nl: format!(
            "{nl} {}{version}{}",
            fact.id,
            end.as_ref().map(|e| format!(", tot {e}")).unwrap_or_default()
        ),
        en: format!(
            "{en} {}{version}{}",
            fact.id,
            end.as_ref().map(|e| format!(", until {e}")).unwrap_or_default()
        ),
    }
}

/// The technical state of one stream, in the words of the API.
pub(crate) fn camera_state(app: &App, camera: &CameraId, role: StreamRole) -> CameraState {
    let Some(streams) = app.streams.get(camera) else { return CameraState::Idle };
    state_view(&app.ingest.state(streams.stream(role)).borrow())
}

/// A session's state in the words of the API.
pub(crate) fn state_view(state: &SessionState) -> CameraState {
    match state {
        SessionState::Idle => CameraState::Idle,
        SessionState::Connecting => CameraState::Connecting,
        SessionState::Up { since } => CameraState::Up { since: instant(*since) },
        SessionState::Down { since, cause, detail: _, retry_at } => {
            let (nl, en) = cause.sentence();
            CameraState::Down {
                since: instant(*since),
                cause: cause.as_str().to_owned(),
                detail: Sentence { nl: nl.to_owned(), en: en.to_owned() },
                retry_at: Some(instant(*retry_at)),
            }
        }
    }
}

/// `GET /incidents`.
pub(super) async fn incidents(
    State(app): State<App>,
    Extension(session): Caller,
) -> Result<Json<Vec<Incident>>, ApiError> {
    app.gate.list(&ask(&session, Action::ListIncidents, Object::None, "incidents.list")).await?;
    let all = app.incidents.newest(NEWEST)?;
    Ok(Json(all.into_iter().filter(|i| i.cameras.iter().all(|c| in_scope(&app, &session, c))).collect()))
}

/// `POST /incidents`.
pub(super) async fn mark(
    State(app): State<App>,
    Extension(session): Caller,
    body: Bytes,
) -> Result<(StatusCode, Json<Incident>), ApiError> {
    let new: NewIncident = read_body(&body)?;
    let now = app.gate.clock().now();
    if new.at > now + TimeDelta::seconds(5) || new.at < now - MARK_REACH {
        return Err(ApiError::Invalid(Sentence {
            nl: "Het tijdstip ligt in de toekomst of meer dan een dag terug.".to_owned(),
            en: "The moment lies in the future or more than a day back.".to_owned(),
        }));
    }
    check_note(&new.note)?;
    check_outside_number(new.outside_number.as_deref())?;
    let Some(first) = new.cameras.first() else {
        return Err(ApiError::Invalid(Sentence {
            nl: "Kies ten minste één camera.".to_owned(),
            en: "Choose at least one camera.".to_owned(),
        }));
    };
    // Every camera passes the gate, the selected one last, so that an entry of a permit is never followed by a refusal.
    for camera in new.cameras.iter().skip(1).chain([first]) {
        let resolved = live_request(&app, &session, camera).resolved;
        pass_mark(&app.gate, &session, &new, camera, resolved).await?;
    }
    Ok((StatusCode::CREATED, Json(app.incidents.mark(&new, &session.person)?)))
}

/// Asks the gate for a mark on one camera. One that the police know under a number of their own is decided with the incident
/// as it will stand (`decisions.md` 1): outside the live window a mark opens nothing otherwise.
pub(crate) async fn pass_mark(
    gate: &Gate,
    session: &Session,
    new: &NewIncident,
    camera: &CameraId,
    resolved: Resolved,
) -> Result<Pass, Refused> {
    let mut ask = ask(session, Action::MarkIncident, Object::Camera(camera.clone()), "incident.mark");
    ask.request.resolved = resolved;
    let Some(number) = &new.outside_number else { return gate.act(&ask).await };
    ask.request = ask.request.saying(Statement { case_number: Some(number.clone()), ..Statement::default() });
    if session.role != Role::PoliceOperator {
        return Err(gate.refuse(&ask, ReasonCode::RoleNotPermitted).await);
    }
    ask.request.resolved.incident = Some(IncidentId::new(OUTSIDE));
    // It has no number of ours yet; the police's own stands in the entry as a commitment, like every case number.
    gate.act_telling(&ask, |entry| entry.justification.incident = None).await
}

/// `PATCH /incidents/{id}`.
pub(super) async fn change_incident(
    State(app): State<App>,
    Extension(session): Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Incident>, ApiError> {
    let id = IncidentId::from(id);
    let change: IncidentChange = read_body(&body)?;
    let known = app.incidents.find(&id)?.ok_or(ApiError::NotFound)?;
    if let Some(note) = &change.note {
        check_note(note)?;
    }
    if !known.cameras.iter().all(|c| in_scope(&app, &session, c)) {
        return Err(ApiError::NotFound);
    }
    // Writing about an incident needs no picture, so it is asked like the list, and logged as the act it is.
    let mut ask = ask(&session, Action::ListIncidents, Object::None, "incident.change");
    ask.request.resolved.incident = Some(id.clone());
    app.gate.act(&ask).await?;
    let changed = app.incidents.change(&id, &change, app.gate.clock().now())?;
    if change.close {
        app.gate.incident_closed(&id);
    }
    changed.map(Json).ok_or(ApiError::NotFound)
}

fn check_note(note: &str) -> Result<(), ApiError> {
    if note.chars().count() > LONGEST_NOTE {
        return Err(ApiError::Invalid(Sentence {
            nl: format!("De notitie is langer dan {LONGEST_NOTE} tekens."),
            en: format!("The note is longer than {LONGEST_NOTE} characters."),
        }));
    }
    Ok(())
}

fn check_outside_number(number: Option<&str>) -> Result<(), ApiError> {
    if number.is_some_and(|number| number.trim().is_empty() || number.chars().count() > LONGEST_NUMBER) {
        return Err(ApiError::Invalid(Sentence {
            nl: format!("Het nummer van de politie is leeg of langer dan {LONGEST_NUMBER} tekens."),
            en: format!("The police's number is empty or longer than {LONGEST_NUMBER} characters."),
        }));
    }
    Ok(())
}

/// `GET /health`.
pub(super) async fn health(
    State(app): State<App>,
    Extension(session): Caller,
) -> Result<Json<Health>, ApiError> {
    app.gate.list(&ask(&session, Action::ReadHealth, Object::None, "health.read")).await?;
    let hub = app.ingest.hub();
    let cameras = app.streams.iter().map(|c| {
        let main = hub.stats(c.main.stream);
        CameraHealth {
            id: c.camera.clone(),
            main: camera_state(&app, &c.camera, StreamRole::Main),
            sub: camera_state(&app, &c.camera, StreamRole::Sub),
            bits_per_second: main.bits_per_second,
            frames: main.frames,
            viewer_skips: main.viewer_skips
                + c.sub.as_ref().map_or(0, |sub| hub.stats(sub.stream).viewer_skips),
        }
    });
    Ok(Json(Health {
        now: app.gate.clock().now(),
        ledger: ledger_view(&app.gate.log().health().borrow(), app.gate.clock().now()),
        cameras: cameras.collect(),
        recorded_bytes: app.vault.stats().bytes,
    }))
}

/// The log's state in the words of the API.
pub(crate) fn ledger_view(health: &ledger::LedgerHealth, now: chrono::DateTime<chrono::Utc>) -> LedgerHealth {
    LedgerHealth {
        entries: health.entries,
        writable: health.writable,
        failing_since: health.failing_since,
        witnessed_at: health.witnessed_at,
        witness_late: crate::custody::witness_late(health, now),
    }
}
