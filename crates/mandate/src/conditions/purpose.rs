//! What for, and for whom (Z): the concrete offence, the case, the recipient, four eyes (151c lid 9; Wpg 3, 15-20).

use super::{Step, Walk, need, refuse};
use crate::{
    decision::ReasonCode,
    dossier::{Export, ExportState},
    facts::Role,
    ids::PersonId,
    request::Actor,
    statement::{DisclosureDecision, Purpose, RecipientKind},
};

/// Purposes in the suite's vocabulary that are neither public order nor assistance: no agreement of the mayor's carries them.
const OTHER_PURPOSES: &[&str] = &[
    "administrative_fine",
    "civil_claim",
    "complaint",
    "evaluation",
    "investigation",
    "journalism",
    "research",
    "staff_performance",
    "statistics",
    "training",
];

/// Text that says something.
fn said(text: Option<&String>) -> bool {
    text.is_some_and(|text| !text.trim().is_empty())
}

/// Whether a replay is the short one inside an incident rather than the one for an offence. An observer has only the
/// short one; a police operator has it when public order is the purpose, or an incident and no purpose at all.
pub(crate) fn within_incident(walk: &Walk<'_>) -> bool {
    let purpose = walk.statement().and_then(|statement| statement.purpose.as_ref());
    let Actor::Person { role, .. } = &walk.request.actor else { return false };
    match (role, purpose) {
        (Role::Observer, purpose) => purpose != Some(&Purpose::Investigation),
        (Role::PoliceOperator, Some(purpose)) => *purpose == Purpose::PublicOrder,
        (Role::PoliceOperator, None) => walk.request.resolved.incident.is_some(),
        _ => false,
    }
}

/// An open incident that concerns the camera.
pub(crate) fn incident(walk: &mut Walk<'_>) -> Step {
    need(walk.request.resolved.incident.is_some(), ReasonCode::IncidentRequired)
}

/// Nothing but public order is said to be the purpose; the incident stands for it when nothing is said.
pub(crate) fn of_public_order(walk: &mut Walk<'_>) -> Step {
    let purpose = walk.statement().and_then(|statement| statement.purpose.as_ref());
    need(purpose.is_none_or(|purpose| *purpose == Purpose::PublicOrder), ReasonCode::PurposeNotAllowed)
}

/// The detection of a concrete offence.
pub(crate) fn concrete_offence(walk: &mut Walk<'_>) -> Step {
    let statement = walk.statement();
    offence(statement.and_then(|s| s.purpose.as_ref()), statement.and_then(|s| s.offence_ref.as_ref()))
}

fn offence(purpose: Option<&Purpose>, offence_ref: Option<&String>) -> Step {
    need(purpose == Some(&Purpose::Investigation), ReasonCode::PurposeNotAllowed)?;
    need(said(offence_ref), ReasonCode::NoConcreteOffence)
}

/// A case to hold the footage for.
pub(crate) fn case_number(walk: &mut Walk<'_>) -> Step {
    need(said(walk.statement().and_then(|s| s.case_number.as_ref())), ReasonCode::CaseNumberRequired)
}

/// A reason, in words.
pub(crate) fn reason(walk: &mut Walk<'_>) -> Step {
    need(said(walk.statement().and_then(|s| s.reason.as_ref())), ReasonCode::PurposeNotAllowed)
}

/// A reason to release, and a case whose hold it is.
pub(crate) fn reason_to_release(walk: &mut Walk<'_>) -> Step {
    reason(walk)?;
    need(!walk.request.resolved.holds.is_empty(), ReasonCode::CaseNumberRequired)
}

/// A request for footage: for an offence, or for the mayor's public order, or with a recorded decision to disclose.
/// Whether another recipient is entitled is settled when it is approved; nothing leaves before.
pub(crate) fn requested(walk: &mut Walk<'_>) -> Step {
    let Some(statement) = walk.statement() else { return concrete_offence(walk) };
    match (&statement.recipient_kind, &statement.disclosure) {
        (RecipientKind::Police | RecipientKind::PublicProsecutor, _) | (_, None)
            if statement.recipient_kind != RecipientKind::Mayor =>
        {
            concrete_offence(walk)
        }
        (RecipientKind::Mayor, _) => {
            need(statement.purpose == Some(Purpose::PublicOrder), ReasonCode::PurposeNotAllowed)
        }
        (kind, decision) => disclosure(kind, decision.as_ref()),
    }
}

/// Approving a request: entitled recipient, complete record, and not one's own request.
pub(crate) fn approved(walk: &mut Walk<'_>) -> Step {
    let Some(export) = walk.request.resolved.export.as_deref() else {
        return refuse(ReasonCode::PurposeNotAllowed, None);
    };
    let decision = walk.statement().and_then(|statement| statement.disclosure.as_ref());
    match &export.recipient_kind {
        RecipientKind::Police => offence(export.purpose.as_ref(), export.offence_ref.as_ref())?,
        RecipientKind::PublicProsecutor => {
            offence(export.purpose.as_ref(), export.offence_ref.as_ref())?;
            record_complete(export)?;
        }
        RecipientKind::Mayor => {
            need(export.purpose == Some(Purpose::PublicOrder), ReasonCode::PurposeNotAllowed)?;
            record_complete(export)?;
        }
        kind => disclosure(kind, decision)?,
    }
    need(is_other(export.requested_by.as_ref(), actor(walk)), ReasonCode::FourEyes)?;
    need(export.state == ExportState::Requested, ReasonCode::NotApproved)
}

