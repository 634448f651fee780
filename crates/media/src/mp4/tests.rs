//! Files written, read back sample by sample, and judged by ffprobe where there is one.

use super::*;
use crate::{Parameters, StreamId, Ticks, nal_units};
use bytes::Bytes;
use proptest::prelude::*;
use std::{path::Path, process::Command, sync::Arc};

const START: i64 = 1_790_000_000_123_457;

fn unit(captured: i64, key: bool, parameters: &Arc<Parameters>, payload: impl Into<Bytes>) -> AccessUnit {
    AccessUnit {
        stream: StreamId(1),
        parameters: Arc::clone(parameters),
        captured: Micros(captured),
        media_time: Ticks(0),
        duration: 3600,
        key,
        discontinuity: false,
        received: Micros(captured),
        camera_time: None,
        received_within: 0,
        payload: payload.into(),
    }
}

fn parameters(codec: Codec, record: &'static [u8]) -> Arc<Parameters> {
    let record = Bytes::from_static(record);
    Arc::new(Parameters { generation: 1, codec, width: 320, height: 240, record })
}

fn movie(mut movie: Movie, units: &[AccessUnit]) -> Movie {
    for unit in units {
        movie.push(unit).unwrap();
    }
    movie
}

fn tail_file(movie: &Movie, units: &[AccessUnit]) -> Vec<u8> {
    let mut file = Movie::head(movie.media_bytes());
    for unit in units {
        file.extend_from_slice(&unit.payload);
    }
    file.extend(movie.tail());
    assert_eq!(file.len() as u64, movie.file_bytes());
    file
}

fn front_file(movie: &Movie, units: &[AccessUnit]) -> Vec<u8> {
    let mut file = movie.front();
    for unit in units {
        file.extend_from_slice(&unit.payload);
    }
    file
}

fn payload_of<'a>(file: &'a [u8], sample: &read::Sample) -> &'a [u8] {
    &file[sample.offset as usize..sample.offset as usize + sample.size as usize]
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(
        groups in prop::collection::vec(
            (0_usize..3, prop::collection::vec((1_i64..90_000, prop::collection::vec(any::<u8>(), 0..60)), 1..9)), 1..9),
        cut in (0_i64..400_000, 1_i64..400_000),
        codec in prop::sample::select(vec![Codec::H264, Codec::H265]),
    ) {
        let sets = [parameters(codec, b"one"), parameters(codec, b"two"), parameters(codec, b"three")];
        let (mut at, mut units) = (START, Vec::new());
        for (set, group) in groups {
            for (place, (step, payload)) in group.into_iter().enumerate() {
                units.push(unit(at, place == 0, &sets[set], payload));
                at += step;
            }
        }
        let (from, until) = (Micros(START + cut.0), Micros(START + cut.0 + cut.1));
        let movie = movie(Movie::cut(from, until), &units);
        for file in [tail_file(&movie, &units), front_file(&movie, &units)] {
            let track = read::track(&file).unwrap();
            prop_assert_eq!(track.timescale, 90_000);
            prop_assert_eq!(track.samples.len(), units.len());
            for (sample, unit) in track.samples.iter().zip(&units) {
                prop_assert_eq!(payload_of(&file, sample), &unit.payload[..]);
                prop_assert_eq!(sample.key, unit.key);
                prop_assert_eq!(&track.entries[sample.entry].record, &unit.parameters.record);
                prop_assert_eq!(sample.decoded + i64::from(sample.shift), ticks(unit.captured.0 - START));
            }
            prop_assert!(track.samples.windows(2).all(|pair| pair[0].decoded < pair[1].decoded));
            let [(shown, skipped)] = track.edits[..] else { panic!("one edit") };
            prop_assert_eq!(skipped, ticks(cut.0));
            prop_assert!(shown as i64 <= ticks(cut.0 + cut.1) - skipped);
        }
    }

    #[test]
    fn fragments_give_every_picture_once(
        groups in prop::collection::vec(prop::collection::vec((1_i64..3_000_000, 0_usize..60), 1..9), 1..9),
    ) {
        let set = parameters(Codec::H264, b"one");
        let (mut at, mut units) = (START, Vec::new());
        for group in groups {
            for (place, (step, length)) in group.into_iter().enumerate() {
                units.push(unit(at, place == 0, &set, vec![units.len() as u8; length]));
                at += step;
            }
        }
        let mut fragments = Fragments::new();
        let mut file = Vec::new();
        for unit in &units {
            fragments.push(unit).unwrap().iter().for_each(|bytes| file.extend_from_slice(bytes));
        }
        fragments.finish().unwrap().iter().for_each(|bytes| file.extend_from_slice(bytes));
        let pictures: Vec<u8> = units.iter().flat_map(|unit| unit.payload.to_vec()).collect();
        let mut found = Vec::new();
        let mut rest = &file[..];
        while let [a, b, c, d, kind @ ..] = rest {
            let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
            if kind.starts_with(b"mdat") {
                found.extend_from_slice(&rest[8..length]);
            }
            rest = &rest[length..];
        }
        prop_assert_eq!(found, pictures);
    }

    #[test]
    fn fragments_present_from_an_instant_on(before in 0_i64..2_000_000) {
        let set = parameters(Codec::H265, b"one");
        let mut fragments = Fragments::shown_from(Micros(START + before));
        let head = fragments.push(&unit(START, true, &set, vec![1])).unwrap().concat();
        let edits = read::track(&head).unwrap().edits;
        let skipped = ticks(before);
        prop_assert_eq!(edits, if skipped == 0 { vec![] } else { vec![(0, skipped)] });
    }

    #[test]
    fn a_broken_file_is_refused_and_nothing_else(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..9),
        keep in any::<prop::sample::Index>(),
    ) {
        let set = parameters(Codec::H264, b"one");
        let units: Vec<_> = (0..9).map(|n| unit(START + n * 40_000, n % 3 == 0, &set, vec![7; 9])).collect();
        let mut file = front_file(&movie(Movie::new(), &units), &units);
        for (place, value) in flips {
            let place = place.index(file.len());
            file[place] ^= value;
        }
        file.truncate(keep.index(file.len()) + 1);
        drop(read::track(&file));
    }
}

