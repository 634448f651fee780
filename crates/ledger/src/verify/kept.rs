//! What the reader brings along, or finds beside the log: cosigned checkpoints, and checkpoints and proofs kept from earlier. Each
//! must be part of the log; this is what finds a roll-back and a second history.

use super::{Announcement, Verified, VerifyError};
use crate::{
    note::{Checkpoint, WitnessKey},
    tiles::WITNESSED,
    tree::{InclusionProof, KeptProof, Tree},
};
use chrono::{DateTime, Months, Utc};
use std::{fs, io, path::Path};

/// No log may be kept for less: for so long a person may ask to whom data about them went (Wpg 25).
pub const SHORTEST_TERM: Months = Months::new(48);

/// What the reader brings along.
#[derive(Clone, Debug)]
pub struct Known {
    /// The witnesses whose cosignatures count.
    pub witnesses: Vec<WitnessKey>,
    /// Checkpoints and `tlog-proof`s that were kept from earlier, with the name under which they are reported. Each must be part of
    /// the log: this is what finds a roll-back and a second history.
    pub kept: Vec<(String, String)>,
    /// How long entries must be kept: a purge that was announced for younger ones does not hold.
    pub log_term: Months,
}

impl Default for Known {
    fn default() -> Self {
        Self { witnesses: Vec::new(), kept: Vec::new(), log_term: SHORTEST_TERM }
    }
}

/// The cosigned checkpoint that lies beside the log, if there is one.
pub(super) fn read_beside(dir: &Path) -> io::Result<Option<String>> {
    match fs::read(dir.join(WITNESSED)) {
        Ok(note) => Ok(Some(String::from_utf8_lossy(&note).into_owned())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// The cosigned checkpoint that lay beside the log, and what the reader kept.
pub(super) fn check_kept(
    beside: io::Result<Option<String>>,
    log_vkey: &str,
    known: &Known,
    checkpoint: &Checkpoint,
    tree: Option<&Tree>,
    verified: &mut Verified,
    findings: &mut Vec<VerifyError>,
) {
    let Some(tree) = tree else { return };
    let (mut forked, mut unread) = (Vec::new(), None);
    let mut part_of_log = |name: &str, note: &str| -> Option<Checkpoint> {
        let signed = match Checkpoint::read(note, log_vkey) {
            Ok(signed) => signed,
            Err(e) => {
                findings.push(VerifyError::Checkpoint(format!("{name}: {e}")));
                return None;
            }
        };
        let (size, name) = (signed.size, name.to_owned());
        if size > checkpoint.size {
            findings.push(VerifyError::Shorter { size: checkpoint.size, name, known: size });
        } else if size >= verified.first && tree.root_at(size) != Some(signed.root) {
            forked.push((name, size));
        } else {
            return Some(signed);
        }
        None
    };
    let mut cosigned: Vec<Checkpoint> = Vec::new();
    match beside {
        Ok(note) => cosigned.extend(note.and_then(|note| part_of_log(WITNESSED, &note))),
        Err(e) => unread = Some(VerifyError::Checkpoint(format!("{WITNESSED}: {e}"))),
    }
    let mut proofs = Vec::new();
    let mut held = vec![0];
    held.extend(cosigned.iter().map(|cosigned| cosigned.size).filter(|size| *size >= verified.first));
    for (name, text) in &known.kept {
        let proof = KeptProof::parse(text);
        let note = proof.as_ref().map_or(text.as_str(), |proof| proof.checkpoint.as_str());
        let Some(signed) = part_of_log(name, note) else { continue };
        // What was purged is not compared, so it says nothing of where two histories part.
        held.extend((signed.size >= verified.first).then_some(signed.size));
        if let Some(proof) = proof {
            proofs.push((name.clone(), proof, signed));
        }
    }
    findings.extend(unread);
    for (name, size) in forked {
        let from = held.iter().copied().filter(|held| *held < size).max().unwrap_or_default();
        findings.push(VerifyError::Forked { name, from, size });
    }
    let (gone, proofs): (Vec<_>, Vec<_>) =
        proofs.into_iter().partition(|(_, proof, _)| proof.seq < verified.first);
    for (name, proof, signed) in gone {
        let purged = verified.purged.filter(|purged| kept_longer(&proof, &signed, purged.before));
        let younger =
            |purged: Announcement| VerifyError::PurgedYounger { name, seq: proof.seq, before: purged.before };
        findings.extend(purged.map(younger));
    }
    for (name, proof, signed) in proofs {
        let there = tree.inclusion(proof.seq, signed.size).is_some_and(|path| path.hashes == proof.hashes);
        if !there {
            findings.push(VerifyError::Proof { name, seq: proof.seq });
        }
    }
    cosigned.push(checkpoint.clone());
    for witness in &known.witnesses {
        let newest = cosigned
            .iter()
            .filter_map(|c| Some((c.size, witness.cosigned_at(&c.note)?)))
            .max_by_key(|(_, at)| *at);
        verified.witnessed.extend(newest.map(|(size, at)| (witness.name().to_owned(), size, at)));
    }
}

/// Whether a proof brings an entry that is not from before this instant.
fn kept_longer(proof: &KeptProof, signed: &Checkpoint, before: DateTime<Utc>) -> bool {
    let Some(leaf) = &proof.extra else { return false };
    let path =
        InclusionProof { seq: proof.seq, size: signed.size, root: signed.root, hashes: proof.hashes.clone() };
    let entry: serde_json::Value = serde_json::from_slice(leaf).unwrap_or_default();
    let at = entry["at"].as_str().and_then(|at| at.parse::<DateTime<Utc>>().ok());
    path.holds_for(leaf) && at.is_some_and(|at| at >= before)
}
