//! The spool: where cuts and the recorder's entries wait while the sequence file cannot be written (decision 12).
//!
//! A file of fixed size, written full of zeros when it is made, so that a full disk cannot refuse it. Every spooled
//! entry goes through it, also in good times: one write to the page cache, no sync, so that it survives a killed
//! process and never waits. Each record carries a number; the sequence file remembers the numbers it has taken, so
//! that none is lost and none is logged twice. The last bytes of the file keep the counts that are still to be told.
//!
//! Where its disk takes nothing at a start it is kept in memory, and written when the disk takes it.

use crate::{
    LedgerError,
    entry::{Entry, Operation},
    privacy::Prepared,
    sequence::{Record, read_frame, refuses_writes},
};
use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{self, BufReader, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Bytes at the end of the file for a record with the counts.
const COUNTS: u64 = 64;
/// The place that the record of the counts is bound to; entries are bound to 0.
const COUNTS_PLACE: u64 = u64::MAX;

/// How much of the spool an entry may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// What the law wants to know of a time without log: ends of looks, recording, destruction, the platform itself.
    Whole,
    /// Refusals and failed log-ins: anybody can make as many as they like, so half is kept from them.
    Half,
}

impl Claim {
    /// Which one an entry has.
    pub(crate) fn of(entry: &Entry) -> Self {
        if entry.operation == Operation::AccessDenied { Self::Half } else { Self::Whole }
    }
}

/// A record that waits to be logged.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) number: u64,
    pub(crate) leaf: String,
    pub(crate) details: Vec<u8>,
}

pub(crate) struct Spool {
    path: PathBuf,
    /// None while its disk takes nothing.
    file: Option<Arc<File>>,
    capacity: u64,
    position: u64,
    next: u64,
    waiting: VecDeque<Waiting>,
    /// Entries that found no room since the last recovery.
    pub(crate) lost: u64,
    /// Appends that were refused before the last start and are still to be told.
    pub(crate) refused: u64,
}

/// Opens the file to be written, made with `capacity` bytes when it is not there.
fn open_to_write(path: &Path, capacity: u64) -> io::Result<File> {
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let length = file.metadata()?.len();
    if length < capacity {
        let zeros = vec![0; 1 << 16];
        let mut missing = capacity - length;
        io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
        while missing > 0 {
            let step = missing.min(zeros.len() as u64);
            file.write_all(zeros.get(..step as usize).unwrap_or_default())?;
            missing -= step;
        }
        file.sync_all()?;
    }
    Ok(file)
}

impl Spool {
    /// Opens the spool. `taken` is the highest number that the sequence file holds; records above it still wait.
    pub(crate) fn open(path: &Path, capacity: u64, taken: u64) -> Result<Self, LedgerError> {
        let io = |e| LedgerError::io(path)(e);
        let mut spool = Self::empty(path, capacity, taken);
        match open_to_write(path, capacity) {
            Ok(file) => {
                spool.recover(&file, taken).map_err(io)?;
                spool.file = Some(Arc::new(file));
            }
            Err(e) if refuses_writes(&e) => {
                tracing::error!(error = %e, "the spool's disk takes nothing; what must wait is kept in memory");
                match File::open(path) {
                    Ok(file) => spool.recover(&file, taken).map_err(io)?,
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => return Err(io(e)),
                }
            }
            Err(e) => return Err(io(e)),
        }
        Ok(spool)
    }

    /// What waits in a spool that nobody writes any more; nothing where there is none.
    pub(crate) fn left_in(path: &Path, taken: u64) -> Result<Vec<Waiting>, LedgerError> {
        let file = match File::open(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            file => file.map_err(LedgerError::io(path))?,
        };
        let capacity = file.metadata().map_err(LedgerError::io(path))?.len();
        let mut spool = Self::empty(path, capacity, taken);
        spool.recover(&file, taken).map_err(LedgerError::io(path))?;
        Ok(spool.waiting.into())
    }

    fn empty(path: &Path, capacity: u64, taken: u64) -> Self {
        Self {
            path: path.to_owned(),
            file: None,
            capacity,
            position: 0,
            next: taken + 1,
            waiting: VecDeque::new(),
            lost: 0,
            refused: 0,
        }
    }

