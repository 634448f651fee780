//! What the gate writes into the log about an ask.

use super::Ask;
use crate::{
    identity::{Session, hex, random},
    journal::Snapshot,
};
use chrono::{DateTime, Utc};
use ledger::{
    Actor as LogActor, Entry, Justification, LegalContext, Object as LogObject, Operation, Origin, Recipient,
};
use mandate::{
    Action, Actor, CameraId, FactKind, FactRef, Object, ReasonCode, Request,
    decision::LogOperation,
    statement::{DisclosureDecision, RecipientKind},
};

/// An entry about an ask, with everything the law wants to know of it.
pub(super) fn entry_of(
    ask: &Ask,
    operation: Operation,
    suffix: &str,
    now: DateTime<Utc>,
    snapshot: &Snapshot,
    basis: &[FactRef],
    until: Option<DateTime<Utc>>,
) -> Entry {
    let mut entry = Entry::new(now, operation, format!("{}{suffix}", ask.name));
    entry.actor = actor(&ask.request.actor, snapshot, basis);
    entry.origin = ask.session.as_ref().map(origin).unwrap_or_default();
    entry.object = object(&ask.request.object, snapshot, ask.display.as_deref());
    if let (Some(object), Some(export)) = (&mut entry.object, &ask.request.resolved.export) {
        object.id = Some(export.id.to_string());
    }
    let said = ask.request.statement.as_deref();
    entry.justification = Justification {
        purpose: said.and_then(|s| s.log_purpose.as_ref().map(word).or_else(|| s.purpose.as_ref().map(word))),
        incident: ask.request.resolved.incident.as_ref().map(ToString::to_string),
        offence: said.and_then(|s| s.offence_ref.clone()).filter(|text| is_article(text)),
        instruction: ask.request.resolved.instruction.as_ref().map(ToString::to_string),
        case_number: said.and_then(|s| s.case_number.clone()),
        note: note(said.and_then(|s| s.reason.as_deref()), said.and_then(|s| s.offence_ref.as_deref())),
    };
    entry.recipient = recipient(&ask.request);
    entry.legal_context = LegalContext {
        basis: basis.iter().filter(|f| !personal(f.kind)).map(fact_text).collect(),
        policy_version: Some(snapshot.register.policy_version().to_string()),
        register_head: Some(snapshot.head.to_string()),
        until,
    };
    entry
}

/// What an entry says whose basis has no room for every fact: the rest follows from the register's head that it names.
pub(super) fn incomplete() -> serde_json::Value {
    serde_json::json!({ "basis_complete": false })
}

/// Free text, as a commitment (decision 13): the reason, and what was said as an offence and names no article.
fn note(reason: Option<&str>, offence: Option<&str>) -> Option<String> {
    let offence = offence.filter(|text| !is_article(text) && !text.trim().is_empty());
    match (reason, offence) {
        (Some(reason), Some(offence)) => Some(format!("{reason}\n{offence}")),
        (text, other) => text.or(other).map(ToOwned::to_owned),
    }
}

/// Whether a text names an article of a law and nothing else, so that it may stand in the log in clear: `Sr 300`,
/// `Opiumwet 2 onder C`, `APV 2:48`.
fn is_article(text: &str) -> bool {
    let mut words = text.split(' ');
    let law = words
        .next()
        .is_some_and(|law| (2..=16).contains(&law.len()) && law.bytes().all(|b| b.is_ascii_alphabetic()));
    let number = words.next().is_some_and(|number| {
        number.bytes().next().is_some_and(|b| b.is_ascii_digit())
            && number.len() <= 8
            && number.bytes().all(|b| b.is_ascii_alphanumeric() || b":.-".contains(&b))
    });
    let part = |word: &str| {
        matches!(word, "lid" | "onder" | "sub" | "aanhef" | "en" | "jo")
            || (1..=4).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_digit())
            || word.len() == 1 && word.bytes().all(|b| b.is_ascii_alphabetic())
    };
    law && number && text.len() <= 48 && words.all(part)
}

/// Where it was shown, as far as it names a place and says nothing else: `tile 3`, `wall 2`. It comes from the client, who may
/// write what they like.
fn screen(display: &str) -> String {
    let mut words = display.split(' ');
    let place = words.next().is_some_and(|word| {
        (1..=12).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    });
    let number = |word: &str| (1..=4).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_digit());
    if place && words.clone().count() <= 2 && words.all(number) {
        display.to_owned()
    } else {
        "unnamed".to_owned()
    }
}

/// To whom the request would give data (LED 25, Bpg 6:4): nobody, unless it is about handing over.
fn recipient(request: &Request) -> Option<Recipient> {
    use Action::{ApproveExport, DownloadExport, RequestExport, ShareLive};
    let said = request.statement.as_deref()?;
    let export = request.resolved.export.as_ref();
    let discloses = matches!(request.action, RequestExport | ApproveExport | DownloadExport | ShareLive);
    // Refusing a request gives nothing and is asked like the list, but it is about somebody who wanted it.
    (discloses || export.is_some()).then(|| Recipient {
        person: export
            .and_then(|export| export.recipient.clone())
            .or_else(|| said.disclosure.as_ref().and_then(|disclosure| disclosure.requester.clone())),
        organisation: Some(word(&said.recipient_kind)),
        article: article(&said.recipient_kind, said.disclosure.as_ref()),
    })
}