#[test]
fn pictures_shown_out_of_order_keep_their_times() {
    let set = parameters(Codec::H264, b"one");
    // Decoded 0 3 1 2, as with one level of B pictures.
    let times = [0, 120_000, 40_000, 80_000, 160_000];
    let units: Vec<_> =
        times.iter().map(|time| unit(START + time, *time == 0, &set, vec![1, 2, 3])).collect();
    let file = front_file(&movie(Movie::new(), &units), &units);
    let track = read::track(&file).unwrap();
    let shown: Vec<_> = track.samples.iter().map(|s| s.decoded + i64::from(s.shift)).collect();
    assert_eq!(shown, times.map(ticks));
}

#[test]
fn what_does_not_belong_is_refused() {
    let set = parameters(Codec::H264, b"one");
    let mut one = Movie::new();
    assert_eq!(one.push(&unit(START, false, &set, vec![1])), Err(Mp4Error::NotAKey));
    assert_eq!(
        one.push(&unit(START, true, &parameters(Codec::H264, b""), vec![1])),
        Err(Mp4Error::NoParameters)
    );
    one.push(&unit(START, true, &set, vec![1])).unwrap();
    let other = unit(START, true, &parameters(Codec::H265, b"one"), vec![1]);
    assert_eq!(one.push(&other), Err(Mp4Error::CodecChanged { from: Codec::H264, to: Codec::H265 }));
    let mut stream = Fragments::new();
    stream.push(&unit(START, true, &set, vec![1])).unwrap();
    let changed = unit(START, true, &parameters(Codec::H264, b"two"), vec![1]);
    assert_eq!(stream.push(&changed).unwrap_err(), Mp4Error::NoParameters, "a record that does not add up");
    let changed = unit(START, false, &parameters(Codec::H264, b"two"), vec![1]);
    assert_eq!(stream.push(&changed).unwrap_err(), Mp4Error::NotAKey);
    assert!(matches!(stream.push(&other), Err(Mp4Error::CodecChanged { .. })));
    assert_eq!(stream.finish().unwrap().len(), 2);
}

/// A clip as units at 25 pictures a second, or none where there is no encoder.
fn encoded(codec: Codec) -> Option<Vec<AccessUnit>> {
    encoded_from(codec, "320x240", START)
}

fn encoded_from(codec: Codec, size: &str, start: i64) -> Option<Vec<AccessUnit>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    let (encoder, options) = match codec {
        Codec::H264 => ("libx264", ["-x264-params", "bframes=0"]),
        Codec::H265 => ("libx265", ["-x265-params", "bframes=0:log-level=none"]),
    };
    let done = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-f", "lavfi", "-i", &format!("testsrc2=size={size}:rate=25")])
        .args(["-t", "4", "-c:v", encoder, "-preset", "ultrafast", "-g", "25"])
        .args(options)
        .arg(&path)
        .status();
    if !done.is_ok_and(|status| status.success()) {
        eprintln!("ffmpeg with {encoder} is absent: not tested with it");
        return None;
    }
    let file = std::fs::read(&path).unwrap();
    let track = read::track(&file).unwrap();
    let set = Arc::new(track.entries[0].clone());
    Some(
        (0..)
            .zip(&track.samples)
            .map(|(n, s)| unit(start + n * 40_000, s.key, &set, payload_of(&file, s).to_vec()))
            .collect(),
    )
}

