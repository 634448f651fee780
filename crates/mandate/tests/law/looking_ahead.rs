//! When something opens, what a proposal would change, what ends soon, and what footage is in law.

use crate::common::{at, fact, period, watch, window, without_period};
use chrono::{DateTime, TimeDelta, Utc};
use mandate::{
    Action, Fact, FactBody, FactKind, Object, ReasonCode, Register, Request, Role,
    endings::{EndingKind, endings, unconfirmed},
    judgement::{Knowledge, Verdict, judge, turned_unlawful},
    open_intervals,
    outlook::{
        Interval, Subject, View, camera_openings, compare, joined, of_municipality, of_person, proposed,
        without,
    },
};
use serde_json::json;

const MONDAY: &str = "2026-06-15T00:00:00+02:00";

fn week() -> (DateTime<Utc>, DateTime<Utc>) {
    (at(MONDAY), at(MONDAY) + TimeDelta::days(7))
}

/// Everything in order, with live windows on Friday and Saturday night.
fn facts() -> Vec<Fact> {
    let mut facts = without_period();
    facts.push(period("PE1", json!([window("L1", &["fri", "sat"], "21:00", "06:00")]), "police_incident"));
    facts
}

fn built(facts: &[Fact]) -> Register {
    Register::build(facts, at(MONDAY)).unwrap()
}

fn interval(from: &str, until: &str) -> Interval {
    Interval { from: at(from), until: at(until) }
}

#[test]
fn a_camera_is_used_always_and_watched_in_its_windows() {
    let register = built(&facts());
    let (from, until) = week();
    let used = camera_openings(&register, &"CAM1".into(), View::Use, from, until);
    assert_eq!(joined(&used), [Interval { from, until }]);
    let live = camera_openings(&register, &"CAM1".into(), View::Live, from, until);
    assert_eq!(
        joined(&live),
        [
            interval("2026-06-19T21:00:00+02:00", "2026-06-20T06:00:00+02:00"),
            interval("2026-06-20T21:00:00+02:00", "2026-06-21T06:00:00+02:00"),
        ]
    );
    assert!(live[0].basis.iter().any(|fact| fact.kind == FactKind::Window && &*fact.id == "L1"));
    assert!(live[0].basis.iter().all(|fact| fact.kind != FactKind::Authorisation), "nobody in particular");
    let all = of_municipality(&register, &"almelo".into(), from, until);
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].live, live);
    assert!(of_municipality(&register, &"borne".into(), from, until).is_empty());
}

#[test]
fn a_person_watches_where_shift_and_window_meet() {
    let mut facts = facts();
    facts.retain(|fact| fact.reference().kind != FactKind::Shift);
    facts.push(fact(json!({"kind": "shift", "id": "H1", "person": "observer",
        "from": "2026-06-19T18:00:00+02:00", "until": "2026-06-20T02:00:00+02:00"})));
    let register = built(&facts);
    let (from, until) = week();
    let outlook = of_person(&register, &"observer".into(), from, until).unwrap();
    let shift = interval("2026-06-19T18:00:00+02:00", "2026-06-20T02:00:00+02:00");
    assert_eq!(joined(&outlook.roles[0].openings), [shift]);
    let watched = interval("2026-06-19T21:00:00+02:00", "2026-06-20T02:00:00+02:00");
    assert_eq!(outlook.cameras, [("CAM1".into(), vec![watched])]);
    let asked = open_intervals(&register, &watch("observer"), from, until);
    assert_eq!(asked, [(watched.from, watched.until)]);
    assert!(of_person(&register, &"nobody".into(), from, until).is_none());
}

