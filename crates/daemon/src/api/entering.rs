//! Who may enter which fact and who confirms it (`decisions.md` 8), and the question that the law is asked about it.
//!
//! | kind | enters | confirms |
//! |---|---|---|
//! | municipality, organisation, agreement, ordinance, decree, area, extension, consultation, signage, position | legal admin | municipal officer of that municipality, legal admin of another organisation |
//! | period, event or emergency window | legal admin | the same; an emergency takes effect at once (GW-20) |
//! | revocation | legal admin | nobody: it only takes, and takes effect at once (GW-11) |
//! | camera | system admin | legal admin, municipal officer |
//! | mask | police operator | another police operator |
//! | person, shift | user admin | nobody |
//! | authorisation | user admin | police approver; nobody where it only takes |
//! | police instruction | police operator | nobody (V12) |

use crate::journal::{Snapshot, municipality_of, name_of};
use chrono::{DateTime, Utc};
use mandate::{
    Action, Decision, FactBody, Object, Operation, PersonId, ReasonCode, Request, Role, Statement, decide,
    facts::{Authorisation, ExtraKind},
    statement,
};

/// Roles that may ever confirm an entry.
pub(super) const SECOND_PERSONS: &[Role] =
    &[Role::PoliceOperator, Role::PoliceApprover, Role::LegalAdmin, Role::MunicipalOfficer];

/// The way by which a fact comes into the register.
pub(super) struct WayIn {
    /// The action of entering it.
    pub(super) action: Action,
    /// Who may confirm it; nobody: it takes effect at once.
    pub(super) confirm: &'static [Role],
}

const DECISION: &[Role] = &[Role::MunicipalOfficer, Role::LegalAdmin];

/// How this fact is entered, given what the register knows.
pub(super) fn way_in(snapshot: &Snapshot, body: &FactBody) -> WayIn {
    let (action, confirm): (_, &[Role]) = match body {
        FactBody::Municipality(_)
        | FactBody::Organisation(_)
        | FactBody::Agreement(_)
        | FactBody::Ordinance(_)
        | FactBody::Decree(_)
        | FactBody::Area(_)
        | FactBody::Extension(_)
        | FactBody::Consultation(_)
        | FactBody::Signage(_)
        | FactBody::Position(_) => (Action::ConfigureDecree, DECISION),
        FactBody::Revocation(_) => (Action::ConfigureDecree, &[]),
        FactBody::ExtraWindow(w) if w.kind == ExtraKind::Emergency && newest(snapshot, body).is_none() => {
            (Action::ConfigureWindow, &[])
        }
        FactBody::Period(_) | FactBody::ExtraWindow(_) => (Action::ConfigureWindow, DECISION),
        FactBody::Mask(_) => (Action::ConfigureMask, &[Role::PoliceOperator]),
        FactBody::Camera(_) => (Action::ConfigureCamera, DECISION),
        FactBody::Person(_) | FactBody::Shift(_) => (Action::ManageUsers, &[]),
        FactBody::Authorisation(a) if takes(snapshot, a) => (Action::ManageUsers, &[]),
        FactBody::Authorisation(_) => (Action::ManageUsers, &[Role::PoliceApprover]),
        FactBody::Instruction(_) => (Action::Instruct, &[]),
    };
    WayIn { action, confirm }
}

/// The newest version of a fact's id.
pub(super) fn newest<'a>(snapshot: &'a Snapshot, body: &FactBody) -> Option<&'a FactBody> {
    let key = body.key();
    snapshot.facts.iter().rev().map(|f| &f.body).find(|known| known.key() == key)
}

/// Whether a new version of an authorisation gives nothing that the one before did not.
fn takes(snapshot: &Snapshot, new: &Authorisation) -> bool {
    let Some(FactBody::Authorisation(old)) = newest(snapshot, &FactBody::Authorisation(new.clone())) else {
        return false;
    };
    new.person == old.person
        && new.role == old.role
        && old.from <= new.from
        && new.until <= old.until
        && new.municipalities.iter().all(|m| old.municipalities.contains(m))
}

/// Without what only the daemon may say: who verified, who granted.
pub(super) fn unstamped(mut body: FactBody) -> FactBody {
    match &mut body {
        FactBody::Mask(mask) => (mask.verified_at, mask.verified_by) = (None, None),
        FactBody::Authorisation(grant) => grant.granted_by = None,
        _ => {}
    }
    body
}

