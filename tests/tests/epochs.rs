//! The log's disk dies and last night's backup comes back: the daemon refuses to append, the police grant a new epoch, the host
//! begins it, people look again, and a verification spans both.

use anyhow::{Context as _, Result, ensure};
use end_to_end::{PATIENCE, cameras_until, copy_folder, log_in, pictures, plan, programs, watch};
use protocol::api::CameraState;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};
use xtask::{
    processes::Process,
    room::{Periods, Room},
};

fn said(command: &mut Command) -> Result<(i32, String)> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    Ok((output.status.code().context("killed")?, String::from_utf8_lossy(&text).into_owned()))
}

fn holds(command: &mut Command) -> Result<String> {
    let (code, text) = said(command)?;
    ensure!(code == 0, "{command:?} ended with {code}: {text}");
    Ok(text)
}

fn size_of(checkpoint: &Path) -> u64 {
    let note = fs::read_to_string(checkpoint).unwrap_or_default();
    note.lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or(0)
}

fn witnessed(log: &Path, more_than: u64) -> Result<u64> {
    let end = Instant::now() + Duration::from_secs(40);
    loop {
        let size = size_of(&log.join("checkpoint.witnessed"));
        if size > more_than {
            return Ok(size);
        }
        ensure!(Instant::now() < end, "no cosignature on more than {more_than} entries");
        std::thread::sleep(Duration::from_millis(100));
    }
}