#[test]
fn a_proposal_says_what_it_opens_and_closes() {
    let facts = facts();
    let (from, until) = week();
    let wednesday = period(
        "PE1",
        json!([window("L1", &["fri"], "21:00", "06:00"), window("L2", &["wed"], "20:00", "22:00")]),
        "police_incident",
    );
    let after = Register::build(&proposed(&facts, &[wednesday.body], at(MONDAY)), at(MONDAY)).unwrap();
    let changes = compare(&built(&facts), &after, from, until);
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(
        changes[0].subject,
        Subject::Camera { camera: "CAM1".into(), municipality: "almelo".into(), view: View::Live }
    );
    assert_eq!(changes[0].opens, [interval("2026-06-17T20:00:00+02:00", "2026-06-17T22:00:00+02:00")]);
    assert_eq!(changes[0].closes, [interval("2026-06-20T21:00:00+02:00", "2026-06-21T06:00:00+02:00")]);

    let mut agreement =
        facts.iter().find(|f| f.reference().kind == FactKind::ProcessorAgreement).unwrap().clone();
    let FactBody::Agreement(body) = &mut agreement.body else { panic!("it is one") };
    body.valid_until = Some(at("2026-06-18T00:00:00+02:00"));
    let after = Register::build(&proposed(&facts, &[agreement.body], at(MONDAY)), at(MONDAY)).unwrap();
    let changes = compare(&built(&facts), &after, from, until);
    let rest = [Interval { from: at("2026-06-18T00:00:00+02:00"), until }];
    let closed = |subject: &Subject| changes.iter().any(|c| c.subject == *subject && c.closes == rest);
    assert!(closed(&Subject::Camera {
        camera: "CAM1".into(),
        municipality: "almelo".into(),
        view: View::Use
    }));
    for (person, role) in [("observer", Role::Observer), ("coordinator", Role::RoomCoordinator)] {
        assert!(closed(&Subject::Person { person: person.into(), role, municipality: "almelo".into() }));
    }
    assert_eq!(changes.len(), 3, "the police's own staff and the windows are as they were");
    assert!(compare(&after, &after, from, until).is_empty());
}

#[test]
fn what_ends_is_listed_with_its_municipality() {
    let mut facts = facts();
    facts.push(fact(json!({"kind": "decree", "id": "D2", "municipality": "almelo", "ordinance": "O1",
        "decided_by": "mayor", "published_at": crate::common::FROM, "valid_from": crate::common::FROM,
        "valid_until": "2026-06-20T00:00:00Z", "retention_days": 28, "review_at": "2026-06-22T00:00:00Z"})));
    facts.push(fact(
        json!({"kind": "extension", "decree": "D2", "number": 1, "published_at": "2026-06-01T00:00:00Z",
        "valid_until": "2026-06-25T00:00:00Z"}),
    ));
    facts.push(fact(json!({"kind": "person", "id": "new", "name": "N. Ieuw", "organisation": "guard",
        "wpbr_permission_until": "2026-06-21T00:00:00Z", "training_until": "2026-06-23T00:00:00Z"})));
    facts.push(fact(json!({"kind": "authorisation", "id": "A-new", "person": "new", "role": "observer",
        "municipalities": ["almelo", "borne"], "from": crate::common::FROM, "until": "2026-06-24T00:00:00Z"})));
    facts.push(fact(json!({"kind": "signage", "id": "S9", "area": "AR1", "location": "east",
        "placed_at": "2025-12-25T00:00:00Z", "checked_at": "2025-12-28T00:00:00Z"})));
    let register = built(&facts);
    let listed = endings(&register, at(MONDAY), at(MONDAY) + TimeDelta::days(14));
    let short: Vec<(EndingKind, &str, &str)> =
        listed.iter().map(|e| (e.kind, &*e.fact.id, e.about.as_str())).collect();
    assert_eq!(
        short,
        [
            (EndingKind::WpbrPermission, "new", "N. Ieuw"),
            (EndingKind::DecreeReview, "D2", "D2"),
            (EndingKind::Training, "new", "N. Ieuw"),
            (EndingKind::Authorisation, "A-new", "N. Ieuw"),
            (EndingKind::Decree, "D2", "D2"),
            (EndingKind::Extension, "D2/1", "D2"),
            (EndingKind::SignageCheck, "S9", "east"),
        ]
    );
    assert_eq!(listed[3].municipalities, ["almelo".into(), "borne".into()]);
    assert_eq!(listed[6].municipalities, ["almelo".into()]);
    assert_eq!(listed[6].at, at("2026-06-26T00:00:00Z"), "180 days after somebody looked");
    assert!(endings(&register, at("2026-06-21T00:00:00Z"), at("2026-06-21T00:00:00Z")).is_empty());
    // A revoked decree has ended.
    facts.push(fact(json!({"kind": "revocation", "decree": "D2", "revoked_from": "2026-06-16T00:00:00Z"})));
    let left = endings(&built(&facts), at(MONDAY), at(MONDAY) + TimeDelta::days(14));
    assert!(left.iter().all(|e| !e.fact.id.starts_with("D2")));
}

