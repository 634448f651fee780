//! Media on the wire: one binary WebSocket message per access unit (`decisions.md` 25).
//!
//! Header, little-endian, 36 bytes: `version u8 = 1`, `flags u8`, `generation u16`, `subscription u32`,
//! `captured i64` (µs UTC), `duration u32` (µs), `sent i64` (µs UTC), `received i64` (µs UTC, when the daemon had the
//! picture complete); then the length-prefixed payload. Live and replay use the same messages.

use bytes::{BufMut, Bytes, BytesMut};

/// Length of the header in bytes.
pub const HEADER_LEN: usize = 36;
/// The only version there is.
pub const VERSION: u8 = 1;

/// What stands before each access unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitHeader {
    /// Which subscription of this socket.
    pub subscription: u32,
    /// Decoding can begin here.
    pub key: bool,
    /// Frames before this one are missing.
    pub discontinuity: bool,
    /// The last unit of a replay.
    pub last: bool,
    /// A gap precedes this unit in recorded time.
    pub gap: bool,
    /// Generation of the codec parameters that decode it.
    pub generation: u16,
    /// Capture time, µs UTC.
    pub captured: i64,
    /// Duration, µs.
    pub duration: u32,
    /// When the daemon handed it to the socket, µs UTC.
    pub sent: i64,
    /// When the daemon had the picture complete, µs UTC.
    pub received: i64,
}

const KEY: u8 = 1;
const DISCONTINUITY: u8 = 2;
const LAST: u8 = 4;
const GAP: u8 = 8;

/// Why a binary message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Shorter than a header.
    #[error("a media message of {0} bytes is shorter than its header of {HEADER_LEN}")]
    Short(usize),
    /// Another version.
    #[error("media message version {0} is unknown; this program speaks version {VERSION}: update it")]
    Version(u8),
}

/// The message for one access unit. The payload is copied once, behind its header.
pub fn encode(header: &UnitHeader, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(HEADER_LEN + payload.len());
    out.put_u8(VERSION);
    let flag = |on: bool, bit: u8| if on { bit } else { 0 };
    out.put_u8(
        flag(header.key, KEY)
            | flag(header.discontinuity, DISCONTINUITY)
            | flag(header.last, LAST)
            | flag(header.gap, GAP),
    );
    out.put_u16_le(header.generation);
    out.put_u32_le(header.subscription);
    out.put_i64_le(header.captured);
    out.put_u32_le(header.duration);
    out.put_i64_le(header.sent);
    out.put_i64_le(header.received);
    out.put_slice(payload);
    out.freeze()
}

/// Reads a message; the payload shares the message's memory.
///
/// # Errors
/// [`WireError`] when the message is short or of another version.
pub fn decode(message: &Bytes) -> Result<(UnitHeader, Bytes), WireError> {
    use bytes::Buf as _;
    if message.len() < HEADER_LEN {
        return Err(WireError::Short(message.len()));
    }
    let mut rest = message.clone();
    let version = rest.get_u8();
    if version != VERSION {
        return Err(WireError::Version(version));
    }
    let flags = rest.get_u8();
    let header = UnitHeader {
        key: flags & KEY != 0,
        discontinuity: flags & DISCONTINUITY != 0,
        last: flags & LAST != 0,
        gap: flags & GAP != 0,
        generation: rest.get_u16_le(),
        subscription: rest.get_u32_le(),
        captured: rest.get_i64_le(),
        duration: rest.get_u32_le(),
        sent: rest.get_i64_le(),
        received: rest.get_i64_le(),
    };
    Ok((header, rest))
}
