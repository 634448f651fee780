use super::*;
use crate::{
    clock::ManualClock,
    gate::Ask,
    testing::{FakeLog, journal},
};
use bytes::Bytes;
use mandate::{Action, Object, Request};
use media::{AccessUnit, Codec, Parameters, Ticks};
use protocol::api::StreamRole;
use std::fs;
use vault::{StreamPolicy, VaultConfig};

struct Room {
    retention: Arc<Retention>,
    vault: Vault,
    log: Arc<FakeLog>,
    gate: Gate,
    journal: crate::journal::Journal,
    clock: ManualClock,
    folder: tempfile::TempDir,
}

const CAPTURED: &str = "2026-06-01T12:00:00Z";

/// One camera that has recorded three hours, a second of each.
async fn room(budget: Option<u64>) -> Room {
    room_with(budget, 1 << 20, "C1", 28).await
}

/// The same with volumes of this size, of a camera that is configured no more unless it is C1, and a retention class.
async fn room_with(budget: Option<u64>, volume_bytes: u64, camera: &str, class: u32) -> Room {
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
    let source = settings::CameraSource { camera: "C1".into(), main, sub: None, importance: 1 };
    let stream = journal.stream(&camera.trim_start_matches('-').into(), StreamRole::Main).unwrap();
    let sources = if camera == "C1" { vec![source] } else { Vec::new() };
    let streams = Streams::new(&sources, &journal).unwrap();
    let config = VaultConfig {
        volume_bytes,
        volume_least: Duration::ZERO,
        ..VaultConfig::new(folder.path().join("vault"), [folder.path().join("a"), folder.path().join("b")])
    };
    let vault = Vault::open(config).unwrap();
    vault.set_policy(stream, StreamPolicy { retention_class: class, importance: 1 });
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
                received_within: 0,
                payload: Bytes::from(vec![7; 1000]),
            });
        }
    }
    vault.flush().unwrap();
    log.entries.lock().unwrap().clear();
    let retention =
        Retention::open(folder.path(), gate.clone(), vault.clone(), Arc::new(streams), budget).unwrap();
    Room { retention: Arc::new(retention), vault, log, gate, journal, clock, folder }
}

impl Room {
    /// A pass on a machine that has run since the start and whose wall clock is right.
    async fn pass(&self, wall: &str) {
        self.pass_set_to(wall, wall).await;
    }

    /// A pass at an instant, with the wall clock set to another.
    async fn pass_set_to(&self, really: &str, wall: &str) {
        let reading = Self::reading(really, wall);
        self.clock.set(reading.wall);
        let retention = self.retention.clone();
        tokio::task::spawn_blocking(move || retention.pass_at(&reading)).await.unwrap();
    }

