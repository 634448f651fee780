//! The register of decisions: reading it, entering facts, and the second person who makes them effective
//! (`decisions.md` 8).

use super::{
    App, Caller, ask,
    problem::{ApiError, read_body},
};
use crate::{
    gate::{Ask, actor, origin, request, word},
    identity::Session,
    journal::{Provenance, Snapshot, municipality_of, name_of},
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
};
use chrono::DateTime;
use mandate::{
    Action, Actor, Fact, FactBody, MunicipalityId, Object, Operation, PersonId, ReasonCode, Request, Role,
    Statement, statement,
};
use protocol::api::{NewProposal, PeriodView, Proposal, Sentence};
use rusqlite::{OptionalExtension as _, params};
use std::collections::HashMap;

/// Roles that may ever confirm an entry.
pub(super) const SECOND_PERSONS: &[Role] =
    &[Role::PoliceOperator, Role::PoliceApprover, Role::LegalAdmin, Role::MunicipalOfficer];

/// Which action it is to enter a fact; none: not through this door.
fn action_of(body: &FactBody) -> Option<Action> {
    Some(match body {
        FactBody::Ordinance(_)
        | FactBody::Decree(_)
        | FactBody::Area(_)
        | FactBody::Extension(_)
        | FactBody::Revocation(_)
        | FactBody::Consultation(_)
        | FactBody::Signage(_)
        | FactBody::Position(_)
        | FactBody::Agreement(_) => Action::ConfigureDecree,
        FactBody::Period(_) | FactBody::ExtraWindow(_) => Action::ConfigureWindow,
        FactBody::Mask(_) => Action::ConfigureMask,
        FactBody::Person(_) | FactBody::Authorisation(_) | FactBody::Shift(_) => Action::ManageUsers,
        // Municipalities, organisations and cameras come with the configuration; instructions are entered by the
        // police operator's own console, which has no such screen yet.
        FactBody::Municipality(_)
        | FactBody::Organisation(_)
        | FactBody::Camera(_)
        | FactBody::Instruction(_) => {
            return None;
        }
    })
}

/// Who may confirm an entry of this action (`decisions.md` 8). Whether the person's organisation and scope fit is the
/// law's own question, asked with the confirmation resolved.
fn second_person_of(action: Action) -> &'static [Role] {
    match action {
        Action::ConfigureDecree | Action::ConfigureWindow => &[Role::MunicipalOfficer, Role::LegalAdmin],
        Action::ConfigureMask => &[Role::PoliceOperator],
        Action::ManageUsers => &[Role::PoliceApprover],
        _ => &[],
    }
}

/// What the entry says of itself, for the law to test.
fn statement_of(snapshot: &Snapshot, body: &FactBody) -> Statement {
    let consultation = |id: Option<&mandate::ConsultationId>| {
        let held = id.and_then(|id| {
            snapshot.facts.iter().rev().find_map(|f| match &f.body {
                FactBody::Consultation(c) if c.id == *id => Some(c.held_at),
                _ => None,
            })
        });
        (id.map(ToString::to_string), held)
    };
    let mut said = Statement::default();
    match body {
        FactBody::Decree(d) => {
            said.proposal = statement::Proposal {
                valid_from: Some(d.valid_from),
                valid_until: Some(d.valid_until),
                published_at: d.published_at,
                retention_days: Some(d.retention_days),
                ..statement::Proposal::default()
            };
        }
        FactBody::Period(p) => {
            let decree = snapshot.register.decree(&p.decree);
            let (consultation_ref, consultation_held_at) = consultation(p.consultation.as_ref());
            said.proposal = statement::Proposal {
                decree: Some(p.decree.clone()),
                from: Some(p.effective_from),
                until: p.effective_until.or(decree.map(|d| d.valid_until)),
                consultation_ref,
                consultation_held_at,
                ..statement::Proposal::default()
            };
        }
        FactBody::ExtraWindow(w) => {
            let (consultation_ref, consultation_held_at) = consultation(w.consultation.as_ref());
            said.proposal = statement::Proposal {
                decree: Some(w.decree.clone()),
                from: Some(w.from),
                until: Some(w.until),
                consultation_ref,
                consultation_held_at,
                ..statement::Proposal::default()
            };
        }
        FactBody::Authorisation(a) => {
            said.operation = Some(Operation::Grant);
            said.subject = Some(a.person.clone());
            said.role = Some(a.role);
            said.authorisation_ref.clone_from(&a.document_ref);
        }
        // Taking on or changing a person or a shift gives no role.
        FactBody::Person(_) | FactBody::Shift(_) => said.operation = Some(Operation::Revoke),
        _ => {}
    }
    said
}

