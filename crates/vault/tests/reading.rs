//! The way out: forward and backward, thinned out, seamless between disk and memory, whatever the writer does meanwhile.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::wildcard_imports)]

mod common;

use common::*;
use media::{GapReason, Micros, StreamId};
use proptest::prelude::*;
use std::{fs, os::unix::fs::FileExt};
use vault::{Direction, Item, Pictures, SpanKind, Vault, VaultConfig};
use volumes::index::Index;

const KEYS: Pictures = Pictures::KeyFrames { apart: Micros(0) };

fn backward(vault: &Vault, from: i64, until: i64, pictures: Pictures) -> Vec<Item> {
    vault.read_as(StreamId(1), (at(from), at(until)), Direction::Backward, pictures, &[]).unwrap().collect()
}

fn forward(vault: &Vault, from: i64, until: i64, pictures: Pictures) -> Vec<Item> {
    vault.read_as(StreamId(1), (at(from), at(until)), Direction::Forward, pictures, &[]).unwrap().collect()
}

/// The groups that backward reading should give for frames that are all there.
fn groups(from: i64, until: i64) -> Vec<i64> {
    let mut wanted = Vec::new();
    let mut end = until;
    loop {
        let key = (end - 1).div_euclid(GROUP) * GROUP;
        wanted.extend(key..end);
        if key <= from {
            return wanted;
        }
        end = key;
    }
}

#[test]
fn backward_gives_the_newest_group_first_and_each_in_order() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(config(root.path())).unwrap();
    let p = parameters(1);
    // Ten minutes, so that the index is asked more than once; the newest second is still in memory.
    for number in 0..15_000 {
        vault.accept(unit(1, number, &p));
        if number == 14_980 {
            vault.flush().unwrap();
        }
    }
    for (from, until) in [(60, 70), (0, 15_000), (7_333, 14_990), (14_985, 15_000), (75, 76), (1_499, 1_501)]
    {
        assert_eq!(
            numbers(backward(&vault, from, until, Pictures::All)),
            groups(from, until),
            "{from}..{until}"
        );
    }
    // Forward over the same long stretch, which is loaded minute by minute too.
    assert_eq!(numbers(forward(&vault, 40, 15_000, Pictures::All)), (25..15_000).collect::<Vec<_>>());
    assert!(gaps(forward(&vault, 0, 15_000, Pictures::All)).is_empty());
    assert!(gaps(backward(&vault, 0, 15_000, Pictures::All)).is_empty());
    // Beyond the live edge there is nothing, and that is no gap.
    assert!(backward(&vault, 15_100, 16_000, Pictures::All).iter().all(|item| matches!(item, Item::Unit(_))));
}

#[test]
fn key_frames_alone_are_all_that_is_opened() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(config(root.path())).unwrap();
    let p = parameters(1);
    // Groups of two seconds: every other chunk has no key frame.
    let frame = |number: i64| media::AccessUnit { key: number % 50 == 0, ..unit(1, number, &p) };
    (0..2_000).for_each(|number| vault.accept(frame(number)));
    let keys: Vec<i64> = (50..1_000).step_by(50).collect();
    let reversed: Vec<i64> = keys.iter().rev().copied().collect();
    assert_eq!(numbers(forward(&vault, 80, 1_000, KEYS)), keys, "from memory");
    drop(vault);
    // One picture in ten seconds, and with every other chunk bent nobody misses anything.
    let index = Index::reader(&root.path().join("vault/index.sqlite")).unwrap();
    for chunk in index.chunks(StreamId(1), (0, i64::MAX)).unwrap() {
        if !chunk.starts_with_key {
            let path = root.path().join("vault").join(volumes::volume::file_name(chunk.volume));
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.write_all_at(&[0xff; 16], chunk.offset + chunk.total / 2).unwrap();
        }
    }
    drop(index);
    let vault = Vault::open(config(root.path())).unwrap();
    let apart = Pictures::KeyFrames { apart: Micros(10_000_000) };
    for (ahead, back, pictures) in
        [(keys, reversed, KEYS), (vec![50, 300, 550, 800], vec![950, 700, 450, 200], apart)]
    {
        let read = forward(&vault, 80, 1_000, pictures);
        assert_eq!((numbers(read.clone()), gaps(read)), (ahead, vec![]));
        let read = backward(&vault, 80, 1_000, pictures);
        assert_eq!((numbers(read.clone()), gaps(read)), (back, vec![]));
    }
    assert!(!gaps(forward(&vault, 80, 1_000, Pictures::All)).is_empty());
}

