//! Generated registers with gaps and overlaps in everything that can have them, and requests about their camera.

use crate::common::{EVERY_DAY, ask, at, fact, window, without_period};
use chrono::{DateTime, TimeDelta, Utc};
use mandate::{Action, Fact, FactBody, FactKind, FactRef, Object, Purpose, Register, Request, Statement};
use proptest::prelude::*;
use serde_json::json;

/// The first instant of the fortnight in which everything happens; the clock goes back in it (2026-10-25 01:00 UTC).
pub(crate) fn start() -> DateTime<Utc> {
    at("2026-10-18T00:00:00Z")
}

pub(crate) fn hour(hours: i64) -> DateTime<Utc> {
    start() + TimeDelta::hours(hours)
}

pub(crate) const HOURS: std::ops::Range<i64> = 0..336;

/// A stretch inside the fortnight, or one that covers it.
pub(crate) fn stretch() -> impl Strategy<Value = (DateTime<Utc>, DateTime<Utc>)> {
    prop_oneof![
        1 => (HOURS, 1_i64..200).prop_map(|(from, length)| (hour(from), hour(from + length))),
        2 => Just((hour(-10_000), hour(10_000))),
    ]
}

pub(crate) fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339()
}

fn weekly(id: &'static str) -> impl Strategy<Value = serde_json::Value> {
    let days = proptest::sample::subsequence(EVERY_DAY.to_vec(), 1..=4);
    (days, 0_u32..48, 0_u32..48).prop_map(move |(days, from, until)| {
        let time = |half: u32| format!("{:02}:{:02}", half / 2, half % 2 * 30);
        window(id, &days, &time(from), &time(until))
    })
}

