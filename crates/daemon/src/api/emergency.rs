//! The fast path when public order cannot wait (GW-20): the mayor orders, the prosecutor was telephoned, the window
//! takes effect at once and is marked as waiting for written confirmation. It is an ordinary change under 151c lid 3 and
//! nothing more: no expired decree and no other area is cured by it.
//!
//! The officer enters it minutes after the order. Order and consultation keep their own instants; the window begins at
//! the entry at the earliest (Awb 3:40), and the answer says so when another start was ordered.

use super::{
    App, Caller, Endpoint, Needs, ask, endpoint,
    entering::{foreseen, request_for},
    problem::{ApiError, read_body},
    proposing::About,
    register::{Scope, flaw},
};
use crate::{
    gate::{Ask, actor, origin, word},
    journal::{Provenance, Snapshot},
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::State,
    http::StatusCode,
    routing::{MethodRouter, get, post},
};
use chrono::{DateTime, TimeDelta, Utc};
use mandate::{
    Action, Actor, ConsultationId, FactBody, Object, ReasonCode, WindowId,
    endings::{Unconfirmed, unconfirmed},
    facts::{Consultation, DecidedBy, ExtraKind, ExtraWindow},
    roles::may_ever,
};
use protocol::api::{Emergency, NewEmergency, Sentence};
use std::sync::Arc;

/// A window that begins at once begins this much later, so that it is entered before it begins, as the law asks.
const AT_ONCE: TimeDelta = TimeDelta::milliseconds(250);
/// Clocks of two machines differ by so much: an order "just now" is not one in the future.
const CLOCKS_APART: TimeDelta = TimeDelta::seconds(5);

/// The endpoints of this room.
pub(super) fn table() -> Vec<(Endpoint, MethodRouter<App>)> {
    let e = endpoint;
    vec![
        (
            e(
                "GET",
                "/register/emergencies",
                Needs::Action(&[Action::ReadRegister]),
                "emergencies",
                "Emergency windows that wait for written confirmation",
                None,
                (200, Some("Unconfirmed[]")),
            ),
            get(waiting),
        ),
        (
            e(
                "POST",
                "/register/emergencies",
                Needs::Action(&[Action::ConfigureWindow]),
                "declareEmergency",
                "Enter an emergency window; it takes effect at once and must be confirmed in writing",
                Some("NewEmergency"),
                (201, Some("Emergency")),
            ),
            post(declare),
        ),
    ]
}

/// `GET /register/emergencies`.
async fn waiting(
    State(app): State<App>,
    Extension(session): Caller,
) -> Result<Json<Vec<Unconfirmed>>, ApiError> {
    app.gate.list(&ask(&session, Action::ReadRegister, Object::None, "register.emergencies")).await?;
    let mut scope = Scope::new(&app, &session);
    let mut waiting = unconfirmed_windows(&app, &app.gate.snapshot(), app.gate.clock().now())?;
    waiting.retain(|window| scope.holds(window.municipality.as_ref()));
    Ok(Json(waiting))
}

/// Emergency windows that wait for the mayor's letter, with who entered each: that stands in the journal.
pub(super) fn unconfirmed_windows(
    app: &App,
    snapshot: &Snapshot,
    now: DateTime<Utc>,
) -> Result<Vec<Unconfirmed>, ApiError> {
    let mut waiting = unconfirmed(&snapshot.register, now);
    for window in &mut waiting {
        let history = app.journal.history(&word(&window.fact.kind), window.window.as_str())?;
        window.entered_by = history.into_iter().next().and_then(|first| first.entered_by);
    }
    Ok(waiting)
}

/// Whether the decree carries the whole window: the law tests that behind the second person, whom this path does not
/// wait for.
fn inside_decree(snapshot: &Snapshot, window: &ExtraWindow) -> bool {
    let Some(decree) = snapshot.register.decree(&window.decree) else { return false };
    let end = snapshot.register.decree_end(&window.decree).unwrap_or(decree.valid_until);
    let revoked = snapshot.facts.iter().any(|fact| match &fact.body {
        FactBody::Revocation(r) => r.decree == window.decree && r.revoked_from < window.until,
        _ => false,
    });
    decree.valid_from <= window.from && window.from < window.until && window.until <= end && !revoked
}

fn invalid(nl: &str, en: &str) -> ApiError {
    ApiError::Invalid(Sentence { nl: nl.to_owned(), en: en.to_owned() })
}

/// The start as ordered, or the entry where that is later.
fn begin(new: &NewEmergency, now: DateTime<Utc>) -> DateTime<Utc> {
    new.from.map_or(now + AT_ONCE, |ordered| ordered.max(now + AT_ONCE))
}

