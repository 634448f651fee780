//! Logs from before a new epoch (decision 15). They lie beside the current one as they were put aside (`ledger-until-N`), are
//! read and verified there, and end with their term as entries do: whole, once the newest of their entries is past it. What is
//! left of them is the grant in the first entry of the log that follows, with their size and root, and their public key.

use crate::{
    Ledger, LedgerError,
    entry::{Entry, Operation},
    index::Filter,
};
use chrono::{DateTime, Utc};
use serde_json::json;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What announces that one goes.
const ACTION: &str = "ledger.epoch_purge";
/// More former logs than this there are not.
const MOST: usize = 1000;

/// How far the end of a former log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Former {
    /// It is announced in entry `seq`; a witness has yet to see that.
    Announced {
        /// The announcement.
        seq: u64,
    },
    /// It is gone.
    Destroyed,
}

impl Ledger {
    /// Takes the next step towards destroying each former log whose newest entry is older than `cutoff`: announced in an entry,
    /// and destroyed once a witness has seen that. With the last of them go the months' keys that only they needed. Returns the
    /// folders about which something was done.
    ///
    /// # Errors
    /// When an entry cannot be written or a file cannot be destroyed; the next call goes on from there.
    pub async fn purge_former(
        &self,
        cutoff: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Vec<(PathBuf, Former)>, LedgerError> {
        let mut steps = Vec::new();
        for dir in self.former()? {
            let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let (own, asked) = (self.clone(), name.clone());
            let announced = blocking(move || own.announced(&asked)).await?;
            let step = match announced {
                None if !ended_before(&dir, cutoff)? => continue,
                None => {
                    let mut entry = Entry::new(now, Operation::Destroy, ACTION);
                    entry.data = Some(json!({ "folder": name, "before": crate::privacy::instant(cutoff) }));
                    let seq = self.append(entry).await?.seq;
                    Former::Announced { seq }
                }
                Some(seq) if self.health().borrow().witnessed_entries <= seq => Former::Announced { seq },
                Some(_) => {
                    let (own, gone) = (self.clone(), dir.clone());
                    blocking(move || own.destroy_former(&gone)).await?;
                    Former::Destroyed
                }
            };
            steps.push((dir, step));
        }
        Ok(steps)
    }

    /// The folders of the former logs.
    fn former(&self) -> Result<Vec<PathBuf>, LedgerError> {
        let (Some(parent), Some(name)) = (self.dir().parent(), self.dir().file_name()) else {
            return Ok(Vec::new());
        };
        let beginning = format!("{}-until-", name.to_string_lossy());
        let entries = fs::read_dir(parent).map_err(LedgerError::io(parent))?;
        let is_former = |path: &PathBuf| {
            path.is_dir()
                && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&beginning))
        };
        let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_former).collect();
        found.sort();
        Ok(found)
    }

    /// The entry that announced the end of this one.
    fn announced(&self, folder: &str) -> Result<Option<u64>, LedgerError> {
        let filter = Filter { action: Some(ACTION.to_owned()), limit: MOST, ..Filter::default() };
        let entries = self.query(&filter)?;
        Ok(entries.into_iter().find(|(_, leaf)| leaf["data"]["folder"] == folder).map(|(seq, _)| seq))
    }

    fn destroy_former(&self, dir: &Path) -> Result<(), LedgerError> {
        let gone = |outcome: io::Result<()>, path: &Path| match outcome {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(LedgerError::io(path)(e)),
            _ => Ok(()),
        };
        // The key first: nothing is signed with it any more, and the folder is what makes the next call come back.
        let mut key = dir.as_os_str().to_owned();
        key.push(".key");
        gone(fs::remove_file(&key), Path::new(&key))?;
        gone(fs::remove_dir_all(dir), dir)?;
        if self.former()?.is_empty() {
            crate::purge::destroy_months(self.shared())?;
        }
        Ok(())
    }
}

/// Whether all entries are older: nothing was written to the log since. A copy that was put back counts from then, which keeps
/// it longer and never shorter.
fn ended_before(dir: &Path, cutoff: DateTime<Utc>) -> Result<bool, LedgerError> {
    let path = dir.join("sequence");
    match fs::metadata(&path).and_then(|meta| meta.modified()) {
        Ok(written) => Ok(DateTime::<Utc>::from(written) < cutoff),
        // Without it there is no log in the folder.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(LedgerError::io(path)(e)),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, LedgerError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| LedgerError::Closed)?
}
