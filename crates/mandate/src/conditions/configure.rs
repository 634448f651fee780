//! Entering decrees and windows (151c lid 2 and 3; Awb 3:40) and giving roles (Wpg 6): the second person, the
//! consultation, no retroactive effect, no self-grant.

use super::{Step, Walk, need, refuse};
use crate::{
    decision::ReasonCode,
    facts::{OrganisationKind, Role},
    grounds::DecreeGround,
    ids::{MunicipalityId, PersonId},
    policy::MAXIMUM_RETENTION_DAYS,
    request::Actor,
    roles,
    statement::Operation,
    windows,
};

/// A decree: inside the ordinance, verified, not before its publication, at most 28 days.
pub(crate) fn decree(walk: &mut Walk<'_>) -> Step {
    let proposal = walk.statement().map(|statement| statement.proposal.clone()).unwrap_or_default();
    let Some(municipality) = walk.municipality() else {
        return refuse(ReasonCode::NoDecreeForMunicipality, None);
    };
    let starts = proposal.valid_from.unwrap_or(walk.at);
    // The one it names; where it names none, any that carries it.
    let carrying = || {
        walk.grounds().ordinances(municipality).filter(|o| {
            o.grants_power
                && proposal.ordinance.as_ref().is_none_or(|named| *named == o.id)
                && o.in_force_from <= starts
                && o.in_force_until.is_none_or(|until| starts < until)
        })
    };
    need(carrying().next().is_some(), ReasonCode::OrdinanceNotInForce)?;
    // "For a definite duration": a decree without an end exceeds every ordinance.
    let definite = proposal.valid_until.is_some_and(|until| {
        until > starts
            && carrying().any(|ordinance| {
                let limit = ordinance.max_duration_months.map(|months| windows::months_later(starts, months));
                limit.is_none_or(|limit| limit.is_some_and(|limit| until <= limit))
            })
    });
    need(definite, ReasonCode::DecreeExceedsOrdinance)?;
    verified(walk, municipality)?;
    let announced = matches!((proposal.published_at, proposal.valid_from), (Some(p), Some(f)) if p <= f);
    need(announced, ReasonCode::RetroactiveDecree)?;
    let days = proposal.retention_days.unwrap_or(MAXIMUM_RETENTION_DAYS);
    need(days <= MAXIMUM_RETENTION_DAYS, ReasonCode::RetentionAboveMaximum)
}

/// A window or period: consulted before, verified, not in the past, inside its decree.
pub(crate) fn window(walk: &mut Walk<'_>) -> Step {
    let proposal = walk.statement().map(|statement| statement.proposal.clone()).unwrap_or_default();
    let decree = proposal.decree.as_ref().and_then(|id| walk.grounds().decree(id));
    let Some(ground) = decree.filter(|ground| walk.municipality() == Some(&ground.decree.municipality))
    else {
        return refuse(ReasonCode::NoDecreeForMunicipality, None);
    };
    let held_before = proposal
        .consultation_held_at
        .is_some_and(|held_at| held_at <= walk.at && proposal.from.is_none_or(|from| held_at <= from));
    let referenced = proposal.consultation_ref.as_ref().is_some_and(|text| !text.trim().is_empty());
    walk.changes(proposal.consultation_held_at);
    need(held_before && referenced, ReasonCode::OvjConsultationMissing)?;
    verified(walk, &ground.decree.municipality)?;
    // Entered at the latest when it starts; from then on the answer is no.
    walk.changes(proposal.from.and_then(|from| from.checked_add_signed(chrono::TimeDelta::nanoseconds(1))));
    need(proposal.from.is_some_and(|from| walk.at <= from), ReasonCode::RetroactiveDecree)?;
    let inside =
        matches!((proposal.from, proposal.until), (Some(from), Some(until)) if within(ground, from, until));
    need(inside, ReasonCode::WindowExceedsDecree)?;
    walk.rests_on(&ground.fact);
    Ok(())
}

