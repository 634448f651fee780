//! Opening and closing streams.
//!
//! A stream's session runs from [`Ingest::open`] to the instant of [`Ingest::close`], [`Ingest::close_at`] or
//! [`Ingest::close_after`].
//! Recorded streams and those that are only watched run on different threads where there are two or more, so that
//! a wall of small live pictures does not make the threads of the recorder run short rounds.

use crate::clock;
use crate::hub::{Hub, Slot};
use crate::rounds::{Lane, Rounds};
use crate::session::{Closing, Session};
use crate::state::SessionState;
use media::{GapReason, Micros, Parameters, StreamId};
use retina::client::{Credentials, SessionGroup};
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use url::Url;

/// How ingest is set up.
#[derive(Clone, Copy, Debug)]
pub struct IngestConfig {
    /// Threads; at least one. One thread carries some hundreds of streams of 4 Mbit/s.
    pub threads: usize,
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self { threads: 2 }
    }
}

/// How a stream's pictures travel from the camera.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// Interleaved in the RTSP connection (RFC 2326 section 10.12).
    #[default]
    Tcp,
    /// RTP over UDP.
    Udp,
}

/// One stream to connect.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionConfig {
    /// The stream it feeds.
    pub stream: StreamId,
    /// The camera, for sessions that must not step on each other's toes: main and sub stream of one camera share it.
    pub camera_group: String,
    /// `rtsp://host[:port]/path`. A user name and password in it are used if none are given beside it.
    pub url: String,
    /// User name for Digest or Basic.
    pub username: Option<String>,
    /// Password for it.
    pub password: Option<String>,
    /// TCP or UDP.
    pub transport: Transport,
    /// Whether every unit also goes to the recorder.
    pub recorded: bool,
}

impl std::fmt::Debug for SessionConfig {
    /// Without the password, and without the address, which may hold one.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionConfig")
            .field("stream", &self.stream)
            .field("camera_group", &self.camera_group)
            .field("transport", &self.transport)
            .field("recorded", &self.recorded)
            .finish_non_exhaustive()
    }
}

/// Why ingest cannot do what was asked.
#[derive(Debug, Error)]
pub enum IngestError {
    /// The address is no `rtsp://` URL with a host.
    #[error("the address of {stream} is no rtsp:// address: {problem}")]
    Address {
        /// The stream.
        stream: StreamId,
        /// What is wrong, without the address itself, which may hold a password.
        problem: String,
    },
    /// The threads could not be started.
    #[error("ingest threads could not be started: {0}")]
    Threads(#[from] std::io::Error),
}

/// All sessions. Dropping it closes them and waits for their goodbyes, at most about a second.
#[derive(Debug)]
pub struct Ingest {
    hub: Arc<Hub>,
    entries: Mutex<HashMap<StreamId, Entry>>,
    groups: Mutex<HashMap<String, Arc<Group>>>,
    threads: Vec<Rounds>,
}

/// A camera's sessions, with a `Debug` that retina's type lacks.
pub(crate) struct Group(pub(crate) Arc<SessionGroup>);

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Group").field(&self.0.name()).finish()
    }
}

#[derive(Debug, Default)]
struct Entry {
    state: watch::Sender<SessionState>,
    /// The newest parameters over all sessions of this stream: generations count on, and equal parameters keep
    /// their number, so a generation means one thing as long as the process lives.
    parameters: Arc<Mutex<Option<Arc<Parameters>>>>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    config: SessionConfig,
    closing: Arc<Closing>,
    slot: Arc<Slot>,
    thread: usize,
    task: JoinHandle<()>,
    timer: Option<AbortHandle>,
}

impl Ingest {
    /// Starts the threads; nothing is connected yet.
    pub fn start(config: IngestConfig, hub: Arc<Hub>) -> Result<Self, IngestError> {
        let threads = (0..config.threads.max(1)).map(Rounds::start).collect::<Result<_, _>>()?;
        Ok(Self { hub, entries: Mutex::default(), groups: Mutex::default(), threads })
    }