/// The law's question about an entry. Facts that are no decree themselves (areas, signs, revocations …) are asked like
/// reading the register in that municipality: the role matrix and the person's chain decide.
fn request_for(
    snapshot: &Snapshot,
    entered_by: &PersonId,
    role: Role,
    body: &FactBody,
    action: Action,
) -> Request {
    let object = municipality_of(snapshot, body).map_or(Object::None, Object::Municipality);
    let plain = !matches!(
        body,
        FactBody::Decree(_) | FactBody::Period(_) | FactBody::ExtraWindow(_) | FactBody::Authorisation(_)
    ) && matches!(action, Action::ConfigureDecree | Action::ConfigureWindow);
    let action = if plain { Action::ReadRegister } else { action };
    Request::new(entered_by.clone(), role, action, object).saying(statement_of(snapshot, body))
}

fn municipality_scope(app: &App, session: &Session, municipality: Option<MunicipalityId>) -> bool {
    let object = municipality.map_or(Object::None, Object::Municipality);
    app.gate.preview(&request(session, Action::ReadRegister, object)).is_permit()
}

/// `GET /register/facts`.
pub(super) async fn facts(
    State(app): State<App>,
    Extension(session): Caller,
) -> Result<Json<Vec<Fact>>, ApiError> {
    app.gate.list(&ask(&session, Action::ReadRegister, Object::None, "register.read")).await?;
    let snapshot = app.gate.snapshot();
    let mut scope = HashMap::new();
    let mut seen = Vec::new();
    for fact in snapshot.facts.iter() {
        // Facts of no municipality (parties, agreements, people) are seen by whoever may read the register.
        let inside = municipality_of(&snapshot, &fact.body).is_none_or(|municipality| {
            *scope
                .entry(municipality.clone())
                .or_insert_with(|| municipality_scope(&app, &session, Some(municipality)))
        });
        if inside {
            seen.push(fact.clone());
        }
    }
    Ok(Json(seen))
}

/// `GET /periods`.
pub(super) async fn periods(
    State(app): State<App>,
    Extension(session): Caller,
) -> Result<Json<Vec<PeriodView>>, ApiError> {
    app.gate.list(&ask(&session, Action::ReadRegister, Object::None, "register.read")).await?;
    let snapshot = app.gate.snapshot();
    let mut views: Vec<PeriodView> = Vec::new();
    // Newest version of each only.
    for fact in snapshot.facts.iter().rev() {
        let (decree, kind) = match &fact.body {
            FactBody::Period(p) => (p.decree.to_string(), "period".to_owned()),
            FactBody::ExtraWindow(w) => (w.decree.to_string(), word(&w.kind)),
            _ => continue,
        };
        let (_, id) = name_of(&fact.body);
        let Some(municipality) = municipality_of(&snapshot, &fact.body) else { continue };
        if views.iter().any(|v| v.id == id) || !municipality_scope(&app, &session, Some(municipality.clone()))
        {
            continue;
        }
        views.push(PeriodView { municipality, decree, id, kind, fact: fact.body.clone() });
    }
    views.sort_by(|a, b| (&a.municipality, &a.id).cmp(&(&b.municipality, &b.id)));
    Ok(Json(views))
}

