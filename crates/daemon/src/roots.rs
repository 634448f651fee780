//! The roots of sealed volumes enter the log, so that any frame can later be proven to be what was recorded.
//!
//! Which are there already is kept in `roots.json`: every volume up to a number, and single ones beyond it, because volumes
//! of several retention classes are open at a time and are not sealed in the order of their numbers. A volume counts once its
//! entry is durable. What a crash left between entry and file is found by one question to the log at the start.

use crate::{clock::SharedClock, guard, identity::hex, log::SharedLog};
use futures::future::join_all;
use ledger::{Entry, Filter, Ledger, LedgerError, Object, Operation};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeSet, HashSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};
use vault::{SealedVolume, Vault};

/// What the log calls it.
const SEALED: &str = "volume.sealed";
/// Entries that are made durable together.
const TOGETHER: usize = 64;
/// How many of the newest entries a start looks at: more than can be logged between two writes of the file.
const NEWEST: usize = 1000;
/// Entries read at a time where there is no file yet.
const PAGE: usize = 10_000;

/// Which volumes' roots are in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    /// Every volume up to this number, this one included.
    below: u64,
    /// Those beyond it.
    beyond: BTreeSet<u64>,
}

/// Keeps the log's list of sealed volumes complete.
pub struct Roots {
    path: PathBuf,
    inner: Mutex<Inner>,
}

struct Inner {
    told: Told,
    /// Identities that the log has although `told` may not know it: asked once.
    logged: Option<HashSet<String>>,
    /// Whether there was a file.
    kept: bool,
}

/// The identities of volumes whose roots the log has: of the newest entries, or of all of them. Blocking.
///
/// # Errors
/// When the log cannot be read.
pub fn logged(ledger: &Ledger, all: bool) -> Result<HashSet<String>, LedgerError> {
    let mut ids = HashSet::new();
    let mut before = None;
    loop {
        let limit = if all { PAGE } else { NEWEST };
        let filter = Filter {
            action: Some(SEALED.to_owned()),
            newest_first: true,
            before,
            limit,
            ..Filter::default()
        };
        let entries = ledger.query(&filter)?;
        before = entries.last().map(|(seq, _)| *seq);
        let read = entries.len();
        let id = |entry: &serde_json::Value| Some(entry.pointer("/object/id")?.as_str()?.to_owned());
        ids.extend(entries.iter().filter_map(|(_, entry)| id(entry)));
        if !all || read < limit {
            return Ok(ids);
        }
    }
}

impl Roots {
    /// Reads the file in the daemon's data folder.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn open(data: &Path) -> io::Result<Self> {
        let path = data.join("roots.json");
        let (told, kept) = match fs::read(&path) {
            Ok(bytes) => (serde_json::from_slice(&bytes).map_err(io::Error::other)?, true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Told::default(), false),
            Err(error) => return Err(error),
        };
        Ok(Self { path, inner: Mutex::new(Inner { told, logged: None, kept }) })
    }

    /// Logs the roots of volumes that were sealed since the last time; what cannot be logged now is tried again. Blocks for
    /// the log: call it on a thread of the runtime's blocking pool. `known` says which the log has, as [`logged`] does; it
    /// is asked once a start. Gives how many entries were made.
    pub fn tell(&self, vault: &Vault, log: &SharedLog, clock: &SharedClock, known: &Known<'_>) -> usize {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let before = inner.told.clone();
        let made = inner.tell(vault, log, clock, known).unwrap_or_else(|error| {
            tracing::error!(%error, "the roots of sealed volumes could not be logged; it is tried again");
            0
        });
        if inner.told != before {
            let kept = serde_json::to_vec(&inner.told)
                .map_err(io::Error::other)
                .and_then(|bytes| guard::replace(&self.path, &bytes));
            match kept {
                Ok(()) => inner.kept = true,
                Err(error) => tracing::error!(%error, "which volumes' roots are logged could not be kept"),
            }
        }
        made
    }
}

/// Says which identities the log has: of the newest entries, or of all.
type Known<'a> = dyn Fn(bool) -> Result<HashSet<String>, LedgerError> + 'a;

impl Inner {
    fn tell(
        &mut self,
        vault: &Vault,
        log: &SharedLog,
        clock: &SharedClock,
        known: &Known<'_>,
    ) -> anyhow::Result<usize> {
        let runtime = tokio::runtime::Handle::try_current()?;
        let first_unsealed = vault.first_unsealed()?;
        let mut sealed = vault.sealed_volumes(self.told.below)?;
        sealed.retain(|volume| !self.told.beyond.contains(&volume.number));
        if !sealed.is_empty() && self.logged.is_none() {
            self.logged = Some(known(!self.kept)?);
        }
        let mut made = 0;
        for together in sealed.chunks(TOGETHER) {
            let logged = |volume: &&SealedVolume| {
                self.logged.as_ref().is_some_and(|logged| logged.contains(&hex(&volume.uuid)))
            };
            let (there, new): (Vec<_>, Vec<_>) = together.iter().partition(logged);
            self.told.beyond.extend(there.iter().map(|volume| volume.number));
            let entries = new.iter().map(|volume| log.append(entry(volume, clock)));
            for (volume, receipt) in new.iter().zip(runtime.block_on(join_all(entries))) {
                match receipt {
                    Ok(_) => {
                        made += 1;
                        self.told.beyond.insert(volume.number);
                    }
                    // It may be durable late: the next time asks the log first.
                    Err(error) => {
                        tracing::warn!(volume = volume.number, %error, "the root of a volume could not be logged; it is tried again");
                        self.logged = None;
                    }
                }
            }
        }
        let untold =
            sealed.iter().map(|volume| volume.number).find(|number| !self.told.beyond.contains(number));
        self.told.advance(first_unsealed.into_iter().chain(untold).min());
        Ok(made)
    }
}

impl Told {
    /// Below the first volume that is not sealed, or not told, nothing new is sealed any more.
    fn advance(&mut self, first_open: Option<u64>) {
        let newest = self.beyond.last().copied().unwrap_or(self.below);
        let edge = first_open.map_or(newest, |number| number.saturating_sub(1).min(newest));
        self.below = self.below.max(edge);
        self.beyond = self.beyond.split_off(&(self.below + 1));
    }
}

fn entry(volume: &SealedVolume, clock: &SharedClock) -> Entry {
    let mut entry = Entry::new(clock.now(), Operation::Collect, SEALED);
    entry.object = Some(Object::thing("volume", hex(&volume.uuid)));
    entry.data = Some(serde_json::json!({
        "number": volume.number, "root": hex(&volume.root), "bytes": volume.bytes.to_string(),
        "retention_class": volume.retention_class,
    }));
    entry
}

#[cfg(test)]
mod tests;
