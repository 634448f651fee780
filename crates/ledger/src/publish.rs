//! The publisher: one thread brings tiles, entry bundles, the signed checkpoint and the index up to the sequence file, and
//! picks up the witness's cosignature. Whatever it fails to write it writes at the next round.
//!
//! `checkpoint` is the newest state, so it bears cosignatures only until the next entry: whoever follows the log does not wait for
//! a witness. The newest state that one signed stays beside it (`checkpoint.witnessed`), and verifiers read both.

use crate::{
    LedgerError,
    offsets::Unwritten,
    progress::Progress,
    shared::{Shared, lock},
    tiles::{TileAt, TileDirectory, WIDTH, bundle, entries_path, hash_tile_path, new_tiles, replace},
    tree::{NodeHash, leaf_hash, subtree},
};
use std::{
    fs::{self, File},
    io,
    path::Path,
    sync::PoisonError,
    time::{Duration, Instant, SystemTime},
};

/// The file in which a witness leaves a checkpoint that it has cosigned.
const COSIGNATURE: &str = "cosignature";
/// The tombstone's line that says where the sequence file goes on.
pub(crate) const SEQUENCE_LINE: &str = "sequence ";

/// How often tiles and checkpoint follow.
const PUBLISH_EVERY: Duration = Duration::from_millis(500);
/// After how many entries, or how long, a start must be able to go on from here.
const PROGRESS_ENTRIES: u64 = 16_384;
const PROGRESS_EVERY: Duration = Duration::from_mins(1);

