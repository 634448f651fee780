//! Keys at rest under a systemd credential or in a PKCS#11 token (SoftHSM): what opens, what does not, what dies.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::wildcard_imports)]

mod common;

use common::*;
use media::{GapReason, StreamId};
use std::{fs, path::Path, process::Command};
use token::{
    SealingKey, Token,
    softhsm::{self, SoftToken},
};
use vault::{Credential, Protection, Vault, VaultConfig, VaultError};

/// Three hours, a second of each.
fn record(vault: &Vault) {
    let p = parameters(1);
    for hour in 0..3 {
        (hour * 90_000..hour * 90_000 + 25).for_each(|number| vault.accept(unit(1, number, &p)));
    }
    vault.flush().unwrap();
}

fn open(root: &Path, protection: Protection) -> Result<Vault, VaultError> {
    Vault::open(VaultConfig { protection, ..config(root) })
}

fn credential(byte: u8) -> Protection {
    Protection::Credential(Credential::new(&[byte; 32]).unwrap())
}

fn slots(root: &Path) -> [Vec<u8>; 2] {
    ["keys-a/slots", "keys-b/slots"].map(|file| fs::read(root.join(file)).unwrap())
}

/// The 32 bytes where bare slots have their keys.
fn keys_of(slots: &[u8]) -> Vec<[u8; 32]> {
    slots
        .chunks(64)
        .skip(1)
        .filter(|slot| slot[0] != 0)
        .map(|slot| slot[24..56].try_into().unwrap())
        .collect()
}

#[test]
fn a_credential_seals_every_slot_in_place_and_without_it_nothing_opens() {
    let root = tempfile::tempdir().unwrap();
    let vault = open(root.path(), Protection::FileMode).unwrap();
    record(&vault);
    vault.hold("bare", StreamId(1), at(0), at(10)).unwrap();
    let commitments: Vec<_> =
        (0..3).flat_map(|hour| vault.keys_of_hour(StreamId(1), at(hour * 90_000))).collect();
    drop(vault);
    let bare = slots(root.path());
    let keys = keys_of(&bare[0]);
    assert_eq!(keys.len(), 3);
    // Configured for the first time: sealed where they stand, the same keys, the same size.
    let vault = open(root.path(), credential(1)).unwrap();
    assert_eq!(numbers(read_all(&vault, 1)).len(), 75);
    let again: Vec<_> = (0..3).flat_map(|hour| vault.keys_of_hour(StreamId(1), at(hour * 90_000))).collect();
    assert_eq!(commitments, again, "the commitments say the same keys");
    vault.hold("case", StreamId(1), at(0), at(10)).unwrap();
    assert_eq!(numbers(vault.read_hold("case").unwrap()), (0..10).collect::<Vec<_>>());
    assert_eq!(numbers(vault.read_hold("bare").unwrap()), (0..10).collect::<Vec<_>>());
    drop(vault);
    for sealed in slots(root.path()) {
        assert_eq!(sealed.len(), bare[0].len());
        assert!(keys.iter().all(|key| !sealed.windows(32).any(|w| w == key)), "a bare key is left");
    }
    let case = fs::read(root.path().join("keys-a/holds/case/key")).unwrap();
    assert_eq!((case.len(), case[8]), (64, 2));
    // Another credential is refused before it can do harm.
    assert!(matches!(open(root.path(), credential(2)), Err(VaultError::AnotherCredential(_))));
    // Without any: said, nothing old opens, nothing is taken for destroyed, new footage is recorded.
    let vault = open(root.path(), Protection::FileMode).unwrap();
    assert_eq!(vault.stats().keys_sealed_away, 3);
    let items = read_all(&vault, 1);
    assert!(numbers(items.clone()).is_empty());
    assert_eq!(gaps(items).iter().filter(|gap| gap.2 == GapReason::Damaged).count(), 3);
    assert!(matches!(vault.hold("none", StreamId(1), at(0), at(10)), Err(VaultError::Sealed(_))));
    assert!(vault.holds().iter().all(|held| held.id != "none"), "a hold that keeps nothing is none");
    assert!(matches!(vault.read_hold("case"), Err(VaultError::Sealed(_))));
    let p = parameters(1);
    (300_000..300_025).for_each(|number| vault.accept(unit(1, number, &p)));
    vault.flush().unwrap();
    assert_eq!(numbers(read_all(&vault, 1)), (300_000..300_025).collect::<Vec<_>>());
    // What is due dies all the same, named by its id.
    let gone = vault.destroy_expired(StreamId(1), at(1)).unwrap();
    assert!(gone.keys.len() == 1 && gone.keys[0].starts_with("id "), "{:?}", gone.keys);
    drop(vault);
    // It is there again: everything else opens.
    let vault = open(root.path(), credential(1)).unwrap();
    assert_eq!(vault.stats().keys_sealed_away, 0);
    assert_eq!(numbers(read_all(&vault, 1)).len(), 75);
    assert_eq!(numbers(vault.read_hold("case").unwrap()), (0..10).collect::<Vec<_>>());
}

