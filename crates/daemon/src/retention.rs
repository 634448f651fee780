//! Footage dies on time: announced a day ahead, key first, then the volume, then the entry that it is done.
//!
//! Every key serves one stream for one hour. It dies when the first frame of its hour reaches the end of its term, by
//! guarded time ([`crate::guard`]) and a minute early rather than late; nothing that this waits for can make it late: not
//! the log (entries are spooled), not a disk that does not unlink. The law's term of an hour is asked piece by piece
//! ([`mandate::judge`](mandate::judgement::judge)), so that a change of a decree shows at once. Before recording begins after a downtime, what fell due
//! meanwhile is destroyed.

mod ahead;
mod budget;
mod destroying;
mod report;
mod state;
mod watch;

use crate::{
    clock::{Floor, STEP, instant, micros},
    gate::Gate,
    guard::{Guarded, GuardedTime, Reading},
    streams::Streams,
};
use chrono::{DateTime, TimeDelta, Utc};
use destroying::count_hours;
use ledger::{Clock, Entry, Object as LogObject, Operation};
use mandate::{CameraId, FactBody, judgement::judge};
use media::{Micros, StreamId};
use state::{Announcement, State};
use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use vault::Vault;

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

/// What the metrics tell of it.
#[derive(Debug, Default)]
pub struct Figures {
    /// Whether the clock is doubted: nothing is destroyed meanwhile.
    pub clock_doubted: AtomicBool,
    /// Whether the clock is behind what has passed: time goes on without it.
    pub clock_set_back: AtomicBool,
    /// Whether the mark of guarded time cannot be written: time goes on with the one in memory.
    pub clock_unkept: AtomicBool,
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
    /// Whether a copy of the key store cannot be read.
    pub unreadable_keys: AtomicBool,
    /// Holds whose two copies differ or of which one is missing.
    pub differing_holds: AtomicU64,
    /// Volumes in which nothing lives and that the disk did not unlink.
    pub unlinks_failed: AtomicU64,
}

/// The scheduler of destruction.
pub struct Retention {
    gate: Gate,
    vault: Vault,
    streams: Arc<Streams>,
    budget_bytes: Option<u64>,
    path: PathBuf,
    /// How well the machine's clock is disciplined.
    synchronised: fn() -> Clock,
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
    /// What was last said of the two copies.
    copies: Option<serde_json::Value>,
    /// Whether it was said what opening the key store found.
    opening_told: bool,
    /// Whether it was said that the budget frees nothing.
    stuck: bool,
}

/// One stream, whose it is.
struct Subject {
    stream: StreamId,
    camera: Option<CameraId>,
    municipality: String,
}

