//! What a decision rests on, and what it names when that is missing: every fact of a range over several decrees, any complete
//! chain of agreements, the link that ended last.

use crate::common::{EVERY_DAY, FROM, UNTIL, ask, at, fact, period, watch, window, without_period};
use chrono::TimeDelta;
use mandate::{
    Action, Fact, FactBody, FactKind, Object, Purpose, ReasonCode, Register, Request, Role, Statement, decide,
};
use serde_json::json;

/// A short replay over the instant at which one decree follows another, asked when the first has been corrected: everything
/// that it rests on is named.
#[test]
fn a_replay_across_two_decrees_names_every_fact() {
    let turn = "2026-06-13T22:00:00Z";
    let mut facts = without_period();
    for fact in &mut facts {
        if let FactBody::Decree(decree) = &mut fact.body {
            decree.valid_until = at(turn);
        }
    }
    facts.push(period("PE1", json!([window("L1", EVERY_DAY, "00:00", "00:00")]), "never"));
    for body in [
        json!({"kind": "ordinance", "id": "O2", "municipality": "almelo", "provision": "new", "grants_power": true,
            "in_force_from": FROM}),
        json!({"kind": "decree", "id": "D2", "municipality": "almelo", "ordinance": "O2", "decided_by": "mayor",
            "published_at": FROM, "valid_from": FROM, "valid_until": turn,
            "retention_days": 28}),
        json!({"kind": "extension", "decree": "D2", "number": 1, "published_at": FROM,
            "valid_until": UNTIL}),
        json!({"kind": "area", "id": "AR2", "decree": "D2", "name": "centre",
            "polygons": [[[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]]]}),
        json!({"kind": "signage", "id": "S9", "area": "AR2", "location": "east", "placed_at": FROM}),
        json!({"kind": "consultation", "id": "C2", "municipality": "almelo", "held_at": FROM}),
        json!({"kind": "period", "id": "PE2", "decree": "D2", "consultation": "C2", "effective_from": turn,
            "use": {"mode": "weekly", "windows": [window("U2", EVERY_DAY, "00:00", "00:00")]},
            "live": [window("L2", EVERY_DAY, "00:00", "00:00")]}),
    ] {
        facts.push(fact(body));
    }
    let corrected: Vec<Fact> = facts
        .iter()
        .filter(|fact| matches!(fact.reference().kind, FactKind::Decree | FactKind::Area | FactKind::Camera))
        .map(|fact| Fact { known_from: at("2026-06-13T22:02:00Z"), version: 2, body: fact.body.clone() })
        .collect();
    facts.extend(corrected);
    let asked = at("2026-06-13T22:05:00Z");
    let register = Register::build(&facts, asked).unwrap();
    let object = Object::Footage {
        camera: "CAM1".into(),
        from: at("2026-06-13T21:55:00Z"),
        until: at("2026-06-13T22:05:00Z"),
    };
    let request = ask("observer", Action::Replay, object).for_incident("INC".into());
    let decision = decide(&register, &request, asked);
    let permit = decision.permit().unwrap();
    assert!(permit.is_complete());
    let named: Vec<String> =
        permit.basis().iter().map(|fact| format!("{} v{}", fact.id, fact.version)).collect();
    for fact in [
        "O1 v1",
        "D1 v1",
        "D1 v2",
        "AR1 v1",
        "AR1 v2",
        "C1 v1",
        "PE1 v1",
        "O2 v1",
        "D2 v1",
        "D2 v2",
        "D2/1 v1",
        "AR2 v1",
        "AR2 v2",
        "C2 v1",
        "PE2 v1",
        "U2 v1",
        "L2 v1",
        "CAM1 v1",
        "CAM1 v2",
        "P1 v1",
        "S9 v1",
        "H1 v1",
        "G1 v1",
        "G2 v1",
        "A-observer v1",
    ] {
        assert!(named.iter().any(|name| name == fact), "{fact} is missing in {named:?}");
    }
    assert!(permit.basis().len() > 24, "{named:?}");
}

