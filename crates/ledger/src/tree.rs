//! The Merkle tree of RFC 6962 (SHA-256) over the leaves, and the proofs it gives. The arithmetic of proofs is
//! `tlog_tiles`' (a port of Go's `sumdb/tlog`); nothing of it shows outside this module, so that it can be replaced.
//!
//! A tree keeps in memory only its right edge, a few kilobytes however many leaves there are: the hashes that are not
//! yet in a full tile on disk. Everything to the left is read from the tiles when a proof asks for it. A tree without
//! tiles below it ([`Tree::new`]) keeps all its leaf hashes.

use crate::tiles::{TileAt, TileDirectory, WIDTH};
use base64::{Engine, prelude::BASE64_STANDARD};
use std::collections::{HashMap, hash_map::Entry};
use tlog_tiles::tlog::{
    EMPTY_HASH, Error, Hash, HashReader, check_record, check_tree, node_hash, prove_record, prove_tree,
    record_hash, split_stored_hash_index, tree_hash,
};

/// A SHA-256 hash of a leaf or node.
pub type NodeHash = [u8; 32];

/// Binary levels of the tree in one tile.
const HEIGHT: u8 = 8;

/// The hash of a leaf: SHA-256(0x00 ‖ leaf), RFC 6962 2.1.
pub fn leaf_hash(leaf: &[u8]) -> NodeHash {
    record_hash(leaf).0
}

/// The root of a complete subtree over hashes, as many as a power of two; none for another number.
pub(crate) fn subtree(hashes: &[NodeHash]) -> Option<NodeHash> {
    if !hashes.len().is_power_of_two() {
        return None;
    }
    let mut level = hashes.to_vec();
    while level.len() > 1 {
        level = level
            .chunks_exact(2)
            .filter_map(|pair| match pair {
                [left, right] => Some(node_hash(Hash(*left), Hash(*right)).0),
                _ => None,
            })
            .collect();
    }
    level.first().copied()
}

/// The hashes of one level of tiles, from number `first` on; those before it lie in full tiles on disk.
#[derive(Clone, Debug, Default)]
struct Row {
    first: u64,
    hashes: Vec<NodeHash>,
}

impl Row {
    fn end(&self) -> u64 {
        self.first + self.hashes.len() as u64
    }

    fn get(&self, from: u64, count: u64) -> Option<&[NodeHash]> {
        let start = from.checked_sub(self.first)? as usize;
        self.hashes.get(start..start + count as usize)
    }
}

/// The tree, growing at its right edge.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    size: u64,
    rows: Vec<Row>,
    tiles: Option<TileDirectory>,
}

/// Reads nodes for one proof; each tile is read once.
struct Nodes<'a> {
    tree: &'a Tree,
    read: std::cell::RefCell<HashMap<(u8, u64), Vec<NodeHash>>>,
}

impl HashReader for Nodes<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        let node = |index: &u64| {
            let (level, n) = split_stored_hash_index(*index);
            self.tree
                .node_through(level, n, &mut self.read.borrow_mut())
                .map(Hash)
                .ok_or(Error::IndexesNotInTree)
        };
        indexes.iter().map(node).collect()
    }
}

impl Tree {
    /// An empty tree that keeps all its hashes in memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tree of the first `size` leaves of a published log. Reads the tiles of its right edge only; whether they are
    /// true shows when [`Tree::root`] is compared with a signed one.
    ///
    /// # Errors
    /// When such a tile is missing or malformed.
    pub fn open(tiles: TileDirectory, size: u64) -> std::io::Result<Self> {
        let mut rows = Vec::new();
        for level in 0_u8..8 {
            let count = size >> (u32::from(HEIGHT) * u32::from(level));
            if count == 0 {
                break;
            }
            let (n, width) = (count / WIDTH, count % WIDTH);
            let hashes = if width == 0 { Vec::new() } else { tiles.hashes(TileAt { level, n, width })? };
            rows.push(Row { first: n * WIDTH, hashes });
        }
        Ok(Self { size, rows, tiles: Some(tiles) })
    }

