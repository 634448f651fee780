//! The end of the log's own term (domain 2.3: at least until the external audit that covers it, five years by default).
//!
//! Whole bundles of 256 entries go, oldest first, in two steps. First an entry `ledger.purge` says which entries, with their
//! root, and waits for a cosignature (decision 15): the police have seen the log as it was. Then a tombstone is signed,
//! a checkpoint of exactly the purged entries, and bundles, tiles, the sequence file's bytes and the months' keys are
//! destroyed, as C2SP tlog-tiles prunes: every root, proof and signature over what is left stays valid.

use crate::{
    Ledger, LedgerError,
    entry::{Entry, Operation},
    privacy::month_of,
    publish::{SEQUENCE_LINE, sync_name, write_durably},
    shared::{Shared, time_of},
    tiles::{PRUNED, WIDTH, entries_path, hash_tile_path},
    tree::NodeHash,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use rustix::fs::{FallocateFlags, fallocate};
use serde_json::json;
use std::{fs, io, os::unix::fs::FileExt, path::Path};

/// What announces a purge.
pub const ACTION: &str = "ledger.purge";
/// The register's leaf: its newest must stay, for the journal is tied to it (decision 10).
const REGISTER: &str = "register.record";

/// How far a purge is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purge {
    /// Nothing is past its term.
    NothingDue,
    /// The entries before `first` are announced in entry `seq`; a witness has yet to see that.
    Announced {
        /// The first entry that will stay.
        first: u64,
        /// The announcement.
        seq: u64,
    },
    /// The entries before `first` are gone.
    Done {
        /// The first entry that is left.
        first: u64,
    },
}

impl Ledger {
    /// Takes the next step towards destroying the entries older than `cutoff`; to be called now and then.
    ///
    /// # Errors
    /// When an entry cannot be written or a file cannot be destroyed; the next call goes on from there.
    pub async fn purge(&self, cutoff: DateTime<Utc>, now: DateTime<Utc>) -> Result<Purge, LedgerError> {
        let this = self.clone();
        let due = tokio::task::spawn_blocking(move || {
            // What an error kept there when it should have gone.
            finish(this.shared())?;
            this.purge_due(cutoff)
        })
        .await
        .map_err(|_| LedgerError::Closed)??;
        let (first, root) = match due {
            Due::Nothing => return Ok(Purge::NothingDue),
            Due::Announced { first, seq } => {
                let seen = self.health().borrow().witnessed_entries > seq;
                if !seen {
                    return Ok(Purge::Announced { first, seq });
                }
                let this = self.clone();
                return tokio::task::spawn_blocking(move || this.execute(first, seq, now))
                    .await
                    .map_err(|_| LedgerError::Closed)?;
            }
            Due::From { first, root } => (first, root),
        };
        let mut entry = Entry::new(now, Operation::Destroy, ACTION);
        entry.data = Some(json!({
            "first": first, "root": BASE64_STANDARD.encode(root), "before": crate::privacy::instant(cutoff),
        }));
        let receipt = self.append(entry).await?;
        Ok(Purge::Announced { first, seq: receipt.seq })
    }

    fn purge_due(&self, cutoff: DateTime<Utc>) -> Result<Due, LedgerError> {
        let shared = self.shared();
        let begin = shared.log().first;
        if let Some((seq, leaf)) = self.newest(ACTION)?
            && let Some(first) = leaf.pointer("/data/first").and_then(serde_json::Value::as_u64)
            && first > begin
        {
            return Ok(Due::Announced { first, seq });
        }
        let register = self.newest(REGISTER)?.map_or(u64::MAX, |(seq, _)| seq);
        // Only what every witness has already signed, and never the newest bundle.
        let end =
            register.min(shared.health.borrow().witnessed_entries).min(self.size().saturating_sub(WIDTH));
        let mut first = begin;
        while first + WIDTH <= end {
            for seq in first..first + WIDTH {
                if time_of(&shared.record(seq)?.leaf).is_none_or(|at| at >= cutoff) {
                    return Ok(Due::since(shared, begin, first));
                }
            }
            first += WIDTH;
        }
        Ok(Due::since(shared, begin, first))
    }

