//! A disk that fails, hangs or is full (decision 12).

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use common::{at, config, look, published};
use ledger::{Clock, DiskFaults, DiskStep, Entry, Filter, Ledger, LedgerConfig, LedgerError, verify};
use std::{
    collections::BTreeSet,
    fs, io,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// What the daemon gives a write.
const LIMIT: Duration = Duration::from_secs(2);

/// A disk that fails or hangs on command.
#[derive(Default)]
struct Disk {
    broken: AtomicBool,
    read_only: AtomicBool,
    hanging: (Mutex<bool>, Condvar),
    /// Whether somebody has waited for it.
    hung: AtomicBool,
}

impl Disk {
    fn hang(&self, hang: bool) {
        *self.hanging.0.lock().unwrap() = hang;
        self.hanging.1.notify_all();
    }
}

impl DiskFaults for Disk {
    fn before(&self, step: DiskStep) -> io::Result<()> {
        let mut hanging = self.hanging.0.lock().unwrap();
        while *hanging {
            self.hung.store(true, Ordering::SeqCst);
            hanging = self.hanging.1.wait(hanging).unwrap();
        }
        if step == DiskStep::Write && self.read_only.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(30));
        }
        if step == DiskStep::Sync && self.broken.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(28));
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_failing_disk_refuses_at_once_keeps_the_cuts_and_comes_back_by_itself() {
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk::default());
    let ledger = Ledger::open(LedgerConfig { faults: Some(disk.clone()), ..config(root.path()) }).unwrap();
    let mut health = ledger.health();
    ledger.append(look("live_view.start", "L1", "a", "ENS-C01")).await.unwrap();
    disk.broken.store(true, Ordering::SeqCst);
    let failed = ledger.append(look("live_view.start", "L2", "a", "ENS-C01")).await;
    assert!(matches!(failed, Err(LedgerError::Write(_))), "{failed:?}");
    assert!(!health.borrow().writable && health.borrow().failing_since.is_some());
    let refused = ledger.append(look("live_view.start", "L3", "a", "ENS-C01")).await;
    assert!(matches!(refused, Err(LedgerError::Unwritable { .. })), "{refused:?}");
    ledger.append_spooled(look("live_view.stop", "L1", "a", "ENS-C01"));
    assert_eq!(ledger.size(), 1);

    disk.broken.store(false, Ordering::SeqCst);
    health.wait_for(|health| health.writable && health.entries == 3 && health.spooled == 0).await.unwrap();
    assert_eq!(health.borrow().failing_since, None);
    let leaves = ledger.entries(0, 10).unwrap();
    let find =
        |action: &str| leaves.iter().map(|(_, leaf)| leaf).find(|leaf| leaf["action"] == action).unwrap();
    let stop = find("live_view.stop");
    assert_eq!(stop["at"], "2026-11-18T11:06:40.123Z");
    assert!(stop["logged_at"].as_str().unwrap() > "2026-11-18T11:06:40.123Z", "both times: {stop}");
    assert_eq!(find("ledger.recovered")["data"]["refused"], 1);
    ledger.append(look("live_view.start", "L4", "a", "ENS-C01")).await.unwrap();
    published(&ledger, 4).await;
    verify(&root.path().join("log"), &ledger.vkey(), &[]).unwrap();
}

#[tokio::test]
async fn cuts_spooled_while_the_disk_fails_survive_a_crash() {
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk::default());
    let ledger = Ledger::open(LedgerConfig { faults: Some(disk.clone()), ..config(root.path()) }).unwrap();
    ledger.append(look("live_view.start", "L1", "a", "ENS-C01")).await.unwrap();
    disk.broken.store(true, Ordering::SeqCst);
    ledger.append(look("live_view.start", "L2", "a", "ENS-C01")).await.unwrap_err();
    ledger.append_spooled(look("live_view.stop", "L1", "a", "ENS-C01"));
    drop(ledger);
    let ledger = Ledger::open(config(root.path())).unwrap();
    ledger.health().wait_for(|health| health.entries >= 2 && health.spooled == 0).await.unwrap();
    assert_eq!(ledger.query(&Filter { look: Some("L1".to_owned()), ..Filter::default() }).unwrap().len(), 3);
    // The start's closing "unknown" and the true end are both there: the true one names its time.
    let stops =
        ledger.query(&Filter { action: Some("live_view.stop".to_owned()), ..Filter::default() }).unwrap();
    assert_eq!(stops.len(), 2);
}

