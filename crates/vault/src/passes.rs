//! Footage in the order in which it can be decoded. After the clock was set back, one stretch of time is recorded twice: in
//! order of capture time alone the pictures of both passes would alternate, each decoded from a picture of the other.

use crate::index::{ChunkRef, JITTER};

/// Chunks pass by pass, each pass as it was recorded and whole, by when it begins. A pass ends where time goes back, or where
/// nothing is recorded.
pub(crate) fn pass_by_pass(mut chunks: Vec<ChunkRef>) -> Vec<ChunkRef> {
    chunks.sort_by_key(|chunk| (chunk.volume, chunk.offset));
    let goes_on = |a: &ChunkRef, b: &ChunkRef| b.from >= a.from && b.from <= a.until.plus(JITTER);
    let mut passes: Vec<&[ChunkRef]> = chunks.chunk_by(goes_on).collect();
    passes.sort_by_key(|pass| pass.first().map(|chunk| chunk.from));
    passes.concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::Micros;

    fn chunk(volume: u64, offset: u64, second: i64) -> ChunkRef {
        let (from, until) = (Micros(second * 1_000_000), Micros((second + 1) * 1_000_000));
        ChunkRef { volume, offset, total: 1, from, until, starts_with_key: true, units: 1, predicted: 0 }
    }

    #[test]
    fn passes_over_the_same_time_follow_each_other() {
        let first: Vec<_> = (100..110).map(|second| chunk(1, second as u64, second)).collect();
        // The clock was set back; a new volume begins on the way.
        let second: Vec<_> =
            (95..105).map(|n| chunk(if n < 99 { 1 } else { 3 }, 200 + n as u64, n)).collect();
        // Another class, whose volume is older: later in time all the same.
        let other: Vec<_> = (110..115).map(|second| chunk(0, second as u64, second)).collect();
        let mut mixed = [first.clone(), second.clone(), other.clone()].concat();
        mixed.sort_by_key(|chunk| chunk.from);
        assert_eq!(pass_by_pass(mixed), [second, first, other].concat());
    }
}
