//! `cargo xtask demo`: a control room to sit in.

use crate::{
    Arguments, packages, processes,
    processes::Process,
    room::{self, Periods, Plan, Room},
    seconds,
};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// # Errors
/// When something does not start, or a headless run shows nothing on an open camera.
pub fn run(rest: &[String]) -> Result<()> {
    let mut arguments = Arguments::new(rest);
    let headless = arguments.switch("--headless");
    let duration = arguments.option("--for")?.map(|t| seconds(&t)).transpose()?;
    let screenshot = arguments.option("--screenshot")?.map(absolute).transpose()?;
    let report = arguments.option("--report")?.map(absolute).transpose()?;
    let footage = arguments.option("--footage")?.map(absolute).transpose()?;
    let data = arguments.option("--data")?.map(absolute).transpose()?;
    let cameras = arguments.number("--cameras", 16)?;
    arguments.done()?;

    let bin = room::build()?;
    let data = data.unwrap_or_else(|| room::target().join("demo"));
    let display = if headless {
        packages::ensure(&["test"])?;
        Some(Display::start()?)
    } else {
        None
    };

    let plan = Plan { footage, ..Plan::new(data, cameras, Periods::Demo) };
    let mut room = Room::open(&bin, &plan)?;
    room.settle()?;
    tell(&room, headless);

    let report = report.or_else(|| headless.then(|| room.data.join("report.json")));
    let seat = Seat {
        display: display.as_ref(),
        duration,
        screenshot: screenshot.as_deref(),
        report: report.as_deref(),
        hz: None,
    };
    let mut console = console(&bin, &room, &seat)?;
    loop {
        if let Some(status) = console.ended()? {
            if !status.success() {
                bail!("the console ended with {status}");
            }
            break;
        }
        room.must_run()?;
        processes::pause(Duration::from_millis(200))?;
    }
    match report {
        Some(path) => judge(&path, &room),
        None => Ok(()),
    }
}

fn absolute(text: String) -> Result<PathBuf> {
    std::path::absolute(&text).with_context(|| format!("`{text}` is not a path"))
}

/// A virtual display of 1920x1080.
pub struct Display {
    /// `:97`.
    pub name: String,
    _server: Process,
}

impl Display {
    /// Starts it and waits until it can be used.
    ///
    /// # Errors
    /// When Xvfb does not start.
    pub fn start() -> Result<Self> {
        let number = (90..190)
            .find(|n| {
                !Path::new(&format!("/tmp/.X11-unix/X{n}")).exists()
                    && !Path::new(&format!("/tmp/.X{n}-lock")).exists()
            })
            .context("no free display number")?;
        let name = format!(":{number}");
        let mut xvfb = Command::new("Xvfb");
        xvfb.arg(&name).args(["-screen", "0", "1920x1080x24", "-nolisten", "tcp"]).stderr(Stdio::null());
        let mut server = Process::start("Xvfb", &mut xvfb)?;
        let socket = PathBuf::from(format!("/tmp/.X11-unix/X{number}"));
        while !socket.exists() {
            server.must_run()?;
            processes::pause(Duration::from_millis(50))?;
        }
        Ok(Self { name, _server: server })
    }
}

/// Where the console sits and how long.
#[derive(Clone, Copy, Default)]
pub struct Seat<'a> {
    /// The virtual display; none for the person's own.
    pub display: Option<&'a Display>,
    /// Seconds; without it until the window is closed, on a virtual display 30.
    pub duration: Option<u64>,
    /// A picture of the window at the end.
    pub screenshot: Option<&'a Path>,
    /// A report, anew each second.
    pub report: Option<&'a Path>,
    /// At most so many repaints a second.
    pub hz: Option<u32>,
}

