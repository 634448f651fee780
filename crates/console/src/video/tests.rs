//! The player with a decoder that decodes nothing and a clock that stands still until told.

mod decoding;

use super::{
    PlayerStats,
    player::{Core, Decoder, DecoderConfig, Decoders, Now, Outlet, Severity},
    replay::ReplayClock,
};
use bytes::Bytes;
use media::Codec;
use protocol::wire::UnitHeader;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

const SECOND: i64 = 1_000_000;
/// Any instant: 2026-06-13 22:41:07 UTC.
const T0: i64 = 1_781_390_467 * SECOND;

/// A decoder's desk: what it was given, and where its pictures go.
struct Desk {
    name: String,
    config: DecoderConfig,
    given: VecDeque<(u64, bool)>,
    outlet: Outlet<u64>,
    stopped: bool,
}

#[derive(Default)]
struct Fakes {
    /// In the order of preference.
    names: Vec<&'static str>,
    desks: Mutex<Vec<Desk>>,
    worked: Mutex<Vec<String>>,
}

struct Fake {
    name: String,
    index: usize,
    fakes: Arc<Fakes>,
}

impl Decoder for Fake {
    fn name(&self) -> &str {
        &self.name
    }

    fn decode(&mut self, tag: u64, key: bool, _: Bytes) -> Result<(), String> {
        self.fakes.desks.lock().unwrap()[self.index].given.push_back((tag, key));
        Ok(())
    }

    fn waiting(&self) -> usize {
        self.fakes.desks.lock().unwrap()[self.index].given.len()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.fakes.desks.lock().unwrap()[self.index].stopped = true;
    }
}

struct FakesHandle(Arc<Fakes>);

impl Decoders for FakesHandle {
    type Picture = u64;

    fn make(
        &self,
        config: &DecoderConfig,
        except: &[String],
        outlet: Outlet<u64>,
    ) -> Result<Box<dyn Decoder>, String> {
        let name = self.0.names.iter().find(|n| !except.iter().any(|e| e == *n)).ok_or("none left")?;
        let mut desks = self.0.desks.lock().unwrap();
        desks.push(Desk {
            name: (*name).to_owned(),
            config: config.clone(),
            given: VecDeque::new(),
            outlet,
            stopped: false,
        });
        Ok(Box::new(Fake { name: (*name).to_owned(), index: desks.len() - 1, fakes: self.0.clone() }))
    }

    fn worked(&self, _: Codec, name: &str) {
        self.0.worked.lock().unwrap().push(name.to_owned());
    }
}

/// A player on the bench.
struct Bench {
    core: Core<FakesHandle>,
    fakes: Arc<Fakes>,
    /// µs since T0.
    clock: Arc<AtomicI64>,
    wakes: Arc<AtomicU64>,
}

impl Bench {
    fn new() -> Self {
        Self::with(&["hard", "soft"])
    }