/// From start to end the decree is in force without a gap.
pub(crate) fn within(
    ground: &DecreeGround,
    from: chrono::DateTime<chrono::Utc>,
    until: chrono::DateTime<chrono::Utc>,
) -> bool {
    let end = ground.validity.iter().fold(None, |end, span| match end {
        None if span.from <= from && from < span.until => Some(span.until),
        Some(end) if span.from <= end => Some(span.until),
        end => end,
    });
    from < until
        && end.is_some_and(|end| until <= end)
        && ground.revocation.as_ref().is_none_or(|(revocation, _)| until <= revocation.revoked_from)
}

/// Somebody else confirmed it in their own session: a municipal officer of that municipality, or a legal admin of
/// another organisation (`decisions.md` 8).
fn verified(walk: &mut Walk<'_>, municipality: &MunicipalityId) -> Step {
    let people = walk.register.people();
    let Actor::Person { person: actor, .. } = &walk.request.actor else {
        return refuse(ReasonCode::FourEyes, None);
    };
    let second = walk.request.resolved.verified_by.as_ref().filter(|second| *second != actor);
    let Some(second) = second.and_then(|second| people.person(second)) else {
        return refuse(ReasonCode::FourEyes, None);
    };
    let elsewhere = people.person(actor).is_some_and(|a| a.person.organisation != second.person.organisation);
    for (authorisation, fact) in &second.authorisations {
        let kind = second.organisation.as_ref().map(|(kind, _)| *kind);
        let may = match authorisation.role {
            Role::MunicipalOfficer => kind == Some(OrganisationKind::Municipality),
            Role::LegalAdmin => elsewhere,
            _ => false,
        };
        if may && authorisation.municipalities.contains(municipality) {
            walk.changes(Some(authorisation.from));
            if authorisation.from <= walk.at && walk.at < authorisation.until {
                walk.changes(Some(authorisation.until));
                walk.rests_on(fact);
                return Ok(());
            }
        }
    }
    refuse(ReasonCode::FourEyes, Some(&second.fact))
}

/// A role: on the controller's document, not to oneself, not against another role or the organisation. Taking a role
/// away needs none of this.
pub(crate) fn users(walk: &mut Walk<'_>) -> Step {
    let Some(statement) = walk.statement() else {
        return refuse(ReasonCode::AuthorisationDocumentMissing, None);
    };
    if statement.operation == Some(Operation::Revoke) {
        return Ok(());
    }
    let document = statement.authorisation_ref.as_ref().is_some_and(|text| !text.trim().is_empty());
    need(document, ReasonCode::AuthorisationDocumentMissing)?;
    let Actor::Person { person: actor, .. } = &walk.request.actor else {
        return refuse(ReasonCode::SelfGrant, None);
    };
    need(statement.subject.as_ref().is_some_and(|subject| subject != actor), ReasonCode::SelfGrant)?;
    let role = statement.role.filter(|role| !matches!(role, Role::System | Role::None));
    let granting = statement.operation == Some(Operation::Grant);
    let goes = role.is_some_and(|role| goes_together(walk, statement.subject.as_ref(), role));
    need(granting && goes, ReasonCode::RoleConflict)
}

/// The new role fits the subject's organisation and the roles that they have or will have. A person whom the register
/// does not know yet has none.
fn goes_together(walk: &mut Walk<'_>, subject: Option<&PersonId>, role: Role) -> bool {
    let Some(person) = subject.and_then(|subject| walk.register.people().person(subject)) else {
        return true;
    };
    let fits = person.organisation.as_ref().is_none_or(|(kind, _)| roles::fits(role, *kind));
    let mut free = true;
    for (authorisation, _) in &person.authorisations {
        if walk.at < authorisation.until && roles::conflict(role, authorisation.role) {
            walk.changes(Some(authorisation.until));
            free = false;
        }
    }
    fits && free
}