/// With it: the confirmation is the verification, the confirmer the one who grants.
pub(super) fn stamped(mut body: FactBody, by: &PersonId, at: DateTime<Utc>) -> FactBody {
    match &mut body {
        FactBody::Mask(mask) => (mask.verified_at, mask.verified_by) = (Some(at), Some(by.clone())),
        FactBody::Authorisation(grant) => grant.granted_by = Some(by.clone()),
        _ => {}
    }
    body
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
            let takes = takes(snapshot, a);
            said.operation = Some(if takes { Operation::Revoke } else { Operation::Grant });
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

/// Whether a new version of a window says nothing new but that the mayor confirmed the order in writing.
fn only_confirms(snapshot: &Snapshot, body: &FactBody) -> bool {
    match (newest(snapshot, body), body) {
        (Some(FactBody::ExtraWindow(old)), FactBody::ExtraWindow(new)) => {
            let mut confirmed = old.clone();
            confirmed.written_confirmation_at = new.written_confirmation_at;
            confirmed == *new && new.written_confirmation_at.is_some()
        }
        _ => false,
    }
}

/// The law's question about an entry. Facts that are no decree or window themselves (areas, signs, revocations …) are
/// asked like reading the register in that municipality: the role matrix and the person's chain decide.
pub(super) fn request_for(
    snapshot: &Snapshot,
    entered_by: &PersonId,
    role: Role,
    body: &FactBody,
) -> Request {
    let action = way_in(snapshot, body).action;
    let object = match body {
        // Nobody's scope holds a municipality that is being taken in.
        FactBody::Municipality(_) if newest(snapshot, body).is_none() => Object::None,
        FactBody::Instruction(i) => i.cameras.first().cloned().map_or(Object::None, Object::Camera),
        _ => municipality_of(snapshot, body).map_or(Object::None, Object::Municipality),
    };
    let asked = match body {
        FactBody::Decree(_) | FactBody::Period(_) | FactBody::ExtraWindow(_)
            if !only_confirms(snapshot, body) =>
        {
            action
        }
        _ if matches!(action, Action::ConfigureDecree | Action::ConfigureWindow) => Action::ReadRegister,
        _ => action,
    };
    Request::new(entered_by.clone(), role, asked, object).saying(statement_of(snapshot, body))
}

/// What the law will say when a second person confirms: the code of a refusal that no second person could lift. So that
/// a decree that lasts too long is refused when it is entered and not when somebody else reads it.
pub(super) fn foreseen(snapshot: &Snapshot, request: &Request, at: DateTime<Utc>) -> Option<ReasonCode> {
    let code = match decide(&snapshot.register, request, at) {
        Decision::Permit(_) => return None,
        Decision::Deny(denial) => denial.code,
    };
    if code != ReasonCode::FourEyes {
        return Some(code);
    }
    let mut refusal = None;
    for person in snapshot.register.persons() {
        let mut confirmed = request.clone();
        confirmed.resolved.verified_by = Some(person.id.clone());
        match decide(&snapshot.register, &confirmed, at) {
            Decision::Permit(_) => return None,
            Decision::Deny(denial) if denial.code == ReasonCode::FourEyes => {}
            Decision::Deny(denial) => refusal = Some(denial.code),
        }
    }
    refusal
}

/// A reference of the fact that leads nowhere, in words: kind and id.
pub(super) fn dangling(snapshot: &Snapshot, body: &FactBody) -> Option<(&'static str, String)> {
    let known = |kind: &'static str, id: &str| {
        let found = snapshot.facts.iter().any(|f| {
            let (k, i) = name_of(&f.body);
            i == id && (k == kind || kind == "agreement" && k.ends_with("agreement"))
        });
        (!found).then(|| (kind, id.to_owned()))
    };
    let maybe = |kind: &'static str, id: Option<&str>| id.and_then(|id| known(kind, id));
    match body {
        FactBody::Municipality(_) | FactBody::Organisation(_) => None,
        FactBody::Ordinance(f) => known("municipality", f.municipality.as_str()),
        FactBody::Decree(f) => known("municipality", f.municipality.as_str())
            .or_else(|| known("ordinance", f.ordinance.as_str())),
        FactBody::Area(f) => known("decree", f.decree.as_str()),
        FactBody::Extension(f) => known("decree", f.decree.as_str()),
        FactBody::Revocation(f) => known("decree", f.decree.as_str()),
        FactBody::Consultation(f) => known("municipality", f.municipality.as_str()),
        FactBody::Period(f) => known("decree", f.decree.as_str())
            .or_else(|| maybe("consultation", f.consultation.as_ref().map(mandate::ConsultationId::as_str))),
        FactBody::ExtraWindow(f) => known("decree", f.decree.as_str())
            .or_else(|| maybe("area", f.area.as_ref().map(mandate::AreaId::as_str)))
            .or_else(|| maybe("consultation", f.consultation.as_ref().map(mandate::ConsultationId::as_str))),
        FactBody::Signage(f) => known("area", f.area.as_str()),
        FactBody::Camera(f) => known("municipality", f.municipality.as_str()),
        FactBody::Position(f) => known("camera", f.camera.as_str()),
        FactBody::Mask(f) => known("position", f.position.as_str()),
        FactBody::Agreement(f) => f
            .parties
            .iter()
            .find_map(|party| known("organisation", party.as_str()))
            .or_else(|| maybe("agreement", f.parent.as_ref().map(mandate::AgreementId::as_str))),
        FactBody::Person(f) => known("organisation", f.organisation.as_str()),
        FactBody::Authorisation(f) => known("person", f.person.as_str())
            .or_else(|| f.municipalities.iter().find_map(|m| known("municipality", m.as_str()))),
        FactBody::Shift(f) => known("person", f.person.as_str()),
        FactBody::Instruction(f) => f.cameras.iter().find_map(|camera| known("camera", camera.as_str())),
    }
}
