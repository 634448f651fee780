//! What leaves the index: minutes whose keys are destroyed, and volumes in which nothing lives.
//!
//! Deletion is two steps with the `garbage` table between: a volume leaves `volume` and enters `garbage` in one
//! transaction, then it is unlinked, then it leaves `garbage`. No file is ever without an owner.

use super::{Index, JITTER, MINUTE};
use crate::{error::VaultError, volume};
use media::{Micros, StreamId};
use rusqlite::{Transaction, params};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::Path,
};

/// What a destruction removed from the index.
#[derive(Debug, Default)]
pub struct Removed {
    /// What is gone, as stretches of time.
    pub stretches: Vec<(Micros, Micros)>,
    /// Bytes that no longer open.
    pub bytes: u64,
    /// Volumes unlinked.
    pub volumes_unlinked: u64,
    /// Their bytes.
    pub bytes_unlinked: u64,
    /// Volumes that could not be unlinked.
    pub unlinks_failed: u64,
}

impl Index {
    /// Removes the minutes of a stream in `minutes` (end exclusive), records them as destroyed, and unlinks the volumes in which
    /// nothing lives any more and whose newest instant lies before it. The newest volume stays: its number says, even
    /// when the index is lost, which numbers were used.
    ///
    /// Volumes in `pinned` stay: somebody still copies from them.
    pub fn destroy(
        &mut self,
        dir: &Path,
        stream: StreamId,
        minutes: (i64, i64),
        pinned: &BTreeSet<u64>,
    ) -> Result<Removed, VaultError> {
        let mut removed = Removed::default();
        let tx = self.connection.transaction()?;
        {
            let mut statement = tx.prepare_cached(
                "SELECT first, last, bytes FROM minute WHERE stream = ?1 AND minute >= ?2 AND minute < ?3
                 ORDER BY minute, first",
            )?;
            let mut rows = statement.query(params![stream.0, minutes.0, minutes.1])?;
            while let Some(row) = rows.next()? {
                let (from, until) = (Micros(row.get(0)?), Micros(row.get(1)?));
                removed.bytes += row.get::<_, i64>(2)? as u64;
                match removed.stretches.last_mut() {
                    Some((_, end)) if end.plus(JITTER) >= from => *end = until.max(*end),
                    _ => removed.stretches.push((from, until)),
                }
            }
        }
        tx.execute(
            "DELETE FROM minute WHERE stream = ?1 AND minute >= ?2 AND minute < ?3",
            params![stream.0, minutes.0, minutes.1],
        )?;
        for (from, until) in &removed.stretches {
            add_destroyed(&tx, stream, *from, *until)?;
        }
        to_garbage(&tx, minutes.1, pinned)?;
        tx.commit()?;
        self.unlink(dir, &mut removed);
        Ok(removed)
    }

    /// Unlinks every volume in which nothing lives and whose newest instant lies before a minute (since 1970 UTC), whoever
    /// left it: an index made anew, a destruction that a crash cut short. Volumes in `pinned` stay.
    pub fn sweep(&mut self, dir: &Path, before: i64, pinned: &BTreeSet<u64>) -> Result<Removed, VaultError> {
        let mut removed = Removed::default();
        let tx = self.connection.transaction()?;
        to_garbage(&tx, before, pinned)?;
        tx.commit()?;
        self.unlink(dir, &mut removed);
        Ok(removed)
    }

    fn unlink(&mut self, dir: &Path, removed: &mut Removed) {
        match self.collect_garbage(dir) {
            Ok((volumes, bytes, failed)) => {
                (removed.volumes_unlinked, removed.bytes_unlinked, removed.unlinks_failed) =
                    (volumes, bytes, failed);
            }
            // The rows are gone all the same, and the garbage table knows the rest.
            Err(error) => {
                tracing::error!(%error, "volumes in which nothing lives could not be unlinked; it is tried again");
                removed.unlinks_failed = 1;
            }
        }
    }

