use super::*;
use crate::{
    clock::{ManualClock, micros},
    testing::FakeLog,
};
use bytes::Bytes;
use media::{AccessUnit, Codec, Parameters, StreamId, Ticks};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use vault::{StreamPolicy, VaultConfig};

struct Room {
    folder: tempfile::TempDir,
    log: Arc<FakeLog>,
    clock: ManualClock,
    /// How often the log was asked what it has.
    asked: Arc<AtomicU64>,
}

impl Room {
    fn new() -> Self {
        let clock = ManualClock::new("2026-06-01T12:00:00Z".parse().unwrap());
        let (log, folder) = (FakeLog::new(&clock), tempfile::tempdir().unwrap());
        Self { folder, log, clock, asked: Arc::default() }
    }

    fn open(&self) -> (Vault, Arc<Roots>) {
        let at = self.folder.path();
        let config = VaultConfig {
            volume_bytes: 16 << 10,
            volume_least: Duration::ZERO,
            ..VaultConfig::new(at.join("vault"), [at.join("a"), at.join("b")])
        };
        let vault = Vault::open(config).unwrap();
        for (stream, retention_class) in [(1, 28), (2, 7)] {
            vault.set_policy(StreamId(stream), StreamPolicy { retention_class, importance: 1 });
        }
        (vault, Arc::new(Roots::open(at).unwrap()))
    }

    /// A second of a stream: a volume's worth and more.
    fn record(vault: &Vault, stream: u32, second: i64) {
        let parameters = Arc::new(Parameters {
            generation: 1,
            codec: Codec::H264,
            width: 2,
            height: 2,
            record: Bytes::new(),
        });
        let captured = micros("2026-06-01T12:00:00Z".parse().unwrap()).plus(second * 1_000_000);
        vault.accept(AccessUnit {
            stream: StreamId(stream),
            parameters,
            captured,
            media_time: Ticks(captured.0 * 9 / 100),
            duration: 90_000,
            key: true,
            discontinuity: false,
            received: captured,
            camera_time: None,
            received_within: 0,
            payload: Bytes::from(vec![7; 20_000]),
        });
        vault.flush().unwrap();
    }

    async fn tell(&self, vault: &Vault, roots: &Arc<Roots>) -> usize {
        let (vault, roots, log, asked) = (vault.clone(), roots.clone(), self.log.clone(), self.asked.clone());
        let clock: SharedClock = Arc::new(self.clock.clone());
        tokio::task::spawn_blocking(move || {
            let shared: SharedLog = log.clone();
            roots.tell(&vault, &shared, &clock, &|_| {
                asked.fetch_add(1, Ordering::Relaxed);
                let entries = log.entries.lock().unwrap();
                Ok(entries.iter().filter_map(|e| e.object.as_ref()?.id.clone()).collect())
            })
        })
        .await
        .unwrap()
    }

    /// How many volumes there are: nothing was destroyed, so that is also the highest number.
    fn volumes(&self) -> u64 {
        let entries = fs::read_dir(self.folder.path().join("vault")).unwrap();
        entries.filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|e| e == "vol")).count() as u64
    }

    fn numbers(&self) -> Vec<u64> {
        let entries = self.log.entries.lock().unwrap();
        let mut numbers: Vec<_> =
            entries.iter().map(|e| e.data.as_ref().unwrap()["number"].as_u64().unwrap()).collect();
        numbers.sort_unstable();
        numbers
    }
}

/// A volume of one class is sealed after a later one of another class: it is logged all the same, in the same run. Starts
/// log nothing twice, and a start that finds nothing new does not ask the log at all.
#[tokio::test]
async fn every_root_is_logged_once_whatever_the_order_of_sealing_and_however_often_it_starts() {
    let room = Room::new();
    let (vault, roots) = room.open();
    // Class 7 opens volume 1; class 28 opens 2, 3, 4.
    Room::record(&vault, 2, 0);
    for second in 0..3 {
        Room::record(&vault, 1, second);
    }
    room.tell(&vault, &roots).await;
    assert_eq!(room.numbers(), [2, 3]);
    // Now 1 is sealed.
    Room::record(&vault, 2, 1);
    assert_eq!(room.tell(&vault, &roots).await, 1);
    assert_eq!(room.numbers(), [1, 2, 3]);
    drop(vault);
    let mut asked = room.asked.load(Ordering::Relaxed);
    assert_eq!(asked, 1);
    for start in 0..3 {
        let (vault, roots) = room.open();
        room.tell(&vault, &roots).await;
        if start > 0 {
            assert_eq!(room.asked.load(Ordering::Relaxed), asked, "nothing new, nothing asked");
        }
        asked = room.asked.load(Ordering::Relaxed);
        drop(vault);
    }
    // The stop sealed what was open, gaps in volumes of their own included.
    let all = room.volumes();
    assert!(all >= 5);
    assert_eq!(room.numbers(), (1..=all).collect::<Vec<_>>());
    let told: Told =
        serde_json::from_slice(&fs::read(room.folder.path().join("roots.json")).unwrap()).unwrap();
    assert_eq!(told, Told { below: all, beyond: BTreeSet::new() });
}

/// The daemon dies after the entry and before the file; an archive from before there was one; a log that cannot be written.
#[tokio::test]
async fn a_crash_before_the_file_is_written_logs_nothing_twice_and_a_failing_log_forgets_nothing() {
    let room = Room::new();
    let (vault, roots) = room.open();
    for second in 0..3 {
        Room::record(&vault, 1, second);
    }
    let file = room.folder.path().join("roots.json");
    room.tell(&vault, &roots).await;
    let first = fs::read(&file).unwrap();
    Room::record(&vault, 1, 3);
    room.tell(&vault, &roots).await;
    drop(vault);
    fs::write(&file, first).unwrap();
    let (vault, roots) = room.open();
    room.tell(&vault, &roots).await;
    assert_eq!(room.numbers(), (1..=room.volumes()).collect::<Vec<_>>());
    drop((vault, roots));
    fs::remove_file(&file).unwrap();
    let (vault, roots) = room.open();
    Room::record(&vault, 1, 4);
    Room::record(&vault, 1, 5);
    room.log.fail(Some("2026-06-01T12:00:00Z".parse().unwrap()));
    assert_eq!(room.tell(&vault, &roots).await, 0);
    room.log.fail(None);
    assert!(room.tell(&vault, &roots).await > 0);
    let open = vault.first_unsealed().unwrap().unwrap();
    assert_eq!(room.numbers(), (1..open).collect::<Vec<_>>());
}
