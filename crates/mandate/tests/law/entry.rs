//! What may enter the register and what may not, attribute by attribute (`domain.md` 5a).

use crate::common::{at, fact, period, window, without_period};
use chrono::{DateTime, Utc};
use mandate::{
    Fact, FactBody, Register,
    entry::{Finding, Severity, acceptable, check},
};
use serde_json::{Value, json};

pub(crate) const NOW: &str = "2026-06-15T12:00:00Z";

pub(crate) fn facts() -> Vec<Fact> {
    let mut facts = without_period();
    facts.push(period("PE1", json!([window("L1", &["fri", "sat"], "21:00", "06:00")]), "police_incident"));
    facts.push(fact(json!({"kind": "organisation", "id": "gemeente", "name": "g", "type": "municipality"})));
    facts.push(fact(
        json!({"kind": "ordinance", "id": "O2", "municipality": "almelo", "provision": "no limit",
        "grants_power": true, "in_force_from": crate::common::FROM, "place_kinds": ["car_park"]}),
    ));
    facts
}

pub(crate) fn look(facts: &[Fact], bodies: &[Value], at: Option<DateTime<Utc>>) -> Vec<Finding> {
    let bodies: Vec<FactBody> =
        bodies.iter().map(|body| serde_json::from_value(body.clone()).unwrap()).collect();
    let before = Register::build(facts, crate::common::at(NOW)).unwrap();
    check(&before, facts, &bodies, at).unwrap()
}

/// A fact of each kind in which nothing is wrong.
pub(crate) fn good(kind: &str) -> Value {
    let mut body = match kind {
        "municipality" => json!({"id": "borne", "name": "Borne"}),
        "organisation" => json!({"id": "om", "name": "OM", "type": "public_prosecutor"}),
        "agreement" => {
            json!({"id": "G9", "type": "subprocessor", "parties": ["vrt", "guard"], "parent": "G1",
            "valid_from": "2026-07-01T00:00:00Z", "valid_until": "2027-07-01T00:00:00Z", "controller_consent_ref": "c",
            "checklist": ["instructions", "confidentiality", "data_subjects", "return", "audit", "subprocessors"]})
        }
        "ordinance" => {
            json!({"id": "O9", "municipality": "almelo", "provision": "2:77", "grants_power": true,
            "in_force_from": "2026-07-01T00:00:00Z"})
        }
        "decree" => json!({"id": "D9", "municipality": "almelo", "ordinance": "O1", "decided_by": "mayor",
            "signed_at": "2026-06-10T00:00:00Z", "published_at": "2026-06-14T00:00:00Z", "publication_ref": "gmb",
            "valid_from": "2026-07-01T00:00:00Z", "valid_until": "2027-07-01T00:00:00Z", "necessity": "n",
            "retention_days": 28, "review_at": "2027-01-01T00:00:00Z"}),
        "area" => json!({"id": "AR9", "decree": "D1", "name": "a", "reasoning": "r",
            "polygons": [[[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]]]}),
        "extension" => json!({"decree": "D1", "number": 1, "published_at": "2026-06-14T00:00:00Z",
            "valid_until": "2031-01-01T00:00:00Z", "evaluation_ref": "e"}),
        "revocation" => json!({"decree": "D1", "revoked_from": "2026-06-15T13:00:00Z", "reason": "r"}),
        "consultation" => json!({"id": "C9", "municipality": "almelo", "held_at": "2026-06-14T00:00:00Z",
            "mode": "telephone", "outcome": "objects"}),
        "period" => {
            json!({"id": "PE9", "decree": "D1", "consultation": "C1", "effective_from": "2026-07-01T00:00:00Z",
            "use": {"mode": "weekly", "windows": [window("U9", &["sat"], "18:00", "07:00")]},
            "live": [window("L9", &["sat"], "21:00", "06:00")]})
        }
        "extra_window" => json!({"id": "X9", "decree": "D1", "area": "AR1", "type": "emergency",
            "from": NOW, "until": "2026-06-15T20:00:00Z", "ordered_by": "mayor",
            "ordered_at": "2026-06-15T11:00:00Z", "consultation": "C1", "ground": "g"}),
        "signage" => {
            json!({"id": "S9", "area": "AR1", "location": "east", "placed_at": "2026-06-01T00:00:00Z"})
        }
        "camera" => json!({"id": "CAM9", "municipality": "almelo", "number": 9, "name": "n"}),
        "position" => {
            json!({"id": "P9", "camera": "CAM9", "point": [0.5, 0.5], "from": "2026-06-01T00:00:00Z"})
        }
        "mask" => {
            json!({"id": "M9", "position": "P1", "verified_at": "2026-06-14T00:00:00Z", "verified_by": "police"})
        }
        "person" => {
            json!({"id": "new", "name": "n", "organisation": "guard", "secrecy_signed_at": "2026-06-01T00:00:00Z",
            "wpbr_permission_until": "2027-01-01T00:00:00Z", "personnel_no": "7"})
        }
        "authorisation" => json!({"id": "A9", "person": "detective", "role": "police_approver",
            "municipalities": ["almelo"], "from": "2026-07-01T00:00:00Z", "until": "2027-07-01T00:00:00Z",
            "document_ref": "d", "granted_by": "police"}),
        "shift" => json!({"id": "H9", "person": "coordinator", "from": "2026-06-20T18:00:00Z",
            "until": "2026-06-21T02:00:00Z"}),
        "instruction" => {
            json!({"id": "I9", "cameras": ["CAM1"], "from": NOW, "until": "2026-06-15T14:00:00Z",
            "entered_by": "police"})
        }
        other => panic!("no fact of kind {other}"),
    };
    body["kind"] = json!(kind);
    body
}

