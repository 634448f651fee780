//! When cameras are connected and recorded: inside their use period, and at no other instant.
//!
//! The recorder asks the law for each camera as the platform itself (`Action::Record`), connects what is permitted and
//! plans the cut at the instant the permit names, so that no picture captured after it is kept, however late this task
//! wakes. The small stream is connected for as long, but never recorded, so that a first picture is there at once
//! (policy). Starts, stops and gaps are logged through the spool: recording never waits for the log.

use crate::{
    clock::{SharedClock, instant, micros},
    coalesce::Coalesced,
    gate::{Ask, Gate, actor, code_text, word},
    log::SharedLog,
    streams::{CameraStreams, Streams},
};
use chrono::{DateTime, TimeDelta, Utc};
use ingest::{Ingest, RecorderSink};
use ledger::{Entry, Object as LogObject, Operation, Outcome};
use mandate::{Action, CameraId, Decision, Object, Register, Request, decide};
use media::{AccessUnit, GapReason, Micros, StreamId};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use vault::{StreamPolicy, Vault};

/// Gaps of one camera for one reason within this time share an entry.
const FLAPPING: TimeDelta = TimeDelta::minutes(10);
/// How many permits in a row are looked through for the instant at which recording really ends.
const CHAIN: usize = 64;
/// Boundaries further away than this are looked at again later; the register is compiled for a bounded time ahead.
const LOOK_AHEAD: TimeDelta = TimeDelta::hours(1);

/// Carries what ingest receives to the vault, and counts it.
pub struct Recording {
    vault: Vault,
    log: SharedLog,
    clock: SharedClock,
    cameras: Mutex<HashMap<StreamId, CameraId>>,
    /// Says in which municipality a camera stands; none before there is a recorder.
    gate: OnceLock<Gate>,
    flapping: Coalesced<(StreamId, &'static str)>,
    /// Units handed to the vault.
    pub units: AtomicU64,
    /// Their payload bytes.
    pub bytes: AtomicU64,
    /// Gaps begun.
    pub gaps: AtomicU64,
    /// How much earlier than noted the newest picture may have arrived, µs.
    pub within: AtomicU64,
}

impl Recording {
    /// A recorder's sink over a vault.
    pub fn new(vault: Vault, log: SharedLog, clock: SharedClock) -> Self {
        Self {
            vault,
            log,
            clock,
            cameras: Mutex::default(),
            gate: OnceLock::new(),
            flapping: Coalesced::new(FLAPPING, 1),
            units: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            gaps: AtomicU64::new(0),
            within: AtomicU64::new(0),
        }
    }

    fn name(&self, streams: &Streams, gate: &Gate) {
        self.gate.get_or_init(|| gate.clone());
        let mut cameras = self.cameras.lock().unwrap_or_else(PoisonError::into_inner);
        cameras.extend(streams.iter().map(|c| (c.main.stream, c.camera.clone())));
    }
}

impl Recording {
    /// Logs the gaps that were counted and not told, of cameras that have come to rest; at a stop of all.
    pub fn tell_gaps(&self, all: bool) {
        let gaps = if all { self.flapping.rest() } else { self.flapping.overdue(self.clock.now()) };
        for ((stream, reason), gaps) in gaps {
            let mut entry = self.gap_entry(stream, reason);
            entry.data = Some(serde_json::json!({ "gaps_since_last_entry": gaps }));
            self.log.append_spooled(entry);
        }
    }

    fn gap_entry(&self, stream: StreamId, reason: &str) -> Entry {
        let camera = self.cameras.lock().unwrap_or_else(PoisonError::into_inner).get(&stream).cloned();
        let mut entry = Entry::new(self.clock.now(), Operation::Collect, "record.gap");
        entry.object = camera.map(|camera| {
            let register = self.gate.get().map(Gate::snapshot);
            let known = register.as_ref().and_then(|known| known.register.camera(&camera));
            LogObject {
                camera: Some(camera.to_string()),
                municipality: known.map(|known| known.municipality.to_string()),
                kind: "camera".to_owned(),
                ..LogObject::default()
            }
        });
        entry.outcome = Outcome::Failed { reason_code: reason.to_owned() };
        entry
    }
}

impl RecorderSink for Recording {
    fn unit(&self, unit: &AccessUnit) {
        self.units.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(unit.payload.len() as u64, Ordering::Relaxed);
        self.within.store(unit.received_within.into(), Ordering::Relaxed);
        self.vault.accept(unit.clone());
    }

