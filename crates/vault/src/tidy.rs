//! What a start need not wait for: the whole folder against the whole index. A thread lists both once, after the vault is
//! open, and tells the index's thread what is missing and what is unknown; nothing is written here.
//!
//! Until it has run, a volume whose file is gone is still in the index: reading it is damage, not destruction, because what
//! is destroyed leaves the index first.

use crate::{
    config::VaultConfig, error::VaultError, identity, index::Index, indexing::IndexCommand, recovery,
    vault::Shared, volume,
};
use std::{
    fs,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::Sender,
    },
};

/// Compares folder and index; `before` is the first number that this run may use itself. Ends early when `stop` is set.
pub(crate) fn run(config: &VaultConfig, before: u64, index: &Sender<IndexCommand>, stop: &AtomicBool) {
    match compare(config, before, stop) {
        Ok((missing, unknown)) => {
            if !missing.is_empty() {
                tracing::warn!(volumes = missing.len(), "volumes that the index knew are gone");
            }
            let missing = missing.into_iter().map(IndexCommand::Forget);
            for command in missing.chain(unknown.into_iter().map(IndexCommand::Adopt)) {
                if stop.load(Ordering::Relaxed) || index.send(command).is_err() {
                    return;
                }
            }
        }
        Err(error) => {
            tracing::error!(%error, "the folder could not be compared with the index; the next start does");
        }
    }
}

fn compare(config: &VaultConfig, before: u64, stop: &AtomicBool) -> Result<(Vec<u64>, Vec<u64>), VaultError> {
    // The index first: what leaves it after that is unlinked later, and is found missing at worst, which is then so.
    let known = Index::reader(&config.dir.join(recovery::INDEX))?.known()?;
    if stop.load(Ordering::Relaxed) {
        return Ok((Vec::new(), Vec::new()));
    }
    let present = identity::volumes(&config.dir)?;
    let lacks = |list: &[u64], number: &u64| *number < before && list.binary_search(number).is_err();
    let missing = known.iter().filter(|number| lacks(&present, number)).copied().collect();
    let unknown = present.iter().filter(|number| lacks(&known, number)).copied().collect();
    Ok((missing, unknown))
}

/// Forgets a volume, unless its file is there after all.
pub(crate) fn forget(shared: &Shared, index: &mut Index, number: u64) {
    if shared.config.dir.join(volume::file_name(number)).exists() {
        return;
    }
    match index.forget_volume(number) {
        Ok(Some(bytes)) => {
            shared.bytes.fetch_sub(bytes, Ordering::Relaxed);
            shared.volumes.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(None) => {}
        Err(error) => {
            tracing::error!(%error, number, "a volume that is gone could not be forgotten; the next start does");
        }
    }
}

/// Takes a volume into the index, unless it is there or was destroyed meanwhile.
pub(crate) fn adopt(shared: &Shared, index: &mut Index, number: u64) {
    let path = shared.config.dir.join(volume::file_name(number));
    let known = |index: &Index| -> Result<bool, VaultError> {
        Ok(index.volume(number)?.is_some() || index.garbage()?.contains(&number))
    };
    let adopted = known(index).and_then(|known| {
        if known || !path.exists() {
            return Ok(());
        }
        tracing::warn!(number, "a volume lies in the folder that the index did not know; it is taken in");
        recovery::adopt(&shared.config.dir, shared.identity, number, 0, index)?;
        shared.bytes.fetch_add(fs::metadata(&path).map_or(0, |m| m.len()), Ordering::Relaxed);
        shared.volumes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    if let Err(error) = adopted {
        tracing::error!(%error, number, "a volume that the index does not know could not be taken in");
    }
}
