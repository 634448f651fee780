//! Footage dies on time: announced a day ahead, key first, then the volume, then the entry that it is done.
//!
//! Every key serves one stream for one hour. It dies when the first frame of its hour reaches the end of its term, by
//! guarded time ([`crate::guard`]) and a minute early rather than late; nothing that this waits for can make it late: not
//! the log (entries are spooled), not a disk that does not unlink. The law's term of an hour is asked piece by piece
//! ([`mandate::judge`](mandate::judgement::judge)), so that a change of a decree shows at once. Before recording begins after a downtime, what fell due
//! meanwhile is destroyed.

use crate::{
    clock::{Floor, STEP, instant, micros},
    gate::{Ask, Gate},
    guard::{self, Guarded, GuardedTime, Reading},
    streams::Streams,
};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use ledger::{Entry, Object as LogObject, Operation};
use mandate::{Action, CameraId, DestroyGround, Object, Request, judgement::judge};
use media::{Micros, StreamId};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};
use vault::{Destroyed, Vault};

/// How much earlier than due a key dies, so that it is never later; more than the time between two passes.
const EARLY: TimeDelta = TimeDelta::minutes(1);
/// How long before it is due a destruction is announced at least: 24 hours, and an hour for the rhythm of hours.
const ANNOUNCED: TimeDelta = TimeDelta::hours(25);
/// An announcement that no witness has cosigned for so long alarms: the hour that it was early is over.
const UNWITNESSED: TimeDelta = TimeDelta::hours(1);
/// The longest term there is.
const LONGEST: TimeDelta = TimeDelta::days(28);
/// From this share of the budget on (percent), it alarms.
const ALARM_PERCENT: u64 = 80;
/// How often the two copies of the key store are compared.
const COMPARE: TimeDelta = TimeDelta::hours(1);
/// Hours that one pass may take for the budget.
const BUDGET_STEPS: usize = 48;