    fn with(names: &[&'static str]) -> Self {
        let fakes = Arc::new(Fakes { names: names.to_vec(), ..Fakes::default() });
        let (clock, wakes) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicU64::new(0)));
        let (time, woken) = (clock.clone(), wakes.clone());
        let core = Core::new(
            Arc::new(FakesHandle(fakes.clone())),
            move || {
                let at = time.load(Ordering::SeqCst);
                Now { mono: Duration::from_micros(at as u64), utc: T0 + at }
            },
            move || {
                woken.fetch_add(1, Ordering::SeqCst);
            },
        );
        let bench = Self { core, fakes, clock, wakes };
        bench.parameters(1);
        bench
    }

    fn parameters(&self, generation: u16) {
        let record = Bytes::from(vec![generation as u8]);
        self.core.set_parameters(
            generation,
            DecoderConfig { codec: Codec::H264, width: 640, height: 360, record },
        );
    }

    fn at_ms(&self, ms: i64) {
        self.clock.store(ms * 1000, Ordering::SeqCst);
    }

    fn now(&self) -> i64 {
        T0 + self.clock.load(Ordering::SeqCst)
    }

    fn header(&self, captured: i64, key: bool) -> UnitHeader {
        UnitHeader {
            subscription: 1,
            key,
            discontinuity: false,
            last: false,
            gap: false,
            generation: 1,
            captured,
            duration: 40_000,
            sent: self.now(),
            received: captured,
        }
    }

    /// A live unit, captured now.
    fn live(&self, key: bool) {
        self.unit(self.now(), key);
    }

    fn unit(&self, captured: i64, key: bool) {
        self.core.push(self.header(captured, key), Bytes::from_static(b"unit"));
    }

    /// The newest decoder finishes up to `count` units.
    fn decode(&self, count: usize) {
        for _ in 0..count {
            let next = {
                let mut desks = self.fakes.desks.lock().unwrap();
                let Some(desk) = desks.last_mut() else { return };
                desk.given.pop_front().map(|(tag, _)| (desk.outlet.clone(), tag))
            };
            let Some((outlet, tag)) = next else { return };
            outlet.picture(tag, tag);
        }
    }

    fn fail(&self) {
        let outlet = self.fakes.desks.lock().unwrap().last().unwrap().outlet.clone();
        outlet.failed("it broke".to_owned());
    }

    fn stats(&self) -> PlayerStats {
        self.core.stats(|_| (640, 360))
    }

    /// Paints; the capture time of a new picture, relative to T0 in ms.
    fn paint(&self) -> Option<i64> {
        self.core.take().map(|shown| (shown.captured - T0) / 1000)
    }

    fn decoders(&self) -> Vec<String> {
        self.fakes.desks.lock().unwrap().iter().map(|desk| desk.name.clone()).collect()
    }

    fn given(&self) -> usize {
        self.fakes.desks.lock().unwrap().last().map_or(0, |desk| desk.given.len())
    }
}

#[test]
fn waits_for_a_key_frame() {
    let bench = Bench::new();
    bench.live(false);
    bench.at_ms(40);
    bench.live(false);
    assert!(bench.decoders().is_empty(), "no decoder is started for nothing");
    bench.at_ms(80);
    bench.live(true);
    bench.decode(1);
    assert_eq!(bench.paint(), Some(80));
    assert_eq!((bench.stats().frames_dropped, bench.stats().frames_shown), (2, 1));
}

#[test]
fn first_picture_and_latency_are_measured_when_painted() {
    let bench = Bench::new();
    bench.at_ms(200);
    bench.live(true);
    bench.at_ms(230);
    bench.decode(1);
    assert_eq!(bench.stats().first_picture_ms, None, "decoded is not seen");
    bench.at_ms(250);
    assert_eq!(bench.paint(), Some(200));
    let stats = bench.stats();
    assert_eq!(stats.first_picture_ms, Some(250.0));
    assert_eq!(stats.latency_ms, Some((50.0, 50.0)));
    assert_eq!(stats.last_captured, Some(T0 + 200_000));
    assert_eq!(bench.paint(), None, "the same picture is not counted twice");
    assert_eq!(bench.stats().frames_shown, 1);
}

#[test]
fn latency_is_on_the_daemons_clock() {
    let bench = Bench::new();
    bench.core.set_clock_offset(3 * SECOND);
    // The daemon is three seconds ahead, so "now" there is later.
    bench.unit(bench.now() + 3 * SECOND - 30_000, true);
    bench.decode(1);
    bench.at_ms(10);
    bench.paint();
    assert_eq!(bench.stats().latency_ms, Some((40.0, 40.0)));
}

#[test]
fn the_newest_picture_wins() {
    let bench = Bench::new();
    for n in 0..5 {
        bench.at_ms(n * 40);
        bench.live(n == 0);
        bench.decode(1);
    }
    assert_eq!(bench.paint(), Some(160));
    let stats = bench.stats();
    assert_eq!((stats.decoded, stats.overwritten, stats.frames_shown), (5, 4, 1));
}

