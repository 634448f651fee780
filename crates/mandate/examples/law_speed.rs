//! How fast the law is, with 500 cameras, 300 persons and 40 decrees of 20 windows each, ten of them in force at once in
//! each municipality: `cargo xtask bench law`, or `cargo run --release -p mandate --example law_speed -- [--json]`.
//!
//! Decisions are timed one by one (median and p99 over 100,000), for a permit, for a denial, for footage of which the
//! basis is asked as known then and as known now, and for a stranger.

use chrono::{DateTime, TimeDelta, Utc};
use mandate::{
    Action, CameraId, Fact, FactBody, Object, Purpose, Register, Request, Role, Statement, decide,
    open_intervals,
    outlook::{self, View},
};
use serde_json::{Value, json};
use std::{error::Error, hint::black_box, time::Instant};

type Failure = Box<dyn Error>;

const FROM: &str = "2026-01-01T00:00:00Z";
const UNTIL: &str = "2028-01-01T00:00:00Z";
const MUNICIPALITIES: usize = 4;
const DECREES: usize = 10;
const CAMERAS: usize = 500;
const PERSONS: usize = 300;

fn at(text: &str) -> Result<DateTime<Utc>, Failure> {
    Ok(DateTime::parse_from_rfc3339(text)?.to_utc())
}

fn parties() -> Vec<Value> {
    vec![
        json!({"kind": "organisation", "id": "politie", "name": "p", "type": "police"}),
        json!({"kind": "organisation", "id": "vrt", "name": "v", "type": "processor"}),
        json!({"kind": "organisation", "id": "guard", "name": "g", "type": "security_company"}),
        json!({"kind": "agreement", "id": "G1", "type": "processor", "parties": ["politie", "vrt"], "valid_from": FROM}),
        json!({"kind": "agreement", "id": "G2", "type": "subprocessor", "parties": ["vrt", "guard"], "valid_from": FROM,
            "controller_consent_ref": "demo"}),
    ]
}

/// Every third person is a detective; the others are observers with two months of shifts.
fn people() -> Result<Vec<Value>, Failure> {
    let mut bodies = Vec::new();
    for n in 0..PERSONS {
        let (organisation, role) =
            if n % 3 == 0 { ("politie", "investigator") } else { ("guard", "observer") };
        let person = format!("person{n}");
        bodies.push(json!({"kind": "person", "id": person, "name": person, "organisation": organisation,
            "secrecy_signed_at": FROM, "wpbr_permission_until": UNTIL}));
        bodies.push(json!({"kind": "authorisation", "id": format!("A-{n}"), "person": person, "role": role,
            "municipalities": ["m0", "m1", "m2", "m3"], "from": FROM, "until": UNTIL}));
        if role == "observer" {
            for day in 0..60 {
                let from = at("2026-05-15T00:00:00Z")? + TimeDelta::days(day);
                bodies.push(
                    json!({"kind": "shift", "id": format!("H-{n}-{day}"), "person": person, "from": from,
                    "until": from + TimeDelta::days(1)}),
                );
            }
        }
    }
    Ok(bodies)
}

/// Ten windows in which cameras are used and ten in which they are watched, on different days.
fn windows(name: &str) -> Vec<Value> {
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let window = |n: usize| {
        json!({"id": format!("{name}{n}"), "days": [days[n % 7]], "start": format!("{:02}:00", 12 + n),
            "end": format!("{:02}:30", (n + 3) % 24)})
    };
    (0..10).map(window).collect()
}

fn decisions() -> Vec<Value> {
    let mut bodies = Vec::new();
    for m in 0..MUNICIPALITIES {
        let municipality = format!("m{m}");
        bodies.push(json!({"kind": "municipality", "id": municipality, "name": "m"}));
        bodies.push(json!({"kind": "ordinance", "id": format!("O{m}"), "municipality": municipality,
            "provision": "demo", "grants_power": true, "in_force_from": FROM}));
        for d in 0..DECREES {
            let decree = format!("D{m}-{d}");
            let x = d as f64 * 2.0;
            bodies.push(
                json!({"kind": "consultation", "id": format!("C-{decree}"), "municipality": municipality,
                "held_at": "2023-01-01T00:00:00Z"}),
            );
            bodies.push(json!({"kind": "decree", "id": decree, "municipality": municipality,
                "ordinance": format!("O{m}"), "decided_by": "mayor", "published_at": FROM, "valid_from": FROM,
                "valid_until": UNTIL, "retention_days": 28}));
            bodies.push(json!({"kind": "area", "id": format!("A-{decree}"), "decree": decree, "name": "a",
                "polygons": [[[[x, 0.0], [x + 1.0, 0.0], [x + 1.0, 1.0], [x, 1.0]]]]}));
            bodies
                .push(json!({"kind": "signage", "id": format!("S-{decree}"), "area": format!("A-{decree}"),
                "placed_at": "2023-01-01T00:00:00Z"}));
            bodies.push(json!({"kind": "period", "id": format!("P-{decree}"), "decree": decree,
                "consultation": format!("C-{decree}"), "effective_from": FROM,
                "use": {"mode": "weekly", "windows": windows(&format!("U-{decree}-"))},
                "live": windows(&format!("L-{decree}-"))}));
        }
    }
    bodies
}

fn cameras() -> Vec<Value> {
    let mut bodies = Vec::new();
    for n in 0..CAMERAS {
        let x = ((n / MUNICIPALITIES) % DECREES) as f64 * 2.0 + 0.5;
        bodies.push(json!({"kind": "camera", "id": format!("CAM{n}"), "municipality": format!("m{}", n % MUNICIPALITIES),
            "number": n, "name": "c"}));
        bodies.push(json!({"kind": "position", "id": format!("POS{n}"), "camera": format!("CAM{n}"),
            "point": [x, 0.5], "from": FROM}));
        bodies.push(
            json!({"kind": "mask", "id": format!("M{n}"), "position": format!("POS{n}"), "verified_at": FROM}),
        );
    }
    bodies
}

