//! A new epoch (decision 15). When a log is shorter than what was witnessed (a disk died, a mirror is behind), its host may
//! append nothing, for any continuation would be another history. The police then sign a grant: the old log ends at the
//! checkpoint they witnessed, and a log under a new name and key begins, whose first entry is that grant. A witness that
//! was told of the grant signs the new log only when it begins so.

use crate::{Refusal, Witness};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
pub use ledger::epoch::{ACTION, Grant};
use ledger::tiles::TileDirectory;
use std::{fs, path::Path};

impl Witness {
    /// Signs that the log with the key `new_log` follows the one witnessed here, at the checkpoint signed last. Returns the
    /// grant as a note, to be carried to the host.
    ///
    /// # Errors
    /// When nothing was witnessed yet, or the reason is empty or of several lines.
    pub fn grant_epoch(&self, new_log: &str, reason: &str, now: DateTime<Utc>) -> Result<String, Refusal> {
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
        Ok(format!("{text}\n{line}"))
    }
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

/// Before the first cosignature of a log: if it was granted as a new epoch, its first entry must carry the grant.
pub(crate) fn check_first_leaf(witness: &Witness, tiles: &TileDirectory, size: u64) -> Result<(), Refusal> {
    let Ok(grant) = fs::read_to_string(expected(witness.state_path())) else { return Ok(()) };
    let width = size.min(256);
    let first = tiles.entries(0, width).ok().and_then(|entries| entries.into_iter().next());
    let leaf: serde_json::Value =
        first.and_then(|leaf| serde_json::from_slice(&leaf).ok()).unwrap_or_default();
    if leaf["action"] == ACTION && leaf["data"]["grant"] == grant.as_str() {
        return Ok(());
    }
    Err(Refusal::Unknown("the new log does not begin with the grant of its epoch".to_owned()))
}
