//! Under which basis footage was captured, and what turned out to lack one.
//!
//! For each recorded stream a row says: from this instant until that one the law permitted recording on these facts, as
//! known at this head of the register. The rows are kept beside the footage, not in it: they outlive no frame by more
//! than the longest term. At every change of the register all of them are judged anew (`mandate::judgement`): what is
//! unlawful as known now is closed off (the law refuses it to everybody from that instant), listed here for the privacy
//! officer, and logged. Quarantine never extends a term (GW-21).

use crate::{
    clock::{instant, micros},
    gate::{Gate, word},
    recorder::record_request,
    streams::Streams,
};
use chrono::{DateTime, TimeDelta, Utc};
use ledger::{Entry, Object as LogObject, Operation, Outcome};
use mandate::{
    CameraId, Decision, FactRef, ReasonCode, Register, decide,
    judgement::{Knowledge, Verdict, judge},
    outlook::{Interval, union, without},
};
use media::StreamId;
use rusqlite::{Connection, params};
use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio_util::sync::CancellationToken;
use vault::{SpanKind, Vault};

/// The statutory ceiling: older footage does not exist (151c lid 9).
const LONGEST_TERM: TimeDelta = TimeDelta::days(28);
/// How often an open row notes that it still holds, so that a crash leaves little in doubt.
const STILL: TimeDelta = TimeDelta::seconds(10);
/// How often rows past every term are removed.
const CLEAN: TimeDelta = TimeDelta::hours(1);

/// Why the rows cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CapturedError {
    /// The store failed.
    #[error("bases of footage: {0}")]
    Store(#[from] rusqlite::Error),
    /// A row cannot be read.
    #[error("bases of footage: {0}")]
    Damaged(String),
}

/// A stretch of a stream that was captured on one basis.
#[derive(Clone, Debug, PartialEq)]
pub struct BasisSpan {
    /// The stream.
    pub stream: StreamId,
    /// Its camera.
    pub camera: CameraId,
    /// First instant.
    pub from: DateTime<Utc>,
    /// End; for the one that runs, the last instant at which it was seen to hold.
    pub until: DateTime<Utc>,
    /// The facts, with their versions.
    pub basis: Vec<FactRef>,
    /// Head of the register then.
    pub register_head: String,
}

/// Footage that was closed off.
#[derive(Clone, Debug, PartialEq)]
pub struct Quarantined {
    /// Its number.
    pub id: u64,
    /// The camera.
    pub camera: CameraId,
    /// First instant.
    pub from: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
    /// The condition that failed.
    pub code: ReasonCode,
    /// The fact that fails it.
    pub fact: Option<FactRef>,
    /// As known when.
    pub known: Knowledge,
    /// When it was found.
    pub found_at: DateTime<Utc>,
}

/// The store, `footage.sqlite`.
pub struct Captured(Mutex<Connection>);