    fn reading(really: &str, wall: &str) -> Reading {
        let up = really.parse::<DateTime<Utc>>().unwrap() - CAPTURED.parse::<DateTime<Utc>>().unwrap();
        Reading { wall: wall.parse().unwrap(), up, boot: "a".to_owned() }
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
    assert!(room.retention.inner.lock().unwrap().due.is_empty(), "what is far from due is not judged");
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

/// A longer term is for what is captured from then on: what was captured under the shorter one dies by that.
#[tokio::test]
async fn an_hour_dies_by_the_term_that_held_when_it_was_captured() {
    let room = room(None).await;
    let decree = |days: u32| {
        let mut decree =
            crate::testing::facts().into_iter().find(|f| matches!(f, FactBody::Decree(_))).unwrap();
        if let FactBody::Decree(decree) = &mut decree {
            decree.retention_days = days;
        }
        decree
    };
    for (at, days) in [(CAPTURED, 7), ("2026-06-01T15:00:00Z", 28)] {
        room.clock.set(at.parse().unwrap());
        room.journal.record(decree(days), crate::journal::Provenance::default()).await.unwrap();
    }
    room.pass("2026-06-07T12:00:00Z").await;
    assert!(room.actions().contains(&"destroy.due".to_owned()), "a day ahead, as ever");
    room.pass("2026-06-08T11:59:30Z").await;
    assert_eq!(room.hours(), 2, "the first hour is seven days old");
    room.pass("2026-06-08T14:00:00Z").await;
    assert_eq!(room.hours(), 0);
}

/// The footage is on the disk that is full: what is due dies all the same, and so frees it.
#[tokio::test]
async fn a_full_disk_does_not_stop_destruction() {
    let room = room(None).await;
    room.pass("2026-06-01T16:00:00Z").await;
    fs::create_dir(room.folder.path().join("guarded-time.part")).unwrap();
    room.pass("2026-06-29T11:59:30Z").await;
    assert_eq!(room.hours(), 2);
    let figures = &room.retention.figures;
    assert!(figures.clock_unkept.load(Relaxed) && !figures.clock_doubted.load(Relaxed));
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
    assert!(room.actions().contains(&"clock.confirmed".to_owned()));
    assert_eq!(room.hours(), 3);
}

/// A window that has ended does not open again because the machine's clock went back.
#[tokio::test]
async fn a_clock_set_back_reopens_nothing() {
    let room = room(None).await;
    // Camera C1 is watched from 21:00 to 06:00 (19:00 to 04:00 UTC in June).
    let request = || Request {
        actor: mandate::Actor::Person { person: "anna".into(), role: mandate::Role::Observer },
        ..Request::by_system(Action::LiveView, Object::Camera("C1".into()))
    };
    room.pass("2026-06-02T03:30:00Z").await;
    let open = room.gate.preview(&request());
    room.pass("2026-06-02T04:30:00Z").await;
    let closed = room.gate.preview(&request());
    assert!(!closed.is_permit());
    room.actions();
    room.pass_set_to("2026-06-02T04:31:00Z", "2026-06-02T03:30:00Z").await;
    assert_eq!(room.gate.clock().now(), "2026-06-02T04:31:00Z".parse::<DateTime<Utc>>().unwrap());
    assert!(!room.gate.preview(&request()).is_permit(), "before it was set back: {open:?}");
    assert!(room.retention.figures.clock_set_back.load(Relaxed));
    assert_eq!(room.actions(), ["clock.set_back"]);
    // What is due dies by the time that has passed, not by what the clock shows.
    room.pass_set_to("2026-06-29T11:59:30Z", "2026-05-01T00:00:00Z").await;
    assert_eq!(room.hours(), 2);
    // The police say that the clock is right: time goes on from what it shows.
    let reading = Room::reading("2026-06-29T12:00:00Z", "2026-06-28T12:00:00Z");
    room.clock.set(reading.wall);
    let retention = room.retention.clone();
    tokio::task::spawn_blocking(move || retention.accept_clock_at(&reading)).await.unwrap().unwrap();
    assert_eq!(room.gate.clock().now(), "2026-06-28T12:00:00Z".parse::<DateTime<Utc>>().unwrap());
    assert!(!room.retention.figures.clock_set_back.load(Relaxed));
}

/// The machine was off for a month and no witness is there: a person of the police confirms the jump, and only then what
/// fell due dies.
#[tokio::test]
async fn a_jump_that_the_police_accept_is_believed() {
    let room = room(None).await;
    room.pass("2026-06-01T16:00:00Z").await;
    room.pass_set_to("2026-06-01T16:10:00Z", "2026-06-30T16:10:00Z").await;
    assert!(room.retention.figures.clock_doubted.load(Relaxed));
    assert_eq!(room.hours(), 3);
    let reading = Room::reading("2026-06-01T16:11:00Z", "2026-06-30T16:11:00Z");
    let retention = room.retention.clone();
    tokio::task::spawn_blocking(move || retention.accept_clock_at(&reading)).await.unwrap().unwrap();
    assert!(!room.retention.figures.clock_doubted.load(Relaxed));
    assert_eq!(room.hours(), 0, "28 days are over by the time that was accepted");
}

/// Announced is what a witness has seen; what is due dies on time all the same.
#[tokio::test]
async fn an_announcement_counts_once_a_witness_has_cosigned_it_and_destruction_never_waits() {
    let room = room(None).await;
    room.gate.require_witness();
    room.pass("2026-06-28T11:00:00Z").await;
    assert!(room.log.actions().iter().any(|action| action.starts_with("destroy.due")));
    room.pass("2026-06-28T12:30:00Z").await;
    assert!(room.retention.figures.unwitnessed.load(Relaxed) > 0, "nobody has cosigned it for over an hour");
    room.pass("2026-06-29T11:59:30Z").await;
    assert_eq!(room.hours(), 2, "it dies on time");
    let done = |log: &FakeLog| {
        let entries = log.entries.lock().unwrap();
        let done = entries.iter().rev().find(|e| e.action == "destroy.done").unwrap();
        done.data.clone().unwrap()
    };
    assert_eq!(done(&room.log)["unwitnessed_hours"], 1);
    // The witness is heard: the next hour was announced in time.
    room.log.witnessed_all();
    room.pass("2026-06-29T12:10:00Z").await;
    assert_eq!(room.retention.figures.unwitnessed.load(Relaxed), 0);
    room.pass("2026-06-29T12:59:30Z").await;
    assert_eq!((room.hours(), &done(&room.log)["unwitnessed_hours"]), (1, &serde_json::json!(0)));
    assert_eq!(done(&room.log)["unannounced_hours"], 0);
    // A log that cannot be written: nothing is announced, what is due dies, and its entry says so.
    let other = self::room(None).await;
    other.log.fail(Some("2026-06-28T10:00:00Z".parse().unwrap()));
    other.pass("2026-06-28T11:00:00Z").await;
    assert!(!other.actions().contains(&"destroy.due".to_owned()));
    other.pass("2026-06-29T11:59:30Z").await;
    assert_eq!((other.hours(), &done(&other.log)["unannounced_hours"]), (2, &serde_json::json!(1)));
}

/// After a new epoch an announcement of the old log counts where the police knew it, and is made again where it was lost.
#[tokio::test]
async fn an_announcement_that_was_lost_with_its_log_is_made_again() {
    for (known, again) in [(1000, false), (0, true)] {
        let room = room(None).await;
        let logs = |vkey: &str| crate::gate::Logs::read(room.folder.path(), vkey).unwrap();
        room.gate.require_witness();
        room.gate.know_logs(logs("room/1+aaaa+Akey"));
        room.pass("2026-06-28T11:00:00Z").await;
        assert!(room.actions().contains(&"destroy.due".to_owned()));
        fs::write(room.folder.path().join(format!("ledger-until-{known}.vkey")), "room/1+aaaa+Akey").unwrap();
        let gate = Gate::new(room.journal.watch(), room.log.clone(), Arc::new(room.clock.clone()));
        gate.require_witness();
        gate.know_logs(logs("room/2+bbbb+Akey"));
        let streams = room.retention.streams.clone();
        let retention = Retention::open(room.folder.path(), gate.clone(), room.vault.clone(), streams, None);
        let room = Room { retention: Arc::new(retention.unwrap()), gate, ..room };
        room.pass("2026-06-28T11:00:30Z").await;
        assert_eq!(room.actions().contains(&"destroy.due".to_owned()), again);
        assert_eq!(!room.retention.inner.lock().unwrap().state.unwitnessed.is_empty(), again);
    }
}

/// A hold that is over and that the disk did not give up is released with a later pass, and told once.
#[tokio::test]
async fn a_release_that_failed_is_made_up_for() {
    let room = room(None).await;
    let stream = room.vault.streams()[0];
    let from = micros(CAPTURED.parse().unwrap());
    room.vault.hold("case-1", stream, from, from.plus(400_000)).unwrap();
    let (folder, away) = (room.folder.path().join("a/holds/case-1"), room.folder.path().join("away"));
    fs::rename(&folder, &away).unwrap();
    fs::write(&folder, "not a folder").unwrap();
    let release = || {
        let over = std::iter::once("case-1".to_owned());
        crate::api::holds::release_again(&room.vault, &room.gate, over);
    };
    release();
    assert!(room.actions().is_empty() && !room.vault.holds().is_empty());
    fs::remove_file(&folder).unwrap();
    fs::rename(&away, &folder).unwrap();
    release();
    assert_eq!((room.actions(), room.vault.holds().len()), (vec!["hold.released".to_owned()], 0));
    release();
    assert!(room.actions().is_empty());
}

/// What is secured for a case survives the byte budget, though the hour's key dies by it.
#[tokio::test]
async fn a_hold_survives_the_byte_budget() {
    let room = room(Some(1)).await;
    let stream = room.vault.streams()[0];
    let from = micros(CAPTURED.parse().unwrap());
    room.vault.hold("case-1", stream, from, from.plus(400_000)).unwrap();
    room.pass("2026-06-01T15:30:00Z").await;
    assert!(!room.vault.key_hours(stream).contains(&from), "the budget took the hour");
    assert_eq!(room.vault.read_hold("case-1").unwrap().count(), 10);
}

/// Each day every municipality has its report, also one where nothing was destroyed; the oldest footage is a figure.
#[tokio::test]
async fn each_day_ends_with_a_report_for_each_municipality() {
    let room = room(None).await;
    room.pass("2026-06-29T11:59:30Z").await;
    assert_eq!(room.retention.oldest()[0].1, micros("2026-06-01T13:00:00Z".parse().unwrap()));
    room.actions();
    room.pass("2026-06-30T00:00:30Z").await;
    let entries = room.log.entries.lock().unwrap().clone();
    let reports: Vec<_> = entries.iter().filter(|e| e.action == "destroy.report").collect();
    let register = room.gate.snapshot();
    assert_eq!(reports.len(), register.register.municipalities().count());
    let total: u64 = reports.iter().map(|r| r.data.as_ref().unwrap()["keys"].as_u64().unwrap()).sum();
    assert_eq!(total, 1, "one hour died on that day");
    assert!(reports.iter().all(|r| r.data.as_ref().unwrap()["day"] == "2026-06-29"));
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

#[tokio::test]
async fn what_was_decided_about_goes_by_the_hour_and_nothing_else() {
    let room = room(None).await;
    let stream = room.vault.streams()[0];
    let hour = |hour: i64| CAPTURED.parse::<DateTime<Utc>>().unwrap() + TimeDelta::hours(hour);
    let retention = room.retention.clone();
    let decide =
        move |hours| retention.destroy_decided(stream, hours, serde_json::json!({ "quarantine": 1 }));
    let gone = tokio::task::spawn_blocking(move || (decide((hour(1), hour(2))), decide((hour(1), hour(2)))));
    assert_eq!(gone.await.unwrap(), (true, false), "once");
    let left: Vec<_> = room.vault.key_hours(stream).into_iter().map(instant).collect();
    assert_eq!(left, [hour(0), hour(2)]);
    let done = room.log.entries.lock().unwrap().iter().find(|e| e.action == "destroy.done").cloned().unwrap();
    let data = done.data.unwrap();
    assert_eq!((&data["quarantine"], data["keys"].as_array().unwrap().len()), (&serde_json::json!(1), 1));
    let read = room.vault.read(stream, micros(hour(1)), micros(hour(2))).unwrap();
    assert!(!read.into_iter().any(|item| matches!(item, vault::Item::Unit(_))), "and it opens no more");
}

/// The bytes of the volumes, hour by hour one each, and folders in their place: those cannot be unlinked.
fn volumes(room: &Room) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(room.folder.path().join("vault")).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == "vol")).collect();
    paths.sort();
    paths
}

