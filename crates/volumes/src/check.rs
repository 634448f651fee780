//! `vault check`: is every byte of a vault's folder as it should be? Needs no key and changes nothing.
//!
//! Structure and hashes of every volume, the index against the volumes, what the records say of keys, and whether the
//! timeline explains every hole. A volume that a crash left open is no fault: the next start of the daemon seals it.

use crate::{
    error::{At, VaultError},
    identity::{self, Identity},
    index::{Index, JITTER},
    recovery::{self, INDEX},
    volume::{self, BLOCK, Found, HEAD, Kind, LEAF, VolumeHead},
};
use media::{Micros, StreamId};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::File,
    os::unix::fs::FileExt,
    path::Path,
};

/// Findings beyond this number are counted, not listed.
const LISTED: usize = 200;

/// What a check found.
#[derive(Debug, Default)]
pub struct Report {
    /// Volumes in the folder.
    pub volumes: u64,
    /// Of these sealed.
    pub sealed: u64,
    /// Records, all kinds.
    pub records: u64,
    /// Access units.
    pub units: u64,
    /// Bytes of all volumes.
    pub bytes: u64,
    /// Keys that records name (stream and hour).
    pub keys: u64,
    /// Streams that have footage.
    pub streams: u64,
    /// First and last instant of footage.
    pub range: Option<(Micros, Micros)>,
    /// Faults, each with its place. Empty: all is well.
    pub problems: Vec<String>,
    /// Faults beyond those listed.
    pub more_problems: u64,
    /// What is worth knowing and no fault.
    pub notes: Vec<String>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    fn problem(&mut self, text: String) {
        if self.problems.len() < LISTED {
            self.problems.push(text);
        } else {
            self.more_problems += 1;
        }
    }
}

/// Checks the vault in a folder that no daemon has open.
///
/// # Errors
/// [`VaultError::Locked`] while a daemon runs; [`VaultError::NotOurs`], [`VaultError::UnknownVersion`] and I/O errors
/// where nothing more can be said. All else stands in the report.
pub fn check(dir: &Path) -> Result<Report, VaultError> {
    let identity = Identity::existing(dir)?;
    let mut report = Report::default();
    let mut unsealed = HashSet::new();
    let mut keys: BTreeMap<u64, (StreamId, [u8; 32])> = BTreeMap::new();
    let mut streams = HashSet::new();
    let present = identity::volumes(dir)?;
    for number in &present {
        report.volumes += 1;
        match volume_of(dir, &identity, *number, &mut report, &mut keys, &mut streams) {
            Ok(true) => report.sealed += 1,
            Ok(false) => drop(unsealed.insert(*number)),
            Err(error) => {
                unsealed.insert(*number);
                report.problem(error.to_string());
            }
        }
    }
    report.keys = keys.len() as u64;
    report.streams = streams.len() as u64;
    index_of(dir, &identity, &present, &unsealed, &mut report)?;
    Ok(report)
}

/// One volume; whether it is sealed.
fn volume_of(
    dir: &Path,
    identity: &Identity,
    number: u64,
    report: &mut Report,
    keys: &mut BTreeMap<u64, (StreamId, [u8; 32])>,
    streams: &mut HashSet<StreamId>,
) -> Result<bool, VaultError> {
    let name = volume::file_name(number);
    let path = dir.join(&name);
    let file = File::open(&path).at(&path)?;
    let size = file.metadata().at(&path)?.len();
    report.bytes += size;
    let head = VolumeHead::read(&file, &path)?;
    if head.vault != identity.vault {
        return Err(VaultError::AnotherVault { path });
    }
    if head.number != number {
        report.problem(format!("{name}: its head says number {}", head.number));
    }
    let footer = volume::read_footer(&file, &path)?;
    let (found, sealed) = if let Some(footer) = footer {
        let leaves: Vec<_> = footer.records.iter().map(|(_, leaf)| *leaf).collect();
        if volume::merkle_root(&leaves) != footer.root {
            report.problem(format!("{name}: the Merkle root is not that of its leaves"));
        }
        (sealed_records(&file, &name, size, &footer.records, report), true)
    } else {
        report.notes.push(format!("{name}: not sealed; the daemon's next start recovers it"));
        (volume::walk(&file, &path, 0)?, false)
    };
    records(&file, &name, size, &found, report, keys, streams);
    Ok(sealed)
}

