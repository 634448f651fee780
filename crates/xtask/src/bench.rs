//! `cargo xtask bench`: figures as ratios against a peer in the same run, measured from outside (`/proc`).
//!
//! `record`: the daemon recording with encryption and without viewers, against the [`crate::floor`]. Bytes received are
//! the pictures' own; bytes stored are all that was written to volumes; frames that the index lacks at the end are counted
//! against the measured minute, whenever in the run they were lost.
//! `live`: time to the first picture, and what the daemon adds to a frame, with as many viewers as cameras.
//! `wall`: the console's own CPU, frames shown and latency over time.
//! `replay`: an archive of 28 days of 64 cameras opened, listed and sought in (see `crates/vault/examples/archive.rs`).
//! `law`: decisions, leases decided again, a year looked ahead (see `crates/mandate/examples/law_speed.rs`).

use crate::{
    Arguments,
    demo::{self, Display, Seat},
    packages, processes,
    processes::Process,
    room::{self, Periods, Plan, Room},
};
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

struct Options {
    cameras: usize,
    seconds: usize,
    warmup: usize,
    rtsp: Option<String>,
    footage: Option<PathBuf>,
    json: bool,
}

/// # Errors
/// When something does not start or run.
pub(crate) fn run(rest: &[String]) -> Result<()> {
    let mut arguments = Arguments::new(rest);
    let options = Options {
        cameras: arguments.number("--cameras", 16)?,
        seconds: arguments.number("--seconds", 60)?,
        warmup: arguments.number("--warmup", 15)?,
        rtsp: arguments.option("--rtsp")?,
        footage: arguments.option("--footage")?.map(PathBuf::from),
        json: arguments.switch("--json"),
    };
    let which = arguments.word();
    if which.as_deref() == Some("ledger") {
        return crate::bench_ledger::run(arguments);
    }
    if which.as_deref() == Some("export") {
        return crate::bench_export::run(arguments, options.json);
    }
    arguments.done()?;
    if which.as_deref() == Some("law") {
        return law(&options);
    }
    if which.as_deref() == Some("replay") {
        return replay();
    }
    let bin = room::build()?;
    match which.as_deref() {
        Some("record") => record(&bin, &options),
        Some("live") => live(&bin, &options),
        Some("wall") => wall(&bin, &options),
        None => {
            record(&bin, &options)?;
            live(&bin, &options)?;
            wall(&bin, &options)?;
            let Some(material) = room::material() else { return Ok(()) };
            println!("the wall again, on real clips");
            wall(&bin, &Options { footage: Some(material.join("video")), ..options })
        }
        Some(other) => bail!("there is no bench `{other}`"),
    }
}

/// The archive is made once, under the target folder (some 12 GB), and used again.
fn replay() -> Result<()> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["run", "--release", "--quiet", "--package", "vault", "--example", "archive", "--"]);
    command.arg(room::target().join("bench/archive"));
    if !command.current_dir(crate::root()).status().context("cargo does not start")?.success() {
        bail!("the archive's figures could not be taken");
    }
    Ok(())
}

/// The law is measured inside a process of its own: a decision takes less time than asking for one.
fn law(options: &Options) -> Result<()> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["run", "--release", "--quiet", "--package", "mandate", "--example", "law_speed", "--"]);
    if options.json {
        command.arg("--json");
    }
    if !command.current_dir(crate::root()).status().context("cargo does not start")?.success() {
        bail!("the law's bench failed");
    }
    Ok(())
}

fn plan(name: &str, options: &Options, main_only: bool) -> Plan {
    let existing = options.rtsp.as_ref().map(|pattern| room::numbered(pattern, options.cameras));
    let data = room::target().join("bench").join(name);
    Plan {
        main_only,
        existing,
        footage: options.footage.clone(),
        ..Plan::new(data, options.cameras, Periods::Open)
    }
}

/// User and system seconds of a process so far (`/proc/PID/stat`, 100 ticks a second), children not counted.
fn cpu_seconds(id: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let tick = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    Ok((tick(11) + tick(12)) / 100.0)
}

/// Resident MiB of a process.
fn rss_mib(id: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or("0");
    Ok(line.split_whitespace().next().and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0)
}