/// A disk that does not unlink: the budget takes what it needs, sees that nothing gets free, alarms, and stops; all 28 days
/// are not gone in minutes. Once the disk unlinks again, it goes on.
#[tokio::test]
async fn a_budget_whose_volumes_cannot_be_unlinked_stops_with_an_alarm() {
    let room = room_with(Some(1), 16 << 10, "C1", 28).await;
    let away = room.folder.path().join("away");
    fs::create_dir(&away).unwrap();
    let stuck = volumes(&room);
    assert!(stuck.len() >= 3, "an hour a volume");
    for path in &stuck {
        fs::rename(path, away.join(path.file_name().unwrap())).unwrap();
        fs::create_dir(path).unwrap();
    }
    room.pass("2026-06-01T15:30:00Z").await;
    room.pass("2026-06-01T15:30:30Z").await;
    room.pass("2026-06-01T15:31:00Z").await;
    assert_eq!(room.hours(), 2, "one hour went, nothing got free, no more goes");
    let alarms = room.actions().iter().filter(|action| *action == "budget.alarm").count();
    assert_eq!(alarms, 2, "that it is full, and once that nothing is unlinked");
    for path in &stuck {
        fs::remove_dir(path).unwrap();
        fs::rename(away.join(path.file_name().unwrap()), path).unwrap();
    }
    room.pass("2026-06-01T15:31:30Z").await;
    assert!(room.hours() < 2, "it goes on");
    assert!(volumes(&room).len() < stuck.len());
}

