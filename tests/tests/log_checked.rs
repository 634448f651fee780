//! The police check the log without trusting its host. Somebody looks and keeps the receipt; the folder `ledger/` is copied
//! and verified offline with `rtrctl` and with two programs that we did not write; every tampering is refused, with its
//! place; the log over HTTPS is read for a purpose of the law only, and never for statistics.

use anyhow::{Context as _, Result, bail, ensure};
use end_to_end::{Next, PATIENCE, cameras_until, copy_folder, log_in, next, pictures, plan, programs, watch};
use protocol::{
    api::CameraState,
    client::ClientError,
    socket::{ClientMessage, ServerMessage},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};
use xtask::{
    processes,
    room::{Periods, Room, target},
};

struct Tools {
    bin: PathBuf,
    policy: PathBuf,
}

impl Tools {
    /// Exit code and everything that was said.
    fn rtrctl(&self, words: &[&str]) -> Result<(i32, String)> {
        let mut command = Command::new(self.bin.join("rtrctl"));
        command.arg("ledger").args(words).arg("--policy").arg(&self.policy);
        said(&command.output().context("rtrctl does not start")?)
    }

    fn holds(&self, words: &[&str]) -> Result<String> {
        let (code, text) = self.rtrctl(words)?;
        ensure!(code == 0, "{words:?} ended with {code}: {text}");
        Ok(text)
    }

    fn refused(&self, words: &[&str], with: &str) -> Result<()> {
        let (code, text) = self.rtrctl(words)?;
        ensure!(code == 1 && text.contains(with), "{words:?} ended with {code}, without `{with}`: {text}");
        Ok(())
    }
}

fn said(output: &Output) -> Result<(i32, String)> {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    Ok((output.status.code().context("killed")?, String::from_utf8_lossy(&text).into_owned()))
}

fn copy(from: &Path, to: &Path) -> Result<PathBuf> {
    copy_folder(from, to)?;
    Ok(to.to_owned())
}

/// Changes one byte of a file.
fn bend(path: &Path, at: usize) -> Result<()> {
    let mut bytes = fs::read(path)?;
    *bytes.get_mut(at).context("a shorter file than expected")? ^= 1;
    Ok(fs::write(path, bytes)?)
}

/// The bundle that holds an entry, and where the entry begins in it.
fn place(log: &Path, size: u64, seq: u64) -> Result<(PathBuf, usize)> {
    let width = (size - seq / 256 * 256).min(256);
    let name = format!("{:03}", seq / 256) + &if width < 256 { format!(".p/{width}") } else { String::new() };
    let path = log.join("tile/entries").join(name);
    let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
    let mut at = 0;
    for _ in 0..seq % 256 {
        at += 2 + usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    }
    Ok((path, at + 2))
}

