//! Under which basis footage was captured, and what turned out to lack one.
//!
//! For each recorded stream a row says: from this instant until that one the law permitted recording on these facts, as
//! known at this head of the register. The rows are kept beside the footage, not in it: they outlive no frame by more
//! than the longest term, and last as long as a hold that keeps it. At every change of the register all of them are judged anew (`mandate::judgement`): what is
//! unlawful as known now is closed off (the law refuses it to everybody from that instant), listed here for the privacy
//! officer, and logged. Quarantine never extends a term (GW-21).

mod keeper;

pub use keeper::Keeper;

use crate::{clock::instant, store::Store};
use chrono::{DateTime, Utc};
use mandate::{
    CameraId, FactRef, PersonId, ReasonCode, Register,
    judgement::{Knowledge, Verdict, judge},
    outlook::{Interval, union, without},
};
use media::StreamId;
use rusqlite::params;
use std::path::Path;

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
    /// That it goes before its term.
    pub decided: Option<Decided>,
}

/// Somebody's decision that footage which was closed off is destroyed (GW-21).
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// Who.
    pub by: PersonId,
    /// When.
    pub at: DateTime<Utc>,
    /// When its keys were gone; none: they are not, and the decision is to be carried out again.
    pub destroyed_at: Option<DateTime<Utc>>,
}

/// The store, `footage.sqlite`.
pub struct Captured(Store);

impl Captured {
    /// Opens the store at `path`; what a crash left open ends where it was last seen to hold.
    pub fn open(path: &Path) -> Result<Self, CapturedError> {
        let schema = "
             CREATE TABLE IF NOT EXISTS spans (
               id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, camera TEXT NOT NULL, start INTEGER NOT NULL,
               seen INTEGER NOT NULL, running INTEGER NOT NULL, basis TEXT NOT NULL, head TEXT NOT NULL) STRICT;
             CREATE INDEX IF NOT EXISTS spans_of ON spans (camera, start);
             CREATE TABLE IF NOT EXISTS quarantine (
               id INTEGER PRIMARY KEY AUTOINCREMENT, camera TEXT NOT NULL, start INTEGER NOT NULL,
               end INTEGER NOT NULL, code TEXT NOT NULL, fact TEXT, known TEXT NOT NULL,
               found_at INTEGER NOT NULL) STRICT;
             CREATE TABLE IF NOT EXISTS quarantine_decisions (
               quarantine INTEGER PRIMARY KEY, person TEXT NOT NULL, at INTEGER NOT NULL, destroyed_at INTEGER) STRICT;
             UPDATE spans SET running = 0;";
        Ok(Self(Store::open(path, schema)?))
    }

    fn begin(
        &self,
        stream: StreamId,
        camera: &CameraId,
        at: DateTime<Utc>,
        basis: &[FactRef],
        head: &str,
    ) -> Result<i64, CapturedError> {
        let store = self.0.lock();
        store.execute(
            "INSERT INTO spans (stream, camera, start, seen, running, basis, head) VALUES (?, ?, ?, ?, 1, ?, ?)",
            params![stream.0, camera.as_str(), at.timestamp_micros(), at.timestamp_micros(), text(&basis)?, head],
        )?;
        Ok(store.last_insert_rowid())
    }

    fn end(&self, id: i64, at: DateTime<Utc>) -> Result<(), CapturedError> {
        self.0.lock().execute(
            "UPDATE spans SET seen = max(start, ?), running = 0 WHERE id = ?",
            params![at.timestamp_micros(), id],
        )?;
        Ok(())
    }

    fn still(&self, at: DateTime<Utc>) -> Result<(), CapturedError> {
        self.0
            .lock()
            .execute("UPDATE spans SET seen = max(seen, ?) WHERE running = 1", [at.timestamp_micros()])?;
        Ok(())
    }