/// A volume that holds several hours gets free only when the last of them dies. What counts is what still opens.
#[tokio::test]
async fn the_budget_takes_no_more_hours_than_it_needs_where_they_share_a_volume() {
    // Three hours of some 26 kB in one volume.
    let room = room_with(Some(60_000), 1 << 20, "C1", 28).await;
    room.pass("2026-06-01T15:30:00Z").await;
    room.pass("2026-06-01T15:30:30Z").await;
    assert_eq!(room.hours(), 2);
}

/// A camera that is taken out of the configuration, and one that the register does not know: their footage dies by its own
/// term, is told under its own name, and the budget takes it too.
#[tokio::test]
async fn footage_of_a_camera_that_is_configured_no_more_dies_by_its_own_term() {
    // `-C1`: in the register, with streams in the journal, and not in the configuration.
    let removed = room_with(None, 1 << 20, "-C1", 28).await;
    removed.pass("2026-06-29T11:59:30Z").await;
    assert_eq!(removed.hours(), 2);
    let entries = removed.log.entries.lock().unwrap().clone();
    let done = entries.iter().find(|e| e.action == "destroy.done").unwrap().object.clone().unwrap();
    assert_eq!((done.camera.as_deref(), done.municipality.is_some()), (Some("C1"), true));
    // Not in the register either: the term of its recording, seven days.
    let unknown = room_with(None, 1 << 20, "C9", 7).await;
    unknown.pass("2026-06-08T11:58:00Z").await;
    assert_eq!(unknown.hours(), 3);
    unknown.pass("2026-06-08T11:59:30Z").await;
    assert_eq!(unknown.hours(), 2);
    unknown.pass("2026-06-09T00:00:30Z").await;
    let entries = unknown.log.entries.lock().unwrap().clone();
    let total: u64 = entries
        .iter()
        .filter(|e| e.action == "destroy.report")
        .map(|r| r.data.as_ref().unwrap()["keys"].as_u64().unwrap())
        .sum();
    assert_eq!(total, 1, "what nobody knows the owner of is reported too");
    for camera in ["-C1", "C9"] {
        let budget = room_with(Some(1), 16 << 10, camera, 28).await;
        budget.pass("2026-06-01T15:30:00Z").await;
        assert!(budget.hours() < 3, "{camera}");
    }
}

