//! Pulls streams and says what that cost: `pull [--udp] [--watched] [--seconds N] [--viewers N] URL…`
//!
//! Every stream is recorded into nothing; with `--watched` each also has a viewer on a multi-thread runtime, as in the
//! daemon. Printed: units and bits per stream, the processor time of the ingest threads and of the whole process
//! per stream-minute, and how long after its receive time a unit reached its viewer.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use ingest::{
    Delivery, Hub, HubConfig, Ingest, IngestConfig, RecorderSink, SessionConfig, SessionState,
    SubscribeOptions, Transport,
};
use media::{AccessUnit, GapReason, Micros, StreamId};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[derive(Default)]
struct Nowhere {
    units: AtomicU64,
    bytes: AtomicU64,
}

impl RecorderSink for Nowhere {
    fn unit(&self, unit: &AccessUnit) {
        self.units.fetch_add(1, Relaxed);
        self.bytes.fetch_add(unit.payload.len() as u64, Relaxed);
    }
    fn gap(&self, stream: StreamId, from: Micros, reason: GapReason) {
        println!("{stream}: gap {reason:?} from {}", from.0);
    }
}

/// User and system time in seconds of the ingest threads and of the whole process.
fn processor_time() -> (f64, f64) {
    // Fields 14 and 15 of proc_pid_stat(5), in hundredths of a second on every Linux there is.
    let ticks = |path: &std::path::Path| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let fields: Vec<_> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let field =
            |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
        ((field(11) + field(12)) / 100.0, text.contains("(ingest-"))
    };
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let ingest = threads
        .map(|thread| ticks(&thread.path().join("stat")))
        .filter_map(|(seconds, is_ingest)| is_ingest.then_some(seconds))
        .sum();
    (ingest, ticks(std::path::Path::new("/proc/self/stat")).0)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut urls, mut transport, mut watched, mut seconds, mut viewers) =
        (Vec::new(), Transport::Tcp, false, 60, 1);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--udp" => transport = Transport::Udp,
            "--watched" => watched = true,
            "--viewers" => viewers = arguments.next().ok_or("--viewers N")?.parse()?,
            "--seconds" => seconds = arguments.next().ok_or("--seconds N")?.parse()?,
            _ => urls.push(argument),
        }
    }
    let recorder = Arc::new(Nowhere::default());
    let hub = Arc::new(Hub::new(HubConfig::default(), Arc::clone(&recorder) as Arc<dyn RecorderSink>));
    let ingest = Ingest::start(IngestConfig::default(), Arc::clone(&hub))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let delays = Arc::new(Mutex::new(Vec::new()));
    let count = urls.len().max(1) as f64;
    let streams: Vec<_> = (1..=urls.len() as u32).map(StreamId).collect();
    for (&stream, url) in streams.iter().zip(&urls) {
        ingest.open(SessionConfig {
            stream,
            camera_group: url.clone(),
            url: url.clone(),
            username: None,
            password: None,
            transport,
            recorded: true,
        })?;
        let mut state = ingest.state(stream);
        runtime.spawn(async move {
            while state.changed().await.is_ok() {
                println!("{stream}: {:?}", *state.borrow_and_update());
            }
        });
        for _ in 0..if watched { viewers } else { 0 } {
            let mut viewer = hub.subscribe(stream, SubscribeOptions::default());
            let delays = Arc::clone(&delays);
            runtime.spawn(async move {
                let mut mine = Vec::new();
                while let Some(delivery) = viewer.next().await {
                    match delivery {
                        Delivery::Unit(unit) => {
                            mine.push(ingest::clock::now().0 - unit.received.0);
                            if mine.len() == 25 {
                                delays
                                    .lock()
                                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                                    .append(&mut mine);
                            }
                        }
                        Delivery::Skipped(skipped) => eprintln!("{stream}: skipped {skipped}"),
                    }
                }
            });
        }
    }
    let up = |stream: &StreamId| matches!(*ingest.state(*stream).borrow(), SessionState::Up { .. });
    let deadline = Instant::now() + Duration::from_secs(20);
    while !streams.iter().all(up) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("{} of {} up", streams.iter().filter(|stream| up(stream)).count(), streams.len());
    std::thread::sleep(Duration::from_secs(3));
    delays.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
    let (before, started) = (processor_time(), Instant::now());
    let (units, bytes) = (recorder.units.load(Relaxed), recorder.bytes.load(Relaxed));
    std::thread::sleep(Duration::from_secs(seconds));
    let (after, minutes) = (processor_time(), started.elapsed().as_secs_f64() / 60.0);
    let (units, bytes) = (recorder.units.load(Relaxed) - units, recorder.bytes.load(Relaxed) - bytes);
    for stream in &streams {
        println!("{stream}: {:?}", hub.stats(*stream));
    }
    println!(
        "per stream: {:.2} units/s, {:.2} Mbit/s",
        units as f64 / minutes / 60.0 / count,
        bytes as f64 * 8e-6 / minutes / 60.0 / count
    );
    println!(
        "CPU s per stream-minute: ingest threads {:.4}, process {:.4}",
        (after.0 - before.0) / minutes / count,
        (after.1 - before.1) / minutes / count
    );
    let mut delays = std::mem::take(&mut *delays.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    delays.sort_unstable();
    let at = |share: f64| delays.get((delays.len() as f64 * share) as usize).copied().unwrap_or_default();
    println!("receive to viewer, us: p50 {}, p99 {}, max {}", at(0.5), at(0.99), delays.last().unwrap_or(&0));
    let closing = Instant::now();
    drop(ingest);
    println!("closed in {:?}", closing.elapsed());
    Ok(())
}