#[test]
fn the_first_group_is_decoded_unseen() {
    let bench = Bench::new();
    bench.at_ms(2000);
    // Two seconds of the past arrive at once, then the live edge.
    for n in 0..50 {
        bench.unit(T0 + n * 40_000, n == 0);
    }
    bench.live(false);
    bench.decode(1);
    assert!(
        bench.core.can_paint() && !bench.core.has_picture(),
        "it replaces no other stream's live picture"
    );
    assert_eq!(bench.paint(), Some(0), "an empty tile shows the first picture at once");
    assert!(!bench.stats().late);
    assert_eq!(bench.wakes.load(Ordering::SeqCst), 1);
    for _ in 1..45 {
        bench.decode(1);
        assert_eq!(bench.paint(), None, "no fast-forward");
    }
    assert_eq!(bench.wakes.load(Ordering::SeqCst), 1);
    bench.decode(6);
    assert_eq!(bench.paint(), Some(2000));
    let stats = bench.stats();
    assert_eq!(stats.frames_dropped, 0);
    assert_eq!(stats.latency_ms, Some((0.0, 0.0)), "the glimpse of the past is no latency");
}

#[test]
fn a_past_that_never_reaches_the_present_is_shown_after_a_second() {
    let bench = Bench::new();
    bench.at_ms(5000);
    for n in 0..3 {
        bench.unit(T0 + n * 40_000, n == 0);
    }
    bench.decode(1);
    assert_eq!(bench.paint(), Some(0));
    bench.decode(2);
    assert_eq!(bench.paint(), None);
    bench.at_ms(6100);
    assert_eq!(bench.paint(), Some(80));
    assert!(bench.stats().late, "but it is not passed off as live");
}

#[test]
fn a_backlog_skips_to_a_key_frame() {
    let bench = Bench::new();
    bench.live(true);
    bench.decode(1);
    bench.paint();
    // The decoder stops; units pile up until the oldest has waited half a second.
    for n in 1..=40 {
        bench.at_ms(n * 40);
        bench.live(n % 25 == 0);
    }
    let waiting = bench.given();
    assert_eq!(waiting, 13, "half a second at 25 pictures a second");
    assert_eq!(bench.stats().backlog_drops, 27, "also the key frame, as the decoder is still behind");
    bench.decode(waiting);
    bench.at_ms(41 * 40);
    bench.live(false);
    assert_eq!(bench.given(), 0, "no delta frame without its key frame");
    bench.at_ms(42 * 40);
    bench.live(true);
    assert_eq!(bench.given(), 1);
    bench.at_ms(43 * 40);
    bench.live(false);
    assert_eq!(bench.given(), 2);
}

#[test]
fn a_lost_picture_means_waiting_for_a_key_frame() {
    let bench = Bench::new();
    bench.live(true);
    bench.decode(1);
    bench.paint();
    bench.at_ms(40);
    let lossy = UnitHeader { discontinuity: true, ..bench.header(bench.now(), false) };
    bench.core.push(lossy, Bytes::from_static(b"unit"));
    bench.at_ms(80);
    bench.live(false);
    assert_eq!(bench.given(), 0);
    bench.at_ms(120);
    let key = UnitHeader { discontinuity: true, ..bench.header(bench.now(), true) };
    bench.core.push(key, Bytes::from_static(b"unit"));
    bench.decode(1);
    assert_eq!(bench.paint(), Some(120));
    assert_eq!(bench.stats().frames_dropped, 2);
}

#[test]
fn a_new_generation_gets_a_new_decoder_and_keeps_the_old_picture_meanwhile() {
    let bench = Bench::new();
    bench.live(true);
    bench.decode(1);
    bench.paint();
    let unknown = UnitHeader { generation: 2, ..bench.header(bench.now(), true) };
    bench.core.push(unknown, Bytes::from_static(b"unit"));
    assert_eq!(bench.stats().frames_dropped, 1, "parameters come first");
    bench.parameters(2);
    assert!(bench.fakes.desks.lock().unwrap()[0].stopped);
    assert!(bench.core.has_picture());
    bench.at_ms(40);
    let unit = UnitHeader { generation: 2, ..bench.header(bench.now(), true) };
    bench.core.push(unit, Bytes::from_static(b"unit"));
    assert_eq!(bench.fakes.desks.lock().unwrap()[1].config.record, Bytes::from(vec![2]));
    bench.decode(1);
    assert_eq!(bench.paint(), Some(40));
    bench.parameters(2);
    assert_eq!(bench.decoders().len(), 2, "the same parameters again change nothing");
}