/// What has no room is not passed over in silence.
#[test]
fn a_basis_without_room_says_so() {
    let mut facts = without_period();
    facts.push(period("PE1", json!([]), "never"));
    // The camera's record is corrected every minute of an hour.
    for minute in 0..60 {
        let mut corrected =
            fact(json!({"kind": "camera", "id": "CAM1", "municipality": "almelo", "number": 1,
            "name": format!("name {minute}")}));
        corrected.known_from = at("2026-06-13T12:00:00Z") + TimeDelta::minutes(minute);
        corrected.version = u32::try_from(minute).unwrap() + 2;
        facts.push(corrected);
    }
    let asked = at("2026-06-14T00:00:00Z");
    let register = Register::build(&facts, asked).unwrap();
    let replay = |until: &str| {
        let object =
            Object::Footage { camera: "CAM1".into(), from: at("2026-06-13T12:00:00Z"), until: at(until) };
        let said = Statement {
            purpose: Some(Purpose::Investigation),
            offence_ref: Some("Sr 141".to_owned()),
            ..Statement::default()
        };
        let decision = decide(&register, &ask("detective", Action::Replay, object).saying(said), asked);
        decision.permit().unwrap().is_complete()
    };
    assert!(replay("2026-06-13T12:05:00Z"));
    assert!(!replay("2026-06-13T13:00:00Z"));
}

/// Of two companies' agreements the one whose chain is complete carries, whichever comes first; where none does, the reason
/// names what is missing.
#[test]
fn any_complete_chain_of_agreements_carries_and_a_broken_one_is_named() {
    let base = || {
        let mut facts = without_period();
        facts.push(period("PE1", json!([window("L1", EVERY_DAY, "00:00", "00:00")]), "never"));
        facts.push(fact(json!({"kind": "organisation", "id": "other", "name": "o", "type": "processor"})));
        facts
    };
    let agreement =
        |id: &str, of: &str, parties: [&str; 2], from: &str, until: &str, consent: Option<&str>| {
            fact(json!({"kind": "agreement", "id": id, "type": of, "parties": parties, "valid_from": from,
            "valid_until": until, "controller_consent_ref": consent}))
        };
    let (from, until) = (FROM, UNTIL);
    let t = at("2026-06-13T12:00:00Z");
    let told = |facts: &[Fact]| {
        let register = Register::build(facts, t).unwrap();
        let decision = decide(&register, &watch("observer"), t);
        decision.denial().map(|denial| (denial.code, denial.fact.clone().map(|fact| fact.id.to_string())))
    };
    // The first in order leads to a processor without an agreement of its own.
    let mut facts = base();
    facts.push(agreement("G0", "subprocessor", ["other", "guard"], from, until, Some("c")));
    assert_eq!(told(&facts), None);
    // And one without consent does not stand in the way of one with it.
    facts.push(agreement("G1b", "subprocessor", ["vrt", "guard"], from, until, None));
    assert_eq!(told(&facts), None);
    let without = |kind: FactKind| {
        let mut facts = base();
        facts.retain(|fact| fact.reference().kind != kind);
        facts
    };
    let lapsed = |code| Some((code, Some("ended".to_owned())));
    let mut facts = without(FactKind::ProcessorAgreement);
    facts.push(agreement("early", "processor", ["politie", "vrt"], from, "2026-02-01T00:00:00Z", None));
    facts.push(agreement("ended", "processor", ["politie", "vrt"], from, "2026-06-01T00:00:00Z", None));
    facts.push(agreement("next", "processor", ["politie", "vrt"], "2026-07-01T00:00:00Z", until, None));
    assert_eq!(told(&facts), lapsed(ReasonCode::ProcessorAgreementLapsed));
    let mut facts = without(FactKind::SubprocessorAgreement);
    facts.push(agreement("ended", "subprocessor", ["vrt", "guard"], from, "2026-06-01T00:00:00Z", Some("c")));
    facts.push(agreement("next", "subprocessor", ["vrt", "guard"], "2026-07-01T00:00:00Z", until, Some("c")));
    assert_eq!(told(&facts), lapsed(ReasonCode::SubprocessorAgreementLapsed));
    facts.retain(|fact| &*fact.reference().id != "ended");
    let next = Some((ReasonCode::SubprocessorAgreementLapsed, Some("next".to_owned())));
    assert_eq!(told(&facts), next, "of what has not begun the one that starts next");
    facts.push(agreement(
        "after",
        "subprocessor",
        ["vrt", "guard"],
        "2026-08-01T00:00:00Z",
        until,
        Some("c"),
    ));
    facts.push(agreement(
        "yet later",
        "subprocessor",
        ["vrt", "guard"],
        "2026-09-01T00:00:00Z",
        until,
        Some("c"),
    ));
    assert_eq!(told(&facts), next, "whichever comes first");
    // Of several broken chains the one that gets furthest is told, the first of those.
    let mut facts = without(FactKind::SubprocessorAgreement);
    facts.push(agreement("a", "subprocessor", ["other", "guard"], from, until, Some("c")));
    facts.push(agreement("b", "subprocessor", ["vrt", "guard"], from, until, None));
    facts.push(agreement("c", "subprocessor", ["vrt", "guard"], from, until, None));
    assert_eq!(told(&facts), Some((ReasonCode::SubprocessorNotApproved, Some("b".to_owned()))));
    let shift = |id: &str, from: &str, until: &str| {
        fact(json!({"kind": "shift", "id": id, "person": "observer", "from": from, "until": until}))
    };
    let mut facts = without(FactKind::Shift);
    facts.push(shift("to come", "2026-06-13T20:00:00Z", "2026-06-14T04:00:00Z"));
    assert_eq!(told(&facts), Some((ReasonCode::NotOnShift, Some("to come".to_owned()))));
    facts.push(shift("ended", "2026-06-12T20:00:00Z", "2026-06-13T04:00:00Z"));
    facts.push(shift("long ago", "2026-06-11T20:00:00Z", "2026-06-12T04:00:00Z"));
    assert_eq!(told(&facts), lapsed(ReasonCode::NotOnShift));
}

