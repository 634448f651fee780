//! The capture clock against made-up cameras: drifting crystals, jittery networks, rounds, stalls and jumps.

use super::*;
use proptest::prelude::*;

const START: i64 = 1_795_309_677_000_000;
const FRAME: i64 = 40_000;

/// A number that looks random and is the same in every run.
fn noise(n: i64) -> i64 {
    let mut x = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d;
    x ^= x >> 31;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (x >> 33) as i64
}

/// Feeds `frames` frames of 25 per second; `rtp` gives the RTP time, `received` the receive time after START.
fn run(frames: i64, rtp: impl Fn(i64) -> i64, received: impl Fn(i64) -> i64) -> Vec<(Stamp, i64)> {
    let mut clock = CaptureClock::new();
    (0..frames)
        .map(|n| {
            let received = START + received(n);
            (clock.stamp(rtp(n), Micros(received)), received)
        })
        .collect()
}

#[test]
fn a_perfect_camera_is_carried_exactly() {
    for (n, (stamp, received)) in run(1000, |n| n * 3600, |n| n * FRAME).iter().enumerate() {
        assert_eq!(stamp.captured.0, *received);
        assert_eq!(stamp.media_time.0, n as i64 * 3600);
        assert!(!stamp.jumped);
    }
}

/// Frames read in rounds of 100 ms come in clumps; their capture times must not.
#[test]
fn rounds_do_not_show() {
    let in_rounds = |n: i64| (n * FRAME + 106_999) / 100_000 * 100_000;
    let stamps = run(2000, |n| n * 3600, in_rounds);
    for pair in stamps.windows(2).skip(75) {
        let step = pair[1].0.captured.0 - pair[0].0.captured.0;
        assert!((step - FRAME).abs() <= FRAME * STEER_PPM / 1_000_000 + 1, "{step}");
    }
    for (stamp, received) in stamps {
        // Three frames at most come in one round; before the mapping has settled they are kept in order by a nudge.
        assert!(stamp.captured.0 <= received + 2 && received - stamp.captured.0 <= 110_000);
    }
}

#[test]
fn drift_of_either_sign_is_followed_within_milliseconds_and_measured() {
    for ppm in [-200, -50, 50, 200] {
        let mut clock = CaptureClock::new();
        let mut worst = 0;
        // An hour, with up to 60 ms of delay on every frame.
        for n in 0..90_000 {
            let true_capture = START + n * FRAME + n * FRAME * ppm / 1_000_000;
            let received = true_capture + 2_000 + noise(n) % 60_000;
            let stamp = clock.stamp(n * 3600, Micros(received));
            assert!(!stamp.jumped);
            if n > 250 {
                worst = worst.max((stamp.captured.0 - true_capture).abs());
            }
        }
        assert!(worst < 8_000, "{ppm} ppm: {worst} µs off");
        assert!((clock.drift_ppm() - ppm).abs() <= 5, "{ppm} ppm measured as {}", clock.drift_ppm());
    }
}

#[test]
fn a_network_stall_bends_no_time() {
    // Frames 500 to 575 are held back for up to 3 s and come at once.
    let held = |n: i64| if (500..575).contains(&n) { 575 * FRAME + (n - 500) * 100 } else { n * FRAME };
    for (n, (stamp, _)) in run(1000, |n| n * 3600, held).iter().enumerate() {
        assert!(!stamp.jumped);
        assert!((stamp.captured.0 - (START + n as i64 * FRAME)).abs() < 2_000, "frame {n}");
    }
}

#[test]
fn a_camera_that_begins_with_its_backlog_settles_on_the_live_edge() {
    // Fifty frames within 50 ms, then live.
    let received = |n: i64| if n < 50 { n * 1_000 } else { 50_000 + (n - 50) * FRAME };
    for (n, (stamp, received)) in run(500, |n| n * 3600, received).into_iter().enumerate() {
        assert!(!stamp.jumped, "frame {n}");
        assert!(stamp.captured.0 <= received + 1);
        if n >= 50 {
            assert_eq!(stamp.captured.0, received);
        }
    }
}

#[test]
fn a_jump_of_the_cameras_clock_is_marked_once_and_leaves_no_trace() {
    for jump in [90_000 * 3600, 90_000 * 10, -90_000 * 10, -90_000 * 3600 * 5] {
        let rtp = |n: i64| n * 3600 + if n >= 300 { jump } else { 0 };
        let stamps = run(600, rtp, |n| n * FRAME + 500);
        let jumps: Vec<_> =
            stamps.iter().enumerate().filter(|(_, (stamp, _))| stamp.jumped).map(|(n, _)| n).collect();
        assert_eq!(jumps, [300], "jump of {jump}");
        for (n, (stamp, received)) in stamps.iter().enumerate() {
            assert!((received - stamp.captured.0).abs() < 1_000);
            assert_eq!(stamp.media_time.0, n as i64 * 3600, "the run's own clock goes on");
        }
    }
}

