//! Bodies of the HTTP API under `/api/v1`. All instants are UTC (RFC 3339).

mod accounts;
mod clock;
mod holds;
mod register;
mod reports;
mod requests;
mod timeline;

pub use accounts::*;
pub use clock::*;
pub use holds::*;
pub use register::*;
pub use reports::*;
pub use requests::*;
pub use timeline::*;

use chrono::{DateTime, Utc};
use mandate::{CameraId, FactBody, FactRef, IncidentId, MunicipalityId, PersonId, ReasonCode, Role};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A sentence in both languages of the room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sentence {
    /// Dutch.
    pub nl: String,
    /// English.
    pub en: String,
}

/// An RFC 9457 problem document (`application/problem+json`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Always `about:blank`; `code` identifies the problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// Short English title.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// Stable code: a reason code of the law, or one of the API's own such as `not-logged-in`.
    pub code: String,
    /// What happened and what to do, for people.
    pub detail: Sentence,
    /// When the answer may change, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// Sequence number of the ledger entry, for a logged refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger_seq: Option<u64>,
}

/// `GET /about`: what this server is; needs no log-in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct About {
    /// Version of the daemon.
    pub version: String,
    /// Whether this is a demonstration with made-up decisions.
    pub demo: bool,
    /// Origin of the ledger.
    pub origin: String,
    /// The daemon's clock.
    pub now: DateTime<Utc>,
}

/// `POST /sessions`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LogIn {
    /// Log-in name.
    pub username: String,
    /// Password.
    pub password: String,
    /// Role to act in; may be left out by a person with one authorisation.
    #[serde(default)]
    pub role: Option<Role>,
    /// Name of the workstation, for the log.
    #[serde(default)]
    pub workstation: Option<String>,
}

/// Answer to `POST /sessions`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    /// Opaque bearer token; only its hash is stored.
    pub token: String,
    /// Who logged in, and as what.
    pub me: Me,
}

/// `GET /me`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Me {
    /// The person.
    pub person: PersonId,
    /// Name for the screen.
    pub name: String,
    /// The role of this session.
    pub role: Role,
    /// Municipalities in scope.
    pub municipalities: Vec<MunicipalityId>,
    /// The shift under way, if any.
    #[serde(default)]
    pub shift: Option<Span>,
    /// When the session ends by itself.
    pub expires_at: DateTime<Utc>,
}

/// A half-open stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    /// First instant.
    pub from: DateTime<Utc>,
    /// End, exclusive.
    pub until: DateTime<Utc>,
}

/// A municipality in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MunicipalityView {
    /// Its id.
    pub id: MunicipalityId,
    /// Name for the screen.
    pub name: String,
}

/// Main or sub stream of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StreamRole {
    /// Full resolution; recorded.
    Main,
    /// Small, for small tiles.
    Sub,
}

/// Technical state of a camera's stream; the law is not in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum CameraState {
    /// Not connected, because no use period is open.
    Idle,
    /// Connecting for the first time.
    Connecting,
    /// Pictures arrive.
    Up {
        /// Since when.
        since: DateTime<Utc>,
    },
    /// No pictures.
    Down {
        /// Since when.
        since: DateTime<Utc>,
        /// Why, as a stable word: `time_out`, `refused`, `unauthorised`, `protocol`, `ended`, `no_frames`.
        cause: String,
        /// The same for people.
        detail: Sentence,
        /// When the next attempt is made.
        #[serde(default)]
        retry_at: Option<DateTime<Utc>>,
    },
}

/// A refusal by the law, as shown to the person it concerns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// The code.
    pub code: ReasonCode,
    /// What an observer reads.
    pub sentence: Sentence,
    /// The decision it rests on, for example `DEMO-HEN-01`, if one is involved.
    #[serde(default)]
    pub decree: Option<String>,
    /// When the answer may change.
    #[serde(default)]
    pub until: Option<DateTime<Utc>>,
    /// When the camera is expected to open for this person, if the register knows.
    #[serde(default)]
    pub opens_at: Option<DateTime<Utc>>,
}

/// Whether this person may watch this camera live now. Says nothing about the picture itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "access", rename_all = "snake_case")]
pub enum Access {
    /// Permitted.
    Open {
        /// Until the first instant at which that may change.
        until: Option<DateTime<Utc>>,
    },
    /// Refused.
    Closed(Refusal),
}

/// `GET /cameras`: one camera as this person sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CameraView {
    /// Its id.
    pub id: CameraId,
    /// The number operators type.
    pub number: u32,
    /// Name for the screen.
    pub name: String,
    /// Its municipality.
    pub municipality: MunicipalityId,
    /// Whether it can be steered.
    pub ptz: bool,
    /// Live access now.
    pub access: Access,
    /// Technical state of the main stream.
    pub state: CameraState,
}