    /// The hub that the sessions feed.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Connects a stream and keeps it connected. A stream that is open with the same configuration stays as it is,
    /// and a close planned for it is lifted; with another configuration it is connected anew, and its subscriptions end.
    pub fn open(&self, config: SessionConfig) -> Result<(), IngestError> {
        let (url, credentials) = address(&config)?;
        let mut entries = self.entries();
        let entry = entries.entry(config.stream).or_default();
        if let Some(running) = &mut entry.running
            && running.config == config
            && running.closing.lift(|| running.slot.cut(None))
        {
            if let Some(timer) = running.timer.take() {
                timer.abort();
            }
            return Ok(());
        }
        let previous = entry.running.take().map(|running| {
            self.close_running(&running, Duration::ZERO, clock::now(), GapReason::CameraOffline);
            running.task
        });
        let slot = self.hub.slot(config.stream);
        let closing = Arc::new(Closing::default());
        let lane = Arc::new(Lane {
            slot: Arc::clone(&slot),
            hurried: AtomicBool::new(false),
            datagrams: config.transport == Transport::Udp,
        });
        let session = Session {
            stream: config.stream,
            url,
            credentials,
            transport: config.transport,
            recorded: config.recorded,
            hub: Arc::clone(&self.hub),
            lane: Arc::clone(&lane),
            group: self.group(&config.camera_group),
            state: entry.state.clone(),
            parameters: Arc::clone(&entry.parameters),
            closing: Arc::clone(&closing),
            opened: clock::now(),
        };
        let thread = self.thread_for(config.recorded);
        let Some(rounds) = self.threads.get(thread) else { return Ok(()) };
        let task = rounds.spawn(lane, session.run(previous));
        entry.running = Some(Running { config, closing, slot, thread, task, timer: None });
        Ok(())
    }

    /// Closes a stream now: see [`Ingest::close_at`].
    pub fn close(&self, stream: StreamId, reason: GapReason) {
        self.close_after(stream, Duration::ZERO, clock::now(), reason);
    }

    /// Closes a stream at an instant, past or to come. No unit captured at or after it is delivered or recorded once
    /// this returns, however late the connection ends; `reason` is what the recorder is told of the time from then
    /// on. Subscriptions end when they have delivered what was captured before. A stream that is not open stays so.
    pub fn close_at(&self, stream: StreamId, at: Micros, reason: GapReason) {
        let wait = u64::try_from(at.0 - clock::now().0).unwrap_or(0);
        self.close_after(stream, Duration::from_micros(wait), at, reason);
    }

    /// The same for callers whose clock is another than the one by which pictures are stamped: `wait` says how far off the
    /// instant is by theirs. When it is over the session ends, whatever its pictures say of the time.
    pub fn close_after(&self, stream: StreamId, wait: Duration, at: Micros, reason: GapReason) {
        let mut entries = self.entries();
        let Some(running) = entries.get_mut(&stream).and_then(|entry| entry.running.as_mut()) else { return };
        if let Some(timer) = running.timer.take() {
            timer.abort();
        }
        running.timer = self.close_running(running, wait, at, reason);
    }

    /// The state of a stream's session, now and from now on.
    pub fn state(&self, stream: StreamId) -> watch::Receiver<SessionState> {
        self.entries().entry(stream).or_default().state.subscribe()
    }

    fn close_running(
        &self,
        running: &Running,
        wait: Duration,
        at: Micros,
        reason: GapReason,
    ) -> Option<AbortHandle> {
        running.closing.plan(at, reason, || running.slot.cut(Some(at)));
        let rounds = self.threads.get(running.thread)?;
        if wait.is_zero() {
            running.closing.expire();
            rounds.thread().unpark();
            return None;
        }
        // The hub refuses each unit from `at` on by itself; this ends a session that brings none.
        let closing = Arc::clone(&running.closing);
        let timer = rounds.spawn_aside(async move {
            tokio::time::sleep(wait).await;
            closing.expire();
        });
        Some(timer.abort_handle())
    }

