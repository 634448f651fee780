//! The edges that no scenario shows: which fact is named of several, when an answer can change, ranges of footage that
//! cross a boundary, the exact instant of every condition.

use crate::common::{EVERY_DAY, ask, at, fact, period, watch, watch_for_incident, window, without_period};
use chrono::{DateTime, TimeDelta, Utc};
use mandate::{
    Action, DestroyGround, Fact, FactBody, FactKind, Hold, HoldState, Object, Purpose, ReasonCode, Register,
    RegisterError, Request, Statement, decide,
    judgement::{judge, turned_unlawful},
    retention_term,
};
use serde_json::{Value, json};

const NOON: &str = "2026-06-13T12:00:00Z";
const TICK: TimeDelta = TimeDelta::nanoseconds(1);

/// Everything in order and always open.
fn open() -> Vec<Fact> {
    let mut facts = without_period();
    facts.push(period("PE1", json!([window("L1", EVERY_DAY, "00:00", "00:00")]), "never"));
    facts
}

/// Everything in order and never watched live.
fn closed(outside: &str) -> Vec<Fact> {
    let mut facts = without_period();
    facts.push(period("PE1", json!([]), outside));
    facts
}

fn built(facts: &[Fact]) -> Register {
    Register::build(facts, at("2030-01-01T00:00:00Z")).unwrap()
}

/// The facts with one changed attribute.
fn with(mut facts: Vec<Fact>, id: &str, changes: &Value) -> Vec<Fact> {
    let fact = facts.iter_mut().find(|fact| &*fact.reference().id == id).unwrap();
    let mut body = serde_json::to_value(&fact.body).unwrap();
    for (field, value) in changes.as_object().unwrap() {
        body[field] = value.clone();
    }
    fact.body = serde_json::from_value(body).unwrap();
    facts
}

fn frames(from: &str, until: &str) -> Object {
    Object::Footage { camera: "CAM1".into(), from: at(from), until: at(until) }
}

fn investigate(footage: Object) -> Request {
    ask("detective", Action::Replay, footage).saying(Statement {
        purpose: Some(Purpose::Investigation),
        offence_ref: Some("Sr 141".to_owned()),
        ..Statement::default()
    })
}

fn code(facts: &[Fact], request: &Request, t: DateTime<Utc>) -> Option<ReasonCode> {
    decide(&built(facts), request, t).denial().map(|denial| denial.code)
}

fn until(facts: &[Fact], request: &Request, t: DateTime<Utc>) -> Option<DateTime<Utc>> {
    decide(&built(facts), request, t).until()
}

#[test]
fn the_end_of_time_is_no_instant() {
    let facts = with(open(), "P1", &json!({"until": DateTime::<Utc>::MAX_UTC}));
    let record = Request::by_system(Action::Record, Object::Camera("CAM1".into()));
    assert_eq!(until(&facts, &record, at("2030-12-31T00:00:00Z")), Some(at(crate::common::UNTIL)));
    let endless: Vec<Fact> = facts
        .into_iter()
        .map(|mut fact| {
            match &mut fact.body {
                FactBody::Ordinance(f) => {
                    f.in_force_until = None;
                    f.max_duration_months = None;
                }
                FactBody::Decree(f) => f.valid_until = DateTime::<Utc>::MAX_UTC,
                FactBody::Agreement(f) => f.valid_until = None,
                _ => {}
            }
            fact
        })
        .collect();
    let decision = decide(&built(&endless), &record, at("2030-12-31T00:00:00Z"));
    assert!(decision.is_permit());
    assert_eq!(decision.until(), None);
}

#[test]
fn of_equal_failures_the_preferred_decree_is_named() {
    let mut facts = closed("never");
    for (id, from) in
        [("D0", "2026-02-01T00:00:00Z"), ("D2", "2026-03-01T00:00:00Z"), ("D3", "2026-03-01T00:00:00Z")]
    {
        facts.push(fact(json!({"kind": "decree", "id": id, "municipality": "almelo", "ordinance": "O1",
            "decided_by": "college", "published_at": from, "valid_from": from, "valid_until": crate::common::UNTIL,
            "retention_days": 28})));
    }
    facts.retain(|fact| &*fact.reference().id != "D1");
    let denial = decide(&built(&facts), &watch("police"), at(NOON));
    let denial = denial.denial().unwrap();
    assert_eq!(denial.code, ReasonCode::NotCompetent);
    assert_eq!(&*denial.fact.as_ref().unwrap().id, "D2", "the latest start, then the id");
}

