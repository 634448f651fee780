//! Entering facts and the second person who makes them effective: one enters, another confirms, each through the gate.

use super::{
    App, Caller, ask,
    entering::{begins_late, beyond_scope, foreseen, keeping, request_for, stamped, unstamped, way_in},
    problem::{ApiError, read_body},
    register::{MOST, flaw, invalid, municipality_scope, view, with_waiting},
};
use crate::{
    gate::{Ask, actor, origin, request},
    identity::Session,
    journal::Provenance,
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
};
use mandate::{Action, Actor, FactBody, Object, ReasonCode, Role, facts::PoliceInstruction, roles::may_ever};
use protocol::api::{NewProposal, Proposal, Sentence, Verification};
use std::sync::Arc;

/// Longest note, characters.
const LONGEST_NOTE: usize = 2000;

/// `POST /register/proposals`.
pub(super) async fn propose(
    State(app): State<App>,
    Extension(session): Caller,
    body: Bytes,
) -> Result<(StatusCode, Json<Proposal>), ApiError> {
    let NewProposal { body, note } = read_body(&body)?;
    if note.as_ref().is_some_and(|note| note.chars().count() > LONGEST_NOTE) {
        return Err(invalid(
            format!("De toelichting is langer dan {LONGEST_NOTE} tekens."),
            format!("The note is longer than {LONGEST_NOTE} characters."),
        ));
    }
    let proposal = enter(&app, &session, unstamped(body), note.as_deref()).await?;
    Ok((StatusCode::CREATED, Json(proposal)))
}

/// Enters a fact: it waits for its second person, or takes effect where none is needed.
async fn enter(
    app: &App,
    session: &Session,
    body: FactBody,
    note: Option<&str>,
) -> Result<Proposal, ApiError> {
    let snapshot = app.gate.snapshot();
    let body = match body {
        // Whoever enters an instruction is who gives it.
        FactBody::Instruction(given) => {
            FactBody::Instruction(PoliceInstruction { entered_by: session.person.clone(), ..given })
        }
        other => other,
    };
    let way = way_in(&snapshot, &body);
    let at_once = way.confirm.is_empty();
    // What waits may refer to what waits; what takes effect at once may not.
    let supposed = if at_once { snapshot.clone() } else { with_waiting(app)? };
    let now = app.gate.clock().now();
    let ask = Ask {
        request: request_for(&snapshot, &supposed, &session.person, session.role, &body, now),
        session: Some(session.clone()),
        name: if at_once { "register.enter" } else { "register.propose" },
        display: None,
    };
    if !may_ever(session.role, way.action) {
        return Err(app.gate.refuse(&ask, ReasonCode::RoleNotPermitted).await.into());
    }
    let oneself = match &body {
        FactBody::Person(f) => f.id == session.person,
        FactBody::Shift(f) => f.person == session.person,
        _ => false,
    };
    if oneself {
        return Err(app.gate.refuse(&ask, ReasonCode::SelfGrant).await.into());
    }
    // What waits gives nobody a scope.
    if beyond_scope(&snapshot, &session.person, session.role, &body, now) {
        return Err(app.gate.refuse(&ask, ReasonCode::AuthorisationScope).await.into());
    }
    if begins_late(&snapshot, &body, now) {
        flaw(app, &supposed, &body)?;
    }
    if let Some(code) = foreseen(&supposed, &ask.request, now) {
        return Err(app.gate.refuse(&ask, code).await.into());
    }
    flaw(app, &supposed, &body)?;
    if let FactBody::Instruction(instruction) = &body {
        for camera in instruction.cameras.iter().skip(1) {
            let mut each = ask.clone();
            each.request.object = Object::Camera(camera.clone());
            app.gate.act(&each).await?;
        }
    }
    app.gate.propose_supposing(&ask, &supposed).await?;
    let body = if at_once { keeping(&snapshot, body) } else { body };
    let proposed = app.journal.propose(&body, &session.person, session.role, note)?;
    if !at_once {
        return Ok(view(proposed));
    }
    let person = Actor::Person { person: session.person.clone(), role: session.role };
    let by = Provenance {
        entered_by: Some(session.person.clone()),
        verified_by: None,
        proposal: Some(proposed.id),
        actor: Some(actor(&person, &supposed, &[])),
        origin: origin(session),
    };
    app.journal.record(body, by).await?;
    again(app, proposed.id)
}

fn again(app: &App, id: u64) -> Result<Proposal, ApiError> {
    app.journal.proposal(id)?.map(view).ok_or(ApiError::NotFound)
}

/// `DELETE /register/proposals/{id}`: whoever entered it, or a colleague in the same role.
pub(super) async fn withdraw(
    State(app): State<App>,
    Extension(session): Caller,
    Path(id): Path<String>,
) -> Result<Json<Proposal>, ApiError> {
    let id: u64 = id.parse().map_err(|_| ApiError::NotFound)?;
    let proposed = app.journal.proposal(id)?.ok_or(ApiError::NotFound)?;
    let supposed = with_waiting(&app)?;
    let mut own = ask(&session, Action::ReadRegister, Object::None, "register.withdraw");
    let (snapshot, now) = (app.gate.snapshot(), app.gate.clock().now());
    own.request.object =
        request_for(&snapshot, &supposed, &session.person, session.role, &proposed.body, now).object;
    if proposed.role != session.role {
        return Err(app.gate.refuse(&own, ReasonCode::RoleNotPermitted).await.into());
    }
    // Whoever keeps the cameras or gives instructions does not read the register; taking back one's own is no reading.
    own.request.action = way_in(&supposed, &proposed.body).action;
    if matches!(own.request.action, Action::ConfigureDecree | Action::ConfigureWindow | Action::ManageUsers) {
        own.request.action = Action::ReadRegister;
    }
    app.gate.act_supposing(&own, &supposed).await?;
    if !app.journal.withdraw(id, &session.person)? {
        return Err(ended());
    }
    Ok(Json(again(&app, id)?))
}

