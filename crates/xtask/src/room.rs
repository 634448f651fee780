//! A whole control room on this machine: simulated cameras, a configuration made for the moment, the daemon, the witness.
//! Demo and bench use it; the configuration is the shipped one with addresses and periods replaced.

use crate::{packages, processes, processes::Process, root};
use anyhow::{Context as _, Result, bail};
use chrono::{DateTime, Datelike as _, Duration as Span, SecondsFormat, Timelike as _, Utc};
use chrono_tz::Europe::Amsterdam;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Table, value};

/// Which periods the room gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Periods {
    /// Enschede and Almelo open, Hengelo closes within minutes, Borne is closed.
    Demo,
    /// Everything open all day.
    Open,
    /// Everything open, until so many seconds from now.
    ClosingIn(i64),
}

/// What the room is made of.
pub struct Plan {
    /// Folder of everything the run makes; emptied first.
    pub data: PathBuf,
    /// How many cameras.
    pub cameras: usize,
    /// Folder of clips to loop instead of drawn scenes.
    pub footage: Option<PathBuf>,
    /// Which periods are open.
    pub periods: Periods,
    /// Do not pull sub streams (the bench counts main streams).
    pub main_only: bool,
    /// Cameras that exist already, instead of camsim.
    pub existing: Option<Vec<SimulatedCamera>>,
    /// Further arguments of camsim.
    pub camsim: Vec<String>,
    /// What the daemon and the witness find in their environment beside ours.
    pub environment: Environment,
}

/// Names and values.
pub type Environment = Vec<(&'static str, String)>;

impl Plan {
    /// A room of this many simulated cameras, main and sub streams.
    pub fn new(data: PathBuf, cameras: usize, periods: Periods) -> Self {
        Self {
            data,
            cameras,
            footage: None,
            periods,
            main_only: false,
            existing: None,
            camsim: Vec::new(),
            environment: Vec::new(),
        }
    }
}

/// Existing cameras, from an address with `{n}` for the number.
pub fn numbered(pattern: &str, cameras: usize) -> Vec<SimulatedCamera> {
    let camera =
        |n: usize| SimulatedCamera { n, main: pattern.replace("{n}", &n.to_string()), ..Default::default() };
    (1..=cameras).map(camera).collect()
}

/// A running room. Dropping it ends every process.
pub struct Room {
    /// `https://127.0.0.1:PORT`.
    pub url: String,
    /// The authority that clients pin.
    pub ca: PathBuf,
    /// Log-in names and their passwords.
    pub accounts: BTreeMap<String, String>,
    /// Folder of everything the run made.
    pub data: PathBuf,
    /// The cameras and where they are.
    pub cameras: Vec<SimulatedCamera>,
    /// Where camsim takes commands.
    pub control_port: u16,
    /// `rtrd`.
    pub daemon: Process,
    /// What the daemon and the witness find in their environment when they are started next.
    pub environment: Environment,
    bin: PathBuf,
    config: PathBuf,
    /// The witness that reads the log's folder; none once a story has ended it.
    pub witness: Option<Process>,
    camsim: Option<Process>,
}

/// What camsim says of each camera.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct SimulatedCamera {
    /// Its number, from 1.
    pub n: usize,
    /// Address of the full picture.
    pub main: String,
    /// Address of the small picture.
    #[serde(default)]
    pub sub: Option<String>,
    /// Log-in name.
    #[serde(default)]
    pub username: Option<String>,
    /// Password.
    #[serde(default)]
    pub password: Option<String>,
    /// `tcp` or `udp`, if not as configured.
    #[serde(default)]
    pub transport: Option<String>,
}

#[derive(Deserialize)]
struct Simulated {
    control_port: u16,
    cameras: Vec<SimulatedCamera>,
}

/// Builds the programs in the release profile and says where they are.
pub fn build() -> Result<PathBuf> {
    packages::ensure(&["build", "run"])?;
    eprintln!("building (the first time takes some minutes) …");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The whole workspace, always: another selection would unify features differently and build dependencies again.
    cargo.current_dir(root()).args(["build", "--release", "--workspace", "--bins", "--quiet"]);
    processes::run(&mut cargo).context("the build failed")?;
    Ok(target().join("release"))
}

/// Cargo's target folder.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The folder of third-party clips beside the repository, `RTR_MATERIAL`; says when it is absent.
pub fn material() -> Option<PathBuf> {
    let folder =
        std::env::var_os("RTR_MATERIAL").map_or_else(|| root().join("../shared/material"), PathBuf::from);
    if folder.join("video").is_dir() {
        return Some(folder);
    }
    println!("no real clips: {} does not exist (RTR_MATERIAL names another folder)", folder.display());
    None
}