#[test]
fn holes_are_told_whole_in_either_direction_however_long_they_are() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(config(root.path())).unwrap();
    let p = parameters(1);
    let feed = |numbers: std::ops::Range<i64>| numbers.for_each(|n| vault.accept(unit(1, n, &p)));
    feed(0..100);
    vault.gap(StreamId(1), at(100), GapReason::CameraOffline);
    // Forty minutes, many times what is loaded at once.
    feed(60_000..60_100);
    vault.gap(StreamId(1), at(60_100), GapReason::NotInUse);
    feed(120_000..120_050);
    let wanted = [
        (at(-500), at(0), GapReason::NotRunning),
        (at(100), at(60_000), GapReason::CameraOffline),
        (at(60_100), at(120_000), GapReason::NotInUse),
    ];
    for state in ["from memory", "from disk"] {
        assert_eq!(gaps(forward(&vault, -500, 130_000, Pictures::All)), wanted, "{state}");
        let mut back = gaps(backward(&vault, -500, 130_000, Pictures::All));
        back.reverse();
        assert_eq!(back, wanted, "{state}");
        let instants: Vec<Micros> = forward(&vault, -500, 130_000, Pictures::All)
            .iter()
            .map(|item| match item {
                Item::Unit(unit) => unit.captured,
                Item::Gap { from, .. } => *from,
            })
            .collect();
        assert!(instants.is_sorted());
        assert_eq!(
            gaps(forward(&vault, 200, 300, Pictures::All)),
            [(at(200), at(300), GapReason::CameraOffline)]
        );
        assert_eq!(
            gaps(backward(&vault, 200, 300, Pictures::All)),
            [(at(200), at(300), GapReason::CameraOffline)]
        );
        vault.flush().unwrap();
    }
}

#[test]
fn what_does_not_open_is_one_gap_backward_too() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(config(root.path())).unwrap();
    let p = parameters(1);
    (0..500).for_each(|number| vault.accept(unit(1, number, &p)));
    vault.flush().unwrap();
    drop(vault);
    for path in volumes(root.path()) {
        fs::remove_file(path).unwrap();
    }
    let vault = Vault::open(config(root.path())).unwrap();
    assert!(numbers(backward(&vault, 0, 500, Pictures::All)).is_empty());
    assert!(!gaps(backward(&vault, 0, 500, Pictures::All)).is_empty());
}

