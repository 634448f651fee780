//! A start: the log as the disk has it, compared with what was signed. Reads what came after the last [`Progress`] only;
//! where that does not fit, the whole sequence file, once, from front to back (about a second for a million entries).

use crate::{
    LedgerError,
    looks::Looks,
    note::Checkpoint,
    offsets::Offsets,
    progress::Progress,
    publish::SEQUENCE_LINE,
    sequence::{Sequence, read_at},
    shared::Log,
    tiles::{PRUNED, TileAt, TileDirectory, WIDTH, WITNESSED, hash_tile_path, new_tiles, replace},
    tree::{Tree, leaf_hash},
};
use std::{fs, path::Path};

/// Entries before the last progress whose tiles a start compares byte by byte: more than a power cut can have torn.
const COMPARED: u64 = 65_536;

/// What a start found.
pub(crate) struct Opened {
    pub(crate) log: Log,
    pub(crate) sequence: Sequence,
    /// Bytes behind the last whole record, still there.
    pub(crate) dropped: u64,
    pub(crate) witnessed: Option<Checkpoint>,
    pub(crate) trusted_tiles: u64,
}

/// Where the log begins: at its first entry, or behind what was purged.
struct Beginning {
    first: u64,
    offset: u64,
    tree: Tree,
}

/// Opens the log in a folder.
pub(crate) fn open(
    dir: &Path,
    vkey: &str,
    mut sequence: Sequence,
    elsewhere: &Path,
) -> Result<Opened, LedgerError> {
    if let Some(progress) = Progress::read(dir)
        && let Some(log) = resume(dir, vkey, &sequence, progress)
    {
        let trusted_tiles = log.tree.size().saturating_sub(COMPARED);
        let (mut log, dropped) = read_on(log, &mut sequence, |_, _| {})?;
        log.last = log.last.or_else(|| Some(chrono::Utc::now()));
        if let Ok(witnessed) = compare(dir, vkey, &log.tree, elsewhere) {
            return Ok(Opened { log, sequence, dropped, witnessed, trusted_tiles });
        }
        // It may be the tiles that are damaged: the sequence file has the last word.
        tracing::warn!("the log does not fit what was signed; reading all of it");
    }
    let begin = beginning(dir, vkey)?;
    let log = Log {
        tree: begin.tree,
        offsets: Offsets::restart(&dir.join("offsets"), begin.first)?,
        looks: Looks::default(),
        spool: 0,
        last: None,
        end: begin.offset,
        first: begin.first,
    };
    let tiles = TileDirectory::new(dir);
    let mut same = true;
    let (log, dropped) = read_on(log, &mut sequence, |log, from| {
        // What is on disk already need not be held, and what is missing there is written; only a tile that differs waits in
        // memory until the log has been compared with what was signed.
        let size = log.tree.size();
        let at_rest = |tile: TileAt| match tiles.hashes(tile) {
            Ok(hashes) => Some(hashes) == log.tree.hashes(tile.level, tile.n * WIDTH, WIDTH),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let path = dir.join(hash_tile_path(tile.level, tile.n, WIDTH));
                let hashes = log.tree.hashes(tile.level, tile.n * WIDTH, WIDTH).unwrap_or_default();
                replace(&path, hashes.as_flattened()).is_ok()
            }
            Err(_) => false,
        };
        same = same && new_tiles(from, size).into_iter().filter(|tile| tile.width == WIDTH).all(at_rest);
        if same {
            log.tree.leave_to(&tiles, size);
        }
    })?;
    let witnessed = compare(dir, vkey, &log.tree, elsewhere)?;
    Ok(Opened { log, sequence, dropped, witnessed, trusted_tiles: 0 })
}

