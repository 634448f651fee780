//! The program as its users start it: two cameras in a small scene, watched by a client that is not ours.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use camsim::{code, wire};
use gstreamer::{self as gst, prelude::*};
use gstreamer_app::AppSink;
use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

/// A running camsim that ends with the test.
struct Camsim {
    process: Child,
    ready: wire::Ready,
}

impl Camsim {
    fn start(folder: &Path) -> Camsim {
        let ready = folder.join("ready.json");
        let mut process = Command::new(env!("CARGO_BIN_EXE_camsim"))
            .args(["--cameras", "2", "--main-width", "480", "--main-bitrate", "2000", "--scene-count", "1"])
            .arg("--scenes")
            .arg(folder.join("scenes"))
            .arg("--ready")
            .arg(&ready)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let patience = Instant::now() + Duration::from_mins(4);
        while !ready.exists() {
            assert!(process.try_wait().unwrap().is_none(), "camsim ended before it was ready");
            assert!(Instant::now() < patience, "camsim was not ready in four minutes");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(ready.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let ready = serde_json::from_slice(&std::fs::read(ready).unwrap()).unwrap();
        Camsim { process, ready }
    }

    fn command(&self, line: &str) -> String {
        wire::command(self.ready.control_port, line).unwrap()
    }
}

impl Drop for Camsim {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// GStreamer's own RTSP client and decoder, giving grey pictures.
struct Watcher {
    pipeline: gst::Pipeline,
    sink: AppSink,
}

impl Watcher {
    fn new(url: &str, camera: &wire::Camera, password: &str, transport: &str) -> Watcher {
        let pipeline = gst::parse::launch(
            "rtspsrc name=from latency=0 ! rtph264depay ! h264parse ! avdec_h264 ! videoconvert \
             ! video/x-raw,format=GRAY8 ! appsink name=to sync=false",
        )
        .unwrap()
        .downcast::<gst::Pipeline>()
        .unwrap();
        let from = pipeline.by_name("from").unwrap();
        from.set_property("location", url);
        from.set_property("user-id", &camera.username);
        from.set_property("user-pw", password);
        from.set_property_from_str("protocols", transport);
        let sink = pipeline.by_name("to").unwrap().downcast::<AppSink>().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        Watcher { pipeline, sink }
    }

    /// Frame number and width of the next picture; `None` when the connection failed or ended.
    fn next(&self) -> Option<(u16, usize)> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(sample) = self.sink.try_pull_sample(gst::ClockTime::from_mseconds(100)) {
                let info = sample.caps().unwrap().structure(0).unwrap();
                let (width, height) = (info.get::<i32>("width").unwrap(), info.get::<i32>("height").unwrap());
                let map = sample.buffer().unwrap().map_readable().unwrap();
                let stride = map.len() / height as usize;
                let rows: Vec<u8> =
                    map.chunks(stride).flat_map(|row| &row[..width as usize]).copied().collect();
                let picture = code::Picture {
                    pixels: &rows,
                    width: width as usize,
                    height: height as usize,
                    channels: 1,
                };
                // Who joins between two key frames first decodes grey mush; that has no row.
                if let Some(frame) = code::read_whole(&picture) {
                    return Some((frame, width as usize));
                }
            }
            let bus = self.pipeline.bus().unwrap();
            if bus.pop_filtered(&[gst::MessageType::Error, gst::MessageType::Eos]).is_some()
                || self.sink.is_eos()
            {
                return None;
            }
            assert!(Instant::now() < deadline, "no readable picture and no error for half a minute");
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.pipeline.set_state(gst::State::Null).ok();
    }
}

#[test]
fn cameras_tell_the_time_and_misbehave_on_request() {
    gst::init().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut camsim = Camsim::start(folder.path());
    let [one, two] = camsim.ready.cameras.clone().try_into().unwrap();

    // Main over TCP, sub over UDP: pictures follow each other and are of now.
    for (url, transport, width) in [(&one.main, "tcp", 480), (&one.sub, "udp", 240)] {
        let watcher = Watcher::new(url, &one, &one.password, transport);
        // Before the first key frame anything may be seen; after it every frame, in order.
        let (mut last, mut in_order, mut seen) = (0, 0, 0);
        while in_order < 60 {
            let (frame, seen_width) = watcher.next().unwrap();
            assert_eq!(seen_width, width);
            in_order = if frame == (last + 1) % code::FRAMES { in_order + 1 } else { 0 };
            last = frame;
            seen += 1;
            assert!(seen < 500, "{transport}: frames keep missing");
        }
        let age = code::age(last, SystemTime::now());
        assert!(age < Duration::from_secs(10), "{transport}: a picture of {age:?} ago");
    }

    // Each camera has its own password.
    assert_eq!(Watcher::new(&one.main, &one, &two.password, "tcp").next(), None);
    assert_eq!(Watcher::new(&one.main, &two, &two.password, "tcp").next(), None);

    // A new resolution comes with the next key frame on the same connection, and goes again.
    let watcher = Watcher::new(&two.main, &two, &two.password, "tcp");
    assert_eq!(watcher.next().unwrap().1, 480);
    assert_eq!(camsim.command("resize 2"), "ok");
    while watcher.next().unwrap().1 != 240 {}
    assert_eq!(camsim.command("heal 2"), "ok");
    while watcher.next().unwrap().1 != 480 {}

    // A refused password ends what runs and lets nothing new in, until healed; the other camera goes on.
    let other = Watcher::new(&one.main, &one, &one.password, "tcp");
    other.next().unwrap();
    assert_eq!(camsim.command("refuse 2"), "ok");
    while watcher.next().is_some() {}
    assert_eq!(Watcher::new(&two.main, &two, &two.password, "tcp").next(), None);
    other.next().unwrap();
    assert_eq!(camsim.command("heal 2"), "ok");
    Watcher::new(&two.main, &two, &two.password, "tcp").next().unwrap();

    // A dropped connection ends, and may come back.
    assert_eq!(camsim.command("drop 1"), "ok");
    while other.next().is_some() {}
    Watcher::new(&one.main, &one, &one.password, "tcp").next().unwrap();

    assert_eq!(camsim.command("stall 7"), "error there is no camera 7, only 1 to 2");

    // It ends when told to.
    let told = Command::new("kill").arg(camsim.process.id().to_string()).status().unwrap();
    assert!(told.success());
    assert!(camsim.process.wait().unwrap().success());
}
