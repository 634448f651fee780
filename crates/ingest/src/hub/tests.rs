//! The hub with units made by hand: order, identity, budgets, skips and cuts.

use super::*;
use crate::subscription::Delivery;
use bytes::Bytes;
use media::{Codec, Parameters, Ticks};
use proptest::prelude::*;
use std::task::{Context, Poll, Wake, Waker};

const STREAM: StreamId = StreamId(1);

#[derive(Default)]
struct Recorded(Mutex<Vec<Bytes>>);

impl RecorderSink for Recorded {
    fn unit(&self, unit: &AccessUnit) {
        self.0.lock().unwrap().push(unit.payload.clone());
    }
    fn gap(&self, _: StreamId, _: Micros, _: GapReason) {}
}

fn hub(budget_bytes: usize) -> (Hub, Arc<Recorded>) {
    let recorded = Arc::new(Recorded::default());
    (Hub::new(HubConfig { budget_bytes }, Arc::clone(&recorded) as Arc<dyn RecorderSink>), recorded)
}

/// The unit captured at `n` ms, with `size` bytes.
fn unit(n: i64, key: bool, size: usize) -> AccessUnit {
    AccessUnit {
        stream: STREAM,
        parameters: Arc::new(Parameters {
            generation: 1,
            codec: Codec::H264,
            width: 640,
            height: 360,
            record: Bytes::new(),
        }),
        captured: Micros(n * 1000),
        media_time: Ticks(n * 90),
        duration: 3600,
        key,
        discontinuity: false,
        received: Micros(n * 1000),
        camera_time: None,
        received_within: 0,
        payload: Bytes::from(vec![n as u8; size]),
    }
}

/// Publishes units `range` of 100 bytes with a key frame every ten.
fn publish(hub: &Hub, range: std::ops::Range<i64>) {
    let slot = hub.slot(STREAM);
    for n in range {
        assert!(hub.publish(&slot, unit(n, n % 10 == 0, 100), true));
    }
}

/// Everything that waits: capture times in ms, and skips as negative numbers.
fn drain(subscription: &mut Subscription) -> Vec<i64> {
    std::iter::from_fn(|| subscription.try_next())
        .map(|delivery| match delivery {
            Delivery::Unit(unit) => unit.captured.0 / 1000,
            Delivery::Skipped(count) => -(count as i64),
        })
        .collect()
}

fn budget(budget_bytes: usize) -> SubscribeOptions {
    SubscribeOptions { budget_bytes, ..SubscribeOptions::default() }
}

#[test]
fn a_new_viewer_gets_the_group_so_far_and_then_the_live_edge() {
    let (hub, _) = hub(1 << 20);
    publish(&hub, 5..27);
    let mut viewer = hub.subscribe(STREAM, SubscribeOptions::default());
    publish(&hub, 27..32);
    assert_eq!(drain(&mut viewer), (20..32).collect::<Vec<_>>());
}

#[test]
fn nothing_comes_before_the_first_key_frame() {
    let (hub, recorded) = hub(1 << 20);
    let mut viewer = hub.subscribe(STREAM, SubscribeOptions::default());
    publish(&hub, 5..12);
    assert_eq!(drain(&mut viewer), [10, 11], "and waiting for it is no skip");
    assert_eq!(recorded.0.lock().unwrap().len(), 7, "the recorder judges for itself");
}

#[test]
fn every_viewer_and_the_recorder_share_the_same_bytes() {
    let (hub, recorded) = hub(1 << 20);
    let mut viewers: Vec<_> = (0..16).map(|_| hub.subscribe(STREAM, SubscribeOptions::default())).collect();
    let original = unit(10, true, 50_000);
    let address = original.payload.as_ptr();
    hub.publish(&hub.slot(STREAM), original, true);
    let mut late = hub.subscribe(STREAM, SubscribeOptions::default());
    for viewer in viewers.iter_mut().chain([&mut late]) {
        let Some(Delivery::Unit(got)) = viewer.try_next() else { panic!("nothing delivered") };
        assert_eq!(got.payload.as_ptr(), address);
    }
    assert_eq!(recorded.0.lock().unwrap()[0].as_ptr(), address);
}

