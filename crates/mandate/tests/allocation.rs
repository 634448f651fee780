//! Deciding allocates nothing: the basis lies inline in the answer, and the register is only read.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, where a panic is the message")]

#[path = "law/common.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod common;

use common::{EVERY_DAY, ask, at, period, watch, watch_for_incident, window, without_period};
use mandate::{Action, Fact, FactBody, FactKind, Object, Purpose, Register, Request, Statement, decide};
use serde_json::json;

#[test]
fn deciding_allocates_nothing() {
    let mut facts = without_period();
    facts.push(period("PE1", json!([window("L1", EVERY_DAY, "21:00", "06:00")]), "police_incident"));
    let register = Register::build(&facts, at("2026-07-01T00:00:00Z")).unwrap();
    let from = at("2026-06-13T23:00:00Z");
    let footage = Object::Footage { camera: "CAM1".into(), from, until: at("2026-06-13T23:15:00Z") };
    let said = Statement {
        purpose: Some(Purpose::Investigation),
        offence_ref: Some("Sr 141".to_owned()),
        ..Statement::default()
    };
    let requests = [
        watch("observer"),
        watch_for_incident("police"),
        watch("nobody"),
        Request::by_system(Action::Record, Object::Camera("CAM1".into())),
        ask("detective", Action::Replay, footage.clone()).saying(said),
        ask("detective", Action::Replay, footage),
        ask("observer", Action::ListCameras, Object::None),
    ];
    let mut permits = 0;
    for request in requests {
        for t in ["2026-06-14T00:00:00Z", "2026-06-14T12:00:00Z", "2026-06-20T21:00:00Z"].map(at) {
            // Once, for what is compiled when it is first asked about.
            permits += u32::from(decide(&register, &request, t).is_permit());
            let mut decision = None;
            let counted = allocation_counter::measure(|| decision = Some(decide(&register, &request, t)));
            assert_eq!(counted.count_total, 0, "{:?} at {t}: {decision:?}", request.action);
        }
    }
    assert!(permits >= 8, "{permits}");
}

/// Footage of a time at which less was known: that too is compiled before anybody asks.
#[test]
fn what_was_known_then_is_compiled_ahead() {
    let mut facts = without_period();
    let mut nightly = period("PE1", json!([]), "never");
    let FactBody::Period(nights) = &mut nightly.body else { panic!("a period") };
    let used = json!({"mode": "weekly", "windows": [window("U1", EVERY_DAY, "21:00", "06:00")]});
    nights.used = serde_json::from_value(used).unwrap();
    facts.push(nightly);
    for (version, known_from) in [(2, "2026-06-12T00:00:00Z"), (3, "2026-06-20T00:00:00Z")] {
        let camera = facts.iter().find(|fact| fact.reference().kind == FactKind::Camera).unwrap();
        let corrected = Fact { known_from: at(known_from), version, body: camera.body.clone() };
        facts.push(corrected);
    }
    let now = at("2026-07-01T00:00:00Z");
    let mut register = Register::build(&facts, now).unwrap();
    let since = at("2026-06-03T00:00:00Z");
    register.share_known(&Register::build(&facts, at("2026-06-15T00:00:00Z")).unwrap(), since);
    register.warm_lasting(since, now, chrono::TimeDelta::seconds(1), 10);
    let said = Statement {
        purpose: Some(Purpose::Investigation),
        offence_ref: Some("Sr 141".to_owned()),
        ..Statement::default()
    };
    for from in ["2026-06-11T23:00:00Z", "2026-06-13T23:00:00Z", "2026-06-21T23:00:00Z"].map(at) {
        let footage =
            Object::Footage { camera: "CAM1".into(), from, until: from + chrono::TimeDelta::minutes(1) };
        let request = ask("detective", Action::Replay, footage).saying(said.clone());
        let mut decision = None;
        let counted = allocation_counter::measure(|| decision = Some(decide(&register, &request, now)));
        assert!(decision.unwrap().is_permit());
        assert_eq!(counted.count_total, 0, "the first question about {from} had to wait");
    }
}