fn record(bin: &Path, options: &Options) -> Result<()> {
    let mut room = Room::open(bin, &plan("record", options, true))?;
    let names = [
        "rtr_received_bytes_total",
        "rtr_stored_bytes_total",
        "rtr_received_frames_total",
        "rtr_vault_syncs_total",
    ];
    let read = |room: &Room| names.map(|n| room.metric(n).unwrap_or(0.0));
    processes::pause(Duration::from_secs(options.warmup as u64))?;
    let id = room.daemon.id();
    let (counted, cpu, started) = (read(&room), cpu_seconds(id)?, Instant::now());
    processes::pause(Duration::from_secs(options.seconds as u64))?;
    room.must_run()?;
    let minutes = started.elapsed().as_secs_f64() / 60.0;
    let per_stream_minute = |cpu: f64, minutes: f64| cpu / minutes / options.cameras as f64;
    let ours = per_stream_minute(cpu_seconds(id)? - cpu, minutes);
    let rss = rss_mib(id)?;
    let after = read(&room);
    room.daemon.stop();
    let missing = not_indexed(&room)?;

    let floor = floor(&room, options)?;
    let floor = per_stream_minute(floor.0, floor.1 / 60.0);
    let counts: Vec<f64> = after.iter().zip(counted).map(|(a, b)| a - b).collect();
    let figures = json!({
        "bench": "record", "cameras": options.cameras, "seconds": options.seconds,
        "cpu_s_per_stream_minute": ours, "floor_cpu_s_per_stream_minute": floor, "ratio": ours / floor,
        "rss_mib": rss,
        "bytes_received": counts.first(), "bytes_stored": counts.get(1),
        "frames_received": counts.get(2), "frames_indexed": counts.get(2).map(|n| n - missing),
        "fsyncs_per_s": counts.get(3).map(|n| n / minutes / 60.0),
    });
    print(options, &figures)
}

/// Frames of the whole run that the daemon received and the index does not have after the daemon has stopped. The index
/// takes whole minutes while the daemon runs, so a count at the end of the measurement would say little.
fn not_indexed(room: &Room) -> Result<f64> {
    let log = fs::read_to_string(room.data.join("rtrd.log"))?;
    let last = log.lines().rev().find_map(|line| line.strip_prefix("stopped received "));
    let (received, indexed) =
        last.and_then(|line| line.split_once(" indexed ")).context("the daemon did not end as it should")?;
    Ok(received.parse::<f64>()? - indexed.parse::<f64>()?)
}

/// CPU seconds and wall seconds of the floor against the same cameras.
fn floor(room: &Room, options: &Options) -> Result<(f64, f64)> {
    let folder = room.data.join("floor");
    fs::create_dir_all(&folder)?;
    let list = room.data.join("floor.list");
    let mut text = String::new();
    for camera in &room.cameras {
        let credentials = camera.username.as_deref().zip(camera.password.as_deref());
        let (user, password) = credentials.unwrap_or_default();
        writeln!(text, "{} {user} {password}", camera.main)?;
    }
    fs::write(&list, text)?;
    let total = 5 + options.seconds + 5;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("floor").arg("--list").arg(&list).arg("--dir").arg(&folder);
    command.args(["--seconds", &total.to_string()]).stdout(fs::File::create(room.data.join("floor.log"))?);
    let mut floor = Process::start("the floor", &mut command)?;
    processes::pause(Duration::from_secs(5))?;
    floor.must_run()?;
    let (cpu, started) = (cpu_seconds(floor.id())?, Instant::now());
    processes::pause(Duration::from_secs(options.seconds as u64))?;
    floor.must_run()?;
    let spent = cpu_seconds(floor.id())? - cpu;
    Ok((spent, started.elapsed().as_secs_f64()))
}

