//! The index: one row per stream, minute and volume, with a compact list of the chunks in it. SQLite, WAL.
//!
//! It holds nothing that the volumes do not say too, so it syncs lightly and can be rebuilt. What is newer than its
//! last commit is found in memory, and after a crash in the tail of the volumes. Only one thread writes to it.
//!
//! What leaves it again, and how the volumes go, is in `ending`; the lists inside a row are in `compact`; two
//! indexes are compared in `comparing`.

mod compact;
mod comparing;
mod ending;

pub use comparing::Difference;
pub use ending::Removed;

use crate::{
    error::{At, VaultError},
    volume::{Kind, OPEN, RecordHead, SealedVolume},
};
use compact::{decode_activity, decode_chunks, encode_activity, encode_chunks};
use ending::add_destroyed;
use media::{GapReason, Micros, StreamId};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, params};
use std::{fs, path::Path};

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

/// What came later, made once: how many sealed volumes there are and how large, kept by triggers; and
/// the order in which volumes die.
const LATER: &str = "
CREATE INDEX volume_by_newest ON volume (newest);
CREATE INDEX volume_open ON volume (number) WHERE sealed = 0;
CREATE TABLE total (one INTEGER PRIMARY KEY CHECK (one = 1), volumes INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO total SELECT 1, count(*), coalesce(sum(bytes), 0) FROM volume WHERE sealed = 1;
CREATE TRIGGER total_add AFTER INSERT ON volume WHEN new.sealed = 1 BEGIN
    UPDATE total SET volumes = volumes + 1, bytes = bytes + new.bytes; END;
CREATE TRIGGER total_drop AFTER DELETE ON volume WHEN old.sealed = 1 BEGIN
    UPDATE total SET volumes = volumes - 1, bytes = bytes - old.bytes; END;
CREATE TRIGGER total_change AFTER UPDATE OF sealed, bytes ON volume BEGIN
    UPDATE total SET volumes = volumes + new.sealed - old.sealed,
        bytes = bytes + new.sealed * new.bytes - old.sealed * old.bytes; END;
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

/// The index, open for writing or for reading.
pub struct Index {
    connection: Connection,
    /// Whether a commit that seals volumes is synced before it returns.
    sync_seals: bool,
}

impl Index {
    /// Opens it for writing; one that is missing, broken or of an older version is made anew, and `true` says that it is
    /// empty.
    ///
    /// # Errors
    /// [`VaultError::UnknownVersion`] for one of a newer version. What else SQLite says (no memory, no permission, a disk that
    /// fails) says nothing about what stands in the file, so that it stays.
    pub fn open(path: &Path) -> Result<(Self, bool), VaultError> {
        match Self::try_open(path) {
            Ok(Some(index)) => return Ok((index, false)),
            Ok(None) => {}
            Err(VaultError::Index(error)) if is_broken(&error) => {
                tracing::warn!(%error, "the index is broken and is rebuilt from the volumes");
            }
            Err(error) => return Err(error),
        }
        Self::remove(path)?;
        let connection = Connection::open(path)?;
        prepare(&connection)?;
        connection
            .execute_batch(&format!("BEGIN;{SCHEMA}{LATER}PRAGMA user_version={SCHEMA_VERSION};COMMIT;"))?;
        Ok((Self { connection, sync_seals: true }, true))
    }

    /// An empty one that goes with this value: in memory, and in a file without a name when it grows large.
    pub fn temporary() -> Result<Self, VaultError> {
        let connection = Connection::open("")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self { connection, sync_seals: false })
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

    /// None: it is missing or of an older version.
    fn try_open(path: &Path) -> Result<Option<Self>, VaultError> {
        if !path.exists() {
            return Ok(None);
        }
        let connection = Connection::open(path)?;
        prepare(&connection)?;
        let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version > SCHEMA_VERSION {
            let (path, known) = (path.to_owned(), SCHEMA_VERSION);
            return Err(VaultError::UnknownVersion { path, found: version, known });
        }
        if version < SCHEMA_VERSION {
            return Ok(None);
        }
        let is_new: bool = connection.query_row(
            "SELECT NOT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'total')",
            [],
            |row| row.get(0),
        )?;
        if is_new {
            // Once, for an index from before: it counts every volume.
            connection.execute_batch(&format!("BEGIN IMMEDIATE;{LATER}COMMIT;"))?;
        }
        Ok(Some(Self { connection, sync_seals: true }))
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
        Ok(Self { connection, sync_seals: false })
    }

    /// For reading while nobody has the vault open: also where nothing can be written, as on a disk that is mounted read-only.
    pub fn at_rest(path: &Path) -> Result<Self, VaultError> {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        // What a crash left in the write-ahead log belongs to it; without one, nothing but the file is needed.
        let whole = fs::metadata(log).map_or(0, |metadata| metadata.len()) == 0;
        let Some(name) = path.to_str().filter(|_| whole) else { return Self::reader(path) };
        let name = name.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(format!("file:{name}?immutable=1"), flags)?;
        Ok(Self { connection, sync_seals: false })
    }

    /// Applies a batch in one transaction. One that seals volumes survives a power cut when this returns: only then may a
    /// volume leave the file `open` ([`crate::open`]).
    pub fn commit(&mut self, batch: &Batch) -> Result<(), VaultError> {
        let durable = self.sync_seals && !batch.sealed.is_empty();
        if durable {
            self.connection.execute_batch("PRAGMA synchronous=FULL")?;
        }
        let committed = self.apply(batch);
        if durable {
            self.connection.execute_batch("PRAGMA synchronous=NORMAL")?;
        }
        committed
    }

    fn apply(&mut self, batch: &Batch) -> Result<(), VaultError> {
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

    /// Whether commits that seal volumes are synced one by one; not while hundreds of thousands are adopted, which
    /// [`Index::make_durable`] then ends.
    pub(crate) fn sync_seals(&mut self, one_by_one: bool) {
        self.sync_seals = one_by_one;
    }

    /// What was committed survives a power cut when this returns.
    pub(crate) fn make_durable(&self) -> Result<(), VaultError> {
        // A checkpoint syncs the write-ahead log before it copies it, also with `synchronous=NORMAL`.
        self.connection.query_row("PRAGMA wal_checkpoint(FULL)", [], |_| Ok(()))?;
        Ok(())
    }

    /// The highest number of a volume that is known, dead ones that are not unlinked yet included; 0: none.
    pub fn highest(&self) -> Result<u64, VaultError> {
        let number: i64 = self.connection.query_row(
            "SELECT max(coalesce((SELECT max(number) FROM volume), 0), coalesce((SELECT max(number) FROM garbage), 0))",
            [],
            |row| row.get(0),
        )?;
        Ok(number as u64)
    }

    /// How many sealed volumes there are, and their bytes together.
    pub fn totals(&self) -> Result<(u64, u64), VaultError> {
        let total = self.connection.query_row("SELECT volumes, bytes FROM total", [], |row| {
            Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64))
        })?;
        Ok(total)
    }

    /// Volumes that are dead and not unlinked yet.
    pub fn garbage(&self) -> Result<Vec<u64>, VaultError> {
        let mut statement = self.connection.prepare("SELECT number FROM garbage")?;
        let numbers = statement.query_map([], |row| Ok(row.get::<_, i64>(0)? as u64))?;
        Ok(numbers.collect::<Result<_, _>>()?)
    }

    /// Every volume that is known, dead ones that are not unlinked yet included, in order.
    pub fn known(&self) -> Result<Vec<u64>, VaultError> {
        let mut statement = self
            .connection
            .prepare("SELECT number FROM volume UNION SELECT number FROM garbage ORDER BY 1")?;
        let numbers = statement.query_map([], |row| Ok(row.get::<_, i64>(0)? as u64))?;
        Ok(numbers.collect::<Result<_, _>>()?)
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
            forget(&tx, *number)?;
        }
        tx.commit()?;
        Ok(missing.len())
    }

    /// Forgets one volume whose file is gone, with its rows. Gives its bytes; none when it is not known.
    pub fn forget_volume(&mut self, number: u64) -> Result<Option<u64>, VaultError> {
        let tx = self.connection.transaction()?;
        let bytes: Option<i64> = tx
            .query_row("SELECT bytes FROM volume WHERE number = ?1", [number as i64], |row| row.get(0))
            .optional()?;
        forget(&tx, number as i64)?;
        tx.commit()?;
        Ok(bytes.map(|bytes| bytes as u64))
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

    /// The lowest number of a volume that is not sealed.
    pub fn first_unsealed(&self) -> Result<Option<u64>, VaultError> {
        let number: Option<i64> =
            self.connection
                .query_row("SELECT min(number) FROM volume WHERE sealed = 0", [], |row| row.get(0))?;
        Ok(number.map(|number| number as u64))
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

    /// The oldest minute with footage from `minute` on.
    pub fn minute_from(&self, stream: StreamId, minute: i64) -> Result<Option<i64>, VaultError> {
        Ok(self.connection.query_row(
            "SELECT min(minute) FROM minute WHERE stream = ?1 AND minute >= ?2",
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
            let mut activity = Vec::with_capacity(60);
            activity.extend((second..).zip(decode_activity(row.get_ref(4)?.as_blob().unwrap_or(&[]))));
            Ok(Piece {
                from: Micros(row.get(1)?),
                until: Micros(row.get(2)?),
                bytes: row.get::<_, i64>(3)? as u64,
                activity,
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

/// Whether the file is no database, or one that is damaged.
fn is_broken(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn prepare(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    // NORMAL: a power cut may undo the last commits, never damage the file; the volumes still know.
    connection.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA secure_delete=ON;")
}

fn forget(tx: &Transaction<'_>, number: i64) -> Result<(), rusqlite::Error> {
    tx.execute("DELETE FROM minute WHERE volume = ?1", [number])?;
    tx.execute("DELETE FROM volume WHERE number = ?1", [number])?;
    Ok(())
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
    let mut activity: Vec<u32> = decode_activity(&activity).collect();
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

    /// An index with one volume in it, closed.
    fn made(root: &Path) -> std::path::PathBuf {
        let path = root.join("index.sqlite");
        let (mut index, anew) = Index::open(&path).unwrap();
        assert!(anew);
        index.commit(&Batch { opened: vec![(7, 28, [1; 16])], ..Batch::default() }).unwrap();
        path
    }

    fn changed(path: &Path, sql: &str) {
        Connection::open(path).unwrap().execute_batch(sql).unwrap();
    }

    #[test]
    fn only_what_is_broken_or_older_is_made_anew() {
        let root = tempfile::tempdir().unwrap();
        let path = made(root.path());
        let (index, anew) = Index::open(&path).unwrap();
        assert!(!anew && index.highest().unwrap() == 7);
        drop(index);
        changed(&path, "PRAGMA user_version=2");
        let error = Index::open(&path).err().unwrap();
        assert!(matches!(error, VaultError::UnknownVersion { found: 2, known: 1, .. }), "{error}");
        // An error that says nothing about what stands in it.
        changed(&path, "PRAGMA user_version=1; DROP TABLE total");
        assert!(matches!(Index::open(&path).err().unwrap(), VaultError::Index(_)));
        assert_eq!(Index::reader(&path).unwrap().highest().unwrap(), 7, "it is still there");
        changed(&path, "PRAGMA user_version=0");
        assert!(Index::open(&path).unwrap().1);
        for broken in [vec![7; 5000], fs::read(&path).unwrap()[..3000].to_vec()] {
            fs::write(&path, broken).unwrap();
            let (index, anew) = Index::open(&path).unwrap();
            assert!(anew && index.highest().unwrap() == 0);
        }
    }
}
