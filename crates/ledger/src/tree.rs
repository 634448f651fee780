//! The Merkle tree of RFC 6962 (SHA-256) over the leaves, and the proofs it gives. The arithmetic is
//! `tlog_tiles`' (a port of Go's `sumdb/tlog`); nothing of it shows outside this module, so that it can be replaced.
//!
//! The tree keeps all its hashes in memory: 64 bytes an entry, 128 MB for two million entries, a busy year.

use base64::{Engine, prelude::BASE64_STANDARD};
use tlog_tiles::tlog::{
    EMPTY_HASH, Error, Hash, HashReader, check_record, check_tree, prove_record, prove_tree, record_hash,
    stored_hash_count, stored_hash_index, stored_hashes_for_record_hash, tree_hash,
};

/// A SHA-256 hash of a leaf or node.
pub type NodeHash = [u8; 32];

/// The hash of a leaf: SHA-256(0x00 ‖ leaf), RFC 6962 2.1.
pub fn leaf_hash(leaf: &[u8]) -> NodeHash {
    record_hash(leaf).0
}

/// The tree, growing at its right edge.
#[derive(Debug, Default)]
pub struct Tree {
    /// In the order of `stored_hash_index`: each record's hash, followed by those of the subtrees it completes.
    hashes: Vec<Hash>,
    size: u64,
}

impl HashReader for Tree {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        indexes.iter().map(|&i| self.hashes.get(i as usize).copied().ok_or(Error::IndexesNotInTree)).collect()
    }
}

impl Tree {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many leaves it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf by its hash.
    pub fn push(&mut self, leaf: NodeHash) {
        debug_assert_eq!(self.hashes.len() as u64, stored_hash_count(self.size), "the tree is out of step");
        // Reading our own hashes cannot fail: every index asked lies below the count just asserted.
        if let Ok(hashes) = stored_hashes_for_record_hash(self.size, Hash(leaf), self) {
            self.hashes.extend(hashes);
            self.size += 1;
        }
    }

    /// The root over the first `size` leaves; none when there are fewer.
    pub fn root_at(&self, size: u64) -> Option<NodeHash> {
        if size == 0 {
            return Some(EMPTY_HASH.0);
        }
        if size > self.size {
            return None;
        }
        tree_hash(size, self).ok().map(|hash| hash.0)
    }

    /// The root over all leaves.
    pub fn root(&self) -> NodeHash {
        self.root_at(self.size).unwrap_or(EMPTY_HASH.0)
    }

    /// The hash of the complete subtree of `2^level` leaves with number `n`.
    pub fn node(&self, level: u8, n: u64) -> Option<NodeHash> {
        let end = n.checked_add(1)?.checked_shl(u32::from(level))?;
        if end > self.size {
            return None;
        }
        self.hashes.get(stored_hash_index(level, n) as usize).map(|hash| hash.0)
    }

    /// The proof that leaf `seq` stands in the tree of the first `size` leaves.
    pub fn inclusion(&self, seq: u64, size: u64) -> Option<InclusionProof> {
        if seq >= size || size > self.size {
            return None;
        }
        let hashes = prove_record(size, seq, self).ok()?;
        Some(InclusionProof {
            seq,
            size,
            root: self.root_at(size)?,
            hashes: hashes.into_iter().map(|h| h.0).collect(),
        })
    }

    /// The proof that the tree of the first `new` leaves extends the tree of the first `old`.
    pub fn consistency(&self, old: u64, new: u64) -> Option<ConsistencyProof> {
        if old > new || new > self.size {
            return None;
        }
        // Every tree extends the empty one, without a proof (RFC 9162 2.1.4 starts at 1).
        let hashes = if old == 0 { Vec::new() } else { prove_tree(new, old, self).ok()? };
        Some(ConsistencyProof { old, new, hashes: hashes.into_iter().map(|h| h.0).collect() })
    }
}

/// That one leaf stands in the tree (RFC 6962 2.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// The leaf's number.
    pub seq: u64,
    /// The size of the tree.
    pub size: u64,
    /// The root of that tree.
    pub root: NodeHash,
    /// The audit path, from the leaf up.
    pub hashes: Vec<NodeHash>,
}

