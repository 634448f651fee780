//! What the ledger's door and its two threads share.

use crate::{
    LedgerError,
    config::{LedgerHealth, Receipt},
    entry::{Clock, Entry},
    index::{Index, Indexed, is_damage},
    looks::Looks,
    note::{Checkpoint, LogKey, WitnessKey},
    offsets::Offsets,
    privacy::{Prepared, Privacy},
    progress::Progress,
    publish,
    sequence::{Record, read_at},
    spool::Spool,
    tiles::WITNESSED,
    tree::{NodeHash, Tree, leaf_hash},
};
use chrono::{DateTime, TimeDelta, Utc};
use std::{
    collections::VecDeque,
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{oneshot, watch};

/// How far a witness's clock may be ahead: a time from further in the future would outlive those that are true.
const CLOCK_AHEAD: TimeDelta = TimeDelta::minutes(2);
/// An index this far behind is made anew, its sorted lists at the end.
const BULK: u64 = 50_000;

/// What the log consists of, in memory: kilobytes, however long it is.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) tree: Tree,
    pub(crate) offsets: Offsets,
    pub(crate) looks: Looks,
    /// The newest number that came through the spool.
    pub(crate) spool: u64,
    /// The newest entry's time.
    pub(crate) last: Option<DateTime<Utc>>,
    /// Where the next record begins in the sequence file.
    pub(crate) end: u64,
    /// Entries below this number were purged.
    pub(crate) first: u64,
}

impl Log {
    /// Takes a durable record into account.
    pub(crate) fn take(&mut self, record: &Record, offset: u64) {
        self.looks.observe(self.tree.size(), &record.leaf);
        self.tree.push(leaf_hash(&record.leaf));
        self.offsets.push(offset);
        self.spool = self.spool.max(record.spool);
        self.last = time_of(&record.leaf).or(self.last);
        self.end = offset + record.length();
    }

    /// What a start needs in order to go on from here.
    pub(crate) fn progress(&self) -> Progress {
        let mut progress = Progress::new(self.tree.size(), self.end, self.spool, &self.tree.edge());
        progress.last = self.last;
        progress.looks = self.looks.open();
        progress
    }
}

pub(crate) fn time_of(leaf: &[u8]) -> Option<DateTime<Utc>> {
    // The leaf is canonical, so the field's text is exactly this; parsing millions of leaves for one is not worth it.
    let mark = b"\"at\":\"";
    let start = leaf.windows(mark.len()).position(|window| window == mark)? + mark.len();
    std::str::from_utf8(leaf.get(start..start + 24)?).ok()?.parse().ok()
}

/// An entry on its way to the sequencer.
pub(crate) struct Append {
    pub(crate) prepared: Prepared,
    pub(crate) look: Option<String>,
    pub(crate) answer: oneshot::Sender<Result<Receipt, LedgerError>>,
}

/// Who waits to hear whether the disk takes a write.
pub(crate) type Probe = oneshot::Sender<Result<(), LedgerError>>;

#[derive(Default)]
pub(crate) struct Queue {
    pub(crate) appends: VecDeque<Append>,
    pub(crate) probes: Vec<Probe>,
    pub(crate) spooled: bool,
    pub(crate) stop: bool,
}

pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    pub(crate) key: LogKey,
    pub(crate) vkey: String,
    pub(crate) privacy: Privacy,
    pub(crate) log: RwLock<Log>,
    pub(crate) reader: Arc<File>,
    pub(crate) queue: Mutex<Queue>,
    pub(crate) wake: Condvar,
    pub(crate) spool: Mutex<Spool>,
    pub(crate) index: Mutex<Option<Index>>,
    pub(crate) witnesses: RwLock<Vec<WitnessKey>>,
    /// The newest checkpoint with a cosignature that holds.
    pub(crate) witnessed: Mutex<Option<Checkpoint>>,
    pub(crate) health: watch::Sender<LedgerHealth>,
    pub(crate) published: watch::Sender<u64>,
    pub(crate) publisher_stop: (Mutex<bool>, Condvar),
    pub(crate) refused: AtomicU64,
    /// The root that was asked for last, and its size: proofs are asked for under the same checkpoint again and again.
    pub(crate) root: Mutex<Option<(u64, NodeHash)>>,
    /// Where the newest cosigned checkpoint is kept a second time.
    pub(crate) witnessed_elsewhere: PathBuf,
    /// Why nothing is written any more, until a restart.
    pub(crate) disowned: Mutex<Option<String>>,
    /// How good the clock is, as [`Clock`] in a number.
    pub(crate) clock: AtomicU8,
    /// Entries of which a start took the tiles for right: those before are only looked for, those behind are compared.
    pub(crate) trusted_tiles: u64,
    /// How long a write may take.
    pub(crate) limit: Duration,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these locks; if it did, the state would still be whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time of the newest cosignature on a note by any of these witnesses.
