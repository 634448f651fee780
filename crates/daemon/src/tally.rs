//! Counters for reports, per camera or municipality and hour, without person or session (`decisions.md` 23): how long a
//! camera was watched and recorded, how many bytes it brought, how often something was asked and refused. They are kept
//! as things happen; the access log is never read for figures (Wpg 32a lid 2).

use crate::{clock::SharedClock, gate::Gate, store::Store, streams::Streams};
use chrono::{DateTime, Utc};
use ingest::Ingest;
use mandate::{CameraId, MunicipalityId};
use rusqlite::params;
use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// How often cameras are looked at. A look that is shorter may go uncounted, one may count for this long.
const EVERY: Duration = Duration::from_secs(5);
/// How often the counts are written; a crash loses what came since.
const WRITE_EVERY: u32 = 12;
const HOUR_US: i64 = 3_600_000_000;

/// What one camera did in one hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CameraHour {
    /// Start of the hour, hours since 1970 (UTC).
    pub hour: i64,
    /// At least one person watched it live, µs.
    pub watched_us: u64,
    /// The same, counted once for each screen, µs.
    pub viewer_us: u64,
    /// Pictures of its main stream arrived, µs.
    pub recorded_us: u64,
    /// Payload bytes of its main stream.
    pub bytes: u64,
}

/// How often something was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// Where; none: not about one municipality.
    pub municipality: Option<MunicipalityId>,
    /// The action, as a stable word.
    pub action: String,
    /// `permit`, or the code of the refusal.
    pub outcome: String,
    /// How often.
    pub count: u64,
}

/// What the gate counts, between two writes.
pub type Acts = BTreeMap<(Option<MunicipalityId>, String, String), u64>;

/// The store, `tally.sqlite`.
pub struct Tally(Store);

