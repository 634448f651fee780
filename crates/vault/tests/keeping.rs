//! What goes in comes out: byte for byte, across volumes, from memory and from disk, with every hole explained.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::wildcard_imports)]

mod common;

use common::*;
use media::{AccessUnit, GapReason, Micros, StreamId, Ticks};
use proptest::prelude::*;

use vault::{Item, Span, SpanKind, StreamPolicy, Vault, VaultConfig, VaultError};

fn shape() -> impl Strategy<Value = (u32, bool, bool, Vec<u8>, Option<i64>, i64)> {
    (
        1_u32..4,
        prop::bool::weighted(0.1),
        any::<bool>(),
        prop::collection::vec(any::<u8>(), 0..3000),
        prop::option::of(-1000_i64..1000),
        1_i64..200_000,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn random_units_come_back_byte_for_byte(shapes in prop::collection::vec(shape(), 1..300), flush_at in 0_usize..300) {
        let root = tempfile::tempdir().unwrap();
        let small = VaultConfig { volume_bytes: 64 << 10, ..config(root.path()) };
        let vault = Vault::open(small.clone()).unwrap();
        let mut given: Vec<Vec<AccessUnit>> = vec![Vec::new(); 4];
        let mut now = START;
        for (index, (stream, key, discontinuity, payload, camera, step)) in shapes.into_iter().enumerate() {
            now += step;
            let mine = &mut given[stream as usize];
            let unit = AccessUnit {
                stream: StreamId(stream),
                parameters: parameters(1 + mine.len() as u16 / 40),
                captured: Micros(now),
                media_time: Ticks(now / 11),
                duration: 3600,
                key: key || mine.is_empty(),
                discontinuity,
                received: Micros(now + 5),
                camera_time: camera.map(|camera| Micros(now + camera)),
                received_within: camera.map_or(0, |camera| camera.unsigned_abs() as u32),
                payload: payload.into(),
            };
            mine.push(unit.clone());
            vault.accept(unit);
            if index == flush_at {
                vault.flush().unwrap();
            }
        }
        for (stream, given) in given.iter().enumerate() {
            prop_assert_eq!(&units(read_all(&vault, stream as u32)), given, "partly from memory");
        }
        vault.flush().unwrap();
        for (stream, given) in given.iter().enumerate() {
            prop_assert_eq!(&units(read_all(&vault, stream as u32)), given, "from disk");
        }
        drop(vault);
        let vault = Vault::open(small).unwrap();
        for (stream, given) in given.iter().enumerate() {
            prop_assert_eq!(&units(read_all(&vault, stream as u32)), given, "after closing and opening");
        }
    }
}

#[test]
fn reading_starts_at_the_key_frame_at_or_before() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(config(root.path())).unwrap();
    let p = parameters(1);
    for number in 0..200 {
        vault.accept(unit(1, number, &p));
        if number == 130 {
            vault.flush().unwrap();
        }
    }
    let read = |from: i64, until: i64| numbers(vault.read(StreamId(1), at(from), at(until)).unwrap());
    assert_eq!(read(60, 70), (50..70).collect::<Vec<_>>(), "on disk");
    assert_eq!(read(75, 76), [75]);
    assert_eq!(read(140, 160), (125..160).collect::<Vec<_>>(), "across the border between disk and memory");
    assert_eq!(read(190, 1000), (175..200).collect::<Vec<_>>(), "up to the live edge");
    let (from, until) = (at(190), at(1000));
    assert!(gaps(vault.read(StreamId(1), from, until).unwrap()).is_empty(), "beyond the live edge is no gap");
    for (asked, key) in [(0, Some(0)), (24, Some(0)), (25, Some(25)), (60, Some(50))] {
        assert_eq!(
            vault.key_frame_before(StreamId(1), at(asked), &[]).unwrap(),
            key.map(at),
            "asked {asked}"
        );
    }
    assert_eq!(vault.key_frame_before(StreamId(1), at(-50_000), &[]).unwrap(), None);
}

