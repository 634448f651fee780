//! What must hold before a fact enters the register, entity by entity (`domain.md` 5a): the invariants whose breach is
//! refused, and what a second person should see before confirming.
//!
//! Deciding never relies on this: a fact that is wrong opens nothing there either. But a mistake found while somebody
//! still has the paper in hand is cheaper than a night without pictures, or a month of footage in quarantine.

mod cameras;
mod decrees;
mod maintenance;
mod parties;
mod people;
mod periods;
mod records;

use crate::{
    decision::FactKind,
    facts::{Fact, FactBody},
    ids::MunicipalityId,
    outlook::proposed,
    register::{Register, RegisterError},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::{fmt, sync::Arc};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The fact cannot enter like this.
    Objection,
    /// It can; whoever enters and whoever confirms it should know.
    Remark,
}

/// One thing that is wrong or remarkable about a proposed fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of fact.
    pub kind: FactKind,
    /// Its id.
    pub id: Arc<str>,
    /// Which attribute.
    pub field: &'static str,
    /// Where the rule comes from: an article, or `policy`.
    pub source: &'static str,
    /// What is wrong and what to do, in Dutch.
    pub nl: String,
    /// The same in English.
    pub en: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, id, field, source, en, .. } = self;
        write!(f, "{kind:?} `{id}`, `{field}`: {en} [{source}]")
    }
}

/// Looks at facts that are to be entered together at an instant: each may refer to the others, in any order. `before`
/// is the register of `facts`. At the very first start (`at` none) the past is being recorded, so that nothing is
/// entered late.
///
/// # Errors
/// The same version of a fact twice with different contents. Two positions at once are a finding.
pub fn check(
    before: &Register,
    facts: &[Fact],
    bodies: &[FactBody],
    at: Option<DateTime<Utc>>,
) -> Result<Vec<Finding>, RegisterError> {
    let entered_at = at.unwrap_or_else(|| before.known_at());
    let facts = proposed(facts, bodies, entered_at);
    let known_at = entered_at.max(before.known_at());
    let with = match Register::with_policy(&facts, known_at, before.policy().clone()) {
        Ok(with) => with,
        Err(RegisterError::PositionsOverlap { camera, first, second }) => {
            return Ok(vec![cameras::overlap(&camera, &first, &second)]);
        }
        Err(error) => return Err(error),
    };
    let mut findings = Vec::new();
    for body in bodies {
        let (kind, id) = body.key();
        let mut look = Look { before, with: &with, at, kind, id, findings: Vec::new() };
        look.at_fact(body);
        findings.append(&mut look.findings);
    }
    // What is refused first.
    findings.sort_by_key(|finding| finding.severity);
    Ok(findings)
}

/// Whether nothing is refused.
pub fn acceptable(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.severity == Severity::Remark)
}

/// A look at one fact.
struct Look<'a> {
    /// The register as it is.
    before: &'a Register,
    /// The register with everything that is proposed.
    with: &'a Register,
    /// When it is entered; none: at the first start.
    at: Option<DateTime<Utc>>,
    kind: FactKind,
    id: Arc<str>,
    findings: Vec<Finding>,
}

/// Dutch and English.
type Texts<'t> = (&'t str, &'t str);

impl<'a> Look<'a> {
    fn at_fact(&mut self, body: &FactBody) {
        let named =
            !self.id.trim().is_empty() && self.id.len() <= 128 && !self.id.chars().any(char::is_control);
        self.need(
            named,
            "id",
            "policy",
            (
                "geef een naam van 1 tot 128 tekens zonder stuurtekens",
                "give a name of 1 to 128 characters without control characters",
            ),
        );
        match body {
            FactBody::Municipality(f) => self.municipality(f),
            FactBody::Organisation(f) => self.organisation(f),
            FactBody::Agreement(f) => self.agreement(f),
            FactBody::Ordinance(f) => self.ordinance(f),
            FactBody::Decree(f) => self.decree(f),
            FactBody::Area(f) => self.area(f),
            FactBody::Extension(f) => self.extension(f),
            FactBody::Revocation(f) => self.revocation(f),
            FactBody::Consultation(f) => self.consultation(f),
            FactBody::Period(f) => self.period(f),
            FactBody::ExtraWindow(f) => self.extra_window(f),
            FactBody::Signage(f) => self.signage(f),
            FactBody::Camera(f) => self.camera(f),
            FactBody::Position(f) => self.position(f),
            FactBody::Mask(f) => self.mask(f),
            FactBody::Person(f) => self.person(f),
            FactBody::Authorisation(f) => self.authorisation(f),
            FactBody::Shift(f) => self.shift(f),
            FactBody::Instruction(f) => self.instruction(f),
            FactBody::Breach(f) => self.breach(f),
            FactBody::SubjectRequest(f) => self.subject_request(f),
            FactBody::Audit(f) => self.audit(f),
            FactBody::AuditFinding(f) => self.audit_finding(f),
            FactBody::Maintenance(f) => self.maintenance(f),
        }
    }