#[test]
fn an_emergency_waits_for_its_confirmation() {
    let mut facts = facts();
    let emergency = |confirmed: Option<&str>| {
        fact(json!({"kind": "extra_window", "id": "X1", "decree": "D1", "type": "emergency",
            "from": "2026-06-15T12:00:00Z", "until": "2026-06-15T20:00:00Z", "ordered_by": "mayor",
            "consultation": "C1", "written_confirmation_at": confirmed}))
    };
    facts.push(emergency(None));
    let waiting = unconfirmed(&built(&facts), at("2026-06-16T11:59:59Z"));
    assert_eq!(waiting.len(), 1);
    assert!(!waiting[0].overdue);
    assert_eq!(waiting[0].municipality, Some("almelo".into()));
    assert!(unconfirmed(&built(&facts), at("2026-06-16T12:00:00Z"))[0].overdue);
    facts.pop();
    facts.push(emergency(Some("2026-06-16T09:00:00Z")));
    assert!(unconfirmed(&built(&facts), at("2026-06-16T12:00:00Z")).is_empty());
}

#[test]
fn footage_is_judged_as_known_then_and_now() {
    let facts = facts();
    let camera = "CAM1".into();
    let mut later = facts.clone();
    let mut revocation =
        fact(json!({"kind": "revocation", "decree": "D1", "revoked_from": "2026-06-10T00:00:00Z"}));
    revocation.known_from = at("2026-06-12T00:00:00Z");
    later.push(revocation);
    let (from, until) = (at("2026-06-09T00:00:00Z"), at("2026-06-15T00:00:00Z"));
    let judged = judge(&built(&later), &camera, from, until);
    assert_eq!(judged.len(), 3, "{judged:?}");
    assert!(judged[0].is_lawful());
    assert_eq!(judged[0].term, TimeDelta::days(28));
    let Verdict::Lawful { then, now } = &judged[0].verdict else { panic!("lawful") };
    assert_eq!(then, now);
    assert!(then.iter().any(|fact| fact.kind == FactKind::Decree));
    for (piece, from, known) in [
        (&judged[1], "2026-06-10T00:00:00Z", Knowledge::Now),
        (&judged[2], "2026-06-12T00:00:00Z", Knowledge::ThenAndNow),
    ] {
        assert_eq!(piece.from, at(from));
        let Verdict::Unlawful { known: as_known, code, fact } = &piece.verdict else { panic!("unlawful") };
        assert_eq!((*as_known, *code), (known, ReasonCode::DecreeRevoked));
        assert_eq!(fact.as_ref().unwrap().kind, FactKind::Revocation);
    }
    let turned = turned_unlawful(&built(&facts), &built(&later), &camera, from, until);
    assert_eq!(turned.len(), 2);
    assert_eq!((turned[0].from, turned[1].until), (at("2026-06-10T00:00:00Z"), until));
    assert!(turned_unlawful(&built(&later), &built(&facts), &camera, from, until).is_empty());

    // What was recorded before anybody knew of the decree stays unlawful, whatever was entered since.
    let mut late = facts.clone();
    let decree = late.iter_mut().find(|f| f.reference().kind == FactKind::Decree).unwrap();
    decree.known_from = at("2026-06-12T00:00:00Z");
    let judged = judge(&built(&late), &camera, from, until);
    assert!(
        matches!(judged[0].verdict, Verdict::Unlawful { known: Knowledge::Then, .. }),
        "late knowledge only narrows"
    );
    assert!(judged[1].is_lawful());
    assert_eq!(judged[1].from, at("2026-06-12T00:00:00Z"));
    let unknown = judge(&built(&facts), &"CAM9".into(), from, until);
    assert_eq!((unknown.len(), unknown[0].is_lawful()), (1, false));
}

#[test]
fn differences_of_intervals() {
    let hours = |spans: &[(i64, i64)]| -> Vec<Interval> {
        let hour = |h| at(MONDAY) + TimeDelta::hours(h);
        spans.iter().map(|(from, until)| Interval { from: hour(*from), until: hour(*until) }).collect()
    };
    let left = without(&hours(&[(0, 10), (20, 30)]), &hours(&[(-1, 1), (2, 3), (9, 21), (29, 40)]));
    assert_eq!(left, hours(&[(1, 2), (3, 9), (21, 29)]));
    assert_eq!(without(&hours(&[(0, 1)]), &hours(&[(0, 1)])), []);
    assert_eq!(without(&hours(&[(0, 1)]), &hours(&[(1, 2)])), hours(&[(0, 1)]));
}

