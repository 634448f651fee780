//! The person chain (P): role, authorisation in scope (Wpg 6), secrecy (Wpg 7), agreements (Wpg 6c), clearance (Wpbr 7),
//! shift. The platform itself needs a role and, to record, the processor agreement; to destroy it needs nobody.

use super::{Step, Walk, need, refuse, sooner};
use crate::{
    decision::{FactRef, ReasonCode},
    facts::{Agreement, AgreementKind, OrganisationKind, Role},
    ids::OrganisationId,
    people::PersonGround,
    request::{Action, Actor, Object},
    roles,
};
use chrono::{DateTime, Utc};

/// The whole chain.
pub(crate) fn chain(walk: &mut Walk<'_>) -> Step {
    let (role, person) = match &walk.request.actor {
        Actor::System => (Role::System, None),
        Actor::Person { person, role } => (*role, Some(person)),
    };
    need(permitted(walk, role), ReasonCode::RoleNotPermitted)?;
    let Some(id) = person else {
        // Only the matrix's `system` rows get here: a person cannot have that role.
        return if walk.request.action == Action::Record { platform(walk) } else { Ok(()) };
    };
    let Some(person) = walk.register.people().person(id).filter(|_| role != Role::System) else {
        return refuse(ReasonCode::AuthorisationMissing, None);
    };
    authorisation(walk, person, role)?;
    secrecy(walk, person)?;
    match person.organisation.as_ref().map(|(kind, _)| *kind) {
        Some(OrganisationKind::Processor) => {
            processor_agreement(walk, Some(&person.person.organisation))?;
        }
        Some(OrganisationKind::SecurityCompany) => {
            company_agreements(walk, &person.person.organisation)?;
            clearance(walk, person)?;
        }
        _ => {}
    }
    shift(walk, person, role)
}

/// The matrix; the two kinds of replay are rows of their own.
fn permitted(walk: &Walk<'_>, role: Role) -> bool {
    match walk.request.action {
        Action::Replay if super::purpose::within_incident(walk) => roles::REPLAY_IN_INCIDENT.contains(&role),
        Action::Replay => roles::REPLAY_FOR_OFFENCE.contains(&role),
        action => roles::may_ever(role, action),
    }
}

/// An authorisation for this role, valid now and for this municipality. Of several the one that gets furthest counts.
fn authorisation(walk: &mut Walk<'_>, person: &PersonGround, role: Role) -> Step {
    let mut failed = (ReasonCode::AuthorisationMissing, None);
    for (authorisation, fact) in person.authorisations.iter().filter(|(a, _)| a.role == role) {
        let in_scope = match (&walk.request.object, walk.municipality()) {
            (Object::None, _) => true,
            (_, Some(municipality)) => authorisation.municipalities.contains(municipality),
            // About something that the register does not know: it lies in nobody's scope.
            (_, None) => false,
        };
        walk.changes(Some(authorisation.from));
        let valid = authorisation.from <= walk.at && walk.at < authorisation.until;
        let code = match (valid, in_scope) {
            (true, true) => {
                walk.changes(Some(authorisation.until));
                walk.rests_on(&person.fact);
                walk.rests_on(fact);
                // Its record says in which municipality it is.
                if let Some(camera) = walk.camera() {
                    walk.rests_on(&camera.fact);
                }
                return Ok(());
            }
            (true, false) => {
                walk.changes(Some(authorisation.until));
                ReasonCode::AuthorisationScope
            }
            (false, _) => ReasonCode::AuthorisationExpired,
        };
        if code > failed.0 {
            failed = (code, Some(fact));
        }
    }
    refuse(failed.0, failed.1)
}

fn secrecy(walk: &mut Walk<'_>, person: &PersonGround) -> Step {
    let signed_at = person.person.secrecy_signed_at;
    if signed_at.is_some_and(|signed_at| signed_at <= walk.at) {
        return Ok(());
    }
    walk.changes(signed_at);
    refuse(ReasonCode::ConfidentialityMissing, Some(&person.fact))
}

/// A processor agreement of the police, with this processor or, where nobody says which, with anyone.
fn processor_agreement(walk: &mut Walk<'_>, processor: Option<&OrganisationId>) -> Step {
    let found = processor_in_force(walk, processor);
    let Some(main) = found.found else {
        return refuse(ReasonCode::ProcessorAgreementLapsed, found.lacking());
    };
    rests_on_main(walk, main);
    Ok(())
}

/// The processor agreement, and that its first party is the police.
fn rests_on_main(walk: &mut Walk<'_>, (agreement, fact): &(Agreement, FactRef)) {
    walk.rests_on(fact);
    let people = walk.register.people();
    if let Some(controller) = agreement.parties.first().and_then(|party| people.organisation_fact(party)) {
        walk.rests_on(controller);
    }
}

fn processor_in_force<'a>(walk: &mut Walk<'a>, processor: Option<&OrganisationId>) -> InForce<'a> {
    let of_processor = walk.register.people().processor_agreements().filter(|(agreement, _)| {
        processor.is_none_or(|processor| agreement.parties.get(1) == Some(processor))
    });
    let found = in_force(of_processor, walk.at);
    walk.changes(found.changes);
    found
}

/// The platform runs at a processor's, so without the agreement with that one it may not record (WP-10).
fn platform(walk: &mut Walk<'_>) -> Step {
    let register = walk.register;
    processor_agreement(walk, register.policy().host.as_ref())
}