/// What is kept between starts.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct State {
    /// Start of the hours (µs UTC) whose destruction was announced, by stream.
    announced: BTreeMap<u32, BTreeSet<i64>>,
    /// Announcements that no witness has cosigned yet, by entry of the log: their hours do not count as announced
    /// (`decisions.md` 15).
    unwitnessed: BTreeMap<u64, Announcement>,
    /// The day that the tallies count.
    day: Option<NaiveDate>,
    /// What was destroyed on that day, by municipality.
    tallies: BTreeMap<String, Tally>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Announcement {
    stream: u32,
    hours: BTreeSet<i64>,
    at: DateTime<Utc>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Tally {
    keys: u64,
    bytes: u64,
    volumes: u64,
    for_budget: u64,
}

/// What the metrics tell of it.
#[derive(Debug, Default)]
pub struct Figures {
    /// Whether the clock is doubted: nothing is destroyed meanwhile.
    pub clock_doubted: AtomicBool,
    /// Whether the clock is behind what has passed: time goes on without it.
    pub clock_set_back: AtomicBool,
    /// Announcements that no witness has confirmed within the hour.
    pub unwitnessed: AtomicU64,
    /// Keys destroyed since the start.
    pub keys: AtomicU64,
    /// Keys that died later than their due instant (after a downtime).
    pub late: AtomicU64,
    /// Destructions that failed and are tried again.
    pub failures: AtomicU64,
    /// Percent of the byte budget in use; 0 without a budget.
    pub budget_percent: AtomicU64,
    /// Slots in which the two copies of the key store differ.
    pub differing_keys: AtomicU64,
}

/// The scheduler of destruction.
pub struct Retention {
    gate: Gate,
    vault: Vault,
    streams: Arc<Streams>,
    budget_bytes: Option<u64>,
    path: PathBuf,
    inner: Mutex<Inner>,
    /// Figures for the metrics.
    pub figures: Figures,
}

struct Inner {
    state: State,
    guard: GuardedTime,
    /// Due instants by stream and hour, as long as the register stays as it is.
    due: HashMap<(StreamId, i64), DateTime<Utc>>,
    head: String,
    /// When the two copies of the key store are compared again.
    compare_at: Option<DateTime<Utc>>,
}

/// One stream, whose it is.
struct Subject {
    stream: StreamId,
    camera: Option<CameraId>,
    municipality: String,
}

impl Retention {
    /// Opens its two small files in the daemon's data folder.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn open(
        data: &Path,
        gate: Gate,
        vault: Vault,
        streams: Arc<Streams>,
        budget_bytes: Option<u64>,
    ) -> std::io::Result<Self> {
        let path = data.join("retention.json");
        let state = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(std::io::Error::other)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => State::default(),
            Err(error) => return Err(error),
        };
        let guard = GuardedTime::open(&data.join("guarded-time.json"))?;
        let inner = Inner { state, guard, due: HashMap::new(), head: String::new(), compare_at: None };
        let (inner, figures) = (Mutex::new(inner), Figures::default());
        Ok(Self { gate, vault, streams, budget_bytes, path, inner, figures })
    }

    /// One pass by the machine's clocks: announces, destroys, reports. Blocks for the disk.
    pub fn pass(&self) {
        let reading = Reading::now(self.gate.clock().wall());
        self.pass_at(&reading);
    }

    /// What the machine's clock shows, and what is believed of it now.
    pub fn believed(&self) -> (DateTime<Utc>, Guarded) {
        let reading = Reading::now(self.gate.clock().wall());
        let witnessed = self.gate.log().health().borrow().witnessed_at;
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        (reading.wall, inner.guard.judge(&reading, witnessed))
    }

    /// A person of the police says that the machine's clock is right (`decisions.md` 20): time goes on from what it shows.
    /// The caller has logged it.
    ///
    /// # Errors
    /// When the mark cannot be kept; then nothing has changed.
    pub fn accept_clock(&self) -> std::io::Result<()> {
        self.accept_clock_at(&Reading::now(self.gate.clock().wall()))
    }

    /// The same at a given reading of the clocks.
    ///
    /// # Errors
    /// As [`Retention::accept_clock`].
    pub fn accept_clock_at(&self, reading: &Reading) -> std::io::Result<()> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.guard.accept(reading)?;
        drop(inner);
        self.pass_at(reading);
        Ok(())
    }

    /// The same at a given reading of the clocks.
    pub fn pass_at(&self, reading: &Reading) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let witnessed = self.gate.log().health().borrow().witnessed_at;
        let guarded = inner.guard.observe(reading, witnessed).unwrap_or_else(|error| {
            tracing::error!(%error, "the mark of guarded time cannot be kept; nothing is destroyed");
            Guarded { now: reading.wall, trusted: false }
        });
        let doubted = self.figures.clock_doubted.swap(!guarded.trusted, Relaxed);
        if guarded.trusted == doubted {
            self.clock_changed(reading, guarded);
        }
        self.gate.doubt_clock(!guarded.trusted);
        if !guarded.trusted {
            return;
        }
        self.gate.clock().not_before(Floor { at: guarded.now, up: reading.up });
        let back = reading.wall + STEP < guarded.now;
        if back != self.figures.clock_set_back.swap(back, Relaxed) && back {
            self.clock_set_back(reading, guarded);
        }
        self.count_witnessed(&mut inner, guarded.now);
        let head = self.gate.snapshot().head.to_string();
        if inner.head != head {
            inner.due.clear();
            inner.head = head;
        }
        // First: what dies now belongs to the new day.
        self.report(&mut inner, guarded.now);
        for subject in self.subjects() {
            self.stream(&mut inner, &subject, guarded.now);
        }
        self.budget(&mut inner, guarded.now);
        if inner.compare_at.is_none_or(|at| guarded.now >= at) {
            inner.compare_at = Some(guarded.now + COMPARE);
            self.compare_copies(guarded.now);
        }
        let kept = serde_json::to_vec(&inner.state)
            .map_err(std::io::Error::other)
            .and_then(|bytes| guard::replace(&self.path, &bytes));
        if let Err(error) = kept {
            tracing::error!(%error, "what was announced could not be kept; it may be announced twice");
        }
    }

    fn compare_copies(&self, now: DateTime<Utc>) {
        if let Ok(differ) = self.vault.differing_keys()
            && self.figures.differing_keys.swap(differ, Relaxed) != differ
            && differ > 0
        {
            tracing::error!(
                slots = differ,
                "THE TWO COPIES OF THE KEYS DIFFER; a restart mends what can be mended"
            );
            let mut entry = Entry::new(now, Operation::Maintenance, "keys.differ");
            entry.data = Some(serde_json::json!({ "slots": differ }));
            self.gate.log().append_spooled(entry);
        }
    }

    fn clock_set_back(&self, reading: &Reading, guarded: Guarded) {
        tracing::error!(wall = %reading.wall, believed = %guarded.now,
            "THE CLOCK IS BEHIND WHAT HAS PASSED: time goes on without it, and nothing opens again");
        let mut entry = Entry::new(guarded.now, Operation::Maintenance, "clock.set_back");
        entry.data = Some(serde_json::json!({ "wall": reading.wall, "believed": guarded.now }));
        self.gate.log().append_spooled(entry);
    }

    /// Announcements that a witness has cosigned count from then on; one that waits for too long alarms.
    fn count_witnessed(&self, inner: &mut Inner, now: DateTime<Utc>) {
        let witnessed = self.gate.log().health().borrow().witnessed_entries;
        let asked = self.gate.requires_witness();
        inner.state.unwitnessed.retain(|seq, _| asked && *seq >= witnessed);
        let late = inner.state.unwitnessed.values().filter(|a| now - a.at > UNWITNESSED).count() as u64;
        if self.figures.unwitnessed.swap(late, Relaxed) == 0 && late > 0 {
            tracing::error!(
                announcements = late,
                "ALARM: no witness has confirmed announcements of destruction; what is due dies on time all the same"
            );
        }
    }

    fn clock_changed(&self, reading: &Reading, guarded: Guarded) {
        let name = if guarded.trusted { "clock.confirmed" } else { "clock.doubted" };
        if guarded.trusted {
            tracing::info!("the clock is confirmed");
        } else {
            tracing::error!(wall = %reading.wall, believed = %guarded.now,
                "THE CLOCK IS AHEAD OF WHAT HAS PASSED and no witness confirms it: nothing is destroyed, no look begins");
        }
        let mut entry = Entry::new(reading.wall, Operation::Maintenance, name);
        entry.data = Some(serde_json::json!({ "wall": reading.wall, "believed": guarded.now }));
        self.gate.log().append_spooled(entry);
    }

    /// Every stream that has a key, configured or not.
    fn subjects(&self) -> Vec<Subject> {
        let snapshot = self.gate.snapshot();
        let named: HashMap<_, _> = self.streams.iter().map(|c| (c.main.stream, &c.camera)).collect();
        let subject = |stream: StreamId| {
            let camera = named.get(&stream).map(|camera| (*camera).clone());
            let known = camera.as_ref().and_then(|camera| snapshot.register.camera(camera));
            let municipality = known.map(|c| c.municipality.to_string()).unwrap_or_default();
            Subject { stream, camera, municipality }
        };
        self.vault.streams().into_iter().map(subject).collect()
    }

    /// Announces and destroys what is due of one stream.
    fn stream(&self, inner: &mut Inner, subject: &Subject, now: DateTime<Utc>) {
        let mut announce = Vec::new();
        let mut destroy = BTreeSet::new();
        for hour in self.vault.key_hours(subject.stream) {
            let due = self.due(inner, subject, hour);
            if due <= now + EARLY {
                destroy.insert(hour.0);
                if due < now {
                    self.figures.late.fetch_add(1, Relaxed);
                }
            } else if due <= now + ANNOUNCED {
                announce.push((hour, due));
            }
        }
        let announced = inner.state.announced.entry(subject.stream.0).or_default();
        announce.retain(|(hour, _)| !announced.contains(&hour.0));
        if let (Some((first, _)), Some((last, _))) = (announce.first(), announce.last()) {
            let mut entry = Entry::new(now, Operation::Destroy, "destroy.due");
            entry.object = Some(object(subject, *first, last.plus(HOUR)));
            let keys: Vec<_> = announce
                .iter()
                .flat_map(|(hour, due)| self.vault.keys_of_hour(subject.stream, *hour).into_iter().map(move |key| (key, due)))
                .map(|(key, due)| {
                    serde_json::json!({ "id": format!("{:016x}", key.id), "commitment": key.commitment, "due": due })
                })
                .collect();
            entry.data = Some(serde_json::json!({ "keys": keys }));
            self.announce(inner, subject, entry, announce.iter().map(|(hour, _)| hour.0).collect());
        }
        // Runs of hours, oldest first: usually one hour at a time.
        let mut hours = destroy.into_iter().peekable();
        while let Some(from) = hours.next() {
            let mut until = from + HOUR;
            while hours.next_if_eq(&until).is_some() {
                until += HOUR;
            }
            let hours_of =
                |counts: &dyn Fn(&i64) -> bool| (from..until).step_by(HOUR as usize).filter(counts).count();
            let announced = inner.state.announced.get(&subject.stream.0);
            let unannounced = hours_of(&|hour| !announced.is_some_and(|announced| announced.contains(hour)));
            let waiting = |hour: &i64| {
                let of_it = |a: &&Announcement| a.stream == subject.stream.0 && a.hours.contains(hour);
                inner.state.unwitnessed.values().find(of_it).is_some()
            };
            let data = serde_json::json!({
                "unannounced_hours": unannounced, "unwitnessed_hours": hours_of(&waiting),
            });
            self.destroy(inner, subject, (Micros(from), Micros(until)), now, "destroy.done", data, false);
        }
    }

    /// Logs an announcement, durably. Only then do its hours count as announced, and only once a witness has cosigned it
    /// as announced in time; what cannot be logged now is tried again with the next pass.
    fn announce(&self, inner: &mut Inner, subject: &Subject, entry: Entry, hours: BTreeSet<i64>) {
        let at = entry.at;
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        match runtime.block_on(self.gate.log().append(entry)) {
            Ok(receipt) => {
                inner.state.announced.entry(subject.stream.0).or_default().extend(&hours);
                if self.gate.requires_witness() {
                    let announcement = Announcement { stream: subject.stream.0, hours, at };
                    inner.state.unwitnessed.insert(receipt.seq, announcement);
                }
            }
            Err(error) => {
                tracing::error!(%error, "a destruction could not be announced; it is tried again with the next pass");
            }
        }
    }

    /// When the first frame of an hour reaches the end of its term.
    fn due(&self, inner: &mut Inner, subject: &Subject, hour: Micros) -> DateTime<Utc> {
        if let Some(due) = inner.due.get(&(subject.stream, hour.0)) {
            return *due;
        }
        let (from, until) = (instant(hour), instant(hour.plus(HOUR)));
        let snapshot = self.gate.snapshot();
        let camera = subject.camera.as_ref().filter(|camera| snapshot.register.camera(camera).is_some());
        let due = camera
            .and_then(|camera| {
                judge(&snapshot.register, camera, from, until)
                    .iter()
                    .map(|j| j.from + j.term.min(LONGEST))
                    .min()
            })
            // Whose it was nobody knows any more: the longest term, and no frame beyond it.
            .unwrap_or(from + LONGEST);
        inner.due.insert((subject.stream, hour.0), due);
        due
    }

    /// Destroys what a stream has in whole hours, by a decision that was logged already: one key serves an hour, so
    /// nothing less can die. Blocks for the disk. False: it could not be destroyed, or there was nothing.
    pub fn destroy_decided(
        &self,
        stream: StreamId,
        hours: (DateTime<Utc>, DateTime<Utc>),
        data: serde_json::Value,
    ) -> bool {
        let Some(subject) = self.subjects().into_iter().find(|subject| subject.stream == stream) else {
            return false;
        };
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.gate.clock().now();
        let hours = (micros(hours.0), micros(hours.1));
        self.destroy(&mut inner, &subject, hours, now, "destroy.done", data, false)
    }

    #[expect(clippy::too_many_arguments, reason = "one act, told once")]
    fn destroy(
        &self,
        inner: &mut Inner,
        subject: &Subject,
        (from, until): (Micros, Micros),
        now: DateTime<Utc>,
        name: &'static str,
        mut data: serde_json::Value,
        for_budget: bool,
    ) -> bool {
        let destroyed: Destroyed = match self.vault.destroy_hours(subject.stream, from, until) {
            Ok(destroyed) => destroyed,
            Err(error) => {
                self.figures.failures.fetch_add(1, Relaxed);
                tracing::error!(stream = subject.stream.0, %error, "footage that is due could not be destroyed whole; it is tried again");
                return false;
            }
        };
        if destroyed.keys.is_empty() {
            return false;
        }
        let keys = destroyed.keys.len() as u64;
        self.figures.keys.fetch_add(keys, Relaxed);
        if let Some(announced) = inner.state.announced.get_mut(&subject.stream.0) {
            announced.retain(|hour| *hour < from.0 || *hour >= until.0);
        }
        let tally = inner.state.tallies.entry(subject.municipality.clone()).or_default();
        tally.keys += keys;
        tally.bytes += destroyed.bytes;
        tally.volumes += destroyed.volumes_unlinked;
        tally.for_budget += if for_budget { keys } else { 0 };
        if let Some(data) = data.as_object_mut() {
            data.insert("keys".to_owned(), destroyed.keys.into());
            data.insert("copies".to_owned(), "both overwritten and synced".into());
            data.insert("bytes".to_owned(), destroyed.bytes.to_string().into());
            data.insert("volumes_unlinked".to_owned(), destroyed.volumes_unlinked.into());
            data.insert("unlinks_failed".to_owned(), destroyed.unlinks_failed.into());
        }
        let mut entry = Entry::new(now, Operation::Destroy, name);
        entry.object = Some(object(subject, from, until));
        entry.data = Some(data);
        self.gate.log().append_spooled(entry);
        true
    }

    /// The second limit: bytes. It alarms long before it bites, and what it takes it takes hour by hour from the oldest
    /// on, each intent logged through the gate first.
    fn budget(&self, inner: &mut Inner, now: DateTime<Utc>) {
        let Some(budget) = self.budget_bytes.filter(|budget| *budget > 0) else { return };
        let percent = self.vault.stats().bytes.saturating_mul(100) / budget;
        let before = self.figures.budget_percent.swap(percent, Relaxed);
        if percent >= ALARM_PERCENT && before < ALARM_PERCENT {
            tracing::error!(
                percent,
                "footage fills its byte budget; beyond it the oldest is destroyed before its term"
            );
            let mut entry = Entry::new(now, Operation::Maintenance, "budget.alarm");
            entry.data = Some(serde_json::json!({ "percent": percent }));
            self.gate.log().append_spooled(entry);
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        for _ in 0..BUDGET_STEPS {
            if self.vault.stats().bytes <= budget {
                return;
            }
            let subjects = self.subjects();
            let oldest = subjects.iter().filter_map(|s| self.vault.key_hours(s.stream).first().copied());
            // The hour that is being recorded is never taken.
            let Some(hour) = oldest.min().filter(|hour| hour.plus(HOUR) < micros(now)) else { return };
            let mut any = false;
            for subject in &subjects {
                let Some(camera) = &subject.camera else { continue };
                if !self.vault.key_hours(subject.stream).contains(&hour) {
                    continue;
                }
                let (from, until) = (hour, hour.plus(HOUR));
                let object =
                    Object::Footage { camera: camera.clone(), from: instant(from), until: instant(until) };
                let mut request = Request::by_system(Action::Destroy, object);
                request.resolved.destroy_ground = Some(DestroyGround::BudgetInstruction);
                let ask = Ask { request, session: None, name: "destroy.budget", display: None };
                if runtime.block_on(self.gate.act(&ask)).is_err() {
                    tracing::error!(
                        "the budget is used up, but without an entry nothing is destroyed before its term"
                    );
                    return;
                }
                let data = serde_json::json!({ "ground": "byte budget" });
                any |= self.destroy(inner, subject, (from, until), now, "destroy.done", data, true);
            }
            if !any {
                return;
            }
        }
    }

    /// Once a day, for each municipality: what was destroyed the day before, and what is oldest now.
    fn report(&self, inner: &mut Inner, now: DateTime<Utc>) {
        let today = now.date_naive();
        let Some(day) = inner.state.day else {
            inner.state.day = Some(today);
            return;
        };
        if day == today {
            return;
        }
        inner.state.day = Some(today);
        let mut tallies = std::mem::take(&mut inner.state.tallies);
        let snapshot = self.gate.snapshot();
        for municipality in snapshot.register.municipalities() {
            let tally = tallies.remove(&municipality.id.to_string()).unwrap_or_default();
            let cameras = self.streams.iter().filter(|c| {
                snapshot
                    .register
                    .camera(&c.camera)
                    .is_some_and(|camera| camera.municipality == municipality.id)
            });
            let oldest: BTreeMap<_, _> = cameras
                .filter_map(|c| {
                    Some((c.camera.to_string(), instant(self.vault.oldest(c.main.stream).ok()??)))
                })
                .collect();
            let mut entry = Entry::new(now, Operation::Destroy, "destroy.report");
            entry.object = Some(LogObject {
                municipality: Some(municipality.id.to_string()),
                ..LogObject::thing("footage", day.to_string())
            });
            entry.data = Some(serde_json::json!({
                "day": day, "keys": tally.keys, "bytes": tally.bytes.to_string(), "volumes_unlinked": tally.volumes,
                "keys_for_budget": tally.for_budget, "oldest": oldest,
            }));
            self.gate.log().append_spooled(entry);
        }
    }

    /// The start of the oldest footage by camera.
    pub fn oldest(&self) -> Vec<(CameraId, Micros)> {
        self.streams
            .iter()
            .filter_map(|c| Some((c.camera.clone(), self.vault.oldest(c.main.stream).ok()??)))
            .collect()
    }
}

const HOUR: i64 = 3_600_000_000;

fn object(subject: &Subject, from: Micros, until: Micros) -> LogObject {
    LogObject {
        kind: "footage".to_owned(),
        id: subject.camera.is_none().then(|| format!("stream {}", subject.stream.0)),
        camera: subject.camera.as_ref().map(ToString::to_string),
        municipality: Some(subject.municipality.clone()).filter(|m| !m.is_empty()),
        from: Some(instant(from)),
        until: Some(instant(until)),
        ..LogObject::default()
    }
}

#[cfg(test)]
mod tests;
