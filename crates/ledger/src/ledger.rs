//! The ledger's door and its writer.
//!
//! One thread, the sequencer, owns the sequence file. It takes everything that waits, writes it in one go, syncs once
//! and answers: group commit. A second thread publishes tiles and checkpoint within a second. When a write fails or
//! takes longer than [`LIMIT`], `health.writable` turns false at once and appends are refused without trying; the
//! sequencer then tries again each second, by writing what waits in the spool and an entry that says how long it was
//! out, and `writable` returns when that succeeds.

use crate::{
    LedgerError,
    entry::{Clock, Entry, HEARTBEAT, Operation},
    faults::DiskFaults,
    index::{Filter, Index, Indexed},
    looks::{Looks, OpenLook, UNANSWERED},
    note::{Checkpoint, LogKey, WitnessKey},
    privacy::{Details, Prepared, Privacy, instant, month_of, with_logged_at},
    publish::{Publisher, WITNESSED},
    sequence::{Record, Sequence, read_at},
    spool::Spool,
    tree::{ConsistencyProof, InclusionProof, NodeHash, Tree, leaf_hash},
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    fmt, fs,
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::sync::{oneshot, watch};

/// How long an append may take (decision 12).
pub const LIMIT: Duration = Duration::from_secs(2);
/// How often a failing ledger is tried again, and how long the sequencer sleeps at most.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// How often tiles and checkpoint follow.
const PUBLISH_EVERY: Duration = Duration::from_millis(500);
/// The most entries in one sync: bounds memory and the time to the first answer.
const LARGEST_BATCH: usize = 1024;
/// A leaf's length is a 16-bit number in a bundle.
const LARGEST_LEAF: usize = u16::MAX as usize;

/// Where the ledger lives and whom it trusts.
#[derive(Clone)]
pub struct LedgerConfig {
    /// The log's folder: sequence file, spool, index, `checkpoint`, `tile/…`.
    pub dir: PathBuf,
    /// The log's signing key; made on first open, mode 0600. Keep it outside `dir`, which is published.
    pub key_file: PathBuf,
    /// The log's name in its checkpoints, a URL without scheme: `rtr.example/demo`.
    pub origin: String,
    /// The folder of the months' keys for pseudonyms and details. In no backup; outside `dir`.
    pub month_keys: PathBuf,
    /// Public keys (vkey texts) of the witnesses whose cosignatures count.
    pub witnesses: Vec<String>,
    /// Size of the spool in bytes, preallocated.
    pub spool_bytes: u64,
    /// Test seam: makes the disk fail or hang.
    pub faults: Option<Arc<dyn DiskFaults>>,
}

impl LedgerConfig {
    /// The usual: month keys beside the log's key, no witness yet, a spool of 4 MiB (some 6,000 cuts).
    pub fn new(dir: impl Into<PathBuf>, key_file: impl Into<PathBuf>, origin: impl Into<String>) -> Self {
        let key_file = key_file.into();
        let month_keys = key_file.with_file_name("ledger-months");
        Self {
            dir: dir.into(),
            key_file,
            origin: origin.into(),
            month_keys,
            witnesses: Vec::new(),
            spool_bytes: 4 << 20,
            faults: None,
        }
    }
}

impl fmt::Debug for LedgerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LedgerConfig")
            .field("dir", &self.dir)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// That an entry is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its number: its place in the tree.
    pub seq: u64,
    /// The entry's own time (UTC).
    pub at: DateTime<Utc>,
}

/// How the ledger fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerHealth {
    /// How many entries are durable.
    pub entries: u64,
    /// Whether an append would be tried.
    pub writable: bool,
    /// Since when it is not (UTC).
    pub failing_since: Option<DateTime<Utc>>,
    /// The time of the newest cosignature that holds (UTC, by the witness's clock).
    pub witnessed_at: Option<DateTime<Utc>>,
    /// How many entries that cosignature covers.
    pub witnessed_entries: u64,
    /// Spooled entries that wait to be logged.
    pub spooled: usize,
    /// Spooled entries that found no room since the ledger began to fail.
    pub spool_lost: u64,
}