/// The article of the Wpg that carries handing over to a recipient: its own where the law names the recipient, else the one
/// that the controller's decision names (Wpg 15, 16, 18–20).
pub(crate) fn article(kind: &RecipientKind, disclosure: Option<&DisclosureDecision>) -> Option<String> {
    match kind {
        RecipientKind::Police => Some("Wpg 15".to_owned()),
        RecipientKind::PublicProsecutor => Some("Wpg 16 lid 1 a".to_owned()),
        RecipientKind::Mayor => Some("Wpg 16 lid 1 b".to_owned()),
        _ => disclosure.and_then(|disclosure| disclosure.article.clone()),
    }
}

pub(super) fn look_id() -> Option<String> {
    random::<8>().ok().map(|bytes| hex(&bytes))
}

/// Who acts, as the log names them.
pub fn actor(actor: &Actor, snapshot: &Snapshot, basis: &[FactRef]) -> LogActor {
    match actor {
        Actor::System => LogActor::System,
        Actor::Person { person, role } => LogActor::Person {
            person: person.to_string(),
            role: word(role),
            organisation: snapshot
                .register
                .person(person)
                .map(|p| p.organisation.to_string())
                .unwrap_or_default(),
            authorisation: basis.iter().find(|f| f.kind == FactKind::Authorisation).map(|f| f.id.to_string()),
        },
    }
}

/// Where a session comes from, as the log names it.
pub fn origin(session: &Session) -> Origin {
    Origin {
        workstation: Some(session.workstation.to_string()),
        session: Some(session.id.to_string()),
        address: Some(session.address.to_string()),
    }
}

fn object(object: &Object, snapshot: &Snapshot, display: Option<&str>) -> Option<LogObject> {
    let municipality = |camera: &CameraId| {
        snapshot.register.camera(camera).map(|c| c.municipality.to_string()).unwrap_or_default()
    };
    let mut object = match object {
        Object::None => return None,
        Object::Municipality(id) => {
            LogObject { municipality: Some(id.to_string()), ..LogObject::thing("municipality", id) }
        }
        Object::Camera(camera) => LogObject::camera(camera, municipality(camera)),
        Object::Footage { camera, from, until } => {
            LogObject::footage(camera, municipality(camera), *from, *until)
        }
    };
    object.screen = display.map(screen);
    Some(object)
}

/// Facts about persons are named in the entry's actor, never in the clear list of the basis.
pub(super) fn personal(kind: FactKind) -> bool {
    matches!(kind, FactKind::Person | FactKind::Authorisation | FactKind::Shift)
}

pub(super) fn fact_text(fact: &FactRef) -> String {
    format!("{} {} v{}", word(&fact.kind), fact.id, fact.version)
}

/// The stable word of an enum, as its serialisation spells it.
pub(crate) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        _ => String::new(),
    }
}

/// A reason code as text.
pub fn code_text(code: ReasonCode) -> String {
    word(&code)
}

pub(super) fn operation(log: LogOperation) -> Operation {
    match log {
        LogOperation::Collect => Operation::Collect,
        LogOperation::Alter => Operation::Alter,
        LogOperation::Consult => Operation::Consult,
        LogOperation::Disclose => Operation::Disclose,
        LogOperation::Combine => Operation::Combine,
        LogOperation::Destroy => Operation::Destroy,
    }
}

/// A request of a session's person about one object.
pub fn request(session: &Session, action: Action, object: Object) -> Request {
    Request::new(session.person.clone(), session.role, action, object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_articles_and_places_stand_in_clear() {
        for article in
            ["Sr 300", "Opiumwet 2 onder C", "APV 2:48", "WWM 26 lid 1", "Sr 141 lid 1 en 2", "Sr 138a"]
        {
            assert!(is_article(article), "{article}");
        }
        for text in [
            "",
            "Sr",
            "diefstal door Jan Jansen",
            "Jan 12 Jansen",
            "Sr 300 tegen Jansen",
            "Sr 300\nx",
            "1 2 3",
        ] {
            assert!(!is_article(text), "{text}");
        }
        assert_eq!(note(Some("why"), Some("Sr 300")).as_deref(), Some("why"));
        assert_eq!(note(None, Some("Jan Jansen")).as_deref(), Some("Jan Jansen"));
        assert_eq!(note(Some("why"), Some("Jan Jansen")).as_deref(), Some("why\nJan Jansen"));
        for (given, kept) in [
            ("tile 3", "tile 3"),
            ("mp4", "mp4"),
            ("wall 2", "wall 2"),
            ("Jan Jansen", "unnamed"),
            ("", "unnamed"),
        ] {
            assert_eq!(screen(given), kept);
        }
    }
}
