//! What comes from outside never panics: arbitrary JSON and TOML as facts, requests, statements and scenario tables, and
//! instants at the edges of what can be written.

use crate::common::{EVERY_DAY, at, fact, period, watch, window, without_period};
use chrono::{DateTime, TimeDelta, Utc};
use mandate::{
    Actor, Fact, FactBody, Object, ROLE_MATRIX, Register, Request, Role, Statement, decide, endings, entry,
    footage_pieces, judgement, open_intervals, outlook, scenarios,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Any JSON, with the words of the trade in it.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            "mayor",
            "enschede",
            "weekly",
            "continuous",
            "sat",
            "24:00",
            "02:30",
            "active",
            "public_place",
            "observer",
            "investigation",
            "Wpg 19",
            "2026-06-13T22:30:00+02:00",
            "9999-12-31T23:59:59.999999999Z",
            "0000-01-01T00:00:00Z",
            "+262142-12-31T23:59:59.999999999Z",
            "-262143-01-01T00:00:00Z",
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-z_]{1,12}", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// The places in a document.
fn places(value: &Value, here: &str, all: &mut Vec<String>) {
    all.push(here.to_owned());
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, v)| places(v, &format!("{here}/{key}"), all)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, v)| places(v, &format!("{here}/{n}"), all));
        }
        _ => {}
    }
}

/// The document with one place replaced.
fn replaced(mut document: Value, place: prop::sample::Index, with: Value) -> Value {
    let mut all = Vec::new();
    places(&document, "", &mut all);
    if let Some(value) = document.pointer_mut(&all[place.index(all.len())]) {
        *value = with;
    }
    document
}

/// Everything that can be asked of a register is asked.
fn interrogate(facts: &[Fact], statement: &Statement, at: DateTime<Utc>) {
    let Ok(register) = Register::build(facts, at) else { return };
    let frame = Object::Footage { camera: "CAM1".into(), from: at, until: at };
    for (action, roles) in ROLE_MATRIX {
        for role in roles.iter().chain(&[Role::None]) {
            let actor = match role {
                Role::System => Actor::System,
                role => Actor::Person { person: "observer".into(), role: *role },
            };
            for object in [
                Object::None,
                Object::Municipality("almelo".into()),
                Object::Camera("CAM1".into()),
                frame.clone(),
            ] {
                let request = Request {
                    actor: actor.clone(),
                    action: *action,
                    object,
                    resolved: mandate::Resolved::default(),
                    statement: Some(Box::new(statement.clone())),
                };
                let decision = decide(&register, &request, at);
                assert!(decision.until().is_none_or(|until| until > at));
            }
        }
    }
    let until = at.checked_add_signed(TimeDelta::days(2)).unwrap_or(at);
    let request = watch("observer");
    let _ = open_intervals(&register, &request, at, until);
    let _ = footage_pieces(&register, &request, at);
    let _ = judgement::judge(&register, &"CAM1".into(), at, until);
    let _ = endings::endings(&register, at, until);
    let _ = endings::unconfirmed(&register, at);
    let _ = outlook::compare(&register, &register, at, until);
    let bodies: Vec<FactBody> = facts.iter().map(|fact| fact.body.clone()).collect();
    let _ = entry::check(&register, facts, &bodies, Some(at));
    let _ = entry::check(&register, facts, &bodies, None);
}

fn world() -> Vec<Fact> {
    let mut facts = without_period();
    facts.push(period("PE1", json!([window("L1", EVERY_DAY, "21:00", "06:00")]), "free"));
    facts.push(fact(
        json!({"kind": "extension", "decree": "D1", "number": 1, "published_at": crate::common::FROM,
        "valid_until": "2032-01-01T00:00:00Z"}),
    ));
    facts.push(fact(json!({"kind": "revocation", "decree": "D1", "revoked_from": "2031-06-01T00:00:00Z"})));
    facts.push(fact(json!({"kind": "extra_window", "id": "X1", "decree": "D1", "type": "emergency",
        "from": crate::common::FROM, "until": crate::common::UNTIL, "ordered_by": "mayor", "consultation": "C1"})));
    facts.push(fact(
        json!({"kind": "instruction", "id": "I1", "cameras": ["CAM1"], "from": crate::common::FROM,
        "until": crate::common::UNTIL, "entered_by": "police"}),
    ));
    facts
}

