//! Compressed pictures as RTR carries them: streams, codec parameters, access units and media time.
//!
//! Nothing here knows of cameras, storage or the network. `ingest` makes [`AccessUnit`]s, `vault` keeps them,
//! `protocol` moves them. Payloads are H.264 or H.265 in length-prefixed form (4-byte big-endian NAL lengths,
//! ISO/IEC 14496-15), parameter sets out of band in [`Parameters::record`]; payload bytes are reference-counted
//! and never copied for a viewer.

pub mod mp4;
mod nal;

pub use nal::{BrokenPayload, append_annex_b, nal_units, parameter_sets};

use bytes::Bytes;
use std::{fmt, sync::Arc};

/// One stream of one camera. The daemon maps cameras and their main and sub streams to these numbers and keeps
/// the mapping for ever, as footage is filed under them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream {}", self.0)
    }
}

/// Microseconds since 1970-01-01 UTC on the daemon's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub i64);

impl Micros {
    /// This instant, `microseconds` later (or earlier, if negative); saturates at the ends of time.
    #[must_use]
    pub fn plus(self, microseconds: i64) -> Self {
        Self(self.0.saturating_add(microseconds))
    }
}

/// Ticks of the 90 kHz media clock (RFC 3550, RFC 6184 clause 8.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticks(pub i64);

/// A codec RTR records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// H.264 (ISO/IEC 14496-10), sample entry `avc1`.
    H264,
    /// H.265 (ISO/IEC 23008-2), sample entry `hvc1`.
    H265,
}

/// What a decoder must know before the first picture. A change of any field is a new generation, on the wire, in
/// the vault and in the player alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Counts up from 1 within one run of a stream.
    pub generation: u16,
    /// The codec.
    pub codec: Codec,
    /// Coded width in pixels.
    pub width: u16,
    /// Coded height in pixels.
    pub height: u16,
    /// `AVCDecoderConfigurationRecord` or `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15).
    pub record: Bytes,
}

/// One compressed picture with all its NAL units, SEI included, in the camera's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessUnit {
    /// The stream it belongs to.
    pub stream: StreamId,
    /// The parameters that decode it.
    pub parameters: Arc<Parameters>,
    /// Capture time: the daemon's receive time carried along RTP time with bounded drift (µs UTC).
    pub captured: Micros,
    /// Position on the run's own media clock.
    pub media_time: Ticks,
    /// Duration in ticks of 90 kHz; an estimate for the newest frame of a live stream.
    pub duration: u32,
    /// Whether decoding can begin here.
    pub key: bool,
    /// Whether frames before this one are missing (packet loss, reconnect).
    pub discontinuity: bool,
    /// When the last packet of the picture left the kernel, at the latest (µs UTC): the start of every latency figure.
    pub received: Micros,
    /// The camera's own wall clock for this picture (RTCP sender report), as evidence only (µs UTC).
    pub camera_time: Option<Micros>,
    /// How much earlier than `received` it may have arrived, µs: packets are taken from the kernel in rounds. 0: not known.
    pub received_within: u32,
    /// NAL units, each behind its 4-byte big-endian length.
    pub payload: Bytes,
}

/// Why a stretch of time has no pictures. A gap is data: it is stored and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum GapReason {
    /// Nothing was known of the stretch: no daemon ran.
    NotRunning = 0,
    /// The camera could not be reached, or stopped sending.
    CameraOffline = 1,
    /// No use period: nothing may be recorded.
    NotInUse = 2,
    /// The disk was full.
    DiskFull = 3,
    /// The disk was too slow, or memory for waiting frames ran out.
    Overload = 4,
    /// Written but lost in a crash.
    Crash = 5,
    /// Destroyed at the end of its term.
    Destroyed = 6,
    /// Refused: no basis, or quarantined.
    Refused = 7,
    /// Stored, but changed on disk since: it no longer opens.
    Damaged = 8,
}

impl GapReason {
    /// The reason with this number, if there is one.
    pub fn from_u8(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::NotRunning,
            1 => Self::CameraOffline,
            2 => Self::NotInUse,
            3 => Self::DiskFull,
            4 => Self::Overload,
            5 => Self::Crash,
            6 => Self::Destroyed,
            7 => Self::Refused,
            8 => Self::Damaged,
            _ => return None,
        })
    }
}