#[test]
fn nothing_of_a_replaced_decoder_is_taken() {
    let bench = Bench::new();
    bench.live(true);
    let late = bench.fakes.desks.lock().unwrap()[0].outlet.clone();
    bench.parameters(2);
    late.picture(bench.now() as u64, 7);
    late.failed("too late".to_owned());
    assert_eq!(bench.paint(), None);
    bench.at_ms(1000);
    assert_eq!(bench.stats().error, None);
}

#[test]
fn the_next_decoder_gets_what_the_failed_one_was_given() {
    let bench = Bench::new();
    bench.live(true);
    bench.at_ms(40);
    bench.live(false);
    bench.fail();
    bench.at_ms(80);
    bench.live(false);
    assert_eq!(bench.decoders(), ["hard", "soft"]);
    assert_eq!(bench.given(), 3, "no waiting for another key frame");
    bench.decode(3);
    assert_eq!(bench.paint(), Some(80));
    bench.at_ms(120);
    bench.live(false);
    assert_eq!(*bench.fakes.worked.lock().unwrap(), ["soft"]);
    assert_eq!(bench.stats().decoder.as_deref(), Some("soft"));
}

#[test]
fn a_decoder_that_fails_later_is_started_again() {
    let bench = Bench::new();
    bench.live(true);
    bench.decode(1);
    bench.paint();
    bench.at_ms(40);
    bench.live(false);
    bench.fail();
    bench.at_ms(80);
    bench.live(false);
    assert_eq!(bench.stats().decoder, None);
    bench.at_ms(120);
    bench.live(true);
    assert_eq!(bench.decoders(), ["hard", "hard"], "it has shown that it can");
    bench.decode(1);
    assert_eq!(bench.paint(), Some(120));
}

#[test]
fn an_error_shows_after_its_grace_time_and_goes_with_the_next_picture() {
    let bench = Bench::with(&["only"]);
    bench.live(true);
    bench.fail();
    bench.at_ms(40);
    bench.live(false);
    assert_eq!(bench.stats().error, None);
    bench.at_ms(500);
    bench.live(false);
    let error = bench.stats().error.unwrap();
    assert_eq!((error.severity, error.detail.as_str()), (Severity::Serious, "none left"));
    // All are tried again after a while.
    bench.at_ms(6000);
    bench.live(true);
    assert_eq!(bench.decoders(), ["only", "only"]);
    bench.decode(1);
    assert_eq!(bench.paint(), Some(6000));
    assert_eq!(bench.stats().error, None);
}

#[test]
fn a_hidden_tile_decodes_nothing_and_comes_back_at_once() {
    let bench = Bench::new();
    bench.live(true);
    bench.decode(1);
    bench.paint();
    bench.core.set_hidden(true);
    for n in 1..=3 {
        bench.at_ms(n * 40);
        bench.live(n == 2);
    }
    assert_eq!(bench.given(), 0);
    bench.core.set_hidden(false);
    bench.at_ms(160);
    bench.live(false);
    assert_eq!((bench.given(), bench.decoders().len()), (3, 1), "the group that runs, into the same decoder");
    bench.decode(3);
    assert_eq!(bench.paint(), Some(160));
    bench.core.set_hidden(true);
    bench.live(true);
    bench.at_ms(70_000);
    bench.live(true);
    assert!(bench.fakes.desks.lock().unwrap()[0].stopped, "after a minute it is not worth its memory");
}

#[test]
fn a_hole_while_hidden_means_waiting_for_a_key_frame() {
    let bench = Bench::new();
    bench.core.set_hidden(true);
    bench.live(true);
    bench.at_ms(40);
    let lossy = UnitHeader { discontinuity: true, ..bench.header(bench.now(), false) };
    bench.core.push(lossy, Bytes::from_static(b"unit"));
    bench.core.set_hidden(false);
    bench.at_ms(80);
    bench.live(false);
    assert_eq!(bench.given(), 0);
}

#[test]
fn key_frames_only() {
    let bench = Bench::new();
    bench.core.set_key_frames_only(true);
    for n in 0..50 {
        bench.at_ms(n * 40);
        bench.live(n % 25 == 0);
    }
    assert_eq!(bench.given(), 2);
    bench.core.set_key_frames_only(false);
    bench.at_ms(2000);
    bench.live(false);
    assert_eq!(bench.given(), 2, "not before the next key frame");
}

