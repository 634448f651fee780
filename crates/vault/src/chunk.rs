//! A chunk: the access units of one stream within one UTC second, from one key frame at most, sealed together.
//!
//! Plaintext, little-endian: one entry of 48 bytes for each unit, then the payloads in the same order.
//!
//! | bytes of an entry | what |
//! | --- | --- |
//! | 0..8 | capture time (µs UTC) |
//! | 8..16 | media time (90 kHz) |
//! | 16..24 | receive time (µs UTC) |
//! | 24..32 | the camera's own time (µs UTC); least i64: unknown |
//! | 32..36 | duration (90 kHz) |
//! | 36..40 | length of the payload |
//! | 40 | bit 0: key frame, bit 1: discontinuity |
//! | 41..44 | 0 |
//! | 44..48 | how much earlier than its receive time it may have arrived (µs); 0: not known, as in chunks from before this was kept |

use crate::volume::{COMMITMENT, LEAF, PREFIX, RECORD_HEAD, RecordHead, i64_at, u32_at};
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf::{self, HKDF_SHA256, Salt},
};
use bytes::Bytes;
use media::{AccessUnit, Micros, Parameters, StreamId, Ticks};
use std::sync::Arc;
use zeroize::Zeroizing;

const ENTRY: usize = 48;
pub(crate) const TAG: usize = 16;

/// Bytes of plaintext that these units become.
pub(crate) fn plain_length<'a>(units: impl Iterator<Item = &'a AccessUnit>) -> usize {
    units.map(|unit| ENTRY + unit.payload.len()).sum()
}

/// End of a unit: its capture time and duration.
pub(crate) fn end_of(unit: &AccessUnit) -> Micros {
    unit.captured.plus(i64::from(unit.duration) * 100 / 9)
}

fn append_plain<'a>(out: &mut Vec<u8>, units: impl Iterator<Item = &'a AccessUnit> + Clone) {
    for unit in units.clone() {
        out.extend(unit.captured.0.to_le_bytes());
        out.extend(unit.media_time.0.to_le_bytes());
        out.extend(unit.received.0.to_le_bytes());
        out.extend(unit.camera_time.map_or(i64::MIN, |time| time.0).to_le_bytes());
        out.extend(unit.duration.to_le_bytes());
        out.extend((unit.payload.len() as u32).to_le_bytes());
        out.extend([u8::from(unit.key) | u8::from(unit.discontinuity) << 1, 0, 0, 0]);
        out.extend(unit.received_within.to_le_bytes());
    }
    for unit in units {
        out.extend_from_slice(&unit.payload);
    }
}

/// Reads units back; none when the bytes do not add up. Payloads are slices of `plain`, not copies.
pub(crate) fn parse_plain(
    plain: &Bytes,
    stream: StreamId,
    count: u32,
    parameters: &Arc<Parameters>,
) -> Option<Vec<AccessUnit>> {
    let count = count as usize;
    let table = plain.get(..count.checked_mul(ENTRY)?)?;
    let mut at = table.len();
    let mut units = Vec::with_capacity(count);
    for entry in table.chunks_exact(ENTRY) {
        let end = at.checked_add(u32_at(entry, 36) as usize)?;
        if end > plain.len() {
            return None;
        }
        let flags = *entry.get(40)?;
        units.push(AccessUnit {
            stream,
            parameters: Arc::clone(parameters),
            captured: Micros(i64_at(entry, 0)),
            media_time: Ticks(i64_at(entry, 8)),
            duration: u32_at(entry, 32),
            key: flags & 1 != 0,
            discontinuity: flags & 2 != 0,
            received: Micros(i64_at(entry, 16)),
            camera_time: Some(Micros(i64_at(entry, 24))).filter(|time| time.0 != i64::MIN),
            received_within: u32_at(entry, 44),
            payload: plain.slice(at..end),
        });
        at = end;
    }
    (at == plain.len()).then_some(units)
}

/// The key of one chunk, and the commitment to it.
struct ChunkKey {
    cipher: LessSafeKey,
    commitment: [u8; 32],
}

struct Length32;
impl hkdf::KeyType for Length32 {
    fn len(&self) -> usize {
        32
    }
}

/// The key of one chunk.
pub(crate) fn derive(slot_key: &[u8; 32], salt: &[u8; 32], number: u64) -> Option<Zeroizing<[u8; 32]>> {
    let number = number.to_le_bytes();
    let info: [&[u8]; 2] = [b"RTR chunk", &number];
    let mut key = Zeroizing::new([0; 32]);
    Salt::new(HKDF_SHA256, salt).extract(slot_key).expand(&info, Length32).ok()?.fill(&mut *key).ok()?;
    Some(key)
}

