//! Each counts frames.

use super::{Chance, Disk};
use crate::{
    config::{Item, StreamPolicy, VaultConfig},
    vault::Vault,
};
use bytes::Bytes;
use media::{AccessUnit, Codec, GapReason, Micros, Parameters, StreamId, Ticks};
use rustix::io::Errno;
use std::{collections::BTreeSet, fs, path::Path, sync::Arc, thread, time::Duration};

/// 2026-11-22 05:59:45 UTC: the hour of the keys changes after fifteen seconds.
const START: i64 = 1_795_327_185_000_000;
const GROUP: u64 = 25;

fn config(root: &Path) -> VaultConfig {
    VaultConfig {
        volume_bytes: 96 << 10,
        volume_least: Duration::ZERO,
        budget_bytes: 256 << 10,
        // The tests say when to write; the clock must not.
        tick: Duration::from_hours(1),
        sync_every: Duration::from_hours(1),
        ..VaultConfig::new(root.join("vault"), [root.join("keys-a"), root.join("keys-b")])
    }
}

fn open(root: &Path) -> Vault {
    let vault = Vault::open(config(root)).unwrap();
    // Two classes: two volumes are open at a time.
    vault.set_policy(StreamId(1), StreamPolicy { retention_class: 28, importance: 2 });
    vault.set_policy(StreamId(2), StreamPolicy { retention_class: 7, importance: 1 });
    vault
}

fn unit(stream: u32, number: u64) -> AccessUnit {
    let parameters = Parameters {
        generation: 1,
        codec: Codec::H264,
        width: 2,
        height: 2,
        record: Bytes::from_static(b"p"),
    };
    let key = number.is_multiple_of(GROUP);
    let mut payload = vec![0; if key { 1500 } else { 150 }];
    payload[..8].copy_from_slice(&number.to_be_bytes());
    AccessUnit {
        stream: StreamId(stream),
        parameters: Arc::new(parameters),
        captured: Micros(START + number as i64 * 40_000),
        media_time: Ticks(number as i64 * 3600),
        duration: 3600,
        key,
        discontinuity: number == 0,
        received: Micros(START + number as i64 * 40_000),
        camera_time: None,
        received_within: 0,
        payload: Bytes::from(payload),
    }
}

fn feed(vault: &Vault, second: u64) {
    for number in second * GROUP..(second + 1) * GROUP {
        vault.accept(unit(1, number));
        vault.accept(unit(2, number));
    }
}