/// The daemon ends between key and volume: the next start finds the hour without a key, takes rows and volume away, and says
/// what died.
#[tokio::test]
async fn a_destruction_that_ended_between_key_and_volume_is_finished_and_told() {
    let room = room_with(None, 16 << 10, "C1", 28).await;
    room.pass("2026-06-28T11:00:00Z").await;
    let stream = room.vault.streams()[0];
    let hour = micros(CAPTURED.parse().unwrap());
    let names = room.vault.keys_of_hour(stream, hour);
    // As `destroy` begins: what dies is written down; then the keys go and nothing else is done.
    let before = volumes(&room);
    let saved = room.folder.path().join("saved");
    fs::create_dir(&saved).unwrap();
    for path in &before {
        fs::copy(path, saved.join(path.file_name().unwrap())).unwrap();
    }
    let subject = room.retention.subject(stream);
    {
        let mut inner = room.retention.inner.lock().unwrap();
        room.retention.mark_dying(&mut inner, &subject, (hour, hour.plus(HOUR)));
    }
    room.vault.destroy_hours(stream, hour, hour.plus(HOUR)).unwrap();
    room.actions();
    let path = room.folder.path().to_owned();
    let again =
        Retention::open(&path, room.gate.clone(), room.vault.clone(), room.retention.streams.clone(), None);
    let again = Arc::new(again.unwrap());
    let reading = Room::reading("2026-06-28T11:00:30Z", "2026-06-28T11:00:30Z");
    let pass = again.clone();
    tokio::task::spawn_blocking(move || pass.pass_at(&reading)).await.unwrap();
    let entries = room.log.entries.lock().unwrap().clone();
    let done: Vec<_> = entries.iter().filter(|e| e.action == "destroy.done").collect();
    assert_eq!(done.len(), 1, "{entries:?}");
    let data = done[0].data.clone().unwrap();
    assert_eq!((&data["recovered"], data["keys"].as_array().unwrap().len()), (&serde_json::json!(true), 1));
    assert_eq!(data["keys"][0].as_str(), names[0].commitment.as_deref());
    assert_eq!(again.inner.lock().unwrap().state.tallies.values().map(|t| t.keys).sum::<u64>(), 1);
    // Told once.
    let reading = Room::reading("2026-06-28T11:01:00Z", "2026-06-28T11:01:00Z");
    let pass = again.clone();
    room.actions();
    tokio::task::spawn_blocking(move || pass.pass_at(&reading)).await.unwrap();
    assert!(!room.actions().contains(&"destroy.done".to_owned()));
}