/// A restart within the hour with another protection: the hour's key does not open, so what comes gets another one.
#[test]
fn recording_goes_on_where_the_key_of_the_hour_is_sealed_away() {
    let root = tempfile::tempdir().unwrap();
    let p = parameters(1);
    let record = |protection, frames: std::ops::Range<i64>| {
        let vault = open(root.path(), protection).unwrap();
        frames.for_each(|number| vault.accept(unit(1, number, &p)));
        vault.flush().unwrap();
        numbers(read_all(&vault, 1))
    };
    assert_eq!(record(credential(1), 0..25), (0..25).collect::<Vec<_>>());
    assert_eq!(record(Protection::FileMode, 25..50), (25..50).collect::<Vec<_>>());
    // Again: the one that opens is used.
    assert_eq!(record(Protection::FileMode, 50..75), (25..75).collect::<Vec<_>>());
    assert_eq!(keys_of(&slots(root.path())[0]).len(), 2);
    assert_eq!(record(credential(1), 75..100), (0..100).collect::<Vec<_>>());
    // The hour dies with all its keys.
    let vault = open(root.path(), credential(1)).unwrap();
    assert_eq!(vault.destroy_expired(StreamId(1), at(1)).unwrap().keys.len(), 2);
    assert!(numbers(read_all(&vault, 1)).is_empty());
}

/// SoftHSM finds its token by the environment, which only a process of its own may have: the test runs itself again.
fn with_token(name: &str) -> Option<Token> {
    if let Ok(uri) = std::env::var("RTR_TEST_TOKEN") {
        return Some(Token::open(&uri.parse().unwrap()).unwrap());
    }
    let folder = tempfile::tempdir().unwrap();
    let soft = SoftToken::make(folder.path(), "RTR").unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(softhsm::VARIABLE, soft.configuration())
        .env("RTR_TEST_TOKEN", soft.uri(None))
        .status()
        .unwrap();
    assert!(status.success());
    None
}

#[test]
fn a_token_seals_by_class_and_hour_and_its_keys_die_with_their_hour() {
    let Some(token) = with_token("a_token_seals_by_class_and_hour_and_its_keys_die_with_their_hour") else {
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let protection = Protection::Token(token.clone());
    let vault = open(root.path(), protection.clone()).unwrap();
    record(&vault);
    let p = parameters(1);
    // A second stream of the first hour: the same key in the token.
    (0..25).for_each(|number| vault.accept(unit(2, number, &p)));
    vault.flush().unwrap();
    let labels = || SealingKey::labels(&token).unwrap();
    assert_eq!(labels().len(), 3, "one for each hour of the class: {:?}", labels());
    assert_eq!(numbers(read_all(&vault, 1)).len(), 75);
    vault.hold("case", StreamId(1), at(0), at(10)).unwrap();
    assert_eq!(labels().len(), 4);
    drop(vault);
    let stolen = slots(root.path());
    let vault = open(root.path(), protection.clone()).unwrap();
    assert_eq!(numbers(read_all(&vault, 1)).len(), 75);
    // The hour of both streams: the key in the token lives as long as one of them needs it.
    vault.destroy_expired(StreamId(1), at(1)).unwrap();
    assert_eq!((labels().len(), numbers(read_all(&vault, 2)).len()), (4, 25));
    vault.destroy_expired(StreamId(2), at(1)).unwrap();
    assert_eq!(labels().len(), 3, "its last slot is gone: {:?}", labels());
    drop(vault);
    // Not even somebody who copied the slots before opens it now, with the token in hand.
    for (file, bytes) in ["keys-a/slots", "keys-b/slots"].iter().zip(&stolen) {
        fs::write(root.path().join(file), bytes).unwrap();
    }
    let vault = open(root.path(), protection.clone()).unwrap();
    assert_eq!(vault.stats().keys_sealed_away, 2);
    assert_eq!(numbers(read_all(&vault, 1)).len(), 50);
    assert!(numbers(read_all(&vault, 2)).is_empty());
    // The hold has a key of its own, until it is released.
    assert_eq!(numbers(vault.read_hold("case").unwrap()), (0..10).collect::<Vec<_>>());
    vault.release("case").unwrap();
    assert!(labels().iter().all(|label| !label.contains("case")));
    drop(vault);
    // Both copies of the key store away: the keys in the token stay for when they come back.
    let kept = labels().len();
    for folder in ["keys-a", "keys-b"] {
        fs::rename(root.path().join(folder), root.path().join(format!("{folder}-away"))).unwrap();
    }
    let vault = open(root.path(), protection.clone()).unwrap();
    assert!(vault.stats().keys_lost && labels().len() == kept);
    drop(vault);
    for folder in ["keys-a", "keys-b"] {
        fs::remove_dir_all(root.path().join(folder)).unwrap();
        fs::rename(root.path().join(format!("{folder}-away")), root.path().join(folder)).unwrap();
    }
    assert_eq!(numbers(read_all(&open(root.path(), protection).unwrap(), 1)).len(), 50);
}