#[test]
fn every_hole_has_its_reason() {
    use SpanKind::{Gap, Recorded};
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(config(root.path())).unwrap();
    let p = parameters(1);
    let feed =
        |vault: &Vault, numbers: std::ops::Range<i64>| numbers.for_each(|n| vault.accept(unit(1, n, &p)));
    feed(&vault, 0..50);
    vault.gap(StreamId(1), at(40), GapReason::NotInUse); // moved to the end of frame 49
    feed(&vault, 200..250);
    feed(&vault, 400..450); // nobody said why
    vault.gap(StreamId(1), at(450), GapReason::CameraOffline);
    vault.gap(StreamId(1), at(500), GapReason::NotInUse);
    let expected = |end| {
        use GapReason::{CameraOffline, NotInUse};
        vec![
            (at(50), at(200), NotInUse),
            (at(250), at(400), CameraOffline),
            (at(450), at(500), CameraOffline),
            (at(500), end, NotInUse),
        ]
    };
    let read = |vault: &Vault| gaps(vault.read(StreamId(1), at(0), at(600)).unwrap());
    assert_eq!(read(&vault), expected(at(600)), "from memory");
    vault.flush().unwrap();
    assert_eq!(read(&vault), expected(at(600)), "from disk");
    let order: Vec<_> = vault
        .read(StreamId(1), at(0), at(600))
        .unwrap()
        .map(|item| match item {
            Item::Unit(unit) => unit.captured,
            Item::Gap { from, .. } => from,
        })
        .collect();
    assert!(order.is_sorted());
    let spans = vault.spans(StreamId(1), at(0), at(600)).unwrap();
    let kinds: Vec<_> = spans.iter().map(|span| (span.from, span.until, span.kind)).collect();
    assert_eq!(
        kinds,
        [
            (at(0), at(50), Recorded),
            (at(50), at(200), Gap(GapReason::NotInUse)),
            (at(200), at(250), Recorded),
            (at(250), at(400), Gap(GapReason::CameraOffline)),
            (at(400), at(450), Recorded),
            (at(450), at(500), Gap(GapReason::CameraOffline)),
            (at(500), at(600), Gap(GapReason::NotInUse)),
        ]
    );
    let Span { activity, bytes, .. } = &spans[0];
    assert_eq!(activity, &[2400, 2400], "24 predicted frames of 100 bytes a second");
    assert!(*bytes > 2 * 900 + 48 * 100);
    // A new run ends the open gap; closing without one says that nothing ran.
    drop(vault);
    let vault = Vault::open(config(root.path())).unwrap();
    assert_eq!(read(&vault), expected(at(600)));
    feed(&vault, 600..625);
    drop(vault);
    let vault = Vault::open(config(root.path())).unwrap();
    assert_eq!(
        gaps(vault.read(StreamId(1), at(550), at(700)).unwrap()),
        [(at(550), at(600), GapReason::NotInUse), (at(625), at(700), GapReason::NotRunning)]
    );
}

#[test]
fn over_the_budget_the_least_important_stream_loses_its_newest_group() {
    let root = tempfile::tempdir().unwrap();
    // Room for about three groups of a second each (25 frames, 3300 bytes of payload, 4000 of bookkeeping).
    let vault = Vault::open(VaultConfig { budget_bytes: 23_000, ..config(root.path()) }).unwrap();
    vault.set_policy(StreamId(1), StreamPolicy { importance: 9, ..StreamPolicy::default() });
    let p = parameters(1);
    for number in 0..100 {
        vault.accept(unit(1, number, &p));
        vault.accept(unit(2, number, &p));
        if number == 74 {
            vault.flush().unwrap();
        }
    }
    vault.flush().unwrap();
    assert_eq!(
        numbers(read_all(&vault, 1)),
        (0..100).collect::<Vec<_>>(),
        "the important stream lost nothing"
    );
    let kept = numbers(read_all(&vault, 2));
    assert!(kept.len() < 100 && kept.len().is_multiple_of(25), "whole groups only: {kept:?}");
    let lost = gaps(read_all(&vault, 2));
    assert!(lost.iter().all(|(_, _, reason)| *reason == GapReason::Overload) && !lost.is_empty(), "{lost:?}");
    for number in (0..100).filter(|number| !kept.contains(number)) {
        assert!(
            lost.iter().any(|(from, until, _)| *from <= at(number) && at(number) < *until),
            "frame {number} is in a gap"
        );
    }
    let stats = vault.stats();
    assert_eq!(stats.received, 200);
    assert_eq!(stats.dropped as usize, 100 - kept.len());
    assert_eq!(
        (stats.written, stats.synced, stats.indexed),
        (200 - stats.dropped, 200 - stats.dropped, 200 - stats.dropped)
    );
    assert_eq!(stats.buffered_bytes, 0);
}