/// After days without the daemon each of them has its report.
#[tokio::test]
async fn a_downtime_of_three_days_leaves_no_day_without_a_report() {
    let room = room(None).await;
    room.pass("2026-06-10T12:00:00Z").await;
    room.actions();
    room.pass("2026-06-13T12:00:00Z").await;
    let entries = room.log.entries.lock().unwrap().clone();
    let mut days: Vec<_> = entries
        .iter()
        .filter(|e| e.action == "destroy.report")
        .map(|e| e.data.as_ref().unwrap()["day"].as_str().unwrap().to_owned())
        .collect();
    days.sort();
    days.dedup();
    assert_eq!(days, ["2026-06-10", "2026-06-11", "2026-06-12"]);
}

/// The clock is ahead for a while and then set right: what was recorded meanwhile dies by when it was seen, not by the time
/// that it carries. One that turns out to have been right keeps its term.
#[tokio::test]
async fn a_frame_recorded_while_the_clock_was_ahead_does_not_outlive_the_longest_term() {
    let room = room(None).await;
    room.pass("2026-06-01T16:00:00Z").await;
    let stream = room.vault.streams()[0];
    // Ten days ahead, by a clock that nobody confirms.
    record_at(&room, stream, "2026-06-11T16:30:00Z");
    room.pass_set_to("2026-06-01T16:30:00Z", "2026-06-11T16:30:00Z").await;
    assert!(room.retention.figures.clock_doubted.load(Relaxed));
    // Also after a restart.
    let path = room.folder.path().to_owned();
    let again =
        Retention::open(&path, room.gate.clone(), room.vault.clone(), room.retention.streams.clone(), None);
    let room = Room { retention: Arc::new(again.unwrap()), ..room };
    room.pass("2026-06-01T16:31:00Z").await;
    room.pass("2026-06-29T16:20:00Z").await;
    assert_eq!(room.hours(), 1, "28 days are over for what was recorded before");
    room.pass("2026-06-29T16:29:30Z").await;
    assert_eq!(room.hours(), 0, "and for what was recorded under a wrong time");

    let other = self::room(None).await;
    other.pass("2026-06-01T16:00:00Z").await;
    let stream = other.vault.streams()[0];
    record_at(&other, stream, "2026-06-11T16:30:00Z");
    other.pass_set_to("2026-06-01T16:30:00Z", "2026-06-11T16:30:00Z").await;
    other.log.witnessed("2026-06-11T16:30:00Z".parse().unwrap());
    other.pass_set_to("2026-06-01T16:30:10Z", "2026-06-11T16:30:10Z").await;
    assert!(
        !other.retention.figures.clock_doubted.load(Relaxed),
        "the machine had been off; a witness says so"
    );
    let reading = |wall: &str, up: &str| Reading { wall: wall.parse().unwrap(), ..Room::reading(up, wall) };
    for (wall, left) in
        [("2026-06-29T16:29:30Z", 1), ("2026-07-09T15:58:00Z", 1), ("2026-07-09T15:59:30Z", 0)]
    {
        let really = wall.parse::<DateTime<Utc>>().unwrap() - TimeDelta::days(10);
        let reading = reading(wall, &really.to_rfc3339());
        let retention = other.retention.clone();
        tokio::task::spawn_blocking(move || retention.pass_at(&reading)).await.unwrap();
        assert_eq!(other.hours(), left, "{wall}");
    }
}

