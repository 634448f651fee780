//! What the tests of the vault share: throw-away vaults and units to put in.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)] // each test file uses a part

use bytes::Bytes;
use media::{AccessUnit, Codec, GapReason, Micros, Parameters, StreamId, Ticks};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use vault::{Item, Vault, VaultConfig};

/// 2026-11-22 05:00:00 UTC.
pub const START: i64 = 1_795_323_600_000_000;
/// One frame at 25 per second, in µs.
pub const FRAME: i64 = 40_000;
/// Frames in a group of pictures.
pub const GROUP: i64 = 25;

pub fn config(root: &Path) -> VaultConfig {
    VaultConfig {
        volume_bytes: 1 << 20,
        volume_least: Duration::ZERO,
        budget_bytes: 64 << 20,
        // The tests say when to write; the clock must not.
        tick: Duration::from_hours(1),
        sync_every: Duration::from_hours(1),
        ..VaultConfig::new(root.join("vault"), [root.join("keys-a"), root.join("keys-b")])
    }
}

pub fn parameters(generation: u16) -> Arc<Parameters> {
    Arc::new(Parameters {
        generation,
        codec: if generation.is_multiple_of(2) { Codec::H265 } else { Codec::H264 },
        width: 1280 + generation,
        height: 720,
        record: Bytes::from(vec![generation as u8; 30]),
    })
}

/// Frame `number` of a stream: every `GROUP`th is a key frame.
pub fn unit(stream: u32, number: i64, parameters: &Arc<Parameters>) -> AccessUnit {
    let key = number % GROUP == 0;
    let size = if key { 900 } else { 100 };
    let mut payload = vec![0; size];
    payload[..8].copy_from_slice(&number.to_be_bytes());
    AccessUnit {
        stream: StreamId(stream),
        parameters: Arc::clone(parameters),
        captured: Micros(START + number * FRAME),
        media_time: Ticks(number * 3600),
        duration: 3600,
        key,
        discontinuity: number == 0,
        received: Micros(START + number * FRAME + 3000),
        camera_time: (number % 3 == 0).then_some(Micros(START + number * FRAME - 70_000)),
        received_within: 4000 + number as u32 % 7,
        payload: Bytes::from(payload),
    }
}

pub fn at(number: i64) -> Micros {
    Micros(START + number * FRAME)
}

pub fn units(items: impl IntoIterator<Item = Item>) -> Vec<AccessUnit> {
    items
        .into_iter()
        .filter_map(|item| match item {
            Item::Unit(unit) => Some(unit),
            Item::Gap { .. } => None,
        })
        .collect()
}

pub fn gaps(items: impl IntoIterator<Item = Item>) -> Vec<(Micros, Micros, GapReason)> {
    items
        .into_iter()
        .filter_map(|item| match item {
            Item::Gap { from, until, reason } => Some((from, until, reason)),
            Item::Unit(_) => None,
        })
        .collect()
}

pub fn numbers(items: impl IntoIterator<Item = Item>) -> Vec<i64> {
    units(items).iter().map(|unit| i64::from_be_bytes(unit.payload[..8].try_into().unwrap())).collect()
}

pub fn read_all(vault: &Vault, stream: u32) -> Vec<Item> {
    vault.read(StreamId(stream), Micros(START - 1), Micros(i64::MAX - 1)).unwrap().collect()
}

pub fn volumes(root: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(root.join("vault"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "vol"))
        .collect();
    paths.sort();
    paths
}

/// A copy of everything, as a power cut or a crash at this instant would leave it.
pub fn copy(from: &Path, to: &Path) {
    for folder in ["vault", "keys-a", "keys-b"] {
        fs::create_dir_all(to.join(folder)).unwrap();
        for entry in fs::read_dir(from.join(folder)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(folder).join(entry.file_name())).unwrap();
        }
    }
}

/// Six minutes, then five that begin in the second one again because the clock was set back. Neither pass has its key frames where
/// a second begins, nor at the same instants as the other; the frames of the second are numbered from a million.
pub fn two_passes(vault: &Vault) {
    let p = parameters(1);
    for (number, place) in
        (0..9000).map(|n| (n, n + 5)).chain((1000..8000).map(|n| (SECOND_PASS + n, n + 15)))
    {
        vault.accept(AccessUnit { captured: at(place), received: at(place), ..unit(1, number, &p) });
    }
    vault.flush().unwrap();
}

const SECOND_PASS: i64 = 1_000_000;

/// The numbers of the frames of one of two passes (0 or 1) whose capture times lie in this range of places.
pub fn pass(which: i64, places: std::ops::Range<i64>) -> impl Iterator<Item = i64> {
    let (first, frames, shift) = [(0, 0..9000, 5), (SECOND_PASS, 1000..8000, 15)][which as usize].clone();
    frames.filter(move |n| places.contains(&(n + shift))).map(move |n| first + n)
}
