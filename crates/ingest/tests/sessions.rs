//! Sessions against a scripted camera: what comes in comes out, outages are told truly, and a close is an instant.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "the helpers of tests are tests")]

mod camera;

use camera::{Camera, LARGE, Playing, SMALL};
use ingest::{
    Delivery, DownCause, Hub, HubConfig, Ingest, IngestConfig, RecorderSink, SessionConfig, SessionState,
    SubscribeOptions, Transport, clock,
};
use media::{AccessUnit, GapReason, Micros, StreamId};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

const STREAM: StreamId = StreamId(1);

/// What the recorder was told, in order.
#[derive(Debug, Clone)]
enum Told {
    Unit(AccessUnit),
    Gap(Micros, GapReason),
}

#[derive(Default)]
struct Recorder(Mutex<Vec<Told>>, Notify);

impl RecorderSink for Recorder {
    fn unit(&self, unit: &AccessUnit) {
        self.0.lock().unwrap().push(Told::Unit(unit.clone()));
        self.1.notify_one();
    }
    fn gap(&self, _: StreamId, from: Micros, reason: GapReason) {
        self.0.lock().unwrap().push(Told::Gap(from, reason));
    }
}

struct Bench {
    ingest: Ingest,
    hub: Arc<Hub>,
    recorder: Arc<Recorder>,
}

impl Bench {
    fn new() -> Self {
        let recorder = Arc::new(Recorder::default());
        let hub = Arc::new(Hub::new(HubConfig::default(), Arc::clone(&recorder) as Arc<dyn RecorderSink>));
        let ingest = Ingest::start(IngestConfig::default(), Arc::clone(&hub)).unwrap();
        Self { ingest, hub, recorder }
    }

    fn open(&self, camera: &Camera) {
        self.ingest.open(config(camera)).unwrap();
    }

    async fn state(&self, wanted: impl Fn(&SessionState) -> bool) -> SessionState {
        let mut state = self.ingest.state(STREAM);
        let found = tokio::time::timeout(Duration::from_secs(30), state.wait_for(wanted)).await;
        found.expect("the state is reached").unwrap().clone()
    }

    /// Waits, without watching, until the recorder has `count` units.
    async fn recorded(&self, count: usize) -> Vec<AccessUnit> {
        loop {
            let told = self.recorder.0.lock().unwrap().clone();
            let units: Vec<_> = told
                .into_iter()
                .filter_map(|told| if let Told::Unit(unit) = told { Some(unit) } else { None })
                .collect();
            if units.len() >= count {
                return units;
            }
            let next = tokio::time::timeout(Duration::from_secs(30), self.recorder.1.notified()).await;
            next.expect("pictures come");
        }
    }

    async fn units(&self, count: usize) -> Vec<Arc<AccessUnit>> {
        let mut viewer = self.hub.subscribe(STREAM, SubscribeOptions::default());
        let mut units = Vec::new();
        while units.len() < count {
            let next = tokio::time::timeout(Duration::from_secs(30), viewer.next()).await;
            match next.expect("pictures come").expect("the stream is open") {
                Delivery::Unit(unit) => units.push(unit),
                Delivery::Skipped(skipped) => panic!("skipped {skipped}"),
            }
        }
        units
    }
}

fn config(camera: &Camera) -> SessionConfig {
    SessionConfig {
        stream: STREAM,
        camera_group: "ENS-C01".to_owned(),
        url: camera.url(),
        username: Some("admin".to_owned()),
        password: Some("geheim".to_owned()),
        transport: Transport::Tcp,
        recorded: true,
    }
}

/// The number that the scripted camera wrote into a picture.
fn number(unit: &AccessUnit) -> u8 {
    // Length, NAL header, number.
    unit.payload[5] & 0x7f
}

fn is_up(state: &SessionState) -> bool {
    matches!(state, SessionState::Up { .. })
}

fn is_down(state: &SessionState) -> bool {
    matches!(state, SessionState::Down { .. })
}

fn cause(state: &SessionState) -> Option<DownCause> {
    match state {
        SessionState::Down { cause, .. } => Some(*cause),
        _ => None,
    }
}

