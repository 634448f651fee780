//! What recording costs beside copying the same bytes to files, in one run. A measurement, so it is asked for by name:
//! `cargo test -p vault --test cost -- --ignored --nocapture`.
#![allow(missing_docs, clippy::unwrap_used, clippy::wildcard_imports)]

mod common;

use bytes::Bytes;
use common::*;
use media::{AccessUnit, Micros, StreamId, Ticks};
use rustix::time::{ClockId, clock_gettime};
use std::{fs::File, io::Write, time::Instant};
use vault::{Vault, VaultConfig};

const STREAMS: u32 = 16;
const SECONDS: i64 = 60;

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[test]
#[ignore = "a measurement, not a test"]
fn cost_of_recording_sixteen_streams_of_four_megabits() {
    let root = tempfile::tempdir().unwrap();
    let p = parameters(1);
    // A group of two seconds: 200 kB of key frame, 49 predicted frames of 16 kB: 4 Mbit/s.
    let (key, predicted) = (Bytes::from(vec![7; 200_000]), Bytes::from(vec![9; 16_000]));
    let frame = |stream: u32, number: i64| {
        let is_key = number % 50 == i64::from(stream) * 3;
        AccessUnit {
            stream: StreamId(stream),
            parameters: p.clone(),
            captured: Micros(START + number * FRAME),
            media_time: Ticks(number * 3600),
            duration: 3600,
            key: is_key,
            discontinuity: false,
            received: Micros(START + number * FRAME),
            camera_time: None,
            payload: if is_key { key.clone() } else { predicted.clone() },
        }
    };
    let copy = |run: u32| {
        let (begun, cpu) = (Instant::now(), cpu_seconds());
        let path = |stream: u32| root.path().join(format!("{run}-{stream}.raw"));
        let mut files: Vec<_> = (0..STREAMS).map(|stream| File::create(path(stream)).unwrap()).collect();
        for number in 0..SECONDS * 25 {
            for stream in 0..STREAMS {
                files[stream as usize].write_all(&frame(stream, number).payload).unwrap();
            }
        }
        (cpu_seconds() - cpu, begun.elapsed())
    };
    // Twice: the first run pays for memory that the machine has not touched yet.
    copy(0);
    let floor = copy(1);
    let vault =
        Vault::open(VaultConfig::new(root.path().join("v"), [root.path().join("a"), root.path().join("b")]))
            .unwrap();
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    let mut accepting = 0.0;
    for second in 0..SECONDS {
        let before = cpu_seconds();
        for number in second * 25..(second + 1) * 25 {
            for stream in 0..STREAMS {
                vault.accept(frame(stream, number));
            }
        }
        accepting += cpu_seconds() - before;
        vault.flush().unwrap();
    }
    let ours = (cpu_seconds() - cpu, begun.elapsed());
    let stats = vault.stats();
    let per = |seconds: f64| seconds / f64::from(STREAMS) * 60.0 / SECONDS as f64;
    println!(
        "copying to files: {:.4} CPU s per stream-minute ({:.1} s wall)\nvault, synced and indexed each second: {:.4} \
         ({:.1} s wall), of which accept {:.4} ({:.2} µs a unit)\nratio {:.2}; {} MB; slowest sync {} ms",
        per(floor.0),
        floor.1.as_secs_f64(),
        per(ours.0),
        ours.1.as_secs_f64(),
        per(accepting),
        accepting * 1e6 / stats.received as f64,
        ours.0 / floor.0,
        stats.bytes / 1_000_000,
        stats.slowest_sync_us / 1000,
    );
    let begun = Instant::now();
    let found = units(vault.read(StreamId(3), Micros(START), Micros(START + SECONDS * 1_000_000)).unwrap());
    println!(
        "read back a minute of one stream: {} units in {:.1} ms",
        found.len(),
        begun.elapsed().as_secs_f64() * 1e3
    );
}
