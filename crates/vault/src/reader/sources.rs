//! What a stream has, as stretches whose units are on disk or still in memory: the index asked minute by minute, and one
//! short look at the stream's memory.

use super::joined;
use crate::{
    chunk,
    config::{Span, SpanKind},
    error::VaultError,
    holds::{HeldChunk, Kept},
    index::{ChunkRef, GapMark, MINUTE, Piece, SECOND},
    queue::{Event, cut},
    timeline::{self, Known},
    vault::Shared,
};
use media::{AccessUnit, GapReason, Micros, StreamId};
use std::{collections::HashSet, sync::Arc};

/// A stretch without pictures: start, end, reason.
pub(super) type Hole = (Micros, Micros, GapReason);

/// Where the units of a stretch are.
#[derive(Clone)]
pub(super) enum Source {
    Disk(ChunkRef),
    Memory {
        from: Micros,
        until: Micros,
        units: Vec<AccessUnit>,
    },
    /// Kept by a hold, and by the hour's key no more; which of the reader's holds.
    Held(usize, HeldChunk),
}

impl Source {
    pub(super) fn from(&self) -> Micros {
        match self {
            Self::Disk(chunk) => chunk.from,
            Self::Memory { from, .. } => *from,
            Self::Held(_, held) => held.at.from,
        }
    }
    pub(super) fn until(&self) -> Micros {
        match self {
            Self::Disk(chunk) => chunk.until,
            Self::Memory { until, .. } => *until,
            Self::Held(_, held) => held.at.until,
        }
    }
    pub(super) fn minute(&self) -> i64 {
        self.from().0.div_euclid(MINUTE)
    }
    /// Where it stands in the order of recording; what is in memory comes last.
    fn recorded(&self) -> (u64, u64) {
        match self {
            Self::Disk(chunk) | Self::Held(_, HeldChunk { at: chunk, .. }) => (chunk.volume, chunk.offset),
            Self::Memory { .. } => (u64::MAX, 0),
        }
    }
    pub(super) fn starts_with_key(&self) -> bool {
        match self {
            Self::Disk(chunk) => chunk.starts_with_key,
            Self::Memory { units, .. } => units.first().is_some_and(|unit| unit.key),
            Self::Held(_, held) => held.at.starts_with_key,
        }
    }
    fn piece(&self) -> Piece {
        match self {
            Self::Disk(chunk) | Self::Held(_, HeldChunk { at: chunk, .. }) => Piece {
                from: chunk.from,
                until: chunk.until,
                bytes: chunk.total,
                activity: vec![(chunk.second(), chunk.predicted)],
            },
            Self::Memory { from, until, units } => {
                let predicted =
                    units.iter().filter(|unit| !unit.key).map(|unit| unit.payload.len() as u32).sum();
                Piece {
                    from: *from,
                    until: *until,
                    bytes: units.iter().map(|unit| unit.payload.len() as u64).sum(),
                    activity: vec![(from.0.div_euclid(SECOND), predicted)],
                }
            }
        }
    }
    /// Only where it is, for finding the holes.
    fn outline(&self) -> Piece {
        Piece { from: self.from(), until: self.until(), bytes: 0, activity: Vec::new() }
    }
}

/// What memory knows of a stream at one instant.
#[derive(Default)]
struct Snapshot {
    /// Units in no volume yet, in order.
    memory: Vec<Source>,
    /// Chunks in a volume, not in the index.
    chunks: Vec<ChunkRef>,
    gaps: Vec<GapMark>,
    live_edge: Option<Micros>,
}

fn snapshot(shared: &Shared, stream: StreamId) -> Snapshot {
    let Some(queue) = shared.queues.known(stream) else { return Snapshot::default() };
    let state = queue.lock();
    let units = state.units_in_memory();
    let snapshot = Snapshot {
        memory: Vec::new(),
        chunks: state.chunks.clone(),
        gaps: state.gaps.iter().chain(&state.open).copied().collect(),
        live_edge: if state.open.is_some() { None } else { state.last },
    };
    drop(state);
    let events: Vec<_> = units.into_iter().map(Event::Unit).collect();
    let memory = cut(&events)
        .filter_map(|part| {
            let units: Vec<_> = part
                .iter()
                .filter_map(|event| match event {
                    Event::Unit(unit) => Some(unit.clone()),
                    Event::Gap(_) => None,
                })
                .collect();
            let (from, until) = (units.first()?.captured, chunk::end_of(units.last()?));
            Some(Source::Memory { from, until, units })
        })
        .collect();
    Snapshot { memory, ..snapshot }
}

