//! The volume: one append-only file, readable alone, every byte of it stated here. Integers are little-endian,
//! instants are µs since 1970 UTC.
//!
//! File name: the number in ten digits, then `.vol`. A file is written by one run of the program only; what a crash
//! left behind is sealed at the next start and never appended to.
//!
//! **Head**, 128 bytes
//!
//! | bytes | what |
//! | --- | --- |
//! | 0..8 | `RTRVOLUM` |
//! | 8..12 | format version, 1 |
//! | 12..16 | retention class |
//! | 16..32 | identity of the vault |
//! | 32..48 | identity of the volume, random |
//! | 48..56 | number of the volume |
//! | 56..64 | 0 |
//! | 64..96 | salt, random: no two volumes, hence no two runs, derive the same chunk key |
//! | 96..128 | BLAKE3 of bytes 0..96 |
//!
//! Each write ends with zeros up to a multiple of 4096 bytes, so a record may be followed by fewer than 4096 zeros; the
//! head is followed by them too. They are in no leaf; a reader skips them, a checker wants them to be zero.
//!
//! **Record**, repeated: head (80 bytes), key commitment (32), body (`length` bytes), leaf (32)
//!
//! | bytes of the head | what |
//! | --- | --- |
//! | 0..4 | `RTRr` |
//! | 4 | kind: 1 chunk, 2 parameters, 3 gap, 4 footer, 5 key |
//! | 5 | chunk: bit 0 set when it starts with a key frame; gap: the reason ([`media::GapReason`]); else 0 |
//! | 6..8 | 0 |
//! | 8..12 | stream |
//! | 12..16 | chunk: number of access units |
//! | 16..24 | record number: counts up in the volume, never used twice, may skip after a failed write |
//! | 24..32 | start: capture time of the first unit, or start of the gap or of the key's hour |
//! | 32..40 | end: end of the last unit, or of the gap (greatest i64: not ended yet; a later record with the same stream and start ends it) |
//! | 40..48 | chunk: offset in this file of the parameters record that decodes it |
//! | 48..56 | chunk, key: id of the key slot |
//! | 56..60 | chunk: bytes of predicted pictures (the activity curve) |
//! | 60..64 | length of the body |
//! | 64..80 | 0 |
//!
//! *Key commitment*: BLAKE3 (derive-key mode, context `RTR vault chunk key commitment v1`) of the chunk key; zero for
//! other kinds. *Leaf*: BLAKE3(head ‖ key commitment ‖ body). It outlives the key and shows whether a record is whole.
//!
//! *Body of a chunk*: AES-256-GCM ciphertext, then the 16-byte tag. Key: HKDF-SHA-256(salt = the volume's salt,
//! secret = slot key, info = `RTR chunk` ‖ record number). Nonce: record number as 12 bytes; the key is used once, so
//! it cannot repeat. Associated data: head ‖ key commitment. The plaintext is the crate `vault`'s.
//! A chunk never crosses a UTC second, so it belongs to one minute of the index and one hour of the key store.
//!
//! *Body of parameters*: codec (u8: 1 H.264, 2 H.265), 0 (u8), generation (u16), width (u16), height (u16), then the
//! decoder configuration record.
//!
//! *Body of a key record*: the commitment to the slot key (32): BLAKE3 in derive-key mode, context `RTR vault slot key
//! commitment v1`. It stands before the first chunk that the key seals in this volume, is covered by the root, and so says
//! from the key's first use on which key it was, without opening anything.
//!
//! *Body of the footer*: Merkle root (32), number of records n (u64), then n times: offset (u64), leaf (32).
//! **Tail**, after the footer: offset of the footer (u64), `RTRSEAL\x01`. A file without it was not sealed.
//!
//! Merkle tree: as RFC 9162 section 2.1.1, with BLAKE3, the leaves above taken as leaf hashes, and inner nodes
//! BLAKE3(0x01 ‖ left ‖ right).

use crate::error::{At, VaultError};
use media::{Codec, GapReason, Micros, Parameters, StreamId};
use std::{fs::File, os::unix::fs::FileExt, path::Path};

