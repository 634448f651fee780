//! What the vault had to drop because the disk was too slow or full: an alarm, and an entry of the log for each stretch.
//!
//! Groups of one stream that follow each other are one entry: a disk that is slow for an hour makes one entry a second and
//! stream at most.

use crate::{clock::instant, gate::Gate, recorder::gap_word, streams::Streams};
use ledger::{Entry, Object as LogObject, Operation, Outcome};
use std::collections::BTreeMap;
use vault::Vault;

/// Tells what was dropped since this was last called.
pub fn tell(vault: &Vault, streams: &Streams, gate: &Gate) {
    let mut by_stream: BTreeMap<_, vault::Loss> = BTreeMap::new();
    for loss in vault.take_losses() {
        by_stream
            .entry((loss.stream, loss.reason as u8))
            .and_modify(|known| {
                known.units += loss.units;
                known.from = known.from.min(loss.from);
            })
            .or_insert(loss);
    }
    for loss in by_stream.into_values() {
        let camera = streams.iter().find(|c| c.main.stream == loss.stream).map(|c| &c.camera);
        tracing::error!(
            stream = loss.stream.0,
            camera = camera.map(ToString::to_string),
            pictures = loss.units,
            "ALARM: the disk does not keep up; pictures of the least important stream were dropped"
        );
        let snapshot = gate.snapshot();
        let municipality =
            camera.and_then(|camera| snapshot.register.camera(camera)).map(|c| c.municipality.to_string());
        let mut entry = Entry::new(gate.clock().now(), Operation::Collect, "record.dropped");
        entry.object = Some(LogObject {
            kind: "camera".to_owned(),
            camera: camera.map(ToString::to_string),
            municipality,
            from: Some(instant(loss.from)),
            ..LogObject::default()
        });
        entry.outcome = Outcome::Failed { reason_code: gap_word(loss.reason).to_owned() };
        entry.data = Some(serde_json::json!({ "pictures": loss.units }));
        gate.log().append_spooled(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{ManualClock, micros},
        testing::{FakeLog, journal},
    };
    use bytes::Bytes;
    use media::{AccessUnit, Codec, Parameters, StreamId, Ticks};
    use std::{sync::Arc, time::Duration};
    use vault::{StreamPolicy, VaultConfig};

    fn source(camera: &str, importance: u8) -> settings::CameraSource {
        let main = settings::StreamSource {
            url: "rtsp://127.0.0.1/1".to_owned(),
            transport: settings::Transport::Tcp,
            username: None,
            password: None,
        };
        settings::CameraSource { camera: camera.into(), main, sub: None, importance }
    }

    /// A disk that takes nothing: what the camera said to be the least important loses its newest pictures, and that stands
    /// in the log with camera, instant, number and reason; once, however often it is looked.
    #[tokio::test]
    async fn pictures_that_a_slow_disk_costs_stand_in_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let start: chrono::DateTime<chrono::Utc> = "2026-06-01T12:00:00Z".parse().unwrap();
        let clock = ManualClock::new(start);
        let log = FakeLog::new(&clock);
        let journal = journal(folder.path(), &log, &clock).await;
        let gate = Gate::new(journal.watch(), log.clone(), Arc::new(clock.clone()));
        let streams = Streams::new(&[source("C1", 3), source("C2", 9)], &journal).unwrap();
        // A writer that does not come, as one that waits for its disk.
        let config = VaultConfig {
            tick: Duration::from_hours(1),
            budget_bytes: 100_000,
            ..VaultConfig::new(
                folder.path().join("vault"),
                [folder.path().join("a"), folder.path().join("b")],
            )
        };
        let vault = Vault::open(config).unwrap();
        let parameters = Arc::new(Parameters {
            generation: 1,
            codec: Codec::H264,
            width: 2,
            height: 2,
            record: Bytes::new(),
        });
        let unit = |stream: StreamId, number: i64| AccessUnit {
            stream,
            parameters: parameters.clone(),
            captured: micros(start).plus(number * 40_000),
            media_time: Ticks(number * 3600),
            duration: 3600,
            key: number % 5 == 0,
            discontinuity: false,
            received: micros(start),
            camera_time: None,
            received_within: 0,
            payload: Bytes::from(vec![7; 4000]),
        };
        for camera in streams.iter() {
            let policy = StreamPolicy { retention_class: 28, importance: camera.importance };
            vault.set_policy(camera.main.stream, policy);
        }
        for number in 0..15 {
            streams.iter().for_each(|camera| vault.accept(unit(camera.main.stream, number)));
        }
        log.entries.lock().unwrap().clear();
        tell(&vault, &streams, &gate);
        tell(&vault, &streams, &gate);
        let entries = log.entries.lock().unwrap().clone();
        let [entry] = &entries[..] else { panic!("one entry, not {entries:?}") };
        assert_eq!(entry.action, "record.dropped");
        let object = entry.object.clone().unwrap();
        assert_eq!((object.camera.as_deref(), object.municipality.is_some()), (Some("C1"), true));
        assert!(object.from.is_some_and(|from| from >= start));
        assert_eq!(entry.outcome, Outcome::Failed { reason_code: "overload".to_owned() });
        assert!(entry.data.as_ref().unwrap()["pictures"].as_u64().unwrap() >= 5);
    }
}
