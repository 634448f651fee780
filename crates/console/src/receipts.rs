//! What this workstation knows of the log without trusting the host: the newest state of it that the police's witness
//! cosigned, checked with keys that were brought here by hand, and the receipts of the looks on this wall.
//!
//! A receipt is the entry of one look with its proof (C2SP tlog-proof). Kept receipts show years later that an entry
//! stood in the log, or that it was taken out; `rtrctl ledger proof` reads them. Each entry must be of the look that was asked for
//! here, and no two looks may share one: a host could tell any number for pictures that it shows unlogged. Not checked here: that each cosigned
//! state extends the one before, which is what the witness signs for.
//!
//! The newest state that held and the looks without a receipt are kept from one run to the next: a log that was put back while this
//! workstation was off is found out, and the last looks of a shift get their receipts at their person's next log-in.

mod collect;
mod kept;
mod look;

pub use collect::collect;
pub use look::Look;

use chrono::{DateTime, TimeDelta, Utc};
use kept::{Shelf, Waiting};
use ledger::{InclusionProof, KeptProof, LedgerError, WitnessKey, note::Checkpoint};
use mandate::PersonId;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::{Duration, Instant},
};

/// How far the witness's clock may be ahead of this workstation's.
const CLOCK_AHEAD: TimeDelta = TimeDelta::minutes(2);

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
    /// The witness signed a log that covers a look of this workstation, and the daemon gives no receipt of it.
    #[error("the log has no receipt of entry {0}, which was told to be a look of this workstation")]
    Withheld(u64),
    /// The entry stands in the log and is not of the look for which its number was told.
    #[error("entry {0} was told to be a look of this workstation, and says something else")]
    OtherLook(u64),
    /// One number for two looks.
    #[error("entry {0} was told to be two looks of this workstation")]
    Reused(u64),
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
    shelf: Option<Shelf>,
    newest: Option<Checkpoint>,
    /// Looks without a receipt, of this run and of those before.
    waiting: Waiting,
    /// The newest numbers that were told for looks, with or without a receipt.
    told: BTreeSet<u64>,
    /// Those of the waiting that the daemon refused to give: asked for again at the next log-in.
    refused: BTreeSet<u64>,
    known: Witnessed,
}

impl Receipts {
    /// With keys, everything is checked; with a folder too, receipts are kept in it, one file a day (UTC), and what was checked
    /// in earlier runs counts.
    pub fn new(pinned: Option<Pinned>, folder: Option<PathBuf>) -> Self {
        let known = Witnessed { checked: pinned.is_some(), ..Witnessed::default() };
        let shelf = pinned.as_ref().zip(folder).map(|(pinned, folder)| Shelf::new(folder, &pinned.log));
        let newest = shelf.as_ref().zip(pinned.as_ref()).and_then(|(shelf, pinned)| {
            // Only what held once was kept; the witness's key may be another since.
            shelf.newest(|note| Checkpoint::read(note, &pinned.log))
        });
        let waiting = shelf.as_ref().map(Shelf::waiting).unwrap_or_default();
        let told = waiting.values().flat_map(BTreeMap::keys).copied().collect();
        Self { pinned, shelf, newest, waiting, told, refused: BTreeSet::new(), known }
    }

    /// What is known now.
    pub fn known(&self) -> &Witnessed {
        &self.known
    }

    /// A newer state of the log, as the daemon tells it at this instant of the workstation's own clock.
    pub fn checkpoint(&mut self, note: &str, now: DateTime<Utc>) {
        let Some(pinned) = &self.pinned else { return };
        match check(pinned, note, self.newest.as_ref()) {
            // Another witness was faster: no news for who goes by this one.
            Ok((_, None)) => {}
            Ok((checkpoint, Some(at))) => {
                // The same cosignature again, or an older one, is no sign of life; nor is one from the future, which would outlive
                // those that are true.
                if at - now > CLOCK_AHEAD {
                    tracing::error!(%at, %now, "the witness's clock is ahead of this workstation's");
                } else if self.known.at.is_none_or(|known| at > known) {
                    self.known.at = Some(at);
                    let late = (now - at).to_std().unwrap_or_default();
                    self.known.heard = Some(Heard { by: Instant::now(), late });
                }
                self.known.entries = checkpoint.size;
                if self.newest.as_ref().is_none_or(|newest| newest.size < checkpoint.size)
                    && let Some(shelf) = &self.shelf
                {
                    shelf.keep_newest(&checkpoint);
                }
                self.newest = Some(checkpoint);
            }
            Err(mismatch) => self.wrong(mismatch),
        }
    }