    /// The second step of deletion: unlinks what the garbage table names. Gives how many volumes and bytes went, and how
    /// many could not: those stay in the table, to be tried again. Their keys are dead; a full or failing disk does not
    /// stop that.
    pub fn collect_garbage(&mut self, dir: &Path) -> Result<(u64, u64, u64), VaultError> {
        let (mut volumes, mut bytes, mut failed) = (0, 0, 0);
        let mut gone = Vec::new();
        let numbers: Vec<i64> = self
            .connection
            .prepare("SELECT number FROM garbage")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for number in &numbers {
            let path = dir.join(volume::file_name(*number as u64));
            let size = fs::metadata(&path).map_or(0, |metadata| metadata.len());
            match fs::remove_file(&path) {
                Ok(()) => (volumes, bytes) = (volumes + 1, bytes + size),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "a volume in which nothing lives could not be unlinked");
                    failed += 1;
                    continue;
                }
            }
            gone.push(*number);
        }
        if !gone.is_empty() {
            if let Err(error) = File::open(dir).and_then(|dir| dir.sync_all()) {
                // They stay in the table until it is certain that no power cut brings them back.
                tracing::error!(path = %dir.display(), %error, "unlinked volumes could not be made durable; it is tried again");
                return Ok((volumes, bytes, failed + gone.len() as u64));
            }
            let tx = self.connection.transaction()?;
            for number in &gone {
                tx.execute("DELETE FROM garbage WHERE number = ?1", [number])?;
            }
            tx.commit()?;
        }
        Ok((volumes, bytes, failed))
    }

    /// Removes the chunks of a stream that a destruction met while rebuilding has covered.
    pub fn forget_destroyed(
        &mut self,
        stream: StreamId,
        from: Micros,
        until: Micros,
    ) -> Result<(), VaultError> {
        self.connection.execute(
            "DELETE FROM minute WHERE stream = ?1 AND first >= ?2 AND first < ?3",
            params![stream.0, from.0, until.0],
        )?;
        Ok(())
    }
}

/// The first step of deletion: volumes in which nothing lives leave the list of volumes.
fn to_garbage(tx: &Transaction<'_>, before: i64, pinned: &BTreeSet<u64>) -> Result<(), VaultError> {
    let pinned: Vec<_> = pinned.iter().map(u64::to_string).collect();
    let found = tx.execute(
        &format!(
            "INSERT OR IGNORE INTO garbage SELECT number FROM volume WHERE sealed = 1 AND newest < ?1
             AND NOT EXISTS (SELECT 1 FROM minute WHERE volume = number)
             AND number < (SELECT max(number) FROM volume) AND number NOT IN ({})",
            pinned.join(",")
        ),
        [before.saturating_mul(MINUTE)],
    )?;
    if found > 0 {
        tx.execute("DELETE FROM volume WHERE number IN (SELECT number FROM garbage)", [])?;
    }
    Ok(())
}

/// Adds a destroyed stretch, joined with those it touches: hour after hour becomes one row.
pub(super) fn add_destroyed(
    tx: &Transaction<'_>,
    stream: StreamId,
    from: Micros,
    until: Micros,
) -> Result<(), VaultError> {
    let (low, high) = (from.plus(-JITTER).0, until.plus(JITTER).0);
    let joined: (Option<i64>, Option<i64>) = tx.query_row(
        "SELECT min(since), max(until) FROM destroyed WHERE stream = ?1 AND until >= ?2 AND since <= ?3",
        params![stream.0, low, high],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    tx.execute(
        "DELETE FROM destroyed WHERE stream = ?1 AND until >= ?2 AND since <= ?3",
        params![stream.0, low, high],
    )?;
    let from = joined.0.map_or(from.0, |since| since.min(from.0));
    let until = joined.1.map_or(until.0, |end| end.max(until.0));
    tx.execute("INSERT INTO destroyed VALUES (?1, ?2, ?3)", params![stream.0, from, until])?;
    Ok(())
}