/// The records that a footer names, each proven by its leaf, with nothing but padding between them.
fn sealed_records(
    file: &File,
    name: &str,
    size: u64,
    entries: &[(u64, [u8; 32])],
    report: &mut Report,
) -> Vec<Found> {
    let mut found = Vec::new();
    let mut end = HEAD as u64;
    for (offset, leaf) in entries {
        let place = format!("{name} at byte {offset}");
        if *offset < end {
            report.problem(format!("{place}: overlaps the record before it"));
            continue;
        }
        if !is_padding(file, end, *offset) {
            report.problem(format!("{name} at byte {end}: bytes that belong to no record"));
        }
        let Some((head, bytes)) = volume::read_raw(file, *offset, size) else {
            report.problem(format!("{place}: no record where the footer names one"));
            continue;
        };
        end = offset + head.total();
        let content = bytes.get(..bytes.len().saturating_sub(LEAF)).unwrap_or_default();
        if *blake3::hash(content).as_bytes() != *leaf || !bytes.ends_with(leaf) {
            report.problem(format!("{place}: the record does not match its leaf (stream {})", head.stream.0));
            continue;
        }
        found.push(Found { offset: *offset, head, leaf: *leaf });
    }
    found
}

/// Whether there are only zeros between two offsets, and too few to hide anything that was written on purpose.
fn is_padding(file: &File, from: u64, until: u64) -> bool {
    let length = until - from;
    let mut bytes = vec![0; length.min(BLOCK) as usize];
    length < BLOCK && file.read_exact_at(&mut bytes, from).is_ok() && bytes.iter().all(|byte| *byte == 0)
}

/// What records say of each other.
fn records(
    file: &File,
    name: &str,
    size: u64,
    found: &[Found],
    report: &mut Report,
    keys: &mut BTreeMap<u64, (StreamId, [u8; 32])>,
    streams: &mut HashSet<StreamId>,
) {
    let mut numbers = HashSet::new();
    let mut parameters = HashMap::new();
    let mut here = HashSet::new();
    for record in found {
        let (head, place) = (record.head, format!("{name} at byte {}", record.offset));
        report.records += 1;
        if !numbers.insert(head.number) {
            report.problem(format!("{place}: record number {} is used twice", head.number));
        }
        match head.kind {
            Kind::Parameters => drop(parameters.insert(record.offset, head.stream)),
            Kind::Key => {
                here.insert(head.key);
                let body = volume::read_record(file, record.offset, size).map(|(_, body)| body);
                let commitment = volume::take(&body.unwrap_or_default(), 0);
                let known = *keys.entry(head.key).or_insert((head.stream, commitment));
                if known != (head.stream, commitment) {
                    report.problem(format!("{place}: key {:016x} is committed to in two ways", head.key));
                }
            }
            Kind::Chunk { .. } => {
                streams.insert(head.stream);
                report.units += u64::from(head.units);
                let (first, last) = report.range.unwrap_or((head.from, head.until));
                report.range = Some((first.min(head.from), last.max(head.until)));
                if parameters.get(&head.parameters) != Some(&head.stream) {
                    report.problem(format!("{place}: its parameters are not at byte {}", head.parameters));
                }
                if !here.contains(&head.key) {
                    report.problem(format!("{place}: no commitment to its key {:016x}", head.key));
                }
                if head.until < head.from || head.units == 0 {
                    report.problem(format!("{place}: a chunk without time or pictures"));
                }
            }
            Kind::Gap(_) => {
                if head.until < head.from {
                    report.problem(format!("{place}: a gap that ends before it begins"));
                }
            }
            Kind::Footer => report.problem(format!("{place}: a footer among the records")),
        }
    }
}

/// The index on disk against one made anew in memory.
fn index_of(
    dir: &Path,
    identity: &Identity,
    present: &[u64],
    unsealed: &HashSet<u64>,
    report: &mut Report,
) -> Result<(), VaultError> {
    let path = dir.join(INDEX);
    if !path.exists() {
        report.problem("the index is missing; `--rebuild-index` makes it anew from the volumes".to_owned());
        return Ok(());
    }
    let mut fresh = Index::temporary()?;
    for number in present.iter().filter(|number| !unsealed.contains(number)) {
        recovery::adopt(dir, identity.vault, *number, 0, &mut fresh)?;
    }
    let index = Index::at_rest(&path)?;
    let compared = fresh.compare(&index, |row| match (row.in_first, row.in_second) {
        (true, false) => report.problem(format!("the index lacks what the volumes say: {row}")),
        // Rows of open volumes are complete only once they are sealed.
        _ if unsealed.contains(&row.volume()) => {}
        (false, _) => report.problem(format!("the index says what no volume says: {row}")),
        _ => report.problem(format!("the index says something else than the volumes: {row}")),
    });
    if let Err(error) = compared {
        report.problem(format!("the index cannot be read ({error}); `--rebuild-index` makes it anew"));
        return Ok(());
    }
    if unsealed.is_empty() {
        for (stream, from, until) in index.unexplained(JITTER)? {
            report.problem(format!(
                "stream {}: no pictures and no reason from {} to {} (µs UTC)",
                stream.0, from.0, until.0
            ));
        }
    }
    Ok(())
}