fn emergency(id: &str, area: &str, ordered: &str) -> Fact {
    fact(json!({"kind": "extra_window", "id": id, "decree": "D1", "area": area, "type": "emergency",
        "from": "2026-06-13T15:00:00Z", "until": "2026-06-13T20:00:00Z", "ordered_by": "mayor", "ordered_at": ordered,
        "consultation": "C1"}))
}

#[test]
fn a_denial_waits_for_the_window_that_is_coming() {
    let mut facts = closed("never");
    let request = watch("police");
    let quiet = until(&facts, &request, at(NOON));
    facts.push(emergency("X1", "AR1", "2026-06-13T14:00:00Z"));
    assert_eq!(until(&facts, &request, at(NOON)), Some(at("2026-06-13T15:00:00Z")));
    facts.pop();
    facts.push(emergency("X1", "AR1", "2026-06-13T16:00:00Z"));
    assert_eq!(
        until(&facts, &request, at(NOON)),
        Some(at("2026-06-13T16:00:00Z")),
        "not before it was ordered"
    );
    facts.pop();
    facts.push(emergency("X1", "AR9", "2026-06-13T14:00:00Z"));
    assert_eq!(until(&facts, &request, at(NOON)), quiet, "another area's window is not waited for");
    facts.pop();
    facts.push(emergency("X1", "AR1", "2026-06-13T20:00:00Z"));
    assert_eq!(until(&facts, &request, at(NOON)), quiet, "one that is over when it is ordered never opens");
}

#[test]
fn an_instruction_covers_its_instants_and_its_author_the_place() {
    let facts = |author: &str, place: &str| {
        let mut facts = closed("police_incident");
        facts.push(fact(json!({"kind": "person", "id": "night", "name": "n", "organisation": "politie"})));
        facts.push(fact(json!({"kind": "authorisation", "id": "A-night", "person": "night", "role": author,
            "municipalities": [place], "from": crate::common::FROM, "until": crate::common::UNTIL})));
        facts.push(fact(json!({"kind": "instruction", "id": "I1", "cameras": ["CAM1"], "from": NOON,
            "until": "2026-06-13T14:00:00Z", "entered_by": "night"})));
        facts
    };
    let good = facts("police_operator", "almelo");
    let mut request = watch_for_incident("coordinator");
    request.resolved.instruction = Some("I1".into());
    assert_eq!(code(&good, &request, at(NOON) - TICK), Some(ReasonCode::OutsideLiveWindow));
    assert_eq!(until(&good, &request, at(NOON) - TICK), Some(at(NOON)));
    assert_eq!(code(&good, &request, at(NOON)), None);
    assert_eq!(code(&good, &request, at(NOON) + TimeDelta::hours(1)), None);
    assert_eq!(code(&good, &request, at("2026-06-13T14:00:00Z")), Some(ReasonCode::OutsideLiveWindow));
    assert_eq!(
        code(&facts("police_operator", "borne"), &request, at(NOON)),
        Some(ReasonCode::OutsideLiveWindow)
    );
    assert_eq!(
        code(&facts("investigator", "almelo"), &request, at(NOON)),
        Some(ReasonCode::OutsideLiveWindow)
    );
    let other = with(good, "I1", &json!({"cameras": ["CAM2"]}));
    assert_eq!(code(&other, &request, at(NOON)), Some(ReasonCode::OutsideLiveWindow));
}

#[test]
fn a_range_of_footage_is_judged_whole() {
    let mut facts = open();
    facts.push(fact(json!({"kind": "revocation", "decree": "D1", "revoked_from": NOON})));
    let t = at("2026-06-14T00:00:00Z");
    let crossing = investigate(frames("2026-06-13T11:59:00Z", "2026-06-13T12:01:00Z"));
    assert_eq!(code(&facts, &crossing, t), Some(ReasonCode::UnlawfullyRecorded));
    let before = investigate(frames("2026-06-13T11:59:00Z", NOON));
    assert_eq!(code(&facts, &before, t), None, "its end is not in it");
}

