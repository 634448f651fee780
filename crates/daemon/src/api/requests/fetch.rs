//! Sending a file: to its named recipient, in time, unchanged since its approval, once. What is permitted waits until the
//! witness has seen its entry (`decisions.md` 15): the first call logs it and answers 409 `waits-for-witness`, a later one
//! sends the file.

use super::{App, ask};
use crate::{
    api::{Caller, problem::ApiError, room::in_scope},
    exports::produce,
    gate::{Ask, EntryOf, Seen, actor, origin},
    identity::Session,
};
use aws_lc_rs::digest::{Context, SHA256};
use axum::{
    Extension,
    body::Body,
    extract::{Path, State},
    http::{HeaderValue, header},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use evidence::{ExportFile, FootageRequest};
use ledger::{Entry, Object as LogObject, Operation, Outcome, Recipient};
use mandate::{Action, Actor, ExportId, Object, ReasonCode, judgement::judge};
use protocol::api::Sentence;
use std::io;
use tokio::sync::mpsc;

/// Pieces read ahead of the client; bounds memory at some seconds of video.
const READ_AHEAD: usize = 64;

/// `GET /requests/{id}/files/{seq}`.
pub(super) async fn file(
    State(app): State<App>,
    Extension(session): Caller,
    Path((id, number)): Path<(String, u32)>,
) -> Result<Response, ApiError> {
    // Also somebody whom it does not concern gets the law's answer here, and leaves an entry.
    let request = app.exports.find(&ExportId::from(id))?;
    if !request.asked.cameras.iter().all(|camera| in_scope(&app, &session, camera)) {
        return Err(ApiError::NotFound);
    }
    if request.state == evidence::RequestState::Approved && !request.ready {
        return Err(ApiError::Conflict(Sentence {
            nl: "De bestanden worden nog klaargezet. Probeer het zo opnieuw.".to_owned(),
            en: "The files are still being prepared. Try again in a moment.".to_owned(),
        }));
    }
    let wanted = request.file(number).cloned();
    let footage = match &wanted {
        Ok(file) => Object::Footage { camera: file.camera.clone(), from: file.from, until: file.until },
        // Not approved, so there are no files: the gate says so and logs it.
        Err(_) => request.asked.cameras.first().map_or(Object::None, |camera| Object::Footage {
            camera: camera.clone(),
            from: request.asked.from,
            until: request.asked.until,
        }),
    };
    let mut asked = ask(&session, Action::DownloadExport, footage, "export.download");
    asked.request = asked.request.saying(request.statement());
    asked.request.resolved.export = Some(Box::new(request.export(true)));
    // What needs no reading of footage first: named, approved, in time.
    if !app.gate.preview(&asked.request).is_permit() {
        app.gate.act(&asked).await?;
    }
    let file = wanted?;
    still_lawful(&app, &asked, &request, &file).await?;
    request.clone().begin(number)?;
    // An entry that was lost with its log permits nothing: it is asked anew.
    let seen = file.waits.map(|seq| app.gate.seen(&EntryOf { seq, log: file.waits_log.clone() }));
    if seen == Some(Seen::NotYet) {
        return Err(ApiError::WaitsForWitness);
    }
    // What a witness has seen was whole when it was logged; while it is sent it is compared once more ([`send`]), and read
    // only once for that.
    let unchanged = seen == Some(Seen::Yes) || is_unchanged(&app, &request, &file).await?;
    asked.request.resolved.export = Some(Box::new(request.export(unchanged)));
    if seen != Some(Seen::Yes) || !app.gate.preview(&asked.request).is_permit() {
        let pass = app.gate.act(&asked).await?;
        if let Some(entry) = pass.ledger_seq.filter(|entry| !app.gate.is_witnessed(*entry)) {
            let log = app.gate.entry_of(entry).log;
            app.exports.change(&request.id, |request| request.wait(number, entry, log))?;
            return Err(ApiError::WaitsForWitness);
        }
    }
    let request = app.exports.change(&request.id, |request| request.begin(number))?;
    Ok(send(app, session, request, file))
}

/// Whether the file would be sent as it was approved.
async fn is_unchanged(app: &App, request: &FootageRequest, file: &ExportFile) -> Result<bool, ApiError> {
    let (vault, own, export) = (app.vault.clone(), request.clone(), file.clone());
    let hash = tokio::task::spawn_blocking(move || produce::hash(&vault, &own, &export)).await;
    match hash.map_err(|e| ApiError::Internal(e.to_string()))? {
        Ok(hash) => Ok(hash == file.sha256),
        Err(error) => {
            tracing::error!(request = %request.id, %error, "a file that was approved cannot be made");
            Ok(false)
        }
    }
}

/// Whether every picture in the file is lawful as known then and as known now: late knowledge only narrows. What is held
/// outlives its term, so only the basis is tested here.
async fn still_lawful(
    app: &App,
    asked: &Ask,
    request: &FootageRequest,
    file: &ExportFile,
) -> Result<(), ApiError> {
    let snapshot = app.gate.snapshot();
    let held = request.held.iter().find(|held| held.hold == file.hold);
    let from = held.map_or(file.from, |held| held.from.min(file.from));
    let lawful = judge(&snapshot.register, &file.camera, from, file.until)
        .iter()
        .all(mandate::judgement::Judgement::is_lawful);
    if lawful { Ok(()) } else { Err(app.gate.refuse(asked, ReasonCode::UnlawfullyRecorded).await.into()) }
}

/// The answer, whose body is made while it is sent. That it was sent, or broke off, is logged and counted when it ends.
fn send(app: App, session: Session, request: FootageRequest, file: ExportFile) -> Response {
    let (pieces, queue) = mpsc::channel::<Result<Bytes, io::Error>>(READ_AHEAD);
    let head = file.clone();
    // The task ends when the client goes away, as the queue is then dropped.
    tokio::task::spawn_blocking(move || {
        let mut digest = Context::new(&SHA256);
        let mut sent = 0_u64;
        let mut held_back = None::<Bytes>;
        let made = produce::file(&app.vault, &request, &file, |bytes| {
            digest.update(&bytes);
            sent += bytes.len() as u64;
            // One piece behind, so that a file that turns out another is never whole.
            held_back.replace(bytes).is_none_or(|bytes| pieces.blocking_send(Ok(bytes)).is_ok())
        });
        let same = crate::identity::hex(digest.finish().as_ref()) == file.sha256;
        let reason = match (&made, same) {
            (Ok(()), true) => match held_back.map(|bytes| pieces.blocking_send(Ok(bytes))) {
                Some(Ok(())) => None,
                _ => Some("broken_off"),
            },
            (Ok(()), false) if pieces.is_closed() => Some("broken_off"),
            (Ok(()), false) => Some("integrity_failed"),
            (Err(_), _) => Some("not_readable"),
        };
        if let Some(reason) = reason {
            if let Err(error) = made {
                tracing::error!(request = %request.id, %error, "a file broke off");
            }
            // The client must not take what it has for the file.
            drop(pieces.blocking_send(Err(io::Error::other(reason))));
        } else if let Err(error) = app.exports.change(&request.id, |request| {
            request.fetched(file.number);
            Ok(())
        }) {
            tracing::error!(request = %request.id, %error, "that a file was fetched could not be counted");
        }
        log_end(&app, &session, &request, &file, reason, sent);
    });
    let body =
        futures::stream::unfold(
            queue,
            |mut queue| async move { queue.recv().await.map(|piece| (piece, queue)) },
        );
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("video/mp4"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(head.bytes));
    let mut set = |name: header::HeaderName, text: String| {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    };
    set(header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", head.name));
    // RFC 9530.
    set(
        header::HeaderName::from_static("repr-digest"),
        format!("sha-256=:{}:", STANDARD.encode(unhex(&head.sha256))),
    );
    response
}

/// The entry of a file's end: what went to whom (Wpg 32a; Bpg 6:4).
fn log_end(
    app: &App,
    session: &Session,
    request: &FootageRequest,
    file: &ExportFile,
    reason: Option<&str>,
    sent: u64,
) {
    let snapshot = app.gate.snapshot();
    let person = Actor::Person { person: session.person.clone(), role: session.role };
    let mut entry = Entry::new(app.gate.clock().now(), Operation::Disclose, "export.downloaded");
    entry.actor = actor(&person, &snapshot, &[]);
    entry.origin = origin(session);
    let municipality = snapshot.register.camera(&file.camera).map(|c| c.municipality.to_string());
    entry.object =
        Some(LogObject::footage(&file.camera, municipality.unwrap_or_default(), file.from, file.until));
    entry.justification.offence.clone_from(&request.asked.offence_ref);
    entry.justification.case_number.clone_from(&request.asked.case_number);
    entry.recipient = Some(Recipient {
        person: Some(request.asked.recipient.to_string()),
        organisation: Some(crate::gate::word(&request.asked.recipient_kind)),
        article: crate::gate::article(&request.asked.recipient_kind, None),
    });
    if let Some(reason) = reason {
        entry.outcome = Outcome::Failed { reason_code: reason.to_owned() };
    }
    entry.data = Some(serde_json::json!({
        "request": request.id, "file": file.number, "sha256": file.sha256, "bytes": file.bytes.to_string(),
        "sent": sent.to_string(),
    }));
    app.gate.log().append_spooled(entry);
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default() as u8;
    text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}