#[tokio::test]
async fn pictures_come_whole_in_order_and_with_true_times() {
    let ntp = |micros: i64| {
        (((micros / 1_000_000 + 2_208_988_800) as u64) << 32) | ((micros % 1_000_000) as u64 * 4295)
    };
    let camera = Camera::start(
        None,
        Box::new(move |playing: &mut Playing| {
            // What comes before a key frame leads nowhere and is left out.
            playing.picture(99, None, 100);
            let start = clock::now().0 - 5_000_000;
            playing.report(playing.rtp, ntp(start), false);
            for n in 0..100 {
                playing.picture(n, (n % 25 == 0).then_some(SMALL), if n % 25 == 0 { 150_000 } else { 9_000 });
            }
            playing.hold();
        }),
    );
    let bench = Bench::new();
    bench.open(&camera);
    let units = bench.units(100).await;
    for (n, unit) in units.iter().enumerate() {
        assert_eq!(number(unit) as usize, n);
        assert_eq!(unit.key, n % 25 == 0);
        assert_eq!(unit.discontinuity, n == 0);
        assert_eq!(unit.media_time.0 - units[0].media_time.0, n as i64 * 3600);
        assert_eq!(
            unit.payload.len(),
            5 + if unit.key { 150_000 } else { 9_000 },
            "parameter sets stay outside"
        );
        assert_eq!(unit.payload[..4], ((unit.payload.len() - 4) as u32).to_be_bytes());
        assert!(unit.captured.0 <= unit.received.0 + 100);
        let camera_time =
            unit.camera_time.expect("a sender report came first").0 - units[0].camera_time.unwrap().0;
        assert!((camera_time - n as i64 * 40_000).abs() <= 1);
        assert_eq!(
            (unit.parameters.width, unit.parameters.height, unit.parameters.generation),
            (320, 240, 1)
        );
    }
    assert_eq!(units[0].parameters.record[0], 1, "an AVCDecoderConfigurationRecord");
    let stats = bench.hub.stats(STREAM);
    assert_eq!((stats.frames, stats.packets_lost, stats.discontinuities), (100, 0, 1));
    assert!(stats.bits_per_second > 100_000);
}

#[tokio::test]
async fn new_parameter_sets_are_a_new_generation_also_over_reconnects() {
    let camera = Camera::start(
        None,
        Box::new(|playing: &mut Playing| {
            playing.picture(0, Some(SMALL), 100);
            playing.picture(1, Some(LARGE), 100);
            playing.picture(2, Some(LARGE), 100);
        }),
    );
    let bench = Bench::new();
    bench.open(&camera);
    let units = bench.units(6).await;
    let seen: Vec<_> = units.iter().map(|unit| (unit.parameters.generation, unit.parameters.width)).collect();
    assert_eq!(seen, [(1, 320), (2, 640), (2, 640), (3, 320), (4, 640), (4, 640)]);
    assert!(Arc::ptr_eq(&units[1].parameters, &units[2].parameters));
    assert!(units[3].discontinuity);
}

#[tokio::test]
async fn lost_packets_are_counted_and_marked() {
    let camera = Camera::start(
        None,
        Box::new(|playing: &mut Playing| {
            playing.picture(0, Some(SMALL), 100);
            playing.picture(1, None, 100);
            playing.lose(3);
            playing.picture(2, None, 100);
            playing.picture(3, None, 100);
            playing.hold();
        }),
    );
    let bench = Bench::new();
    bench.open(&camera);
    let units = bench.units(4).await;
    assert_eq!(units.iter().map(|unit| unit.discontinuity).collect::<Vec<_>>(), [true, false, true, false]);
    assert_eq!(bench.hub.stats(STREAM).packets_lost, 3);
}

#[tokio::test]
async fn a_jump_of_the_cameras_clock_is_marked_and_does_not_move_capture_time() {
    let camera = Camera::start(
        None,
        Box::new(|playing: &mut Playing| {
            playing.report(0, 1 << 62, false);
            playing.picture(0, Some(SMALL), 100);
            playing.picture(1, None, 100);
            playing.rtp = playing.rtp.wrapping_sub(90_000 * 600);
            playing.picture(2, None, 100);
            playing.hold();
        }),
    );
    let bench = Bench::new();
    bench.open(&camera);
    let units = bench.units(3).await;
    assert!(units[2].discontinuity && !units[1].discontinuity);
    assert!(
        units[1].camera_time.is_some() && units[2].camera_time.is_none(),
        "the report is of the old time"
    );
    assert!(units[2].captured > units[1].captured && units[2].captured.0 - units[1].captured.0 < 2_000_000);
    assert!(units[2].media_time > units[1].media_time);
}

