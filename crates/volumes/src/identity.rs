//! Which vault a folder is, and that only one process has it open.
//!
//! File `identity`, 48 bytes: `RTRVAULT` (8), format version (u32, 1), 0 (u32), the vault's identity (16, random),
//! first 16 bytes of BLAKE3 of bytes 0..32. Volumes and key stores carry the same identity, so that a restored or
//! swapped disk is never taken for another. The lock (flock) is on this file and ends with the process.

use crate::{
    error::{At, VaultError},
    volume::{number_of, take, version_of},
};
use rustix::fs::FlockOperation;
use std::{
    fs::{self, File, OpenOptions},
    io::Read,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::Path,
};

const MAGIC: [u8; 8] = *b"RTRVAULT";
const VERSION: u32 = 1;

/// An open, locked folder. Dropping it releases the lock.
pub struct Identity {
    /// Identity of the vault.
    pub vault: [u8; 16],
    _lock: Lock,
}

/// The locked file. It is unlocked by hand: a child that is just being forked holds a copy of the descriptor until it
/// executes its program, and the lock would end with that copy only.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // What fails here ends with the process.
        rustix::fs::flock(&self.0, FlockOperation::Unlock).ok();
    }
}

impl Identity {
    /// Reads who an existing folder is, and sees to it that no daemon opens it meanwhile. Makes nothing.
    pub fn existing(dir: &Path) -> Result<Self, VaultError> {
        let path = dir.join("identity");
        let mut file = File::open(&path).at(&path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(VaultError::Locked(dir.to_owned())),
            other => other.at(&path)?,
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).at(&path)?;
        let vault = decode(&bytes, &path)?;
        Ok(Self { vault, _lock: Lock(file) })
    }

    /// Locks the folder and reads who it is; an empty folder gets an identity.
    pub fn open(dir: &Path) -> Result<Self, VaultError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).at(dir)?;
        let path = dir.join("identity");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .at(&path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(VaultError::Locked(dir.to_owned())),
            other => other.at(&path)?,
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).at(&path)?;
        if bytes.is_empty() {
            if !volumes(dir)?.is_empty() {
                return Err(VaultError::IdentityMissing(dir.to_owned()));
            }
            let mut head = [0; 48];
            head[..8].copy_from_slice(&MAGIC);
            head[8..12].copy_from_slice(&VERSION.to_le_bytes());
            aws_lc_rs::rand::fill(&mut head[16..32]).map_err(|_| VaultError::Random)?;
            let check = blake3::hash(&head[..32]);
            head[32..].copy_from_slice(&check.as_bytes()[..16]);
            file.write_all_at(&head, 0).at(&path)?;
            file.sync_all().at(&path)?;
            File::open(dir).and_then(|dir| dir.sync_all()).at(dir)?;
            return Ok(Self { vault: take(&head, 16), _lock: Lock(file) });
        }
        Ok(Self { vault: decode(&bytes, &path)?, _lock: Lock(file) })
    }
}

/// The vault that these bytes name.
fn decode(bytes: &[u8], path: &Path) -> Result<[u8; 16], VaultError> {
    version_of(bytes, MAGIC, VERSION..=VERSION, path, "the identity of a vault")?;
    if take::<16>(blake3::hash(&take::<32>(bytes, 0)).as_bytes(), 0) != take::<16>(bytes, 32) {
        return Err(VaultError::NotOurs { path: path.to_owned(), expected: "the identity of a vault" });
    }
    Ok(take(bytes, 16))
}

/// The numbers of the volumes in a folder, in order. Takes as long as there are many.
pub fn volumes(dir: &Path) -> Result<Vec<u64>, VaultError> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).at(dir)? {
        numbers.extend(entry.at(dir)?.file_name().to_str().and_then(number_of));
    }
    numbers.sort_unstable();
    Ok(numbers)
}