/// What the log consists of, in memory.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) tree: Tree,
    pub(crate) offsets: Vec<u64>,
    looks: Looks,
}

impl Log {
    fn take(&mut self, leaf: &[u8], offset: u64) {
        self.looks.observe(self.tree.size(), leaf);
        self.tree.push(leaf_hash(leaf));
        self.offsets.push(offset);
    }
}

struct Append {
    prepared: Prepared,
    look: Option<String>,
    answer: oneshot::Sender<Result<Receipt, LedgerError>>,
}

#[derive(Default)]
struct Queue {
    appends: VecDeque<Append>,
    spooled: bool,
    stop: bool,
}

pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    pub(crate) key: LogKey,
    vkey: String,
    privacy: Privacy,
    log: RwLock<Log>,
    reader: Arc<File>,
    queue: Mutex<Queue>,
    wake: Condvar,
    spool: Mutex<Spool>,
    index: Mutex<Option<Index>>,
    witnesses: RwLock<Vec<WitnessKey>>,
    /// The newest checkpoint with a cosignature that holds.
    witnessed: Mutex<Option<Checkpoint>>,
    health: watch::Sender<LedgerHealth>,
    pub(crate) published: watch::Sender<u64>,
    publisher_stop: (Mutex<bool>, Condvar),
    refused: AtomicU64,
}

/// The ledger. Cheap to clone; the last clone to go writes what still waits and publishes it.
#[derive(Clone)]
pub struct Ledger(Arc<Threads>);

struct Threads {
    shared: Arc<Shared>,
    sequencer: Option<JoinHandle<()>>,
    publisher: Option<JoinHandle<()>>,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("dir", &self.0.shared.dir).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these locks; if it did, the state would still be whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger {
    /// Opens the ledger, or makes a new one. Reads the sequence file once from front to back (about a second for a
    /// million entries), drops a torn tail, refuses a log that no longer carries what was signed, and closes the
    /// looks that a crash left open. A full disk does not keep an existing ledger from opening: it opens unwritable.
    pub fn open(config: LedgerConfig) -> Result<Self, LedgerError> {
        let LedgerConfig { dir, key_file, origin, month_keys, witnesses, spool_bytes, faults } = config;
        fs::create_dir_all(&dir).map_err(LedgerError::io(&dir))?;
        let key = LogKey::load_or_create(&key_file, &origin)?;
        let privacy = Privacy::open(&month_keys)?;
        let started = Utc::now();
        if let Err(e) = privacy.prepare_months(started) {
            tracing::error!(error = %e, "the keys of this month and the next could not be made");
        }

        let mut log = Log::default();
        let (mut taken, mut last_sign_of_life) = (0, started);
        let opened = Sequence::open(&dir.join("sequence"), faults, |record, offset| {
            taken = taken.max(record.spool);
            if let Some(at) = time_of(&record.leaf) {
                last_sign_of_life = at;
            }
            log.take(&record.leaf, offset);
            Ok(())
        })?;
        let vkey = key.vkey();
        let witnesses =
            witnesses.iter().map(|text| WitnessKey::parse(text)).collect::<Result<Vec<_>, _>>()?;
        compare_with_published(&dir, &vkey, &log.tree)?;
        let witnessed = read_witnessed(&dir, &vkey, &log.tree)?;
        opened.sequence.cut_tail().map_err(LedgerError::io(opened.sequence.path()))?;

        let mut backlog = Backlog::default();
        if opened.dropped > 0 {
            tracing::warn!(
                bytes = opened.dropped,
                "the sequence file had a torn tail; no durable entry was in it"
            );
            backlog.add(
                &privacy,
                &Entry {
                    data: Some(json!({ "dropped_bytes": opened.dropped })),
                    ..Entry::new(started, Operation::Maintenance, "ledger.tail_dropped")
                },
            );
        }
        for look in log.looks.open() {
            backlog.add(&privacy, &look.closing(last_sign_of_life, started));
        }

        let spool = Spool::open(&dir.join("spool"), spool_bytes, taken)?;
        let (witnessed_at, witnessed_entries) = witnessed
            .as_ref()
            .and_then(|c| Some((newest_cosignature(&witnesses, &c.note)?, c.size)))
            .map_or((None, 0), |(at, size)| (Some(at), size));
        let (health, _) = watch::channel(LedgerHealth {
            entries: log.tree.size(),
            writable: true,
            failing_since: None,
            witnessed_at,
            witnessed_entries,
            spooled: spool.len(),
            spool_lost: 0,
        });
        let shared = Arc::new(Shared {
            reader: opened.sequence.reader(),
            dir,
            key,
            vkey,
            privacy,
            log: RwLock::new(log),
            queue: Mutex::new(Queue { spooled: spool.len() > 0, ..Queue::default() }),
            wake: Condvar::new(),
            spool: Mutex::new(spool),
            index: Mutex::new(None),
            witnesses: RwLock::new(witnesses),
            witnessed: Mutex::new(witnessed),
            health,
            published: watch::channel(0).0,
            publisher_stop: (Mutex::new(false), Condvar::new()),
            refused: AtomicU64::new(0),
        });
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            thread::Builder::new().name(name.to_owned()).spawn(run).map_err(LedgerError::io(name))
        };
        let mut threads = Threads { shared: shared.clone(), sequencer: None, publisher: None };
        let sequencer = Sequencer { shared: shared.clone(), sequence: opened.sequence, backlog };
        threads.sequencer = Some(spawn("ledger-sequence", Box::new(move || sequencer.run()))?);
        threads.publisher = Some(spawn("ledger-publish", Box::new(move || publish(&shared)))?);
        Ok(Self(Arc::new(threads)))
    }

