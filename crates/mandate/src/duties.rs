//! What somebody must do by an instant, and has not done yet: telling the supervisor of a breach (72 hours, also at night
//! and in weekends), answering a data subject, the reports and second audits that follow an audit, the next audit.
//!
//! Unlike an ending, a duty does not go away when its instant has passed: it is overdue.

use crate::{
    decision::FactRef,
    facts::{Audit, AuditKind, Fact, FactBody, Risk},
    ids::MunicipalityId,
    register::Register,
};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What must be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DutyKind {
    /// Tell the supervisor of a breach (Wpg 33a lid 1).
    BreachReport,
    /// Tell those whom the data are about (Wpg 33a lid 4).
    BreachSubjects,
    /// Answer a data subject (Wpg 25, 28).
    SubjectAnswer,
    /// Report what is to be improved after an audit (Bpg 6:5).
    ImprovementReport,
    /// Audit again what was wrong (Bpg 6:5).
    Reaudit,
    /// The next internal audit (Bpg 6:5).
    InternalAudit,
    /// The next external audit (Wpg 33 lid 1).
    ExternalAudit,
    /// Mend what an audit found.
    Finding,
}

impl DutyKind {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::BreachReport,
        Self::BreachSubjects,
        Self::SubjectAnswer,
        Self::ImprovementReport,
        Self::Reaudit,
        Self::InternalAudit,
        Self::ExternalAudit,
        Self::Finding,
    ];
}

/// One duty that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Duty {
    /// By when (UTC).
    pub due_at: DateTime<Utc>,
    /// What.
    pub kind: DutyKind,
    /// The fact it follows from, with its version.
    pub fact: FactRef,
    /// The municipality, if it is about one.
    pub municipality: Option<MunicipalityId>,
    /// Whether it is overdue.
    pub overdue: bool,
}

/// Every duty that is open at an instant and due before another, the soonest first.
pub fn duties(register: &Register, at: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Duty> {
    let mut duties: Vec<Duty> = register
        .facts()
        .iter()
        .flat_map(|fact| {
            let of = |(kind, due_at, municipality): Due| {
                let overdue = due_at <= at;
                Duty { due_at, kind, fact: fact.reference(), municipality, overdue }
            };
            dues(register, fact).into_iter().map(of)
        })
        .filter(|duty| duty.due_at < until)
        .collect();
    duties.sort_by(|a, b| (a.due_at, a.kind, &a.fact.id).cmp(&(b.due_at, b.kind, &b.fact.id)));
    duties
}

type Due = (DutyKind, DateTime<Utc>, Option<MunicipalityId>);

fn dues(register: &Register, fact: &Fact) -> Vec<Due> {
    let mut open = Vec::new();
    match &fact.body {
        FactBody::Breach(f) => {
            if f.risk != Risk::Unlikely && f.reported_at.is_none() {
                open.push((DutyKind::BreachReport, f.due_at(), f.municipality.clone()));
            }
            // "Without delay": the law names no hours; they are told no later than the supervisor is (policy).
            if f.risk == Risk::High && f.subjects_informed_at.is_none() {
                open.push((DutyKind::BreachSubjects, f.due_at(), f.municipality.clone()));
            }
        }
        FactBody::SubjectRequest(f) if f.decided_at.is_none() => {
            open.push((DutyKind::SubjectAnswer, f.due_at(), f.municipality.clone()));
        }
        FactBody::Audit(f) => {
            if let Some(due) = f.report_due.filter(|_| f.improvement_reported_at.is_none()) {
                open.push((DutyKind::ImprovementReport, due, None));
            }
            if let Some(due) = f.reaudit_due.filter(|_| f.reaudited_at.is_none()) {
                open.push((DutyKind::Reaudit, due, None));
            }
            let kind = match f.kind {
                AuditKind::Internal => DutyKind::InternalAudit,
                AuditKind::External => DutyKind::ExternalAudit,
            };
            if let Some(due) = f.next_due_at().filter(|_| is_latest(register, f)) {
                open.push((kind, due, None));
            }
        }
        FactBody::AuditFinding(f) => {
            if let Some(due) = f.mend_by.filter(|_| f.mended_at.is_none()) {
                open.push((DutyKind::Finding, due, None));
            }
        }
        _ => {}
    }
    open
}

/// Whether no later audit of its kind is done.
fn is_latest(register: &Register, audit: &Audit) -> bool {
    !register.facts().iter().any(|fact| match &fact.body {
        FactBody::Audit(other) => other.kind == audit.kind && other.done_at > audit.done_at,
        _ => false,
    })
}