/// The old decree keeps footage for 28 days; a new one, from noon on, for 3.
fn shorter_from_noon() -> Vec<Fact> {
    let mut facts = with(open(), "D1", &json!({"valid_until": NOON}));
    facts.push(fact(json!({"kind": "decree", "id": "D2", "municipality": "almelo", "ordinance": "O1",
        "decided_by": "mayor", "published_at": NOON, "valid_from": NOON, "valid_until": crate::common::UNTIL,
        "retention_days": 3})));
    facts.push(fact(json!({"kind": "area", "id": "AR2", "decree": "D2", "name": "centre",
        "polygons": [[[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]]]})));
    facts.push(fact(json!({"kind": "signage", "id": "S9", "area": "AR2", "location": "n", "placed_at": crate::common::FROM})));
    facts.push(fact(
        json!({"kind": "period", "id": "PE2", "decree": "D2", "consultation": "C1", "effective_from": NOON,
        "use": {"mode": "continuous"}}),
    ));
    facts
}

#[test]
fn the_shortest_term_of_a_range_counts() {
    let register = built(&shorter_from_noon());
    let t = at("2026-06-14T00:00:00Z");
    let destroy_at = |from: &str, until: &str| {
        let decision = decide(&register, &investigate(frames(from, until)), t);
        assert!(decision.is_permit(), "{decision:?}");
        decision.obligations().destroy_at
    };
    assert_eq!(destroy_at("2026-06-13T11:00:00Z", NOON), Some(at("2026-07-11T11:00:00Z")));
    assert_eq!(destroy_at(NOON, "2026-06-13T13:00:00Z"), Some(at("2026-06-16T12:00:00Z")));
    assert_eq!(destroy_at("2026-06-13T11:00:00Z", "2026-06-13T13:00:00Z"), Some(at("2026-06-16T12:00:00Z")));
}

#[test]
fn a_range_is_due_with_its_last_frame() {
    let facts = shorter_from_noon();
    let destroy = |from: &str, until: &str| Request::by_system(Action::Destroy, frames(from, until));
    // The old part outlives the new one.
    let both = destroy("2026-06-13T11:00:00Z", "2026-06-13T13:00:00Z");
    assert_eq!(code(&facts, &both, at("2026-06-20T00:00:00Z")), Some(ReasonCode::NotDue));
    assert_eq!(until(&facts, &both, at("2026-06-20T00:00:00Z")), Some(at("2026-07-11T12:00:00Z") - TICK));
    assert_eq!(code(&facts, &both, at("2026-07-11T12:00:00Z")), None);
    let new = destroy(NOON, "2026-06-13T13:00:00Z");
    assert_eq!(code(&facts, &new, at("2026-06-16T13:00:00Z") - TICK - TICK), Some(ReasonCode::NotDue));
    assert_eq!(code(&facts, &new, at("2026-06-16T13:00:00Z") - TICK), None);
    // A decision on unlawful footage reaches a range of which any part is unlawful.
    let mut facts = open();
    facts.push(fact(json!({"kind": "revocation", "decree": "D1", "revoked_from": NOON})));
    let mut mixed = destroy("2026-06-13T11:00:00Z", "2026-06-13T13:00:00Z");
    mixed.resolved.destroy_ground = Some(DestroyGround::QuarantineDecision);
    assert_eq!(code(&facts, &mixed, at("2026-06-14T00:00:00Z")), None);
}

fn hold(state: HoldState, set_at: Option<DateTime<Utc>>) -> Hold {
    Hold { case_number: Some("1".to_owned()), state, set_at }
}