/// A good fact with some attributes changed; null takes one away.
pub(crate) fn but(kind: &str, changes: Value) -> Value {
    let mut body = good(kind);
    for (field, value) in changes.as_object().unwrap() {
        body[field] = value.clone();
    }
    body.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    body
}

/// With the camera that the position hangs on, where one is needed.
fn together(body: Value) -> Vec<Value> {
    if body["kind"] == "position" { vec![good("camera"), body] } else { vec![body] }
}

const KINDS: &[&str] = &[
    "municipality",
    "organisation",
    "agreement",
    "ordinance",
    "decree",
    "area",
    "extension",
    "revocation",
    "consultation",
    "period",
    "extra_window",
    "signage",
    "camera",
    "position",
    "mask",
    "person",
    "authorisation",
    "shift",
    "instruction",
];

#[test]
fn nothing_is_said_about_a_good_fact() {
    let mut facts = facts();
    let FactBody::Decree(decree) = &mut facts.iter_mut().find(|f| &*f.reference().id == "D1").unwrap().body
    else {
        panic!("a decree")
    };
    decree.valid_until = at("2030-01-01T00:00:00Z");
    for kind in KINDS {
        let findings = look(&facts, &together(good(kind)), Some(at(NOW)));
        assert_eq!(findings, [], "{kind}");
    }
    let all: Vec<Value> = KINDS.iter().filter(|kind| **kind != "revocation").map(|kind| good(kind)).collect();
    assert_eq!(look(&facts, &all, Some(at(NOW))), [], "together, in any order");
}