/// The minutes that an interval touches.
pub(super) fn minutes(from: Micros, until: Micros) -> (i64, i64) {
    (from.0.div_euclid(MINUTE), until.0.div_euclid(MINUTE))
}

/// The gaps of index and memory; memory is newer, a gap is the one that starts then.
fn merged_gaps(indexed: Vec<GapMark>, memory: &[GapMark]) -> Vec<GapMark> {
    let mut gaps = indexed;
    for gap in memory {
        gaps.retain(|known| known.from != gap.from || known.reason == GapReason::Destroyed);
        gaps.push(*gap);
    }
    gaps
}

/// The spans of a stream, for the timeline on the screen: whole minutes of the index, then memory.
pub(crate) fn spans(
    shared: &Shared,
    stream: StreamId,
    from: Micros,
    until: Micros,
    kept: &[Kept],
) -> Result<Vec<Span>, VaultError> {
    let snapshot = snapshot(shared, stream);
    let index = shared.reader();
    let mut pieces = index.pieces(stream, minutes(from, until))?;
    let gaps = merged_gaps(index.gaps(stream, from, until)?, &snapshot.gaps);
    drop(index);
    pieces.extend(snapshot.chunks.iter().map(|chunk| Source::Disk(*chunk).piece()));
    pieces.extend(snapshot.memory.iter().map(Source::piece));
    // Of what a hold keeps and the index no longer knows, only that it is there: its curve died with its rows.
    let known: Vec<(Micros, Micros)> = pieces.iter().map(|piece| (piece.from, piece.until)).collect();
    let indexed = |at: Micros| known.iter().any(|(from, until)| *from <= at && at < *until);
    let held = kept.iter().flat_map(Kept::chunks).filter(|held| !indexed(held.at.from));
    pieces.extend(held.map(|held| Source::Held(0, *held).piece()));
    Ok(timeline::spans(&Known { pieces, gaps, live_edge: snapshot.live_edge }, from, until))
}

/// Sources group by group, in order of when each group begins. Where the clock was set back, the groups of both passes over the
/// same time alternate, but none is torn apart by the other: each is decoded from its own key frame.
fn groups(mut sources: Vec<Source>) -> Vec<Vec<Source>> {
    sources.sort_by_key(Source::recorded);
    let mut groups: Vec<Vec<Source>> = Vec::new();
    for source in sources {
        let goes_on = |last: &Source| {
            !source.starts_with_key() && source.from() >= last.from() && joined(last, &source)
        };
        match groups.last_mut().filter(|group| group.last().is_some_and(goes_on)) {
            Some(group) => group.push(source),
            None => groups.push(vec![source]),
        }
    }
    groups.sort_by_key(|group| group.first().map(Source::from));
    groups
}

/// One stream's footage as a reader sees it: memory as it was when the reader was made, the index as it is asked.
pub(super) struct Footage {
    pub(super) shared: Arc<Shared>,
    pub(super) stream: StreamId,
    snapshot: Snapshot,
    /// Holds whose footage belongs to it too.
    pub(super) kept: Vec<Kept>,
}

impl Footage {
    pub(super) fn new(shared: &Arc<Shared>, stream: StreamId, kept: Vec<Kept>) -> Self {
        Self { shared: Arc::clone(shared), stream, snapshot: snapshot(shared, stream), kept }
    }

    /// What every hold keeps, and which.
    fn held(&self) -> impl Iterator<Item = (usize, &HeldChunk)> {
        self.kept.iter().enumerate().flat_map(|(n, kept)| kept.chunks().iter().map(move |chunk| (n, chunk)))
    }

