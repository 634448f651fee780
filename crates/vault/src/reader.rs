//! The way out: what a stream has from an instant on, across volumes and up to what still waits in memory.
//!
//! A reader takes one short look at the stream's memory and the index when it is made; after that it touches neither
//! queue nor writer. Keys are fetched chunk by chunk: when the hour's key dies while a reader is open, the rest of
//! that hour is the gap `destroyed`. What does not open for another reason is the gap `damaged`.

use crate::{
    chunk,
    config::{Item, Span, SpanKind},
    error::VaultError,
    index::{ChunkRef, GapMark, JITTER, MINUTE, Piece, SECOND},
    keys,
    queue::{Event, cut},
    timeline::{self, Known},
    vault::Shared,
    volume::{self, Kind, VolumeHead},
};
use media::{AccessUnit, GapReason, Micros, Parameters, StreamId};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    fs::File,
    sync::Arc,
};

/// How many minutes with footage are searched for the key frame before the start.
const LOOK_BACK_MINUTES: u32 = 60;

/// Where the units of a stretch are.
enum Source {
    Disk(ChunkRef),
    Memory { from: Micros, until: Micros, units: Vec<AccessUnit> },
}

impl Source {
    fn from(&self) -> Micros {
        match self {
            Self::Disk(chunk) => chunk.from,
            Self::Memory { from, .. } => *from,
        }
    }
    fn until(&self) -> Micros {
        match self {
            Self::Disk(chunk) => chunk.until,
            Self::Memory { until, .. } => *until,
        }
    }
    fn starts_with_key(&self) -> bool {
        match self {
            Self::Disk(chunk) => chunk.starts_with_key,
            Self::Memory { units, .. } => units.first().is_some_and(|unit| unit.key),
        }
    }
    fn piece(&self) -> Piece {
        match self {
            Self::Disk(chunk) => Piece {
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
}

/// What memory knows of a stream at one instant.
#[derive(Default)]
struct Snapshot {
    memory: Vec<Source>,
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

fn minutes(from: Micros, until: Micros) -> (i64, i64) {
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
) -> Result<Vec<Span>, VaultError> {
    let snapshot = snapshot(shared, stream);
    let index = shared.reader();
    let mut pieces = index.pieces(stream, minutes(from, until))?;
    let gaps = merged_gaps(index.gaps(stream, from, until)?, &snapshot.gaps);
    drop(index);
    pieces.extend(snapshot.chunks.iter().map(|chunk| Source::Disk(*chunk).piece()));
    pieces.extend(snapshot.memory.iter().map(Source::piece));
    Ok(timeline::spans(&Known { pieces, gaps, live_edge: snapshot.live_edge }, from, until))
}

/// An iterator over what a stream has, in order of time: pictures, and gaps where there are none. It starts at the
/// key frame at or before the instant asked for, so that the picture of that instant can be decoded.
pub struct Reader {
    shared: Arc<Shared>,
    stream: StreamId,
    until: Micros,
    sources: VecDeque<Source>,
    gaps: VecDeque<(Micros, Micros, GapReason)>,
    ready: VecDeque<Item>,
    /// A stretch that did not open, still growing.
    failed: Option<(Micros, Micros, GapReason)>,
    volume: Option<(u64, File, VolumeHead, u64)>,
    parameters: HashMap<(u64, u64), Arc<Parameters>>,
    last_parameters: Option<Arc<Parameters>>,
}

impl Reader {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        stream: StreamId,
        from: Micros,
        until: Micros,
    ) -> Result<Self, VaultError> {
        let snapshot = snapshot(shared, stream);
        let index = shared.reader();
        let (first, last) = minutes(from, until);
        let mut chunks = index.chunks(stream, (first, last))?;
        let mut before = first;
        let mut sources;
        let mut tries = 0;
        let start = loop {
            sources = assemble(&chunks, &snapshot);
            match start_of(&sources, from) {
                Start::At(at) => break at,
                Start::Earlier(at) => {
                    tries += 1;
                    match index.minute_before(stream, before)?.filter(|_| tries <= LOOK_BACK_MINUTES) {
                        Some(minute) => {
                            before = minute;
                            let mut earlier = index.chunks(stream, (minute, minute))?;
                            earlier.append(&mut chunks);
                            chunks = earlier;
                        }
                        None => break at,
                    }
                }
            }
        };
        let gaps = merged_gaps(index.gaps(stream, from, until)?, &snapshot.gaps);
        drop(index);
        let pieces = sources.iter().map(|source| Piece { activity: Vec::new(), ..source.piece() }).collect();
        let spans = timeline::spans(&Known { pieces, gaps, live_edge: snapshot.live_edge }, from, until);
        let gaps = spans
            .into_iter()
            .filter_map(|span| match span.kind {
                SpanKind::Gap(reason) => Some((span.from, span.until, reason)),
                SpanKind::Recorded => None,
            })
            .collect();
        sources.drain(..start);
        sources.retain(|source| source.from() < until);
        Ok(Self {
            shared: Arc::clone(shared),
            stream,
            until,
            sources: sources.into(),
            gaps,
            ready: VecDeque::new(),
            failed: None,
            volume: None,
            parameters: HashMap::new(),
            last_parameters: None,
        })
    }

    /// The units of a chunk, or why there are none.
    fn load(&mut self, chunk: &ChunkRef) -> Result<Vec<AccessUnit>, GapReason> {
        if self.volume.as_ref().is_none_or(|(number, ..)| *number != chunk.volume) {
            let path = self.shared.config.dir.join(volume::file_name(chunk.volume));
            // A volume that is gone was unlinked because nothing in it lived.
            let file = File::open(&path).map_err(|_| GapReason::Destroyed)?;
            let head = VolumeHead::read(&file, &path).map_err(|_| GapReason::Damaged)?;
            self.volume = Some((chunk.volume, file, head, 0));
        }
        let Some((_, file, volume_head, size)) = &mut self.volume else { return Err(GapReason::Damaged) };
        if chunk.offset + chunk.total > *size {
            *size = file.metadata().map_err(|_| GapReason::Damaged)?.len();
        }
        let (head, bytes) = volume::read_raw(file, chunk.offset, *size).ok_or(GapReason::Damaged)?;
        if head.stream != self.stream || head.from != chunk.from || !matches!(head.kind, Kind::Chunk { .. }) {
            return Err(GapReason::Damaged);
        }
        let hour = keys::hour_of(head.from);
        let slot = self.shared.keys().key(self.stream, hour, head.key).map_err(|error| {
            // It lives, but what seals it is away: not destroyed, and not to be had.
            tracing::error!(stream = self.stream.0, %error, "footage cannot be opened");
            GapReason::Damaged
        })?;
        let Some(slot) = slot else {
            // A flipped bit in the head must not pass for destruction.
            let whole = bytes.len().checked_sub(volume::LEAF).and_then(|end| bytes.split_at_checked(end));
            let whole = whole.is_some_and(|(content, leaf)| *blake3::hash(content).as_bytes() == leaf);
            return Err(if whole { GapReason::Destroyed } else { GapReason::Damaged });
        };
        let plain =
            chunk::open(bytes, head.number, &slot.key, &volume_head.salt).ok_or(GapReason::Damaged)?;
        let place = (chunk.volume, head.parameters);
        let parameters = if let Some(parameters) = self.parameters.get(&place) {
            Arc::clone(parameters)
        } else {
            let read = volume::read_record(file, head.parameters, *size)
                .filter(|(found, _)| found.kind == Kind::Parameters && found.stream == self.stream)
                .and_then(|(_, body)| volume::decode_parameters(&body))
                .ok_or(GapReason::Damaged)?;
            let parameters = self.generation(read);
            self.parameters.insert(place, Arc::clone(&parameters));
            parameters
        };
        self.last_parameters = Some(Arc::clone(&parameters));
        chunk::parse_plain(&plain, self.stream, head.units, &parameters).ok_or(GapReason::Damaged)
    }

    /// Where reading begins, if it is a key frame at or before the instant asked for.
    pub(crate) fn key_frame(&self, at: Micros) -> Option<Micros> {
        let first = self.sources.front().filter(|source| source.starts_with_key())?;
        Some(first.from()).filter(|from| *from <= at)
    }

    /// Generations count within one run of a stream; a reader crosses runs, so it counts on where they change and
    /// keeps the same ones when only the file changed.
    fn generation(&self, mut read: Parameters) -> Arc<Parameters> {
        if let Some(last) = &self.last_parameters {
            let stored = std::mem::replace(&mut read.generation, last.generation);
            if **last == read {
                return Arc::clone(last);
            }
            read.generation =
                if stored > last.generation { stored } else { last.generation.wrapping_add(1).max(1) };
        }
        Arc::new(read)
    }

    fn take_source(&mut self) {
        let Some(source) = self.sources.pop_front() else { return };
        let (from, until) = (source.from(), source.until());
        let loaded = match source {
            Source::Disk(chunk) => self.load(&chunk),
            Source::Memory { units, .. } => Ok(self.renumbered(units)),
        };
        match (loaded, self.failed.take()) {
            (Ok(mut units), failed) => {
                if let Some((from, until, reason)) = failed {
                    self.ready.push_back(Item::Gap { from, until, reason });
                    if let Some(first) = units.first_mut() {
                        first.discontinuity = true;
                    }
                }
                let until = self.until;
                self.ready.extend(units.into_iter().filter(|unit| unit.captured < until).map(Item::Unit));
            }
            (Err(reason), Some((start, end, known))) if known == reason && from <= end.plus(JITTER) => {
                self.failed = Some((start, until.max(end), reason));
            }
            (Err(reason), failed) => {
                if let Some((from, until, reason)) = failed {
                    self.ready.push_back(Item::Gap { from, until, reason });
                }
                self.failed = Some((from, until, reason));
            }
        }
    }

    /// Units from memory, with the generation that follows what was read from disk.
    fn renumbered(&mut self, mut units: Vec<AccessUnit>) -> Vec<AccessUnit> {
        for unit in &mut units {
            match &self.last_parameters {
                None => self.last_parameters = Some(Arc::clone(&unit.parameters)),
                Some(last) if **last != *unit.parameters => {
                    self.last_parameters = Some(self.generation((*unit.parameters).clone()));
                }
                Some(_) => {}
            }
            if let Some(last) = &self.last_parameters {
                unit.parameters = Arc::clone(last);
            }
        }
        units
    }
}

impl Iterator for Reader {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            let source = self.sources.front().map(Source::from);
            if let Some((from, until, reason)) = self.gaps.front().copied()
                && source.is_none_or(|source| from <= source)
            {
                self.gaps.pop_front();
                self.ready.extend(self.failed.take().map(|(from, until, reason)| Item::Gap {
                    from,
                    until,
                    reason,
                }));
                self.ready.push_back(Item::Gap { from, until, reason });
            } else if source.is_some() {
                self.take_source();
            } else {
                let (from, until, reason) = self.failed.take()?;
                return Some(Item::Gap { from, until, reason });
            }
        }
    }
}

/// Index, memory of what is written, and memory of what is not, in order and each once.
fn assemble(indexed: &[ChunkRef], snapshot: &Snapshot) -> Vec<Source> {
    let mut seen: HashSet<(u64, u64)> =
        snapshot.chunks.iter().map(|chunk| (chunk.volume, chunk.offset)).collect();
    // A unit seen in memory may have reached the index between the two looks.
    let edge = snapshot.memory.first().map(Source::from);
    let mut sources: Vec<_> = indexed
        .iter()
        .filter(|chunk| {
            seen.insert((chunk.volume, chunk.offset)) && edge.is_none_or(|edge| chunk.from < edge)
        })
        .chain(&snapshot.chunks)
        .map(|chunk| Source::Disk(*chunk))
        .collect();
    sources.extend(snapshot.memory.iter().filter_map(|source| match source {
        Source::Memory { from, until, units } => {
            Some(Source::Memory { from: *from, until: *until, units: units.clone() })
        }
        Source::Disk(_) => None,
    }));
    sources.sort_by_key(Source::from);
    sources
}

enum Start {
    At(usize),
    /// As far as it is loaded, footage is continuous back to here without a key frame.
    Earlier(usize),
}

fn start_of(sources: &[Source], from: Micros) -> Start {
    let after = sources.partition_point(|source| source.from() <= from);
    let Some(mut at) = after.checked_sub(1) else { return Start::Earlier(0) };
    if sources.get(at).is_some_and(|source| source.until().plus(JITTER) < from) {
        return Start::At(after);
    }
    loop {
        let Some(source) = sources.get(at) else { return Start::At(at) };
        if source.starts_with_key() {
            return Start::At(at);
        }
        let Some(before) = at.checked_sub(1) else { return Start::Earlier(at) };
        if sources.get(before).is_some_and(|before| before.until().plus(JITTER) < source.from()) {
            return Start::At(at);
        }
        at = before;
    }
}