    fn shared(&self) -> &Shared {
        &self.0.shared
    }

    /// Makes an entry durable: when this returns `Ok`, it survives a loss of power. Refused at once while the ledger
    /// cannot be written; an error after [`LIMIT`] otherwise. No entry, no effect.
    ///
    /// Cancellation: when the future is dropped the entry may still become durable; the ledger then adds an entry
    /// `ledger.unanswered` that refers to it and says that it had no effect.
    pub async fn append(&self, entry: Entry) -> Result<Receipt, LedgerError> {
        let shared = self.shared();
        shared.refuse_when_failing()?;
        let prepared = shared.privacy.prepare(&entry)?;
        if prepared.leaf.len() > LARGEST_LEAF {
            return Err(LedgerError::TooLarge(prepared.leaf.len()));
        }
        let (answer, answered) = oneshot::channel();
        {
            let mut queue = lock(&shared.queue);
            if queue.stop {
                return Err(LedgerError::Closed);
            }
            queue.appends.push_back(Append { prepared, look: entry.look, answer });
        }
        shared.wake.notify_one();
        match tokio::time::timeout(LIMIT, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(LedgerError::Closed),
            Err(_) => {
                shared.begin_failing("an append took over 2 s");
                Err(LedgerError::Slow)
            }
        }
    }

    /// Logs what has already happened and cannot wait: the end of a look, the recorder's start and stop, destruction
    /// that was due. Never waits for the disk; kept in the spool while the ledger fails. It is logged with both times,
    /// `at` and `logged_at`. What finds no room in the spool is counted, and the count is logged.
    pub fn append_spooled(&self, entry: Entry) {
        let shared = self.shared();
        match shared.privacy.prepare_spooled(&entry) {
            Ok(prepared) if prepared.leaf.len() <= LARGEST_LEAF => {
                let mut spool = lock(&shared.spool);
                if !spool.push(prepared) {
                    tracing::error!(action = %entry.action, "the ledger's spool is full; an entry is lost");
                }
                let (spooled, lost) = (spool.len(), spool.lost);
                drop(spool);
                shared.health.send_if_modified(|health| {
                    health.spool_lost = lost;
                    // Only worth a wake-up while nobody is about to log it.
                    !health.writable && std::mem::replace(&mut health.spooled, spooled) != spooled
                });
            }
            Ok(prepared) => {
                tracing::error!(bytes = prepared.leaf.len(), "an entry is too large to be logged");
            }
            Err(e) => {
                lock(&shared.spool).lost += 1;
                tracing::error!(error = %e, action = %entry.action, "an entry could not be spooled and is lost");
            }
        }
        lock(&shared.queue).spooled = true;
        shared.wake.notify_one();
    }

