//! The index: one row per stream, minute and volume, with a compact list of the chunks in it. SQLite, WAL.
//!
//! It holds nothing that the volumes do not say too, so it syncs lightly and can be rebuilt. What is newer than its
//! last commit is found in memory, and after a crash in the tail of the volumes. Only one thread writes to it.
//!
//! Deletion is two steps with the `garbage` table between: a volume leaves `volume` and enters `garbage` in one
//! transaction, then it is unlinked, then it leaves `garbage`. No file is ever without an owner.

use crate::{
    error::{At, VaultError},
    volume::{self, Kind, OPEN, RecordHead, SealedVolume},
};
use media::{GapReason, Micros, StreamId};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::Path,
};

const SCHEMA_VERSION: u32 = 1;
/// Microseconds in a minute.
pub const MINUTE: i64 = 60_000_000;
/// Microseconds in a second.
pub const SECOND: i64 = 1_000_000;
/// Stretches that belong together may be this far apart: the jitter of arrival, not a hole.
pub const JITTER: i64 = 2 * SECOND;

const SCHEMA: &str = "
-- A volume; `scanned`: every record before this offset is in the index.
CREATE TABLE volume (
    number INTEGER PRIMARY KEY, class INTEGER NOT NULL, uuid BLOB NOT NULL, sealed INTEGER NOT NULL,
    bytes INTEGER NOT NULL, scanned INTEGER NOT NULL, newest INTEGER NOT NULL, root BLOB
);
-- What a stream has in one minute in one volume. Instants in µs UTC, `minute` in minutes since 1970 UTC.
CREATE TABLE minute (
    stream INTEGER NOT NULL, minute INTEGER NOT NULL, volume INTEGER NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, bytes INTEGER NOT NULL, units INTEGER NOT NULL,
    activity BLOB NOT NULL, chunks BLOB NOT NULL,
    PRIMARY KEY (stream, minute, volume)
) WITHOUT ROWID;
CREATE INDEX minute_by_volume ON minute (volume);
-- Why there are no pictures; an `until` of the greatest integer: it goes on.
CREATE TABLE gap (
    stream INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL, reason INTEGER NOT NULL,
    PRIMARY KEY (stream, since)
) WITHOUT ROWID;
CREATE TABLE destroyed (
    stream INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL,
    PRIMARY KEY (stream, since)
) WITHOUT ROWID;
CREATE TABLE garbage (number INTEGER PRIMARY KEY);
";

/// Where a chunk lies and what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRef {
    /// Number of its volume.
    pub volume: u64,
    /// Where its record begins in the volume.
    pub offset: u64,
    /// Bytes of the whole record.
    pub total: u64,
    /// Capture time of its first unit.
    pub from: Micros,
    /// End of its last unit.
    pub until: Micros,
    /// Whether it can be decoded from.
    pub starts_with_key: bool,
    /// Access units in it.
    pub units: u32,
    /// Bytes of predicted pictures; 0 when read back from a row, whose activity curve has them.
    pub predicted: u32,
}

impl ChunkRef {
    /// The chunk that this record is.
    pub fn of(volume: u64, offset: u64, head: &RecordHead) -> Option<Self> {
        let Kind::Chunk { starts_with_key } = head.kind else { return None };
        Some(Self {
            volume,
            offset,
            total: head.total(),
            from: head.from,
            until: head.until,
            starts_with_key,
            units: head.units,
            predicted: head.predicted,
        })
    }

    /// The minute it belongs to, since 1970 UTC.
    pub fn minute(&self) -> i64 {
        self.from.0.div_euclid(MINUTE)
    }

    /// The second it belongs to, since 1970 UTC.
    pub fn second(&self) -> i64 {
        self.from.0.div_euclid(SECOND)
    }
}

/// A gap; `until` is [`OPEN`] while it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GapMark {
    /// Its start.
    pub from: Micros,
    /// Its end, or [`OPEN`].
    pub until: Micros,
    /// Why there are no pictures.
    pub reason: GapReason,
}