    fn gap(&self, stream: StreamId, from: Micros, reason: GapReason) {
        self.gaps.fetch_add(1, Ordering::Relaxed);
        self.vault.gap(stream, from, reason);
        // The end of a use period, and the daemon's own, are logged as a stop by the recorder itself.
        if matches!(reason, GapReason::NotInUse | GapReason::NotRunning) {
            return;
        }
        let Some(before) = self.flapping.tell((stream, gap_word(reason)), self.clock.now()) else { return };
        let mut entry = self.gap_entry(stream, gap_word(reason));
        if let Some(object) = &mut entry.object {
            object.from = Some(instant(from));
        }
        if before > 0 {
            // All of them stand in the footage's own index, with their instants.
            entry.data = Some(serde_json::json!({ "gaps_since_last_entry": before + 1 }));
        }
        self.log.append_spooled(entry);
    }
}

/// The stable word of a gap's reason.
pub fn gap_word(reason: GapReason) -> &'static str {
    match reason {
        GapReason::NotRunning => "not_running",
        GapReason::CameraOffline => "camera_offline",
        GapReason::NotInUse => "not_in_use",
        GapReason::DiskFull => "disk_full",
        GapReason::Overload => "overload",
        GapReason::Crash => "crash",
        GapReason::Destroyed => "destroyed",
        GapReason::Refused => "refused",
        GapReason::Damaged => "damaged",
    }
}

/// Decides when each camera is connected. Run it for as long as the daemon lives.
pub struct Recorder {
    gate: Gate,
    ingest: Arc<Ingest>,
    vault: Vault,
    streams: Arc<Streams>,
    /// What is connected: the look that ties start and stop together in the log.
    open: HashMap<CameraId, Open>,
}

struct Open {
    look: String,
    until: Option<DateTime<Utc>>,
}

impl Recorder {
    /// A recorder for the configured streams.
    pub fn new(
        gate: Gate,
        ingest: Arc<Ingest>,
        vault: Vault,
        streams: Arc<Streams>,
        sink: &Recording,
    ) -> Self {
        sink.name(&streams, &gate);
        Self { gate, ingest, vault, streams, open: HashMap::new() }
    }

    /// Keeps every camera connected exactly while the law permits recording it.
    pub async fn run(mut self, stop: tokio_util::sync::CancellationToken) {
        let mut register = self.gate.register();
        loop {
            register.borrow_and_update();
            let next = self.plan();
            let clock = self.gate.clock().clone();
            tokio::select! {
                () = clock.reached(next) => {}
                changed = register.changed() => if changed.is_err() { break },
                () = stop.cancelled() => break,
            }
        }
        let now = self.gate.clock().now();
        let streams = self.streams.clone();
        for camera in streams.iter() {
            self.close(camera, now, GapReason::NotRunning, "daemon_stops");
        }
    }

    /// Brings every camera in line with the law; gives the instant at which to look again.
    fn plan(&mut self) -> DateTime<Utc> {
        let now = self.gate.clock().now();
        let snapshot = self.gate.snapshot();
        let mut next = now + LOOK_AHEAD;
        let streams = self.streams.clone();
        for camera in streams.iter() {
            let request = record_request(&camera.camera);
            match decide(&snapshot.register, &request, now) {
                Decision::Permit(permit) => {
                    let until =
                        carried_until(&snapshot.register, &request, permit.until(), now + LOOK_AHEAD * 2);
                    next = next.min(until.unwrap_or(next));
                    self.keep_open(camera, until, now);
                }
                Decision::Deny(denial) => {
                    next = next.min(denial.until.unwrap_or(next));
                    self.close(camera, now, GapReason::NotInUse, &code_text(denial.code));
                }
            }
        }
        // Never a busy loop, should a boundary lie at this very instant.
        next.max(now + TimeDelta::milliseconds(20))
    }

    fn keep_open(&mut self, camera: &CameraStreams, until: Option<DateTime<Utc>>, now: DateTime<Utc>) {
        let known = self.open.get(&camera.camera).map(|open| open.until);
        if known == Some(until) {
            return;
        }
        let retention_days = self.retention_days(&camera.camera, now);
        self.vault.set_policy(
            camera.main.stream,
            StreamPolicy { retention_class: retention_days, importance: camera.importance },
        );
        for config in std::iter::once(&camera.main).chain(&camera.sub) {
            if let Err(error) = self.ingest.open(config.clone()) {
                tracing::error!(camera = %camera.camera, %error, "the stream cannot be opened");
                continue;
            }
            if let Some(until) = until {
                // By guarded time: where the wall clock was set back, the pictures' own stamps come too late.
                let wait = (until - now).to_std().unwrap_or_default();
                self.ingest.close_after(config.stream, wait, micros(until), GapReason::NotInUse);
            }
        }
        if known.is_none() {
            let look = crate::identity::random::<8>().map(|b| crate::identity::hex(&b)).unwrap_or_default();
            self.log(camera, "record.start", &look, Outcome::Permit, until, now);
            tracing::info!(camera = %camera.camera, ?until, "recording");
            self.open.insert(camera.camera.clone(), Open { look, until });
        } else if let Some(open) = self.open.get_mut(&camera.camera) {
            open.until = until;
        }
    }

    fn close(&mut self, camera: &CameraStreams, now: DateTime<Utc>, reason: GapReason, code: &str) {
        let Some(open) = self.open.remove(&camera.camera) else { return };
        // The instant that the permit named, if that is what ended it: this task may wake a little later.
        let at = open.until.filter(|u| *u <= now && reason == GapReason::NotInUse).unwrap_or(now);
        for config in std::iter::once(&camera.main).chain(&camera.sub) {
            // It is due, whatever the wall clock says.
            self.ingest.close_after(config.stream, Duration::ZERO, micros(at), reason);
        }
        self.log(
            camera,
            "record.stop",
            &open.look,
            Outcome::Deny { reason_code: code.to_owned() },
            None,
            now,
        );
        tracing::info!(camera = %camera.camera, code, "not recording");
    }

