//! Four weeks pass. The daemon records in a room whose clocks show four weeks and a day ago, some of it is secured for a
//! case, everything stops; when it starts again today, nothing of that past opens but what was secured, and that only for its
//! case: it plays, and it is asked for, approved and fetched. Once it is released, that is gone too.
//!
//! The past is made by the `faketime` library in daemon and witness; the machine's own clock is not touched.

use anyhow::{Context as _, Result, ensure};
use chrono::{TimeDelta, Utc};
use end_to_end::{PATIENCE, cameras_until, log_in, plan, programs};
use mandate::{CameraId, Purpose, RecipientKind};
use protocol::{
    api::{Approval, CameraState, CameraView, HoldRelease, HoldView, NewFootageRequest, NewHold},
    client::{Client, ClientError, ReplayOf, Session},
};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use xtask::room::{Periods, Plan, Room};

const CASE: &str = "PL0600-2026-PAST";

/// The library that shows a program another time; `None`, said aloud, where it is not installed.
fn faketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    let found = folders.map(|folder| folder.join("faketime/libfaketime.so.1")).find(|path| path.is_file());
    if found.is_none() {
        println!("skipped: the library of `faketime` is not installed");
    }
    found
}

fn shifted(library: &Path, days: i64) -> xtask::room::Environment {
    // The monotonic clock goes on as it is: only what a person would call the time is another.
    vec![
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME", format!("-{days}d")),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
}

/// Pictures of a fragmented MP4, or the code of its refusal.
async fn plays(session: &Session, of: &ReplayOf) -> Result<usize> {
    let file = match session.replay_mp4(of).await {
        Ok(file) => file.all().await?,
        Err(error) => return Err(error.into()),
    };
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("look.mp4");
    std::fs::write(&path, &file)?;
    pictures(&path)
}

fn pictures(path: &Path) -> Result<usize> {
    let counted = std::process::Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-count_frames",
            "-select_streams",
            "v",
            "-show_entries",
            "stream=nb_read_frames",
        ])
        .args(["-of", "default=nw=1:nk=1"])
        .arg(path)
        .output()?;
    let said = String::from_utf8_lossy(&counted.stdout).trim().to_owned();
    said.parse().with_context(|| format!("ffprobe: {said:?} {}", String::from_utf8_lossy(&counted.stderr)))
}

