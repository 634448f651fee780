//! What is encoded and not yet on disk, in memory that the disk can take as it is.
//!
//! Footage is written once and seldom read soon, so it goes past the page cache (`O_DIRECT`) where the file system
//! can: that spares a copy of every byte, the bookkeeping of its pages, and the cache that others could use. It asks
//! for whole, aligned blocks in file and memory: each write ends with zeros up to the next block.

use crate::{
    error::{At, VaultError},
    volume::{BLOCK, VolumeHead},
};
use rustix::fs::OFlags;
use std::{
    fs::{File, OpenOptions},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};
use volumes::open::OpenVolumes;

/// Bytes on their way to a file.
#[derive(Default)]
pub(crate) struct Staging {
    bytes: Vec<u8>,
    /// Where they begin in `bytes`, so that they lie aligned in memory.
    start: usize,
}

impl Staging {
    /// Bytes gathered.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// For appending only.
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.start = lead(&self.bytes).min(self.bytes.capacity());
        self.bytes.resize(self.start, 0);
    }

    /// Whole aligned blocks: what was gathered, and zeros.
    pub(crate) fn blocks(&mut self) -> &[u8] {
        let whole = self.len().next_multiple_of(BLOCK as usize);
        self.bytes.resize(self.start + whole, 0);
        if lead(&self.bytes) != self.start {
            // It grew and was moved by that; from now on it has room enough.
            let mut moved = Vec::with_capacity(self.bytes.capacity() + BLOCK as usize);
            let start = lead(&moved);
            moved.resize(start, 0);
            moved.extend_from_slice(self.bytes.get(self.start..).unwrap_or_default());
            (self.bytes, self.start) = (moved, start);
        }
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

/// How many bytes lie before the first aligned one.
fn lead(bytes: &[u8]) -> usize {
    bytes.as_ptr().align_offset(BLOCK as usize)
}

/// A volume's file while it is written.
pub(crate) struct VolumeFile {
    pub(crate) path: PathBuf,
    /// Through the page cache: for head and seal.
    file: File,
    /// Past it; none where the file system cannot.
    direct: Option<File>,
}

impl VolumeFile {
    /// Makes the file, with its head and zeros up to the first block's end, durable in its folder.
    pub(crate) fn create(path: PathBuf, dir: &Path, head: &VolumeHead) -> Result<Self, VaultError> {
        let mut block = head.encode().to_vec();
        block.resize(BLOCK as usize, 0);
        #[cfg(test)]
        crate::powercut::Act::Create(&path, &block).happens()?;
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path).at(&path)?;
        let begun = file.write_all_at(&block, 0).and_then(|()| file.sync_all());
        if begun.is_err() {
            // Nothing is in it yet; without a head it would only be in the way.
            drop(std::fs::remove_file(&path));
        }
        begun.at(&path)?;
        File::open(dir).and_then(|dir| dir.sync_all()).at(dir)?;
        let flags = OFlags::DIRECT.bits().cast_signed();
        let direct = OpenOptions::new().write(true).custom_flags(flags).open(&path).ok();
        Ok(Self { path, file, direct })
    }

    /// Writes whole blocks at a block's border.
    pub(crate) fn write_blocks(&mut self, blocks: &[u8], at: u64) -> Result<(), VaultError> {
        #[cfg(test)]
        crate::powercut::Act::Write(&self.path, at, blocks).happens()?;
        if let Some(direct) = &self.direct {
            match direct.write_all_at(blocks, at) {
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error()) => {
                    tracing::info!(path = %self.path.display(), "this file system cannot be written past the page cache");
                    self.direct = None;
                }
                other => return other.at(&self.path),
            }
        }
        self.file.write_all_at(blocks, at).at(&self.path)
    }

    /// Writes anything anywhere.
    pub(crate) fn write(&self, bytes: &[u8], at: u64) -> Result<(), VaultError> {
        #[cfg(test)]
        crate::powercut::Act::Write(&self.path, at, bytes).happens()?;
        self.file.write_all_at(bytes, at).at(&self.path)
    }

    /// Cuts off what lies behind `size`.
    pub(crate) fn cut(&self, size: u64) -> Result<(), VaultError> {
        #[cfg(test)]
        crate::powercut::Act::Cut(&self.path, size).happens()?;
        self.file.set_len(size).at(&self.path)
    }

    /// What was written survives a power cut when this returns `Ok`.
    pub(crate) fn sync(&self) -> Result<(), VaultError> {
        #[cfg(test)]
        crate::powercut::Act::Sync(&self.path).happens()?;
        rustix::fs::fdatasync(&self.file).at(&self.path)
    }
}

/// The file `open` of a vault that is written ([`volumes::open`]).
pub(crate) struct OpenFile {
    dir: PathBuf,
    path: PathBuf,
    vault: [u8; 16],
    file: Option<File>,
}

impl OpenFile {
    pub(crate) fn new(dir: &Path, vault: [u8; 16]) -> Self {
        Self { dir: dir.to_owned(), path: dir.join(volumes::open::FILE), vault, file: None }
    }

    /// Overwrites it in place; what it says survives a power cut when this returns `Ok`. A write that is cut short leaves
    /// a file that says nothing, and the next start lists the folder.
    pub(crate) fn write(&mut self, open: &OpenVolumes) -> Result<(), VaultError> {
        let block = open.encode(self.vault);
        let file = if let Some(file) = &self.file {
            file
        } else {
            let new = !self.path.exists();
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&self.path)
                .at(&self.path)?;
            if new {
                // The name is durable before anything relies on what stands in it.
                File::open(&self.dir).and_then(|dir| dir.sync_all()).at(&self.dir)?;
            }
            &*self.file.insert(file)
        };
        #[cfg(test)]
        crate::powercut::Act::Write(&self.path, 0, &block).happens()?;
        file.write_all_at(&block, 0).at(&self.path)?;
        #[cfg(test)]
        crate::powercut::Act::Sync(&self.path).happens()?;
        rustix::fs::fdatasync(file).at(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_whole_and_aligned_however_it_grew() {
        let mut staging = Staging::default();
        for length in [1_usize, 4096, 5000, 3 << 20, 7] {
            staging.clear();
            staging.out().extend(vec![7; length]);
            assert_eq!(staging.len(), length);
            let blocks = staging.blocks();
            assert_eq!(blocks.len() % 4096, 0);
            assert_eq!(blocks.as_ptr().align_offset(4096), 0);
            assert!(blocks[..length].iter().all(|b| *b == 7) && blocks[length..].iter().all(|b| *b == 0));
        }
    }
}