    /// Removes what ended before an instant, but for what touches footage that is `kept`.
    fn forget(&self, before: DateTime<Utc>, kept: &[(CameraId, Interval)]) -> Result<(), CapturedError> {
        let store = self.0.lock();
        for (old, gone) in [
            (
                "SELECT id, camera, start, seen FROM spans WHERE running = 0 AND seen < ?",
                "DELETE FROM spans WHERE id = ?",
            ),
            (
                "SELECT id, camera, start, end FROM quarantine WHERE end < ?",
                "DELETE FROM quarantine WHERE id = ?",
            ),
        ] {
            let mut statement = store.prepare_cached(old)?;
            let rows = statement.query_map([before.timestamp_micros()], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, i64>(2)?,
                    row.get::<_, i64>(3)?,
                ))
            })?;
            for row in rows.collect::<Result<Vec<_>, _>>()? {
                let (id, camera, from, until) = row;
                let (from, until) = (instant(media::Micros(from)), instant(media::Micros(until)));
                let touches = |(of, kept): &(CameraId, Interval)| {
                    of.as_str() == camera && kept.from < until && from < kept.until
                };
                if !kept.iter().any(touches) {
                    store.execute(gone, [id])?;
                }
            }
        }
        store.execute(
            "DELETE FROM quarantine_decisions WHERE quarantine NOT IN (SELECT id FROM quarantine)",
            [],
        )?;
        Ok(())
    }

    /// Notes that somebody decided that a stretch goes. The first decision stays.
    pub fn decide(&self, id: u64, by: &PersonId, at: DateTime<Utc>) -> Result<(), CapturedError> {
        self.0.lock().execute(
            "INSERT OR IGNORE INTO quarantine_decisions (quarantine, person, at) VALUES (?, ?, ?)",
            params![id as i64, by.as_str(), at.timestamp_micros()],
        )?;
        Ok(())
    }

    /// Notes that the keys of a camera's footage between two instants are gone, and with them every stretch that lies in
    /// it whole, whoever decided about which of them.
    pub fn destroyed(
        &self,
        camera: &CameraId,
        (from, until): (DateTime<Utc>, DateTime<Utc>),
        by: &PersonId,
        at: DateTime<Utc>,
    ) -> Result<(), CapturedError> {
        let at = at.timestamp_micros();
        self.0.lock().execute(
            "INSERT INTO quarantine_decisions (quarantine, person, at, destroyed_at)
               SELECT id, ?, ?, ? FROM quarantine WHERE camera = ? AND start >= ? AND end <= ?
             ON CONFLICT (quarantine) DO UPDATE SET destroyed_at = coalesce(destroyed_at, excluded.destroyed_at)",
            params![
                by.as_str(),
                at,
                at,
                camera.as_str(),
                from.timestamp_micros(),
                until.timestamp_micros()
            ],
        )?;
        Ok(())
    }

    /// The bases of a camera's footage between two instants, in order.
    pub fn spans(
        &self,
        camera: &CameraId,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Vec<BasisSpan>, CapturedError> {
        let store = self.0.lock();
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
        let store = self.0.lock();
        let mut statement = store.prepare_cached(
            "SELECT id, camera, start, end, code, fact, known, found_at, person, at, destroyed_at FROM quarantine
             LEFT JOIN quarantine_decisions ON quarantine = id ORDER BY id DESC",
        )?;
        let rows = statement.query_map([], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, String>(1)?,
                [row.get::<_, i64>(2)?, row.get(3)?, row.get(7)?],
                (row.get::<_, String>(4)?, row.get::<_, Option<String>>(5)?, row.get::<_, String>(6)?),
                (row.get::<_, Option<String>>(8)?, [row.get::<_, Option<i64>>(9)?, row.get(10)?]),
            ))
        })?;
        rows.map(|row| {
            let (id, camera, [start, end, found_at], (code, fact, known), (by, [at, destroyed_at])) = row?;
            let told = |at: Option<i64>| at.map(|at| instant(media::Micros(at)));
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
                decided: by.zip(told(at)).map(|(by, at)| Decided {
                    by: PersonId::from(by),
                    at,
                    destroyed_at: told(destroyed_at),
                }),
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
                    let store = self.0.lock();
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
                        decided: None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock as _, ManualClock},
        journal::{Journal, Provenance},
        recorder::record_request,
        testing::{FakeLog, journal},
    };
    use chrono::TimeDelta;
    use mandate::decide;

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
        // Decided about, then carried out; both are remembered until the footage would be gone anyhow.
        let by: PersonId = "bert".into();
        captured.decide(found[0].id, &by, now).unwrap();
        captured.decide(found[0].id, &"anna".into(), now).unwrap();
        let decided = captured.quarantined().unwrap().remove(0).decided.unwrap();
        assert_eq!((&decided.by, decided.at, decided.destroyed_at), (&by, now, None));
        let hours = (at("2026-06-13T22:00:00Z"), at("2026-06-13T23:00:00Z"));
        captured.destroyed(&"C2".into(), hours, &by, now).unwrap();
        assert_eq!(captured.quarantined().unwrap()[0].decided.as_ref().unwrap().destroyed_at, None);
        captured.destroyed(&camera, hours, &by, now).unwrap();
        assert_eq!(captured.quarantined().unwrap()[0].decided.as_ref().unwrap().destroyed_at, Some(now));
        captured.forget(at("2026-08-01T00:00:00Z"), &[]).unwrap();
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
