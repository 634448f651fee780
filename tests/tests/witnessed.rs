//! The daemon brings its checkpoints to the police's witness over the network (C2SP tlog-witness), is told when the witness is
//! away, and stops appending when the witness has signed more of the log than there is.

use anyhow::{Context as _, Result, ensure};
use end_to_end::{copy_folder, log_in, plan, programs};
use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use xtask::{
    processes::Process,
    room::{Periods, Room},
};

fn until(what: &str, mut ready: impl FnMut() -> bool) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(40);
    while !ready() {
        ensure!(Instant::now() < end, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn witnessed(log: &Path) -> u64 {
    size_of(&log.join("checkpoint.witnessed"))
}

fn published(log: &Path) -> u64 {
    size_of(&log.join("checkpoint"))
}

fn size_of(checkpoint: &Path) -> u64 {
    let note = fs::read_to_string(checkpoint).unwrap_or_default();
    note.lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daemon_brings_its_checkpoints_to_the_police() -> Result<()> {
    let bin = programs()?;
    let (witness, rtrd) = (bin.join("rtr-witness"), bin.join("rtrd"));
    let prepared =
        tokio::task::spawn_blocking(move || Room::prepare(&bin, &plan("witnessed", 1, Periods::Open)))
            .await??;
    let state = prepared.state();
    let data = state.parent().context("no data folder")?.to_owned();
    // A witness of its own, on another port, behind an address that only this host knows.
    let key = data.join("police.key");
    let vkey =
        Command::new(&witness).args(["key", "--name", "politie.example/w", "--key"]).arg(&key).output()?;
    let vkey = String::from_utf8(vkey.stdout)?.trim().to_owned();
    fs::write(data.join("police.vkey"), &vkey)?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let config = data.join("config/rtr.toml");
    let text: String = fs::read_to_string(&config)?
        .lines()
        .map(|line| {
            if line.starts_with("witnesses = ") {
                format!("witnesses = [\"{vkey}\"]\nwitness_urls = [\"http://127.0.0.1:{port}/s3cret\"]\n")
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    fs::write(&config, text)?;
    // The witness is not there yet: the room works, and the log says that nobody signs.
    let mut room = tokio::task::spawn_blocking(move || prepared.start()).await??;
    let log = state.join("ledger");
    let serve = |state_file: &str| -> Result<Process> {
        let mut command = Command::new(&witness);
        command.args(["serve", "--prefix", "s3cret", "--name", "politie.example/w", "--listen"]);
        command
            .arg(format!("127.0.0.1:{port}"))
            .arg("--key")
            .arg(&key)
            .arg("--state")
            .arg(data.join(state_file));
        command.arg("--log-key").arg(state.join("ledger.vkey"));
        command.stdout(fs::File::create(data.join("police.log"))?);
        command.stderr(fs::File::create(data.join("police.err.log"))?);
        Process::start("rtr-witness", &mut command)
    };
    let actions = async |room: &Room| -> Result<Vec<String>> {
        let privacy = log_in(room, "privacy").await?;
        let entries = privacy.ledger_entries("integrity", 0, 10_000).await?;
        Ok(entries.iter().map(|e| format!("{} {}", e.entry["action"], e.entry["reason_code"])).collect())
    };
    let refused = "\"witness.refuses\" \"unreachable\"";
    let end = Instant::now() + Duration::from_secs(20);
    while !actions(&room).await?.iter().any(|line| line == refused) {
        ensure!(Instant::now() < end, "an absent witness is not logged");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    ensure!(witnessed(&log) == 0);
    let mut police = serve("police.state")?;
    tokio::task::block_in_place(|| until("a first cosignature", || witnessed(&log) > 0))?;
    ensure!(actions(&room).await?.iter().any(|line| line.starts_with("\"witness.signs\"")));
    let backup = data.join("backup");
    copy_folder(&state, &backup)?;
    // What came after the backup, and the witness has signed.
    let had = published(&backup.join("ledger"));
    for _ in 0..3 {
        actions(&room).await?;
    }
    tokio::task::block_in_place(|| {
        until("the log to grow", || published(&log) > had + 4)?;
        let size = published(&log);
        until("a further cosignature", || witnessed(&log) >= size)
    })?;
    ensure!(!data.join("police.state.evidence").exists(), "an honest log sounded an alarm");

    // A witness that lost its state says so by another size, and is brought there.
    police.stop();
    let mut police = serve("police.state-2")?;
    let again = witnessed(&log);
    actions(&room).await?;
    tokio::task::block_in_place(|| until("a cosignature of the new state", || witnessed(&log) > again))?;
    police.stop();
    let _police = serve("police.state")?;

    // The whole machine is put back to last night, its own memory of the witness too: the police's memory is another one. The
    // daemon starts, hears of it, and from then on nobody looks and nothing is appended.
    room.daemon.kill();
    copy_folder(&backup, &state)?;
    let mut room = tokio::task::spawn_blocking(move || room.restart_daemon(true).map(|()| room)).await??;
    let errors = data.join("rtrd.err.log");
    let told = || {
        fs::read_to_string(&errors)
            .is_ok_and(|text| text.contains("NO COSIGNATURE") && text.contains("history is missing"))
    };
    tokio::task::block_in_place(|| until("the daemon to hear of it", told))?;
    let refused =
        log_in(&room, "observant").await.err().context("somebody logged in on a log that was cut")?;
    let code = refused
        .downcast_ref::<protocol::client::ClientError>()
        .and_then(|error| error.problem().map(|problem| problem.code.clone()));
    ensure!(code.as_deref() == Some("log-unavailable"), "{code:?}: {refused:#}");
    let length = || fs::metadata(log.join("sequence")).map_or(0, |meta| meta.len());
    let before = length();
    tokio::time::sleep(Duration::from_secs(3)).await;
    ensure!(length() == before, "something was appended to a log that was cut");
    room.daemon.stop();
    ensure!(length() == before, "something was appended at the stop");
    // What the witness showed is kept: a start refuses this log too.
    let start = Command::new(rtrd).arg("--config").arg(&config).output()?;
    let said = String::from_utf8_lossy(&[start.stdout, start.stderr].concat()).into_owned();
    ensure!(!start.status.success() && said.contains("new epoch"), "rtrd started on a disowned log: {said}");
    ensure!(length() == before, "something was appended at the next start");
    Ok(())
}
