//! The compact lists inside a row of the index: the chunks of a minute, and its activity.

use super::{ChunkRef, MINUTE};
use media::Micros;

// Compact numbers: seven bits a byte, least significant first, the high bit set on all but the last (LEB128).

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn get(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Five numbers a chunk: distance from the end of the chunk before, size, start within the minute, duration (both
/// µs; 0 where negative), and the number of units doubled plus one when it starts with a key frame.
pub(super) fn encode_chunks(minute: i64, chunks: &[ChunkRef]) -> Vec<u8> {
    let mut out = Vec::with_capacity(chunks.len() * 12);
    let mut end = 0;
    for chunk in chunks {
        put(&mut out, chunk.offset.saturating_sub(end));
        put(&mut out, chunk.total);
        put(&mut out, (chunk.from.0 - minute * MINUTE).max(0) as u64);
        put(&mut out, (chunk.until.0 - chunk.from.0).max(0) as u64);
        put(&mut out, u64::from(chunk.units) << 1 | u64::from(chunk.starts_with_key));
        end = chunk.offset + chunk.total;
    }
    out
}

pub(super) fn decode_chunks(minute: i64, volume: u64, mut bytes: &[u8]) -> Vec<ChunkRef> {
    let mut chunks = Vec::new();
    let mut end = 0_u64;
    while let (Some(distance), Some(total), Some(start), Some(duration), Some(units)) =
        (get(&mut bytes), get(&mut bytes), get(&mut bytes), get(&mut bytes), get(&mut bytes))
    {
        let offset = end.saturating_add(distance);
        let from = Micros(minute.saturating_mul(MINUTE)).plus(start as i64);
        chunks.push(ChunkRef {
            volume,
            offset,
            total,
            from,
            until: from.plus(duration as i64),
            starts_with_key: units & 1 == 1,
            units: (units >> 1) as u32,
            predicted: 0,
        });
        end = offset.saturating_add(total);
    }
    chunks
}

pub(super) fn encode_activity(seconds: &[u32]) -> Vec<u8> {
    let mut out = Vec::with_capacity(120);
    for value in seconds {
        put(&mut out, u64::from(*value));
    }
    out
}

/// Second by second. A day has 1,440 of these lists: nothing is kept on the way.
pub(super) fn decode_activity(mut bytes: &[u8]) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || get(&mut bytes).map(|value| value as u32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::SECOND;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn chunk_lists_survive(sizes in prop::collection::vec((0_u64..1 << 33, 144_u64..1 << 30, 0_i64..MINUTE, 0_i64..SECOND, 0_u32..9999, any::<bool>()), 0..50)) {
            let mut at = 0;
            let chunks: Vec<_> = sizes.into_iter().map(|(skip, total, start, length, units, key)| {
                let offset = at + skip;
                at = offset + total;
                let from = Micros(77 * MINUTE + start);
                ChunkRef { volume: 3, offset, total, from, until: from.plus(length), starts_with_key: key, units, predicted: 0 }
            }).collect();
            prop_assert_eq!(decode_chunks(77, 3, &encode_chunks(77, &chunks)), chunks);
        }
    }
}