fn chunk_key(key: &[u8; 32]) -> Option<ChunkKey> {
    let commitment = blake3::derive_key("RTR vault chunk key commitment v1", key);
    Some(ChunkKey { cipher: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?), commitment })
}

/// The chunk's number as a nonce. Each chunk has a key of its own, so this is belt and braces.
fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// Appends the sealed record of these units, whose head is given with `length` already right, and gives its leaf.
/// None when the cipher refuses; `out` is then as before.
pub(crate) fn seal<'a>(
    out: &mut Vec<u8>,
    head: &RecordHead,
    units: impl Iterator<Item = &'a AccessUnit> + Clone,
    slot_key: &[u8; 32],
    salt: &[u8; 32],
) -> Option<[u8; 32]> {
    let key = chunk_key(&*derive(slot_key, salt, head.number)?)?;
    let start = out.len();
    out.extend(head.encode());
    out.extend(key.commitment);
    append_plain(out, units);
    let sealed = (|| {
        let (prefix, plain) = out.get_mut(start..)?.split_at_mut_checked(PREFIX)?;
        key.cipher.seal_in_place_separate_tag(nonce(head.number), Aad::from(&*prefix), plain).ok()
    })();
    let Some(tag) = sealed else {
        out.truncate(start);
        return None;
    };
    out.extend(tag.as_ref());
    debug_assert_eq!(out.len() - start, PREFIX + head.length as usize);
    let leaf = *blake3::hash(out.get(start..)?).as_bytes();
    out.extend(leaf);
    Some(leaf)
}

/// Opens a whole record (head, commitment, body, leaf). None when any byte of it changed or the key is another.
pub(crate) fn open(record: Vec<u8>, number: u64, slot_key: &[u8; 32], salt: &[u8; 32]) -> Option<Bytes> {
    open_by(record, number, &*derive(slot_key, salt, number)?)
}

/// The same by the chunk's own key.
pub(crate) fn open_by(mut record: Vec<u8>, number: u64, key: &[u8; 32]) -> Option<Bytes> {
    let key = chunk_key(key)?;
    record.truncate(record.len().checked_sub(LEAF)?);
    let (prefix, body) = record.split_at_mut_checked(PREFIX)?;
    if prefix.get(RECORD_HEAD..RECORD_HEAD + COMMITMENT)? != key.commitment {
        return None;
    }
    let length = key.cipher.open_in_place(nonce(number), Aad::from(&*prefix), body).ok()?.len();
    Some(Bytes::from(record).slice(PREFIX..PREFIX + length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::Kind;
    use media::Codec;

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let parameters = Arc::new(Parameters {
            generation: 1,
            codec: Codec::H264,
            width: 2,
            height: 2,
            record: Bytes::new(),
        });
        let unit = AccessUnit {
            stream: StreamId(1),
            parameters: Arc::clone(&parameters),
            captured: Micros(5),
            media_time: Ticks(6),
            duration: 3600,
            key: true,
            discontinuity: false,
            received: Micros(7),
            camera_time: None,
            received_within: 0,
            payload: Bytes::from_static(b"\0\0\0\x02ab"),
        };
        let units = [unit];
        let length = (plain_length(units.iter()) + TAG) as u32;
        let mut head = RecordHead::plain(Kind::Chunk { starts_with_key: true }, StreamId(1), 3, length);
        head.units = 1;
        let mut record = Vec::new();
        seal(&mut record, &head, units.iter(), &[1; 32], &[2; 32]).unwrap();
        let plain = open(record.clone(), 3, &[1; 32], &[2; 32]).unwrap();
        assert_eq!(parse_plain(&plain, StreamId(1), 1, &parameters).unwrap(), units);
        for at in 0..record.len() - LEAF {
            let mut bad = record.clone();
            bad[at] ^= 4;
            assert!(open(bad, 3, &[1; 32], &[2; 32]).is_none(), "byte {at}");
        }
        assert!(open(record.clone(), 3, &[9; 32], &[2; 32]).is_none());
        assert!(open(record.clone(), 3, &[1; 32], &[9; 32]).is_none());
        assert!(open(record, 4, &[1; 32], &[2; 32]).is_none());
    }
}
