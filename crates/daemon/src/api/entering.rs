//! Who may enter which fact and who confirms it (`decisions.md` 8), and the question that the law is asked about it.
//!
//! | kind | enters | confirms |
//! |---|---|---|
//! | municipality, organisation, agreement, ordinance, decree, area, extension, consultation, signage, position | legal admin | municipal officer of that municipality, legal admin of another organisation |
//! | period, event or emergency window | legal admin | the same; an emergency takes effect at once (GW-20) |
//! | revocation | legal admin | nobody: it only takes, and takes effect at once (GW-11); undoing or postponing one, or one of the past: as the others |
//! | camera | system admin | legal admin, municipal officer |
//! | mask | police operator | another police operator |
//! | person, shift | user admin | nobody |
//! | authorisation | user admin | police approver |
//! | technical work | system admin | the witness whom it names |
//! | police instruction | police operator | nobody (V12) |
//! | breach, data subject's request, audit, finding | privacy officer | nobody (Wpg 34): nothing rests on it |
//!
//! A new version that only takes (an earlier end, a smaller scope) needs nobody's confirmation, whatever its kind.

use crate::journal::{Snapshot, municipality_of};
use chrono::{DateTime, TimeDelta, Utc};
use mandate::{
    Action, Decision, FactBody, MunicipalityId, Object, Operation, PersonId, ReasonCode, Request, Role,
    Statement, decide, facts::ExtraKind, statement,
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

/// A change of what runs already is entered this long before it acts, as the law asks.
const SOON: TimeDelta = TimeDelta::seconds(1);

const DECISION: &[Role] = &[Role::MunicipalOfficer, Role::LegalAdmin];

/// How long ago a decree may have been revoked by one person: it takes what was recorded since. As long as it takes to enter it.
const REVOKED_BEFORE: TimeDelta = TimeDelta::minutes(15);

/// How this fact is entered at an instant, given what the register knows.
pub(super) fn way_in(snapshot: &Snapshot, body: &FactBody, now: DateTime<Utc>) -> WayIn {
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
        // Revoking, or revoking earlier, takes. What undoes or postpones a revocation gives back, and one of the past takes from
        // what was recorded.
        FactBody::Revocation(new) => {
            let known = match newest(snapshot, body) {
                Some(FactBody::Revocation(old)) => Some(old.revoked_from),
                _ => None,
            };
            let gives_back = known.is_some_and(|known| known < new.revoked_from);
            let of_the_past = known != Some(new.revoked_from) && new.revoked_from < now - REVOKED_BEFORE;
            (Action::ConfigureDecree, if gives_back || of_the_past { DECISION } else { &[] })
        }
        FactBody::ExtraWindow(w) if w.kind == ExtraKind::Emergency && newest(snapshot, body).is_none() => {
            (Action::ConfigureWindow, &[])
        }
        FactBody::Period(_) | FactBody::ExtraWindow(_) => (Action::ConfigureWindow, DECISION),
        FactBody::Mask(_) => (Action::ConfigureMask, &[Role::PoliceOperator]),
        FactBody::Camera(_) => (Action::ConfigureCamera, DECISION),
        FactBody::Person(_) | FactBody::Shift(_) => (Action::ManageUsers, &[]),
        FactBody::Authorisation(_) => (Action::ManageUsers, &[Role::PoliceApprover]),
        FactBody::Instruction(_) => (Action::Instruct, &[]),
        FactBody::Maintenance(_) => (Action::Maintain, SECOND_PERSONS),
        FactBody::Breach(_)
        | FactBody::SubjectRequest(_)
        | FactBody::Audit(_)
        | FactBody::AuditFinding(_) => (Action::KeepRecords, &[]),
    };
    // What only takes needs nobody: it narrows what is lawful, and must not wait for a second person's desk.
    WayIn { action, confirm: if takes(snapshot, body) { &[] } else { confirm } }
}

/// The newest version of a fact's id.
pub(super) fn newest<'a>(snapshot: &'a Snapshot, body: &FactBody) -> Option<&'a FactBody> {
    let key = body.key();
    snapshot.facts.iter().rev().map(|f| &f.body).find(|known| known.key() == key)
}