/// The log as it was at its last progress, if that fits the files.
fn resume(dir: &Path, vkey: &str, sequence: &Sequence, progress: Progress) -> Option<Log> {
    let begin = beginning(dir, vkey).ok()?;
    if progress.size < begin.first || progress.end > sequence.length() {
        return None;
    }
    let edge = progress.edge()?;
    let offsets = Offsets::open(&dir.join("offsets"), progress.size).ok()?;
    if let Some(last) = progress.size.checked_sub(1).filter(|last| *last >= begin.first) {
        let offset = offsets.get(last).ok()?;
        let record = read_at(&sequence.reader(), offset, last).ok()?;
        let known = edge.first()?.last().copied();
        if offset + record.length() != progress.end
            || known.is_some_and(|known| known != leaf_hash(&record.leaf))
        {
            return None;
        }
    }
    let tree = Tree::resume(TileDirectory::new(dir), progress.size, edge)?;
    Some(Log {
        tree,
        offsets,
        looks: Looks::resume(progress.looks),
        spool: progress.spool,
        last: progress.last,
        end: progress.end,
        first: begin.first,
    })
}

/// The number of the first entry that was not purged, and where it stands in the sequence file.
pub(crate) fn where_it_begins(dir: &Path, vkey: &str) -> Result<(u64, u64), LedgerError> {
    beginning(dir, vkey).map(|begin| (begin.first, begin.offset))
}

fn beginning(dir: &Path, vkey: &str) -> Result<Beginning, LedgerError> {
    let Ok(note) = fs::read_to_string(dir.join(PRUNED)) else {
        return Ok(Beginning { first: 0, offset: Sequence::FIRST, tree: Tree::new() });
    };
    let tombstone = Checkpoint::read(&note, vkey)?;
    let torn = || LedgerError::Rewritten("the tombstone of what was purged does not fit the log".to_owned());
    let offset = tombstone.text.lines().find_map(|line| line.strip_prefix(SEQUENCE_LINE)?.parse().ok());
    let tree = Tree::open(TileDirectory::new(dir), tombstone.size).map_err(|_| torn())?;
    if tree.root() != tombstone.root {
        return Err(torn());
    }
    Ok(Beginning { first: tombstone.size, offset: offset.ok_or_else(torn)?, tree })
}

/// Reads the records behind the log's end. `each_block` is called now and then with the size at its last call.
fn read_on(
    mut log: Log,
    sequence: &mut Sequence,
    mut each_block: impl FnMut(&mut Log, u64),
) -> Result<(Log, u64), LedgerError> {
    let mut block = log.tree.size();
    let dropped = sequence.read_on(log.end, log.tree.size(), |record, offset| {
        log.take(&record, offset);
        if log.tree.size() - block >= COMPARED {
            let unwritten = log.offsets.unwritten();
            // A full disk does not keep a log from opening; then they stay in memory.
            if let Ok(written) = unwritten.write() {
                log.offsets.written(written);
            }
            each_block(&mut log, block);
            block = log.tree.size();
        }
    })?;
    Ok((log, dropped))
}

/// A checkpoint that was published or cosigned and that the log no longer carries means that durable entries are gone or
/// changed. Returns the newest cosigned one.
fn compare(dir: &Path, vkey: &str, tree: &Tree, elsewhere: &Path) -> Result<Option<Checkpoint>, LedgerError> {
    if let Ok(note) = fs::read_to_string(dir.join("checkpoint")) {
        match Checkpoint::read(&note, vkey) {
            Ok(checkpoint) => carries(tree, &checkpoint)?,
            // Damaged by a power cut, or of another key: it is written anew, and the witness notices the latter.
            Err(e) => tracing::warn!(error = %e, "the published checkpoint cannot be read"),
        }
    }
    if let Ok(note) = fs::read_to_string(elsewhere) {
        carries(tree, &Checkpoint::read(&note, vkey)?)?;
    }
    let Ok(note) = fs::read_to_string(dir.join(WITNESSED)) else { return Ok(None) };
    let checkpoint = Checkpoint::read(&note, vkey)?;
    carries(tree, &checkpoint)?;
    Ok(Some(checkpoint))
}

fn carries(tree: &Tree, checkpoint: &Checkpoint) -> Result<(), LedgerError> {
    if checkpoint.size > tree.size() {
        let (signed, there) = (checkpoint.size, tree.size());
        return Err(LedgerError::Rewritten(format!("{signed} entries were signed, {there} are on disk")));
    }
    if tree.root_at(checkpoint.size) != Some(checkpoint.root) {
        return Err(LedgerError::Rewritten(format!(
            "the first {} entries have another root",
            checkpoint.size
        )));
    }
    Ok(())
}