#[tokio::test]
async fn a_camera_that_goes_is_reported_and_comes_back_by_itself() {
    let turn = AtomicUsize::new(0);
    // Each appearance and each departure waits for the test to have seen the one before.
    let (go, word) = std::sync::mpsc::channel::<()>();
    let word = Mutex::new(word);
    let wait_for_word = move || word.lock().unwrap().recv().is_ok();
    let camera = Camera::start(
        None,
        Box::new(move |playing: &mut Playing| {
            if !wait_for_word() {
                return;
            }
            playing.picture(0, Some(SMALL), 100);
            match turn.fetch_add(1, SeqCst) {
                // Closes the connection.
                0 => _ = wait_for_word(),
                1 => {
                    wait_for_word();
                    playing.report(0, 1 << 62, true);
                    playing.hold();
                }
                _ => playing.live(25, 2_000),
            }
        }),
    );
    let bench = Bench::new();
    bench.open(&camera);
    for _ in 0..2 {
        go.send(()).unwrap();
        bench.state(is_up).await;
        go.send(()).unwrap();
        let down = bench.state(is_down).await;
        assert_eq!(cause(&down), Some(DownCause::Ended), "{down:?}");
    }
    go.send(()).unwrap();
    bench.state(is_up).await;
    let last = bench.units(5).await;
    drop(bench.ingest);
    let told = bench.recorder.0.lock().unwrap().clone();
    let gaps: Vec<_> = told
        .iter()
        .filter_map(|told| if let Told::Gap(_, reason) = told { Some(*reason) } else { None })
        .collect();
    assert_eq!(
        gaps,
        [GapReason::CameraOffline, GapReason::CameraOffline, GapReason::CameraOffline, GapReason::NotRunning]
    );
    assert!(matches!(told[0], Told::Gap(..)) && matches!(told.last(), Some(Told::Gap(..))));
    // Each gap begins after the unit before it and ends with one captured later.
    for window in told.windows(3) {
        if let [Told::Unit(before), Told::Gap(from, _), Told::Unit(after)] = window {
            assert!(before.captured < *from && *from < after.captured);
            assert!(after.key && after.discontinuity);
        }
    }
    assert!(last[0].key);
}

#[tokio::test]
async fn each_kind_of_failure_has_its_cause() {
    let refused = {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        gone.local_addr().unwrap()
    };
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let cases = [
        (format!("rtsp://{refused}/main"), DownCause::Refused),
        (Camera::start(Some("401 Unauthorized"), Box::new(|_| {})).url(), DownCause::Unauthorised),
        (Camera::start(Some("404 Not Found"), Box::new(|_| {})).url(), DownCause::Protocol),
        (Camera::start(None, Box::new(|_| {})).url(), DownCause::Ended),
        (Camera::start(None, Box::new(Playing::hold)).url(), DownCause::NoFrames),
        (format!("rtsp://{}/main", silent.local_addr().unwrap()), DownCause::TimeOut),
    ];
    let bench = Bench::new();
    let dummy = Camera { address: refused, connections: Arc::default() };
    for (index, (url, _)) in cases.iter().enumerate() {
        let stream = StreamId(index as u32 + 1);
        bench.ingest.open(SessionConfig { stream, url: url.clone(), ..config(&dummy) }).unwrap();
    }
    for (index, (url, expected)) in cases.iter().enumerate() {
        let mut state = bench.ingest.state(StreamId(index as u32 + 1));
        let found = tokio::time::timeout(Duration::from_secs(30), state.wait_for(is_down)).await;
        let found = found.expect("it fails").unwrap().clone();
        assert_eq!(cause(&found), Some(*expected), "{url}: {found:?}");
        let SessionState::Down { detail, since, retry_at, .. } = found else { panic!() };
        assert!(!detail.is_empty() && !detail.contains("geheim") && !detail.contains('\n'), "{detail}");
        assert!(since < retry_at);
    }
}

#[tokio::test]
async fn a_close_is_an_instant_for_viewers_and_recorder() {
    let camera = Camera::start(None, Box::new(|playing: &mut Playing| playing.live(25, 4_000)));
    let bench = Bench::new();
    bench.open(&camera);
    let mut viewer = bench.hub.subscribe(STREAM, SubscribeOptions::default());
    bench.units(10).await;
    // A period that ends a little later.
    let end = clock::now().plus(700_000);
    bench.ingest.close_at(STREAM, end, GapReason::NotInUse);
    let mut captured = Vec::new();
    while let Some(delivery) = tokio::time::timeout(Duration::from_secs(10), viewer.next()).await.unwrap() {
        if let Delivery::Unit(unit) = delivery {
            captured.push(unit.captured);
        }
    }
    bench.state(|state| *state == SessionState::Idle).await;
    let last = *captured.last().unwrap();
    assert!(last < end && end.0 - last.0 < 2_000_000, "{} µs before the end", end.0 - last.0);
    let told = bench.recorder.0.lock().unwrap().clone();
    let Some(Told::Gap(from, GapReason::NotInUse)) = told.last() else { panic!("{:?}", told.last()) };
    assert_eq!(*from, end);
    let units: Vec<_> = told
        .iter()
        .filter_map(|told| if let Told::Unit(unit) = told { Some(unit.captured) } else { None })
        .collect();
    assert_eq!(units.last(), Some(&last), "nobody got more than the other");

    // Opened again it goes on, with the same generation; closed now, it is over at once.
    bench.open(&camera);
    let again = bench.units(3).await;
    assert_eq!(again[0].parameters.generation, 1);
    assert!(again[0].discontinuity && again[0].captured > end);
    bench.ingest.close(STREAM, GapReason::NotInUse);
    let closed = clock::now();
    bench.state(|state| *state == SessionState::Idle).await;
    assert!(clock::now().0 - closed.0 < 5_000_000);
    assert!(bench.hub.stats(STREAM).last_frame.unwrap() <= closed);
}