/// Whether a new version only takes: the same as the one before but for an earlier end, or a smaller scope.
fn takes(snapshot: &Snapshot, new: &FactBody) -> bool {
    let Some(old) = newest(snapshot, new) else { return false };
    let earlier = |old: Option<DateTime<Utc>>, new: Option<DateTime<Utc>>| match (old, new) {
        (Some(old), Some(new)) => new < old,
        (None, Some(_)) => true,
        _ => false,
    };
    match (unstamped(old.clone()), new.clone()) {
        (FactBody::Authorisation(old), FactBody::Authorisation(new)) => {
            new.person == old.person
                && new.role == old.role
                && old.from <= new.from
                && new.until <= old.until
                && new.document_ref == old.document_ref
                && new.municipalities.iter().all(|m| old.municipalities.contains(m))
        }
        (FactBody::Period(mut old), FactBody::Period(new)) => {
            let ends = earlier(old.effective_until, new.effective_until);
            old.effective_until = new.effective_until;
            ends && old == new
        }
        (FactBody::ExtraWindow(mut old), FactBody::ExtraWindow(new)) => {
            let ends = new.until < old.until;
            old.until = new.until;
            ends && old == new
        }
        (FactBody::Position(mut old), FactBody::Position(new)) => {
            let ends = earlier(old.until, new.until);
            old.until = new.until;
            ends && old == new
        }
        (FactBody::Agreement(mut old), FactBody::Agreement(new)) => {
            let ends = earlier(old.valid_until, new.valid_until);
            old.valid_until = new.valid_until;
            ends && old == new
        }
        (FactBody::Maintenance(mut old), FactBody::Maintenance(new)) => {
            let ends = new.until < old.until;
            old.until = new.until;
            ends && old == new
        }
        (FactBody::Signage(mut old), FactBody::Signage(new)) => {
            let ends = earlier(old.removed_at, new.removed_at);
            old.removed_at = new.removed_at;
            ends && old == new
        }
        (FactBody::Ordinance(mut old), FactBody::Ordinance(new)) => {
            let ends = earlier(old.in_force_until, new.in_force_until);
            old.in_force_until = new.in_force_until;
            ends && old == new
        }
        _ => false,
    }
}

/// With what a version that only takes leaves as it was, of what only the daemon may say: who granted.
pub(super) fn keeping(snapshot: &Snapshot, body: FactBody) -> FactBody {
    match (newest(snapshot, &body), body) {
        (Some(FactBody::Authorisation(old)), FactBody::Authorisation(new))
            if takes(snapshot, &FactBody::Authorisation(new.clone())) =>
        {
            FactBody::Authorisation(mandate::facts::Authorisation {
                granted_by: old.granted_by.clone(),
                ..new
            })
        }
        (_, body) => body,
    }
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
fn statement_of(known: &Snapshot, snapshot: &Snapshot, body: &FactBody, now: DateTime<Utc>) -> Statement {
    // A new version of what runs already changes it from now on, not from its start.
    let changes_from = |start: DateTime<Utc>| {
        let before = match newest(known, body) {
            Some(FactBody::Period(old)) => Some(old.effective_from),
            Some(FactBody::ExtraWindow(old)) => Some(old.from),
            _ => None,
        };
        if before == Some(start) { start.max(now + SOON) } else { start }
    };
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
                ordinance: Some(d.ordinance.clone()),
                valid_from: Some(d.valid_from),
                valid_until: Some(d.valid_until),
                published_at: d.published_at,
                retention_days: Some(d.retention_days),
                ..statement::Proposal::default()
            };
        }
        FactBody::Period(p) => {
            let (consultation_ref, consultation_held_at) = consultation(p.consultation.as_ref());
            said.proposal = statement::Proposal {
                decree: Some(p.decree.clone()),
                from: Some(changes_from(p.effective_from)),
                // Without an end of its own it ends with the decree, at the end of its last extension.
                until: p.effective_until.or_else(|| snapshot.register.decree_end(&p.decree)),
                consultation_ref,
                consultation_held_at,
                ..statement::Proposal::default()
            };
        }
        FactBody::ExtraWindow(w) => {
            let (consultation_ref, consultation_held_at) = consultation(w.consultation.as_ref());
            said.proposal = statement::Proposal {
                decree: Some(w.decree.clone()),
                from: Some(changes_from(w.from)),
                until: Some(w.until),
                consultation_ref,
                consultation_held_at,
                ..statement::Proposal::default()
            };
        }
        FactBody::Authorisation(a) => {
            let takes = takes(known, body);
            said.operation = Some(if takes { Operation::Revoke } else { Operation::Grant });
            said.subject = Some(a.person.clone());
            said.role = Some(a.role);
            said.authorisation_ref.clone_from(&a.document_ref);
        }
        // A first mask is drawn; of a known one somebody else verifies what it covers now. Nothing here lifts one: there is
        // no fact that does.
        FactBody::Mask(_) => {
            let known = newest(known, body).is_some();
            said.operation = Some(if known { Operation::Verify } else { Operation::Add });
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
        (Some(FactBody::ExtraWindow(old)), FactBody::ExtraWindow(new)) => new.only_confirms(old),
        _ => false,
    }
}