#[tokio::test]
async fn a_hanging_disk_refuses_after_two_seconds_and_what_lands_later_is_disowned() {
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk::default());
    let ledger =
        Ledger::open(LedgerConfig { limit: LIMIT, faults: Some(disk.clone()), ..config(root.path()) })
            .unwrap();
    let mut health = ledger.health();
    disk.hang(true);
    let began = Instant::now();
    let slow = ledger.append(look("live_view.start", "L1", "a", "ENS-C01")).await;
    assert!(matches!(slow, Err(LedgerError::Slow)), "{slow:?}");
    assert!(began.elapsed() >= LIMIT);
    // The disk still hangs: neither waits for it.
    let refused = ledger.append(look("live_view.start", "L2", "a", "ENS-C01")).await;
    assert!(matches!(refused, Err(LedgerError::Unwritable { .. })));
    ledger.append_spooled(look("live_view.stop", "L0", "a", "ENS-C01"));
    disk.hang(false);
    health.wait_for(|health| health.writable && health.entries >= 4).await.unwrap();
    let leaves = ledger.entries(0, 10).unwrap();
    let actions: BTreeSet<_> = leaves.iter().map(|(_, leaf)| leaf["action"].as_str().unwrap()).collect();
    assert_eq!(
        actions,
        ["live_view.start", "live_view.stop", "ledger.recovered", "ledger.unanswered"].into()
    );
    let disowned = leaves.iter().find(|(_, leaf)| leaf["action"] == "ledger.unanswered").unwrap();
    assert_eq!((disowned.1["data"]["refers"].as_u64(), &disowned.1["look"]), (Some(0), &"L1".into()));
    assert!(ledger.open_looks().is_empty());
}

/// A small file system of its own, taken away again also when the test fails.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    /// None where it cannot be mounted, which the test then says.
    fn mount(at: std::path::PathBuf) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: mounting a small file system needs root");
            return None;
        }
        fs::create_dir(&at).unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(&at)
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            eprintln!("skipped: a small file system could not be mounted");
            return None;
        }
        Some(Self(at))
    }

    fn remount(&self, how: &str) {
        let option = format!("remount,{how}");
        let status = std::process::Command::new("mount").args(["-o", &option]).arg(&self.0).status();
        assert!(status.unwrap().success(), "{option}");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        std::process::Command::new("umount").arg(&self.0).status().ok();
    }
}

#[tokio::test]
async fn a_full_disk_is_survived_and_noticed_when_it_has_room_again() {
    let root = tempfile::tempdir().unwrap();
    let small = root.path().join("small");
    let Some(_disk) = SmallDisk::mount(small.clone()) else { return };
    let config = LedgerConfig { spool_bytes: 64 << 10, ..config(&small) };
    let ledger = Ledger::open(config.clone()).unwrap();
    let mut health = ledger.health();
    let durable = ledger.append(Entry::heartbeat(at(0), Clock::Unknown)).await.unwrap().seq + 1;
    // Somebody else fills the disk, to the last byte of the sequence file's last page too.
    let filler = small.join("filler");
    let fill = || {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&filler).unwrap();
        while io::Write::write(&mut file, &[1; 4096]).is_ok_and(|written| written > 0) {}
    };
    fill();
    let mut written = durable;
    let error = loop {
        match ledger.append(Entry::heartbeat(at(1), Clock::Unknown)).await {
            Ok(receipt) => written = receipt.seq + 1,
            Err(e) => break e,
        }
        fill();
    };
    assert!(matches!(error, LedgerError::Write(_)), "{error}");
    assert!(!health.borrow().writable);
    ledger.append_spooled(look("live_view.stop", "L1", "a", "ENS-C01"));
    // A restart on the full disk opens, and does not pretend.
    drop(ledger);
    fs::remove_file(small.join("log/index.sqlite")).unwrap();
    fill();
    let ledger = Ledger::open(config).unwrap();
    health.borrow_and_update();
    let mut health = ledger.health();
    health.wait_for(|health| !health.writable).await.unwrap();
    assert_eq!(ledger.size(), written);
    // What a start must know of the log it finds without an index, too.
    assert_eq!(ledger.newest("ledger.heartbeat").unwrap().map(|(seq, _)| seq), Some(written - 1));
    fs::remove_file(&filler).unwrap();
    health.wait_for(|health| health.writable && health.spooled == 0).await.unwrap();
    ledger.append(look("live_view.start", "L2", "a", "ENS-C01")).await.unwrap();
    let stop =
        ledger.query(&Filter { action: Some("live_view.stop".to_owned()), ..Filter::default() }).unwrap();
    assert_eq!(stop.len(), 1);
    published(&ledger, ledger.size()).await;
    verify(&small.join("log"), &ledger.vkey(), &[]).unwrap();
}