/// The console, logged in as the observer.
///
/// # Errors
/// When it does not start.
pub fn console(bin: &Path, room: &Room, seat: &Seat<'_>) -> Result<Process> {
    let Seat { display, duration, screenshot, report, hz } = *seat;
    let password_file = room.data.join("observant.password");
    let password = room.accounts.get("observant").context("rtrd made no account `observant`")?;
    fs::write(&password_file, password)?;
    fs::set_permissions(&password_file, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let mut command = Command::new(bin.join("rtr-console"));
    command.arg("--server").arg(&room.url).arg("--ca").arg(&room.ca);
    command.arg("--log-key").arg(room.data.join("state/ledger.vkey"));
    command.arg("--witness-key").arg(room.data.join("witness.vkey"));
    command.arg("--receipts").arg(room.data.join("receipts"));
    command.arg("--username").arg("observant").arg("--password-file").arg(&password_file);
    if let Some(display) = display {
        command.env("DISPLAY", &display.name).env_remove("WAYLAND_DISPLAY").args(["--size", "1920x1080"]);
        let runtime = room.data.join("runtime");
        fs::create_dir_all(&runtime)?;
        fs::set_permissions(&runtime, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        command.env("XDG_RUNTIME_DIR", runtime);
    }
    if let Some(s) = duration.or((display.is_some()).then_some(30)) {
        command.arg("--for").arg(format!("{s}s"));
    }
    if let Some(hz) = hz {
        command.arg("--hz").arg(hz.to_string());
    }
    if let Some(path) = screenshot {
        command.arg("--screenshot").arg(path);
    }
    if let Some(path) = report {
        command.arg("--report").arg(path);
    }
    command.stdout(fs::File::create(room.data.join("console.log"))?);
    command.stderr(fs::File::create(room.data.join("console.err.log"))?);
    Process::start("rtr-console", &mut command)
}

fn tell(room: &Room, headless: bool) {
    println!("\nRTR runs at {} (a demonstration: real places, made-up decisions)", room.url);
    println!(
        "cameras      {} simulated, first at {}",
        room.cameras.len(),
        room.cameras.first().map_or("", |c| &c.main)
    );
    println!("accounts     (random, for this run; also in {})", room.data.join("accounts.toml").display());
    for (name, password) in &room.accounts {
        println!("             {name:<14} {password}");
    }
    println!(
        "periods      Enschede and Almelo are open, Hengelo closes in about two minutes, Borne is closed"
    );
    println!(
        "witness      runs on this same machine, which proves nothing: in earnest the police run it on theirs"
    );
    println!("logs         {}", room.data.display());
    if !headless {
        println!(
            "\ntry          1–9 and Enter: a camera; F: enlarge; M: mark an incident; R: the last 30 seconds; ?: why may I see this;"
        );
        println!(
            "             * 2 Enter: four tiles; F1: all keys; Ctrl+K: every command. Ctrl-C here ends everything.\n"
        );
    }
}

/// Completes the console's report and says whether every open camera showed a picture.
fn judge(path: &Path, room: &Room) -> Result<()> {
    let text = fs::read_to_string(path).context("the console wrote no report")?;
    let mut report: Value = serde_json::from_str(&text).context("the console's report is not JSON")?;
    report["recorded_bytes"] = room.recorded_bytes().into();
    fs::write(path, serde_json::to_string_pretty(&report)?)?;

    let tiles = report["tiles"].as_array().cloned().unwrap_or_default();
    let mut dark = Vec::new();
    let mut count = std::collections::BTreeMap::new();
    for tile in &tiles {
        let state = tile["state"].as_str().unwrap_or("unknown");
        *count.entry(state.to_owned()).or_insert(0) += 1;
        if state != "closed" && tile["frames_shown"].as_u64().unwrap_or(0) == 0 {
            dark.push(tile["camera"].as_str().unwrap_or("?").to_owned());
        }
    }
    let states: Vec<String> = count.iter().map(|(state, n)| format!("{n} {state}")).collect();
    println!(
        "{} tiles: {}; {} ledger entries; {:.1} MB recorded; report in {}",
        tiles.len(),
        states.join(", "),
        report["ledger_entries"],
        report["recorded_bytes"].as_u64().unwrap_or(0) as f64 / 1e6,
        path.display()
    );
    if tiles.is_empty() {
        bail!("the console showed no tile at all; see {}", room.data.join("console.err.log").display());
    }
    if !dark.is_empty() {
        bail!("open cameras that showed nothing: {}", dark.join(", "));
    }
    Ok(())
}