#[test]
fn what_is_wrong_is_refused_with_the_attribute() {
    let polygon = |points: Value| json!({"polygons": [[points]]});
    let week = |days: &[&str], start: &str, end: &str| json!([window("L9", days, start, end)]);
    #[rustfmt::skip]
    let wrong = [
        ("municipality", json!({"id": " "}), "id"),
        ("municipality", json!({"name": ""}), "name"),
        ("organisation", json!({"id": "vrt", "type": "police"}), "type"),
        ("agreement", json!({"valid_until": "2026-07-01T00:00:00Z"}), "valid_until"),
        ("agreement", json!({"parties": ["vrt", "nobody"]}), "parties"),
        ("agreement", json!({"parties": ["guard", "vrt"]}), "parties"),
        ("agreement", json!({"parties": ["vrt"]}), "parties"),
        ("agreement", json!({"type": "processor"}), "parties"),
        ("agreement", json!({"type": "service_municipalities", "parties": ["vrt"]}), "parties"),
        ("agreement", json!({"type": "cooperation", "parties": ["vrt", "politie"]}), "parties"),
        ("agreement", json!({"parent": null}), "parent"),
        ("agreement", json!({"parent": "G2"}), "parent"),
        ("agreement", json!({"valid_from": "2025-01-01T00:00:00Z"}), "valid_until"),
        ("agreement", json!({"valid_until": null}), "valid_until"),
        ("agreement", json!({"valid_until": "2031-01-01T00:00:00.000000001Z"}), "valid_until"),
        ("agreement", json!({"checklist": ["instruction"]}), "checklist"),
        ("ordinance", json!({"municipality": "borne"}), "municipality"),
        ("ordinance", json!({"provision": " "}), "provision"),
        ("ordinance", json!({"in_force_until": "2026-07-01T00:00:00Z"}), "in_force_until"),
        ("ordinance", json!({"max_duration_months": 0}), "max_duration_months"),
        ("decree", json!({"municipality": "borne"}), "municipality"),
        ("decree", json!({"decided_by": "college"}), "decided_by"),
        ("decree", json!({"valid_until": "2026-07-01T00:00:00Z"}), "valid_until"),
        ("decree", json!({"ordinance": "O2", "valid_until": "2052-07-01T00:00:00Z"}), "valid_until"),
        ("decree", json!({"valid_until": "2031-07-01T00:00:00.000000001Z"}), "valid_until"),
        ("decree", json!({"published_at": null}), "published_at"),
        ("decree", json!({"published_at": "2026-06-15T12:00:01Z"}), "published_at"),
        ("decree", json!({"valid_from": "2026-06-13T23:59:59Z"}), "valid_from"),
        ("decree", json!({"signed_at": "2026-06-14T00:00:01Z"}), "signed_at"),
        ("decree", json!({"retention_days": 29}), "retention_days"),
        ("decree", json!({"retention_days": 0}), "retention_days"),
        ("decree", json!({"ordinance": "O7"}), "ordinance"),
        ("decree", json!({"valid_from": "2031-01-01T00:00:00Z", "valid_until": "2031-02-01T00:00:00Z"}), "ordinance"),
        ("decree", json!({"id": "D1", "municipality": "borne"}), "municipality"),
        ("area", json!({"name": ""}), "name"),
        ("area", json!({"polygons": []}), "polygons"),
        ("area", json!({"polygons": [[]]}), "polygons"),
        ("area", polygon(json!([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]])), "polygons"),
        ("area", polygon(json!([[0.0, 0.0], [1.0, 0.0], [1.0, 91.0]])), "polygons"),
        ("area", polygon(json!([[0.0, 0.0], [181.0, 0.0], [1.0, 1.0]])), "polygons"),
        ("area", json!({"decree": "D7"}), "decree"),
        ("area", json!({"place_kind": "garden"}), "place_kind"),
        ("area", json!({"id": "AR1", "decree": "D9"}), "decree"),
        ("extension", json!({"decree": "D7"}), "decree"),
        ("extension", json!({"number": 2}), "number"),
        ("extension", json!({"valid_until": "2031-01-01T00:00:00.000000001Z"}), "valid_until"),
        ("extension", json!({"valid_until": "2030-01-01T00:00:00Z"}), "valid_until"),
        ("extension", json!({"published_at": null}), "published_at"),
        ("extension", json!({"published_at": "2026-06-15T12:00:01Z"}), "published_at"),
        ("revocation", json!({"decree": "D7"}), "decree"),
        ("consultation", json!({"municipality": "borne"}), "municipality"),
        ("consultation", json!({"held_at": "2026-06-15T12:00:01Z"}), "held_at"),
        ("consultation", json!({"mode": "pigeon"}), "mode"),
        ("period", json!({"effective_until": "2026-07-01T00:00:00Z"}), "effective_until"),
        ("period", json!({"effective_from": "2026-06-15T11:59:59Z"}), "effective_from"),
        ("period", json!({"use": {"mode": "weekly", "windows": []}}), "use"),
        ("period", json!({"live": week(&[], "21:00", "06:00")}), "days"),
        ("period", json!({"live": [window("U9", &["sat"], "21:00", "06:00")]}), "id"),
        ("period", json!({"live": week(&["sun"], "21:00", "06:00")}), "live"),
        ("period", json!({"live": week(&["sat"], "21:00", "07:01")}), "live"),
        ("period", json!({"decree": "D7"}), "decree"),
        ("period", json!({"effective_until": "2030-01-01T00:00:00.000000001Z"}), "effective_until"),
        ("period", json!({"effective_from": "2029-12-31T00:00:00Z", "effective_until": "2030-02-01T00:00:00Z"}), "effective_until"),
        ("period", json!({"consultation": null}), "consultation"),
        ("period", json!({"consultation": "C7"}), "consultation"),
        ("period", json!({"id": "PE1", "decree": "D9"}), "decree"),
        ("extra_window", json!({"until": NOW}), "until"),
        ("extra_window", json!({"from": "2026-06-15T11:59:59Z"}), "from"),
        ("extra_window", json!({"ordered_by": "room"}), "ordered_by"),
        ("extra_window", json!({"ordered_at": null}), "ordered_at"),
        ("extra_window", json!({"ordered_at": "2026-06-15T12:00:01Z"}), "ordered_at"),
        ("extra_window", json!({"written_confirmation_at": "2026-06-15T12:00:01Z"}), "written_confirmation_at"),
        ("extra_window", json!({"written_confirmation_at": "2026-06-15T11:59:00Z"}), "written_confirmation_at"),
        ("extra_window", json!({"ground": ""}), "ground"),
        ("extra_window", json!({"type": "event", "from": "2026-06-15T11:59:59Z"}), "from"),
        ("extra_window", json!({"decree": "D7"}), "decree"),
        ("extra_window", json!({"area": "AR7"}), "area"),
        ("extra_window", json!({"consultation": null}), "consultation"),
        ("signage", json!({"area": "AR7"}), "area"),
        ("signage", json!({"location": null}), "location"),
        ("signage", json!({"location": " "}), "location"),
        ("signage", json!({"placed_at": "2026-06-15T12:00:01Z"}), "placed_at"),
        ("signage", json!({"checked_at": "2026-06-15T12:00:01Z"}), "checked_at"),
        ("signage", json!({"checked_at": "2026-05-01T00:00:00Z"}), "placed_at"),
        ("signage", json!({"removed_at": "2026-05-01T00:00:00Z"}), "placed_at"),
        ("signage", json!({"placed_at": null, "removed_at": "2026-05-01T00:00:00Z"}), "placed_at"),
        ("camera", json!({"municipality": "borne"}), "municipality"),
        ("camera", json!({"name": ""}), "name"),
        ("camera", json!({"number": 1}), "number"),
        ("position", json!({"camera": "CAM7"}), "camera"),
        ("position", json!({"until": "2026-06-01T00:00:00Z"}), "until"),
        ("position", json!({"point": [0.5, 90.5]}), "point"),
        ("position", json!({"point": [180.5, 0.5]}), "point"),
        ("position", json!({"camera": "CAM1"}), "from"),
        ("position", json!({"id": "P1"}), "camera"),
        ("mask", json!({"position": "P7"}), "position"),
        ("mask", json!({"verified_at": "2026-06-15T12:00:01Z"}), "verified_at"),
        ("mask", json!({"verified_by": null}), "verified_by"),
        ("mask", json!({"verified_at": null}), "verified_by"),
        ("mask", json!({"verified_by": "observer"}), "verified_by"),
        ("mask", json!({"verified_at": "2025-12-31T23:59:59Z"}), "verified_by"),
        ("person", json!({"name": ""}), "name"),
        ("person", json!({"organisation": "nobody"}), "organisation"),
        ("person", json!({"secrecy_signed_at": "2026-06-15T12:00:01Z"}), "secrecy_signed_at"),
        ("authorisation", json!({"until": "2026-07-01T00:00:00Z"}), "until"),
        ("authorisation", json!({"person": "nobody"}), "person"),
        ("authorisation", json!({"role": "system"}), "role"),
        ("authorisation", json!({"municipalities": []}), "municipalities"),
        ("authorisation", json!({"municipalities": ["borne"]}), "municipalities"),
        ("authorisation", json!({"document_ref": null}), "document_ref"),
        ("authorisation", json!({"granted_by": "detective"}), "granted_by"),
        ("authorisation", json!({"role": "observer"}), "role"),
        ("authorisation", json!({"role": "auditor"}), "role"),
        ("authorisation", json!({"id": "A-police"}), "person"),
        ("authorisation", json!({"person": "clerk", "role": "municipal_officer", "municipalities": ["almelo", "almelo"]}), "municipalities"),
        ("authorisation", json!({"id": "A-detective", "role": "police_operator"}), "person"),
        ("shift", json!({"until": "2026-06-20T18:00:00Z"}), "until"),
        ("shift", json!({"person": "nobody"}), "person"),
        ("instruction", json!({"until": NOW}), "until"),
        ("instruction", json!({"cameras": []}), "cameras"),
        ("instruction", json!({"cameras": ["CAM7"]}), "cameras"),
        ("instruction", json!({"entered_by": "detective"}), "entered_by"),
        ("instruction", json!({"entered_by": "nobody"}), "entered_by"),
    ];
    let mut facts = facts();
    // So that an extension has room.
    let FactBody::Decree(decree) = &mut facts.iter_mut().find(|f| &*f.reference().id == "D1").unwrap().body
    else {
        panic!("a decree")
    };
    decree.valid_until = at("2030-01-01T00:00:00Z");
    for (kind, changes, field) in wrong {
        let findings = look(&facts, &together(but(kind, changes.clone())), Some(at(NOW)));
        assert!(!acceptable(&findings), "{kind} {changes} is accepted");
        let objections: Vec<_> =
            findings.iter().filter(|f| f.severity == Severity::Objection).map(|f| f.field).collect();
        assert!(objections.contains(&field), "{kind} {changes}: {objections:?}");
        assert!(findings.iter().all(|f| !f.nl.is_empty() && !f.en.is_empty() && !f.source.is_empty()));
        assert!(findings[0].to_string().contains(findings[0].field));
    }
}

