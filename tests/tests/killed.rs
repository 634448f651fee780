//! The daemon is killed in the middle of recording: at most one group of pictures of each stream is missing, the check that
//! needs no key finds nothing wrong before and after the next start, and an index that is lost is made anew from the volumes.
//! In passing: no core dump, and the police's word about the clock.

use anyhow::{Context as _, Result, ensure};
use chrono::{TimeDelta, Utc};
use end_to_end::{PATIENCE, cameras_until, log_in, plan, programs};
use protocol::{
    api::{CameraState, ClockAcceptance},
    client::Session,
};
use std::{fs, path::Path, process::Command, time::Duration};
use xtask::room::{Periods, Room};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_daemon_loses_a_group_at_most_and_its_vault_proves_whole() -> Result<()> {
    let bin = programs()?;
    let rtrctl = bin.join("rtrctl");
    let mut room =
        tokio::task::spawn_blocking(move || Room::open(&bin, &plan("killed", 2, Periods::Open))).await??;
    let observer = log_in(&room, "observant").await?;
    let is_up =
        |list: &[protocol::api::CameraView]| list.iter().all(|c| matches!(c.state, CameraState::Up { .. }));
    cameras_until(&observer, PATIENCE, is_up).await?;
    ensure!(core_limit(room.daemon.id())? == "0", "a core dump would hold keys");
    clock(&room, &observer).await?;

    // Some ten groups of two cameras.
    let received = |room: &Room| room.metric("rtr_stored_frames_total").unwrap_or(0.0);
    let begun = received(&room);
    while received(&room) < begun + 500.0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // At least the last tick's pictures are on their way. A disk that stalls is another test's: wait until it has caught up.
    let waiting = |room: &Room| received(room) - room.metric("rtr_written_frames_total").unwrap_or(0.0);
    while waiting(&room) > 100.0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let given = received(&room);
    // Unwatched, rounds of 250 ms: that is how well an arrival is known, and it is kept with each picture.
    let within = room.metric("rtr_arrival_uncertainty_microseconds").unwrap_or(0.0);
    ensure!(within > 0.0 && within < 2e6, "arrivals are known within {within} µs");
    room.daemon.kill();
    let dir = room.data.join("state/vault");
    let killed = check(&rtrctl, &dir, false)?;
    ensure!(killed.contains("not sealed") && killed.ends_with("all is well\n"), "{killed}");
    let kept = pictures(&killed)?;
    // A group of two seconds at 25 pictures a second, of each of two cameras.
    ensure!(kept as f64 >= given - 100.0, "{kept} of {given} pictures are on disk:\n{killed}");

    room.restart_daemon(true)?;
    room.daemon.stop();
    let after = check(&rtrctl, &dir, false)?;
    ensure!(after.ends_with("all is well\n") && pictures(&after)? >= kept, "{after}");
    for file in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        drop(fs::remove_file(dir.join(file)));
    }
    let lost = Command::new(&rtrctl).args(["vault", "check"]).arg(&dir).output()?;
    ensure!(!lost.status.success() && String::from_utf8_lossy(&lost.stdout).contains("--rebuild-index"));
    let rebuilt = check(&rtrctl, &dir, true)?;
    ensure!(rebuilt.ends_with("all is well\n") && pictures(&rebuilt)? == pictures(&after)?, "{rebuilt}");
    println!("{killed}\n{after}");
    Ok(())
}

/// Who looks at a clock, and who may say that it is right.
async fn clock(room: &Room, observer: &Session) -> Result<()> {
    let police = log_in(room, "regie").await?;
    let view = police.clock().await?;
    ensure!(!view.doubted && (view.wall - Utc::now()).abs() < TimeDelta::seconds(10), "{view:?}");
    let said = |time| ClockAcceptance { time, reason: "gelijk aan de radioklok".to_owned() };
    ensure!(observer.accept_clock(&said(Utc::now())).await.is_err(), "an observer settles no clock");
    let error = police.accept_clock(&said(Utc::now() + TimeDelta::hours(1))).await.err();
    ensure!(
        error.is_some_and(|error| error.to_string().contains("not the time you see")),
        "another time was accepted"
    );
    ensure!(!police.accept_clock(&said(Utc::now())).await?.doubted);
    let auditor = log_in(room, "auditor").await?;
    let entries = auditor.ledger_entries("internal_control", 0, 10_000).await?;
    let entries = serde_json::to_string(&entries)?;
    ensure!(entries.contains("clock.accept") && entries.contains("clock.accepted"), "it is not in the log");
    Ok(())
}

fn core_limit(id: u32) -> Result<String> {
    let limits = fs::read_to_string(format!("/proc/{id}/limits"))?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size"));
    let word = line.and_then(|line| line.split_whitespace().next());
    Ok(word.context("no limit of core dumps")?.to_owned())
}

fn check(rtrctl: &Path, dir: &Path, rebuild: bool) -> Result<String> {
    let mut command = Command::new(rtrctl);
    command.args(["vault", "check"]).arg(dir);
    if rebuild {
        command.arg("--rebuild-index");
    }
    let done = command.output()?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    ensure!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    Ok(said)
}

/// `N records, N pictures of …`
fn pictures(said: &str) -> Result<u64> {
    let line = said.lines().find(|line| line.contains(" pictures of ")).context("no count of pictures")?;
    let count = line.split(", ").nth(1).and_then(|rest| rest.split(' ').next());
    Ok(count.context("no count")?.parse()?)
}
