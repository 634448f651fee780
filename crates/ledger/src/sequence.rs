//! The sequence file: the one file whose sync makes an entry durable. Everything else (tiles, checkpoint, index)
//! is rebuilt from it.
//!
//! Sixteen bytes of header, then records: body length (u32), check (8 bytes), body. The body is the spool number
//! (u64, 0 when the record did not pass through the spool), the leaf's length (u32), the leaf, the sealed details.
//! The check is the front of SHA-256 over the record's number and its body, so that a record is also bound to its
//! place. All integers little-endian.

use crate::{
    LedgerError,
    faults::{DiskFaults, DiskStep},
    publish::SEQUENCE_LINE,
    tiles::PRUNED,
};
use sha2::{Digest, Sha256};
use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read, Seek},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

const HEADER: &[u8; 16] = b"rtr-sequence-v1\n";
const FRAME: usize = 12;
/// Bytes of a probe: one page, so that a full file system has to give one.
const PROBE: usize = 4096;
/// Beyond this a length is damage: a leaf of at most 64 KiB and its details.
const LARGEST_BODY: usize = 1 << 20;

/// One record of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) spool: u64,
    pub(crate) leaf: Vec<u8>,
    pub(crate) details: Vec<u8>,
}

impl Record {
    fn body(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(12 + self.leaf.len() + self.details.len());
        body.extend(self.spool.to_le_bytes());
        body.extend((self.leaf.len() as u32).to_le_bytes());
        body.extend(&self.leaf);
        body.extend(&self.details);
        body
    }

    fn from_body(body: &[u8]) -> Option<Self> {
        let (spool, rest) = body.split_first_chunk::<8>()?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let (leaf, details) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        Some(Self { spool: u64::from_le_bytes(*spool), leaf: leaf.to_vec(), details: details.to_vec() })
    }

    /// Bytes that it takes in the file.
    pub(crate) fn length(&self) -> u64 {
        (FRAME + 12 + self.leaf.len() + self.details.len()) as u64
    }

    /// The record as it stands in the file at place `seq`.
    pub(crate) fn frame(&self, seq: u64) -> Vec<u8> {
        let body = self.body();
        let mut frame = Vec::with_capacity(FRAME + body.len());
        frame.extend((body.len() as u32).to_le_bytes());
        frame.extend(check(seq, &body));
        frame.extend(body);
        frame
    }
}

fn check(seq: u64, body: &[u8]) -> [u8; 8] {
    let hash = Sha256::new().chain_update(seq.to_le_bytes()).chain_update(body).finalize();
    let mut front = [0; 8];
    front.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    front
}

/// Reads one frame; none at the end, at a torn tail and at damage alike.
pub(crate) fn read_frame(reader: &mut impl Read, seq: u64) -> io::Result<Option<(Record, u64)>> {
    let mut frame = [0; FRAME];
    if !fill(reader, &mut frame)? {
        return Ok(None);
    }
    let (len, expected) = frame.split_at(4);
    let len = u32::from_le_bytes(len.try_into().unwrap_or_default()) as usize;
    if len > LARGEST_BODY {
        return Ok(None);
    }
    let mut body = vec![0; len];
    if !fill(reader, &mut body)? || check(seq, &body) != expected {
        return Ok(None);
    }
    Ok(Record::from_body(&body).map(|record| (record, (FRAME + len) as u64)))
}

fn fill(reader: &mut impl Read, into: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(into) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}

/// Whether an error says that the disk takes nothing: read-only, full, or not for us to write.
pub(crate) fn refuses_writes(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull)
}

/// The file, open for appending by one thread and for reading by many.
pub(crate) struct Sequence {
    file: Arc<File>,
    /// Whether it can be written; else it is opened again before the next append.
    writable: bool,
    path: PathBuf,
    /// Bytes that are durable: a failed batch is cut off at this length.
    durable: u64,
    count: u64,
    faults: Option<Arc<dyn DiskFaults>>,
}

/// Unlocked by hand: a child that is just being forked holds a copy of the descriptor until it executes its program.
impl Drop for Sequence {
    fn drop(&mut self) {
        // A lock that cannot be given back goes with the descriptor.
        rustix::fs::flock(&*self.file, rustix::fs::FlockOperation::Unlock).ok();
    }
}