    /// How many leaves it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf by its hash.
    pub fn push(&mut self, leaf: NodeHash) {
        self.size += 1;
        let mut rising = Some(leaf);
        for level in 0.. {
            let Some(hash) = rising.take() else { return };
            if self.rows.len() == level {
                self.rows.push(Row::default());
            }
            let Some(row) = self.rows.get_mut(level) else { return };
            row.hashes.push(hash);
            if row.end().is_multiple_of(WIDTH) {
                rising = row
                    .hashes
                    .len()
                    .checked_sub(WIDTH as usize)
                    .and_then(|tile| subtree(row.hashes.get(tile..)?));
            }
        }
    }

    #[cfg(feature = "writer")]
    /// Forgets the hashes of full tiles of the first `size` leaves, which are in `tiles` from now on.
    pub(crate) fn leave_to(&mut self, tiles: &TileDirectory, size: u64) {
        for (level, row) in self.rows.iter_mut().enumerate() {
            let full = (size >> (usize::from(HEIGHT) * level)) / WIDTH * WIDTH;
            if let Some(written) = full.checked_sub(row.first).filter(|written| *written > 0) {
                row.hashes.drain(..(written as usize).min(row.hashes.len()));
                row.first = full;
            }
        }
        if self.tiles.is_none() {
            self.tiles = Some(tiles.clone());
        }
    }

    /// What a start needs to go on without reading the tiles: per level of tiles the hashes of the partial tile.
    pub(crate) fn edge(&self) -> Vec<Vec<NodeHash>> {
        let partial = |row: &Row| {
            let start = row.end() / WIDTH * WIDTH;
            row.get(start, row.end() - start).unwrap_or_default().to_vec()
        };
        self.rows.iter().map(partial).collect()
    }

    #[cfg(feature = "writer")]
    /// The tree of `size` leaves whose partial tiles are `edge` and whose full tiles lie in `tiles`.
    pub(crate) fn resume(tiles: TileDirectory, size: u64, edge: Vec<Vec<NodeHash>>) -> Option<Self> {
        let rows: Vec<Row> = (0_u32..)
            .zip(edge)
            .map(|(level, hashes)| Row {
                first: (size >> (u32::from(HEIGHT) * level)) / WIDTH * WIDTH,
                hashes,
            })
            .collect();
        let fits = (0_u32..).zip(&rows).all(|(level, row)| row.end() == size >> (u32::from(HEIGHT) * level));
        (fits && size >> (HEIGHT as usize * rows.len()) == 0).then_some(Self {
            size,
            rows,
            tiles: Some(tiles),
        })
    }

    /// Hashes of one level of tiles (`256^level` leaves each): from memory, or from one tile on disk.
    pub(crate) fn hashes(&self, level: u8, from: u64, count: u64) -> Option<Vec<NodeHash>> {
        let row = self.rows.get(usize::from(level))?;
        if let Some(hashes) = row.get(from, count) {
            return Some(hashes.to_vec());
        }
        let (n, start) = (from / WIDTH, (from % WIDTH) as usize);
        let tile = self.tiles.as_ref()?.hashes(TileAt { level, n, width: WIDTH }).ok()?;
        tile.get(start..start + count as usize).map(<[_]>::to_vec)
    }

