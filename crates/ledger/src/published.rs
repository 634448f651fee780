//! A published log, read as files: its entries one bundle at a time, and proofs that hold against its checkpoint.

use crate::{
    note::Checkpoint,
    tiles::{PRUNED, TileDirectory, WIDTH, WITNESSED, entries_path, unbundle},
    tree::{InclusionProof, Tree, leaf_hash},
    verify::VerifyError,
};
use std::{fs, path::Path};

/// A published log whose checkpoint bears the log's signature and whose right edge has the root that was signed. Its
/// entries are as good as [`crate::verify()`] finds them; what [`Published::prove`] returns is proven.
#[derive(Debug)]
pub struct Published {
    checkpoint: Checkpoint,
    witnessed: Option<Checkpoint>,
    tree: Tree,
    tiles: TileDirectory,
    first: u64,
    bundle: Option<(u64, Vec<Vec<u8>>)>,
}

/// An entry and why it is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The leaf.
    pub leaf: Vec<u8>,
    /// That it stands in the tree of the checkpoint.
    pub proof: InclusionProof,
    /// The checkpoint: the newest with a cosignature when that covers the entry, else the newest.
    pub checkpoint: Checkpoint,
}

impl Proven {
    /// The C2SP `tlog-proof@v1` text, with the entry itself as its extra data.
    pub fn to_text(&self) -> String {
        self.proof.to_text_with(&self.leaf, &self.checkpoint.note)
    }
}

impl Published {
    /// Opens a published folder.
    ///
    /// # Errors
    /// When its checkpoint or its right edge does not hold.
    pub fn open(dir: &Path, log_vkey: &str) -> Result<Self, VerifyError> {
        let note = |name: &str| {
            let failed = |e: &dyn ToString| VerifyError::Checkpoint(format!("{name}: {}", e.to_string()));
            let text = fs::read_to_string(dir.join(name)).map_err(|e| failed(&e))?;
            Checkpoint::read(&text, log_vkey).map_err(|e| failed(&e))
        };
        // First: what a witness signs meanwhile is newer than the checkpoint.
        let witnessed = note(WITNESSED).ok();
        let checkpoint = note("checkpoint")?;
        let first = if dir.join(PRUNED).exists() { note(PRUNED)?.size } else { 0 };
        let tiles = TileDirectory::new(dir);
        let tree = Tree::open(tiles.clone(), checkpoint.size)
            .map_err(|e| VerifyError::Checkpoint(format!("the tiles of the right edge: {e}")))?;
        if tree.root() != checkpoint.root {
            return Err(VerifyError::Root { size: checkpoint.size });
        }
        Ok(Self { checkpoint, witnessed, tree, tiles, first, bundle: None })
    }

    /// The newest checkpoint.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The newest checkpoint that bore a witness's line when this was opened, when it is part of this log. Whose line, the caller
    /// checks.
    pub fn cosigned(&self) -> Option<Checkpoint> {
        let part = |cosigned: &&Checkpoint| self.tree.root_at(cosigned.size) == Some(cosigned.root);
        self.witnessed.as_ref().filter(part).cloned()
    }

    /// The first entry that was not purged.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// How many entries the checkpoint covers.
    pub fn size(&self) -> u64 {
        self.checkpoint.size
    }

    /// The first entry at which this history and another one part; none when one is the beginning of the other. Compares
    /// roots, so a few dozen tiles are read however long the two are.
    ///
    /// # Errors
    /// When a tile of either is missing.
    pub fn parts_from(&self, other: &Self) -> Result<Option<u64>, VerifyError> {
        let same = |size: u64| -> Result<bool, VerifyError> {
            let root = |log: &Self| log.tree.root_at(size).ok_or(VerifyError::Root { size });
            Ok(root(self)? == root(other)?)
        };
        let common = self.size().min(other.size());
        if same(common)? {
            return Ok(None);
        }
        // Equal up to `low` entries, not up to `high`.
        let (mut low, mut high) = (self.first.max(other.first), common);
        if low > 0 && !same(low)? {
            return Ok(Some(0));
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if same(middle)? {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(Some(low))
    }

    /// The tree, for roots and consistency proofs.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// An entry, as it stands on disk.
    ///
    /// # Errors
    /// When its bundle is missing or damaged, or when it was purged or never written.
    pub fn leaf(&mut self, seq: u64) -> Result<Vec<u8>, VerifyError> {
        let n = seq / WIDTH;
        let width = WIDTH.min(self.size().saturating_sub(n * WIDTH));
        let path = entries_path(n, width);
        let unreadable = |why: &dyn ToString| VerifyError::Unreadable {
            path: path.display().to_string(),
            first: seq,
            last: seq,
            why: why.to_string(),
        };
        if seq >= self.size() {
            return Err(unreadable(&format!("the log holds {} entries", self.size())));
        }
        if seq < self.first {
            return Err(unreadable(&format!("the entries before {} were purged", self.first)));
        }
        if self.bundle.as_ref().is_none_or(|(number, _)| *number != n) {
            let bytes = self.tiles.bundle(n, width).map_err(|e| unreadable(&e))?;
            self.bundle =
                Some((n, unbundle(&bytes).ok_or_else(|| unreadable(&"a damaged bundle of entries"))?));
        }
        let entries = self.bundle.as_ref().map(|(_, entries)| entries);
        entries
            .and_then(|entries| entries.get((seq % WIDTH) as usize))
            .cloned()
            .ok_or_else(|| unreadable(&"the entry is missing"))
    }

    /// An entry with its proof, which holds.
    ///
    /// # Errors
    /// When it does not: [`VerifyError::Entry`].
    pub fn prove(&mut self, seq: u64) -> Result<Proven, VerifyError> {
        let leaf = self.leaf(seq)?;
        let checkpoint =
            self.cosigned().filter(|cosigned| cosigned.size > seq).unwrap_or_else(|| self.checkpoint.clone());
        let proof = self
            .tree
            .inclusion(seq, checkpoint.size)
            .filter(|proof| proof.root == checkpoint.root && proof.holds_for_hash(leaf_hash(&leaf)));
        let proof = proof.ok_or(VerifyError::Entry(seq))?;
        Ok(Proven { leaf, proof, checkpoint })
    }
}

/// The entries of a log from the first that was not purged to the last, one bundle in memory at a time. Ends at the first
/// bundle that cannot be read.
pub fn leaves_in_order(log: &Published) -> impl Iterator<Item = (u64, Result<Vec<u8>, VerifyError>)> {
    let (tiles, size, first) = (log.tiles.clone(), log.size(), log.first);
    (first / WIDTH..size.div_ceil(WIDTH)).flat_map(move |n| {
        let width = WIDTH.min(size - n * WIDTH);
        let entries = tiles.entries(n, width).map_err(|why| VerifyError::Unreadable {
            path: entries_path(n, width).display().to_string(),
            first: n * WIDTH,
            last: n * WIDTH + width - 1,
            why: why.to_string(),
        });
        let entries: Vec<_> = match entries {
            Ok(entries) => entries.into_iter().map(Ok).collect(),
            Err(finding) => vec![Err(finding)],
        };
        (n * WIDTH..).zip(entries)
    })
}