#[test]
fn what_merely_touches_does_not_clash() {
    let mut facts = facts();
    facts.push(fact(json!({"kind": "person", "id": "clerk", "name": "c", "organisation": "gemeente",
        "secrecy_signed_at": crate::common::FROM})));
    facts.push(fact(json!({"kind": "person", "id": "checker", "name": "c", "organisation": "politie",
        "secrecy_signed_at": crate::common::FROM})));
    facts.push(fact(
        json!({"kind": "authorisation", "id": "A-checker", "person": "checker", "role": "investigator",
        "municipalities": ["almelo"], "from": "2026-08-01T00:00:00Z", "until": "2026-09-01T00:00:00Z"}),
    ));
    let auditor = |from: &str, until: &str| {
        let changes = json!({"person": "checker", "role": "auditor", "from": from, "until": until});
        acceptable(&look(&facts, &[but("authorisation", changes)], Some(at(NOW))))
    };
    assert!(auditor("2026-07-01T00:00:00Z", "2026-08-01T00:00:00Z"));
    assert!(auditor("2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z"));
    assert!(!auditor("2026-07-01T00:00:00Z", "2026-08-01T00:00:01Z"));
    assert!(!auditor("2026-08-31T23:59:59Z", "2026-10-01T00:00:00Z"));
    let officer = but("authorisation", json!({"person": "clerk", "role": "municipal_officer"}));
    assert_eq!(look(&facts, &[officer], Some(at(NOW))), [], "of one municipality");
    // A new version of the same authorisation may end it earlier.
    let ended = but("authorisation", json!({"id": "A-checker", "person": "checker", "role": "investigator"}));
    assert!(acceptable(&look(&facts, &[ended], Some(at(NOW)))));
}

