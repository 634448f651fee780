//! Real streams through the real decoders.

#[path = "../../../examples/support/clip.rs"]
mod clip;

use crate::video::{
    Frame, PlayerStats, ReplayClock,
    pipeline::GstDecoders,
    player::{Core, DecoderConfig, clocks},
    rgba,
};
use clip::{Clip, clip};
use media::Codec;
use protocol::wire::UnitHeader;
use std::{
    path::PathBuf,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

/// Longer than any decoder needs on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

struct Bench {
    core: Core<GstDecoders>,
    woken: mpsc::Receiver<()>,
    now: Box<dyn Fn() -> i64>,
}

impl Bench {
    fn new(codec: Codec, clip: &Clip) -> Self {
        let (wake, woken) = mpsc::channel();
        let core = Core::new(Arc::new(GstDecoders::default()), clocks(), move || {
            let _gone = wake.send(());
        });
        let config =
            DecoderConfig { codec, width: clip.size.0, height: clip.size.1, record: clip.record.clone() };
        core.set_parameters(1, config);
        let time = clocks();
        Self { core, woken, now: Box::new(move || time().utc) }
    }

    fn push(&self, captured: i64, key: bool, payload: &bytes::Bytes) {
        let header = UnitHeader {
            subscription: 1,
            key,
            discontinuity: false,
            last: false,
            gap: false,
            generation: 1,
            captured,
            duration: 40_000,
            sent: captured,
            received: captured,
        };
        self.core.push(header, payload.clone());
    }

    fn stats(&self) -> PlayerStats {
        self.core.stats(Frame::size)
    }

    /// Waits until `count` pictures have come out and one may be seen, or nothing more comes.
    fn wait_for(&self, count: u64) -> PlayerStats {
        while self.stats().decoded < count || !self.core.has_picture() {
            if self.woken.recv_timeout(PATIENCE).is_err() {
                break;
            }
        }
        self.stats()
    }
}

fn material(name: &str) -> Option<String> {
    let folder = std::env::var_os("RTR_MATERIAL").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/material")),
        PathBuf::from,
    );
    let path = folder.join("video").join(name);
    if path.exists() {
        return Some(path.display().to_string());
    }
    eprintln!("{} is absent: not tested with it", path.display());
    None
}

/// Two seconds of one colour, through encoder, player and conversion: the middle pixel on screen.
fn colour_after(codec: Codec, size: (u32, u32), colorimetry: &str, colour: u32) -> [u8; 3] {
    let encoder = match codec {
        Codec::H264 => "x264enc tune=zerolatency speed-preset=ultrafast quantizer=10 pass=qual key-int-max=5",
        Codec::H265 => "x265enc tune=zerolatency speed-preset=ultrafast bitrate=4000 key-int-max=5",
    };
    let (width, height) = size;
    let head = format!(
        "videotestsrc pattern=solid-color foreground-color={colour} num-buffers=10 ! video/x-raw,format=BGRx ! videoconvert \
         ! video/x-raw,format=I420,width={width},height={height},framerate=25/1,colorimetry={colorimetry} ! {encoder}"
    );
    let clip = clip(codec, &head).unwrap();
    let bench = Bench::new(codec, &clip);
    let start = (bench.now)();
    for (number, (key, _, payload)) in clip.units.iter().enumerate() {
        bench.push(start + number as i64, *key, payload);
    }
    bench.wait_for(10);
    let shown = bench.core.take().expect("a picture");
    assert_eq!(shown.picture.size(), size);
    let image = rgba::image_from_frame(&shown.picture).expect("its pixels");
    let [r, g, b, _] = image[(width as usize / 2, height as usize / 2)].to_array();
    [r, g, b]
}

#[test]
fn colours_survive_in_every_coding() {
    let orange = 0xFFE0_7820;
    for (codec, size, colorimetry) in [
        (Codec::H264, (640, 360), "bt601"),
        (Codec::H264, (1280, 720), "bt709"),
        (Codec::H264, (640, 360), "bt709"),
        (Codec::H264, (320, 180), "1:4:16:4"),
        (Codec::H265, (640, 360), "bt601"),
        (Codec::H265, (640, 360), "bt709"),
        // A width that is no multiple of anything: strides differ from widths.
        (Codec::H264, (426, 238), "bt601"),
    ] {
        let found = colour_after(codec, size, colorimetry, orange);
        for (found, expected) in found.iter().zip([0xE0_u8, 0x78, 0x20]) {
            assert!(
                found.abs_diff(expected) <= 6,
                "{codec:?} {size:?} {colorimetry}: {found} is not {expected}"
            );
        }
    }
}

#[test]
fn each_picture_comes_out_before_the_next_goes_in() {
    // A decoder that holds one picture back adds its period to every latency: 40 ms and more.
    for (codec, encoder) in [
        (
            Codec::H264,
            "x264enc tune=zerolatency speed-preset=veryfast key-int-max=50 ! video/x-h264,profile=high",
        ),
        (Codec::H265, "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=50"),
    ] {
        let head = format!(
            "videotestsrc pattern=ball num-buffers=30 ! video/x-raw,format=I420,width=640,height=360,framerate=25/1 ! {encoder}"
        );
        let clip = clip(codec, &head).unwrap();
        let bench = Bench::new(codec, &clip);
        for (number, (key, _, payload)) in clip.units.iter().enumerate() {
            let captured = (bench.now)();
            bench.push(captured, *key, payload);
            assert_eq!(
                bench.wait_for(number as u64 + 1).decoded,
                number as u64 + 1,
                "{codec:?} unit {number}"
            );
            assert_eq!(bench.core.take().map(|shown| shown.captured), Some(captured));
        }
        let stats = bench.stats();
        assert_eq!((stats.frames_shown, stats.frames_dropped, stats.overwritten), (30, 0, 0));
        assert!(stats.first_picture_ms.is_some() && stats.latency_ms.is_some());
    }
}

