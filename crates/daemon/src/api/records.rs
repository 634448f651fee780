//! Reading the log, for one of the four purposes of the law (Wpg 32a lid 2), as far as the reader's municipalities reach.
//! Reading is logged itself.

use super::{App, Caller, ask, problem::ApiError};
use crate::{
    clock::is_near,
    gate::{Gate, Pass},
    identity::Session,
};
use axum::{
    Extension, Json,
    extract::{Query, State},
};
use ledger::{Entry, Filter, Object as LogObject};
use mandate::{Action, LogPurpose, Object, Statement, facts::Municipality};
use protocol::api::{Checkpoint, LedgerEntry};
use std::collections::{BTreeMap, HashMap};

/// Of a filter's value so many characters stand in the log.
const LONGEST_FILTER: usize = 64;
/// Most entries in one answer.
const MOST: usize = 10_000;

/// What stands in the query of a request.
pub(super) type Asked = HashMap<String, String>;

/// What `GET /ledger/entries` can be narrowed down to.
pub(super) const FILTERS: &[&str] = &[
    "who",
    "camera",
    "municipality",
    "operation",
    "action",
    "outcome",
    "look",
    "incident",
    "case",
    "since",
    "until",
];

/// A reading for the purpose that was said, as the law is asked about it.
pub(super) fn request(session: &Session, query: &Asked, object: Object) -> mandate::Request {
    let said = query.get("purpose").map(|p| serde_json::Value::String(p.clone()));
    let log_purpose: Option<LogPurpose> = said.and_then(|value| serde_json::from_value(value).ok());
    let request = crate::gate::request(session, Action::ReadLog, object);
    request.saying(Statement { log_purpose, ..Statement::default() })
}

/// What a reading of all of the log is about: the first municipality for which the reader is not authorised, so that the gate
/// refuses; nothing in particular where there is none.
pub(super) fn whole(gate: &Gate, session: &Session, query: &Asked) -> Object {
    let snapshot = gate.snapshot();
    let object = |m: &Municipality| Object::Municipality(m.id.clone());
    let may = |m: &Municipality| gate.preview(&request(session, query, object(m))).is_permit();
    let outside = snapshot.register.municipalities().find(|municipality| !may(municipality));
    outside.map_or(Object::None, object)
}

/// What a reading of some entries is about: the municipality or the camera that it is narrowed down to, else all of the log.
fn narrowed(gate: &Gate, session: &Session, query: &Asked) -> Object {
    match (query.get("municipality"), query.get("camera")) {
        (Some(municipality), _) => Object::Municipality(municipality.as_str().into()),
        (None, Some(camera)) => Object::Camera(camera.as_str().into()),
        (None, None) => whole(gate, session, query),
    }
}

/// Passes the gate for a reading, which is logged.
pub(super) async fn reading(
    app: &App,
    session: &Session,
    query: &Asked,
    name: &'static str,
    object: Object,
) -> Result<Pass, ApiError> {
    let mut ask = ask(session, Action::ReadLog, Object::None, name);
    ask.request = request(session, query, object);
    Ok(app.gate.act(&ask).await?)
}

/// What was read stands in the entry too: who is looked for as a pseudonym and the case as a commitment, like everywhere; the rest
/// in clear.
fn tell_what(entry: &mut Entry, query: &Asked) {
    entry.object =
        Some(LogObject { kind: "log".to_owned(), person: query.get("who").cloned(), ..LogObject::default() });
    entry.justification.case_number = query.get("case").cloned();
    let short = |text: &String| text.chars().take(LONGEST_FILTER).collect::<String>();
    let mut filters: BTreeMap<&str, String> = FILTERS
        .iter()
        .filter(|name| !matches!(**name, "who" | "case"))
        .filter_map(|name| Some((*name, short(query.get(*name)?))))
        .collect();
    for name in ["from_seq", "limit"] {
        filters.extend(query.get(name).map(|value| (name, short(value))));
    }
    entry.data = Some(serde_json::json!({ "filters": filters }));
}

/// The filter in a query, if there is one.
fn filter(query: &Asked) -> Result<Option<Filter>, ApiError> {
    if !FILTERS.iter().any(|name| query.contains_key(*name)) {
        return Ok(None);
    }
    let text = |name: &str| query.get(name).cloned();
    let instant = |name: &str| match query.get(name) {
        Some(text) => match text.parse() {
            Ok(at) if is_near(at) => Ok(Some(at)),
            Ok(_) => Err(ApiError::Malformed(format!("`{name}` lies outside the years 1970 to 9999"))),
            Err(_) => Err(ApiError::Malformed(format!("`{name}` is not an instant (RFC 3339)"))),
        },
        None => Ok(None),
    };
    Ok(Some(Filter {
        who: text("who"),
        camera: text("camera"),
        municipality: text("municipality"),
        operation: text("operation"),
        action: text("action"),
        outcome: text("outcome"),
        look: text("look"),
        incident: text("incident"),
        case: text("case"),
        from: instant("since")?,
        until: instant("until")?,
        ..Filter::default()
    }))
}

