//! `bench replay`: how fast an archive of 28 days of 64 cameras at 4 Mbit/s opens, is listed, and gives a first picture.
//!
//! Seventy terabytes are not written for it. What start-up, listing and seeking look at is all there, in full size: a row of
//! the index for every stream and minute, with its chunks; a file name for every volume of 256 MiB; a slot of the key store
//! for every stream and hour. Footage itself, as it would have been recorded, is there at some hundred instants spread over
//! all days and cameras, and those are what the seeks go to. Prints one JSON object.
//!
//! `cargo run --release -p vault --example archive -- DIR [SEEKS]`
#![allow(clippy::unwrap_used, clippy::expect_used)]

use bytes::Bytes;
use media::{AccessUnit, Codec, GapReason, Micros, Parameters, StreamId, Ticks};
use std::{
    fs::{self, File},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use vault::{Item, SpanKind, Vault, VaultConfig};

const STREAMS: u32 = 64;
const DAYS: i64 = 28;
const DAY: i64 = 86_400_000_000;
const MINUTE: i64 = 60_000_000;
const SECOND: i64 = 1_000_000;
/// 2026-10-25 00:00 UTC.
const START: i64 = 1_792_886_400_000_000;
/// Volumes of 256 MiB that 64 streams of 4 Mbit/s fill in 28 days.
const VOLUMES: i64 = 64 * 28 * 86_400 * 500_000 / (256 << 20);
/// The footage that is really there lies at this part of its minute, for this long.
const AT: i64 = 20 * SECOND;
const LENGTH: i64 = 6 * SECOND;

fn config(root: &Path) -> VaultConfig {
    VaultConfig {
        tick: Duration::from_hours(1),
        sync_every: Duration::from_hours(1),
        ..VaultConfig::new(root.join("vault"), [root.join("keys-a"), root.join("keys-b")])
    }
}

/// A picture of a stream of 4 Mbit/s and groups of two seconds.
fn unit(stream: u32, captured: i64, number: i64, parameters: &Arc<Parameters>, bytes: &Bytes) -> AccessUnit {
    let key = number % 50 == 0;
    AccessUnit {
        stream: StreamId(stream),
        parameters: Arc::clone(parameters),
        captured: Micros(captured),
        media_time: Ticks(captured * 9 / 100),
        duration: 3600,
        key,
        discontinuity: number == 0,
        received: Micros(captured),
        camera_time: None,
        received_within: 0,
        payload: bytes.slice(..if key { 200_000 } else { 16_000 }),
    }
}

/// The stream and minute of each seek, spread over all days and cameras, in order of time.
fn places(seeks: i64) -> Vec<(u32, i64)> {
    let minutes = DAYS * 1440;
    (0..seeks)
        .map(|n| ((n * 37 % i64::from(STREAMS)) as u32 + 1, START + (n * minutes / seeks) * MINUTE))
        .collect()
}

fn build(root: &Path, seeks: i64) {
    let parameters = Arc::new(Parameters {
        generation: 1,
        codec: Codec::H264,
        width: 1280,
        height: 720,
        record: Bytes::from_static(&[1; 40]),
    });
    let bytes = Bytes::from(
        (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>(),
    );
    let vault = Vault::open(config(root)).unwrap();
    for (stream, minute) in places(seeks) {
        for number in 0..LENGTH / 40_000 {
            vault.accept(unit(stream, minute + AT + number * 40_000, number, &parameters, &bytes));
        }
        vault.flush().unwrap();
    }
    // A key for every stream and hour.
    let tiny = Bytes::from(vec![0; 200_000]);
    for hour in 0..DAYS * 24 {
        for stream in 1..=STREAMS {
            let mut unit = unit(stream, START + hour * 60 * MINUTE + 59 * MINUTE, 0, &parameters, &tiny);
            unit.payload = unit.payload.slice(..100);
            vault.accept(unit);
        }
        if hour % 24 == 23 {
            vault.flush().unwrap();
        }
    }
    drop(vault);
    // The rest of the index, and the names of its volumes.
    let index = rusqlite::Connection::open(root.join("vault/index.sqlite")).unwrap();
    let first: i64 = index.query_row("SELECT max(number) + 1 FROM volume", [], |row| row.get(0)).unwrap();
    let chunks: Vec<u8> = chunk_list();
    let activity: Vec<u8> = (0..60).flat_map(|second| [0x80 | (second as u8), 0x8a, 0x18]).collect();
    index
        .execute_batch(
            "PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY; PRAGMA cache_size=-400000; BEGIN;",
        )
        .unwrap();
    index
        .execute(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1)
             INSERT INTO volume SELECT ?2 + i, 28, zeroblob(16), 1, 268435456, 268435456, ?3 + i * 8000000, zeroblob(32) FROM n",
            [VOLUMES, first, START],
        )
        .unwrap();
    for stream in 1..=STREAMS {
        index
            .execute(
                "WITH RECURSIVE m(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM m WHERE i + 1 < ?1)
                 INSERT OR IGNORE INTO minute SELECT ?2, ?3 / 60000000 + i, ?4 + i * ?5 / ?1, ?3 + i * 60000000,
                   ?3 + i * 60000000 + 59960000, 30000000, 1500, ?6, ?7 FROM m
                   WHERE NOT EXISTS (SELECT 1 FROM minute o WHERE o.stream = ?2 AND o.minute = ?3 / 60000000 + i)",
                rusqlite::params![DAYS * 1440, stream, START, first, VOLUMES, activity, chunks],
            )
            .unwrap();
        index
            .execute(
                "WITH RECURSIVE d(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM d WHERE i + 1 < 280)
                 INSERT OR IGNORE INTO gap SELECT ?1, ?2 + i * 8640000000, ?2 + i * 8640000000 + 30000000, 1 FROM d",
                rusqlite::params![stream, START + 1_000_000],
            )
            .unwrap();
    }
    index.execute_batch("COMMIT; PRAGMA journal_mode=WAL;").unwrap();
    drop(index);
    for number in first..first + VOLUMES {
        File::create(root.join("vault").join(format!("{number:010}.vol"))).unwrap();
    }
}

/// Sixty chunks of a second as the index writes them: distance, size, start, duration, units and key.
fn chunk_list() -> Vec<u8> {
    fn put(out: &mut Vec<u8>, mut value: u64) {
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }
    let mut out = Vec::new();
    for second in 0..60_u64 {
        put(&mut out, 31_500_000);
        put(&mut out, 501_344);
        put(&mut out, second * 1_000_000);
        put(&mut out, 1_000_000);
        put(&mut out, 25 << 1 | u64::from(second % 2 == 0));
    }
    out
}

fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let root = std::path::PathBuf::from(arguments.next().expect("archive DIR [SEEKS]"));
    let seeks: i64 = arguments.next().map_or(300, |n| n.parse().expect("a number of seeks"));
    if !root.join("built").exists() {
        fs::create_dir_all(&root).unwrap();
        build(&root, seeks);
        fs::write(root.join("built"), seeks.to_string()).unwrap();
    }
    let ms = |since: Instant| since.elapsed().as_secs_f64() * 1000.0;
    // An archive that was made by hand, or by an older version, is listed once.
    drop(Vault::open(config(&root)).unwrap());
    let mut starts = Vec::new();
    for _ in 0..3 {
        let begun = Instant::now();
        let vault = Vault::open(config(&root)).unwrap();
        // And what the daemon's first look at the terms asks of it.
        vault.finish_destroyed(Micros(START)).unwrap();
        let hours: usize = vault.streams().iter().map(|stream| vault.key_hours(*stream).len()).sum();
        starts.push(ms(begun));
        assert!(!vault.stats().listed && hours as i64 >= i64::from(STREAMS) * DAYS * 24);
        drop(vault);
    }
    let vault = Vault::open(config(&root)).unwrap();
    let mut firsts = Vec::new();
    let mut wrong = 0;
    let until = LENGTH - 2 * SECOND;
    for (n, (stream, minute)) in (0_i64..).zip(places(seeks)) {
        // Anywhere in it; the first picture is the key frame before, from which that instant is decoded.
        let at = Micros(minute + AT + n * 7919 * 40_000 % until);
        let begun = Instant::now();
        let mut reader = vault.read(StreamId(stream), at, at.plus(10 * SECOND)).unwrap();
        let first = reader.find_map(|item| if let Item::Unit(unit) = item { Some(unit) } else { None });
        firsts.push(ms(begun));
        wrong += usize::from(
            !first.is_some_and(|unit| unit.key && unit.captured <= at && unit.captured.plus(2 * SECOND) > at),
        );
    }
    // Each day as the disk gives it, then again from memory.
    let (mut cold, mut lists) = (Vec::new(), Vec::new());
    for day in (0..DAYS).flat_map(|day| [day, day]) {
        let begun = Instant::now();
        let from = Micros(START + day * DAY);
        let spans = vault.spans(StreamId((day % 64) as u32 + 1), from, from.plus(DAY)).unwrap();
        let times = if cold.len() > lists.len() { &mut lists } else { &mut cold };
        times.push(ms(begun));
        wrong += usize::from(!spans.iter().any(|span| span.kind == SpanKind::Gap(GapReason::CameraOffline)));
    }
    let (seek_p50, seek_p99) = (percentile(&mut firsts, 0.5), percentile(&mut firsts, 0.99));
    let (day_p50, day_max) = (percentile(&mut lists, 0.5), percentile(&mut lists, 1.0));
    let day_cold = percentile(&mut cold, 0.5);
    let (start_p50, start_max) = (percentile(&mut starts, 0.5), percentile(&mut starts, 1.0));
    println!(
        "{{\"bench\":\"replay\",\"streams\":{STREAMS},\"days\":{DAYS},\"volumes\":{VOLUMES},\"seeks\":{seeks},\"wrong\":{wrong},\
         \"start_ms\":{start_p50:.1},\"start_ms_max\":{start_max:.1},\"seek_ms_p50\":{seek_p50:.2},\"seek_ms_p99\":{seek_p99:.2},\
         \"day_ms_p50\":{day_p50:.2},\"day_ms_max\":{day_max:.2},\"day_cold_ms_p50\":{day_cold:.2}}}"
    );
    assert!(wrong == 0, "{wrong} answers were wrong");
}
