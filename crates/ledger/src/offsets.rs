//! Where each record begins in the sequence file: eight bytes an entry in a file of its own, little-endian, the newest in
//! memory until the publisher writes them. Rebuilt from the sequence file whenever it does not fit; a wrong offset is
//! noticed when the record is read, for its check is bound to its number.

use crate::{LedgerError, sequence::refuses_writes};
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

const EACH: u64 = 8;

#[derive(Debug)]
pub(crate) struct Offsets {
    path: PathBuf,
    /// None when there is none yet and the disk takes nothing: then all are in memory.
    file: Option<Arc<File>>,
    /// Whether `file` can be written, or must be opened again for that.
    writable: bool,
    /// Entries below this number are in the file.
    written: u64,
    newest: Vec<u64>,
}

/// What is to be written, taken under the log's lock and written without it.
pub(crate) struct Unwritten {
    path: PathBuf,
    file: Option<Arc<File>>,
    from: u64,
    offsets: Vec<u64>,
}

/// What was written: the number up to which the file is complete.
pub(crate) struct Written {
    file: Arc<File>,
    until: u64,
}

fn open_to_write(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

impl Offsets {
    /// Opens the file; the first `count` entries are taken to be in it. Where the disk takes nothing it is read only.
    pub(crate) fn open(path: &Path, count: u64) -> Result<Self, LedgerError> {
        let open = || {
            let (file, writable) = match open_to_write(path) {
                Ok(file) => (Some(file), true),
                Err(e) if refuses_writes(&e) => match File::open(path) {
                    Err(e) if e.kind() == io::ErrorKind::NotFound => (None, false),
                    file => (Some(file?), false),
                },
                Err(e) => return Err(e),
            };
            let length = file.as_ref().map_or(Ok(0), |file| file.metadata().map(|meta| meta.len()))?;
            if length < count * EACH {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "shorter than the log"));
            }
            Ok((file.map(Arc::new), writable))
        };
        let (file, writable) = open().map_err(LedgerError::io(path))?;
        Ok(Self { path: path.to_owned(), file, writable, written: count, newest: Vec::new() })
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
        let missing = || io::Error::new(io::ErrorKind::UnexpectedEof, "no such record");
        if let Some(newest) = seq.checked_sub(self.written) {
            return self.newest.get(newest as usize).copied().ok_or_else(missing);
        }
        let mut bytes = [0; EACH as usize];
        self.file.as_ref().ok_or_else(missing)?.read_exact_at(&mut bytes, seq * EACH)?;
        Ok(u64::from_le_bytes(bytes))
    }

    pub(crate) fn unwritten(&self) -> Unwritten {
        Unwritten {
            path: self.path.clone(),
            file: self.file.clone().filter(|_| self.writable),
            from: self.written,
            offsets: self.newest.clone(),
        }
    }

    /// Those that were written are in the file now.
    pub(crate) fn written(&mut self, written: Written) {
        let gone = written.until.saturating_sub(self.written).min(self.newest.len() as u64);
        self.newest.drain(..gone as usize);
        self.written += gone;
        (self.file, self.writable) = (Some(written.file), true);
    }

    /// How many are held in memory.
    pub(crate) fn in_memory(&self) -> usize {
        self.newest.len()
    }
}

impl Unwritten {
    /// Writes them.
    pub(crate) fn write(&self) -> io::Result<Written> {
        let file = match &self.file {
            Some(file) => file.clone(),
            None => Arc::new(open_to_write(&self.path)?),
        };
        let bytes: Vec<u8> = self.offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect();
        file.write_all_at(&bytes, self.from * EACH)?;
        Ok(Written { file, until: self.from + self.offsets.len() as u64 })
    }
}
