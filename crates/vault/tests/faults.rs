//! Faults for real: kill -9, a torn tail, flipped bytes, a full disk. What must survive is counted.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::wildcard_imports)]

mod common;

use common::*;
use media::{GapReason, StreamId};
use std::{
    fs::{self, OpenOptions},
    io::{BufRead, BufReader},
    os::unix::fs::FileExt,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use vault::{Vault, VaultConfig};

const CHILD: &str = "VAULT_TEST_CHILD_DIR";
const STREAMS: u32 = 3;

fn quick(root: &Path) -> VaultConfig {
    VaultConfig {
        tick: Duration::from_millis(20),
        sync_every: Duration::from_millis(60),
        volume_bytes: 200 << 10,
        ..config(root)
    }
}

/// As rooms are written: by the clock.
fn by_the_clock(root: &Path) -> VaultConfig {
    let VaultConfig { tick, sync_every, .. } = VaultConfig::new("", ["".into(), "".into()]);
    VaultConfig { tick, sync_every, volume_bytes: 200 << 10, ..config(root) }
}

/// Frames a stream that the child records at once, before it goes by the clock.
const BEFORE: i64 = 1500;

/// Not a test of its own: the process that `kill_9_loses_at_most_one_group` kills. After what it records at once it sends a
/// picture whenever its time has come, as a camera does, and never looks how far the writer is.
#[test]
fn child_that_records() {
    let Ok(root) = std::env::var(CHILD) else { return };
    let vault = Vault::open(by_the_clock(Path::new(&root))).unwrap();
    let p = parameters(1);
    let mut begun = Instant::now();
    for number in 0.. {
        if number == BEFORE {
            vault.flush().unwrap();
            begun = Instant::now();
        }
        let due = begun + Duration::from_micros(((number - BEFORE).max(0) * FRAME) as u64);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        (1..=STREAMS).for_each(|stream| vault.accept(unit(stream, number, &p)));
        let stats = vault.stats();
        println!("accepted {} written {} synced {}", number + 1, stats.written, stats.synced);
    }
}

/// What the child said last before it was killed: frames a stream accepted; frames in all written and synced.
fn killed_after(root: &Path, frames: i64) -> (i64, u64, u64) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child_that_records", "--exact", "--nocapture"])
        .env(CHILD, root)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut accepted, mut written, mut synced) = (0, 0, 0);
    let mut killed = false;
    // Until the child is dead and its last word is read.
    while let Some(Ok(line)) = lines.next() {
        let words: Vec<_> = line.split_whitespace().collect();
        if let ["accepted", a, "written", w, "synced", s] = words[..] {
            (accepted, written, synced) = (a.parse().unwrap(), w.parse().unwrap(), s.parse().unwrap());
            if accepted > frames && !killed {
                child.kill().unwrap();
                killed = true;
            }
        }
    }
    child.wait().unwrap();
    assert!(killed, "the child died by itself at {accepted}");
    (accepted, written, synced)
}

/// Kills the child and counts what is found. Gives how many frames of a stream were lost at most.
fn lost_by_kill_9(frames: i64) -> i64 {
    let root = tempfile::tempdir().unwrap();
    let (accepted, written, synced) = killed_after(root.path(), frames);
    let vault = Vault::open(quick(root.path())).unwrap();
    assert!(!vault.stats().listed, "what was open is known without listing the folder");
    let (mut total, mut lost) = (0, 0);
    for stream in 1..=STREAMS {
        let found = numbers(read_all(&vault, stream));
        assert_eq!(found, (0..found.len() as i64).collect::<Vec<_>>(), "whole, in order, from the beginning");
        lost = lost.max(accepted - found.len() as i64);
        total += found.len() as u64;
        let end = at(found.len() as i64);
        let after = gaps(vault.read(StreamId(stream), end, end.plus(10_000_000)).unwrap());
        assert_eq!(
            after,
            [
                (end, end.plus(2_000_000), GapReason::Crash),
                (end.plus(2_000_000), end.plus(10_000_000), GapReason::NotRunning)
            ]
        );
    }
    assert!(total >= written && written >= synced, "{total} found, {written} written, {synced} synced");
    println!(
        "killed after {accepted} frames a stream ({synced} synced in all): {total} of {} found",
        3 * accepted
    );
    // It goes on, and the gap is closed where pictures begin again.
    vault.accept(unit(1, 1_000_000, &parameters(1)));
    vault.flush().unwrap();
    let last = gaps(read_all(&vault, 1)).pop().unwrap();
    assert_eq!((last.1, last.2), (at(1_000_000), GapReason::NotRunning));
    lost
}

