//! The log as static tiles (C2SP tlog-tiles) under an access rule, and receipts: the proof of an entry of one's own.
//!
//! The prefix is `/api/v1/ledger/tree`. Whoever may read the log of all municipalities reads here, for one of the four purposes of Wpg 32a lid 2. A
//! reader fetches hundreds of tiles in one go, so one entry stands for ten minutes of a session's reading for one purpose.

use super::{
    App, Caller, Endpoint, LOG, Needs, ask,
    problem::ApiError,
    records::{Asked, reading, request, whole},
};
use axum::{
    Extension,
    extract::{Path, Query, State},
    http::header,
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use chrono::{DateTime, TimeDelta, Utc};
use mandate::{Action, Object, ReasonCode};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How long one entry stands for the reading of one session.
const ONE_READING: TimeDelta = TimeDelta::minutes(10);
/// How long a receipt waits for the entry to be published.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(3);

/// The endpoints of this room.
pub(super) fn table() -> Vec<(Endpoint, MethodRouter<App>)> {
    let e = super::endpoint;
    vec![
        (
            e(
                "GET",
                "/ledger/tree/{*path}",
                LOG,
                "ledgerTree",
                "The log as tlog-tiles: `checkpoint`, `tile/…`; `purpose` in the query or in the header RTR-Purpose",
                None,
                (200, None),
            ),
            get(tree),
        ),
        (
            e(
                "GET",
                "/receipts/{seq}",
                Needs::LogIn,
                "receipt",
                "The tlog-proof of an entry about one's own act",
                None,
                (200, None),
            ),
            get(receipt),
        ),
    ]
}

/// Readings that are logged and still going on, by session and purpose.
#[derive(Debug, Default)]
pub struct Readings(Mutex<HashMap<(String, String), DateTime<Utc>>>);

impl Readings {
    fn goes_on(&self, session: &str, purpose: &str, now: DateTime<Utc>) -> bool {
        let mut readings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        readings.retain(|_, until| *until > now);
        readings.contains_key(&(session.to_owned(), purpose.to_owned()))
    }

    fn began(&self, session: &str, purpose: &str, now: DateTime<Utc>) {
        let mut readings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        readings.insert((session.to_owned(), purpose.to_owned()), now + ONE_READING);
    }
}

/// `GET /ledger/tree/{*path}`.
async fn tree(
    State(app): State<App>,
    Extension(session): Caller,
    Path(path): Path<String>,
    Query(mut asked): Query<Asked>,
    headers: axum::http::HeaderMap,
) -> Result<Response, ApiError> {
    // Programs that know only a prefix can still say why they read.
    if let Some(purpose) = headers.get("rtr-purpose").and_then(|value| value.to_str().ok()) {
        asked.entry("purpose".to_owned()).or_insert_with(|| purpose.to_owned());
    }
    let purpose = asked.get("purpose").cloned().unwrap_or_default();
    let now = app.gate.clock().now();
    let id = session.id.to_string();
    // A right that has ended ends the reading too: the law is asked each time, the log once.
    // Hashes and sizes are no entries.
    let entries = path.starts_with("tile/entries/");
    let object = if entries { whole(&app.gate, &session, &asked) } else { Object::None };
    let may = |app: &App| app.gate.preview(&request(&session, &asked, object.clone())).is_permit();
    if !(app.readings.goes_on(&id, &purpose, now) && may(&app)) {
        reading(&app, &session, &asked, "log.tiles", object).await?;
        app.readings.began(&id, &purpose, now);
    }
    let file = app.ledger.dir().join(published(&path).ok_or(ApiError::NotFound)?);
    let bytes = tokio::fs::read(&file).await.map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::IsADirectory => ApiError::NotFound,
        _ => ApiError::Internal(e.to_string()),
    })?;
    let kind =
        if path.starts_with("tile/") { "application/octet-stream" } else { "text/plain; charset=utf-8" };
    Ok(([(header::CONTENT_TYPE, kind)], bytes).into_response())
}

