//! What a new version of a fact may change, and what takes another fact: an extension, a period with its own consultation, a
//! new authorisation. What has not begun can be called off.

use crate::{
    common::{EVERY_DAY, FROM, at, fact, window},
    entry::{NOW, but, facts, good, look},
};
use mandate::{
    Fact, FactBody,
    entry::{Severity, acceptable},
};
use serde_json::{Value, json};

/// The fields of the objections to a fact.
fn objected(facts: &[Fact], body: Value) -> Vec<&'static str> {
    let findings = look(facts, &[body], Some(at(NOW)));
    findings.iter().filter(|f| f.severity == Severity::Objection).map(|f| f.field).collect()
}

/// What was published holds for as long as was published (Awb 3:40, GW-12).
#[test]
fn a_later_end_of_a_decree_is_an_extension() {
    let mut facts = facts();
    let FactBody::Decree(decree) = &mut facts.iter_mut().find(|f| &*f.reference().id == "D1").unwrap().body
    else {
        panic!("a decree")
    };
    decree.valid_until = at("2030-01-01T00:00:00Z");
    facts.push(fact(good("decree")));
    facts.push(fact(but("extension", json!({"valid_until": "2030-06-01T00:00:00Z"}))));
    let running = |until: &str| {
        let from = FROM;
        let changes = json!({"id": "D1", "signed_at": null, "published_at": from, "valid_from": from,
            "valid_until": until});
        objected(&facts, but("decree", changes))
    };
    assert_eq!(running("2030-01-01T00:00:01Z"), ["valid_until"]);
    assert_eq!(running("2030-01-01T00:00:00Z"), [""; 0]);
    assert_eq!(running("2029-01-01T00:00:00Z"), [""; 0]);
    let to_come = |published_at: &str, until: &str| {
        objected(&facts, but("decree", json!({"published_at": published_at, "valid_until": until})))
    };
    assert_eq!(to_come("2026-06-14T00:00:00Z", "2027-08-01T00:00:00Z"), ["valid_until"]);
    assert_eq!(to_come("2026-06-15T00:00:00Z", "2027-08-01T00:00:00Z"), [""; 0], "published again");
    let extension = |until: &str| objected(&facts, but("extension", json!({"valid_until": until})));
    assert_eq!(extension("2030-06-01T00:00:01Z"), ["valid_until"]);
    assert_eq!(extension("2030-05-01T00:00:00Z"), [""; 0]);
}

/// The consultation comes before the period (GW-06), so a running one only narrows.
#[test]
fn a_running_period_opens_no_further_than_was_consulted_about() {
    let mut facts = facts();
    facts.push(fact(good("period")));
    facts.push(fact(but(
        "period",
        json!({"id": "PE8", "effective_from": FROM, "effective_until": "2027-01-01T00:00:00Z"}),
    )));
    let nights = |days: &[&str], start: &str| json!([window("L1", days, start, "06:00")]);
    let running = |live: Value, outside: &str, used: Value| {
        objected(
            &facts,
            but(
                "period",
                json!({"id": "PE1", "effective_from": FROM, "use": used, "live": live,
                "live_outside_window": outside}),
            ),
        )
    };
    let continuous = json!({"mode": "continuous"});
    let as_it_is = || nights(&["fri", "sat"], "21:00");
    let weekly = json!({"mode": "weekly", "windows": [window("U1", EVERY_DAY, "18:00", "07:00")]});
    assert_eq!(running(as_it_is(), "police_incident", continuous.clone()), [""; 0]);
    assert_eq!(running(nights(&["sat"], "22:00"), "never", weekly), [""; 0], "narrower in everything");
    assert_eq!(
        running(nights(&["thu", "fri", "sat"], "21:00"), "police_incident", continuous.clone()),
        ["live"]
    );
    assert_eq!(running(nights(&["fri", "sat"], "20:59"), "police_incident", continuous.clone()), ["live"]);
    assert_eq!(running(as_it_is(), "free", continuous.clone()), ["live_outside_window"]);
    let of_nights = |changes: Value| {
        let mut body = but(
            "period",
            json!({"id": "PE8", "effective_from": FROM,
            "effective_until": "2027-01-01T00:00:00Z"}),
        );
        for (field, value) in changes.as_object().unwrap() {
            body[field] = value.clone();
        }
        objected(&facts, body)
    };
    assert_eq!(of_nights(json!({"use": continuous})), ["use"]);
    assert_eq!(of_nights(json!({"effective_until": "2027-01-01T00:00:01Z"})), ["effective_until"]);
    assert_eq!(of_nights(json!({"effective_until": null})), ["effective_until"]);
    assert_eq!(of_nights(json!({"effective_until": "2026-12-01T00:00:00Z"})), [""; 0]);
    // What is still to come is changed freely: its consultation precedes it.
    let to_come = json!({"use": {"mode": "continuous"}, "live": [window("L9", &["mon"], "10:00", "12:00")]});
    assert_eq!(objected(&facts, but("period", to_come)), [""; 0]);
}

