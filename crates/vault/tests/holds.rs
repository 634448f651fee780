//! Holds: exact to the frame, stronger than retention and than the loss of a device, and gone at once when released.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::wildcard_imports)]

mod common;

use common::*;
use media::{Micros, StreamId};
use std::fs;
use vault::{Vault, VaultConfig, VaultError};

const HOUR: i64 = 3_600_000_000;

fn recorded(root: &std::path::Path) -> Vault {
    let vault = Vault::open(VaultConfig { volume_bytes: 64 << 10, ..config(root) }).unwrap();
    let p = parameters(1);
    for number in 0..1000 {
        for stream in [1, 2] {
            vault.accept(unit(stream, number, &p));
        }
    }
    // The next hours, so that the volumes of the first may go.
    for number in [3 * 90_000, 3 * 90_000 + 1] {
        for stream in [1, 2] {
            vault.accept(unit(stream, number, &p));
        }
    }
    vault.flush().unwrap();
    vault
}

#[test]
fn a_hold_is_exact_and_outlives_key_volume_and_one_device() {
    let root = tempfile::tempdir().unwrap();
    let vault = recorded(root.path());
    // From the middle of a group to the middle of another.
    let held = vault.hold("case-1", StreamId(1), at(107), at(513)).unwrap();
    assert_eq!((held.from, held.until, held.whole), (at(107), at(513), true));
    let wanted: Vec<_> = (107..513).collect();
    assert_eq!(numbers(vault.read_hold("case-1").unwrap()), wanted);
    let before: Vec<_> = units(vault.read(StreamId(1), at(107), at(513)).unwrap());
    // The hour dies on time for both streams, and its volumes go.
    for stream in [1, 2] {
        vault.destroy_expired(StreamId(stream), Micros(START + HOUR)).unwrap();
    }
    assert!(numbers(vault.read(StreamId(1), at(0), at(1000)).unwrap()).is_empty());
    let after = units(vault.read_hold("case-1").unwrap());
    assert_eq!(
        after.iter().map(|u| u.captured).collect::<Vec<_>>(),
        wanted.iter().map(|n| at(*n)).collect::<Vec<_>>()
    );
    assert!(
        after
            .iter()
            .all(|unit| before.iter().any(|b| b.payload == unit.payload && b.captured == unit.captured))
    );
    // All volumes and one of the two devices are lost.
    drop(vault);
    for path in volumes(root.path()) {
        fs::remove_file(path).unwrap();
    }
    fs::remove_dir_all(root.path().join("keys-a/holds")).unwrap();
    let vault = Vault::open(config(root.path())).unwrap();
    assert_eq!(numbers(vault.read_hold("case-1").unwrap()), wanted);
    assert!(root.path().join("keys-a/holds/case-1/held").exists(), "the lost device has it again");
    assert!(vault.holds()[0].whole);
    // A damaged copy: the other one answers.
    let path = root.path().join("keys-a/holds/case-1/held");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(numbers(vault.read_hold("case-1").unwrap()), wanted);
}

#[test]
fn a_release_destroys_at_once_what_is_past_its_term_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let vault = recorded(root.path());
    vault.hold("a", StreamId(1), at(0), at(100)).unwrap();
    assert!(matches!(vault.hold("a", StreamId(2), at(0), at(100)), Err(VaultError::HoldExists(_))));
    assert!(matches!(vault.hold("../x", StreamId(1), at(0), at(9)), Err(VaultError::NoSuchHold(_))));
    vault.release("a").unwrap();
    assert_eq!(
        numbers(vault.read(StreamId(1), at(0), at(100)).unwrap()).len(),
        100,
        "within its term it stays"
    );
    vault.hold("b", StreamId(1), at(0), at(100)).unwrap();
    vault.destroy_expired(StreamId(1), Micros(START + HOUR)).unwrap();
    assert_eq!(numbers(vault.read_hold("b").unwrap()).len(), 100);
    // A backup of everything but the key stores' devices cannot open it once it is released.
    let kept: Vec<_> =
        ["claims", "held"].map(|n| fs::read(root.path().join("keys-a/holds/b").join(n)).unwrap()).into();
    vault.release("b").unwrap();
    assert!(vault.holds().is_empty());
    assert!(matches!(vault.read_hold("b"), Err(VaultError::NoSuchHold(_))));
    for dir in ["keys-a", "keys-b"] {
        let folder = root.path().join(dir).join("holds/b");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("claims"), &kept[0]).unwrap();
        fs::write(folder.join("held"), &kept[1]).unwrap();
    }
    assert!(vault.read_hold("b").is_err(), "ciphertext and claims without the case's key");
    assert!(matches!(vault.release("nothing"), Err(VaultError::NoSuchHold(_))));
}

#[test]
fn a_copy_that_a_crash_cut_short_is_finished_before_anything_is_unlinked() {
    let root = tempfile::tempdir().unwrap();
    let vault = recorded(root.path());
    vault.hold("c", StreamId(2), at(30), at(60)).unwrap();
    drop(vault);
    for dir in ["keys-a", "keys-b"] {
        fs::remove_file(root.path().join(dir).join("holds/c/held")).unwrap();
        fs::write(root.path().join(dir).join("holds/c/held.part"), b"RTRHELD1half").unwrap();
    }
    let vault = Vault::open(config(root.path())).unwrap();
    vault.destroy_expired(StreamId(2), Micros(START + HOUR)).unwrap();
    assert_eq!(numbers(vault.read_hold("c").unwrap()), (30..60).collect::<Vec<_>>());
}