fn lock_file(file: &File, path: &Path) -> Result<(), LedgerError> {
    rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| LedgerError::InUse(path.to_owned()))
}

impl Sequence {
    /// Where the first record of a log begins.
    pub(crate) const FIRST: u64 = HEADER.len() as u64;

    /// Opens the file under an exclusive lock, or makes it. Nothing is read yet: [`Sequence::read_on`] comes next. Where the disk
    /// takes nothing an existing file is opened to be read, and again to be written at the next append.
    pub(crate) fn open(path: &Path, faults: Option<Arc<dyn DiskFaults>>) -> Result<Self, LedgerError> {
        let io = |e| LedgerError::io(path)(e);
        let opened = faults.as_ref().map_or(Ok(()), |faults| faults.before(DiskStep::Open));
        let opened = opened.and_then(|()| {
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
        });
        let (file, writable) = match opened {
            Ok(file) => (file, true),
            Err(e) if refuses_writes(&e) && path.exists() => (File::open(path).map_err(io)?, false),
            Err(e) => return Err(io(e)),
        };
        lock_file(&file, path)?;
        let length = file.metadata().map_err(io)?.len();
        if length < Self::FIRST {
            // New, or torn while it was being made: nothing durable can be behind a half header.
            file.write_all_at(HEADER, 0).map_err(io)?;
            file.sync_all().map_err(io)?;
            if let Some(dir) = path.parent() {
                File::open(dir).and_then(|dir| dir.sync_all()).map_err(io)?;
            }
        }
        let mut header = [0; HEADER.len()];
        file.read_exact_at(&mut header, 0).map_err(io)?;
        if header != *HEADER {
            return Err(LedgerError::Rewritten(format!("{} is not a sequence file", path.display())));
        }
        let file = Arc::new(file);
        Ok(Self { file, writable, path: path.to_owned(), durable: Self::FIRST, count: 0, faults })
    }

    /// Whether the disk took nothing when the file was opened.
    pub(crate) fn refuses_writes(&self) -> bool {
        !self.writable
    }

    /// Opens the file to be written, when that was not possible before.
    fn reopen(&mut self) -> io::Result<()> {
        self.fault(DiskStep::Open)?;
        let file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        // Both are the same file: whoever reads goes on with the old descriptor. The lock moves over; whoever takes it in
        // between keeps this one out, as it should.
        rustix::fs::flock(&*self.file, rustix::fs::FlockOperation::Unlock)?;
        lock_file(&file, &self.path).map_err(io::Error::other)?;
        if file.metadata()?.len() < self.durable {
            return Err(io::Error::other("the sequence file became shorter"));
        }
        (self.file, self.writable) = (Arc::new(file), true);
        self.cut_tail()
    }

    /// Bytes of the file.
    pub(crate) fn length(&self) -> u64 {
        self.file.metadata().map_or(0, |meta| meta.len())
    }

    /// Hands each record from `offset` on, the first of them number `count`, with its offset to `each`. Returns how many
    /// bytes lie behind the last whole record; they are left in place until [`Sequence::cut_tail`], so that the caller
    /// can first compare with what was signed.
    pub(crate) fn read_on(
        &mut self,
        offset: u64,
        count: u64,
        mut each: impl FnMut(Record, u64),
    ) -> Result<u64, LedgerError> {
        let io = |e| LedgerError::io(&self.path)(e);
        (self.durable, self.count) = (offset, count);
        let mut reader = BufReader::with_capacity(1 << 18, &*self.file);
        reader.seek(io::SeekFrom::Start(offset)).map_err(io)?;
        while let Some((record, bytes)) = read_frame(&mut reader, self.count).map_err(io)? {
            each(record, self.durable);
            self.durable += bytes;
            self.count += 1;
        }
        let behind = self.length().saturating_sub(self.durable);
        Ok(if self.tail_is_probe(behind).map_err(io)? { 0 } else { behind })
    }

