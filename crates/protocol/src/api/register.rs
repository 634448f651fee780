//! The register of decisions: entering, verifying, reading as it stood, looking ahead.

use super::Sentence;
use chrono::{DateTime, Utc};
use mandate::{
    AreaId, ConsultationId, DecreeId, Fact, FactBody, FactRef, PersonId, ReasonCode, WindowId,
    duties::Duty,
    endings::{Ending, Unconfirmed},
    facts::DecidedBy,
    outlook::{CameraOutlook, Change, PersonOutlook},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `POST /register/proposals`: a fact to be recorded. Most wait for a second person; what needs none (shifts, revocations,
/// a role that is taken away) takes effect at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NewProposal {
    /// What is to be recorded.
    pub body: FactBody,
    /// Why, for the second person.
    #[serde(default)]
    pub note: Option<String>,
}

/// How a proposal stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProposalState {
    /// It waits for its second person.
    #[default]
    Open,
    /// It was confirmed, and waits for the log to say whether it was written.
    Settling,
    /// A second person verified it; it has effect.
    Verified,
    /// It took effect without a second person.
    Effective,
    /// It was taken back; it never had effect.
    Withdrawn,
}

/// `GET /register/proposals`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Proposal {
    /// Its number.
    pub id: u64,
    /// What is to be recorded.
    pub body: FactBody,
    /// Who entered it.
    pub entered_by: PersonId,
    /// When.
    pub entered_at: DateTime<Utc>,
    /// Who verified it, once someone did.
    #[serde(default)]
    pub verified_by: Option<PersonId>,
    /// Why, in the words of who entered it.
    #[serde(default)]
    pub note: Option<String>,
    /// How it stands.
    #[serde(default)]
    pub state: ProposalState,
    /// When it ended.
    #[serde(default)]
    pub ended_at: Option<DateTime<Utc>>,
    /// A grant that is recorded and gives nothing before the police's witness has seen its entry.
    #[serde(default)]
    pub waits_for_witness: bool,
}

/// `POST /register/verifications`: confirms several proposals, which take effect together, in this order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verification {
    /// Their numbers.
    pub proposals: Vec<u64>,
}

/// `GET /register/history/{kind}/{id}`: one version of a fact and how it came to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FactRecord {
    /// Its number in the journal.
    pub seq: u64,
    /// Its entry in the log.
    pub ledger_seq: u64,
    /// The version.
    pub fact: Fact,
    /// Who entered it; none at first start.
    #[serde(default)]
    pub entered_by: Option<PersonId>,
    /// Who verified it.
    #[serde(default)]
    pub verified_by: Option<PersonId>,
    /// What differs from the version before.
    pub changes: Vec<FieldChange>,
}

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FieldChange {
    /// Its name.
    pub field: String,
    /// Before; null where it was not there.
    pub old: serde_json::Value,
    /// After.
    pub new: serde_json::Value,
}

/// What entering a fact would do to the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeState {
    /// There is none with this id.
    New,
    /// It differs from the newest version.
    Changed,
    /// The register says the same.
    Unchanged,
    /// The register knows it and the proposal does not name it. It stays until it is ended.
    Gone,
}

/// One fact compared with the register.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// Kind of the fact, as a stable word.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// What it would be.
    pub state: ChangeState,
    /// Field by field.
    pub fields: Vec<FieldChange>,
    /// The proposal that says the same and waits already.
    #[serde(default)]
    pub waits: Option<u64>,
    /// Why it would be refused, as far as can be said before somebody enters it.
    #[serde(default)]
    pub refused: Option<Sentence>,
    /// What whoever enters and whoever confirms it should know.
    #[serde(default)]
    pub remarks: Vec<Sentence>,
    /// The roles that may enter it.
    pub enter: Vec<mandate::Role>,
    /// The roles that may confirm it; empty: it takes effect at once.
    pub confirm: Vec<mandate::Role>,
}

