//! One tile's pictures: which units go into the decoder, and what becomes of them.
//!
//! Encoded units are only ever dropped up to a key frame, or the picture smears; decoded ones freely. The state is in
//! two halves, each with its lock: the [`Feed`] before the decoder, used by whoever pushes, and the [`Board`] after it,
//! used by the decoder's thread and the window. **Lock order: feed, then board.** A decoder's own thread only ever
//! takes the board, so a decoder may be stopped (which waits for that thread) while the feed is held.
//!
//! The decoder is behind a trait so that all this is tested with one that decodes nothing.

use super::{PlayerStats, board::Board, replay::ReplayClock};
use bytes::Bytes;
use media::Codec;
use protocol::wire::UnitHeader;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// A unit that waits before the decoder for longer than this means that the machine is too slow: skip to a key frame.
const BACKLOG_MOST: Duration = Duration::from_millis(500);
/// The first group of a stream comes at once and may take the decoder this long.
const CATCH_UP_BACKLOG: Duration = Duration::from_secs(5);
/// A decoder that takes nothing for so long hangs.
const HANGS: Duration = Duration::from_secs(8);
/// A hidden tile's decoder is taken down after this; until then it costs no time, only memory.
const HIDDEN_MOST: Duration = Duration::from_mins(1);
/// The first group is kept, up to this size, so that the next decoder can start with it if the first one fails; that
/// of a covered tile, so that it need not wait for the next.
const FIRST_GROUP_BYTES: usize = 8 << 20;
/// After every decoder has failed, so long until all are tried again.
const RETRY: Duration = Duration::from_secs(5);
/// Pictures decoded ahead of a replay's clock: enough for 4x at 25 repaints, little enough for memory (1080p: 3 MB each).
const AHEAD: usize = 8;
/// Units whose time has come that a replay's decoder is given at once: a long group before the first picture.
const OVERDUE: usize = 128;
/// Recorded units waiting for their time; the daemon paces a replay, so this is only reached if that fails.
const REPLAY_BYTES: usize = 96 << 20;
/// At this speed and above a replay decodes key frames only.
const KEY_FRAME_SPEED: f32 = 8.0;
/// A replay this far behind its clock skips to a later key frame, if it has one.
const REPLAY_BEHIND_US: i64 = 1_000_000;

/// How bad a [`PlayerError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It will pass: another decoder is tried, a key frame is awaited.
    Passing,
    /// No pictures until something changes.
    Serious,
}

/// What stands in the way of a picture; shown only once it has lasted 400 ms without one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct PlayerError {
    /// How bad.
    pub severity: Severity,
    /// For diagnostics, in English: element and cause.
    pub detail: String,
}

/// One instant on both clocks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Now {
    /// Since an instant fixed at start, for durations.
    pub(super) mono: Duration,
    /// µs UTC on the daemon's clock, for latency.
    pub(super) utc: i64,
}

/// What a decoder must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DecoderConfig {
    pub(super) codec: Codec,
    pub(super) width: u16,
    pub(super) height: u16,
    /// avcC or hvcC.
    pub(super) record: Bytes,
}

/// Takes units, gives pictures to its [`Outlet`]. Dropping it stops it.
pub(super) trait Decoder: Send {
    /// For diagnostics and for the list of those that failed.
    fn name(&self) -> &str;
    /// Hands over one unit without waiting. `tag` comes back with its picture.
    fn decode(&mut self, tag: u64, key: bool, payload: Bytes) -> Result<(), String>;
    /// How many units it has not begun with.
    fn waiting(&self) -> usize;
}

/// Makes decoders.
pub(super) trait Decoders: Send + Sync + 'static {
    /// What they give.
    type Picture: Send + Sync + 'static;
    /// The best one for `config` that is not in `except`. The error is for diagnostics.
    fn make(
        &self,
        config: &DecoderConfig,
        except: &[String],
        outlet: Outlet<Self::Picture>,
    ) -> Result<Box<dyn Decoder>, String>;
    /// This one gave a picture.
    fn worked(&self, codec: Codec, name: &str);
}

/// Where a decoder leaves its pictures and its complaints; of one that was replaced nothing is taken.
pub(super) struct Outlet<P> {
    shared: Arc<Shared<P>>,
    serial: u64,
}

impl<P> Clone for Outlet<P> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), serial: self.serial }
    }
}