#[test]
fn streams_of_one_class_share_volumes_and_sealed_volumes_have_roots() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(VaultConfig { volume_bytes: 64 << 10, ..config(root.path()) }).unwrap();
    vault.set_policy(StreamId(3), StreamPolicy { retention_class: 7, importance: 0 });
    let p = parameters(2);
    for number in 0..500 {
        for stream in 1..=3 {
            vault.accept(unit(stream, number, &p));
        }
    }
    drop(vault);
    let vault = Vault::open(config(root.path())).unwrap();
    let sealed = vault.sealed_volumes(0).unwrap();
    assert_eq!(sealed.len(), volumes(root.path()).len());
    assert!(sealed.iter().filter(|volume| volume.retention_class == 7).count() >= 1);
    assert!(sealed.iter().filter(|volume| volume.retention_class == 0).count() >= 2);
    assert!(sealed.iter().all(|volume| volume.root != [0; 32]));
    for stream in 1..=3 {
        assert_eq!(numbers(read_all(&vault, stream)), (0..500).collect::<Vec<_>>());
    }
    assert_eq!(vault.sealed_volumes(sealed[0].number).unwrap().len(), sealed.len() - 1);
}

/// Sixteen cameras of 4 Mbit/s, written as often as rooms write: heads, tags and padding to whole blocks stay below 2 %.
#[test]
fn what_is_written_is_at_most_a_fiftieth_more_than_what_came() {
    let root = tempfile::tempdir().unwrap();
    let tick = VaultConfig::new("", ["".into(), "".into()]).tick;
    let vault = Vault::open(VaultConfig { volume_bytes: 256 << 20, ..config(root.path()) }).unwrap();
    let (p, each) = (parameters(1), tick.as_micros() as i64 / FRAME);
    let (mut came, before) = (0, vault.stats().bytes_written);
    for number in 0..8 * each {
        for stream in 1..=16 {
            let payload = vec![stream as u8; 4_000_000 / 8 / 25].into();
            came += 4_000_000 / 8 / 25;
            vault.accept(media::AccessUnit { payload, ..unit(stream, number, &p) });
        }
        if number % each == each - 1 {
            vault.flush().unwrap();
        }
    }
    let written = vault.stats().bytes_written - before;
    assert!(written > came && written * 100 <= came * 102, "{written} for {came}");
}

#[test]
fn many_threads_feed_while_one_reads() {
    let root = tempfile::tempdir().unwrap();
    let quick = std::time::Duration::from_millis(2);
    let vault = Vault::open(VaultConfig { tick: quick, sync_every: quick, ..config(root.path()) }).unwrap();
    std::thread::scope(|scope| {
        for stream in 1..=4 {
            let vault = vault.clone();
            scope.spawn(move || {
                let p = parameters(1);
                (0..2000).for_each(|number| vault.accept(unit(stream, number, &p)));
            });
        }
        for _ in 0..50 {
            let seen = numbers(read_all(&vault, 1));
            assert_eq!(seen, (0..seen.len() as i64).collect::<Vec<_>>(), "never a hole, never twice");
        }
    });
    vault.flush().unwrap();
    for stream in 1..=4 {
        assert_eq!(numbers(read_all(&vault, stream)).len(), 2000);
    }
}

#[test]
fn what_must_not_be_touched_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(config(root.path())).unwrap();
    assert!(matches!(Vault::open(config(root.path())), Err(VaultError::Locked(_))));
    vault.accept(unit(1, 0, &parameters(1)));
    drop(vault);
    // Keys of another vault.
    let other = tempfile::tempdir().unwrap();
    drop(Vault::open(config(other.path())).unwrap());
    let mixed = VaultConfig { keys: config(other.path()).keys, ..config(root.path()) };
    assert!(matches!(Vault::open(mixed), Err(VaultError::AnotherVault { .. })));
    // Keys lost: said, what was recorded opens no more, and recording goes on.
    let gone = VaultConfig { keys: [root.path().join("x"), root.path().join("y")], ..config(root.path()) };
    let vault = Vault::open(gone).unwrap();
    assert!(vault.stats().keys_lost);
    assert!(units(read_all(&vault, 1)).is_empty());
    vault.accept(unit(1, GROUP, &parameters(1)));
    vault.flush().unwrap();
    assert_eq!(numbers(read_all(&vault, 1)), [GROUP]);
    drop(vault);
    // The disk with the right keys is back, but in one place only: a mixture is refused.
    let mixed =
        VaultConfig { keys: [root.path().join("keys-a"), root.path().join("y")], ..config(root.path()) };
    assert!(matches!(Vault::open(mixed), Err(VaultError::KeyStoresDiffer { .. })));
    // A version of the future.
    for file in ["vault/identity", "keys-b/slots"] {
        let path = root.path().join(file);
        let bytes = std::fs::read(&path).unwrap();
        let mut future = bytes.clone();
        future[8] = 9;
        std::fs::write(&path, future).unwrap();
        let error = Vault::open(config(root.path())).err().unwrap();
        assert!(matches!(error, VaultError::UnknownVersion { found: 9, .. }), "{error}");
        std::fs::write(&path, bytes).unwrap();
    }
    let vault = Vault::open(config(root.path())).unwrap();
    assert_eq!(numbers(read_all(&vault, 1)), [0]);
    drop(vault);
    std::fs::remove_file(root.path().join("vault/identity")).unwrap();
    assert!(matches!(Vault::open(config(root.path())), Err(VaultError::IdentityMissing(_))));
}

