//! A start looks at what may be open and lists nothing; what it cannot believe, it lists, and no frame is lost either way.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::wildcard_imports)]

mod common;

use common::*;
use media::{GapReason, Micros, StreamId};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};
use vault::{StreamPolicy, Vault, VaultConfig};
use volumes::{
    identity::Identity,
    index::Index,
    open::{self, OpenVolumes},
};

const HOUR: i64 = 3_600_000_000;

fn small(root: &Path) -> VaultConfig {
    VaultConfig { volume_bytes: 64 << 10, ..config(root) }
}

fn open(root: &Path) -> Vault {
    let vault = Vault::open(small(root)).unwrap();
    vault.set_policy(StreamId(2), StreamPolicy { retention_class: 7, importance: 1 });
    vault
}

fn feed(vault: &Vault, numbers: std::ops::Range<i64>) {
    let p = parameters(1);
    for number in numbers {
        vault.accept(unit(1, number, &p));
        vault.accept(unit(2, number, &p));
    }
    vault.flush().unwrap();
}

/// Every volume that `open` does not name is sealed in the index.
fn holds(root: &Path) {
    let dir = root.join("vault");
    let vault: [u8; 16] = fs::read(dir.join("identity")).unwrap()[16..32].try_into().unwrap();
    let open = OpenVolumes::read(&dir, vault).unwrap();
    let index = Index::reader(&dir.join("index.sqlite")).unwrap();
    for path in volumes(root) {
        let number: u64 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        assert!(number <= open.newest);
        if !open.numbers.contains(&number) {
            assert!(
                matches!(index.volume(number).unwrap(), Some((true, _))),
                "{number} is neither listed nor sealed"
            );
        }
    }
}

/// Until it is so; a minute at most.
fn until(what: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_mins(1);
    while !what() {
        assert!(Instant::now() < end, "it never came to pass");
        std::thread::yield_now();
    }
}