#[test]
fn what_is_remarkable_is_said_and_accepted() {
    #[rustfmt::skip]
    let remarkable = [
        ("agreement", json!({"controller_consent_ref": null}), "controller_consent_ref"),
        ("agreement", json!({"checklist": ["audit"]}), "checklist"),
        ("ordinance", json!({"grants_power": false}), "grants_power"),
        ("decree", json!({"decided_by": "mayor_mandated"}), "capacity"),
        ("decree", json!({"publication_ref": null}), "publication_ref"),
        ("decree", json!({"necessity": null}), "necessity"),
        ("decree", json!({"live_outside_window": "free"}), "live_outside_window"),
        ("decree", json!({"review_at": null}), "review_at"),
        ("decree", json!({"review_at": "2027-07-01T00:00:01Z"}), "review_at"),
        ("decree", json!({"valid_from": "2030-07-01T00:00:00Z", "valid_until": "2031-01-01T00:00:01Z", "review_at": "2030-09-01T00:00:00Z"}), "valid_until"),
        ("area", json!({"reasoning": null}), "reasoning"),
        ("area", json!({"id": "AR1"}), "polygons"),
        ("extension", json!({"evaluation_ref": null}), "evaluation_ref"),
        ("revocation", json!({"revoked_from": "2026-06-15T11:59:59Z"}), "revoked_from"),
        ("revocation", json!({"revoked_from": "2030-01-01T00:00:00Z"}), "revoked_from"),
        ("revocation", json!({"reason": null}), "reason"),
        ("consultation", json!({"outcome": null}), "outcome"),
        ("period", json!({"use": {"mode": "continuous"}}), "motivation"),
        ("extra_window", json!({"type": "event", "from": NOW, "ground": null}), "ground"),
        ("signage", json!({"placed_at": null}), "placed_at"),
        ("camera", json!({"audio": true}), "audio"),
        ("position", json!({"point": [5.0, 0.5]}), "point"),
        ("mask", json!({"verified_at": null, "verified_by": null}), "verified_at"),
        ("person", json!({"secrecy_signed_at": null}), "secrecy_signed_at"),
        ("person", json!({"wpbr_permission_until": null}), "wpbr_permission_until"),
        ("shift", json!({"until": "2026-06-21T06:00:01Z"}), "until"),
        ("shift", json!({"person": "observer"}), "from"),
    ];
    let mut facts = facts();
    let FactBody::Decree(decree) = &mut facts.iter_mut().find(|f| &*f.reference().id == "D1").unwrap().body
    else {
        panic!("a decree")
    };
    decree.valid_until = at("2030-01-01T00:00:00Z");
    for (kind, changes, field) in remarkable {
        let findings = look(&facts, &together(but(kind, changes.clone())), Some(at(NOW)));
        assert!(acceptable(&findings), "{kind} {changes}: {findings:?}");
        let fields: Vec<_> = findings.iter().map(|finding| finding.field).collect();
        assert_eq!(fields, [field], "{kind} {changes}");
    }
}

