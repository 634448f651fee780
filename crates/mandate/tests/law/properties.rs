//! What must hold for every register, request and instant.

use crate::{
    common::{EVERY_DAY, ask, at, fact, period, watch, watch_for_incident, window, without_period},
    worlds::{HOURS, ended, hour, register, request, start, stretch, text, world},
};
use chrono::{DateTime, TimeDelta, Utc};
use mandate::{
    Action, Decision, Fact, FactBody, FactKind, FactRef, Object, Purpose, ReasonCode, Register, Request,
    Statement, decide, footage_pieces, next_opening, open_intervals,
};
use proptest::prelude::*;
use serde_json::json;

/// What must not change while a decision lasts: the answer, its reason and what it rests on.
fn answer(decision: &Decision) -> (bool, Option<ReasonCode>, Vec<FactRef>) {
    match decision {
        Decision::Permit(permit) => (true, None, permit.basis().to_vec()),
        Decision::Deny(denial) => (false, Some(denial.code), denial.fact.iter().cloned().collect()),
    }
}

/// How many worlds each property is shown; `RTR_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("RTR_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn nothing_changes_before_until(facts in world(), request in request(), t in HOURS, probes in prop::collection::vec(0.0..1.0_f64, 6)) {
        let register = register(&facts);
        let t = hour(t);
        let decision = decide(&register, &request, t);
        if let Some(until) = decision.until() {
            prop_assert!(until > t);
        }
        let last = decision.until().unwrap_or_else(|| t + TimeDelta::days(400));
        let length = last - t;
        let mut instants: Vec<DateTime<Utc>> =
            probes.iter().map(|p| t + TimeDelta::seconds((length.num_seconds() as f64 * p) as i64)).collect();
        instants.push(last - TimeDelta::nanoseconds(1));
        for instant in instants.into_iter().filter(|instant| *instant < last) {
            prop_assert_eq!(answer(&decide(&register, &request, instant)), answer(&decision), "at {}", instant);
        }
    }

    #[test]
    fn ending_a_fact_of_the_basis_denies_or_finds_another(facts in world(), request in request(), t in HOURS) {
        let t = hour(t);
        let decision = decide(&register(&facts), &request, t);
        if let Some(permit) = decision.permit() {
            for which in permit.basis().iter().filter(|fact| fact.kind != FactKind::Incident) {
                // Footage rests on what held at capture; a short replay on what holds now too.
                let end = match &request.object {
                    Object::Footage { from, .. } if !matches!(which.kind, FactKind::Authorisation | FactKind::Shift
                        | FactKind::ProcessorAgreement | FactKind::SubprocessorAgreement | FactKind::Instruction) => t.min(*from),
                    _ => t,
                };
                let later = decide(&register(&ended(&facts, which, end)), &request, t);
                if let Some(permit) = later.permit() {
                    prop_assert!(!permit.basis().contains(which), "still rests on {:?}", which);
                }
            }
        }
    }

    /// The basis names every fact: what it leaves out can end or go, and the permit stays.
    #[test]
    fn ending_what_is_not_in_the_basis_denies_nothing(facts in world(), request in request(), t in HOURS) {
        let t = hour(t);
        let decision = decide(&register(&facts), &request, t);
        let Some(permit) = decision.permit() else { return Ok(()) };
        prop_assert!(permit.is_complete());
        let end = match &request.object {
            Object::Footage { from, .. } => t.min(*from),
            _ => t,
        };
        // A decree is ended by a revocation, whichever of its versions.
        let named = |which: &FactRef| permit.basis().iter().any(|fact| {
            fact == which || which.kind == FactKind::Decree && (fact.kind, &fact.id) == (which.kind, &which.id)
        });
        for which in facts.iter().map(Fact::reference).filter(|which| !named(which)) {
            // A position that ends where it did not could hang beside the next one.
            let Ok(register) = Register::build(&ended(&facts, &which, end), hour(20_000)) else { continue };
            let later = decide(&register, &request, t);
            prop_assert!(later.is_permit(), "{:?} is not in the basis, but without it: {:?}", which, later.denial());
        }
    }

    #[test]
    fn the_order_of_the_facts_does_not_matter(facts in world(), request in request(), t in HOURS, seed in any::<u64>()) {
        let mut shuffled = facts.clone();
        let mut state = seed;
        shuffled.sort_by_cached_key(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 33
        });
        prop_assert_eq!(decide(&register(&facts), &request, hour(t)), decide(&register(&shuffled), &request, hour(t)));
    }

    #[test]
    fn open_intervals_are_where_decide_permits(facts in world(), request in request(), probes in prop::collection::vec(HOURS, 20)) {
        let register = register(&facts);
        let open = open_intervals(&register, &request, start(), hour(336));
        for (one, next) in open.iter().zip(open.iter().skip(1)) {
            prop_assert!(one.1 < next.0, "in order, and touching ones are one");
        }
        for probe in probes {
            let t = hour(probe);
            let inside = open.iter().any(|(from, until)| *from <= t && t < *until);
            prop_assert_eq!(decide(&register, &request, t).is_permit(), inside);
            let next = next_opening(&register, &request, t, TimeDelta::hours(336 - probe) - TimeDelta::nanoseconds(1));
            let expected = open.iter().find(|(_, until)| t < *until).map(|(from, _)| t.max(*from));
            prop_assert_eq!(next, expected);
        }
    }

    #[test]
    fn a_permit_rests_on_every_link(facts in world(), request in request(), t in HOURS) {
        let decision = decide(&register(&facts), &request, hour(t));
        let Some(permit) = decision.permit() else { return Ok(()) };
        let has = |kind: FactKind| permit.basis().iter().any(|fact| fact.kind == kind);
        let person = matches!(request.actor, mandate::Actor::Person { .. });
        if person {
            for kind in [FactKind::Person, FactKind::Authorisation, FactKind::Organisation] {
                prop_assert!(has(kind), "{:?} without {:?}", request.action, kind);
            }
        }
        let observer = matches!(&request.actor, mandate::Actor::Person { role: mandate::Role::Observer, .. });
        let needs = |needed: bool, kinds: &[FactKind]| kinds.iter().find(|kind| needed && !has(**kind)).copied();
        prop_assert_eq!(needs(observer, &[FactKind::ProcessorAgreement, FactKind::SubprocessorAgreement]), None);
        prop_assert_eq!(needs(observer && request.action != Action::ListCameras, &[FactKind::Shift]), None);
        prop_assert_eq!(needs(request.action == Action::Record, &[FactKind::ProcessorAgreement]), None);
        // Everything that shows or makes pictures stands on the mayor's chain.
        let pictures = request.action != Action::ListCameras;
        let chain = [FactKind::Ordinance, FactKind::Decree, FactKind::Area, FactKind::Camera, FactKind::Position,
            FactKind::Consultation, FactKind::Signage];
        prop_assert_eq!(needs(pictures, &chain), None);
        prop_assert!(!pictures || has(FactKind::Period) || has(FactKind::ExtraWindow));
        let live = matches!(request.action, Action::LiveView | Action::Snapshot | Action::PtzControl | Action::ShareLive);
        let masked = live || request.action == Action::Record;
        prop_assert_eq!(needs(masked, &[FactKind::Mask]), None);
        // Watching is in a window, or in one that an event opens, or free, or leans on the incident.
        let watched = live;
        let free = facts.iter().any(|fact| matches!(&fact.body, FactBody::Decree(decree)
            if decree.live_outside_window == mandate::facts::LiveOutsideWindow::Free));
        let opened = free || has(FactKind::Window) || has(FactKind::ExtraWindow) || has(FactKind::Incident);
        prop_assert!(!watched || opened);
        let leans = has(FactKind::Incident) && watched && person
            && !matches!(&request.actor, mandate::Actor::Person { role: mandate::Role::PoliceOperator, .. });
        prop_assert_eq!(needs(leans, &[FactKind::Instruction]), None);
    }

    #[test]
    fn every_interval_is_half_open(facts in world(), request in request()) {
        let register = register(&facts);
        let tick = TimeDelta::nanoseconds(1);
        for (from, until) in open_intervals(&register, &request, start(), hour(336)) {
            prop_assert!(decide(&register, &request, from).is_permit());
            prop_assert!(from == start() || !decide(&register, &request, from - tick).is_permit());
            prop_assert!(decide(&register, &request, until - tick).is_permit());
            prop_assert!(until == hour(336) || !decide(&register, &request, until).is_permit());
        }
    }

    #[test]
    fn more_authority_never_permits_less(
        facts in world(), request in request(), t in HOURS, role in 0_usize..4, extra in stretch(), wider in any::<bool>()
    ) {
        let before = decide(&register(&facts), &request, hour(t));
        let mut more = facts.clone();
        if wider {
            for fact in &mut more {
                if let FactBody::Authorisation(authorisation) = &mut fact.body {
                    authorisation.municipalities.push("borne".into());
                    authorisation.from = authorisation.from.min(extra.0);
                    authorisation.until = authorisation.until.max(extra.1);
                }
            }
        } else {
            let (person, role) = [("observer", "observer"), ("coordinator", "room_coordinator"),
                ("police", "police_operator"), ("detective", "investigator")][role];
            more.push(fact(json!({"kind": "authorisation", "id": "A-more", "person": person, "role": role,
                "municipalities": ["almelo"], "from": text(extra.0), "until": text(extra.1)})));
        }
        let after = decide(&register(&more), &request, hour(t));
        prop_assert!(!before.is_permit() || after.is_permit(), "more authority took it away: {:?}", after.denial());
    }

    #[test]
    fn less_authority_never_permits_more(facts in world(), request in request(), t in HOURS, scope in any::<bool>(), earlier in HOURS) {
        let before = decide(&register(&facts), &request, hour(t));
        let mut less = facts.clone();
        for fact in &mut less {
            if let FactBody::Authorisation(authorisation) = &mut fact.body {
                if scope {
                    authorisation.municipalities.clear();
                } else {
                    authorisation.until = authorisation.until.min(hour(earlier));
                }
            }
        }
        let after = decide(&register(&less), &request, hour(t));
        prop_assert!(before.is_permit() || !after.is_permit(), "less authority gave it");
        let nowhere = scope && matches!(request.actor, mandate::Actor::Person { .. });
        prop_assert!(!nowhere || !after.is_permit(), "nobody may act where they have no scope");
    }

    #[test]
    fn judgement_and_decision_agree(facts in world(), captured in HOURS) {
        let register = register(&facts);
        let camera: mandate::CameraId = "CAM1".into();
        let (from, until) = (hour(captured), hour(captured + 5));
        let judged = mandate::judgement::judge(&register, &camera, from, until);
        prop_assert_eq!(judged.first().map(|piece| piece.from), Some(from));
        prop_assert_eq!(judged.last().map(|piece| piece.until), Some(until));
        for (one, next) in judged.iter().zip(judged.iter().skip(1)) {
            prop_assert_eq!(one.until, next.from);
        }
        for piece in judged {
            for at in [piece.from, piece.until - TimeDelta::nanoseconds(1)] {
                let object = Object::Footage { camera: camera.clone(), from: at, until: at + TimeDelta::nanoseconds(1) };
                let request = ask("detective", Action::Replay, object).saying(Statement {
                    purpose: Some(Purpose::Investigation), offence_ref: Some("Sr 141".to_owned()), ..Statement::default()
                });
                let denial = decide(&register, &request, at + TimeDelta::hours(1));
                let unlawful = denial.denial().is_some_and(|denial| denial.code == ReasonCode::UnlawfullyRecorded);
                prop_assert_eq!(unlawful, !piece.is_lawful());
            }
        }
    }

    #[test]
    fn what_a_proposal_opens_and_closes_is_the_difference(facts in world(), other in world(), probes in prop::collection::vec(HOURS, 10)) {
        use mandate::outlook::{Subject, View, compare};
        let (before, after) = (register(&facts), register(&other));
        let changes = compare(&before, &after, start(), hour(336));
        for probe in probes {
            let t = hour(probe);
            let request = Request::by_system(Action::Record, Object::Camera("CAM1".into()));
            let (was, will) = (decide(&before, &request, t).is_permit(), decide(&after, &request, t).is_permit());
            let of_camera = |change: &&mandate::outlook::Change| {
                matches!(&change.subject, Subject::Camera { view: View::Use, .. })
            };
            let change = changes.iter().find(of_camera);
            let inside = |intervals: &[mandate::outlook::Interval]| intervals.iter().any(|i| i.from <= t && t < i.until);
            prop_assert_eq!(change.is_some_and(|change| inside(&change.opens)), !was && will);
            prop_assert_eq!(change.is_some_and(|change| inside(&change.closes)), was && !will);
        }
    }

    #[test]
    fn sharing_what_was_known_changes_no_answer(facts in world(), request in request(), t in HOURS, before in HOURS, forgotten in any::<prop::sample::Index>()) {
        // As a journal has them.
        let mut facts = facts;
        facts.sort_by_key(|fact| fact.known_from);
        let alone = register(&facts);
        let earlier = Register::build(&facts, hour(before)).unwrap();
        earlier.warm(start(), hour(336));
        let mut other = facts.clone();
        other.remove(forgotten.index(facts.len()));
        // What another journal knew is not taken over either.
        for other in [earlier, Register::build(&other, hour(before)).unwrap()] {
            let mut sharing = register(&facts);
            sharing.share_known(&other, start());
            sharing.warm(start(), hour(336));
            prop_assert_eq!(decide(&sharing, &request, hour(t)), decide(&alone, &request, hour(t)));
        }
    }

    #[test]
    fn technical_work_changes_no_answer(facts in world(), request in request(), t in HOURS, work in stretch(), known in HOURS) {
        let mut with = facts.clone();
        let mut access = fact(json!({"kind": "maintenance", "id": "T1", "person": "observer", "ticket": "4711",
            "from": text(work.0), "until": text(work.1), "witness": "police"}));
        access.known_from = hour(known);
        with.push(access);
        prop_assert_eq!(decide(&register(&facts), &request, hour(t)), decide(&register(&with), &request, hour(t)));
    }

    #[test]
    fn late_knowledge_only_narrows(facts in world(), captured in HOURS, late in prop::sample::select((0..30_usize).collect::<Vec<_>>())) {
        let camera: mandate::CameraId = "CAM1".into();
        let object = Object::Footage { camera, from: hour(captured), until: hour(captured) + TimeDelta::seconds(1) };
        let request = ask("detective", Action::Replay, object).saying(Statement {
            purpose: Some(Purpose::Investigation), offence_ref: Some("Sr 141".to_owned()), ..Statement::default()
        });
        let asked = hour(captured + 24);
        // Everything is known from the beginning, but for this one.
        let mut at_once = facts;
        for fact in &mut at_once {
            fact.known_from = at("2020-01-01T00:00:00Z");
        }
        let index = late % at_once.len();
        let is_ground = !matches!(at_once[index].reference().kind, FactKind::Person | FactKind::Authorisation | FactKind::Organisation
            | FactKind::ProcessorAgreement | FactKind::SubprocessorAgreement | FactKind::Shift);
        let mut later = at_once.clone();
        later[index].known_from = hour(captured + 1);
        let mut never = at_once.clone();
        never.remove(index);
        let decided = |facts: &[Fact]| decide(&register(facts), &request, asked).is_permit();
        if is_ground && decided(&later) {
            prop_assert!(decided(&never), "what nobody knew at capture made it lawful");
            prop_assert!(decided(&at_once), "what was known only later forgave what it forbids");
        }
    }

    #[test]
    fn pieces_of_footage_tile_the_range(facts in world(), from in HOURS, length in 1_i64..100, asked in 0_i64..800, probes in prop::collection::vec(0.0..1.0_f64, 8)) {
        let register = register(&facts);
        let camera: mandate::CameraId = "CAM1".into();
        let (from, until) = (hour(from), hour(from + length));
        let asked = until + TimeDelta::hours(asked);
        let frame = |from, until| {
            ask("detective", Action::Replay, Object::Footage { camera: camera.clone(), from, until }).saying(Statement {
                purpose: Some(Purpose::Investigation), offence_ref: Some("Sr 141".to_owned()), ..Statement::default()
            })
        };
        let pieces = footage_pieces(&register, &frame(from, until), asked);
        prop_assert_eq!(pieces.first().map(|piece| piece.from), Some(from));
        prop_assert_eq!(pieces.last().map(|piece| piece.until), Some(until));
        for (one, next) in pieces.iter().zip(pieces.iter().skip(1)) {
            prop_assert_eq!(one.until, next.from);
        }
        for probe in probes {
            let captured = from + TimeDelta::seconds(((until - from).num_seconds() as f64 * probe) as i64);
            let piece = pieces.iter().find(|piece| piece.from <= captured && captured < piece.until).unwrap();
            let single = decide(&register, &frame(captured, captured + TimeDelta::nanoseconds(1)), asked);
            prop_assert_eq!(single.is_permit(), piece.decision.is_permit(), "frame {}", captured);
            prop_assert_eq!(answer(&single).1, answer(&piece.decision).1);
        }
    }
}