fn until<T>(patience: Duration, what: &str, mut ready: impl FnMut() -> Option<T>) -> Result<T> {
    let end = Instant::now() + patience;
    loop {
        if let Some(found) = ready() {
            return Ok(found);
        }
        ensure!(Instant::now() < end, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn size_of(note: &str) -> u64 {
    note.lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_police_check_the_log_without_its_host() -> Result<()> {
    let bin = programs()?;
    let rooms_bin = bin.clone();
    let room =
        tokio::task::spawn_blocking(move || Room::open(&rooms_bin, &plan("log_checked", 2, Periods::Open)))
            .await??;
    let ledger = room.data.join("state/ledger");
    let away = room.data.join("police");
    fs::create_dir_all(&away)?;
    let policy = away.join("policy");
    let mut vkeys = Command::new(bin.join("rtrctl"));
    vkeys.args(["ledger", "vkeys", "--config"]).arg(room.data.join("config/rtr.toml"));
    let (code, text) = said(&vkeys.output()?)?;
    ensure!(code == 0 && text.contains("\nlog ") && text.contains("\nwitness W1 "), "{text}");
    fs::write(&policy, &text)?;
    let tools = Tools { bin, policy };

    // Last night's backup, cosigned as far as it went.
    let (witnessed, from, to) =
        (ledger.join("checkpoint.witnessed"), ledger.clone(), away.join("last-night"));
    let backup = tokio::task::spawn_blocking(move || -> Result<PathBuf> {
        until(Duration::from_mins(1), "a first cosignature", || witnessed.exists().then_some(()))?;
        copy(&from, &to)
    })
    .await??;
    let backup_size = size_of(&fs::read_to_string(backup.join("checkpoint"))?);

    // Somebody looks, and keeps what they were shown.
    let observer = log_in(&room, "observant").await?;
    let cameras = cameras_until(&observer, PATIENCE, |list| {
        list.iter().all(|c| matches!(c.state, CameraState::Up { .. }))
    })
    .await?;
    let (sender, mut media) = observer.media().await?;
    sender.send(&watch(1, &cameras[0].id)).await?;
    let seq = loop {
        if let Next::Said(ServerMessage::Started { ledger_seq, .. }) = next(&mut media, 1, PATIENCE).await? {
            break ledger_seq;
        }
    };
    pictures(&mut media, 1, 5, PATIENCE).await?;
    // What no witness has cosigned yet is not enough for the police; the receipt is asked for until it is.
    let kept = away.join("look.tlog-proof");
    let end = Instant::now() + Duration::from_mins(2);
    let text = loop {
        let receipt = observer.receipt(seq).await?;
        ensure!(receipt.starts_with("c2sp.org/tlog-proof@v1\nextra "), "{receipt}");
        fs::write(&kept, &receipt)?;
        match tools.rtrctl(&["verify", "--proof", &kept.display().to_string()])? {
            (0, text) => break text,
            (1, text) if text.contains("WRONG: no given witness has cosigned") => {
                ensure!(Instant::now() < end, "no cosignature on the look: {text}");
            }
            (code, text) => bail!("the receipt is refused with {code}: {text}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    ensure!(text.contains("live_view.start") && !text.contains("observant"), "{text}");
    // Nobody gets the receipt of somebody else's act.
    let admin = log_in(&room, "beheer").await?;
    let refused = admin.receipt(seq).await.err().and_then(|e| e.problem().map(|p| p.code.clone()));
    ensure!(refused.as_deref() == Some("ROLE_NOT_PERMITTED"), "{refused:?}");
    sender.send(&ClientMessage::Stop { subscription: 1 }).await?;

    // The witness has seen the look, and a copy is taken away.
    let (witnessed, from) = (ledger.join("checkpoint.witnessed"), ledger.clone());
    let target_size = seq.max(backup_size + 1);
    let away_log = away.join("log");
    let log = tokio::task::spawn_blocking(move || -> Result<PathBuf> {
        until(Duration::from_mins(1), "a cosignature on the look", || {
            fs::read_to_string(&witnessed).ok().filter(|note| size_of(note) > target_size)
        })?;
        copy(&from, &away_log)
    })
    .await??;
    let dir = log.display().to_string();
    let text = tools.holds(&["verify", &dir, "--kept", &kept.display().to_string()])?;
    ensure!(text.contains("cosigned") && text.contains("look.tlog-proof is part of this log"), "{text}");
    let size = size_of(&fs::read_to_string(log.join("checkpoint"))?);
    let text = tools.holds(&["verify", &dir, "--entry", &seq.to_string()])?;
    ensure!(text.contains("live_view.start") && text.contains("cosigned by"), "{text}");
    tools.holds(&["audit", &dir])?;

    // An export proves itself; a line changed in it does not.
    let export = away.join("export.jsonl");
    let months = room.data.join("state/ledger-months").display().to_string();
    let file = export.display().to_string();
    tools.holds(&["export", &dir, "--out", &file, "--names", &months, "--purpose", "lawfulness"])?;
    ensure!(
        fs::read_to_string(&export)?.contains("\"actor\":\"observant\""),
        "the names are opened with the keys"
    );
    let text = tools.holds(&["verify", "--export", &file])?;
    ensure!(
        text.contains("ATTENTION: the names in"),
        "names are not proven without the months' keys: {text}"
    );
    let text = tools.holds(&["verify", "--export", &file, "--months", &months])?;
    ensure!(text.contains("every name is that of the person"), "{text}");
    fs::write(
        &export,
        fs::read_to_string(&export)?.replacen("\"outcome\":\"permit\"", "\"outcome\":\"deny\"", 1),
    )?;
    tools.refused(&["verify", "--export", &file], "not what was signed")?;
    // The index is made from the tiles, and finds the look.
    let index = away.join("index.sqlite").display().to_string();
    tools.holds(&["rebuild-index", &dir, "--index", &index])?;
    let camera = cameras[0].id.to_string();
    let query = ["query", &dir, "--index", &index, "--camera", &camera, "--action", "live_view.start"];
    ensure!(tools.holds(&query)?.contains(&format!("{seq}\t")), "the look is not found");
    let query = ["query", &dir, "--index", &index, "--months", &months, "--who", "observant"];
    let query = [&query[..], &["--purpose", "integrity"]].concat();
    ensure!(tools.holds(&query)?.contains(&format!("{seq}\t")), "the person is not found");

    outside_judges(&tools, &log, seq)?;

    // Tampering, each with its place.
    let tampered = |name: &str| copy(&log, &away.join(name));
    let bent = tampered("bent")?;
    let (bundle, at) = place(&bent, size, seq)?;
    bend(&bundle, at + 30)?;
    let dir = bent.display().to_string();
    tools.refused(&["verify", &dir], &format!("entry {seq} is not what was signed"))?;
    tools.refused(&["verify", &dir, "--entry", &seq.to_string()], &format!("entry {seq}"))?;
    outside_judges_refuse(&tools, &bent, seq)?;
    let cut = tampered("cut")?;
    fs::remove_file(place(&cut, size, seq)?.0)?;
    tools.refused(&["verify", &cut.display().to_string()], &format!("entry {}", seq / 256 * 256))?;
    // The backup is whole in itself; the receipt shows that the log was further.
    let dir = backup.display().to_string();
    tools.holds(&["verify", &dir])?;
    let kept = kept.display().to_string();
    tools.refused(&["verify", &dir, "--kept", &kept], "it was cut or rolled back at")?;
    let note = away.join("seen-by-the-police");
    fs::copy(log.join("checkpoint.witnessed"), &note)?;
    tools.refused(
        &["verify", &dir, "--kept", &note.display().to_string()],
        &format!("it was cut or rolled back at {backup_size}"),
    )?;

    over_https(&room, &tools, &away).await
}

/// Over HTTPS the log is read by whoever may, for a purpose of Wpg 32a lid 2, and the reading is logged.
async fn over_https(room: &Room, tools: &Tools, away: &Path) -> Result<()> {
    let code = |outcome: Result<bytes::Bytes, ClientError>| {
        outcome.err().and_then(|error| error.problem().map(|problem| problem.code.clone()))
    };
    let observer = log_in(room, "observant").await?;
    ensure!(
        code(observer.log_file("checkpoint", "integrity").await).as_deref() == Some("ROLE_NOT_PERMITTED")
    );
    let auditor = log_in(room, "auditor").await?;
    // Figures are another purpose than those of the law: they never come from here.
    for purpose in ["statistics", "productivity", ""] {
        let refused = code(auditor.log_file("checkpoint", purpose).await);
        ensure!(refused.as_deref() == Some("LOG_PURPOSE_NOT_ALLOWED"), "purpose `{purpose}`: {refused:?}");
    }
    let note = auditor.log_file("checkpoint", "integrity").await?;
    ensure!(size_of(std::str::from_utf8(&note)?) > 0);
    // The tile that this checkpoint needs: where the log has grown meanwhile, a wider one is served under another name.
    let end = Instant::now() + Duration::from_mins(1);
    loop {
        let note = auditor.log_file("checkpoint", "integrity").await?;
        let size = size_of(std::str::from_utf8(&note)?);
        let name = match (size / 256, size % 256) {
            (full, 0) => format!("tile/entries/{:03}", full - 1),
            (n, width) => format!("tile/entries/{n:03}.p/{width}"),
        };
        match auditor.log_file(&name, "integrity").await {
            Ok(bundle) => {
                ensure!(!bundle.is_empty(), "{name} is empty");
                break;
            }
            Err(error) => ensure!(Instant::now() < end, "{name} is not served: {error}"),
        }
    }
    ensure!(
        auditor.log_file("sequence", "integrity").await.is_err(),
        "the sequence file is nobody's to read"
    );
    ensure!(auditor.log_file("..%2faccounts.sqlite", "integrity").await.is_err());
    let client = auditor.client();
    let path = "ledger/entries?purpose=integrity&action=log.tiles&limit=100";
    let (status, entries) = client.raw("GET", path, Some(auditor.token()), None).await?;
    let entries = entries.as_array().cloned().unwrap_or_default();
    let read = entries.iter().filter(|e| e["entry"]["outcome"] == "permit").count();
    ensure!(status == 200 && read == 1, "several files of one reading are one entry: {entries:?}");
    let denied = entries.iter().filter(|e| e["entry"]["reason_code"] == "LOG_PURPOSE_NOT_ALLOWED").count();
    ensure!(denied == 3, "the refused readings stand in the log: {entries:?}");
    tokio::task::block_in_place(|| mirrored(room, tools, away))
}

/// A copy over HTTPS of the log as it grows and is cosigned, made and then brought up to date.
fn mirrored(room: &Room, tools: &Tools, away: &Path) -> Result<()> {
    let rtrctl = |words: &[&str]| -> Result<(i32, String)> {
        let mut command = Command::new(tools.bin.join("rtrctl"));
        command.args(words).env("RTR_SESSION", away.join("auditor.json"));
        command.env("RTR_URL", &room.url).env("RTR_CA", &room.ca).env("RTR_USER", "auditor");
        command.env("RTR_PASSWORD", room.accounts.get("auditor").context("no auditor")?);
        said(&command.output()?)
    };
    let (code, text) = rtrctl(&["login"])?;
    ensure!(code == 0, "{text}");
    let mirror = away.join("mirror");
    let (folder, policy) = (mirror.display().to_string(), tools.policy.display().to_string());
    let mut before = 0;
    for _ in 0..2 {
        until(Duration::from_mins(2), "the log to grow", || {
            let note = fs::read_to_string(room.data.join("state/ledger/checkpoint")).ok()?;
            (size_of(&note) > before).then_some(())
        })?;
        let (code, text) =
            rtrctl(&["ledger", "mirror", &folder, "--policy", &policy, "--purpose", "integrity"])?;
        ensure!(code == 0 && text.contains("cosigned"), "{code}: {text}");
        let size = size_of(&fs::read_to_string(mirror.join("checkpoint"))?);
        ensure!(size > before, "nothing new was copied: {text}");
        before = size;
    }
    tools.holds(&["verify", &folder]).map(drop)
}

/// aics-tlog and tlog-scales from PyPI, in an environment of their own under the target folder.
fn judges() -> Result<Option<PathBuf>> {
    let bin = target().join("python-tlog/bin");
    if !bin.join("aics-tlog").exists() {
        let made =
            processes::run(Command::new("python3").args(["-m", "venv"]).arg(target().join("python-tlog")));
        let mut pip = Command::new(bin.join("pip"));
        // aics-tlog asks for Python 3.12; it works on 3.11.
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--ignore-requires-python"]);
        pip.args(["aics-tlog==0.2.1", "tlog-scales==0.0.3"]);
        if made.and_then(|()| processes::run(&mut pip)).is_err() {
            not_tried("aics-tlog and tlog-scales cannot be had from the Python package index")?;
            return Ok(None);
        }
    }
    Ok(Some(bin))
}

/// A judge that is missing fails under `cargo xtask test`, which sees to it that they are there; on a bare machine it is said.
fn not_tried(why: &str) -> Result<()> {
    ensure!(std::env::var_os("RTR_JUDGES").is_none_or(|judges| judges != "required"), "{why}");
    println!("not tried: {why}");
    Ok(())
}

fn policy_keys(tools: &Tools) -> Result<(String, String)> {
    let text = fs::read_to_string(&tools.policy)?;
    let word = |line: &str, n: usize| {
        let line = text.lines().find(|l| l.starts_with(line));
        line.and_then(|l| l.split(' ').nth(n)).map(str::to_owned)
    };
    Ok((word("log ", 1).context("no log key")?, word("witness ", 2).context("no witness key")?))
}

fn ask_judges(tools: &Tools, bin: &Path, log: &Path, seq: u64) -> Result<[(i32, String); 3]> {
    let (log_key, witness_key) = policy_keys(tools)?;
    // The published note may be newer than the last cosignature: the cosigned one is put in its place, as a client would wait.
    let shown = log.with_extension("shown");
    copy(log, &shown)?;
    fs::copy(shown.join("checkpoint.witnessed"), shown.join("checkpoint"))?;
    let keys = ["--log-key", &log_key, "--witness-key", &witness_key, "--quorum", "1", "--tiles"];
    let mut checkpoint = Command::new(bin.join("aics-tlog"));
    checkpoint.arg("verify-checkpoint").args(keys).arg(&shown);
    let mut inclusion = Command::new(bin.join("aics-tlog"));
    inclusion.arg("verify-inclusion").args(["--index", &seq.to_string()]).args(keys).arg(&shown);
    let entry = log.with_extension("entry");
    let (_, at) = place(log, size_of(&fs::read_to_string(log.join("checkpoint"))?), seq)?;
    let bytes = fs::read(place(log, size_of(&fs::read_to_string(log.join("checkpoint"))?), seq)?.0)?;
    let length = usize::from(u16::from_be_bytes([bytes[at - 2], bytes[at - 1]]));
    fs::write(&entry, &bytes[at..at + length])?;
    inclusion.arg("--leaf").arg(&entry);
    let mut leaf = Command::new(bin.join("tlog-tiles"));
    leaf.args(["get-leaf", "--check"]).arg(format!("file://{}", shown.display())).arg(seq.to_string());
    Ok([said(&checkpoint.output()?)?, said(&inclusion.output()?)?, said(&leaf.output()?)?])
}

/// Go's checksum database, from Debian's packages; none where they are absent.
fn sumdb(tools: &Tools, log: &Path) -> Result<Option<(i32, String)>> {
    let sources = Path::new("/usr/share/gocode/src/golang.org/x/mod/sumdb");
    if !sources.is_dir() || Command::new("go").arg("version").output().is_err() {
        not_tried("Go and golang-golang-x-mod-dev are not installed")?;
        return Ok(None);
    }
    let judge = target().join("sumdb-judge");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("judges/sumdb.go");
    let mut go = Command::new("go");
    go.arg("build").arg("-o").arg(&judge).arg(source);
    go.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode").env("GOCACHE", target().join("go"));
    processes::run(&mut go)?;
    let (key, _) = policy_keys(tools)?;
    Ok(Some(said(&Command::new(judge).arg(log).arg(key).output()?)?))
}

fn outside_judges(tools: &Tools, log: &Path, seq: u64) -> Result<()> {
    if let Some((code, text)) = sumdb(tools, log)? {
        ensure!(code == 0, "Go's sumdb refuses our log: {text}");
        println!("Go's sumdb {text}");
    }
    let Some(bin) = judges()? else { return Ok(()) };
    for (judge, (code, text)) in
        ["checkpoint", "inclusion", "leaf"].iter().zip(ask_judges(tools, &bin, log, seq)?)
    {
        ensure!(code == 0, "an outside judge refuses our {judge}: {text}");
    }
    println!("aics-tlog and tlog-scales accept the log");
    Ok(())
}

fn outside_judges_refuse(tools: &Tools, bent: &Path, seq: u64) -> Result<()> {
    if let Some((code, text)) = sumdb(tools, bent)? {
        ensure!(code != 0, "Go's sumdb accepts a bent entry: {text}");
    }
    let Some(bin) = judges()? else { return Ok(()) };
    let [_, inclusion, leaf] = ask_judges(tools, &bin, bent, seq)?;
    ensure!(inclusion.0 != 0, "aics-tlog accepts a bent entry: {}", inclusion.1);
    ensure!(leaf.0 != 0, "tlog-scales accepts a bent entry: {}", leaf.1);
    Ok(())
}