    fn recover(&mut self, file: &File, taken: u64) -> io::Result<()> {
        let mut reader = BufReader::new(file);
        io::Seek::seek(&mut reader, io::SeekFrom::Start(0))?;
        let mut position = 0;
        let mut last = None;
        while let Some((record, bytes)) = read_frame(&mut reader, 0)? {
            // Behind the newest record lie older ones of an earlier round: the numbers no longer follow.
            if record.spool == 0 || last.is_some_and(|last| record.spool != last + 1) {
                break;
            }
            last = Some(record.spool);
            position += bytes;
            if record.spool > taken
                && let Ok(leaf) = String::from_utf8(record.leaf)
            {
                self.waiting.push_back(Waiting { number: record.spool, leaf, details: record.details });
            }
        }
        self.next = self.next.max(last.map_or(0, |last| last + 1));
        if !self.waiting.is_empty() {
            self.position = position;
        }
        io::Seek::seek(&mut reader, io::SeekFrom::Start(self.capacity.saturating_sub(COUNTS)))?;
        // None in a spool of an older release: then there are zeros, or the end of an entry.
        if let Some((counts, _)) = read_frame(&mut reader, COUNTS_PLACE)?
            && let Some((lost, rest)) = counts.leaf.split_first_chunk::<8>()
            && let Some(refused) = rest.first_chunk::<8>()
        {
            (self.lost, self.refused) = (u64::from_le_bytes(*lost), u64::from_le_bytes(*refused));
        }
        Ok(())
    }

    /// Writes an entry to the spool; `false` when there is no room for it (counted).
    pub(crate) fn push(&mut self, prepared: Prepared, claim: Claim) -> bool {
        let leaf = prepared.leaf.as_bytes().to_vec();
        let record = Record { spool: self.next, leaf, details: prepared.details };
        let frame = record.frame(0);
        let end = self.position + frame.len() as u64;
        let room = match claim {
            Claim::Whole => self.capacity.saturating_sub(COUNTS),
            Claim::Half => self.capacity / 2,
        };
        if end > room {
            self.lost += 1;
            return false;
        }
        if let Some(file) = &self.file
            && let Err(e) = file.write_all_at(&frame, self.position)
        {
            // Kept in memory all the same: it is logged unless the process dies first.
            tracing::error!(error = %e, "the spool cannot be written");
        }
        self.position = end;
        self.waiting.push_back(Waiting { number: self.next, leaf: prepared.leaf, details: record.details });
        self.next += 1;
        true
    }