#[test]
fn a_slow_viewer_skips_to_a_key_frame_and_is_told_how_many() {
    let (hub, _) = hub(1 << 20);
    let mut slow = hub.subscribe(STREAM, budget(550));
    let mut quick = hub.subscribe(STREAM, budget(550));
    let mut seen = Vec::new();
    for n in 0..33 {
        publish(&hub, n..n + 1);
        seen.extend(drain(&mut quick));
    }
    assert_eq!(seen, (0..33).collect::<Vec<_>>(), "the quick one misses nothing");
    assert_eq!(drain(&mut slow), [-30, 30, 31, 32]);
    assert_eq!(slow.skipped(), 30);
    assert_eq!(hub.stats(STREAM).viewer_skips, 30);
}

#[test]
fn a_backlog_with_a_key_frame_in_it_keeps_what_follows_that() {
    let (hub, _) = hub(1 << 20);
    let mut slow = hub.subscribe(STREAM, budget(1_000));
    publish(&hub, 0..1);
    assert_eq!(drain(&mut slow), [0]);
    // 1..=10 fill the budget; 11 does not fit: all before the key frame 10 goes.
    publish(&hub, 1..12);
    assert_eq!(drain(&mut slow), [-9, 10, 11]);
}

#[test]
fn a_key_frame_larger_than_the_budget_still_comes() {
    let (hub, _) = hub(1 << 20);
    let mut viewer = hub.subscribe(STREAM, budget(10));
    let slot = hub.slot(STREAM);
    hub.publish(&slot, unit(0, true, 5_000), false);
    assert_eq!(drain(&mut viewer), [0]);
    hub.publish(&slot, unit(10, true, 5_000), false);
    hub.publish(&slot, unit(20, true, 5_000), false);
    assert_eq!(drain(&mut viewer), [-1, 20]);
}

#[test]
fn the_group_a_viewer_starts_with_is_not_held_against_it() {
    let (hub, _) = hub(1 << 20);
    publish(&hub, 0..9);
    let mut viewer = hub.subscribe(STREAM, budget(150));
    publish(&hub, 9..10);
    assert_eq!(drain(&mut viewer), (0..10).collect::<Vec<_>>());
}

#[test]
fn at_the_edge_of_a_right_the_stream_starts_with_the_next_key_frame() {
    let (hub, _) = hub(1 << 20);
    publish(&hub, 0..15);
    let options = SubscribeOptions { not_before: Some(Micros(12_000)), ..SubscribeOptions::default() };
    let mut viewer = hub.subscribe(STREAM, options);
    publish(&hub, 15..23);
    assert_eq!(drain(&mut viewer), [20, 21, 22]);
}

#[test]
fn key_frames_only_are_key_frames_only() {
    let (hub, _) = hub(1 << 20);
    publish(&hub, 0..15);
    let options = SubscribeOptions { key_frames_only: true, ..SubscribeOptions::default() };
    let mut viewer = hub.subscribe(STREAM, options);
    publish(&hub, 15..35);
    assert_eq!(drain(&mut viewer), [10, 20, 30]);
}

#[test]
fn the_largest_group_is_cut_when_memory_is_spent_and_comes_back_with_its_next_key_frame() {
    let (hub, recorded) = hub(2_000);
    let other = hub.slot(StreamId(2));
    hub.publish(&other, AccessUnit { stream: StreamId(2), ..unit(0, true, 500) }, false);
    let slot = hub.slot(STREAM);
    for n in 0..40 {
        hub.publish(&slot, unit(n, n == 0, 100), true);
    }
    assert!(hub.group_bytes() <= 2_000);
    assert_eq!(hub.stats(STREAM).groups_cut, 1);
    assert_eq!(hub.stats(StreamId(2)).groups_cut, 0);
    assert_eq!(recorded.0.lock().unwrap().len(), 40, "the recorder loses nothing by it");
    let mut viewer = hub.subscribe(STREAM, SubscribeOptions::default());
    hub.publish(&slot, unit(40, false, 100), true);
    hub.publish(&slot, unit(50, true, 100), true);
    assert_eq!(drain(&mut viewer), [50]);
    hub.end(&slot);
    hub.end(&other);
    assert_eq!(hub.group_bytes(), 0);
}