/// The format version this program writes and reads.
pub const VERSION: u32 = 1;
/// Bytes of a volume's head.
pub const HEAD: usize = 128;
/// Writes begin at multiples of this.
pub const BLOCK: u64 = 4096;
/// Bytes of a record's head.
pub const RECORD_HEAD: usize = 80;
/// Bytes of a key commitment.
pub const COMMITMENT: usize = 32;
/// Bytes of a leaf.
pub const LEAF: usize = 32;
/// Bytes of a record before its body.
pub const PREFIX: usize = RECORD_HEAD + COMMITMENT;
/// Bytes of a record beside its body.
pub const OVERHEAD: usize = PREFIX + LEAF;
/// The end of a gap that has not ended.
pub const OPEN: Micros = Micros(i64::MAX);
/// No body is longer: a length beyond it is damage. (The writer cuts chunks at 8 MiB; one picture may be larger.)
pub const LONGEST_BODY: u32 = 512 << 20;

const MAGIC: [u8; 8] = *b"RTRVOLUM";
const RECORD_MAGIC: [u8; 4] = *b"RTRr";
const SEAL: [u8; 8] = *b"RTRSEAL\x01";

/// `N` bytes of `bytes` from `at`; zeros beyond its end, which the callers' length checks rule out.
pub fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    if let Some(source) = bytes.get(at..at.saturating_add(N)) {
        out.copy_from_slice(source);
    }
    out
}

/// A little-endian number of `bytes` at `at`.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(take(bytes, at))
}
/// A little-endian number of `bytes` at `at`.
pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(take(bytes, at))
}
/// A little-endian number of `bytes` at `at`.
pub fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(take(bytes, at))
}

/// The format version of a file that begins with its magic (8 bytes) and a version (u32), as all of ours do.
///
/// # Errors
/// [`VaultError::NotOurs`] where the magic is another, [`VaultError::UnknownVersion`] where this program does not know it.
pub fn version_of(
    bytes: &[u8],
    magic: [u8; 8],
    known: std::ops::RangeInclusive<u32>,
    path: &Path,
    expected: &'static str,
) -> Result<u32, VaultError> {
    if take::<8>(bytes, 0) != magic {
        return Err(VaultError::NotOurs { path: path.to_owned(), expected });
    }
    let found = u32_at(bytes, 8);
    if !known.contains(&found) {
        return Err(VaultError::UnknownVersion { path: path.to_owned(), found, known: *known.end() });
    }
    Ok(found)
}

/// The head of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeHead {
    /// Retention class.
    pub class: u32,
    /// Identity of the vault.
    pub vault: [u8; 16],
    /// Identity of the volume.
    pub uuid: [u8; 16],
    /// Number of the volume.
    pub number: u64,
    /// Salt of its chunk keys.
    pub salt: [u8; 32],
}

impl VolumeHead {
    /// Its bytes.
    pub fn encode(&self) -> [u8; HEAD] {
        let mut bytes = Vec::with_capacity(HEAD);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(self.class.to_le_bytes());
        bytes.extend(self.vault);
        bytes.extend(self.uuid);
        bytes.extend(self.number.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend(self.salt);
        let hash = blake3::hash(&bytes);
        bytes.extend(hash.as_bytes());
        take(&bytes, 0)
    }

    /// Reads it from the start of a file.
    pub fn read(file: &File, path: &Path) -> Result<Self, VaultError> {
        let expected = "a volume of footage";
        let not_ours = || VaultError::NotOurs { path: path.to_owned(), expected };
        let mut bytes = [0; HEAD];
        file.read_exact_at(&mut bytes, 0).map_err(|_| not_ours())?;
        version_of(&bytes, MAGIC, VERSION..=VERSION, path, expected)?;
        if blake3::hash(&take::<96>(&bytes, 0)) != take::<32>(&bytes, 96) {
            return Err(not_ours());
        }
        Ok(Self {
            class: u32_at(&bytes, 12),
            vault: take(&bytes, 16),
            uuid: take(&bytes, 32),
            number: u64_at(&bytes, 48),
            salt: take(&bytes, 64),
        })
    }
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Access units under a key.
    Chunk {
        /// Whether it can be decoded from.
        starts_with_key: bool,
    },
    /// What a decoder needs.
    Parameters,
    /// Why there are no pictures.
    Gap(GapReason),
    /// The last record.
    Footer,
    /// The commitment to an hour's key, made when the volume first uses it.
    Key,
}

/// The head of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// What the record is.
    pub kind: Kind,
    /// Whose it is.
    pub stream: StreamId,
    /// Access units in it.
    pub units: u32,
    /// Counts up in the volume.
    pub number: u64,
    /// Start.
    pub from: Micros,
    /// End.
    pub until: Micros,
    /// Where the parameters record lies.
    pub parameters: u64,
    /// Id of the key slot.
    pub key: u64,
    /// Bytes of predicted pictures.
    pub predicted: u32,
    /// Bytes of the body.
    pub length: u32,
}

