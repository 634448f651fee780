//! What `cargo xtask bench ledger` runs: durable appends by 64 writers against one fdatasync of equal appends in the same
//! run, and the figures of a long log (start, verification, proof, query, memory).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measurement fails as tests do"
)]

use chrono::{DateTime, TimeDelta, Utc};
use ledger::{Actor, Entry, Filter, Ledger, LedgerConfig, Object, Operation, Origin, Outcome};
use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

const WRITERS: usize = 64;
const CAMERAS: u64 = 64;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["append", dir, seconds] => append(Path::new(dir), seconds.parse().expect("seconds")),
        ["scale", dir, entries] => scale(Path::new(dir), entries.parse().expect("entries")),
        ["make", dir, entries] => make(Path::new(dir), entries.parse().expect("entries")),
        ["verify", dir] => verify(Path::new(dir)),
        ["ask", dir] => ask(Path::new(dir)),
        _ => eprintln!("ledger_bench append DIR SECONDS | scale DIR ENTRIES"),
    }
}

fn config(root: &Path) -> LedgerConfig {
    LedgerConfig::new(root.join("log"), root.join("keys/log.key"), "rtr.example/bench")
}

fn percentile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    times[((times.len() - 1) as f64 * share) as usize]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Peak resident memory of this process, MiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn look(n: u64) -> Entry {
    Entry {
        look: Some(format!("{:016x}", n / 2)),
        actor: Actor::Person {
            person: format!("observer-{}", n % 12),
            role: "observer".to_owned(),
            organisation: "rj-security".to_owned(),
            authorisation: Some(format!("AUT-{}", n % 12)),
        },
        origin: Origin { workstation: Some("desk-3".to_owned()), ..Origin::default() },
        object: Some(Object::camera(format!("ENS-C{:02}", n % CAMERAS), "enschede")),
        outcome: Outcome::Permit,
        ..Entry::new(
            Utc::now(),
            Operation::Consult,
            if n.is_multiple_of(2) { "live_view.start" } else { "live_view.stop" },
        )
    }
}

/// Slices of appends by 64 writers and slices of plain write and fdatasync take turns on the same disk.
fn append(root: &Path, seconds: u64) {
    drop(fs::remove_dir_all(root));
    fs::create_dir_all(root).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let ledger = Ledger::open(config(root)).unwrap();
    let mut floor_file = File::create(root.join("floor")).unwrap();
    let (mut appends, mut floors) = (Vec::new(), Vec::new());
    let mut busy = Duration::ZERO;
    let began = Instant::now();
    let mut round = 0_u64;
    while began.elapsed() < Duration::from_secs(seconds) {
        round += 1;
        let before = fs::metadata(root.join("log/sequence")).unwrap().len();
        let size_before = ledger.size();
        let slice = Instant::now();
        let stop = Arc::new(AtomicBool::new(false));
        let times = runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for writer in 0..WRITERS as u64 {
                let (ledger, stop) = (ledger.clone(), stop.clone());
                tasks.spawn(async move {
                    let mut times = Vec::new();
                    let mut n = round << 32 | writer << 20;
                    while !stop.load(Ordering::Relaxed) {
                        let began = Instant::now();
                        ledger.append(look(n)).await.unwrap();
                        times.push(began.elapsed());
                        n += 1;
                    }
                    times
                });
            }
            tokio::time::sleep(Duration::from_millis(400)).await;
            stop.store(true, Ordering::Relaxed);
            tasks.join_all().await.concat()
        });
        busy += slice.elapsed();
        let bytes = fs::metadata(root.join("log/sequence")).unwrap().len() - before;
        let entries = ledger.size() - size_before;
        appends.extend(times);
        // An equal append: as many bytes as one round of the writers.
        let equal = vec![b'x'; (bytes / entries.max(1)) as usize * WRITERS];
        let slice = Instant::now();
        while slice.elapsed() < Duration::from_millis(200) {
            let began = Instant::now();
            floor_file.write_all(&equal).unwrap();
            floor_file.sync_data().unwrap();
            floors.push(began.elapsed());
        }
    }
    let rate = appends.len() as f64 / busy.as_secs_f64();
    let (count, syncs) = (appends.len(), floors.len());
    let median = percentile(&mut appends, 0.5);
    let p99 = percentile(&mut appends, 0.99);
    let floor = percentile(&mut floors, 0.99);
    let limit = floor.as_secs_f64() * 2.5;
    let least = 5000_f64.min(WRITERS as f64 / limit);
    println!("append: {count} entries by {WRITERS} writers, {syncs} syncs of equal appends between them");
    println!(
        "  F (p99 of one fdatasync)  {:.2} ms, median {:.2} ms",
        ms(floor),
        ms(percentile(&mut floors, 0.5))
    );
    println!(
        "  p99 of an append          {:.2} ms, median {:.2} ms (at most 2.5 F + 2 ms = {:.2} ms: {})",
        ms(p99),
        ms(median),
        limit * 1000.0 + 2.0,
        verdict(p99.as_secs_f64() <= limit + 0.002)
    );
    println!("  durable entries           {rate:.0}/s (at least {least:.0}/s: {})", verdict(rate >= least));
    println!("  peak memory               {} MiB", peak());
}

fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "MISSED" }
}

/// A year of a busy room: twelve months, 64 cameras; the canonical text of entry `n` of `count`.
fn leaf(n: u64, count: u64) -> String {
    let start: DateTime<Utc> = "2025-11-01T00:00:00Z".parse().expect("a date");
    let at = start + TimeDelta::milliseconds((365 * 86_400_000_i64) / count as i64 * n as i64);
    let step = if n.is_multiple_of(2) { "start" } else { "stop" };
    let (camera, person) = (n / 2 % CAMERAS, n / 7 % 40);
    format!(
        "{{\"action\":\"live_view.{step}\",\"actor\":{{\"authorisation\":\"AUT-{person:04}\",\"kind\":\"person\",\"organisation\":\"rj-security\",\
         \"pseudonym\":\"{}/p{person:013}\",\"role\":\"observer\"}},\"at\":\"{}\",\"clock\":\"synchronised\",\
         \"legal_context\":{{\"basis\":[\"decree ENS-01 v1\",\"period ENS-P1 v1\",\"window ENS-W1 v1\"],\"policy_version\":\"rules 2025-07-01\"}},\
         \"look\":\"{:016x}\",\"object\":{{\"camera\":\"ENS-C{camera:02}\",\"kind\":\"camera\",\"municipality\":\"enschede\",\"screen\":\"tile 3\"}},\
         \"operation\":\"consult\",\"outcome\":\"permit\",\"v\":1}}",
        at.format("%Y-%m"),
        at.format("%Y-%m-%dT%H:%M:%S%.3fZ"),
        n / 2
    )
}

fn make(root: &Path, entries: u64) {
    let began = Instant::now();
    ledger::synthetic::write(&root.join("log"), entries, |n| leaf(n, entries)).unwrap();
    println!("  sequence file made in     {:.1} s", began.elapsed().as_secs_f64());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let began = Instant::now();
    let ledger = Ledger::open(config(root)).unwrap();
    println!("  first start, all read     {:.1} s", began.elapsed().as_secs_f64());
    let began = Instant::now();
    runtime.block_on(async {
        ledger.published().wait_for(|published| *published >= entries).await.unwrap();
    });
    println!("  tiles and bundles made in {:.1} s", began.elapsed().as_secs_f64());
    let began = Instant::now();
    ledger.query(&Filter { limit: 1, ..Filter::default() }).unwrap();
    println!("  index made in             {:.1} s", began.elapsed().as_secs_f64());
    drop(ledger);
    println!("  peak memory of all that   {} MiB (below 200: {})", peak(), verdict(peak() < 200));
}