fn ended() -> ApiError {
    ApiError::Conflict(Sentence {
        nl: "Dit voorstel wacht niet meer: het is al bevestigd of ingetrokken.".to_owned(),
        en: "This proposal waits no longer: it was confirmed or withdrawn already.".to_owned(),
    })
}

/// `POST /register/proposals/{id}/verification`.
pub(super) async fn verify(
    State(app): State<App>,
    Extension(session): Caller,
    Path(id): Path<String>,
) -> Result<Json<Proposal>, ApiError> {
    let id: u64 = id.parse().map_err(|_| ApiError::NotFound)?;
    confirm(&app, &session, &[id]).await?.pop().map(Json).ok_or(ApiError::NotFound)
}

/// `POST /register/verifications`.
pub(super) async fn verify_together(
    State(app): State<App>,
    Extension(session): Caller,
    body: Bytes,
) -> Result<Json<Vec<Proposal>>, ApiError> {
    let Verification { proposals } = read_body(&body)?;
    if proposals.is_empty() || proposals.len() > MOST as usize {
        return Err(invalid(
            format!("Noem 1 tot {MOST} voorstellen."),
            format!("Name 1 to {MOST} proposals."),
        ));
    }
    Ok(Json(confirm(&app, &session, &proposals).await?))
}

/// The second person's confirmation: every proposal is asked on the register that those before it would make, and only
/// when all may take effect does any.
async fn confirm(app: &App, session: &Session, ids: &[u64]) -> Result<Vec<Proposal>, ApiError> {
    let mut bodies: Vec<FactBody> = Vec::new();
    let mut entries = Vec::new();
    for id in ids {
        let proposed = app.journal.proposal(*id)?.ok_or(ApiError::NotFound)?;
        let supposed = if bodies.is_empty() {
            app.gate.snapshot()
        } else {
            Arc::new(app.journal.suppose(bodies.clone())?)
        };
        let way = way_in(&supposed, &proposed.body);
        let mut law = request_for(
            &supposed,
            &supposed,
            &proposed.entered_by,
            proposed.role,
            &proposed.body,
            app.gate.clock().now(),
        );
        // The refusal of a confirmation is the second person's own.
        let own = Ask {
            request: request(session, way.action, law.object.clone()),
            session: Some(session.clone()),
            name: "register.verify",
            display: None,
        };
        if !way.confirm.contains(&session.role) {
            return Err(app.gate.refuse(&own, ReasonCode::RoleNotPermitted).await.into());
        }
        let organisation =
            |p: &mandate::PersonId| supposed.register.person(p).map(|p| p.organisation.clone());
        let elsewhere = organisation(&session.person) != organisation(&proposed.entered_by);
        if session.person == proposed.entered_by || session.role == Role::LegalAdmin && !elsewhere {
            return Err(app.gate.refuse(&own, ReasonCode::FourEyes).await.into());
        }
        // The confirmer is who grants, and nobody grants a role to themselves (Wpg 6).
        if matches!(&proposed.body, FactBody::Authorisation(grant) if grant.person == session.person) {
            return Err(app.gate.refuse(&own, ReasonCode::SelfGrant).await.into());
        }
        // Technical work is watched by one person, and that person says so.
        if matches!(&proposed.body, FactBody::Maintenance(work) if work.witness != session.person) {
            return Err(app.gate.refuse(&own, ReasonCode::FourEyes).await.into());
        }
        // As asked of who entered it: a municipality that is being taken in lies in nobody's scope.
        let municipality = match &law.object {
            Object::Municipality(municipality) => Some(municipality.clone()),
            _ => None,
        };
        let outside = municipality.is_some() && !municipality_scope(app, session, municipality);
        let (known, now) = (app.gate.snapshot(), app.gate.clock().now());
        if outside || beyond_scope(&known, &session.person, session.role, &proposed.body, now) {
            return Err(app.gate.refuse(&own, ReasonCode::AuthorisationScope).await.into());
        }
        if proposed.end.is_some() || proposed.settling {
            return Err(ended());
        }
        flaw(app, &supposed, &proposed.body)?;
        law.resolved.verified_by = Some(session.person.clone());
        app.gate.confirm(&own, &law, &supposed).await?;
        let body = stamped(proposed.body, &session.person, app.gate.clock().now());
        let person = Actor::Person { person: session.person.clone(), role: session.role };
        let by = Provenance {
            entered_by: Some(proposed.entered_by),
            verified_by: Some(session.person.clone()),
            proposal: Some(*id),
            actor: Some(actor(&person, &supposed, &[])),
            origin: origin(session),
        };
        bodies.push(body.clone());
        entries.push((body, by));
    }
    app.journal.record_many(entries).await?;
    ids.iter().map(|id| again(app, *id)).collect()
}
