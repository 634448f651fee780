//! What this workstation knows of the log without trusting the host: the newest state of it that the police's witness
//! cosigned, checked with keys that were brought here by hand, and the receipts of the looks on this wall.
//!
//! A receipt is the entry of one look with its proof (C2SP tlog-proof). Kept receipts show years later that an entry
//! stood in the log, or that it was taken out; `rtrctl ledger proof` reads them. Not checked here: that each cosigned
//! state extends the one before, which is what the witness signs for.

use chrono::{DateTime, Utc};
use ledger::{InclusionProof, KeptProof, LedgerError, WitnessKey, note::Checkpoint};
use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The keys that were brought here by hand.
#[derive(Clone, Debug)]
pub struct Pinned {
    log: String,
    witness: WitnessKey,
}

impl Pinned {
    /// From two public keys in C2SP vkey form, as `rtrctl ledger vkeys` prints them.
    ///
    /// # Errors
    /// When one is no such key.
    pub fn new(log: &str, witness: &str) -> Result<Self, LedgerError> {
        Ok(Self { log: log.trim().to_owned(), witness: WitnessKey::parse(witness.trim())? })
    }
}

/// What does not fit together. The host's fault or worse: the police must hear of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The checkpoint is not what the pinned keys sign.
    #[error("the checkpoint does not carry the signatures of log and witness: {0}")]
    Signature(String),
    /// The log is shorter than it was.
    #[error("the log had {before} entries and now has {now}")]
    Shrunk {
        /// Entries of the older state.
        before: u64,
        /// Entries now.
        now: u64,
    },
    /// Two logs of the same length.
    #[error("two different logs of {0} entries")]
    Forked(u64),
    /// A receipt does not prove its entry.
    #[error("the receipt of entry {0} does not prove it")]
    Receipt(u64),
}

/// When a newer cosignature was heard of, by this workstation's own clock: the daemon's is the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// When it came.
    pub by: Instant,
    /// How old it was by then.
    pub late: Duration,
}

impl Heard {
    /// How old it is now.
    pub fn age(&self, now: Instant) -> Duration {
        self.late + now.saturating_duration_since(self.by)
    }
}

/// What the window shows of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witnessed {
    /// Whether keys are pinned, so that the rest is this workstation's own finding.
    pub checked: bool,
    /// The newest cosignature that held (UTC, by the witness's clock).
    pub at: Option<DateTime<Utc>>,
    /// When that was heard of here.
    pub heard: Option<Heard>,
    /// How many entries it covers.
    pub entries: u64,
    /// Receipts kept since the start.
    pub receipts: u64,
    /// The first thing that did not fit, until the console is started again.
    pub mismatch: Option<Mismatch>,
}

/// Checks and keeps.
#[derive(Debug)]
pub struct Receipts {
    pinned: Option<Pinned>,
    folder: Option<PathBuf>,
    newest: Option<Checkpoint>,
    known: Witnessed,
}

impl Receipts {
    /// With keys, everything is checked; with a folder too, receipts are kept in it, one file a day (UTC).
    pub fn new(pinned: Option<Pinned>, folder: Option<PathBuf>) -> Self {
        let known = Witnessed { checked: pinned.is_some(), ..Witnessed::default() };
        Self { pinned, folder, newest: None, known }
    }

    /// What is known now.
    pub fn known(&self) -> &Witnessed {
        &self.known
    }

    /// A newer state of the log, as the daemon tells it at this instant of the workstation's own clock.
    pub fn checkpoint(&mut self, note: &str, now: DateTime<Utc>) {
        let Some(pinned) = &self.pinned else { return };
        match check(pinned, note, self.newest.as_ref()) {
            Ok((checkpoint, at)) => {
                // The same cosignature again, or an older one, is no sign of life.
                if self.known.at.is_none_or(|known| at > known) {
                    self.known.at = Some(at);
                    let late = (now - at).to_std().unwrap_or_default();
                    self.known.heard = Some(Heard { by: Instant::now(), late });
                }
                self.known.entries = checkpoint.size;
                self.newest = Some(checkpoint);
            }
            Err(mismatch) => self.wrong(mismatch),
        }
    }

    /// The receipt of a look, to be checked and kept.
    pub fn receipt(&mut self, entry: u64, proof: &str, now: DateTime<Utc>) {
        let Some(pinned) = &self.pinned else { return };
        match proves(pinned, entry, proof) {
            Ok(()) => {
                self.known.receipts += 1;
                if let Some(folder) = &self.folder
                    && let Err(error) = keep(folder, entry, proof, now)
                {
                    tracing::error!(%error, folder = %folder.display(), "a receipt could not be kept");
                }
            }
            Err(mismatch) => self.wrong(mismatch),
        }
    }

    fn wrong(&mut self, mismatch: Mismatch) {
        tracing::error!(%mismatch, "the log is not what the police's witness saw");
        self.known.mismatch.get_or_insert(mismatch);
    }
}

fn check(
    pinned: &Pinned,
    note: &str,
    before: Option<&Checkpoint>,
) -> Result<(Checkpoint, DateTime<Utc>), Mismatch> {
    let checkpoint = Checkpoint::read(note, &pinned.log).map_err(|e| Mismatch::Signature(e.to_string()))?;
    let unsigned = || Mismatch::Signature(format!("no cosignature of {}", pinned.witness.name()));
    let at = pinned.witness.cosigned_at(note).ok_or_else(unsigned)?;
    if let Some(before) = before {
        if checkpoint.size < before.size {
            return Err(Mismatch::Shrunk { before: before.size, now: checkpoint.size });
        }
        if checkpoint.size == before.size && checkpoint.root != before.root {
            return Err(Mismatch::Forked(checkpoint.size));
        }
    }
    Ok((checkpoint, at))
}

