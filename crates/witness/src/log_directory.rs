//! A log read as files: its published folder, mounted or mirrored. The consistency proof is made here, from the
//! tiles; the cosigned checkpoint is left in the folder as `cosignature`, where the ledger picks it up.

use crate::{Refusal, Witness, epoch};
use chrono::{DateTime, Utc};
use ledger::{
    Published,
    note::Checkpoint,
    tiles::{TileDirectory, WIDTH},
    tree::Tree,
};
use std::{fs, io, path::Path};

/// What one round did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// How many entries the checkpoint covers.
    pub size: u64,
    /// How many are new since the last round.
    pub new: u64,
    /// The time of the newest entry (UTC, by the log's clock), where it could be read.
    pub newest: Option<DateTime<Utc>>,
}

/// Cosigns the newest checkpoint of the log in `dir`, if it extends what was signed before.
pub fn cosign(witness: &mut Witness, dir: &Path, now: DateTime<Utc>) -> Result<Cosigned, Refusal> {
    let tiles = TileDirectory::new(dir);
    let before = witness.seen_size();
    if before == 0 && epoch::granted(witness.log_vkey(), witness.state.path())?.is_some() {
        let unreadable = |e: &dyn ToString| Refusal::Grant(e.to_string());
        let mut log = Published::open(dir, witness.log_vkey()).map_err(|e| unreadable(&e))?;
        witness.begin(&log.prove(0).map_err(|e| unreadable(&e))?.to_text(), now)?;
    }
    // Only now: the log grows while its beginning is looked at.
    let note = fs::read_to_string(dir.join("checkpoint"))?;
    let checkpoint =
        Checkpoint::read(&note, witness.log_vkey()).map_err(|e| Refusal::Unknown(e.to_string()))?;
    let (old, root) = witness.seen();
    let size = checkpoint.size;
    if old > size {
        return Err(Refusal::Shorter { old, size, seen: old });
    }
    let tree = Tree::open(tiles.clone(), size)?;
    if tree.root() != checkpoint.root {
        return Err(Refusal::Malformed("a tile of the right edge is not what was signed".to_owned()));
    }
    let proof = tree.consistency(old, size).ok_or_else(|| io::Error::other("a tile is missing"))?;
    // The tiles are anybody's word, unless they lead from one root to another that the log signed.
    if old > 0
        && let Some(other) = tree.root_at(old).filter(|other| *other != root)
        && (old == size || proof.holds(other, checkpoint.root))
    {
        return Err(Refusal::Forked(old));
    }
    let line = witness.add_checkpoint(old, proof.hashes, &note, now)?;
    replace(&dir.join("cosignature"), &checkpoint.with_cosignatures(&line))?;
    let newest = newest_time(&tiles, size);
    Ok(Cosigned { size, new: size - before, newest })
}

/// The newest entry's time, so that a clock that was set back at the log is noticed. Its bundle is not proven here; a host
/// that lies in it lies in a log that the verifier reads.
fn newest_time(tiles: &TileDirectory, size: u64) -> Option<DateTime<Utc>> {
    let (n, last) = (size.checked_sub(1)? / WIDTH, (size - 1) % WIDTH);
    let entries = tiles.entries(n, last + 1).ok()?;
    let leaf: serde_json::Value = serde_json::from_slice(entries.last()?).ok()?;
    let time = leaf.get("logged_at").or_else(|| leaf.get("at"))?;
    time.as_str()?.parse().ok()
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let fresh = path.with_extension("new");
    fs::write(&fresh, text)?;
    fs::rename(&fresh, path)
}