/// What must be documented of a disclosure under Wpg 16 (Wpg 32; Bpg 6:4 lid 4).
fn record_complete(export: &Export) -> Step {
    let complete = export.requested_by.is_some() && said(export.description.as_ref());
    need(complete, ReasonCode::DisclosureRecordIncomplete)
}

/// Fetching an approved export: approved by another, for this person, in time, unchanged.
pub(crate) fn fetched(walk: &mut Walk<'_>) -> Step {
    let Some(export) = walk.request.resolved.export.as_deref() else {
        return refuse(ReasonCode::NotApproved, None);
    };
    let approved = export.state == ExportState::Approved && export.approved_by.is_some();
    if approved {
        need(is_other(export.requested_by.as_ref(), export.approved_by.as_ref()), ReasonCode::FourEyes)?;
    }
    walk.changes(export.approved_at);
    let in_effect = export.approved_at.is_none_or(|approved_at| approved_at <= walk.at);
    need(approved && in_effect, ReasonCode::NotApproved)?;
    let named =
        export.recipient.as_deref().is_some_and(|name| actor(walk).is_some_and(|id| id.as_str() == name));
    need(named, ReasonCode::RecipientMismatch)?;
    walk.changes(export.download_until);
    need(export.download_until.is_some_and(|until| walk.at < until), ReasonCode::ExportExpired)?;
    need(export.sha256_ok, ReasonCode::IntegrityFailed)
}

/// Showing a live picture to others: police and prosecutor; the mayor for public order; else by a recorded decision.
pub(crate) fn live_recipient(walk: &mut Walk<'_>) -> Step {
    let Some(statement) = walk.statement() else { return Ok(()) };
    match &statement.recipient_kind {
        RecipientKind::Police | RecipientKind::PublicProsecutor => Ok(()),
        RecipientKind::Mayor if statement.purpose == Some(Purpose::PublicOrder) => Ok(()),
        kind => disclosure(kind, statement.disclosure.as_ref()),
    }
}

fn actor<'a>(walk: &Walk<'a>) -> Option<&'a PersonId> {
    match &walk.request.actor {
        Actor::System => None,
        Actor::Person { person, .. } => Some(person),
    }
}

/// Two known, different persons.
fn is_other(one: Option<&PersonId>, other: Option<&PersonId>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if one != other)
}

/// The controller's decision under Wpg 18-20 carries this recipient, and its record is complete (`decisions.md` 7).
fn disclosure(recipient: &RecipientKind, decision: Option<&DisclosureDecision>) -> Step {
    let entitled = decision.is_some_and(|decision| {
        let article = decision.article.as_deref().and_then(article);
        article.is_some_and(|article| carries(article, decision, recipient))
    });
    need(entitled, ReasonCode::RecipientNotEntitled)?;
    let purpose = |decision: &DisclosureDecision| match &decision.purpose {
        Some(Purpose::Other(text)) => said(Some(text)),
        purpose => purpose.is_some(),
    };
    let complete =
        decision.is_some_and(|d| said(d.requester.as_ref()) && said(d.description.as_ref()) && purpose(d));
    need(complete, ReasonCode::DisclosureRecordIncomplete)
}

/// The number of an article of the Wpg under which others may receive data.
fn article(text: &str) -> Option<u32> {
    let number = text.trim().strip_prefix("Wpg ")?.trim_start();
    let digits = number.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|number| (18..=20).contains(number))
}

/// The authority is the one that must agree: the mayor for public order and assistance, the public prosecutor
/// otherwise. Under Wpg 18 the controller also decides alone. Who helps or keeps order may say it in words of their own, but
/// not in those of a purpose that is known to be another.
fn carries(article: u32, decision: &DisclosureDecision, recipient: &RecipientKind) -> bool {
    let for_order_or_assistance =
        matches!(decision.purpose, Some(Purpose::PublicOrder | Purpose::Assistance));
    let in_other_words = match &decision.purpose {
        Some(Purpose::Other(text)) => !OTHER_PURPOSES.contains(&text.trim()),
        Some(_) => false,
        // Said nothing: the record is incomplete, which is told next.
        None => true,
    };
    let assists = matches!(
        recipient,
        RecipientKind::FireService
            | RecipientKind::Ambulance
            | RecipientKind::Municipality
            | RecipientKind::Mayor
    );
    match decision.authority.as_deref() {
        Some("mayor") => for_order_or_assistance || assists && in_other_words,
        Some("public_prosecutor") => !for_order_or_assistance,
        Some("controller" | "korpschef" | "police") => article == 18,
        _ => false,
    }
}
