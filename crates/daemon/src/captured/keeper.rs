//! The task that keeps the rows true: beside the recorder and by the same question to the law, and at every change of the
//! register judging all footage anew.

use super::{Captured, CapturedError, Quarantined};
use crate::{
    clock::{instant, micros},
    gate::{Gate, word},
    journal::Journal,
    recorder::record_request,
    streams::Streams,
};
use chrono::{DateTime, TimeDelta, Utc};
use ledger::{Entry, Object as LogObject, Operation, Outcome};
use mandate::{
    CameraId, Decision, FactRef, decide,
    outlook::{Interval, union},
};
use media::StreamId;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use vault::{Held, SpanKind, Vault, VaultError};

/// The statutory ceiling: older footage does not exist (151c lid 9), but for what a hold keeps.
const LONGEST_TERM: TimeDelta = TimeDelta::days(28);
/// How often an open row notes that it still holds, so that a crash leaves little in doubt.
const STILL: TimeDelta = TimeDelta::seconds(10);
/// So long after a change of the register footage is judged once more: the recorder was still closing what it had begun.
const CLOSING: TimeDelta = TimeDelta::seconds(5);
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
    journal: Journal,
    running: std::collections::HashMap<CameraId, Running>,
}

impl Keeper {
    /// A keeper that notes the bases of the configured streams, and judges those of every stream that the journal has ever
    /// numbered: footage outlives its camera's place in the settings.
    pub fn new(
        gate: Gate,
        streams: Arc<Streams>,
        vault: Vault,
        captured: Arc<Captured>,
        journal: Journal,
    ) -> Self {
        Self { gate, streams, vault, captured, journal, running: std::collections::HashMap::new() }
    }