fn found(vault: &Vault, stream: u32) -> Vec<u64> {
    let items = vault.read(StreamId(stream), Micros(START - 1), Micros(i64::MAX - 1)).unwrap();
    let number = |item| match item {
        Item::Unit(unit) => Some(u64::from_be_bytes(unit.payload[..8].try_into().unwrap())),
        Item::Gap { .. } => None,
    };
    items.filter_map(number).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else if !entry.file_name().to_string_lossy().starts_with("index") {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// At whatever instant the power goes, and whatever part of what was not synced the disk has kept: everything synced is
/// there, at most two seconds are missing, and what was destroyed stays destroyed.
#[test]
fn a_power_cut_loses_at_most_two_seconds_and_nothing_that_was_synced() {
    const SECONDS: u64 = 30;
    let (root, before) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let vault = open(root.path());
    copy(root.path(), before.path());
    let disk = Disk::watch(root.path());
    for second in 0..SECONDS {
        feed(&vault, second);
        vault.flush().unwrap();
        disk.mark((second + 1) * GROUP);
    }
    let (recorded, mut fewest) = (disk.acts(), u64::MAX);
    // The first hour is destroyed; from then on no crash may bring it back.
    vault.destroy_expired(StreamId(1), Micros(START + 15_000_000)).unwrap();
    let destroyed = disk.acts();
    feed(&vault, SECONDS);
    vault.flush().unwrap();
    let all = disk.acts();
    drop(vault);
    let mut chance = Chance(0x5eed_0001);
    let cuts =
        (0..48).map(|_| chance.below(recorded)).chain((0..6).map(|n| destroyed + n * (all - destroyed) / 6));
    for cut in cuts.collect::<Vec<_>>() {
        let after = tempfile::tempdir().unwrap();
        copy(before.path(), after.path());
        disk.cut_power(cut, &mut chance, after.path());
        let synced = disk.mark_at(cut);
        let vault = open(after.path());
        for stream in [1, 2] {
            let found = found(&vault, stream);
            let numbers: BTreeSet<u64> = found.iter().copied().collect();
            assert_eq!(numbers.len(), found.len(), "a frame came back twice");
            if cut >= destroyed {
                let first = if stream == 1 { 15 * GROUP } else { 0 };
                assert_eq!(
                    numbers.first(),
                    Some(&first),
                    "stream {stream} after its first hour was destroyed"
                );
                assert!((first..SECONDS * GROUP).all(|number| numbers.contains(&number)), "at {cut}");
                continue;
            }
            assert!(
                (0..synced).all(|number| numbers.contains(&number)),
                "act {cut}: synced frames are missing"
            );
            let given = synced + GROUP;
            let missing = given - numbers.len() as u64;
            assert!(missing <= 2 * GROUP, "act {cut}: {missing} frames are missing");
            fewest = fewest.min(missing);
        }
        // It goes on from there.
        vault.accept(unit(1, 100_000 * GROUP));
        vault.flush().unwrap();
        assert_eq!(found(&vault, 1).last(), Some(&(100_000 * GROUP)));
    }
    println!("{recorded} writes and syncs; at the best cut {fewest} frames were missing");
}

/// A sync that fails says so, is never counted as done, and costs at most what it was for, even when the power goes later.
#[test]
fn a_failing_sync_is_never_believed() {
    let (root, before) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let vault = open(root.path());
    copy(root.path(), before.path());
    let disk = Disk::watch(root.path());
    feed(&vault, 0);
    vault.flush().unwrap();
    let synced = vault.stats().synced;
    assert_eq!(synced, 2 * GROUP);
    disk.fail_syncs(".vol", 2);
    feed(&vault, 1);
    assert!(vault.flush().is_err());
    let stats = vault.stats();
    assert_eq!((stats.synced, stats.indexed, stats.write_errors), (synced, synced, 2), "{stats:?}");
    for second in 2..5 {
        feed(&vault, second);
        vault.flush().unwrap();
    }
    let stats = vault.stats();
    assert_eq!(
        stats.received - stats.synced,
        2 * GROUP,
        "the second of the failed sync is never counted: {stats:?}"
    );
    // As long as the daemon runs nothing is missing.
    assert_eq!(found(&vault, 1), (0..5 * GROUP).collect::<Vec<_>>());
    let acts = disk.acts();
    drop(vault);
    // After a power cut the second of the failed sync may be, and nothing else.
    let mut chance = Chance(0x5eed_0002);
    let mut worst = 0;
    for _ in 0..12 {
        let after = tempfile::tempdir().unwrap();
        copy(before.path(), after.path());
        disk.cut_power(acts, &mut chance, after.path());
        let vault = open(after.path());
        for stream in [1, 2] {
            let found = found(&vault, stream);
            let missing: Vec<_> = (0..5 * GROUP).filter(|number| !found.contains(number)).collect();
            assert!(missing.iter().all(|number| (GROUP..2 * GROUP).contains(number)), "{missing:?}");
            worst = worst.max(missing.len());
        }
    }
    assert!(worst > 0, "the cut never took what was not synced: this test cannot fail");
    // Without a power cut nothing is missing after a restart either.
    assert_eq!(found(&open(root.path()), 2), (0..5 * GROUP).collect::<Vec<_>>());
}

/// A key that is not durable in both copies is not used: what it should have sealed waits and is written with one that is.
#[test]
fn a_failing_sync_of_the_key_store_seals_nothing_with_a_key_that_may_be_lost() {
    let root = tempfile::tempdir().unwrap();
    let vault = open(root.path());
    let disk = Disk::watch(root.path());
    disk.fail_syncs("keys-b", 1);
    feed(&vault, 0);
    assert!(vault.flush().is_err());
    assert_eq!((vault.stats().written, vault.stats().write_errors), (0, 1));
    assert_eq!(found(&vault, 1).len() as u64, GROUP, "it is in memory");
    vault.flush().unwrap();
    assert_eq!(vault.stats().synced, 2 * GROUP);
    drop(vault);
    assert_eq!(found(&open(root.path()), 1), (0..GROUP).collect::<Vec<_>>());
}

/// A full disk costs what memory cannot hold, each picture of it in a gap that names the disk, and recording goes on in the same
/// volumes when there is room.
#[test]
fn a_full_disk_is_a_gap_and_recording_goes_on_when_there_is_room() {
    let root = tempfile::tempdir().unwrap();
    let vault = open(root.path());
    let disk = Disk::watch(root.path());
    feed(&vault, 0);
    vault.flush().unwrap();
    disk.fail_writes(".vol", Errno::NOSPC);
    let mut second = 1;
    while vault.stats().dropped == 0 {
        feed(&vault, second);
        assert!(vault.flush().is_err() && vault.stats().disk_full);
        second += 1;
    }
    assert_eq!((vault.stats().written, vault.stats().write_errors), (2 * GROUP, 0));
    disk.repair();
    vault.flush().unwrap();
    feed(&vault, second);
    feed(&vault, second + 1);
    vault.flush().unwrap();
    let stats = vault.stats();
    assert!(!stats.disk_full);
    assert!(vault.take_losses().iter().all(|loss| loss.reason == GapReason::DiskFull));
    let given = (second + 2) * GROUP;
    let all = [1, 2].map(|stream| found(&vault, stream));
    assert_eq!(all.iter().map(Vec::len).sum::<usize>() as u64 + stats.dropped, 2 * given);
    for (stream, found) in [1, 2].into_iter().zip(&all) {
        assert_eq!(found.last(), Some(&(given - 1)));
        let items = vault.read(StreamId(stream), Micros(START), Micros(i64::MAX - 1)).unwrap();
        let full: Vec<_> = items
            .filter_map(|item| match item {
                Item::Gap { from, until, reason: GapReason::DiskFull } => Some(from..until),
                _ => None,
            })
            .collect();
        for lost in (0..given).filter(|number| !found.contains(number)) {
            let at = unit(stream, lost).captured;
            assert!(full.iter().any(|gap| gap.contains(&at)), "frame {lost} is in no gap: {full:?}");
        }
    }
    drop(vault);
    let vault = open(root.path());
    assert_eq!([1, 2].map(|stream| found(&vault, stream)), all, "and it is all there after a new start");
}

/// A volume that cannot be written is put aside: what it should have taken goes to another one, and no class waits for it.
#[test]
fn a_volume_that_cannot_be_written_stalls_no_stream() {
    let root = tempfile::tempdir().unwrap();
    let vault = open(root.path());
    let disk = Disk::watch(root.path());
    feed(&vault, 0);
    vault.flush().unwrap();
    // That of the lower class, which is written first.
    disk.fail_writes("0000000001.vol", Errno::IO);
    feed(&vault, 1);
    assert!(vault.flush().is_err());
    assert_eq!((vault.stats().synced, vault.stats().write_errors), (3 * GROUP, 1), "the other class goes on");
    for second in 2..5 {
        feed(&vault, second);
        vault.flush().unwrap();
    }
    assert_eq!((vault.stats().synced, vault.stats().disk_full), (10 * GROUP, false));
    for stream in [1, 2] {
        assert_eq!(found(&vault, stream), (0..5 * GROUP).collect::<Vec<_>>());
    }
    drop(vault);
    for stream in [1, 2] {
        assert_eq!(found(&open(root.path()), stream), (0..5 * GROUP).collect::<Vec<_>>(), "after a start");
    }
}

/// A disk that takes no write at all is asked again and again, and makes no crowd of empty volumes.
#[test]
fn a_disk_that_takes_no_write_is_not_filled_with_empty_volumes() {
    let root = tempfile::tempdir().unwrap();
    let vault = open(root.path());
    let disk = Disk::watch(root.path());
    feed(&vault, 0);
    vault.flush().unwrap();
    disk.fail_writes(".vol", Errno::IO);
    feed(&vault, 1);
    assert!((0..20).all(|_| vault.flush().is_err()));
    assert_eq!(vault.stats().volumes, 2);
    disk.repair();
    vault.flush().unwrap();
    assert_eq!(found(&vault, 2), (0..2 * GROUP).collect::<Vec<_>>());
}

/// Whoever waited for what failed is told so, not only the first.
#[test]
fn everybody_who_waits_for_a_flush_is_told_that_it_failed() {
    let root = tempfile::tempdir().unwrap();
    let vault = open(root.path());
    let disk = Disk::watch(root.path());
    feed(&vault, 0);
    vault.flush().unwrap();
    // While the writer waits for the disk, two come to stand behind it.
    disk.be_slow(true);
    feed(&vault, 1);
    thread::scope(|scope| {
        let flush = || scope.spawn(|| vault.flush());
        let first = flush();
        disk.until_waiting();
        feed(&vault, 2);
        let both = [flush(), flush()];
        while vault.commands() < both.len() {
            thread::yield_now();
        }
        disk.fail_writes(".vol", Errno::IO);
        disk.be_slow(false);
        first.join().unwrap().unwrap();
        for told in both {
            let error = told.join().unwrap().unwrap_err();
            assert!(matches!(&error, crate::VaultError::Unwritten(_)) && error.to_string().contains(".vol"));
        }
    });
}

/// A key that cannot be made keeps its own stream waiting and no other.
#[test]
fn a_stream_without_a_key_holds_up_no_other() {
    let root = tempfile::tempdir().unwrap();
    let vault = open(root.path());
    let disk = Disk::watch(root.path());
    feed(&vault, 0);
    vault.flush().unwrap();
    disk.fail_syncs("keys-b", 1);
    feed(&vault, 1);
    vault.accept(unit(3, 0));
    assert!(vault.flush().is_err());
    assert_eq!(vault.stats().synced, 4 * GROUP, "those that have keys are written");
    vault.flush().unwrap();
    assert_eq!((vault.stats().synced, found(&vault, 3)), (4 * GROUP + 1, vec![0]));
}

/// A disk that does not answer costs the newest groups of the least important stream, told as a loss and a gap with its
/// reason; nothing that was written, and nothing of the important one.
#[test]
fn a_slow_disk_costs_the_newest_group_of_the_least_important_stream() {
    let root = tempfile::tempdir().unwrap();
    let vault = open(root.path());
    let disk = Disk::watch(root.path());
    feed(&vault, 0);
    vault.flush().unwrap();
    disk.be_slow(true);
    feed(&vault, 1);
    let flushing = thread::spawn({
        let vault = vault.clone();
        move || vault.flush()
    });
    disk.until_waiting();
    let mut second = 2;
    while vault.stats().dropped == 0 {
        feed(&vault, second);
        second += 1;
    }
    feed(&vault, second);
    let losses = vault.take_losses();
    assert!(
        !losses.is_empty()
            && losses.iter().all(|loss| (loss.stream, loss.reason) == (StreamId(2), GapReason::Overload))
    );
    assert!(vault.take_losses().is_empty(), "told once");
    disk.be_slow(false);
    flushing.join().unwrap().unwrap();
    second += 1;
    feed(&vault, second);
    vault.flush().unwrap();
    let stats = vault.stats();
    assert_eq!(
        found(&vault, 1),
        (0..(second + 1) * GROUP).collect::<Vec<_>>(),
        "the important stream is whole"
    );
    let least = found(&vault, 2);
    assert_eq!(least.len() as u64 + stats.dropped, (second + 1) * GROUP, "what is missing was counted");
    assert!(least.starts_with(&(0..2 * GROUP).collect::<Vec<_>>()), "what was written stays");
    let items = vault.read(StreamId(2), Micros(START), Micros(i64::MAX - 1)).unwrap();
    let gaps: Vec<_> = items
        .filter_map(|item| match item {
            Item::Gap { from, until, reason: GapReason::Overload } => Some((from, until)),
            _ => None,
        })
        .collect();
    for number in (0..(second + 1) * GROUP).filter(|number| !least.contains(number)) {
        let at = unit(2, number).captured;
        assert!(
            gaps.iter().any(|(from, until)| *from <= at && at < *until),
            "frame {number} is in no gap: {gaps:?}"
        );
    }
    let in_gap = |at| gaps.iter().any(|(from, until)| *from <= at && at < *until);
    assert!(losses.iter().all(|loss| in_gap(loss.from)), "{losses:?} {gaps:?}");
}

/// Two classes, two volumes, one sync that fails: what the other volume holds is synced and indexed, and never more is
/// indexed than is synced.
#[test]
fn one_of_two_volumes_that_fails_to_sync_is_counted_alone() {
    let root = tempfile::tempdir().unwrap();
    let vault = open(root.path());
    let disk = Disk::watch(root.path());
    feed(&vault, 0);
    vault.flush().unwrap();
    disk.fail_syncs(".vol", 1);
    feed(&vault, 1);
    assert!(vault.flush().is_err());
    let stats = vault.stats();
    assert_eq!((stats.synced, stats.indexed), (3 * GROUP, 3 * GROUP), "{stats:?}");
    for second in 2..5 {
        feed(&vault, second);
        vault.flush().unwrap();
        let stats = vault.stats();
        assert_eq!(stats.received - stats.synced, GROUP, "{stats:?}");
        assert_eq!(stats.indexed, stats.synced, "what is suspect holds up nothing behind it: {stats:?}");
    }
    assert!(vault.alive());
    for stream in [1, 2] {
        assert_eq!(found(&vault, stream), (0..5 * GROUP).collect::<Vec<_>>());
    }
}

/// A hold keeps also what only memory knows, because it lies in a volume whose sync failed.
#[test]
fn a_hold_after_a_failed_sync_misses_no_frame() {
    let root = tempfile::tempdir().unwrap();
    let vault = open(root.path());
    let disk = Disk::watch(root.path());
    feed(&vault, 0);
    vault.flush().unwrap();
    disk.fail_syncs(".vol", 2);
    feed(&vault, 1);
    assert!(vault.flush().is_err());
    for second in 2..4 {
        feed(&vault, second);
        vault.flush().unwrap();
    }
    let held = vault.hold("case", StreamId(1), Micros(START), Micros(START + 4_000_000)).unwrap();
    assert!(held.whole && held.missing == 0, "{held:?}");
    let items = vault.read_hold("case").unwrap();
    let frames: Vec<_> = items
        .filter_map(|item| match item {
            Item::Unit(unit) => Some(u64::from_be_bytes(unit.payload[..8].try_into().unwrap())),
            Item::Gap { .. } => None,
        })
        .collect();
    assert_eq!(frames, (0..4 * GROUP).collect::<Vec<_>>());
}

/// A hold that is released dies on the device that works, whatever the other says, and can be released again.
#[test]
fn a_failing_device_keeps_no_hold_alive_on_the_other() {
    let root = tempfile::tempdir().unwrap();
    let vault = open(root.path());
    feed(&vault, 0);
    vault.hold("case", StreamId(1), Micros(START), Micros(START + 1_000_000)).unwrap();
    let disk = Disk::watch(root.path());
    disk.fail_writes("keys-a/holds/case/key", Errno::IO);
    assert!(vault.release("case").is_err());
    assert_eq!(fs::read(root.path().join("keys-b/holds/case/key")).unwrap(), [0; 64]);
    disk.repair();
    vault.release("case").unwrap();
    assert!(vault.holds().is_empty());
}

/// A process that is killed while it claims leaves a name that is free after the next start.
#[test]
fn a_claim_that_was_cut_short_is_made_anew_under_the_same_name() {
    let second = (Micros(START), Micros(START + 1_000_000));
    for claims in ["keys-a/holds/case/claims", "keys-b/holds/case/claims"] {
        let root = tempfile::tempdir().unwrap();
        let vault = open(root.path());
        feed(&vault, 0);
        vault.flush().unwrap();
        Disk::watch(root.path()).kill(claims);
        thread::scope(|scope| {
            let killed = scope.spawn(|| vault.hold("case", StreamId(1), second.0, second.1)).join();
            assert!(killed.is_err(), "it was killed");
        });
        drop(vault);
        let vault = open(root.path());
        if vault.held("case").is_none() {
            vault.hold("case", StreamId(1), second.0, second.1).unwrap();
        }
        assert!(vault.held("case").unwrap().whole, "{claims}");
        assert_eq!(vault.read_hold("case").unwrap().count() as u64, GROUP, "{claims}");
        assert!(vault.differing_holds().is_empty());
    }
}

/// A writer that has died is noticed, and nobody waits for it.
#[test]
fn a_dead_writer_is_noticed_and_nobody_waits_for_it() {
    let root = tempfile::tempdir().unwrap();
    let vault = open(root.path());
    let disk = Disk::watch(root.path());
    feed(&vault, 0);
    vault.flush().unwrap();
    assert!(vault.alive());
    disk.kill(".vol");
    feed(&vault, 1);
    assert!(matches!(vault.flush(), Err(crate::VaultError::Closed)));
    // Its thread unwinds; then it is dead.
    while vault.alive() {
        thread::yield_now();
    }
    drop(vault);
    let found = found(&open(root.path()), 1);
    assert_eq!(found, (0..GROUP).collect::<Vec<_>>(), "what was written is there");
}