    /// The sign of life, due each minute.
    pub async fn heartbeat(&self, clock: Clock) -> Result<Receipt, LedgerError> {
        self.append(Entry::heartbeat(Utc::now(), clock)).await
    }

    /// How the ledger fares, as it changes.
    pub fn health(&self) -> watch::Receiver<LedgerHealth> {
        self.shared().health.subscribe()
    }

    /// How many entries the published tiles and checkpoint cover, as it changes.
    pub fn published(&self) -> watch::Receiver<u64> {
        self.shared().published.subscribe()
    }

    /// The log's public key text, to be pinned by everybody.
    pub fn vkey(&self) -> String {
        self.shared().vkey.clone()
    }

    /// How many entries are durable.
    pub fn size(&self) -> u64 {
        self.shared().log().tree.size()
    }

    /// The leaves from number `from`, at most `limit`, each with its number.
    pub fn entries(&self, from: u64, limit: usize) -> Result<Vec<(u64, Value)>, LedgerError> {
        let until = self.size().min(from.saturating_add(limit as u64));
        (from..until).map(|seq| self.value(seq)).collect()
    }

    fn value(&self, seq: u64) -> Result<(u64, Value), LedgerError> {
        let leaf = self.shared().record(seq)?.leaf;
        let value = serde_json::from_slice(&leaf)
            .map_err(|e| LedgerError::Rewritten(format!("entry {seq} is not JSON: {e}")))?;
        Ok((seq, value))
    }

    /// A leaf as it stands in the tree.
    pub fn leaf(&self, seq: u64) -> Result<Vec<u8>, LedgerError> {
        Ok(self.shared().record(seq)?.leaf)
    }

    /// The entries that a filter selects, up to the newest durable one. Blocking (SQLite): call it off the runtime.
    pub fn query(&self, filter: &Filter) -> Result<Vec<(u64, Value)>, LedgerError> {
        let pseudonyms = match &filter.who {
            Some(person) => self.pseudonyms(person)?,
            None => Vec::new(),
        };
        let tags = match &filter.case {
            Some(case) => self.case_tags(case)?,
            None => Vec::new(),
        };
        let found = self.shared().with_index(|index| index.find(filter, &pseudonyms, &tags))?;
        found.into_iter().map(|seq| self.value(seq)).collect()
    }

    /// The pseudonyms under which a person appears, one for each month whose key still exists.
    pub fn pseudonyms(&self, person: &str) -> Result<Vec<String>, LedgerError> {
        let privacy = &self.shared().privacy;
        let months = privacy.months();
        months.iter().filter_map(|month| privacy.pseudonym(person, month).transpose()).collect()
    }

    fn case_tags(&self, case: &str) -> Result<Vec<String>, LedgerError> {
        let privacy = &self.shared().privacy;
        privacy.months().iter().filter_map(|month| privacy.case_tag(case, month).transpose()).collect()
    }

    /// The pseudonym of a person at an instant, if that month's key exists.
    pub fn pseudonym(&self, person: &str, at: DateTime<Utc>) -> Result<Option<String>, LedgerError> {
        self.shared().privacy.pseudonym(person, &month_of(at))
    }

    /// Who and what stands behind an entry's pseudonym and commitments; none when it has none or when the month's
    /// key is destroyed. Reading it is itself a consultation that its caller logs.
    pub fn details(&self, seq: u64) -> Result<Option<Details>, LedgerError> {
        let shared = self.shared();
        shared.privacy.open_details(&shared.record(seq)?.details)
    }

    /// Destroys the key of a month (`2026-11`) whose log term is over: its pseudonyms and details become unreadable,
    /// the tree stays whole.
    pub fn destroy_month(&self, month: &str) -> Result<(), LedgerError> {
        self.shared().privacy.destroy_month(month)
    }

    /// The looks that have begun and not ended.
    pub fn open_looks(&self) -> Vec<OpenLook> {
        self.shared().log().looks.open()
    }

