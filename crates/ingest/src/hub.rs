//! The hub: per stream the current group of pictures in memory, handed to the recorder and to every subscription.
//!
//! All groups together live within one stated budget: when it is exceeded the largest group is cut from memory and
//! its stream has none until its next key frame (what was cut is read back from the vault). A unit is one
//! reference-counted allocation from the session to the last viewer. Publishing to a stream without subscribers
//! takes one uncontended lock and wakes nobody.

use crate::subscription::{Queue, SubscribeOptions, Subscription};
use media::{AccessUnit, GapReason, Micros, StreamId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::Thread;

/// The length of the window over which bit rates are counted.
const RATE_WINDOW: i64 = 2_000_000;

/// How the hub is set up.
#[derive(Clone, Copy, Debug)]
pub struct HubConfig {
    /// All groups of pictures together, in bytes. 64 streams of 4 Mbit/s with groups of 2 s need 64 MB.
    pub budget_bytes: usize,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self { budget_bytes: 128 << 20 }
    }
}

/// Where recorded streams go. Called on the ingest threads, in order per stream; must not block or wait.
pub trait RecorderSink: Send + Sync {
    /// The next unit of a recorded stream.
    fn unit(&self, unit: &AccessUnit);
    /// From `from` on nothing is recorded, for this reason; the stream's next unit ends the gap. Successive calls
    /// without a unit between them change the reason from that instant on.
    fn gap(&self, stream: StreamId, from: Micros, reason: GapReason);
}

/// What one stream has brought so far, since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamStats {
    /// Units received.
    pub frames: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Over the last two to four seconds; 0 when nothing came in them.
    pub bits_per_second: u64,
    /// Units that viewers lost because they were too slow.
    pub viewer_skips: u64,
    /// RTP packets that never came.
    pub packets_lost: u64,
    /// Breaks in the stream: lost packets, reconnects, jumps of the camera's clock.
    pub discontinuities: u64,
    /// Times the group was cut from memory because the hub's budget was exceeded.
    pub groups_cut: u64,
    /// Subscriptions now.
    pub viewers: usize,
    /// Capture time of the newest unit.
    pub last_frame: Option<Micros>,
    /// Drift of the camera's clock against the daemon's in parts per million, positive when the camera is slow:
    /// the sum of all steering since the mapping was anchored, over the time since.
    pub drift_ppm: i64,
}

/// See the module.
pub struct Hub {
    budget_bytes: usize,
    group_bytes: AtomicUsize,
    recorder: Arc<dyn RecorderSink>,
    slots: RwLock<HashMap<StreamId, Arc<Slot>>>,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("group_bytes", &self.group_bytes).finish_non_exhaustive()
    }
}

impl Hub {
    /// A hub without streams.
    pub fn new(config: HubConfig, recorder: Arc<dyn RecorderSink>) -> Self {
        Self {
            budget_bytes: config.budget_bytes,
            group_bytes: AtomicUsize::new(0),
            recorder,
            slots: RwLock::default(),
        }
    }

    /// Starts a subscription: first the current group from its key frame, then the live edge. A stream that is not
    /// open yet, or is down, delivers from its first key frame on.
    pub fn subscribe(&self, stream: StreamId, options: SubscribeOptions) -> Subscription {
        let slot = self.slot(stream);
        let queue = {
            let mut state = slot.lock();
            let queue = Arc::new(Queue::new(options, &state.group));
            state.queues.push(Arc::clone(&queue));
            slot.viewers.store(state.queues.len(), Relaxed);
            if let Some(thread) = &state.thread {
                // The stream's thread may be parked in a long round: from now on it runs short ones.
                thread.unpark();
            }
            queue
        };
        Subscription::new(slot, queue)
    }

    /// What the stream has brought so far; all zero for a stream never seen.
    pub fn stats(&self, stream: StreamId) -> StreamStats {
        let slot = self.slots.read().unwrap_or_else(PoisonError::into_inner).get(&stream).cloned();
        slot.map(|slot| slot.stats(crate::clock::now())).unwrap_or_default()
    }