    fn retention_days(&self, camera: &CameraId, now: DateTime<Utc>) -> u32 {
        let days = self.gate.snapshot().register.decree_of(camera, now).map_or(28, |d| d.retention_days);
        days.min(28)
    }

    fn log(
        &self,
        camera: &CameraStreams,
        name: &'static str,
        look: &str,
        outcome: Outcome,
        until: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) {
        let snapshot = self.gate.snapshot();
        let request = record_request(&camera.camera);
        let basis = decide(&snapshot.register, &request, now)
            .permit()
            .map(|p| p.basis().to_vec())
            .unwrap_or_default();
        let mut entry = Entry::new(now, Operation::Collect, name);
        entry.actor = actor(&request.actor, &snapshot, &[]);
        entry.look = Some(look.to_owned());
        let municipality =
            snapshot.register.camera(&camera.camera).map(|c| c.municipality.to_string()).unwrap_or_default();
        entry.object = Some(LogObject::camera(&camera.camera, municipality));
        entry.outcome = outcome;
        entry.legal_context.basis =
            basis.iter().map(|f| format!("{} {} v{}", word(&f.kind), f.id, f.version)).collect();
        entry.legal_context.policy_version = Some(snapshot.register.policy_version().to_string());
        entry.legal_context.register_head = Some(snapshot.head.to_string());
        entry.legal_context.until = until;
        self.gate.log().append_spooled(entry);
    }
}

/// The platform's request to record a camera.
pub fn record_request(camera: &CameraId) -> Request {
    Request::by_system(Action::Record, Object::Camera(camera.clone()))
}

/// The platform asks for an act of its own, for the log.
pub fn system_ask(request: Request, name: &'static str) -> Ask {
    Ask { request, session: None, name, display: None }
}

/// The first instant at which no permit follows the one before, looking no further than `horizon`: boundaries between two
/// permits make no cut.
fn carried_until(
    register: &Register,
    request: &Request,
    first: Option<DateTime<Utc>>,
    horizon: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let mut until = first?;
    for _ in 0..CHAIN {
        if until > horizon {
            return Some(until);
        }
        match decide(register, request, until) {
            Decision::Permit(permit) => until = permit.until()?,
            Decision::Deny(_) => return Some(until),
        }
    }
    Some(until)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::ManualClock,
        testing::{FakeLog, journal},
    };
    use ingest::{Hub, HubConfig, IngestConfig, SessionState};
    use vault::VaultConfig;

    /// Guarded time is an hour ahead of the wall clock, which was set back: what is revoked, or ends as planned, ends now and
    /// not an hour later.
    #[tokio::test]
    async fn recording_ends_by_guarded_time() {
        let folder = tempfile::tempdir().unwrap();
        let now = Utc::now() + TimeDelta::hours(1);
        let clock = ManualClock::new(now);
        let log = FakeLog::new(&clock);
        let journal = journal(folder.path(), &log, &clock).await;
        let gate = Gate::new(journal.watch(), log.clone(), Arc::new(clock.clone()));
        let main = settings::StreamSource {
            url: "rtsp://127.0.0.1:9/1".to_owned(),
            transport: settings::Transport::Tcp,
            username: None,
            password: None,
        };
        let source = settings::CameraSource { camera: "C1".into(), main, sub: None, importance: 1 };
        let streams = Arc::new(Streams::new(&[source], &journal).unwrap());
        let keys = [folder.path().join("a"), folder.path().join("b")];
        let vault = Vault::open(VaultConfig::new(folder.path().join("vault"), keys)).unwrap();
        let sink = Arc::new(Recording::new(vault.clone(), log.clone(), Arc::new(clock.clone())));
        let hub = Arc::new(Hub::new(HubConfig::default(), sink.clone()));
        let ingest = Arc::new(Ingest::start(IngestConfig { threads: 1 }, hub).unwrap());
        let mut recorder = Recorder::new(gate, ingest.clone(), vault, streams.clone(), &sink);
        let camera = streams.iter().next().unwrap();
        let mut state = ingest.state(camera.main.stream);
        let minute = Duration::from_mins(1);
        // Revoked long before the end that was planned; then the end that was planned, for which nobody wakes.
        for (planned, revoked) in [(TimeDelta::hours(5), true), (TimeDelta::milliseconds(500), false)] {
            state.mark_unchanged();
            recorder.keep_open(camera, Some(now + planned), now);
            tokio::time::timeout(minute, state.changed()).await.expect("it begins").unwrap();
            if revoked {
                recorder.close(camera, now, GapReason::NotInUse, "revoked");
            }
            let idle = state.wait_for(|state| *state == SessionState::Idle);
            tokio::time::timeout(minute, idle).await.expect("it ends").unwrap();
        }
        let mut told = log.actions();
        told.retain(|action| action.starts_with("record.st"));
        assert_eq!(told, ["record.start permit", "record.stop deny", "record.start permit"]);
    }
}
