//! The query index: who, camera, municipality, operation, action, outcome, look, incident, case, time. It is thrown away
//! and rebuilt from the log whenever it does not fit the tree or is damaged, so it is never a source of truth. It is
//! written through SQLite's WAL: a query that silently misses rows, because a power cut left half a commit, would be worse
//! than none.
//!
//! Texts stand in it as the first eight bytes of their SHA-256: rows stay short and of one size, which is what keeps a
//! month of one camera among ten million entries within a few milliseconds. Case numbers are in no leaf; where the
//! month's key is at hand they are indexed under a tag made with it.

use crate::{LedgerError, leaf::Leaf, tree::NodeHash};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params, params_from_iter, types::Value as Sql};
use sha2::{Digest, Sha256};
use std::{
    borrow::Cow,
    collections::HashSet,
    fs::{self, File},
    path::{Path, PathBuf},
};

/// What to look for; an absent field does not restrict. All times UTC, `from <= at < until`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The person who acted, by id in clear; found under the pseudonyms of all months whose key still exists.
    pub who: Option<String>,
    /// The camera.
    pub camera: Option<String>,
    /// The municipality.
    pub municipality: Option<String>,
    /// The kind of processing, a word of [`crate::Operation`].
    pub operation: Option<String>,
    /// The action; ending in a dot (`live_view.`) it stands for all that begin so.
    pub action: Option<String>,
    /// `permit`, `deny`, `done`, `failed`, `unknown`.
    pub outcome: Option<String>,
    /// The look.
    pub look: Option<String>,
    /// The incident.
    pub incident: Option<String>,
    /// The case number in clear; found in the months whose key still exists.
    pub case: Option<String>,
    /// First instant.
    pub from: Option<DateTime<Utc>>,
    /// End.
    pub until: Option<DateTime<Utc>>,
    /// Only entries after this number.
    pub after: Option<u64>,
    /// Only entries before this number.
    pub before: Option<u64>,
    /// Newest first.
    pub newest_first: bool,
    /// At most so many; 0 means 1000.
    pub limit: usize,
}

/// Raised whenever the tables change, so that an older index is rebuilt.
const VERSION: i64 = 3;

const TABLES: &str = "
    CREATE TABLE entry (
        seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, operation INTEGER NOT NULL, action INTEGER NOT NULL,
        outcome INTEGER NOT NULL, actor INTEGER, camera INTEGER, municipality INTEGER, look INTEGER, incident INTEGER,
        tag INTEGER
    );
    CREATE TABLE action (hash INTEGER PRIMARY KEY, text TEXT NOT NULL);
    CREATE TABLE covers (one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL, root BLOB NOT NULL);
";

const INDEXES: &str = "
    CREATE INDEX IF NOT EXISTS by_at ON entry (at);
    CREATE INDEX IF NOT EXISTS by_operation ON entry (operation, at);
    CREATE INDEX IF NOT EXISTS by_action ON entry (action, at);
    CREATE INDEX IF NOT EXISTS by_outcome ON entry (outcome, at);
    CREATE INDEX IF NOT EXISTS by_actor ON entry (actor, at) WHERE actor IS NOT NULL;
    CREATE INDEX IF NOT EXISTS by_camera ON entry (camera, at) WHERE camera IS NOT NULL;
    CREATE INDEX IF NOT EXISTS by_municipality ON entry (municipality, at) WHERE municipality IS NOT NULL;
    CREATE INDEX IF NOT EXISTS by_look ON entry (look) WHERE look IS NOT NULL;
    CREATE INDEX IF NOT EXISTS by_incident ON entry (incident) WHERE incident IS NOT NULL;
    CREATE INDEX IF NOT EXISTS by_tag ON entry (tag) WHERE tag IS NOT NULL;
";

/// A commit is whole or absent after a loss of power; nobody waits for it to be durable.
const JOURNAL: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;";

/// The index over one log.
#[derive(Debug)]
pub struct Index {
    db: Connection,
    path: PathBuf,
    size: u64,
    actions: HashSet<i64>,
    /// Being filled without a journal: what it covers is written at [`Index::finish`], so that a half one counts as none.
    filling: Option<NodeHash>,
}

/// A leaf to be indexed, with the tag of its case number where that is known.
#[derive(Clone, Debug)]
pub struct Indexed {
    /// The leaf.
    pub leaf: Vec<u8>,
    /// The case number's tag.
    pub tag: Option<String>,
}

fn cover(db: &Connection, size: u64, root: NodeHash) -> Result<(), LedgerError> {
    let row = params![size as i64, root.as_slice()];
    db.execute("INSERT OR REPLACE INTO covers VALUES (1, ?1, ?2)", row)?;
    Ok(())
}