fn instants() -> impl Strategy<Value = DateTime<Utc>> {
    prop_oneof![
        Just(DateTime::<Utc>::MIN_UTC),
        Just(DateTime::<Utc>::MAX_UTC),
        Just(at("9999-12-31T23:59:59.999999999Z")),
        Just(at("0000-01-01T00:00:00Z")),
        (0_i64..50_000).prop_map(|hours| at("2025-12-01T00:00:00Z") + TimeDelta::hours(hours)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_table_of_anything_never_panics(place in any::<prop::sample::Index>(), with in any_json(), junk in any_json()) {
        // A small table, so that much of it is hit.
        let table: Value = serde_json::from_str(include_str!("scenarios.json")).unwrap();
        let scenarios = table["scenarios"].as_array().unwrap();
        let few: Vec<Value> = (0..6).map(|n| scenarios[(place.index(997) * 7 + n * 53) % scenarios.len()].clone()).collect();
        let table = json!({"fixtures": table["fixtures"], "scenarios": few});
        if let Ok(report) = scenarios::check(&replaced(table, place, with).to_string()) {
            prop_assert!(report.outcomes.iter().all(|outcome| !outcome.to_string().is_empty()));
        }
        let _ = scenarios::check(&junk.to_string());
    }

    #[test]
    fn a_fact_of_anything_never_panics(which in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), with in any_json(), t in instants()) {
        let mut facts = world();
        let index = which.index(facts.len());
        let body = replaced(serde_json::to_value(&facts[index].body).unwrap(), place, with);
        // What cannot be read is refused with words; what can be read is decided about.
        match serde_json::from_value::<FactBody>(body) {
            Ok(body) => {
                facts[index].body = body;
                interrogate(&facts, &Statement::default(), t);
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn instants_at_the_edge_never_panic(which in any::<prop::sample::Index>(), edge in instants(), t in instants()) {
        let mut facts = world();
        let index = which.index(facts.len());
        let mut body = serde_json::to_value(&facts[index].body).unwrap();
        for value in body.as_object_mut().unwrap().values_mut() {
            if value.as_str().is_some_and(|text| text.contains("T00:00:00Z")) {
                *value = serde_json::to_value(edge).unwrap();
            }
        }
        if let Ok(body) = serde_json::from_value::<FactBody>(body) {
            facts[index].body = body;
        }
        facts[index].known_from = edge;
        interrogate(&facts, &Statement::default(), t);
    }

    #[test]
    fn a_statement_of_anything_never_panics(place in any::<prop::sample::Index>(), with in any_json(), t in instants()) {
        let said = json!({"purpose": "investigation", "offence_ref": "x", "case_number": "y", "reason": "z",
            "recipient_kind": "private", "disclosure": {"article": "Wpg 18", "authority": "mayor", "requester": "r",
            "description": "d", "purpose": "p"}, "target": {"public_place": true, "in_area": true}, "operation": "grant",
            "log_purpose": "integrity", "entries_until": t, "audit_covered_until": t, "level": "aggregate",
            "source": "register", "proposal": {"decree": "D1", "from": t, "until": t, "valid_from": t, "valid_until": t,
            "published_at": t, "retention_days": 28, "consultation_ref": "c", "consultation_held_at": t},
            "subject": "police", "role": "observer", "authorisation_ref": "a"});
        if let Ok(statement) = serde_json::from_value::<Statement>(replaced(said, place, with)) {
            interrogate(&world(), &statement, t);
        }
    }

    #[test]
    fn toml_of_anything_never_panics(text in "\\PC{0,200}", line in any::<prop::sample::Index>(), junk in "[a-z\\[\\]{}=\"' 0-9:.+T-]{0,30}") {
        let _ = toml::from_str::<FactBody>(&text);
        let facts = world();
        let written = toml::to_string(&facts[line.index(facts.len())].body).unwrap();
        let mut lines: Vec<&str> = written.lines().collect();
        let at = line.index(lines.len());
        lines[at] = &junk;
        if let Err(error) = toml::from_str::<FactBody>(&lines.join("\n")) {
            prop_assert!(!error.to_string().is_empty());
        }
        prop_assert_eq!(&toml::from_str::<FactBody>(&written).unwrap(), &facts[line.index(facts.len())].body);
    }
}