const MARK: &str = ".rtr-demo";

/// A room whose cameras run and whose configuration is written, before the daemon's first start.
pub struct Prepared {
    bin: PathBuf,
    data: PathBuf,
    config: PathBuf,
    environment: Environment,
    camsim: Option<Process>,
    simulated: Simulated,
}

impl Prepared {
    /// Where the daemon will keep its state.
    pub fn state(&self) -> PathBuf {
        self.data.join("state")
    }

    /// Initialises the register, starts the daemon and the witness, and waits until the daemon serves.
    ///
    /// # Errors
    /// When a program does not start; the message names the log to read.
    pub fn start(self) -> Result<Room> {
        let Self { bin, data, config, environment, camsim, simulated } = self;
        let accounts_file = data.join("accounts.toml");
        let mut init = Command::new(bin.join("rtrd"));
        init.arg("--config").arg(&config).arg("init").arg("--accounts").arg(&accounts_file);
        init.envs(environment.clone()).stdout(log(&data, "init.log")?).stderr(log(&data, "init.err.log")?);
        processes::run(&mut init)
            .with_context(|| format!("rtrd init failed; see {}", data.join("init.err.log").display()))?;
        let accounts = passwords(&fs::read_to_string(&accounts_file)?)?;
        let (daemon, url) = serve(&bin, &data, &config, &environment)?;

        let state = data.join("state");
        let witness = Some(witness(&bin, &data, &environment)?);

        let ca = state.join("tls/ca.pem");
        let (cameras, control_port) = (simulated.cameras, simulated.control_port);
        Ok(Room {
            url,
            ca,
            accounts,
            data,
            cameras,
            control_port,
            daemon,
            environment,
            bin,
            config,
            witness,
            camsim,
        })
    }
}

/// Starts the police's witness beside a daemon's log.
fn witness(bin: &Path, data: &Path, environment: &Environment) -> Result<Process> {
    let state = data.join("state");
    let mut rtr_witness = Command::new(bin.join("rtr-witness"));
    rtr_witness.args(["cosign", "--every", "10s"]).arg("--log").arg(state.join("ledger"));
    rtr_witness.arg("--log-key").arg(state.join("ledger.vkey"));
    rtr_witness.arg("--key").arg(data.join("witness.key")).arg("--state").arg(data.join("witness.state"));
    rtr_witness
        .envs(environment.clone())
        .stdout(log(data, "witness.log")?)
        .stderr(log(data, "witness.err.log")?);
    Process::start("rtr-witness", &mut rtr_witness)
}

fn log(data: &Path, name: &str) -> Result<fs::File> {
    fs::File::create(data.join(name)).context("a log file cannot be made")
}

/// Starts the daemon and waits for its address.
fn serve(bin: &Path, data: &Path, config: &Path, environment: &Environment) -> Result<(Process, String)> {
    let mut rtrd = Command::new(bin.join("rtrd"));
    rtrd.envs(environment.clone());
    rtrd.arg("--config").arg(config).stdout(log(data, "rtrd.log")?).stderr(log(data, "rtrd.err.log")?);
    let mut daemon = Process::start("rtrd", &mut rtrd)?;
    loop {
        let text = processes::wait_for_file(&data.join("rtrd.log"), Duration::from_mins(1), &mut daemon)
            .with_context(|| format!("see {}", data.join("rtrd.err.log").display()))?;
        if let Some(address) = text.lines().find_map(|l| l.strip_prefix("ready ")) {
            return Ok((daemon, address.trim().to_owned()));
        }
        processes::pause(Duration::from_millis(20))?;
    }
}

impl Room {
    /// Starts the cameras and writes the configuration.
    ///
    /// # Errors
    /// When camsim does not start, or the data folder holds something that is not a demo's.
    pub fn prepare(bin: &Path, plan: &Plan) -> Result<Prepared> {
        fresh(&plan.data)?;
        let (camsim, simulated) = cameras(bin, plan)?;
        let key = Command::new(bin.join("rtr-witness"))
            .arg("key")
            .arg("--key")
            .arg(plan.data.join("witness.key"))
            .output();
        let witness =
            String::from_utf8(key.context("rtr-witness cannot be started")?.stdout)?.trim().to_owned();
        fs::write(plan.data.join("witness.vkey"), format!("{witness}\n"))?;
        let config = configure(plan, &simulated.cameras, &witness)?;
        let (bin, data, environment) = (bin.to_owned(), plan.data.clone(), plan.environment.clone());
        Ok(Prepared { bin, data, config, environment, camsim, simulated })
    }