/// What was written is always there. That less than a group waits is a matter of time: a machine that is busy with something
/// else may come late, but not whenever one looks.
#[test]
fn kill_9_loses_at_most_one_group_and_nothing_written() {
    let within_bounds = |attempt: i64| lost_by_kill_9(BEFORE + 40 + 7 * attempt) < GROUP;
    assert!((0..8).any(within_bounds), "more than a group is lost each time");
}

/// A vault in use, whose volume is not sealed, copied as a power cut would leave it.
fn cut_power(root: &Path, copied: &Path, indexed: bool) {
    let vault = Vault::open(config(root)).unwrap();
    let p = parameters(1);
    for number in 0..60 {
        vault.accept(unit(1, number, &p));
        if number == 29 && indexed {
            vault.flush().unwrap();
        }
    }
    // One record a frame at the end, so that every torn length hits something else.
    vault.flush().unwrap();
    copy(root, copied);
}

#[test]
fn a_tail_torn_anywhere_keeps_every_whole_record() {
    let (root, copied) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    cut_power(root.path(), copied.path(), true);
    let volume = volumes(copied.path()).pop().unwrap();
    let whole = fs::read(&volume).unwrap();
    let index = copied.path().join("vault/index.sqlite");
    let mut seen = 0;
    // Each byte of the last record is tried in `volume::tests`; here the whole way, at lengths spread over the tail.
    for torn in (0..whole.len()).step_by(whole.len() / 12).chain([0, 60, 127, 128, whole.len() - 1]) {
        for suffix in ["", "-wal", "-shm"] {
            drop(fs::remove_file(format!("{}{suffix}", index.display())));
        }
        fs::write(&volume, &whole[..torn]).unwrap();
        let vault = Vault::open(config(copied.path())).unwrap();
        let found = numbers(read_all(&vault, 1));
        assert_eq!(found, (0..found.len() as i64).collect::<Vec<_>>(), "at {torn}");
        seen = seen.max(found.len());
        drop(vault);
        drop(fs::remove_file(&volume));
        for other in volumes(copied.path()) {
            fs::remove_file(other).unwrap();
        }
    }
    assert!(seen >= 50, "{seen}");
}

#[test]
fn zeros_where_pages_never_reached_the_disk_cost_only_what_they_cover() {
    let (root, copied) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    cut_power(root.path(), copied.path(), true);
    // The index of the instant before the last flush, so that the tail must prove itself.
    let index = copied.path().join("vault/index.sqlite");
    for suffix in ["", "-wal", "-shm"] {
        drop(fs::remove_file(format!("{}{suffix}", index.display())));
    }
    let volume = volumes(copied.path()).pop().unwrap();
    let size = fs::metadata(&volume).unwrap().len();
    let file = OpenOptions::new().write(true).open(&volume).unwrap();
    file.write_all_at(&[0; 700], size / 2).unwrap();
    let vault = Vault::open(config(copied.path())).unwrap();
    let found = numbers(read_all(&vault, 1));
    assert!(found.contains(&0) && found.contains(&59) && found.len() < 60, "{found:?}");
}

#[test]
fn flipped_bytes_are_noticed_and_cost_one_chunk() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(config(root.path())).unwrap();
    let p = parameters(1);
    (0..500).for_each(|number| vault.accept(unit(1, number, &p)));
    drop(vault);
    let volume = volumes(root.path()).remove(0);
    let bytes = fs::read(&volume).unwrap();
    for place in [3, 5, 7] {
        let file = OpenOptions::new().write(true).open(&volume).unwrap();
        let at_byte = bytes.len() * place / 10;
        file.write_all_at(&[bytes[at_byte] ^ 1], at_byte as u64).unwrap();
        let vault = Vault::open(config(root.path())).unwrap();
        let items = read_all(&vault, 1);
        let found = numbers(items.clone());
        assert_eq!(found.len(), 500 - GROUP as usize, "one chunk of a second is lost");
        let damaged: Vec<_> =
            gaps(items.clone()).into_iter().filter(|gap| gap.2 == GapReason::Damaged).collect();
        let [(from, until, _)] = damaged[..] else { panic!("one damaged stretch expected, not {damaged:?}") };
        assert_eq!(until.0 - from.0, GROUP * FRAME);
        let after = units(items).into_iter().find(|unit| unit.captured >= until).unwrap();
        assert!(after.discontinuity);
        drop(vault);
        file.write_all_at(&[bytes[at_byte]], at_byte as u64).unwrap();
    }
}