#[test]
fn history_binds_what_follows() {
    let mut facts = facts();
    facts.push(fact(
        json!({"kind": "revocation", "decree": "D1", "revoked_from": "2026-06-10T00:00:00Z", "reason": "r"}),
    ));
    facts.push(fact(
        json!({"kind": "person", "id": "old", "name": "o", "organisation": "guard", "personnel_no": "7"}),
    ));
    let refused = |body: Value, field: &str| {
        let findings = look(&facts, &[body], Some(at(NOW)));
        assert!(
            findings.iter().any(|f| f.severity == Severity::Objection && f.field == field),
            "{findings:?}"
        );
    };
    // A revocation that works is not undone; a new decree is taken.
    refused(but("revocation", json!({"revoked_from": "2026-07-01T00:00:00Z"})), "revoked_from");
    refused(but("extension", json!({"valid_until": "2032-01-01T00:00:00Z"})), "decree");
    refused(good("period"), "effective_until");
    refused(good("person"), "personnel_no");
    assert!(acceptable(&look(
        &facts,
        &[but("revocation", json!({"revoked_from": "2026-06-09T00:00:00Z"}))],
        Some(at(NOW))
    )));
    // A late extension leaves a gap, and says which.
    let mut facts = self::facts();
    let FactBody::Decree(decree) = &mut facts.iter_mut().find(|f| &*f.reference().id == "D1").unwrap().body
    else {
        panic!("a decree")
    };
    decree.valid_until = at("2026-06-13T00:00:00Z");
    let findings = look(&facts, &[good("extension")], Some(at(NOW)));
    assert!(acceptable(&findings));
    assert!(findings[0].en.contains("2026-06-13") && findings[0].en.contains("2026-06-14"), "{findings:?}");
}

#[test]
fn at_the_first_start_the_past_is_recorded_as_it_was() {
    let facts: Vec<Fact> = Vec::new();
    let bodies: Vec<Value> =
        self::facts().iter().map(|fact| serde_json::to_value(&fact.body).unwrap()).collect();
    let findings = look(&facts, &bodies, None);
    let late: Vec<_> = findings.iter().filter(|f| f.source == "Awb 3:40").collect();
    assert!(late.is_empty(), "{late:?}");
}