    /// Starts everything and waits until the daemon serves.
    ///
    /// # Errors
    /// As [`Room::prepare`] and [`Prepared::start`].
    pub fn open(bin: &Path, plan: &Plan) -> Result<Self> {
        Self::prepare(bin, plan)?.start()
    }

    /// Ends the daemon (by SIGKILL if `kill`) and starts it again on the same data.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart_daemon(&mut self, kill: bool) -> Result<()> {
        if kill {
            self.daemon.kill();
        } else {
            self.daemon.stop();
        }
        (self.daemon, self.url) = serve(&self.bin, &self.data, &self.config, &self.environment)?;
        Ok(())
    }

    /// Ends the witness: from now on nobody confirms the log.
    pub fn stop_witness(&mut self) {
        self.witness = None;
    }

    /// Starts the witness again where it stopped.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_witness(&mut self) -> Result<()> {
        self.witness = Some(witness(&self.bin, &self.data, &self.environment)?);
        Ok(())
    }

    /// Fails when one of its services has ended.
    pub fn must_run(&mut self) -> Result<()> {
        self.daemon
            .must_run()
            .with_context(|| format!("see {}", self.data.join("rtrd.err.log").display()))?;
        if let Some(witness) = &mut self.witness {
            witness
                .must_run()
                .with_context(|| format!("see {}", self.data.join("witness.err.log").display()))?;
        }
        self.camsim.as_mut().map_or(Ok(()), Process::must_run)
    }

    /// A Prometheus figure of the daemon, by name without labels, summed.
    pub fn metric(&self, name: &str) -> Option<f64> {
        use std::io::{Read as _, Write as _};
        let log = fs::read_to_string(self.data.join("rtrd.log")).ok()?;
        let address = log.lines().find_map(|l| l.strip_prefix("metrics http://"))?;
        let host = address.split('/').next()?.trim();
        let mut stream = std::net::TcpStream::connect(host).ok()?;
        write!(stream, "GET /metrics HTTP/1.0\r\nHost: {host}\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let lines = text.lines().filter(|l| l.split([' ', '{']).next() == Some(name));
        Some(lines.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// Waits until no further camera has come up for longer than a group of pictures lasts, at most 15 seconds.
    ///
    /// # Errors
    /// When a service ends meanwhile.
    pub fn settle(&mut self) -> Result<()> {
        let (mut up, mut since) = (0.0, Instant::now());
        let end = since + Duration::from_secs(15);
        while Instant::now() < end && (up == 0.0 || since.elapsed() < Duration::from_millis(2_500)) {
            let now = self.metric("rtr_cameras_up").unwrap_or(0.0);
            if now > up {
                (up, since) = (now, Instant::now());
            }
            self.must_run()?;
            processes::pause(Duration::from_millis(100))?;
        }
        Ok(())
    }

    /// Bytes of footage on disk.
    pub fn recorded_bytes(&self) -> u64 {
        bytes_under(&self.data.join("state/vault"))
    }
}

fn bytes_under(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|e| match e.metadata() {
            Ok(m) if m.is_dir() => bytes_under(&e.path()),
            Ok(m) if e.path().extension().is_some_and(|x| x == "vol" || x == "rtv" || x == "volume") => {
                m.len()
            }
            _ => 0,
        })
        .sum()
}

/// An empty data folder. Only a folder that an earlier run made is emptied.
fn fresh(data: &Path) -> Result<()> {
    if data.exists() && fs::read_dir(data)?.next().is_some() {
        if !data.join(MARK).exists() {
            bail!("{} holds something that no demo made; name another folder with --data", data.display());
        }
        fs::remove_dir_all(data)?;
    }
    fs::create_dir_all(data)?;
    fs::write(data.join(MARK), "made by cargo xtask; emptied at its next start\n")?;
    Ok(())
}

fn cameras(bin: &Path, plan: &Plan) -> Result<(Option<Process>, Simulated)> {
    if let Some(cameras) = &plan.existing {
        return Ok((None, Simulated { control_port: 0, cameras: cameras.clone() }));
    }
    let scenes = target().join("scenes");
    fs::create_dir_all(&scenes)?;
    println!(
        "starting {} cameras (their scenes are drawn and encoded once, within a minute) …",
        plan.cameras
    );
    let ready = plan.data.join("camsim.ready.json");
    let mut command = Command::new(bin.join("camsim"));
    command.arg("--cameras").arg(plan.cameras.to_string()).arg("--scenes").arg(&scenes);
    command.arg("--credentials").arg(plan.data.join("camsim.credentials.json")).arg("--ready").arg(&ready);
    if let Some(footage) = &plan.footage {
        command.arg("--footage").arg(footage);
    }
    command.args(&plan.camsim);
    command.stdout(fs::File::create(plan.data.join("camsim.log"))?).stderr(Stdio::inherit());
    let mut camsim = Process::start("camsim", &mut command)?;
    let text = processes::wait_for_file(&ready, Duration::from_mins(10), &mut camsim)?;
    let simulated: Simulated = serde_json::from_str(&text).context("camsim's answer is not understood")?;
    Ok((Some(camsim), simulated))
}

/// Lines `name = "password"`.
fn passwords(text: &str) -> Result<BTreeMap<String, String>> {
    let document: DocumentMut = text.parse().context("the accounts file is not TOML")?;
    Ok(document.iter().filter_map(|(k, v)| Some((k.to_owned(), v.as_str()?.to_owned()))).collect())
}

/// Writes the configuration for this run and says where.
fn configure(plan: &Plan, cameras: &[SimulatedCamera], witness: &str) -> Result<PathBuf> {
    let shipped = root().join("config");
    let config = plan.data.join("config");
    fs::create_dir_all(config.join("municipalities"))?;
    let read = |path: &Path| -> Result<DocumentMut> {
        let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        text.parse().with_context(|| format!("{} is not TOML", path.display()))
    };
    let now = Utc::now();

    let mut rtr = read(&shipped.join("rtr.toml"))?;
    rtr["daemon"]["data"] = value("../state");
    rtr["daemon"]["listen"] = value("127.0.0.1:0");
    rtr["daemon"]["metrics"] = value("127.0.0.1:0");
    let mut witnesses = Array::new();
    witnesses.push(witness);
    rtr["daemon"]["witnesses"] = value(witnesses);
    fs::write(config.join("rtr.toml"), rtr.to_string())?;

    let mut people = read(&shipped.join("organisations.toml"))?;
    prolong(&mut people, now);
    for shift in tables(&mut people, "shift") {
        shift["from"] = value(stamp(now - Span::hours(1)));
        shift["until"] = value(stamp(now + Span::hours(9)));
    }
    fs::write(config.join("organisations.toml"), people.to_string())?;

    let mut extra = cameras.iter().filter(|c| c.n > 16);
    for name in ["enschede", "hengelo", "almelo", "borne"] {
        let mut document = read(&shipped.join(format!("municipalities/{name}.toml")))?;
        prolong(&mut document, now);
        if name == "enschede" {
            for camera in &mut extra {
                add_camera(&mut document, camera.n);
            }
        }
        streams(&mut document, cameras, plan, &config)?;
        periods(&mut document, name, plan.periods, now);
        fs::write(config.join(format!("municipalities/{name}.toml")), document.to_string())?;
    }
    Ok(config.join("rtr.toml"))
}

fn tables<'a>(document: &'a mut DocumentMut, name: &str) -> Vec<&'a mut Table> {
    match document.get_mut(name).and_then(|item| item.as_array_of_tables_mut()) {
        Some(list) => list.iter_mut().collect(),
        None => Vec::new(),
    }
}