#[test]
fn no_permit_without_each_link() {
    let mut facts = without_period();
    facts.push(period("PE1", json!([window("L1", EVERY_DAY, "00:00", "00:00")]), "never"));
    let t = at("2026-06-13T12:00:00Z");
    let request = watch("observer");
    let decision = decide(&register(&facts), &request, t);
    let basis = decision.permit().unwrap().basis().to_vec();
    // Those that are not in the basis by name: the municipality's own record, other people's facts.
    let beside = |fact: &Fact| {
        let id = fact.reference().id;
        fact.reference().kind == FactKind::Municipality
            || ["coordinator", "police", "detective"].iter().any(|person| id.ends_with(person))
            || matches!(&*id, "politie" | "vrt")
    };
    let mut links = 0;
    for (index, fact) in facts.iter().enumerate().filter(|(_, fact)| !beside(fact)) {
        let mut without = facts.clone();
        without.remove(index);
        let denied = decide(&register(&without), &request, t);
        // Of two sign points one is enough to satisfy the register when the other is not required any more.
        let spare = matches!(&fact.body, FactBody::Signage(_));
        assert_eq!(denied.is_permit(), spare, "without {:?}", fact.reference());
        assert!(
            spare || fact.reference().kind == FactKind::Organisation || basis.contains(&fact.reference())
        );
        links += 1;
    }
    assert!(links >= 16, "{links}");
    let mut no_signs = facts.clone();
    no_signs.retain(|fact| fact.reference().kind != FactKind::Signage);
    assert_eq!(decide(&register(&no_signs), &request, t).denial().unwrap().code, ReasonCode::SignageMissing);
}

