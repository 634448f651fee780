//! What the scheduler keeps between starts, in `retention.json`: what was announced, what is being destroyed, what was
//! destroyed today.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

/// What is kept between starts.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct State {
    /// Start of the hours (µs UTC) whose destruction was announced, by stream.
    pub(super) announced: BTreeMap<u32, BTreeSet<i64>>,
    /// Announcements that no witness has cosigned yet, by entry of the log: their hours do not count as announced
    /// (`decisions.md` 15).
    pub(super) unwitnessed: BTreeMap<u64, Announcement>,
    /// Hours whose destruction has begun and is not known to have ended, by stream and start (µs UTC). Written before the
    /// first key is touched, so that a crash at any instant leaves a trace of what must be finished and told.
    pub(super) dying: BTreeMap<u32, BTreeMap<i64, Dying>>,
    /// Hours that began later than it was when their keys were first seen, by stream and start (µs UTC): the clock was ahead.
    pub(super) ahead: BTreeMap<u32, BTreeMap<i64, Ahead>>,
    /// The day that the tallies count.
    pub(super) day: Option<NaiveDate>,
    /// What was destroyed on that day, by municipality; the empty name: nobody knows whose it was.
    pub(super) tallies: BTreeMap<String, Tally>,
    /// Bytes that open no more in volumes that are not unlinked yet, because something else lives in them.
    pub(super) dead_bytes: u64,
}

/// An announcement that waits for a witness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Announcement {
    pub(super) stream: u32,
    pub(super) hours: BTreeSet<i64>,
    pub(super) at: DateTime<Utc>,
    /// The log in which it stands.
    #[serde(default)]
    pub(super) log: Option<String>,
}

/// An hour that is being destroyed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Dying {
    /// Its keys, by commitment (or `id …`).
    pub(super) keys: Vec<String>,
    /// Whether `destroy.done` has said that they are dead.
    pub(super) told: bool,
}

/// An hour that was recorded under a clock that was ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ahead {
    /// When its key was first seen, by guarded time: its frames are at least as old as that.
    pub(super) seen: DateTime<Utc>,
    /// Whether the clock was then set right, so that the hour is known to be wrong. Before that the clock may turn out to have
    /// been right all along.
    pub(super) sure: bool,
}

/// What was destroyed on a day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Tally {
    pub(super) keys: u64,
    pub(super) bytes: u64,
    pub(super) volumes: u64,
    pub(super) for_budget: u64,
}

impl State {
    /// Reads it; without a file nothing was announced.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Writes it, so that a crash leaves this or what was there before. What cannot be kept stops nothing that is due.
    pub(super) fn keep(&self, path: &Path) {
        let kept = serde_json::to_vec(self)
            .map_err(io::Error::other)
            .and_then(|bytes| crate::guard::replace(path, &bytes));
        if let Err(error) = kept {
            tracing::error!(%error, "what was announced and destroyed could not be kept; it may be told twice");
        }
    }
}