#[test]
fn a_new_version_of_a_good_fact_is_a_good_fact() {
    let mut facts = facts();
    let FactBody::Decree(decree) = &mut facts.iter_mut().find(|f| &*f.reference().id == "D1").unwrap().body
    else {
        panic!("a decree")
    };
    decree.valid_until = at("2030-01-01T00:00:00Z");
    let all: Vec<Value> = KINDS.iter().map(|kind| good(kind)).collect();
    let known = crate::common::FROM;
    facts.extend(all.iter().filter(|body| body["kind"] != "revocation").map(|body| {
        let mut fact = fact(body.clone());
        fact.known_from = at(known);
        fact
    }));
    for kind in KINDS.iter().filter(|kind| **kind != "revocation") {
        let findings = look(&facts, &[good(kind)], Some(at(NOW)));
        let fields: Vec<_> = findings.iter().map(|finding| (finding.severity, finding.field)).collect();
        // Only that the mayor's letter is still to come.
        let waits = [(Severity::Remark, "written_confirmation_at")];
        assert_eq!(fields, if *kind == "extra_window" { &waits[..] } else { &[] }, "{kind}");
    }
    // What binds two versions to one thing.
    for (kind, changes, field) in [
        ("camera", json!({"municipality": "borne"}), "municipality"),
        ("mask", json!({"position": "P9"}), "position"),
        ("period", json!({"decree": "D9"}), "decree"),
        ("area", json!({"decree": "D9"}), "decree"),
        ("decree", json!({"municipality": "borne"}), "municipality"),
        ("authorisation", json!({"person": "police"}), "person"),
        ("authorisation", json!({"role": "police_operator"}), "person"),
    ] {
        let findings = look(&facts, &[but(kind, changes.clone())], Some(at(NOW)));
        let objected = findings.iter().any(|f| f.severity == Severity::Objection && f.field == field);
        assert!(objected, "{kind} {changes}: {findings:?}");
    }
    // The second extension counts on from the first, whatever other decrees have.
    let second = |changes: Value| {
        let mut body = but("extension", json!({"number": 2, "valid_until": "2031-01-01T00:00:00Z"}));
        for (field, value) in changes.as_object().unwrap() {
            body[field] = value.clone();
        }
        body
    };
    let FactBody::Extension(first) =
        &mut facts.iter_mut().find(|f| &*f.reference().id == "D1/1").unwrap().body
    else {
        panic!("an extension")
    };
    first.valid_until = at("2030-06-01T00:00:00Z");
    facts.push(fact(json!({"kind": "extension", "decree": "D9", "number": 1, "published_at": known,
        "valid_until": "2031-06-01T00:00:00Z"})));
    facts.push(fact(json!({"kind": "revocation", "decree": "D9", "revoked_from": "2027-01-01T00:00:00Z"})));
    let accepted = |body: Value| acceptable(&look(&facts, &[body], Some(at(NOW))));
    assert!(accepted(second(json!({}))));
    assert!(!accepted(second(json!({"number": 3}))));
    assert!(!accepted(second(json!({"number": 1, "valid_until": "2030-01-01T00:00:00Z"}))));
    assert!(!accepted(second(json!({"valid_until": "2030-06-01T00:00:00Z"}))), "not later than the first");
    assert!(
        !accepted(second(json!({"decree": "D9", "valid_until": "2031-07-01T00:00:00Z"}))),
        "that one was revoked"
    );
    let service = json!({"type": "service_municipalities", "parties": ["gemeente", "vrt"]});
    assert!(accepted(but("agreement", service)));
    let mixed = json!({"type": "service_municipalities", "parties": ["gemeente", "guard", "vrt"]});
    assert!(!accepted(but("agreement", mixed)));
    let company = json!({"type": "service_security", "parties": ["vrt", "guard"]});
    assert!(accepted(but("agreement", company)));
    let findings = look(&facts, &[but("agreement", json!({"checklist": ["audits"]}))], Some(at(NOW)));
    assert!(findings[0].en.contains("subprocessors"), "the list is named: {}", findings[0].en);
}