impl<P> Outlet<P> {
    pub(super) fn picture(&self, tag: u64, picture: P) {
        let now = self.shared.now();
        let replay = self.shared.replay();
        let position = replay.as_ref().map(ReplayClock::place);
        if self.shared.board().picture(now, self.serial, tag, picture, position) {
            if let Some(clock) = replay {
                clock.picture_arrived();
            }
            (self.shared.wake)();
        }
    }

    pub(super) fn failed(&self, detail: String) {
        let mut board = self.shared.board();
        if board.serial == self.serial {
            board.failed.get_or_insert(detail);
        }
    }
}

/// What feed, board, decoder and window share.
struct Shared<P> {
    board: Mutex<Board<P>>,
    replay: Mutex<Option<ReplayClock>>,
    wake: Box<dyn Fn() + Send + Sync>,
    time: Box<dyn Fn() -> Now + Send + Sync>,
    clock_offset: AtomicI64,
    hidden: AtomicBool,
    key_frames_only: AtomicBool,
    /// The next push starts from nothing.
    flush: AtomicBool,
}

impl<P> Shared<P> {
    fn now(&self) -> Now {
        let mut now = (self.time)();
        now.utc += self.clock_offset.load(Ordering::Relaxed);
        now
    }

    fn board(&self) -> MutexGuard<'_, Board<P>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replay(&self) -> Option<ReplayClock> {
        self.replay.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Unit {
    header: UnitHeader,
    payload: Bytes,
}

/// Everything before the decoder.
struct Feed {
    config: Option<(u16, DecoderConfig)>,
    decoder: Option<Box<dyn Decoder>>,
    /// Whether the choice of this decoder was told to be good.
    confirmed: bool,
    /// Only a key frame may come next.
    needs_key: bool,
    /// … because of too much work, which is counted apart.
    behind: bool,
    /// When each unit was handed over; the last `waiting()` of them are those not begun.
    handed: VecDeque<Duration>,
    /// The units since the last key frame, until the decoder's first picture.
    first_group: Option<Vec<Unit>>,
    first_group_bytes: usize,
    failed: Vec<String>,
    retry_at: Option<Duration>,
    hidden_since: Option<Duration>,
    /// The group that runs while the tile is covered, from its key frame, undecoded.
    covered: Vec<Unit>,
    /// A replay's units that wait for their time.
    queue: VecDeque<Unit>,
    queue_bytes: usize,
}

impl Feed {
    /// Keeps the group that runs, bounded; a group that is too long or has a hole is no start for a decoder.
    fn keep_covered(&mut self, unit: Unit) {
        if unit.header.key {
            self.covered.clear();
        } else if self.covered.is_empty() {
            return;
        }
        let bytes: usize = self.covered.iter().map(|kept| kept.payload.len()).sum();
        if bytes + unit.payload.len() > FIRST_GROUP_BYTES || (unit.header.discontinuity && !unit.header.key) {
            self.covered.clear();
        } else {
            self.covered.push(unit);
        }
    }
}

/// See the module. Generic over the picture, so that tests need none.
pub(super) struct Core<D: Decoders> {
    decoders: Arc<D>,
    feed: Mutex<Feed>,
    shared: Arc<Shared<D::Picture>>,
}

impl<D: Decoders> Core<D> {
    /// `time` reads the workstation's clocks; `wake` is called when the window has something new to paint.
    pub(super) fn new(
        decoders: Arc<D>,
        time: impl Fn() -> Now + Send + Sync + 'static,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let board = Mutex::new(Board::new(time()));
        Self {
            decoders,
            feed: Mutex::new(Feed {
                config: None,
                decoder: None,
                confirmed: false,
                needs_key: true,
                behind: false,
                handed: VecDeque::new(),
                first_group: None,
                first_group_bytes: 0,
                failed: Vec::new(),
                retry_at: None,
                hidden_since: None,
                covered: Vec::new(),
                queue: VecDeque::new(),
                queue_bytes: 0,
            }),
            shared: Arc::new(Shared {
                board,
                replay: Mutex::new(None),
                wake: Box::new(wake),
                time: Box::new(time),
                clock_offset: AtomicI64::new(0),
                hidden: AtomicBool::new(false),
                key_frames_only: AtomicBool::new(false),
                flush: AtomicBool::new(false),
            }),
        }
    }

