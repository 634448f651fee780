//! What one entry says. The fields are those that the law's purposes need (Wpg 32a, LED 25, BIO2 8.15): who, in
//! which role, from where, did what to which object, why, on which legal basis, with which result.
//!
//! An [`Entry`] holds persons and free text in clear, because its maker knows them; the ledger turns them into
//! pseudonyms and commitments before anything is written. Never put in an entry: images, descriptions of persons,
//! passwords or tokens (BIO2 8.15.02).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;

/// The kind of processing (Wpg 32a lid 1), and what must be logged beside it (WP-24).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Verzamelen: the recorder starts, stops, misses.
    Collect,
    /// Wijzigen.
    Alter,
    /// Raadplegen: live view, replay, search.
    Consult,
    /// Verstrekken, including transfer.
    Disclose,
    /// Combineren.
    Combine,
    /// Vernietigen.
    Destroy,
    /// A refused attempt.
    AccessDenied,
    /// Register, people, rights.
    Admin,
    /// The platform itself: start, heartbeat, recovery.
    Maintenance,
}

impl Operation {
    /// The word in the leaf.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Collect => "collect",
            Self::Alter => "alter",
            Self::Consult => "consult",
            Self::Disclose => "disclose",
            Self::Combine => "combine",
            Self::Destroy => "destroy",
            Self::AccessDenied => "access_denied",
            Self::Admin => "admin",
            Self::Maintenance => "maintenance",
        }
    }
}

/// How well the clock that gave `at` was known to be right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// The kernel reports that the clock is disciplined.
    Synchronised,
    /// It reports that it is not.
    Unsynchronised,
    /// Nobody asked.
    #[default]
    Unknown,
}

impl Clock {
    /// The word in the leaf.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Synchronised => "synchronised",
            Self::Unsynchronised => "unsynchronised",
            Self::Unknown => "unknown",
        }
    }
}

/// Who acted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The platform itself: recorder, retention job, the ledger.
    System,
    /// Somebody who did not prove who they are, for example a failed log-in.
    Anonymous,
    /// A named person, never a shared desk (BIO2).
    Person {
        /// The person's id, in clear; the leaf carries the pseudonym of the month.
        person: String,
        /// The role they acted in.
        role: String,
        /// Their organisation.
        organisation: String,
        /// The authorisation they acted under (Wpg 6), if one was found; becomes a commitment.
        authorisation: Option<String>,
    },
}

/// Where it came from. Each part becomes a commitment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The workstation's name or certificate.
    pub workstation: Option<String>,
    /// The session's public id, never its token.
    pub session: Option<String>,
    /// Network address.
    pub address: Option<String>,
}

/// What it was done to; in clear, for it concerns things and places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// `camera`, `footage`, `hold`, `export`, `decree`, `window`, `incident`, `volume` …
    pub kind: String,
    /// Its id, unless it is the camera itself. Never a person: use [`Object::person`].
    pub id: Option<String>,
    /// The camera.
    pub camera: Option<String>,
    /// The municipality.
    pub municipality: Option<String>,
    /// First instant of the footage.
    pub from: Option<DateTime<Utc>>,
    /// End of the footage, exclusive.
    pub until: Option<DateTime<Utc>>,
    /// The tile or screen on which it was shown.
    pub screen: Option<String>,
    /// The person it concerns (grants, accounts), in clear; the leaf carries the pseudonym.
    pub person: Option<String>,
}

impl Object {
    /// A camera of a municipality.
    pub fn camera(camera: impl ToString, municipality: impl ToString) -> Self {
        Self {
            kind: "camera".to_owned(),
            camera: Some(camera.to_string()),
            municipality: Some(municipality.to_string()),
            ..Self::default()
        }
    }

    /// Footage of a camera, `from <= captured < until`.
    pub fn footage(
        camera: impl ToString,
        municipality: impl ToString,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Self {
        Self {
            kind: "footage".to_owned(),
            from: Some(from),
            until: Some(until),
            ..Self::camera(camera, municipality)
        }
    }

    /// Any other thing with an id.
    pub fn thing(kind: impl ToString, id: impl ToString) -> Self {
        Self { kind: kind.to_string(), id: Some(id.to_string()), ..Self::default() }
    }

    /// A person, for accounts and grants.
    pub fn person(id: impl ToString) -> Self {
        Self { kind: "person".to_owned(), person: Some(id.to_string()), ..Self::default() }
    }
}

/// Why (LED 25: the justification).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Justification {
    /// The purpose, a word of the rules: `supervision`, `incident`, `investigation`.
    pub purpose: Option<String>,
    /// The incident.
    pub incident: Option<String>,
    /// The kind of offence, as an article.
    pub offence: Option<String>,
    /// The police instruction.
    pub instruction: Option<String>,
    /// The case number; becomes a commitment.
    pub case_number: Option<String>,
    /// Free text; becomes a commitment.
    pub note: Option<String>,
}