    fn node_through(
        &self,
        level: u8,
        n: u64,
        read: &mut HashMap<(u8, u64), Vec<NodeHash>>,
    ) -> Option<NodeHash> {
        if n.checked_add(1)?.checked_shl(u32::from(level))? > self.size {
            return None;
        }
        let (row, within) = (level / HEIGHT, level % HEIGHT);
        let (from, count) = (n << within, 1 << within);
        if let Some(hashes) = self.rows.get(usize::from(row))?.get(from, count) {
            return subtree(hashes);
        }
        let tile = from / WIDTH;
        let hashes = match read.entry((row, tile)) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(place) => place.insert(self.hashes(row, tile * WIDTH, WIDTH)?),
        };
        let start = (from % WIDTH) as usize;
        subtree(hashes.get(start..start + count as usize)?)
    }

    fn nodes(&self) -> Nodes<'_> {
        Nodes { tree: self, read: std::cell::RefCell::default() }
    }

    /// The root over the first `size` leaves; none when there are fewer, or when a tile cannot be read.
    pub fn root_at(&self, size: u64) -> Option<NodeHash> {
        if size == 0 {
            return Some(EMPTY_HASH.0);
        }
        if size > self.size {
            return None;
        }
        tree_hash(size, &self.nodes()).ok().map(|hash| hash.0)
    }

    /// The root over all leaves.
    pub fn root(&self) -> NodeHash {
        self.root_at(self.size).unwrap_or(EMPTY_HASH.0)
    }

    /// The hash of the complete subtree of `2^level` leaves with number `n`.
    pub fn node(&self, level: u8, n: u64) -> Option<NodeHash> {
        self.node_through(level, n, &mut HashMap::new())
    }

    /// The proof that leaf `seq` stands in the tree of the first `size` leaves.
    pub fn inclusion(&self, seq: u64, size: u64) -> Option<InclusionProof> {
        self.inclusion_under(seq, size, self.root_at(size)?)
    }

    /// The same where the root over the first `size` leaves is known already: half the work.
    pub(crate) fn inclusion_under(&self, seq: u64, size: u64, root: NodeHash) -> Option<InclusionProof> {
        if seq >= size || size > self.size {
            return None;
        }
        let hashes = prove_record(size, seq, &self.nodes()).ok()?;
        Some(InclusionProof { seq, size, root, hashes: hashes.into_iter().map(|h| h.0).collect() })
    }

    /// The proof that the tree of the first `new` leaves extends the tree of the first `old`.
    pub fn consistency(&self, old: u64, new: u64) -> Option<ConsistencyProof> {
        if old > new || new > self.size {
            return None;
        }
        // Every tree extends the empty one, without a proof (RFC 9162 2.1.4 starts at 1).
        let hashes =
            if old == 0 || old == new { Vec::new() } else { prove_tree(new, old, &self.nodes()).ok()? };
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
        self.holds_for_hash(leaf_hash(leaf))
    }

    /// The same for a leaf of which only the hash is at hand.
    pub fn holds_for_hash(&self, leaf: NodeHash) -> bool {
        // A path is as long as the tree is high; a longer one is refused before it is walked.
        if self.seq >= self.size || self.hashes.len() > 64 {
            return false;
        }
        let path = self.hashes.iter().map(|h| Hash(*h)).collect();
        check_record(&path, self.size, Hash(self.root), self.seq, Hash(leaf)).is_ok()
    }

    /// The proof as a C2SP `tlog-proof@v1` file, with the checkpoint that carries its root.
    pub fn to_text(&self, checkpoint: &str) -> String {
        let path: String = self.hashes.iter().map(|h| BASE64_STANDARD.encode(h) + "\n").collect();
        format!("c2sp.org/tlog-proof@v1\nindex {}\n{path}\n{checkpoint}", self.seq)
    }

    /// The same, with the leaf itself as the file's extra data.
    pub fn to_text_with(&self, leaf: &[u8], checkpoint: &str) -> String {
        let text = self.to_text(checkpoint);
        text.replacen("index ", &format!("extra {}\nindex ", BASE64_STANDARD.encode(leaf)), 1)
    }
}

/// A C2SP `tlog-proof@v1` as read: what a client keeps of an entry that it was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptProof {
    /// The entry's number.
    pub seq: u64,
    /// The file's extra data: the entry itself where the log gave it along. Not believed before the path holds for it.
    pub extra: Option<Vec<u8>>,
    /// The audit path, from the leaf up.
    pub hashes: Vec<NodeHash>,
    /// The checkpoint, a signed note whose signatures the reader has yet to check.
    pub checkpoint: String,
}

