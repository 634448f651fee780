//! The way out: what a stream has between two instants, across volumes and up to what still waits in memory, in order of
//! time or backward group by group.
//!
//! A reader takes one short look at the stream's memory when it is made and asks the index some minutes ahead of what it
//! gives; it touches neither queue nor writer, and its first picture costs the same however long the stretch is. Keys are
//! fetched chunk by chunk: when the hour's key dies while a reader is open, the rest of that hour is the gap
//! `destroyed`. What does not open for another reason is the gap `damaged`.

mod backward;
mod forward;
mod opener;
mod sources;

pub(crate) use sources::spans;

use crate::{
    config::{Direction, Item, Pictures},
    error::VaultError,
    index::JITTER,
    vault::Shared,
};
use backward::Backward;
use forward::Forward;
use media::{AccessUnit, GapReason, Micros, StreamId};
use sources::{Footage, Source};
use std::sync::Arc;

/// How many minutes with footage are searched for the key frame before the start.
const LOOK_BACK_MINUTES: u32 = 60;
/// So many minutes of the index are asked at a time.
const MINUTES_AHEAD: i64 = 4;

/// An iterator over what a stream has: pictures, and gaps where there are none. It begins at the key frame at or before
/// the instant asked for, so that the picture of that instant can be decoded.
pub struct Reader(Way);

enum Way {
    Forward(Forward),
    Backward(Backward),
}

impl Reader {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        stream: StreamId,
        (from, until): (Micros, Micros),
        direction: Direction,
        pictures: Pictures,
        holds: &[String],
    ) -> Result<Self, VaultError> {
        let kept = holds.iter().map(|id| shared.kept(id)).collect::<Result<_, _>>()?;
        let footage = Footage::new(shared, stream, kept);
        Ok(Self(match direction {
            Direction::Forward => Way::Forward(Forward::new(footage, from, until, pictures)?),
            Direction::Backward => Way::Backward(Backward::new(footage, from, until, pictures)),
        }))
    }

    /// Where reading begins, if it is a key frame at or before the instant asked for.
    pub(crate) fn key_frame(&self, at: Micros) -> Option<Micros> {
        match &self.0 {
            Way::Forward(forward) => forward.key_frame(at),
            Way::Backward(_) => None,
        }
    }
}

impl Iterator for Reader {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        match &mut self.0 {
            Way::Forward(forward) => forward.next(),
            Way::Backward(backward) => backward.next(),
        }
    }
}

/// Whether footage goes on from one source to the next.
fn joined(earlier: &Source, later: &Source) -> bool {
    earlier.until().plus(JITTER) >= later.from()
}

/// Which sources are opened at all, when only key frames are wanted.
struct Sieve {
    pictures: Pictures,
    /// Capture time of the last key frame that passed.
    last: Option<Micros>,
}

impl Sieve {
    fn new(pictures: Pictures) -> Self {
        Self { pictures, last: None }
    }

    /// Whether anything of this source is wanted.
    fn wants(&mut self, source: &Source) -> bool {
        let Pictures::KeyFrames { apart } = self.pictures else { return true };
        let at = source.from();
        let far = self.last.is_none_or(|last| last.0.abs_diff(at.0) >= apart.0.unsigned_abs());
        let wanted = source.starts_with_key() && far;
        if wanted {
            self.last = Some(at);
        }
        wanted
    }

    /// What is wanted of a source's units.
    fn strain(&self, units: &mut Vec<AccessUnit>) {
        if matches!(self.pictures, Pictures::KeyFrames { .. }) {
            units.truncate(1);
        }
    }
}

fn gap((from, until, reason): sources::Hole) -> Item {
    Item::Gap { from, until, reason }
}

/// The index could not be asked in the middle of reading.
fn broken(error: &VaultError, from: Micros, until: Micros) -> sources::Hole {
    tracing::error!(%error, "the index cannot be asked; the rest of a stretch is not read");
    (from, until, GapReason::Damaged)
}
