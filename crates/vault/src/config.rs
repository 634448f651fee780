//! What the outside sees: settings, what reading gives, and figures.

use crate::protection::Protection;
use media::{AccessUnit, GapReason, Micros, StreamId};
use std::{path::PathBuf, time::Duration};

/// Where a vault lives and how it behaves.
#[derive(Clone, Debug)]
pub struct VaultConfig {
    /// Folder of volumes and index. Made when missing.
    pub dir: PathBuf,
    /// Folders of the two copies of the key store, on separate devices and in no backup. Made when missing (0700).
    pub keys: [PathBuf; 2],
    /// What protects the keys beside the mode of their files.
    pub protection: Protection,
    /// Size at which a volume is sealed, in bytes (at least 1 MiB is sensible; 256 MiB by default).
    pub volume_bytes: u64,
    /// A volume is written for at least so long, however much comes in: then making and sealing volumes costs as many syncs
    /// with five hundred cameras as with five (one minute by default).
    pub volume_least: Duration,
    /// Memory for units that wait for the disk, all streams together, in bytes (256 MiB by default).
    pub budget_bytes: usize,
    /// How often the writer writes what came in. Bounds what a killed process loses: half a second by default, so that with
    /// the way there and the writing itself it is less than a group of pictures of one second.
    pub tick: Duration,
    /// How often the writer syncs. Bounds what a power cut loses.
    pub sync_every: Duration,
}

impl VaultConfig {
    /// The defaults: volumes of 256 MiB or a minute, 256 MiB of memory, written twice and synced once a second.
    pub fn new(dir: impl Into<PathBuf>, keys: [PathBuf; 2]) -> Self {
        Self {
            dir: dir.into(),
            keys,
            protection: Protection::FileMode,
            volume_bytes: 256 << 20,
            volume_least: Duration::from_mins(1),
            budget_bytes: 256 << 20,
            tick: Duration::from_millis(500),
            sync_every: Duration::from_secs(1),
        }
    }
}

/// What the vault must know of a stream beside its units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct StreamPolicy {
    /// Streams with the same number share volumes: give the term of retention in days.
    pub retention_class: u32,
    /// When memory runs out, groups of the lowest number are dropped first.
    pub importance: u8,
}

/// Which way a stretch is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Direction {
    /// In order of time.
    #[default]
    Forward,
    /// The newest group of pictures first, the pictures of each group in order of decoding.
    Backward,
}

/// Which pictures are read; what is not wanted is neither read from disk nor decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Pictures {
    /// Every one.
    #[default]
    All,
    /// Key frames, at least so far apart in capture time (µs; 0: each of them), for looking fast.
    KeyFrames {
        /// The least distance.
        apart: Micros,
    },
}

/// One thing that reading gives, in order of time.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A picture.
    Unit(AccessUnit),
    /// A stretch without pictures.
    Gap {
        /// Its start.
        from: Micros,
        /// Its end.
        until: Micros,
        /// Why.
        reason: GapReason,
    },
}

/// Whether a stretch has pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// It has.
    Recorded,
    /// It has none, and this is why.
    Gap(GapReason),
}

/// A stretch of a stream's timeline. Spans follow each other without overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Start, inclusive.
    pub from: Micros,
    /// End, exclusive.
    pub until: Micros,
    /// Pictures, or why not.
    pub kind: SpanKind,
    /// Bytes on disk of what begins in it; 0 for gaps. Whole minutes are counted to the span they begin in.
    pub bytes: u64,
    /// Bytes of predicted pictures per whole UTC second, the first one being the second of `from`: where the curve
    /// rises, something moved. Empty for gaps.
    pub activity: Vec<u32>,
}

/// Figures since the vault was opened. Units pass the stages in this order, so
/// `received ≥ written ≥ synced ≥ indexed` always holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of all volumes on disk.
    pub bytes: u64,
    /// Number of volumes on disk.
    pub volumes: u64,
    /// Bytes written to volumes since the vault was opened: heads, ciphertext, tags, leaves, padding and footers.
    pub bytes_written: u64,
    /// Units given to [`crate::Vault::accept`].
    pub received: u64,
    /// Units handed to the operating system.
    pub written: u64,
    /// Units that survive a power cut.
    pub synced: u64,
    /// Units found through the index alone.
    pub indexed: u64,
    /// Units dropped for want of memory or disk; each lies in a recorded gap.
    pub dropped: u64,
    /// Payload bytes waiting in memory now.
    pub buffered_bytes: u64,
    /// Whether the last attempt to write met a full disk.
    pub disk_full: bool,
    /// Writes and syncs that failed for another reason.
    pub write_errors: u64,
    /// Whether the keys of older footage were gone when the vault was opened: that footage opens no more.
    pub keys_lost: bool,
    /// Keys that are sealed by something that was not there when the vault was opened: their footage opens again once it is.
    pub keys_sealed_away: u64,
    /// Slots in which the two copies of the key store differed when the vault was opened.
    pub keys_mended: u64,
    /// Whether the start had to list the folder of volumes: the first one, and those after a loss.
    pub listed: bool,
    /// Microseconds the slowest sync took.
    pub slowest_sync_us: u64,
    /// Syncs of volumes and of the key store. The index adds about one a minute, whatever the number of streams.
    pub syncs: u64,
}

/// A group of pictures that was dropped for want of memory: the disk was too slow, or full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Whose.
    pub stream: StreamId,
    /// Capture time of the first picture.
    pub from: Micros,
    /// Pictures.
    pub units: u64,
    /// Why: [`GapReason::Overload`] or [`GapReason::DiskFull`].
    pub reason: GapReason,
}

/// A hold and what it keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its name.
    pub id: String,
    /// Whose footage.
    pub stream: StreamId,
    /// First instant.
    pub from: Micros,
    /// End.
    pub until: Micros,
    /// Chunks whose keys it has claimed.
    pub chunks: u64,
    /// Bytes of ciphertext.
    pub bytes: u64,
    /// Whether its ciphertext stands beside its keys on both devices, every chunk of it.
    pub whole: bool,
    /// Chunks that should be in it and could not be read when it was made.
    pub missing: u64,
}

/// A key in use, as anybody may know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyName {
    /// Start of its hour.
    pub hour: Micros,
    /// Its id, as volumes name it.
    pub id: u64,
    /// The commitment to it, in hex; none while what seals it is away.
    pub commitment: Option<String>,
}

/// What [`crate::Vault::destroy_expired`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destroyed {
    /// Keys overwritten in both copies and synced, each named by its commitment (BLAKE3 of the key, in hex), or by `id `
    /// and its id where what seals it was away.
    pub keys: Vec<String>,
    /// First instant of the hours destroyed, if any.
    pub from: Option<Micros>,
    /// End of the hours destroyed, if any: no footage of the stream before it opens any more.
    pub until: Option<Micros>,
    /// Bytes that no longer open.
    pub bytes: u64,
    /// Volumes unlinked because nothing lives in them.
    pub volumes_unlinked: u64,
    /// Bytes of those volumes.
    pub bytes_unlinked: u64,
    /// Volumes in which nothing lives but that could not be unlinked; it is tried again with the next destruction.
    pub unlinks_failed: u64,
    /// The keys are dead, but the index could not be written (a full disk): rows and volumes stay until
    /// [`crate::Vault::destroy_hours`] or [`crate::Vault::finish_destroyed`] is called again.
    pub unfinished: bool,
}