/// The clock that stamps pictures is an hour behind that of the caller: a close that is due ends the session all the same, and
/// so does one that was planned.
#[tokio::test]
async fn a_close_waits_by_the_clock_of_its_caller() {
    let camera = Camera::start(None, Box::new(|playing: &mut Playing| playing.live(25, 20_000)));
    let bench = Bench::new();
    for wait in [Duration::ZERO, Duration::from_millis(300)] {
        bench.open(&camera);
        bench.units(3).await;
        let end = clock::now().plus(3_600_000_000);
        // As it was planned first: that timer is not waited for.
        bench.ingest.close_after(STREAM, Duration::from_hours(1), end, GapReason::NotInUse);
        bench.ingest.close_after(STREAM, wait, end, GapReason::NotInUse);
        bench.state(|state| *state == SessionState::Idle).await;
        let told = bench.recorder.0.lock().unwrap().last().cloned();
        assert!(matches!(told, Some(Told::Gap(from, GapReason::NotInUse)) if from == end), "{told:?}");
    }
}

#[tokio::test]
async fn opening_again_lifts_a_planned_close_without_a_new_connection() {
    let camera = Camera::start(None, Box::new(|playing: &mut Playing| playing.live(25, 1_000)));
    let bench = Bench::new();
    bench.open(&camera);
    bench.units(2).await;
    let end = clock::now().plus(3_000_000);
    bench.ingest.close_at(STREAM, end, GapReason::NotInUse);
    bench.open(&camera);
    assert!(clock::now() < end, "this machine took seconds to open a session: nothing is shown");
    let mut viewer = bench.hub.subscribe(STREAM, SubscribeOptions::default());
    loop {
        match tokio::time::timeout(Duration::from_secs(10), viewer.next()).await.unwrap().expect("still open")
        {
            Delivery::Unit(unit) if unit.captured.0 > end.0 + 200_000 => break,
            _ => {}
        }
    }
    assert_eq!(camera.connections.load(SeqCst), 1);
}

/// Nobody watches, so the thread runs long rounds: still every picture is recorded, once and in order.
#[tokio::test]
async fn long_rounds_lose_nothing() {
    let camera = Camera::start(
        None,
        Box::new(|playing: &mut Playing| {
            for n in 0..100u8 {
                playing.picture(
                    n,
                    n.is_multiple_of(50).then_some(SMALL),
                    if n.is_multiple_of(50) { 300_000 } else { 16_000 },
                );
                std::thread::sleep(Duration::from_millis(10));
            }
            playing.hold();
        }),
    );
    let bench = Bench::new();
    bench.open(&camera);
    let numbers: Vec<_> = bench.recorded(100).await.iter().map(number).collect();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn pictures_over_udp_come_whole_also_in_long_rounds() {
    let camera = Camera::start(
        None,
        Box::new(|playing: &mut Playing| {
            playing.report(playing.rtp, 1 << 63, false);
            for n in 0..100u8 {
                playing.picture(
                    n,
                    n.is_multiple_of(50).then_some(SMALL),
                    if n.is_multiple_of(50) { 80_000 } else { 16_000 },
                );
                std::thread::sleep(Duration::from_millis(20));
            }
            playing.hold();
        }),
    );
    let bench = Bench::new();
    bench.ingest.open(SessionConfig { transport: Transport::Udp, ..config(&camera) }).unwrap();
    let units = bench.recorded(100).await;
    assert_eq!(units.iter().map(number).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    assert!(units.iter().all(|unit| unit.camera_time.is_some()));
    assert_eq!(bench.hub.stats(STREAM).packets_lost, 0);
}
