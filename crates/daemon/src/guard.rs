//! Guarded time: destruction cannot be brought about, nor undone, by setting the clock (`decisions.md` 20).
//!
//! The latest time that was believed is kept in a file with the machine's boot time beside it. From there, time goes on
//! no faster than boot time passes. A wall clock that is further ahead (it was set, or the machine was off) is believed
//! once a witness of the log, on a machine of its own, shows the same time; until then nothing is destroyed and no look
//! begins, unless a person of the police says that it is right (`clock.accept`). A wall clock that was set back changes
//! nothing: time goes on from the mark.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// How far the wall clock may be ahead of what has passed: steps of a clock that is synchronised.
const TOLERANCE: TimeDelta = TimeDelta::seconds(30);
/// How old the witness's time may be, and how far from ours.
const FRESH: TimeDelta = TimeDelta::minutes(5);
/// How often the mark is written.
const KEEP: TimeDelta = TimeDelta::minutes(1);

/// The machine's clocks at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The wall clock (UTC).
    pub wall: DateTime<Utc>,
    /// Time since the machine was started, sleep included.
    pub up: TimeDelta,
    /// Which start of the machine that was.
    pub boot: String,
}

impl Reading {
    /// The clocks now.
    pub fn now(wall: DateTime<Utc>) -> Self {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self { wall, up: uptime(), boot: boot.trim().to_owned() }
    }
}

/// Time since the machine was started, sleep included.
pub(crate) fn uptime() -> TimeDelta {
    let up = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    TimeDelta::new(up.tv_sec, u32::try_from(up.tv_nsec).unwrap_or(0)).unwrap_or_default()
}

/// What may be believed of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guarded {
    /// The time for destruction (UTC).
    pub now: DateTime<Utc>,
    /// False: the wall clock is ahead of what has passed, and nobody has confirmed it.
    pub trusted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    at: DateTime<Utc>,
    up_ms: i64,
    boot: String,
}

/// The high-water mark and its file.
#[derive(Debug)]
pub struct GuardedTime {
    path: PathBuf,
    mark: Option<Mark>,
    kept: Option<DateTime<Utc>>,
    /// Whether the file holds a mark, however old: an older one only doubts more after a restart.
    on_disk: bool,
    /// Whether the newest mark that was due is in the file.
    is_kept: bool,
}

impl GuardedTime {
    /// Reads the mark in `path`; without one the first time seen is believed.
    ///
    /// # Errors
    /// When the file is there and cannot be read: it must not be forgotten silently.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mark = match fs::read(path) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).map_err(io::Error::other)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let on_disk = mark.is_some();
        Ok(Self { path: path.to_owned(), mark, kept: None, on_disk, is_kept: true })
    }

    /// What may be believed now. `witnessed` is the time of the newest cosignature, by the witness's own clock.
    ///
    /// A mark that cannot be written (a full disk) is kept in memory and tried again with the next call: what is due must be
    /// able to die, and frees the disk. Only the very first mark must be on the disk before anything is believed.
    pub fn observe(&mut self, reading: &Reading, witnessed: Option<DateTime<Utc>>) -> Guarded {
        let guarded = self.judge(reading, witnessed);
        if !guarded.trusted {
            return guarded;
        }
        self.mark =
            Some(Mark { at: guarded.now, up_ms: reading.up.num_milliseconds(), boot: reading.boot.clone() });
        if self.kept.is_none_or(|kept| guarded.now - kept >= KEEP) {
            match self.keep() {
                Ok(()) => self.kept = Some(guarded.now),
                Err(error) => {
                    tracing::error!(%error, "ALARM: the mark of guarded time cannot be written");
                    return Guarded { trusted: self.on_disk, ..guarded };
                }
            }
        }
        guarded
    }

    /// Whether the newest mark that was due to be written is in the file.
    pub fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// A person of the police says that the wall clock is right, ahead or back: time goes on from what it shows.
    ///
    /// # Errors
    /// When the mark cannot be written; then nothing has changed.
    pub fn accept(&mut self, reading: &Reading) -> io::Result<()> {
        let mark =
            Mark { at: reading.wall, up_ms: reading.up.num_milliseconds(), boot: reading.boot.clone() };
        let before = self.mark.replace(mark);
        if let Err(error) = self.keep() {
            self.mark = before;
            return Err(error);
        }
        self.kept = Some(reading.wall);
        Ok(())
    }

    /// The same without moving the mark.
    pub fn judge(&self, reading: &Reading, witnessed: Option<DateTime<Utc>>) -> Guarded {
        let Some(mark) = &self.mark else { return Guarded { now: reading.wall, trusted: true } };
        let since = TimeDelta::milliseconds(mark.up_ms);
        // After a new start of the machine at least this has passed; how long it was off nobody here knows.
        let passed = if mark.boot == reading.boot { reading.up - since } else { reading.up };
        let passed = passed.max(TimeDelta::zero());
        let least = mark.at + passed;
        let confirmed = witnessed.is_some_and(|witnessed| (reading.wall - witnessed).abs() <= FRESH);
        if reading.wall <= least + TOLERANCE || confirmed {
            Guarded { now: reading.wall.max(least), trusted: true }
        } else {
            Guarded { now: least, trusted: false }
        }
    }

    fn keep(&mut self) -> io::Result<()> {
        let bytes = serde_json::to_vec(&self.mark).map_err(io::Error::other)?;
        let kept = replace(&self.path, &bytes);
        self.is_kept = kept.is_ok();
        self.on_disk |= self.is_kept;
        kept
    }
}