/// A proposal with the role in which it was entered.
struct Stored {
    proposal: Proposal,
    role: Role,
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<Stored>> {
    let (id, body, entered_by, role) =
        (row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get::<_, String>(3)?);
    let (at, verified_by) = (row.get::<_, i64>(4)?, row.get::<_, Option<String>>(5)?);
    Ok((|| {
        Some(Stored {
            proposal: Proposal {
                id: id as u64,
                body: serde_json::from_str(&body).ok()?,
                entered_by: PersonId::from(entered_by),
                entered_at: DateTime::from_timestamp_micros(at)?,
                verified_by: verified_by.map(PersonId::from),
            },
            role: serde_json::from_value(serde_json::Value::String(role)).ok()?,
        })
    })())
}

const COLUMNS: &str = "id, body, entered_by, entered_role, entered_at, verified_by";

/// `GET /register/proposals`.
pub(super) async fn proposals(
    State(app): State<App>,
    Extension(session): Caller,
) -> Result<Json<Vec<Proposal>>, ApiError> {
    app.gate.list(&ask(&session, Action::ReadRegister, Object::None, "register.read")).await?;
    let stored: Vec<Option<Stored>> = {
        let store = app.journal.store();
        let mut statement =
            store.prepare(&format!("SELECT {COLUMNS} FROM proposals ORDER BY id DESC LIMIT 1000"))?;
        let rows = statement.query_map([], read)?;
        rows.collect::<Result<_, _>>()?
    };
    let snapshot = app.gate.snapshot();
    let seen = stored.into_iter().flatten().map(|s| s.proposal);
    Ok(Json(
        seen.filter(|p| municipality_scope(&app, &session, municipality_of(&snapshot, &p.body))).collect(),
    ))
}

/// `POST /register/proposals`.
pub(super) async fn propose(
    State(app): State<App>,
    Extension(session): Caller,
    body: Bytes,
) -> Result<(StatusCode, Json<Proposal>), ApiError> {
    let NewProposal { body } = read_body(&body)?;
    let Some(action) = action_of(&body) else {
        return Err(ApiError::Invalid(Sentence {
            nl: "Dit gegeven wordt niet langs deze weg ingevoerd.".to_owned(),
            en: "This kind of fact is not entered through this door.".to_owned(),
        }));
    };
    let snapshot = app.gate.snapshot();
    let ask = Ask {
        request: request_for(&snapshot, &session.person, session.role, &body, action),
        session: Some(session.clone()),
        name: "register.propose",
        display: None,
    };
    if !mandate::roles::may_ever(session.role, action) {
        return Err(app.gate.refuse(&ask, ReasonCode::RoleNotPermitted).await.into());
    }
    app.gate.propose(&ask).await?;
    let now = app.gate.clock().now();
    let text = serde_json::to_string(&body).map_err(|e| ApiError::Internal(e.to_string()))?;
    let id = {
        let store = app.journal.store();
        store.execute(
            "INSERT INTO proposals (body, entered_by, entered_role, entered_at) VALUES (?, ?, ?, ?)",
            params![text, session.person.as_str(), word(&session.role), now.timestamp_micros()],
        )?;
        store.last_insert_rowid() as u64
    };
    let proposal = Proposal { id, body, entered_by: session.person, entered_at: now, verified_by: None };
    Ok((StatusCode::CREATED, Json(proposal)))
}

/// `POST /register/proposals/{id}/verification`.
pub(super) async fn verify(
    State(app): State<App>,
    Extension(session): Caller,
    Path(id): Path<String>,
) -> Result<Json<Proposal>, ApiError> {
    let number: i64 = id.parse().map_err(|_| ApiError::NotFound)?;
    let stored = app
        .journal
        .store()
        .query_row(&format!("SELECT {COLUMNS} FROM proposals WHERE id = ?"), [number], read)
        .optional()?
        .flatten()
        .ok_or(ApiError::NotFound)?;
    let snapshot = app.gate.snapshot();
    let Stored { mut proposal, role } = stored;
    let action = action_of(&proposal.body).ok_or(ApiError::NotFound)?;
    let municipality = municipality_of(&snapshot, &proposal.body);
    let mut ask = Ask {
        request: request_for(&snapshot, &proposal.entered_by, role, &proposal.body, action),
        session: Some(session.clone()),
        name: "register.verify",
        display: None,
    };
    // The refusal of a confirmation is the second person's own.
    let own = Ask { request: request(&session, action, ask.request.object.clone()), ..ask.clone() };
    if !second_person_of(action).contains(&session.role) {
        return Err(app.gate.refuse(&own, ReasonCode::RoleNotPermitted).await.into());
    }
    if session.person == proposal.entered_by {
        return Err(app.gate.refuse(&own, ReasonCode::FourEyes).await.into());
    }
    let elsewhere = {
        let organisation = |p: &PersonId| snapshot.register.person(p).map(|p| p.organisation.clone());
        organisation(&session.person) != organisation(&proposal.entered_by)
    };
    if session.role == Role::LegalAdmin && !elsewhere {
        return Err(app.gate.refuse(&own, ReasonCode::FourEyes).await.into());
    }
    if municipality.is_some() && !municipality_scope(&app, &session, municipality) {
        return Err(app.gate.refuse(&own, ReasonCode::AuthorisationScope).await.into());
    }
    if proposal.verified_by.is_some() {
        return Err(ApiError::Conflict(Sentence {
            nl: "Dit voorstel is al bevestigd.".to_owned(),
            en: "This proposal was confirmed already.".to_owned(),
        }));
    }
    ask.request.resolved.verified_by = Some(session.person.clone());
    app.gate.act(&ask).await?;
    let mut body = proposal.body.clone();
    if let FactBody::Mask(mask) = &mut body {
        // The confirmation is the verification.
        mask.verified_at = Some(app.gate.clock().now());
        mask.verified_by = Some(session.person.clone());
    }
    if let FactBody::Authorisation(grant) = &mut body {
        grant.granted_by = Some(session.person.clone());
    }
    let person = Actor::Person { person: session.person.clone(), role: session.role };
    // Claimed before it is recorded, so that two confirmations at the same moment record it once.
    let claimed = app.journal.store().execute(
        "UPDATE proposals SET verified_by = ? WHERE id = ? AND verified_by IS NULL",
        params![session.person.as_str(), number],
    )?;
    if claimed == 0 {
        return Err(ApiError::Conflict(Sentence {
            nl: "Dit voorstel is al bevestigd.".to_owned(),
            en: "This proposal was confirmed already.".to_owned(),
        }));
    }
    let recorded = app
        .journal
        .record(
            body.clone(),
            Provenance {
                entered_by: Some(proposal.entered_by.clone()),
                verified_by: Some(session.person.clone()),
                actor: Some(actor(&person, &snapshot, &[])),
                origin: origin(&session),
            },
        )
        .await;
    if let Err(error) = recorded {
        app.journal.store().execute("UPDATE proposals SET verified_by = NULL WHERE id = ?", [number])?;
        return Err(error.into());
    }
    proposal.body = body;
    proposal.verified_by = Some(session.person);
    Ok(Json(proposal))
}