prop_compose! {
    /// A world with gaps and overlaps in everything that can have them.
    pub(crate) fn world()(
        ordinance in stretch(), first in stretch(), second in stretch(), area2 in any::<bool>(),
        extension in proptest::option::of((HOURS, HOURS)), revoked in proptest::option::weighted(0.3, HOURS),
        periods in (stretch(), stretch()), live in (weekly("L1"), weekly("L2"), weekly("L3")),
        used in proptest::option::weighted(0.4, weekly("U1")),
        extra in proptest::option::of((HOURS, 1_i64..60, any::<bool>(), any::<bool>())),
        sign in stretch(), position in stretch(), shifts in (stretch(), stretch()),
        authorisation in (stretch(), stretch()), agreement in stretch(),
        other_agreement in proptest::option::of((stretch(), stretch(), any::<bool>(), any::<bool>())), wpbr in HOURS,
        mask in proptest::option::weighted(0.8, -100_i64..100), secrecy in proptest::option::weighted(0.9, -100_i64..50),
        outside in 0_usize..3, instruction in stretch(), late in proptest::option::weighted(0.3, (HOURS, any::<prop::sample::Index>())),
        second_version in proptest::option::weighted(0.5, (HOURS, any::<prop::sample::Index>(), proptest::option::of(HOURS))),
    ) -> Vec<Fact> {
        let mut facts: Vec<Fact> = without_period()
            .into_iter()
            .filter(|fact| !matches!(
                fact.reference().kind,
                FactKind::Ordinance | FactKind::Decree | FactKind::Position | FactKind::Mask | FactKind::Shift
                    | FactKind::SubprocessorAgreement
            ) && !matches!(&fact.body, FactBody::Signage(sign) if sign.id.as_str() == "S2")
              && !matches!(&fact.body, FactBody::Authorisation(a) if a.person.as_str() == "observer")
              && !matches!(&fact.body, FactBody::Person(p) if p.id.as_str() == "observer"))
            .collect();
        let mut add = |body: serde_json::Value| facts.push(fact(body));
        let outside = ["never", "police_incident", "free"][outside];
        add(json!({"kind": "ordinance", "id": "O1", "municipality": "almelo", "provision": "demo", "grants_power": true,
            "in_force_from": text(ordinance.0), "in_force_until": text(ordinance.1)}));
        for (id, (from, until)) in [("D1", first), ("D2", second)] {
            add(json!({"kind": "decree", "id": id, "municipality": "almelo", "ordinance": "O1", "decided_by": "mayor",
                "published_at": text(from), "valid_from": text(from), "valid_until": text(until),
                "retention_days": if id == "D1" { 3 } else { 28 }, "live_outside_window": outside}));
        }
        if area2 {
            add(json!({"kind": "area", "id": "AR2", "decree": "D2", "name": "other",
                "polygons": [[[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]]]}));
            add(json!({"kind": "signage", "id": "S3", "area": "AR2", "placed_at": crate::common::FROM}));
        }
        if let Some((published, until)) = extension {
            add(json!({"kind": "extension", "decree": "D1", "number": 1, "published_at": text(hour(published)),
                "valid_until": text(hour(until))}));
        }
        if let Some(from) = revoked {
            add(json!({"kind": "revocation", "decree": "D2", "revoked_from": text(hour(from))}));
        }
        let used = used.map_or(json!({"mode": "continuous"}), |w| json!({"mode": "weekly", "windows": [w]}));
        for (id, decree, (from, until), live) in [
            ("PE1", "D1", periods.0, json!([live.0, live.1])),
            ("PE2", "D2", periods.1, json!([live.2])),
        ] {
            add(json!({"kind": "period", "id": id, "decree": decree, "consultation": "C0", "effective_from": text(from),
                "effective_until": text(until), "use": used, "live": live}));
        }
        add(json!({"kind": "consultation", "id": "C0", "municipality": "almelo", "held_at": "2020-01-01T00:00:00Z"}));
        if let Some((from, length, competent, consulted)) = extra {
            add(json!({"kind": "extra_window", "id": "X1", "decree": "D1", "type": "event", "from": text(hour(from)),
                "until": text(hour(from + length)), "ordered_by": if competent { "mayor" } else { "college" },
                "consultation": if consulted { Some("C0") } else { None }}));
        }
        add(json!({"kind": "signage", "id": "S2", "area": "AR1", "location": "south", "placed_at": text(sign.0),
            "removed_at": text(sign.1)}));
        add(json!({"kind": "position", "id": "P1", "camera": "CAM1", "point": [0.5, 0.5], "from": text(position.0),
            "until": text(position.1)}));
        add(json!({"kind": "position", "id": "P2", "camera": "CAM1", "point": [5.0, 0.5], "from": text(position.1)}));
        add(json!({"kind": "mask", "id": "M1", "position": "P1", "verified_at": mask.map(|h| text(hour(h)))}));
        for (id, (from, until)) in [("H1", shifts.0), ("H2", shifts.1)] {
            add(json!({"kind": "shift", "id": id, "person": "observer", "from": text(from), "until": text(until)}));
        }
        for (id, (from, until)) in [("A1", authorisation.0), ("A2", authorisation.1)] {
            add(json!({"kind": "authorisation", "id": id, "person": "observer", "role": "observer",
                "municipalities": ["almelo"], "from": text(from), "until": text(until)}));
        }
        add(json!({"kind": "agreement", "id": "G2", "type": "subprocessor", "parties": ["vrt", "guard"],
            "valid_from": text(agreement.0), "valid_until": text(agreement.1), "controller_consent_ref": "demo"}));
        // Another company's agreement beside it, with this processor or another, with consent or without.
        if let Some((of_processor, (from, until), same, consent)) = other_agreement {
            add(json!({"kind": "organisation", "id": "region", "name": "r", "type": "processor"}));
            add(json!({"kind": "agreement", "id": "G0", "type": "processor", "parties": ["politie", "region"],
                "valid_from": text(of_processor.0), "valid_until": text(of_processor.1)}));
            add(json!({"kind": "agreement", "id": "G3", "type": "subprocessor",
                "parties": [if same { "vrt" } else { "region" }, "guard"], "valid_from": text(from),
                "valid_until": text(until), "controller_consent_ref": consent.then_some("demo")}));
        }
        add(json!({"kind": "person", "id": "observer", "name": "observer", "organisation": "guard",
            "secrecy_signed_at": secrecy.map(|h| text(hour(h))), "wpbr_permission_until": text(hour(wpbr + 200))}));
        add(json!({"kind": "instruction", "id": "I1", "cameras": ["CAM1"], "from": text(instruction.0),
            "until": text(instruction.1), "entered_by": "police"}));
        if let Some((known, which)) = late {
            let index = which.index(facts.len());
            facts[index].known_from = hour(known);
        }
        // Later somebody corrects a fact, or ends it another time.
        let of_detective = |fact: &Fact| fact.reference().id.contains("detective");
        let chosen = second_version.map(|(known, which, end)| (known, which.index(facts.len()), end));
        // Whoever is asked about lawfulness below keeps their own right to ask.
        if let Some((known, which, end)) = chosen.filter(|(_, which, _)| !of_detective(&facts[*which])) {
            let mut corrected = facts[which].clone();
            corrected.known_from = corrected.known_from.max(hour(known));
            corrected.version = 2;
            if let Some(end) = end {
                let end = match &corrected.body {
                    // It hangs no longer than it did: the next one hangs there then.
                    FactBody::Position(position) => position.until.map_or(hour(end), |until| until.min(hour(end))),
                    _ => hour(end),
                };
                end_body(&mut corrected.body, end);
            }
            facts.push(corrected);
        }
        facts
    }
}