pub(crate) fn newest_cosignature(witnesses: &[WitnessKey], note: &str) -> Option<DateTime<Utc>> {
    witnesses.iter().filter_map(|witness| witness.cosigned_at(note)).max()
}

/// A checkpoint with the newest line of each of these witnesses, on it or on what was known of the same text: one witness's answer
/// does not take another's away.
fn merged(witnesses: &[WitnessKey], checkpoint: &Checkpoint, known: Option<&Checkpoint>) -> String {
    let known = known.filter(|known| known.text == checkpoint.text);
    let line = |witness: &WitnessKey| {
        let there = known.and_then(|known| witness.cosignature(&known.note));
        witness.cosignature(&checkpoint.note).max(there).map(|(_, line)| line)
    };
    checkpoint.with_cosignatures(&witnesses.iter().filter_map(line).collect::<String>())
}

impl Shared {
    pub(crate) fn log(&self) -> RwLockReadGuard<'_, Log> {
        self.log.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn log_mut(&self) -> RwLockWriteGuard<'_, Log> {
        self.log.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record(&self, seq: u64) -> Result<Record, LedgerError> {
        let offset = {
            let log = self.log();
            if seq >= log.tree.size() {
                return Err(LedgerError::Beyond { asked: seq, size: log.tree.size() });
            }
            if seq < log.first {
                return Err(LedgerError::Purged { asked: seq, first: log.first });
            }
            log.offsets.get(seq).map_err(LedgerError::io("offsets"))?
        };
        read_at(&self.reader, offset, seq).map_err(LedgerError::io("sequence"))
    }

    /// An entry whose maker did not ask how good the clock is gets what is known of it.
    pub(crate) fn stamped(&self, mut entry: Entry) -> Entry {
        if entry.clock == Clock::Unknown {
            entry.clock = match self.clock.load(Ordering::Relaxed) {
                1 => Clock::Synchronised,
                2 => Clock::Unsynchronised,
                _ => Clock::Unknown,
            };
        }
        entry
    }