/// What can be seen to be wrong without the register: each in words that say what to write instead.
fn told_rightly(new: &NewEmergency, now: DateTime<Utc>) -> Result<(), ApiError> {
    let latest = now + CLOCKS_APART;
    if new.ordered_at > latest {
        return Err(invalid(
            "`ordered_at` ligt in de toekomst: schrijf wanneer de burgemeester het bevel gaf. Geldt het bevel pas later, \
             zet dat dan in `from`.",
            "`ordered_at` lies in the future: write when the mayor gave the order. If it holds from later on, write that \
             in `from`.",
        ));
    }
    if new.consultation.held_at > latest {
        return Err(invalid(
            "Het overleg ligt in de toekomst: bel eerst de officier van justitie, en schrijf wanneer dat was.",
            "The consultation lies in the future: telephone the public prosecutor first, and write when that was.",
        ));
    }
    if new.from.is_some_and(|from| from < new.ordered_at) {
        return Err(invalid(
            "`from` ligt vóór het bevel: laat het begin weg (dan geldt het meteen), of schrijf een begin op of na het \
             bevel.",
            "`from` lies before the order: leave the start out (it then holds at once), or write one at or after the \
             order.",
        ));
    }
    if new.until <= begin(new, now) {
        return Err(invalid(
            "`until` is al voorbij: schrijf een einde dat nog moet komen. Wat zonder basis is opgenomen krijgt die niet \
             achteraf.",
            "`until` has passed: write an end that is still to come. What was recorded without a basis gets none \
             afterwards.",
        ));
    }
    Ok(())
}

/// `POST /register/emergencies`.
async fn declare(
    State(app): State<App>,
    Extension(session): Caller,
    body: Bytes,
) -> Result<(StatusCode, Json<Emergency>), ApiError> {
    let new: NewEmergency = read_body(&body)?;
    let now: DateTime<Utc> = app.gate.clock().now();
    let snapshot = app.gate.snapshot();
    let Some(decree) = snapshot.register.decree(&new.decree) else {
        return Err(invalid("Dit besluit is niet bekend.", "This decree is not known."));
    };
    told_rightly(&new, now)?;
    let id = format!("SPOED-{}-{}", new.decree, now.format("%Y%m%d-%H%M%S%3f"));
    let consultation = Consultation {
        id: ConsultationId::new(format!("{id}-OVJ")),
        municipality: decree.municipality.clone(),
        held_at: new.consultation.held_at.min(now),
        mode: Some("telephone".to_owned()),
        outcome: Some(new.consultation.outcome.clone()),
        prosecutor: Some(new.consultation.prosecutor.clone()),
        minutes_ref: None,
        review_at: None,
    };
    let window = ExtraWindow {
        id: WindowId::new(&id),
        decree: new.decree.clone(),
        area: new.area.clone(),
        kind: ExtraKind::Emergency,
        from: begin(&new, now),
        until: new.until,
        ordered_by: new.ordered_by.clone(),
        ordered_at: Some(new.ordered_at.min(now)),
        consultation: Some(consultation.id.clone()),
        ground: Some(new.ground.clone()),
        written_confirmation_at: None,
    };
    let supposed = Arc::new(app.journal.suppose([FactBody::Consultation(consultation.clone())])?);
    let question = |window: &ExtraWindow, now| {
        let body = FactBody::ExtraWindow(window.clone());
        Ask {
            request: request_for(&supposed, &supposed, &session.person, session.role, &body, now),
            session: Some(session.clone()),
            name: "register.emergency",
            display: None,
        }
    };
    let ask = question(&window, now);
    if !may_ever(session.role, Action::ConfigureWindow) {
        return Err(app.gate.refuse(&ask, ReasonCode::RoleNotPermitted).await.into());
    }
    if !matches!(new.ordered_by, DecidedBy::Mayor | DecidedBy::MayorMandated) {
        return Err(app.gate.refuse(&ask, ReasonCode::NotCompetent).await.into());
    }
    if let Some(code) = foreseen(&supposed, &ask.request, now) {
        return Err(app.gate.refuse(&ask, code).await.into());
    }
    if !inside_decree(&supposed, &window) {
        return Err(app.gate.refuse(&ask, ReasonCode::WindowExceedsDecree).await.into());
    }
    // All that takes time is behind us: at once is from this instant, however busy the machine was.
    let now: DateTime<Utc> = app.gate.clock().now();
    let window = ExtraWindow { from: begin(&new, now), ..window };
    let facts = [FactBody::Consultation(consultation.clone()), FactBody::ExtraWindow(window.clone())];
    flaw(&app, &supposed, &facts[1])?;
    let about = About::new(&facts[1], None);
    app.gate.propose_supposing(&question(&window, now), &supposed, |entry| about.tell(entry)).await?;
    let person = Actor::Person { person: session.person.clone(), role: session.role };
    let mut entries = Vec::new();
    for body in facts {
        let proposal = app.journal.propose(&body, &session.person, session.role, Some(&new.ground))?;
        let by = Provenance {
            entered_by: Some(session.person.clone()),
            verified_by: None,
            proposal: Some(proposal.id),
            actor: Some(actor(&person, &snapshot, &[])),
            origin: origin(&session),
        };
        entries.push((body, by));
    }
    app.journal.record_many(entries).await?;
    let hours = snapshot.register.policy().confirmation_hours;
    Ok((
        StatusCode::CREATED,
        Json(Emergency {
            window: window.id,
            consultation: consultation.id,
            from: window.from,
            until: window.until,
            ordered_from: new.from.filter(|ordered| *ordered < window.from),
            confirm_by: window.from + TimeDelta::hours(hours.into()),
        }),
    ))
}
