//! What a start mends of holds, and how their two copies are compared.

use super::{Claims, claims_of, copy, folders, ids, note_missing, sync_folder, write_claims, write_durably};
use crate::error::{At, VaultError};
use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Finishes what a crash cut short: keys and claims that lie on one device only, then copies that are not whole, and a device
/// that lacks what the other has. Called before anything is unlinked: a hold may still have to copy from it.
pub(crate) fn finish(dir: &Path, key_dirs: &[PathBuf; 2]) {
    for id in ids(key_dirs) {
        if let Err(error) = finish_one(dir, key_dirs, &id) {
            tracing::error!(hold = id, %error, "the footage of a hold lies on one device or in the volumes only");
        }
    }
}

fn finish_one(dir: &Path, key_dirs: &[PathBuf; 2], id: &str) -> Result<(), VaultError> {
    let folders = folders(key_dirs, id)?;
    let claimed = folders.each_ref().map(|folder| is_claimed(folder));
    let Some(claims) = claims_of(&folders).filter(|_| claimed.contains(&true)) else {
        return forget(&folders, id);
    };
    let [a, b] = &folders;
    // The keys first: without them on both devices, one lost device would be the end of the hold.
    match claimed {
        [true, false] => mirror(a, b, &["key", "claims"])?,
        [false, true] => mirror(b, a, &["key", "claims"])?,
        _ => {}
    }
    match folders.each_ref().map(|folder| folder.join("held").exists()) {
        [true, true] => Ok(()),
        [false, false] => note_missing(key_dirs, id, copy(dir, key_dirs, id, &claims)?),
        [first, _] => {
            let (from, to) = if first { (a, b) } else { (b, a) };
            let missing = from.join("missing").exists().then_some("missing");
            mirror(from, to, &["held"].into_iter().chain(missing).collect::<Vec<_>>())
        }
    }
}

/// Whether a folder has a key and whole claims.
fn is_claimed(folder: &Path) -> bool {
    let claims = fs::read(folder.join("claims")).ok();
    folder.join("key").exists() && claims.is_some_and(|bytes| Claims::decode(&bytes).is_some())
}

/// A name that was taken and never claimed: the call that took it did not return, so it keeps nothing.
fn forget(folders: &[PathBuf; 2], id: &str) -> Result<(), VaultError> {
    let empty = |folder: &&PathBuf| {
        folder.exists() && !folder.join("claims").exists() && !folder.join("held").exists()
    };
    if folders.iter().any(|folder| folder.exists() && !empty(&folder)) {
        // Claims that cannot be read, or ciphertext without its key: whatever it is, it is not ours to remove.
        tracing::error!(
            hold = id,
            "a hold has no key or no whole claims in either copy; it keeps nothing that opens"
        );
        return Ok(());
    }
    for folder in folders.iter().filter(empty) {
        fs::remove_dir_all(folder).at(folder)?;
        folder.parent().map_or(Ok(()), sync_folder)?;
    }
    Ok(())
}

/// Copies files of a hold to the device that lacks them.
fn mirror(from: &Path, to: &Path, names: &[&str]) -> Result<(), VaultError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(to).at(to)?;
    for name in names {
        if *name == "held" {
            // A day of footage does not go through memory.
            let part = to.join("held.part");
            fs::copy(from.join(name), &part).at(from.join(name))?;
            fs::File::open(&part).and_then(|file| file.sync_all()).at(&part)?;
            fs::rename(&part, to.join(name)).at(to.join(name))?;
        } else {
            let bytes = Zeroizing::new(fs::read(from.join(name)).at(from.join(name))?);
            if *name == "claims" {
                write_claims(to, &bytes)?;
            } else {
                write_durably(&to.join(name), &bytes)?;
            }
        }
    }
    sync_folder(to)?;
    to.parent().map_or(Ok(()), sync_folder)
}

/// The holds whose two copies are not the same: keys and claims byte by byte, the ciphertext by its length (whoever reads it
/// proves each record, and takes the other copy where one is damaged).
pub(crate) fn differing(key_dirs: &[PathBuf; 2]) -> Vec<String> {
    let differs = |id: &String| {
        let Ok([a, b]) = folders(key_dirs, id) else { return false };
        let small = |name: &str| {
            let read = |folder: &Path| fs::read(folder.join(name)).map(Zeroizing::new).ok();
            read(&a).zip(read(&b)).is_none_or(|(a, b)| a != b)
        };
        let length = |folder: &Path| fs::metadata(folder.join("held")).map(|metadata| metadata.len()).ok();
        small("key") || small("claims") || length(&a).zip(length(&b)).is_none_or(|(a, b)| a != b)
    };
    ids(key_dirs).into_iter().filter(differs).collect()
}