#[test]
fn a_start_lists_nothing_after_a_stop_and_after_a_crash() {
    let (root, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let vault = open(root.path());
    assert!(vault.stats().listed, "the first start has nothing to go by");
    for second in 0..40 {
        feed(&vault, second * 25..(second + 1) * 25);
        holds(root.path());
        if second == 30 {
            copy(root.path(), crashed.path());
        }
    }
    drop(vault);
    let vault = open(root.path());
    assert!(!vault.stats().listed);
    let on_disk: u64 = volumes(root.path()).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert_eq!((vault.stats().bytes, vault.stats().volumes), (on_disk, volumes(root.path()).len() as u64));
    for stream in [1, 2] {
        assert_eq!(numbers(read_all(&vault, stream)), (0..1000).collect::<Vec<_>>());
    }
    // Numbers go on where they stood, also when the newest volume is gone.
    drop(vault);
    fs::remove_file(volumes(root.path()).pop().unwrap()).unwrap();
    let highest = volumes(root.path()).len() as u64 + 1;
    let vault = open(root.path());
    feed(&vault, 1000..1025);
    let newest = volumes(root.path()).pop().unwrap();
    assert!(newest.file_stem().unwrap().to_str().unwrap().parse::<u64>().unwrap() > highest);
    drop(vault);
    let vault = open(crashed.path());
    assert!(!vault.stats().listed, "a crash leaves volumes open, and the list names them");
    for stream in [1, 2] {
        assert_eq!(numbers(read_all(&vault, stream)), (0..31 * 25).collect::<Vec<_>>());
    }
    holds(crashed.path());
}

#[test]
fn a_list_that_cannot_be_believed_costs_a_listing_and_no_frame() {
    let (root, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let vault = open(root.path());
    feed(&vault, 0..100);
    let older = fs::read(root.path().join("vault").join(open::FILE)).unwrap();
    feed(&vault, 100..500);
    copy(root.path(), crashed.path());
    let path = crashed.path().join("vault").join(open::FILE);
    let whole = fs::read(&path).unwrap();
    let torn = |cut: usize| [&whole[..cut], &vec![0; 4096 - cut]].concat();
    let cases = [
        None,
        Some(vec![]),
        Some(torn(40)),
        Some(torn(512)),
        Some(older),
        Some(vec![7; 4096]),
        Some(whole.clone()),
    ];
    for (n, bytes) in cases.into_iter().enumerate() {
        let again = tempfile::tempdir().unwrap();
        copy(crashed.path(), again.path());
        let path = again.path().join("vault").join(open::FILE);
        let believed = bytes.as_ref() == Some(&whole);
        match bytes {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let vault = open(again.path());
        assert_eq!(vault.stats().listed, !believed, "case {n}");
        for stream in [1, 2] {
            assert_eq!(numbers(read_all(&vault, stream)), (0..500).collect::<Vec<_>>(), "case {n}");
        }
        drop(vault);
        assert!(!open(again.path()).stats().listed, "case {n}: the next start believes it again");
    }
}

/// A volume that is lost is damage, not destruction; a start forgets it without waiting for that, and takes in what lies in
/// the folder unknown.
#[test]
fn what_is_lost_is_damage_and_what_is_found_is_taken_in_after_the_start() {
    let root = tempfile::tempdir().unwrap();
    let vault = open(root.path());
    feed(&vault, 0..500);
    let lost = volumes(root.path()).remove(0);
    let away = root.path().join("away");
    let size = fs::metadata(&lost).unwrap().len();
    fs::rename(&lost, &away).unwrap();
    let reasons: Vec<_> = gaps(read_all(&vault, 1)).into_iter().chain(gaps(read_all(&vault, 2))).collect();
    assert!(reasons.iter().any(|gap| gap.2 == GapReason::Damaged), "{reasons:?}");
    assert!(reasons.iter().all(|gap| gap.2 != GapReason::Destroyed), "{reasons:?}");
    drop(vault);
    let vault = open(root.path());
    let left = volumes(root.path()).len() as u64;
    until(|| vault.stats().volumes == left);
    let found = numbers(read_all(&vault, 1)).len() + numbers(read_all(&vault, 2)).len();
    assert!(found < 1000);
    drop(vault);
    fs::rename(&away, &lost).unwrap();
    let vault = open(root.path());
    assert!(!vault.stats().listed);
    until(|| vault.stats().volumes == left + 1);
    assert!(vault.stats().bytes >= size);
    for stream in [1, 2] {
        assert_eq!(numbers(read_all(&vault, stream)), (0..500).collect::<Vec<_>>());
    }
    // What is destroyed is told as destroyed, and its volume too.
    vault.destroy_expired(StreamId(1), Micros(START + HOUR)).unwrap();
    assert!(gaps(read_all(&vault, 1)).iter().all(|gap| gap.2 != GapReason::Damaged));
}

/// An archive from before there was such a list, and before the index kept totals.
#[test]
fn an_older_archive_is_taken_over() {
    let root = tempfile::tempdir().unwrap();
    let vault = open(root.path());
    feed(&vault, 0..300);
    drop(vault);
    let dir = root.path().join("vault");
    fs::remove_file(dir.join(open::FILE)).unwrap();
    let identity = Identity::open(&dir).unwrap();
    let sql = rusqlite::Connection::open(dir.join("index.sqlite")).unwrap();
    sql.execute_batch(
        "DROP TRIGGER total_add; DROP TRIGGER total_drop; DROP TRIGGER total_change; DROP TABLE total;
         DROP INDEX volume_by_newest; DROP INDEX volume_open;",
    )
    .unwrap();
    drop((sql, identity));
    let vault = open(root.path());
    let on_disk: u64 = volumes(root.path()).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert_eq!((vault.stats().bytes, vault.stats().volumes), (on_disk, volumes(root.path()).len() as u64));
    assert_eq!(numbers(read_all(&vault, 1)), (0..300).collect::<Vec<_>>());
    drop(vault);
    assert!(!open(root.path()).stats().listed);
}

#[test]
fn a_full_volume_is_sealed_when_it_is_old_enough() {
    let root = tempfile::tempdir().unwrap();
    let young = VaultConfig { volume_least: Duration::from_hours(1), ..small(root.path()) };
    let vault = Vault::open(young).unwrap();
    let mut fed = 0;
    // However much comes in: ten times what a volume holds, in many rounds.
    while vault.stats().bytes < 640 << 10 {
        feed(&vault, fed..fed + 100);
        fed += 100;
    }
    assert_eq!(vault.stats().volumes, 1, "it is too young");
    drop(vault);
    // Old enough at once: it is sealed when it is full.
    let vault = Vault::open(small(root.path())).unwrap();
    while vault.stats().volumes < 3 {
        feed(&vault, fed..fed + 100);
        fed += 100;
    }
    assert_eq!(vault.first_unsealed().unwrap(), Some(3));
    assert!(fs::metadata(&volumes(root.path())[1]).unwrap().len() < 100 << 10);
    assert_eq!(numbers(read_all(&vault, 1)), (0..fed).collect::<Vec<_>>());
}

/// What a volume has beyond a full one's bytes goes to the index though no minute is over and nothing is sealed: a start after
/// a crash need not read it all again.
#[test]
fn a_volume_that_grows_beyond_its_size_is_indexed_on_the_way() {
    let (root, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let quick = Duration::from_millis(5);
    let vault = Vault::open(VaultConfig {
        volume_least: Duration::from_hours(1),
        tick: quick,
        sync_every: quick,
        ..small(root.path())
    })
    .unwrap();
    let p = parameters(1);
    // Less than a minute, and several times the bytes of a volume.
    for number in 0..1400 {
        vault.accept(unit(1, number, &p));
        vault.accept(unit(2, number, &p));
    }
    until(|| vault.stats().indexed > 0);
    assert_eq!(vault.stats().volumes, 1);
    copy(root.path(), crashed.path());
    let reader = volumes::index::Index::reader(&root.path().join("vault/index.sqlite")).unwrap();
    assert!(reader.volume(1).unwrap().unwrap().1 > 64 << 10);
    vault.flush().unwrap();
    for stream in [1, 2] {
        assert_eq!(numbers(read_all(&vault, stream)), (0..1400).collect::<Vec<_>>());
    }
    drop(vault);
    let vault = open(crashed.path());
    let found = numbers(read_all(&vault, 1));
    assert!(!found.is_empty() && found == (0..found.len() as i64).collect::<Vec<_>>());
    drop(vault);
    let report = volumes::check::check(&crashed.path().join("vault")).unwrap();
    assert!(
        report.is_clean(),
        "rows of one minute that came in two parts are as if they came in one: {report:?}"
    );
}