#[tokio::test]
async fn a_disk_that_turned_read_only_is_a_failing_one() {
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk::default());
    let ledger = Ledger::open(LedgerConfig { faults: Some(disk.clone()), ..config(root.path()) }).unwrap();
    ledger.append(look("live_view.start", "L1", "a", "ENS-C01")).await.unwrap();
    disk.read_only.store(true, Ordering::SeqCst);
    let refused = ledger.append(look("live_view.start", "L2", "a", "ENS-C01")).await;
    assert!(matches!(&refused, Err(LedgerError::Write(why)) if why.contains("Read-only")), "{refused:?}");
    // The cut is kept, and stands in the log when it can be written again.
    ledger.append_spooled(look("live_view.stop", "L1", "a", "ENS-C01"));
    disk.read_only.store(false, Ordering::SeqCst);
    ledger.health().wait_for(|health| health.writable).await.unwrap();
    assert!(ledger.open_looks().is_empty());
}

#[tokio::test]
async fn a_probe_finds_a_failing_disk_without_an_entry() {
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk::default());
    let ledger = Ledger::open(LedgerConfig { faults: Some(disk.clone()), ..config(root.path()) }).unwrap();
    ledger.append(look("live_view.start", "L1", "a", "ENS-C01")).await.unwrap();
    ledger.probe().await.unwrap();
    assert_eq!(ledger.size(), 1, "a probe is no entry");
    disk.broken.store(true, Ordering::SeqCst);
    assert!(ledger.probe().await.is_err());
    let mut health = ledger.health();
    assert!(!health.borrow().writable);
    disk.broken.store(false, Ordering::SeqCst);
    health.wait_for(|health| health.writable).await.unwrap();
    ledger.probe().await.unwrap();
    let actions: Vec<_> =
        ledger.entries(0, 10).unwrap().into_iter().map(|(_, leaf)| leaf["action"].clone()).collect();
    assert_eq!(actions, ["live_view.start", "ledger.recovered"]);
    // Disowned by its witness it stays as it is, also when the machine is started again.
    ledger.disown("the witness has signed more", &shown(root.path()));
    assert!(matches!(
        ledger.append(look("live_view.stop", "L1", "a", "ENS-C01")).await,
        Err(LedgerError::Rewritten(_))
    ));
    ledger.append_spooled(look("live_view.stop", "L1", "a", "ENS-C01"));
    let length = fs::metadata(root.path().join("log/sequence")).unwrap().len();
    drop(ledger);
    for kept in ["both", "elsewhere"] {
        let refused = Ledger::open(config(root.path()));
        assert!(matches!(refused, Err(LedgerError::Rewritten(_))), "{kept}: {refused:?}");
        drop(fs::remove_file(root.path().join("log/checkpoint.witnessed")));
    }
    assert_eq!(fs::metadata(root.path().join("log/sequence")).unwrap().len(), length, "nothing was appended");
}