#[test]
fn a_lapsed_processor_agreement_ends_recording() {
    let mut facts = facts();
    for fact in &mut facts {
        if let FactBody::Agreement(agreement) = &mut fact.body
            && agreement.id.as_str() == "G1"
        {
            agreement.valid_until = Some(at("2026-06-16T00:00:00Z"));
        }
    }
    let register = built(&facts);
    let record = Request::by_system(Action::Record, Object::Camera("CAM1".into()));
    let open = open_intervals(&register, &record, week().0, week().1);
    assert_eq!(open, [(week().0, at("2026-06-16T00:00:00Z"))]);
}

#[test]
fn everything_that_can_end_is_listed() {
    let mut facts = facts();
    let soon = "2026-06-20T00:00:00Z";
    facts.push(fact(json!({"kind": "ordinance", "id": "O8", "municipality": "almelo", "provision": "p",
        "grants_power": true, "in_force_from": crate::common::FROM, "in_force_until": soon})));
    facts.push(fact(json!({"kind": "consultation", "id": "C8", "municipality": "almelo",
        "held_at": crate::common::FROM, "review_at": soon})));
    facts.push(fact(
        json!({"kind": "agreement", "id": "G8", "type": "cooperation", "parties": ["politie", "vrt"],
        "valid_from": crate::common::FROM, "valid_until": soon}),
    ));
    facts.push(fact(
        json!({"kind": "period", "id": "PE8", "decree": "D1", "effective_from": crate::common::FROM,
        "effective_until": soon, "use": {"mode": "continuous"}}),
    ));
    facts.push(fact(json!({"kind": "extra_window", "id": "X8", "decree": "D1", "type": "event",
        "from": crate::common::FROM, "until": soon, "ordered_by": "mayor"})));
    for (id, removed) in [("S7", Some(crate::common::FROM)), ("S8", None)] {
        facts.push(fact(json!({"kind": "signage", "id": id, "area": "AR1", "location": id,
            "placed_at": "2025-12-22T00:00:00Z", "removed_at": removed})));
    }
    let listed = |facts: &[Fact]| -> Vec<String> {
        let listed = endings(&built(facts), at(MONDAY), at(MONDAY) + TimeDelta::days(7));
        listed.iter().map(|ending| ending.fact.id.to_string()).collect()
    };
    assert_eq!(listed(&facts), ["O8", "PE8", "X8", "C8", "S8", "G8"]);
    facts.push(fact(json!({"kind": "revocation", "decree": "D1", "revoked_from": "2026-06-01T00:00:00Z"})));
    assert_eq!(listed(&facts), ["O8", "C8", "S8", "G8"], "what hangs on a revoked decree has ended");
}

#[test]
fn a_confirmation_counts_from_its_instant() {
    let mut facts = facts();
    facts.push(fact(json!({"kind": "extra_window", "id": "X1", "decree": "D1", "type": "emergency",
        "from": "2026-06-15T12:00:00Z", "until": "2026-06-15T20:00:00Z", "ordered_by": "mayor",
        "written_confirmation_at": "2026-06-16T09:00:00Z"})));
    facts.push(fact(json!({"kind": "extra_window", "id": "X2", "decree": "D1", "type": "event",
        "from": "2026-06-15T12:00:00Z", "until": "2026-06-15T20:00:00Z", "ordered_by": "mayor"})));
    let waiting = |t: &str| unconfirmed(&built(&facts), at(t)).len();
    assert_eq!(waiting("2026-06-16T08:59:59Z"), 1);
    assert_eq!(waiting("2026-06-16T09:00:00Z"), 0);
}

#[test]
fn each_proposal_is_the_next_version_of_its_own_fact() {
    let facts = facts();
    let camera =
        fact(json!({"kind": "camera", "id": "CAM1", "municipality": "almelo", "number": 7, "name": "seven"}));
    let other =
        fact(json!({"kind": "camera", "id": "CAM2", "municipality": "almelo", "number": 2, "name": "two"}));
    let bodies = [camera.body.clone(), other.body, camera.body];
    let after = proposed(&facts, &bodies, at(MONDAY));
    let versions: Vec<u32> = after.iter().skip(facts.len()).map(|fact| fact.version).collect();
    assert_eq!(versions, [2, 1, 3]);
    assert!(after.iter().skip(facts.len()).all(|fact| fact.known_from == at(MONDAY)));
}