async fn look(room: &Room, subscription: u32) -> Result<()> {
    let observer = log_in(room, "observant").await?;
    let is_up =
        |list: &[protocol::api::CameraView]| list.iter().all(|c| matches!(c.state, CameraState::Up { .. }));
    let camera = cameras_until(&observer, PATIENCE, is_up).await?.remove(0).id;
    let (sender, mut media) = observer.media().await?;
    sender.send(&watch(subscription, &camera)).await?;
    pictures(&mut media, subscription, 5, PATIENCE).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_rollback_the_log_goes_on_only_as_the_police_granted() -> Result<()> {
    let bin = programs()?;
    let rooms_bin = bin.clone();
    let mut room =
        tokio::task::spawn_blocking(move || Room::open(&rooms_bin, &plan("epochs", 1, Periods::Open)))
            .await??;
    let (state, data) = (room.data.join("state"), room.data.clone());
    let config = data.join("config/rtr.toml");
    let log = state.join("ledger");
    let police = data.join("police");
    fs::create_dir_all(&police)?;
    let rtrd = |words: &[&str]| {
        let mut command = Command::new(bin.join("rtrd"));
        command.arg("--config").arg(&config).args(words);
        command
    };

    // Last night, and what came after it.
    look(&room, 1).await?;
    let night = tokio::task::block_in_place(|| witnessed(&log, 0))?;
    copy_folder(&log, &data.join("last-night"))?;
    look(&room, 2).await?;
    let full = tokio::task::block_in_place(|| witnessed(&log, night.max(size_of(&log.join("checkpoint")))))?;
    let mirror = police.join("mirror");
    copy_folder(&log, &mirror)?;
    room.daemon.kill();

    // The backup is put back. It is whole by itself, and signed, and still nothing is appended to it.
    copy_folder(&data.join("last-night"), &log)?;
    let (code, text) = said(&mut rtrd(&[]))?;
    ensure!(code != 0 && text.contains("new epoch"), "rtrd started on last night's log ({code}): {text}");
    ensure!(size_of(&log.join("checkpoint")) < full, "{text}");
    // The witness noticed by itself.
    let alarm = data.join("witness.state.evidence.shorter");
    let end = Instant::now() + Duration::from_secs(30);
    while !alarm.exists() {
        ensure!(Instant::now() < end, "the witness sounds no alarm for a shorter log");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    room.witness.take();

    // Two histories under one name would be a fork.
    let (code, text) = said(&mut rtrd(&["epoch", "prepare"]))?;
    ensure!(code != 0 && text.contains("another `origin`"), "{text}");
    let text = fs::read_to_string(&config)?;
    ensure!(text.contains("demo.rtr.invalid/ledger"));
    fs::write(&config, text.replace("demo.rtr.invalid/ledger", "demo.rtr.invalid/ledger-2"))?;
    let new_key = holds(&mut rtrd(&["epoch", "prepare"]))?.trim().to_owned();
    ensure!(new_key.starts_with("demo.rtr.invalid/ledger-2+"), "{new_key}");

    // The police grant it for this key, and nobody else does.
    let old_key = fs::read_to_string(state.join("ledger.vkey"))?.trim().to_owned();
    let grant = police.join("grant");
    let mut asked = Command::new(bin.join("rtr-witness"));
    asked.args(["epoch", "--reason", "the disk of the log died", "--new-log-key", &new_key]);
    asked.arg("--new-state").arg(police.join("state-2")).arg("--out").arg(&grant);
    asked.arg("--key").arg(data.join("witness.key")).arg("--state").arg(data.join("witness.state"));
    asked.arg("--log-key").arg(&old_key);
    let text = holds(&mut asked)?;
    ensure!(text.contains(&format!("ends at {full} entries")), "{text}");
    let bent = police.join("bent");
    fs::write(&bent, fs::read_to_string(&grant)?.replace(&format!("size {full}"), "size 1"))?;
    let begin = |grant: &Path| rtrd(&["epoch", "begin", "--grant", &grant.display().to_string()]);
    let (code, text) = said(&mut begin(&bent))?;
    ensure!(code != 0 && text.contains("no configured witness signed this grant"), "{text}");
    let text = holds(&mut begin(&grant))?;
    ensure!(text.contains("begins"), "{text}");
    ensure!(
        state.join(format!("ledger-until-{full}")).join("sequence").exists(),
        "the old log is kept as it was"
    );

    // The room works again, on the new log, which the witness signs because it begins with the grant.
    let mut room = tokio::task::spawn_blocking(move || room.restart_daemon(true).map(|()| room)).await??;
    let mut cosign = Command::new(bin.join("rtr-witness"));
    cosign.args(["cosign", "--every", "2s"]).arg("--log").arg(&log).arg("--log-key").arg(&new_key);
    cosign.arg("--key").arg(data.join("witness.key")).arg("--state").arg(police.join("state-2"));
    cosign.stdout(fs::File::create(police.join("witness.log"))?).stderr(std::process::Stdio::inherit());
    room.witness = Some(Process::start("rtr-witness", &mut cosign)?);
    look(&room, 3).await?;
    tokio::task::block_in_place(|| witnessed(&log, 2))?;

    // A witness that sees no entries, because the log comes to it or by letter, lets the log in by the proof of its first one.
    let (proof, answer) = (police.join("first-entry"), police.join("answer"));
    let mut first = Command::new(bin.join("rtrctl"));
    first.args(["ledger", "proof"]).arg(&log).arg("0").args(["--log-key", &new_key]).arg("--out").arg(&proof);
    holds(&mut first)?;
    let served = police.join("state-served");
    fs::copy(police.join("state-2.epoch"), police.join("state-served.epoch"))?;
    let begin = |proof: &Path| {
        let mut command = Command::new(bin.join("rtr-witness"));
        command
            .arg("begin")
            .arg("--proof")
            .arg(proof)
            .arg("--out")
            .arg(&answer)
            .args(["--log-key", &new_key]);
        command.arg("--key").arg(data.join("witness.key")).arg("--state").arg(&served);
        command
    };
    let other = police.join("other-entry");
    fs::write(&other, fs::read_to_string(&proof)?.replace("index 0", "index 1"))?;
    let (code, text) = said(&mut begin(&other))?;
    ensure!(code != 0 && text.contains("does not prove the log's first entry"), "{text}");
    let text = holds(&mut begin(&proof))?;
    ensure!(text.contains("begins with its grant") && size_of(&answer) > 0, "{text}");

    // Both together, from copies: whole with the police's mirror; with what was left at the host, the loss is named.
    let copied = police.join("log");
    copy_folder(&log, &copied)?;
    let verify = |previous: &PathBuf| {
        let mut command = Command::new(bin.join("rtrctl"));
        command.args(["ledger", "verify"]).arg(&copied).args(["--log-key", &new_key]);
        command.arg("--witness-key").arg(data.join("witness.vkey"));
        command.arg("--previous").arg(previous).args(["--previous-key", &old_key]);
        command
    };
    let text = holds(&mut verify(&mirror))?;
    ensure!(text.contains(&format!("whole: the epoch before has all {full} entries")), "{text}");
    ensure!(text.contains("the disk of the log died"), "{text}");
    let left = state.join(format!("ledger-until-{full}"));
    let (code, text) = said(&mut verify(&left))?;
    ensure!(
        code == 1 && text.contains("LOST: entries ") && text.contains(&format!("to {}", full - 1)),
        "{text}"
    );
    Ok(())
}