/// Whether an error says that the index itself is damaged, not that its disk takes nothing at present: only then does
/// making it anew help.
pub(crate) fn is_damage(error: &LedgerError) -> bool {
    use rusqlite::ErrorCode as Code;
    let LedgerError::Index(error) = error else { return false };
    match error.sqlite_error() {
        Some(cause) => {
            !matches!(
                cause.code,
                Code::DiskFull
                    | Code::ReadOnly
                    | Code::CannotOpen
                    | Code::PermissionDenied
                    | Code::SystemIoFailure
                    | Code::OutOfMemory
                    | Code::DatabaseBusy
                    | Code::DatabaseLocked
            ) || cause.extended_code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ
        }
        // What it holds is not what was written there.
        None => true,
    }
}

fn key(text: &str) -> i64 {
    let hash = Sha256::digest(text.as_bytes());
    hash.first_chunk::<8>().map_or(0, |front| i64::from_be_bytes(*front))
}

impl Index {
    /// Opens the index when it covers a prefix of this very log, else starts a new one.
    pub fn open(path: &Path, root_at: impl Fn(u64) -> Option<NodeHash>) -> Result<Self, LedgerError> {
        match Self::open_existing(path, false, root_at) {
            // A disk that takes nothing at present is no reason to throw away what is there.
            Err(error) if !is_damage(&error) => return Err(error),
            Err(_) => {}
            found => return found,
        }
        let mut index = Self::start(path)?;
        index.finish()?;
        Ok(index)
    }

    /// Opens an index to be read only; none when there is none that covers a prefix of this very log.
    pub fn open_to_read(path: &Path, root_at: impl Fn(u64) -> Option<NodeHash>) -> Option<Self> {
        Self::open_existing(path, true, root_at).ok()
    }