#[test]
fn a_permit_is_half_open() {
    let mut facts = without_period();
    facts.push(period("PE1", json!([window("L1", &["sat"], "22:00", "05:00")]), "police_incident"));
    let register = register(&facts);
    let (opens, closes) = (at("2026-06-13T22:00:00+02:00"), at("2026-06-14T05:00:00+02:00"));
    let tick = TimeDelta::nanoseconds(1);
    let request = watch("observer");
    assert!(!decide(&register, &request, opens - tick).is_permit());
    let permit = decide(&register, &request, opens);
    assert_eq!(permit.until(), Some(closes));
    assert!(decide(&register, &request, closes - tick).is_permit());
    let denial = decide(&register, &request, closes);
    assert_eq!(denial.until(), Some(at("2026-06-20T22:00:00+02:00")), "a denial says when it may open");
    assert_eq!(next_opening(&register, &request, closes, TimeDelta::days(8)), denial.until());
    // Police on an incident look on, and at the window's start the basis changes without a break.
    let police = decide(&register, &watch_for_incident("police"), closes);
    assert!(police.is_permit());
    assert_eq!(police.until(), Some(at("2026-06-20T22:00:00+02:00")));
    assert!(
        !decide(&register, &watch_for_incident("coordinator"), closes).is_permit(),
        "without an instruction"
    );
}

