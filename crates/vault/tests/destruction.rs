//! Destroying keys: nothing opens afterwards, not even from a copy; and nothing else is touched.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::wildcard_imports)]

mod common;

use common::*;
use media::{GapReason, Micros, StreamId};
use std::{fs, path::Path};
use vault::{Item, SpanKind, Vault, VaultConfig, rebuild_index};
use volumes::volume::{self, Kind, RecordHead};

const HOUR: i64 = 3_600_000_000;

/// Two streams, ten seconds in each of three hours.
fn record(vault: &Vault) {
    let p = parameters(1);
    for hour in 0..3 {
        for number in 0..250 {
            for stream in 1..=2 {
                let mut unit = unit(stream, number, &p);
                unit.captured = unit.captured.plus(hour * HOUR);
                vault.accept(unit);
            }
        }
        vault.flush().unwrap();
    }
}

fn frames_by_hour(vault: &Vault, stream: u32) -> [usize; 3] {
    let mut hours = [0; 3];
    for unit in units(read_all(vault, stream)) {
        hours[((unit.captured.0 - START) / HOUR) as usize] += 1;
    }
    hours
}

#[test]
fn a_destroyed_hour_opens_no_more_from_disk_or_backup() {
    let (root, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let small = VaultConfig { volume_bytes: 64 << 10, ..config(root.path()) };
    let vault = Vault::open(small.clone()).unwrap();
    record(&vault);
    drop(vault);
    copy(root.path(), backup.path());
    let vault = Vault::open(small.clone()).unwrap();
    assert_eq!(frames_by_hour(&vault, 1), [250; 3]);
    // A reader that is open when the key dies gets nothing more of that hour.
    let mut open = vault.read(StreamId(1), Micros(START), Micros(START + 3 * HOUR)).unwrap();
    assert!(matches!(open.next(), Some(Item::Unit(_))));
    // One microsecond of the second hour is due: it goes whole, never late.
    let gone = vault.destroy_expired(StreamId(1), Micros(START + HOUR + 1)).unwrap();
    assert_eq!(gone.keys.len(), 2);
    assert_eq!((gone.from, gone.until), (Some(Micros(START)), Some(Micros(START + 2 * HOUR))));
    assert!(gone.bytes > 0);
    assert_eq!(frames_by_hour(&vault, 1), [0, 0, 250]);
    assert_eq!(frames_by_hour(&vault, 2), [250; 3], "another stream is not touched");
    let rest: Vec<_> = open.collect();
    assert_eq!(units(rest.clone()).len(), 250 + 24, "the chunk in hand, then only the hour that lives");
    assert!(gaps(rest).iter().any(|gap| gap.2 == GapReason::Destroyed));
    let spans = vault.spans(StreamId(1), Micros(START), Micros(START + 10_000_000)).unwrap();
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].kind, SpanKind::Gap(GapReason::Destroyed));
    assert_eq!(vault.destroy_expired(StreamId(1), Micros(START + HOUR + 1)).unwrap().keys.len(), 0, "once");
    // The other stream too: now nothing lives in the first volumes, and they go.
    let before = volumes(root.path()).len();
    let gone = vault.destroy_expired(StreamId(2), Micros(START + 2 * HOUR)).unwrap();
    assert!(gone.volumes_unlinked > 0);
    assert_eq!(volumes(root.path()).len() as u64, before as u64 - gone.volumes_unlinked);
    let on_disk: u64 = volumes(root.path()).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert_eq!(vault.stats().bytes, on_disk);
    drop(vault);
    // Last month's backup of footage and index comes back, but its keys were in no backup: every chunk is tried.
    let dir = root.path().join("vault");
    fs::remove_dir_all(&dir).unwrap();
    fs::create_dir(&dir).unwrap();
    for entry in fs::read_dir(backup.path().join("vault")).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), dir.join(entry.file_name())).unwrap();
    }
    let chunks = chunks(root.path());
    assert_eq!(chunks.len(), 2 * 3 * 10, "a second each");
    let vault = Vault::open(small.clone()).unwrap();
    for head in chunks {
        assert_eq!(vault.oldest(head.stream).unwrap(), Some(Micros(START)), "its row is there");
        let items: Vec<_> = vault.read(head.stream, head.from, head.until).unwrap().collect();
        let opened = units(items.clone()).len() as u32;
        let dead = head.from.0 < START + 2 * HOUR;
        assert_eq!(opened, if dead { 0 } else { head.units }, "{head:?}");
        let told = gaps(items);
        assert_eq!(told.len(), usize::from(dead), "{head:?}: {told:?}");
        assert!(told.iter().all(|gap| *gap == (head.from, head.until, GapReason::Destroyed)), "{told:?}");
    }
    drop(vault);
    // The same with an index that is made anew.
    rebuild_index(&dir).unwrap();
    let vault = Vault::open(small).unwrap();
    for stream in 1..=2 {
        assert_eq!(frames_by_hour(&vault, stream), [0, 0, 250]);
    }
}

