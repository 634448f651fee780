//! RFC 9457 problem documents: every error of the API, each with a stable code and a sentence in both languages.

use crate::{
    clock::is_near,
    gate::{Refused, clock_doubted, code_text, log_unavailable, unwitnessed},
    identity::IdentityError,
    incidents::IncidentError,
    journal::JournalError,
};
use axum::{
    body::Bytes,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use protocol::api::{Problem, Sentence};
use serde::de::DeserializeOwned;

/// What can go wrong with a call.
#[derive(Debug)]
pub enum ApiError {
    /// No session, or an expired one.
    NotLoggedIn,
    /// Name or password is wrong.
    LogInRefused,
    /// Too many failed attempts.
    TooManyAttempts(DateTime<Utc>),
    /// Several authorisations: the role must be named.
    RoleNeeded(String),
    /// The gate did not open.
    Refused(Refused),
    /// There is no such thing, or it is outside the caller's scope.
    NotFound,
    /// Not this method.
    MethodNotAllowed,
    /// The request cannot be read.
    Malformed(String),
    /// It can be read but contradicts what is known.
    Invalid(Sentence),
    /// Somebody else was first.
    Conflict(Sentence),
    /// It is permitted and logged, and goes on once the police's witness has seen that.
    WaitsForWitness,
    /// It is not known yet whether an entry took effect.
    Unsettled,
    /// Ours.
    Internal(String),
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<IdentityError> for ApiError {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::Refused => Self::LogInRefused,
            IdentityError::TooMany { until } => Self::TooManyAttempts(until),
            IdentityError::NoSession => Self::NotLoggedIn,
            IdentityError::Unconfirmed => Self::Conflict(sentence(
                "Deze uitnodiging geldt voor een bestaand account en wacht op bevestiging door een autorisator van de politie.",
                "This invitation is for an account that exists and waits for an authoriser of the police to confirm it.",
            )),
            IdentityError::Password => {
                let characters = crate::identity::SHORTEST_PASSWORD;
                Self::Invalid(Sentence {
                    nl: format!("Kies een wachtwoord van {characters} tekens of meer."),
                    en: format!("Choose a password of {characters} characters or more."),
                })
            }
            IdentityError::Store(_) | IdentityError::Machine(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<JournalError> for ApiError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Invalid(reason) => Self::Invalid(Sentence {
                nl: format!("Dit past niet in het register: {reason}"),
                en: format!("This does not fit the register: {reason}"),
            }),
            JournalError::Log(
                ledger::LedgerError::Slow | ledger::LedgerError::Write(_) | ledger::LedgerError::Closed,
            )
            | JournalError::Unsettled { .. } => Self::Unsettled,
            JournalError::Log(_) => Self::Refused(Refused::LogUnavailable),
            JournalError::Ended(_) => Self::Conflict(Sentence {
                nl: "Dit voorstel wacht niet meer.".to_owned(),
                en: "This proposal waits no longer.".to_owned(),
            }),
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<IncidentError> for ApiError {
    fn from(error: IncidentError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<rusqlite::Error> for ApiError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

fn sentence(nl: &str, en: &str) -> Sentence {
    Sentence { nl: nl.to_owned(), en: en.to_owned() }
}

impl ApiError {
    fn problem(self) -> Problem {
        let (status, code, title, detail) = match self {
            Self::NotLoggedIn => (
                StatusCode::UNAUTHORIZED,
                "not-logged-in".to_owned(),
                "Not logged in",
                sentence(
                    "U bent niet (meer) aangemeld. Meld u aan.",
                    "You are not logged in (any more). Log in.",
                ),
            ),
            Self::LogInRefused => (
                StatusCode::UNAUTHORIZED,
                "log-in-refused".to_owned(),
                "Log-in refused",
                sentence("Naam of wachtwoord is onjuist.", "Name or password is wrong."),
            ),
            Self::TooManyAttempts(until) => {
                let detail = sentence(
                    "Te veel mislukte pogingen. Wacht een minuut en probeer het opnieuw.",
                    "Too many failed attempts. Wait a minute and try again.",
                );
                let mut problem = problem(
                    StatusCode::TOO_MANY_REQUESTS,
                    "too-many-attempts".to_owned(),
                    "Too many attempts",
                    detail,
                );
                problem.until = Some(until);
                return problem;
            }
            Self::RoleNeeded(roles) => (
                StatusCode::BAD_REQUEST,
                "role-needed".to_owned(),
                "Role needed",
                Sentence {
                    nl: format!("U hebt meer dan één rol. Kies er een: {roles}."),
                    en: format!("You have more than one role. Choose one: {roles}."),
                },
            ),
            Self::Refused(Refused::LogUnavailable) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "log-unavailable".to_owned(),
                "The log cannot be written",
                log_unavailable(),
            ),
            Self::Refused(Refused::Unwitnessed) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "log-unwitnessed".to_owned(),
                "The police have not confirmed the log",
                unwitnessed(),
            ),
            Self::WaitsForWitness => (
                StatusCode::CONFLICT,
                "waits-for-witness".to_owned(),
                "Waits for the police's witness",
                sentence(
                    "Dit is toegestaan en vastgelegd. Het gaat door zodra de politie het logboek heeft bevestigd; probeer het \
                     over enkele seconden opnieuw.",
                    "This is permitted and logged. It goes on once the police have confirmed the log; try again in a few \
                     seconds.",
                ),
            ),
            Self::Unsettled => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unsettled".to_owned(),
                "Not known yet",
                sentence(
                    "Het logboek gaf geen antwoord. Of dit is vastgelegd, blijkt zodra het logboek weer werkt: kijk dan \
                     eerst in het register, en voer het niet opnieuw in.",
                    "The log gave no answer. Whether this was recorded is known as soon as the log works again: look in \
                     the register then, and do not enter it anew.",
                ),
            ),
            Self::Refused(Refused::ClockDoubted) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "clock-doubted".to_owned(),
                "The clock cannot be believed",
                clock_doubted(),
            ),
            Self::Refused(Refused::Denied { refusal, ledger_seq }) => {
                let mut problem = problem(
                    StatusCode::FORBIDDEN,
                    code_text(refusal.code),
                    "Refused",
                    refusal.sentence.clone(),
                );
                problem.until = refusal.opens_at.or(refusal.until);
                problem.ledger_seq = ledger_seq;
                return problem;
            }
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "not-found".to_owned(),
                "Not found",
                sentence(
                    "Dit bestaat niet, of het valt buiten uw gebied.",
                    "There is no such thing, or it is outside your scope.",
                ),
            ),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed".to_owned(),
                "Method not allowed",
                sentence("Deze bewerking bestaat hier niet.", "There is no such operation here."),
            ),
            Self::Malformed(reason) => (
                StatusCode::BAD_REQUEST,
                "malformed".to_owned(),
                "Malformed request",
                Sentence {
                    nl: format!("Het verzoek is niet te lezen: {reason}"),
                    en: format!("The request cannot be read: {reason}"),
                },
            ),
            Self::Invalid(detail) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid".to_owned(), "Invalid", detail)
            }
            Self::Conflict(detail) => (StatusCode::CONFLICT, "conflict".to_owned(), "Conflict", detail),
            Self::Internal(error) => {
                // Details stay in the daemon's own log: they may name files.
                tracing::error!(%error, "a request failed inside the daemon");
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal".to_owned(),
                    "Internal error",
                    sentence(
                        "Er ging iets mis in het systeem. Probeer het opnieuw; waarschuw anders de technisch beheerder.",
                        "Something failed in the system. Try again, or else call the system administrator.",
                    ),
                )
            }
        };
        problem(status, code, title, detail)
    }
}