#[test]
fn what_was_known_then_decides_about_what_was_recorded_then() {
    let mut facts = without_period();
    facts.push(period("PE1", json!([]), "never"));
    let revoked = at("2026-06-10T00:00:00Z");
    let mut revocation = fact(json!({"kind": "revocation", "decree": "D1", "revoked_from": revoked}));
    revocation.known_from = at("2026-06-12T00:00:00Z");
    facts.push(revocation);
    let replay = |captured: &str| {
        let from = at(captured);
        let object = Object::Footage { camera: "CAM1".into(), from, until: from + TimeDelta::seconds(1) };
        ask("detective", Action::Replay, object).saying(Statement {
            purpose: Some(Purpose::Investigation),
            offence_ref: Some("Sr 141".to_owned()),
            ..Statement::default()
        })
    };
    let asked = at("2026-06-13T00:00:00Z");
    let before = Register::build(&facts, at("2026-06-11T00:00:00Z")).unwrap();
    let now = Register::build(&facts, asked).unwrap();
    let request = replay("2026-06-10T12:00:00Z");
    assert!(
        decide(&before, &request, at("2026-06-11T00:00:00Z")).is_permit(),
        "the old answer stays what it was"
    );
    let denial = decide(&now, &request, asked);
    assert_eq!(denial.denial().unwrap().code, ReasonCode::UnlawfullyRecorded);
    assert!(denial.obligations().quarantine);
    assert!(
        decide(&now, &replay("2026-06-09T12:00:00Z"), asked).is_permit(),
        "a revocation is not retroactive"
    );
}