/// The head of every chunk in the folder's volumes.
fn chunks(root: &Path) -> Vec<RecordHead> {
    let records = volumes(root).into_iter().flat_map(|path| {
        let file = fs::File::open(&path).unwrap();
        volume::walk(&file, &path, 0).unwrap().into_iter().map(|record| record.head)
    });
    records.filter(|head| matches!(head.kind, Kind::Chunk { .. })).collect()
}

#[test]
fn what_is_still_in_memory_is_destroyed_too_and_recording_goes_on() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(config(root.path())).unwrap();
    let p = parameters(1);
    (0..50).for_each(|number| vault.accept(unit(1, number, &p)));
    let gone = vault.destroy_expired(StreamId(1), at(50)).unwrap();
    assert_eq!(gone.keys.len(), 1);
    assert!(numbers(read_all(&vault, 1)).is_empty());
    (50..100).for_each(|number| vault.accept(unit(1, number, &p)));
    vault.flush().unwrap();
    assert_eq!(numbers(read_all(&vault, 1)), (50..100).collect::<Vec<_>>(), "a new key of the same hour");
    drop(vault);
    rebuild_index(&root.path().join("vault")).unwrap();
    let vault = Vault::open(config(root.path())).unwrap();
    let items = read_all(&vault, 1);
    assert_eq!(numbers(items.clone()), (50..100).collect::<Vec<_>>());
    assert!(gaps(items).iter().any(|(_, until, reason)| (*until, *reason) == (at(50), GapReason::Destroyed)));
}

#[test]
fn plaintext_is_nowhere_on_disk() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(config(root.path())).unwrap();
    let mut marked = unit(1, 0, &parameters(1));
    marked.payload = bytes::Bytes::from_static(b"a face that must not be found on the disk");
    vault.accept(marked);
    drop(vault);
    for folder in ["vault", "keys-a", "keys-b"] {
        for entry in fs::read_dir(root.path().join(folder)).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(10).any(|window| window == b"a face tha"));
        }
    }
}

/// The process dies after the keys and before anything else: nothing opens, and the next run takes away rows and volumes.
#[test]
fn a_destruction_that_stopped_after_the_keys_is_finished_by_the_next_run() {
    let (root, before) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let small = VaultConfig { volume_bytes: 64 << 10, ..config(root.path()) };
    let vault = Vault::open(small.clone()).unwrap();
    record(&vault);
    drop(vault);
    copy(root.path(), before.path());
    let vault = Vault::open(small.clone()).unwrap();
    for stream in 1..=2 {
        vault.destroy_expired(StreamId(stream), Micros(START + HOUR)).unwrap();
    }
    drop(vault);
    // Volumes and index as they were, the keys dead.
    let folder = root.path().join("vault");
    fs::remove_dir_all(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    for entry in fs::read_dir(before.path().join("vault")).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    let vault = Vault::open(small.clone()).unwrap();
    assert_eq!(frames_by_hour(&vault, 1), [0, 250, 250]);
    let left = volumes(root.path()).len();
    assert_eq!(vault.oldest(StreamId(1)).unwrap(), Some(at(0)), "its rows are there");
    assert!(vault.finish_destroyed(Micros(START)).unwrap().is_empty(), "nothing younger is touched");
    let gone = vault.finish_destroyed(Micros(START + 3 * HOUR)).unwrap();
    let streams: Vec<_> = gone.iter().map(|(stream, _)| *stream).collect();
    assert_eq!(streams, [Some(StreamId(1)), Some(StreamId(2))], "{gone:?}");
    assert!(gone.iter().all(|(_, gone)| gone.bytes > 0 && gone.keys.is_empty()));
    assert_eq!(vault.oldest(StreamId(1)).unwrap(), Some(Micros(START + HOUR)));
    let unlinked: u64 = gone.iter().map(|(_, gone)| gone.volumes_unlinked).sum();
    assert!(unlinked > 0);
    assert_eq!(volumes(root.path()).len() as u64, left as u64 - unlinked);
    for stream in 1..=2 {
        assert_eq!(frames_by_hour(&vault, stream), [0, 250, 250], "what lives is untouched");
    }
    assert!(vault.finish_destroyed(Micros(START + 3 * HOUR)).unwrap().is_empty(), "once");
    let on_disk: u64 = volumes(root.path()).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert_eq!(vault.stats().bytes, on_disk);
}
