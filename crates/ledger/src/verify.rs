//! Verifying a published log as an outsider would: from the tiles and entry bundles alone, trusting nothing but the
//! log's public key and those of the witnesses.

use crate::{
    note::{Checkpoint, WitnessKey},
    tiles::{TileDirectory, WIDTH, hash_tile_path, new_tiles, tile_bytes},
    tree::{NodeHash, Tree, leaf_hash},
};
use chrono::{DateTime, Utc};
use std::{fs, path::Path};

/// What holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many entries.
    pub size: u64,
    /// Their root.
    pub root: NodeHash,
    /// How many of them are covered by the newest cosignature of each witness that has one, and its time (UTC).
    pub witnessed: Vec<(String, u64, DateTime<Utc>)>,
}

/// What does not hold.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The checkpoint is missing, malformed or not signed by this key.
    #[error("the checkpoint: {0}")]
    Checkpoint(String),
    /// A tile or bundle is missing or malformed.
    #[error("{path}: {why}")]
    Unreadable {
        /// Which file.
        path: String,
        /// Why.
        why: String,
    },
    /// An entry is not canonical JSON.
    #[error("entry {0} is not canonical JSON")]
    NotCanonical(u64),
    /// A tile does not follow from the entries.
    #[error("{path} does not follow from the entries")]
    Tile {
        /// Which tile.
        path: String,
    },
    /// The entries do not have the root that was signed.
    #[error("the {size} entries do not have the root that was signed")]
    Root {
        /// The size of the checkpoint.
        size: u64,
    },
    /// A witnessed checkpoint is not part of this log.
    #[error("what a witness signed at {size} entries is not part of this log")]
    Witnessed {
        /// The size it signed.
        size: u64,
    },
}

/// Recomputes a whole published log from its entries: every leaf, every tile, the root, the signatures.
pub fn verify(dir: &Path, log_vkey: &str, witnesses: &[WitnessKey]) -> Result<Verified, VerifyError> {
    let read_note = |name: &str| {
        let note = fs::read_to_string(dir.join(name)).map_err(|e| VerifyError::Checkpoint(e.to_string()))?;
        Checkpoint::read(&note, log_vkey).map_err(|e| VerifyError::Checkpoint(e.to_string()))
    };
    let checkpoint = read_note("checkpoint")?;
    let tiles = TileDirectory(dir);
    let mut tree = Tree::new();
    let unreadable = |path: &Path, why: &dyn ToString| VerifyError::Unreadable {
        path: path.display().to_string(),
        why: why.to_string(),
    };
    for n in 0..checkpoint.size.div_ceil(WIDTH) {
        let width = WIDTH.min(checkpoint.size - n * WIDTH);
        let path = crate::tiles::entries_path(n, width);
        for entry in tiles.entries(n, width).map_err(|e| unreadable(&path, &e))? {
            let canonical =
                serde_json::from_slice(&entry).ok().and_then(|v| crate::canonical::to_canonical(&v).ok());
            if canonical.is_none_or(|canonical| canonical.as_bytes() != entry) {
                return Err(VerifyError::NotCanonical(tree.size()));
            }
            tree.push(leaf_hash(&entry));
        }
    }
    if tree.root() != checkpoint.root {
        return Err(VerifyError::Root { size: checkpoint.size });
    }
    for tile in new_tiles(0, checkpoint.size) {
        let path = hash_tile_path(tile.level, tile.n, tile.width);
        let hashes = tiles.hashes(tile).map_err(|e| unreadable(&path, &e))?;
        if tile_bytes(&tree, tile).is_none_or(|expected| expected != hashes.concat()) {
            return Err(VerifyError::Tile { path: path.display().to_string() });
        }
    }
    let mut witnessed = Vec::new();
    if dir.join(crate::publish::WITNESSED).exists() {
        let cosigned = read_note(crate::publish::WITNESSED)?;
        if tree.root_at(cosigned.size) != Some(cosigned.root) {
            return Err(VerifyError::Witnessed { size: cosigned.size });
        }
        witnessed.extend(witnesses.iter().filter_map(|witness| {
            Some((witness.name().to_owned(), cosigned.size, witness.cosigned_at(&cosigned.note)?))
        }));
    }
    Ok(Verified { size: checkpoint.size, root: checkpoint.root, witnessed })
}
