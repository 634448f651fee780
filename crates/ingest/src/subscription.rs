//! One viewer's queue of a stream: the group of pictures so far, then the live edge.
//!
//! Queues hold references to the hub's units, never copies. A viewer that falls behind its byte budget loses whole
//! stretches up to the next key frame, because a decoder fed past a missing picture shows smears; how many units it
//! lost is delivered in their place.

use crate::hub::Slot;
use media::{AccessUnit, Micros};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What a viewer wants of a stream.
#[derive(Clone, Copy, Debug)]
pub struct SubscribeOptions {
    /// How many bytes may wait for this viewer before it skips to a key frame. The group it starts with does not
    /// count, as it is there at once; a single unit is never too large for an empty queue.
    pub budget_bytes: usize,
    /// Deliver key frames only (stills, overviews).
    pub key_frames_only: bool,
    /// Deliver nothing captured before this instant: at the edge of a right the stream starts with the next key
    /// frame.
    pub not_before: Option<Micros>,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        Self { budget_bytes: 4 << 20, key_frames_only: false, not_before: None }
    }
}

/// One thing to hand to a viewer.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// The next picture, in decoding order.
    Unit(Arc<AccessUnit>),
    /// This many units were left out because the viewer was too slow; a key frame follows.
    Skipped(u64),
}

/// A running subscription. Dropping it ends it.
#[derive(Debug)]
pub struct Subscription {
    slot: Arc<Slot>,
    queue: Arc<Queue>,
}

impl Subscription {
    pub(crate) fn new(slot: Arc<Slot>, queue: Arc<Queue>) -> Self {
        Self { slot, queue }
    }

    /// The next delivery; waits for the live edge. `None` once the stream is closed and all that was captured
    /// before the closing instant is delivered. Cancel-safe: nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Delivery> {
        loop {
            match self.queue.take() {
                Taken::Delivery(delivery) => return Some(delivery),
                Taken::Ended => return None,
                // `notify_one` stores a permit when nobody waits, so a unit pushed right here is not missed.
                Taken::Empty => self.queue.notify.notified().await,
            }
        }
    }

    /// The next delivery if one waits, without waiting for it.
    pub fn try_next(&mut self) -> Option<Delivery> {
        match self.queue.take() {
            Taken::Delivery(delivery) => Some(delivery),
            Taken::Ended | Taken::Empty => None,
        }
    }

    /// Units left out so far because the viewer was too slow.
    pub fn skipped(&self) -> u64 {
        self.queue.lock().skipped
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.slot.unsubscribe(&self.queue);
    }
}

enum Taken {
    Delivery(Delivery),
    Empty,
    Ended,
}

/// The shared half of a subscription: the hub pushes, the viewer takes.
#[derive(Debug)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    notify: Notify,
}

#[derive(Debug)]
struct Inner {
    options: SubscribeOptions,
    waiting: VecDeque<Waiting>,
    /// Bytes of those waiting units that count against the budget.
    bytes: usize,
    /// Set until a key frame comes: at the start without a group, and after an overflow.
    needs_key: bool,
    /// Left out since the last delivery; told before the next unit.
    untold: u64,
    /// Left out in all.
    skipped: u64,
    ended: bool,
}

#[derive(Debug)]
struct Waiting {
    unit: Arc<AccessUnit>,
    counted: usize,
}

impl Queue {
    /// A queue that starts with `group` (which begins with a key frame, or is empty).
    pub(crate) fn new(options: SubscribeOptions, group: &[Arc<AccessUnit>]) -> Self {
        let mut inner = Inner {
            options,
            waiting: VecDeque::with_capacity(group.len() + 8),
            bytes: 0,
            needs_key: true,
            untold: 0,
            skipped: 0,
            ended: false,
        };
        for unit in group {
            if inner.wants(unit) {
                inner.needs_key = false;
                inner.waiting.push_back(Waiting { unit: Arc::clone(unit), counted: 0 });
            }
        }
        Self { inner: Mutex::new(inner), notify: Notify::new() }
    }

    /// Offers a unit of the live edge; returns how many units the viewer lost by it.
    pub(crate) fn push(&self, unit: &Arc<AccessUnit>) -> u64 {
        let (lost, something_waits) = {
            let mut inner = self.lock();
            if inner.ended {
                return 0;
            }
            let lost = inner.push(unit);
            inner.untold += lost;
            inner.skipped += lost;
            (lost, !inner.waiting.is_empty())
        };
        if something_waits {
            self.notify.notify_one();
        }
        lost
    }

    /// Forgets what was captured at or after `at`.
    pub(crate) fn cut(&self, at: Micros) {
        let mut inner = self.lock();
        inner.waiting.retain(|waiting| waiting.unit.captured < at);
        inner.bytes = inner.waiting.iter().map(|waiting| waiting.counted).sum();
    }

    /// No more units will come.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.notify.notify_one();
    }

    fn take(&self) -> Taken {
        let mut inner = self.lock();
        if inner.waiting.is_empty() {
            return if inner.ended { Taken::Ended } else { Taken::Empty };
        }
        if inner.untold > 0 {
            return Taken::Delivery(Delivery::Skipped(std::mem::take(&mut inner.untold)));
        }
        match inner.waiting.pop_front() {
            Some(waiting) => {
                inner.bytes -= waiting.counted;
                Taken::Delivery(Delivery::Unit(waiting.unit))
            }
            None => Taken::Empty,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing that runs under this lock can panic half-way through a change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn wants(&self, unit: &AccessUnit) -> bool {
        (unit.key || !(self.needs_key || self.options.key_frames_only))
            && self.options.not_before.is_none_or(|edge| unit.captured >= edge)
    }

    /// Queues the unit or leaves it out; returns how many units were lost to slowness.
    fn push(&mut self, unit: &Arc<AccessUnit>) -> u64 {
        if !self.wants(unit) {
            // Waiting for the first key frame is not slowness; waiting for one after an overflow is.
            let overflowed = self.needs_key && self.untold > 0 && !self.options.key_frames_only;
            return u64::from(overflowed);
        }
        let size = unit.payload.len();
        let mut lost = 0;
        if !self.waiting.is_empty() && self.bytes + size > self.options.budget_bytes {
            lost = self.overflow(unit.key, size);
            if self.needs_key && !unit.key {
                return lost + 1;
            }
        }
        self.needs_key = false;
        self.bytes += size;
        self.waiting.push_back(Waiting { unit: Arc::clone(unit), counted: size });
        lost
    }

    /// Makes room by dropping everything before the newest key frame that leaves room enough; returns how many
    /// units that cost. Without such a key frame the queue is emptied and waits for the next one.
    fn overflow(&mut self, incoming_key: bool, size: usize) -> u64 {
        let before = self.waiting.len();
        let newest_key = self.waiting.iter().rposition(|waiting| waiting.unit.key);
        let keep_from = match newest_key {
            // The incoming key frame replaces the whole backlog.
            _ if incoming_key => before,
            // At the head already: dropping what is before it makes no room.
            Some(0) | None => before,
            Some(index) => index,
        };
        self.waiting.drain(..keep_from);
        self.bytes = self.waiting.iter().map(|waiting| waiting.counted).sum();
        if self.bytes + size > self.options.budget_bytes && !self.waiting.is_empty() {
            self.waiting.clear();
            self.bytes = 0;
        }
        if self.waiting.is_empty() {
            self.needs_key = true;
        }
        (before - self.waiting.len()) as u64
    }
}
