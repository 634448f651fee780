//! Breaches, data subjects' requests and audits: what may be recorded of them, and what is due when.

use crate::common::{at, fact, without_period};
use mandate::{
    Action, Fact, FactBody, Object, Register, Request, Role, decide,
    duties::{DutyKind, duties},
    entry::{acceptable, check},
};
use serde_json::{Value, json};

const NOW: &str = "2026-06-15T12:00:00Z";

fn register(bodies: &[Value]) -> Register {
    let mut facts = without_period();
    facts.extend(bodies.iter().map(|body| fact(body.clone())));
    Register::build(&facts, at(NOW)).unwrap()
}

fn accepted(known: &[Value], body: &Value) -> bool {
    let mut facts: Vec<Fact> = without_period();
    facts.extend(known.iter().map(|body| fact(body.clone())));
    let before = Register::build(&facts, at(NOW)).unwrap();
    let body: FactBody = serde_json::from_value(body.clone()).unwrap();
    acceptable(&check(&before, &facts, &[body], Some(at(NOW))).unwrap())
}

fn with(base: &Value, changes: Value) -> Value {
    let mut body = base.clone();
    for (field, value) in changes.as_object().unwrap() {
        body[field] = value.clone();
    }
    body
}

/// What is due before an instant: kind, instant, whether it is overdue.
fn due(bodies: &[Value], until: &str) -> Vec<(DutyKind, String, bool)> {
    let found = duties(&register(bodies), at(NOW), at(until));
    found.into_iter().map(|d| (d.kind, d.due_at.to_rfc3339(), d.overdue)).collect()
}

fn breach() -> Value {
    json!({"kind": "breach", "id": "B1", "known_at": "2026-06-12T22:00:00Z", "facts": "a key was lost"})
}

#[test]
fn a_breach_is_reported_in_72_hours_that_run_through_the_weekend() {
    // A Friday night: Monday night, not Wednesday.
    let open = due(&[breach()], "2026-07-01T00:00:00Z");
    assert_eq!(open, [(DutyKind::BreachReport, "2026-06-15T22:00:00+00:00".to_owned(), false)]);
    assert_eq!(due(&[breach()], "2026-06-15T22:00:00Z"), [], "the end is exclusive");
    let late = with(&breach(), json!({"known_at": "2026-06-12T12:00:00Z"}));
    assert!(due(&[late], "2026-07-01T00:00:00Z")[0].2, "due now is overdue");
    let high = with(&breach(), json!({"risk": "high", "reported_at": "2026-06-13T00:00:00Z"}));
    assert_eq!(due(std::slice::from_ref(&high), "2026-07-01T00:00:00Z")[0].0, DutyKind::BreachSubjects);
    let told = with(&high, json!({"subjects_informed_at": "2026-06-13T00:00:00Z"}));
    assert_eq!(due(&[told], "2026-07-01T00:00:00Z"), []);
    assert_eq!(due(&[with(&breach(), json!({"risk": "unlikely"}))], "2026-07-01T00:00:00Z"), []);
    for (changes, fine) in [
        (json!({}), true),
        (json!({"facts": " "}), false),
        (json!({"known_at": "2026-06-15T12:00:01Z"}), false),
        (json!({"happened_at": "2026-06-12T22:00:01Z"}), false),
        (json!({"reported_at": "2026-06-12T21:59:59Z"}), false),
        (json!({"reported_at": "2026-06-15T12:00:00Z"}), true),
        (json!({"known_at": "2026-06-12T11:59:59Z", "reported_at": NOW}), false),
        (json!({"known_at": "2026-06-12T12:00:00Z", "reported_at": NOW}), true),
        (
            json!({"known_at": "2026-06-01T00:00:00Z", "reported_at": NOW, "delay_reason": "found out late"}),
            true,
        ),
        (json!({"municipality": "nowhere"}), false),
        (json!({"subjects_informed_at": "2026-06-12T21:59:59Z"}), false),
    ] {
        assert_eq!(accepted(&[], &with(&breach(), changes.clone())), fine, "{changes}");
    }
    let later = with(&breach(), json!({"known_at": "2026-06-13T22:00:00Z"}));
    assert!(!accepted(&[breach()], &later), "the clock is not put back");
    assert!(accepted(&[later], &breach()));
}