#[test]
fn destruction_waits_for_the_hold_that_is_coming() {
    let mut request =
        Request::by_system(Action::Destroy, frames("2026-05-01T12:00:00Z", "2026-05-01T12:01:00Z"));
    let coming = at("2026-06-14T00:00:00Z");
    request.resolved.holds = vec![hold(HoldState::Active, Some(coming))];
    let facts = open();
    assert_eq!(code(&facts, &request, at(NOON)), None);
    assert_eq!(until(&facts, &request, at(NOON)), Some(coming));
    assert_eq!(code(&facts, &request, coming), Some(ReasonCode::Held));
    request.resolved.holds = vec![hold(HoldState::Released, Some(coming))];
    assert_eq!(until(&facts, &request, at(NOON)), None, "one that was released is not waited for");
    request.resolved.holds = vec![hold(HoldState::Active, None)];
    assert_eq!(
        code(&facts, &request, at(NOON)),
        Some(ReasonCode::Held),
        "without a date it binds from the beginning"
    );
}

#[test]
fn a_hold_set_as_the_term_ends_comes_too_late() {
    let expiry = at("2026-05-29T12:00:00Z");
    let mut request = investigate(frames("2026-05-01T12:00:00Z", "2026-05-01T12:01:00Z"));
    request.statement.as_mut().unwrap().case_number = Some("1".to_owned());
    request.resolved.holds = vec![hold(HoldState::Active, Some(expiry))];
    assert_eq!(code(&open(), &request, at(NOON)), Some(ReasonCode::RetentionExceeded));
    request.resolved.holds = vec![hold(HoldState::Active, Some(expiry - TICK))];
    assert_eq!(code(&open(), &request, at(NOON)), None);
}

#[test]
fn of_several_authorisations_the_one_that_ends_last_is_named() {
    let mut facts = open();
    facts.retain(|fact| &*fact.reference().id != "A-police");
    for (id, until) in
        [("A1", "2026-02-01T00:00:00Z"), ("A2", "2026-03-01T00:00:00Z"), ("A3", "2026-02-15T00:00:00Z")]
    {
        facts.push(fact(
            json!({"kind": "authorisation", "id": id, "person": "police", "role": "police_operator",
            "municipalities": ["almelo"], "from": crate::common::FROM, "until": until}),
        ));
    }
    let denial = decide(&built(&facts), &watch("police"), at(NOON));
    let denial = denial.denial().unwrap();
    assert_eq!(denial.code, ReasonCode::AuthorisationExpired);
    assert_eq!(&*denial.fact.as_ref().unwrap().id, "A2");
}

#[test]
fn of_several_agreements_one_with_consent_counts() {
    let mut facts = open();
    let agreement = |id: &str, consent: Option<&str>| {
        fact(json!({"kind": "agreement", "id": id, "type": "subprocessor", "parties": ["vrt", "guard"],
            "valid_from": crate::common::FROM, "controller_consent_ref": consent}))
    };
    facts.push(agreement("G3", Some("c")));
    let basis = |facts: &[Fact]| -> Vec<String> {
        let decision = decide(&built(facts), &watch("observer"), at(NOON));
        let basis = decision.permit().unwrap().basis().to_vec();
        let kind = FactKind::SubprocessorAgreement;
        basis.iter().filter(|fact| fact.kind == kind).map(|fact| fact.id.to_string()).collect()
    };
    assert_eq!(basis(&facts), ["G2"], "the first of equals");
    facts.push(agreement("G1a", None));
    assert_eq!(basis(&facts), ["G2"], "one without consent does not stand in the way");
}

#[test]
fn a_mask_counts_from_its_verification() {
    let facts = with(open(), "M1", &json!({"verified_at": NOON}));
    let request = watch("police");
    assert_eq!(code(&facts, &request, at(NOON) - TICK), Some(ReasonCode::MaskNotVerified));
    assert_eq!(until(&facts, &request, at(NOON) - TICK), Some(at(NOON)));
    assert_eq!(code(&facts, &request, at(NOON)), None);
}

