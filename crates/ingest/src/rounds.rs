//! The ingest threads: each has a current-thread runtime that is run in rounds and parked in between.
//!
//! Waking for every packet costs twice the processor time of reading what has gathered in the kernel every 250 ms.
//! A session cannot move between runtimes, so each thread adapts its period to what its streams need now: a few
//! milliseconds while someone watches one of them or one is connecting, long while all are only recorded.

use crate::{clock, hub::Slot};
use media::Micros;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle, Runtime};

/// While someone watches: what a frame waits at most, half of it on average.
const WATCHED: Duration = Duration::from_millis(4);
/// While nobody watches a stream that comes over UDP: bounds what the kernel must hold.
const DATAGRAMS: Duration = Duration::from_millis(25);
/// While nobody watches.
const UNWATCHED: Duration = Duration::from_millis(250);
/// How long an ending thread gives its sessions to say goodbye to their cameras.
const FAREWELL: Duration = Duration::from_secs(1);

thread_local! {
    /// When this thread last began to empty its sockets: what it reads now arrived after that.
    static EMPTIED: Cell<Option<Micros>> = const { Cell::new(None) };
}

/// How much earlier than `received` something that this thread reads now may have arrived, µs; 0 where it is not known.
/// Kernel time stamps would say it for datagrams only; of a TCP byte the kernel knows no time of arrival.
pub(crate) fn uncertainty(received: Micros) -> u32 {
    let since = EMPTIED.with(Cell::get);
    since.map_or(0, |since| u32::try_from((received.0 - since.0).max(1)).unwrap_or(0))
}

/// What a session lets its thread know.
#[derive(Debug)]
pub(crate) struct Lane {
    /// Its place in the hub, which knows whether it is watched.
    pub(crate) slot: Arc<Slot>,
    /// Set while requests and answers go back and forth.
    pub(crate) hurried: AtomicBool,
    /// Whether pictures come over UDP.
    pub(crate) datagrams: bool,
}

/// One ingest thread.
#[derive(Debug)]
pub(crate) struct Rounds {
    shared: Arc<Shared>,
    handle: Handle,
    thread: Thread,
    join: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    lanes: Mutex<Vec<Arc<Lane>>>,
    /// Length of `lanes`.
    load: AtomicUsize,
    stopping: AtomicBool,
}

impl Rounds {
    /// Starts a thread.
    pub(crate) fn start(number: usize) -> std::io::Result<Self> {
        // A round runs every ready session before it looks at the sockets again.
        let runtime = Builder::new_current_thread().enable_all().event_interval(512).build()?;
        let handle = runtime.handle().clone();
        let shared = Arc::new(Shared::default());
        let join = std::thread::Builder::new().name(format!("ingest-{number}")).spawn({
            let shared = Arc::clone(&shared);
            move || shared.run(&runtime)
        })?;
        Ok(Self { shared, handle, thread: join.thread().clone(), join: Some(join) })
    }

    /// How many sessions run here.
    pub(crate) fn load(&self) -> usize {
        self.shared.load.load(Relaxed)
    }

    /// The thread, to be unparked when something has changed.
    pub(crate) fn thread(&self) -> &Thread {
        &self.thread
    }

    /// Runs a session here; `lane` stays known to the thread until the session is over.
    pub(crate) fn spawn<F>(&self, lane: Arc<Lane>, session: F) -> tokio::task::JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.shared.change_lanes(|lanes| lanes.push(Arc::clone(&lane)));
        let shared = Arc::clone(&self.shared);
        let task = self.handle.spawn(async move {
            session.await;
            shared.change_lanes(|lanes| lanes.retain(|other| !Arc::ptr_eq(other, &lane)));
        });
        self.thread.unpark();
        task
    }

    /// Runs something small here, without a lane.
    pub(crate) fn spawn_aside<F>(&self, future: F) -> tokio::task::JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.handle.spawn(future)
    }

    /// Lets the thread end once its sessions are over, at the latest after a second.
    pub(crate) fn stop(&self) {
        self.shared.stopping.store(true, SeqCst);
        self.thread.unpark();
    }
}

impl Drop for Rounds {
    fn drop(&mut self) {
        self.stop();
        if let Some(join) = self.join.take()
            && join.join().is_err()
        {
            tracing::error!("an ingest thread had panicked");
        }
    }
}

impl Shared {
    fn run(&self, runtime: &Runtime) {
        let mut next = Instant::now();
        let mut farewell = None;
        // Whatever is read in the first round arrived after there was somebody to read it.
        let mut begun = Some(clock::now());
        loop {
            EMPTIED.with(|emptied| emptied.set(begun));
            begun = Some(clock::now());
            runtime.block_on(round());
            let now = Instant::now();
            let period = if self.stopping.load(SeqCst) {
                let until = *farewell.get_or_insert(now + FAREWELL);
                // Sessions and what retina runs to tear them down.
                if now >= until || runtime.metrics().num_alive_tasks() == 0 {
                    return;
                }
                WATCHED
            } else {
                self.period()
            };
            // A round that took long is not followed by a burst of others.
            next = (next + period).clamp(now, now + period);
            // Returns early when unparked: something was opened or closed, or someone began to watch.
            std::thread::park_timeout(next - now);
            next = next.min(Instant::now());
        }
    }

