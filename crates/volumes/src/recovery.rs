//! What a start does with volumes that the index does not know to be sealed: keeps every whole record, seals them,
//! and brings the index up to date. Also the rebuilding of the index from the volumes alone. Neither needs a key.

use crate::{
    error::{At, VaultError},
    identity::{self, Identity},
    index::{Batch, ChunkRef, GapMark, Index},
    open::OpenVolumes,
    volume::{self, Found, HEAD, Kind, RECORD_HEAD, RecordHead, SealedVolume, VolumeHead},
};
use media::{GapReason, Micros};
use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    os::unix::fs::FileExt,
    path::Path,
};

/// The index's file in a vault's folder.
pub const INDEX: &str = "index.sqlite";

/// What a start found.
pub struct Opened {
    /// The index, up to date with the volumes that were looked at.
    pub index: Index,
    /// The highest number that a volume ever had.
    pub newest: u64,
    /// Volumes that are still not sealed: what is wrong with them was told.
    pub unsealed: BTreeSet<u64>,
    /// Whether the folder had to be listed.
    pub listed: bool,
}

/// Opens the index and brings it up to date with the volumes that may not be in it. Those are the few that the file `open`
/// names ([`crate::open`]); every one there is when that file cannot be believed, or the index had to be made anew.
pub fn open_index(dir: &Path, identity: &Identity) -> Result<Opened, VaultError> {
    let (mut index, anew) = Index::open(&dir.join(INDEX))?;
    index.collect_garbage(dir)?;
    let known = OpenVolumes::read(dir, identity.vault).filter(|_| !anew);
    let highest = index.highest()?;
    let listed = known.as_ref().is_none_or(|known| known.newest < highest);
    let (candidates, mut newest) = match known {
        Some(known) if !listed => (known.numbers.into_iter().collect(), known.newest),
        known => {
            let present = identity::volumes(dir)?;
            let forgotten = index.forget_missing(&present)?;
            if forgotten > 0 {
                tracing::warn!(volumes = forgotten, "volumes that the index knew are gone");
            }
            let newest = present.last().copied().max(known.map(|known| known.newest));
            // One question for all of them: archives have hundreds of thousands.
            let (sealed, _) = index.sealed()?;
            index.sync_seals(false);
            (
                present.into_iter().filter(|n| sealed.binary_search(n).is_err()).collect::<Vec<_>>(),
                newest.unwrap_or(0),
            )
        }
    };
    newest = newest.max(highest);
    let mut unsealed = BTreeSet::new();
    for number in candidates {
        let known = index.volume(number)?;
        if known.is_some_and(|(sealed, _)| sealed) || !dir.join(volume::file_name(number)).exists() {
            continue;
        }
        adopt(dir, identity.vault, number, known.map_or(0, |(_, scanned)| scanned), &mut index)?;
        if !index.volume(number)?.is_some_and(|(sealed, _)| sealed) {
            unsealed.insert(number);
        }
    }
    if listed {
        // Once for all of them.
        index.sync_seals(true);
        index.make_durable()?;
    }
    Ok(Opened { index, newest, unsealed, listed })
}

/// Brings one volume into the index, sealing it if a crash left it open. Records before `scanned` are there already.
///
/// # Errors
/// What reading or writing met; [`VaultError::AnotherVault`] for a file that is not of this vault.
pub fn adopt(
    dir: &Path,
    vault: [u8; 16],
    number: u64,
    scanned: u64,
    index: &mut Index,
) -> Result<(), VaultError> {
    let path = dir.join(volume::file_name(number));
    let file = File::open(&path).at(&path)?;
    let size = file.metadata().at(&path)?.len();
    if size < HEAD as u64 {
        // The head is synced before anything else is written: there was nothing in it.
        return fs::remove_file(&path).at(&path);
    }
    let head = match VolumeHead::read(&file, &path) {
        Err(VaultError::NotOurs { .. }) => {
            tracing::error!(path = %path.display(), "the head of a volume is damaged; what is in it cannot be read");
            return Ok(());
        }
        other => other?,
    };
    if head.vault != vault || head.number != number {
        return Err(VaultError::AnotherVault { path });
    }
    let (found, sealed) = if let Some(footer) = volume::read_footer(&file, &path)? {
        let found: Vec<_> =
            footer.records.iter().filter_map(|(offset, leaf)| found_at(&file, *offset, *leaf)).collect();
        (found, Some((footer.root, size)))
    } else {
        let found = volume::walk(&file, &path, scanned)?;
        let sealed = seal(&path, &found).inspect_err(|error| {
            tracing::error!(%error, "a volume that a crash left open could not be sealed; the next start tries again");
        });
        (found, sealed.ok())
    };
    let mut batch = Batch { opened: vec![(number, head.class, head.uuid)], ..Batch::default() };
    let mut newest = Micros(i64::MIN);
    for record in &found {
        let stream = record.head.stream;
        if matches!(record.head.kind, Kind::Chunk { .. } | Kind::Gap(_)) {
            newest = newest.max(record.head.from);
        }
        if record.offset < scanned {
            continue;
        }
        match record.head.kind {
            Kind::Chunk { .. } => batch
                .chunks
                .extend(ChunkRef::of(number, record.offset, &record.head).map(|chunk| (stream, chunk))),
            Kind::Gap(reason) => {
                let gap = GapMark { from: record.head.from, until: record.head.until, reason };
                if reason == GapReason::Destroyed {
                    // What was written before it is destroyed; what comes after has a new key.
                    batch.chunks.retain(|(other, chunk)| {
                        *other != stream || chunk.from < gap.from || chunk.from >= gap.until
                    });
                    index.forget_destroyed(stream, gap.from, gap.until)?;
                }
                batch.gaps.push((stream, gap));
            }
            Kind::Parameters | Kind::Footer | Kind::Key => {}
        }
    }
    let end = found.last().map_or(HEAD as u64, |last| last.offset + last.head.total());
    batch.scanned.push((number, end, newest));
    if let Some((root, bytes)) = sealed {
        batch.sealed.push(SealedVolume { number, uuid: head.uuid, retention_class: head.class, root, bytes });
    }
    index.commit(&batch)
}

fn found_at(file: &File, offset: u64, leaf: [u8; 32]) -> Option<Found> {
    let mut bytes = [0; RECORD_HEAD];
    file.read_exact_at(&mut bytes, offset).ok()?;
    Some(Found { offset, head: RecordHead::decode(&bytes)?, leaf })
}

/// Cuts off what is torn and seals the rest.
fn seal(path: &Path, found: &[Found]) -> Result<([u8; 32], u64), VaultError> {
    let end = found.last().map_or(HEAD as u64, |last| last.offset + last.head.total());
    let number = found.iter().map(|record| record.head.number + 1).max().unwrap_or(0);
    let records: Vec<_> = found.iter().map(|record| (record.offset, record.leaf)).collect();
    let (bytes, root) = volume::seal(end, number, &records);
    let file = OpenOptions::new().write(true).open(path).at(path)?;
    file.set_len(end).at(path)?;
    file.write_all_at(&bytes, end).at(path)?;
    rustix::fs::fdatasync(&file).at(path)?;
    Ok((root, end + bytes.len() as u64))
}

/// Makes the index of a vault anew from its volumes alone: no key is opened. The vault must be closed.
///
/// # Errors
/// [`VaultError::Locked`] while a daemon has the vault open; else what reading or writing met.
pub fn rebuild_index(dir: &Path) -> Result<(), VaultError> {
    let identity = Identity::open(dir)?;
    Index::remove(&dir.join(INDEX))?;
    open_index(dir, &identity).map(drop)
}
