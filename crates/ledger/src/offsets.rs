//! Where each record begins in the sequence file: eight bytes an entry in a file of its own, little-endian, the newest in
//! memory until the publisher writes them. Rebuilt from the sequence file whenever it does not fit; a wrong offset is
//! noticed when the record is read, for its check is bound to its number.

use crate::LedgerError;
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    sync::Arc,
};

const EACH: u64 = 8;

#[derive(Debug)]
pub(crate) struct Offsets {
    file: Arc<File>,
    /// Entries below this number are in the file.
    written: u64,
    newest: Vec<u64>,
}

/// What is to be written, taken under the log's lock and written without it.
pub(crate) struct Unwritten {
    file: Arc<File>,
    from: u64,
    offsets: Vec<u64>,
}

impl Offsets {
    /// Opens the file; the first `count` entries are taken to be in it.
    pub(crate) fn open(path: &Path, count: u64) -> Result<Self, LedgerError> {
        let open = || {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(path)?;
            if file.metadata()?.len() < count * EACH {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "shorter than the log"));
            }
            Ok(file)
        };
        let file = Arc::new(open().map_err(LedgerError::io(path))?);
        Ok(Self { file, written: count, newest: Vec::new() })
    }

    /// Opens the file to write it anew from number `first` on.
    pub(crate) fn restart(path: &Path, first: u64) -> Result<Self, LedgerError> {
        let mut offsets = Self::open(path, 0)?;
        offsets.written = first;
        Ok(offsets)
    }

    pub(crate) fn push(&mut self, offset: u64) {
        self.newest.push(offset);
    }

    pub(crate) fn get(&self, seq: u64) -> io::Result<u64> {
        if let Some(newest) = seq.checked_sub(self.written) {
            let missing = || io::Error::new(io::ErrorKind::UnexpectedEof, "no such record");
            return self.newest.get(newest as usize).copied().ok_or_else(missing);
        }
        let mut bytes = [0; EACH as usize];
        self.file.read_exact_at(&mut bytes, seq * EACH)?;
        Ok(u64::from_le_bytes(bytes))
    }

    pub(crate) fn unwritten(&self) -> Unwritten {
        Unwritten { file: self.file.clone(), from: self.written, offsets: self.newest.clone() }
    }

    /// Those below `until` are in the file now.
    pub(crate) fn written(&mut self, until: u64) {
        let gone = until.saturating_sub(self.written).min(self.newest.len() as u64);
        self.newest.drain(..gone as usize);
        self.written += gone;
    }

    /// How many are held in memory.
    pub(crate) fn in_memory(&self) -> usize {
        self.newest.len()
    }
}

impl Unwritten {
    /// Writes them; returns the number up to which the file is complete.
    pub(crate) fn write(&self) -> io::Result<u64> {
        let bytes: Vec<u8> = self.offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect();
        self.file.write_all_at(&bytes, self.from * EACH)?;
        Ok(self.from + self.offsets.len() as u64)
    }
}