/// The check needs no key, finds nothing wrong with what a vault left, and names the place where something is.
#[test]
fn the_check_finds_every_bent_byte_and_nothing_else() {
    use std::os::unix::fs::FileExt;
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(config(root.path())).unwrap();
    let p = parameters(1);
    for number in 0..2000 {
        for stream in [1, 2] {
            vault.accept(unit(stream, number, &p));
        }
    }
    vault.gap(StreamId(1), at(2000), GapReason::NotInUse);
    let dir = root.path().join("vault");
    assert!(matches!(volumes::check::check(&dir), Err(VaultError::Locked(_))));
    drop(vault);
    let report = volumes::check::check(&dir).unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
    assert_eq!((report.units, report.streams, report.keys), (4000, 2, 2));
    // A bent byte in the middle of a volume.
    let path = volumes(root.path()).remove(0);
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 20_000).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 20_000).unwrap();
    let report = volumes::check::check(&dir).unwrap();
    assert!(
        !report.is_clean() && report.problems[0].contains("0000000001.vol at byte"),
        "{:?}",
        report.problems
    );
    file.write_all_at(&byte, 20_000).unwrap();
    // A lost index, made anew.
    std::fs::remove_file(dir.join("index.sqlite")).unwrap();
    assert!(volumes::check::check(&dir).unwrap().problems[0].contains("--rebuild-index"));
    volumes::recovery::rebuild_index(&dir).unwrap();
    let report = volumes::check::check(&dir).unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
}

/// A row that was put into the index or changed there is found, and named by its stream, minute and volume, also when another
/// volume whose number it contains is open.
#[test]
fn the_check_names_the_rows_in_which_the_index_differs() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(config(root.path())).unwrap();
    let p = parameters(1);
    (0..500).for_each(|number| vault.accept(unit(1, number, &p)));
    drop(vault);
    let dir = root.path().join("vault");
    let changed = |sql: &str| {
        rusqlite::Connection::open(dir.join("index.sqlite")).unwrap().execute_batch(sql).unwrap();
        volumes::check::check(&dir).unwrap().problems
    };
    assert!(changed("").is_empty());
    let minute = START / 60_000_000;
    let extra = changed(&format!(
        "INSERT INTO minute SELECT 9, minute, volume, first, last, bytes, units, activity, chunks FROM minute
         WHERE stream = 1 AND minute = {minute} AND volume = 1"
    ));
    let place = |stream: u32| format!("stream {stream}, minute {minute} (since 1970 UTC), volume 1");
    assert_eq!(extra, [format!("the index says what no volume says: {}", place(9))]);
    let other = changed("DELETE FROM minute WHERE stream = 9; UPDATE minute SET units = units + 1");
    assert_eq!(other, [format!("the index says something else than the volumes: {}", place(1))]);
    let lacking = changed("DELETE FROM minute");
    assert!(lacking.contains(&format!("the index lacks what the volumes say: {}", place(1))), "{lacking:?}");
}

/// A backup that is mounted read-only, or belongs to somebody else, is checked as any other.
#[test]
fn the_check_writes_nothing() {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt, process::Command};
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(config(root.path())).unwrap();
    let p = parameters(1);
    (0..500).for_each(|number| vault.accept(unit(1, number, &p)));
    drop(vault);
    let dir = root.path().join("vault");
    let modes = |files: u32, folder: u32| {
        for entry in std::fs::read_dir(&dir).unwrap() {
            std::fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(files)).unwrap();
        }
        std::fs::set_permissions(&dir, Permissions::from_mode(folder)).unwrap();
    };
    modes(0o400, 0o500);
    // Modes do not bind root; a mount does.
    let run = |program: &str, arguments: &[&str]| {
        let done = Command::new(program).args(arguments).arg(&dir).output();
        done.is_ok_and(|done| done.status.success())
    };
    let mounted = run("mount", &["--bind", dir.to_str().unwrap()]);
    let read_only = mounted && run("mount", &["-o", "remount,ro,bind"]);
    let report = volumes::check::check(&dir);
    if mounted {
        assert!(run("umount", &["-l"]));
    }
    modes(0o600, 0o700);
    let report = report.unwrap();
    assert!(report.is_clean() && report.units == 500, "{report:?}, mounted {mounted} {read_only}");
}