impl RecordHead {
    /// A head without what only chunks have.
    pub fn plain(kind: Kind, stream: StreamId, number: u64, length: u32) -> Self {
        Self {
            kind,
            stream,
            units: 0,
            number,
            from: Micros(0),
            until: Micros(0),
            parameters: 0,
            key: 0,
            predicted: 0,
            length,
        }
    }

    /// Its bytes.
    pub fn encode(&self) -> [u8; RECORD_HEAD] {
        let (kind, detail) = match self.kind {
            Kind::Chunk { starts_with_key } => (1, u8::from(starts_with_key)),
            Kind::Parameters => (2, 0),
            Kind::Gap(reason) => (3, reason as u8),
            Kind::Footer => (4, 0),
            Kind::Key => (5, 0),
        };
        let mut bytes = Vec::with_capacity(RECORD_HEAD);
        bytes.extend(RECORD_MAGIC);
        bytes.extend([kind, detail, 0, 0]);
        bytes.extend(self.stream.0.to_le_bytes());
        bytes.extend(self.units.to_le_bytes());
        bytes.extend(self.number.to_le_bytes());
        bytes.extend(self.from.0.to_le_bytes());
        bytes.extend(self.until.0.to_le_bytes());
        bytes.extend(self.parameters.to_le_bytes());
        bytes.extend(self.key.to_le_bytes());
        bytes.extend(self.predicted.to_le_bytes());
        bytes.extend(self.length.to_le_bytes());
        bytes.resize(RECORD_HEAD, 0);
        take(&bytes, 0)
    }

    /// The head in these bytes, if they are one.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < RECORD_HEAD || take::<4>(bytes, 0) != RECORD_MAGIC {
            return None;
        }
        let [kind, detail] = take::<2>(bytes, 4);
        let head = Self {
            kind: match kind {
                1 => Kind::Chunk { starts_with_key: detail & 1 == 1 },
                2 => Kind::Parameters,
                3 => Kind::Gap(GapReason::from_u8(detail)?),
                4 => Kind::Footer,
                5 => Kind::Key,
                _ => return None,
            },
            stream: StreamId(u32_at(bytes, 8)),
            units: u32_at(bytes, 12),
            number: u64_at(bytes, 16),
            from: Micros(i64_at(bytes, 24)),
            until: Micros(i64_at(bytes, 32)),
            parameters: u64_at(bytes, 40),
            key: u64_at(bytes, 48),
            predicted: u32_at(bytes, 56),
            length: u32_at(bytes, 60),
        };
        (head.length <= LONGEST_BODY).then_some(head)
    }

    /// Bytes of the whole record.
    pub fn total(&self) -> u64 {
        OVERHEAD as u64 + u64::from(self.length)
    }
}

/// Appends a record whose body is in clear (parameters, gap, footer) and gives its leaf.
pub fn append_plain(out: &mut Vec<u8>, head: &RecordHead, body: &[u8]) -> [u8; 32] {
    let start = out.len();
    out.extend(head.encode());
    out.extend([0; COMMITMENT]);
    out.extend(body);
    let leaf = *blake3::hash(out.get(start..).unwrap_or_default()).as_bytes();
    out.extend(leaf);
    leaf
}

/// The body of a parameters record.
pub fn encode_parameters(parameters: &Parameters) -> Vec<u8> {
    let mut bytes = vec![
        match parameters.codec {
            Codec::H264 => 1,
            Codec::H265 => 2,
        },
        0,
    ];
    bytes.extend(parameters.generation.to_le_bytes());
    bytes.extend(parameters.width.to_le_bytes());
    bytes.extend(parameters.height.to_le_bytes());
    bytes.extend(&parameters.record);
    bytes
}