/// A clock that is ahead by less than an hour is noted too: the hour that it records under has not begun.
#[tokio::test]
async fn a_frame_recorded_half_an_hour_ahead_does_not_outlive_the_longest_term() {
    let room = room(None).await;
    room.pass("2026-06-01T16:00:00Z").await;
    record_at(&room, room.vault.streams()[0], "2026-06-01T17:10:00Z");
    room.pass("2026-06-01T16:30:00Z").await;
    room.pass("2026-06-29T16:20:00Z").await;
    assert_eq!(room.hours(), 1);
    room.pass("2026-06-29T16:29:30Z").await;
    assert_eq!(room.hours(), 0);
}

/// A second of a stream at an instant.
fn record_at(room: &Room, stream: StreamId, at: &str) {
    let parameters =
        Arc::new(Parameters { generation: 1, codec: Codec::H264, width: 2, height: 2, record: Bytes::new() });
    let captured = micros(at.parse().unwrap());
    room.vault.accept(AccessUnit {
        stream,
        parameters,
        captured,
        media_time: Ticks(captured.0 * 9 / 100),
        duration: 3600,
        key: true,
        discontinuity: false,
        received: captured,
        camera_time: None,
        received_within: 0,
        payload: Bytes::from(vec![7; 1000]),
    });
    room.vault.flush().unwrap();
}