/// `GET /cameras/{id}/why`: why may I see this (or not)?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Why {
    /// The camera.
    pub camera: CameraId,
    /// The instant that was decided.
    pub at: DateTime<Utc>,
    /// The answer.
    pub access: Access,
    /// Every fact that a permit rests on.
    pub basis: Vec<FactRef>,
    /// The facts in words, in the order of the chain.
    pub lines: Vec<Sentence>,
}

/// Where an incident report came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncidentSource {
    /// The observer saw it.
    #[default]
    Own,
    /// By radio (portofoon).
    Radio,
    /// By the emergency line.
    Emergency112,
}

/// What kind of incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncidentCategory {
    /// A fight.
    Fight,
    /// A nuisance by a group.
    Nuisance,
    /// Damage or vandalism.
    Vandalism,
    /// Theft or robbery.
    Theft,
    /// A person unwell.
    Medical,
    /// Traffic.
    Traffic,
    /// Drugs.
    Drugs,
    /// A crowd.
    Crowd,
    /// Anything else, also the quick mark that `R` makes.
    Other,
}

/// `POST /incidents`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NewIncident {
    /// The moment, on the daemon's clock.
    pub at: DateTime<Utc>,
    /// The cameras; the first is the selected tile.
    pub cameras: Vec<CameraId>,
    /// What kind.
    pub category: IncidentCategory,
    /// A note without names.
    #[serde(default)]
    pub note: String,
    /// Where it came from.
    #[serde(default)]
    pub source: IncidentSource,
    /// Police instruction reference, if one was given.
    #[serde(default)]
    pub instruction: Option<String>,
    /// A mark that `R` opens so that looking back has its incident.
    #[serde(default)]
    pub quick: bool,
    /// The number under which the police's own system knows it. A police operator who names one opens the incident outside
    /// the live window too, where the decree lets the police look then.
    #[serde(default)]
    pub outside_number: Option<String>,
}

/// `PATCH /incidents/{id}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IncidentChange {
    /// New kind.
    #[serde(default)]
    pub category: Option<IncidentCategory>,
    /// New note.
    #[serde(default)]
    pub note: Option<String>,
    /// Close it.
    #[serde(default)]
    pub close: bool,
}

/// `GET /incidents`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Incident {
    /// Its number.
    pub id: IncidentId,
    /// The moment.
    pub at: DateTime<Utc>,
    /// The cameras.
    pub cameras: Vec<CameraId>,
    /// What kind.
    pub category: IncidentCategory,
    /// The note.
    pub note: String,
    /// Where it came from.
    pub source: IncidentSource,
    /// Police instruction reference.
    pub instruction: Option<String>,
    /// Who marked it: the log-in name.
    pub marked_by: PersonId,
    /// When it was closed.
    #[serde(default)]
    pub closed_at: Option<DateTime<Utc>>,
    /// The number in the police's own system, where the police opened it with one.
    #[serde(default)]
    pub outside_number: Option<String>,
}

/// `GET /health`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// The daemon's clock.
    pub now: DateTime<Utc>,
    /// The ledger.
    pub ledger: LedgerHealth,
    /// The cameras.
    pub cameras: Vec<CameraHealth>,
    /// Bytes of footage on disk.
    pub recorded_bytes: u64,
}

/// State of the log, as every operator must be able to trust it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerHealth {
    /// Entries so far.
    pub entries: u64,
    /// Whether entries can be written; if not, no new look is possible.
    pub writable: bool,
    /// Since when it cannot be written.
    #[serde(default)]
    pub failing_since: Option<DateTime<Utc>>,
    /// When the police witness last confirmed it.
    #[serde(default)]
    pub witnessed_at: Option<DateTime<Utc>>,
    /// Whether that is more than five minutes ago, or never happened.
    #[serde(default)]
    pub witness_late: bool,
}

/// State of one camera.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CameraHealth {
    /// The camera.
    pub id: CameraId,
    /// State of the main stream.
    pub main: CameraState,
    /// State of the sub stream.
    pub sub: CameraState,
    /// Main stream, bits per second over the last seconds.
    pub bits_per_second: u64,
    /// Frames received since start.
    pub frames: u64,
    /// Frames or groups that viewers skipped.
    pub viewer_skips: u64,
}

/// `GET /ledger/entries`: one entry as a reader with a purpose sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerEntry {
    /// Leaf index.
    pub seq: u64,
    /// The leaf, canonical JSON.
    pub entry: serde_json::Value,
}

/// `GET /periods`: what the mayor fixed for one decree, with the stretches it opens in the coming days.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PeriodView {
    /// The municipality.
    pub municipality: MunicipalityId,
    /// The decree.
    pub decree: String,
    /// The period or extra window.
    pub id: String,
    /// `period`, `event` or `emergency`.
    pub kind: String,
    /// The fact as recorded.
    pub fact: FactBody,
}

/// `GET /ledger/checkpoint`: the newest signed checkpoint of the log (C2SP signed note).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Checkpoint {
    /// Origin of the log.
    pub origin: String,
    /// Entries it covers.
    pub size: u64,
    /// The signed note, as text.
    pub note: String,
}
