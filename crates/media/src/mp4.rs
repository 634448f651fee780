//! MP4 files (ISO/IEC 14496-12, -15) of recorded pictures, without re-encoding: a sample is an access unit's payload byte by
//! byte, SEI and order of NAL units included, and a sample entry carries the recorded parameters byte by byte.
//!
//! * [`Movie`]: a plain file. The table of samples is gathered first or along the way; the pictures themselves never pass
//!   through memory. At most 30 bytes a picture are kept: a day of one camera at 25 pictures a second stays below 64 MiB.
//! * [`Fragments`]: a fragmented file as a stream, one fragment per group of pictures.
//!
//! # Time
//!
//! Both clocks (movie and media) run at 90 kHz on capture time, so the time of a sample is its capture time less that of the
//! first. Where each keeps the instant itself:
//!
//! * plain: `creation_time` of `mvhd`, `tkhd` and `mdhd` is the second in which the presentation starts (UTC, rounded down);
//!   `moov/udta/©day` is the exact instant of presentation time 0, RFC 3339 in UTC with microseconds;
//! * fragmented: each fragment is preceded by `prft` (version 1, flags 24: captured), which ties the fragment's first sample
//!   to the UTC instant of its capture (NTP 64-bit time).
//!
//! # Exact cut
//!
//! A decoder must begin at a key frame, which may lie before the instant asked for. The file then begins with that key
//! frame, and an edit list (`edts/elst`) presents exactly from the instant asked for to the end asked for.
//!
//! The boxes are written here and not by a library, because the parameter records must not be parsed and written anew,
//! and because a file must not need to be in memory; the tests read every file back with ffprobe and with [`read`].

mod boxes;
mod fragments;
mod movie;
pub mod read;
#[cfg(test)]
mod tests;

pub use fragments::Fragments;
pub use movie::Movie;

use crate::{AccessUnit, Codec, Micros};

/// Why a picture cannot be put into a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mp4Error {
    /// A file begins with a key frame.
    #[error("the file would begin with a picture that needs earlier ones: begin with the next key frame")]
    NotAKey,
    /// One file, one codec.
    #[error("the camera changed from {from:?} to {to:?}: begin a new file at this picture")]
    CodecChanged {
        /// What the file has.
        from: Codec,
        /// What came.
        to: Codec,
    },
    /// The stream never said how to decode it.
    #[error("the picture's parameters are empty: it cannot be decoded")]
    NoParameters,
    /// More than the format can count.
    #[error("the file is longer than the format can describe: ask for a shorter stretch")]
    TooLong,
}

/// Ticks of 90 kHz in this many microseconds, rounded down.
fn ticks(microseconds: i64) -> i64 {
    let exact = i128::from(microseconds) * 9;
    exact.div_euclid(100) as i64
}

/// A pause between two pictures that is more than the jitter of a network: 1 second.
const PAUSE: u64 = 1_000_000;

/// End of a picture, by its own estimate.
fn end_of(unit: &AccessUnit) -> Micros {
    unit.captured.plus(i64::from(unit.duration) * 100 / 9)
}

/// Whether two pictures that are given one after the other do not follow each other: their capture times lie further apart
/// than the first lasts and a second more, or as far back (another pass over the same time, the clock having been set). One rule for every file, so that a stretch falls into the same parts each time it is read.
pub fn pause_between(before: &AccessUnit, after: &AccessUnit) -> bool {
    after.captured.0.abs_diff(end_of(before).0) > PAUSE
}
