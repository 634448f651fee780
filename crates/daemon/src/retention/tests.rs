use super::*;
use crate::{
    clock::ManualClock,
    testing::{FakeLog, journal},
};
use bytes::Bytes;
use media::{AccessUnit, Codec, Parameters, Ticks};
use vault::{StreamPolicy, VaultConfig};

struct Room {
    retention: Arc<Retention>,
    vault: Vault,
    log: Arc<FakeLog>,
    gate: Gate,
    _folder: tempfile::TempDir,
}

const CAPTURED: &str = "2026-06-01T12:00:00Z";

/// One camera that has recorded three hours, a second of each.
async fn room(budget: Option<u64>) -> Room {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(CAPTURED.parse().unwrap());
    let log = FakeLog::new(&clock);
    let journal = journal(folder.path(), &log, &clock).await;
    let gate = Gate::new(journal.watch(), log.clone(), Arc::new(clock.clone()));
    let main = settings::StreamSource {
        url: "rtsp://127.0.0.1/1".to_owned(),
        transport: settings::Transport::Tcp,
        username: None,
        password: None,
    };
    let source = settings::CameraSource { camera: "C1".into(), main, sub: None };
    let streams = Streams::new(&[source], &journal).unwrap();
    let stream = streams.iter().next().unwrap().main.stream;
    let config = VaultConfig {
        volume_bytes: 1 << 20,
        ..VaultConfig::new(folder.path().join("vault"), [folder.path().join("a"), folder.path().join("b")])
    };
    let vault = Vault::open(config).unwrap();
    vault.set_policy(stream, StreamPolicy { retention_class: 28, importance: 1 });
    let parameters =
        Arc::new(Parameters { generation: 1, codec: Codec::H264, width: 2, height: 2, record: Bytes::new() });
    let start: DateTime<Utc> = CAPTURED.parse().unwrap();
    for hour in 0..3 {
        for frame in 0..25 {
            let captured = micros(start + TimeDelta::hours(hour)).plus(frame * 40_000);
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
                payload: Bytes::from(vec![7; 1000]),
            });
        }
    }
    vault.flush().unwrap();
    log.entries.lock().unwrap().clear();
    let retention =
        Retention::open(folder.path(), gate.clone(), vault.clone(), Arc::new(streams), budget).unwrap();
    Room { retention: Arc::new(retention), vault, log, gate, _folder: folder }
}

impl Room {
    /// A pass on a machine that has run since the start and whose wall clock is right.
    async fn pass(&self, wall: &str) {
        self.pass_set_to(wall, wall).await;
    }

    /// A pass at an instant, with the wall clock set to another.
    async fn pass_set_to(&self, really: &str, wall: &str) {
        let up = really.parse::<DateTime<Utc>>().unwrap() - CAPTURED.parse::<DateTime<Utc>>().unwrap();
        let reading = Reading { wall: wall.parse().unwrap(), up, boot: "a".to_owned() };
        let retention = self.retention.clone();
        tokio::task::spawn_blocking(move || retention.pass_at(&reading)).await.unwrap();
    }

    fn hours(&self) -> usize {
        self.vault.streams().iter().map(|stream| self.vault.key_hours(*stream).len()).sum()
    }

    fn actions(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.entries.lock().unwrap()).iter().map(|e| e.action.to_string()).collect()
    }
}

#[tokio::test]
async fn an_hour_is_announced_a_day_ahead_and_dies_before_its_first_frame_is_28_days_old() {
    let room = room(None).await;
    room.pass("2026-06-01T16:00:00Z").await;
    assert_eq!((room.hours(), room.actions().len()), (3, 0));
    // 25 hours before the first hour is due.
    room.pass("2026-06-28T11:00:00Z").await;
    let entry = room.log.entries.lock().unwrap().iter().find(|e| e.action == "destroy.due").cloned().unwrap();
    let data = entry.data.unwrap();
    assert_eq!(data["keys"].as_array().unwrap().len(), 1);
    assert_eq!(data["keys"][0]["due"], "2026-06-29T12:00:00Z");
    assert_eq!(entry.object.unwrap().camera.as_deref(), Some("C1"));
    room.actions();
    // Two minutes before: nothing yet, and nothing is announced twice.
    room.pass("2026-06-29T11:58:00Z").await;
    assert_eq!(room.hours(), 3);
    assert!(!room.actions().contains(&"destroy.done".to_owned()));
    // Within the last minute it goes, whole.
    room.pass("2026-06-29T11:59:30Z").await;
    assert_eq!(room.hours(), 2);
    let done = room.log.entries.lock().unwrap().iter().find(|e| e.action == "destroy.done").cloned().unwrap();
    assert_eq!(done.data.as_ref().unwrap()["unannounced_hours"], 0);
    assert_eq!(
        done.data.unwrap()["keys"][0],
        data["keys"][0]["commitment"],
        "what was announced is what died"
    );
    // After a downtime what fell due meanwhile goes at the first pass; the day's report says so.
    room.actions();
    room.pass("2026-06-30T09:00:00Z").await;
    assert_eq!(room.hours(), 0);
    let actions = room.actions();
    assert!(actions.contains(&"destroy.done".to_owned()) && actions.contains(&"destroy.report".to_owned()));
    assert_eq!(room.retention.figures.late.load(Relaxed), 2);
}

#[tokio::test]
async fn a_clock_29_days_ahead_destroys_nothing_and_no_look_begins() {
    let room = room(None).await;
    room.pass("2026-06-01T16:00:00Z").await;
    room.pass_set_to("2026-06-01T16:00:30Z", "2026-06-30T16:00:30Z").await;
    assert_eq!(room.hours(), 3);
    assert!(room.actions().contains(&"clock.doubted".to_owned()));
    let request = Request::by_system(Action::Record, Object::Camera("C1".into()));
    let look = Ask { request, session: None, name: "look", display: None };
    assert!(matches!(room.gate.look(look).await, Err(crate::gate::Refused::ClockDoubted)));
    // Set right: all is as before, and nothing is lost.
    room.pass("2026-06-01T16:01:00Z").await;
    assert!(!room.retention.figures.clock_doubted.load(Relaxed));
    assert_eq!(room.hours(), 3);
}

#[tokio::test]
async fn beyond_the_byte_budget_the_oldest_goes_with_its_intent_logged_first() {
    let room = room(Some(1)).await;
    room.pass("2026-06-01T15:30:00Z").await;
    let actions = room.actions();
    let place = |name: &str| actions.iter().position(|a| a == name);
    assert!(place("budget.alarm").is_some());
    assert!(place("destroy.budget") < place("destroy.done"), "{actions:?}");
    assert!(room.hours() < 3);
    // Without an entry nothing is destroyed early.
    let other = self::room(Some(1)).await;
    other.log.fail(Some("2026-06-01T15:00:00Z".parse().unwrap()));
    other.pass("2026-06-01T15:30:00Z").await;
    assert_eq!(other.hours(), 3);
}