/// Whether a new emergency window begins before it is entered. The law would only say that it is retroactive; what is
/// wrong with it says what to write instead (`mandate::entry`).
pub(super) fn begins_late(snapshot: &Snapshot, body: &FactBody, now: DateTime<Utc>) -> bool {
    match body {
        FactBody::ExtraWindow(w) => {
            w.kind == ExtraKind::Emergency && w.from < now && newest(snapshot, body).is_none()
        }
        _ => false,
    }
}

/// The law's question about an entry, on a register in which what it refers to is `supposed` to be in force. Facts that
/// are no decree or window themselves (areas, signs, revocations …) are asked like reading the register in that
/// municipality: the role matrix and the person's chain decide.
pub(super) fn request_for(
    known: &Snapshot,
    supposed: &Snapshot,
    entered_by: &PersonId,
    role: Role,
    body: &FactBody,
    now: DateTime<Utc>,
) -> Request {
    let action = way_in(known, body, now).action;
    let object = match body {
        // Nobody's scope holds a municipality that is being taken in.
        FactBody::Municipality(_) if newest(known, body).is_none() => Object::None,
        FactBody::Instruction(i) => i.cameras.first().cloned().map_or(Object::None, Object::Camera),
        _ => municipality_of(supposed, body).map_or(Object::None, Object::Municipality),
    };
    let asked = match body {
        FactBody::Decree(_) | FactBody::Period(_) | FactBody::ExtraWindow(_)
            if !only_confirms(known, body) && !takes(known, body) =>
        {
            action
        }
        _ if matches!(action, Action::ConfigureDecree | Action::ConfigureWindow) => Action::ReadRegister,
        _ => action,
    };
    Request::new(entered_by.clone(), role, asked, object).saying(statement_of(known, supposed, body, now))
}