/// A reader made at any instant gives what was accepted by then, each picture once, however far the writer gets between
/// its making and its end: the hand-over from memory to disk neither doubles nor skips one.
#[test]
fn the_hot_end_is_seamless_while_the_writer_works() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(vault::VaultConfig { volume_bytes: 64 << 10, ..config(root.path()) }).unwrap();
    let p = parameters(1);
    let mut given = 0;
    for round in 0..60_i64 {
        for _ in 0..=(round * 7 % 31) {
            vault.accept(unit(1, given, &p));
            given += 1;
        }
        let wanted: Vec<i64> = (0..given).collect();
        let mut reader = vault.read(StreamId(1), at(0), at(given)).unwrap();
        let back =
            vault.read_as(StreamId(1), (at(0), at(given)), Direction::Backward, Pictures::All, &[]).unwrap();
        let mut seen = Vec::new();
        // Some of it before the writer moves all to disk and index, the rest after.
        seen.extend(numbers(reader.by_ref().take(usize::try_from(round).unwrap() * 3)));
        if round % 3 == 0 {
            vault.flush().unwrap();
        }
        // What comes later is not the reader's.
        vault.accept(unit(1, given, &p));
        given += 1;
        seen.extend(numbers(reader));
        assert_eq!(seen, wanted, "round {round}");
        let mut reversed = numbers(back);
        reversed.sort_unstable();
        assert_eq!(reversed, wanted, "backward, round {round}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Any stretch of a stream with holes: backward gives the same pictures and the same holes as forward.
    #[test]
    fn both_directions_tell_the_same(
        runs in prop::collection::vec((1_i64..120, 0_i64..400), 1..8), flush_after in 0_usize..8,
        from in -50_i64..500, length in 1_i64..1500,
    ) {
        let root = tempfile::tempdir().unwrap();
        let vault = Vault::open(config(root.path())).unwrap();
        let p = parameters(1);
        let mut number = 0;
        for (index, (frames, pause)) in runs.into_iter().enumerate() {
            for n in 0..frames {
                // Each run begins with a key frame, as after a reconnection.
                vault.accept(media::AccessUnit { key: n % GROUP == 0, ..unit(1, number, &p) });
                number += 1;
            }
            number += pause;
            if index == flush_after {
                vault.flush().unwrap();
            }
        }
        let (ahead, back) =
            (forward(&vault, from, from + length, Pictures::All), backward(&vault, from, from + length, Pictures::All));
        // What only leads to the first picture need not be the same: where there is none, backward gives nothing.
        let shown = |items: &[Item]| {
            let mut shown = numbers(items.to_vec());
            shown.retain(|number| *number >= from);
            shown.sort_unstable();
            shown
        };
        prop_assert_eq!(shown(&ahead), shown(&back));
        let mut holes = gaps(back);
        holes.reverse();
        prop_assert_eq!(gaps(ahead), holes);
    }
}

#[test]
fn held_footage_is_read_in_its_place_and_may_be_secured_for_another_case() {
    const HOUR: i64 = 3_600_000_000;
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(vault::VaultConfig { volume_bytes: 64 << 10, ..config(root.path()) }).unwrap();
    let p = parameters(1);
    (0..1000).for_each(|number| vault.accept(unit(1, number, &p)));
    // The hour after: its key lives on.
    (90_000..90_100).for_each(|number| vault.accept(unit(1, number, &p)));
    vault.hold("case-1", StreamId(1), at(107), at(513)).unwrap();
    vault.destroy_expired(StreamId(1), Micros(START + HOUR)).unwrap();
    assert!(numbers(forward(&vault, 0, 90_000, Pictures::All)).is_empty());
    let case = ["case-1".to_owned()];
    let read = |from: i64, until: i64, direction, pictures| {
        let stretch = (at(from), at(until));
        vault.read_as(StreamId(1), stretch, direction, pictures, &case).unwrap().collect::<Vec<_>>()
    };
    let whole = read(0, 90_050, Direction::Forward, Pictures::All);
    let wanted: Vec<i64> = (107..513).chain(90_000..90_050).collect();
    assert_eq!(numbers(whole.clone()), wanted, "exactly the held pictures, and what still lives");
    let destroyed: Vec<_> = gaps(whole);
    assert_eq!(destroyed.first(), Some(&(at(0), at(107), GapReason::Destroyed)));
    assert!(destroyed.iter().any(|(from, ..)| *from == at(513)), "{destroyed:?}");
    let spans = vault.spans_also(StreamId(1), at(0), at(1000), &case).unwrap();
    let kinds: Vec<_> = spans.iter().map(|span| (span.from, span.until, span.kind)).collect();
    let gone = SpanKind::Gap(GapReason::Destroyed);
    assert_eq!(
        kinds,
        [(at(0), at(107), gone), (at(107), at(513), SpanKind::Recorded), (at(513), at(1000), gone)]
    );
    // From the middle, by the key frame before; backward; key frames alone.
    assert_eq!(numbers(read(210, 220, Direction::Forward, Pictures::All)), (200..220).collect::<Vec<_>>());
    assert_eq!(numbers(read(210, 230, Direction::Backward, Pictures::All)), groups(210, 230));
    assert_eq!(numbers(read(200, 300, Direction::Forward, KEYS)), [200, 225, 250, 275]);
    assert_eq!(vault.key_frame_before(StreamId(1), at(210), &case).unwrap(), Some(at(200)));
    assert_eq!(vault.key_frame_before(StreamId(1), at(210), &[]).unwrap(), None);
    // For another case, out of the first: whole after that one is released.
    let open =
        vault.read_as(StreamId(1), (at(107), at(513)), Direction::Forward, Pictures::All, &case).unwrap();
    let again = vault.hold_also("case-2", StreamId(1), at(200), at(300), &case).unwrap();
    assert!(again.whole && again.chunks == 4, "{again:?}");
    vault.release("case-1").unwrap();
    assert!(numbers(open).is_empty(), "a reader that was open when the hold was released gives nothing more");
    drop(vault);
    let vault = Vault::open(config(root.path())).unwrap();
    assert_eq!(numbers(vault.read_hold("case-2").unwrap()), (200..300).collect::<Vec<_>>());
    assert!(matches!(
        vault.read_as(StreamId(1), (at(107), at(513)), Direction::Forward, Pictures::All, &case).map(|_| ()),
        Err(vault::VaultError::NoSuchHold(_))
    ));
}

/// Whether each frame that is no key frame comes right after the one that it is decoded from.
fn is_decodable(numbers: &[i64]) -> bool {
    numbers.first().is_none_or(|first| first % GROUP == 0)
        && numbers.windows(2).all(|two| two[1] % GROUP == 0 || two[1] == two[0] + 1)
}

/// The clock was set back, and five minutes were recorded twice: reading gives every frame of both passes once, each group whole
/// with its key frame first, whichever way and wherever one begins.
#[test]
fn two_passes_over_the_same_time_are_read_group_by_group() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(VaultConfig { volume_bytes: 200 << 10, ..config(root.path()) }).unwrap();
    two_passes(&vault);
    let mut all: Vec<i64> = pass(0, 0..10_000).chain(pass(1, 0..10_000)).collect();
    all.sort_unstable();
    let check = |vault: &Vault| {
        for direction in [Direction::Forward, Direction::Backward] {
            let read = |from: i64, until: i64| {
                let range = (at(from), at(until));
                numbers(vault.read_as(StreamId(1), range, direction, Pictures::All, &[]).unwrap())
            };
            let mut found = read(0, 10_000);
            assert!(is_decodable(&found), "{direction:?}");
            found.sort_unstable();
            assert!(found == all, "{direction:?}: {} of {}", found.len(), all.len());
            // From the middle of groups, across a minute, a few seconds and a few minutes.
            for (from, until) in [(1490, 1530), (2987, 3207), (1111, 7_777), (8_020, 8_060)] {
                let found = read(from, until);
                assert!(is_decodable(&found), "{direction:?} {from}..{until}");
                let mut inside = pass(0, from + GROUP..until).chain(pass(1, from + GROUP..until));
                assert!(inside.all(|number| found.contains(&number)), "{direction:?} {from}..{until}");
            }
        }
        let ahead = units(forward(vault, 0, 10_000, Pictures::All));
        let marked = |two: &[media::AccessUnit]| two[1].captured > two[0].captured || two[1].discontinuity;
        assert!(ahead.windows(2).all(marked), "where time goes back is marked");
    };
    check(&vault);
    drop(vault);
    check(&Vault::open(config(root.path())).unwrap());
}
