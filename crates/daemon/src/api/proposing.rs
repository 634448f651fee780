//! Entering facts and the second person who makes them effective: one enters, another confirms, each through the gate.

use super::{
    App, Caller, ask,
    entering::{begins_late, beyond_scope, foreseen, keeping, request_for, stamped, unstamped, way_in},
    problem::{ApiError, read_body},
    register::{MOST, flaw, invalid, view, with_waiting},
};
use crate::{
    gate::{Ask, Gate, actor, origin, request},
    identity::Session,
    journal::{Provenance, name_of, object_of},
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
};
use ledger::{Entry, Object as LogObject, Operation as Logged};
use mandate::{Action, Actor, FactBody, Object, ReasonCode, Role, facts::PoliceInstruction, roles::may_ever};
use protocol::api::{NewProposal, Proposal, Sentence, Verification};
use serde_json::json;
use std::sync::Arc;

/// Longest note, characters.
const LONGEST_NOTE: usize = 2000;

/// What an act upon the register is about, for its entry: the fact by its name (of a person's, the person), and the proposal's
/// number where it has one.
pub(super) struct About {
    object: LogObject,
    kind: String,
    proposal: Option<u64>,
}

impl About {
    pub(super) fn new(body: &FactBody, proposal: Option<u64>) -> Self {
        Self { object: object_of(body), kind: name_of(body).0, proposal }
    }

    /// The place stays as the gate told it. Entering changes the register, also where the law is asked like reading it (Wpg 32a).
    pub(super) fn tell(&self, entry: &mut Entry) {
        let place = entry.object.take().unwrap_or_default();
        entry.object =
            Some(LogObject { camera: place.camera, municipality: place.municipality, ..self.object.clone() });
        if entry.operation == Logged::Consult {
            entry.operation = Logged::Alter;
        }
        let mut data = entry.data.take().unwrap_or_else(|| json!({}));
        data["kind"] = json!(self.kind);
        if let Some(proposal) = self.proposal {
            data["proposal"] = json!(proposal);
        }
        entry.data = Some(data);
    }

    /// Refuses an act, and tells what it was about.
    async fn refuse(&self, app: &App, ask: &Ask, code: ReasonCode) -> ApiError {
        app.gate.refuse_telling(ask, code, |entry| self.tell(entry)).await.into()
    }
}

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
    let now = app.gate.clock().now();
    let way = way_in(&snapshot, &body, now);
    let at_once = way.confirm.is_empty();
    // What waits may refer to what waits; what takes effect at once may not.
    let supposed = if at_once { snapshot.clone() } else { with_waiting(app)? };
    let ask = Ask {
        request: request_for(&snapshot, &supposed, &session.person, session.role, &body, now),
        session: Some(session.clone()),
        name: if at_once { "register.enter" } else { "register.propose" },
        display: None,
    };
    let about = About::new(&body, None);
    if !may_ever(session.role, way.action) {
        return Err(about.refuse(app, &ask, ReasonCode::RoleNotPermitted).await);
    }
    let oneself = match &body {
        FactBody::Person(f) => f.id == session.person,
        FactBody::Shift(f) => f.person == session.person,
        _ => false,
    };
    if oneself {
        return Err(about.refuse(app, &ask, ReasonCode::SelfGrant).await);
    }
    // What waits gives nobody a scope.
    if beyond_scope(&snapshot, &session.person, session.role, &body, now) {
        return Err(about.refuse(app, &ask, ReasonCode::AuthorisationScope).await);
    }
    if begins_late(&snapshot, &body, now) {
        flaw(app, &supposed, &body)?;
    }
    if let Some(code) = foreseen(&supposed, &ask.request, now) {
        return Err(about.refuse(app, &ask, code).await);
    }
    flaw(app, &supposed, &body)?;
    if let FactBody::Instruction(instruction) = &body {
        for camera in instruction.cameras.iter().skip(1) {
            let mut each = ask.clone();
            each.request.object = Object::Camera(camera.clone());
            app.gate.act_telling(&each, |entry| about.tell(entry)).await?;
        }
    }
    app.gate.propose_supposing(&ask, &supposed, |entry| about.tell(entry)).await?;
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
    let about = About::new(&proposed.body, Some(id));
    if proposed.role != session.role {
        return Err(about.refuse(&app, &own, ReasonCode::RoleNotPermitted).await);
    }
    // Whoever keeps the cameras or gives instructions does not read the register; taking back one's own is no reading.
    own.request.action = way_in(&supposed, &proposed.body, now).action;
    if matches!(own.request.action, Action::ConfigureDecree | Action::ConfigureWindow | Action::ManageUsers) {
        own.request.action = Action::ReadRegister;
    }
    app.gate.act_supposing(&own, &supposed, |entry| about.tell(entry)).await?;
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