/// A small file system of its own; none where the test may not mount.
struct Tmpfs(std::path::PathBuf);
impl Tmpfs {
    fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", size, "tmpfs"]).arg(at).status();
        status.is_ok_and(|status| status.success()).then(|| Self(at.to_owned()))
    }
}
impl Drop for Tmpfs {
    fn drop(&mut self) {
        drop(Command::new("umount").args(["-l"]).arg(&self.0).status());
    }
}

#[test]
fn a_full_disk_is_a_gap_and_recording_goes_on_when_there_is_room() {
    let root = tempfile::tempdir().unwrap();
    let Some(_mounted) = Tmpfs::mount(&root.path().join("vault"), "size=2m") else {
        println!("skipped: this test may not mount a tmpfs");
        return;
    };
    let filler = root.path().join("vault/filler");
    fs::write(&filler, vec![1; 1 << 20]).unwrap();
    let small = VaultConfig { volume_bytes: 256 << 10, budget_bytes: 200 << 10, ..config(root.path()) };
    let vault = Vault::open(small.clone()).unwrap();
    let p = parameters(1);
    let mut number = 0;
    let mut feed = |groups: i64| {
        for _ in 0..groups * GROUP {
            vault.accept(unit(1, number, &p));
            number += 1;
        }
        vault.flush()
    };
    let mut groups = 0;
    while feed(5).is_ok() {
        groups += 5;
        assert!(groups < 2000, "the disk never filled");
    }
    assert!(vault.stats().disk_full);
    // Memory fills up, then groups go, with a reason.
    while vault.stats().dropped == 0 {
        drop(feed(10));
    }
    fs::remove_file(&filler).unwrap();
    feed(1).unwrap(); // memory was still full when these came; now it is empty
    feed(5).unwrap();
    assert!(!vault.stats().disk_full);
    let stats = vault.stats();
    let items = read_all(&vault, 1);
    let found = numbers(items.clone());
    let missing: Vec<_> = (0..number).filter(|number| found.binary_search(number).is_err()).collect();
    assert_eq!(
        found.len() as u64 + stats.dropped,
        stats.received,
        "nothing vanishes silently: {stats:?}, missing {missing:?}, gaps {:?}",
        gaps(items.clone())
    );
    assert_eq!(*found.last().unwrap(), number - 1);
    let full: Vec<_> = gaps(items).into_iter().filter(|gap| gap.2 == GapReason::DiskFull).collect();
    assert!(!full.is_empty());
    for lost in missing {
        assert!(full.iter().any(|(from, until, _)| *from <= at(lost) && at(lost) < *until), "frame {lost}");
    }
    drop(vault);
    let vault = Vault::open(small).unwrap();
    assert_eq!(numbers(read_all(&vault, 1)), found, "and it is all there after a new start");
}

/// A full disk must not keep anything alive: the keys die, what could not be removed says so and goes once there is room.
#[test]
fn destruction_on_a_full_disk_kills_the_keys_and_finishes_when_there_is_room() {
    let root = tempfile::tempdir().unwrap();
    let Some(_mounted) = Tmpfs::mount(&root.path().join("vault"), "size=4m") else {
        println!("skipped: this test may not mount a tmpfs");
        return;
    };
    let vault = Vault::open(VaultConfig { volume_bytes: 64 << 10, ..config(root.path()) }).unwrap();
    let p = parameters(1);
    for number in (0..500).chain(90_000..90_100) {
        vault.accept(unit(1, number, &p));
    }
    vault.flush().unwrap();
    let before = volumes(root.path()).len();
    // Fill it to the last block.
    let filler = root.path().join("vault/filler");
    let mut file = fs::File::create(&filler).unwrap();
    for size in [1 << 16, 1 << 12, 1] {
        while std::io::Write::write_all(&mut file, &vec![1; size]).is_ok() {}
    }
    let gone = vault.destroy_expired(StreamId(1), at(1)).unwrap();
    assert_eq!(gone.keys.len(), 1, "{gone:?}");
    assert_eq!(numbers(read_all(&vault, 1)), (90_000..90_100).collect::<Vec<_>>(), "it opens no more");
    println!("on the full disk: {gone:?}");
    drop(file);
    fs::remove_file(&filler).unwrap();
    if gone.unfinished {
        assert_eq!(volumes(root.path()).len(), before);
        let rest = vault.destroy_expired(StreamId(1), at(1)).unwrap();
        assert!(
            rest.keys.is_empty() && !rest.unfinished && rest.bytes > 0 && rest.volumes_unlinked > 0,
            "{rest:?}"
        );
    }
    assert!(volumes(root.path()).len() < before);
    assert!(vault.finish_destroyed(at(90_000)).unwrap().is_empty());
}