#[test]
fn an_ordinance_carries_its_own_decrees_only() {
    let mut facts = facts();
    facts.push(fact(json!({"kind": "municipality", "id": "borne", "name": "Borne"})));
    for (id, municipality, power, from, until) in [
        ("O3", "borne", true, "2026-01-01T00:00:00Z", "2030-01-01T00:00:00Z"),
        ("O4", "almelo", false, "2026-01-01T00:00:00Z", "2030-01-01T00:00:00Z"),
        ("O5", "almelo", true, "2026-07-01T00:00:01Z", "2030-01-01T00:00:00Z"),
        ("O6", "almelo", true, "2026-01-01T00:00:00Z", "2026-07-01T00:00:00Z"),
        ("O7", "almelo", true, "2026-07-01T00:00:00Z", "2027-07-01T00:00:00Z"),
    ] {
        facts.push(fact(
            json!({"kind": "ordinance", "id": id, "municipality": municipality, "provision": "p",
            "grants_power": power, "in_force_from": from, "in_force_until": until}),
        ));
    }
    for id in ["O3", "O4", "O5", "O6"] {
        let findings = look(&facts, &[but("decree", json!({"ordinance": id}))], Some(at(NOW)));
        assert!(findings.iter().any(|f| f.severity == Severity::Objection && f.field == "ordinance"), "{id}");
    }
    assert_eq!(
        look(&facts, &[but("decree", json!({"ordinance": "O7"}))], Some(at(NOW))),
        [],
        "to the instant"
    );
    let review = |at_: &str| {
        let findings = look(&facts, &[but("decree", json!({"review_at": at_}))], Some(at(NOW)));
        findings.iter().any(|f| f.field == "review_at")
    };
    assert!(review("2026-07-01T00:00:00Z"), "a review as it starts reviews nothing");
    assert!(!review("2027-07-01T00:00:00Z"));
    assert!(review("2027-07-01T00:00:01Z"));
    let long = json!({"ordinance": "O2", "valid_until": "2046-07-01T00:00:00Z"});
    assert!(
        acceptable(&look(&facts, &[but("decree", long)], Some(at(NOW)))),
        "twenty years is long, not endless"
    );
}

/// The mayor's letter comes the next morning, when the night is over and the decree may be revoked (GW-20).
#[test]
fn the_written_confirmation_may_come_after_the_window() {
    let mut facts = facts();
    let window = |confirmed: Option<&str>, until: &str| {
        but(
            "extra_window",
            json!({"from": "2026-06-14T20:00:00Z", "until": until, "ordered_at": "2026-06-14T19:50:00Z",
                "written_confirmation_at": confirmed}),
        )
    };
    let over = "2026-06-15T02:00:00Z";
    facts.push(fact(window(None, over)));
    facts.push(fact(json!({"kind": "revocation", "decree": "D1", "revoked_from": "2026-06-15T01:00:00Z"})));
    let confirmed = |at_: &str, until: &str| look(&facts, &[window(Some(at_), until)], Some(at(NOW)));
    assert_eq!(confirmed("2026-06-15T09:00:00Z", over), []);
    assert!(!acceptable(&confirmed("2026-06-15T12:00:01Z", over)), "not before it was written");
    assert!(
        !acceptable(&confirmed("2026-06-15T09:00:00Z", "2026-06-16T02:00:00Z")),
        "and nothing else with it"
    );
}

#[test]
fn a_new_version_may_leave_a_start_that_has_passed() {
    let mut facts = facts();
    facts.push(fact(
        json!({"kind": "extra_window", "id": "X1", "decree": "D1", "area": "AR1", "type": "event",
        "from": "2026-06-15T10:00:00Z", "until": "2026-06-16T10:00:00Z", "ordered_by": "mayor",
        "consultation": "C1", "ground": "g"}),
    ));
    let running =
        |kind: &str, changes: Value| acceptable(&look(&facts, &[but(kind, changes)], Some(at(NOW))));
    let period = |from: &str| json!({"id": "PE1", "effective_from": from, "live": []});
    assert!(running("period", period(crate::common::FROM)), "other windows from now on, the same period");
    assert!(!running("period", period("2026-01-02T00:00:00Z")), "but not another start in the past");
    let event = |from: &str| json!({"id": "X1", "type": "event", "from": from});
    assert!(running("extra_window", event("2026-06-15T10:00:00Z")));
    assert!(!running("extra_window", event("2026-06-15T11:00:00Z")));
    // The consultation of another municipality, or after the start, is none.
    let mut elsewhere = facts.clone();
    elsewhere.push(fact(json!({"kind": "municipality", "id": "borne", "name": "Borne"})));
    for (municipality, held_at, accepted) in [
        ("borne", "2026-06-01T00:00:00Z", false),
        ("almelo", "2026-06-14T00:00:00Z", true),
        ("almelo", "2026-07-01T00:00:01Z", false),
    ] {
        let mut facts = elsewhere.clone();
        facts.push(fact(
            json!({"kind": "consultation", "id": "C8", "municipality": municipality, "held_at": held_at}),
        ));
        let body = but("period", json!({"consultation": "C8"}));
        assert_eq!(acceptable(&look(&facts, &[body], Some(at(NOW)))), accepted, "{municipality} {held_at}");
    }
}
