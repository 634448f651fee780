//! The task that keeps the rows true: beside the recorder and by the same question to the law, and at every change of the
//! register judging all footage anew.

use super::{Captured, CapturedError, Quarantined};
use crate::{
    clock::{instant, micros},
    gate::{Gate, word},
    recorder::record_request,
    streams::Streams,
};
use chrono::{DateTime, TimeDelta, Utc};
use ledger::{Entry, Object as LogObject, Operation, Outcome};
use mandate::{
    CameraId, Decision, FactRef, decide,
    outlook::{Interval, union},
};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use vault::{SpanKind, Vault};

/// The statutory ceiling: older footage does not exist (151c lid 9).
const LONGEST_TERM: TimeDelta = TimeDelta::days(28);
/// How often an open row notes that it still holds, so that a crash leaves little in doubt.
const STILL: TimeDelta = TimeDelta::seconds(10);
/// How often rows past every term are removed.
const CLEAN: TimeDelta = TimeDelta::hours(1);

/// What one stream runs on.
struct Running {
    row: i64,
    basis: Vec<FactRef>,
    until: Option<DateTime<Utc>>,
}

/// Keeps the rows true: one task, beside the recorder and by the same question to the law.
pub struct Keeper {
    gate: Gate,
    streams: Arc<Streams>,
    vault: Vault,
    captured: Arc<Captured>,
    running: std::collections::HashMap<CameraId, Running>,
}

impl Keeper {
    /// A keeper for the configured streams.
    pub fn new(gate: Gate, streams: Arc<Streams>, vault: Vault, captured: Arc<Captured>) -> Self {
        Self { gate, streams, vault, captured, running: std::collections::HashMap::new() }
    }

    /// Runs until the daemon stops.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut register = self.gate.register();
        let mut judged = true;
        let mut clean_at = self.gate.clock().now();
        loop {
            register.borrow_and_update();
            let now = self.gate.clock().now();
            let next = match self.note(now) {
                Ok(next) => next,
                Err(error) => {
                    tracing::error!(%error, "the basis of footage could not be noted");
                    now + STILL
                }
            };
            if judged {
                self.judge(now).await;
                judged = false;
            }
            if now >= clean_at {
                clean_at = now + CLEAN;
                if let Err(error) = self.captured.forget(now - LONGEST_TERM) {
                    tracing::error!(%error, "old bases of footage could not be removed");
                }
            }
            let clock = self.gate.clock().clone();
            tokio::select! {
                () = clock.reached(next) => {}
                changed = register.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    judged = true;
                }
                () = stop.cancelled() => break,
            }
        }
        let now = self.gate.clock().now();
        for running in self.running.into_values() {
            if let Err(error) = self.captured.end(running.row, now) {
                tracing::error!(%error, "the basis of footage could not be closed");
            }
        }
    }

    /// Brings every row in line with the law; gives the instant at which to look again.
    fn note(&mut self, now: DateTime<Utc>) -> Result<DateTime<Utc>, CapturedError> {
        let snapshot = self.gate.snapshot();
        let mut next = now + STILL;
        let streams = self.streams.clone();
        self.captured.still(now)?;
        for camera in streams.iter() {
            let decision = decide(&snapshot.register, &record_request(&camera.camera), now);
            next = next.min(decision.until().unwrap_or(next));
            let basis = decision.permit().map(mandate::Permit::basis);
            let known = self.running.get_mut(&camera.camera);
            if let (Some(known), Some(basis)) = (known, basis)
                && known.basis == basis
            {
                known.until = decision.until();
                continue;
            }
            // The instant that the permit named, if that is what ended it: this task may wake a little later.
            let mut at = now;
            if let Some(known) = self.running.remove(&camera.camera) {
                at = known.until.filter(|until| *until <= now).unwrap_or(now);
                self.captured.end(known.row, at)?;
            }
            if let Decision::Permit(permit) = &decision {
                let stream = camera.main.stream;
                let row = self.captured.begin(stream, &camera.camera, at, permit.basis(), &snapshot.head)?;
                let running = Running { row, basis: permit.basis().to_vec(), until: permit.until() };
                self.running.insert(camera.camera.clone(), running);
            }
        }
        Ok(next.max(now + TimeDelta::milliseconds(20)))
    }

    /// Judges all footage by what is known now, off the async threads; logs and keeps what turned out unlawful.
    async fn judge(&self, now: DateTime<Utc>) {
        let (gate, streams) = (self.gate.clone(), self.streams.clone());
        let (vault, captured) = (self.vault.clone(), self.captured.clone());
        let judged = tokio::task::spawn_blocking(move || {
            let snapshot = gate.snapshot();
            for camera in streams.iter() {
                let from = now - LONGEST_TERM;
                let footage = match vault.spans(camera.main.stream, micros(from), micros(now)) {
                    Ok(spans) => union(
                        spans
                            .iter()
                            .filter(|s| matches!(s.kind, SpanKind::Recorded))
                            .map(|s| Interval { from: instant(s.from), until: instant(s.until) })
                            .collect(),
                    ),
                    Err(error) => {
                        tracing::error!(camera = %camera.camera, %error, "footage could not be listed to be judged");
                        continue;
                    }
                };
                match captured.judge(&snapshot.register, &camera.camera, &footage, now) {
                    Ok(found) => found.iter().for_each(|found| log_found(&gate, found)),
                    Err(error) => {
                        tracing::error!(camera = %camera.camera, %error, "footage could not be judged");
                    }
                }
            }
        });
        if let Err(error) = judged.await {
            tracing::error!(%error, "footage could not be judged");
        }
    }
}

fn log_found(gate: &Gate, found: &Quarantined) {
    let snapshot = gate.snapshot();
    let municipality =
        snapshot.register.camera(&found.camera).map(|c| c.municipality.to_string()).unwrap_or_default();
    let mut entry = Entry::new(found.found_at, Operation::Alter, "quarantine.found");
    entry.object = Some(LogObject::footage(&found.camera, municipality, found.from, found.until));
    entry.outcome = Outcome::Deny { reason_code: word(&found.code) };
    entry.legal_context.register_head = Some(snapshot.head.to_string());
    entry.data = Some(serde_json::json!({
        "quarantine": found.id, "known": found.known,
        "fact": found.fact.as_ref().map(|f| format!("{} {} v{}", word(&f.kind), f.id, f.version)),
    }));
    gate.log().append_spooled(entry);
    tracing::warn!(camera = %found.camera, code = word(&found.code), "footage turned out to lack a basis; it is closed off");
}
