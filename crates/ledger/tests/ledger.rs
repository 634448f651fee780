//! The ledger as its callers see it: durability, crashes, failing disks, proofs, queries.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use chrono::{DateTime, TimeDelta, Utc};
use ledger::{
    Actor, Clock, DiskFaults, DiskStep, Entry, Filter, Justification, Ledger, LedgerConfig, LedgerError,
    Object, Operation, Origin, Outcome, note::CosignerKey, verify,
};
use proptest::prelude::*;
use std::{
    collections::BTreeSet,
    fs, io,
    path::Path,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

fn config(root: &Path) -> LedgerConfig {
    LedgerConfig::new(root.join("log"), root.join("keys/log.key"), "rtr.example/test")
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000 + second, 123_000_000).unwrap()
}

fn look(action: &'static str, look: &str, person: &str, camera: &str) -> Entry {
    Entry {
        look: Some(look.to_owned()),
        actor: Actor::Person {
            person: person.to_owned(),
            role: "observer".to_owned(),
            organisation: "rj-security".to_owned(),
            authorisation: Some("AUT-1".to_owned()),
        },
        origin: Origin {
            workstation: Some("desk-3".to_owned()),
            address: Some("10.0.0.7".to_owned()),
            session: None,
        },
        object: Some(Object::camera(camera, "enschede")),
        outcome: Outcome::Permit,
        ..Entry::new(at(0), Operation::Consult, action)
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn published(ledger: &Ledger, size: u64) {
    ledger.published().wait_for(|published| *published >= size).await.unwrap();
}

#[tokio::test]
async fn an_entry_is_a_canonical_leaf_without_personal_data() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    let entry = Entry {
        justification: Justification {
            purpose: Some("incident".to_owned()),
            case_number: Some("PL0600-2026123456".to_owned()),
            note: Some("man met rode jas".to_owned()),
            ..Justification::default()
        },
        ..look("live_view.start", "L1", "j.jansen", "ENS-C01")
    };
    let receipt = ledger.append(entry).await.unwrap();
    assert_eq!((receipt.seq, receipt.at), (0, at(0)));
    let leaf = String::from_utf8(ledger.leaf(0).unwrap()).unwrap();
    for secret in ["jansen", "desk-3", "10.0.0.7", "PL0600", "rode jas"] {
        assert!(!leaf.contains(secret), "{leaf}");
    }
    assert!(leaf.starts_with(r#"{"action":"live_view.start","actor":{"authorisation":"sha256:"#), "{leaf}");
    assert!(leaf.contains(r#""at":"2026-11-18T11:06:40.123Z""#), "{leaf}");
    let (_, value) = ledger.entries(0, 10).unwrap().remove(0);
    assert_eq!(ledger::canonical::to_canonical(&value).unwrap(), leaf);
    // Whoever holds the month's key sees what stands behind it, and that it fits.
    let details = ledger.details(0).unwrap().unwrap();
    assert_eq!(details.actor.as_deref(), Some("j.jansen"));
    assert_eq!(details.committed["justification.note"].text, "man met rode jas");
    for (place, opening) in &details.committed {
        let (group, field) = place.split_once('.').unwrap();
        assert_eq!(value[group][field], opening.commitment(place), "{place}");
    }
    assert_eq!(ledger.pseudonym("j.jansen", at(0)).unwrap().as_deref(), value["actor"]["pseudonym"].as_str());
    // Without the key the leaf remains and the details do not. (Once the writer has had a second round it has made this
    // month's key sure and does not make it again.)
    ledger.append(Entry::heartbeat(at(1), Clock::Unknown)).await.unwrap();
    ledger.destroy_month("2026-11").unwrap();
    assert_eq!(ledger.details(0).unwrap(), None);
    assert_eq!(ledger.leaf(0).unwrap(), leaf.as_bytes());
}

#[tokio::test]
async fn a_person_has_another_pseudonym_each_month() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    for days in [0, 1, 31] {
        let entry = Entry { at: at(days * 86_400), ..look("replay.start", "L", "a", "ENS-C01") };
        ledger.append(entry).await.unwrap();
    }
    let names: Vec<_> = ledger
        .entries(0, 9)
        .unwrap()
        .iter()
        .map(|(_, leaf)| leaf["actor"]["pseudonym"].to_string())
        .collect();
    assert_eq!(names[0], names[1]);
    assert_ne!(names[0], names[2]);
    // And is found under both.
    let found = ledger.query(&Filter { who: Some("a".to_owned()), ..Filter::default() }).unwrap();
    assert_eq!(found.len(), 3);
}

#[tokio::test]
async fn the_published_log_verifies_and_every_damage_is_seen() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    let vkey = ledger.vkey();
    let appends = (0..600).map(|i| ledger.append(Entry::heartbeat(at(i), Clock::Synchronised)));
    for outcome in futures_join(appends).await {
        outcome.unwrap();
    }
    published(&ledger, 600).await;
    let dir = root.path().join("log");
    let seen = verify(&dir, &vkey, &[]).unwrap();
    assert_eq!(seen.size, 600);
    let proof = ledger.inclusion(431, 600).unwrap();
    assert_eq!(proof.root, seen.root);
    assert!(proof.holds_for(&ledger.leaf(431).unwrap()));
    assert!(proof.to_text(&ledger.checkpoint().unwrap()).starts_with("c2sp.org/tlog-proof@v1\nindex 431\n"));
    // One flipped bit anywhere in the published files.
    let whole: Vec<_> = [
        "tile/0/000",
        "tile/0/001",
        "tile/0/002.p/88",
        "tile/1/000.p/2",
        "tile/entries/000",
        "tile/entries/002.p/88",
    ]
    .iter()
    .map(|name| dir.join(name))
    .collect();
    drop(ledger);
    for path in whole {
        let good = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut bent = good.clone();
        let middle = bent.len() / 2;
        bent[middle] ^= 1;
        fs::write(&path, bent).unwrap();
        assert!(verify(&dir, &vkey, &[]).is_err(), "{}", path.display());
        fs::write(&path, good).unwrap();
    }
    // A start puts right what the tiles lack.
    fs::write(dir.join("tile/0/000"), b"").unwrap();
    fs::remove_file(dir.join("checkpoint")).unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    published(&ledger, 600).await;
    assert_eq!(verify(&dir, &vkey, &[]).unwrap(), seen);
}

/// Waits for all of them at the same time.
async fn futures_join<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.into_iter().map(|f| (Box::pin(f), None)).collect();
    std::future::poll_fn(|cx| {
        for (future, output) in &mut waiting {
            if output.is_none()
                && let std::task::Poll::Ready(ready) = future.as_mut().poll(cx)
            {
                *output = Some(ready);
            }
        }
        if waiting.iter().all(|(_, output)| output.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    waiting.into_iter().map(|(_, output)| output.unwrap()).collect()
}

#[test]
fn sixty_four_writers_at_once_share_their_syncs() {
    #[derive(Default)]
    struct Syncs(AtomicU64);
    impl DiskFaults for Syncs {
        fn before(&self, step: DiskStep) -> io::Result<()> {
            if step == DiskStep::Sync {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        }
    }
    let root = tempfile::tempdir().unwrap();
    let syncs = Arc::new(Syncs::default());
    let ledger = Ledger::open(LedgerConfig { faults: Some(syncs.clone()), ..config(root.path()) }).unwrap();
    let began = Instant::now();
    let threads: Vec<_> = (0..64)
        .map(|writer| {
            let ledger = ledger.clone();
            std::thread::spawn(move || {
                runtime().block_on(async move {
                    let mut receipts = Vec::new();
                    for n in 0..20 {
                        let name = format!("{writer}-{n}");
                        let receipt =
                            ledger.append(look("live_view.start", &name, "a", "ENS-C01")).await.unwrap();
                        receipts.push((receipt.seq, name));
                    }
                    receipts
                })
            })
        })
        .collect();
    let receipts: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    let took = began.elapsed();
    let leaves = ledger.entries(0, 2000).unwrap();
    assert_eq!(leaves.len(), 64 * 20);
    for (seq, name) in &receipts {
        assert_eq!(leaves[*seq as usize].1["look"], name.as_str(), "the receipt names its own entry");
    }
    assert_eq!(receipts.iter().map(|(seq, _)| *seq).collect::<BTreeSet<_>>().len(), 64 * 20);
    let syncs = syncs.0.load(Ordering::Relaxed);
    eprintln!(
        "1280 entries by 64 writers: {took:?}, {syncs} syncs, {:.0} entries/s",
        1280.0 / took.as_secs_f64()
    );
    assert!(syncs < 1280, "{syncs} syncs: no group commit");
}

#[test]
fn looks_that_a_crash_left_open_are_closed_at_the_start() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    runtime().block_on(async {
        ledger.append(look("live_view.start", "L1", "a", "ENS-C01")).await.unwrap();
        ledger.append(look("replay.start", "L2", "a", "ENS-C02")).await.unwrap();
        let refused = Entry {
            outcome: Outcome::Deny { reason_code: "OUTSIDE_LIVE_WINDOW".to_owned() },
            ..look("live_view.start", "L3", "a", "ENS-C01")
        };
        ledger.append(refused).await.unwrap();
        ledger.append_spooled(Entry { at: at(5), ..look("live_view.stop", "L1", "a", "ENS-C01") });
        ledger.append(Entry::heartbeat(at(60), Clock::Unknown)).await.unwrap();
    });
    assert_eq!(ledger.open_looks().iter().map(|l| l.look.as_str()).collect::<Vec<_>>(), ["L2"]);
    drop(ledger);
    let ledger = Ledger::open(config(root.path())).unwrap();
    runtime().block_on(async {
        let mut health = ledger.health();
        health.wait_for(|health| health.entries == 6).await.unwrap();
    });
    let (_, closing) = ledger.entries(5, 1).unwrap().remove(0);
    assert_eq!(closing["action"], "replay.stop");
    assert_eq!(closing["look"], "L2");
    assert_eq!(closing["outcome"], "unknown");
    assert_eq!(closing["object"]["camera"], "ENS-C02");
    assert_eq!(closing["data"]["start"], 1);
    assert_eq!(closing["data"]["between"][0], "2026-11-18T11:07:40.123Z");
    assert!(ledger.open_looks().is_empty());
    drop(ledger);
    // Once is enough.
    let ledger = Ledger::open(config(root.path())).unwrap();
    assert_eq!(ledger.size(), 6);
}

#[test]
fn cut_at_any_byte_of_the_last_record_the_log_goes_on_from_the_one_before() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    runtime().block_on(async {
        for n in 0..3 {
            ledger.append(Entry::heartbeat(at(n), Clock::Unknown)).await.unwrap();
        }
    });
    let path = root.path().join("log/sequence");
    let before = fs::metadata(&path).unwrap().len() as usize;
    runtime().block_on(ledger.append(look("live_view.start", "L1", "a", "ENS-C01"))).unwrap();
    drop(ledger);
    let whole = fs::read(&path).unwrap();
    // As if the power went before the checkpoint of the last entry was published.
    for cut in (before..whole.len()).step_by(31) {
        let copy = tempfile::tempdir().unwrap();
        fs::create_dir_all(copy.path().join("log")).unwrap();
        fs::write(copy.path().join("log/sequence"), &whole[..cut]).unwrap();
        let ledger = Ledger::open(config(copy.path())).unwrap();
        runtime().block_on(async {
            // A torn tail is itself worth an entry.
            let expected = 3 + u64::from(cut > before);
            ledger.health().wait_for(|health| health.entries == expected).await.unwrap();
            let receipt = ledger.append(Entry::heartbeat(at(9), Clock::Unknown)).await.unwrap();
            assert_eq!(receipt.seq, expected, "cut at {cut}");
        });
        let (vkey, size) = (ledger.vkey(), ledger.size());
        drop(ledger);
        assert_eq!(verify(&copy.path().join("log"), &vkey, &[]).unwrap().size, size);
    }
    // But a log that is shorter than what was signed is not continued.
    fs::write(&path, &whole[..before]).unwrap();
    assert!(matches!(Ledger::open(config(root.path())), Err(LedgerError::Rewritten(_))));
    // Nor one that was rewritten with every checksum right.
    let other = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(other.path())).unwrap();
    runtime().block_on(async {
        for n in 0..9 {
            ledger.append(Entry::heartbeat(at(n + 100), Clock::Unknown)).await.unwrap();
        }
    });
    drop(ledger);
    fs::copy(other.path().join("log/sequence"), &path).unwrap();
    assert!(matches!(Ledger::open(config(root.path())), Err(LedgerError::Rewritten(_))));
    fs::write(&path, &whole).unwrap();
    assert_eq!(Ledger::open(config(root.path())).unwrap().size(), 4);
}

/// A disk that fails or hangs on command.
#[derive(Default)]
struct Disk {
    broken: AtomicBool,
    hanging: (Mutex<bool>, Condvar),
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
            hanging = self.hanging.1.wait(hanging).unwrap();
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
    let ledger = Ledger::open(LedgerConfig { faults: Some(disk.clone()), ..config(root.path()) }).unwrap();
    let mut health = ledger.health();
    disk.hang(true);
    let began = Instant::now();
    let slow = ledger.append(look("live_view.start", "L1", "a", "ENS-C01")).await;
    assert!(matches!(slow, Err(LedgerError::Slow)), "{slow:?}");
    assert!(began.elapsed() >= Duration::from_secs(2));
    let began = Instant::now();
    let refused = ledger.append(look("live_view.start", "L2", "a", "ENS-C01")).await;
    assert!(matches!(refused, Err(LedgerError::Unwritable { .. })));
    ledger.append_spooled(look("live_view.stop", "L0", "a", "ENS-C01"));
    assert!(began.elapsed() < Duration::from_secs(1), "neither waits for the disk");
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

/// Takes the small file system away again, also when the test fails.
struct Unmount(std::path::PathBuf);
impl Drop for Unmount {
    fn drop(&mut self) {
        std::process::Command::new("umount").arg(&self.0).status().ok();
    }
}

#[tokio::test]
async fn a_full_disk_is_survived_and_noticed_when_it_has_room_again() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: mounting a small file system needs root");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let small = root.path().join("small");
    fs::create_dir(&small).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
        .arg(&small)
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("skipped: a small file system could not be mounted");
        return;
    }
    let _unmount = Unmount(small.clone());
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
    let ledger = Ledger::open(config).unwrap();
    health.borrow_and_update();
    let mut health = ledger.health();
    health.wait_for(|health| !health.writable).await.unwrap();
    assert_eq!(ledger.size(), written);
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
async fn a_cosignature_counts_only_from_a_trusted_witness_on_this_log() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    let police =
        CosignerKey::load_or_create(&root.path().join("witness.key"), "politie.example/witness").unwrap();
    ledger.append(Entry::heartbeat(at(0), Clock::Unknown)).await.unwrap();
    published(&ledger, 1).await;
    let note = ledger.checkpoint().unwrap();
    let text = note.split_once("\n\n").unwrap().0.to_owned() + "\n";
    let cosigned = note.clone() + &police.cosign(&text, at(60)).unwrap();
    assert!(ledger.record_cosignature(&cosigned).is_err(), "nobody trusts it yet");
    ledger.trust_witness(&police.vkey()).unwrap();
    assert!(ledger.record_cosignature(&note).is_err(), "no cosignature");
    // As the witness does it: a file in the log's folder.
    fs::write(root.path().join("log/cosignature"), &cosigned).unwrap();
    let mut health = ledger.health();
    health.wait_for(|health| health.witnessed_at.is_some()).await.unwrap();
    let expected = DateTime::from_timestamp(at(60).timestamp(), 0);
    assert_eq!((health.borrow().witnessed_at, health.borrow().witnessed_entries), (expected, 1));
    let key = ledger::WitnessKey::parse(&police.vkey()).unwrap();
    let seen = verify(&root.path().join("log"), &ledger.vkey(), std::slice::from_ref(&key)).unwrap();
    assert_eq!(seen.witnessed, [("politie.example/witness".to_owned(), 1, expected.unwrap())]);
    // It survives a restart.
    drop(ledger);
    let ledger =
        Ledger::open(LedgerConfig { witnesses: vec![police.vkey()], ..config(root.path()) }).unwrap();
    assert_eq!(ledger.health().borrow().witnessed_at, expected);
}

#[tokio::test]
async fn the_index_finds_and_is_rebuilt_when_it_does_not_fit() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    for n in 0..40_i64 {
        let entry = Entry {
            at: at(n),
            object: Some(Object::camera(
                format!("C{}", n % 4),
                if n % 2 == 0 { "enschede" } else { "borne" },
            )),
            outcome: if n % 5 == 0 {
                Outcome::Deny { reason_code: "NOT_ON_SHIFT".to_owned() }
            } else {
                Outcome::Permit
            },
            look: None,
            ..look(
                if n % 3 == 0 { "live_view.start" } else { "replay.start" },
                "L",
                if n % 2 == 0 { "a" } else { "b" },
                "",
            )
        };
        ledger.append(entry).await.unwrap();
    }
    let ask = |ledger: &Ledger, filter: Filter| -> Vec<u64> {
        ledger.query(&filter).unwrap().into_iter().map(|(seq, _)| seq).collect()
    };
    let some = |text: &str| Some(text.to_owned());
    let check = |ledger: &Ledger| {
        let all = |keep: fn(u64) -> bool| (0..40).filter(|n| keep(*n)).collect::<Vec<_>>();
        assert_eq!(ask(ledger, Filter { camera: some("C3"), ..Filter::default() }), all(|n| n % 4 == 3));
        assert_eq!(
            ask(ledger, Filter { municipality: some("borne"), ..Filter::default() }),
            all(|n| n % 2 == 1)
        );
        assert_eq!(ask(ledger, Filter { outcome: some("deny"), ..Filter::default() }), all(|n| n % 5 == 0));
        assert_eq!(
            ask(ledger, Filter { action: some("live_view."), ..Filter::default() }),
            all(|n| n % 3 == 0)
        );
        assert_eq!(
            ask(
                ledger,
                Filter {
                    who: some("a"),
                    action: some("replay.start"),
                    from: Some(at(10)),
                    until: Some(at(20)),
                    ..Filter::default()
                }
            ),
            all(|n| n % 2 == 0 && n % 3 != 0 && (10..20).contains(&n))
        );
        assert_eq!(
            ask(ledger, Filter { newest_first: true, limit: 2, before: Some(39), ..Filter::default() }),
            [38, 37]
        );
        assert!(ask(ledger, Filter { who: some("nobody"), ..Filter::default() }).is_empty());
        assert!(ask(ledger, Filter { camera: some("C3' OR 1"), ..Filter::default() }).is_empty());
    };
    check(&ledger);
    drop(ledger);
    // Another log's index, and no database at all.
    let other = tempfile::tempdir().unwrap();
    let foreign = Ledger::open(config(other.path())).unwrap();
    for n in 0..40 {
        foreign.append(Entry::heartbeat(at(n), Clock::Unknown)).await.unwrap();
    }
    ask(&foreign, Filter::default());
    drop(foreign);
    let path = root.path().join("log/index.sqlite");
    fs::copy(other.path().join("log/index.sqlite"), &path).unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    check(&ledger);
    drop(ledger);
    fs::write(&path, b"no database").unwrap();
    check(&Ledger::open(config(root.path())).unwrap());
}

#[tokio::test]
async fn what_cannot_be_a_leaf_is_refused_and_harms_nothing() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    let big = Entry { data: Some("x".repeat(70_000).into()), ..Entry::heartbeat(at(0), Clock::Unknown) };
    assert!(matches!(ledger.append(big.clone()).await, Err(LedgerError::TooLarge(_))));
    ledger.append_spooled(big);
    assert!(ledger.health().borrow().writable);
    assert!(matches!(Ledger::open(config(root.path())), Err(LedgerError::InUse(_))));
    assert!(matches!(ledger.leaf(0), Err(LedgerError::Beyond { asked: 0, size: 0 })));
    ledger.append(Entry::heartbeat(at(0) + TimeDelta::days(1), Clock::Unknown)).await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Any mix of entries, reopened after any number of them: same leaves, consistent trees.
    #[test]
    fn what_was_durable_stays_and_the_tree_only_grows(rounds in proptest::collection::vec(proptest::collection::vec("[ -~]{0,40}", 0..12), 1..5)) {
        let root = tempfile::tempdir().unwrap();
        let mut leaves: Vec<Vec<u8>> = Vec::new();
        let mut heads: Vec<(u64, [u8; 32])> = Vec::new();
        for round in rounds {
            let ledger = Ledger::open(config(root.path())).unwrap();
            for text in round {
                let entry = Entry {
                    justification: Justification { note: Some(text.clone()), ..Justification::default() },
                    data: Some(text.into()),
                    ..Entry::new(at(0), Operation::Admin, "test")
                };
                let seq = runtime().block_on(ledger.append(entry)).unwrap().seq;
                prop_assert_eq!(seq, leaves.len() as u64);
                leaves.push(ledger.leaf(seq).unwrap());
            }
            let size = ledger.size();
            prop_assert_eq!(size, leaves.len() as u64);
            for (seq, leaf) in leaves.iter().enumerate() {
                prop_assert_eq!(&ledger.leaf(seq as u64).unwrap(), leaf);
            }
            let root = if size == 0 { ledger::tree::Tree::new().root() } else { ledger.inclusion(0, size).unwrap().root };
            for (old, old_root) in &heads {
                prop_assert!(ledger.consistency(*old, size).unwrap().holds(*old_root, root));
            }
            heads.push((size, root));
        }
    }
}