    fn feed(&self) -> MutexGuard<'_, Feed> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_parameters(&self, generation: u16, config: DecoderConfig) {
        let mut feed = self.feed();
        if self.shared.replay().is_some() && !feed.queue.is_empty() {
            // Units of the generation before still wait for their time; they are decoded at once instead of never.
            while let Some(unit) = feed.queue.pop_front() {
                feed.queue_bytes -= unit.payload.len();
                self.decode(&mut feed, unit);
            }
        }
        if feed.config.as_ref().is_some_and(|(old, same)| *old == generation && *same == config) {
            return;
        }
        feed.config = Some((generation, config));
        feed.failed.clear();
        feed.retry_at = None;
        self.take_down(&mut feed);
    }

    pub(super) fn push(&self, header: UnitHeader, payload: Bytes) {
        let mut feed = self.feed();
        let now = self.shared.now();
        if self.shared.flush.swap(false, Ordering::AcqRel) {
            self.take_down(&mut feed);
        }
        if self.shared.hidden.load(Ordering::Relaxed) {
            feed.needs_key = true;
            let since = *feed.hidden_since.get_or_insert(now.mono);
            if now.mono.saturating_sub(since) > HIDDEN_MOST && feed.decoder.is_some() {
                self.take_down(&mut feed);
            }
            if self.shared.replay().is_none() {
                feed.keep_covered(Unit { header, payload });
            }
            return;
        }
        feed.hidden_since = None;
        // Uncovered: what would lead to the present is there already, so nobody waits for the next key frame.
        for unit in std::mem::take(&mut feed.covered) {
            self.decode(&mut feed, unit);
        }
        let unit = Unit { header, payload };
        let Some(clock) = self.shared.replay() else {
            self.decode(&mut feed, unit);
            return;
        };
        feed.queue_bytes += unit.payload.len();
        feed.queue.push_back(unit);
        if feed.queue_bytes > REPLAY_BYTES {
            self.skip_replay_to_key(&mut feed, 1);
        }
        self.pump(&mut feed, &clock);
    }

    /// Hands a replay's decoder what is soon due. Called when units come and when a picture is painted.
    fn pump(&self, feed: &mut Feed, clock: &ReplayClock) {
        let position = clock.place();
        let late = |unit: &Unit| position.overdue(unit.header.captured) > REPLAY_BEHIND_US;
        if feed.queue.front().is_some_and(late) {
            // The last key frame whose time has come, if there is one: what is before it would never be seen.
            let newest = feed
                .queue
                .iter()
                .rposition(|unit| unit.header.key && position.has_reached(unit.header.captured));
            if let Some(newest) = newest.filter(|newest| *newest > 0) {
                self.skip_replay_to_key(feed, newest);
            }
        }
        let keys_only = position.backward || clock.speed() >= KEY_FRAME_SPEED;
        while let Some(unit) = feed.queue.front() {
            let skip = keys_only && !unit.header.key;
            let full = {
                let board = self.shared.board();
                board.ahead(position) >= AHEAD || board.in_flight() >= OVERDUE
            };
            if !skip && full {
                break;
            }
            let Some(unit) = feed.queue.pop_front() else { break };
            feed.queue_bytes -= unit.payload.len();
            if skip {
                feed.needs_key = true;
                self.shared.board().dropped += 1;
            } else {
                self.decode(feed, unit);
            }
        }
    }

    /// Drops the queue's units before the first key frame at or after `from`.
    fn skip_replay_to_key(&self, feed: &mut Feed, from: usize) {
        let key = feed
            .queue
            .iter()
            .skip(from)
            .position(|unit| unit.header.key)
            .map_or(feed.queue.len(), |k| k + from);
        for unit in feed.queue.drain(..key) {
            feed.queue_bytes -= unit.payload.len();
        }
        feed.needs_key = true;
        self.shared.board().dropped += key as u64;
    }