fn code<T>(answer: Result<T>) -> String {
    match answer {
        Ok(_) => "permitted".to_owned(),
        Err(error) => match error.downcast_ref::<ClientError>().and_then(ClientError::problem) {
            Some(problem) => problem.code.clone(),
            None => format!("{error:#}"),
        },
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_four_weeks_only_what_was_secured_opens_and_only_for_its_case() -> Result<()> {
    let Some(library) = faketime() else { return Ok(()) };
    let bin = programs()?;
    let past = Plan { environment: shifted(&library, 29), ..plan("past_term", 1, Periods::Open) };
    let mut room = tokio::task::spawn_blocking(move || Room::open(&bin, &past)).await??;
    let days = TimeDelta::days(29);

    let look = |camera: &CameraId, from, until, case: &str| ReplayOf {
        camera: camera.clone(),
        from,
        until,
        incident: None,
        purpose: Some("investigation".to_owned()),
        offence_ref: Some("Sr 300".to_owned()),
        case_number: Some(case.to_owned()),
        speed: None,
    };

    // Four weeks and a day ago.
    let police = log_in(&room, "regie").await?;
    let is_up = |list: &[CameraView]| list.iter().all(|c| matches!(c.state, CameraState::Up { .. }));
    let camera = cameras_until(&police, PATIENCE, is_up).await?.remove(0).id;
    let begun = Utc::now() - days;
    tokio::time::sleep(Duration::from_secs(12)).await;
    let (from, until) = (begun + TimeDelta::seconds(4), begun + TimeDelta::seconds(9));
    let asked = NewHold {
        camera: camera.clone(),
        from,
        until,
        case_number: CASE.to_owned(),
        offence: "Sr 300".to_owned(),
        review_at: None,
    };
    let client = Client::connect(&room.url, &std::fs::read(&room.ca)?)?;
    let body = serde_json::to_value(&asked)?;
    let (status, answer) = client.raw("POST", "holds", Some(police.token()), Some(&body)).await?;
    ensure!(status == 201 || status == 202, "{status} {answer}");
    let hold: HoldView = serde_json::from_value(answer)?;
    ensure!(hold.whole && (begun - hold.set_at).abs() < TimeDelta::minutes(1), "{hold:?}");
    // The witness is to see its entry before everything ends.
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        let (_, list) = client.raw("GET", "holds", Some(police.token()), None).await?;
        if list[0]["witnessed"] == Value::Bool(true) {
            break;
        }
        ensure!(Instant::now() < patience, "no witness saw the hold: {list}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let investigator = log_in(&room, "rechercheur").await?;
    let then = plays(&investigator, &look(&camera, from, until, CASE)).await?;
    ensure!(then >= 60, "{then} pictures of five seconds");
    room.daemon.stop();
    room.stop_witness();

    // Today. Nothing is destroyed on the word of a clock that nobody confirms; the witness does.
    room.environment.clear();
    room.start_witness()?;
    room.restart_daemon(false)?;
    let patience = Instant::now() + Duration::from_mins(1);
    while room.metric("rtr_keys_destroyed_total").unwrap_or(0.0) < 1.0 {
        ensure!(Instant::now() < patience, "the keys of four weeks ago live on");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let oldest = room.metric("rtr_oldest_footage_timestamp_seconds").unwrap_or(0.0);
    ensure!(oldest == 0.0 || oldest > (Utc::now() - TimeDelta::hours(1)).timestamp() as f64, "{oldest}");

    let investigator = log_in(&room, "rechercheur").await?;
    let seen = plays(&investigator, &look(&camera, from, until, CASE)).await?;
    ensure!(seen == then, "{seen} pictures, and {then} when they were secured");
    let other = code(plays(&investigator, &look(&camera, from, until, "PL0600-2026-OTHER")).await);
    ensure!(other == "HOLD_OTHER_CASE", "{other}");
    let beside = code(plays(&investigator, &look(&camera, begun, from - TimeDelta::seconds(3), CASE)).await);
    ensure!(beside == "RETENTION_EXCEEDED", "what nobody secured: {beside}");

    // A file of it leaves as any other does.
    let request = investigator
        .request_footage(&NewFootageRequest {
            cameras: vec![camera.clone()],
            from,
            until,
            purpose: Purpose::Investigation,
            offence_ref: Some("Sr 300".to_owned()),
            case_number: Some(CASE.to_owned()),
            description: Some("what was secured four weeks ago".to_owned()),
            recipient: None,
            recipient_kind: RecipientKind::Police,
        })
        .await?;
    let approver = log_in(&room, "goedkeurder").await?;
    let approved = approver.approve_request(&request.id, &Approval::default()).await?;
    ensure!(approved.files.len() == 1 && approved.left_out.is_empty(), "{approved:?}");
    let bytes = investigator.download_witnessed(&request.id, 0, || {}).await?.all().await?;
    let path = room.data.join("secured.mp4");
    std::fs::write(&path, &bytes)?;
    let seen = pictures(&path)?;
    // The file says by its edit list what is shown: five seconds of 25 pictures, not what they are decoded from.
    ensure!((118..=130).contains(&seen) && seen <= then, "{seen} pictures in the file, {then} secured");
    approver.close_request(&request.id, "delivered").await?;

    // Released, it is gone: it was past its term long ago.
    let release = format!("holds/{}/release", hold.id);
    let reason = serde_json::to_value(HoldRelease { reason: "zaak gesloten".to_owned() })?;
    let client = Client::connect(&room.url, &std::fs::read(&room.ca)?)?;
    let (status, answer) = client.raw("POST", &release, Some(approver.token()), Some(&reason)).await?;
    ensure!(status == 200, "{status} {answer}");
    let gone = code(plays(&investigator, &look(&camera, from, until, CASE)).await);
    ensure!(gone == "RETENTION_EXCEEDED", "{gone}");

    // The police read it back: when it was due, by which key, and that it is done.
    let entries = log_in(&room, "auditor").await?.ledger_entries("lawfulness", 0, 10_000).await?;
    let of = |action: &str| entries.iter().filter(|entry| entry.entry["action"] == action).count();
    ensure!(
        of("destroy.done") > 0 && of("hold.released") > 0,
        "{} {}",
        of("destroy.done"),
        of("hold.released")
    );
    Ok(())
}
