//! The spool: where cuts and the recorder's entries wait while the sequence file cannot be written (decision 12).
//!
//! A file of fixed size, written full of zeros when it is made, so that a full disk cannot refuse it. Every spooled
//! entry goes through it, also in good times: one write to the page cache, no sync, so that it survives a killed
//! process and never waits. Each record carries a number; the sequence file remembers the numbers it has taken, so
//! that none is lost and none is logged twice.

use crate::{
    LedgerError,
    privacy::Prepared,
    sequence::{Record, read_frame},
};
use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{self, BufReader, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

/// A record that waits to be logged.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) number: u64,
    pub(crate) leaf: String,
    pub(crate) details: Vec<u8>,
}

pub(crate) struct Spool {
    file: File,
    capacity: u64,
    position: u64,
    next: u64,
    waiting: VecDeque<Waiting>,
    /// Entries that found no room since the last recovery.
    pub(crate) lost: u64,
}

impl Spool {
    /// Opens the spool, made with `capacity` bytes when it is not there. `taken` is the highest number that the
    /// sequence file holds; records above it still wait.
    pub(crate) fn open(path: &Path, capacity: u64, taken: u64) -> Result<Self, LedgerError> {
        let open = || {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(path)?;
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
        };
        let file = open().map_err(LedgerError::io(path))?;
        let mut spool =
            Self { file, capacity, position: 0, next: taken + 1, waiting: VecDeque::new(), lost: 0 };
        spool.recover(taken).map_err(LedgerError::io(path))?;
        Ok(spool)
    }

    fn recover(&mut self, taken: u64) -> io::Result<()> {
        let mut reader = BufReader::new(&self.file);
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
        Ok(())
    }

    /// Writes an entry to the spool; `false` when it is full (counted).
    pub(crate) fn push(&mut self, prepared: Prepared) -> bool {
        let leaf = prepared.leaf.as_bytes().to_vec();
        let record = Record { spool: self.next, leaf, details: prepared.details };
        let frame = record.frame(0);
        let end = self.position + frame.len() as u64;
        if end > self.capacity {
            self.lost += 1;
            return false;
        }
        if let Err(e) = self.file.write_all_at(&frame, self.position) {
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
        }
    }

    /// Makes what waits survive a loss of power; used while the sequence file is out of order.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
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
            assert!(spool.push(prepared(n)));
        }
        drop(spool);
        let mut spool = Spool::open(&path, 4096, 2).unwrap();
        assert_eq!(leaves(&spool), ["{\"n\":3}", "{\"n\":4}", "{\"n\":5}"]);
        spool.taken(5);
        // A new round starts at the front, over the old records.
        assert!(spool.push(prepared(1)));
        drop(spool);
        let spool = Spool::open(&path, 4096, 5).unwrap();
        assert_eq!(leaves(&spool), ["{\"n\":1}"]);
        assert_eq!(spool.waiting()[0].number, 6);
    }

    #[test]
    fn it_is_bounded_and_counts_what_finds_no_room() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(&dir.path().join("spool"), 256, 0).unwrap();
        let fitted = (0..10).filter(|_| spool.push(prepared(20))).count();
        assert!(fitted > 0 && fitted < 10);
        assert_eq!(spool.lost, 10 - fitted as u64);
        assert_eq!(std::fs::metadata(dir.path().join("spool")).unwrap().len(), 256);
    }
}
