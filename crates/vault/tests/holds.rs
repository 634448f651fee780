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