/// Where the chunk with this frame lies in its volume.
fn place(root: &std::path::Path, stream: u32, number: i64) -> volumes::index::ChunkRef {
    let index = volumes::index::Index::reader(&root.join("vault/index.sqlite")).unwrap();
    let minute = at(number).0.div_euclid(60_000_000);
    let chunks = index.chunks(StreamId(stream), (minute - 1, minute)).unwrap();
    chunks.into_iter().find(|chunk| chunk.from <= at(number) && at(number) < chunk.until).unwrap()
}

/// A chunk that is rotten in both copies costs its own frames and a gap that says so, and nothing behind it.
#[test]
fn a_rotten_chunk_of_a_hold_costs_itself_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let vault = recorded(root.path());
    vault.hold("case-1", StreamId(1), at(100), at(400)).unwrap();
    let chunk = place(root.path(), 1, 230);
    let record = fs::read(volumes(root.path())[chunk.volume as usize - 1].clone()).unwrap();
    let record = &record[chunk.offset as usize..(chunk.offset + chunk.total) as usize];
    for dir in ["keys-a", "keys-b"] {
        let path = root.path().join(dir).join("holds/case-1/held");
        let mut bytes = fs::read(&path).unwrap();
        let found = bytes.windows(record.len()).position(|window| window == record).unwrap();
        bytes[found + record.len() / 2] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    let items: Vec<_> = vault.read_hold("case-1").unwrap().collect();
    let lost = |number: &i64| at(*number) >= chunk.from && at(*number) < chunk.until;
    assert_eq!(numbers(items.clone()), (100..400).filter(|number| !lost(number)).collect::<Vec<_>>());
    assert_eq!(gaps(items), [(chunk.from, chunk.until, media::GapReason::Damaged)]);
}

/// What cannot be read when a hold is made is counted and told; the hold is not whole.
#[test]
fn a_hold_says_how_much_of_it_could_not_be_read() {
    let root = tempfile::tempdir().unwrap();
    let vault = recorded(root.path());
    let chunk = place(root.path(), 1, 230);
    let path = volumes(root.path())[chunk.volume as usize - 1].clone();
    let mut bytes = fs::read(&path).unwrap();
    bytes[chunk.offset as usize..chunk.offset as usize + 80].fill(0);
    fs::write(&path, bytes).unwrap();
    let held = vault.hold("case-1", StreamId(1), at(100), at(400)).unwrap();
    assert_eq!((held.missing, held.whole), (1, false));
    drop(vault);
    let vault = Vault::open(config(root.path())).unwrap();
    assert_eq!((vault.holds()[0].missing, vault.holds()[0].whole), (1, false), "also after a start");
    let whole = vault.hold("case-2", StreamId(2), at(100), at(400)).unwrap();
    assert_eq!((whole.missing, whole.whole), (0, true));
}

/// Killed after the first device's folder was written: the next start completes keys and claims on the second before it
/// copies anything, so that the volumes may go. A name that was only taken is free again.
#[test]
fn a_claim_that_a_crash_cut_short_after_the_first_device_is_finished() {
    let root = tempfile::tempdir().unwrap();
    let vault = recorded(root.path());
    vault.hold("c", StreamId(2), at(30), at(60)).unwrap();
    drop(vault);
    fs::remove_dir_all(root.path().join("keys-b/holds/c")).unwrap();
    fs::remove_file(root.path().join("keys-a/holds/c/held")).unwrap();
    fs::create_dir(root.path().join("keys-a/holds/taken")).unwrap();
    let vault = Vault::open(config(root.path())).unwrap();
    assert!(vault.held("c").unwrap().whole);
    assert!(vault.differing_holds().is_empty());
    for stream in [1, 2] {
        vault.destroy_expired(StreamId(stream), Micros(START + HOUR)).unwrap();
    }
    fs::remove_dir_all(root.path().join("keys-a/holds/c")).unwrap();
    assert_eq!(vault.differing_holds(), ["c"]);
    assert_eq!(numbers(vault.read_hold("c").unwrap()), (30..60).collect::<Vec<_>>());
    vault.hold("taken", StreamId(1), at(270_000), at(270_002)).unwrap();
}

/// The clock was set back, and a stretch was recorded twice: the hold keeps both passes, one after the other, and each group
/// comes with its key frame first.
#[test]
fn a_hold_keeps_both_passes_over_the_same_time() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(VaultConfig { volume_bytes: 64 << 10, ..config(root.path()) }).unwrap();
    two_passes(&vault);
    let held = vault.hold("both", StreamId(1), at(1500), at(2500)).unwrap();
    assert!(held.whole);
    let units = units(vault.read_hold("both").unwrap());
    assert!(units.iter().all(|unit| unit.captured >= at(1500) && unit.captured < at(2500)));
    let marked = units.windows(2).all(|two| two[1].captured > two[0].captured || two[1].discontinuity);
    assert!(marked, "where time goes back is marked");
    let found = numbers(units.into_iter().map(vault::Item::Unit));
    let wanted: Vec<_> = pass(0, 1500..2500).chain(pass(1, 1500..2500)).collect();
    assert!(found == wanted, "{:?}", found.len());
}