#[test]
fn every_fact_survives_the_journal() {
    let mut facts = without_period();
    facts.push(period("PE1", json!([window("L1", EVERY_DAY, "21:00", "06:00")]), "free"));
    for fact in facts {
        let text = serde_json::to_string(&fact).unwrap();
        assert_eq!(serde_json::from_str::<Fact>(&text).unwrap(), fact, "{text}");
    }
}

#[test]
fn a_decree_that_is_extended_for_decades_goes_on() {
    let mut facts = without_period();
    facts.retain(|fact| !matches!(fact.reference().kind, FactKind::Ordinance | FactKind::ProcessorAgreement));
    facts.push(fact(json!({"kind": "ordinance", "id": "O1", "municipality": "almelo", "provision": "demo",
        "grants_power": true, "in_force_from": crate::common::FROM})));
    facts.push(fact(
        json!({"kind": "extension", "decree": "D1", "number": 1, "published_at": "2030-12-01T00:00:00Z",
        "valid_until": "2061-01-01T00:00:00Z"}),
    ));
    facts.push(fact(
        json!({"kind": "agreement", "id": "G1", "type": "processor", "parties": ["politie", "vrt"],
        "valid_from": crate::common::FROM}),
    ));
    facts.push(period("PE1", json!([window("L1", &["sat"], "22:00", "05:00")]), "never"));
    let register = register(&facts);
    // A Saturday night, thirty-four years on.
    let permit = decide(&register, &watch("police"), at("2060-06-12T23:00:00+02:00"));
    assert!(!permit.is_permit(), "the authorisation ended long ago");
    let open = mandate::outlook::camera_openings(
        &register,
        &"CAM1".into(),
        mandate::outlook::View::Live,
        at("2060-06-07T00:00:00Z"),
        at("2060-06-14T00:00:00Z"),
    );
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].from, at("2060-06-12T22:00:00+02:00"));
    assert_eq!(open[0].until, at("2060-06-13T05:00:00+02:00"));
}