#[test]
fn what_has_not_begun_is_called_off() {
    let mut facts = facts();
    let event = json!({"id": "X1", "type": "event", "from": "2026-07-01T00:00:00Z",
        "until": "2026-07-02T00:00:00Z", "ordered_at": null});
    let position = json!({"camera": "CAM9", "from": "2026-07-01T00:00:00Z"});
    let instruction = json!({"from": "2026-06-15T13:00:00Z"});
    facts.push(fact(good("camera")));
    for (kind, changes, field) in [
        ("period", json!({}), "effective_until"),
        ("extra_window", event, "until"),
        ("position", position, "until"),
        ("authorisation", json!({}), "until"),
        ("shift", json!({}), "until"),
        ("instruction", instruction, "until"),
    ] {
        let first = but(kind, changes);
        let start = if kind == "period" { "effective_from" } else { "from" };
        let mut called_off = first.clone();
        called_off[field] = first[start].clone();
        assert!(objected(&facts, called_off.clone()).contains(&field), "a first {kind} that is empty");
        facts.push(fact(first));
        assert_eq!(objected(&facts, called_off), [""; 0], "{kind}");
    }
}

#[test]
fn whoever_changes_employer_is_authorised_anew() {
    let facts = facts();
    let moved = |id: &str| {
        objected(&facts, but("person", json!({"id": id, "organisation": "politie", "personnel_no": null})))
    };
    assert_eq!(moved("observer"), ["organisation"]);
    assert_eq!(moved("police"), [""; 0], "who stays, stays");
    let mut ended = facts.clone();
    for fact in &mut ended {
        if let FactBody::Authorisation(authorisation) = &mut fact.body {
            authorisation.until = at(NOW);
        }
    }
    let body = but("person", json!({"id": "observer", "organisation": "politie", "personnel_no": null}));
    assert_eq!(objected(&ended, body), [""; 0]);
}

/// Technical work is announced, watched by somebody else, and never grows (`domain.md` 5a).
#[test]
fn technical_work_is_announced_and_watched() {
    let mut facts = facts();
    facts.push(fact(json!({"kind": "person", "id": "technician", "name": "t", "organisation": "vrt"})));
    facts.push(fact(json!({"kind": "authorisation", "id": "A-technician", "person": "technician",
        "role": "system_admin", "municipalities": ["almelo"], "from": FROM, "until": "2026-09-01T00:00:00Z"})));
    let work = |changes: Value| {
        let mut body = json!({"kind": "maintenance", "id": "T1", "person": "technician", "ticket": "4711",
            "from": "2026-06-20T08:00:00Z", "until": "2026-06-20T10:00:00Z", "witness": "police"});
        for (field, value) in changes.as_object().unwrap() {
            body[field] = value.clone();
        }
        body
    };
    assert_eq!(objected(&facts, work(json!({}))), [""; 0]);
    for (changes, field) in [
        (json!({"until": "2026-06-20T08:00:00Z"}), "until"),
        (json!({"ticket": " "}), "ticket"),
        (json!({"from": "2026-06-15T11:59:59Z"}), "from"),
        (json!({"person": "coordinator"}), "person"),
        (json!({"until": "2026-09-01T00:00:01Z"}), "person"),
        (json!({"witness": "nobody"}), "witness"),
        (json!({"witness": "technician"}), "witness"),
    ] {
        assert_eq!(objected(&facts, work(changes)), [field]);
    }
    facts.push(fact(work(json!({"from": "2026-06-15T10:00:00Z"}))));
    let again = |changes: Value| {
        let mut body = work(json!({"from": "2026-06-15T10:00:00Z"}));
        for (field, value) in changes.as_object().unwrap() {
            body[field] = value.clone();
        }
        objected(&facts, body)
    };
    assert_eq!(again(json!({"until": "2026-06-15T13:00:00Z"})), [""; 0], "shorter, while it runs");
    for changes in [
        json!({"until": "2026-06-20T10:00:01Z"}),
        json!({"ticket": "another"}),
        json!({"witness": "detective"}),
    ] {
        assert_eq!(again(changes), ["until"]);
    }
}

