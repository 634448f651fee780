//! Where decoded pictures wait to be painted, and the figures of a player.
//!
//! The decoder's thread puts pictures up, the window's thread takes them down; this lock is held for moments only and
//! never while a decoder starts or stops (see the lock order in [`super::player`]).

use super::{
    PlayerError, PlayerStats,
    histogram::Histogram,
    player::{Now, Severity},
    replay::Place,
};
use std::{collections::VecDeque, sync::Arc, time::Duration};

/// No new picture for so long: what is shown is not live.
const LATE: Duration = Duration::from_secs(2);
/// The same for a picture that arrives regularly but was taken so long ago.
const LATE_US: i64 = 2_000_000;
/// An error is shown only once it has lasted this long (rerun does the same): most pass.
const GRACE: Duration = Duration::from_millis(400);
/// How far a unit may lie behind when the daemon sends it and still be the live edge: above the daemon's longest
/// round of reading cameras, below any group of pictures.
const PAST_US: i64 = 300_000;
/// … and so far behind the newest unit in the decoder: some decoders keep a few pictures to themselves.
const BEHIND_US: i64 = 200_000;
/// The group that comes first is decoded unseen for at most this long. Where the tile is still empty its first picture
/// is shown at once, under its own time; then the next one seen is that of the live edge: no fast-forward.
const CATCH_UP_MOST: Duration = Duration::from_secs(1);

/// A decoded picture and when it was taken.
#[derive(Debug)]
pub(super) struct Shown<P> {
    pub(super) picture: P,
    /// Capture time, µs UTC.
    pub(super) captured: i64,
}

/// A unit inside the decoder.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    tag: u64,
    captured: i64,
    /// Part of the group before the live edge.
    past: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Board<P> {
    /// The decoder whose pictures count; one that was replaced may still be finishing.
    pub(super) serial: u64,
    in_flight: VecDeque<InFlight>,
    /// The newest picture nobody has seen (live), or those waiting for their time (replay).
    waiting: VecDeque<Arc<Shown<P>>>,
    /// The picture on screen.
    shown: Option<Arc<Shown<P>>>,
    replay: bool,
    /// Since when the first group is being decoded unseen.
    catching_up: Option<Duration>,
    /// This decoder gave at least one picture.
    pub(super) decoder_works: bool,
    pub(super) failed: Option<String>,
    pub(super) decoder: Option<String>,
    error: Option<(PlayerError, Duration)>,
    requested: Duration,
    painted: Option<Duration>,
    first_picture: Option<Duration>,
    latency: Histogram,
    pub(super) dropped: u64,
    pub(super) backlog_drops: u64,
    decoded: u64,
    overwritten: u64,
    frames_shown: u64,
    last_tag: u64,
}

impl<P> Board<P> {
    pub(super) fn new(now: Now) -> Self {
        Self {
            serial: 0,
            in_flight: VecDeque::new(),
            waiting: VecDeque::new(),
            shown: None,
            replay: false,
            catching_up: None,
            decoder_works: false,
            failed: None,
            decoder: None,
            error: None,
            requested: now.mono,
            painted: None,
            first_picture: None,
            latency: Histogram::default(),
            dropped: 0,
            backlog_drops: 0,
            decoded: 0,
            overwritten: 0,
            frames_shown: 0,
            last_tag: 0,
        }
    }

    /// Another decoder takes over (or none): nothing of the old one will be seen any more, but the picture on screen
    /// stays until there is a better one.
    pub(super) fn new_decoder(&mut self, decoder: Option<String>) -> u64 {
        self.serial += 1;
        self.in_flight.clear();
        self.waiting.clear();
        self.decoder_works = false;
        self.failed = None;
        self.catching_up = None;
        self.decoder = decoder;
        self.serial
    }