#[test]
fn an_instruction_ends_with_the_authority_behind_it() {
    let facts = |until: &str, organisation: &str| {
        let mut facts = without_period();
        facts.push(period("PE1", json!([]), "police_incident"));
        facts.push(fact(json!({"kind": "person", "id": "night", "name": "n", "organisation": organisation,
            "secrecy_signed_at": crate::common::FROM})));
        facts.push(fact(
            json!({"kind": "authorisation", "id": "A-night", "person": "night", "role": "police_operator",
            "municipalities": ["almelo"], "from": crate::common::FROM, "until": until}),
        ));
        facts.push(fact(
            json!({"kind": "instruction", "id": "I1", "cameras": ["CAM1"], "from": "2026-06-13T20:00:00Z",
            "until": "2026-06-14T20:00:00Z", "entered_by": "night"}),
        ));
        register(&facts)
    };
    let mut request = watch_for_incident("observer");
    request.resolved.instruction = Some("I1".into());
    let t = at("2026-06-14T00:00:00Z");
    let permit = decide(&facts("2027-01-01T00:00:00Z", "politie"), &request, t);
    assert_eq!(permit.until(), Some(at("2026-06-14T20:00:00Z")));
    assert!(permit.permit().unwrap().basis().iter().any(|fact| &*fact.id == "A-night"));
    let permit = decide(&facts("2026-06-14T06:00:00Z", "politie"), &request, t);
    assert_eq!(permit.until(), Some(at("2026-06-14T06:00:00Z")));
    let over = decide(&facts("2026-06-14T00:00:00Z", "politie"), &request, t);
    assert_eq!(over.denial().unwrap().code, ReasonCode::OutsideLiveWindow);
    assert!(!decide(&facts("2027-01-01T00:00:00Z", "vrt"), &request, t).is_permit(), "no police officer");
}
