//! The way in: what waits for the writer, per stream, under one stated budget of memory.
//!
//! `accept` runs on the cameras' threads. It takes one short mutex of its own stream, pushes, and wakes nobody; the
//! writer comes by its clock. When all streams together hold more than the budget, the newest group of the least
//! important stream is dropped and becomes a gap, so that what remains stays decodable.
//!
//! Lock order: never two streams' mutexes at once, and nothing else under one.

use crate::{
    chunk,
    config::{Loss, StreamPolicy},
    index::{ChunkRef, GapMark, JITTER, SECOND, ended},
    volume::OPEN,
};
use media::{AccessUnit, GapReason, Micros, StreamId};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

/// Losses that wait to be asked for; beyond it the newest are counted to the last of their stream.
const LOSSES: usize = 1024;
/// What a unit costs in memory beside its payload.
const UNIT_COST: usize = 160;
/// A chunk is cut before its payloads exceed this.
const LONGEST_CHUNK: usize = 8 << 20;

/// Something that the writer must store, in order.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Unit(AccessUnit),
    Gap(GapMark),
}

/// What is known of a stream beyond the index.
#[derive(Default)]
pub(crate) struct StreamState {
    pub(crate) policy: StreamPolicy,
    pub(crate) pending: VecDeque<Event>,
    /// Taken by the writer; the first `done` of them are written and among `chunks`.
    pub(crate) writing: Arc<Vec<Event>>,
    pub(crate) done: usize,
    /// Written, not yet in the index.
    pub(crate) chunks: Vec<ChunkRef>,
    /// How many of `chunks` are on their way to the index.
    pub(crate) sent: usize,
    /// Gaps not yet in the index.
    pub(crate) gaps: Vec<GapMark>,
    /// The gap that goes on now.
    pub(crate) open: Option<GapMark>,
    /// End of the newest unit.
    pub(crate) last: Option<Micros>,
    /// After a drop: nothing decodes before the next key frame.
    await_key: bool,
}

impl StreamState {
    pub(crate) fn mark(&mut self, gap: GapMark) {
        self.gaps.retain(|known| known.from != gap.from || known.reason == GapReason::Destroyed);
        self.gaps.push(gap);
        self.pending.push_back(Event::Gap(gap));
    }

    pub(crate) fn end_gap(&mut self, until: Micros) {
        if let Some(gap) = self.open.take() {
            let (gap, rest) = ended(gap, until);
            self.mark(gap);
            if let Some(rest) = rest {
                self.mark(rest);
            }
        }
    }

    pub(crate) fn start_gap(&mut self, from: Micros, reason: GapReason) {
        let from = self.last.map_or(from, |last| last.max(from));
        if let Some(open) = self.open {
            if open.reason == reason {
                return;
            }
            self.end_gap(from);
        }
        let gap = GapMark { from, until: OPEN, reason };
        self.open = Some(gap);
        self.mark(gap);
    }

    /// The units not yet in a volume, in order.
    pub(crate) fn units_in_memory(&self) -> Vec<AccessUnit> {
        self.writing
            .iter()
            .skip(self.done)
            .chain(&self.pending)
            .filter_map(|event| match event {
                Event::Unit(unit) => Some(unit.clone()),
                Event::Gap(_) => None,
            })
            .collect()
    }

    fn droppable(&self) -> usize {
        self.pending.iter().map(|event| if let Event::Unit(unit) = event { cost(unit) } else { 0 }).sum()
    }

    /// Drops the newest group; gives units and bytes dropped, and the first instant.
    fn drop_newest_group(&mut self, reason: GapReason) -> (u64, usize, Option<Micros>) {
        // Gaps behind the newest unit stay; they are set aside, newest first.
        let mut behind = Vec::new();
        while let Some(Event::Gap(_)) = self.pending.back() {
            behind.extend(self.pending.pop_back());
        }
        let (mut units, mut bytes, mut first) = (0, 0, None);
        while let Some(Event::Unit(unit)) = self.pending.back() {
            let key = unit.key;
            first = Some(unit.captured);
            units += 1;
            bytes += cost(unit);
            self.pending.pop_back();
            if key {
                break;
            }
        }
        if let Some(from) = first {
            // The trace of a destruction is no gap of its own: it may lie anywhere, weeks back for the most part.
            let next = behind.iter().rev().find_map(|event| match event {
                Event::Gap(gap) if gap.reason != GapReason::Destroyed => Some(gap.from),
                _ => None,
            });
            if let Some(until) = next {
                self.mark(GapMark { from, until, reason });
            } else {
                let gap = GapMark { from, until: OPEN, reason };
                self.await_key = true;
                self.open = Some(gap);
                self.last = Some(from);
                self.mark(gap);
            }
        }
        self.pending.extend(behind.into_iter().rev());
        (units, bytes, first)
    }
}

