//! The police's witness is silent: footage is secured at once, but what was secured gives nobody anything, no file
//! leaves, and who was given a role has none yet. Each call says so at once instead of hanging; when the witness is back, all goes on.

use anyhow::{Context as _, Result, ensure};
use chrono::Utc;
use end_to_end::{PATIENCE, cameras_until, log_in, plan, programs};
use mandate::{CameraId, Purpose, RecipientKind};
use protocol::{
    api::{
        Approval, CameraState, Enrolment, HoldView, LogIn, NewFootageRequest, NewHold, NewProposal,
        ProposalState,
    },
    client::Client,
};
use serde_json::json;
use std::time::{Duration, Instant};
use xtask::room::{Periods, Room};

/// How long an answer may take that must not wait.
const AT_ONCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_leaves_before_the_witness_has_seen_it() -> Result<()> {
    let bin = programs()?;
    let mut room =
        tokio::task::spawn_blocking(move || Room::open(&bin, &plan("witness_waits", 1, Periods::Open)))
            .await??;
    let observer = log_in(&room, "observant").await?;
    let is_up =
        |list: &[protocol::api::CameraView]| list.iter().all(|c| matches!(c.state, CameraState::Up { .. }));
    let camera: CameraId = cameras_until(&observer, PATIENCE, is_up).await?.remove(0).id;
    let from = Utc::now();
    tokio::time::sleep(Duration::from_secs(6)).await;
    let until = Utc::now();

    room.stop_witness();
    let client = Client::connect(&room.url, &std::fs::read(&room.ca)?)?;
    let operator = log_in(&room, "regie").await?;
    let hold = serde_json::to_value(NewHold {
        camera: camera.clone(),
        from,
        until,
        case_number: "PL0500-2026-2".to_owned(),
        offence: "Sr 300".to_owned(),
        review_at: None,
    })?;
    let asked = Instant::now();
    let (status, answer) = client.raw("POST", "holds", Some(operator.token()), Some(&hold)).await?;
    ensure!(status == 202, "secured, but not seen by the witness: {status} {answer}");
    let held: HoldView = serde_json::from_value(answer)?;
    ensure!(held.whole && held.bytes > 0 && !held.witnessed, "{held:?}");

    // Somebody is taken on, with the word of two people: what the daemon's host could take back from the log gives nothing.
    let admin = log_in(&room, "autorisatie").await?;
    let police = log_in(&room, "goedkeurder").await?;
    let mut granted = None;
    for body in [
        json!({ "kind": "person", "id": "regie-2", "name": "DEMO second", "organisation": "politie",
            "secrecy_signed_at": "2026-01-02T09:00:00Z" }),
        json!({ "kind": "authorisation", "id": "AUT-regie-2", "person": "regie-2", "role": "police_operator",
            "municipalities": ["enschede"], "from": "2026-01-01T00:00:00Z", "until": "2030-01-01T00:00:00Z",
            "document_ref": "DEMO" }),
    ] {
        let entered = admin.propose(&NewProposal { body: serde_json::from_value(body)?, note: None }).await?;
        if entered.state == ProposalState::Open {
            granted = Some(police.verify(entered.id).await?);
        }
    }
    let granted = granted.context("a role without a second person")?;
    ensure!(granted.state == ProposalState::Verified && granted.waits_for_witness, "{granted:?}");
    let invitation = admin.invite(&"regie-2".into()).await?;
    let password = "a password of their own".to_owned();
    client.enrol(&Enrolment { token: invitation.token, password: password.clone() }).await?;
    let credentials = LogIn { username: "regie-2".to_owned(), password, role: None, workstation: None };
    let refused = client.log_in(&credentials).await.err().context("a role that no witness has seen")?;
    ensure!(refused.to_string().contains("AUTHORISATION_MISSING"), "{refused}");

    let investigator = log_in(&room, "rechercheur").await?;
    let approver = log_in(&room, "goedkeurder").await?;
    let request = investigator
        .request_footage(&NewFootageRequest {
            cameras: vec![camera],
            from,
            until,
            purpose: Purpose::Investigation,
            offence_ref: Some("Sr 300".to_owned()),
            case_number: Some("PL0500-2026-2".to_owned()),
            description: None,
            recipient: None,
            recipient_kind: RecipientKind::Police,
        })
        .await?;
    let approved = approver.approve_request(&request.id, &Approval::default()).await?;
    ensure!(approved.ready && !approved.files.is_empty());
    for _ in 0..2 {
        let refused = investigator.download(&request.id, 0).await;
        let problem = refused.err().and_then(|error| error.problem().cloned()).context("a file left")?;
        ensure!((problem.status, problem.code.as_str()) == (409, "waits-for-witness"), "{problem:?}");
    }
    ensure!(asked.elapsed() < AT_ONCE * 3, "answers took {:?}", asked.elapsed());

    // Both are visible with their review dates, the one of the request too.
    let list = || async {
        let (status, list) = client.raw("GET", "holds", Some(approver.token()), None).await?;
        ensure!(status == 200, "{status} {list}");
        Ok(serde_json::from_value::<Vec<HoldView>>(list)?)
    };
    let holds = list().await?;
    ensure!(holds.iter().any(|h| h.id == held.id && !h.witnessed && h.request.is_none()), "{holds:?}");
    ensure!(
        holds.iter().any(|h| h.request.as_ref() == Some(&request.id) && h.review_at > until),
        "{holds:?}"
    );

    room.start_witness()?;
    let file = investigator.download_witnessed(&request.id, 0, || {}).await?.all().await?;
    ensure!(file.len() as u64 == approved.files[0].bytes, "{} bytes", file.len());
    ensure!(list().await?.iter().any(|h| h.id == held.id && h.witnessed), "the hold counts now");
    ensure!(client.log_in(&credentials).await?.me().role == mandate::Role::PoliceOperator);
    room.daemon.stop();
    Ok(())
}