/// The publisher's thread, behind the sequencer.
pub(crate) fn run(shared: &Shared) {
    let mut publisher = Publisher::default();
    let (stop, wake) = &shared.publisher_stop;
    let mut stopped = lock(stop);
    loop {
        let last = *stopped;
        drop(stopped);
        publisher.publish(shared, last);
        if let Err(e) = shared.with_index(|_| Ok(())) {
            tracing::debug!(error = %e, "the index is behind");
        }
        if last {
            return;
        }
        stopped = lock(stop);
        if !*stopped {
            (stopped, _) = wake.wait_timeout(stopped, PUBLISH_EVERY).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// What is published so far.
#[derive(Debug, Default)]
struct Publisher {
    size: Option<u64>,
    note: Option<String>,
    cosignature_seen: Option<SystemTime>,
    progress: Option<(u64, Instant)>,
    failing: bool,
}

impl Publisher {
    /// One round.
    fn publish(&mut self, shared: &Shared, last: bool) {
        self.pick_up_cosignature(shared);
        let outcome = self.bring_up(shared, last);
        match &outcome {
            Err(e) if !self.failing => tracing::warn!(error = %e, "the log cannot be published; tried again"),
            Ok(()) if self.failing => tracing::info!("the log is published again"),
            _ => {}
        }
        self.failing = outcome.is_err();
    }

    fn bring_up(&mut self, shared: &Shared, last: bool) -> io::Result<()> {
        // What a start needs is taken together with the size, under one lock; most rounds only need the size.
        let (size, first, progress) = {
            let log = shared.log();
            let size = log.tree.size();
            let due = self.progress.is_none_or(|(before, at)| {
                before < size && (last || size - before >= PROGRESS_ENTRIES || at.elapsed() >= PROGRESS_EVERY)
            });
            (size, log.first, due.then(|| log.progress()))
        };
        let purged =
            |tile: &TileAt| (tile.n + 1).saturating_mul(WIDTH) << (8 * u32::from(tile.level)) <= first;
        match self.size {
            None => {
                crate::purge::finish(shared).map_err(io::Error::other)?;
                new_tiles(0, size)
                    .into_iter()
                    .filter(|tile| !purged(tile))
                    .try_for_each(|tile| mend_tile(shared, tile))?;
            }
            Some(from) if size > from => {
                new_tiles(from, size).into_iter().try_for_each(|tile| write_tile(shared, tile))?;
            }
            Some(_) => {}
        }
        self.settle(shared, size, progress.as_ref())?;
        let note = match shared.cosigned_note(size) {
            Some(note) => note,
            None if self.size == Some(size) => return Ok(()),
            None => {
                let root =
                    shared.root_at(size).ok_or_else(|| io::Error::other("the tree has no such root"))?;
                shared.key.sign(size, root).map_err(io::Error::other)?
            }
        };
        if self.note.as_ref() != Some(&note) {
            write_durably(&shared.dir.join("checkpoint"), note.as_bytes())?;
            self.note = Some(note);
        }
        self.size = Some(size);
        shared.published.send_replace(size);
        Ok(())
    }

    /// Moves out of memory what is on disk now, and notes how far the log is.
    fn settle(&mut self, shared: &Shared, size: u64, progress: Option<&Progress>) -> io::Result<()> {
        let unwritten = {
            let log = shared.log();
            (log.offsets.in_memory() > 0).then(|| log.offsets.unwritten())
        };
        let written = unwritten.as_ref().map(Unwritten::write).transpose()?;
        {
            let mut log = shared.log_mut();
            if let Some(written) = written {
                log.offsets.written(written);
            }
            log.tree.leave_to(&TileDirectory::new(&shared.dir), size);
        }
        if let Some(progress) = progress {
            File::open(shared.dir.join("offsets"))?.sync_data()?;
            progress.write(&shared.dir).map_err(io::Error::other)?;
            self.progress = Some((progress.size, Instant::now()));
        }
        Ok(())
    }

    fn pick_up_cosignature(&mut self, shared: &Shared) {
        let path = shared.dir.join(COSIGNATURE);
        let Ok(changed) = fs::metadata(&path).and_then(|meta| meta.modified()) else { return };
        if self.cosignature_seen == Some(changed) {
            return;
        }
        let Ok(note) = fs::read_to_string(&path) else { return };
        match shared.record_cosignature(&note) {
            Ok(_) => self.cosignature_seen = Some(changed),
            // Tried again each round: the witness may be trusted only later.
            Err(e) => tracing::debug!(error = %e, "a cosignature was not taken"),
        }
    }
}

fn leaves(shared: &Shared, tile: TileAt) -> io::Result<Vec<Vec<u8>>> {
    let first = tile.n * WIDTH;
    (first..first + tile.width)
        .map(|seq| shared.record(seq).map(|record| record.leaf))
        .collect::<Result<Vec<_>, LedgerError>>()
        .map_err(io::Error::other)
}

fn write_tile(shared: &Shared, tile: TileAt) -> io::Result<()> {
    let missing = || io::Error::other("the tree is shorter than its tile");
    let hashes = shared.log().tree.hashes(tile.level, tile.n * WIDTH, tile.width).ok_or_else(missing)?;
    replace(&shared.dir.join(hash_tile_path(tile.level, tile.n, tile.width)), hashes.as_flattened())?;
    if tile.width == WIDTH {
        drop_partials(&shared.dir.join(hash_tile_path(tile.level, tile.n, WIDTH)));
    }
    if tile.level == 0 {
        replace(&shared.dir.join(entries_path(tile.n, tile.width)), &bundle(&leaves(shared, tile)?))?;
        if tile.width == WIDTH {
            drop_partials(&shared.dir.join(entries_path(tile.n, WIDTH)));
        }
    }
    Ok(())
}

/// In the first round most tiles are there already: older ones are only looked for, newer ones compared with what the
/// sequence file says.
fn mend_tile(shared: &Shared, tile: TileAt) -> io::Result<()> {
    let path = shared.dir.join(hash_tile_path(tile.level, tile.n, tile.width));
    let bundle_path = shared.dir.join(entries_path(tile.n, tile.width));
    let old = (tile.n * WIDTH + tile.width) << (8 * u32::from(tile.level)) <= shared.trusted_tiles;
    let length = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
    if old && length(&path) == tile.width * 32 && (tile.level > 0 || length(&bundle_path) > 0) {
        return Ok(());
    }
    let hashes: Vec<NodeHash> = if tile.level == 0 {
        let leaves = leaves(shared, tile)?;
        put(&bundle_path, &bundle(&leaves))?;
        leaves.iter().map(|leaf| leaf_hash(leaf)).collect()
    } else {
        // The level below is mended already.
        let tiles = TileDirectory::new(&shared.dir);
        let below = |n: u64| {
            let hashes = tiles.hashes(TileAt { level: tile.level - 1, n, width: WIDTH })?;
            subtree(&hashes).ok_or_else(|| io::Error::other("a tile of the wrong width"))
        };
        let from_tiles: io::Result<Vec<_>> =
            (tile.n * WIDTH..tile.n * WIDTH + tile.width).map(below).collect();
        match shared.log().tree.hashes(tile.level, tile.n * WIDTH, tile.width) {
            // Below what was purged no tile is left to compute it from.
            Some(known) if from_tiles.is_err() => known,
            _ => from_tiles?,
        }
    };
    put(&path, hashes.as_flattened())
}

fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    replace(path, bytes)
}

/// A full tile makes its partial ones superfluous (tlog-tiles, "partial tiles").
fn drop_partials(full: &Path) {
    let partials = full.with_extension("p");
    match fs::remove_dir_all(&partials) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            tracing::debug!(error = %e, path = %partials.display(), "partial tiles could not be dropped");
        }
        _ => {}
    }
}

/// Replaces a file; its content is durable before it gets its name. The name itself may be lost with the power: whoever
/// depends on it calls [`sync_name`].
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    fs::write(&fresh, bytes)?;
    File::open(&fresh)?.sync_data()?;
    fs::rename(&fresh, path)
}

/// Makes the name of a replaced file durable.
pub(crate) fn sync_name(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => File::open(dir)?.sync_all(),
        _ => Ok(()),
    }
}