    /// The newest published checkpoint, signed by the log, with the witness's cosignature once it has one.
    pub fn checkpoint(&self) -> Result<String, LedgerError> {
        let path = self.shared().dir.join("checkpoint");
        fs::read_to_string(&path).map_err(LedgerError::io(path))
    }

    /// The newest checkpoint with a witness's cosignature.
    pub fn witnessed_checkpoint(&self) -> Option<Checkpoint> {
        lock(&self.shared().witnessed).clone()
    }

    /// The proof that entry `seq` stands in the log of the first `size` entries.
    pub fn inclusion(&self, seq: u64, size: u64) -> Result<InclusionProof, LedgerError> {
        let log = self.shared().log();
        let beyond = LedgerError::Beyond { asked: seq.max(size), size: log.tree.size() };
        log.tree.inclusion(seq, size).ok_or(beyond)
    }

    /// The proof that the log of `new` entries extends that of `old`.
    pub fn consistency(&self, old: u64, new: u64) -> Result<ConsistencyProof, LedgerError> {
        let log = self.shared().log();
        let beyond = LedgerError::Beyond { asked: old.max(new), size: log.tree.size() };
        log.tree.consistency(old, new).ok_or(beyond)
    }

    /// Trusts a further witness from now on.
    pub fn trust_witness(&self, vkey: &str) -> Result<(), LedgerError> {
        let key = WitnessKey::parse(vkey)?;
        let mut witnesses = self.shared().witnesses.write().unwrap_or_else(PoisonError::into_inner);
        if !witnesses.contains(&key) {
            witnesses.push(key);
        }
        Ok(())
    }

    /// Takes a checkpoint of this log that a trusted witness has cosigned. Returns the time of the cosignature.
    /// The publisher does this by itself for a file `cosignature` in the log's folder.
    pub fn record_cosignature(&self, note: &str) -> Result<DateTime<Utc>, LedgerError> {
        self.shared().record_cosignature(note)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        lock(&self.shared.queue).stop = true;
        self.shared.wake.notify_one();
        if let Some(sequencer) = self.sequencer.take()
            && sequencer.join().is_err()
        {
            tracing::error!("the ledger's sequencer ended badly");
        }
        *lock(&self.shared.publisher_stop.0) = true;
        self.shared.publisher_stop.1.notify_one();
        if let Some(publisher) = self.publisher.take()
            && publisher.join().is_err()
        {
            tracing::error!("the ledger's publisher ended badly");
        }
    }
}

fn time_of(leaf: &[u8]) -> Option<DateTime<Utc>> {
    // The leaf is canonical, so the field's text is exactly this; parsing millions of leaves for one is not worth it.
    let mark = b"\"at\":\"";
    let start = leaf.windows(mark.len()).position(|window| window == mark)? + mark.len();
    std::str::from_utf8(leaf.get(start..start + 24)?).ok()?.parse().ok()
}

/// A published checkpoint that the log no longer carries means that durable entries are gone or changed.
fn compare_with_published(dir: &Path, vkey: &str, tree: &Tree) -> Result<(), LedgerError> {
    let Ok(note) = fs::read_to_string(dir.join("checkpoint")) else { return Ok(()) };
    match Checkpoint::read(&note, vkey) {
        Ok(checkpoint) => carries(tree, &checkpoint),
        Err(e) => {
            // Damaged by a power cut, or of another key: it is written anew, and the witness notices the latter.
            tracing::warn!(error = %e, "the published checkpoint cannot be read");
            Ok(())
        }
    }
}

fn carries(tree: &Tree, checkpoint: &Checkpoint) -> Result<(), LedgerError> {
    match tree.root_at(checkpoint.size) {
        Some(root) if root == checkpoint.root => Ok(()),
        Some(_) => {
            Err(LedgerError::Rewritten(format!("the first {} entries have another root", checkpoint.size)))
        }
        None => Err(LedgerError::Rewritten(format!(
            "{} entries were signed, {} are on disk",
            checkpoint.size,
            tree.size()
        ))),
    }
}