impl Captured {
    /// Opens the store at `path`; what a crash left open ends where it was last seen to hold.
    pub fn open(path: &Path) -> Result<Self, CapturedError> {
        let store = Connection::open(path)?;
        store.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             CREATE TABLE IF NOT EXISTS spans (
               id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, camera TEXT NOT NULL, start INTEGER NOT NULL,
               seen INTEGER NOT NULL, running INTEGER NOT NULL, basis TEXT NOT NULL, head TEXT NOT NULL) STRICT;
             CREATE INDEX IF NOT EXISTS spans_of ON spans (camera, start);
             CREATE TABLE IF NOT EXISTS quarantine (
               id INTEGER PRIMARY KEY AUTOINCREMENT, camera TEXT NOT NULL, start INTEGER NOT NULL,
               end INTEGER NOT NULL, code TEXT NOT NULL, fact TEXT, known TEXT NOT NULL,
               found_at INTEGER NOT NULL) STRICT;
             UPDATE spans SET running = 0;",
        )?;
        Ok(Self(Mutex::new(store)))
    }

    fn store(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(
        &self,
        stream: StreamId,
        camera: &CameraId,
        at: DateTime<Utc>,
        basis: &[FactRef],
        head: &str,
    ) -> Result<i64, CapturedError> {
        let store = self.store();
        store.execute(
            "INSERT INTO spans (stream, camera, start, seen, running, basis, head) VALUES (?, ?, ?, ?, 1, ?, ?)",
            params![stream.0, camera.as_str(), at.timestamp_micros(), at.timestamp_micros(), text(&basis)?, head],
        )?;
        Ok(store.last_insert_rowid())
    }

    fn end(&self, id: i64, at: DateTime<Utc>) -> Result<(), CapturedError> {
        self.store().execute(
            "UPDATE spans SET seen = max(start, ?), running = 0 WHERE id = ?",
            params![at.timestamp_micros(), id],
        )?;
        Ok(())
    }

    fn still(&self, at: DateTime<Utc>) -> Result<(), CapturedError> {
        self.store()
            .execute("UPDATE spans SET seen = max(seen, ?) WHERE running = 1", [at.timestamp_micros()])?;
        Ok(())
    }

    fn forget(&self, before: DateTime<Utc>) -> Result<(), CapturedError> {
        let before = before.timestamp_micros();
        let store = self.store();
        store.execute("DELETE FROM spans WHERE running = 0 AND seen < ?", [before])?;
        store.execute("DELETE FROM quarantine WHERE end < ?", [before])?;
        Ok(())
    }

    /// The bases of a camera's footage between two instants, in order.
    pub fn spans(
        &self,
        camera: &CameraId,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Vec<BasisSpan>, CapturedError> {
        let store = self.store();
        let mut statement = store.prepare_cached(
            "SELECT stream, camera, start, seen, basis, head FROM spans
             WHERE camera = ? AND start < ? AND seen > ? ORDER BY start",
        )?;
        let rows = statement.query_map(
            params![camera.as_str(), until.timestamp_micros(), from.timestamp_micros()],
            |row| {
                Ok((
                    row.get::<_, u32>(0)?,
                    row.get::<_, String>(1)?,
                    (row.get::<_, i64>(2)?, row.get::<_, i64>(3)?),
                    row.get::<_, String>(4)?,
                    row.get::<_, String>(5)?,
                ))
            },
        )?;
        rows.map(|row| {
            let (stream, camera, (start, seen), basis, register_head) = row?;
            Ok(BasisSpan {
                stream: StreamId(stream),
                camera: CameraId::from(camera),
                from: instant(media::Micros(start)),
                until: instant(media::Micros(seen)),
                basis: serde_json::from_str(&basis).map_err(|e| CapturedError::Damaged(e.to_string()))?,
                register_head,
            })
        })
        .collect()
    }

    /// What was closed off, newest first.
    pub fn quarantined(&self) -> Result<Vec<Quarantined>, CapturedError> {
        let store = self.store();
        let mut statement = store.prepare_cached(
            "SELECT id, camera, start, end, code, fact, known, found_at FROM quarantine ORDER BY id DESC",
        )?;
        let rows = statement.query_map([], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, String>(1)?,
                [row.get::<_, i64>(2)?, row.get(3)?, row.get(7)?],
                (row.get::<_, String>(4)?, row.get::<_, Option<String>>(5)?, row.get::<_, String>(6)?),
            ))
        })?;
        rows.map(|row| {
            let (id, camera, [start, end, found_at], (code, fact, known)) = row?;
            let damaged = |e: serde_json::Error| CapturedError::Damaged(format!("quarantine {id}: {e}"));
            Ok(Quarantined {
                id: id as u64,
                camera: CameraId::from(camera),
                from: instant(media::Micros(start)),
                until: instant(media::Micros(end)),
                code: serde_json::from_str(&code).map_err(damaged)?,
                fact: fact.map(|fact| serde_json::from_str(&fact)).transpose().map_err(damaged)?,
                known: serde_json::from_str(&known).map_err(damaged)?,
                found_at: instant(media::Micros(found_at)),
            })
        })
        .collect()
    }

    /// Judges a camera's footage anew and keeps what is newly unlawful; gives that.
    fn judge(
        &self,
        register: &Register,
        camera: &CameraId,
        footage: &[Interval],
        now: DateTime<Utc>,
    ) -> Result<Vec<Quarantined>, CapturedError> {
        let all = self.quarantined()?;
        let known: Vec<Interval> = all
            .iter()
            .filter(|q| q.camera == *camera)
            .map(|q| Interval { from: q.from, until: q.until })
            .collect();
        let known = union(known);
        let mut found = Vec::new();
        for piece in footage {
            for judgement in judge(register, camera, piece.from, piece.until) {
                let Verdict::Unlawful { known: knowledge, code, fact } = judgement.verdict else { continue };
                let whole = Interval { from: judgement.from, until: judgement.until };
                for part in without(&[whole], &known) {
                    let store = self.store();
                    store.execute(
                        "INSERT INTO quarantine (camera, start, end, code, fact, known, found_at)
                         VALUES (?, ?, ?, ?, ?, ?, ?)",
                        params![
                            camera.as_str(),
                            part.from.timestamp_micros(),
                            part.until.timestamp_micros(),
                            text(&code)?,
                            fact.as_ref().map(text).transpose()?,
                            text(&knowledge)?,
                            now.timestamp_micros()
                        ],
                    )?;
                    found.push(Quarantined {
                        id: store.last_insert_rowid() as u64,
                        camera: camera.clone(),
                        from: part.from,
                        until: part.until,
                        code,
                        fact: fact.clone(),
                        known: knowledge,
                        found_at: now,
                    });
                }
            }
        }
        Ok(found)
    }
}

