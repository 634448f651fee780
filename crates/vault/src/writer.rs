//! The writer: one thread that comes by its clock, gathers what waits, seals it and appends it. What is synced goes on to
//! [`crate::indexing`].
//!
//! Each tick takes every stream's events, encodes them chunk by chunk into one buffer that is used again and again,
//! and hands that to the system in few large writes. Once a second the volumes are synced, and only what is synced
//! goes to the index. When a write fails, what it held goes back to its queue: while the disk is full, memory fills
//! up to the budget, groups are dropped with a reason, and the first write that succeeds takes up where it stopped.

use crate::{
    chunk,
    error::VaultError,
    index::{Batch, ChunkRef, GapMark},
    indexing::IndexCommand,
    keys::{self, SlotKey},
    open_volume::OpenVolume,
    queue::{Event, StreamQueue, cost, cut},
    staging::{OpenFile, Staging, VolumeFile},
    vault::Shared,
    volume::{self, BLOCK, Kind, RecordHead, SealedVolume, VolumeHead},
};
use media::{GapReason, StreamId};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, PoisonError,
        atomic::Ordering,
        mpsc::{Sender, SyncSender},
    },
    time::{Duration, Instant},
};
use volumes::open::OpenVolumes;

/// A write is made when this much is gathered, or at the end of a tick. Each record is gathered, sealed and hashed
/// while the core's own cache still holds it; the disk takes it from memory.
const LARGE_WRITE: usize = 2 << 20;

/// How long a volume in which nothing stands yet is tried when it cannot be written.
const EMPTY_TRIED: Duration = Duration::from_mins(1);

/// What the writer is asked beside its round.
pub(crate) enum Command {
    /// Write, sync, and send everything to the index; then answer.
    Flush(SyncSender<Result<(), VaultError>>),
    /// Write what waits, seal all volumes, and end.
    Stop,
}

/// When the writer comes and when it syncs. Both keep to their clock: how long the work took moves neither, so that a short
/// tick after a long one does not put the sync off.
struct Rounds {
    tick: Duration,
    sync_every: Duration,
    next_tick: Instant,
    next_sync: Instant,
}

impl Rounds {
    fn begin(tick: Duration, sync_every: Duration, now: Instant) -> Self {
        Self { tick, sync_every, next_tick: now + tick, next_sync: now + sync_every }
    }

    /// Whether the volumes are synced after the work that ended now.
    fn sync_after(&mut self, now: Instant) -> bool {
        passed(&mut self.next_tick, self.tick, now);
        passed(&mut self.next_sync, self.sync_every, now)
    }
}

/// Whether an instant has come; the next one is then a round later. A round that was missed is not made up for.
fn passed(next: &mut Instant, every: Duration, now: Instant) -> bool {
    let come = now >= *next;
    if come {
        *next = (*next + every).max(now);
    }
    come
}

/// The events taken from one stream in this tick.
struct Job {
    queue: Arc<StreamQueue>,
    class: u32,
    events: Arc<Vec<Event>>,
}

/// The keys to write with, by stream and hour.
type SlotKeys = HashMap<(u32, u32), SlotKey>;

/// A record in the buffer that is not yet written.
struct Placed {
    job: usize,
    /// Events of the job that are done when this record is written.
    done: usize,
    chunk: Option<ChunkRef>,
    gap: Option<(StreamId, GapMark)>,
    units: u64,
    bytes: usize,
}