fn read_witnessed(dir: &Path, vkey: &str, tree: &Tree) -> Result<Option<Checkpoint>, LedgerError> {
    let Ok(note) = fs::read_to_string(dir.join(WITNESSED)) else { return Ok(None) };
    let checkpoint = Checkpoint::read(&note, vkey)?;
    carries(tree, &checkpoint)?;
    Ok(Some(checkpoint))
}

fn newest_cosignature(witnesses: &[WitnessKey], note: &str) -> Option<DateTime<Utc>> {
    witnesses.iter().filter_map(|witness| witness.cosigned_at(note)).max()
}

impl Shared {
    pub(crate) fn log(&self) -> RwLockReadGuard<'_, Log> {
        self.log.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_mut(&self) -> RwLockWriteGuard<'_, Log> {
        self.log.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record(&self, seq: u64) -> Result<Record, LedgerError> {
        let offset = {
            let log = self.log();
            let beyond = LedgerError::Beyond { asked: seq, size: log.tree.size() };
            *log.offsets.get(seq as usize).ok_or(beyond)?
        };
        read_at(&self.reader, offset, seq).map_err(LedgerError::io("sequence"))
    }

    fn refuse_when_failing(&self) -> Result<(), LedgerError> {
        let health = self.health.borrow();
        if health.writable {
            return Ok(());
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        Err(LedgerError::Unwritable { since: health.failing_since.unwrap_or_else(Utc::now) })
    }

    fn begin_failing(&self, why: &str) {
        let begun = self.health.send_if_modified(|health| {
            let begins = health.writable;
            if begins {
                health.writable = false;
                health.failing_since = Some(Utc::now());
            }
            begins
        });
        if begun {
            tracing::error!(why, "the ledger cannot be written; no new look until it can");
            // Through the lock, so that the sequencer cannot fall asleep between looking and being woken.
            drop(lock(&self.queue));
            self.wake.notify_one();
        }
    }

    fn with_index<T>(&self, ask: impl FnOnce(&Index) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        let mut slot = lock(&self.index);
        let mut index = match slot.take() {
            Some(index) => index,
            None => Index::open(&self.dir.join("index.sqlite"), |size| self.log().tree.root_at(size))?,
        };
        // An index that fails here is dropped, so that the next call opens or rebuilds it.
        loop {
            let size = self.log().tree.size();
            if index.size() >= size {
                break;
            }
            let until = size.min(index.size() + 4096);
            let leaves = (index.size()..until)
                .map(|seq| {
                    let record = self.record(seq)?;
                    let tag = self.privacy.case_tag_of(&record.leaf, &record.details);
                    Ok(Indexed { leaf: record.leaf, tag })
                })
                .collect::<Result<Vec<_>, LedgerError>>()?;
            let root = self.log().tree.root_at(until).unwrap_or_default();
            index.extend(&leaves, root)?;
        }
        let answer = ask(&index)?;
        *slot = Some(index);
        Ok(answer)
    }

    pub(crate) fn record_cosignature(&self, note: &str) -> Result<DateTime<Utc>, LedgerError> {
        let refuse = |why: &str| LedgerError::Cosignature(why.to_owned());
        let checkpoint = Checkpoint::read(note, &self.vkey)?;
        let at = {
            let witnesses = self.witnesses.read().unwrap_or_else(PoisonError::into_inner);
            newest_cosignature(&witnesses, note).ok_or_else(|| refuse("no trusted witness has signed it"))?
        };
        if self.log().tree.root_at(checkpoint.size) != Some(checkpoint.root) {
            return Err(refuse("it is on another log than this"));
        }
        let mut witnessed = lock(&self.witnessed);
        let known = self.health.borrow().witnessed_at;
        if witnessed.as_ref().is_some_and(|old| old.size > checkpoint.size)
            || known.is_some_and(|known| known >= at)
        {
            return known.ok_or_else(|| refuse("it is older than what is known"));
        }
        crate::publish::write_durably(&self.dir.join(WITNESSED), note.as_bytes())
            .map_err(LedgerError::io(self.dir.join(WITNESSED)))?;
        self.health.send_modify(|health| {
            health.witnessed_at = Some(at);
            health.witnessed_entries = checkpoint.size;
        });
        *witnessed = Some(checkpoint);
        Ok(at)
    }

    /// The newest checkpoint that carries a cosignature, when it is on `size` entries.
    pub(crate) fn cosigned_note(&self, size: u64) -> Option<String> {
        lock(&self.witnessed).as_ref().filter(|c| c.size == size).map(|c| c.note.clone())
    }

    pub(crate) fn root_at(&self, size: u64) -> Option<NodeHash> {
        self.log().tree.root_at(size)
    }
}

/// Entries that the ledger itself owes: kept until they are logged.
#[derive(Default)]
struct Backlog(Vec<Prepared>);

impl Backlog {
    fn add(&mut self, privacy: &Privacy, entry: &Entry) {
        match privacy.prepare(entry) {
            Ok(prepared) => self.0.push(prepared),
            Err(e) => {
                tracing::error!(error = %e, action = %entry.action, "an entry of the ledger's own is lost");
            }
        }
    }
}

/// The one thread that writes the sequence file.
struct Sequencer {
    shared: Arc<Shared>,
    sequence: Sequence,
    backlog: Backlog,
}

impl Sequencer {
    fn run(mut self) {
        let mut tried: Option<Instant> = None;
        let mut month = String::new();
        loop {
            let (batch, stop) = self.wait(tried);
            let failing_since = self.shared.health.borrow().failing_since;
            match failing_since {
                None => {
                    self.write(batch, None);
                    tried = (!self.shared.health.borrow().writable).then(Instant::now);
                }
                Some(since) => {
                    for append in batch {
                        self.shared.refused.fetch_add(1, Ordering::Relaxed);
                        answer(append.answer, Err(LedgerError::Unwritable { since }));
                    }
                    if stop || tried.is_none_or(|at| at.elapsed() >= TRY_AGAIN) {
                        tried = Some(Instant::now());
                        self.write(Vec::new(), Some(since));
                    }
                }
            }
            if stop {
                return;
            }
            let now = Utc::now();
            if month != month_of(now) && self.shared.privacy.prepare_months(now).is_ok() {
                month = month_of(now);
            }
        }
    }

