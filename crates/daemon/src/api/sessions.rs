//! Logging in and out.

use super::{
    App, Caller, Token,
    problem::{ApiError, read_body},
};
use crate::{
    gate::{Refused, actor, origin, word},
    identity::{IdentityError, Session},
    journal::Snapshot,
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{ConnectInfo, State},
    http::StatusCode,
};
use ledger::{Entry, Object as LogObject, Operation, Origin, Outcome};
use mandate::{Actor, PersonId, ReasonCode, Role};
use protocol::api::{LogIn, Me, Refusal, Sentence, Span};
use std::net::SocketAddr;

/// `POST /sessions`.
pub(super) async fn log_in(
    State(app): State<App>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    body: Bytes,
) -> Result<(StatusCode, Json<protocol::api::Session>), ApiError> {
    let wanted: LogIn = read_body(&body)?;
    let workstation = wanted.workstation.as_deref().unwrap_or_default();
    let now = app.gate.clock().now();
    let refused = |code: &str| {
        let mut entry = Entry::new(now, Operation::AccessDenied, "session.start");
        entry.actor = ledger::Actor::Anonymous;
        entry.object = Some(LogObject::person(wanted.username.chars().take(128).collect::<String>()));
        entry.origin = Origin {
            workstation: Some(workstation.chars().take(64).collect()),
            session: None,
            address: Some(address.ip().to_string()),
        };
        entry.outcome = Outcome::Deny { reason_code: code.to_owned() };
        app.gate.log().append_spooled(entry);
    };
    let person = match app.identity.check(&wanted.username, &wanted.password, address.ip()).await {
        Ok(person) => person,
        Err(error) => {
            match &error {
                IdentityError::Refused => refused("LOG_IN_REFUSED"),
                IdentityError::TooMany { .. } => app.gate.guessed(address.ip()),
                IdentityError::NoSession | IdentityError::Password | IdentityError::Unconfirmed => {}
                IdentityError::Store(_) | IdentityError::Machine(_) => refused("INTERNAL"),
            }
            return Err(error.into());
        }
    };
    let snapshot = app.gate.snapshot();
    let role = match role_of(&snapshot, &person, wanted.role, now) {
        Ok(role) => role,
        Err(RoleError::Choose(roles)) => return Err(ApiError::RoleNeeded(roles)),
        Err(RoleError::None(code)) => {
            refused(&word(&code));
            let (nl, en) = code.sentence();
            let sentence = Sentence { nl: nl.to_owned(), en: en.to_owned() };
            let refusal = Refusal { code, sentence, decree: None, until: None, opens_at: None };
            return Err(Refused::Denied { refusal: Box::new(refusal), ledger_seq: None }.into());
        }
    };
    if !app.gate.log().health().borrow().writable {
        return Err(Refused::LogUnavailable.into());
    }
    let (token, session) = app.identity.start(person, role, workstation, address.ip())?;
    let mut entry = Entry::new(now, Operation::Admin, "session.start");
    entry.actor = actor(&Actor::Person { person: session.person.clone(), role }, &snapshot, &[]);
    entry.origin = origin(&session);
    entry.outcome = Outcome::Permit;
    if let Err(error) = app.gate.log().append(entry).await {
        tracing::error!(%error, "a log-in could not be logged");
        app.identity.end(&token)?;
        return Err(Refused::LogUnavailable.into());
    }
    let me = describe(&session, &snapshot, now);
    Ok((StatusCode::CREATED, Json(protocol::api::Session { token: token.to_string(), me })))
}

enum RoleError {
    Choose(String),
    None(ReasonCode),
}

fn role_of(
    snapshot: &Snapshot,
    person: &PersonId,
    wanted: Option<Role>,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<Role, RoleError> {
    let all: Vec<_> = snapshot.register.authorisations(person).collect();
    let valid = |from, until| from <= now && now < until;
    let mut roles: Vec<Role> = all.iter().filter(|a| valid(a.from, a.until)).map(|a| a.role).collect();
    roles.sort_unstable();
    roles.dedup();
    match (wanted, roles.as_slice()) {
        (Some(role), _) if roles.contains(&role) => Ok(role),
        (Some(role), _) if all.iter().any(|a| a.role == role) => {
            Err(RoleError::None(ReasonCode::AuthorisationExpired))
        }
        (Some(_), _) => Err(RoleError::None(ReasonCode::AuthorisationMissing)),
        (None, [role]) => Ok(*role),
        (None, []) if all.is_empty() => Err(RoleError::None(ReasonCode::AuthorisationMissing)),
        (None, []) => Err(RoleError::None(ReasonCode::AuthorisationExpired)),
        (None, several) => Err(RoleError::Choose(several.iter().map(word).collect::<Vec<_>>().join(", "))),
    }
}

/// `DELETE /sessions/current`.
pub(super) async fn log_out(
    State(app): State<App>,
    Extension(session): Caller,
    Extension(Token(token)): Extension<Token>,
) -> Result<StatusCode, ApiError> {
    app.identity.end(&token)?;
    let snapshot = app.gate.snapshot();
    let mut entry = Entry::new(app.gate.clock().now(), Operation::Admin, "session.stop");
    entry.actor =
        actor(&Actor::Person { person: session.person.clone(), role: session.role }, &snapshot, &[]);
    entry.origin = origin(&session);
    app.gate.log().append_spooled(entry);
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /me`.
pub(super) async fn me(State(app): State<App>, Extension(session): Caller) -> Json<Me> {
    Json(describe(&session, &app.gate.snapshot(), app.gate.clock().now()))
}

fn describe(session: &Session, snapshot: &Snapshot, now: chrono::DateTime<chrono::Utc>) -> Me {
    let mut municipalities: Vec<_> = snapshot
        .register
        .authorisations(&session.person)
        .filter(|a| a.role == session.role && a.from <= now && now < a.until)
        .flat_map(|a| a.municipalities.iter().cloned())
        .collect();
    municipalities.sort();
    municipalities.dedup();
    Me {
        person: session.person.clone(),
        name: snapshot
            .register
            .person(&session.person)
            .map_or_else(|| session.person.to_string(), |p| p.name.clone()),
        role: session.role,
        municipalities,
        shift: snapshot
            .register
            .shift_at(&session.person, now)
            .map(|s| Span { from: s.from, until: s.until }),
        expires_at: session.expires_at,
    }
}