/// A stretch with pictures, as coarse as its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Start.
    pub from: Micros,
    /// End.
    pub until: Micros,
    /// Bytes on disk.
    pub bytes: u64,
    /// Predicted bytes by UTC second.
    pub activity: Vec<(i64, u32)>,
}

/// Where a stream ends: the end of its newest footage, and its newest gap.
pub type StreamEnd = (StreamId, Option<Micros>, Option<GapMark>);

/// What one commit adds, in the order in which it is applied.
#[derive(Debug, Default)]
pub struct Batch {
    /// Volumes begun: number, class, identity.
    pub opened: Vec<(u64, u32, [u8; 16])>,
    /// Chunks that are synced.
    pub chunks: Vec<(StreamId, ChunkRef)>,
    /// Gaps that are synced.
    pub gaps: Vec<(StreamId, GapMark)>,
    /// Volume, safe offset, newest instant.
    pub scanned: Vec<(u64, u64, Micros)>,
    /// Volumes sealed.
    pub sealed: Vec<SealedVolume>,
}

impl Batch {
    /// Whether it adds nothing.
    pub fn is_empty(&self) -> bool {
        self.opened.is_empty() && self.chunks.is_empty() && self.gaps.is_empty() && self.sealed.is_empty()
    }
}

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

/// The index, open for writing or for reading.
pub struct Index {
    connection: Connection,
}

impl Index {
    /// Opens it for writing; a missing, foreign or broken one is made anew, and `true` says that it is empty.
    pub fn open(path: &Path) -> Result<(Self, bool), VaultError> {
        match Self::try_open(path) {
            Ok(Some(index)) => return Ok((index, false)),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the index cannot be used and is rebuilt from the volumes"),
        }
        Self::remove(path)?;
        let connection = Connection::open(path)?;
        prepare(&connection)?;
        connection.execute_batch(&format!("BEGIN;{SCHEMA}PRAGMA user_version={SCHEMA_VERSION};COMMIT;"))?;
        Ok((Self { connection }, true))
    }

