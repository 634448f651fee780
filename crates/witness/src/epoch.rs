//! A new epoch (decision 15). When a log is shorter than what was witnessed (a disk died, a mirror is behind), its host may
//! append nothing, for any continuation would be another history. The police then sign a grant: the old log ends at the
//! checkpoint they witnessed, and a log under a new name and key begins, whose first entry is that grant. A witness that
//! was told of the grant signs the new log only when it begins so.

use crate::{Refusal, Witness};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
pub use ledger::epoch::{ACTION, Grant};
use ledger::{InclusionProof, KeptProof, note::Checkpoint};
use std::{fs, path::Path};

impl Witness {
    /// Signs that the log with the key `new_log` follows the one witnessed here, at the checkpoint signed last. Returns the
    /// grant as a note, to be carried to the host. From here on the old log has ended: nothing further of it is signed, and asked
    /// again for the same new log the same grant is returned.
    ///
    /// # Errors
    /// When nothing was witnessed yet, the reason is empty or of several lines, or another log was granted before.
    pub fn grant_epoch(&self, new_log: &str, reason: &str, now: DateTime<Utc>) -> Result<String, Refusal> {
        if let Some(before) = self.state.ended()? {
            return if names(&before, new_log.trim()) {
                Ok(before)
            } else {
                self.refuse_when_ended().map(|()| before)
            };
        }
        let (size, root) = self.seen();
        let reason = reason.trim();
        if size == 0 {
            return Err(Refusal::Malformed("nothing of the old log was witnessed here".to_owned()));
        }
        if reason.is_empty() || reason.contains('\n') {
            return Err(Refusal::Malformed("give the reason in one line".to_owned()));
        }
        let grant = Grant {
            old_log: self.log_vkey().to_owned(),
            size,
            root: BASE64_STANDARD.encode(root),
            new_log: new_log.trim().to_owned(),
            reason: reason.to_owned(),
        };
        let text = grant.text();
        let line = self.sign_text(&text, now)?;
        let note = format!("{text}\n{line}");
        // Before anybody hears of it: what were signed of the old log after this, the new one would not follow.
        self.state.end(&note)?;
        Ok(note)
    }
}

/// Whether a grant is for this new log.
fn names(grant: &str, new_log: &str) -> bool {
    grant.lines().any(|line| line.strip_prefix("new ") == Some(new_log))
}

/// Tells the witness of the new log (its state is `state`) that it must begin with this grant.
///
/// # Errors
/// When the file cannot be written.
pub fn expect(state: &Path, grant: &str) -> Result<(), Refusal> {
    Ok(fs::write(expected(state), grant)?)
}

fn expected(state: &Path) -> std::path::PathBuf {
    let mut name = state.as_os_str().to_owned();
    name.push(".epoch");
    name.into()
}

/// The grant that a log must begin with, where its witness (whose state is `state`) was told of one.
pub(crate) fn granted(log_vkey: &str, state: &Path) -> Result<Option<String>, Refusal> {
    let path = expected(state);
    let grant = match fs::read_to_string(&path) {
        Ok(grant) => grant,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    if !names(&grant, log_vkey) {
        return Err(Refusal::Grant(format!("{} is about another log", path.display())));
    }
    Ok(Some(grant))
}

impl Witness {
    /// The first cosignature of a log that was granted as a new epoch. `proof` is the `tlog-proof` of its entry 0, which brings that
    /// entry along, as `rtrctl ledger proof LOG 0` writes it: whichever way the checkpoints come later, the log has shown that it
    /// begins with the grant. Returns the checkpoint with the cosignature.
    ///
    /// # Errors
    /// [`Refusal::Grant`] when it does not; [`Refusal::Conflict`] when this log was signed before.
    pub fn begin(&mut self, proof: &str, now: DateTime<Utc>) -> Result<String, Refusal> {
        let refuse = |why: &str| Refusal::Grant(why.to_owned());
        self.refuse_when_ended()?;
        let grant = granted(self.log_vkey(), self.state.path())?
            .ok_or_else(|| refuse("no grant lies beside the witness's state"))?;
        if self.seen_size() > 0 {
            return Err(Refusal::Conflict(self.seen_size()));
        }
        let kept = KeptProof::parse(proof).ok_or_else(|| refuse("this is no tlog-proof"))?;
        let checkpoint = Checkpoint::read(&kept.checkpoint, self.log_vkey())
            .map_err(|e| Refusal::Unknown(e.to_string()))?;
        let leaf = kept.extra.ok_or_else(|| refuse("the proof does not bring its entry along"))?;
        let path = InclusionProof {
            seq: kept.seq,
            size: checkpoint.size,
            root: checkpoint.root,
            hashes: kept.hashes,
        };
        if kept.seq != 0 || !path.holds_for(&leaf) {
            return Err(refuse("it does not prove the log's first entry"));
        }
        let entry: serde_json::Value = serde_json::from_slice(&leaf).unwrap_or_default();
        if entry["action"] != ACTION || entry["data"]["grant"] != grant.as_str() {
            return Err(refuse("the log's first entry does not carry the grant"));
        }
        let line = self.sign(&checkpoint, now)?;
        Ok(checkpoint.with_cosignatures(&line))
    }
}