#[test]
fn the_daemons_clock_set_forward_or_back_is_followed_at_once() {
    for step in [3_600_000_000i64, -3_600_000_000] {
        let received = |n: i64| n * FRAME + if n >= 300 { step } else { 0 };
        let stamps = run(600, |n| n * 3600, received);
        assert!(stamps[300].0.jumped);
        assert_eq!(stamps.iter().filter(|(stamp, _)| stamp.jumped).count(), 1);
        for (stamp, received) in &stamps {
            assert_eq!(stamp.captured.0, *received);
        }
        assert!(stamps.windows(2).all(|pair| pair[1].0.media_time > pair[0].0.media_time));
    }
}

#[test]
fn lasting_lateness_beyond_the_bound_is_given_up_after_a_window() {
    // The camera lost two seconds of its clock without its pictures showing it.
    let stamps = run(1000, |n| n * 3600, |n| n * FRAME + if n >= 300 { 2_000_000 } else { 0 });
    let jump = stamps.iter().position(|(stamp, _)| stamp.jumped).expect("anchored anew");
    assert!((300..300 + 2 * WINDOW / FRAME + 2).contains(&(jump as i64)), "{jump}");
    let (last, received) = stamps.last().unwrap();
    assert_eq!(last.captured.0, *received);
}

#[test]
fn a_reconnect_goes_on_where_time_is() {
    let mut clock = CaptureClock::new();
    clock.stamp(1_000_000, Micros(START));
    let before = clock.stamp(1_003_600, Micros(START + FRAME));
    clock.reconnected();
    let after = clock.stamp(77, Micros(START + 10_000_000));
    assert_eq!(after.captured, Micros(START + 10_000_000));
    assert_eq!(after.media_time.0 - before.media_time.0, (10_000_000 - FRAME) * 9 / 100);
    assert!(!after.jumped);
    assert_eq!(
        clock.stamp(77 + 3600, Micros(START + 10_000_000 + FRAME)).media_time.0,
        after.media_time.0 + 3600
    );
}

#[test]
fn sender_reports_place_frames_on_the_cameras_clock() {
    let mut camera = CameraClock::default();
    assert_eq!(camera.at(5), None);
    camera.report(90_000, 0);
    assert_eq!(camera.at(5), None, "a camera without a wall clock");
    // 2026-11-22 00:00:00.5 UTC.
    camera.report(90_000, ((1_795_305_600u64 + 2_208_988_800) << 32) | 1 << 31);
    assert_eq!(camera.at(90_000 + 3600), Some(Micros(1_795_305_600_540_000)));
    assert_eq!(camera.at(90_000 - 90_000), Some(Micros(1_795_305_599_500_000)));
    camera.forget();
    assert_eq!(camera.at(90_000), None);
    // The NTP era that begins on 2036-02-07.
    camera.report(0, 100 << 32);
    assert_eq!(camera.at(0), Some(Micros((4_294_967_296 - 2_208_988_800 + 100) * 1_000_000)));
}

proptest! {
    /// Whatever a camera and a network do: never after the receive time by more than the nudges that keep order,
    /// always forward, and never far behind for long.
    #[test]
    fn always_forward_and_never_from_the_future(
        steps in proptest::collection::vec((-200_000i64..400_000, 0i64..200_000), 1..400),
    ) {
        let mut clock = CaptureClock::new();
        let (mut rtp, mut received) = (0, START);
        let mut last: Option<Stamp> = None;
        for (n, (rtp_step, wait)) in steps.into_iter().enumerate() {
            rtp += rtp_step;
            received += wait;
            let stamp = clock.stamp(rtp, Micros(received));
            prop_assert!(stamp.captured.0 <= received + n as i64 + 1);
            if let Some(last) = last {
                prop_assert!(stamp.captured > last.captured);
                prop_assert!(stamp.media_time > last.media_time);
            }
            last = Some(stamp);
        }
    }

    #[test]
    fn no_input_overflows(inputs in proptest::collection::vec((any::<i32>(), any::<i32>(), any::<u64>()), 1..50)) {
        let mut clock = CaptureClock::new();
        let mut camera = CameraClock::default();
        for (rtp, received, ntp) in inputs {
            let rtp = i64::from(rtp) << 16;
            clock.stamp(rtp, Micros(i64::from(received) << 24));
            camera.report(rtp, ntp);
            camera.at(rtp);
        }
    }
}
