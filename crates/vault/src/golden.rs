//! A tiny volume whose every byte is kept in `tests/golden`: the format cannot change by accident. (Run once with
//! `RTR_WRITE_GOLDEN=1` after a change of version.) It also serves the tests that tear and bend a volume.

use crate::{
    chunk,
    config::VaultConfig,
    index::Index,
    queue::{Event, cut},
    recovery::{self, INDEX},
    vault::Vault,
    volume::{self, Found, HEAD, Kind, OVERHEAD, RecordHead, VolumeHead},
};
use bytes::Bytes;
use media::{AccessUnit, Codec, GapReason, Micros, Parameters, StreamId, Ticks};
use std::{fs, path::Path, sync::Arc};

const KEY: [u8; 32] = [4; 32];
const SALT: [u8; 32] = [3; 32];
const FROM: i64 = 1_795_323_600_000_000;

fn parameters() -> Arc<Parameters> {
    Arc::new(Parameters {
        generation: 1,
        codec: Codec::H264,
        width: 1280,
        height: 720,
        record: Bytes::from_static(b"\x01\x42\x00\x1f\xff\xe0\x00"),
    })
}

fn unit(number: i64) -> AccessUnit {
    AccessUnit {
        stream: StreamId(7),
        parameters: parameters(),
        captured: Micros(FROM + number * 40_000),
        media_time: Ticks(number * 3600),
        duration: 3600,
        key: number == 0,
        discontinuity: number == 0,
        received: Micros(FROM + number * 40_000 + 1500),
        camera_time: (number == 1).then_some(Micros(FROM - 9)),
        received_within: 250_000 + number as u32,
        payload: Bytes::from(vec![0, 0, 0, 2, 0x65, number as u8]),
    }
}

/// The records of the tiny volume, and where each begins.
fn tiny() -> (Vec<u8>, Vec<(u64, [u8; 32])>) {
    let head = VolumeHead { class: 28, vault: [1; 16], uuid: [2; 16], number: 1, salt: SALT };
    let mut bytes = head.encode().to_vec();
    let mut records = Vec::new();
    let body = volume::encode_parameters(&parameters());
    let at = bytes.len() as u64;
    let head = RecordHead::plain(Kind::Parameters, StreamId(7), 0, body.len() as u32);
    records.push((at, volume::append_plain(&mut bytes, &head, &body)));
    for (number, range) in [(1, 0..2), (2, 2..4)] {
        let units: Vec<_> = range.map(unit).collect();
        let head = RecordHead {
            kind: Kind::Chunk { starts_with_key: units[0].key },
            stream: StreamId(7),
            units: 2,
            number,
            from: units[0].captured,
            until: chunk::end_of(&units[1]),
            parameters: HEAD as u64,
            key: 0x0102_0304_0506_0708,
            predicted: if number == 1 { 6 } else { 12 },
            length: (chunk::plain_length(units.iter()) + chunk::TAG) as u32,
        };
        let at = bytes.len() as u64;
        records.push((at, chunk::seal(&mut bytes, &head, units.iter(), &KEY, &SALT).unwrap()));
    }
    let mut head = RecordHead::plain(Kind::Gap(GapReason::CameraOffline), StreamId(7), 3, 0);
    (head.from, head.until) = (Micros(FROM + 160_000), volume::OPEN);
    let at = bytes.len() as u64;
    records.push((at, volume::append_plain(&mut bytes, &head, &[])));
    (bytes, records)
}

#[test]
fn the_format_is_what_it_was() {
    let (mut bytes, records) = tiny();
    let (footer, _) = volume::seal(bytes.len() as u64, 4, &records);
    bytes.extend(footer);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/volume-1.vol");
    if std::env::var_os("RTR_WRITE_GOLDEN").is_some() {
        fs::write(&path, &bytes).unwrap();
    }
    assert!(fs::read(&path).unwrap() == bytes, "the bytes of a volume changed: is that a new version?");
    // And read back from the file alone.
    let file = fs::File::open(&path).unwrap();
    let head = VolumeHead::read(&file, &path).unwrap();
    assert_eq!((head.class, head.number, head.salt), (28, 1, SALT));
    let footer = volume::read_footer(&file, &path).unwrap().unwrap();
    assert_eq!(footer.records, records);
    let (record, raw) = volume::read_raw(&file, records[1].0, bytes.len() as u64).unwrap();
    let plain = chunk::open(raw, record.number, &KEY, &head.salt).unwrap();
    assert_eq!(chunk::parse_plain(&plain, StreamId(7), 2, &parameters()).unwrap(), [unit(0), unit(1)]);
    let (_, body) = volume::read_record(&file, record.parameters, bytes.len() as u64).unwrap();
    assert_eq!(volume::decode_parameters(&body).unwrap(), *parameters());
    // A version of the future is refused, not misread.
    let dir = tempfile::tempdir().unwrap();
    let future = dir.path().join("0000000001.vol");
    bytes[8] = 2;
    fs::write(&future, &bytes).unwrap();
    let error = VolumeHead::read(&fs::File::open(&future).unwrap(), &future).unwrap_err();
    assert!(error.to_string().contains("format version 2"), "{error}");
}