fn ffprobe(path: &Path, entries: &str) -> String {
    let out = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-show_entries", entries, "-of", "default=noprint_wrappers=1"])
        .arg(path)
        .output()
        .unwrap();
    assert!(out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

fn judged(codec: Codec) {
    let Some(units) = encoded(codec) else { return };
    // From the 38th picture on, in the middle of the second group, up to the 80th.
    let (from, until) = (Micros(START + 37 * 40_000), Micros(START + 79 * 40_000));
    let held: Vec<_> = units[25..79].to_vec();
    let cut = movie(Movie::cut(from, until), &held);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.mp4");
    let ask =
        "stream=codec_name,nb_read_frames,duration_ts,start_pts:stream_tags=creation_time:format_tags=date";
    for file in [front_file(&cut, &held), tail_file(&cut, &held)] {
        std::fs::write(&path, &file).unwrap();
        let said = ffprobe(&path, ask);
        let name = if codec == Codec::H264 { "h264" } else { "hevc" };
        for line in [
            &format!("codec_name={name}"),
            "nb_read_frames=42",
            "start_pts=0",
            "TAG:creation_time=2026-09-21T14:13:21.000000Z",
            "TAG:date=2026-09-21T14:13:21.603457Z",
        ] {
            assert!(said.lines().any(|l| l == line), "no {line} in\n{said}");
        }
        let track = read::track(&file).unwrap();
        for (sample, unit) in track.samples.iter().zip(&held) {
            assert!(
                nal_units(payload_of(&file, sample)).eq(nal_units(&unit.payload)),
                "SEI and all other NAL units"
            );
        }
    }
    let mut fragments = Fragments::new();
    let mut file = Vec::new();
    for unit in &units {
        fragments.push(unit).unwrap().iter().for_each(|bytes| file.extend_from_slice(bytes));
    }
    fragments.finish().unwrap().iter().for_each(|bytes| file.extend_from_slice(bytes));
    std::fs::write(&path, &file).unwrap();
    let said = ffprobe(&path, ask);
    assert!(said.contains("nb_read_frames=100\n"), "{said}");
    assert!(said.contains("TAG:creation_time=2026-09-21T14:13:20.000000Z\n"), "{said}");
}

#[test]
fn ffprobe_counts_exactly_the_h264_pictures_asked_for() {
    judged(Codec::H264);
}

#[test]
fn ffprobe_counts_exactly_the_h265_pictures_asked_for() {
    judged(Codec::H265);
}

/// A camera that changes its resolution in the middle: one stream, which players go through to its end.
#[test]
fn a_change_of_parameters_goes_on_in_the_same_stream() {
    for codec in [Codec::H264, Codec::H265] {
        let (Some(mut units), Some(mut larger)) =
            (encoded(codec), encoded_from(codec, "640x360", START + 4_000_000))
        else {
            return;
        };
        units.append(&mut larger);
        let mut fragments = Fragments::new();
        let mut file = Vec::new();
        for unit in &units {
            fragments.push(unit).unwrap().iter().for_each(|bytes| file.extend_from_slice(bytes));
        }
        fragments.finish().unwrap().iter().for_each(|bytes| file.extend_from_slice(bytes));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("changes.mp4");
        std::fs::write(&path, &file).unwrap();
        let said = ffprobe(&path, "stream=nb_read_frames:frame=width");
        assert!(said.contains("nb_read_frames=200\n"), "{said}");
        let wide = |width: &str| said.lines().filter(|line| *line == width).count();
        assert_eq!((wide("width=320"), wide("width=640")), (100, 100));
    }
}

#[test]
fn a_day_of_one_camera_stays_small() {
    let set = parameters(Codec::H264, b"one");
    let payload = Bytes::from(vec![0; 1]);
    let mut movie = Movie::new();
    let day = 24 * 3600 * 25;
    for n in 0..day {
        // Jitter in every duration: the worst case for tables that count runs.
        movie.push(&unit(START + n * 40_000 + n % 7 * 100, n % 50 == 0, &set, payload.clone())).unwrap();
    }
    assert!(movie.tail().len() as i64 <= 14 * day, "{} bytes", movie.tail().len());
}
