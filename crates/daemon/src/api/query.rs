//! What stands behind the `?` of an address, read with errors that name the key.

use super::problem::ApiError;
use crate::clock::{is_near, to_micros};
use axum::{extract::FromRequestParts, http::request::Parts};
use chrono::{DateTime, Utc};
use std::collections::HashMap;

/// The query of a request.
pub(super) struct Asked(HashMap<String, String>);

impl Asked {
    /// A query of these pairs.
    #[cfg(test)]
    pub(super) fn of(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    /// A value as it stands; an empty one counts as not there.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A value that must be there.
    pub(super) fn needed(&self, key: &str) -> Result<&str, ApiError> {
        self.text(key).ok_or_else(|| ApiError::Malformed(format!("`{key}` is missing in the query")))
    }

    /// An instant (RFC 3339), cut to microseconds.
    pub(super) fn instant(&self, key: &str) -> Result<Option<DateTime<Utc>>, ApiError> {
        let read = |text: &str| {
            let at = DateTime::parse_from_rfc3339(text).map_err(|_| {
                ApiError::Malformed(format!("`{key}` is not an instant like 2026-06-13T21:00:00+02:00"))
            })?;
            let at = to_micros(at.to_utc());
            let far = || ApiError::Malformed(format!("`{key}` lies outside the years 1970 to 9999"));
            is_near(at).then_some(at).ok_or_else(far)
        };
        self.text(key).map(read).transpose()
    }

    /// A word of an enum, as its serialisation spells it.
    pub(super) fn word<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>, ApiError> {
        let read = |text: &str| {
            serde_json::from_value(serde_json::Value::String(text.to_owned()))
                .map_err(|e| ApiError::Malformed(format!("`{key}`: {e}")))
        };
        self.text(key).map(read).transpose()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = axum::extract::Query::<HashMap<String, String>>::try_from_uri(&parts.uri)
            .map_err(|_| ApiError::Malformed(format!("the query `{query}` cannot be read")))?;
        Ok(Self(pairs.0))
    }
}