/// `POST /register/preview`: what would change if these facts were recorded. Nothing is entered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NewPreview {
    /// The facts, references first.
    #[serde(default)]
    pub bodies: Vec<FactBody>,
    /// Proposals that wait, to be looked at before they are confirmed.
    #[serde(default)]
    pub proposals: Vec<u64>,
    /// Whether facts of the same municipalities that are not named count as gone.
    #[serde(default)]
    pub complete: bool,
    /// From when what they open and close is looked at (UTC); now, if not given.
    #[serde(default)]
    pub from: Option<DateTime<Utc>>,
    /// Until when, at most 366 days later; if not given four weeks after the last of them begins or ends.
    #[serde(default)]
    pub until: Option<DateTime<Utc>>,
}

/// Answer to `POST /register/preview`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Preview {
    /// Fact by fact.
    pub differences: Vec<Difference>,
    /// What they would open and close between `from` and `until`, all of them together.
    pub changes: Vec<Change>,
    /// First instant that was looked at.
    pub from: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
}

/// A person's outlook is asked for so many days at a time: it looks at every camera. The client asks for more in pieces.
pub const LONGEST_OF_PERSON_DAYS: i64 = 31;

/// `GET /register/outlook`: when something is open between two instants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outlook {
    /// First instant.
    pub from: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
    /// The camera that was asked about, or the cameras of the municipality.
    pub cameras: Vec<CameraOutlook>,
    /// The person who was asked about.
    #[serde(default)]
    pub person: Option<PersonOutlook>,
}

/// `GET /register/endings`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Endings {
    /// The daemon's clock.
    pub now: DateTime<Utc>,
    /// What ends within the days that were asked for, the soonest first.
    pub endings: Vec<Ending>,
    /// Emergency windows that wait for written confirmation, the oldest first (GW-20).
    pub unconfirmed: Vec<Unconfirmed>,
    /// What must be done within those days and is not, overdue first; empty for who does not read such records.
    #[serde(default)]
    pub duties: Vec<Duty>,
}

/// A consultation with the public prosecutor by telephone, held before the window begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TelephoneConsultation {
    /// When.
    pub held_at: DateTime<Utc>,
    /// Whom.
    pub prosecutor: String,
    /// What came of it.
    pub outcome: String,
}

/// `POST /register/emergencies`: the fast path of domain rule GW-20. It takes effect at once and must be confirmed in
/// writing; it cures no expired decree and no other area.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NewEmergency {
    /// The decree inside which it lies.
    pub decree: DecreeId,
    /// The area; none: every area of the decree.
    #[serde(default)]
    pub area: Option<AreaId>,
    /// Who ordered it: `mayor`, or `mayor_mandated`.
    pub ordered_by: DecidedBy,
    /// When.
    pub ordered_at: DateTime<Utc>,
    /// The consultation.
    pub consultation: TelephoneConsultation,
    /// Start as ordered; none: at once. One that has passed when it is entered becomes the instant of entry: what was
    /// ordered before may be told late, but nothing gets a basis afterwards.
    #[serde(default)]
    pub from: Option<DateTime<Utc>>,
    /// End.
    pub until: DateTime<Utc>,
    /// Why.
    pub ground: String,
}

/// Answer to `POST /register/emergencies`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Emergency {
    /// The window.
    pub window: WindowId,
    /// The consultation as recorded.
    pub consultation: ConsultationId,
    /// First instant.
    pub from: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
    /// The start that was ordered, where that had passed when it was entered: from then until `from` there is no basis.
    #[serde(default)]
    pub ordered_from: Option<DateTime<Utc>>,
    /// When the written confirmation is due.
    pub confirm_by: DateTime<Utc>,
}

/// `GET /register/explanation`: a past answer, computed again from the facts as they stood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// The instant that was decided.
    pub at: DateTime<Utc>,
    /// The instant as of which the register was read.
    pub known_at: DateTime<Utc>,
    /// Head of the journal then; the entries of that time carry it.
    pub register_head: String,
    /// Rules, settings and time-zone data that decided.
    pub policy_version: String,
    /// Whether it was permitted.
    pub permitted: bool,
    /// The reason of a refusal.
    #[serde(default)]
    pub code: Option<ReasonCode>,
    /// The refusal, or that it was permitted, in words.
    pub sentence: Sentence,
    /// The facts it rested on, or on which it failed.
    pub basis: Vec<FactRef>,
    /// The same in words, in the order of the chain.
    pub lines: Vec<Sentence>,
    /// The first instant at which the answer could change.
    #[serde(default)]
    pub until: Option<DateTime<Utc>>,
}