    /// The picture on screen must go too.
    pub(super) fn clear(&mut self, now: Now) {
        self.new_decoder(None);
        self.shown = None;
        self.error = None;
        self.painted = None;
        self.first_picture = None;
        self.latency = Histogram::default();
        self.requested = now.mono;
    }

    pub(super) fn set_replay(&mut self, replay: bool) {
        self.replay = replay;
        self.waiting.clear();
    }

    /// Decoding begins anew at a key frame: what follows at once is the group before the live edge.
    pub(super) fn starts(&mut self, now: Now) {
        self.catching_up = Some(now.mono);
    }

    /// A unit goes into the decoder; the tag comes back with its picture. Tags only grow: decoders sort by them.
    pub(super) fn enters(&mut self, captured: i64, sent: i64, backward: bool) -> u64 {
        // Capture time in µs is positive until the year 294000 and sorts reordered pictures the way they were seen;
        // backward, key frames come one by one and are only counted.
        let tag = u64::try_from(captured).unwrap_or_default();
        let known = self.in_flight.iter().any(|unit| unit.tag == tag);
        let tag = if known || backward { self.last_tag + 1 } else { tag };
        self.last_tag = self.last_tag.max(tag);
        self.in_flight.push_back(InFlight { tag, captured, past: sent.saturating_sub(captured) > PAST_US });
        // A decoder that swallows units without a word must not fill memory with them.
        if self.in_flight.len() > 4096 {
            self.in_flight.pop_front();
        }
        tag
    }

    /// How many pictures are in the decoder or wait for their time, which `position` has not reached.
    pub(super) fn ahead(&self, position: Place) -> usize {
        let not_yet = self.in_flight.iter().filter(|unit| !position.has_reached(unit.captured)).count();
        not_yet + self.waiting.iter().filter(|waiting| !position.has_reached(waiting.captured)).count()
    }

    /// How many units are in the decoder.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// A picture came out; `position` is the replay's. True if the window should know.
    pub(super) fn picture(
        &mut self,
        now: Now,
        serial: u64,
        tag: u64,
        picture: P,
        position: Option<Place>,
    ) -> bool {
        if serial != self.serial {
            return false;
        }
        let Some(unit) = self.in_flight.iter().find(|unit| unit.tag == tag).copied() else { return false };
        // Units before it that gave no picture (SEI alone, damaged) never will.
        self.in_flight.retain(|other| other.tag > tag);
        self.decoded += 1;
        self.decoder_works = true;
        self.error = None;
        let shown = Arc::new(Shown { picture, captured: unit.captured });
        if let Some(position) = position {
            let before = |other: &Arc<Shown<P>>| {
                if position.backward {
                    other.captured >= unit.captured
                } else {
                    other.captured <= unit.captured
                }
            };
            let place = self.waiting.partition_point(before);
            self.waiting.insert(place, shown);
            if self.held(now) && !position.backward {
                // What leads from the key frame to the replay's position is decoded unseen.
                let due = self.waiting.partition_point(|other| position.has_reached(other.captured));
                self.waiting.drain(..due.saturating_sub(1));
                if self.in_flight.iter().any(|other| position.has_reached(other.captured)) {
                    return false;
                }
            }
            self.catching_up = None;
            return true;
        }
        if self.waiting.pop_front().is_some() && self.catching_up.is_none() {
            self.overwritten += 1;
        }
        self.waiting.push_back(shown);
        if let Some(since) = self.catching_up {
            let newest = self.in_flight.iter().map(|other| other.captured).max().unwrap_or(unit.captured);
            let behind = newest.saturating_sub(unit.captured) > BEHIND_US;
            if (unit.past || behind) && now.mono.saturating_sub(since) < CATCH_UP_MOST {
                return self.shown.is_none();
            }
            self.catching_up = None;
        }
        true
    }

    /// Whether the first group is still being decoded unseen.
    pub(super) fn catching_up(&self, now: Now) -> Option<Duration> {
        self.catching_up.map(|since| now.mono.saturating_sub(since))
    }