    fn period(&self) -> Duration {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut period = UNWATCHED;
        for lane in lanes.iter() {
            if lane.slot.is_watched() || lane.hurried.load(Relaxed) {
                return WATCHED;
            }
            if lane.datagrams {
                period = DATAGRAMS;
            }
        }
        period
    }

    fn change_lanes(&self, change: impl FnOnce(&mut Vec<Arc<Lane>>)) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut lanes);
        self.load.store(lanes.len(), Relaxed);
    }
}

/// One round. Each yield looks at the sockets and timers once without waiting; the sessions that became ready run
/// before the next yield returns, until their sockets are empty. So three yields read everything that had arrived
/// and answer what came of it.
async fn round() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    fn lane(datagrams: bool) -> Arc<Lane> {
        Arc::new(Lane { slot: Arc::default(), hurried: AtomicBool::new(false), datagrams })
    }

    #[test]
    fn the_period_follows_what_the_streams_need() {
        let shared = Shared::default();
        assert_eq!(shared.period(), UNWATCHED);
        shared.change_lanes(|lanes| lanes.push(lane(false)));
        assert_eq!(shared.period(), UNWATCHED);
        shared.change_lanes(|lanes| lanes.push(lane(true)));
        assert_eq!(shared.period(), DATAGRAMS);
        let hurried = lane(false);
        hurried.hurried.store(true, Relaxed);
        shared.change_lanes(|lanes| lanes.push(Arc::clone(&hurried)));
        assert_eq!(shared.period(), WATCHED);
        hurried.hurried.store(false, Relaxed);
        assert_eq!(shared.period(), DATAGRAMS);
    }

    /// One round reads megabytes that had gathered while the thread was parked.
    #[test]
    fn a_round_empties_the_sockets() {
        let runtime = Builder::new_current_thread().enable_all().event_interval(512).build().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        far.set_nonblocking(true).unwrap();
        let read = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&read);
        runtime.spawn(async move {
            let mut far = tokio::net::TcpStream::from_std(far).unwrap();
            let mut buffer = vec![0; 8 << 10];
            while let Ok(size @ 1..) = far.read(&mut buffer).await {
                count.fetch_add(size, Relaxed);
            }
        });
        runtime.block_on(round());
        near.set_nonblocking(true).unwrap();
        let mut written = 0;
        while let Ok(size) = std::io::Write::write(&mut near, &[7; 8 << 10]) {
            written += size;
            if written > 200 << 10 {
                break;
            }
        }
        runtime.block_on(round());
        assert_eq!(read.load(Relaxed), written);
    }

    /// What is read in a round arrived after the round before it began, and that is what is said.
    #[test]
    fn the_time_of_arrival_is_bounded_by_the_round_before() {
        let rounds = Rounds::start(0).unwrap();
        let (near, mut far) = tokio::io::duplex(64);
        let (said, heard) = std::sync::mpsc::channel();
        let (reads, reading) = std::sync::mpsc::channel();
        rounds.spawn(lane(false), async move {
            reads.send(()).unwrap();
            let mut byte = [0];
            while far.read_exact(&mut byte).await.is_ok() {
                let received = clock::now();
                said.send((received, uncertainty(received))).unwrap();
            }
        });
        let outside = Builder::new_current_thread().build().unwrap();
        let mut near = near;
        // The bound speaks of what arrives once there is somebody to read it, as on a socket that the session opened.
        reading.recv_timeout(Duration::from_secs(10)).unwrap();
        for _ in 0..3 {
            let sent = clock::now();
            outside.block_on(near.write_all(b"x")).unwrap();
            let arrived = clock::now();
            let (received, within) = heard.recv_timeout(Duration::from_secs(10)).unwrap();
            assert!(within > 0 && i64::from(within) < 2_000_000, "{within}");
            assert!(received.0 - i64::from(within) <= arrived.0, "it arrived after the bound's beginning");
            assert!(sent.0 <= received.0);
        }
    }

    #[test]
    fn a_thread_ends_with_its_sessions() {
        let rounds = Rounds::start(0).unwrap();
        let (mut near, mut far) = tokio::io::duplex(64);
        let task = rounds.spawn(lane(false), async move {
            let mut byte = [0];
            while far.read_exact(&mut byte).await.is_ok() {}
        });
        assert_eq!(rounds.load(), 1);
        let outside = Builder::new_current_thread().build().unwrap();
        outside.block_on(near.write_all(b"x")).unwrap();
        drop(near);
        rounds.thread().unpark();
        outside.block_on(task).unwrap();
        assert_eq!(rounds.load(), 0);
        drop(rounds);
    }
}
