//! The vault itself: opening and closing, the small public verbs, and destruction.

mod destruction;
mod holding;

use crate::{
    config::{Direction, KeyName, Loss, Pictures, Span, Stats, StreamPolicy, VaultConfig},
    error::{At, VaultError},
    holds::{self, Kept},
    identity::{self, Identity},
    index::{GapMark, Index, is_open},
    indexing::{self, IndexCommand},
    keys::{self, HOUR, KeyStore},
    queue::Queues,
    reader::{self, Reader},
    recovery::{self, Opened},
    staging::OpenFile,
    tidy,
    volume::{self, OPEN, SealedVolume},
    writer::{Command, Writer},
};
use media::{AccessUnit, GapReason, Micros, StreamId};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use volumes::open::OpenVolumes;

/// How often whoever waits for the writer looks whether it lives.
const LOOK: Duration = Duration::from_millis(200);

/// What the threads and readers share.
pub(crate) struct Shared {
    pub(crate) config: VaultConfig,
    pub(crate) identity: [u8; 16],
    pub(crate) queues: Queues,
    /// Bytes of all volumes.
    pub(crate) bytes: AtomicU64,
    /// Bytes handed to the system since the start.
    pub(crate) bytes_written: AtomicU64,
    /// Number of all volumes.
    pub(crate) volumes: AtomicU64,
    pub(crate) commands: Mutex<Vec<Command>>,
    pub(crate) wake: Condvar,
    /// Volumes that somebody still copies from, and how many do.
    pins: Mutex<BTreeMap<u64, u32>>,
    /// Volumes that the index has sealed, durably, since the writer last asked.
    acknowledged: Mutex<Vec<u64>>,
    /// Whether the folder was listed at the start.
    listed: bool,
    /// Set when the vault closes: what need not be finished ends.
    closing: AtomicBool,
    keys: Mutex<KeyStore>,
    reader: Mutex<Index>,
}

impl Shared {
    /// The key store. Held shortly: this lock orders use of a key against its death.
    pub(crate) fn keys(&self) -> MutexGuard<'_, KeyStore> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index, for reading.
    pub(crate) fn reader(&self) -> MutexGuard<'_, Index> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Volumes that the index has sealed, durably.
    pub(crate) fn acknowledged(&self) -> MutexGuard<'_, Vec<u64>> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A hold, open.
    pub(crate) fn kept(&self, id: &str) -> Result<Kept, VaultError> {
        Kept::open(&self.config.protection, self.identity, &self.config.keys, id)
    }

    /// Volumes that must not be unlinked now.
    pub(crate) fn pinned(&self) -> BTreeSet<u64> {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    fn pin(&self, volumes: &BTreeSet<u64>) {
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        for volume in volumes {
            *pins.entry(*volume).or_default() += 1;
        }
    }

    fn unpin(&self, volumes: &BTreeSet<u64>) {
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        for volume in volumes {
            if let Some(count) = pins.get_mut(volume) {
                *count -= 1;
            }
        }
        pins.retain(|_, count| *count > 0);
    }

    /// Counts what was just written.
    pub(crate) fn count_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.bytes_written.fetch_add(bytes, Ordering::Relaxed);
    }

    fn command(&self, command: Command) {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).push(command);
        self.wake.notify_one();
    }
}

/// The footage store. Clones share it; it writes what waits, seals its volumes and closes when the last is dropped.
#[derive(Clone)]
pub struct Vault {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    index: Sender<IndexCommand>,
    writer: Option<JoinHandle<()>>,
    indexer: Option<JoinHandle<()>>,
    tidy: Option<JoinHandle<()>>,
    /// Last: the folder stays locked until the threads have ended.
    _identity: Identity,
}