/// On which law the decision rested, so that it can be replayed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegalContext {
    /// Ids and versions of the facts: `decree DEMO-ENS-01 v1`.
    pub basis: Vec<String>,
    /// The version of the rules and of the time-zone data.
    pub policy_version: Option<String>,
    /// The head of the register that the decision used.
    pub register_head: Option<String>,
    /// Until when the basis carries.
    pub until: Option<DateTime<Utc>>,
}

/// To whom data went (LED 25, Bpg 6:4). Person and organisation become commitments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipient {
    /// Who.
    pub person: Option<String>,
    /// Of which organisation.
    pub organisation: Option<String>,
    /// The article that carries it: `Wpg 16 lid 1 a`.
    pub article: Option<String>,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Permitted.
    Permit,
    /// Refused.
    Deny {
        /// The mandate's reason code.
        reason_code: String,
    },
    /// It happened; nobody had to permit it.
    Done,
    /// It was tried and did not succeed.
    Failed {
        /// Why, as a short code.
        reason_code: String,
    },
    /// It ended, but when is not known (decision 12).
    Unknown,
}

impl Outcome {
    /// The word in the leaf.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Deny { .. } => "deny",
            Self::Done => "done",
            Self::Failed { .. } => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// The reason, where there is one.
    pub fn reason_code(&self) -> Option<&str> {
        match self {
            Self::Deny { reason_code } | Self::Failed { reason_code } => Some(reason_code),
            Self::Permit | Self::Done | Self::Unknown => None,
        }
    }
}

/// The old and the new value of what was altered (Bpg 6:1a g).
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Decrees, periods, windows: public facts, in clear.
    Clear {
        /// Before; null for something new.
        old: Value,
        /// After; null for something ended.
        new: Value,
    },
    /// Facts about persons: as commitments.
    Private {
        /// Before; null for something new.
        old: Value,
        /// After; null for something ended.
        new: Value,
    },
}

/// One entry. Make it with [`Entry::new`] and fill what applies:
/// `Entry { look: Some(id), ..Entry::new(at, Operation::Consult, "live_view.start") }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When it happened (UTC, written with milliseconds).
    pub at: DateTime<Utc>,
    /// How good the clock was.
    pub clock: Clock,
    /// Which kind of processing.
    pub operation: Operation,
    /// The system's action: `live_view.start`, `live_view.stop`, `export.approve`. A look's first entry ends in
    /// `.start`, its last in `.stop`, and both carry the same `look`.
    pub action: Cow<'static, str>,
    /// What ties start and stop together.
    pub look: Option<String>,
    /// Who.
    pub actor: Actor,
    /// From where.
    pub origin: Origin,
    /// To what.
    pub object: Option<Object>,
    /// Why.
    pub justification: Justification,
    /// On which basis.
    pub legal_context: LegalContext,
    /// To whom data went.
    pub recipient: Option<Recipient>,
    /// How it ended.
    pub outcome: Outcome,
    /// What was altered.
    pub change: Option<Change>,
    /// Further figures in clear, without personal data: roots of sealed volumes, key commitments, the register's
    /// leaf, counts. Fractions and integers beyond 2^53 come out as text.
    pub data: Option<Value>,
}

impl Entry {
    /// An entry of the platform itself, done, about nothing: the frame to fill.
    pub fn new(at: DateTime<Utc>, operation: Operation, action: impl Into<Cow<'static, str>>) -> Self {
        Self {
            at,
            clock: Clock::default(),
            operation,
            action: action.into(),
            look: None,
            actor: Actor::System,
            origin: Origin::default(),
            object: None,
            justification: Justification::default(),
            legal_context: LegalContext::default(),
            recipient: None,
            outcome: Outcome::Done,
            change: None,
            data: None,
        }
    }

    /// The sign of life that is due each minute, so that silence is visible to the witness.
    pub fn heartbeat(at: DateTime<Utc>, clock: Clock) -> Self {
        Self { clock, ..Self::new(at, Operation::Maintenance, HEARTBEAT) }
    }
}

/// The action of the sign of life.
pub const HEARTBEAT: &str = "ledger.heartbeat";