    /// What waits, oldest first.
    pub(crate) fn waiting(&self) -> Vec<Waiting> {
        self.waiting.iter().cloned().collect()
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Forgets what the sequence file has taken, up to and including `number`.
    pub(crate) fn taken(&mut self, number: u64) {
        while self.waiting.front().is_some_and(|first| first.number <= number) {
            self.waiting.pop_front();
        }
        if self.waiting.is_empty() {
            self.position = 0;
        } else if self.position > self.capacity / 4 {
            // Where something always waits, it must not creep to the end.
            self.return_to_front();
        }
    }

    /// Moves what waits to the front, where it has room before its oldest record: one write, so that a killed process finds it
    /// there or where it was.
    fn return_to_front(&mut self) {
        let frame = |waiting: &Waiting| {
            let (leaf, details) = (waiting.leaf.as_bytes().to_vec(), waiting.details.clone());
            Record { spool: waiting.number, leaf, details }.frame(0)
        };
        let frames: Vec<u8> = self.waiting.iter().flat_map(frame).collect();
        let length = frames.len() as u64;
        if length > self.position.saturating_sub(length) {
            return;
        }
        if let Some(file) = &self.file
            && let Err(e) = file.write_all_at(&frames, 0)
        {
            tracing::error!(error = %e, "the spool cannot be written");
            return;
        }
        self.position = length;
    }

    /// Keeps the counts that are still to be told, so that they outlive the process, and opens the file again where that was
    /// not possible before. Used while the sequence file is out of order.
    pub(crate) fn keep_counts(&mut self, refused: u64) -> io::Result<()> {
        self.refused = refused;
        let file = match &self.file {
            Some(file) => file.clone(),
            None => self.write_anew()?,
        };
        // In a small spool of an older release an entry may still lie here.
        if self.position > self.capacity.saturating_sub(COUNTS) {
            return Ok(());
        }
        let leaf = [self.lost.to_le_bytes(), refused.to_le_bytes()].concat();
        let frame = Record { spool: 0, leaf, details: Vec::new() }.frame(COUNTS_PLACE);
        file.write_all_at(&frame, self.capacity.saturating_sub(COUNTS))
    }

    fn write_anew(&mut self) -> io::Result<Arc<File>> {
        let file = Arc::new(open_to_write(&self.path, self.capacity)?);
        let mut position = 0;
        for waiting in &self.waiting {
            let (spool, leaf) = (waiting.number, waiting.leaf.as_bytes().to_vec());
            let frame = Record { spool, leaf, details: waiting.details.clone() }.frame(0);
            file.write_all_at(&frame, position)?;
            position += frame.len() as u64;
        }
        self.position = position;
        self.file = Some(file.clone());
        Ok(file)
    }

    /// The file, to be synced by somebody who does not hold the lock on this meanwhile: a disk that hangs must not keep a cut
    /// from being spooled.
    pub(crate) fn file(&self) -> Option<Arc<File>> {
        self.file.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(n: usize) -> Prepared {
        Prepared { at: chrono::DateTime::UNIX_EPOCH, leaf: format!("{{\"n\":{n}}}"), details: vec![7; n] }
    }

    fn leaves(spool: &Spool) -> Vec<String> {
        spool.waiting().into_iter().map(|w| w.leaf).collect()
    }

    #[test]
    fn what_waits_survives_and_what_was_taken_does_not_return() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool");
        let mut spool = Spool::open(&path, 4096, 0).unwrap();
        for n in 1..=5 {
            assert!(spool.push(prepared(n), Claim::Whole));
        }
        drop(spool);
        let mut spool = Spool::open(&path, 4096, 2).unwrap();
        assert_eq!(leaves(&spool), ["{\"n\":3}", "{\"n\":4}", "{\"n\":5}"]);
        spool.taken(5);
        // A new round starts at the front, over the old records.
        assert!(spool.push(prepared(1), Claim::Whole));
        drop(spool);
        let spool = Spool::open(&path, 4096, 5).unwrap();
        assert_eq!(leaves(&spool), ["{\"n\":1}"]);
        assert_eq!(spool.waiting()[0].number, 6);
    }

    #[test]
    fn a_trickle_that_never_ends_finds_room_and_survives() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool");
        let mut spool = Spool::open(&path, 4096, 0).unwrap();
        assert!(spool.push(prepared(1), Claim::Whole));
        for n in 2..=1000 {
            // The sequence file has taken all but the newest when that comes.
            let claim = if n % 2 == 0 { Claim::Whole } else { Claim::Half };
            assert!(spool.push(prepared(n % 40), claim), "no room for {n}");
            spool.taken(n as u64 - 1);
            if n % 7 == 0 {
                drop(spool);
                spool = Spool::open(&path, 4096, n as u64 - 1).unwrap();
            }
            assert_eq!(leaves(&spool), [format!("{{\"n\":{}}}", n % 40)], "after {n}");
        }
        assert_eq!(spool.lost, 0);
    }

    #[test]
    fn it_is_bounded_and_counts_what_finds_no_room() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(&dir.path().join("spool"), 512, 0).unwrap();
        let fitted = (0..10).filter(|_| spool.push(prepared(20), Claim::Whole)).count();
        assert!(fitted > 0 && fitted < 10);
        assert_eq!(spool.lost, 10 - fitted as u64);
        assert_eq!(std::fs::metadata(dir.path().join("spool")).unwrap().len(), 512);
    }

    #[test]
    fn half_of_it_is_kept_from_what_anybody_can_cause() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(&dir.path().join("spool"), 2048, 0).unwrap();
        let refusals = (0..100).filter(|_| spool.push(prepared(20), Claim::Half)).count();
        let cuts = (0..100).filter(|_| spool.push(prepared(20), Claim::Whole)).count();
        assert!(refusals > 0 && cuts + 2 >= refusals, "{refusals} refusals leave room for {cuts} cuts");
        assert_eq!(spool.lost, 200 - refusals as u64 - cuts as u64);
    }

    #[test]
    fn what_was_counted_outlives_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool");
        let mut spool = Spool::open(&path, 512, 0).unwrap();
        assert_eq!((spool.lost, spool.refused), (0, 0));
        while spool.push(prepared(20), Claim::Whole) {}
        spool.keep_counts(7).unwrap();
        let waiting = leaves(&spool);
        drop(spool);
        let spool = Spool::open(&path, 512, 0).unwrap();
        assert_eq!((spool.lost, spool.refused, leaves(&spool)), (1, 7, waiting));
    }
}
