//! A small world in which everything is in order, for tests to take apart.

use chrono::{DateTime, Utc};
use mandate::{Action, Fact, FactBody, IncidentId, Object, Request, Role};
use serde_json::{Value, json};

/// An instant in RFC 3339.
pub(crate) fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

/// A fact, known since 2020.
pub(crate) fn fact(body: Value) -> Fact {
    let body: FactBody = serde_json::from_value(body).unwrap();
    Fact { known_from: at("2020-01-01T00:00:00Z"), version: 1, body }
}

pub(crate) const FROM: &str = "2026-01-01T00:00:00Z";
pub(crate) const UNTIL: &str = "2031-01-01T00:00:00Z";

/// A weekly window on the given days.
pub(crate) fn window(id: &str, days: &[&str], start: &str, end: &str) -> Value {
    json!({"id": id, "days": days, "start": start, "end": end})
}

pub(crate) const EVERY_DAY: &[&str] = &["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A period of the decree, continuous in use, with live windows.
pub(crate) fn period(id: &str, live: Value, outside: &str) -> Fact {
    fact(json!({"kind": "period", "id": id, "decree": "D1", "consultation": "C1", "effective_from": FROM,
        "use": {"mode": "continuous"}, "live": live, "live_outside_window": outside}))
}

/// Everything but the period: one municipality, decree, area, camera; an observer, a coordinator, police.
pub(crate) fn without_period() -> Vec<Fact> {
    let authorisation = |person: &str, role: &str| {
        fact(json!({"kind": "authorisation", "id": format!("A-{person}"), "person": person, "role": role,
            "municipalities": ["almelo"], "from": FROM, "until": UNTIL}))
    };
    let person = |id: &str, organisation: &str, wpbr: Option<&str>| {
        fact(json!({"kind": "person", "id": id, "name": id, "organisation": organisation,
            "secrecy_signed_at": FROM, "wpbr_permission_until": wpbr}))
    };
    let organisation =
        |id: &str, kind: &str| fact(json!({"kind": "organisation", "id": id, "name": id, "type": kind}));
    vec![
        fact(json!({"kind": "municipality", "id": "almelo", "name": "Almelo"})),
        fact(json!({"kind": "ordinance", "id": "O1", "municipality": "almelo", "provision": "demo",
            "grants_power": true, "in_force_from": FROM, "in_force_until": UNTIL, "max_duration_months": 60})),
        fact(json!({"kind": "decree", "id": "D1", "municipality": "almelo", "ordinance": "O1",
            "decided_by": "mayor", "published_at": FROM, "valid_from": FROM, "valid_until": UNTIL,
            "retention_days": 28})),
        fact(json!({"kind": "area", "id": "AR1", "decree": "D1", "name": "centre",
            "polygons": [[[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]]]})),
        fact(json!({"kind": "consultation", "id": "C1", "municipality": "almelo", "held_at": FROM})),
        fact(json!({"kind": "signage", "id": "S1", "area": "AR1", "location": "north", "placed_at": FROM})),
        fact(json!({"kind": "signage", "id": "S2", "area": "AR1", "location": "south", "placed_at": FROM})),
        fact(json!({"kind": "camera", "id": "CAM1", "municipality": "almelo", "number": 1, "name": "one"})),
        fact(json!({"kind": "position", "id": "P1", "camera": "CAM1", "point": [0.5, 0.5], "from": FROM})),
        fact(json!({"kind": "mask", "id": "M1", "position": "P1", "verified_at": FROM})),
        organisation("politie", "police"),
        organisation("vrt", "processor"),
        organisation("guard", "security_company"),
        fact(json!({"kind": "agreement", "id": "G1", "type": "processor", "parties": ["politie", "vrt"],
            "valid_from": FROM, "valid_until": UNTIL})),
        fact(json!({"kind": "agreement", "id": "G2", "type": "subprocessor", "parties": ["vrt", "guard"],
            "valid_from": FROM, "valid_until": UNTIL, "controller_consent_ref": "demo"})),
        person("observer", "guard", Some(UNTIL)),
        person("coordinator", "vrt", None),
        person("police", "politie", None),
        person("detective", "politie", None),
        authorisation("observer", "observer"),
        authorisation("coordinator", "room_coordinator"),
        authorisation("police", "police_operator"),
        authorisation("detective", "investigator"),
        fact(json!({"kind": "shift", "id": "H1", "person": "observer", "from": FROM, "until": UNTIL})),
    ]
}

/// A request by one of the persons above about the camera.
pub(crate) fn ask(person: &str, action: Action, object: Object) -> Request {
    let role = match person {
        "observer" => Role::Observer,
        "coordinator" => Role::RoomCoordinator,
        "police" => Role::PoliceOperator,
        _ => Role::Investigator,
    };
    Request::new(person.into(), role, action, object)
}

/// Watching the camera live.
pub(crate) fn watch(person: &str) -> Request {
    ask(person, Action::LiveView, Object::Camera("CAM1".into()))
}

/// The same on an incident.
pub(crate) fn watch_for_incident(person: &str) -> Request {
    watch(person).for_incident(IncidentId::new("INC"))
}
