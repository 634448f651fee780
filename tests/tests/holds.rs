//! Footage is secured for a case: by the police only, exact, visible with its review date, released by somebody else; and
//! what lies on disk afterwards passes the check that needs no key.

use anyhow::{Context as _, Result, ensure};
use chrono::{TimeDelta, Utc};
use end_to_end::{PATIENCE, cameras_until, log_in, plan, programs};
use protocol::{
    api::{CameraState, HoldRelease, HoldView, NewHold},
    client::Client,
};
use std::{process::Command, time::Duration};
use xtask::room::{Periods, Room};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn footage_is_secured_for_a_case_and_released() -> Result<()> {
    let bin = programs()?;
    let rtrctl = bin.join("rtrctl");
    let mut room =
        tokio::task::spawn_blocking(move || Room::open(&bin, &plan("holds", 1, Periods::Open))).await??;
    let observer = log_in(&room, "observant").await?;
    let is_up =
        |list: &[protocol::api::CameraView]| list.iter().all(|c| matches!(c.state, CameraState::Up { .. }));
    let camera = cameras_until(&observer, PATIENCE, is_up).await?.remove(0).id;
    let from = Utc::now();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let asked = NewHold {
        camera: camera.clone(),
        from,
        until: Utc::now(),
        case_number: "PL0600-2026-DEMO-1".to_owned(),
        offence: "Sr 300".to_owned(),
        review_at: None,
    };
    let client = Client::connect(&room.url, &std::fs::read(&room.ca)?)?;
    let body = serde_json::to_value(&asked)?;
    let (status, answer) = client.raw("POST", "holds", Some(observer.token()), Some(&body)).await?;
    ensure!((status, &answer["code"]) == (403, &"ROLE_NOT_PERMITTED".into()), "{status} {answer}");

    let operator = log_in(&room, "regie").await?;
    let mut nameless = body.clone();
    nameless["case_number"] = "".into();
    let (status, answer) = client.raw("POST", "holds", Some(operator.token()), Some(&nameless)).await?;
    ensure!((status, &answer["code"]) == (403, &"CASE_NUMBER_REQUIRED".into()), "{status} {answer}");
    let (status, answer) = client.raw("POST", "holds", Some(operator.token()), Some(&body)).await?;
    ensure!(status == 201 || status == 202, "{status} {answer}");
    let hold: HoldView = serde_json::from_value(answer)?;
    ensure!(hold.whole && hold.bytes > 100_000 && !hold.review_due, "{hold:?}");
    ensure!(hold.review_at > Utc::now() + TimeDelta::days(27));
    for keys in ["keys-a", "keys-b"] {
        let folder = room.data.join("state").join(keys).join("holds").join(&hold.id);
        ensure!(folder.join("key").exists() && folder.join("held").exists(), "{}", folder.display());
    }

    // The same from a terminal: visible with its review date.
    let rtr = |arguments: &[&str]| {
        let mut command = Command::new(&rtrctl);
        command.arg("--session").arg(room.data.join("session")).args(arguments);
        command.env("RTR_PASSWORD", room.accounts.get("regie").map_or("", String::as_str));
        command.output()
    };
    let ca = room.ca.display().to_string();
    let said = rtr(&["login", "--url", &room.url, "--ca", &ca, "--user", "regie"])?;
    ensure!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let listed = rtr(&["holds"])?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    ensure!(listed.contains(&hold.id) && listed.contains("PL0600-2026-DEMO-1"), "{listed}");

    let approver = log_in(&room, "goedkeurder").await?;
    let (status, list) = client.raw("GET", "holds", Some(approver.token()), None).await?;
    ensure!(status == 200 && list[0]["case_number"] == "PL0600-2026-DEMO-1", "{status} {list}");
    let release = format!("holds/{}/release", hold.id);
    let reason = serde_json::to_value(HoldRelease { reason: "zaak gesloten".to_owned() })?;
    let (status, answer) = client.raw("POST", &release, Some(operator.token()), Some(&reason)).await?;
    ensure!(status == 403, "who set it may not release it: {status} {answer}");
    let (status, answer) = client.raw("POST", &release, Some(approver.token()), Some(&reason)).await?;
    ensure!(status == 200 && answer["released_by"] == "goedkeurder", "{status} {answer}");
    ensure!(!room.data.join("state/keys-a/holds").join(&hold.id).exists());
    let (status, answer) = client.raw("POST", &release, Some(approver.token()), Some(&reason)).await?;
    ensure!(status == 409, "released once: {status} {answer}");

    // What is on disk passes the check; while the daemon runs there is none.
    let vault = room.data.join("state/vault");
    let check = |vault: &std::path::Path| Command::new(&rtrctl).args(["vault", "check"]).arg(vault).output();
    let running = check(&vault)?;
    ensure!(!running.status.success(), "checked under a running daemon");
    room.daemon.stop();
    let stopped = check(&vault).context("rtrctl does not run")?;
    let said = String::from_utf8_lossy(&stopped.stdout).into_owned();
    ensure!(stopped.status.success() && said.contains("all is well"), "{said}");
    Ok(())
}
