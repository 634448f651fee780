//! The publisher: brings tiles, entry bundles and the signed checkpoint up to the sequence file, and picks up the
//! witness's cosignature. Whatever it fails to write it writes at the next round.

use crate::{
    ledger::Shared,
    tiles::{TileAt, WIDTH, bundle, entries_path, hash_tile_path, new_tiles, replace, tile_bytes},
};
use std::{
    fs::{self, File},
    io,
    path::Path,
    time::SystemTime,
};

/// The file in which a witness leaves a checkpoint that it has cosigned.
const COSIGNATURE: &str = "cosignature";
/// The newest checkpoint with a cosignature that holds.
pub(crate) const WITNESSED: &str = "checkpoint.witnessed";
/// The tombstone: a checkpoint of the entries that were purged, signed when they were.
pub(crate) const PRUNED: &str = "checkpoint.pruned";

/// What is published so far.
#[derive(Debug, Default)]
pub(crate) struct Publisher {
    size: Option<u64>,
    note: Option<String>,
    cosignature_seen: Option<SystemTime>,
    failing: bool,
}

impl Publisher {
    /// One round.
    pub(crate) fn publish(&mut self, shared: &Shared) {
        self.pick_up_cosignature(shared);
        let outcome = self.bring_up(shared);
        match &outcome {
            Err(e) if !self.failing => tracing::warn!(error = %e, "the log cannot be published; tried again"),
            Ok(()) if self.failing => tracing::info!("the log is published again"),
            _ => {}
        }
        self.failing = outcome.is_err();
    }

    fn bring_up(&mut self, shared: &Shared) -> io::Result<()> {
        let size = shared.log().tree.size();
        let first_round = self.size.is_none();
        let from = self.size.unwrap_or(0);
        if first_round || size > from {
            for tile in new_tiles(from, size) {
                write_tile(shared, tile, first_round)?;
            }
        }
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

fn write_tile(shared: &Shared, tile: TileAt, compare: bool) -> io::Result<()> {
    let missing = || io::Error::other("the tree is shorter than its tile");
    let bytes = tile_bytes(&shared.log().tree, tile).ok_or_else(missing)?;
    put(shared, &hash_tile_path(tile.level, tile.n, tile.width), &bytes, compare)?;
    if tile.width == WIDTH {
        drop_partials(&shared.dir.join(hash_tile_path(tile.level, tile.n, WIDTH)));
    }
    if tile.level == 0 {
        let first = tile.n * WIDTH;
        let leaves = (first..first + tile.width)
            .map(|seq| shared.record(seq).map(|record| record.leaf))
            .collect::<Result<Vec<_>, _>>()
            .map_err(io::Error::other)?;
        put(shared, &entries_path(tile.n, tile.width), &bundle(&leaves), compare)?;
        if tile.width == WIDTH {
            drop_partials(&shared.dir.join(entries_path(tile.n, WIDTH)));
        }
    }
    Ok(())
}

/// In the first round most tiles are there already; only what differs is written.
fn put(shared: &Shared, path: &Path, bytes: &[u8], compare: bool) -> io::Result<()> {
    let path = shared.dir.join(path);
    if compare && fs::read(&path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    replace(&path, bytes)
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

/// Replaces a file; its content is durable before it gets its name.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    fs::write(&fresh, bytes)?;
    File::open(&fresh)?.sync_data()?;
    fs::rename(&fresh, path)
}