fn verify(root: &Path) {
    let vkey = fs::read_to_string(root.join("vkey")).unwrap();
    let began = Instant::now();
    let seen = ledger::verify(&root.join("log"), &vkey, &[]).unwrap();
    let took = began.elapsed().as_secs_f64();
    println!(
        "  verified                  {} entries of {:.0} bytes in {took:.1} s (below 60 s: {}), peak memory {} MiB (below 200: {})",
        seen.size,
        seen.bytes as f64 / seen.size as f64,
        verdict(took < 60.0),
        peak(),
        verdict(peak() < 200)
    );
}

fn ask(root: &Path) {
    let began = Instant::now();
    let ledger = Ledger::open(config(root)).unwrap();
    println!("  second start              {:.1} ms", ms(began.elapsed()));
    let size = ledger.size();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let asked: Vec<u64> = (0..2000).map(|_| next() % size).collect();
    let prove = || {
        let mut times: Vec<Duration> = asked
            .iter()
            .map(|seq| {
                let began = Instant::now();
                ledger.inclusion(*seq, size).unwrap();
                began.elapsed()
            })
            .collect();
        (percentile(&mut times, 0.5), percentile(&mut times, 0.99))
    };
    // The first time the tiles come from the disk, as far as the page cache has not kept them.
    let (cold, cold_p99) = prove();
    let (median, p99) = prove();
    println!(
        "  inclusion proof           median {:.3} ms, p99 {:.3} ms (below 1 ms: {}); asked the first time {:.3} and {:.3} ms",
        ms(median),
        ms(p99),
        verdict(p99 < Duration::from_millis(1)),
        ms(cold),
        ms(cold_p99)
    );
    let month: DateTime<Utc> = "2026-03-01T00:00:00Z".parse().unwrap();
    let mut found = 0;
    let mut queries: Vec<Duration> = (0..CAMERAS)
        .map(|camera| {
            let filter = Filter {
                camera: Some(format!("ENS-C{camera:02}")),
                from: Some(month),
                until: Some(month + TimeDelta::days(31)),
                ..Filter::default()
            };
            let began = Instant::now();
            found = ledger.query(&filter).unwrap().len();
            began.elapsed()
        })
        .collect();
    let (median, p99) = (percentile(&mut queries, 0.5), percentile(&mut queries, 0.99));
    println!(
        "  a month of one camera     first page of {found}: median {:.1} ms, p99 {:.1} ms (below 50 ms: {})",
        ms(median),
        ms(p99),
        verdict(p99 < Duration::from_millis(50))
    );
    let began = Instant::now();
    let filter = Filter {
        camera: Some("ENS-C07".to_owned()),
        from: Some(month),
        until: Some(month + TimeDelta::days(31)),
        limit: 1_000_000,
        ..Filter::default()
    };
    let all = ledger.find(&filter).unwrap().len();
    println!("  … all {all} of them       {:.1} ms (their numbers)", ms(began.elapsed()));
    println!("  peak memory               {} MiB (below 200: {})", peak(), verdict(peak() < 200));
}

/// The figures of a long log. Each part is a process of its own, so that its memory is its own.
fn scale(root: &Path, entries: u64) {
    println!("scale: {entries} entries in {}", root.display());
    let own: PathBuf = std::env::current_exe().unwrap();
    let part = |words: &[&str]| {
        let done = Command::new(&own).args(words).status().unwrap();
        assert!(done.success(), "{words:?}");
    };
    let dir = root.to_str().unwrap();
    if !root.join("log/checkpoint").exists() {
        drop(fs::remove_dir_all(root));
        part(&["make", dir, &entries.to_string()]);
    }
    let vkey = Ledger::open(config(root)).unwrap().vkey();
    fs::write(root.join("vkey"), vkey).unwrap();
    part(&["ask", dir]);
    // Once to warm the page cache, as far as it reaches.
    part(&["verify", dir]);
    part(&["verify", dir]);
}