#[test]
fn nothing_from_the_cut_on_is_delivered_not_even_what_waits_already() {
    let (hub, recorded) = hub(1 << 20);
    let mut viewer = hub.subscribe(STREAM, SubscribeOptions::default());
    publish(&hub, 0..20);
    let slot = hub.slot(STREAM);
    slot.cut(Some(Micros(15_000)));
    assert!(!hub.publish(&slot, unit(15, false, 100), true));
    assert!(hub.publish(&slot, unit(14, false, 100), true), "captured before, come late");
    hub.end(&slot);
    assert_eq!(drain(&mut viewer), (0..15).chain([14]).collect::<Vec<_>>());
    assert_eq!(recorded.0.lock().unwrap().len(), 21);
    let mut context = Context::from_waker(Waker::noop());
    assert!(matches!(std::pin::pin!(viewer.next()).poll(&mut context), Poll::Ready(None)));
}

#[test]
fn an_interrupted_stream_shows_no_old_picture_to_a_new_viewer() {
    let (hub, _) = hub(1 << 20);
    publish(&hub, 0..5);
    hub.interrupt(&hub.slot(STREAM));
    let mut viewer = hub.subscribe(STREAM, SubscribeOptions::default());
    publish(&hub, 5..12);
    assert_eq!(drain(&mut viewer), [10, 11]);
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn a_viewer_is_woken_by_its_own_stream_only_and_not_after_it_has_gone() {
    let (hub, _) = hub(1 << 20);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut context = Context::from_waker(&waker);
    let mut viewer = hub.subscribe(STREAM, SubscribeOptions::default());
    {
        let mut next = std::pin::pin!(viewer.next());
        assert!(next.as_mut().poll(&mut context).is_pending());
        let other = hub.slot(StreamId(2));
        hub.publish(&other, AccessUnit { stream: StreamId(2), ..unit(0, true, 10) }, false);
        assert_eq!(wakes.0.load(Relaxed), 0);
        publish(&hub, 10..11);
        assert_eq!(wakes.0.load(Relaxed), 1);
        assert!(matches!(next.poll(&mut context), Poll::Ready(Some(Delivery::Unit(_)))));
    }
    drop(viewer);
    assert_eq!(hub.stats(STREAM).viewers, 0);
    assert!(!hub.slot(STREAM).is_watched());
    publish(&hub, 11..20);
    assert_eq!(wakes.0.load(Relaxed), 1);
}

#[test]
fn rates_are_those_of_the_last_seconds() {
    let mut rate = Rate::default();
    // 25 units a second of 20 000 bytes are 4 Mbit/s.
    for n in 0..250i64 {
        rate.advance(1_000_000_000 + n * 40_000);
        rate.bytes += 20_000;
    }
    let now = 1_000_000_000 + 250 * 40_000;
    rate.advance(now);
    let bits = rate.bits_per_second(now);
    assert!((3_800_000..=4_200_000).contains(&bits), "{bits}");
    rate.advance(now + 5_000_000);
    assert_eq!(rate.bits_per_second(now + 5_000_000), 0);
}

proptest! {
    /// However slow a viewer is: what it gets is decodable (each gap is followed by a key frame), in order, and what it
    /// got plus what it was told to have lost is everything.
    #[test]
    fn a_viewer_never_gets_a_picture_whose_predecessor_it_lost(
        group in 1i64..30,
        budget_bytes in 0usize..3_000,
        takes in proptest::collection::vec(0usize..6, 1..200),
    ) {
        let (hub, _) = hub(1 << 20);
        let slot = hub.slot(STREAM);
        let mut viewer = hub.subscribe(STREAM, budget(budget_bytes));
        let mut expected = 0i64;
        let mut gap = 0i64;
        for (n, take) in takes.iter().enumerate() {
            let n = n as i64;
            hub.publish(&slot, unit(n, n % group == 0, 20 + (n as usize * 37) % 200), false);
            for _ in 0..*take {
                match viewer.try_next() {
                    Some(Delivery::Unit(unit)) => {
                        prop_assert_eq!(unit.captured.0 / 1000, expected + gap);
                        prop_assert!(gap == 0 || unit.key);
                        expected += gap + 1;
                        gap = 0;
                    }
                    Some(Delivery::Skipped(count)) => gap += count as i64,
                    None => break,
                }
            }
        }
    }
}