    /// Bytes of all groups in memory now.
    pub fn group_bytes(&self) -> usize {
        self.group_bytes.load(Relaxed)
    }

    /// The stream's place in the hub, made on first use. Places are few and live as long as the hub.
    pub(crate) fn slot(&self, stream: StreamId) -> Arc<Slot> {
        if let Some(slot) = self.slots.read().unwrap_or_else(PoisonError::into_inner).get(&stream) {
            return Arc::clone(slot);
        }
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(stream).or_default())
    }

    /// Hands a unit to viewers and, if `recorded`, to the recorder. False when the stream is cut at or before the
    /// unit's capture time: then nobody gets it.
    pub(crate) fn publish(&self, slot: &Slot, unit: AccessUnit, recorded: bool) -> bool {
        let unit = Arc::new(unit);
        // Freed after the lock is released.
        let _old_group = {
            let mut state = slot.lock();
            if state.cut.is_some_and(|cut| unit.captured >= cut) {
                return false;
            }
            slot.count(&mut state, &unit);
            let old = if unit.key {
                self.add_group_bytes(slot, 0usize.wrapping_sub(slot.group_bytes.load(Relaxed)));
                state.group_whole = true;
                let capacity = state.group.len() + 1;
                std::mem::replace(&mut state.group, Vec::with_capacity(capacity))
            } else {
                Vec::new()
            };
            if state.group_whole {
                self.add_group_bytes(slot, unit.payload.len());
                state.group.push(Arc::clone(&unit));
            }
            let lost: u64 = state.queues.iter().map(|queue| queue.push(&unit)).sum();
            if lost > 0 {
                slot.viewer_skips.fetch_add(lost, Relaxed);
            }
            old
        };
        if recorded {
            self.recorder.unit(&unit);
        }
        if self.group_bytes.load(Relaxed) > self.budget_bytes {
            self.cut_largest();
        }
        true
    }

    /// The recorder's gap of a stream that has stopped coming, or is about to come.
    pub(crate) fn gap(&self, stream: StreamId, from: Micros, reason: GapReason) {
        self.recorder.gap(stream, from, reason);
    }

    /// The connection is lost: its group no longer leads to the live edge, so new viewers must not be given it.
    pub(crate) fn interrupt(&self, slot: &Slot) {
        let mut state = slot.lock();
        self.clear_group(slot, &mut state);
    }

    /// The session is over: subscriptions end once they have delivered what waits in them.
    pub(crate) fn end(&self, slot: &Slot) {
        let mut state = slot.lock();
        self.clear_group(slot, &mut state);
        state.thread = None;
        slot.viewers.store(0, Relaxed);
        for queue in state.queues.drain(..) {
            queue.end();
        }
    }

    fn clear_group(&self, slot: &Slot, state: &mut SlotState) {
        self.add_group_bytes(slot, 0usize.wrapping_sub(slot.group_bytes.load(Relaxed)));
        state.group = Vec::new();
        state.group_whole = false;
    }

    /// Adds to the group's and the hub's count; a subtraction is a wrapped addition.
    fn add_group_bytes(&self, slot: &Slot, bytes: usize) {
        slot.group_bytes.fetch_add(bytes, Relaxed);
        self.group_bytes.fetch_add(bytes, Relaxed);
    }

    /// Cuts the largest groups until the budget holds. Takes one slot's lock at a time.
    fn cut_largest(&self) {
        while self.group_bytes.load(Relaxed) > self.budget_bytes {
            let largest = self
                .slots
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .values()
                .max_by_key(|slot| slot.group_bytes.load(Relaxed))
                .cloned();
            let Some(slot) = largest else { return };
            let mut state = slot.lock();
            if state.group.is_empty() {
                // Another thread was faster.
                return;
            }
            self.clear_group(&slot, &mut state);
            slot.groups_cut.fetch_add(1, Relaxed);
        }
    }
}

/// A stream's place in the hub.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    state: Mutex<SlotState>,
    /// Length of `state.queues`, readable by the rounds without the lock.
    viewers: AtomicUsize,
    group_bytes: AtomicUsize,
    frames: AtomicU64,
    bytes: AtomicU64,
    viewer_skips: AtomicU64,
    packets_lost: AtomicU64,
    discontinuities: AtomicU64,
    groups_cut: AtomicU64,
    drift_ppm: AtomicI64,
}