impl InclusionProof {
    /// Whether the proof holds for this leaf. Trust it only as far as the root is trusted.
    pub fn holds_for(&self, leaf: &[u8]) -> bool {
        // A path is as long as the tree is high; a longer one is refused before it is walked.
        if self.seq >= self.size || self.hashes.len() > 64 {
            return false;
        }
        let path = self.hashes.iter().map(|h| Hash(*h)).collect();
        check_record(&path, self.size, Hash(self.root), self.seq, record_hash(leaf)).is_ok()
    }

    /// The proof as a C2SP `tlog-proof@v1` file, with the checkpoint that carries its root.
    pub fn to_text(&self, checkpoint: &str) -> String {
        let path: String = self.hashes.iter().map(|h| BASE64_STANDARD.encode(h) + "\n").collect();
        format!("c2sp.org/tlog-proof@v1\nindex {}\n{path}\n{checkpoint}", self.seq)
    }
}

/// That one tree extends another (RFC 6962 2.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// The size of the older tree.
    pub old: u64,
    /// The size of the newer tree.
    pub new: u64,
    /// The path.
    pub hashes: Vec<NodeHash>,
}

impl ConsistencyProof {
    /// Whether the tree with `new_root` extends the tree with `old_root`.
    pub fn holds(&self, old_root: NodeHash, new_root: NodeHash) -> bool {
        if self.old == 0 {
            return self.hashes.is_empty() && old_root == EMPTY_HASH.0;
        }
        if self.old > self.new || self.hashes.len() > 64 {
            return false;
        }
        let path = self.hashes.iter().map(|h| Hash(*h)).collect();
        check_tree(&path, self.new, Hash(new_root), self.old, Hash(old_root)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The leaves and roots that Certificate Transparency's implementations share as their test data.
    const LEAVES: [&str; 8] =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn hex(text: &str) -> Vec<u8> {
        text.as_bytes()
            .chunks(2)
            .map(|c| u8::from_str_radix(std::str::from_utf8(c).unwrap(), 16).unwrap())
            .collect()
    }

    fn known_tree() -> Tree {
        let mut tree = Tree::new();
        for leaf in LEAVES {
            tree.push(leaf_hash(&hex(leaf)));
        }
        tree
    }

    #[test]
    fn the_known_roots_of_certificate_transparency() {
        let tree = known_tree();
        for (size, root) in ROOTS.iter().enumerate() {
            assert_eq!(tree.root_at(size as u64).unwrap().to_vec(), hex(root), "size {size}");
        }
        assert_eq!(tree.root_at(9), None);
    }

    #[test]
    fn the_known_paths_of_certificate_transparency() {
        let tree = known_tree();
        let path = |hashes: &[NodeHash]| hashes.iter().map(|h| h.to_vec()).collect::<Vec<_>>();
        assert_eq!(
            path(&tree.inclusion(5, 8).unwrap().hashes),
            [
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
            ]
            .map(hex)
        );
        assert_eq!(
            path(&tree.consistency(6, 8).unwrap().hashes),
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
            ]
            .map(hex)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_leaf_is_proven_and_no_other_passes(size in 1u64..600, pick in any::<u64>(), old in any::<u64>()) {
            let mut tree = Tree::new();
            for i in 0..size { tree.push(leaf_hash(&i.to_be_bytes())); }
            let seq = pick % size;
            let proof = tree.inclusion(seq, size).unwrap();
            prop_assert!(proof.holds_for(&seq.to_be_bytes()));
            prop_assert!(!proof.holds_for(&(seq + 1).to_be_bytes()));
            for i in 0..proof.hashes.len() {
                let mut bent = proof.clone();
                bent.hashes[i][0] ^= 1;
                prop_assert!(!bent.holds_for(&seq.to_be_bytes()));
            }
            let old = old % (size + 1);
            let grown = tree.consistency(old, size).unwrap();
            prop_assert!(grown.holds(tree.root_at(old).unwrap(), tree.root()));
            if old > 0 && old < size {
                let mut other = Tree::new();
                for i in 0..old { other.push(leaf_hash(&(i ^ u64::from(i == old / 2)).to_le_bytes())); }
                prop_assert!(!grown.holds(other.root(), tree.root()));
            }
        }
    }
}