    /// Decides over one unit: into the decoder, or dropped up to a key frame.
    fn decode(&self, feed: &mut Feed, unit: Unit) {
        let now = self.shared.now();
        let header = unit.header;
        let ready = feed.config.as_ref().is_some_and(|(generation, _)| *generation == header.generation);
        if !ready {
            feed.needs_key = true;
            self.shared.board().dropped += 1;
            return;
        }
        self.look_after_decoder(feed, now);
        if header.discontinuity {
            feed.needs_key = true;
        }
        if self.shared.key_frames_only.load(Ordering::Relaxed) && !header.key {
            feed.needs_key = true;
            self.shared.board().dropped += 1;
            return;
        }
        if self.too_much_waits(feed, now) {
            feed.needs_key = true;
            feed.behind = true;
        }
        if feed.needs_key {
            // Even a key frame must wait while the decoder is still behind, or the backlog only grows.
            if !header.key || (feed.behind && self.too_much_waits(feed, now)) {
                let mut board = self.shared.board();
                board.dropped += 1;
                board.backlog_drops += u64::from(feed.behind);
                return;
            }
            feed.needs_key = false;
            feed.behind = false;
            self.shared.board().starts(now);
        }
        if header.key && !feed.confirmed {
            feed.first_group = Some(Vec::new());
            feed.first_group_bytes = 0;
        }
        if feed.decoder.is_none() && !self.start_decoder(feed, now) {
            feed.needs_key = true;
            self.shared.board().dropped += 1;
            return;
        }
        self.hand_over(feed, now, unit);
    }

    /// Into the decoder, and into the first group while the decoder has yet to prove itself.
    fn hand_over(&self, feed: &mut Feed, now: Now, unit: Unit) {
        let Some(decoder) = feed.decoder.as_mut() else { return };
        let backward = self.shared.replay().is_some_and(|clock| clock.place().backward);
        let tag = self.shared.board().enters(unit.header.captured, unit.header.sent, backward);
        feed.handed.push_back(now.mono);
        if let Err(detail) = decoder.decode(tag, unit.header.key, unit.payload.clone()) {
            self.shared.board().failed.get_or_insert(detail);
        }
        if let Some(group) = feed.first_group.as_mut() {
            feed.first_group_bytes += unit.payload.len();
            if feed.first_group_bytes <= FIRST_GROUP_BYTES {
                group.push(unit);
            } else {
                feed.first_group = None;
            }
        }
    }

    /// Whether units have waited too long before the decoder.
    fn too_much_waits(&self, feed: &mut Feed, now: Now) -> bool {
        let Some(decoder) = &feed.decoder else { return false };
        let waiting = decoder.waiting();
        while feed.handed.len() > waiting {
            feed.handed.pop_front();
        }
        let oldest = feed.handed.front().map_or(Duration::ZERO, |handed| now.mono.saturating_sub(*handed));
        if oldest > HANGS {
            self.shared.board().failed.get_or_insert_with(|| "the decoder hangs".to_owned());
        }
        let most = match self.shared.board().catching_up(now) {
            Some(_) => CATCH_UP_BACKLOG,
            None => BACKLOG_MOST,
        };
        oldest > most && self.shared.replay().is_none()
    }

    /// Replaces a decoder that failed; remembers one that works.
    fn look_after_decoder(&self, feed: &mut Feed, now: Now) {
        let Some(decoder) = &feed.decoder else { return };
        let (works, failed) = {
            let mut board = self.shared.board();
            (board.decoder_works, board.failed.take())
        };
        if works && !feed.confirmed {
            feed.confirmed = true;
            feed.first_group = None;
            if let Some((_, config)) = &feed.config {
                self.decoders.worked(config.codec, decoder.name());
            }
        }
        let Some(detail) = failed else { return };
        tracing::warn!(decoder = decoder.name(), detail, works, "decoder failed");
        if !works {
            feed.failed.push(decoder.name().to_owned());
        }
        let group = feed.first_group.take();
        self.take_down(feed);
        self.shared.board().set_error(now, Severity::Passing, detail);
        // What the failed one was given, the next one gets: no waiting for another key frame.
        if let Some(group) = group.filter(|group| !group.is_empty() && !works)
            && self.start_decoder(feed, now)
        {
            feed.needs_key = false;
            feed.first_group = Some(Vec::new());
            feed.first_group_bytes = 0;
            self.shared.board().starts(now);
            for unit in group {
                self.hand_over(feed, now, unit);
            }
        }
    }