/// A volume that cannot be unlinked is tried again; its keys are dead at once all the same.
#[test]
fn a_failing_unlink_stops_no_destruction_and_is_tried_again() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(VaultConfig { volume_bytes: 64 << 10, ..config(root.path()) }).unwrap();
    let p = parameters(1);
    for number in 0..1000 {
        vault.accept(unit(1, number, &p));
    }
    vault.flush().unwrap();
    for number in 90_000..90_100 {
        vault.accept(unit(1, number, &p));
    }
    vault.flush().unwrap();
    // A folder in its place: nobody can unlink that.
    let (path, away) = (volumes(root.path()).remove(0), root.path().join("away"));
    fs::rename(&path, &away).unwrap();
    fs::create_dir(&path).unwrap();
    let gone = vault.destroy_expired(StreamId(1), at(1)).unwrap();
    assert_eq!((gone.keys.len(), gone.unlinks_failed), (1, 1));
    assert!(gone.volumes_unlinked > 0, "the others went");
    assert_eq!(numbers(read_all(&vault, 1)), (90_000..90_100).collect::<Vec<_>>());
    fs::remove_dir(&path).unwrap();
    fs::rename(&away, &path).unwrap();
    let again = vault.destroy_expired(StreamId(1), at(1)).unwrap();
    assert_eq!((again.volumes_unlinked, again.unlinks_failed), (1, 0));
    assert!(!path.exists());
}

/// The index holds nothing that the volumes do not say too.
#[test]
fn a_lost_index_is_made_anew_with_every_frame() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(quick(root.path())).unwrap();
    let p = parameters(1);
    for number in 0..2000 {
        vault.accept(unit(1, number, &p));
    }
    drop(vault);
    for file in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        drop(fs::remove_file(root.path().join("vault").join(file)));
    }
    let vault = Vault::open(quick(root.path())).unwrap();
    assert_eq!(numbers(read_all(&vault, 1)), (0..2000).collect::<Vec<_>>());
}

/// Capture times that jump ahead or back (the daemon's clock was set) cost no frame.
#[test]
fn a_clock_that_jumps_both_ways_costs_no_frame() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(quick(root.path())).unwrap();
    let p = parameters(1);
    let day = 24 * 3600 * 25;
    let mut given = Vec::new();
    for start in [0, 29 * day, 100] {
        for number in start..start + 100 {
            vault.accept(unit(1, number, &p));
            given.push(number);
        }
        vault.flush().unwrap();
    }
    given.sort_unstable();
    assert_eq!(numbers(read_all(&vault, 1)), given);
    drop(vault);
    let vault = Vault::open(quick(root.path())).unwrap();
    assert_eq!(numbers(read_all(&vault, 1)), given);
}

/// The clock is set back: what was recorded before is still read while what comes now waits in memory.
#[test]
fn a_clock_set_back_hides_nothing_that_was_recorded_before() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(config(root.path())).unwrap();
    let p = parameters(1);
    (5000..5100).for_each(|number| vault.accept(unit(1, number, &p)));
    vault.flush().unwrap();
    (100..200).for_each(|number| vault.accept(unit(1, number, &p)));
    let expected: Vec<_> = (100..200).chain(5000..5100).collect();
    assert_eq!(numbers(read_all(&vault, 1)), expected);
    vault.flush().unwrap();
    assert_eq!(numbers(read_all(&vault, 1)), expected);
}