impl Vault {
    /// Opens a vault, or makes one in an empty folder. What a crash left is recovered: every whole record is kept, and
    /// what may be missing after it becomes a gap ([`GapReason::Crash`], at most two seconds).
    ///
    /// # Errors
    /// [`VaultError::Locked`] when another process has it open; [`VaultError::KeyStoresDiffer`] when the two copies of
    /// the keys are not copies of one; [`VaultError::UnknownVersion`], [`VaultError::AnotherVault`] and so on for files that
    /// must not be touched.
    pub fn open(config: VaultConfig) -> Result<Self, VaultError> {
        let identity = Identity::open(&config.dir)?;
        let keys = KeyStore::open(
            &config.keys,
            identity.vault,
            is_fresh(&config, identity.vault)?,
            config.protection.clone(),
        )?;
        // Before anything is unlinked: a hold may still have to copy from it.
        holds::finish(&config.dir, &config.keys);
        let Opened { index, newest, unsealed, listed } = recovery::open_index(&config.dir, &identity)?;
        let open = OpenVolumes { newest, numbers: unsealed };
        let mut open_file = OpenFile::new(&config.dir, identity.vault);
        if OpenVolumes::read(&config.dir, identity.vault).as_ref() != Some(&open)
            && let Err(error) = open_file.write(&open)
        {
            // What stands there names more or nothing: both are right.
            tracing::warn!(%error, "the list of open volumes could not be written; the next start takes longer");
        }
        let queues = Queues::new(config.budget_bytes);
        for (stream, last, gap) in index.streams()? {
            let queue = queues.of(stream);
            let mut state = queue.lock();
            state.last = last;
            match (gap, last) {
                (Some(gap), _) if is_open(&gap) => state.open = Some(gap),
                // A vault that closes leaves an open gap behind. There is none: it did not close.
                (gap, last) => {
                    let from = last.max(gap.map(|gap| gap.until));
                    if let Some(from) = from {
                        let crash = GapMark { from, until: OPEN, reason: GapReason::Crash };
                        tracing::warn!(
                            stream = stream.0,
                            "the last run did not end cleanly; its tail was recovered"
                        );
                        state.open = Some(crash);
                        state.mark(crash);
                    }
                }
            }
        }
        // What is sealed says its size in the index; the few others are asked.
        let (mut volumes, mut bytes) = index.totals()?;
        for number in open.numbers.iter().copied().chain(index.garbage()?) {
            let path = config.dir.join(volume::file_name(number));
            if let Ok(metadata) = fs::metadata(path) {
                (volumes, bytes) = (volumes + 1, bytes + metadata.len());
            }
        }
        let reader = Index::reader(&config.dir.join(recovery::INDEX))?;
        let shared = Arc::new(Shared {
            identity: identity.vault,
            queues,
            bytes: AtomicU64::new(bytes),
            bytes_written: AtomicU64::new(0),
            volumes: AtomicU64::new(volumes),
            listed,
            acknowledged: Mutex::default(),
            closing: AtomicBool::new(false),
            commands: Mutex::default(),
            wake: Condvar::new(),
            pins: Mutex::default(),
            keys: Mutex::new(keys),
            reader: Mutex::new(reader),
            config,
        });
        let (sender, receiver) = mpsc::channel();
        let dir = shared.config.dir.clone();
        let indexer = {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name("vault-index".to_owned())
                .spawn(move || indexing::run(&shared, index, &receiver))
                .at(&dir)?
        };
        let first_own = newest + 1;
        let tidy = {
            let (shared, sender) = (Arc::clone(&shared), sender.clone());
            // What was listed just now was compared just now.
            let look = move || {
                if !listed {
                    tidy::run(&shared.config, first_own, &sender, &shared.closing);
                }
            };
            thread::Builder::new().name("vault-tidy".to_owned()).spawn(look).at(&dir)?
        };
        let writer = Writer::new(Arc::clone(&shared), sender.clone(), open, open_file);
        let writer =
            thread::Builder::new().name("vault-writer".to_owned()).spawn(move || writer.run()).at(&dir)?;
        Ok(Self {
            inner: Arc::new(Inner {
                shared,
                index: sender,
                writer: Some(writer),
                indexer: Some(indexer),
                tidy: Some(tidy),
                _identity: identity,
            }),
        })
    }

    /// Says how a stream is kept. Before its first unit; a later change holds for what is accepted from then on.
    pub fn set_policy(&self, stream: StreamId, policy: StreamPolicy) {
        self.inner.shared.queues.of(stream).lock().policy = policy;
    }

    /// Takes a unit to be recorded. Touches neither disk nor SQL, wakes nobody, and never blocks beyond a short mutex
    /// of its own stream. A unit ends the gap that goes on. When memory runs out, a group is dropped and becomes a gap.
    pub fn accept(&self, unit: AccessUnit) {
        self.inner.shared.queues.accept(unit);
    }

    /// Says that a stream has no pictures from an instant (µs UTC) on, and why. The next unit, or another reason, ends
    /// the gap. A start before the end of the newest unit is moved there.
    pub fn gap(&self, stream: StreamId, from: Micros, reason: GapReason) {
        self.inner.shared.queues.of(stream).lock().start_gap(from, reason);
    }