    fn start_decoder(&self, feed: &mut Feed, now: Now) -> bool {
        if feed.retry_at.is_some_and(|at| now.mono < at) {
            return false;
        }
        if feed.retry_at.take().is_some() {
            feed.failed.clear();
        }
        let Some((_, config)) = feed.config.clone() else { return false };
        let serial = self.shared.board().new_decoder(None);
        let outlet = Outlet { shared: self.shared.clone(), serial };
        feed.confirmed = false;
        match self.decoders.make(&config, &feed.failed, outlet) {
            Ok(decoder) => {
                let mut board = self.shared.board();
                board.decoder = Some(decoder.name().to_owned());
                board.starts(now);
                drop(board);
                feed.handed.clear();
                feed.decoder = Some(decoder);
                true
            }
            Err(detail) => {
                tracing::warn!(detail, "no decoder");
                feed.retry_at = Some(now.mono + RETRY);
                self.shared.board().set_error(now, Severity::Serious, detail);
                false
            }
        }
    }

    /// Stops the decoder; the picture on screen stays.
    fn take_down(&self, feed: &mut Feed) {
        self.shared.board().new_decoder(None);
        feed.decoder = None;
        feed.needs_key = true;
        feed.behind = false;
        feed.confirmed = false;
        feed.first_group = None;
        feed.covered.clear();
        feed.handed.clear();
        feed.queue.clear();
        feed.queue_bytes = 0;
    }

    /// Starts from nothing, and the picture on screen goes.
    pub(super) fn reset(&self) {
        let now = self.shared.now();
        // The board at once, as someone may not see this picture any longer; the feed with the next unit, so that the
        // window never waits for a decoder.
        self.shared.board().clear(now);
        self.shared.flush.store(true, Ordering::Release);
    }

    /// Starts from nothing, and the picture on screen stays until the next.
    pub(super) fn flush(&self) {
        self.shared.board().new_decoder(None);
        self.shared.flush.store(true, Ordering::Release);
    }

    pub(super) fn set_hidden(&self, hidden: bool) {
        self.shared.hidden.store(hidden, Ordering::Relaxed);
    }

    pub(super) fn set_key_frames_only(&self, on: bool) {
        self.shared.key_frames_only.store(on, Ordering::Relaxed);
    }

    pub(super) fn set_clock_offset(&self, microseconds: i64) {
        self.shared.clock_offset.store(microseconds, Ordering::Relaxed);
    }

    pub(super) fn set_replay(&self, clock: Option<ReplayClock>) {
        let mut board = self.shared.board();
        board.set_replay(clock.is_some());
        *self.shared.replay.lock().unwrap_or_else(PoisonError::into_inner) = clock;
    }

    /// Whether pictures come due without any arriving.
    pub(super) fn replay_runs(&self) -> bool {
        self.shared.replay().is_some_and(|clock| !clock.is_paused())
    }

    pub(super) fn stats(&self, size: impl Fn(&D::Picture) -> (u32, u32)) -> PlayerStats {
        let now = self.shared.now();
        self.shared.board().stats(now, size)
    }

    /// Whether painting would show anything, be it the start of the group that leads to the live edge.
    pub(super) fn can_paint(&self) -> bool {
        self.has_picture() || self.shared.board().has_glimpse()
    }

    pub(super) fn has_picture(&self) -> bool {
        let now = self.shared.now();
        let position = self.shared.replay().map(|clock| clock.place());
        self.shared.board().has_picture(now, position)
    }

    /// The moment of painting: a picture if another is due than the one on screen.
    pub(super) fn take(&self) -> Option<Arc<super::board::Shown<D::Picture>>> {
        let now = self.shared.now();
        let clock = self.shared.replay();
        let taken = self.shared.board().take(now, clock.as_ref().map(ReplayClock::place));
        // There is room ahead again. If someone is pushing they do this themselves, and the window must not wait.
        if let Some(clock) = clock
            && let Ok(mut feed) = self.feed.try_lock()
            && !self.shared.flush.load(Ordering::Acquire)
        {
            self.pump(&mut feed, &clock);
        }
        taken
    }

    pub(super) fn shown(&self) -> Option<Arc<super::board::Shown<D::Picture>>> {
        self.shared.board().shown()
    }

    pub(super) fn next_captured(&self) -> Option<i64> {
        self.shared.board().next_captured()
    }
}

/// The workstation's clocks.
pub(super) fn clocks() -> impl Fn() -> Now + Send + Sync + 'static {
    let started = Instant::now();
    move || {
        let utc = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
        Now { mono: started.elapsed(), utc: i64::try_from(utc).unwrap_or(i64::MAX) }
    }
}