    pub(crate) fn refuse_when_failing(&self) -> Result<(), LedgerError> {
        let health = self.health.borrow();
        if health.writable {
            return Ok(());
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        if let Some(why) = lock(&self.disowned).as_ref() {
            return Err(LedgerError::Rewritten(why.clone()));
        }
        Err(LedgerError::Unwritable { since: health.failing_since.unwrap_or_else(Utc::now) })
    }

    pub(crate) fn begin_failing(&self, why: &str) {
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

    /// Asks the index, brought up to the newest entry. A damaged one is made anew, once, and asked again.
    pub(crate) fn with_index<T>(
        &self,
        ask: impl Fn(&mut Index) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let mut slot = lock(&self.index);
        let known = slot.take();
        // An index that fails is dropped, so that the next call opens or rebuilds it.
        let (index, answer) = match self.ask_index(known, &ask) {
            Err(error) if is_damage(&error) => {
                tracing::warn!(%error, "the query index is damaged; it is made anew from the log");
                self.ask_index(Some(Index::start(&self.dir.join("index.sqlite"))?), &ask)?
            }
            outcome => outcome?,
        };
        *slot = Some(index);
        Ok(answer)
    }

    fn ask_index<T>(
        &self,
        known: Option<Index>,
        ask: impl Fn(&mut Index) -> Result<T, LedgerError>,
    ) -> Result<(Index, T), LedgerError> {
        let path = self.dir.join("index.sqlite");
        let mut index = match known {
            Some(index) => index,
            None => Index::open(&path, |size| self.log().tree.root_at(size))?,
        };
        index.skip_to(self.log().first);
        if !index.is_filling()
            && index.size() == self.log().first
            && self.log().tree.size() - index.size() > BULK
        {
            drop(index);
            index = Index::start(&path)?;
            index.skip_to(self.log().first);
        }
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
        if index.is_filling() {
            index.finish()?;
        }
        let answer = ask(&mut index)?;
        Ok((index, answer))
    }

    pub(crate) fn record_cosignature(&self, note: &str) -> Result<DateTime<Utc>, LedgerError> {
        let refuse = |why: &str| LedgerError::Cosignature(why.to_owned());
        let checkpoint = Checkpoint::read(note, &self.vkey)?;
        let witnesses = self.witnesses.read().unwrap_or_else(PoisonError::into_inner).clone();
        let at =
            newest_cosignature(&witnesses, note).ok_or_else(|| refuse("no trusted witness has signed it"))?;
        // By the machine's clock or, where that was set back, by the newest entry's.
        let now = self.log().last.map_or_else(Utc::now, |last| last.max(Utc::now()));
        if at - now > CLOCK_AHEAD {
            return Err(refuse(&format!(
                "its time, {at}, is in the future: the witness's clock or this one is wrong"
            )));
        }
        if self.log().tree.root_at(checkpoint.size) != Some(checkpoint.root) {
            return Err(refuse("it is on another log than this"));
        }
        let mut witnessed = lock(&self.witnessed);
        if self.is_disowned() {
            return Err(refuse("a witness showed that it signed another log than this"));
        }
        let old = witnessed.as_ref().filter(|old| old.size >= checkpoint.size);
        let note = merged(&witnesses, &checkpoint, old);
        let at = newest_cosignature(&witnesses, &note).unwrap_or(at);
        if let Some(old) = old
            && (old.size > checkpoint.size || old.note == note)
        {
            return Ok(self.health.borrow().witnessed_at.unwrap_or(at));
        }
        let checkpoint = Checkpoint { note: note.clone(), ..checkpoint };
        self.keep_witnessed(&note)?;
        self.health.send_modify(|health| {
            health.witnessed_at = Some(at);
            health.witnessed_entries = checkpoint.size;
        });
        *witnessed = Some(checkpoint);
        Ok(at)
    }

    /// Makes a cosigned checkpoint durable, beside the log and elsewhere: a start refuses a log that does not carry it.
    ///
    /// # Errors
    /// When the file beside the log cannot be written; the other one is tried all the same.
    pub(crate) fn keep_witnessed(&self, note: &str) -> Result<(), LedgerError> {
        let keep = |path: &Path| {
            publish::write_durably(path, note.as_bytes()).and_then(|()| publish::sync_name(path))
        };
        let beside = self.dir.join(WITNESSED);
        let kept = keep(&beside).map_err(LedgerError::io(beside));
        if let Err(error) = keep(&self.witnessed_elsewhere) {
            tracing::error!(%error, "the cosigned checkpoint could not be kept a second time");
        }
        kept
    }

    /// Whether somebody showed that this log is not what they signed.
    pub(crate) fn is_disowned(&self) -> bool {
        lock(&self.disowned).is_some()
    }

    /// The newest checkpoint that carries a cosignature, when it is on `size` entries.
    pub(crate) fn cosigned_note(&self, size: u64) -> Option<String> {
        lock(&self.witnessed).as_ref().filter(|c| c.size == size).map(|c| c.note.clone())
    }

    /// The root over the first `size` entries of a tree of this log, which never changes once it is known.
    pub(crate) fn known_root(&self, tree: &Tree, size: u64) -> Option<NodeHash> {
        let known = *lock(&self.root);
        if let Some((_, root)) = known.filter(|(of, _)| *of == size) {
            return Some(root);
        }
        let root = tree.root_at(size)?;
        *lock(&self.root) = Some((size, root));
        Some(root)
    }

    pub(crate) fn root_at(&self, size: u64) -> Option<NodeHash> {
        self.log().tree.root_at(size)
    }
}
