//! The query index: who, camera, municipality, action, outcome, time. It is thrown away and rebuilt from the
//! sequence file whenever it does not fit the tree, so it is never a source of truth and never synced.

use crate::{LedgerError, tree::NodeHash};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params, params_from_iter, types::Value as Sql};
use serde_json::Value;
use std::{fs, path::Path};

/// What to look for; an absent field does not restrict. All times UTC, `from <= at < until`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The person who acted, by id in clear; found under the pseudonyms of all months whose key still exists.
    pub who: Option<String>,
    /// The camera.
    pub camera: Option<String>,
    /// The municipality.
    pub municipality: Option<String>,
    /// The action; ending in a dot (`live_view.`) it stands for all that begin so.
    pub action: Option<String>,
    /// `permit`, `deny`, `done`, `failed`, `unknown`.
    pub outcome: Option<String>,
    /// The look.
    pub look: Option<String>,
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

const SCHEMA: &str = "
    CREATE TABLE entry (
        seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, action TEXT NOT NULL, outcome TEXT NOT NULL,
        actor TEXT, camera TEXT, municipality TEXT, look TEXT
    );
    CREATE INDEX by_at ON entry (at);
    CREATE INDEX by_action ON entry (action, seq);
    CREATE INDEX by_outcome ON entry (outcome, seq);
    CREATE INDEX by_actor ON entry (actor, seq) WHERE actor IS NOT NULL;
    CREATE INDEX by_camera ON entry (camera, seq) WHERE camera IS NOT NULL;
    CREATE INDEX by_municipality ON entry (municipality, seq) WHERE municipality IS NOT NULL;
    CREATE INDEX by_look ON entry (look) WHERE look IS NOT NULL;
    CREATE TABLE covers (one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL, root BLOB NOT NULL);
";

pub(crate) struct Index {
    db: Connection,
    size: u64,
}

impl Index {
    /// Opens the index when it covers a prefix of this very log, else starts a new one.
    pub(crate) fn open(path: &Path, root_at: impl Fn(u64) -> Option<NodeHash>) -> Result<Self, LedgerError> {
        if let Ok(index) = Self::open_existing(path, root_at) {
            return Ok(index);
        }
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            match fs::remove_file(&name) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(LedgerError::io(name)(e)),
                _ => {}
            }
        }
        let db = Self::connect(path)?;
        db.execute_batch(SCHEMA)?;
        Ok(Self { db, size: 0 })
    }

    fn connect(path: &Path) -> Result<Connection, LedgerError> {
        let db = Connection::open(path)?;
        db.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")?;
        Ok(db)
    }

    fn open_existing(path: &Path, root_at: impl Fn(u64) -> Option<NodeHash>) -> Result<Self, LedgerError> {
        let stale = || LedgerError::Index(rusqlite::Error::InvalidQuery);
        if !path.exists() {
            return Err(stale());
        }
        let db = Self::connect(path)?;
        let covers: Option<(i64, Vec<u8>)> = db
            .query_row("SELECT size, root FROM covers", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (size, root) = covers.ok_or_else(stale)?;
        let rows: i64 = db.query_row("SELECT count(*) FROM entry", [], |row| row.get(0))?;
        let number = u64::try_from(size).map_err(|_| stale())?;
        if rows != size || root_at(number).is_none_or(|expected| expected.as_slice() != root) {
            return Err(stale());
        }
        Ok(Self { db, size: number })
    }

    /// How many entries it covers.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Adds the entries that follow, after which the log's root is `root`.
    pub(crate) fn extend(&mut self, leaves: &[Vec<u8>], root: NodeHash) -> Result<(), LedgerError> {
        let size = self.size + leaves.len() as u64;
        let change = self.db.transaction()?;
        {
            let mut insert =
                change.prepare_cached("INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
            for (seq, leaf) in (self.size..).zip(leaves) {
                let leaf: Value = serde_json::from_slice(leaf).unwrap_or_default();
                let text =
                    |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
                let at = text(&leaf, "at").and_then(|at| at.parse::<DateTime<Utc>>().ok());
                let object = leaf.get("object").unwrap_or(&Value::Null);
                let actor = leaf.get("actor").unwrap_or(&Value::Null);
                insert.execute(params![
                    seq as i64,
                    at.map_or(0, |at| at.timestamp_millis()),
                    text(&leaf, "action").unwrap_or_default(),
                    text(&leaf, "outcome").unwrap_or_default(),
                    text(actor, "pseudonym"),
                    text(object, "camera"),
                    text(object, "municipality"),
                    text(&leaf, "look"),
                ])?;
            }
        }
        change.execute(
            "INSERT OR REPLACE INTO covers VALUES (1, ?1, ?2)",
            params![size as i64, root.as_slice()],
        )?;
        change.commit()?;
        self.size = size;
        Ok(())
    }

    /// The numbers of the entries that a filter selects; `pseudonyms` are those of `filter.who`.
    pub(crate) fn find(&self, filter: &Filter, pseudonyms: &[String]) -> Result<Vec<u64>, LedgerError> {
        let mut clauses = vec!["1".to_owned()];
        let mut values: Vec<Sql> = Vec::new();
        let mut add = |clause: &str, value: Sql| {
            values.push(value);
            clauses.push(clause.replace('?', &format!("?{}", values.len())));
        };
        for (column, wanted) in [
            ("camera", &filter.camera),
            ("municipality", &filter.municipality),
            ("outcome", &filter.outcome),
            ("look", &filter.look),
        ] {
            if let Some(wanted) = wanted {
                add(&format!("{column} = ?"), Sql::Text(wanted.clone()));
            }
        }
        match &filter.action {
            Some(prefix) if prefix.ends_with('.') => {
                add("substr(action, 1, length(?)) = ?", Sql::Text(prefix.clone()));
            }
            Some(action) => add("action = ?", Sql::Text(action.clone())),
            None => {}
        }
        if let Some(from) = filter.from {
            add("at >= ?", Sql::Integer(from.timestamp_millis()));
        }
        if let Some(until) = filter.until {
            add("at < ?", Sql::Integer(until.timestamp_millis()));
        }
        if let Some(after) = filter.after {
            add("seq > ?", Sql::Integer(after as i64));
        }
        if let Some(before) = filter.before {
            add("seq < ?", Sql::Integer(before as i64));
        }
        if filter.who.is_some() {
            let places: Vec<String> = pseudonyms
                .iter()
                .map(|pseudonym| {
                    values.push(Sql::Text(pseudonym.clone()));
                    format!("?{}", values.len())
                })
                .collect();
            clauses.push(format!("actor IN ({})", places.join(",")));
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
}