/// Reads the body of a parameters record.
pub fn decode_parameters(body: &[u8]) -> Option<Parameters> {
    Some(Parameters {
        codec: match body.first()? {
            1 => Codec::H264,
            2 => Codec::H265,
            _ => return None,
        },
        generation: u16::from_le_bytes(take(body, 2)),
        width: u16::from_le_bytes(take(body, 4)),
        height: u16::from_le_bytes(take(body, 6)),
        record: bytes::Bytes::copy_from_slice(body.get(8..)?),
    })
}

/// The root over leaves (RFC 9162 section 2.1.1 with BLAKE3; no leaves: BLAKE3 of nothing).
pub fn merkle_root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => *blake3::hash(&[]).as_bytes(),
        [leaf] => *leaf,
        _ => {
            // The left part holds the largest power of two smaller than the number of leaves.
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            let mut node = [1; 65];
            node[1..33].copy_from_slice(&merkle_root(left));
            node[33..].copy_from_slice(&merkle_root(right));
            *blake3::hash(&node).as_bytes()
        }
    }
}

/// The bytes that seal a volume: footer record and tail. `at` is where they go in the file.
pub fn seal(at: u64, number: u64, records: &[(u64, [u8; 32])]) -> (Vec<u8>, [u8; 32]) {
    let leaves: Vec<_> = records.iter().map(|(_, leaf)| *leaf).collect();
    let root = merkle_root(&leaves);
    let mut body = root.to_vec();
    body.extend((records.len() as u64).to_le_bytes());
    for (offset, leaf) in records {
        body.extend(offset.to_le_bytes());
        body.extend(leaf);
    }
    let mut out = Vec::with_capacity(body.len() + OVERHEAD + 16);
    append_plain(&mut out, &RecordHead::plain(Kind::Footer, StreamId(0), number, body.len() as u32), &body);
    out.extend(at.to_le_bytes());
    out.extend(SEAL);
    (out, root)
}

/// A volume that will never change again; its root goes into the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedVolume {
    /// Number of the volume, counting up.
    pub number: u64,
    /// Its identity.
    pub uuid: [u8; 16],
    /// Retention class.
    pub retention_class: u32,
    /// BLAKE3 Merkle root over its records.
    pub root: [u8; 32],
    /// Size in bytes.
    pub bytes: u64,
}

/// What the footer of a sealed volume says.
#[derive(Debug, PartialEq, Eq)]
pub struct Footer {
    /// The Merkle root.
    pub root: [u8; 32],
    /// Offset and leaf of every record.
    pub records: Vec<(u64, [u8; 32])>,
}

/// The footer of a sealed volume; none when the file was not sealed or its footer is damaged.
pub fn read_footer(file: &File, path: &Path) -> Result<Option<Footer>, VaultError> {
    let size = file.metadata().at(path)?.len();
    let mut tail = [0; 16];
    if size < (HEAD + 16) as u64
        || file.read_exact_at(&mut tail, size - 16).is_err()
        || take::<8>(&tail, 8) != SEAL
    {
        return Ok(None);
    }
    let Some((head, body)) = read_record(file, u64_at(&tail, 0), size) else { return Ok(None) };
    if head.kind != Kind::Footer {
        return Ok(None);
    }
    let records =
        body.get(40..).unwrap_or_default().chunks_exact(40).map(|e| (u64_at(e, 0), take(e, 8))).collect();
    Ok(Some(Footer { root: take(&body, 0), records }))
}

/// The record at `offset` and its body in clear, if it is whole (its leaf matches).
pub fn read_record(file: &File, offset: u64, size: u64) -> Option<(RecordHead, Vec<u8>)> {
    let (head, mut bytes) = read_raw(file, offset, size)?;
    let end = bytes.len() - LEAF;
    let (content, leaf) = bytes.split_at(end);
    if *blake3::hash(content).as_bytes() != leaf {
        return None;
    }
    bytes.truncate(end);
    bytes.drain(..PREFIX);
    Some((head, bytes))
}

/// All bytes of the record at `offset`, unchecked but for its head and length.
pub fn read_raw(file: &File, offset: u64, size: u64) -> Option<(RecordHead, Vec<u8>)> {
    let mut head = [0; RECORD_HEAD];
    file.read_exact_at(&mut head, offset).ok()?;
    let head = RecordHead::decode(&head)?;
    if offset.checked_add(head.total())? > size {
        return None;
    }
    let mut bytes = vec![0; head.total() as usize];
    file.read_exact_at(&mut bytes, offset).ok()?;
    Some((head, bytes))
}