    /// An empty one that lives in memory only.
    pub fn in_memory() -> Result<Self, VaultError> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self { connection })
    }

    /// Holes longer than `tolerance` (µs) between the first and the last that is known of a stream, for which neither
    /// footage, nor a gap, nor a destruction stands.
    pub fn unexplained(&self, tolerance: i64) -> Result<Vec<(StreamId, Micros, Micros)>, VaultError> {
        let mut statement = self.connection.prepare(
            "SELECT stream, first, last FROM minute UNION ALL SELECT stream, since, until FROM gap
             UNION ALL SELECT stream, since, until FROM destroyed ORDER BY 1, 2",
        )?;
        let mut rows = statement.query([])?;
        let mut holes = Vec::new();
        let mut before: Option<(u32, i64)> = None;
        while let Some(row) = rows.next()? {
            let (stream, from, until): (u32, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let end = match before {
                Some((known, end)) if known == stream => {
                    if from > end.saturating_add(tolerance) {
                        holes.push((StreamId(stream), Micros(end), Micros(from)));
                    }
                    end.max(until)
                }
                _ => until,
            };
            before = Some((stream, end));
        }
        Ok(holes)
    }

    fn try_open(path: &Path) -> Result<Option<Self>, rusqlite::Error> {
        if !path.exists() {
            return Ok(None);
        }
        let connection = Connection::open(path)?;
        prepare(&connection)?;
        let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok((version == SCHEMA_VERSION).then_some(Self { connection }))
    }

    /// Removes the database and its side files.
    pub fn remove(path: &Path) -> Result<(), VaultError> {
        for suffix in ["", "-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            match fs::remove_file(&name) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).at(path),
                _ => {}
            }
        }
        Ok(())
    }

    /// A second connection that only reads. In WAL mode it neither blocks the writing one nor waits for it.
    pub fn reader(path: &Path) -> Result<Self, VaultError> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        Ok(Self { connection })
    }

    /// Applies a batch in one transaction.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), VaultError> {
        let tx = self.connection.transaction()?;
        for (number, class, uuid) in &batch.opened {
            tx.prepare_cached("INSERT OR IGNORE INTO volume VALUES (?1, ?2, ?3, 0, 0, 0, ?4, NULL)")?
                .execute(params![*number as i64, class, uuid, i64::MIN])?;
        }
        let mut chunks = batch.chunks.clone();
        chunks.sort_by_key(|(stream, chunk)| (*stream, chunk.minute(), chunk.volume, chunk.offset));
        for group in chunks.chunk_by(|(s, a), (t, b)| (s, a.minute(), a.volume) == (t, b.minute(), b.volume))
        {
            add_to_minute(&tx, group)?;
        }
        for (stream, gap) in &batch.gaps {
            if gap.reason == GapReason::Destroyed {
                add_destroyed(&tx, *stream, gap.from, gap.until)?;
            } else if gap.until <= gap.from {
                tx.prepare_cached("DELETE FROM gap WHERE stream = ?1 AND since = ?2")?
                    .execute(params![stream.0, gap.from.0])?;
            } else {
                tx.prepare_cached("INSERT OR REPLACE INTO gap VALUES (?1, ?2, ?3, ?4)")?.execute(params![
                    stream.0,
                    gap.from.0,
                    gap.until.0,
                    gap.reason as u8
                ])?;
            }
        }
        for (number, offset, newest) in &batch.scanned {
            tx.prepare_cached("UPDATE volume SET scanned = ?2, newest = max(newest, ?3) WHERE number = ?1")?
                .execute(params![*number as i64, *offset as i64, newest.0])?;
        }
        for sealed in &batch.sealed {
            tx.prepare_cached(
                "UPDATE volume SET sealed = 1, bytes = ?2, scanned = ?2, root = ?3 WHERE number = ?1",
            )?
            .execute(params![sealed.number as i64, sealed.bytes as i64, sealed.root])?;
        }
        tx.commit()?;
        Ok(())
    }

    /// How far a volume is indexed: `None` when it is unknown, else (sealed, safe offset).
    pub fn volume(&self, number: u64) -> Result<Option<(bool, u64)>, VaultError> {
        Ok(self
            .connection
            .query_row("SELECT sealed, scanned FROM volume WHERE number = ?1", [number as i64], |row| {
                Ok((row.get(0)?, row.get::<_, i64>(1)? as u64))
            })
            .optional()?)
    }

    /// Forgets volumes that are no longer there, with their rows; `present` is sorted. Gives how many.
    pub fn forget_missing(&mut self, present: &[u64]) -> Result<usize, VaultError> {
        let tx = self.connection.transaction()?;
        let known: Vec<i64> = tx
            .prepare("SELECT number FROM volume")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let missing: Vec<_> =
            known.into_iter().filter(|number| present.binary_search(&(*number as u64)).is_err()).collect();
        for number in &missing {
            tx.execute("DELETE FROM minute WHERE volume = ?1", [number])?;
            tx.execute("DELETE FROM volume WHERE number = ?1", [number])?;
        }
        tx.commit()?;
        Ok(missing.len())
    }

    /// The numbers of all sealed volumes, in order, and their bytes together.
    pub fn sealed(&self) -> Result<(Vec<u64>, u64), VaultError> {
        let mut statement =
            self.connection.prepare("SELECT number, bytes FROM volume WHERE sealed = 1 ORDER BY number")?;
        let mut rows = statement.query([])?;
        let (mut numbers, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            numbers.push(row.get::<_, i64>(0)? as u64);
            bytes += row.get::<_, i64>(1)? as u64;
        }
        Ok((numbers, bytes))
    }

    /// The volumes sealed after this number.
    pub fn sealed_after(&self, after: u64) -> Result<Vec<SealedVolume>, VaultError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT number, uuid, class, root, bytes FROM volume WHERE sealed = 1 AND number > ?1 ORDER BY number",
        )?;
        let rows = statement.query_map([after as i64], |row| {
            Ok(SealedVolume {
                number: row.get::<_, i64>(0)? as u64,
                uuid: row.get(1)?,
                retention_class: row.get(2)?,
                root: row.get(3)?,
                bytes: row.get::<_, i64>(4)? as u64,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Every stream with footage or gaps: where its footage ends, and its newest gap. Seeks only; no scan.
    pub fn streams(&self) -> Result<Vec<StreamEnd>, VaultError> {
        let mut found = Vec::new();
        let mut after = -1_i64;
        loop {
            let next: Option<i64> = self.connection.query_row(
                "SELECT min(s) FROM (SELECT min(stream) AS s FROM minute WHERE stream > ?1
                 UNION ALL SELECT min(stream) FROM gap WHERE stream > ?1)",
                [after],
                |row| row.get(0),
            )?;
            let Some(stream) = next else { return Ok(found) };
            after = stream;
            let until: Option<i64> = self
                .connection
                .query_row(
                    "SELECT last FROM minute WHERE stream = ?1 ORDER BY minute DESC, last DESC LIMIT 1",
                    [stream],
                    |row| row.get(0),
                )
                .optional()?;
            let gap = self
                .connection
                .query_row(
                    "SELECT since, until, reason FROM gap WHERE stream = ?1 ORDER BY since DESC LIMIT 1",
                    [stream],
                    gap_row,
                )
                .optional()?;
            found.push((StreamId(stream as u32), until.map(Micros), gap));
        }
    }

    /// The chunks of the minutes in `minutes`, in order of minute and place.
    pub fn chunks(&self, stream: StreamId, minutes: (i64, i64)) -> Result<Vec<ChunkRef>, VaultError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT minute, volume, chunks FROM minute WHERE stream = ?1 AND minute BETWEEN ?2 AND ?3
             ORDER BY minute, volume",
        )?;
        let mut rows = statement.query(params![stream.0, minutes.0, minutes.1])?;
        let mut chunks = Vec::new();
        while let Some(row) = rows.next()? {
            chunks.extend(decode_chunks(
                row.get(0)?,
                row.get::<_, i64>(1)? as u64,
                row.get_ref(2)?.as_blob().unwrap_or(&[]),
            ));
        }
        Ok(chunks)
    }

    /// The start of the oldest footage of a stream.
    pub fn oldest(&self, stream: StreamId) -> Result<Option<Micros>, VaultError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT first FROM minute WHERE stream = ?1 ORDER BY minute, first LIMIT 1")?;
        Ok(statement.query_row([stream.0], |row| row.get(0)).optional()?.map(Micros))
    }

    /// The newest minute with footage before `minute`.
    pub fn minute_before(&self, stream: StreamId, minute: i64) -> Result<Option<i64>, VaultError> {
        Ok(self.connection.query_row(
            "SELECT max(minute) FROM minute WHERE stream = ?1 AND minute < ?2",
            params![stream.0, minute],
            |row| row.get(0),
        )?)
    }

    /// The stretches of the minutes in `minutes`.
    pub fn pieces(&self, stream: StreamId, minutes: (i64, i64)) -> Result<Vec<Piece>, VaultError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT minute, first, last, bytes, activity FROM minute WHERE stream = ?1 AND minute BETWEEN ?2 AND ?3",
        )?;
        let rows = statement.query_map(params![stream.0, minutes.0, minutes.1], |row| {
            let second = row.get::<_, i64>(0)? * 60;
            Ok(Piece {
                from: Micros(row.get(1)?),
                until: Micros(row.get(2)?),
                bytes: row.get::<_, i64>(3)? as u64,
                activity: (second..).zip(decode_activity(row.get_ref(4)?.as_blob().unwrap_or(&[]))).collect(),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The gaps that touch an interval, the destroyed stretches among them.
    pub fn gaps(&self, stream: StreamId, from: Micros, until: Micros) -> Result<Vec<GapMark>, VaultError> {
        let mut gaps = Vec::new();
        // Gaps of a stream do not overlap, so at most one that began earlier reaches into the interval.
        let mut statement = self.connection.prepare_cached(
            "SELECT since, until, reason FROM gap WHERE stream = ?1 AND until > ?2 AND since < ?3
             AND since >= coalesce((SELECT max(since) FROM gap WHERE stream = ?1 AND since <= ?2), ?2) ORDER BY since",
        )?;
        gaps.extend(
            statement
                .query_map(params![stream.0, from.0, until.0], gap_row)?
                .collect::<Result<Vec<_>, _>>()?,
        );
        let mut statement = self.connection.prepare_cached(
            "SELECT since, until, 6 FROM destroyed WHERE stream = ?1 AND until > ?2 AND since < ?3 ORDER BY since",
        )?;
        gaps.extend(
            statement
                .query_map(params![stream.0, from.0, until.0], gap_row)?
                .collect::<Result<Vec<_>, _>>()?,
        );
        Ok(gaps)
    }

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
        let pinned: Vec<_> = pinned.iter().map(u64::to_string).collect();
        tx.execute(
            &format!(
                "INSERT OR IGNORE INTO garbage SELECT number FROM volume WHERE sealed = 1 AND newest < ?1
                 AND NOT EXISTS (SELECT 1 FROM minute WHERE volume = number)
                 AND number < (SELECT max(number) FROM volume) AND number NOT IN ({})",
                pinned.join(",")
            ),
            [minutes.1.saturating_mul(MINUTE)],
        )?;
        tx.execute("DELETE FROM volume WHERE number IN (SELECT number FROM garbage)", [])?;
        tx.commit()?;
        (removed.volumes_unlinked, removed.bytes_unlinked, removed.unlinks_failed) =
            self.collect_garbage(dir)?;
        Ok(removed)
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
            File::open(dir).and_then(|dir| dir.sync_all()).at(dir)?;
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

    /// Every row as text, for comparing two indexes.
    pub fn dump(&self) -> Result<Vec<String>, VaultError> {
        let mut lines = Vec::new();
        for table in ["volume", "minute", "gap", "destroyed", "garbage"] {
            let mut statement = self
                .connection
                .prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2, 3"))
                .or_else(|_| self.connection.prepare(&format!("SELECT * FROM {table}")))?;
            let columns = statement.column_count();
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let cells: Vec<_> = (0..columns)
                    .map(|c| row.get_ref(c).map(|cell| format!("{cell:?}")))
                    .collect::<Result<_, _>>()?;
                lines.push(format!("{table}: {}", cells.join(", ")));
            }
        }
        Ok(lines)
    }
}

fn prepare(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    // NORMAL: a power cut may undo the last commits, never damage the file; the volumes still know.
    connection.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA secure_delete=ON;")
}

fn gap_row(row: &rusqlite::Row<'_>) -> Result<GapMark, rusqlite::Error> {
    Ok(GapMark {
        from: Micros(row.get(0)?),
        until: Micros(row.get(1)?),
        reason: GapReason::from_u8(row.get(2)?).unwrap_or(GapReason::NotRunning),
    })
}

fn add_to_minute(tx: &Transaction<'_>, group: &[(StreamId, ChunkRef)]) -> Result<(), VaultError> {
    let Some((stream, head)) = group.first() else { return Ok(()) };
    let (minute, volume) = (head.minute(), head.volume);
    let old = tx
        .prepare_cached(
            "SELECT first, last, bytes, units, activity, chunks FROM minute
             WHERE stream = ?1 AND minute = ?2 AND volume = ?3",
        )?
        .query_row(params![stream.0, minute, volume as i64], |row| {
            let numbers: [i64; 4] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
            Ok((numbers, row.get::<_, Vec<u8>>(4)?, row.get::<_, Vec<u8>>(5)?))
        })
        .optional()?;
    let ([mut first, mut last, mut bytes, mut units], activity, chunks) =
        old.unwrap_or(([i64::MAX, i64::MIN, 0, 0], Vec::new(), Vec::new()));
    let mut activity = decode_activity(&activity);
    activity.resize(60, 0);
    let mut chunks = decode_chunks(minute, volume, &chunks);
    let known = chunks.last().map(|chunk| chunk.offset);
    for (_, chunk) in group.iter().filter(|(_, chunk)| known.is_none_or(|known| chunk.offset > known)) {
        first = first.min(chunk.from.0);
        last = last.max(chunk.until.0);
        bytes += chunk.total as i64;
        units += i64::from(chunk.units);
        if let Some(second) = activity.get_mut(chunk.second().rem_euclid(60) as usize) {
            *second = second.saturating_add(chunk.predicted);
        }
        chunks.push(*chunk);
    }
    tx.prepare_cached("INSERT OR REPLACE INTO minute VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?.execute(
        params![
            stream.0,
            minute,
            volume as i64,
            first,
            last,
            bytes,
            units,
            encode_activity(&activity),
            encode_chunks(minute, &chunks)
        ],
    )?;
    Ok(())
}

/// Adds a destroyed stretch, joined with those it touches: hour after hour becomes one row.
fn add_destroyed(
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

// Compact numbers: seven bits a byte, least significant first, the high bit set on all but the last (LEB128).

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn get(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Five numbers a chunk: distance from the end of the chunk before, size, start within the minute, duration (both
/// µs; 0 where negative), and the number of units doubled plus one when it starts with a key frame.
fn encode_chunks(minute: i64, chunks: &[ChunkRef]) -> Vec<u8> {
    let mut out = Vec::with_capacity(chunks.len() * 12);
    let mut end = 0;
    for chunk in chunks {
        put(&mut out, chunk.offset.saturating_sub(end));
        put(&mut out, chunk.total);
        put(&mut out, (chunk.from.0 - minute * MINUTE).max(0) as u64);
        put(&mut out, (chunk.until.0 - chunk.from.0).max(0) as u64);
        put(&mut out, u64::from(chunk.units) << 1 | u64::from(chunk.starts_with_key));
        end = chunk.offset + chunk.total;
    }
    out
}

fn decode_chunks(minute: i64, volume: u64, mut bytes: &[u8]) -> Vec<ChunkRef> {
    let mut chunks = Vec::new();
    let mut end = 0_u64;
    while let (Some(distance), Some(total), Some(start), Some(duration), Some(units)) =
        (get(&mut bytes), get(&mut bytes), get(&mut bytes), get(&mut bytes), get(&mut bytes))
    {
        let offset = end.saturating_add(distance);
        let from = Micros(minute.saturating_mul(MINUTE)).plus(start as i64);
        chunks.push(ChunkRef {
            volume,
            offset,
            total,
            from,
            until: from.plus(duration as i64),
            starts_with_key: units & 1 == 1,
            units: (units >> 1) as u32,
            predicted: 0,
        });
        end = offset.saturating_add(total);
    }
    chunks
}

fn encode_activity(seconds: &[u32]) -> Vec<u8> {
    let mut out = Vec::with_capacity(120);
    for value in seconds {
        put(&mut out, u64::from(*value));
    }
    out
}

fn decode_activity(mut bytes: &[u8]) -> Vec<u32> {
    std::iter::from_fn(|| get(&mut bytes).map(|value| value as u32)).collect()
}

/// Splits an open crash gap at the bound of what a crash can lose: beyond it nothing ran.
pub fn ended(gap: GapMark, until: Micros) -> (GapMark, Option<GapMark>) {
    let bound = gap.from.plus(JITTER);
    if gap.reason == GapReason::Crash && until > bound {
        (GapMark { until: bound, ..gap }, Some(GapMark { from: bound, until, reason: GapReason::NotRunning }))
    } else {
        (GapMark { until: until.max(gap.from), ..gap }, None)
    }
}

/// Whether a gap goes on.
pub fn is_open(gap: &GapMark) -> bool {
    gap.until == OPEN
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn chunk_lists_survive(sizes in prop::collection::vec((0_u64..1 << 33, 144_u64..1 << 30, 0_i64..MINUTE, 0_i64..SECOND, 0_u32..9999, any::<bool>()), 0..50)) {
            let mut at = 0;
            let chunks: Vec<_> = sizes.into_iter().map(|(skip, total, start, length, units, key)| {
                let offset = at + skip;
                at = offset + total;
                let from = Micros(77 * MINUTE + start);
                ChunkRef { volume: 3, offset, total, from, until: from.plus(length), starts_with_key: key, units, predicted: 0 }
            }).collect();
            prop_assert_eq!(decode_chunks(77, 3, &encode_chunks(77, &chunks)), chunks);
        }
    }
}