fn problem(status: StatusCode, code: String, title: &str, detail: Sentence) -> Problem {
    Problem {
        kind: "about:blank".to_owned(),
        title: title.to_owned(),
        status: status.as_u16(),
        code,
        detail,
        until: None,
        ledger_seq: None,
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let waits = matches!(self, Self::WaitsForWitness);
        let problem = self.problem();
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response =
            (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer realm=\"rtr\""));
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("60"));
        }
        if waits {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("5"));
        }
        response
    }
}

/// A body read as JSON; what is wrong is told to the caller.
pub fn read_body<T: DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    read_json(body).map_err(ApiError::Malformed)
}

/// JSON of a client, with a sentence where it cannot be read. Every instant in it lies in the years 1970 to 9999, so that
/// calculating with it never overflows.
pub(crate) fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if let Some(text) = far_instant(&value) {
        return Err(format!("`{text}` lies outside the years 1970 to 9999"));
    }
    // From the bytes again: its errors name line and column.
    serde_json::from_slice(bytes).map_err(|e| e.to_string())
}

/// An instant that nobody can calculate with.
fn far_instant(value: &serde_json::Value) -> Option<&str> {
    match value {
        serde_json::Value::String(text) => {
            text.parse::<DateTime<Utc>>().is_ok_and(|at| !is_near(at)).then_some(text)
        }
        serde_json::Value::Array(values) => values.iter().find_map(far_instant),
        serde_json::Value::Object(fields) => fields.values().find_map(far_instant),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{api, socket::ClientMessage};

    #[test]
    fn an_instant_that_overflows_is_refused_wherever_it_stands() {
        let far = [
            "+262142-12-31T23:59:59Z",
            "-262143-01-01T00:00:00Z",
            "+10000-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
        ];
        for far in far {
            let hold = format!(
                r#"{{"camera": "C1", "from": "{far}", "until": "2026-06-01T12:00:00Z", "case_number": "1", "offence": "2"}}"#
            );
            let refused = read_body::<api::NewHold>(&hold.clone().into());
            assert!(matches!(refused, Err(ApiError::Malformed(reason)) if reason.contains(far)));
            read_body::<api::NewHold>(&hold.replace(far, "2026-06-01T11:00:00Z").into()).unwrap();
            let steer =
                r#"{"type": "steer", "subscriptions": [1], "serial": 1, "speed": 0, "position": "FAR"}"#;
            assert!(
                read_json::<ClientMessage>(steer.replace("FAR", far).as_bytes()).unwrap_err().contains(far)
            );
            read_json::<ClientMessage>(steer.replace("FAR", "9999-12-31T23:59:59Z").as_bytes()).unwrap();
        }
        assert!(read_json::<Vec<u8>>(b"[").is_err());
    }
}