#[test]
fn positions_that_do_not_overlap_are_no_contradiction() {
    let mut facts = with(open(), "P1", &json!({"until": NOON}));
    let position = |from: &str, until: Option<&str>| {
        fact(
            json!({"kind": "position", "id": "P2", "camera": "CAM1", "point": [0.5, 0.5], "from": from, "until": until}),
        )
    };
    let build = |facts: &[Fact]| Register::build(facts, at("2030-01-01T00:00:00Z"));
    facts.push(position(NOON, None));
    assert!(build(&facts).is_ok(), "they touch");
    facts.pop();
    let before_noon = "2026-06-13T11:00:00Z";
    for until in [None, Some("2026-06-13T11:30:00Z"), Some("2026-06-13T13:00:00Z")] {
        facts.push(position(before_noon, until));
        assert!(matches!(build(&facts), Err(RegisterError::PositionsOverlap { .. })), "{until:?}");
        facts.pop();
    }
    for until in [before_noon, "2026-06-13T10:00:00Z"] {
        facts.push(position(before_noon, Some(until)));
        assert!(build(&facts).is_ok(), "one that never was is at no other place: {until}");
        facts.pop();
    }
}

#[test]
fn the_decree_of_a_camera_is_the_one_in_force() {
    let mut facts = shorter_from_noon();
    facts.push(fact(json!({"kind": "revocation", "decree": "D2", "revoked_from": "2026-06-14T00:00:00Z"})));
    let register = built(&facts);
    let decree = |t: &str| register.decree_of(&"CAM1".into(), at(t)).map(|decree| decree.id.to_string());
    assert_eq!(decree("2025-12-31T23:59:59Z"), None);
    assert_eq!(decree("2026-06-13T11:59:59Z").as_deref(), Some("D1"));
    assert_eq!(decree(NOON).as_deref(), Some("D2"));
    assert_eq!(decree("2026-06-13T23:59:59Z").as_deref(), Some("D2"));
    assert_eq!(decree("2026-06-14T00:00:00Z"), None);
    assert_eq!(decree("2026-07-14T00:00:00Z"), None);
    let term = |t: &str| retention_term(&register, &"CAM1".into(), at(t));
    assert_eq!(term("2026-06-13T11:59:59Z"), Some(TimeDelta::days(28)));
    assert_eq!(term(NOON), Some(TimeDelta::days(3)));
    assert_eq!(retention_term(&register, &"CAM9".into(), at(NOON)), None);
    assert!(judge(&register, &"CAM9".into(), at(NOON), at(NOON)).is_empty());
}