    /// The least loaded thread of those for recorded streams, or of those for the others.
    fn thread_for(&self, recorded: bool) -> usize {
        let for_recording = self.threads.len().div_ceil(2);
        let range = match (self.threads.len(), recorded) {
            (1, _) | (_, true) => 0..for_recording,
            (all, false) => for_recording..all,
        };
        range.min_by_key(|&index| self.threads.get(index).map_or(usize::MAX, Rounds::load)).unwrap_or(0)
    }

    fn group(&self, name: &str) -> Arc<SessionGroup> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let group = groups
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(Group(Arc::new(SessionGroup::default().named(name.to_owned())))));
        Arc::clone(&group.0)
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<StreamId, Entry>> {
        // A panic under this lock leaves at worst one stream unopened.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        let now = clock::now();
        for entry in self.entries().values() {
            if let Some(running) = &entry.running {
                self.close_running(running, Duration::ZERO, now, GapReason::NotRunning);
            }
        }
        // All at once: each is then joined when it is dropped.
        self.threads.iter().for_each(Rounds::stop);
    }
}

/// The address without credentials, and the credentials.
fn address(config: &SessionConfig) -> Result<(Url, Option<Credentials>), IngestError> {
    let wrong = |problem: String| IngestError::Address { stream: config.stream, problem };
    let mut url = Url::parse(&config.url).map_err(|error| wrong(error.to_string()))?;
    if url.scheme() != "rtsp" {
        return Err(wrong(format!("it begins with {}:", url.scheme())));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("it names no host".to_owned()));
    }
    let inside = (!url.username().is_empty())
        .then(|| (percent_decoded(url.username()), percent_decoded(url.password().unwrap_or_default())));
    if url.set_username("").is_err() || url.set_password(None).is_err() {
        return Err(wrong("its user name cannot be separated".to_owned()));
    }
    let beside = config.username.clone().map(|name| (name, config.password.clone().unwrap_or_default()));
    let credentials = beside.or(inside).map(|(username, password)| Credentials { username, password });
    Ok((url, credentials))
}

/// Undoes the percent-encoding of a URL's user name or password.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = match (first, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> SessionConfig {
        SessionConfig {
            stream: StreamId(7),
            camera_group: "ENS-C01".to_owned(),
            url: url.to_owned(),
            username: None,
            password: None,
            transport: Transport::Tcp,
            recorded: false,
        }
    }

    #[test]
    fn credentials_are_taken_out_of_the_address() {
        let (url, credentials) = address(&config("rtsp://admin:ge%2Fheim%25@10.1.2.3:554/main?x=1")).unwrap();
        assert_eq!(url.as_str(), "rtsp://10.1.2.3:554/main?x=1");
        let credentials = credentials.unwrap();
        assert_eq!((credentials.username.as_str(), credentials.password.as_str()), ("admin", "ge/heim%"));
    }

    #[test]
    fn credentials_beside_the_address_win() {
        let mut config = config("rtsp://a:b@camera/main");
        config.username = Some("c".to_owned());
        let (_, credentials) = address(&config).unwrap();
        assert_eq!(credentials.unwrap(), Credentials { username: "c".to_owned(), password: String::new() });
    }

    #[test]
    fn what_is_no_rtsp_address_is_refused_without_repeating_it() {
        for url in ["http://u:geheim@camera/", "geheim", "rtsp:geheim", "rtsp://"] {
            let error = address(&config(url)).unwrap_err().to_string();
            assert!(error.contains("stream 7") && !error.contains("geheim"), "{url}: {error}");
        }
    }

    #[test]
    fn a_configuration_prints_without_its_secrets() {
        let mut config = config("rtsp://a:geheim@camera/main");
        config.password = Some("geheim".to_owned());
        assert!(!format!("{config:?}").contains("geheim"));
    }
}
