//! What the reader brings along, or finds beside the log: cosigned checkpoints, and checkpoints and proofs kept from earlier. Each
//! must be part of the log; this is what finds a roll-back and a second history.

use super::{Verified, VerifyError};
use crate::{
    note::{Checkpoint, WitnessKey},
    tiles::WITNESSED,
    tree::{KeptProof, Tree},
};
use std::{fs, path::Path};

/// What the reader brings along.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The witnesses whose cosignatures count.
    pub witnesses: Vec<WitnessKey>,
    /// Checkpoints and `tlog-proof`s that were kept from earlier, with the name under which they are reported. Each must be part of
    /// the log: this is what finds a roll-back and a second history.
    pub kept: Vec<(String, String)>,
}

/// The cosigned checkpoint that lies beside the log, and what the reader kept.
pub(super) fn check_kept(
    dir: &Path,
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
    match fs::read(dir.join(WITNESSED)) {
        Ok(note) => cosigned.extend(part_of_log(WITNESSED, &String::from_utf8_lossy(&note))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
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
    for (name, proof, signed) in proofs.into_iter().filter(|(_, proof, _)| proof.seq >= verified.first) {
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