fn text(value: &impl serde::Serialize) -> Result<String, CapturedError> {
    serde_json::to_string(value).map_err(|e| CapturedError::Damaged(e.to_string()))
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock as _, ManualClock},
        journal::{Journal, Provenance},
        testing::{FakeLog, journal},
    };

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    async fn room() -> (tempfile::TempDir, ManualClock, Journal, Captured) {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(at("2026-06-13T20:00:00Z"));
        let journal = journal(folder.path(), &FakeLog::new(&clock), &clock).await;
        let captured = Captured::open(&folder.path().join("footage.sqlite")).unwrap();
        (folder, clock, journal, captured)
    }

    /// A revocation that is entered an hour late leaves an hour of footage without a basis, once.
    #[tokio::test]
    async fn what_turns_out_unlawful_is_listed_once() {
        let (_folder, clock, journal, captured) = room().await;
        let camera: CameraId = "C1".into();
        let footage = [Interval { from: at("2026-06-13T20:00:00Z"), until: at("2026-06-13T23:00:00Z") }];
        clock.set(at("2026-06-13T23:00:00Z"));
        journal.refresh().unwrap();
        let now = clock.now();
        let lawful = captured.judge(&journal.snapshot().register, &camera, &footage, now).unwrap();
        assert_eq!(lawful, []);
        let revocation = serde_json::json!({ "kind": "revocation", "decree": "D1",
            "revoked_from": "2026-06-13T22:00:00Z" });
        journal.record(serde_json::from_value(revocation).unwrap(), Provenance::default()).await.unwrap();
        let register = journal.snapshot();
        let found = captured.judge(&register.register, &camera, &footage, now).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].from, found[0].until), (at("2026-06-13T22:00:00Z"), at("2026-06-13T23:00:00Z")));
        assert_eq!((found[0].code, found[0].known), (ReasonCode::DecreeRevoked, Knowledge::Now));
        assert_eq!(captured.judge(&register.register, &camera, &footage, now).unwrap(), []);
        assert_eq!(captured.quarantined().unwrap(), found);
        captured.forget(at("2026-08-01T00:00:00Z")).unwrap();
        assert_eq!(captured.quarantined().unwrap(), []);
    }

    #[tokio::test]
    async fn a_basis_that_a_crash_left_open_ends_where_it_was_last_seen() {
        let (folder, _clock, journal, captured) = room().await;
        let snapshot = journal.snapshot();
        let camera: CameraId = "C1".into();
        let now = at("2026-06-13T20:00:00Z");
        let decision = decide(&snapshot.register, &record_request(&camera), now);
        let basis = decision.permit().unwrap().basis().to_vec();
        captured.begin(StreamId(1), &camera, now, &basis, &snapshot.head).unwrap();
        captured.still(now + TimeDelta::seconds(30)).unwrap();
        drop(captured);
        let again = Captured::open(&folder.path().join("footage.sqlite")).unwrap();
        again.still(now + TimeDelta::seconds(90)).unwrap();
        let spans = again.spans(&camera, now, now + TimeDelta::hours(1)).unwrap();
        assert_eq!(spans.len(), 1);
        assert_eq!((spans[0].from, spans[0].until), (now, now + TimeDelta::seconds(30)));
        assert!(spans[0].basis == basis && spans[0].register_head == *snapshot.head);
    }
}
