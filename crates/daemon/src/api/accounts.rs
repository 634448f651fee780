//! Invitations and the very first start (`decisions.md` 9).

use super::{
    App, Caller, Endpoint, Needs, ask, endpoint,
    problem::{ApiError, read_body},
    register::sentences,
};
use crate::{identity::IdentityError, journal::Snapshot};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{ConnectInfo, State},
    http::StatusCode,
    routing::{MethodRouter, post},
};
use chrono::{DateTime, Utc};
use ledger::{Entry, Object as LogObject, Operation as Logged, Outcome};
use mandate::{
    Action, AuthorisationId, FactBody, Object, Operation, PersonId, ReasonCode, Role, Statement, entry,
    facts::{Authorisation, OrganisationKind, Person},
};
use protocol::api::{Enrolled, Enrolment, FirstStart, Invitation, NewFirstStart, NewInvitation, Sentence};
use std::net::SocketAddr;

/// The endpoints of this room.
pub(super) fn table() -> Vec<(Endpoint, MethodRouter<App>)> {
    let e = endpoint;
    vec![
        (
            e(
                "POST",
                "/accounts",
                Needs::Action(&[Action::ManageUsers]),
                "invite",
                "Invite a person to choose a password; the token is good once and for an hour, for an account that exists only once \
                 confirmed",
                Some("NewInvitation"),
                (201, Some("Invitation")),
            ),
            post(invite),
        ),
        (
            e(
                "POST",
                "/accounts/confirmations",
                Needs::Confirming,
                "confirmInvitation",
                "Confirm, as an authoriser of the police, that somebody with an account may choose a new password",
                Some("NewInvitation"),
                (200, Some("Enrolled")),
            ),
            post(confirm),
        ),
        (
            e(
                "POST",
                "/enrolment",
                Needs::Nothing,
                "enrol",
                "Choose a password with an invitation",
                Some("Enrolment"),
                (201, Some("Enrolled")),
            ),
            post(enrol),
        ),
        (
            e(
                "POST",
                "/first-start",
                Needs::Nothing,
                "firstStart",
                "The first two people of an empty register, with the token shown on the host",
                Some("NewFirstStart"),
                (201, Some("FirstStart")),
            ),
            post(first_start),
        ),
    ]
}

/// Roles that may ever confirm a new password for an account that exists.
pub(super) const CONFIRMING: &[Role] = &[Role::PoliceApprover, Role::PoliceOperator, Role::PrivacyOfficer];

fn invalid(nl: &str, en: &str) -> ApiError {
    ApiError::Invalid(Sentence { nl: nl.to_owned(), en: en.to_owned() })
}

fn invitation(app: &App, person: &PersonId) -> Result<Invitation, ApiError> {
    let (token, expires_at) = app.identity.invite(Some(person))?;
    Ok(Invitation { person: person.clone(), token: token.to_string(), expires_at, waits: false })
}

/// What the entry of an act upon an account is about.
fn about(entry: &mut Entry, person: &PersonId) {
    entry.object = Some(LogObject::person(person.as_str()));
    if entry.operation == Logged::Consult {
        entry.operation = Logged::Alter;
    }
}

/// Who may confirm a new password for somebody: the police's authorisers, as for a grant. Only where the person concerned is the
/// last of those, others of the police do.
fn confirmers(snapshot: &Snapshot, subject: &PersonId, at: DateTime<Utc>) -> &'static [Role] {
    let other = second_persons(snapshot, &[subject], &[Role::PoliceApprover], at);
    if other { &[Role::PoliceApprover] } else { CONFIRMING }
}

/// Whether anybody but these people has one of the roles at an instant.
fn second_persons(snapshot: &Snapshot, but: &[&PersonId], roles: &[Role], at: DateTime<Utc>) -> bool {
    snapshot.register.persons().filter(|person| !but.contains(&&person.id)).any(|person| {
        let mut grants = snapshot.register.authorisations(&person.id);
        grants.any(|a| roles.contains(&a.role) && a.from <= at && at < a.until)
    })
}

/// `POST /accounts`.
async fn invite(
    State(app): State<App>,
    Extension(session): Caller,
    body: Bytes,
) -> Result<(StatusCode, Json<Invitation>), ApiError> {
    let NewInvitation { person } = read_body(&body)?;
    // An account gives no role: what somebody may do is the register's business.
    let said = Statement {
        operation: Some(Operation::Revoke),
        subject: Some(person.clone()),
        ..Statement::default()
    };
    let mut asked = ask(&session, Action::ManageUsers, Object::None, "account.invite");
    asked.request = asked.request.saying(said);
    let tell = |entry: &mut Entry| about(entry, &person);
    if person == session.person {
        return Err(app.gate.refuse_telling(&asked, ReasonCode::SelfGrant, tell).await.into());
    }
    let snapshot = app.gate.snapshot();
    if snapshot.register.person(&person).is_none() {
        return Err(invalid(
            "Het register kent deze persoon niet. Voer die eerst in.",
            "The register does not know this person. Enter them first.",
        ));
    }
    let again = app.identity.has_account(&person)?;
    let now = app.gate.clock().now();
    if again
        && !second_persons(&snapshot, &[&person, &session.person], confirmers(&snapshot, &person, now), now)
    {
        return Err(invalid(
            "Een nieuw wachtwoord voor een bestaand account bevestigt een tweede persoon van de politie, en die is er niet. De \
             beheerder van de server en de politie beginnen dan samen opnieuw, zoals bij de eerste start.",
            "A new password for an account that exists is confirmed by a second person of the police, and there is none. The \
             server's administrator and the police then begin anew together, as at the first start.",
        ));
    }
    app.gate.act_telling(&asked, tell).await?;
    if !again {
        return Ok((StatusCode::CREATED, Json(invitation(&app, &person)?)));
    }
    let (token, expires_at) = app.identity.invite_again(&person, &session.person)?;
    Ok((StatusCode::CREATED, Json(Invitation { person, token: token.to_string(), expires_at, waits: true })))
}

