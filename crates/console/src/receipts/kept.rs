//! What this workstation keeps of the log from one run to the next, beside its receipts: the newest state of it that held, so that a
//! log that was put back meanwhile is found out, and which looks have no receipt yet, because their socket closed before the
//! witness had signed.
//!
//! Both are written by replacing a small file, without waiting for the disk: pictures are read on the same thread. What a power cut
//! takes of them weakens a later check and raises no false alarm. They are named after the log's key: another log is another file.

use super::Look;
use chrono::{DateTime, Utc};
use ledger::{LedgerError, note::Checkpoint};
use mandate::PersonId;
use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// Looks of one person that wait for a receipt; at sixteen looks a minute this is eight hours without a witness.
pub(super) const MOST_WAITING: usize = 8192;

/// The looks that wait, by person and entry: the daemon gives a receipt only to whoever looked.
pub(super) type Waiting = BTreeMap<PersonId, BTreeMap<u64, Look>>;

/// The two files, and the days' files of receipts, in one folder.
#[derive(Debug)]
pub(super) struct Shelf {
    folder: PathBuf,
    /// The log key's own number, as it stands in its vkey.
    key: String,
}

impl Shelf {
    pub(super) fn new(folder: PathBuf, log: &str) -> Self {
        let number = log.split('+').nth(1).unwrap_or_default();
        let key = number.chars().filter(char::is_ascii_alphanumeric).collect();
        Self { folder, key }
    }

    fn newest_path(&self) -> PathBuf {
        self.folder.join(format!("newest-{}.checkpoint", self.key))
    }

    fn waiting_path(&self) -> PathBuf {
        self.folder.join(format!("waiting-{}.json", self.key))
    }

    /// The newest state that held in an earlier run, if `read` still accepts it.
    pub(super) fn newest(
        &self,
        read: impl Fn(&str) -> Result<Checkpoint, LedgerError>,
    ) -> Option<Checkpoint> {
        let path = self.newest_path();
        let note = there(&path)?;
        read(&note)
            .inspect_err(|error| {
                tracing::error!(%error, path = %path.display(), "the newest state of the log that was kept here cannot be read");
            })
            .ok()
    }

    pub(super) fn keep_newest(&self, checkpoint: &Checkpoint) {
        self.told(
            self.replace(&self.newest_path(), checkpoint.note.as_bytes()),
            "the newest state of the log",
        );
    }

    pub(super) fn waiting(&self) -> Waiting {
        let path = self.waiting_path();
        let Some(text) = there(&path) else { return Waiting::new() };
        serde_json::from_str(&text).unwrap_or_else(|error| {
            tracing::error!(%error, path = %path.display(), "which looks have no receipt yet cannot be read");
            Waiting::new()
        })
    }

    pub(super) fn keep_waiting(&self, waiting: &Waiting) {
        let kept = serde_json::to_vec(waiting).map_err(io::Error::other);
        self.told(
            kept.and_then(|bytes| self.replace(&self.waiting_path(), &bytes)),
            "which looks have no receipt yet",
        );
    }

    /// Appends to the day's file: one JSON object a line, `entry` and `proof` (the text of a `tlog-proof@v1` file).
    pub(super) fn keep_receipt(&self, entry: u64, proof: &str, now: DateTime<Utc>) {
        let append = || {
            self.make_folder()?;
            let path = self.folder.join(now.format("%Y-%m-%d.jsonl").to_string());
            let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
            let line = serde_json::json!({ "entry": entry, "proof": proof });
            // One write, so that two consoles on one account never mix their lines.
            file.write_all(format!("{line}\n").as_bytes())
        };
        self.told(append(), "a receipt");
    }

    fn make_folder(&self) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.make_folder()?;
        // Two consoles on one account write different files, and the last one stands.
        let fresh = path.with_extension(format!("{}.new", std::process::id()));
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(bytes)?;
        fs::rename(&fresh, path)
    }

    fn told(&self, kept: io::Result<()>, what: &str) {
        if let Err(error) = kept {
            tracing::error!(%error, folder = %self.folder.display(), "{what} could not be kept");
        }
    }
}

/// The text of a file, if it is there.
fn there(path: &Path) -> Option<String> {
    match fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            tracing::error!(%error, path = %path.display(), "what was kept of the log cannot be read");
            None
        }
    }
}

/// A look of this person waits for its receipt. Of too many the oldest is given up: its entry stands in the log all the same.
pub(super) fn wait(waiting: &mut Waiting, person: &PersonId, entry: u64, look: Look) {
    let of_person = waiting.entry(person.clone()).or_default();
    of_person.insert(entry, look);
    if of_person.len() > MOST_WAITING {
        of_person.pop_first();
    }
}