#[tokio::test]
async fn a_write_that_ends_after_the_log_was_disowned_opens_it_no_more() {
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk::default());
    let ledger = Ledger::open(LedgerConfig { faults: Some(disk.clone()), ..config(root.path()) }).unwrap();
    ledger.append(look("live_view.start", "L1", "a", "ENS-C01")).await.unwrap();
    disk.broken.store(true, Ordering::SeqCst);
    assert!(ledger.append(look("live_view.start", "L2", "a", "ENS-C01")).await.is_err());
    // The write that would recover is under way when the witness shows what it signed.
    disk.hang(true);
    disk.broken.store(false, Ordering::SeqCst);
    let end = Instant::now() + Duration::from_mins(1);
    while !disk.hung.load(Ordering::SeqCst) {
        assert!(Instant::now() < end, "the log is not tried again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ledger.disown("the witness has signed more", &shown(root.path()));
    disk.hang(false);
    let mut health = ledger.health();
    let landed = health.wait_for(|health| health.entries > 1).await.unwrap();
    assert!(!landed.writable, "a disowned log takes entries again");
}

/// A checkpoint of more entries than there are, under the log's own key.
fn shown(root: &std::path::Path) -> String {
    let key = ledger::LogKey::load_or_create(&root.join("keys/log.key"), "rtr.example/test").unwrap();
    key.sign(99, [7; 32]).unwrap()
}

#[tokio::test]
async fn a_folder_put_back_from_last_night_is_refused_though_all_in_it_fits() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    let police =
        ledger::note::CosignerKey::load_or_create(&root.path().join("witness.key"), "politie.example/w")
            .unwrap();
    ledger.trust_witness(&police.vkey()).unwrap();
    let cosign = async |ledger: &Ledger, second: i64| {
        published(ledger, ledger.size()).await;
        let note = ledger.checkpoint().unwrap();
        let checkpoint = ledger::note::Checkpoint::read(&note, &ledger.vkey()).unwrap();
        let line = police.cosign(&checkpoint.text, common::at(second)).unwrap();
        ledger.record_cosignature(&checkpoint.with_cosignatures(&line)).unwrap();
    };
    for n in 0..5 {
        ledger.append(Entry::heartbeat(common::at(n), ledger::Clock::Unknown)).await.unwrap();
    }
    cosign(&ledger, 10).await;
    let log = root.path().join("log");
    let night = root.path().join("night");
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        std::process::Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap();
    };
    copy(&log, &night);
    ledger.append(Entry::heartbeat(common::at(20), ledger::Clock::Unknown)).await.unwrap();
    cosign(&ledger, 30).await;
    drop(ledger);
    fs::remove_dir_all(&log).unwrap();
    copy(&night, &log);
    let refused = Ledger::open(config(root.path()));
    assert!(
        matches!(&refused, Err(LedgerError::Rewritten(why)) if why.contains("6 entries were signed, 5 are on disk")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_start_on_a_read_only_disk_opens_unwritable_and_comes_back_by_itself() {
    let root = tempfile::tempdir().unwrap();
    let small = root.path().join("small");
    let Some(disk) = SmallDisk::mount(small.clone()) else { return };
    let keys = root.path().join("keys");
    let config = LedgerConfig {
        dir: small.join("log"),
        spool_bytes: 64 << 10,
        ..LedgerConfig::new(&small, keys.join("log.key"), "rtr.example/test")
    };
    let ledger = Ledger::open(config.clone()).unwrap();
    ledger.append(look("live_view.start", "L1", "a", "ENS-C01")).await.unwrap();
    ledger.append(look("live_view.start", "L2", "a", "ENS-C01")).await.unwrap();
    drop(ledger);
    for throw_away in [&[][..], &["index.sqlite", "progress", "offsets", "spool"]] {
        let before = fs::metadata(small.join("log/sequence")).unwrap().len();
        for file in throw_away {
            fs::remove_file(small.join("log").join(file)).unwrap();
        }
        disk.remount("ro");
        let ledger = Ledger::open(config.clone()).unwrap();
        let mut health = ledger.health();
        assert!(!health.borrow().writable && health.borrow().failing_since.is_some());
        let refused = ledger.append(look("live_view.start", "L3", "a", "ENS-C01")).await;
        assert!(matches!(refused, Err(LedgerError::Unwritable { .. })), "{refused:?}");
        let (newest, _) = ledger.newest("live_view.start").unwrap().unwrap();
        assert_eq!(newest, 1, "read without an index that could be written");
        ledger.append_spooled(Entry::new(at(5), ledger::Operation::Collect, "record.gap"));
        assert_eq!(fs::metadata(small.join("log/sequence")).unwrap().len(), before);
        disk.remount("rw");
        health.wait_for(|health| health.writable && health.spooled == 0).await.unwrap();
        ledger.append(Entry::heartbeat(at(9), Clock::Unknown)).await.unwrap();
        published(&ledger, ledger.size()).await;
        verify(&small.join("log"), &ledger.vkey(), &[]).unwrap();
    }
    let ledger = Ledger::open(config).unwrap();
    let count = |action: &str| {
        let filter = Filter { action: Some(action.to_owned()), ..Filter::default() };
        ledger.query(&filter).unwrap().len()
    };
    assert_eq!((count("record.gap"), count("live_view.stop")), (2, 2), "each logged once");
}

#[tokio::test]
async fn what_was_refused_and_lost_is_told_though_the_process_died() {
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk::default());
    let config = LedgerConfig { spool_bytes: 4096, ..config(root.path()) };
    let ledger = Ledger::open(LedgerConfig { faults: Some(disk.clone()), ..config.clone() }).unwrap();
    ledger.append(look("live_view.start", "L1", "a", "ENS-C01")).await.unwrap();
    disk.broken.store(true, Ordering::SeqCst);
    ledger.append(look("live_view.start", "L2", "a", "ENS-C01")).await.unwrap_err();
    ledger.append(look("live_view.start", "L3", "a", "ENS-C01")).await.unwrap_err();
    let mut large = Entry::new(at(1), ledger::Operation::Collect, "record.gap");
    large.data = Some("x".repeat(70_000).into());
    ledger.append_spooled(large);
    // The stop tries once more, and keeps what it could not say.
    drop(ledger);
    let ledger = Ledger::open(config).unwrap();
    let told = async || {
        ledger.health().wait_for(|health| health.entries >= 2).await.unwrap();
        ledger.newest("ledger.recovered").unwrap()
    };
    let (_, told) = told().await.unwrap();
    assert_eq!((&told["data"]["refused"], &told["data"]["spool_lost"]), (&1.into(), &1.into()), "{told}");
    let size = ledger.size();
    drop(ledger);
    let ledger = Ledger::open(common::config(root.path())).unwrap();
    ledger.append(Entry::heartbeat(at(9), Clock::Unknown)).await.unwrap();
    assert_eq!(ledger.size(), size + 1, "told once");
}

#[tokio::test]
async fn a_slow_disk_does_not_keep_a_cut_waiting_though_it_is_tried_again() {
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk::default());
    let ledger =
        Ledger::open(LedgerConfig { limit: LIMIT, faults: Some(disk.clone()), ..config(root.path()) })
            .unwrap();
    ledger.append(look("live_view.start", "L1", "a", "ENS-C01")).await.unwrap();
    disk.hang(true);
    assert!(matches!(ledger.probe().await, Err(LedgerError::Slow)));
    assert!(!ledger.health().borrow().writable, "no new look from here on");
    // The disk still hangs: none of them waits for it.
    for _ in 0..3 {
        ledger.append_spooled(look("live_view.stop", "L1", "a", "ENS-C01"));
    }
    disk.hang(false);
    ledger.health().wait_for(|health| health.writable && health.spooled == 0).await.unwrap();
    assert_eq!(ledger.newest("ledger.recovered").unwrap().unwrap().1["data"]["spool_lost"], 0);
}