fn live(bin: &Path, options: &Options) -> Result<()> {
    let mut room = Room::open(bin, &plan("live", options, true))?;
    room.settle()?;
    processes::pause(Duration::from_secs(options.warmup as u64))?;
    let password = room.accounts.get("observant").context("no account `observant`")?;
    let out = room.data.join("viewers.json");
    let mut command = Command::new(bin.join("viewers"));
    command.arg(&room.url).arg(&room.ca).arg("observant").env("RTR_PASSWORD", password);
    command.arg(options.cameras.to_string()).arg(options.seconds.to_string());
    command.stdout(fs::File::create(&out)?);
    let id = room.daemon.id();
    let (cpu, started) = (cpu_seconds(id)?, Instant::now());
    processes::run(&mut command).context("the viewers failed")?;
    let cpu = (cpu_seconds(id)? - cpu) / started.elapsed().as_secs_f64();
    let mut figures: Value = serde_json::from_str(&fs::read_to_string(&out)?)?;
    figures["bench"] = "live".into();
    figures["daemon_cores"] = cpu.into();
    print(options, &figures)
}

fn wall(bin: &Path, options: &Options) -> Result<()> {
    packages::ensure(&["test"])?;
    let display = Display::start()?;
    let mut room = Room::open(bin, &plan("wall", options, false))?;
    room.settle()?;
    let report = room.data.join("report.json");
    let read = || -> Result<Value> { Ok(serde_json::from_str(&fs::read_to_string(&report)?)?) };
    let sit = |room: &Room, hz: u32| {
        let seat = Seat {
            display: Some(&display),
            report: Some(&report),
            hz: Some(hz),
            duration: Some(86_400),
            ..Seat::default()
        };
        demo::console(bin, room, &seat)
    };

    let mut console = sit(&room, 25)?;
    let before = cpu_seconds(room.daemon.id())?;
    processes::pause(Duration::from_secs(options.warmup as u64))?;
    let cores = cores(&mut console, options.seconds)?;
    let daemon = cpu_seconds(room.daemon.id())? - before;
    let whole = read()?;
    // What an operator does all night: another camera on the selected tile, while the whole wall runs.
    let typed = type_cameras(&display, &whole, 40)?;
    processes::pause(Duration::from_secs(2))?;
    let looks = read()?;
    console.stop();

    let mut console = sit(&room, 15)?;
    processes::pause(Duration::from_secs(options.warmup as u64))?;
    let cores_15 = self::cores(&mut console, options.seconds.min(60))?;
    let slow = read()?;
    console.stop();
    room.must_run()?;
    let figures = json!({
        "bench": "wall", "footage": options.footage, "cameras": options.cameras, "seconds": options.seconds,
        "console_cores": cores, "hz": whole["hz"],
        "console_cores_15_hz": cores_15, "hz_15": slow["hz"],
        "daemon_cpu_s": daemon, "latency_by_minute": whole["latency_by_minute"], "shed_level": whole["shed_level"],
        "first_pictures_ms": { "wall_opens": whole["first_pictures_ms"], "and_one_tile": looks["first_pictures_ms"], "typed": typed },
        "report": whole,
    });
    print(options, &figures)
}

/// CPU of a console over so many seconds, in cores.
fn cores(console: &mut Process, seconds: usize) -> Result<f64> {
    console.must_run()?;
    let (cpu, started) = (cpu_seconds(console.id())?, Instant::now());
    processes::pause(Duration::from_secs(seconds as u64))?;
    console.must_run()?;
    Ok((cpu_seconds(console.id())? - cpu) / started.elapsed().as_secs_f64())
}

/// Types camera numbers on the console's keyboard, one look after another; how many.
fn type_cameras(display: &Display, report: &Value, times: usize) -> Result<usize> {
    let numbers: Vec<String> =
        report["tiles"].as_array().into_iter().flatten().map(|t| t["number"].to_string()).collect();
    let xdotool = |arguments: &[&str]| {
        processes::run(Command::new("xdotool").args(arguments).env("DISPLAY", &display.name))
    };
    xdotool(&["search", "--sync", "--name", "RTR", "windowfocus"])?;
    for number in numbers.iter().cycle().take(times) {
        let keys: Vec<String> = number.chars().map(String::from).collect();
        let mut arguments = vec!["key", "--delay", "20"];
        arguments.extend(keys.iter().map(String::as_str));
        arguments.push("Return");
        xdotool(&arguments)?;
        // Not a multiple of the two seconds of a group of pictures.
        processes::pause(Duration::from_millis(870))?;
    }
    Ok(times)
}

fn print(options: &Options, figures: &Value) -> Result<()> {
    if options.json {
        println!("{figures}");
    } else {
        println!("{}", serde_json::to_string_pretty(figures)?);
    }
    Ok(())
}