/// A record met while walking a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it begins.
    pub offset: u64,
    /// Its head.
    pub head: RecordHead,
    /// Its leaf.
    pub leaf: [u8; 32],
}

/// Walks a volume that was not sealed. Records before `trusted` are believed by their heads; from there on each must
/// prove whole by its leaf. Whatever is not whole is skipped, and the walk goes on at the next whole record: the
/// order in which pages reach a disk at a power cut is nobody's promise.
pub fn walk(file: &File, path: &Path, trusted: u64) -> Result<Vec<Found>, VaultError> {
    let size = file.metadata().at(path)?.len();
    let mut found = Vec::new();
    let mut at = HEAD as u64;
    while at + OVERHEAD as u64 <= size {
        let record = if at < trusted { believe(file, at, size) } else { prove(file, at, size) };
        if let Some(record) = record {
            if record.head.kind == Kind::Footer {
                break; // A footer whose tail was torn off.
            }
            at += record.head.total();
            found.push(record);
        } else if !at.is_multiple_of(BLOCK) {
            // The padding of a write, or what is torn within this block: writes begin at a block's border.
            at = next_magic(file, at + 1, at.next_multiple_of(BLOCK).min(size))
                .unwrap_or(at.next_multiple_of(BLOCK));
        } else if let Some(next) = next_magic(file, at + 1, size) {
            at = next;
        } else {
            break;
        }
    }
    Ok(found)
}

fn believe(file: &File, offset: u64, size: u64) -> Option<Found> {
    let mut head = [0; RECORD_HEAD];
    file.read_exact_at(&mut head, offset).ok()?;
    let head = RecordHead::decode(&head)?;
    let end = offset.checked_add(head.total())?;
    let mut leaf = [0; LEAF];
    if end > size || file.read_exact_at(&mut leaf, end - LEAF as u64).is_err() {
        return None;
    }
    Some(Found { offset, head, leaf })
}

fn prove(file: &File, offset: u64, size: u64) -> Option<Found> {
    let (head, bytes) = read_raw(file, offset, size)?;
    let (content, leaf) = bytes.split_at_checked(bytes.len().checked_sub(LEAF)?)?;
    (*blake3::hash(content).as_bytes() == leaf).then(|| Found { offset, head, leaf: take(leaf, 0) })
}

/// The next offset at or after `from` where a record may begin.
fn next_magic(file: &File, mut from: u64, size: u64) -> Option<u64> {
    let mut window = vec![0; 1 << 20];
    while from < size {
        let length = window.len().min((size - from) as usize);
        let part = window.get_mut(..length)?;
        file.read_exact_at(part, from).ok()?;
        if let Some(at) = part.windows(4).position(|four| four == RECORD_MAGIC) {
            return Some(from + at as u64);
        }
        if length < 4 || from + length as u64 >= size {
            return None;
        }
        from += length as u64 - 3; // the magic may lie across the border
    }
    None
}

/// The name of the volume with this number.
pub fn file_name(number: u64) -> String {
    format!("{number:010}.vol")
}

/// The number in a volume's file name.
pub fn number_of(name: &str) -> Option<u64> {
    name.strip_suffix(".vol")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_follows_rfc_9162() {
        let leaf = |n: u8| [n; 32];
        let node = |l: [u8; 32], r: [u8; 32]| *blake3::hash(&[&[1][..], &l, &r].concat()).as_bytes();
        assert_eq!(merkle_root(&[leaf(1)]), leaf(1));
        assert_eq!(
            merkle_root(&[leaf(1), leaf(2), leaf(3), leaf(4), leaf(5)]),
            node(node(node(leaf(1), leaf(2)), node(leaf(3), leaf(4))), leaf(5))
        );
    }

    #[test]
    fn heads_survive_the_way_to_disk_and_back() {
        let head = RecordHead {
            kind: Kind::Chunk { starts_with_key: true },
            stream: StreamId(7),
            units: 25,
            number: 9,
            from: Micros(-5),
            until: Micros(6),
            parameters: 128,
            key: u64::MAX,
            predicted: 11,
            length: 12,
        };
        assert_eq!(RecordHead::decode(&head.encode()), Some(head));
        assert_eq!(RecordHead::decode(&[0; RECORD_HEAD]), None);
    }
}
