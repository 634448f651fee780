//! What an actor says about a request: purpose, case, target, and what is to be configured. A statement is data, not
//! evidence. A value outside a vocabulary is kept as text and satisfies no condition that needs a particular value.

use crate::{
    facts::Role,
    ids::{DecreeId, OrdinanceId, PersonId},
};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What footage or a picture is for (Wpg 3).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Detection of a concrete offence (151c lid 9).
    Investigation,
    /// Keeping public order (151c lid 8).
    PublicOrder,
    /// Assistance to those who need it (hulpverlening, Politiewet 3).
    Assistance,
    /// Anything else, in the actor's own word; it opens nothing.
    #[serde(untagged)]
    Other(String),
}

/// Why somebody reads the log (Wpg 32a lid 2).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogPurpose {
    /// Checking whether processing was lawful.
    #[serde(alias = "lawfulness_check")]
    Lawfulness,
    /// Internal control.
    InternalControl,
    /// Integrity and security of the data.
    #[serde(alias = "security", alias = "integrity_security", alias = "integrity_and_security")]
    Integrity,
    /// Criminal proceedings.
    CriminalProceedings,
    /// Anything else: never.
    #[serde(untagged)]
    Other(String),
}

/// To whom a picture or footage goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecipientKind {
    /// Authorised police (Wpg 15); also when nothing is said.
    #[default]
    Police,
    /// The public prosecution service (Wpg 16 lid 1 a).
    PublicProsecutor,
    /// The mayor, for public order (Wpg 16 lid 1 b).
    Mayor,
    /// The fire service.
    FireService,
    /// The ambulance service.
    Ambulance,
    /// A municipality.
    Municipality,
    /// A private person or company.
    Private,
    /// Anyone else.
    #[serde(untagged)]
    Other(String),
}

/// The recorded decision to disclose (Wpg 18-20, 32; Bpg 6:4 lid 4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DisclosureDecision {
    /// The article, for example `Wpg 19`.
    #[serde(default)]
    pub article: Option<String>,
    /// The competent authority in agreement with which the controller decided: `mayor`, `public_prosecutor`.
    #[serde(default)]
    pub authority: Option<String>,
    /// Who asked.
    #[serde(default)]
    pub requester: Option<String>,
    /// What is disclosed.
    #[serde(default)]
    pub description: Option<String>,
    /// What for.
    #[serde(default)]
    pub purpose: Option<Purpose>,
}

/// Where a camera would look. The daemon computes it from the position, the preset and the area.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// Whether it is a public place.
    pub public_place: bool,
    /// Whether it lies inside the designated area.
    pub in_area: bool,
}

/// What is to happen to a mask or to a person's role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Give a role.
    Grant,
    /// Take a role.
    Revoke,
    /// Draw a mask, or make it larger.
    #[serde(alias = "set")]
    Add,
    /// Confirm that a mask covers what it must.
    Verify,
    /// Lift a mask: never.
    Remove,
    /// Anything else.
    #[serde(untagged)]
    Other(String),
}

/// How detailed a figure is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Totals without personal data (Wpg 22).
    Aggregate,
    /// Anything finer.
    #[serde(untagged)]
    Other(String),
}

/// Where a figure comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FigureSource {
    /// The incident register.
    IncidentRegister,
    /// The register of decisions, cameras and counters.
    Register,
    /// Anything else, such as the access log.
    #[serde(untagged)]
    Other(String),
}

/// The facts of a decree or a window about to be entered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proposal {
    /// The ordinance that a decree rests on; none: any of the municipality's that carries it.
    #[serde(default)]
    pub ordinance: Option<OrdinanceId>,
    /// The decree that a window belongs to.
    #[serde(default)]
    pub decree: Option<DecreeId>,
    /// Start of a window.
    #[serde(default)]
    pub from: Option<DateTime<Utc>>,
    /// End of a window.
    #[serde(default)]
    pub until: Option<DateTime<Utc>>,
    /// Start of a decree.
    #[serde(default)]
    pub valid_from: Option<DateTime<Utc>>,
    /// End of a decree.
    #[serde(default)]
    pub valid_until: Option<DateTime<Utc>>,
    /// Publication of a decree.
    #[serde(default)]
    pub published_at: Option<DateTime<Utc>>,
    /// Days that a decree keeps footage; none: the register's term.
    #[serde(default)]
    pub retention_days: Option<u32>,
    /// The consultation with the public prosecutor.
    #[serde(default)]
    pub consultation_ref: Option<String>,
    /// When it was held.
    #[serde(default)]
    pub consultation_held_at: Option<DateTime<Utc>>,
}

/// Everything an actor may say about a request. All of it is optional; what is missing opens nothing (V8).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Statement {
    /// What for.
    #[serde(default)]
    pub purpose: Option<Purpose>,
    /// The concrete offence, for example `Sr 300`.
    #[serde(default)]
    pub offence_ref: Option<String>,
    /// The police case number.
    #[serde(default)]
    pub case_number: Option<String>,
    /// Why, in words.
    #[serde(default)]
    pub reason: Option<String>,
    /// To whom.
    #[serde(default)]
    pub recipient_kind: RecipientKind,
    /// The decision to disclose to others than police, prosecutor and mayor.
    #[serde(default)]
    pub disclosure: Option<DisclosureDecision>,
    /// Where a camera is to look.
    #[serde(default)]
    pub target: Option<Target>,
    /// What is to happen to a mask or a role.
    #[serde(default)]
    pub operation: Option<Operation>,
    /// Why the log is read.
    #[serde(default)]
    pub log_purpose: Option<LogPurpose>,
    /// Purging the log: entries before this instant go.
    #[serde(default)]
    pub entries_until: Option<DateTime<Utc>>,
    /// Purging the log: how far the last external audit reached (computed by the daemon).
    #[serde(default)]
    pub audit_covered_until: Option<DateTime<Utc>>,
    /// How detailed a figure is.
    #[serde(default)]
    pub level: Option<Level>,
    /// Where a figure comes from.
    #[serde(default)]
    pub source: Option<FigureSource>,
    /// The decree or window to be entered.
    #[serde(default)]
    pub proposal: Proposal,
    /// Whose role changes.
    #[serde(default)]
    pub subject: Option<PersonId>,
    /// Which role.
    #[serde(default)]
    pub role: Option<Role>,
    /// The controller's authorisation document.
    #[serde(default)]
    pub authorisation_ref: Option<String>,
}