    /// The minutes in which something begins that the index does not know.
    fn recent(&self) -> impl Iterator<Item = i64> {
        let chunks = self.snapshot.chunks.iter().map(ChunkRef::minute);
        let held = self.held().map(|(_, chunk)| chunk.at.minute());
        chunks.chain(self.snapshot.memory.iter().map(Source::minute)).chain(held)
    }

    /// The groups of pictures that begin in these minutes (both included), in order, each whole and once. Of one that goes on
    /// beyond the minute after its first, that rest counts for the minutes in which it lies.
    pub(super) fn begins_in(&self, first: i64, last: i64) -> Result<Vec<Source>, VaultError> {
        let near = self.sources_in(first.saturating_sub(1), last.saturating_add(1))?;
        let mut sources = Vec::new();
        for group in groups(near) {
            let begins = group.first().filter(|source| source.starts_with_key()).map(Source::minute);
            sources.extend(group.into_iter().filter(|source| {
                let minute = source.minute();
                let minute = begins.filter(|begins| minute - begins <= 1).unwrap_or(minute);
                (first..=last).contains(&minute)
            }));
        }
        Ok(sources)
    }

    /// What begins in these minutes (both included), each once.
    fn sources_in(&self, first: i64, last: i64) -> Result<Vec<Source>, VaultError> {
        let indexed = self.shared.reader().chunks(self.stream, (first, last))?;
        let mut seen: HashSet<(u64, u64)> =
            self.snapshot.chunks.iter().map(|chunk| (chunk.volume, chunk.offset)).collect();
        // A unit seen in memory may have reached the index since. Nothing else is left out: after the clock was set back, what
        // was recorded before lies behind what is in memory now.
        let in_memory =
            |at: Micros| self.snapshot.memory.iter().any(|source| source.from() <= at && at < source.until());
        let inside = |minute: i64| (first..=last).contains(&minute);
        let new = indexed
            .iter()
            .filter(|chunk| seen.insert((chunk.volume, chunk.offset)) && !in_memory(chunk.from));
        let recent = self.snapshot.chunks.iter().filter(|chunk| inside(chunk.minute()));
        let mut sources: Vec<_> = new.chain(recent).map(|chunk| Source::Disk(*chunk)).collect();
        sources.extend(self.snapshot.memory.iter().filter(|source| inside(source.minute())).cloned());
        let held = self.held().filter(|(_, held)| inside(held.at.minute()));
        for (n, held) in held {
            if seen.insert((held.at.volume, held.at.offset)) {
                sources.push(Source::Held(n, *held));
            }
        }
        Ok(sources)
    }

    /// The last minute before this one in which something begins.
    pub(super) fn minute_before(&self, minute: i64) -> Result<Option<i64>, VaultError> {
        let indexed = self.shared.reader().minute_before(self.stream, minute)?;
        Ok(indexed.max(self.recent().filter(|known| *known < minute).max()))
    }

    /// The first minute from this one on in which something begins.
    pub(super) fn minute_from(&self, minute: i64) -> Result<Option<i64>, VaultError> {
        let indexed = self.shared.reader().minute_from(self.stream, minute)?;
        Ok(indexed.into_iter().chain(self.recent().filter(|known| *known >= minute)).min())
    }

    /// The holes of a stretch whose footage is `sources`, in order.
    pub(super) fn holes(
        &self,
        from: Micros,
        until: Micros,
        sources: &[Source],
    ) -> Result<Vec<Hole>, VaultError> {
        let gaps = merged_gaps(self.shared.reader().gaps(self.stream, from, until)?, &self.snapshot.gaps);
        let pieces = sources.iter().map(Source::outline).collect();
        let known = Known { pieces, gaps, live_edge: self.snapshot.live_edge };
        let spans = timeline::spans(&known, from, until);
        Ok(spans
            .into_iter()
            .filter_map(|span| match span.kind {
                SpanKind::Gap(reason) => Some((span.from, span.until, reason)),
                SpanKind::Recorded => None,
            })
            .collect())
    }
}
