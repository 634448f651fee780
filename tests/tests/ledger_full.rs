//! The ledger's disk is full: no new look, running ones end within 30 seconds, recording goes on, and the operator is
//! told; when there is room again, looking is possible again. A restart on the full disk records too.

use anyhow::{Context as _, Result, ensure};
use end_to_end::{PATIENCE, cameras_until, log_in, pictures, plan, programs, watch};
use protocol::{
    api::CameraState,
    client::{ClientError, Incoming},
    socket::{ClientMessage, EndCause, ServerMessage},
};
use std::{
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};
use xtask::{
    processes,
    room::{Periods, Room},
};

/// A small disk of its own, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf, mib: u32) -> Result<Self> {
        // A run that was killed may have left one.
        drop(Command::new("umount").arg("-l").arg(&at).stderr(std::process::Stdio::null()).status());
        fs::create_dir_all(&at)?;
        processes::run(
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]).arg(&at),
        )?;
        Ok(Self(at))
    }

    fn fill(&self) -> Result<()> {
        use std::io::Write as _;
        let mut ballast = fs::File::create(self.0.join("ballast"))?;
        for size in [64 * 1024, 512, 1] {
            while ballast.write_all(&vec![0; size]).is_ok() {}
        }
        Ok(())
    }

    fn empty(&self) -> Result<()> {
        fs::remove_file(self.0.join("ballast")).context("no ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_ledger_disk_ends_looking_and_not_recording() -> Result<()> {
    if !Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.starts_with(b"0")) {
        println!("skipped: a disk of a few megabytes can be mounted by root only");
        return Ok(());
    }
    let bin = programs()?;
    drop(
        Command::new("umount")
            .arg("-l")
            .arg(plan("ledger_full", 2, Periods::Open).data.join("state/ledger"))
            .status(),
    );
    let (disk, mut room) = tokio::task::spawn_blocking(move || -> Result<_> {
        let prepared = Room::prepare(&bin, &plan("ledger_full", 2, Periods::Open))?;
        let disk = SmallDisk::mount(prepared.state().join("ledger"), 12)?;
        Ok((disk, prepared.start()?))
    })
    .await??;
    let session = log_in(&room, "observant").await?;
    let cameras = cameras_until(&session, PATIENCE, |list| {
        list.iter().all(|c| matches!(c.state, CameraState::Up { .. }))
    })
    .await?;
    let camera = cameras[0].id.clone();
    let (sender, mut media) = session.media().await?;
    sender.send(&watch(1, &camera)).await?;
    pictures(&mut media, 1, 25, PATIENCE).await?;

    disk.fill()?;
    // New looks are refused at once, as soon as an entry does not fit any more. A few still fit into the page that the file
    // system had already given: the log may recover for a moment, and the 30 seconds count from its last failure. Then the
    // running look ends, and the operator is told.
    let began = Instant::now();
    let mut failed: Option<Instant> = None;
    let mut subscription = 1;
    let (cause, at) = loop {
        ensure!(began.elapsed() < Duration::from_secs(90), "the running look goes on (failed: {failed:?})");
        subscription += 1;
        sender.send(&watch(subscription, &cameras[1].id)).await?;
        let asked = Instant::now();
        let mut ended = None;
        while asked.elapsed() < Duration::from_secs(1) && ended.is_none() {
            let Ok(incoming) = tokio::time::timeout(Duration::from_millis(200), media.next()).await else {
                continue;
            };
            match incoming {
                Incoming::Control(ServerMessage::Ended { subscription: 1, cause }) => ended = Some(cause),
                Incoming::Control(ServerMessage::Ended { subscription: s, cause }) if s == subscription => {
                    ensure!(
                        matches!(cause, EndCause::LogUnavailable { .. } | EndCause::Stopped),
                        "{cause:?}"
                    );
                    if matches!(cause, EndCause::LogUnavailable { .. }) {
                        failed.get_or_insert_with(Instant::now);
                    }
                }
                Incoming::Control(ServerMessage::Started { subscription: s, .. }) if s == subscription => {
                    failed = None;
                    sender.send(&ClientMessage::Stop { subscription }).await?;
                }
                Incoming::Closed(why) => anyhow::bail!("the socket closed: {why}"),
                Incoming::Unit(..) | Incoming::Control(_) => {}
            }
        }
        if let Some(cause) = ended {
            break (cause, Instant::now());
        }
    };
    let full = failed.context("the running look ended though new ones were permitted")?;
    let EndCause::LogUnavailable { sentence } = cause else { anyhow::bail!("ended for {cause:?}") };
    ensure!(!sentence.nl.is_empty() && !sentence.en.is_empty());
    ensure!(at - full <= Duration::from_secs(33), "the running look ended after {:?}", at - full);

    // Recording goes on.
    let before = room.recorded_bytes();
    let patience = Instant::now() + Duration::from_secs(20);
    while room.recorded_bytes() <= before {
        ensure!(Instant::now() < patience, "nothing is recorded while the ledger is full");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    // Room again: the log recovers by itself, says so, and a look is possible.
    disk.empty()?;
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        ensure!(Instant::now() < patience, "the log did not recover");
        match tokio::time::timeout(Duration::from_secs(30), media.next()).await? {
            Incoming::Control(ServerMessage::Ledger { ledger }) if ledger.writable => break,
            Incoming::Closed(why) => anyhow::bail!("the socket closed: {why}"),
            _ => {}
        }
    }
    sender.send(&watch(1000, &camera)).await?;
    pictures(&mut media, 1000, 5, PATIENCE).await?;

    // Full again, and the daemon dies: it starts, records, and lets nobody look.
    disk.fill()?;
    let mut room = tokio::task::spawn_blocking(move || room.restart_daemon(true).map(|()| room)).await??;
    let before = room.recorded_bytes();
    let patience = Instant::now() + Duration::from_secs(30);
    while room.recorded_bytes() <= before {
        ensure!(Instant::now() < patience, "nothing is recorded after a start on a full ledger disk");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let refused = log_in(&room, "observant").await.err().context("somebody logged in without an entry")?;
    let code = refused.downcast_ref::<ClientError>().and_then(|e| e.problem().map(|p| p.code.clone()));
    ensure!(code.as_deref() == Some("log-unavailable"), "{code:?}: {refused:#}");
    disk.empty()?;
    let patience = Instant::now() + Duration::from_secs(30);
    let session = loop {
        match log_in(&room, "observant").await {
            Ok(session) => break session,
            Err(error) => ensure!(Instant::now() < patience, "the log did not recover: {error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    let (sender, mut media) = session.media().await?;
    sender.send(&watch(1, &camera)).await?;
    pictures(&mut media, 1, 5, PATIENCE).await?;
    room.daemon.stop();
    Ok(())
}
