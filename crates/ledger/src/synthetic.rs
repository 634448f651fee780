//! Long logs for measurements, made fast: only the sequence file is written, as the sequencer would, in large batches. What
//! is measured afterwards (the start, tiles, proofs, verification, queries) is the real thing.

use crate::{
    LedgerError,
    sequence::{Record, Sequence},
};
use std::{fs, path::Path};

/// Entries in one sync.
const BATCH: u64 = 8192;

/// Writes a sequence file of `count` leaves into a new folder. `leaf` gives the canonical text of each.
///
/// # Errors
/// When the folder has a log already, or the disk is full.
pub fn write(dir: &Path, count: u64, leaf: impl Fn(u64) -> String) -> Result<(), LedgerError> {
    fs::create_dir_all(dir).map_err(LedgerError::io(dir))?;
    let path = dir.join("sequence");
    let mut sequence = Sequence::open(&path, None)?;
    if sequence.length() > Sequence::FIRST {
        return Err(LedgerError::InUse(dir.to_owned()));
    }
    for first in (0..count).step_by(BATCH as usize) {
        let records: Vec<Record> = (first..count.min(first + BATCH))
            .map(|seq| Record { spool: 0, leaf: leaf(seq).into_bytes(), details: Vec::new() })
            .collect();
        sequence.append(&records).map_err(LedgerError::io(&path))?;
    }
    Ok(())
}