    /// Whether [`Self::take`] has something for a tile on which nothing is to be seen yet, be it the start of the group
    /// that leads to the live edge.
    pub(super) fn has_glimpse(&self) -> bool {
        !self.replay && self.shown.is_none() && !self.waiting.is_empty()
    }

    /// Whether [`Self::take`] has a picture of the present or there is one on screen.
    pub(super) fn has_picture(&self, now: Now, position: Option<Place>) -> bool {
        let due = match position {
            Some(position) => self.waiting.front().is_some_and(|first| position.has_reached(first.captured)),
            None => !self.waiting.is_empty(),
        };
        (due && !self.held(now)) || self.shown.is_some()
    }

    fn held(&self, now: Now) -> bool {
        self.catching_up(now).is_some_and(|age| age < CATCH_UP_MOST)
    }

    /// The moment of painting: the picture to show now if it is another than before. `position` is the replay's.
    pub(super) fn take(&mut self, now: Now, position: Option<Place>) -> Option<Arc<Shown<P>>> {
        let glimpse = self.held(now);
        if glimpse && !self.has_glimpse() {
            return None;
        }
        if !glimpse {
            self.catching_up = None;
        }
        let newest = if self.replay {
            let position = position?;
            let due = self.waiting.partition_point(|waiting| position.has_reached(waiting.captured));
            self.overwritten += due.saturating_sub(1) as u64;
            self.waiting.drain(..due).next_back()?
        } else {
            let newest = self.waiting.pop_back()?;
            if !glimpse {
                self.latency.add(now.mono, now.utc.saturating_sub(newest.captured) as f64 / 1e3);
            }
            newest
        };
        self.frames_shown += 1;
        self.painted = Some(now.mono);
        self.first_picture.get_or_insert(now.mono.saturating_sub(self.requested));
        self.shown = Some(newest.clone());
        Some(newest)
    }

    /// The picture on screen.
    pub(super) fn shown(&self) -> Option<Arc<Shown<P>>> {
        self.shown.clone()
    }

    /// Capture time of the next picture after the one on screen, if it is decoded.
    pub(super) fn next_captured(&self) -> Option<i64> {
        self.waiting.front().map(|next| next.captured)
    }

    pub(super) fn set_error(&mut self, now: Now, severity: Severity, detail: String) {
        // The grace time runs from the first of a row of errors.
        let since = self.error.as_ref().map_or(now.mono, |(_, since)| *since);
        self.error = Some((PlayerError { severity, detail }, since));
    }

    pub(super) fn stats(&self, now: Now, size: impl Fn(&P) -> (u32, u32)) -> PlayerStats {
        let since = |at: Duration| now.mono.saturating_sub(at);
        let age = self.painted.map(since);
        let behind =
            self.shown.as_ref().is_some_and(|shown| now.utc.saturating_sub(shown.captured) > LATE_US);
        // The start of the group that leads to the present is no delay, for the second that catching up may take.
        let glimpsed = self.held(now) && self.painted >= self.catching_up;
        PlayerStats {
            frames_shown: self.frames_shown,
            frames_dropped: self.dropped,
            backlog_drops: self.backlog_drops,
            decoded: self.decoded,
            overwritten: self.overwritten,
            first_picture_ms: self.first_picture.map(|took| took.as_secs_f64() * 1e3),
            latency_ms: self.latency.percentiles([0.5, 0.99]).map(|[median, tail]| (median, tail)),
            last_captured: self.shown.as_ref().map(|shown| shown.captured),
            age,
            late: !self.replay && !glimpsed && (behind || age.is_some_and(|age| age > LATE)),
            decoder: self.decoder.clone(),
            size: self.shown.as_ref().map(|shown| size(&shown.picture)),
            error: self
                .error
                .as_ref()
                .filter(|(_, first)| since(*first) >= GRACE)
                .map(|(error, _)| error.clone()),
        }
    }
}