    fn execute(&self, first: u64, seq: u64, now: DateTime<Utc>) -> Result<Purge, LedgerError> {
        let shared = self.shared();
        let root = shared.root_at(first).ok_or(LedgerError::Beyond { asked: first, size: self.size() })?;
        let (begin, offset) = {
            let log = shared.log();
            (log.first, log.offsets.get(first).map_err(LedgerError::io("offsets"))?)
        };
        let lines = format!(
            "purged {} as announced in entry {seq}\n{SEQUENCE_LINE}{offset}\n",
            crate::privacy::instant(now)
        );
        let tombstone = shared.key.sign_with(first, root, &lines)?;
        // From here on the entries count as gone, also after a crash: what is still there then is destroyed at the start.
        let path = shared.dir.join(PRUNED);
        let signed = write_durably(&path, tombstone.as_bytes()).and_then(|()| sync_name(&path));
        signed.map_err(LedgerError::io(&path))?;
        shared.log_mut().first = first;
        destroy(shared, begin, first, offset)?;
        Ok(Purge::Done { first })
    }
}

/// Destroys the keys of the months of which no entry is left. By time and not by number: a cut that waited in the spool over the
/// end of a month is logged in the next one, and its names are sealed under the month in which it happened.
pub(crate) fn destroy_months(shared: &Shared) -> Result<(), LedgerError> {
    let Some(earliest) = shared.with_index(|index| index.earliest())?.map(month_of) else { return Ok(()) };
    let gone = shared.privacy.months().into_iter().filter(|month| *month < earliest);
    gone.into_iter().try_for_each(|month| shared.privacy.destroy_month(&month))
}

enum Due {
    Nothing,
    Announced { first: u64, seq: u64 },
    From { first: u64, root: NodeHash },
}

impl Due {
    fn since(shared: &Shared, begin: u64, first: u64) -> Self {
        match shared.root_at(first) {
            Some(root) if first > begin => Self::From { first, root },
            _ => Self::Nothing,
        }
    }
}

/// Destroys entries `begin` to `first`, as far as they are still there: their bytes in the sequence file, what the index knows of
/// them, tiles, months' keys, and last of all their bundles, oldest first. So the newest bundle tells whether all is done.
fn destroy(shared: &Shared, begin: u64, first: u64, offset: u64) -> Result<(), LedgerError> {
    let path = shared.dir.join("sequence");
    let wiped = fs::OpenOptions::new().write(true).open(&path).and_then(|file| wipe(&file, offset));
    wiped.map_err(LedgerError::io(path))?;
    shared.with_index(|index| index.forget(first))?;
    let remove = |path: &Path| match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(LedgerError::io(path)(e)),
        _ => Ok(()),
    };
    for level in 0_u32..7 {
        // A tile goes when its last entry does (tlog-tiles, "pruning").
        let each = 8 * (level + 1);
        for n in begin >> each..first >> each {
            remove(&shared.dir.join(hash_tile_path(level as u8, n, WIDTH)))?;
        }
    }
    destroy_months(shared)?;
    (begin / WIDTH..first / WIDTH).try_for_each(|n| remove(&shared.dir.join(entries_path(n, WIDTH))))
}

/// The bytes before `offset`, without the header: given back to the file system, or overwritten where it cannot do that.
fn wipe(file: &fs::File, offset: u64) -> io::Result<()> {
    let start = crate::sequence::Sequence::FIRST;
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    if fallocate(file, hole, start, offset - start).is_err() {
        let zeros = vec![0; 1 << 16];
        let mut at = start;
        while at < offset {
            let step = (offset - at).min(zeros.len() as u64) as usize;
            file.write_all_at(zeros.get(..step).unwrap_or_default(), at)?;
            at += step as u64;
        }
    }
    file.sync_data()
}

/// After a crash or an error between tombstone and the end of the destruction: what should be gone goes now.
pub(crate) fn finish(shared: &Shared) -> Result<(), LedgerError> {
    let (first, offset) = {
        let log = shared.log();
        (log.first, log.offsets.get(log.first).map_err(LedgerError::io("offsets")))
    };
    let leftover = |n: u64| shared.dir.join(entries_path(n, WIDTH)).exists();
    if first == 0 || !leftover(first / WIDTH - 1) {
        return Ok(());
    }
    let mut begin = first / WIDTH;
    while begin > 0 && leftover(begin - 1) {
        begin -= 1;
    }
    destroy(shared, begin * WIDTH, first, offset?)
}