    fn find(&mut self, severity: Severity, field: &'static str, source: &'static str, (nl, en): Texts<'_>) {
        let (kind, id) = (self.kind, Arc::clone(&self.id));
        self.findings.push(Finding {
            severity,
            kind,
            id,
            field,
            source,
            nl: nl.to_owned(),
            en: en.to_owned(),
        });
    }

    /// It must hold, else the fact is refused.
    fn need(&mut self, holds: bool, field: &'static str, source: &'static str, texts: Texts<'_>) {
        if !holds {
            self.find(Severity::Objection, field, source, texts);
        }
    }

    /// It had better hold.
    fn expect(&mut self, holds: bool, field: &'static str, source: &'static str, texts: Texts<'_>) {
        if !holds {
            self.find(Severity::Remark, field, source, texts);
        }
    }

    /// A reference leads somewhere.
    fn known(&mut self, known: bool, field: &'static str, name: &str) -> bool {
        let nl = format!("`{name}` staat niet in het register; leg dat eerst vast of verbeter de verwijzing");
        let en = format!("the register does not know `{name}`; enter it first or correct the reference");
        self.need(known, field, "policy", (&nl, &en));
        known
    }

    fn known_municipality(&mut self, field: &'static str, id: &MunicipalityId) -> bool {
        let known = self.with.municipalities().any(|municipality| municipality.id == *id);
        self.known(known, field, id.as_str())
    }

    /// Whether this is a new version that ends where it starts: what had not begun is called off, and opens nothing.
    fn empties(&self, from: DateTime<Utc>, until: Option<DateTime<Utc>>) -> bool {
        until == Some(from) && self.earlier().is_some()
    }

    /// A start before an end.
    fn ordered(&mut self, from: DateTime<Utc>, until: Option<DateTime<Utc>>, field: &'static str) {
        self.need(
            until.is_none_or(|until| from < until) || self.empties(from, until),
            field,
            "policy",
            ("het einde moet na het begin liggen", "the end must lie after the start"),
        );
    }

    /// What is recorded as done has been done.
    fn past(&mut self, done_at: Option<DateTime<Utc>>, field: &'static str) {
        let past = self.at.is_none_or(|at| done_at.is_none_or(|done_at| done_at <= at));
        self.need(
            past,
            field,
            "policy",
            (
                "dit ligt in de toekomst; leg vast wat gebeurd is, op of na dat moment",
                "this lies in the future; record what was done, at or after that instant",
            ),
        );
    }

    fn said(&mut self, text: &str, field: &'static str) {
        let said = !text.trim().is_empty();
        self.need(said, field, "policy", ("vul dit in", "fill this in"));
    }

    /// The fact of the same id as the register has it.
    fn earlier(&self) -> Option<&'a FactBody> {
        let key = (self.kind, Arc::clone(&self.id));
        self.before.facts().iter().map(|fact| &fact.body).find(|body| body.key() == key)
    }

    /// Since when the register has it (UTC).
    fn earlier_known_from(&self) -> Option<DateTime<Utc>> {
        let key = (self.kind, Arc::clone(&self.id));
        self.before.facts().iter().find(|fact| fact.body.key() == key).map(|fact| fact.known_from)
    }

    /// All facts with the proposed ones, but for the one that is looked at.
    fn others(&self) -> impl Iterator<Item = &'a FactBody> + use<'a> {
        let key = (self.kind, Arc::clone(&self.id));
        self.with.facts().iter().map(|fact| &fact.body).filter(move |body| body.key() != key)
    }
}