/// The path, if it is one that a published log has; the folder holds more than that.
fn published(path: &str) -> Option<&str> {
    if matches!(path, "checkpoint" | "checkpoint.witnessed" | "checkpoint.pruned") {
        return Some(path);
    }
    let mut parts = path.strip_prefix("tile/")?.split('/');
    let digits = |text: &str, most: usize| {
        !text.is_empty() && text.len() <= most && text.bytes().all(|b| b.is_ascii_digit())
    };
    let level = parts.next()?;
    let mut rest: Vec<&str> = parts.collect();
    let last = rest.pop()?;
    let number = match rest.last().and_then(|part| part.strip_suffix(".p")) {
        Some(number) if digits(last, 3) => {
            rest.pop();
            number
        }
        Some(_) => return None,
        None => last,
    };
    let number_holds = number.len() == 3 && digits(number, 3);
    let above =
        rest.iter().all(|part| part.len() == 4 && part.strip_prefix('x').is_some_and(|n| digits(n, 3)));
    ((level == "entries" || digits(level, 2)) && number_holds && above).then_some(path)
}

/// `GET /receipts/{seq}`: the proof that an entry about the caller's own act stands in the log, to be kept by the client.
/// It shows nobody anything new, so it is no reading of the log (Wpg 32a lid 2).
async fn receipt(
    State(app): State<App>,
    Extension(session): Caller,
    Path(seq): Path<u64>,
) -> Result<Response, ApiError> {
    let internal = |e: &dyn ToString| ApiError::Internal(e.to_string());
    let mut published = app.ledger.published();
    let waited = published.wait_for(|size| *size > seq);
    if !matches!(tokio::time::timeout(PUBLISHED_WITHIN, waited).await, Ok(Ok(_))) {
        return Err(ApiError::NotFound);
    }
    let ledger = app.ledger.clone();
    let person = session.person.to_string();
    let proven = tokio::task::spawn_blocking(move || {
        let proven = ledger.receipt(seq)?;
        let leaf: serde_json::Value = serde_json::from_slice(&proven.leaf).unwrap_or_default();
        let at = leaf["at"].as_str().and_then(|at| at.parse().ok()).unwrap_or_default();
        let own = ledger.pseudonym(&person, at)?.as_deref() == leaf["actor"]["pseudonym"].as_str();
        Ok::<_, ledger::LedgerError>(own.then_some(proven))
    })
    .await
    .map_err(|e| internal(&e))?
    .map_err(|e| internal(&e))?;
    let Some(proven) = proven else {
        let ask = ask(&session, Action::ReadLog, Object::None, "log.receipt");
        return Err(app.gate.refuse(&ask, ReasonCode::RoleNotPermitted).await.into());
    };
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], proven.to_text()).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_published_has_a_path() {
        for good in [
            "checkpoint",
            "checkpoint.witnessed",
            "tile/0/000",
            "tile/1/x001/x234/067.p/8",
            "tile/entries/000.p/255",
        ] {
            assert_eq!(published(good), Some(good));
        }
        for bad in [
            "sequence",
            "spool",
            "index.sqlite",
            "progress",
            "offsets",
            "",
            "tile",
            "tile/0",
            "tile/0/../../sequence",
            "tile/../sequence",
            "tile/0/00",
            "tile/0/000/",
            "/etc/passwd",
            "tile/entries/x000.p/5",
            "tile/0/000.p/x",
            "tile//000",
            "tile/0/x00a/000",
        ] {
            assert_eq!(published(bad), None, "{bad}");
        }
    }

    #[test]
    fn one_entry_stands_for_ten_minutes_of_one_session_and_purpose() {
        let readings = Readings::default();
        let now: DateTime<Utc> = "2026-11-22T09:00:00Z".parse().unwrap();
        assert!(!readings.goes_on("s", "integrity", now));
        readings.began("s", "integrity", now);
        assert!(readings.goes_on("s", "integrity", now + TimeDelta::minutes(9)));
        assert!(!readings.goes_on("s", "lawfulness", now) && !readings.goes_on("t", "integrity", now));
        assert!(!readings.goes_on("s", "integrity", now + TimeDelta::minutes(10)));
    }
}