/// The machine was off for a month: recording waits for the witness, and what fell due dies before anything is recorded.
/// Where nobody confirms the clock, recording begins all the same once patience is over.
#[tokio::test]
async fn what_fell_due_while_the_machine_was_off_dies_before_anything_is_recorded() {
    let room = room(None).await;
    room.pass("2026-06-01T16:00:00Z").await;
    let (really, wall) = ("2026-06-01T16:10:00Z", "2026-06-30T16:10:00Z");
    room.pass_set_to(really, wall).await;
    assert_eq!(room.hours(), 3);
    let minute = Duration::from_mins(1);
    let at_once = room.retention.before_recording(Duration::ZERO, || Room::reading(really, wall)).await;
    assert!(!at_once, "nobody confirms it, and patience is over");
    assert_eq!(room.hours(), 3);
    let (log, retention) = (room.log.clone(), room.retention.clone());
    let waiting =
        tokio::spawn(async move { retention.before_recording(minute, || Room::reading(really, wall)).await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    log.witnessed("2026-06-30T16:09:30Z".parse().unwrap());
    assert!(waiting.await.unwrap());
    assert_eq!(room.hours(), 0, "when recording begins, it is done");
    assert!(room.retention.before_recording(minute, || Room::reading(really, wall)).await, "at once");
}

/// A witness alone does not make a machine's clock believed that says itself that it follows no server.
#[tokio::test]
async fn a_jump_is_believed_by_witness_and_synchronisation_together() {
    let mut room = room(None).await;
    room.pass("2026-06-01T16:00:00Z").await;
    room.log.witnessed("2026-06-30T16:10:00Z".parse().unwrap());
    for (state, believed) in [(Clock::Unsynchronised, false), (Clock::Synchronised, true)] {
        Arc::get_mut(&mut room.retention).unwrap().synchronised = match state {
            Clock::Unsynchronised => || Clock::Unsynchronised,
            _ => || Clock::Synchronised,
        };
        room.pass_set_to("2026-06-01T16:10:00Z", "2026-06-30T16:10:00Z").await;
        assert_eq!(!room.retention.figures.clock_doubted.load(Relaxed), believed, "{state:?}");
    }
    assert_eq!(room.hours(), 0);
}

/// Copies that differ alarm while the daemon runs, one that is gone too, and what a start mended is told; so is the loss of
/// the keys.
#[tokio::test]
async fn copies_of_keys_and_holds_that_differ_are_told() {
    let room = room(None).await;
    let stream = room.vault.streams()[0];
    let from = micros(CAPTURED.parse().unwrap());
    room.vault.hold("case-1", stream, from, from.plus(400_000)).unwrap();
    let told = |room: &Room| -> Vec<serde_json::Value> {
        let entries = std::mem::take(&mut *room.log.entries.lock().unwrap());
        entries.into_iter().filter(|e| e.action == "keys.differ").map(|e| e.data.unwrap()).collect()
    };
    room.pass("2026-06-01T16:00:00Z").await;
    assert!(told(&room).is_empty());
    // A byte of a slot in use; then the copy is gone; then a hold's copy.
    let copy = room.folder.path().join("b/slots");
    let whole = fs::read(&copy).unwrap();
    let mut bytes = whole.clone();
    bytes[64 + 30] ^= 1;
    fs::write(&copy, &bytes).unwrap();
    room.pass("2026-06-01T17:00:00Z").await;
    assert_eq!(told(&room)[0]["slots"], 1);
    room.pass("2026-06-01T18:00:00Z").await;
    assert!(told(&room).is_empty(), "told once");
    fs::remove_file(&copy).unwrap();
    room.pass("2026-06-01T19:00:00Z").await;
    assert!(told(&room)[0]["unreadable"].as_str().unwrap().contains("slots"));
    assert!(room.retention.figures.unreadable_keys.load(Relaxed));
    fs::write(&copy, &whole).unwrap();
    fs::remove_file(room.folder.path().join("b/holds/case-1/claims")).unwrap();
    room.pass("2026-06-01T20:00:00Z").await;
    assert_eq!(told(&room)[0]["holds"], serde_json::json!(["case-1"]));
    // A start mends the copy and says so.
    let (folder, gate, log, clock) = (room.folder, room.gate, room.log, room.clock);
    let streams = room.retention.streams.clone();
    drop((room.retention, room.vault));
    fs::write(&copy, &bytes).unwrap();
    let config =
        || VaultConfig::new(folder.path().join("vault"), [folder.path().join("a"), folder.path().join("b")]);
    let start = |vault: &Vault| {
        let retention =
            Retention::open(folder.path(), gate.clone(), vault.clone(), streams.clone(), None).unwrap();
        let reading = Room::reading("2026-06-01T20:01:00Z", "2026-06-01T20:01:00Z");
        tokio::task::spawn_blocking(move || retention.pass_at(&reading))
    };
    let vault = Vault::open(config()).unwrap();
    start(&vault).await.unwrap();
    let data =
        log.entries.lock().unwrap().iter().find(|e| e.action == "keys.differ").unwrap().data.clone().unwrap();
    assert_eq!((&data["at"], &data["mended"]), (&serde_json::json!("start"), &serde_json::json!(1)));
    drop(vault);
    log.entries.lock().unwrap().clear();
    for copy in ["a", "b"] {
        fs::remove_file(folder.path().join(copy).join("slots")).unwrap();
    }
    let vault = Vault::open(config()).unwrap();
    start(&vault).await.unwrap();
    assert!(log.entries.lock().unwrap().iter().any(|e| e.action == "keys.lost"));
    drop(clock);
}
