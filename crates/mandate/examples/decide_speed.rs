//! How long one decision takes with 500 cameras and five years of decrees: median and p99 of single calls, for a
//! permit, for a denial and for footage of which the basis is asked as known then and now.
//! `cargo run --release -p mandate --example decide_speed`

use chrono::{DateTime, TimeDelta, Utc};
use mandate::{
    Action, CameraId, Fact, FactBody, Object, Purpose, Register, Request, Role, Statement, decide,
};
use serde_json::json;
use std::{error::Error, hint::black_box, time::Instant};

type Failure = Box<dyn Error>;

fn at(text: &str) -> Result<DateTime<Utc>, Failure> {
    Ok(DateTime::parse_from_rfc3339(text)?.to_utc())
}

fn facts() -> Result<Vec<Fact>, Failure> {
    let (from, until) = ("2026-01-01T00:00:00Z", "2028-01-01T00:00:00Z");
    let mut bodies = vec![
        json!({"kind": "organisation", "id": "politie", "name": "p", "type": "police"}),
        json!({"kind": "organisation", "id": "vrt", "name": "v", "type": "processor"}),
        json!({"kind": "organisation", "id": "guard", "name": "g", "type": "security_company"}),
        json!({"kind": "agreement", "id": "G1", "type": "processor", "parties": ["politie", "vrt"], "valid_from": from}),
        json!({"kind": "agreement", "id": "G2", "type": "subprocessor", "parties": ["vrt", "guard"], "valid_from": from,
            "controller_consent_ref": "demo"}),
    ];
    for (person, organisation, role) in
        [("observer", "guard", "observer"), ("detective", "politie", "investigator")]
    {
        bodies.push(json!({"kind": "person", "id": person, "name": person, "organisation": organisation,
            "secrecy_signed_at": from, "wpbr_permission_until": until}));
        bodies.push(
            json!({"kind": "authorisation", "id": format!("A-{person}"), "person": person, "role": role,
            "municipalities": ["m0", "m1", "m2", "m3"], "from": from, "until": until}),
        );
    }
    for day in 0..700 {
        let start = at(from)? + TimeDelta::days(day);
        bodies.push(json!({"kind": "shift", "id": format!("H{day}"), "person": "observer", "from": start,
            "until": start + TimeDelta::days(1)}));
    }
    for m in 0..4 {
        bodies.push(json!({"kind": "municipality", "id": format!("m{m}"), "name": "m"}));
        bodies.push(json!({"kind": "ordinance", "id": format!("O{m}"), "municipality": format!("m{m}"),
            "provision": "demo", "grants_power": true, "in_force_from": from}));
        // Each municipality has an older decree that is over, as a real register will.
        for (decree, from, until) in [
            (format!("D{m}"), from, until),
            (format!("OLD{m}"), "2024-01-01T00:00:00Z", "2025-12-01T00:00:00Z"),
        ] {
            bodies.push(
                json!({"kind": "consultation", "id": format!("C-{decree}"), "municipality": format!("m{m}"),
                "held_at": "2023-01-01T00:00:00Z"}),
            );
            bodies.push(json!({"kind": "decree", "id": decree, "municipality": format!("m{m}"),
                "ordinance": format!("O{m}"), "decided_by": "mayor", "published_at": from, "valid_from": from,
                "valid_until": until, "retention_days": 28}));
            bodies.push(json!({"kind": "area", "id": format!("A-{decree}"), "decree": decree, "name": "a",
                "polygons": [[[[0, 0], [1, 0], [1, 1], [0, 1]]]]}));
            bodies
                .push(json!({"kind": "signage", "id": format!("S-{decree}"), "area": format!("A-{decree}"),
                "placed_at": "2023-01-01T00:00:00Z"}));
            bodies.push(json!({"kind": "period", "id": format!("P-{decree}"), "decree": decree,
                "consultation": format!("C-{decree}"), "effective_from": from, "use": {"mode": "continuous"},
                "live": [{"id": format!("L-{decree}"), "days": ["thu", "fri", "sat"], "start": "21:00", "end": "06:00"}]}));
        }
    }
    for n in 0..500 {
        let municipality = format!("m{}", n % 4);
        bodies.push(json!({"kind": "camera", "id": format!("CAM{n}"), "municipality": municipality, "number": n, "name": "c"}));
        bodies.push(json!({"kind": "position", "id": format!("POS{n}"), "camera": format!("CAM{n}"),
            "point": [0.5, 0.5], "from": from}));
        bodies.push(json!({"kind": "mask", "id": format!("M{n}"), "position": format!("POS{n}"), "verified_at": from}));
    }
    let known_from = at("2023-01-01T00:00:00Z")?;
    bodies
        .into_iter()
        .map(|body| Ok(Fact { known_from, version: 1, body: serde_json::from_value::<FactBody>(body)? }))
        .collect()
}

fn measure(name: &str, register: &Register, ask: impl Fn(CameraId) -> Request, at: DateTime<Utc>) {
    let requests: Vec<Request> = (0..500).map(|n| ask(CameraId::new(format!("CAM{n}")))).collect();
    let mut nanoseconds: Vec<u128> = Vec::with_capacity(100_000);
    for request in requests.iter().cycle().take(100_000) {
        let started = Instant::now();
        black_box(decide(register, black_box(request), at));
        nanoseconds.push(started.elapsed().as_nanos());
    }
    nanoseconds.sort_unstable();
    let quantile =
        |per_mille: usize| nanoseconds.get(nanoseconds.len() * per_mille / 1000).copied().unwrap_or_default();
    let answer =
        if requests.first().is_some_and(|r| decide(register, r, at).is_permit()) { "permit" } else { "deny" };
    println!("{name:28} {answer:7} median {:5} ns   p99 {:6} ns", quantile(500), quantile(990));
}

fn main() -> Result<(), Failure> {
    let facts = facts()?;
    let started = Instant::now();
    let register = Register::build(&facts, at("2026-07-01T00:00:00Z")?)?;
    println!("register of {} facts built in {:.1} ms", facts.len(), started.elapsed().as_secs_f64() * 1e3);
    let watch =
        |camera| Request::new("observer".into(), Role::Observer, Action::LiveView, Object::Camera(camera));
    measure("live view, window open", &register, watch, at("2026-06-13T22:00:00Z")?);
    measure("live view, window closed", &register, watch, at("2026-06-15T22:00:00Z")?);
    let frame = at("2026-06-13T22:00:00Z")?;
    let replay = |camera| {
        let object = Object::Footage { camera, from: frame, until: frame + TimeDelta::minutes(15) };
        Request::new("detective".into(), Role::Investigator, Action::Replay, object).saying(Statement {
            purpose: Some(Purpose::Investigation),
            offence_ref: Some("Sr 141".to_owned()),
            ..Statement::default()
        })
    };
    measure("replay of 15 minutes", &register, replay, at("2026-06-20T10:00:00Z")?);
    Ok(())
}