    /// Cuts off what lies behind the last whole record.
    pub(crate) fn cut_tail(&self) -> io::Result<()> {
        if !self.writable {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        self.file.set_len(self.durable)
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn reader(&self) -> Arc<File> {
        self.file.clone()
    }

    /// Appends a batch and syncs it once. On success returns each record's offset; on failure the file is as before.
    pub(crate) fn append(&mut self, records: &[Record]) -> io::Result<Vec<u64>> {
        if !self.writable {
            self.reopen()?;
        }
        let mut bytes = Vec::new();
        let mut offsets = Vec::with_capacity(records.len());
        for (seq, record) in (self.count..).zip(records) {
            offsets.push(self.durable + bytes.len() as u64);
            bytes.extend(record.frame(seq));
        }
        let outcome = self.write_and_sync(&bytes);
        if let Err(e) = outcome {
            // After a failed sync the kernel may count the pages as clean although they never reached the disk, so
            // they are not synced again: they are cut off and written anew when the disk answers.
            if let Err(cut) = self.cut_tail() {
                tracing::error!(path = %self.path.display(), error = %cut, "a failed batch could not be cut off");
            }
            return Err(e);
        }
        self.durable += bytes.len() as u64;
        self.count += records.len() as u64;
        Ok(offsets)
    }

    /// Writes a page behind the end, syncs it and cuts it off again: whether an append would succeed, without an entry. A full,
    /// read-only, failing or slow disk shows itself.
    pub(crate) fn probe(&self) -> io::Result<()> {
        let outcome = self.write_and_sync(&[0; PROBE]);
        self.cut_tail().and(outcome)
    }

    /// Whether what lies behind the last whole record is what a crash left of a probe.
    fn tail_is_probe(&self, bytes: u64) -> io::Result<bool> {
        if bytes > PROBE as u64 {
            return Ok(false);
        }
        let mut tail = vec![0; bytes as usize];
        self.file.read_exact_at(&mut tail, self.durable)?;
        Ok(tail.iter().all(|byte| *byte == 0))
    }

    fn write_and_sync(&self, bytes: &[u8]) -> io::Result<()> {
        self.fault(DiskStep::Write)?;
        self.file.write_all_at(bytes, self.durable)?;
        self.fault(DiskStep::Sync)?;
        self.file.sync_data()
    }

    fn fault(&self, step: DiskStep) -> io::Result<()> {
        self.faults.as_ref().map_or(Ok(()), |faults| faults.before(step))
    }
}

/// Most records fit in this many bytes: they are read in one go.
const USUAL: usize = 1024;

/// Reads the record at an offset.
pub(crate) fn read_at(file: &File, offset: u64, seq: u64) -> io::Result<Record> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, format!("record {seq} is damaged"));
    let mut bytes = vec![0; USUAL];
    let mut read = 0;
    // Short at the end of the file only.
    while read < USUAL {
        match file.read_at(bytes.get_mut(read..).unwrap_or_default(), offset + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    bytes.truncate(read);
    let len = bytes.first_chunk::<4>().map_or(0, |len| u32::from_le_bytes(*len) as usize);
    if len > LARGEST_BODY {
        return Err(damaged());
    }
    if FRAME + len > read {
        bytes.resize(FRAME + len, 0);
        file.read_exact_at(bytes.get_mut(read..).unwrap_or_default(), offset + read as u64)?;
    }
    read_frame(&mut bytes.as_slice(), seq)?.map(|(record, _)| record).ok_or_else(damaged)
}

/// The first record that a tombstone leaves, and where it begins. Its signature is for whoever opens the log to check; a wrong
/// place shows, for a record is bound to its number.
fn behind_purge(tombstone: &str) -> Option<(u64, u64)> {
    let first = tombstone.lines().nth(1)?.parse().ok()?;
    let offset = tombstone.lines().find_map(|line| line.strip_prefix(SEQUENCE_LINE)?.parse().ok())?;
    Some((first, offset))
}

/// The file read from front to back by somebody who does not write it.
#[derive(Debug)]
pub(crate) struct Records {
    reader: BufReader<File>,
    path: PathBuf,
    next: u64,
}

impl Records {
    /// Opens the sequence file in a log's folder, at the first record that was not purged.
    pub(crate) fn open(dir: &Path) -> Result<Self, LedgerError> {
        let path = dir.join("sequence");
        let mut reader =
            BufReader::with_capacity(1 << 18, File::open(&path).map_err(LedgerError::io(&path))?);
        let mut header = [0; HEADER.len()];
        reader.read_exact(&mut header).map_err(LedgerError::io(&path))?;
        if header != *HEADER {
            return Err(LedgerError::Rewritten(format!("{} is not a sequence file", path.display())));
        }
        let next = match std::fs::read_to_string(dir.join(PRUNED)) {
            Ok(tombstone) => {
                let (first, offset) = behind_purge(&tombstone).ok_or_else(|| {
                    LedgerError::Rewritten(format!("{PRUNED} does not say where the log goes on"))
                })?;
                reader.seek(io::SeekFrom::Start(offset)).map_err(LedgerError::io(&path))?;
                first
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
            Err(e) => return Err(LedgerError::io(dir.join(PRUNED))(e)),
        };
        Ok(Self { reader, path, next })
    }

    /// The record `seq`, which lies at or behind the place reached.
    pub(crate) fn skip_to(&mut self, seq: u64) -> Result<Record, LedgerError> {
        if seq < self.next {
            return Err(LedgerError::Purged { asked: seq, first: self.next });
        }
        loop {
            let number = self.next;
            let found = read_frame(&mut self.reader, number).map_err(LedgerError::io(&self.path))?;
            let Some((record, _)) = found.filter(|_| number <= seq) else {
                return Err(LedgerError::Beyond { asked: seq, size: number });
            };
            self.next += 1;
            if number == seq {
                return Ok(record);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(n: u8) -> Record {
        Record { spool: u64::from(n), leaf: vec![n; 5 + usize::from(n)], details: vec![!n; usize::from(n)] }
    }

    fn read_all(path: &Path) -> (Vec<Record>, u64, Sequence) {
        let mut records = Vec::new();
        let mut sequence = Sequence::open(path, None).unwrap();
        let dropped = sequence.read_on(Sequence::FIRST, 0, |record, _| records.push(record)).unwrap();
        (records, dropped, sequence)
    }

    #[test]
    fn cut_at_every_byte_of_the_last_record_nothing_durable_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sequence");
        let (_, _, mut sequence) = read_all(&path);
        sequence.append(&[record(1), record(2)]).unwrap();
        let before = sequence.durable;
        sequence.append(&[record(3)]).unwrap();
        let after = sequence.durable;
        drop(sequence);
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(whole.len() as u64, after);
        for cut in before..=after {
            std::fs::write(&path, &whole[..cut as usize]).unwrap();
            let (records, dropped, mut sequence) = read_all(&path);
            let survivors = if cut == after { 3 } else { 2 };
            assert_eq!(records.len(), survivors, "cut at {cut}");
            assert_eq!(records, [record(1), record(2), record(3)][..survivors]);
            assert_eq!(dropped, if cut == after { 0 } else { cut - before });
            // And it goes on from there.
            sequence.cut_tail().unwrap();
            sequence.append(&[record(9)]).unwrap();
            drop(sequence);
            let (records, dropped, _) = read_all(&path);
            assert_eq!((records.len(), records.last(), dropped), (survivors + 1, Some(&record(9)), 0));
        }
        // The same with the torn record's bytes damaged instead of missing.
        for at in before..after {
            let mut bent = whole.clone();
            bent[at as usize] ^= 0x40;
            std::fs::write(&path, &bent).unwrap();
            assert_eq!(read_all(&path).0, [record(1), record(2)], "bent at {at}");
        }
    }

    #[test]
    fn a_probe_leaves_nothing_and_what_a_crash_left_of_one_is_no_torn_entry() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sequence");
        let (_, _, mut sequence) = read_all(&path);
        sequence.append(&[record(1)]).unwrap();
        let before = sequence.length();
        sequence.probe().unwrap();
        assert_eq!(sequence.length(), before);
        sequence.file.write_all_at(&[0; PROBE], before).unwrap();
        drop(sequence);
        let (records, dropped, sequence) = read_all(&path);
        assert_eq!((records.len(), dropped), (1, 0));
        sequence.cut_tail().unwrap();
        assert_eq!(sequence.length(), before);
    }

    #[test]
    fn a_second_process_is_kept_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sequence");
        let _first = read_all(&path);
        assert!(matches!(Sequence::open(&path, None), Err(LedgerError::InUse(_))));
    }
}