    /// Waits until there is something to write, or to try again. Returns what is to be appended, and whether this is
    /// the last round.
    fn wait(&self, tried: Option<Instant>) -> (Vec<Append>, bool) {
        let mut queue = lock(&self.shared.queue);
        loop {
            let failing = !self.shared.health.borrow().writable;
            let idle = queue.appends.is_empty() && (failing || !queue.spooled && self.backlog.0.is_empty());
            let due = failing && tried.is_none_or(|at| at.elapsed() >= TRY_AGAIN);
            if queue.stop || !idle || due {
                break;
            }
            let pause = match tried {
                Some(at) if failing => TRY_AGAIN.saturating_sub(at.elapsed()),
                _ => Duration::from_mins(1),
            };
            (queue, _) = self.shared.wake.wait_timeout(queue, pause).unwrap_or_else(PoisonError::into_inner);
        }
        let many = queue.appends.len().min(LARGEST_BATCH);
        let batch = queue.appends.drain(..many).collect();
        queue.spooled = false;
        (batch, queue.stop && queue.appends.is_empty())
    }

    /// Writes one batch: what the ledger owes, what waits in the spool, on recovery the entry that says so, and what
    /// is to be appended.
    fn write(&mut self, batch: Vec<Append>, recovering: Option<DateTime<Utc>>) {
        // Whoever no longer waits gets nothing written.
        let batch: Vec<Append> = batch.into_iter().filter(|append| !append.answer.is_closed()).collect();
        let now = Utc::now();
        let (waiting, lost) = {
            let spool = lock(&self.shared.spool);
            if recovering.is_some()
                && let Err(e) = spool.sync()
            {
                tracing::error!(error = %e, "the spool could not be synced");
            }
            (spool.waiting(), spool.lost)
        };
        let record = |spool, prepared: Prepared| Record {
            spool,
            leaf: prepared.leaf.into_bytes(),
            details: prepared.details,
        };
        let mut records: Vec<Record> = self.backlog.0.iter().cloned().map(|owed| record(0, owed)).collect();
        let newest_spooled = waiting.last().map_or(0, |last| last.number);
        for waiting in waiting {
            let leaf = with_logged_at(&waiting.leaf, now);
            records.push(Record { spool: waiting.number, leaf: leaf.into_bytes(), details: waiting.details });
        }
        let refused = self.shared.refused.load(Ordering::Relaxed);
        if recovering.is_some() || lost > 0 {
            let recovered = Entry {
                data: Some(
                    json!({ "failing_since": recovering.map(instant), "refused": refused, "spool_lost": lost }),
                ),
                ..Entry::new(now, Operation::Maintenance, "ledger.recovered")
            };
            match self.shared.privacy.prepare(&recovered) {
                Ok(prepared) => records.push(record(0, prepared)),
                Err(e) => tracing::error!(error = %e, "the recovery could not be described"),
            }
        }
        let first_append = records.len();
        records.extend(batch.iter().map(|append| record(0, append.prepared.clone())));
        if records.is_empty() {
            return;
        }

        let began = Instant::now();
        let offsets = match self.sequence.append(&records) {
            Ok(offsets) => offsets,
            Err(e) => {
                self.shared.begin_failing(&e.to_string());
                let spooled = lock(&self.shared.spool).len();
                self.shared
                    .health
                    .send_if_modified(|health| std::mem::replace(&mut health.spooled, spooled) != spooled);
                for append in batch {
                    answer(append.answer, Err(LedgerError::Write(e.to_string())));
                }
                return;
            }
        };
        let in_time = began.elapsed() < LIMIT;

        let first = self.sequence.count() - records.len() as u64;
        {
            let mut log = self.shared.log_mut();
            for (record, offset) in records.iter().zip(offsets) {
                log.take(&record.leaf, offset);
            }
        }
        self.backlog.0.clear();
        let spooled = {
            let mut spool = lock(&self.shared.spool);
            spool.taken(newest_spooled);
            spool.lost -= lost;
            spool.len()
        };
        if recovering.is_some() {
            self.shared.refused.fetch_sub(refused, Ordering::Relaxed);
        }
        if !in_time {
            self.shared.begin_failing("a write took over 2 s");
        }
        self.shared.health.send_modify(|health| {
            health.entries = self.sequence.count();
            health.spooled = spooled;
            if recovering.is_some() && in_time {
                health.writable = true;
                health.failing_since = None;
                health.spool_lost = 0;
            }
        });
        if recovering.is_some() && in_time {
            tracing::info!("the ledger can be written again");
        }
        for (seq, append) in (first + first_append as u64..).zip(batch) {
            let receipt = Receipt { seq, at: append.prepared.at };
            if append.answer.send(Ok(receipt)).is_err() {
                // Durable, but its maker gave up and did nothing: the log must not suggest otherwise.
                self.backlog.add(
                    &self.shared.privacy,
                    &Entry {
                        look: append.look,
                        data: Some(json!({ "refers": seq, "effect": "none" })),
                        ..Entry::new(now, Operation::Maintenance, UNANSWERED)
                    },
                );
            }
        }
    }
}

fn answer(to: oneshot::Sender<Result<Receipt, LedgerError>>, with: Result<Receipt, LedgerError>) {
    if to.send(with).is_err() {
        tracing::debug!("nobody waits for this answer any more");
    }
}

/// The publisher's thread: tiles, checkpoint, cosignatures and the index, behind the sequencer.
fn publish(shared: &Shared) {
    let mut publisher = Publisher::default();
    let (stop, wake) = &shared.publisher_stop;
    let mut stopped = lock(stop);
    loop {
        let last = *stopped;
        drop(stopped);
        publisher.publish(shared);
        if let Err(e) = shared.with_index(|_| Ok(())) {
            tracing::debug!(error = %e, "the index is behind");
        }
        if last {
            return;
        }
        stopped = lock(stop);
        if !*stopped {
            (stopped, _) = wake.wait_timeout(stopped, PUBLISH_EVERY).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Whether an entry's action is the sign of life.
pub fn is_heartbeat(leaf: &Value) -> bool {
    leaf.get("action").and_then(Value::as_str) == Some(HEARTBEAT)
}