    /// Starts a new index, to be filled with [`Index::extend`] and ended with [`Index::finish`]: its sorted lists are made
    /// at the end, which is many times faster.
    pub fn start(path: &Path) -> Result<Self, LedgerError> {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            match fs::remove_file(&name) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(LedgerError::io(name)(e)),
                _ => {}
            }
        }
        let db = Self::connect(path, false)?;
        db.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")?;
        db.execute_batch(TABLES)?;
        db.pragma_update(None, "user_version", VERSION)?;
        let path = path.to_owned();
        Ok(Self { db, path, size: 0, actions: HashSet::new(), filling: Some(NodeHash::default()) })
    }

    /// Makes the sorted lists and, only when all of it is on the disk, says what the index covers.
    pub fn finish(&mut self) -> Result<(), LedgerError> {
        self.db.execute_batch(INDEXES)?;
        let Some(root) = self.filling else { return Ok(()) };
        File::open(&self.path).and_then(|file| file.sync_all()).map_err(LedgerError::io(&self.path))?;
        self.db.execute_batch(JOURNAL)?;
        cover(&self.db, self.size, root)?;
        self.filling = None;
        Ok(())
    }

    fn connect(path: &Path, read_only: bool) -> Result<Connection, LedgerError> {
        let mut wal = path.as_os_str().to_owned();
        wal.push("-wal");
        let db = if !read_only {
            Connection::open(path)?
        } else if Path::new(&wal).exists() {
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?
        } else {
            // Nobody writes it: so it can be read from a medium that takes nothing.
            let text = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(format!("file:{text}?immutable=1"), flags)?
        };
        // 32 MiB of pages at most.
        db.execute_batch("PRAGMA cache_size = -32768;")?;
        Ok(db)
    }

    fn open_existing(
        path: &Path,
        read_only: bool,
        root_at: impl Fn(u64) -> Option<NodeHash>,
    ) -> Result<Self, LedgerError> {
        let stale = || LedgerError::Index(rusqlite::Error::InvalidQuery);
        if !path.exists() {
            return Err(stale());
        }
        let db = Self::connect(path, read_only)?;
        let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let covers: Option<(i64, Vec<u8>)> = db
            .query_row("SELECT size, root FROM covers", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (size, root) = covers.ok_or_else(stale)?;
        let last: Option<i64> = db.query_row("SELECT max(seq) FROM entry", [], |row| row.get(0))?;
        let number = u64::try_from(size).map_err(|_| stale())?;
        let fits = root_at(number).is_some_and(|expected| expected.as_slice() == root);
        if version != VERSION || last.is_some_and(|last| last + 1 != size) || !fits {
            return Err(stale());
        }
        if !read_only {
            db.execute_batch(JOURNAL)?;
        }
        let actions = db
            .prepare("SELECT hash FROM action")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<HashSet<i64>, _>>()?;
        Ok(Self { db, path: path.to_owned(), size: number, actions, filling: None })
    }

    /// Whether it was started and not yet finished.
    pub(crate) fn is_filling(&self) -> bool {
        self.filling.is_some()
    }

    /// How many entries it covers.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Passes over entries that were purged.
    pub fn skip_to(&mut self, first: u64) {
        self.size = self.size.max(first);
    }

    /// Adds the entries that follow, after which the log's root is `root`.
    pub fn extend(&mut self, leaves: &[Indexed], root: NodeHash) -> Result<(), LedgerError> {
        let size = self.size + leaves.len() as u64;
        let change = self.db.transaction()?;
        {
            let mut insert = change
                .prepare_cached("INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")?;
            for (seq, Indexed { leaf, tag }) in (self.size..).zip(leaves) {
                // What is no entry of this schema is found by its number only.
                let Some(row) = Leaf::read(leaf) else { continue };
                let action = key(&row.action);
                if self.actions.insert(action) {
                    change.execute(
                        "INSERT OR IGNORE INTO action VALUES (?1, ?2)",
                        params![action, row.action],
                    )?;
                }
                let some = |text: &Option<Cow<'_, str>>| text.as_deref().map(key);
                insert.execute(params![
                    seq as i64,
                    row.at.parse::<DateTime<Utc>>().map_or(0, |at| at.timestamp_millis()),
                    key(&row.operation),
                    action,
                    key(&row.outcome),
                    some(&row.actor.pseudonym),
                    some(&row.object.camera),
                    some(&row.object.municipality),
                    some(&row.look),
                    some(&row.justification.incident),
                    tag.as_deref().map(key),
                ])?;
            }
        }
        match &mut self.filling {
            Some(until) => *until = root,
            None => cover(&change, size, root)?,
        }
        change.commit()?;
        self.size = size;
        Ok(())
    }

    /// Forgets the entries before `first`, which were purged.
    pub fn forget(&mut self, first: u64) -> Result<(), LedgerError> {
        self.db.execute("DELETE FROM entry WHERE seq < ?1", params![first as i64])?;
        Ok(())
    }

    /// The earliest time of an entry: what waited in the spool may be older than the first by number.
    pub fn earliest(&self) -> Result<Option<DateTime<Utc>>, LedgerError> {
        let first: Option<i64> =
            self.db.query_row("SELECT min(at) FROM entry WHERE at > 0", [], |row| row.get(0))?;
        Ok(first.and_then(DateTime::from_timestamp_millis))
    }

    /// The numbers of the entries that a filter selects; `pseudonyms` are those of `filter.who`, `tags` those of
    /// `filter.case`.
    pub fn find(
        &self,
        filter: &Filter,
        pseudonyms: &[String],
        tags: &[String],
    ) -> Result<Vec<u64>, LedgerError> {
        let mut clauses = vec!["1".to_owned()];
        let mut values: Vec<Sql> = Vec::new();
        let mut add = |clause: &str, value: i64| {
            values.push(Sql::Integer(value));
            clauses.push(clause.replace('?', &format!("?{}", values.len())));
        };
        for (column, wanted) in [
            ("camera", &filter.camera),
            ("municipality", &filter.municipality),
            ("operation", &filter.operation),
            ("outcome", &filter.outcome),
            ("look", &filter.look),
            ("incident", &filter.incident),
        ] {
            if let Some(wanted) = wanted {
                add(&format!("{column} = ?"), key(wanted));
            }
        }
        if let Some(from) = filter.from {
            add("at >= ?", from.timestamp_millis());
        }
        if let Some(until) = filter.until {
            add("at < ?", until.timestamp_millis());
        }
        if let Some(after) = filter.after {
            add("seq > ?", after as i64);
        }
        if let Some(before) = filter.before {
            add("seq < ?", before as i64);
        }
        let mut one_of = |column: &str, keys: Vec<i64>| {
            let list: Vec<String> = keys.iter().map(i64::to_string).collect();
            clauses.push(format!("{column} IN ({})", list.join(",")));
        };
        match &filter.action {
            Some(prefix) if prefix.ends_with('.') => one_of("action", self.actions_like(prefix)?),
            Some(action) => one_of("action", vec![key(action)]),
            None => {}
        }
        if filter.who.is_some() {
            one_of("actor", pseudonyms.iter().map(|name| key(name)).collect());
        }
        if filter.case.is_some() {
            one_of("tag", tags.iter().map(|tag| key(tag)).collect());
        }
        let order = if filter.newest_first { "DESC" } else { "ASC" };
        let limit = if filter.limit == 0 { 1000 } else { filter.limit };
        let sql = format!(
            "SELECT seq FROM entry WHERE {} ORDER BY seq {order} LIMIT {limit}",
            clauses.join(" AND ")
        );
        let mut select = self.db.prepare(&sql)?;
        let rows = select.query_map(params_from_iter(values), |row| row.get::<_, i64>(0))?;
        Ok(rows.map(|seq| seq.map(|seq| seq as u64)).collect::<Result<_, _>>()?)
    }

    fn actions_like(&self, prefix: &str) -> Result<Vec<i64>, LedgerError> {
        let mut select = self.db.prepare("SELECT hash FROM action WHERE substr(text, 1, length(?1)) = ?1")?;
        Ok(select.query_map([prefix], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }
}
