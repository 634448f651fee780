//! A leaf as it is read: the fields that indexes and reports ask for, borrowed from the leaf's text. What is absent is empty;
//! what is not of this schema does not parse.

use serde::Deserialize;
use std::borrow::Cow;

/// The fields of one leaf. Times are text, RFC 3339 UTC with milliseconds.
#[derive(Debug, Deserialize)]
pub struct Leaf<'a> {
    /// When it happened.
    #[serde(borrow)]
    pub at: Cow<'a, str>,
    /// The action.
    #[serde(borrow, default)]
    pub action: Cow<'a, str>,
    /// The kind of processing.
    #[serde(borrow, default)]
    pub operation: Cow<'a, str>,
    /// How it ended.
    #[serde(borrow, default)]
    pub outcome: Cow<'a, str>,
    /// Why it was refused or failed.
    #[serde(borrow, default)]
    pub reason_code: Cow<'a, str>,
    /// What ties start and stop together.
    #[serde(borrow, default)]
    pub look: Option<Cow<'a, str>>,
    /// Who.
    #[serde(borrow, default)]
    pub actor: LeafActor<'a>,
    /// To what.
    #[serde(borrow, default)]
    pub object: LeafObject<'a>,
    /// Why.
    #[serde(borrow, default)]
    pub justification: LeafJustification<'a>,
    /// On which basis.
    #[serde(borrow, default)]
    pub legal_context: LeafLaw<'a>,
    /// To whom data went.
    #[serde(borrow, default)]
    pub recipient: LeafRecipient<'a>,
}

/// Who.
#[derive(Debug, Default, Deserialize)]
pub struct LeafActor<'a> {
    /// `person`, `system`, `anonymous`.
    #[serde(borrow, default)]
    pub kind: Cow<'a, str>,
    /// The pseudonym of the month.
    #[serde(borrow, default)]
    pub pseudonym: Option<Cow<'a, str>>,
    /// The role.
    #[serde(borrow, default)]
    pub role: Cow<'a, str>,
    /// The organisation.
    #[serde(borrow, default)]
    pub organisation: Cow<'a, str>,
}

/// To what.
#[derive(Debug, Default, Deserialize)]
pub struct LeafObject<'a> {
    /// Its kind.
    #[serde(borrow, default)]
    pub kind: Cow<'a, str>,
    /// Its id.
    #[serde(borrow, default)]
    pub id: Cow<'a, str>,
    /// The camera.
    #[serde(borrow, default)]
    pub camera: Option<Cow<'a, str>>,
    /// The municipality.
    #[serde(borrow, default)]
    pub municipality: Option<Cow<'a, str>>,
    /// The person it concerns, as the pseudonym of the month.
    #[serde(borrow, default)]
    pub pseudonym: Option<Cow<'a, str>>,
    /// End of the footage.
    #[serde(borrow, default)]
    pub until: Option<Cow<'a, str>>,
}

/// Why.
#[derive(Debug, Default, Deserialize)]
pub struct LeafJustification<'a> {
    /// The purpose.
    #[serde(borrow, default)]
    pub purpose: Cow<'a, str>,
    /// The incident.
    #[serde(borrow, default)]
    pub incident: Option<Cow<'a, str>>,
    /// The offence.
    #[serde(borrow, default)]
    pub offence: Option<Cow<'a, str>>,
    /// The police instruction.
    #[serde(borrow, default)]
    pub instruction: Option<Cow<'a, str>>,
    /// The case number, a commitment.
    #[serde(borrow, default)]
    pub case_number: Option<Cow<'a, str>>,
}

/// On which basis.
#[derive(Debug, Default, Deserialize)]
pub struct LeafLaw<'a> {
    /// Facts: `decree DEMO-ENS-01 v1`.
    #[serde(borrow, default)]
    pub basis: Vec<Cow<'a, str>>,
}

/// To whom.
#[derive(Debug, Default, Deserialize)]
pub struct LeafRecipient<'a> {
    /// The article that carries it.
    #[serde(borrow, default)]
    pub article: Cow<'a, str>,
}

impl<'a> Leaf<'a> {
    /// Reads a leaf; none when it is none of this schema.
    pub fn read(leaf: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(leaf).ok()
    }

    /// Whether the action is this one, or one of its steps.
    pub fn is(&self, what: &str) -> bool {
        self.action.strip_prefix(what).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// The last part of the action: `start` of `live_view.start`.
    pub fn step(&self) -> &str {
        self.action.rsplit_once('.').map_or("", |(_, step)| step)
    }

    /// Whether it was permitted, or simply happened.
    pub fn took_place(&self) -> bool {
        matches!(self.outcome.as_ref(), "permit" | "done")
    }

    /// Whether it names an incident, an offence, a case or a police instruction.
    pub fn is_justified(&self) -> bool {
        let why = &self.justification;
        [&why.incident, &why.offence, &why.instruction, &why.case_number]
            .iter()
            .any(|reference| reference.is_some())
    }
}