/// What the shipped facts let end in the far future ends in a year at the earliest: the demonstration outlives its dates.
fn prolong(document: &mut DocumentMut, now: DateTime<Utc>) {
    let year = now + Span::days(365);
    for (_, item) in document.iter_mut() {
        for table in item.as_array_of_tables_mut().into_iter().flat_map(|list| list.iter_mut()) {
            for key in ["until", "valid_until", "wpbr_permission_until"] {
                let Ok(ends) = DateTime::parse_from_rfc3339(text(table, key)) else { continue };
                // What the demonstration says of its own past stays.
                if ends.year() >= 2028 && ends < year {
                    table[key] = value(stamp(year));
                }
            }
        }
    }
}

fn text<'a>(table: &'a Table, key: &str) -> &'a str {
    table.get(key).and_then(|v| v.as_str()).unwrap_or_default()
}

/// One more camera on the Oude Markt, for large loads.
fn add_camera(document: &mut DocumentMut, n: usize) {
    let mut push = |name: &str, pairs: Vec<(&str, toml_edit::Item)>| {
        let mut table = Table::new();
        for (key, item) in pairs {
            table[key] = item;
        }
        if let Some(list) = document.get_mut(name).and_then(|item| item.as_array_of_tables_mut()) {
            list.push(table);
        }
    };
    let number = 100 + n;
    let id = format!("ENS-C{number}");
    let mut point = Array::new();
    point.extend([6.8958, 52.2206]);
    push(
        "camera",
        vec![
            ("id", value(&id)),
            ("municipality", value("enschede")),
            ("number", value(number as i64)),
            ("name", value(format!("Oude Markt {n}"))),
        ],
    );
    push(
        "position",
        vec![
            ("id", value(format!("{id}-P1"))),
            ("camera", value(&id)),
            ("point", value(point)),
            ("from", value("2026-01-10T00:00:00+01:00")),
        ],
    );
    push(
        "mask",
        vec![
            ("id", value(format!("{id}-M1"))),
            ("position", value(format!("{id}-P1"))),
            ("verified_at", value("2026-01-09T15:00:00+01:00")),
            ("verified_by", value("regie")),
        ],
    );
    push("stream", vec![("camera", value(&id)), ("main", value(format!("rtsp://127.0.0.1/cam{n}")))]);
}