/// Replaces a small file so that a crash leaves the old or the new one, never half of one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    path.parent().map_or(Ok(()), |dir| fs::File::open(dir)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(wall: &str, up_minutes: i64, boot: &str) -> Reading {
        Reading { wall: wall.parse().unwrap(), up: TimeDelta::minutes(up_minutes), boot: boot.to_owned() }
    }

    #[test]
    fn a_clock_ahead_is_believed_only_with_a_witness_and_a_clock_back_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("time");
        let mut guard = GuardedTime::open(&path).unwrap();
        let start = guard.observe(&reading("2026-06-01T12:00:00Z", 10, "a"), None);
        assert!(start.trusted);
        let later = guard.observe(&reading("2026-06-01T12:10:00Z", 20, "a"), None);
        assert_eq!(later, Guarded { now: "2026-06-01T12:10:00Z".parse().unwrap(), trusted: true });
        // 29 days ahead: not believed, now or later, whatever the machine says.
        let ahead = reading("2026-06-30T12:11:00Z", 21, "a");
        let doubted = guard.observe(&ahead, None);
        assert_eq!(doubted, Guarded { now: "2026-06-01T12:11:00Z".parse().unwrap(), trusted: false });
        let stale = Some("2026-06-01T12:11:00Z".parse().unwrap());
        assert!(!guard.observe(&ahead, stale).trusted);
        // Nor after a restart of daemon and machine.
        let mut guard = GuardedTime::open(&path).unwrap();
        assert!(!guard.observe(&reading("2026-06-30T12:12:00Z", 1, "b"), None).trusted);
        // The clock is set right again.
        assert!(guard.observe(&reading("2026-06-01T12:11:30Z", 2, "b"), None).trusted);
        // The machine was off for two days: a witness on another machine says so too.
        let back = reading("2026-06-03T12:00:00Z", 1, "c");
        assert!(!guard.observe(&back, None).trusted);
        let witnessed = Some("2026-06-03T11:58:00Z".parse().unwrap());
        assert_eq!(guard.observe(&back, witnessed), Guarded { now: back.wall, trusted: true });
        // A person of the police says that a clock is right that nobody else confirms.
        let ahead = reading("2026-06-05T12:00:00Z", 2, "c");
        assert!(!guard.observe(&ahead, None).trusted);
        guard.accept(&ahead).unwrap();
        assert_eq!(guard.observe(&ahead, None), Guarded { now: ahead.wall, trusted: true });
        let mut guard = GuardedTime::open(&path).unwrap();
        assert!(guard.observe(&ahead, None).trusted, "also after a restart");
        guard.accept(&back).unwrap();
        // Set back a year: time goes on from the mark.
        let past = guard.observe(&reading("2025-06-03T12:00:00Z", 31, "c"), None);
        assert_eq!(past, Guarded { now: "2026-06-03T12:30:00Z".parse().unwrap(), trusted: true });
    }

    /// The footage that a full disk waits for would free it: a mark that cannot be written doubts nothing.
    #[test]
    fn a_full_disk_does_not_stop_time_but_a_first_mark_must_be_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("time");
        // What is in the way of the new file stands for the full disk.
        let part = path.with_extension("part");
        fs::create_dir(&part).unwrap();
        let mut guard = GuardedTime::open(&path).unwrap();
        assert!(
            !guard.observe(&reading("2026-06-01T12:00:00Z", 10, "a"), None).trusted,
            "nothing was ever kept"
        );
        assert!(!guard.is_kept());
        fs::remove_dir(&part).unwrap();
        let mut guard = GuardedTime::open(&path).unwrap();
        assert!(guard.observe(&reading("2026-06-01T12:00:00Z", 10, "a"), None).trusted);
        fs::create_dir(&part).unwrap();
        for minute in [5, 10] {
            let now = reading(&format!("2026-06-01T12:{minute:02}:00Z"), 10 + minute, "a");
            assert_eq!(guard.observe(&now, None), Guarded { now: now.wall, trusted: true });
            assert!(!guard.is_kept());
        }
        assert!(
            !guard.observe(&reading("2026-06-30T12:11:00Z", 21, "a"), None).trusted,
            "and a jump is doubted as ever"
        );
        // After a restart the older mark doubts more, not less.
        let again = GuardedTime::open(&path).unwrap();
        assert!(!again.judge(&reading("2026-06-01T12:11:00Z", 1, "b"), None).trusted);
        fs::remove_dir(&part).unwrap();
        assert!(guard.observe(&reading("2026-06-01T12:12:00Z", 22, "a"), None).trusted);
        assert!(guard.is_kept());
    }
}
