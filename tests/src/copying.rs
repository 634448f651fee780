//! A copy of a folder in which a log goes on growing: `cp -r` stumbles over names that come and go, and may take a tile that is older
//! than the checkpoint.

use anyhow::{Context as _, Result, ensure};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Passes in which something vanished before it was copied, after which the copy is given up.
const MOST_PASSES: u32 = 50;

/// Copies a folder, living or not, in the place of what was there. Checkpoints are taken first, for all that they cover is
/// there by then; files on their way to their name (`….new`) are left out.
///
/// # Errors
/// When a file cannot be read or written, or names vanish again and again.
pub fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    drop(fs::remove_dir_all(to));
    let mut signed = Vec::new();
    read_signed(from, Path::new(""), &mut signed)?;
    let mut passes = 0;
    while !copy_pass(from, to)? {
        passes += 1;
        ensure!(passes < MOST_PASSES, "{} does not stand still long enough to be copied", from.display());
    }
    for (name, bytes) in signed {
        fs::write(to.join(&name), bytes).with_context(|| name.display().to_string())?;
    }
    Ok(())
}

fn is_signed(name: &str) -> bool {
    name.starts_with("checkpoint")
}

fn is_under_way(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "new")
}

/// What was found, or nothing where it is gone by now.
fn there<T>(found: io::Result<T>, path: &Path) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| path.display().to_string()),
    }
}

/// The names in a folder, each with whether it is a folder; nothing where the folder is gone.
fn names(folder: &Path) -> Result<Option<Vec<(String, bool)>>> {
    let Some(entries) = there(fs::read_dir(folder), folder)? else { return Ok(None) };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Some(kind) = there(entry.file_type(), &entry.path())? else { return Ok(None) };
        names.push((entry.file_name().to_string_lossy().into_owned(), kind.is_dir()));
    }
    Ok(Some(names))
}

fn read_signed(folder: &Path, below: &Path, signed: &mut Vec<(PathBuf, Vec<u8>)>) -> Result<()> {
    for (name, is_folder) in names(&folder.join(below))?.unwrap_or_default() {
        let path = below.join(&name);
        if is_folder && name != "tile" {
            read_signed(folder, &path, signed)?;
        } else if is_signed(&name) && !is_under_way(&name) {
            let bytes = there(fs::read(folder.join(&path)), &path)?;
            signed.extend(bytes.map(|bytes| (path, bytes)));
        }
    }
    Ok(())
}

/// Copies all but the checkpoints; false where something vanished meanwhile.
fn copy_pass(from: &Path, to: &Path) -> Result<bool> {
    fs::create_dir_all(to)?;
    let Some(names) = names(from)? else { return Ok(false) };
    let mut whole = true;
    for (name, is_folder) in names {
        let (from, to) = (from.join(&name), to.join(&name));
        if is_folder {
            whole &= copy_pass(&from, &to)?;
        } else if !is_signed(&name) && !is_under_way(&name) {
            whole &= there(fs::copy(&from, &to), &from)?.is_some();
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::{Clock, Entry, Ledger, LedgerConfig};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_copy_of_a_log_that_grows_verifies_and_opens() {
        let root = tempfile::tempdir().unwrap();
        let (dir, copy) = (root.path().join("log"), root.path().join("copy"));
        let ledger =
            Ledger::open(LedgerConfig::new(dir.clone(), root.path().join("log.key"), "a.example/l")).unwrap();
        let beat = || Entry::heartbeat(chrono::Utc::now(), Clock::Unknown);
        ledger.append(beat()).await.unwrap();
        ledger.published().wait_for(|size| *size > 0).await.unwrap();
        let growing = ledger.clone();
        let grower = tokio::spawn(async move {
            loop {
                growing.append(beat()).await.unwrap();
            }
        });
        let mut sizes = Vec::new();
        for _ in 0..20 {
            copy_folder(&dir, &copy).unwrap();
            sizes.push(ledger::verify(&copy, &ledger.vkey(), &[]).unwrap().size);
            let config = LedgerConfig::new(copy.clone(), root.path().join("log.key"), "a.example/l");
            assert!(Ledger::open(config).unwrap().size() >= *sizes.last().unwrap());
        }
        grower.abort();
        assert!(sizes.is_sorted() && sizes[0] > 0, "{sizes:?}");
    }
}