/// `GET /ledger/entries`.
pub(super) async fn entries(
    State(app): State<App>,
    Extension(session): Caller,
    Query(query): Query<Asked>,
) -> Result<Json<Vec<LedgerEntry>>, ApiError> {
    let mut asked = ask(&session, Action::ReadLog, Object::None, "log.read");
    asked.request = request(&session, &query, narrowed(&app.gate, &session, &query));
    app.gate.act_telling(&asked, |entry| tell_what(entry, &query)).await?;
    let number = |name: &str, default: u64| match query.get(name) {
        Some(text) => text.parse().map_err(|_| ApiError::Malformed(format!("`{name}` is not a number"))),
        None => Ok(default),
    };
    let from = number("from_seq", 0)?;
    let limit = (number("limit", 1000)? as usize).min(MOST);
    let filter = filter(&query)?;
    let ledger = app.ledger.clone();
    let read = move || match filter {
        Some(filter) => ledger.query(&Filter { after: from.checked_sub(1), limit: limit.max(1), ..filter }),
        None => ledger.entries(from, limit),
    };
    let entries = tokio::task::spawn_blocking(read)
        .await
        .map_err(|e| ApiError::Internal(e.to_string()))?
        .map_err(|e| ApiError::Internal(e.to_string()))?;
    Ok(Json(entries.into_iter().map(|(seq, entry)| LedgerEntry { seq, entry }).collect()))
}

/// `GET /ledger/checkpoint`.
pub(super) async fn checkpoint(
    State(app): State<App>,
    Extension(session): Caller,
    Query(query): Query<Asked>,
) -> Result<Json<Checkpoint>, ApiError> {
    // It says how long the log is, and nothing of what stands in it.
    reading(&app, &session, &query, "log.checkpoint", Object::None).await?;
    let note = app.ledger.checkpoint().map_err(|e| ApiError::Internal(e.to_string()))?;
    // Second line of a C2SP checkpoint: the number of leaves.
    let size = note.lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or_default();
    Ok(Json(Checkpoint { origin: app.origin.clone(), size, note }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::ManualClock,
        journal::Provenance,
        testing::{FakeLog, journal},
    };

    #[test]
    fn what_was_read_is_told_and_who_was_looked_for_is_hidden() {
        let query: Asked =
            [("who", "anna"), ("case", "PL0500-1"), ("camera", "ENS-C01"), ("limit", "50"), ("x", "y")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
        let mut entry = Entry::new(chrono::Utc::now(), ledger::Operation::Consult, "log.read");
        tell_what(&mut entry, &query);
        let data = entry.data.unwrap();
        assert_eq!(data, serde_json::json!({ "filters": { "camera": "ENS-C01", "limit": "50" } }));
        assert_eq!(entry.object.unwrap().person.as_deref(), Some("anna"));
        assert_eq!(entry.justification.case_number.as_deref(), Some("PL0500-1"));
    }

    /// Who is authorised for one municipality reads its entries; the others' only who is authorised for all.
    #[tokio::test]
    async fn the_log_is_read_inside_ones_municipalities() {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new("2026-06-13T20:00:00Z".parse().unwrap());
        let log = FakeLog::new(&clock);
        let journal = journal(folder.path(), &log, &clock).await;
        let record = async |fact: serde_json::Value| {
            journal.record(serde_json::from_value(fact).unwrap(), Provenance::default()).await.unwrap()
        };
        let authorised = async |municipalities: &[&str]| {
            record(serde_json::json!({ "kind": "authorisation", "id": "AUT-audit", "person": "bert", "role": "auditor",
                "municipalities": municipalities, "from": "2026-01-01T00:00:00Z", "until": "2028-01-01T00:00:00Z",
                "document_ref": "D", "granted_by": "carla" })).await
        };
        record(serde_json::json!({ "kind": "municipality", "id": "hengelo", "name": "Hengelo" })).await;
        authorised(&["enschede"]).await;
        let gate = Gate::new(journal.watch(), log, std::sync::Arc::new(clock));
        let session = Session {
            id: "s".into(),
            person: "bert".into(),
            role: mandate::Role::Auditor,
            workstation: "desk".into(),
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            expires_at: "2026-06-14T20:00:00Z".parse().unwrap(),
            ended: tokio_util::sync::CancellationToken::new(),
        };
        let code = |filters: &[(&str, &str)]| {
            let said = [("purpose", "lawfulness")];
            let pairs =
                said.iter().chain(filters).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let query: Asked = pairs.collect();
            let asked = request(&session, &query, narrowed(&gate, &session, &query));
            gate.preview(&asked).denial().map(|denial| denial.code)
        };
        let outside = Some(mandate::ReasonCode::AuthorisationScope);
        assert_eq!(code(&[("municipality", "enschede")]), None);
        assert_eq!(code(&[("camera", "C1"), ("who", "anna")]), None);
        for filters in [&[][..], &[("who", "anna")], &[("municipality", "hengelo")], &[("camera", "H1")]] {
            assert_eq!(code(filters), outside, "{filters:?}");
        }
        authorised(&["enschede", "hengelo"]).await;
        assert_eq!(code(&[("who", "anna")]), None);
    }

    #[test]
    fn a_filter_by_an_instant_that_overflows_is_refused() {
        let with = |text: &str| filter(&[("since".to_owned(), text.to_owned())].into());
        assert!(with("2026-06-01T12:00:00Z").is_ok());
        for text in ["+262142-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "yesterday"] {
            assert!(matches!(with(text), Err(ApiError::Malformed(_))), "{text}");
        }
    }
}