impl KeptProof {
    /// Reads the text of [`InclusionProof::to_text`]; none when it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("c2sp.org/tlog-proof@v1\n")?;
        let (extra, rest) = match rest.strip_prefix("extra ") {
            Some(rest) => {
                let (extra, rest) = rest.split_once('\n')?;
                (Some(BASE64_STANDARD.decode(extra).ok()?), rest)
            }
            None => (None, rest),
        };
        let (index, rest) = rest.strip_prefix("index ")?.split_once('\n')?;
        let seq: u64 = index.parse().ok().filter(|seq: &u64| seq.to_string() == index)?;
        let (path, checkpoint) = match rest.strip_prefix('\n') {
            Some(checkpoint) => ("", checkpoint),
            None => rest.split_once("\n\n")?,
        };
        let hashes: Vec<NodeHash> = path
            .lines()
            .map(|line| BASE64_STANDARD.decode(line).ok()?.try_into().ok())
            .collect::<Option<_>>()?;
        (hashes.len() <= 64).then(|| Self { seq, extra, hashes, checkpoint: checkpoint.to_owned() })
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
    /// The body of C2SP tlog-witness `add-checkpoint`: this proof, and the checkpoint at its end.
    pub fn request(&self, checkpoint: &str) -> String {
        let lines: String = self.hashes.iter().map(|hash| BASE64_STANDARD.encode(hash) + "\n").collect();
        format!("old {}\n{lines}\n{checkpoint}", self.old)
    }

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

    #[test]
    fn a_proof_reads_as_the_standard_writes_it() {
        // c2sp.org/tlog-proof, its example without the extra line.
        let text = "c2sp.org/tlog-proof@v1\nindex 73894\ngSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n\
                    B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=\n\nexample.com/fancylog\n109482\n\
                    sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=\n\n— example.com/fancylog hI2DJw==\n";
        let proof = KeptProof::parse(text).unwrap();
        assert_eq!((proof.seq, proof.hashes.len(), proof.extra.as_deref()), (73_894, 2, None));
        assert!(proof.checkpoint.starts_with("example.com/fancylog\n109482\n"));
        let extra = KeptProof::parse(&text.replacen("index", "extra eyJ9\nindex", 1)).unwrap();
        assert_eq!(extra.extra.as_deref(), Some(b"{\"}".as_slice()));
        for bad in [
            text.replace("v1", "v2"),
            text.replace("73894", "073894"),
            text.replace("gSKy", "!!!!"),
            String::new(),
        ] {
            assert_eq!(KeptProof::parse(&bad), None);
        }
        // Ours comes back as it went.
        let tree = known_tree();
        let ours = tree.inclusion(5, 8).unwrap();
        let read = KeptProof::parse(&ours.to_text_with(b"leaf", "note\n")).unwrap();
        assert_eq!(
            (read.seq, &read.hashes, read.extra.as_deref(), read.checkpoint.as_str()),
            (5, &ours.hashes, Some(b"leaf".as_slice()), "note\n")
        );
    }

    #[test]
    fn what_lies_in_tiles_gives_the_same_proofs_as_what_is_held() {
        let dir = tempfile::tempdir().unwrap();
        let tiles = TileDirectory::new(dir.path());
        let (mut held, mut left) = (Tree::new(), Tree::new());
        for n in 0..70_000_u64 {
            held.push(leaf_hash(&n.to_be_bytes()));
            left.push(leaf_hash(&n.to_be_bytes()));
            if n % 9_973 == 0 {
                for tile in crate::tiles::new_tiles(0, n + 1) {
                    let path = dir.path().join(crate::tiles::hash_tile_path(tile.level, tile.n, tile.width));
                    if !path.exists() {
                        crate::tiles::replace(&path, &crate::tiles::tile_bytes(&held, tile).unwrap())
                            .unwrap();
                    }
                }
                left.leave_to(&tiles, n + 1);
            }
        }
        assert_eq!(left.root(), held.root());
        let resumed = Tree::resume(tiles.clone(), 70_000, left.edge());
        // The tiles after the last round were not written: what is not in memory is missing, and said to be.
        assert_eq!(resumed.unwrap().root(), held.root());
        for (seq, size) in
            [(0, 70_000), (69_999, 70_000), (255, 256), (256, 65_536), (12_345, 69_001), (65_535, 65_537)]
        {
            assert_eq!(left.inclusion(seq, size), held.inclusion(seq, size), "{seq} of {size}");
            assert_eq!(left.consistency(seq, size), held.consistency(seq, size), "{seq} to {size}");
        }
        assert!(
            left.rows[0].hashes.len() < 10_240,
            "{} leaf hashes are still held",
            left.rows[0].hashes.len()
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