fn facts() -> Result<Vec<Fact>, Failure> {
    let known_from = at("2023-01-01T00:00:00Z")?;
    [parties(), people()?, decisions(), cameras()]
        .into_iter()
        .flatten()
        .map(|body| Ok(Fact { known_from, version: 1, body: serde_json::from_value::<FactBody>(body)? }))
        .collect()
}

/// The figures, with what they must stay below.
#[derive(Default)]
struct Figures(Vec<Value>);

impl Figures {
    fn add(&mut self, name: &str, value: f64, unit: &str, below: f64) {
        self.0
            .push(json!({"name": name, "value": value, "unit": unit, "below": below, "met": value < below}));
    }

    /// Single calls over all cameras.
    fn decide(&mut self, name: &str, register: &Register, ask: impl Fn(usize) -> Request, at: DateTime<Utc>) {
        let requests: Vec<Request> = (0..CAMERAS).map(ask).collect();
        let permits = requests.iter().filter(|request| decide(register, request, at).is_permit()).count();
        let mut nanoseconds: Vec<u128> = Vec::with_capacity(100_000);
        for request in requests.iter().cycle().take(100_000) {
            let started = Instant::now();
            black_box(decide(register, black_box(request), at));
            nanoseconds.push(started.elapsed().as_nanos());
        }
        nanoseconds.sort_unstable();
        let quantile = |per_mille: usize| {
            nanoseconds.get(nanoseconds.len() * per_mille / 1000).copied().unwrap_or(0) as f64
        };
        let of = format!("{permits} of {CAMERAS} permitted");
        self.add(&format!("{name} ({of}), median"), quantile(500), "ns", 2_000.0);
        self.add(&format!("{name} ({of}), p99"), quantile(990), "ns", 10_000.0);
    }
}

fn milliseconds<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let started = Instant::now();
    let result = black_box(work());
    (result, started.elapsed().as_secs_f64() * 1e3)
}

fn camera(n: usize) -> CameraId {
    CameraId::new(format!("CAM{}", n % CAMERAS))
}

fn watch(n: usize) -> Request {
    // Persons that are no detectives, in turn.
    let person = (n % (PERSONS / 3)) * 3 + 1;
    Request::new(
        format!("person{person}").into(),
        Role::Observer,
        Action::LiveView,
        Object::Camera(camera(n)),
    )
}

fn main() -> Result<(), Failure> {
    let facts = facts()?;
    let mut figures = Figures::default();
    let (register, built) =
        milliseconds(|| Register::build(&facts, at("2026-07-01T00:00:00Z").unwrap_or_default()));
    let register = register?;
    let count = facts.len();
    figures.add(&format!("register of {count} facts built"), built, "ms", 1_000.0);

    let open = at("2026-06-13T19:00:00Z")?;
    figures.decide("live view, some windows open", &register, watch, open);
    figures.decide("live view, all closed", &register, watch, at("2026-06-13T09:00:00Z")?);
    let stranger =
        |n| Request::new("nobody".into(), Role::Observer, Action::LiveView, Object::Camera(camera(n)));
    figures.decide("live view by a stranger", &register, stranger, open);
    let record = |n| Request::by_system(Action::Record, Object::Camera(camera(n)));
    figures.decide("recording", &register, record, open);
    let replay = |n| {
        let object = Object::Footage { camera: camera(n), from: open, until: open + TimeDelta::minutes(15) };
        Request::new("person0".into(), Role::Investigator, Action::Replay, object).saying(Statement {
            purpose: Some(Purpose::Investigation),
            offence_ref: Some("Sr 141".to_owned()),
            ..Statement::default()
        })
    };
    figures.decide("replay of 15 minutes", &register, replay, at("2026-06-20T10:00:00Z")?);

    let leases: Vec<Request> = (0..5_000).map(watch).collect();
    let (_, again) =
        milliseconds(|| leases.iter().filter(|lease| decide(&register, lease, open).is_permit()).count());
    figures.add("5,000 leases decided again", again, "ms", 50.0);
    let (from, until) = (at("2026-06-01T00:00:00Z")?, at("2027-06-01T00:00:00Z")?);
    let (intervals, year) = milliseconds(|| open_intervals(&register, &record(0), from, until));
    figures.add(
        &format!("a year of one camera's recording ({} intervals)", intervals.len()),
        year,
        "ms",
        5.0,
    );
    let (openings, year) =
        milliseconds(|| outlook::camera_openings(&register, &camera(0), View::Live, from, until));
    figures.add(
        &format!("a year of one camera's live windows ({} openings)", openings.len()),
        year,
        "ms",
        5.0,
    );
    let month = from + TimeDelta::days(31);
    let (changes, took) = milliseconds(|| outlook::compare(&register, &register, from, month));
    figures.add(
        &format!("a proposal compared over a month ({} changes)", changes.len()),
        took,
        "ms",
        2_000.0,
    );

    if std::env::args().any(|argument| argument == "--json") {
        println!("{}", serde_json::to_string_pretty(&json!({"bench": "law", "figures": figures.0}))?);
        return Ok(());
    }
    for figure in &figures.0 {
        let text = |key: &str| figure[key].as_str().unwrap_or_default().to_owned();
        let number = |key: &str| figure[key].as_f64().unwrap_or_default();
        let (value, below) = (number("value"), number("below"));
        let met = if value < below { "ok" } else { "MISSED" };
        println!("{:62} {value:10.1} {:2}  below {below:8.0} {met}", text("name"), text("unit"));
    }
    Ok(())
}