/// Points every stream at its simulated camera and leaves out the cameras that are not simulated.
fn streams(
    document: &mut DocumentMut,
    cameras: &[SimulatedCamera],
    plan: &Plan,
    config: &Path,
) -> Result<()> {
    let mut left_out = Vec::new();
    for stream in tables(document, "stream") {
        let shipped = text(stream, "main").to_owned();
        let n: usize = shipped.rsplit("/cam").next().and_then(|n| n.parse().ok()).unwrap_or(0);
        let Some(camera) = cameras.iter().find(|c| c.n == n) else {
            left_out.push(text(stream, "camera").to_owned());
            continue;
        };
        stream["main"] = value(&camera.main);
        match (&camera.sub, plan.main_only) {
            (Some(sub), false) => stream["sub"] = value(sub),
            _ => drop(stream.remove("sub")),
        }
        if plan.main_only {
            stream["transport"] = value("tcp");
        }
        if let Some(transport) = &camera.transport {
            stream["transport"] = value(transport);
        }
        if let (Some(username), Some(password)) = (&camera.username, &camera.password) {
            stream["username"] = value(username);
            stream["password_file"] = value(format!("cam{n}.password"));
            fs::write(config.join("municipalities").join(format!("cam{n}.password")), password)?;
        }
    }
    for (name, key) in [("stream", "camera"), ("camera", "id"), ("position", "camera"), ("mask", "id")] {
        retain(document, name, |t| {
            let id = text(t, key);
            !left_out.iter().any(|camera| id == camera || id.starts_with(&format!("{camera}-")))
        });
    }
    Ok(())
}

fn retain(document: &mut DocumentMut, name: &str, keep: impl Fn(&Table) -> bool) {
    let Some(list) = document.get(name).and_then(|item| item.as_array_of_tables()) else { return };
    let kept: ArrayOfTables = list.iter().filter(|t| keep(t)).cloned().collect();
    if kept.is_empty() {
        document.remove(name);
    } else {
        document[name] = toml_edit::Item::ArrayOfTables(kept);
    }
}

fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Weekly windows, every day, around the present moment.
fn periods(document: &mut DocumentMut, municipality: &str, periods: Periods, now: DateTime<Utc>) {
    let hour = |at: DateTime<Utc>| {
        let local = at.with_timezone(&Amsterdam);
        format!("{:02}:00", local.hour())
    };
    let second = |at: DateTime<Utc>| at.with_timezone(&Amsterdam).format("%H:%M:%S").to_string();
    let (start, end, weekly) = match (periods, municipality) {
        (Periods::ClosingIn(seconds), _) => {
            (hour(now - Span::hours(2)), second(now + Span::seconds(seconds)), true)
        }
        (Periods::Open, _) => ("00:00".to_owned(), "00:00".to_owned(), false),
        (Periods::Demo, "enschede") => (hour(now - Span::hours(2)), hour(now + Span::hours(8)), false),
        (Periods::Demo, "almelo") => (hour(now - Span::hours(1)), hour(now + Span::hours(6)), false),
        (Periods::Demo, "hengelo") => (hour(now - Span::hours(3)), second(now + Span::seconds(150)), false),
        (Periods::Demo, _) => (hour(now + Span::hours(3)), hour(now + Span::hours(9)), true),
    };
    let window = |id: &str| {
        let mut days = Array::new();
        days.extend(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]);
        let mut table = InlineTable::new();
        table.insert("id", format!("{id}-{municipality}").into());
        table.insert("days", days.into());
        table.insert("start", start.clone().into());
        table.insert("end", end.clone().into());
        let mut list = Array::new();
        list.push(table);
        list
    };
    for period in tables(document, "period") {
        period["live"] = value(window("live"));
        let mut used = InlineTable::new();
        if weekly {
            used.insert("mode", "weekly".into());
            used.insert("windows", window("use").into());
        } else {
            used.insert("mode", "continuous".into());
        }
        period["use"] = value(used);
    }
}
