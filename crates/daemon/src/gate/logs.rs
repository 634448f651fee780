//! Which log a kept number belongs to. After a new epoch (`rtrd epoch begin`) the log counts from zero again, so the number of an
//! entry that another store keeps means something together with its log's name only.

use super::Gate;
use std::{collections::BTreeMap, fs, io, path::Path};

/// The logs that there were: the one that is written, and those from before a new epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logs {
    current: String,
    /// How many entries of each the police knew when the next one was granted.
    past: BTreeMap<String, u64>,
}

/// An entry, as other stores keep it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryOf {
    /// Its number in its log.
    pub seq: u64,
    /// The log's name; none was kept with older numbers, which count in the log that is written.
    pub log: Option<String>,
}

/// Whether the police's witness has seen an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It has, or none is asked for.
    Yes,
    /// Not yet.
    NotYet,
    /// Its log was lost before.
    Never,
}

impl Logs {
    /// Those whose public keys lie in the daemon's data folder, beside the one whose key text this is.
    ///
    /// # Errors
    /// When the folder or a key text cannot be read.
    pub fn read(data: &Path, vkey: &str) -> io::Result<Self> {
        let mut past = BTreeMap::new();
        for file in fs::read_dir(data)? {
            let file = file?;
            let name = file.file_name().to_string_lossy().into_owned();
            let size = name.strip_prefix("ledger-until-").and_then(|name| name.strip_suffix(".vkey"));
            if let Some(size) = size.and_then(|size| size.parse().ok()) {
                past.insert(name_of(&fs::read_to_string(file.path())?), size);
            }
        }
        Ok(Self { current: name_of(vkey), past })
    }
}

/// A log's origin and the hash of its key, of the text `origin+hash+key`.
fn name_of(vkey: &str) -> String {
    let parts: Vec<&str> = vkey.trim().splitn(3, '+').take(2).collect();
    parts.join("+")
}

impl Gate {
    /// Says once which logs there were, before any kept number is asked about.
    pub fn know_logs(&self, logs: Logs) {
        // Said twice, the first stands.
        self.0.logs.get_or_init(|| logs);
    }

    /// An entry of the log that is written, for another store to keep.
    pub fn entry_of(&self, seq: u64) -> EntryOf {
        EntryOf { seq, log: self.0.logs.get().map(|logs| logs.current.clone()) }
    }

    /// Whether the police's witness has seen an entry that another store kept (`decisions.md` 15). Of a log from before a new
    /// epoch it has seen what the police knew when they granted that.
    pub fn seen(&self, entry: &EntryOf) -> Seen {
        if !self.requires_witness() {
            return Seen::Yes;
        }
        let logs = self.0.logs.get();
        match (&entry.log, logs) {
            (Some(log), Some(logs)) if *log != logs.current => {
                let known = logs.past.get(log).is_some_and(|size| entry.seq < *size);
                if known { Seen::Yes } else { Seen::Never }
            }
            _ if self.is_witnessed(entry.seq) => Seen::Yes,
            _ => Seen::NotYet,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn former_logs_are_known_by_the_key_texts_that_lie_beside() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("ledger.vkey", "room/2+bbbb+Akey+with/plus\n");
        write("ledger-until-7.vkey", "room/1+aaaa+Akey\n");
        write("ledger-until-7.witnessed", "a note");
        fs::create_dir(folder.path().join("ledger-until-7")).unwrap();
        let logs = Logs::read(folder.path(), "room/2+bbbb+Akey+with/plus\n").unwrap();
        assert_eq!(logs.current, "room/2+bbbb");
        assert_eq!(logs.past, BTreeMap::from([("room/1+aaaa".to_owned(), 7)]));
    }
}