impl Subject {
    /// How reports name it.
    fn name(&self) -> String {
        self.camera.as_ref().map_or_else(|| format!("stream {}", self.stream.0), ToString::to_string)
    }
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
        let state = State::read(&path)?;
        let guard = GuardedTime::open(&data.join("guarded-time.json"))?;
        let inner = Inner {
            state,
            guard,
            due: HashMap::new(),
            head: String::new(),
            compare_at: None,
            copies: None,
            opening_told: false,
            stuck: false,
        };
        let (inner, figures) = (Mutex::new(inner), Figures::default());
        let synchronised = crate::synchronisation::read;
        Ok(Self { gate, vault, streams, budget_bytes, path, synchronised, inner, figures })
    }

    /// One pass by the machine's clocks: announces, destroys, reports. Blocks for the disk.
    pub fn pass(&self) {
        let reading = Reading::now(self.gate.clock().wall());
        self.pass_at(&reading);
    }

    /// What the machine's clock shows, and what is believed of it now.
    pub fn believed(&self) -> (DateTime<Utc>, Guarded) {
        let reading = Reading::now(self.gate.clock().wall());
        let witnessed = self.confirmed(&reading);
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        (reading.wall, inner.guard.judge(&reading, witnessed))
    }

    /// The time of the newest cosignature, where the machine does not say itself that its clock follows no server: a jump is
    /// believed by both or not at all (`decisions.md` 20). A machine that cannot be asked contradicts nobody.
    fn confirmed(&self, reading: &Reading) -> Option<DateTime<Utc>> {
        let witnessed = self.gate.log().health().borrow().witnessed_at?;
        let by_itself = {
            let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            inner.guard.judge(reading, None).trusted
        };
        // Asked only where it decides: it may take a child process two seconds.
        (by_itself || (self.synchronised)() != Clock::Unsynchronised).then_some(witnessed)
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
        let witnessed = self.confirmed(reading);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let guarded = inner.guard.observe(reading, witnessed);
        self.figures.clock_unkept.store(guarded.trusted && !inner.guard.is_kept(), Relaxed);
        let doubted = self.figures.clock_doubted.swap(!guarded.trusted, Relaxed);
        if guarded.trusted == doubted {
            self.clock_changed(reading, guarded);
        }
        self.gate.doubt_clock(!guarded.trusted);
        self.tell_of_opening(&mut inner, guarded.now);
        if !guarded.trusted {
            if self.note_ahead(&mut inner, guarded.now, false) {
                inner.state.keep(&self.path);
            }
            return;
        }
        Self::settle_ahead(&mut inner, guarded.now);
        self.note_ahead(&mut inner, guarded.now, true);
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
        if self.vault.stats().keys_lost {
            self.forget_lost(&mut inner);
        }
        self.finish(&mut inner, guarded.now);
        for subject in self.subjects() {
            self.stream(&mut inner, &subject, guarded.now);
        }
        self.budget(&mut inner, guarded.now);
        if inner.compare_at.is_none_or(|at| guarded.now >= at) {
            inner.compare_at = Some(guarded.now + COMPARE);
            self.compare_copies(&mut inner, guarded.now);
        }
        self.forget_ahead(&mut inner);
        inner.state.keep(&self.path);
    }

    /// Before anything new is recorded: where the clock is doubted (the machine was off for longer than it has been up), waits
    /// for a witness to confirm it, and then destroys what fell due meanwhile. After `patience` it goes on with an alarm:
    /// recording waits no longer. Gives whether the clock is believed.
    pub async fn before_recording(
        self: &Arc<Self>,
        patience: Duration,
        reading: impl Fn() -> Reading + Send + Sync,
    ) -> bool {
        let mut health = self.gate.log().health();
        let end = tokio::time::Instant::now() + patience;
        while self.figures.clock_doubted.load(Relaxed) {
            let heard = health.borrow_and_update().witnessed_at;
            let more = health.wait_for(|health| health.witnessed_at != heard);
            if !matches!(tokio::time::timeout_at(end, more).await, Ok(Ok(_))) {
                tracing::error!(
                    "ALARM: recording begins although nobody has confirmed the clock: what may be due is not destroyed yet"
                );
                return false;
            }
            let (retention, reading) = (self.clone(), reading());
            if tokio::task::spawn_blocking(move || retention.pass_at(&reading)).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Every stream that has a key, configured or not.
    fn subjects(&self) -> Vec<Subject> {
        self.vault.streams().into_iter().map(|stream| self.subject(stream)).collect()
    }

    /// Whose a stream is: by the journal, which keeps a stream's number for ever, also when its camera is configured no more.
    fn subject(&self, stream: StreamId) -> Subject {
        let snapshot = self.gate.snapshot();
        let camera = self.streams.filed(stream).cloned();
        let known = camera.as_ref().and_then(|camera| snapshot.register.camera(camera));
        let municipality = known.map(|c| c.municipality.to_string()).unwrap_or_default();
        Subject { stream, camera, municipality }
    }

    /// Announces and destroys what is due of one stream.
    fn stream(&self, inner: &mut Inner, subject: &Subject, now: DateTime<Utc>) {
        let mut announce = Vec::new();
        let mut destroy = BTreeSet::new();
        let shortest = self.shortest_term(subject);
        let ahead = inner.state.ahead.get(&subject.stream.0).cloned();
        for hour in self.vault.key_hours(subject.stream) {
            if instant(hour) + shortest > now + ANNOUNCED && !ahead::is_noted(ahead.as_ref(), hour) {
                // Neither due nor to be announced: an archive of four weeks is not judged hour by hour at each start.
                continue;
            }
            let due = ahead::due(ahead.as_ref(), hour, self.due(inner, subject, hour));
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
            let hours_of = |counts: &dyn Fn(&i64) -> bool| count_hours(from, until, counts);
            let announced = inner.state.announced.get(&subject.stream.0);
            let unannounced = hours_of(&|hour| !announced.is_some_and(|announced| announced.contains(hour)));
            let waiting = |hour: &i64| {
                let of_it = |a: &&Announcement| a.stream == subject.stream.0 && a.hours.contains(hour);
                inner.state.unwitnessed.values().find(of_it).is_some()
            };
            let data = serde_json::json!({
                "unannounced_hours": unannounced, "unwitnessed_hours": hours_of(&waiting),
            });
            self.destroy(inner, subject, (Micros(from), Micros(until)), now, data, false);
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
                    let log = self.gate.entry_of(receipt.seq).log;
                    let announcement = Announcement { stream: subject.stream.0, hours, at, log };
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
            // The register does not know it: the term under which it was recorded, and no frame beyond the longest.
            .unwrap_or_else(|| from + self.recorded_term(subject.stream, hour));
        inner.due.insert((subject.stream, hour.0), due);
        due
    }

    /// No hour of this stream has a shorter term; zero where only the hours themselves know. An hour keeps the term under
    /// which it was captured, so every version of every decree counts.
    fn shortest_term(&self, subject: &Subject) -> TimeDelta {
        let snapshot = self.gate.snapshot();
        if subject.camera.as_ref().is_none_or(|camera| snapshot.register.camera(camera).is_none()) {
            return TimeDelta::zero();
        }
        let days = snapshot.facts.iter().filter_map(|fact| match &fact.body {
            FactBody::Decree(decree) => Some(decree.retention_days),
            _ => None,
        });
        days.min().map_or(LONGEST, |days| TimeDelta::days(days.into()).min(LONGEST))
    }

    /// The term that the recorder gave the keys of an hour.
    fn recorded_term(&self, stream: StreamId, hour: Micros) -> TimeDelta {
        let days = self.vault.class_of_hour(stream, hour).map(i64::from);
        days.and_then(TimeDelta::try_days)
            .filter(|term| *term > TimeDelta::zero())
            .map_or(LONGEST, |t| t.min(LONGEST))
    }

    /// Destroys what a stream has in whole hours, by a decision that was logged already: one key serves an hour, so
    /// nothing less can die. Blocks for the disk. False: it could not be destroyed, or there was nothing.
    pub fn destroy_decided(
        &self,
        stream: StreamId,
        hours: (DateTime<Utc>, DateTime<Utc>),
        data: serde_json::Value,
    ) -> bool {
        let subject = self.subject(stream);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.gate.clock().now();
        let hours = (micros(hours.0), micros(hours.1));
        self.destroy(&mut inner, &subject, hours, now, data, false)
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