#[test]
fn reset_takes_the_picture_away_at_once() {
    let bench = Bench::new();
    bench.live(true);
    bench.decode(1);
    bench.paint();
    bench.at_ms(1000);
    bench.core.reset();
    assert!(!bench.core.has_picture());
    assert_eq!(bench.core.shown().map(|shown| shown.captured), None);
    bench.at_ms(1040);
    bench.live(false);
    assert_eq!(bench.given(), 0, "and begins anew with a key frame");
    bench.at_ms(1080);
    bench.live(true);
    bench.decode(1);
    bench.at_ms(1100);
    bench.paint();
    assert_eq!(bench.stats().first_picture_ms, Some(100.0));
}

#[test]
fn late_when_nothing_new_comes() {
    let bench = Bench::new();
    bench.live(true);
    bench.decode(1);
    bench.paint();
    bench.at_ms(1900);
    assert!(!bench.stats().late);
    bench.at_ms(2100);
    assert!(bench.stats().late);
    assert_eq!(bench.stats().age, Some(Duration::from_millis(2100)));
}

#[test]
fn reordered_pictures_keep_their_capture_times() {
    let bench = Bench::new();
    for (order, captured) in [0, 120, 40, 80].into_iter().enumerate() {
        bench.unit(T0 + captured * 1000, order == 0);
    }
    let outlet = bench.fakes.desks.lock().unwrap()[0].outlet.clone();
    for captured in [0, 40, 80, 120] {
        outlet.picture((T0 + captured * 1000) as u64, 0);
        assert_eq!(bench.paint(), Some(captured));
    }
}

#[test]
fn replay_shows_pictures_when_their_time_has_come() {
    let bench = Bench::new();
    let clock = ReplayClock::new(T0 + 80_000, 0.0);
    bench.core.set_replay(Some(clock.clone()));
    bench.at_ms(60_000);
    for n in 0..30 {
        bench.unit(T0 + n * 40_000, n == 0);
    }
    assert_eq!(bench.given(), 11, "the three whose time has come, and only a little ahead");
    for _ in 0..2 {
        bench.decode(1);
        assert_eq!(bench.paint(), None, "what leads up to the position is not shown");
    }
    bench.decode(9);
    assert_eq!(bench.paint(), Some(80), "the group's start was decoded for this one");
    assert_eq!(bench.paint(), None);
    assert_eq!(bench.core.next_captured(), Some(T0 + 120_000));
    clock.step_to(T0 + 120_000);
    assert_eq!(bench.paint(), Some(120));
    let stats = bench.stats();
    assert_eq!((stats.late, stats.latency_ms), (false, None), "a recording is neither live nor late");
    assert!(bench.given() > 0, "painting makes room for more");
    bench.decode(100);
    clock.seek(T0 + 10 * SECOND);
    bench.paint();
    bench.decode(100);
    bench.core.flush();
    assert!(bench.core.has_picture(), "a jump keeps the picture until the next");
    bench.unit(T0 + 9 * SECOND, true);
    bench.unit(T0 + 10 * SECOND, false);
    bench.decode(2);
    assert_eq!(bench.paint(), Some(10_000));
}

#[test]
fn a_replay_that_falls_behind_skips_to_a_key_frame() {
    let bench = Bench::new();
    let clock = ReplayClock::new(T0, 0.0);
    bench.core.set_replay(Some(clock.clone()));
    for n in 0..100 {
        bench.unit(T0 + n * 40_000, n % 25 == 0);
    }
    bench.decode(8);
    clock.step_to(T0 + 3 * SECOND + 100_000);
    bench.paint();
    bench.decode(8);
    assert_eq!(bench.paint(), Some(3080), "from the key frame at three seconds");
    assert_eq!(bench.stats().frames_dropped, 75 - 9);
}

#[test]
fn a_fast_replay_decodes_key_frames_only() {
    let bench = Bench::new();
    bench.core.set_replay(Some(ReplayClock::new(T0, 16.0)));
    for n in 0..100 {
        bench.unit(T0 + n * 40_000, n % 25 == 0);
    }
    let given: Vec<bool> = bench.fakes.desks.lock().unwrap()[0].given.iter().map(|(_, key)| *key).collect();
    assert_eq!(given, [true; 4]);
}
