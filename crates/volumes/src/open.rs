//! Which volumes are not known to be sealed, so that a start looks at those and need not list hundreds of thousands.
//!
//! File `open` in the vault's folder, one block of 4096 bytes that is overwritten in place and synced:
//!
//! | bytes | what |
//! | --- | --- |
//! | 0..8 | `RTROPEN1` |
//! | 8..12 | format version, 1 |
//! | 12..16 | 0 |
//! | 16..32 | identity of the vault |
//! | 32..40 | the highest number that a volume ever had |
//! | 40..48 | n, how many numbers follow |
//! | 48..48+8n | numbers of volumes, in order |
//! | 4064..4096 | BLAKE3 of bytes 0..4064 |
//!
//! **Invariant.** A volume whose number is not in it is sealed, and an index that survives a power cut says so. So a number
//! is written here before its file is made, and taken out only after the index that knows the volume as sealed was synced.
//! A number in it may well be sealed, or have no file: that costs a look and nothing else.
//!
//! A file that is missing, torn, of another vault, or older than the index proves nothing: then the folder is listed, as it
//! is when the index was lost. Both are always right and only take longer.

use crate::volume::{BLOCK, take, u32_at, u64_at};
use std::{collections::BTreeSet, fs, path::Path};

/// Its name in the vault's folder.
pub const FILE: &str = "open";
/// How many numbers it has room for.
pub const MOST: usize = (HASH - NUMBERS) / 8;

const MAGIC: [u8; 8] = *b"RTROPEN1";
const VERSION: u32 = 1;
const NUMBERS: usize = 48;
const HASH: usize = BLOCK as usize - 32;

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenVolumes {
    /// The highest number that a volume ever had; 0: there was none.
    pub newest: u64,
    /// Volumes that are not known to be sealed.
    pub numbers: BTreeSet<u64>,
}

impl OpenVolumes {
    /// Its bytes. Numbers beyond [`MOST`] find no room: then the block says nothing, and the next start lists the folder.
    pub fn encode(&self, vault: [u8; 16]) -> Vec<u8> {
        if self.numbers.len() > MOST {
            return vec![0; BLOCK as usize];
        }
        let mut bytes = Vec::with_capacity(BLOCK as usize);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(vault);
        bytes.extend(self.newest.to_le_bytes());
        bytes.extend((self.numbers.len() as u64).to_le_bytes());
        bytes.extend(self.numbers.iter().flat_map(|number| number.to_le_bytes()));
        bytes.resize(HASH, 0);
        let hash = blake3::hash(&bytes);
        bytes.extend(hash.as_bytes());
        bytes
    }

    /// Reads the file of a vault; none when it cannot be believed.
    pub fn read(dir: &Path, vault: [u8; 16]) -> Option<Self> {
        Self::decode(&fs::read(dir.join(FILE)).ok()?, vault)
    }

    fn decode(bytes: &[u8], vault: [u8; 16]) -> Option<Self> {
        let content = bytes.get(..HASH).filter(|_| bytes.len() == BLOCK as usize)?;
        if *blake3::hash(content).as_bytes() != take::<32>(bytes, HASH)
            || take::<8>(bytes, 0) != MAGIC
            || u32_at(bytes, 8) != VERSION
            || take::<16>(bytes, 16) != vault
        {
            return None;
        }
        let count = usize::try_from(u64_at(bytes, 40)).ok().filter(|count| *count <= MOST)?;
        let numbers = (0..count).map(|n| u64_at(bytes, NUMBERS + 8 * n)).collect();
        Some(Self { newest: u64_at(bytes, 32), numbers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_whole_says_nothing() {
        let vault = [7; 16];
        let open = OpenVolumes { newest: 9, numbers: [3, 9].into() };
        let bytes = open.encode(vault);
        assert_eq!(bytes.len(), 4096);
        assert_eq!(OpenVolumes::decode(&bytes, vault), Some(open.clone()));
        assert_eq!(OpenVolumes::decode(&bytes, [8; 16]), None, "of another vault");
        assert_eq!(OpenVolumes::decode(&bytes[..4095], vault), None);
        for at in [0, 8, 33, 47, 50, 2000, 4095] {
            let mut torn = bytes.clone();
            torn[at] ^= 1;
            assert_eq!(OpenVolumes::decode(&torn, vault), None, "byte {at}");
        }
        let full = OpenVolumes { newest: MOST as u64, numbers: (0..MOST as u64).collect() };
        assert_eq!(OpenVolumes::decode(&full.encode(vault), vault), Some(full));
        let beyond = OpenVolumes { newest: 1, numbers: (0..=MOST as u64).collect() };
        assert_eq!(OpenVolumes::decode(&beyond.encode(vault), vault), None);
    }
}