/// The company's chain: police – processor – company, each link in force, and the controller's written consent. Of several
/// companies' agreements in force any complete chain will do, the first in order; else the one that gets furthest is
/// reported.
fn company_agreements(walk: &mut Walk<'_>, company: &OrganisationId) -> Step {
    let people = walk.register.people();
    let with_company = || people.agreements_of(AgreementKind::Subprocessor, company);
    let subprocessor = in_force(with_company(), walk.at);
    walk.changes(subprocessor.changes);
    if subprocessor.found.is_none() {
        // The first link is tested first; which processor it must name nobody says.
        processor_agreement(walk, None)?;
        return refuse(ReasonCode::SubprocessorAgreementLapsed, subprocessor.lacking());
    }
    let mut furthest: Option<(ReasonCode, Option<&FactRef>)> = None;
    let at = walk.at;
    for (agreement, fact) in with_company().filter(|(agreement, _)| holds(agreement, at)) {
        let processor = processor_in_force(walk, agreement.parties.first());
        let broken = match (processor.found, consented(agreement)) {
            (Some(main), true) => {
                rests_on_main(walk, main);
                walk.rests_on(fact);
                return Ok(());
            }
            (Some(_), false) => (ReasonCode::SubprocessorNotApproved, Some(fact)),
            (None, _) => (ReasonCode::ProcessorAgreementLapsed, processor.lacking()),
        };
        if furthest.is_none_or(|(code, _)| code < broken.0) {
            furthest = Some(broken);
        }
    }
    let (code, fact) = furthest.unwrap_or((ReasonCode::SubprocessorAgreementLapsed, None));
    refuse(code, fact)
}

fn holds(agreement: &Agreement, at: DateTime<Utc>) -> bool {
    agreement.valid_from <= at && agreement.valid_until.is_none_or(|until| at < until)
}

fn consented(agreement: &Agreement) -> bool {
    agreement.controller_consent_ref.as_ref().is_some_and(|consent| !consent.trim().is_empty())
}

struct InForce<'a> {
    found: Option<&'a (Agreement, FactRef)>,
    /// When the answer could change.
    changes: Option<DateTime<Utc>>,
    /// The one that ended last.
    ended: Option<&'a (Agreement, FactRef)>,
    /// The one that starts next.
    starts: Option<&'a (Agreement, FactRef)>,
}

impl<'a> InForce<'a> {
    /// What is missing where none is in force: the one that ended last, else the one that starts next.
    fn lacking(&self) -> Option<&'a FactRef> {
        self.ended.or(self.starts).map(|(_, fact)| fact)
    }
}

/// The first agreement in force, and when that could change.
fn in_force<'a>(
    agreements: impl Iterator<Item = &'a (Agreement, FactRef)>,
    at: DateTime<Utc>,
) -> InForce<'a> {
    let mut answer = InForce { found: None, changes: None, ended: None, starts: None };
    for candidate in agreements {
        let (agreement, _) = candidate;
        if holds(agreement, at) {
            answer.changes = sooner(answer.changes, agreement.valid_until, at);
            answer.found = answer.found.or(Some(candidate));
        } else if at < agreement.valid_from {
            answer.changes = sooner(answer.changes, Some(agreement.valid_from), at);
            if answer.starts.is_none_or(|(other, _)| agreement.valid_from < other.valid_from) {
                answer.starts = Some(candidate);
            }
        } else if answer.ended.is_none_or(|(other, _)| other.valid_until < agreement.valid_until) {
            answer.ended = Some(candidate);
        }
    }
    answer
}

/// The korpschef's permission for staff of a security company (Wpbr 7 lid 2).
fn clearance(walk: &mut Walk<'_>, person: &PersonGround) -> Step {
    let until = person.person.wpbr_permission_until;
    if until.is_some_and(|until| walk.at < until) {
        walk.changes(until);
        return Ok(());
    }
    refuse(ReasonCode::PersonNotCleared, Some(&person.fact))
}

/// Observers are on shift; off shift they may still see which cameras there are, so that the screen can say why it is dark.
fn shift(walk: &mut Walk<'_>, person: &PersonGround, role: Role) -> Step {
    if role != Role::Observer || walk.request.action == Action::ListCameras {
        return Ok(());
    }
    let next = person.shifts.partition_point(|(shift, _)| shift.from <= walk.at);
    // The latest that has started; an earlier one may be longer.
    let current = person.shifts.iter().take(next).rev().find(|(shift, _)| walk.at < shift.until);
    if let Some((shift, fact)) = current {
        walk.changes(Some(shift.until));
        // A shift that starts while this one runs becomes the one the answer rests on.
        walk.changes(person.shifts.get(next).map(|(shift, _)| shift.from));
        walk.rests_on(fact);
        return Ok(());
    }
    let to_come = person.shifts.get(next);
    walk.changes(to_come.map(|(shift, _)| shift.from));
    // What is missing: the shift that ended last, else the one that starts next.
    let over = person.shifts.iter().take(next).max_by_key(|(shift, _)| shift.until);
    refuse(ReasonCode::NotOnShift, over.or(to_come).map(|(_, fact)| fact))
}

/// The role can exist in the person's organisation (`decisions.md` 6). Tested last, where its code stands.
pub(crate) fn role_fits_organisation(walk: &mut Walk<'_>) -> Step {
    let Actor::Person { person, role } = &walk.request.actor else { return Ok(()) };
    let ground = walk.register.people().person(person);
    match ground.and_then(|ground| ground.organisation.as_ref()) {
        Some((kind, fact)) if roles::fits(*role, *kind) => {
            walk.rests_on(fact);
            Ok(())
        }
        Some((_, fact)) => refuse(ReasonCode::RoleConflict, Some(fact)),
        None => refuse(ReasonCode::RoleConflict, ground.map(|ground| &ground.fact)),
    }
}