fn asked(right: &str) -> Value {
    json!({"kind": "subject_request", "id": "PL-1", "right": right, "received_at": "2026-06-01T10:00:00Z",
        "forwarded_to_controller_at": "2026-06-02T10:00:00Z"})
}

#[test]
fn a_data_subject_is_answered_in_six_weeks_or_four() {
    let answer = |body: Value| due(&[body], "2027-01-01T00:00:00Z")[0].1.clone();
    assert_eq!(answer(asked("access")), "2026-07-13T10:00:00+00:00");
    assert_eq!(answer(with(&asked("access"), json!({"deferred_weeks": 4}))), "2026-08-10T10:00:00+00:00");
    for right in ["rectification", "erasure", "restriction"] {
        assert_eq!(answer(asked(right)), "2026-06-29T10:00:00+00:00", "{right}");
    }
    let decided = json!({"decided_at": "2026-06-10T10:00:00Z", "outcome": "granted"});
    assert_eq!(due(&[with(&asked("access"), decided.clone())], "2027-01-01T00:00:00Z"), []);
    let refused = json!({"decided_at": "2026-06-10T10:00:00Z", "outcome": "refused"});
    for (right, changes, fine) in [
        ("access", json!({}), true),
        ("access", json!({"deferred_weeks": 6}), true),
        ("access", json!({"deferred_weeks": 5}), false),
        ("erasure", json!({"deferred_weeks": 4}), false),
        ("access", json!({"received_at": "2026-06-15T12:00:01Z"}), false),
        ("access", json!({"forwarded_to_controller_at": "2026-06-01T09:59:59Z"}), false),
        ("access", json!({"forwarded_to_controller_at": null}), true),
        ("access", json!({"outcome": "granted"}), false),
        ("access", decided, true),
        ("access", json!({"decided_at": "2026-06-01T09:59:59Z", "outcome": "granted"}), false),
        ("access", refused.clone(), false),
        ("access", with(&refused, json!({"refusal_ground": "Wpg 27 lid 1 b"})), true),
    ] {
        assert_eq!(accepted(&[], &with(&asked(right), changes.clone())), fine, "{right} {changes}");
    }
    assert!(!accepted(&[asked("access")], &asked("erasure")), "another request gets a number of its own");
    let later = with(&asked("access"), json!({"received_at": "2026-06-02T10:00:00Z"}));
    assert!(!accepted(&[asked("access")], &later));
}

fn audit(kind: &str) -> Value {
    json!({"kind": "audit", "id": format!("A-{kind}"), "auditor": "RE auditors", "plan_ref": "plan 2026",
        "scope_from": "2025-01-01T00:00:00Z", "scope_until": "2026-01-01T00:00:00Z", "done_at": "2026-03-31T10:00:00Z"})
}

/// The audit's own kind stands in the tag's field in JSON, so it is called `type` there as with other facts.
fn audited(kind: &str) -> Value {
    with(&audit(kind), json!({"type": kind}))
}