    /// Runs until the daemon stops.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut register = self.gate.register();
        let mut judge_at = Some(self.gate.clock().now());
        let mut once_more = None;
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
            if judge_at.is_some_and(|at| at <= now) {
                // What could not be judged is judged again: a list that is short says that all is well.
                judge_at = if self.judge(now).await { once_more.take() } else { Some(now + STILL) };
            }
            if now >= clean_at {
                clean_at = now + CLEAN;
                self.forget(now);
            }
            let clock = self.gate.clock().clone();
            tokio::select! {
                () = clock.reached(judge_at.map_or(next, |at| next.min(at))) => {}
                changed = register.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let now = self.gate.clock().now();
                    (judge_at, once_more) = (Some(now), Some(now + CLOSING));
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

    /// Removes rows past every term, but for what a hold keeps.
    fn forget(&self, now: DateTime<Utc>) {
        let forgotten =
            self.journal.recorded_streams().map_err(|error| error.to_string()).and_then(|streams| {
                let camera_of = |held: &Held| {
                    let stream = streams.iter().find(|(stream, _)| *stream == held.stream);
                    let stretch = Interval { from: instant(held.from), until: instant(held.until) };
                    stream.map(|(_, camera)| (camera.clone(), stretch))
                };
                let kept: Vec<_> = self.vault.holds().iter().filter_map(camera_of).collect();
                self.captured.forget(now - LONGEST_TERM, &kept).map_err(|error| error.to_string())
            });
        if let Err(error) = forgotten {
            tracing::error!(%error, "old bases of footage could not be removed");
        }
    }

    /// Judges all footage by what is known now, off the async threads; logs and keeps what turned out unlawful. Says whether
    /// all of it could be judged.
    async fn judge(&self, now: DateTime<Utc>) -> bool {
        let (gate, journal) = (self.gate.clone(), self.journal.clone());
        let (vault, captured) = (self.vault.clone(), self.captured.clone());
        let judged = tokio::task::spawn_blocking(move || {
            let snapshot = gate.snapshot();
            let streams = match journal.recorded_streams() {
                Ok(streams) => streams,
                Err(error) => {
                    tracing::error!(%error, "the streams could not be listed to judge their footage");
                    return false;
                }
            };
            let mut all = true;
            let holds = vault.holds();
            for (stream, camera) in streams {
                let held: Vec<&Held> = holds.iter().filter(|held| held.stream == stream).collect();
                let footage = match footage(&vault, stream, &held, now) {
                    Ok(footage) => footage,
                    Err(error) => {
                        tracing::error!(%camera, %error, "footage could not be listed to be judged");
                        all = false;
                        continue;
                    }
                };
                match captured.judge(&snapshot.register, &camera, &footage, now) {
                    Ok(found) => found.iter().for_each(|found| log_found(&gate, found)),
                    Err(error) => {
                        tracing::error!(%camera, %error, "footage could not be judged");
                        all = false;
                    }
                }
            }
            all
        });
        judged.await.unwrap_or_else(|error| {
            tracing::error!(%error, "footage could not be judged");
            false
        })
    }
}

/// What there is of a stream: what was recorded within the longest term, and what holds keep, however old.
fn footage(
    vault: &Vault,
    stream: StreamId,
    held: &[&Held],
    now: DateTime<Utc>,
) -> Result<Vec<Interval>, VaultError> {
    let mut spans = vault.spans(stream, micros(now - LONGEST_TERM), micros(now))?;
    for held in held {
        match vault.spans_also(stream, held.from, held.until, std::slice::from_ref(&held.id)) {
            Ok(more) => spans.extend(more),
            // It was released a moment ago.
            Err(VaultError::NoSuchHold(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let recorded = spans.iter().filter(|span| matches!(span.kind, SpanKind::Recorded));
    Ok(union(recorded.map(|s| Interval { from: instant(s.from), until: instant(s.until) }).collect()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock as _, ManualClock},
        journal::Provenance,
        testing::{FakeLog, journal},
    };
    use bytes::Bytes;
    use media::{AccessUnit, Codec, Parameters, Ticks};
    use protocol::api::StreamRole;
    use vault::{StreamPolicy, VaultConfig};

    /// A camera that was taken out of the settings has left footage, and a revocation turns out to lie before it. While the
    /// list cannot be kept the keeper says so, and is asked again. What a hold keeps of it stays on the list.
    #[tokio::test]
    async fn footage_of_a_camera_that_is_configured_no_more_is_judged_too() {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new("2026-06-13T20:00:00Z".parse().unwrap());
        let log = FakeLog::new(&clock);
        let journal = journal(folder.path(), &log, &clock).await;
        let gate = Gate::new(journal.watch(), log.clone(), Arc::new(clock.clone()));
        let at = |name: &str| folder.path().join(name);
        let vault = Vault::open(VaultConfig::new(at("vault"), [at("a"), at("b")])).unwrap();
        let stream = journal.stream(&"C1".into(), StreamRole::Main).unwrap();
        vault.set_policy(stream, StreamPolicy { retention_class: 28, importance: 1 });
        let record = Bytes::new();
        let parameters =
            Arc::new(Parameters { generation: 1, codec: Codec::H264, width: 2, height: 2, record });
        for frame in 0..25 {
            let captured = micros(clock.now()).plus(frame * 40_000);
            vault.accept(AccessUnit {
                stream,
                parameters: parameters.clone(),
                captured,
                media_time: Ticks(captured.0 * 9 / 100),
                duration: 3600,
                key: frame == 0,
                discontinuity: false,
                received: captured,
                camera_time: None,
                received_within: 0,
                payload: Bytes::from(vec![7; 1000]),
            });
        }
        vault.flush().unwrap();
        // Some of it is secured, and stays when the rest is gone.
        let start = micros(clock.now());
        vault.hold("case-1", stream, start, start.plus(400_000)).unwrap();
        let revocation =
            serde_json::json!({ "kind": "revocation", "decree": "D1", "revoked_from": clock.now() });
        clock.advance(TimeDelta::minutes(1));
        journal.record(serde_json::from_value(revocation).unwrap(), Provenance::default()).await.unwrap();
        let captured = Arc::new(Captured::open(&at("footage.sqlite")).unwrap());
        let keeper = Keeper::new(gate, Arc::default(), vault.clone(), captured.clone(), journal);
        captured.0.lock().execute_batch("ALTER TABLE quarantine RENAME TO away").unwrap();
        assert!(!keeper.judge(clock.now()).await, "what cannot be kept is not done");
        captured.0.lock().execute_batch("ALTER TABLE away RENAME TO quarantine").unwrap();
        assert!(keeper.judge(clock.now()).await);
        let listed = captured.quarantined().unwrap();
        assert_eq!(listed.len(), 1, "{listed:?}");
        assert_eq!(listed[0].camera.as_str(), "C1");
        assert!(log.actions().contains(&"quarantine.found deny".to_owned()));
        // Past every term the row stays as long as the hold does.
        clock.advance(TimeDelta::days(40));
        keeper.forget(clock.now());
        assert_eq!(captured.quarantined().unwrap().len(), 1);
        let before = log.actions().len();
        assert!(keeper.judge(clock.now()).await);
        assert_eq!(log.actions().len(), before, "found once");
        captured.0.lock().execute_batch("DELETE FROM quarantine").unwrap();
        assert!(keeper.judge(clock.now()).await);
        let listed = captured.quarantined().unwrap();
        assert_eq!(listed.len(), 1, "what is held is judged however old it is: {listed:?}");
        vault.release("case-1").unwrap();
        keeper.forget(clock.now());
        assert_eq!(captured.quarantined().unwrap(), []);
    }
}
