//! What an answer tells besides yes and no, and how the register keeps the newest version of what was known.

use crate::common::{at, fact, period, without_period};
use mandate::{
    Action, Decision, Fact, FactKind, Object, Register, Request, decide,
    judgement::{Verdict, judge},
};
use serde_json::json;

const NOW: &str = "2026-06-15T12:00:00Z";

fn facts() -> Vec<Fact> {
    let mut facts = without_period();
    facts.push(period("PE1", json!([]), "never"));
    facts
}

fn recorded(facts: &[Fact]) -> Decision {
    let register = Register::build(facts, at(NOW)).unwrap();
    decide(&register, &Request::by_system(Action::Record, Object::Camera("CAM1".into())), at(NOW))
}

#[test]
fn a_permit_names_its_facts_and_its_end_and_a_denial_its_fact_in_words() {
    let decision = recorded(&facts());
    let permit = decision.permit().unwrap();
    assert_eq!(permit.fact(FactKind::Decree).map(|fact| &*fact.id), Some("D1"));
    assert_eq!(permit.fact(FactKind::Shift), None);
    // The decree and the ordinance end then; nothing before changes the answer.
    assert_eq!(permit.until(), Some(at(crate::common::UNTIL)));
    let mut revoked = facts();
    revoked.push(fact(json!({"kind": "revocation", "decree": "D1", "revoked_from": NOW})));
    let decision = recorded(&revoked);
    let (nl, en) = decision.denial().unwrap().sentence();
    assert_eq!(nl, "Het aanwijzingsbesluit is ingetrokken. (D1)");
    assert_eq!(en, "The designation decree was revoked. (D1)");
    let nobody = Request::by_system(Action::LiveView, Object::None);
    let decision = decide(&Register::build(&facts(), at(NOW)).unwrap(), &nobody, at(NOW));
    let (nl, en) = decision.denial().unwrap().sentence();
    assert_eq!((nl.as_str(), en.as_str()), ("Uw rol mag dit niet.", "Your role may not do this."));
}

#[test]
fn the_newest_version_counts_whatever_comes_first() {
    let version = |version: u32, name: &str| Fact {
        version,
        ..fact(json!({"kind": "camera", "id": "CAM1", "municipality": "almelo", "number": 1, "name": name}))
    };
    let name = |versions: [Fact; 2]| {
        let mut facts = facts();
        facts.extend(versions);
        let register = Register::build(&facts, at(NOW)).unwrap();
        register.camera(&"CAM1".into()).unwrap().name.clone()
    };
    assert_eq!(name([version(2, "two"), version(3, "three")]), "three");
    assert_eq!(name([version(3, "three"), version(2, "two")]), "three");
    // The same version twice is one version; with another content it contradicts itself.
    assert_eq!(name([version(2, "two"), version(2, "two")]), "two");
    let mut twice = facts();
    twice.extend([version(2, "two"), version(2, "other")]);
    let error = Register::build(&twice, at(NOW)).unwrap_err().to_string();
    assert!(error.contains("CAM1") && error.contains("version 2"), "{error}");
}

/// A register that is read as it stood knows nothing of what was told later, also not about footage from later.
#[test]
fn what_is_told_later_is_not_in_the_register_as_it_stood() {
    let mut facts = facts();
    let revocation =
        fact(json!({"kind": "revocation", "decree": "D1", "revoked_from": "2026-06-18T00:00:00Z"}));
    facts.push(Fact { known_from: at("2026-06-17T00:00:00Z"), ..revocation });
    let lawful = |known_at: &str| {
        let register = Register::build(&facts, at(known_at)).unwrap();
        let judged = judge(&register, &"CAM1".into(), at("2026-06-19T00:00:00Z"), at("2026-06-19T01:00:00Z"));
        judged.iter().all(|piece| matches!(piece.verdict, Verdict::Lawful { .. }))
    };
    assert!(lawful(NOW));
    assert!(!lawful("2026-06-17T00:00:00Z"));
}

#[test]
fn the_register_lists_what_it_knows() {
    let mut two = facts();
    two.extend([
        fact(json!({"kind": "municipality", "id": "borne", "name": "Borne"})),
        fact(json!({"kind": "decree", "id": "D0", "municipality": "almelo", "ordinance": "O1",
            "decided_by": "mayor", "published_at": crate::common::FROM, "valid_from": crate::common::FROM,
            "valid_until": crate::common::UNTIL, "retention_days": 7})),
    ]);
    let register = Register::build(&two, at(NOW)).unwrap();
    let position = |when: &str| register.position_at(&"CAM1".into(), at(when)).map(|p| p.id.to_string());
    assert_eq!(position(NOW), Some("P1".to_owned()));
    assert_eq!(position("2025-12-31T23:59:59Z"), None);
    let decrees = |of: &str| register.decrees(&of.into()).map(|d| d.id.to_string()).collect::<Vec<_>>();
    assert_eq!(decrees("almelo"), ["D0", "D1"]);
    assert!(decrees("borne").is_empty());
    let mut ended = facts();
    ended.push(fact(
        json!({"kind": "extension", "decree": "D1", "number": 1, "published_at": crate::common::FROM,
        "valid_until": "2032-01-01T00:00:00Z"}),
    ));
    let register = Register::build(&ended, at(NOW)).unwrap();
    assert_eq!(register.decree_end(&"D1".into()), Some(at("2032-01-01T00:00:00Z")));
    assert_eq!(register.decree_end(&"D9".into()), None);
    assert_eq!(
        register.municipality_of_area(&"AR1".into()).map(mandate::MunicipalityId::as_str),
        Some("almelo")
    );
    assert_eq!(register.municipality_of_area(&"AR9".into()), None);
    assert_eq!(register.decree_of(&"CAM1".into(), at(NOW)).map(|d| d.id.to_string()), Some("D1".to_owned()));
    assert_eq!(
        register.decree_of(&"CAM1".into(), at("2025-12-31T23:59:59Z")).map(|d| d.id.to_string()),
        None
    );
}
