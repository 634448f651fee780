//! Beginning the log anew after a loss, as the police granted it (decision 15). Three steps, two machines:
//!
//! 1. on the host, with the new `origin` in the configuration: `rtrd --config FILE epoch prepare` makes the new log's key;
//! 2. at the police: `rtr-witness epoch` signs the grant for that key;
//! 3. on the host: `rtrd --config FILE epoch begin --grant FILE` puts the old log aside, unchanged, and starts the new one
//!    with the grant as its first entry, then what the old one still owed (ends of looks that could not be logged any more)
//!    and the register's head.
//!
//! The third step may be cut short at any instant and given again with the same grant; until it is done the daemon does not
//! start.

use crate::journal::RECORD;
use anyhow::{Context as _, Result, bail, ensure};
use chrono::Utc;
use ledger::{
    Entry, Ledger, LedgerConfig, Operation, Owed, WitnessKey,
    epoch::{ACTION, Grant},
    note::LogKey,
};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use settings::Settings;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Makes the new log's key beside the old one and prints its public half.
///
/// # Errors
/// When the origin is still the old one, or the key cannot be written.
pub fn prepare(settings: &Settings) -> Result<()> {
    let data = &settings.daemon.data;
    let old = fs::read_to_string(data.join("ledger.vkey")).unwrap_or_default();
    ensure!(
        !old.starts_with(&format!("{}+", settings.daemon.origin)),
        "give the new log another `origin` in the configuration first: two histories under one name are a fork"
    );
    let key = LogKey::load_or_create(&data.join("ledger-next.key"), &settings.daemon.origin)?;
    fs::write(data.join("ledger-next.vkey"), format!("{}\n", key.vkey()))?;
    println!("{}", key.vkey());
    Ok(())
}

/// Puts the old log aside and begins the new one.
///
/// # Errors
/// When no configured witness signed the grant, when it is about other logs, or when a file cannot be moved or written.
pub async fn begin(settings: &Settings, grant: &Path) -> Result<()> {
    let data = &settings.daemon.data;
    let note = fs::read_to_string(grant).with_context(|| grant.display().to_string())?;
    let witnesses = settings
        .daemon
        .witnesses
        .iter()
        .map(|vkey| WitnessKey::parse(vkey))
        .collect::<Result<Vec<_>, _>>()?;
    let (granted, at) = Grant::read(&note, &witnesses).context("no configured witness signed this grant")?;
    let aside = Aside::of(data, granted.size);
    let next = aside.at("ledger-next.key");
    let key = match (next.exists(), aside.begun()) {
        (true, _) => LogKey::load_or_create(&next, &settings.daemon.origin)?,
        // The key has its place already.
        (false, true) => LogKey::load_or_create(&aside.at("ledger.key"), &settings.daemon.origin)?,
        (false, false) => bail!("there is no prepared key: run `epoch prepare` first"),
    };
    ensure!(granted.new_log == key.vkey(), "the grant is for another new log than the one prepared here");
    ensure!(granted.old_log == aside.old_key(), "the grant is about another old log than the one here");
    let head = register_head(&data.join("journal.sqlite"))?;
    aside.put(usize::MAX)?;

    let owed = Owed::read(&aside.moved(""), &granted.old_log)
        .context("what the old log still owed cannot be read")?;
    let config =
        LedgerConfig::new(data.join("ledger"), data.join("ledger.key"), settings.daemon.origin.clone());
    let ledger = Ledger::open(config)?;
    if ledger.size() == 0 {
        let mut first = Entry::new(Utc::now(), Operation::Admin, ACTION);
        first.data = Some(serde_json::json!({ "grant": note, "granted": at.to_rfc3339() }));
        ledger.append(first).await?;
    }
    // The last of these entries is the head's: when it is there, all are.
    let restated = ledger.newest(RECORD)?.is_some();
    if !restated {
        // A process that dies before that entry says a few of them twice; none is lost.
        ledger.carry_over(&owed);
    }
    if let Some(head) = head.filter(|_| !restated) {
        // The journal goes on from this leaf, as it would from the one in the old log (decision 10).
        let mut entry = Entry::new(Utc::now(), Operation::Admin, RECORD);
        entry.data = Some(head);
        ledger.append(entry).await?;
    }
    ledger.health().wait_for(|health| health.spooled == 0).await?;
    let size = ledger.size();
    ledger.published().wait_for(|published| *published >= size).await?;
    aside.done()?;
    let (waited, open) = owed.len();
    println!("the log {} begins; the old one lies in ledger-until-{}", settings.daemon.origin, granted.size);
    println!("carried over: {waited} entries that waited, and the ends of {open} looks");
    Ok(())
}

/// Whether the third step was begun and not finished: then nobody but [`begin`] may open the log.
pub(crate) fn half_begun(data: &Path) -> bool {
    data.join(MARK).exists()
}

