//! A log read as files: its published folder, mounted or mirrored. The consistency proof is made here, from the
//! tiles; the cosigned checkpoint is left in the folder as `cosignature`, where the ledger picks it up.

use crate::{Refusal, Witness};
use chrono::{DateTime, Utc};
use ledger::{note::Checkpoint, tiles::TileDirectory, tree::Tree};
use std::{fs, io, path::Path};

/// What one round did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// How many entries the checkpoint covers.
    pub size: u64,
    /// How many are new since the last round.
    pub new: u64,
}

/// Cosigns the newest checkpoint of the log in `dir`, if it extends what was signed before.
pub fn cosign(witness: &mut Witness, dir: &Path, now: DateTime<Utc>) -> Result<Cosigned, Refusal> {
    let note = fs::read_to_string(dir.join("checkpoint"))?;
    let checkpoint =
        Checkpoint::read(&note, witness.log_vkey()).map_err(|e| Refusal::Unknown(e.to_string()))?;
    let old = witness.seen_size();
    if old > checkpoint.size {
        // A shorter log than the one signed is a rewritten one.
        return Err(Refusal::Inconsistent { old, new: checkpoint.size });
    }
    let proof = if old == 0 || old == checkpoint.size {
        Vec::new()
    } else {
        // Only the tiles that the proof needs are read. Whether they are true shows when it holds between two signed roots.
        let tree = Tree::open(TileDirectory::new(dir), checkpoint.size)?;
        tree.consistency(old, checkpoint.size).map(|proof| proof.hashes).unwrap_or_default()
    };
    let line = witness.add_checkpoint(old, proof, &note, now)?;
    let (text, signatures) = note.rsplit_once("\n\n").unwrap_or((&note, ""));
    // Only the log's own signature and the fresh cosignature: the published note may bear an older one of ours.
    let own = signatures.lines().next().unwrap_or_default();
    replace(&dir.join("cosignature"), &format!("{text}\n\n{own}\n{line}"))?;
    Ok(Cosigned { size: checkpoint.size, new: checkpoint.size - old })
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let fresh = path.with_extension("new");
    fs::write(&fresh, text)?;
    fs::rename(&fresh, path)
}
