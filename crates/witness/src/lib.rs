//! The witness: the police's own process that sees whether the ledger only grows, and cosigns what it saw.
//!
//! The host of the log holds the disks and the log's key, so it could write another history and sign it. It does
//! not hold the witness's key, and the witness signs a new checkpoint only with a proof that it extends the last one
//! it signed (C2SP tlog-witness, tlog-cosignature). Run on the police's machine; a witness on the log's own machine
//! proves nothing.
//!
//! [`Witness`] is the rule and its memory; [`log_directory`] brings it the checkpoints of a log that it reads as files,
//! [`http`] those that a log sends it, [`letters`] those that come on a stick; [`keys`] holds its key, [`watch`] is the alarm, [`epoch`] what the
//! police sign when a log must begin anew.

pub mod epoch;
pub mod http;
pub mod keys;
pub mod letters;
pub mod log_directory;
mod state;
pub mod watch;

use chrono::{DateTime, Utc};
use ledger::{
    ConsistencyProof, LedgerError,
    note::{Checkpoint, CosignerKey},
    tree::NodeHash,
};
use state::{Seen, StateFile};
use std::{io, path::Path};

/// Why the witness does not sign.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The request or checkpoint is malformed.
    #[error("malformed: {0}")]
    Malformed(String),
    /// The checkpoint is of a log that this witness does not know, or its signature does not hold.
    #[error("not a checkpoint of the known log: {0}")]
    Unknown(String),
    /// The checkpoint is of another log.
    #[error("this witness does not know the log `{0}`")]
    OtherLog(String),
    /// The proof starts at another size than the one last signed; start there.
    #[error("the last checkpoint signed here has {0} entries")]
    Conflict(u64),
    /// The proof does not show that the log extends what was signed: history was rewritten, or somebody sent a true checkpoint with
    /// another proof. Which of the two shows when the log proves it, or does not.
    #[error("the log of {new} entries is not shown to extend the {old} entries signed before")]
    Inconsistent {
        /// The size signed before.
        old: u64,
        /// The size offered.
        new: u64,
    },
    /// A checkpoint of the log, and an older one than was signed here: an old request that came again, or a log that was cut.
    /// Which of the two shows when nothing newer comes.
    #[error(
        "the log is offered with {size} entries, and {seen} were signed here: it was cut, or this is an old request"
    )]
    Shorter {
        /// The size from which the request starts.
        old: u64,
        /// The size offered.
        size: u64,
        /// The size signed before.
        seen: u64,
    },
    /// The log was granted as a new epoch and has not shown the grant.
    #[error(
        "this log was granted as a new epoch, and has yet to show that it begins with the grant: `rtr-witness begin` ({0})"
    )]
    Grant(String),
    /// Two trees of one size, both under the log's own signature, as checkpoints or as the beginning of one: two histories.
    #[error("the log signed two different trees of {0} entries: its history was forked")]
    Forked(u64),
    /// The log ended with the grant of a new epoch.
    #[error(
        "this log ended when a new epoch was granted (the grant is {0}); nothing further of it is signed"
    )]
    Ended(String),
    /// A proof where none belongs.
    #[error("this step needs no proof, and one was given")]
    Proof,
    /// The witness's own state could not be read or written; nothing is signed without it.
    #[error("the witness's state: {0}")]
    State(#[from] io::Error),
    /// Its token failed.
    #[error("the token with the witness's key: {0}")]
    Token(String),
    /// Its key failed.
    #[error(transparent)]
    Key(#[from] LedgerError),
}

/// A witness of one log.
#[derive(Debug)]
pub struct Witness {
    key: CosignerKey,
    log_vkey: String,
    state: StateFile,
}

impl Refusal {
    /// Whether this proves that the log has two histories, so that the police must hear of it. It bears the log's own
    /// signature twice: nobody else can sound this alarm.
    pub fn is_alarm(&self) -> bool {
        matches!(self, Self::Forked(_))
    }
}

impl Witness {
    /// A witness with its key, for the log with this public key.
    pub fn open(key: CosignerKey, state: &Path, log_vkey: &str) -> Result<Self, Refusal> {
        Ok(Self { key, log_vkey: log_vkey.trim().to_owned(), state: StateFile::open(state)? })
    }

    /// The witness's public key text, to be pinned by log and consoles.
    pub fn vkey(&self) -> String {
        self.key.vkey()
    }

    /// The log's public key text.
    pub fn log_vkey(&self) -> &str {
        &self.log_vkey
    }

    /// How many entries were signed last; 0 before the first.
    pub fn seen_size(&self) -> u64 {
        self.state.seen().size
    }

    /// When the log last grew, by this machine's clock (UTC); none before its first checkpoint.
    pub fn grew_at(&self) -> Option<DateTime<Utc>> {
        let seen = self.state.seen();
        DateTime::from_timestamp(seen.grew_at, 0).filter(|_| seen.grew_at > 0)
    }

    /// The newest checkpoint that was signed: its size and root.
    pub fn seen(&self) -> (u64, NodeHash) {
        let seen = self.state.seen();
        (seen.size, seen.root)
    }

    /// Signs a text of the witness's own that can be no checkpoint, for [`epoch`].
    pub(crate) fn sign_text(&self, text: &str, now: DateTime<Utc>) -> Result<String, Refusal> {
        Ok(self.key.cosign(text, now)?)
    }

    /// Checks that `note` extends what was signed before and returns the cosignature line. What was signed is
    /// remembered durably *before* the signature leaves this function: a crash in between costs a signature, never
    /// a second history (tlog-witness, "add-checkpoint").
    pub fn add_checkpoint(
        &mut self,
        old: u64,
        proof: Vec<NodeHash>,
        note: &str,
        now: DateTime<Utc>,
    ) -> Result<String, Refusal> {
        let origin = note.lines().next().unwrap_or_default();
        if Some(origin) != self.log_vkey.split('+').next() {
            return Err(Refusal::OtherLog(origin.chars().take(128).collect()));
        }
        // Before anything else is believed, and before any alarm.
        let checkpoint =
            Checkpoint::read(note, &self.log_vkey).map_err(|e| Refusal::Unknown(e.to_string()))?;
        self.refuse_when_ended()?;
        let seen = self.state.seen();
        if checkpoint.size < seen.size {
            return Err(Refusal::Shorter { old, size: checkpoint.size, seen: seen.size });
        }
        if old > checkpoint.size {
            return Err(Refusal::Malformed("the old size lies beyond the checkpoint".to_owned()));
        }
        if seen.size == 0 && epoch::granted(&self.log_vkey, self.state.path())?.is_some() {
            return Err(Refusal::Grant("nothing of it was signed yet".to_owned()));
        }
        if old != seen.size {
            return Err(Refusal::Conflict(seen.size));
        }
        let inconsistent = Refusal::Inconsistent { old, new: checkpoint.size };
        if old == checkpoint.size && old > 0 && seen.root != checkpoint.root {
            return Err(Refusal::Forked(old));
        }
        if old == checkpoint.size || old == 0 {
            if !proof.is_empty() {
                // The trees are the same, or there is none before: only the proof is odd, and that is no history.
                return Err(Refusal::Proof);
            }
        } else if !(ConsistencyProof { old, new: checkpoint.size, hashes: proof })
            .holds(seen.root, checkpoint.root)
        {
            return Err(inconsistent);
        }
        self.sign(&checkpoint, now)
    }

    fn refuse_when_ended(&self) -> Result<(), Refusal> {
        match self.state.ended()? {
            Some(_) => Err(Refusal::Ended(self.state.ended_path().display().to_string())),
            None => Ok(()),
        }
    }

    /// Remembers, and then signs.
    fn sign(&mut self, checkpoint: &Checkpoint, now: DateTime<Utc>) -> Result<String, Refusal> {
        let seen = self.state.seen();
        let grew_at = if checkpoint.size > seen.size { now.timestamp() } else { seen.grew_at };
        self.state.remember(Seen { size: checkpoint.size, root: checkpoint.root, grew_at })?;
        let line = self.key.cosign(&checkpoint.text, now)?;
        self.state.keep_note(&checkpoint.with_cosignatures(&line));
        Ok(line)
    }

    /// The newest checkpoint that was signed here, as a note: one half of the evidence when another history is offered.
    pub fn signed_note(&self) -> Option<String> {
        self.state.note()
    }
}