/// `POST /accounts/confirmations`: the second person's word, so that no user admin takes over an account alone.
async fn confirm(
    State(app): State<App>,
    Extension(session): Caller,
    body: Bytes,
) -> Result<Json<Enrolled>, ApiError> {
    let NewInvitation { person } = read_body(&body)?;
    let asked = ask(&session, Action::ReadRegister, Object::None, "account.confirm");
    let tell = |entry: &mut Entry| about(entry, &person);
    let none = || {
        ApiError::Conflict(Sentence {
            nl: "Voor deze persoon wacht geen uitnodiging.".to_owned(),
            en: "No invitation waits for this person.".to_owned(),
        })
    };
    let invited_by = app.identity.unconfirmed(&person)?.ok_or_else(none)?;
    let snapshot = app.gate.snapshot();
    let code = match () {
        () if !confirmers(&snapshot, &person, app.gate.clock().now()).contains(&session.role) => {
            Some(ReasonCode::RoleNotPermitted)
        }
        () if session.person == person => Some(ReasonCode::SelfGrant),
        () if session.person == invited_by => Some(ReasonCode::FourEyes),
        () => None,
    };
    if let Some(code) = code {
        return Err(app.gate.refuse_telling(&asked, code, tell).await.into());
    }
    app.gate.act_telling(&asked, tell).await?;
    if !app.identity.confirm(&person, &invited_by)? {
        return Err(none());
    }
    Ok(Json(Enrolled { person }))
}

/// `POST /enrolment`.
async fn enrol(
    State(app): State<App>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    body: Bytes,
) -> Result<(StatusCode, Json<Enrolled>), ApiError> {
    let Enrolment { token, password } = read_body(&body)?;
    let invited = app.identity.invited(&token, address.ip())?;
    let person = invited.ok_or(IdentityError::Refused)?;
    if password.chars().count() < crate::identity::SHORTEST_PASSWORD {
        return Err(IdentityError::Password.into());
    }
    if !app.identity.use_up(&token)? {
        return Err(IdentityError::Refused.into());
    }
    let mut entry = Entry::new(app.gate.clock().now(), Logged::Admin, "account.enrolled");
    entry.object = Some(LogObject::person(person.as_str()));
    entry.origin.address = Some(address.ip().to_string());
    entry.outcome = Outcome::Done;
    app.gate.log().append(entry).await.map_err(|_| crate::gate::Refused::LogUnavailable)?;
    app.identity.set_password(&person, &password).await?;
    Ok((StatusCode::CREATED, Json(Enrolled { person })))
}

fn authorisation(
    person: &Person,
    role: Role,
    new: &NewFirstStart,
    from: chrono::DateTime<chrono::Utc>,
) -> FactBody {
    FactBody::Authorisation(Authorisation {
        id: AuthorisationId::new(format!("AUT-{}-{}", person.id, crate::gate::word(&role))),
        person: person.id.clone(),
        role,
        municipalities: new.municipalities.iter().map(|m| m.id.clone()).collect(),
        from,
        until: new.until,
        document_ref: Some(new.document_ref.clone()),
        granted_by: None,
    })
}

/// `POST /first-start`.
async fn first_start(
    State(app): State<App>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    body: Bytes,
) -> Result<(StatusCode, Json<FirstStart>), ApiError> {
    let new: NewFirstStart = read_body(&body)?;
    if app.identity.invited(&new.token, address.ip())?.is_some() {
        return Err(IdentityError::Refused.into());
    }
    let snapshot = app.gate.snapshot();
    let people = [&new.authoriser, &new.user_admin];
    let police = new.organisation.kind == OrganisationKind::Police
        && people.iter().all(|p| p.organisation == new.organisation.id);
    if !police || new.authoriser.id == new.user_admin.id || new.document_ref.trim().is_empty() {
        return Err(invalid(
            "Noem twee verschillende mensen van de politie, en het document waarop zij geautoriseerd zijn.",
            "Name two different people of the police, and the document on which they are authorised.",
        ));
    }
    let now = app.gate.clock().now();
    let mut facts: Vec<FactBody> = new.municipalities.iter().cloned().map(FactBody::Municipality).collect();
    facts.extend([
        FactBody::Organisation(new.organisation.clone()),
        FactBody::Person(new.authoriser.clone()),
        FactBody::Person(new.user_admin.clone()),
        authorisation(&new.authoriser, Role::PoliceApprover, &new, now),
        authorisation(&new.user_admin, Role::UserAdmin, &new, now),
    ]);
    let found = entry::check(&snapshot.register, &snapshot.facts, &facts, None)
        .map_err(|e| ApiError::Invalid(Sentence { nl: e.to_string(), en: e.to_string() }))?;
    if let Some(first) = sentences(&found).0.into_iter().next() {
        return Err(ApiError::Invalid(first));
    }
    if !app.identity.use_up(&new.token)? {
        return Err(IdentityError::Refused.into());
    }
    app.journal.record_first(facts).await?;
    let invitations = vec![invitation(&app, &new.authoriser.id)?, invitation(&app, &new.user_admin.id)?];
    Ok((StatusCode::CREATED, Json(FirstStart { invitations })))
}