#[tokio::test]
async fn what_an_old_log_owed_stands_in_the_one_that_follows_it() {
    let root = tempfile::tempdir().unwrap();
    let old = Ledger::open(config(root.path())).unwrap();
    for (look_id, camera) in [("L1", "ENS-C01"), ("L2", "ENS-C02")] {
        old.append(look("live_view.start", look_id, "a", camera)).await.unwrap();
    }
    // The police showed that history is missing: from here on nothing is appended, and a running look is cut.
    old.disown("the witness has signed more", &shown(root.path()));
    old.append_spooled(look("live_view.stop", "L1", "a", "ENS-C01"));
    let vkey = old.vkey();
    drop(old);
    let (dir, aside) = (root.path().join("log"), root.path().join("log-until-2"));
    fs::rename(&dir, &aside).unwrap();
    for name in ["key", "witnessed"] {
        let keys = root.path().join("keys");
        fs::rename(keys.join(format!("log.{name}")), keys.join(format!("old.{name}"))).unwrap();
    }

    let owed = ledger::Owed::read(&aside, &vkey).unwrap();
    assert_eq!(owed.len(), (1, 1));
    let new = Ledger::open(LedgerConfig { origin: "rtr.example/test-2".to_owned(), ..config(root.path()) });
    let new = new.unwrap();
    new.append(Entry::new(at(90), ledger::Operation::Admin, "ledger.epoch")).await.unwrap();
    new.carry_over(&owed);
    new.health().wait_for(|health| health.entries == 3).await.unwrap();
    let leaves = new.entries(0, 10).unwrap();
    assert_eq!(leaves[0].1["action"], "ledger.epoch");
    let (cut, closed) = (&leaves[1].1, &leaves[2].1);
    assert_eq!((&cut["action"], &cut["look"]), (&"live_view.stop".into(), &"L1".into()));
    assert!(cut["logged_at"].as_str().unwrap() > cut["at"].as_str().unwrap(), "both times: {cut}");
    assert_eq!(new.details(1).unwrap().unwrap().actor.as_deref(), Some("a"), "its details still open");
    assert_eq!((&closed["look"], &closed["outcome"]), (&"L2".into(), &"unknown".into()));
    assert_eq!((&closed["data"]["start"], &closed["data"]["log"]), (&1.into(), &vkey.into()));
    published(&new, 3).await;
    verify(&dir, &new.vkey(), &[]).unwrap();
}