#[tokio::test]
async fn the_end_of_the_logs_own_term_leaves_a_tombstone_and_a_tree_that_verifies() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    let police = CosignerKey::load_or_create(&root.path().join("witness.key"), "politie.example/w").unwrap();
    ledger.trust_witness(&police.vkey()).unwrap();
    let key = ledger::WitnessKey::parse(&police.vkey()).unwrap();
    let month = 31 * 86_400;
    for n in 0..900_i64 {
        // 400 entries of one month, the others two months later.
        let at = if n < 400 { at(n) } else { at(2 * month + n) };
        ledger.append(Entry { at, look: None, ..look("replay.start", "", "a", "ENS-C01") }).await.unwrap();
    }
    let cutoff = at(month);
    let dir = root.path().join("log");
    let witness = |second: i64| {
        let (ledger, police) = (ledger.clone(), &police);
        async move {
            published(&ledger, ledger.size()).await;
            let note = ledger.checkpoint().unwrap();
            let text = note.split_once("\n\n").unwrap().0.to_owned() + "\n";
            let own = note.lines().find(|line| line.starts_with('—')).unwrap();
            let cosigned = format!("{text}\n{own}\n{}", police.cosign(&text, at(second)).unwrap());
            ledger.record_cosignature(&cosigned).unwrap();
        }
    };
    let kept = ledger.inclusion(700, 900).unwrap();
    // Nothing goes before a witness has seen it, and nothing before it has seen the announcement.
    assert_eq!(ledger.purge(cutoff, at(3 * month)).await.unwrap(), ledger::Purge::NothingDue);
    witness(1).await;
    let announced = ledger::Purge::Announced { first: 256, seq: 900 };
    assert_eq!(ledger.purge(cutoff, at(3 * month)).await.unwrap(), announced);
    assert_eq!(ledger.purge(cutoff, at(3 * month)).await.unwrap(), announced);
    assert!(dir.join("tile/entries/000").exists());
    witness(2).await;
    assert_eq!(ledger.purge(cutoff, at(3 * month)).await.unwrap(), ledger::Purge::Done { first: 256 });
    assert!(!dir.join("tile/entries/000").exists() && !dir.join("tile/0/000").exists());
    assert!(matches!(ledger.leaf(255), Err(LedgerError::Purged { asked: 255, first: 256 })));
    assert!(ledger.leaf(256).is_ok());
    let sequence = fs::read(dir.join("sequence")).unwrap();
    assert!(sequence[16..40_000].iter().all(|byte| *byte == 0), "the bytes are gone");
    // What is left verifies, old proofs hold, and the log goes on; also after a restart that reads everything anew.
    let vkey = ledger.vkey();
    assert!(kept.holds_for(&ledger.leaf(700).unwrap()));
    let mut open = Some(ledger);
    for round in 0..3 {
        let ledger = open.take().unwrap_or_else(|| Ledger::open(config(root.path())).unwrap());
        ledger.append(Entry::heartbeat(at(3 * month), Clock::Unknown)).await.unwrap();
        published(&ledger, ledger.size()).await;
        let seen = verify(&dir, &ledger.vkey(), std::slice::from_ref(&key)).unwrap();
        assert_eq!((seen.first, seen.size), (256, 902 + round));
        let found =
            ledger.query(&Filter { camera: Some("ENS-C01".to_owned()), ..Filter::default() }).unwrap();
        assert_eq!(found.first().map(|(seq, _)| *seq), Some(256));
        drop(ledger);
        if round == 0 {
            continue;
        }
        fs::remove_file(dir.join("progress")).unwrap();
        fs::remove_file(dir.join("index.sqlite")).unwrap();
    }
    // Without its announcement the gap is a crime.
    fs::rename(dir.join("checkpoint.pruned"), dir.join("aside")).unwrap();
    assert!(verify(&dir, &vkey, &[]).is_err());
}