/// A municipality of a grant that lies outside the scope of whoever enters or confirms it: nobody gives elsewhere what they do
/// not have themselves (Wpg 6 lid 2). Where nobody in their role has any scope yet, as in a municipality that was just taken
/// in, somebody must begin: there the second person is what stands against abuse.
pub(super) fn beyond_scope(
    snapshot: &Snapshot,
    person: &PersonId,
    role: Role,
    body: &FactBody,
    at: DateTime<Utc>,
) -> bool {
    let FactBody::Authorisation(grant) = body else { return false };
    if takes(snapshot, body) {
        return false;
    }
    let holds = |who: &PersonId, municipality: &MunicipalityId| {
        snapshot.register.authorisations(who).any(|a| {
            a.role == role && a.from <= at && at < a.until && a.municipalities.contains(municipality)
        })
    };
    grant.municipalities.iter().any(|municipality| {
        !holds(person, municipality)
            && snapshot.register.persons().any(|other| holds(&other.id, municipality))
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::ManualClock,
        testing::{FakeLog, journal},
    };
    use serde_json::{Value, json};

    fn body(value: Value) -> FactBody {
        serde_json::from_value(value).unwrap()
    }

    fn now() -> DateTime<Utc> {
        "2026-06-13T20:00:00Z".parse().unwrap()
    }

    async fn snapshot() -> (tempfile::TempDir, std::sync::Arc<Snapshot>) {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new("2026-06-13T20:00:00Z".parse().unwrap());
        let journal = journal(folder.path(), &FakeLog::new(&clock), &clock).await;
        (folder, journal.snapshot())
    }

    #[tokio::test]
    async fn what_only_takes_needs_nobody_and_what_gives_needs_a_second_person() {
        let (_folder, snapshot) = snapshot().await;
        let needs = |value: Value| !way_in(&snapshot, &body(value), now()).confirm.is_empty();
        let grant = |until: &str, places: &[&str]| {
            json!({ "kind": "authorisation", "id": "AUT-anna", "person": "anna", "role": "observer",
                "municipalities": places, "from": "2026-01-01T00:00:00Z", "until": until, "document_ref": "D" })
        };
        assert!(!needs(grant("2026-07-01T00:00:00Z", &["enschede"])), "shorter");
        assert!(!needs(grant("2028-01-01T00:00:00Z", &[])), "a smaller scope");
        assert!(needs(grant("2029-01-01T00:00:00Z", &["enschede"])), "longer");
        assert!(needs(grant("2027-01-01T00:00:00Z", &["enschede", "hengelo"])), "wider");
        let agreement = |until: Value, consent: Option<&str>| {
            json!({ "kind": "agreement", "id": "S", "type": "subprocessor", "parties": ["vrt", "rj"],
                "valid_from": "2026-01-01T00:00:00Z", "valid_until": until, "controller_consent_ref": consent,
                "parent": "V" })
        };
        assert!(!needs(agreement(json!("2026-07-01T00:00:00Z"), Some("POL-1"))));
        assert!(needs(agreement(json!("2026-07-01T00:00:00Z"), Some("POL-2"))), "something else changed too");
        assert!(needs(agreement(Value::Null, Some("POL-1"))));
        assert!(!needs(
            json!({ "kind": "revocation", "decree": "D1", "revoked_from": "2026-06-13T20:00:00Z" })
        ));
        assert!(!needs(
            json!({ "kind": "authorisation", "id": "AUT-anna", "person": "anna", "role": "observer",
                "municipalities": ["enschede"], "from": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z",
                "document_ref": "D" })
        ));
        assert!(
            needs(json!({ "kind": "authorisation", "id": "AUT-anna", "person": "anna", "role": "observer",
                "municipalities": ["enschede"], "from": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z",
                "document_ref": "another" })),
            "on another document"
        );
        assert!(!needs(
            json!({ "kind": "shift", "id": "X", "person": "anna", "from": "2026-06-14T20:00:00Z",
            "until": "2026-06-15T04:00:00Z" })
        ));
        assert!(needs(json!({ "kind": "position", "id": "C1-P2", "camera": "C1", "point": [6.89, 52.22],
            "from": "2026-07-01T00:00:00Z" })));
        let window = |kind: &str| {
            json!({ "kind": "extra_window", "id": "E", "type": kind, "decree": "D1", "from": "2026-06-13T21:00:00Z",
                "until": "2026-06-13T23:00:00Z", "ordered_by": "mayor", "consultation": "O1" })
        };
        assert!(needs(window("event")) && !needs(window("emergency")));
    }

    /// A journal with facts beside those of the small register.
    async fn with(more: Vec<Value>) -> (tempfile::TempDir, crate::journal::Journal) {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new("2026-06-13T20:00:00Z".parse().unwrap());
        let journal = journal(folder.path(), &FakeLog::new(&clock), &clock).await;
        for value in more {
            journal.record(body(value), crate::journal::Provenance::default()).await.unwrap();
        }
        (folder, journal)
    }

    #[tokio::test]
    async fn a_revocation_is_not_undone_by_one_person() {
        let revoked = |from: &str| json!({ "kind": "revocation", "decree": "D1", "revoked_from": from });
        let (_folder, journal) = with(vec![revoked("2026-07-01T00:00:00Z")]).await;
        let snapshot = journal.snapshot();
        let needs = |from: &str| !way_in(&snapshot, &body(revoked(from)), now()).confirm.is_empty();
        assert!(!needs("2026-06-14T00:00:00Z"), "earlier only takes");
        assert!(!needs("2026-07-01T00:00:00Z"), "with better reasons");
        assert!(needs("2026-07-01T00:00:01Z"), "later gives back");
        assert!(!needs("2026-06-13T19:45:00Z"), "a moment ago");
        assert!(needs("2026-06-13T19:44:59Z"), "what was recorded since then would have no basis");
    }

    #[tokio::test]
    async fn a_mask_is_drawn_and_verified_and_the_law_permits_both() {
        let (_folder, snapshot) = snapshot().await;
        let asked = |mask: Value| {
            let body = body(mask);
            let now = "2026-06-13T20:00:00Z".parse().unwrap();
            let request = request_for(&snapshot, &snapshot, &"bert".into(), Role::PoliceOperator, &body, now);
            foreseen(&snapshot, &request, now)
        };
        assert_eq!(asked(json!({ "kind": "mask", "id": "C1-M2", "position": "C1-P" })), None, "a new one");
        let better = json!({ "kind": "mask", "id": "C1-M", "position": "C1-P", "geometry_ref": "v2" });
        assert_eq!(asked(better), None, "a better one");
    }

    #[tokio::test]
    async fn a_period_without_an_end_of_its_own_lives_on_the_extension() {
        let extension = json!({ "kind": "extension", "decree": "D1", "number": 1,
            "published_at": "2026-06-01T00:00:00Z", "valid_until": "2028-01-01T00:00:00Z" });
        let (_folder, journal) = with(vec![extension]).await;
        let snapshot = journal.snapshot();
        let period = body(json!({ "kind": "period", "id": "P2", "decree": "D1", "consultation": "O1",
            "effective_from": "2027-02-01T00:00:00Z", "use": { "mode": "continuous" } }));
        let now = "2026-06-13T20:00:00Z".parse().unwrap();
        let said = statement_of(&snapshot, &snapshot, &period, now);
        assert_eq!(said.proposal.until, Some("2028-01-01T00:00:00Z".parse().unwrap()));
    }

    #[tokio::test]
    async fn nobody_gives_elsewhere_what_they_do_not_have_themselves() {
        let admin = |id: &str, places: &[&str]| {
            json!({ "kind": "authorisation", "id": id, "person": "carla", "role": "user_admin",
                "municipalities": places, "from": "2026-01-01T00:00:00Z", "until": "2028-01-01T00:00:00Z",
                "document_ref": "D" })
        };
        let carla = json!({ "kind": "person", "id": "carla", "name": "Carla", "organisation": "politie" });
        let dirk = json!({ "kind": "person", "id": "dirk", "name": "Dirk", "organisation": "politie" });
        let mut other = admin("AUT-dirk", &["hengelo"]);
        other["person"] = json!("dirk");
        let hengelo = json!({ "kind": "municipality", "id": "hengelo", "name": "Hengelo" });
        let borne = json!({ "kind": "municipality", "id": "borne", "name": "Borne" });
        let facts = vec![carla, dirk, hengelo, borne, admin("AUT-carla", &["enschede"]), other];
        let (_folder, journal) = with(facts).await;
        let snapshot = journal.snapshot();
        let now = "2026-06-13T20:00:00Z".parse().unwrap();
        let beyond = |places: &[&str]| {
            let mut grant = admin("AUT-new", places);
            grant["person"] = json!("bert");
            beyond_scope(&snapshot, &"carla".into(), Role::UserAdmin, &body(grant), now)
        };
        assert!(!beyond(&["enschede"]));
        assert!(beyond(&["hengelo"]) && beyond(&["enschede", "hengelo"]));
        assert!(!beyond(&["borne"]), "where nobody may yet, somebody must begin");
        assert!(!beyond_scope(
            &snapshot,
            &"carla".into(),
            Role::UserAdmin,
            &body(admin("AUT-dirk", &[])),
            now
        ));
    }

    #[tokio::test]
    async fn a_shorter_grant_keeps_who_granted_it() {
        let (_folder, snapshot) = snapshot().await;
        let shorter = body(json!({ "kind": "authorisation", "id": "AUT-anna", "person": "anna",
            "role": "observer", "municipalities": ["enschede"], "from": "2026-01-01T00:00:00Z",
            "until": "2026-07-01T00:00:00Z", "document_ref": "D" }));
        let FactBody::Authorisation(kept) = keeping(&snapshot, shorter) else { panic!("a grant stays one") };
        assert_eq!(kept.granted_by, Some("carla".into()));
    }

    #[tokio::test]
    async fn only_the_daemon_says_who_verified_and_who_granted() {
        let mask = body(json!({ "kind": "mask", "id": "M", "position": "C1-P", "verified_by": "anna",
            "verified_at": "2026-01-01T00:00:00Z" }));
        let FactBody::Mask(bare) = unstamped(mask) else { panic!("a mask stays a mask") };
        assert!(bare.verified_at.is_none() && bare.verified_by.is_none());
        let at = "2026-06-13T20:00:00Z".parse().unwrap();
        let FactBody::Mask(verified) = stamped(FactBody::Mask(bare), &"bert".into(), at) else {
            panic!("a mask stays a mask")
        };
        assert_eq!((verified.verified_at, verified.verified_by), (Some(at), Some("bert".into())));
    }

    /// What the law will say to a second person is said to the first.
    #[tokio::test]
    async fn a_refusal_that_nobody_could_lift_is_foreseen() {
        let (_folder, snapshot) = snapshot().await;
        let now = "2026-06-13T20:00:00Z".parse().unwrap();
        let asked = |until: &str| {
            let period = body(json!({ "kind": "period", "id": "P2", "decree": "D1", "consultation": "O1",
                "effective_from": "2026-07-01T00:00:00Z", "effective_until": until,
                "use": { "mode": "continuous" } }));
            let request = request_for(&snapshot, &snapshot, &"carla".into(), Role::LegalAdmin, &period, now);
            foreseen(&snapshot, &request, now)
        };
        // The small register has no legal admin: her own chain is what fails, whatever the period.
        assert_eq!(asked("2026-08-01T00:00:00Z"), Some(ReasonCode::AuthorisationMissing));
    }
}
