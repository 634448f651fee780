//! Reading the log, for one of the four purposes of the law (Wpg 32a lid 2). Reading is logged itself.

use super::{App, Caller, ask, problem::ApiError};
use crate::{gate::Pass, identity::Session};
use axum::{
    Extension, Json,
    extract::{Query, State},
};
use mandate::{Action, LogPurpose, Object, Statement};
use protocol::api::{Checkpoint, LedgerEntry};
use std::collections::HashMap;

/// Most entries in one answer.
const MOST: usize = 10_000;

async fn reading(
    app: &App,
    session: &Session,
    query: &HashMap<String, String>,
    name: &'static str,
) -> Result<Pass, ApiError> {
    let mut ask = ask(session, Action::ReadLog, Object::None, name);
    let said = query.get("purpose").map(|p| serde_json::Value::String(p.clone()));
    let log_purpose: Option<LogPurpose> = said.and_then(|value| serde_json::from_value(value).ok());
    ask.request = ask.request.saying(Statement { log_purpose, ..Statement::default() });
    Ok(app.gate.act(&ask).await?)
}

/// `GET /ledger/entries`.
pub(super) async fn entries(
    State(app): State<App>,
    Extension(session): Caller,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Vec<LedgerEntry>>, ApiError> {
    reading(&app, &session, &query, "log.read").await?;
    let number = |name: &str, default: u64| match query.get(name) {
        Some(text) => text.parse().map_err(|_| ApiError::Malformed(format!("`{name}` is not a number"))),
        None => Ok(default),
    };
    let from = number("from_seq", 0)?;
    let limit = (number("limit", 1000)? as usize).min(MOST);
    let ledger = app.ledger.clone();
    let entries = tokio::task::spawn_blocking(move || ledger.entries(from, limit))
        .await
        .map_err(|e| ApiError::Internal(e.to_string()))?
        .map_err(|e| ApiError::Internal(e.to_string()))?;
    Ok(Json(entries.into_iter().map(|(seq, entry)| LedgerEntry { seq, entry }).collect()))
}

/// `GET /ledger/checkpoint`.
pub(super) async fn checkpoint(
    State(app): State<App>,
    Extension(session): Caller,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Checkpoint>, ApiError> {
    reading(&app, &session, &query, "log.checkpoint").await?;
    let note = app.ledger.checkpoint().map_err(|e| ApiError::Internal(e.to_string()))?;
    // Second line of a C2SP checkpoint: the number of leaves.
    let size = note.lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or_default();
    Ok(Json(Checkpoint { origin: app.origin.clone(), size, note }))
}