/// Of two ordinances in force the one that a decree names decides how long it may be.
#[test]
fn a_decree_is_held_against_the_ordinance_it_names() {
    let mut facts = without_period();
    facts.extend([
        fact(json!({"kind": "ordinance", "id": "O2", "municipality": "almelo", "provision": "short",
            "grants_power": true, "in_force_from": FROM, "max_duration_months": 12})),
        fact(json!({"kind": "person", "id": "jurist", "name": "jurist", "organisation": "vrt",
            "secrecy_signed_at": FROM})),
        fact(json!({"kind": "authorisation", "id": "A-jurist", "person": "jurist", "role": "legal_admin",
            "municipalities": ["almelo"], "from": FROM, "until": UNTIL})),
    ]);
    let t = at("2026-06-13T12:00:00Z");
    let register = Register::build(&facts, t).unwrap();
    let told = |ordinance: Option<&str>| {
        let said = json!({"verified_by": "police", "proposal": {"ordinance": ordinance, "published_at": t,
            "valid_from": "2026-07-01T00:00:00Z", "valid_until": "2028-07-01T00:00:00Z"}});
        let statement: Statement = serde_json::from_value(said).unwrap();
        let request = Request::new(
            "jurist".into(),
            Role::LegalAdmin,
            Action::ConfigureDecree,
            Object::Municipality("almelo".into()),
        );
        decide(&register, &request.saying(statement), t).denial().map(|denial| denial.code)
    };
    let two_years_under = |ordinance| told(ordinance) != Some(ReasonCode::DecreeExceedsOrdinance);
    assert!(two_years_under(Some("O1")) && two_years_under(None), "{:?}", told(Some("O1")));
    assert!(!two_years_under(Some("O2")), "{:?}", told(Some("O2")));
    assert_eq!(told(Some("O3")), Some(ReasonCode::OrdinanceNotInForce));
    assert_ne!(told(Some("O1")), Some(ReasonCode::OrdinanceNotInForce));
}