/// Why the second person may not act in their role now, where this is about: a session outlives the authorisation it began with,
/// and what is decided about an entry is the chain of who entered it. A municipality that is being taken in lies in nobody's
/// scope, as when it was entered.
fn own_chain_broken(gate: &Gate, session: &Session, object: &Object) -> Option<ReasonCode> {
    let own = request(session, Action::ReadRegister, object.clone());
    gate.preview(&own).denial().map(|denial| denial.code)
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
        let now = app.gate.clock().now();
        let way = way_in(&supposed, &proposed.body, now);
        let mut law =
            request_for(&supposed, &supposed, &proposed.entered_by, proposed.role, &proposed.body, now);
        // The refusal of a confirmation is the second person's own.
        let own = Ask {
            request: request(session, way.action, law.object.clone()),
            session: Some(session.clone()),
            name: "register.verify",
            display: None,
        };
        let about = About::new(&proposed.body, Some(*id));
        if !way.confirm.contains(&session.role) {
            return Err(about.refuse(app, &own, ReasonCode::RoleNotPermitted).await);
        }
        let organisation =
            |p: &mandate::PersonId| supposed.register.person(p).map(|p| p.organisation.clone());
        let elsewhere = organisation(&session.person) != organisation(&proposed.entered_by);
        if session.person == proposed.entered_by || session.role == Role::LegalAdmin && !elsewhere {
            return Err(about.refuse(app, &own, ReasonCode::FourEyes).await);
        }
        // The confirmer is who grants, and nobody grants a role to themselves (Wpg 6).
        if matches!(&proposed.body, FactBody::Authorisation(grant) if grant.person == session.person) {
            return Err(about.refuse(app, &own, ReasonCode::SelfGrant).await);
        }
        // Technical work is watched by one person, and that person says so.
        if matches!(&proposed.body, FactBody::Maintenance(work) if work.witness != session.person) {
            return Err(about.refuse(app, &own, ReasonCode::FourEyes).await);
        }
        if let Some(code) = own_chain_broken(&app.gate, session, &law.object) {
            return Err(about.refuse(app, &own, code).await);
        }
        let (known, now) = (app.gate.snapshot(), app.gate.clock().now());
        if beyond_scope(&known, &session.person, session.role, &proposed.body, now) {
            return Err(about.refuse(app, &own, ReasonCode::AuthorisationScope).await);
        }
        if proposed.end.is_some() || proposed.settling {
            return Err(ended());
        }
        flaw(app, &supposed, &proposed.body)?;
        law.resolved.verified_by = Some(session.person.clone());
        app.gate.confirm(&own, &law, &supposed, |entry| about.tell(entry)).await?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock as _, ManualClock},
        testing::{FakeLog, journal},
    };

    fn session(person: &str, role: Role) -> Session {
        Session {
            id: "s".into(),
            person: person.into(),
            role,
            workstation: "desk 1".into(),
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            expires_at: "2028-06-14T20:00:00Z".parse().unwrap(),
            ended: tokio_util::sync::CancellationToken::new(),
        }
    }

    fn fact(value: serde_json::Value) -> FactBody {
        serde_json::from_value(value).unwrap()
    }

    /// A session outlives the authorisation under which it began, also where what is confirmed has no municipality.
    #[tokio::test]
    async fn the_second_person_stands_on_a_chain_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new("2026-06-13T20:00:00Z".parse().unwrap());
        let log = FakeLog::new(&clock);
        let journal = journal(folder.path(), &log, &clock).await;
        let gate = Gate::new(journal.watch(), log, Arc::new(clock.clone()));
        let bert = session("bert", Role::PoliceOperator);
        let everywhere = Object::None;
        let elsewhere = Object::Municipality("hengelo".into());
        assert_eq!(own_chain_broken(&gate, &bert, &everywhere), None);
        assert_eq!(own_chain_broken(&gate, &bert, &elsewhere), Some(ReasonCode::AuthorisationScope));
        let another = session("bert", Role::PoliceApprover);
        assert_eq!(own_chain_broken(&gate, &another, &everywhere), Some(ReasonCode::AuthorisationMissing));
        let ended = json!({ "kind": "authorisation", "id": "AUT-bert", "person": "bert", "role": "police_operator",
            "municipalities": ["enschede"], "from": "2026-01-01T00:00:00Z", "until": clock.now(), "document_ref": "D" });
        journal.record(fact(ended), Provenance::default()).await.unwrap();
        assert_eq!(own_chain_broken(&gate, &bert, &everywhere), Some(ReasonCode::AuthorisationExpired));
    }

    #[tokio::test]
    async fn an_entry_says_what_it_was_about_and_that_the_register_changes() {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new("2026-06-13T20:00:00Z".parse().unwrap());
        let log = FakeLog::new(&clock);
        let journal = journal(folder.path(), &log, &clock).await;
        let gate = Gate::new(journal.watch(), log.clone(), Arc::new(clock.clone()));
        let bert = session("bert", Role::PoliceOperator);
        let object = Object::Municipality("enschede".into());
        let ask = super::ask(&bert, Action::ReadRegister, object, "register.verify");
        let sign = About::new(&fact(json!({ "kind": "signage", "id": "B2", "area": "A1" })), Some(7));
        gate.act_telling(&ask, |entry| sign.tell(entry)).await.unwrap();
        let grant = About::new(
            &fact(json!({ "kind": "authorisation", "id": "AUT-anna", "person": "anna", "role": "observer",
                "municipalities": [], "from": "2026-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z" })),
            None,
        );
        gate.refuse_telling(&ask, ReasonCode::FourEyes, |entry| grant.tell(entry)).await;
        let entries = log.entries.lock().unwrap();
        let [.., told, refused] = &entries[..] else { panic!("two entries") };
        let object = told.object.as_ref().unwrap();
        assert_eq!((object.kind.as_str(), object.id.as_deref()), ("signage", Some("B2")));
        assert_eq!(object.municipality.as_deref(), Some("enschede"));
        assert_eq!(told.data, Some(json!({ "kind": "signage", "proposal": 7 })));
        assert_eq!(told.operation, Logged::Alter);
        // A grant's id may name its person, who stands in the log under a pseudonym.
        let object = refused.object.as_ref().unwrap();
        assert_eq!((object.id.as_deref(), object.person.as_deref()), (None, Some("anna")));
        assert_eq!(refused.data, Some(json!({ "kind": "authorisation" })));
        assert_eq!(refused.operation, Logged::AccessDenied);
    }
}
