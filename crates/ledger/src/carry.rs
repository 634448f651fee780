//! What a log still owes when it is put aside for a new epoch: entries that wait in its spool because nothing could be
//! appended any more, and looks that nobody closed. The new log tells them behind the grant, so that the end of a look stands
//! in one of the two.

use crate::{
    Ledger, LedgerError,
    looks::{Looks, OpenLook},
    opening,
    privacy::{Prepared, month_of},
    sequence::read_frame,
    shared::{lock, time_of},
    spool::{Claim, Spool, Waiting},
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::{
    fs::File,
    io::{BufReader, Seek as _, SeekFrom},
    path::Path,
};

/// What an old log owes. Its months' keys must stay where they are: the entries' details are sealed under them.
#[derive(Debug)]
pub struct Owed {
    log: String,
    waiting: Vec<Waiting>,
    open: Vec<OpenLook>,
    last: DateTime<Utc>,
}

impl Owed {
    /// Reads what the log in a folder, which nobody writes any more, still owes. Whether it is the one that was signed does not
    /// matter here: that it is not is why it was put aside.
    ///
    /// # Errors
    /// When the folder's files cannot be read. A folder without a log owes nothing.
    pub fn read(dir: &Path, vkey: &str) -> Result<Self, LedgerError> {
        let path = dir.join("sequence");
        let io = |e| LedgerError::io(&path)(e);
        let mut owed = Self { log: vkey.to_owned(), waiting: Vec::new(), open: Vec::new(), last: Utc::now() };
        let file = match File::open(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(owed),
            file => file.map_err(io)?,
        };
        let (mut seq, offset) = opening::where_it_begins(dir, vkey)?;
        let mut reader = BufReader::with_capacity(1 << 18, file);
        reader.seek(SeekFrom::Start(offset)).map_err(io)?;
        let (mut looks, mut taken) = (Looks::default(), 0);
        while let Some((record, _)) = read_frame(&mut reader, seq).map_err(io)? {
            looks.observe(seq, &record.leaf);
            taken = taken.max(record.spool);
            owed.last = time_of(&record.leaf).unwrap_or(owed.last);
            seq += 1;
        }
        owed.waiting = Spool::left_in(&dir.join("spool"), taken)?;
        for waiting in &owed.waiting {
            looks.observe(seq, waiting.leaf.as_bytes());
        }
        owed.open = looks.open();
        Ok(owed)
    }

    /// How many entries wait, and how many looks are open.
    pub fn len(&self) -> (usize, usize) {
        (self.waiting.len(), self.open.len())
    }
}

impl Ledger {
    /// Logs what an old log owed, each entry with both times. They pass the spool, so a process that dies in between logs them
    /// at its next start.
    pub fn carry_over(&self, owed: &Owed) {
        let shared = self.shared();
        for waiting in &owed.waiting {
            let at = time_of(waiting.leaf.as_bytes()).unwrap_or(owed.last);
            let (leaf, details) = (waiting.leaf.clone(), waiting.details.clone());
            let mut spool = lock(&shared.spool);
            if !spool.push(Prepared { at, leaf, details }, Claim::Whole) {
                tracing::error!(month = month_of(at), "the spool is full; an entry of the old log is lost");
            }
        }
        for look in &owed.open {
            let mut closing = look.closing(owed.last, Utc::now());
            if let Some(Value::Object(data)) = &mut closing.data {
                data.insert("log".to_owned(), json!(owed.log));
            }
            self.append_spooled(closing);
        }
        lock(&shared.queue).spooled = true;
        shared.wake.notify_one();
    }
}