/// Why the counters cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("counters: {0}")]
pub struct TallyError(#[from] rusqlite::Error);

impl Tally {
    /// Opens the store at `path`.
    pub fn open(path: &Path) -> Result<Self, TallyError> {
        let schema = "
             CREATE TABLE IF NOT EXISTS cameras (
               camera TEXT NOT NULL, hour INTEGER NOT NULL, watched_us INTEGER NOT NULL, viewer_us INTEGER NOT NULL,
               recorded_us INTEGER NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY (camera, hour)) STRICT, WITHOUT ROWID;
             CREATE TABLE IF NOT EXISTS acts (
               municipality TEXT NOT NULL, hour INTEGER NOT NULL, action TEXT NOT NULL, outcome TEXT NOT NULL,
               count INTEGER NOT NULL, PRIMARY KEY (municipality, hour, action, outcome)) STRICT, WITHOUT ROWID;";
        Ok(Self(Store::open(path, schema)?))
    }

    /// Adds what was counted.
    pub fn add(&self, cameras: &[(CameraId, CameraHour)], acts: &Acts, hour: i64) -> Result<(), TallyError> {
        let mut store = self.0.lock();
        let change = store.transaction()?;
        {
            let mut insert = change.prepare_cached(
                "INSERT INTO cameras VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
                   watched_us = watched_us + excluded.watched_us, viewer_us = viewer_us + excluded.viewer_us,
                   recorded_us = recorded_us + excluded.recorded_us, bytes = bytes + excluded.bytes",
            )?;
            for (camera, h) in cameras {
                insert.execute(params![
                    camera.as_str(),
                    h.hour,
                    h.watched_us as i64,
                    h.viewer_us as i64,
                    h.recorded_us as i64,
                    h.bytes as i64
                ])?;
            }
            let mut insert = change.prepare_cached(
                "INSERT INTO acts VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
            )?;
            for ((municipality, action, outcome), count) in acts {
                let municipality = municipality.as_ref().map_or("", MunicipalityId::as_str);
                insert.execute(params![municipality, hour, action, outcome, *count as i64])?;
            }
        }
        Ok(change.commit()?)
    }

    /// What a camera did in the hours that begin at `from <= hour < until`, in hours since 1970.
    pub fn camera_hours(
        &self,
        camera: &CameraId,
        from: i64,
        until: i64,
    ) -> Result<Vec<CameraHour>, TallyError> {
        let store = self.0.lock();
        let mut statement = store.prepare_cached(
            "SELECT hour, watched_us, viewer_us, recorded_us, bytes FROM cameras
             WHERE camera = ? AND hour >= ? AND hour < ? ORDER BY hour",
        )?;
        let rows = statement.query_map(params![camera.as_str(), from, until], |row| {
            Ok(CameraHour {
                hour: row.get(0)?,
                watched_us: row.get::<_, i64>(1)? as u64,
                viewer_us: row.get::<_, i64>(2)? as u64,
                recorded_us: row.get::<_, i64>(3)? as u64,
                bytes: row.get::<_, i64>(4)? as u64,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How often something was asked in those hours.
    pub fn counts(&self, from: i64, until: i64) -> Result<Vec<Count>, TallyError> {
        let store = self.0.lock();
        let mut statement = store.prepare_cached(
            "SELECT municipality, action, outcome, sum(count) FROM acts WHERE hour >= ? AND hour < ?
             GROUP BY municipality, action, outcome ORDER BY municipality, action, outcome",
        )?;
        let rows = statement.query_map(params![from, until], |row| {
            let municipality: String = row.get(0)?;
            Ok(Count {
                municipality: (!municipality.is_empty()).then(|| municipality.into()),
                action: row.get(1)?,
                outcome: row.get(2)?,
                count: row.get::<_, i64>(3)? as u64,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// The hour that an instant lies in, hours since 1970.
pub fn hour_of(at: DateTime<Utc>) -> i64 {
    at.timestamp_micros().div_euclid(HOUR_US)
}

/// Counts for as long as the daemon lives.
pub async fn count(
    tally: Arc<Tally>,
    gate: Gate,
    ingest: Arc<Ingest>,
    streams: Arc<Streams>,
    stop: CancellationToken,
) {
    let clock: SharedClock = gate.clock().clone();
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut last = clock.now();
    let mut before: BTreeMap<CameraId, (u64, u64)> = BTreeMap::new();
    let mut sums: BTreeMap<(CameraId, i64), CameraHour> = BTreeMap::new();
    let mut rounds = 0;
    loop {
        let stopping = tokio::select! {
            _ = tick.tick() => false,
            () = stop.cancelled() => true,
        };
        let now = clock.now();
        // A clock that was set counts for one round at most.
        let elapsed =
            (now - last).num_microseconds().unwrap_or(0).clamp(0, 2 * EVERY.as_micros() as i64) as u64;
        last = now;
        for camera in streams.iter() {
            let main = ingest.hub().stats(camera.main.stream);
            let small = camera.sub.as_ref().map_or(0, |sub| ingest.hub().stats(sub.stream).viewers);
            let viewers = (main.viewers + small) as u64;
            let known = before.insert(camera.camera.clone(), (main.frames, main.bytes));
            let (frames, bytes) = known.unwrap_or((main.frames, main.bytes));
            let sum = sums.entry((camera.camera.clone(), hour_of(now))).or_default();
            sum.hour = hour_of(now);
            sum.watched_us += if viewers > 0 { elapsed } else { 0 };
            sum.viewer_us += viewers * elapsed;
            sum.recorded_us += if main.frames > frames { elapsed } else { 0 };
            sum.bytes += main.bytes.saturating_sub(bytes);
        }
        rounds += 1;
        if stopping || rounds >= WRITE_EVERY {
            rounds = 0;
            let cameras: Vec<_> = std::mem::take(&mut sums).into_iter().map(|((c, _), h)| (c, h)).collect();
            let acts = gate.take_acts();
            let store = tally.clone();
            let written = tokio::task::spawn_blocking(move || store.add(&cameras, &acts, hour_of(now))).await;
            match written {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "counters could not be written"),
                Err(error) => tracing::error!(%error, "counters could not be written"),
            }
        }
        if stopping {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_by_hour() {
        let folder = tempfile::tempdir().unwrap();
        let tally = Tally::open(&folder.path().join("tally.sqlite")).unwrap();
        let camera: CameraId = "C1".into();
        let hour = |watched_us| CameraHour { hour: 5, watched_us, bytes: 10, ..CameraHour::default() };
        let acts: Acts =
            [((Some("enschede".into()), "live_view".to_owned(), "OUTSIDE_LIVE_WINDOW".to_owned()), 2)].into();
        tally.add(&[(camera.clone(), hour(3))], &acts, 5).unwrap();
        tally.add(&[(camera.clone(), hour(4))], &acts, 5).unwrap();
        let hours = tally.camera_hours(&camera, 5, 6).unwrap();
        assert_eq!(hours, [CameraHour { hour: 5, watched_us: 7, bytes: 20, ..CameraHour::default() }]);
        assert!(tally.camera_hours(&camera, 6, 7).unwrap().is_empty());
        assert_eq!(tally.counts(0, 10).unwrap()[0].count, 4);
    }
}