#[test]
fn audits_follow_each_other_and_cover_the_log() {
    assert_eq!(register(&[audited("internal")]).audited_until(), None, "an own audit covers nothing");
    assert_eq!(register(&[audited("external")]).audited_until(), Some(at("2026-01-01T00:00:00Z")));
    let running = with(
        &audited("external"),
        json!({"id": "A2", "done_at": null, "scope_until": "2026-06-01T00:00:00Z"}),
    );
    let both = register(&[audited("external"), running]);
    assert_eq!(both.audited_until(), Some(at("2026-01-01T00:00:00Z")), "one that goes on covers nothing yet");
    let next = |kind: &str| due(&[audited(kind)], "2036-01-01T00:00:00Z");
    assert_eq!(next("internal"), [(DutyKind::InternalAudit, "2027-03-31T10:00:00+00:00".to_owned(), false)]);
    assert_eq!(next("external"), [(DutyKind::ExternalAudit, "2030-03-31T10:00:00+00:00".to_owned(), false)]);
    let later = with(&audited("internal"), json!({"id": "A3", "done_at": "2026-06-01T10:00:00Z"}));
    let open = due(&[audited("internal"), later], "2036-01-01T00:00:00Z");
    assert_eq!(
        open,
        [(DutyKind::InternalAudit, "2027-06-01T10:00:00+00:00".to_owned(), false)],
        "the latest"
    );
    let found = with(
        &audited("external"),
        json!({"report_due": "2026-06-30T10:00:00Z", "reaudit_due": "2027-03-31T10:00:00Z"}),
    );
    let finding = json!({"kind": "audit_finding", "id": "F1", "audit": "A-external", "text": "t",
        "mend_by": "2026-06-01T00:00:00Z"});
    let open = due(&[found.clone(), finding.clone()], "2027-12-01T00:00:00Z");
    let kinds: Vec<_> = open.iter().map(|(kind, _, overdue)| (*kind, *overdue)).collect();
    assert_eq!(
        kinds,
        [(DutyKind::Finding, true), (DutyKind::ImprovementReport, false), (DutyKind::Reaudit, false)]
    );
    let settled = with(
        &found,
        json!({"improvement_reported_at": "2026-06-01T00:00:00Z", "reaudited_at": "2026-06-02T00:00:00Z"}),
    );
    let mended = with(&finding, json!({"mended_at": "2026-05-01T00:00:00Z"}));
    assert_eq!(due(&[settled, mended], "2027-12-01T00:00:00Z"), []);
    for (changes, fine) in [
        (json!({}), true),
        (json!({"auditor": ""}), false),
        (json!({"scope_until": "2025-01-01T00:00:00Z"}), false),
        (json!({"done_at": "2025-12-31T23:59:59Z"}), false),
        (json!({"done_at": null, "reported_at": "2026-04-01T00:00:00Z"}), false),
        (json!({"reported_at": "2026-03-31T09:59:59Z"}), false),
        (json!({"report_due": "2026-06-30T10:00:00Z"}), true),
        (json!({"report_due": "2026-06-30T10:00:01Z"}), false),
        (json!({"reaudit_due": "2027-03-31T10:00:00Z"}), true),
        (json!({"reaudit_due": "2027-03-31T10:00:01Z"}), false),
    ] {
        assert_eq!(accepted(&[], &with(&audited("external"), changes.clone())), fine, "{changes}");
    }
    assert!(accepted(std::slice::from_ref(&found), &finding));
    assert!(!accepted(&[], &finding), "of an audit that nobody knows");
    let elsewhere = with(&finding, json!({"audit": "A2"}));
    let other = with(&found, json!({"id": "A2"}));
    assert!(!accepted(&[found, other, finding], &elsewhere), "a finding stays with its audit");
}

/// Nothing rests on them, and only those who answer for the processing keep and read them.
#[test]
fn records_are_for_those_who_answer_for_the_processing() {
    for (role, reads, keeps) in [
        (Role::PrivacyOfficer, true, true),
        (Role::Auditor, true, false),
        (Role::PoliceApprover, true, false),
        (Role::LegalAdmin, false, false),
        (Role::RoomCoordinator, false, false),
        (Role::SystemAdmin, false, false),
    ] {
        assert_eq!(mandate::roles::may_ever(role, Action::ReadRecords), reads, "{role:?}");
        assert_eq!(mandate::roles::may_ever(role, Action::KeepRecords), keeps, "{role:?}");
    }
    let request = Request::by_system(Action::Record, Object::Camera("CAM1".into()));
    let one = decide(&register(&[]), &request, at(NOW));
    let records = [breach(), asked("access"), audited("external")];
    assert_eq!(one, decide(&register(&records), &request, at(NOW)));
}