/// Ends what a fact says, where it has an end.
pub(crate) fn end_body(body: &mut FactBody, end: DateTime<Utc>) -> bool {
    match body {
        FactBody::Ordinance(f) => f.in_force_until = Some(end),
        FactBody::Extension(f) => f.valid_until = end,
        FactBody::Period(f) => f.effective_until = Some(end),
        FactBody::ExtraWindow(f) => f.until = end,
        FactBody::Signage(f) => f.removed_at = Some(end),
        FactBody::Position(f) => f.until = Some(end),
        FactBody::Mask(f) => f.verified_at = None,
        FactBody::Agreement(f) => f.valid_until = Some(end),
        FactBody::Authorisation(f) => f.until = end,
        FactBody::Shift(f) => f.until = end,
        FactBody::Instruction(f) => f.until = end,
        _ => return false,
    }
    true
}

pub(crate) fn request() -> impl Strategy<Value = Request> {
    let person = prop_oneof![4 => Just("observer"), 2 => Just("coordinator"), 2 => Just("police"), 1 => Just("detective")];
    let action = prop_oneof![
        6 => Just(Action::LiveView), 1 => Just(Action::Snapshot), 1 => Just(Action::ListCameras),
        3 => Just(Action::Replay), 2 => Just(Action::Record), 1 => Just(Action::PtzControl), 1 => Just(Action::ShareLive),
        1 => Just(Action::RequestExport), 1 => Just(Action::SetHold),
    ];
    (person, action, HOURS, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(person, action, captured, incident, instruction, offence)| {
            let camera: mandate::CameraId = "CAM1".into();
            let object = match action {
                Action::Replay | Action::RequestExport | Action::SetHold => Object::Footage {
                    camera,
                    from: hour(captured),
                    until: hour(captured) + TimeDelta::seconds(1),
                },
                _ => Object::Camera(camera),
            };
            let mut request = match action {
                Action::Record => Request::by_system(action, object),
                _ => ask(person, action, object),
            };
            if incident {
                request = request.for_incident("INC".into());
            }
            if instruction {
                request.resolved.instruction = Some("I1".into());
            }
            if offence {
                request = request.saying(Statement {
                    purpose: Some(Purpose::Investigation),
                    offence_ref: Some("Sr 141".to_owned()),
                    case_number: Some("DEMO-1".to_owned()),
                    target: Some(mandate::statement::Target { public_place: true, in_area: true }),
                    ..Statement::default()
                });
            }
            request
        },
    )
}

/// Far enough to know everything.
pub(crate) fn register(facts: &[Fact]) -> Register {
    Register::build(facts, hour(20_000)).unwrap()
}

/// The facts as they would be if one of them ended at an instant.
pub(crate) fn ended(facts: &[Fact], which: &FactRef, end: DateTime<Utc>) -> Vec<Fact> {
    let mut facts = facts.to_vec();
    if which.kind == FactKind::Window {
        for fact in &mut facts {
            if let FactBody::Period(period) = &mut fact.body {
                period.live.retain(|window| window.id.as_str() != &*which.id);
                if let mandate::facts::Use::Weekly { windows } = &mut period.used {
                    windows.retain(|window| window.id.as_str() != &*which.id);
                }
            }
        }
        return facts;
    }
    if which.kind == FactKind::Decree {
        // A decree ends by revocation; an earlier date of its own would leave its extension standing.
        let revocation = fact(json!({"kind": "revocation", "decree": &*which.id, "revoked_from": text(end)}));
        facts.retain(|fact| fact.reference().kind != FactKind::Revocation || fact.reference().id != which.id);
        facts.push(revocation);
        return facts;
    }
    let index = facts.iter().position(|fact| fact.reference() == *which).unwrap();
    if !end_body(&mut facts[index].body, end) {
        // These have no end: they go.
        facts.remove(index);
    }
    facts
}