fn walk(bytes: &[u8], path: &Path) -> Vec<Found> {
    fs::write(path, bytes).unwrap();
    volume::walk(&fs::File::open(path).unwrap(), path, 0).unwrap()
}

#[test]
fn torn_at_any_byte_every_whole_record_is_kept() {
    let (bytes, records) = tiny();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("1.vol");
    let ends: Vec<_> = records.iter().skip(1).map(|(at, _)| *at as usize).chain([bytes.len()]).collect();
    for length in HEAD..=bytes.len() {
        let whole = ends.iter().filter(|end| **end <= length).count();
        assert_eq!(walk(&bytes[..length], &path).len(), whole, "cut at {length}");
        // The same with the rest of the page as zeros, as file systems leave it.
        let mut zeroed = bytes[..length].to_vec();
        zeroed.resize(bytes.len() + 100, 0);
        let kept = walk(&zeroed, &path).len();
        // (The last bytes of a record may themselves be zeros; then nothing was lost.)
        assert!(
            kept == whole || (kept == whole + 1 && zeroed[..bytes.len()] == bytes),
            "zeros from {length}"
        );
    }
}

#[test]
fn a_flipped_byte_costs_one_record_and_the_walk_goes_on() {
    let (bytes, records) = tiny();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("1.vol");
    for at in HEAD..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 0x10;
        let hit = records.iter().rposition(|(start, _)| *start as usize <= at).unwrap();
        let found: Vec<_> = walk(&bad, &path).iter().map(|found| found.offset).collect();
        let expected: Vec<_> =
            records.iter().enumerate().filter(|(i, _)| *i != hit).map(|(_, r)| r.0).collect();
        assert_eq!(found, expected, "byte {at}");
    }
    assert!(bytes.len() > HEAD + 4 * OVERHEAD);
}

#[test]
fn chunks_are_cut_at_key_frames_seconds_and_gaps() {
    let events: Vec<_> =
        (0..60).map(|number| Event::Unit(AccessUnit { key: number % 20 == 0, ..unit(number) })).collect();
    let sizes: Vec<_> = cut(&events).map(<[_]>::len).collect();
    assert_eq!(sizes, [20, 5, 15, 10, 10], "key frames at 0, 20, 40; seconds at 25, 50");
}

#[test]
fn a_rebuilt_index_equals_the_one_that_grew() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("vault");
    let config = VaultConfig {
        volume_bytes: 40_000,
        ..VaultConfig::new(&dir, [root.path().join("a"), root.path().join("b")])
    };
    for run in 0..3 {
        let vault = Vault::open(config.clone()).unwrap();
        for number in run * 4000..run * 4000 + 3000 {
            for stream in [7, 8] {
                vault.accept(AccessUnit { stream: StreamId(stream), key: number % 50 == 0, ..unit(number) });
            }
            if number % 700 == 0 {
                vault.gap(StreamId(8), unit(number).captured, GapReason::NotInUse);
                vault.flush().unwrap();
            }
        }
        if run == 1 {
            vault.destroy_expired(StreamId(7), Micros(FROM + 1)).unwrap();
        }
    }
    let grown = Index::open(&dir.join(INDEX)).unwrap().0.dump().unwrap();
    recovery::rebuild_index(&dir).unwrap();
    let rebuilt = Index::open(&dir.join(INDEX)).unwrap().0.dump().unwrap();
    assert!(grown.len() > 20, "{}", grown.len());
    for (old, new) in grown.iter().zip(&rebuilt) {
        assert_eq!(old, new);
    }
    assert_eq!(grown.len(), rebuilt.len());
}