    /// The receipt of a look, to be checked and kept.
    pub fn receipt(&mut self, entry: u64, proof: &str, now: DateTime<Utc>) {
        let Some(pinned) = &self.pinned else { return };
        let look = self.waiting.values().find_map(|of_person| of_person.get(&entry));
        match proves(pinned, entry, proof, look) {
            Ok(false) => {}
            Ok(true) => {
                self.known.receipts += 1;
                if let Some(shelf) = &self.shelf {
                    shelf.keep_receipt(entry, proof, now);
                }
                self.received(entry);
            }
            Err(mismatch) => {
                // Not asked for again and again; it waits on for the next log-in.
                self.refused.insert(entry);
                self.wrong(mismatch);
            }
        }
    }

    /// A look of this person began: a receipt of its entry is owed.
    pub fn began(&mut self, person: &PersonId, entry: u64, look: Look) {
        if self.pinned.is_none() {
            return;
        }
        if !self.told.insert(entry) {
            self.wrong(Mismatch::Reused(entry));
            return;
        }
        // An older number for another look is found out by its entry's time.
        if self.told.len() > kept::MOST_WAITING {
            self.told.pop_first();
        }
        kept::wait(&mut self.waiting, person, entry, look);
        self.keep_waiting();
    }

    /// This person logged in: what was refused is asked for once more.
    pub fn logged_in(&mut self) {
        self.refused.clear();
    }

    /// The entries of this person's looks that the newest cosigned state covers and that have no receipt, without those that
    /// the open socket still brings.
    pub fn overdue(&self, person: &PersonId, underway: &BTreeSet<u64>) -> Vec<u64> {
        let Some(waiting) = self.waiting.get(person) else { return Vec::new() };
        let covered = waiting.range(..self.known.entries).map(|(entry, _)| entry);
        covered.filter(|entry| !underway.contains(entry) && !self.refused.contains(entry)).copied().collect()
    }

    fn received(&mut self, entry: u64) {
        let mut waited = false;
        for of_person in self.waiting.values_mut() {
            waited |= of_person.remove(&entry).is_some();
        }
        if waited {
            self.waiting.retain(|_, of_person| !of_person.is_empty());
            self.keep_waiting();
        }
    }

    fn keep_waiting(&self) {
        if let Some(shelf) = &self.shelf {
            shelf.keep_waiting(&self.waiting);
        }
    }

    fn wrong(&mut self, mismatch: Mismatch) {
        tracing::error!(%mismatch, "the log is not what the police's witness saw");
        self.known.mismatch.get_or_insert(mismatch);
    }
}

/// A state of the log and when the pinned witness cosigned it, if it did.
fn check(
    pinned: &Pinned,
    note: &str,
    before: Option<&Checkpoint>,
) -> Result<(Checkpoint, Option<DateTime<Utc>>), Mismatch> {
    let checkpoint = Checkpoint::read(note, &pinned.log).map_err(|e| Mismatch::Signature(e.to_string()))?;
    let at = pinned.witness.cosigned_at(note);
    if let Some(before) = before {
        if at.is_some() && checkpoint.size < before.size {
            return Err(Mismatch::Shrunk { before: before.size, now: checkpoint.size });
        }
        if checkpoint.size == before.size && checkpoint.root != before.root {
            return Err(Mismatch::Forked(checkpoint.size));
        }
    }
    Ok((checkpoint, at))
}