/// Stands in the data folder from the first change of a file to the last.
const MARK: &str = "ledger-epoch-begun";
/// The old log's files and what is put behind `ledger-until-SIZE`; the key text first, by which the rest is told.
const MOVED: [(&str, &str); 4] =
    [("ledger.vkey", ".vkey"), ("ledger", ""), ("ledger.key", ".key"), ("ledger.witnessed", ".witnessed")];

/// The old log's files on their way aside.
struct Aside {
    data: PathBuf,
    size: u64,
}

impl Aside {
    fn of(data: &Path, size: u64) -> Self {
        Self { data: data.to_owned(), size }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }

    fn moved(&self, suffix: &str) -> PathBuf {
        self.data.join(format!("ledger-until-{}{suffix}", self.size))
    }

    fn begun(&self) -> bool {
        half_begun(&self.data)
    }

    /// The old log's public key text, wherever it lies by now.
    fn old_key(&self) -> String {
        let moved = self.moved(".vkey");
        let path = if self.begun() && moved.exists() { moved } else { self.at("ledger.vkey") };
        fs::read_to_string(path).unwrap_or_default().trim().to_owned()
    }

    /// Moves what is not moved yet, at most `steps` renames (a test's way of dying in between).
    fn put(&self, steps: usize) -> Result<()> {
        if !self.begun() {
            for (_, suffix) in MOVED {
                let to = self.moved(suffix);
                ensure!(!to.exists(), "{} exists already", to.display());
            }
            fs::write(self.at(MARK), "`rtrd epoch begin` was begun: give it again, with the same grant\n")?;
            self.sync()?;
        }
        let old = MOVED.map(|(name, suffix)| (self.at(name), self.moved(suffix)));
        let fresh = [("ledger-next.key", "ledger.key"), ("ledger-next.vkey", "ledger.vkey")]
            .map(|(from, to)| (self.at(from), self.at(to)));
        // A file that has its new place has it from an earlier try; the old name may be the new log's by now.
        let pending = old.into_iter().chain(fresh).filter(|(from, to)| from.exists() && !to.exists());
        for (from, to) in pending.take(steps) {
            fs::rename(&from, &to).with_context(|| to.display().to_string())?;
        }
        self.sync()
    }

    fn done(&self) -> Result<()> {
        fs::remove_file(self.at(MARK))?;
        self.sync()
    }

    fn sync(&self) -> Result<()> {
        Ok(fs::File::open(&self.data)?.sync_all()?)
    }
}

/// What the journal's newest effective event is, in the words of its leaf.
fn register_head(journal: &Path) -> Result<Option<serde_json::Value>> {
    if !journal.exists() {
        return Ok(None);
    }
    let db = Connection::open_with_flags(journal, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let newest =
        "SELECT seq, hash, kind, version FROM events WHERE state = 'effective' ORDER BY seq DESC LIMIT 1";
    let head = db
        .query_row(newest, [], |row| {
            let (seq, hash): (i64, String) = (row.get(0)?, row.get(1)?);
            let (kind, version): (String, u32) = (row.get(2)?, row.get(3)?);
            Ok(serde_json::json!({ "journal": seq, "event": hash, "kind": kind, "version": version, "restated": true }))
        })
        .optional()?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_aside_goes_on_wherever_it_was_cut_short() {
        for died_after in 0..=6 {
            let folder = tempfile::tempdir().unwrap();
            let data = folder.path();
            let write = |name: &str, text: &str| fs::write(data.join(name), text).unwrap();
            fs::create_dir(data.join("ledger")).unwrap();
            write("ledger/sequence", "old");
            write("ledger.key", "old key");
            write("ledger.vkey", "old vkey\n");
            write("ledger.witnessed", "old note");
            write("ledger-next.key", "new key");
            write("ledger-next.vkey", "new vkey\n");
            let aside = Aside::of(data, 7);
            assert_eq!((aside.begun(), aside.old_key().as_str()), (false, "old vkey"));
            aside.put(died_after).unwrap();
            assert!(half_begun(data) && aside.old_key() == "old vkey", "after {died_after}");
            aside.put(usize::MAX).unwrap();
            // And once more, when the new log has begun in the old one's place.
            fs::create_dir(data.join("ledger")).unwrap();
            aside.put(usize::MAX).unwrap();
            aside.done().unwrap();
            let read = |name: &str| fs::read_to_string(data.join(name)).unwrap();
            assert_eq!(
                (read("ledger.key").as_str(), read("ledger.vkey").as_str()),
                ("new key", "new vkey\n")
            );
            assert_eq!(read("ledger-until-7/sequence"), "old");
            assert_eq!(
                (read("ledger-until-7.key").as_str(), read("ledger-until-7.witnessed").as_str()),
                ("old key", "old note")
            );
            assert!(!half_begun(data) && !data.join("ledger-next.key").exists());
            // The same size again is another epoch's.
            assert!(aside.put(usize::MAX).is_err());
        }
    }
}