fn proves(pinned: &Pinned, entry: u64, proof: &str) -> Result<(), Mismatch> {
    let kept = KeptProof::parse(proof).ok_or(Mismatch::Receipt(entry))?;
    let (checkpoint, _) = check(pinned, &kept.checkpoint, None)?;
    let leaf = kept.extra.ok_or(Mismatch::Receipt(entry))?;
    let path =
        InclusionProof { seq: kept.seq, size: checkpoint.size, root: checkpoint.root, hashes: kept.hashes };
    if kept.seq == entry && path.holds_for(&leaf) { Ok(()) } else { Err(Mismatch::Receipt(entry)) }
}

/// Appends to the day's file: one JSON object a line, `entry` and `proof` (the text of a `tlog-proof@v1` file).
fn keep(folder: &Path, entry: u64, proof: &str, now: DateTime<Utc>) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let path = folder.join(now.format("%Y-%m-%d.jsonl").to_string());
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let line = serde_json::json!({ "entry": entry, "proof": proof });
    // One write, so that two consoles on one account never mix their lines.
    file.write_all(format!("{line}\n").as_bytes())
}

/// Where receipts are kept unless another folder is named: `rtr/receipts` in the XDG state folder.
pub fn default_folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")))?;
    Some(state.join("rtr/receipts"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use ledger::{LogKey, note::CosignerKey, tree::Tree};

    const LEAVES: [&[u8]; 3] = [b"zero", b"one", b"two"];

    struct Desk {
        log: LogKey,
        police: CosignerKey,
        folder: tempfile::TempDir,
        tree: Tree,
    }

    fn desk() -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let log = LogKey::load_or_create(&folder.path().join("log.key"), "rtr.example/test").unwrap();
        let police =
            CosignerKey::load_or_create(&folder.path().join("witness.key"), "politie.example/test").unwrap();
        let mut tree = Tree::new();
        for leaf in LEAVES {
            tree.push(ledger::tree::leaf_hash(leaf));
        }
        Desk { log, police, folder, tree }
    }

    impl Desk {
        fn receipts(&self) -> Receipts {
            let pinned = Pinned::new(&self.log.vkey(), &self.police.vkey()).unwrap();
            Receipts::new(Some(pinned), Some(self.folder.path().join("receipts")))
        }

        fn cosigned(&self, size: u64, root: [u8; 32]) -> String {
            let note = self.log.sign(size, root).unwrap();
            let text = Checkpoint::read(&note, &self.log.vkey()).unwrap().text;
            note + &self.police.cosign(&text, at()).unwrap()
        }
    }

    fn at() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_000_000, 0).unwrap()
    }

    #[test]
    fn a_receipt_that_proves_its_entry_is_kept() {
        let desk = desk();
        let note = desk.cosigned(3, desk.tree.root());
        let mut receipts = desk.receipts();
        receipts.checkpoint(&note, at() + TimeDelta::seconds(40));
        assert_eq!((receipts.known().at, receipts.known().entries), (Some(at()), 3));
        // Its age is counted from the witness's own time, and the same one later does not make it young again.
        let heard = receipts.known().heard.unwrap();
        assert_eq!(heard.late, Duration::from_secs(40));
        receipts.checkpoint(&note, at() + TimeDelta::hours(2));
        assert_eq!(receipts.known().heard, Some(heard));
        assert!(heard.age(heard.by + Duration::from_mins(5)) == Duration::from_secs(340));
        let proof = desk.tree.inclusion(1, 3).unwrap().to_text_with(LEAVES[1], &note);
        receipts.receipt(1, &proof, at());
        assert_eq!((receipts.known().receipts, &receipts.known().mismatch), (1, &None));
        let kept = fs::read_to_string(desk.folder.path().join("receipts/2026-11-18.jsonl")).unwrap();
        let line: serde_json::Value = serde_json::from_str(kept.trim()).unwrap();
        assert_eq!((line["entry"].as_u64(), line["proof"].as_str()), (Some(1), Some(proof.as_str())));

        // Another entry in its place is found out, and not kept.
        let other = desk.tree.inclusion(1, 3).unwrap().to_text_with(b"other", &note);
        receipts.receipt(1, &other, at());
        assert_eq!(receipts.known().mismatch, Some(Mismatch::Receipt(1)));
        assert_eq!(receipts.known().receipts, 1);
    }

    #[test]
    fn a_log_that_shrinks_or_forks_or_is_not_cosigned_is_told() {
        let desk = desk();
        let told = |notes: &[String]| {
            let mut receipts = desk.receipts();
            for note in notes {
                receipts.checkpoint(note, at());
            }
            receipts.known().mismatch.clone()
        };
        let three = desk.cosigned(3, desk.tree.root());
        assert_eq!(told(&[desk.cosigned(2, [1; 32]), three.clone()]), None);
        let shrunk = told(&[three.clone(), desk.cosigned(2, [1; 32])]);
        assert_eq!(shrunk, Some(Mismatch::Shrunk { before: 3, now: 2 }));
        assert_eq!(told(&[three, desk.cosigned(3, [1; 32])]), Some(Mismatch::Forked(3)));
        let alone = desk.log.sign(3, desk.tree.root()).unwrap();
        assert!(matches!(told(&[alone]), Some(Mismatch::Signature(_))));
    }
}