/// Whether a receipt proves its entry, and the entry is that of its look, as far as that is still known. False where all is well but
/// the pinned witness has not cosigned: the receipt is waited for.
fn proves(pinned: &Pinned, entry: u64, proof: &str, look: Option<&Look>) -> Result<bool, Mismatch> {
    let kept = KeptProof::parse(proof).ok_or(Mismatch::Receipt(entry))?;
    let (checkpoint, at) = check(pinned, &kept.checkpoint, None)?;
    let leaf = kept.extra.ok_or(Mismatch::Receipt(entry))?;
    let path =
        InclusionProof { seq: kept.seq, size: checkpoint.size, root: checkpoint.root, hashes: kept.hashes };
    if kept.seq != entry || !path.holds_for(&leaf) {
        return Err(Mismatch::Receipt(entry));
    }
    if look.is_some_and(|look| !look.is_entered(&leaf)) {
        return Err(Mismatch::OtherLook(entry));
    }
    Ok(at.is_some())
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
    use ledger::{LogKey, note::CosignerKey, tree::Tree};
    use mandate::CameraId;
    use protocol::{
        api::{Problem, Sentence, StreamRole},
        client::ClientError,
        socket::ClientMessage,
    };
    use std::{cell::RefCell, fs};

    /// Three looks at one camera, a second apart.
    const LEAVES: [&[u8]; 3] = [
        br#"{"action":"live_view.start","at":"2026-11-18T11:06:40.000Z","object":{"camera":"markt-01"}}"#,
        br#"{"action":"live_view.start","at":"2026-11-18T11:06:41.000Z","object":{"camera":"markt-01"}}"#,
        br#"{"action":"live_view.start","at":"2026-11-18T11:06:42.000Z","object":{"camera":"markt-01"}}"#,
    ];

    fn look(camera: &str, at: DateTime<Utc>) -> Look {
        let watch = ClientMessage::Watch {
            subscription: 1,
            camera: CameraId::new(camera),
            stream: StreamRole::Main,
            incident: None,
            display: None,
            key_frames_only: false,
        };
        Look::asked(&watch, at).unwrap().1
    }

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
    fn a_true_entry_that_is_not_of_the_look_it_was_told_for_is_found_out() {
        let desk = desk();
        let anna = PersonId::new("anna");
        let note = desk.cosigned(3, desk.tree.root());
        let proof = desk.tree.inclusion(1, 3).unwrap().to_text_with(LEAVES[1], &note);
        let told = |look: Look| {
            let mut receipts = desk.receipts();
            receipts.began(&anna, 1, look);
            receipts.receipt(1, &proof, at());
            // Another run must not find what this one waits for.
            fs::remove_dir_all(desk.folder.path().join("receipts")).unwrap();
            (receipts.known().receipts, receipts.known().mismatch.clone())
        };
        assert_eq!(told(look("markt-01", at())), (1, None));
        assert_eq!(told(look("markt-02", at())), (0, Some(Mismatch::OtherLook(1))));
        let hours_later = look("markt-01", at() + TimeDelta::hours(3));
        assert_eq!(told(hours_later.clone()), (0, Some(Mismatch::OtherLook(1))), "an entry of that morning");
        assert_eq!(told(hours_later.begun(at())), (1, None), "what counts is when it began");

        // One entry for two looks, whether or not the first has its receipt, and across runs.
        for with_receipt in [true, false] {
            let mut receipts = desk.receipts();
            receipts.began(&anna, 1, look("markt-01", at()));
            if with_receipt {
                receipts.receipt(1, &proof, at());
            } else {
                receipts = desk.receipts();
            }
            assert_eq!(receipts.known().mismatch, None);
            receipts.began(&anna, 1, look("markt-01", at()));
            assert_eq!(receipts.known().mismatch, Some(Mismatch::Reused(1)));
        }
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
        let foreign = desk.cosigned(3, desk.tree.root()).replace("\n3\n", "\n4\n");
        assert!(matches!(told(&[foreign]), Some(Mismatch::Signature(_))));
    }

    #[test]
    fn what_another_witness_signed_is_no_news_and_no_alarm() {
        let desk = desk();
        let anna = PersonId::new("anna");
        let other =
            CosignerKey::load_or_create(&desk.folder.path().join("other.key"), "om.example/w").unwrap();
        let by_other = |size: u64, root: [u8; 32]| {
            let note = desk.log.sign(size, root).unwrap();
            let text = Checkpoint::read(&note, &desk.log.vkey()).unwrap().text;
            note + &other.cosign(&text, at()).unwrap()
        };
        let mut receipts = desk.receipts();
        receipts.began(&anna, 1, look("markt-01", at()));
        receipts.checkpoint(&by_other(3, desk.tree.root()), at());
        assert_eq!((receipts.known().at, receipts.known().entries), (None, 0));
        let proof = |note: &str| desk.tree.inclusion(1, 3).unwrap().to_text_with(LEAVES[1], note);
        receipts.receipt(1, &proof(&by_other(3, desk.tree.root())), at());
        assert_eq!((receipts.known().receipts, &receipts.known().mismatch), (0, &None));
        let own = desk.cosigned(3, desk.tree.root());
        receipts.checkpoint(&own, at());
        assert_eq!(
            receipts.overdue(&anna, &BTreeSet::new()),
            [1],
            "asked for once its own witness has signed"
        );
        receipts.receipt(1, &proof(&own), at());
        assert_eq!((receipts.known().receipts, &receipts.known().mismatch), (1, &None));
        // A fork is one whoever signed it.
        receipts.checkpoint(&by_other(3, [1; 32]), at());
        assert_eq!(receipts.known().mismatch, Some(Mismatch::Forked(3)));
    }

    #[test]
    fn a_cosignature_from_the_future_does_not_count_as_a_sign_of_life() {
        let desk = desk();
        let mut receipts = desk.receipts();
        let note = desk.cosigned(3, desk.tree.root());
        receipts.checkpoint(&note, at() - TimeDelta::minutes(3));
        assert_eq!((receipts.known().at, receipts.known().entries), (None, 3));
        receipts.checkpoint(&note, at() - TimeDelta::minutes(1));
        assert_eq!(receipts.known().at, Some(at()));
        assert_eq!(receipts.known().mismatch, None);
    }

    #[test]
    fn a_log_that_was_put_back_while_the_console_was_off_is_told() {
        let desk = desk();
        desk.receipts().checkpoint(&desk.cosigned(3, desk.tree.root()), at());
        // Another run, and a host that was put back to last night meanwhile.
        let mut again = desk.receipts();
        again.checkpoint(&desk.cosigned(2, [1; 32]), at());
        assert_eq!(again.known().mismatch, Some(Mismatch::Shrunk { before: 3, now: 2 }));
        let mut third = desk.receipts();
        third.checkpoint(&desk.cosigned(3, [1; 32]), at());
        assert_eq!(
            third.known().mismatch,
            Some(Mismatch::Forked(3)),
            "and the first state stayed the newest"
        );
        // The same log again is no alarm, and neither is a new epoch's, whose key was brought by hand.
        let mut honest = desk.receipts();
        honest.checkpoint(&desk.cosigned(3, desk.tree.root()), at());
        assert_eq!(honest.known().mismatch, None);
        let folder = tempfile::tempdir().unwrap();
        let log = LogKey::load_or_create(&folder.path().join("log.key"), "rtr.example/test-2").unwrap();
        let other = Desk { log, police: desk.police, folder: desk.folder, tree: desk.tree };
        let mut epoch = other.receipts();
        epoch.checkpoint(&other.cosigned(1, [1; 32]), at());
        assert_eq!((epoch.known().mismatch.clone(), epoch.known().entries), (None, 1));
    }

    fn problem(status: u16) -> ClientError {
        let sentence = Sentence { nl: String::new(), en: String::new() };
        ClientError::Problem(Box::new(Problem {
            kind: "about:blank".to_owned(),
            title: String::new(),
            status,
            code: String::new(),
            detail: sentence,
            until: None,
            ledger_seq: None,
        }))
    }

    #[test]
    fn looks_whose_socket_closed_get_their_receipts_at_the_next_log_in() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let desk = desk();
        let (anna, bert) = (PersonId::new("anna"), PersonId::new("bert"));
        let note = desk.cosigned(3, desk.tree.root());
        let proof =
            |entry: u64| desk.tree.inclusion(entry, 3).unwrap().to_text_with(LEAVES[entry as usize], &note);
        let mut shift = desk.receipts();
        for (person, entry) in [(&anna, 0), (&anna, 1), (&bert, 2), (&anna, 7)] {
            shift.began(person, entry, look("markt-01", at()));
        }
        shift.receipt(0, &proof(0), at());
        assert!(shift.overdue(&anna, &BTreeSet::new()).is_empty(), "the witness has seen nothing yet");

        // The next day: the witness has signed, and it is Anna who logs in.
        let next = RefCell::new(desk.receipts());
        next.borrow_mut().checkpoint(&note, at());
        let overdue = next.borrow().overdue(&anna, &BTreeSet::new());
        assert_eq!(overdue, [1], "not Bert's, not what no witness has seen, not what is here");
        assert!(next.borrow().overdue(&anna, &BTreeSet::from([1])).is_empty(), "the socket brings it");
        // A daemon that is busy is asked again.
        runtime.block_on(collect(&next, overdue.clone(), async |_| Err(problem(500)))).unwrap();
        assert_eq!(next.borrow().overdue(&anna, &BTreeSet::new()), [1]);
        runtime.block_on(collect(&next, overdue, async |entry| Ok(proof(entry)))).unwrap();
        assert_eq!((next.borrow().known().receipts, next.borrow().known().mismatch.clone()), (1, None));
        let kept: usize = fs::read_dir(desk.folder.path().join("receipts"))
            .unwrap()
            .map(|file| file.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
            .map(|path| fs::read_to_string(path).unwrap().lines().count())
            .sum();
        assert_eq!(kept, 2, "both stand in the days' files");

        // Bert's entry is another's now: the police must hear of it, each time he logs in.
        let next = RefCell::new(desk.receipts());
        next.borrow_mut().checkpoint(&note, at());
        let overdue = next.borrow().overdue(&bert, &BTreeSet::new());
        runtime.block_on(collect(&next, overdue, async |_| Err(problem(403)))).unwrap();
        assert_eq!(next.borrow().known().mismatch, Some(Mismatch::Withheld(2)));
        assert!(next.borrow().overdue(&bert, &BTreeSet::new()).is_empty(), "once a log-in");
        next.borrow_mut().logged_in();
        assert_eq!(next.borrow().overdue(&bert, &BTreeSet::new()), [2]);
        let over = runtime.block_on(collect(&next, vec![2], async |_| Err(problem(401))));
        assert!(over.is_err(), "a session that is over is told");
        assert_eq!(desk.receipts().waiting.len(), 2, "{anna:?} for entry 7, {bert:?} for entry 2");
    }
}