/// Order and consultation were about these hours and this area (GW-06, GW-20).
#[test]
fn a_window_that_has_begun_only_ends_earlier() {
    let mut facts = facts();
    let event = |changes: Value| {
        let mut body = but(
            "extra_window",
            json!({"id": "X1", "type": "event", "from": "2026-06-15T10:00:00Z",
            "until": "2026-06-16T10:00:00Z"}),
        );
        for (field, value) in changes.as_object().unwrap() {
            body[field] = value.clone();
        }
        body
    };
    facts.push(fact(event(json!({}))));
    for (changes, field) in [
        (json!({"until": "2026-06-16T10:00:01Z"}), "until"),
        (json!({"from": "2026-06-15T13:00:00Z"}), "from"),
        (json!({"area": null}), "area"),
    ] {
        assert_eq!(objected(&facts, event(changes.clone())), [field], "{changes}");
    }
    assert_eq!(objected(&facts, event(json!({"until": "2026-06-15T13:00:00Z", "ground": "over"}))), [""; 0]);
    // What is to come is changed freely.
    facts.push(fact(event(json!({"id": "X2", "from": "2026-06-15T12:00:01Z"}))));
    let later =
        json!({"id": "X2", "from": "2026-06-15T13:00:00Z", "until": "2026-06-17T10:00:00Z", "area": null});
    assert_eq!(objected(&facts, event(later)), [""; 0]);
}

/// Periods that say nothing themselves take it from their decree.
#[test]
fn a_running_decree_opens_no_further_outside_the_windows() {
    let facts = facts();
    let decree = |outside: &str| {
        but(
            "decree",
            json!({"id": "D1", "published_at": FROM, "signed_at": null, "valid_from": FROM,
            "valid_until": "2030-12-31T00:00:00Z", "live_outside_window": outside}),
        )
    };
    assert_eq!(objected(&facts, decree("free")), ["live_outside_window"]);
    assert_eq!(objected(&facts, decree("never")), [""; 0]);
    let mut to_come = facts.clone();
    to_come.push(fact(good("decree")));
    assert_eq!(objected(&to_come, but("decree", json!({"live_outside_window": "free"}))), [""; 0]);
}

/// What was published is what holds (Awb 3:40): the areas of a decree that is in use only shrink.
#[test]
fn a_decree_in_use_designates_no_more_than_was_published() {
    let facts = facts();
    let square = |side: f64| json!([[[[0.0, 0.0], [side, 0.0], [side, side], [0.0, side]]]]);
    let area = |id: &str, decree: &str, side: f64| {
        but("area", json!({"id": id, "decree": decree, "polygons": square(side)}))
    };
    assert_eq!(objected(&facts, area("AR1", "D1", 1.1)), ["polygons"], "larger");
    assert_eq!(objected(&facts, area("AR2", "D1", 1.1)), ["polygons"], "beside it");
    assert_eq!(objected(&facts, area("AR1", "D1", 0.9)), [""; 0]);
    let mut later = facts.clone();
    later.push(fact(good("decree")));
    assert_eq!(objected(&later, area("AR2", "D9", 1.1)), [""; 0], "of a decree that is not in use yet");
}

/// A correction holds for the whole past, and says what that means (`decisions.md` 3).
#[test]
fn a_narrower_running_period_says_which_footage_loses_its_basis() {
    let facts = facts();
    let told = |changes: Value| {
        let mut body = but(
            "period",
            json!({"id": "PE1", "effective_from": FROM, "use": {"mode": "continuous"},
            "motivation": "m", "live": []}),
        );
        for (field, value) in changes.as_object().unwrap() {
            body[field] = value.clone();
        }
        let findings = look(&facts, &[body], Some(at(NOW)));
        assert!(acceptable(&findings), "{findings:?}");
        findings.into_iter().find(|finding| finding.field == "use").map(|finding| finding.en)
    };
    assert_eq!(told(json!({})), None, "other live windows");
    assert_eq!(told(json!({"effective_until": "2026-06-15T12:00:00Z"})), None, "ends now");
    let weekly = json!({"use": {"mode": "weekly", "windows": [window("U1", EVERY_DAY, "18:00", "07:00")]}});
    assert!(told(weekly).unwrap().contains("from 2026-01-01 06:00:00 UTC"));
    let ended = told(json!({"effective_until": "2026-06-14T12:00:00Z"})).unwrap();
    assert!(ended.contains("from 2026-06-14 12:00:00 UTC"), "{ended}");
    assert!(told(json!({"effective_from": "2026-07-01T00:00:00Z"})).unwrap().contains("2026-01-01 00:00:00"));
}

/// A wrong date is corrected, but what was revoked is not opened again.
#[test]
fn a_revocation_is_corrected_no_later_than_it_was_entered() {
    let mut facts = facts();
    let mut wrong = fact(but("revocation", json!({"revoked_from": "2025-06-15T09:00:00Z"})));
    wrong.known_from = at("2026-06-15T10:00:00Z");
    facts.push(wrong);
    let corrected = |from: &str| objected(&facts, but("revocation", json!({"revoked_from": from})));
    assert_eq!(corrected("2026-06-15T09:00:00Z"), [""; 0]);
    assert_eq!(corrected("2026-06-15T10:00:00Z"), [""; 0], "to the instant");
    assert_eq!(corrected("2026-06-15T10:00:01Z"), ["revoked_from"]);
}
