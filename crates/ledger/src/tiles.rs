//! The published form of the log: C2SP tlog-tiles (`tile/<level>/<N>`, `tile/entries/<N>`, height 8). `tlog_tiles`'
//! own paths are those of Go's sumdb, with the height in them; these are the standard's.

use crate::tree::{NodeHash, Tree};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The newest checkpoint with a cosignature that holds.
pub const WITNESSED: &str = "checkpoint.witnessed";
/// The tombstone: a checkpoint of the entries that were purged, signed when they were.
pub const PRUNED: &str = "checkpoint.pruned";
/// Hashes in a full tile, entries in a full bundle.
pub const WIDTH: u64 = 256;
/// Levels of the tree in one tile.
const HEIGHT: u8 = 8;

/// Where a tile lies: `tile/0/x001/x234/067`, with `.p/<width>` while it is partial.
pub fn hash_tile_path(level: u8, n: u64, width: u64) -> PathBuf {
    PathBuf::from(format!("tile/{level}/{}", number(n, width)))
}

/// Where a bundle of entries lies: `tile/entries/x001/x234/067`, with `.p/<width>` while it is partial.
pub fn entries_path(n: u64, width: u64) -> PathBuf {
    PathBuf::from(format!("tile/entries/{}", number(n, width)))
}

fn number(n: u64, width: u64) -> String {
    let mut text = format!("{:03}", n % 1000);
    let mut rest = n / 1000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1000);
        rest /= 1000;
    }
    if width < WIDTH { format!("{text}.p/{width}") } else { text }
}

/// One tile or bundle that a tree of some size consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileAt {
    /// Its level: hashes of subtrees of `256^level` leaves.
    pub level: u8,
    /// Its number in the level.
    pub n: u64,
    /// How many hashes it holds; 256 when full.
    pub width: u64,
}

/// The tiles that a tree of `new` leaves has and one of `old` leaves has not.
pub fn new_tiles(old: u64, new: u64) -> Vec<TileAt> {
    let mut tiles = Vec::new();
    for level in 0_u8..8 {
        let shift = u32::from(HEIGHT) * u32::from(level);
        let (before, now) = (old >> shift, new >> shift);
        if now == 0 {
            break;
        }
        if before == now {
            continue;
        }
        tiles.extend((before / WIDTH..now / WIDTH).map(|n| TileAt { level, n, width: WIDTH }));
        if now % WIDTH > 0 {
            tiles.push(TileAt { level, n: now / WIDTH, width: now % WIDTH });
        }
    }
    tiles
}

/// The bytes of a hash tile; none when the tree does not reach that far.
pub fn tile_bytes(tree: &Tree, tile: TileAt) -> Option<Vec<u8>> {
    tree.hashes(tile.level, tile.n * WIDTH, tile.width).map(|hashes| hashes.concat())
}

/// A bundle: each entry with its length before it, 16 bits, big-endian.
pub fn bundle(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.iter().map(|e| e.len() + 2).sum());
    for entry in entries {
        // The ledger refuses leaves beyond 65,535 bytes at its door.
        bytes.extend((entry.len() as u16).to_be_bytes());
        bytes.extend(entry);
    }
    bytes
}

/// The entries of a bundle; none when the bytes are not one.
pub fn unbundle(mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let (len, rest) = bytes.split_first_chunk::<2>()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        entries.push(entry.to_vec());
        bytes = rest;
    }
    Some(entries)
}

#[cfg(feature = "writer")]
/// Writes a file so that readers see the old one or the new one, never half of it. Not synced: tiles are rebuilt
/// from the sequence file.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    fs::write(&fresh, bytes)?;
    fs::rename(&fresh, path)
}

/// Reads a published log's tiles.
#[derive(Clone, Debug)]
pub struct TileDirectory(PathBuf);

impl TileDirectory {
    /// The tiles below a folder, which holds `tile/…`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// The hashes of a tile. A partial tile that has been dropped is read from the fuller one.
    pub fn hashes(&self, tile: TileAt) -> io::Result<Vec<NodeHash>> {
        let bytes = self.read(tile.n, tile.width, |n, w| hash_tile_path(tile.level, n, w))?;
        let mut hashes: Vec<NodeHash> = bytes.chunks_exact(32).filter_map(|c| c.try_into().ok()).collect();
        if hashes.len() * 32 != bytes.len() || (hashes.len() as u64) < tile.width {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a tile of the wrong length"));
        }
        hashes.truncate(tile.width as usize);
        Ok(hashes)
    }

    /// The bytes of bundle `n`, as they stand on disk; of a dropped partial one those of the fuller one.
    pub fn bundle(&self, n: u64, width: u64) -> io::Result<Vec<u8>> {
        self.read(n, width, entries_path)
    }

    /// The entries of bundle `n`, the first `width` of them.
    pub fn entries(&self, n: u64, width: u64) -> io::Result<Vec<Vec<u8>>> {
        let mut entries = unbundle(&self.read(n, width, entries_path)?)
            .filter(|entries| entries.len() as u64 >= width)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a damaged bundle of entries"))?;
        entries.truncate(width as usize);
        Ok(entries)
    }

    /// The file of a tile, or a wider one that begins with it: a log that grew by more than one entry at a time has not
    /// published every width, and a full tile replaces all of them.
    fn read(&self, n: u64, width: u64, path: impl Fn(u64, u64) -> PathBuf) -> io::Result<Vec<u8>> {
        let exact = self.0.join(path(n, width));
        match fs::read(&exact) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && width < WIDTH => {
                fs::read(self.0.join(path(n, WIDTH))).or_else(|missing| {
                    let wider = exact.parent().and_then(|folder| narrowest(folder, width));
                    wider.map_or(Err(missing), fs::read)
                })
            }
            other => other,
        }
    }
}

/// The narrowest partial tile in a `.p` folder that is wider than `width`.
fn narrowest(folder: &Path, width: u64) -> Option<PathBuf> {
    let there = fs::read_dir(folder).ok()?.flatten().filter_map(|entry| {
        let wide: u64 = entry.file_name().to_str()?.parse().ok()?;
        (wide > width && wide < WIDTH).then(|| (wide, entry.path()))
    });
    there.min_by_key(|(wide, _)| *wide).map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_those_of_the_standard() {
        assert_eq!(hash_tile_path(0, 0, 256), Path::new("tile/0/000"));
        assert_eq!(hash_tile_path(1, 1_234_067, 256), Path::new("tile/1/x001/x234/067"));
        assert_eq!(hash_tile_path(0, 273, 112), Path::new("tile/0/273.p/112"));
        assert_eq!(entries_path(1_234_067, 8), Path::new("tile/entries/x001/x234/067.p/8"));
    }

    #[test]
    fn the_tiles_of_a_tree_of_70_000() {
        // The example of the standard: 256 full level-0 tiles, a partial of 112, one full and one partial of level 1
        // and a partial of level 2.
        let tiles = new_tiles(0, 70_000);
        assert_eq!(tiles.iter().filter(|t| t.level == 0 && t.width == 256).count(), 273);
        assert!(tiles.contains(&TileAt { level: 0, n: 273, width: 112 }));
        assert!(tiles.contains(&TileAt { level: 1, n: 0, width: 256 }));
        assert!(tiles.contains(&TileAt { level: 1, n: 1, width: 17 }));
        assert!(tiles.contains(&TileAt { level: 2, n: 0, width: 1 }));
        assert_eq!(tiles.len(), 277);
    }

    proptest! {
        #[test]
        fn bundles_round_trip(entries in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..20)) {
            prop_assert_eq!(unbundle(&bundle(&entries)), Some(entries));
        }
    }
}