#[derive(Debug, Default)]
struct SlotState {
    /// The units since the last key frame, in order.
    group: Vec<Arc<AccessUnit>>,
    /// Whether `group` reaches from its key frame to the live edge; false before the first key frame and after a cut.
    group_whole: bool,
    queues: Vec<Arc<Queue>>,
    cut: Option<Micros>,
    /// The ingest thread that feeds this slot.
    thread: Option<Thread>,
    last_frame: Option<Micros>,
    rate: Rate,
}

/// Bytes of the current window and the one before.
#[derive(Debug, Default)]
struct Rate {
    started: i64,
    bytes: u64,
    before: u64,
}

impl Slot {
    /// Whether anyone watches.
    pub(crate) fn is_watched(&self) -> bool {
        self.viewers.load(Relaxed) > 0
    }

    /// A session starts feeding this place from this thread, up to the cut that may be planned already.
    pub(crate) fn begin(&self, cut: Option<Micros>, thread: Thread) {
        let mut state = self.lock();
        state.cut = cut;
        state.thread = Some(thread);
    }

    /// From now on no unit captured at or after `at` is delivered; `None` lifts a cut that was planned.
    pub(crate) fn cut(&self, at: Option<Micros>) {
        let mut state = self.lock();
        state.cut = at;
        if let Some(at) = at {
            for queue in &state.queues {
                queue.cut(at);
            }
        }
    }

    /// Counts packets that never came.
    pub(crate) fn count_lost(&self, packets: u64) {
        self.packets_lost.fetch_add(packets, Relaxed);
    }

    /// Notes the clock's drift for the figures.
    pub(crate) fn note_drift(&self, ppm: i64) {
        self.drift_ppm.store(ppm, Relaxed);
    }

    /// Ends one subscription.
    pub(crate) fn unsubscribe(&self, queue: &Arc<Queue>) {
        let mut state = self.lock();
        state.queues.retain(|other| !Arc::ptr_eq(other, queue));
        self.viewers.store(state.queues.len(), Relaxed);
    }

    fn count(&self, state: &mut SlotState, unit: &AccessUnit) {
        let size = unit.payload.len() as u64;
        self.frames.fetch_add(1, Relaxed);
        self.bytes.fetch_add(size, Relaxed);
        if unit.discontinuity {
            self.discontinuities.fetch_add(1, Relaxed);
        }
        state.last_frame = Some(unit.captured);
        state.rate.advance(unit.received.0);
        state.rate.bytes += size;
    }

    fn stats(&self, now: Micros) -> StreamStats {
        let mut state = self.lock();
        state.rate.advance(now.0);
        StreamStats {
            frames: self.frames.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            bits_per_second: state.rate.bits_per_second(now.0),
            viewer_skips: self.viewer_skips.load(Relaxed),
            packets_lost: self.packets_lost.load(Relaxed),
            discontinuities: self.discontinuities.load(Relaxed),
            groups_cut: self.groups_cut.load(Relaxed),
            viewers: state.queues.len(),
            last_frame: state.last_frame,
            drift_ppm: self.drift_ppm.load(Relaxed),
        }
    }

    fn lock(&self) -> MutexGuard<'_, SlotState> {
        // Nothing that runs under this lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rate {
    fn advance(&mut self, now: i64) {
        let passed = now - self.started;
        if (0..RATE_WINDOW).contains(&passed) {
            return;
        }
        self.before = if (RATE_WINDOW..2 * RATE_WINDOW).contains(&passed) { self.bytes } else { 0 };
        self.started = now - passed.rem_euclid(RATE_WINDOW);
        self.bytes = 0;
    }

    fn bits_per_second(&self, now: i64) -> u64 {
        let span = RATE_WINDOW + (now - self.started);
        (self.before + self.bytes) * 8_000_000 / span.max(1) as u64
    }
}

#[cfg(test)]
mod tests;