#[test]
fn a_sign_of_each_point_is_named() {
    let signs = |facts: &[Fact]| {
        let decision = decide(&built(facts), &watch("police"), at(NOON));
        let basis = decision.permit().unwrap().basis().to_vec();
        let signs = basis.iter().filter(|fact| fact.kind == FactKind::Signage);
        signs.map(|fact| fact.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(signs(&open()), ["S1", "S2"]);
    assert_eq!(signs(&with(open(), "S2", &json!({"placed_at": "2026-02-01T00:00:00Z"}))), ["S1", "S2"]);
    let mut replaced = with(open(), "S1", &json!({"removed_at": "2026-02-01T00:00:00Z"}));
    replaced.push(fact(json!({"kind": "signage", "id": "S3", "area": "AR1", "location": "north",
        "placed_at": "2026-01-20T00:00:00Z"})));
    assert_eq!(signs(&replaced), ["S3", "S2"], "the one that stands there now");
    // Where the signs stood together for no time at all, nobody was told.
    let apart = with(open(), "S1", &json!({"removed_at": NOON}));
    let apart = with(apart, "S2", &json!({"placed_at": NOON}));
    assert_eq!(code(&apart, &watch("police"), at(NOON)), Some(ReasonCode::SignageMissing));
}

#[test]
fn pieces_with_one_verdict_are_one_piece() {
    // A third sign comes and goes elsewhere in time; the basis stays the same.
    let mut facts = open();
    let (from, until) = (at("2026-06-13T00:00:00Z"), at("2026-06-14T00:00:00Z"));
    let mut late =
        fact(json!({"kind": "consultation", "id": "C9", "municipality": "almelo", "held_at": NOON}));
    late.known_from = at(NOON);
    facts.push(late);
    let pieces = judge(&built(&facts), &"CAM1".into(), from, until);
    assert_eq!(pieces.len(), 1, "more was known from noon, and nothing differed: {pieces:?}");
    let pieces = judge(&built(&shorter_from_noon()), &"CAM1".into(), from, until);
    assert_eq!(pieces.len(), 2);
    // The same basis and another term are two pieces, as when a decree is corrected.
    let mut corrected = open();
    let mut version = corrected.iter().find(|fact| &*fact.reference().id == "D1").unwrap().clone();
    let FactBody::Decree(decree) = &mut version.body else { panic!("a decree") };
    decree.retention_days = 7;
    version.known_from = at(NOON);
    version.version = 2;
    corrected.push(version);
    let pieces = judge(&built(&corrected), &"CAM1".into(), from, until);
    assert_eq!(pieces.len(), 2, "{pieces:?}");
    assert_eq!(pieces[0].term, pieces[1].term, "the shorter counts for all of it");
}

#[test]
fn what_turns_unlawful_is_cut_to_what_was_lawful() {
    let facts = open();
    let revoked = |from: &str, until: Option<&str>| {
        let mut facts = facts.clone();
        facts.push(fact(json!({"kind": "revocation", "decree": "D1", "revoked_from": from})));
        until.map_or(facts.clone(), |until| with(facts, "D1", &json!({"valid_until": until})))
    };
    let (from, until) = (at("2026-06-13T00:00:00Z"), at("2026-06-14T00:00:00Z"));
    let turned = |before: &[Fact], after: &[Fact]| -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        let turned = turned_unlawful(&built(before), &built(after), &"CAM1".into(), from, until);
        turned.into_iter().map(|piece| (piece.from, piece.until)).collect()
    };
    assert_eq!(turned(&facts, &revoked(NOON, None)), [(at(NOON), until)]);
    let earlier = revoked("2026-06-13T06:00:00Z", None);
    assert_eq!(turned(&revoked(NOON, None), &earlier), [(at("2026-06-13T06:00:00Z"), at(NOON))]);
    assert_eq!(turned(&revoked(NOON, None), &revoked(NOON, None)), []);
}

#[test]
fn the_newest_instruction_for_a_camera_is_found() {
    let mut facts = open();
    for (id, camera, from, until) in [
        ("I1", "CAM1", "2026-06-13T10:00:00Z", "2026-06-13T14:00:00Z"),
        ("I2", "CAM1", NOON, "2026-06-13T13:00:00Z"),
        ("I3", "CAM2", NOON, "2026-06-13T13:00:00Z"),
        ("I4", "CAM1", NOON, "2026-06-13T12:30:00Z"),
    ] {
        facts.push(fact(
            json!({"kind": "instruction", "id": id, "cameras": [camera], "from": from, "until": until,
            "entered_by": "police"}),
        ));
    }
    let register = built(&facts);
    let found = |t: &str| register.instruction_for(&"CAM1".into(), at(t)).map(|i| i.id.to_string());
    assert_eq!(found("2026-06-13T09:59:59Z"), None);
    assert_eq!(found("2026-06-13T10:00:00Z").as_deref(), Some("I1"));
    assert_eq!(found(NOON).as_deref(), Some("I2"), "of two at once the first id");
    assert_eq!(found("2026-06-13T12:45:00Z").as_deref(), Some("I2"));
    assert_eq!(found("2026-06-13T13:00:00Z").as_deref(), Some("I1"));
    assert_eq!(found("2026-06-13T14:00:00Z"), None);
}

/// A position that was called off before it began hangs nowhere, and hides no other.
#[test]
fn what_was_called_off_is_as_if_it_were_not() {
    let mut facts = without_period();
    facts.push(period("PE1", json!([window("L1", EVERY_DAY, "00:00", "00:00")]), "never"));
    facts.push(fact(json!({"kind": "position", "id": "P8", "camera": "CAM1", "point": [9.0, 9.0],
        "from": "2026-06-01T00:00:00Z", "until": "2026-06-01T00:00:00Z"})));
    let register = Register::build(&facts, at("2026-05-01T00:00:00Z")).unwrap();
    for t in ["2026-05-31T23:59:59Z", "2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z"] {
        assert!(decide(&register, &watch("observer"), at(t)).is_permit(), "{t}");
    }
}