/// Bytes of memory that a unit counts for.
pub(crate) fn cost(unit: &AccessUnit) -> usize {
    unit.payload.len() + UNIT_COST
}

/// One stream's queue.
pub(crate) struct StreamQueue {
    pub(crate) id: StreamId,
    state: Mutex<StreamState>,
}

impl StreamQueue {
    pub(crate) fn lock(&self) -> MutexGuard<'_, StreamState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All queues, and the counters along the way.
#[derive(Default)]
pub(crate) struct Queues {
    streams: RwLock<BTreeMap<StreamId, Arc<StreamQueue>>>,
    budget: usize,
    pub(crate) buffered: AtomicUsize,
    pub(crate) received: AtomicU64,
    pub(crate) written: AtomicU64,
    pub(crate) synced: AtomicU64,
    pub(crate) indexed: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) disk_full: AtomicBool,
    pub(crate) write_errors: AtomicU64,
    pub(crate) slowest_sync_us: AtomicU64,
    pub(crate) syncs: AtomicU64,
    /// Groups dropped that nobody has asked for yet.
    losses: Mutex<VecDeque<Loss>>,
}

impl Queues {
    pub(crate) fn new(budget: usize) -> Self {
        Self { budget, ..Self::default() }
    }

    pub(crate) fn all(&self) -> Vec<Arc<StreamQueue>> {
        self.streams.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn known(&self, stream: StreamId) -> Option<Arc<StreamQueue>> {
        self.streams.read().unwrap_or_else(PoisonError::into_inner).get(&stream).cloned()
    }

    pub(crate) fn of(&self, stream: StreamId) -> Arc<StreamQueue> {
        self.known(stream).unwrap_or_else(|| {
            let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(
                streams
                    .entry(stream)
                    .or_insert_with(|| Arc::new(StreamQueue { id: stream, state: Mutex::default() })),
            )
        })
    }

    pub(crate) fn accept(&self, unit: AccessUnit) {
        self.received.fetch_add(1, Ordering::Relaxed);
        let queue = self.of(unit.stream);
        let size = cost(&unit);
        {
            let mut state = queue.lock();
            if state.await_key && !unit.key {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                return;
            }
            state.await_key = false;
            if state.open.is_some() {
                state.end_gap(unit.captured);
            } else if let Some(last) = state.last
                && unit.captured > last.plus(JITTER)
            {
                // Nobody said why; the camera was silent.
                state.mark(GapMark { from: last, until: unit.captured, reason: GapReason::CameraOffline });
            }
            state.last = Some(chunk::end_of(&unit));
            state.pending.push_back(Event::Unit(unit));
        }
        if self.buffered.fetch_add(size, Ordering::Relaxed) + size > self.budget {
            self.shed();
        }
    }

    /// Drops groups until what waits fits the budget.
    fn shed(&self) {
        let reason =
            if self.disk_full.load(Ordering::Relaxed) { GapReason::DiskFull } else { GapReason::Overload };
        while self.buffered.load(Ordering::Relaxed) > self.budget {
            let victim = self
                .all()
                .into_iter()
                .filter_map(|queue| {
                    let state = queue.lock();
                    let (importance, bytes) = (state.policy.importance, state.droppable());
                    drop(state);
                    (bytes > 0).then_some((importance, std::cmp::Reverse(bytes), queue))
                })
                .min_by_key(|(importance, bytes, _)| (*importance, *bytes));
            let Some((_, _, queue)) = victim else { return };
            let (units, bytes, first) = queue.lock().drop_newest_group(reason);
            self.buffered.fetch_sub(bytes, Ordering::Relaxed);
            self.dropped.fetch_add(units, Ordering::Relaxed);
            let Some(from) = first else { return };
            self.note(Loss { stream: queue.id, from, units, reason });
            tracing::warn!(
                stream = queue.id.0,
                units,
                ?reason,
                "a group was dropped: memory for waiting units ran out"
            );
        }
    }

    fn note(&self, loss: Loss) {
        let mut losses = self.losses.lock().unwrap_or_else(PoisonError::into_inner);
        if losses.len() < LOSSES {
            losses.push_back(loss);
        } else if let Some(known) = losses.iter_mut().rev().find(|known| known.stream == loss.stream) {
            known.units += loss.units;
        }
    }

    pub(crate) fn take_losses(&self) -> Vec<Loss> {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }

    /// The written invariant. Loaded from the last stage back, so that progress in between cannot break it.
    pub(crate) fn assert_order(&self) {
        let load = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        let (indexed, synced) = (load(&self.indexed), load(&self.synced));
        let (written, received) = (load(&self.written), load(&self.received));
        debug_assert!(indexed <= synced && synced <= written && written <= received, "state order broken");
    }
}

/// Cuts events into what becomes one record each: a gap, or units of one group, second and set of parameters.
pub(crate) fn cut(events: &[Event]) -> impl Iterator<Item = &[Event]> {
    let mut size = 0;
    events.chunk_by(move |a, b| {
        let (Event::Unit(a), Event::Unit(b)) = (a, b) else {
            size = 0;
            return false;
        };
        size += a.payload.len();
        let together = !b.key
            && b.captured >= a.captured
            && a.captured.0.div_euclid(SECOND) == b.captured.0.div_euclid(SECOND)
            && (Arc::ptr_eq(&a.parameters, &b.parameters) || a.parameters == b.parameters)
            && size + b.payload.len() <= LONGEST_CHUNK;
        if !together {
            size = 0;
        }
        together
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use media::{Codec, Parameters, Ticks};

    fn unit(number: i64) -> AccessUnit {
        let record = Bytes::from_static(b"p");
        let parameters = Parameters { generation: 1, codec: Codec::H264, width: 2, height: 2, record };
        AccessUnit {
            stream: StreamId(1),
            parameters: Arc::new(parameters),
            captured: Micros(number * 40_000),
            media_time: Ticks(number * 3600),
            duration: 3600,
            key: number % 25 == 0,
            discontinuity: false,
            received: Micros(number * 40_000),
            camera_time: None,
            received_within: 0,
            payload: Bytes::from_static(&[0; 100]),
        }
    }

    /// A destruction four weeks back that was told right behind the newest picture ends no gap of today.
    #[test]
    fn a_lost_group_stands_in_a_gap_whatever_was_destroyed_behind_it() {
        let start = 28 * 24 * 3600 * 25;
        let queues = Queues::new(60 * cost(&unit(start)));
        (start..start + 50).for_each(|number| queues.accept(unit(number)));
        let queue = queues.of(StreamId(1));
        let destroyed = GapMark { from: Micros(0), until: Micros(60_000_000), reason: GapReason::Destroyed };
        queue.lock().pending.push_back(Event::Gap(destroyed));
        queue.lock().pending.push_back(Event::Gap(destroyed));
        // Another stream's pictures are what is too much.
        queue.lock().policy.importance = 0;
        queues.of(StreamId(2)).lock().policy.importance = 1;
        (start..start + 50).for_each(|n| queues.accept(AccessUnit { stream: StreamId(2), ..unit(n) }));
        let losses = queues.take_losses();
        assert_eq!(losses.first().map(|loss| loss.from), Some(unit(start + 25).captured));
        let state = queue.lock();
        let until = |gap: &GapMark| (gap.until > gap.from).then_some((gap.from, gap.until));
        let gaps: Vec<_> = state.gaps.iter().map(until).collect();
        assert!(!gaps.is_empty() && gaps.iter().all(Option::is_some), "{:?}", state.gaps);
        assert!(state.open.is_some(), "nothing came behind it yet");
    }
}