/// The writing thread's own state.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    index: Sender<IndexCommand>,
    volumes: BTreeMap<u32, OpenVolume>,
    /// What the file `open` says, and the file: every volume that no index is known to have sealed durably.
    open: OpenVolumes,
    open_file: OpenFile,
    buffer: Staging,
    placed: Vec<Placed>,
    /// What goes to the index after the next sync.
    batch: Batch,
    /// Volumes that failed to sync or to be written: what is in them is believed again only when a start has proven it.
    suspect: HashSet<u64>,
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        index: Sender<IndexCommand>,
        open: OpenVolumes,
        open_file: OpenFile,
    ) -> Self {
        Self {
            shared,
            index,
            volumes: BTreeMap::new(),
            open,
            open_file,
            buffer: Staging::default(),
            placed: Vec::new(),
            batch: Batch::default(),
            suspect: HashSet::new(),
        }
    }

    /// Works until it is told to stop.
    pub(crate) fn run(mut self) {
        let config = &self.shared.config;
        let mut rounds = Rounds::begin(config.tick, config.sync_every, Instant::now());
        loop {
            let commands = self.wait_until(rounds.next_tick);
            let stop = commands.iter().any(|command| matches!(command, Command::Stop));
            if stop {
                self.mark_the_end();
            }
            let written = self.tick();
            let mut outcome = written;
            if rounds.sync_after(Instant::now()) || !commands.is_empty() {
                let synced = self.sync();
                outcome = outcome.and(synced);
                self.send_to_index(!commands.is_empty());
            }
            self.shared.queues.assert_order();
            if stop {
                if let Err(error) = outcome.and_then(|()| self.seal_all()) {
                    tracing::error!(%error, "the vault could not be closed cleanly; the next start recovers it");
                }
                self.send_to_index(true);
                return;
            }
            self.answer(commands, outcome);
        }
    }

    fn wait_until(&self, deadline: Instant) -> Vec<Command> {
        let mut commands = self.shared.commands.lock().unwrap_or_else(PoisonError::into_inner);
        while commands.is_empty() {
            let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            else {
                break;
            };
            commands =
                self.shared.wake.wait_timeout(commands, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::take(&mut *commands)
    }

    fn answer(&self, commands: Vec<Command>, outcome: Result<(), VaultError>) {
        let outcome = outcome.map_err(Arc::new);
        for command in commands {
            if let Command::Flush(reply) = command {
                let (done, committed) = std::sync::mpsc::sync_channel(1);
                if self.index.send(IndexCommand::Barrier(done)).is_ok() {
                    committed.recv().unwrap_or(());
                }
                // The caller may have gone.
                drop(reply.send(outcome.clone().map_err(VaultError::Unwritten)));
            }
        }
    }

    /// When the vault closes, nobody records: an open gap says so and lets the next start tell this from a crash.
    fn mark_the_end(&self) {
        for queue in self.shared.queues.all() {
            let mut state = queue.lock();
            if let (None, Some(last)) = (state.open, state.last) {
                state.start_gap(last, GapReason::NotRunning);
            }
        }
    }

    /// Writes what waits. On failure what was not written is back in its queue.
    fn tick(&mut self) -> Result<(), VaultError> {
        let jobs = self.take();
        if jobs.is_empty() {
            return Ok(());
        }
        let outcome = self.write(&jobs);
        for job in &jobs {
            let mut state = job.queue.lock();
            let done = state.done;
            for event in job.events.iter().skip(done).rev() {
                state.pending.push_front(event.clone());
            }
            state.writing = Arc::default();
            state.done = 0;
        }
        let full = outcome.as_ref().is_err_and(is_disk_full);
        if full != self.shared.queues.disk_full.swap(full, Ordering::Relaxed) {
            if full {
                tracing::error!("the disk is full; footage waits in memory up to its budget");
            } else {
                tracing::info!("there is room on the disk again");
            }
        }
        outcome
    }

    fn take(&self) -> Vec<Job> {
        let mut jobs = Vec::new();
        for queue in self.shared.queues.all() {
            let mut state = queue.lock();
            if state.pending.is_empty() {
                continue;
            }
            let events = Arc::new(Vec::from(std::mem::take(&mut state.pending)));
            state.writing = Arc::clone(&events);
            state.done = 0;
            let class = state.policy.retention_class;
            drop(state);
            jobs.push(Job { queue, class, events });
        }
        // Streams of one class together: each class is one file.
        jobs.sort_by_key(|job| (job.class, job.queue.id));
        jobs
    }

    /// Writes these jobs, class by class. A stream whose key could not be made waits, and a class whose volume cannot be
    /// written; the others go on. Gives what failed first, a full disk before anything else.
    fn write(&mut self, jobs: &[Job]) -> Result<(), VaultError> {
        let (slot_keys, mut outcome) = self.slot_keys(jobs);
        if let Err(error) = &outcome {
            self.tell(error);
        }
        for jobs in jobs.chunk_by(|a, b| a.class == b.class) {
            let Some(class) = jobs.first().map(|job| job.class) else { continue };
            if let Err(error) = self.write_class(class, jobs, &slot_keys) {
                self.tell(&error);
                self.discard(class);
                self.put_aside_if_broken(class, &error);
                if outcome.is_ok() || is_disk_full(&error) {
                    outcome = Err(error);
                }
            }
        }
        outcome
    }

    fn write_class(&mut self, class: u32, jobs: &[Job], slot_keys: &SlotKeys) -> Result<(), VaultError> {
        for (number, job) in jobs.iter().enumerate() {
            let mut done = 0;
            for part in cut(&job.events).take_while(|part| has_key(job, part, slot_keys)) {
                done += part.len();
                self.place(job, number, part, done, slot_keys, jobs)?;
            }
        }
        self.write_buffer(class, jobs)
    }

    /// Counts and logs a write that failed; a full disk is told by [`Writer::tick`], once.
    fn tell(&self, error: &VaultError) {
        if !is_disk_full(error) {
            self.shared.queues.write_errors.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%error, "writing footage failed");
        }
    }

    /// Puts the volume of a class aside when its own file refused a write for another reason than a full disk: the next
    /// round begins another one. One in which nothing stands yet is tried a while longer, so that a disk that takes no
    /// write is not filled with empty volumes.
    fn put_aside_if_broken(&mut self, class: u32, error: &VaultError) {
        let broken = |open: &OpenVolume| {
            matches!(error, VaultError::Io { path, .. } if *path == open.file.path)
                && !is_disk_full(error)
                && (open.size > BLOCK || open.since.elapsed() >= EMPTY_TRIED)
        };
        if self.volumes.get(&class).is_some_and(broken)
            && let Some(open) = self.volumes.remove(&class)
        {
            tracing::error!(volume = open.head.number, "a volume that cannot be written is put aside");
            self.suspect.insert(open.head.number);
        }
    }

    /// The keys of every stream and hour in these jobs, on disk in both copies before they are used, and why some are not
    /// among them.
    fn slot_keys(&self, jobs: &[Job]) -> (SlotKeys, Result<(), VaultError>) {
        let mut wanted = BTreeMap::new();
        for job in jobs {
            for event in job.events.iter() {
                if let Event::Unit(unit) = event {
                    wanted.insert((unit.stream.0, keys::hour_of(unit.captured)), job.class);
                }
            }
        }
        let mut store = self.shared.keys();
        let mut outcome = store.ensure(&wanted);
        let mut found = HashMap::new();
        for (stream, hour) in wanted.into_keys() {
            match store.current(StreamId(stream), hour) {
                Ok(Some(key)) => drop(found.insert((stream, hour), key)),
                Ok(None) => outcome = outcome.and(Err(VaultError::Closed)),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        (found, outcome)
    }

    /// Encodes one record, with the parameters it needs, into the buffer.
    fn place(
        &mut self,
        job: &Job,
        number: usize,
        part: &[Event],
        done: usize,
        slot_keys: &SlotKeys,
        jobs: &[Job],
    ) -> Result<(), VaultError> {
        let stream = job.queue.id;
        let units = part.iter().filter_map(|event| match event {
            Event::Unit(unit) => Some(unit),
            Event::Gap(_) => None,
        });
        let plain = chunk::plain_length(units.clone());
        let room = (plain + 3 * volume::OVERHEAD + chunk::TAG + 4096) as u64;
        self.make_room(job.class, room, jobs)?;
        let Some(open) = self.volumes.get_mut(&job.class) else { return Err(VaultError::Closed) };
        let mut placed = Placed { job: number, done, chunk: None, gap: None, units: 0, bytes: 0 };
        if let Some(Event::Gap(gap)) = part.first() {
            let mut head = RecordHead::plain(Kind::Gap(gap.reason), stream, open.next_record, 0);
            (head.from, head.until) = (gap.from, gap.until);
            open.next_record += 1;
            let at = open.size + self.buffer.len() as u64;
            let leaf = volume::append_plain(self.buffer.out(), &head, &[]);
            open.records.push((at, leaf));
            open.newest = open.newest.max(gap.from);
            placed.gap = Some((stream, *gap));
        } else if let (Some(Event::Unit(first)), Some(Event::Unit(last))) = (part.first(), part.last()) {
            let parameters = open.place_parameters(&mut self.buffer, stream, &first.parameters);
            let hour = keys::hour_of(first.captured);
            let Some(slot) = slot_keys.get(&(stream.0, hour)) else { return Err(VaultError::Closed) };
            open.place_key(&mut self.buffer, stream, hour, slot);
            let head = RecordHead {
                kind: Kind::Chunk { starts_with_key: first.key },
                stream,
                units: part.len() as u32,
                number: open.next_record,
                from: first.captured,
                until: chunk::end_of(last),
                parameters,
                key: slot.id,
                predicted: units.clone().filter(|unit| !unit.key).map(|unit| unit.payload.len() as u32).sum(),
                length: (plain + chunk::TAG) as u32,
            };
            open.next_record += 1;
            let at = open.size + self.buffer.len() as u64;
            placed.units = part.len() as u64;
            placed.bytes = units.clone().map(cost).sum();
            let Some(leaf) = chunk::seal(self.buffer.out(), &head, units, &slot.key, &open.head.salt) else {
                return Err(VaultError::Random);
            };
            open.records.push((at, leaf));
            open.newest = open.newest.max(first.captured);
            placed.chunk = ChunkRef::of(open.head.number, at, &head);
        }
        self.placed.push(placed);
        if self.buffer.len() >= LARGE_WRITE { self.write_buffer(job.class, jobs) } else { Ok(()) }
    }

    /// Sees to it that the class has an open volume with room for this many bytes more: a full one is sealed, unless it is
    /// younger than volumes must become.
    fn make_room(&mut self, class: u32, more: u64, jobs: &[Job]) -> Result<(), VaultError> {
        if let Some(open) = self.volumes.get(&class) {
            let used = open.size + self.buffer.len() as u64;
            let config = &self.shared.config;
            let young = open.since.elapsed() < config.volume_least;
            if used + more <= config.volume_bytes || used == BLOCK || young {
                return Ok(());
            }
            self.write_buffer(class, jobs)?;
            self.sync()?;
            self.seal(class)?;
            self.send_to_index(false);
        }
        let mut random = [0; 48];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| VaultError::Random)?;
        let head = VolumeHead {
            class,
            vault: self.shared.identity,
            uuid: volume::take(&random, 0),
            number: self.open.newest + 1,
            salt: volume::take(&random, 16),
        };
        let path = self.shared.config.dir.join(volume::file_name(head.number));
        self.list_open(head.number)?;
        let created = VolumeFile::create(path.clone(), &self.shared.config.dir, &head);
        if created.is_err() && !path.exists() {
            // On a full disk each round tries: numbers without a file must not fill the list.
            self.open.numbers.remove(&head.number);
        }
        let file = created?;
        self.shared.volumes.fetch_add(1, Ordering::Relaxed);
        self.shared.count_bytes(BLOCK);
        // The file, its folder, and the list of open volumes.
        self.shared.queues.syncs.fetch_add(3, Ordering::Relaxed);
        self.batch.opened.push((head.number, class, head.uuid));
        self.volumes.insert(class, OpenVolume::new(head, file));
        Ok(())
    }

    /// Says durably, before its file is made, that a volume of this number is open; drops those that the index has sealed
    /// durably since. Everything else stays: what is being written, what was put aside, what is sealed and not yet said so.
    fn list_open(&mut self, number: u64) -> Result<(), VaultError> {
        let sealed = std::mem::take(&mut *self.shared.acknowledged());
        self.open.numbers.retain(|number| !sealed.contains(number));
        self.open.numbers.insert(number);
        self.open.newest = number;
        debug_assert!(
            self.volumes
                .values()
                .map(|open| &open.head.number)
                .chain(&self.suspect)
                .all(|n| self.open.numbers.contains(n)),
            "a volume that is not sealed is not listed as open"
        );
        self.open_file.write(&self.open).inspect_err(|_| {
            // It was not made; whatever the file says now names at least what is open.
            self.open.numbers.remove(&number);
        })
    }

    /// Hands the buffer to the system. On failure the records stay undone; the caller discards them.
    fn write_buffer(&mut self, class: u32, jobs: &[Job]) -> Result<(), VaultError> {
        if self.buffer.len() == 0 {
            return Ok(());
        }
        let Some(open) = self.volumes.get_mut(&class) else { return Err(VaultError::Closed) };
        let blocks = self.buffer.blocks();
        open.file.write_blocks(blocks, open.size)?;
        let written = blocks.len() as u64;
        open.size += written;
        open.dirty = true;
        self.shared.count_bytes(written);
        self.buffer.clear();
        let placed = std::mem::take(&mut self.placed);
        open.unsynced += placed.iter().map(|placed| placed.units).sum::<u64>();
        for group in placed.chunk_by(|a, b| a.job == b.job) {
            let Some((job, last)) = group.first().and_then(|first| jobs.get(first.job)).zip(group.last())
            else {
                continue;
            };
            let mut state = job.queue.lock();
            state.chunks.extend(group.iter().filter_map(|placed| placed.chunk));
            state.done = last.done;
            drop(state);
            self.batch.gaps.extend(group.iter().filter_map(|placed| placed.gap));
            self.shared
                .queues
                .buffered
                .fetch_sub(group.iter().map(|placed| placed.bytes).sum(), Ordering::Relaxed);
            self.shared
                .queues
                .written
                .fetch_add(group.iter().map(|placed| placed.units).sum(), Ordering::SeqCst);
        }
        Ok(())
    }

    /// Forgets what is in the buffer. Record numbers are not taken back: they are nonces.
    fn discard(&mut self, class: u32) {
        self.buffer.clear();
        self.placed.clear();
        if let Some(open) = self.volumes.get_mut(&class) {
            let size = open.size;
            open.records.retain(|(at, _)| *at < size);
            open.parameters.retain(|_, (_, at)| *at < size);
            open.keys.retain(|_, at| *at < size);
            if let Err(error) = open.file.cut(size) {
                // The torn part stays behind what counts; the next write overwrites it.
                tracing::warn!(%error, "a partly written batch could not be cut off");
            }
        }
    }

    /// Syncs every volume that was written. What then is safe may go to the index.
    fn sync(&mut self) -> Result<(), VaultError> {
        let mut outcome = Ok(());
        let begun = Instant::now();
        let mut failed = Vec::new();
        for (class, open) in self.volumes.iter_mut().filter(|(_, open)| open.dirty) {
            self.shared.queues.syncs.fetch_add(1, Ordering::Relaxed);
            match open.sync() {
                Ok(units) => {
                    self.shared.queues.synced.fetch_add(units, Ordering::SeqCst);
                }
                Err(error) => {
                    tracing::error!(%error, "a sync failed; the volume is put aside");
                    failed.push(*class);
                    outcome = Err(error);
                }
            }
        }
        for class in failed {
            // After a failed sync the system may have dropped the pages: a later success would prove nothing. What was
            // written since its last sync is never counted as synced.
            if let Some(open) = self.volumes.remove(&class) {
                self.suspect.insert(open.head.number);
            }
            self.shared.queues.write_errors.fetch_add(1, Ordering::Relaxed);
        }
        let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.shared.queues.slowest_sync_us.fetch_max(took, Ordering::Relaxed);
        outcome
    }

    fn seal(&mut self, class: u32) -> Result<(), VaultError> {
        let Some(open) = self.volumes.get_mut(&class) else { return Ok(()) };
        let (bytes, root) = volume::seal(open.size, open.next_record, &open.records);
        self.shared.queues.syncs.fetch_add(1, Ordering::Relaxed);
        match open.file.write(&bytes, open.size).and_then(|()| open.sync()) {
            Ok(units) => {
                self.shared.queues.synced.fetch_add(units, Ordering::SeqCst);
            }
            Err(error) => {
                drop(open.file.cut(open.size));
                return Err(error);
            }
        }
        self.shared.count_bytes(bytes.len() as u64);
        let Some(open) = self.volumes.remove(&class) else { return Ok(()) };
        self.batch.scanned.push((open.head.number, open.size, open.newest));
        self.batch.sealed.push(SealedVolume {
            number: open.head.number,
            uuid: open.head.uuid,
            retention_class: class,
            root,
            bytes: open.size + bytes.len() as u64,
        });
        Ok(())
    }

    fn seal_all(&mut self) -> Result<(), VaultError> {
        let classes: Vec<_> = self.volumes.keys().copied().collect();
        // One that cannot be sealed keeps no other open.
        let mut outcome = Ok(());
        for class in classes {
            let sealed = self.seal(class);
            outcome = outcome.and(sealed);
        }
        outcome
    }

    /// Sends finished minutes to the index: those before the newest minute of any stream, those in volumes that are
    /// sealed now or have a full volume's bytes that the index lacks, or all. So a start after a crash reads about as much
    /// at most, however long volumes are written. Called only when everything written is synced.
    fn send_to_index(&mut self, all: bool) {
        if self.volumes.values().any(|open| open.dirty) {
            return;
        }
        let queues = self.shared.queues.all();
        let now = queues.iter().filter_map(|queue| queue.lock().chunks.last().map(ChunkRef::minute)).max();
        let most = self.shared.config.volume_bytes;
        let long = self.volumes.values().filter(|open| open.size - open.scanned > most);
        let whole: HashSet<u64> = long
            .map(|open| open.head.number)
            .chain(self.batch.sealed.iter().map(|volume| volume.number))
            .collect();
        // The first byte of each open volume that is not in the index after this commit.
        let mut safe: HashMap<u64, u64> =
            self.volumes.values().map(|open| (open.head.number, open.size)).collect();
        for queue in queues {
            let mut state = queue.lock();
            let sent = state.sent;
            // A suspect chunk holds up nothing behind it: it stays in memory, where readers find it, and is left out below.
            let due = |chunk: &ChunkRef| {
                all || self.suspect.contains(&chunk.volume)
                    || whole.contains(&chunk.volume)
                    || now.is_some_and(|now| chunk.minute() < now)
            };
            // A prefix only, so that `sent` stays a number; a later volume that goes whole makes everything before it due too.
            let waiting = state.chunks.get(sent..).unwrap_or_default();
            let count = waiting.iter().rposition(|chunk| whole.contains(&chunk.volume)).map_or_else(
                || waiting.iter().take_while(|chunk| due(chunk)).count(),
                |last| last + 1 + waiting.iter().skip(last + 1).take_while(|chunk| due(chunk)).count(),
            );
            self.batch.chunks.extend(
                waiting
                    .iter()
                    .take(count)
                    .filter(|chunk| !self.suspect.contains(&chunk.volume))
                    .map(|chunk| (queue.id, *chunk)),
            );
            for chunk in waiting.iter().skip(count) {
                safe.entry(chunk.volume).and_modify(|at| *at = (*at).min(chunk.offset));
            }
            state.sent += count;
        }
        if self.batch.is_empty() {
            return;
        }
        for open in self.volumes.values_mut() {
            open.scanned = safe.get(&open.head.number).copied().unwrap_or(0);
            self.batch.scanned.push((open.head.number, open.scanned, open.newest));
        }
        let batch = std::mem::take(&mut self.batch);
        if self.index.send(IndexCommand::Commit(batch)).is_err() {
            tracing::error!("the index thread has ended; the index will be completed at the next start");
        }
    }
}

/// Whether what becomes one record can be sealed; a gap needs no key.
fn has_key(job: &Job, part: &[Event], slot_keys: &SlotKeys) -> bool {
    match part.first() {
        Some(Event::Unit(unit)) => slot_keys.contains_key(&(job.queue.id.0, keys::hour_of(unit.captured))),
        _ => true,
    }
}

fn is_disk_full(error: &VaultError) -> bool {
    let full = [rustix::io::Errno::NOSPC.raw_os_error(), rustix::io::Errno::DQUOT.raw_os_error()];
    matches!(error, VaultError::Io { source, .. } if source.raw_os_error().is_some_and(|code| full.contains(&code)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::VaultConfig;

    /// With the schedule that rooms have, and ticks that take now long, now short.
    #[test]
    fn a_short_tick_after_a_long_one_puts_no_sync_off() {
        let config = VaultConfig::new("", ["".into(), "".into()]);
        let begun = Instant::now();
        let mut rounds = Rounds::begin(config.tick, config.sync_every, begun);
        let mut synced = Vec::new();
        for work in [300, 20, 120, 5].into_iter().cycle().take(80).map(Duration::from_millis) {
            let tick = rounds.next_tick;
            if rounds.sync_after(tick + work) {
                synced.push(tick);
            }
        }
        let apart: Vec<_> = synced.windows(2).map(|two| two[1] - two[0]).collect();
        assert!(apart.len() > 30 && apart.iter().all(|apart| *apart == config.sync_every), "{apart:?}");
        // One that came late is followed by the next, and by no more than that.
        let late = rounds.next_tick + Duration::from_mins(1);
        assert!(rounds.sync_after(late) && rounds.next_tick == late && rounds.next_sync == late);
    }
}