/// Pushes all of a clip and waits for at least so many pictures.
fn play(codec: Codec, clip: &Clip, least: u64) -> (Bench, PlayerStats) {
    let bench = Bench::new(codec, clip);
    let start = (bench.now)();
    let mut last = i64::MIN;
    for (key, at, payload) in &clip.units {
        // Streams without timing have every time stamp 0 or repeat one; ours must grow.
        last = (*at).max(last.saturating_add(1));
        bench.push(start + last, *key, payload);
    }
    let stats = bench.wait_for(least);
    (bench, stats)
}

#[test]
fn conformance_streams() {
    // Frames and size by `ffprobe -count_frames`.
    for (name, size, least) in [
        ("BA_MW_D.264", (176, 144), 100),
        ("MIDR_MW_D.264", (176, 144), 100),
        ("MR1_MW_A.264", (176, 144), 150),
        ("QCIF_2P_I_allIPCM.264", (176, 144), 2),
        ("test_scalinglist_jm.264", (320, 192), 5),
        ("Adobe_PDF_sample_a_1024x768_50Frms.264", (1024, 768), 50),
        // Pictures lost or damaged on purpose: something must come, nothing may hang.
        ("BA_MW_D_IDR_LOST.264", (176, 144), 1),
        ("Error_I_P.264", (352, 288), 1),
    ] {
        let Some(path) = material(&format!("conformance/{name}")) else { continue };
        let clip = clip(Codec::H264, &format!("filesrc location={path}")).unwrap();
        let (bench, stats) = play(Codec::H264, &clip, least);
        let shown = bench.core.take();
        println!(
            "{name}: {} units, {} decoded, {:?}, {:?}",
            clip.units.len(),
            stats.decoded,
            shown.as_ref().map(|s| s.picture.size()),
            stats.error
        );
        assert!(stats.decoded >= least, "{name}: {stats:?}");
        let picture = shown.expect("a picture");
        // The damaged ones change their size on the way.
        assert!(least == 1 || picture.picture.size() == size, "{name}: {:?}", picture.picture.size());
        assert!(rgba::image_from_frame(&picture.picture).is_some());
    }
}

#[test]
fn camera_clips() {
    for (name, codec, parser, size, least) in [
        ("intel_car-detection.mp4", Codec::H264, "h264parse", (768, 432), 370),
        ("signed_h264.mp4", Codec::H264, "h264parse", (480, 640), 250),
        ("signed_h265.mp4", Codec::H265, "h265parse", (640, 480), 295),
    ] {
        let Some(path) = material(name) else { continue };
        let clip = clip(codec, &format!("filesrc location={path} ! qtdemux ! {parser}")).unwrap();
        let (bench, stats) = play(codec, &clip, least);
        println!("{name}: {} units, {} decoded by {:?}", clip.units.len(), stats.decoded, stats.decoder);
        assert!(stats.decoded >= least, "{name}: {stats:?}");
        assert_eq!(bench.core.take().map(|shown| shown.picture.size()), Some(size));
    }
}

#[test]
fn a_replay_runs_in_its_own_time() {
    let head = "videotestsrc pattern=ball num-buffers=50 ! video/x-raw,format=I420,width=320,height=180,framerate=25/1 \
                ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=50";
    let clip = clip(Codec::H264, head).unwrap();
    let bench = Bench::new(Codec::H264, &clip);
    let clock = ReplayClock::new(1_000_000, 1.0);
    let (begun, mut shown) = (Instant::now(), Vec::new());
    let mut before = 0;
    bench.core.set_replay(Some(clock.clone()));
    for (number, (key, _, payload)) in clip.units.iter().enumerate() {
        bench.push(number as i64 * 40_000, *key, payload);
    }
    while shown.last() != Some(&1_960_000) && begun.elapsed() < PATIENCE {
        let position = clock.position();
        if let Some(picture) = bench.core.take() {
            assert!(picture.captured <= clock.position(), "not before its time");
            assert!(picture.captured >= before - 1_000_000, "what is long past is left out");
            shown.push(picture.captured);
        }
        before = position;
        let _pause = bench.woken.recv_timeout(Duration::from_millis(5));
    }
    assert!(shown.first().is_some_and(|first| *first >= 1_000_000), "nothing from before: {shown:?}");
    assert_eq!(shown.last(), Some(&1_960_000));
    assert!(shown.is_sorted() && begun.elapsed() >= Duration::from_millis(900));
}

#[test]
fn a_stream_without_a_usable_decoder_says_so() {
    let head = "videotestsrc num-buffers=3 ! video/x-raw,width=64,height=64 ! x264enc tune=zerolatency";
    let clip = clip(Codec::H264, head).unwrap();
    let core = Core::new(Arc::new(GstDecoders::new(Some("nosuchdec".to_owned()))), clocks(), || {});
    core.set_parameters(
        1,
        DecoderConfig { codec: Codec::H264, width: 64, height: 64, record: clip.record.clone() },
    );
    let bench = Bench { core, woken: mpsc::channel().1, now: Box::new(|| 1) };
    bench.push(1, true, &clip.units[0].2);
    assert_eq!(bench.stats().decoded, 0);
    assert!(bench.stats().decoder.is_none());
}