    /// Everything accepted so far is written, synced and indexed when this returns. Blocks for the disk.
    ///
    /// # Errors
    /// What the disk said; the units stay in memory and are written when it can.
    pub fn flush(&self) -> Result<(), VaultError> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.inner.shared.command(Command::Flush(reply));
        loop {
            match answer.recv_timeout(LOOK) {
                Ok(outcome) => return outcome,
                // A disk may take its time; a writer that died never answers.
                Err(RecvTimeoutError::Timeout) if self.alive() => {}
                Err(_) => return Err(VaultError::Closed),
            }
        }
    }

    /// What a stream has between two instants (µs UTC), from the key frame at or before `from` to the live edge at
    /// most, those units included that are still in memory. Does not wait for the writer, nor it for this.
    ///
    /// # Errors
    /// [`VaultError::Index`] when the index cannot be asked. What cannot be opened later becomes a gap in the items.
    pub fn read(&self, stream: StreamId, from: Micros, until: Micros) -> Result<Reader, VaultError> {
        self.read_as(stream, (from, until), Direction::Forward, Pictures::All, &[])
    }

    /// The same in either direction, and thinned out: as fast as one likes without reading what is not shown. Backward,
    /// reading begins with the group in which the last picture before `until` lies. What the holds named here keep of the
    /// stream is read too, where the hour's key is dead.
    ///
    /// # Errors
    /// As [`Vault::read`]; [`VaultError::NoSuchHold`].
    pub fn read_as(
        &self,
        stream: StreamId,
        (from, until): (Micros, Micros),
        direction: Direction,
        pictures: Pictures,
        holds: &[String],
    ) -> Result<Reader, VaultError> {
        Reader::new(&self.inner.shared, stream, (from, until), direction, pictures, holds)
    }

    /// The key frame (µs UTC) from which the picture of an instant is decoded, what these holds keep included; none where
    /// there is no footage.
    ///
    /// # Errors
    /// As [`Vault::read_as`].
    pub fn key_frame_before(
        &self,
        stream: StreamId,
        at: Micros,
        holds: &[String],
    ) -> Result<Option<Micros>, VaultError> {
        let instant = (at, at.plus(1));
        let reader = self.read_as(stream, instant, Direction::Forward, Pictures::All, holds)?;
        Ok(reader.key_frame(at))
    }

    /// The timeline of a stream between two instants (µs UTC): no instant is unexplained, but beyond the live edge of
    /// a stream that is being recorded nothing is said.
    ///
    /// # Errors
    /// [`VaultError::Index`] when the index cannot be asked.
    pub fn spans(&self, stream: StreamId, from: Micros, until: Micros) -> Result<Vec<Span>, VaultError> {
        self.spans_also(stream, from, until, &[])
    }

    /// The same, with what these holds keep of the stream.
    ///
    /// # Errors
    /// As [`Vault::spans`]; [`VaultError::NoSuchHold`].
    pub fn spans_also(
        &self,
        stream: StreamId,
        from: Micros,
        until: Micros,
        holds: &[String],
    ) -> Result<Vec<Span>, VaultError> {
        let shared = &self.inner.shared;
        let kept: Vec<Kept> = holds.iter().map(|id| shared.kept(id)).collect::<Result<_, _>>()?;
        reader::spans(&self.inner.shared, stream, from, until, &kept)
    }

    /// How many commands wait for the writer.
    #[cfg(test)]
    pub(crate) fn commands(&self) -> usize {
        self.inner.shared.commands.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The figures now.
    pub fn stats(&self) -> Stats {
        let queues = &self.inner.shared.queues;
        // From the last stage back, so that the order of the stages also shows.
        let (indexed, synced) = (queues.indexed.load(Ordering::SeqCst), queues.synced.load(Ordering::SeqCst));
        let (written, received) =
            (queues.written.load(Ordering::SeqCst), queues.received.load(Ordering::SeqCst));
        let (keys, key_syncs) = {
            let store = self.inner.shared.keys();
            (store.at_opening(), store.syncs())
        };
        Stats {
            bytes: self.inner.shared.bytes.load(Ordering::Relaxed),
            volumes: self.inner.shared.volumes.load(Ordering::Relaxed),
            bytes_written: self.inner.shared.bytes_written.load(Ordering::Relaxed),
            received,
            written,
            synced,
            indexed,
            dropped: queues.dropped.load(Ordering::Relaxed),
            buffered_bytes: queues.buffered.load(Ordering::Relaxed) as u64,
            keys_lost: keys.lost,
            keys_sealed_away: keys.sealed_away,
            keys_mended: keys.mended,
            disk_full: queues.disk_full.load(Ordering::Relaxed),
            write_errors: queues.write_errors.load(Ordering::Relaxed),
            listed: self.inner.shared.listed,
            slowest_sync_us: queues.slowest_sync_us.load(Ordering::Relaxed),
            syncs: queues.syncs.load(Ordering::Relaxed) + key_syncs,
        }
    }

    /// The groups that were dropped for want of memory since this was last called. Whoever runs the vault alarms.
    pub fn take_losses(&self) -> Vec<Loss> {
        self.inner.shared.queues.take_losses()
    }

    /// Every stream that has a key, hence footage that may open.
    pub fn streams(&self) -> Vec<StreamId> {
        self.inner.shared.keys().streams().into_iter().map(StreamId).collect()
    }

    /// The start of every hour (µs UTC) for which a stream has a key, oldest first. From memory.
    pub fn key_hours(&self, stream: StreamId) -> Vec<Micros> {
        let hours = self.inner.shared.keys().hours(stream);
        hours.into_iter().map(|hour| Micros(i64::from(hour) * HOUR)).collect()
    }

    /// The retention class (days) under which a stream's keys of the hour that begins at an instant (µs UTC) were made; the
    /// shortest, if there are several. From memory.
    pub fn class_of_hour(&self, stream: StreamId, hour: Micros) -> Option<u32> {
        self.inner.shared.keys().class(stream, keys::hour_of(hour))
    }

    /// The keys of a stream for the hour that begins at an instant (µs UTC).
    pub fn keys_of_hour(&self, stream: StreamId, hour: Micros) -> Vec<KeyName> {
        let hour = keys::hour_of(hour);
        let names = self.inner.shared.keys().names(stream, hour..hour.saturating_add(1));
        let name = |(hour, id, commitment): (u32, u64, Option<blake3::Hash>)| KeyName {
            hour: Micros(i64::from(hour) * HOUR),
            id,
            commitment: commitment.map(|commitment| commitment.to_hex().to_string()),
        };
        names.into_iter().map(name).collect()
    }

    /// In how many slots the two copies of the key store differ now. More than none is an alarm.
    ///
    /// # Errors
    /// What the disk said.
    pub fn differing_keys(&self) -> Result<u64, VaultError> {
        self.inner.shared.keys().differing()
    }

    /// The holds whose two copies differ, or of which one is missing. More than none is an alarm.
    pub fn differing_holds(&self) -> Vec<String> {
        holds::differing(&self.inner.shared.config.keys)
    }

    /// The start of a stream's oldest footage (µs UTC), minutes that are not indexed yet aside.
    ///
    /// # Errors
    /// [`VaultError::Index`] when the index cannot be asked.
    pub fn oldest(&self, stream: StreamId) -> Result<Option<Micros>, VaultError> {
        self.inner.shared.reader().oldest(stream)
    }

    /// Whether the threads that write and index still live. When one has died nothing is recorded any more: whoever runs the
    /// vault ends with an alarm, and the next start recovers what was written.
    pub fn alive(&self) -> bool {
        let lives =
            |thread: &Option<JoinHandle<()>>| thread.as_ref().is_some_and(|thread| !thread.is_finished());
        lives(&self.inner.writer) && lives(&self.inner.indexer)
    }

    /// The lowest number of a volume that the index knows and that is not sealed; none when all are.
    ///
    /// # Errors
    /// [`VaultError::Index`] when the index cannot be asked.
    pub fn first_unsealed(&self) -> Result<Option<u64>, VaultError> {
        self.inner.shared.reader().first_unsealed()
    }

    /// The volumes sealed whose number is above this one, for their roots to enter the ledger.
    ///
    /// # Errors
    /// [`VaultError::Index`] when the index cannot be asked.
    pub fn sealed_volumes(&self, after: u64) -> Result<Vec<SealedVolume>, VaultError> {
        self.inner.shared.reader().sealed_after(after)
    }
}

/// Whether the vault has never had footage, so that missing keys are no loss.
fn is_fresh(config: &VaultConfig, vault: [u8; 16]) -> Result<bool, VaultError> {
    match OpenVolumes::read(&config.dir, vault) {
        Some(open) => Ok(open.newest == 0),
        None => Ok(identity::volumes(&config.dir)?.is_empty()),
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        self.shared.command(Command::Stop);
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the vault's writer had died; the next start recovers what it left");
        }
        if let Some(tidy) = self.tidy.take()
            && tidy.join().is_err()
        {
            tracing::error!("comparing the folder with the index failed; the next start tries again");
        }
        // The index thread ends when the last sender is gone.
        let (closed, _) = mpsc::channel();
        drop(std::mem::replace(&mut self.index, closed));
        if let Some(indexer) = self.indexer.take()
            && indexer.join().is_err()
        {
            tracing::error!("the index thread had died; the next start completes the index");
        }
    }
}
