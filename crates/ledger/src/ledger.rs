//! The ledger's door: what its callers ask of it. Behind it one thread writes (`sequencer`) and one publishes
//! (`publish`). When a write fails or takes longer than two seconds, `health.writable` turns false at once and appends are
//! refused without trying; the sequencer then tries again each second, by writing what waits in the spool and an entry
//! that says how long it was out, and `writable` returns when that succeeds.

use crate::{
    LedgerError,
    config::{LedgerConfig, LedgerHealth, Receipt},
    entry::{Clock, Entry, Operation},
    index::Filter,
    looks::OpenLook,
    note::{Checkpoint, LogKey, WitnessKey},
    opening,
    privacy::{Details, Privacy, month_of},
    publish,
    published::Proven,
    sequence::Sequence,
    sequencer::{Backlog, SLOW, Sequencer},
    shared::{Append, Queue, Shared, lock, newest_cosignature},
    spool::{Claim, Spool},
    tree::{ConsistencyProof, InclusionProof},
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::{
    fmt, fs,
    path::Path,
    sync::{
        Arc, Condvar, Mutex, PoisonError, RwLock,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};
use tokio::sync::{oneshot, watch};

/// A leaf's length is a 16-bit number in a bundle.
const LARGEST_LEAF: usize = u16::MAX as usize;

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

impl Ledger {
    /// Opens the ledger, or makes a new one. Reads what came after the last published progress (the whole sequence file
    /// where there is none), drops a torn tail, refuses a log that no longer carries what was signed, and closes the looks
    /// that a crash left open. A full or read-only disk does not keep an existing ledger from opening: it opens unwritable,
    /// is tried again each second, and keeps in memory what must be logged later.
    pub fn open(config: LedgerConfig) -> Result<Self, LedgerError> {
        let LedgerConfig {
            dir,
            key_file,
            origin,
            month_keys,
            witnessed,
            witnesses,
            spool_bytes,
            limit,
            faults,
        } = config;
        fs::create_dir_all(&dir).map_err(LedgerError::io(&dir))?;
        let key = LogKey::load_or_create(&key_file, &origin)?;
        let privacy = Privacy::open(&month_keys)?;
        let started = Utc::now();
        if let Err(e) = privacy.prepare_months(started) {
            tracing::error!(error = %e, "the keys of this month and the next could not be made");
        }
        let vkey = key.vkey();
        let witnesses =
            witnesses.iter().map(|text| WitnessKey::parse(text)).collect::<Result<Vec<_>, _>>()?;
        let sequence = Sequence::open(&dir.join("sequence"), faults)?;
        let opened = opening::open(&dir, &vkey, sequence, &witnessed)?;
        if let Err(e) = opened.sequence.cut_tail() {
            tracing::error!(error = %e, "the log's disk takes nothing; the log opens unwritable and is tried again");
        }
        let log = opened.log;
        let refuses = opened.sequence.refuses_writes();

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
        let last_sign_of_life = log.last.unwrap_or(started);
        for look in log.looks.open() {
            backlog.add(&privacy, &look.closing(last_sign_of_life, started));
        }

        let spool = Spool::open(&dir.join("spool"), spool_bytes, log.spool)?;
        let (witnessed_at, witnessed_entries) = opened
            .witnessed
            .as_ref()
            .and_then(|c| Some((newest_cosignature(&witnesses, &c.note)?, c.size)))
            .map_or((None, 0), |(at, size)| (Some(at), size));
        let (health, _) = watch::channel(LedgerHealth {
            entries: log.tree.size(),
            writable: !refuses,
            failing_since: refuses.then_some(started),
            witnessed_at,
            witnessed_entries,
            spooled: spool.len(),
            spool_lost: spool.lost,
        });
        let (owed, refused) = (spool.len() > 0 || spool.lost > 0 || spool.refused > 0, spool.refused);
        let shared = Arc::new(Shared {
            reader: opened.sequence.reader(),
            dir,
            key,
            vkey,
            privacy,
            log: RwLock::new(log),
            queue: Mutex::new(Queue { spooled: owed, ..Queue::default() }),
            wake: Condvar::new(),
            spool: Mutex::new(spool),
            index: Mutex::new(None),
            witnesses: RwLock::new(witnesses),
            witnessed: Mutex::new(opened.witnessed),
            health,
            published: watch::channel(0).0,
            publisher_stop: (Mutex::new(false), Condvar::new()),
            refused: AtomicU64::new(refused),
            clock: AtomicU8::new(0),
            witnessed_elsewhere: witnessed,
            disowned: Mutex::default(),
            root: Mutex::default(),
            trusted_tiles: opened.trusted_tiles,
            limit,
        });
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            thread::Builder::new().name(name.to_owned()).spawn(run).map_err(LedgerError::io(name))
        };
        let mut threads = Threads { shared: shared.clone(), sequencer: None, publisher: None };
        let sequencer = Sequencer { shared: shared.clone(), sequence: opened.sequence, backlog };
        threads.sequencer = Some(spawn("ledger-sequence", Box::new(move || sequencer.run()))?);
        threads.publisher = Some(spawn("ledger-publish", Box::new(move || publish::run(&shared)))?);
        Ok(Self(Arc::new(threads)))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0.shared
    }

    /// Makes an entry durable: when this returns `Ok`, it survives a loss of power. Refused at once while the ledger
    /// cannot be written; an error after two seconds otherwise. No entry, no effect.
    ///
    /// Cancellation: when the future is dropped the entry may still become durable; the ledger then adds an entry
    /// `ledger.unanswered` that refers to it and says that it had no effect.
    pub async fn append(&self, entry: Entry) -> Result<Receipt, LedgerError> {
        let shared = self.shared();
        shared.refuse_when_failing()?;
        let entry = shared.stamped(entry);
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
        match tokio::time::timeout(shared.limit, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(LedgerError::Closed),
            Err(_) => {
                shared.begin_failing(SLOW);
                Err(LedgerError::Slow)
            }
        }
    }

    /// Logs what has already happened and cannot wait: the end of a look, the recorder's start and stop, destruction
    /// that was due. Never waits for the disk; kept in the spool while the ledger fails. It is logged with both times,
    /// `at` and `logged_at`. What finds no room in the spool is counted, and the count is logged.
    pub fn append_spooled(&self, entry: Entry) {
        let shared = self.shared();
        let entry = shared.stamped(entry);
        match shared.privacy.prepare_spooled(&entry) {
            Ok(prepared) if prepared.leaf.len() <= LARGEST_LEAF => {
                let mut spool = lock(&shared.spool);
                if !spool.push(prepared, Claim::of(&entry)) {
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
                lock(&shared.spool).lost += 1;
                tracing::error!(
                    bytes = prepared.leaf.len(), action = %entry.action,
                    "an entry is too large to be logged and is lost; the log counts it"
                );
            }
            Err(e) => {
                lock(&shared.spool).lost += 1;
                tracing::error!(error = %e, action = %entry.action, "an entry could not be spooled and is lost");
            }
        }
        lock(&shared.queue).spooled = true;
        shared.wake.notify_one();
    }

    /// Finds out whether an append would succeed, by a write that leaves nothing behind: while somebody looks, a log that
    /// cannot be written must be noticed within seconds, and an entry each time would bury the others.
    ///
    /// # Errors
    /// As [`Ledger::append`]; the ledger's health says the same.
    pub async fn probe(&self) -> Result<(), LedgerError> {
        let shared = self.shared();
        shared.refuse_when_failing()?;
        let (answer, answered) = oneshot::channel();
        {
            let mut queue = lock(&shared.queue);
            if queue.stop {
                return Err(LedgerError::Closed);
            }
            queue.probes.push(answer);
        }
        shared.wake.notify_one();
        if let Ok(outcome) = tokio::time::timeout(shared.limit, answered).await {
            return outcome.unwrap_or(Err(LedgerError::Closed));
        }
        shared.begin_failing(SLOW);
        Err(LedgerError::Slow)
    }

    /// Stops writing for good: somebody showed by a `note` that this log is not what they signed ([`Ledger::contradiction`]). The note
    /// is kept as the newest that was cosigned, so that no start takes this log either: nothing is appended until the log carries
    /// it, or a new epoch begins (decision 15).
    pub fn disown(&self, why: &str, note: &str) {
        let shared = self.shared();
        lock(&shared.disowned).get_or_insert_with(|| why.to_owned());
        shared.begin_failing(why);
        let _witnessed = lock(&shared.witnessed);
        if let Err(error) = shared.keep_witnessed(note) {
            tracing::error!(%error, "what was shown could not be kept: the next start does not know of it");
        }
    }

    /// How good the clock is from now on; stands in every entry whose maker did not say.
    pub fn set_clock(&self, clock: Clock) {
        let number = match clock {
            Clock::Unknown => 0,
            Clock::Synchronised => 1,
            Clock::Unsynchronised => 2,
        };
        self.shared().clock.store(number, Ordering::Relaxed);
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
        self.find(filter)?.into_iter().map(|seq| self.value(seq)).collect()
    }

    /// The numbers of those entries. Blocking.
    pub fn find(&self, filter: &Filter) -> Result<Vec<u64>, LedgerError> {
        let pseudonyms = match &filter.who {
            Some(person) => self.pseudonyms(person)?,
            None => Vec::new(),
        };
        let tags = match &filter.case {
            Some(case) => self.case_tags(case)?,
            None => Vec::new(),
        };
        self.shared().with_index(|index| index.find(filter, &pseudonyms, &tags))
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
    /// key is destroyed, an error when it is another entry's. Reading it is itself a consultation that its caller logs.
    pub fn details(&self, seq: u64) -> Result<Option<Details>, LedgerError> {
        let shared = self.shared();
        let record = shared.record(seq)?;
        shared.privacy.open_details(&record.leaf, &record.details)
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

    /// The published folder.
    pub fn dir(&self) -> &Path {
        &self.shared().dir
    }

    /// The newest entry of an action, if there is one. Blocking. Found without the index where its disk takes nothing: a start
    /// on a full or read-only disk depends on it.
    pub fn newest(&self, action: &str) -> Result<Option<(u64, Value)>, LedgerError> {
        let filter =
            Filter { action: Some(action.to_owned()), newest_first: true, limit: 1, ..Filter::default() };
        match self.query(&filter) {
            Err(error @ (LedgerError::Index(_) | LedgerError::Io { .. })) => {
                tracing::warn!(%error, action, "the index cannot be used; the log itself is read backwards");
                self.newest_by_reading(action)
            }
            outcome => Ok(outcome?.pop()),
        }
    }

    fn newest_by_reading(&self, action: &str) -> Result<Option<(u64, Value)>, LedgerError> {
        let shared = self.shared();
        let (first, size) = {
            let log = shared.log();
            (log.first, log.tree.size())
        };
        let mark = format!("\"action\":{}", Value::from(action));
        for seq in (first..size).rev() {
            // Few leaves are worth parsing; one that only quotes the name is told apart there.
            let leaf = shared.record(seq)?.leaf;
            if leaf.windows(mark.len()).any(|window| window == mark.as_bytes()) {
                let (seq, value) = self.value(seq)?;
                if value.get("action").and_then(Value::as_str) == Some(action) {
                    return Ok(Some((seq, value)));
                }
            }
        }
        Ok(None)
    }

    /// What somebody may keep of an entry: its proof under the newest checkpoint that a witness cosigned, or under the newest
    /// published one where no witness was that far. Blocking; the entry must be published, which follows within a second.
    pub fn receipt(&self, seq: u64) -> Result<Proven, LedgerError> {
        let checkpoint = match self.witnessed_checkpoint().filter(|cosigned| cosigned.size > seq) {
            Some(cosigned) => cosigned,
            None => Checkpoint::read(&self.checkpoint()?, &self.shared().vkey)?,
        };
        let (leaf, proof) = self.proven(seq, checkpoint.size)?;
        if proof.root != checkpoint.root {
            return Err(LedgerError::Rewritten(format!(
                "the checkpoint of {} entries is on another log",
                checkpoint.size
            )));
        }
        Ok(Proven { leaf, proof, checkpoint })
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
        self.proven(seq, size).map(|(_, proof)| proof)
    }

    fn proven(&self, seq: u64, size: u64) -> Result<(Vec<u8>, InclusionProof), LedgerError> {
        let shared = self.shared();
        // Read first: an entry that was purged has no proof either, and the proof is checked before it is given away.
        let leaf = shared.record(seq)?.leaf;
        // Tiles are read from a copy of the right edge: whoever appends does not wait for the disk of whoever asks.
        let tree = shared.log().tree.clone();
        let beyond = || LedgerError::Beyond { asked: seq.max(size), size: tree.size() };
        let root = shared.known_root(&tree, size).ok_or_else(beyond)?;
        let proof = tree.inclusion_under(seq, size, root).ok_or_else(beyond)?;
        if !proof.holds_for(&leaf) {
            return Err(LedgerError::Rewritten(format!(
                "a tile above entry {seq} is damaged; a restart mends it"
            )));
        }
        Ok((leaf, proof))
    }

    /// The proof that the log of `new` entries extends that of `old`.
    pub fn consistency(&self, old: u64, new: u64) -> Result<ConsistencyProof, LedgerError> {
        let tree = self.shared().log().tree.clone();
        let beyond = LedgerError::Beyond { asked: old.max(new), size: tree.size() };
        tree.consistency(old, new).ok_or(beyond)
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

    /// Why this log cannot be the one that a note is about, which its own key and a trusted witness signed: entries are missing, or
    /// others than were signed. None when it carries the note.
    ///
    /// # Errors
    /// When the note bears not both signatures: then it proves nothing.
    pub fn contradiction(&self, note: &str) -> Result<Option<String>, LedgerError> {
        let shared = self.shared();
        let checkpoint = Checkpoint::read(note, &shared.vkey)?;
        {
            let witnesses = shared.witnesses.read().unwrap_or_else(PoisonError::into_inner);
            newest_cosignature(&witnesses, note)
                .ok_or_else(|| LedgerError::Cosignature("no trusted witness has signed it".to_owned()))?;
        }
        // What is durable here counts, not what is published so far.
        let (signed, here) = (checkpoint.size, self.size());
        if signed > here {
            return Ok(Some(format!(
                "a witness signed {signed} entries of this log, of which {here} are here"
            )));
        }
        let carried = shared.root_at(signed) == Some(checkpoint.root);
        Ok((!carried).then(|| format!("a witness signed another history of the first {signed} entries")))
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
