//! A new epoch (decision 15): what the police sign when a log is shorter than what they witnessed and must begin anew under
//! another name and key. The new log's first entry carries the grant, so that the old end and the new beginning are tied.

use crate::WitnessKey;
use chrono::{DateTime, Utc};

const HEAD: &str = "rtr-epoch/v1";
/// What the entry is called with which a new log begins.
pub const ACTION: &str = "ledger.epoch";

/// What the police grant: the new log follows the old one at this checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The old log's public key text.
    pub old_log: String,
    /// How many entries of it were witnessed.
    pub size: u64,
    /// Their root, base64.
    pub root: String,
    /// The new log's public key text.
    pub new_log: String,
    /// Why, in a sentence.
    pub reason: String,
}

impl Grant {
    /// The text that is signed. Its second line is no number, so it can never be taken for a checkpoint.
    pub fn text(&self) -> String {
        format!(
            "{HEAD}\nold {}\nsize {}\nroot {}\nnew {}\nreason {}\n",
            self.old_log, self.size, self.root, self.new_log, self.reason
        )
    }

    /// Reads a grant that one of these witnesses signed, and when it did.
    pub fn read(note: &str, witnesses: &[WitnessKey]) -> Option<(Self, DateTime<Utc>)> {
        let at = witnesses.iter().find_map(|witness| witness.cosigned_at(note))?;
        let (text, _) = note.split_once("\n\n")?;
        let mut lines = text.lines();
        let mut field = |name: &str| lines.next()?.strip_prefix(name).map(str::to_owned);
        field(HEAD)?;
        let grant = Self {
            old_log: field("old ")?,
            size: field("size ")?.parse().ok()?,
            root: field("root ")?,
            new_log: field("new ")?,
            reason: field("reason ")?,
        };
        (grant.text() == format!("{text}\n")).then_some((grant, at))
    }
}