#[test]
fn openings_touch_where_the_basis_changes_and_nowhere_else() {
    // Two windows of different names that touch: two openings, one interval.
    let mut facts = without_period();
    let live = json!([window("L1", &["fri"], "20:00", "22:00"), window("L2", &["fri"], "22:00", "23:00")]);
    facts.push(period("PE1", live, "never"));
    // An event inside the first changes neither.
    facts.push(fact(json!({"kind": "extra_window", "id": "X1", "decree": "D1", "type": "event",
        "from": "2026-06-19T21:00:00+02:00", "until": "2026-06-19T21:30:00+02:00", "ordered_by": "mayor",
        "consultation": "C1"})));
    let (from, until) = week();
    let live = camera_openings(&built(&facts), &"CAM1".into(), View::Live, from, until);
    assert_eq!(live.len(), 2, "{live:?}");
    assert_eq!(live[0].until, at("2026-06-19T22:00:00+02:00"));
    assert_eq!(joined(&live), [interval("2026-06-19T20:00:00+02:00", "2026-06-19T23:00:00+02:00")]);
    let register = built(&facts);
    let open = open_intervals(&register, &watch("police"), from, until);
    assert_eq!(open, [(at("2026-06-19T20:00:00+02:00"), at("2026-06-19T23:00:00+02:00"))]);
}

#[test]
fn a_boundary_that_changes_nothing_is_no_seam() {
    let mut facts = facts();
    // Preferred by its later start, but it designates nothing: the answer is asked again then, and is the same.
    facts.push(fact(json!({"kind": "decree", "id": "D2", "municipality": "almelo", "ordinance": "O1",
        "decided_by": "mayor", "published_at": crate::common::FROM, "valid_from": "2026-06-19T22:00:00+02:00",
        "valid_until": crate::common::UNTIL, "retention_days": 28})));
    let (from, until) = week();
    let live = camera_openings(&built(&facts), &"CAM1".into(), View::Live, from, until);
    assert_eq!(live.len(), 2, "{live:?}");
    assert_eq!(live[0].from, at("2026-06-19T21:00:00+02:00"));
    assert_eq!(live[0].until, at("2026-06-20T06:00:00+02:00"));
    let empty = Interval { from, until: from };
    assert_eq!(
        mandate::outlook::union(vec![empty, Interval { from, until }, empty]),
        [Interval { from, until }]
    );
    assert_eq!(mandate::outlook::union(vec![empty]), []);
}

#[test]
fn what_was_never_lawful_does_not_turn() {
    let mut facts = facts();
    for fact in &mut facts {
        if let FactBody::Signage(sign) = &mut fact.body {
            sign.placed_at = Some(at("2026-06-10T00:00:00Z"));
        }
    }
    let register = built(&facts);
    let (from, until) = (at("2026-06-09T00:00:00Z"), at("2026-06-12T00:00:00Z"));
    assert!(!judge(&register, &"CAM1".into(), from, until)[0].is_lawful());
    assert_eq!(turned_unlawful(&register, &register, &"CAM1".into(), from, until), []);
}

/// A year of a person is asked for in pieces; joined they say what the whole says.
#[test]
fn pieces_of_a_person_s_outlook_join() {
    let mut facts = without_period();
    facts.push(period("PE1", json!([window("L1", &["fri", "sat"], "21:00", "06:00")]), "never"));
    let register = Register::build(&facts, at("2026-06-15T00:00:00Z")).unwrap();
    let person = "observer".into();
    // The second piece begins in the middle of an open night.
    let instants = ["2026-06-15T00:00:00Z", "2026-06-20T00:00:00Z", "2026-07-20T00:00:00Z"].map(at);
    let mut pieces = of_person(&register, &person, instants[0], instants[1]).unwrap();
    pieces.append(of_person(&register, &person, instants[1], instants[2]).unwrap());
    assert_eq!(pieces, of_person(&register, &person, instants[0], instants[2]).unwrap());
    assert!(pieces.cameras[0].1.iter().any(|open| open.from < instants[1] && instants[1] < open.until));
}
