//! A camera is moved: its old position ends, and it stays dark at the new one until a mask is drawn by one police operator
//! and verified by another, whom the user admin took on meanwhile. And a municipality joins, in whose register nobody had a
//! scope before.

use anyhow::{Context as _, Result, ensure};
use chrono::{TimeDelta, Utc};
use end_to_end::{PATIENCE, cameras_until, log_in, pictures, plan, programs, watch};
use mandate::{FactBody, ReasonCode};
use protocol::{
    api::{Access, Enrolment, LogIn, NewProposal, Proposal, ProposalState},
    client::{Client, ClientError, Session},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use xtask::room::{Periods, Room};

async fn enter(session: &Session, body: Value) -> Result<Proposal, ClientError> {
    let body: FactBody = serde_json::from_value(body).map_err(|e| ClientError::Answer(e.to_string()))?;
    session.propose(&NewProposal { body, note: None }).await
}

fn refused(answer: Result<Proposal, ClientError>, code: &str) -> Result<()> {
    let error = answer.err().context("it went through")?.to_string();
    ensure!(error.contains(code), "refused with something else than {code}: {error}");
    Ok(())
}

/// Takes on a second police operator: entered, authorised by a second person, enrolled with a password of their own.
async fn second_operator(room: &Room) -> Result<Session> {
    let (admin, approver) = (log_in(room, "autorisatie").await?, log_in(room, "goedkeurder").await?);
    let person = json!({ "kind": "person", "id": "regie-2", "name": "DEMO second", "organisation": "politie",
        "secrecy_signed_at": "2026-01-02T09:00:00Z" });
    ensure!(enter(&admin, person).await?.state == ProposalState::Effective);
    let authorisation = json!({ "kind": "authorisation", "id": "AUT-regie-2", "person": "regie-2",
        "role": "police_operator", "municipalities": ["enschede"], "from": "2026-01-01T00:00:00Z",
        "until": "2030-01-01T00:00:00Z", "document_ref": "DEMO" });
    let waiting = enter(&admin, authorisation).await?;
    approver.verify(waiting.id).await?;
    let invitation = admin.invite(&"regie-2".into()).await?;
    let client = Client::connect(&room.url, &std::fs::read(&room.ca)?)?;
    let password = "a password of their own".to_owned();
    client.enrol(&Enrolment { token: invitation.token, password: password.clone() }).await?;
    let credentials = LogIn { username: "regie-2".to_owned(), password, role: None, workstation: None };
    // The grant acts once the police's witness has seen it.
    let end = Instant::now() + PATIENCE;
    loop {
        match client.log_in(&credentials).await {
            Err(error) if Instant::now() < end && error.to_string().contains("AUTHORISATION_MISSING") => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            answer => return Ok(answer?),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moved_camera_stays_dark_until_its_mask_is_verified() -> Result<()> {
    let bin = programs()?;
    let room = tokio::task::spawn_blocking(move || Room::open(&bin, &plan("moved_camera", 1, Periods::Open)))
        .await??;
    let (legal, officer) = (log_in(&room, "besluit").await?, log_in(&room, "oov-enschede").await?);
    let operator = log_in(&room, "regie").await?;
    let camera = operator.cameras().await?.into_iter().next().context("no camera")?.id;
    let open = |list: &[protocol::api::CameraView]| matches!(list[0].access, Access::Open { .. });
    cameras_until(&operator, PATIENCE, open).await?;

    // The technician announces the work, on a ticket; whoever is to watch it says so, and nobody in their place.
    let technician = log_in(&room, "beheer").await?;
    let now = Utc::now();
    let work = json!({ "kind": "maintenance", "id": "DEMO-4711", "person": "beheer", "ticket": "DEMO 4711",
        "from": now + TimeDelta::minutes(5), "until": now + TimeDelta::hours(2), "witness": "regie" });
    refused(enter(&legal, work.clone()).await, "ROLE_NOT_PERMITTED")?;
    let announced = enter(&technician, work.clone()).await?;
    ensure!(announced.state == ProposalState::Open, "{announced:?}");
    refused(officer.verify(announced.id).await, "FOUR_EYES")?;
    ensure!(operator.verify(announced.id).await?.state == ProposalState::Verified);
    let mut shorter = work;
    shorter["until"] = json!(now + TimeDelta::hours(1));
    ensure!(enter(&technician, shorter).await?.state == ProposalState::Effective, "less needs nobody");

    // Moved: one act ends the old position, two people make the new one.
    let moved_at = Utc::now() + TimeDelta::milliseconds(500);
    let position = |id: &str, point: [f64; 2]| json!({ "kind": "position", "id": format!("{camera}-{id}"), "camera": camera, "point": point });
    let facts = legal.facts().await?;
    let old = facts.iter().find_map(|fact| match &fact.body {
        FactBody::Position(position) if position.camera == camera => Some(position.clone()),
        _ => None,
    });
    let mut old = old.context("no position")?;
    old.until = Some(moved_at);
    let point = old.point;
    let ended = legal.propose(&NewProposal { body: FactBody::Position(old), note: None }).await?;
    ensure!(ended.state == ProposalState::Effective, "what only takes needs nobody: {ended:?}");
    let mut new = position("P2", [point[0] + 0.0002, point[1]]);
    new["from"] = json!(moved_at);
    let waiting = enter(&legal, new).await?;
    officer.verify(waiting.id).await?;
    let dark = |list: &[protocol::api::CameraView]| matches!(&list[0].access, Access::Closed(refusal) if refusal.code == ReasonCode::MaskNotVerified);
    cameras_until(&operator, PATIENCE, dark).await?;

    // The mask: drawn by one, verified by another. Nobody else draws one, and nobody verifies their own.
    let mask = json!({ "kind": "mask", "id": format!("{camera}-M2"), "position": format!("{camera}-P2"),
        "geometry_ref": "DEMO" });
    refused(enter(&legal, mask.clone()).await, "ROLE_NOT_PERMITTED")?;
    let drawn = enter(&operator, mask.clone()).await?;
    ensure!(drawn.state == ProposalState::Open, "{drawn:?}");
    refused(operator.verify(drawn.id).await, "FOUR_EYES")?;
    let second = second_operator(&room).await?;
    second.verify(drawn.id).await?;
    cameras_until(&operator, PATIENCE, open).await?;
    let observer = log_in(&room, "observant").await?;
    let (sender, mut media) = observer.media().await?;
    sender.send(&watch(1, &camera)).await?;
    pictures(&mut media, 1, 5, PATIENCE).await?;
    // A better one takes the same two.
    let mut better = mask;
    better["geometry_ref"] = json!("DEMO, larger");
    let redrawn = enter(&second, better).await?;
    operator.verify(redrawn.id).await?;
    cameras_until(&operator, PATIENCE, open).await?;

    // A municipality joins: whoever confirms it can have no scope in it yet. Whoever works there is authorised afterwards.
    let joined = enter(&legal, json!({ "kind": "municipality", "id": "losser", "name": "Losser" })).await?;
    ensure!(joined.state == ProposalState::Open);
    officer.verify(joined.id).await?;
    let (admin, approver) = (log_in(&room, "autorisatie").await?, log_in(&room, "goedkeurder").await?);
    let own = json!({ "kind": "authorisation", "id": "AUT-own", "person": "goedkeurder", "role": "investigator",
        "municipalities": ["enschede"], "from": "2026-01-01T00:00:00Z", "until": "2030-01-01T00:00:00Z",
        "document_ref": "DEMO" });
    let own = enter(&admin, own).await?;
    refused(approver.verify(own.id).await, "SELF_GRANT")?;
    let grant = json!({ "kind": "authorisation", "id": "AUT-losser", "person": "juridisch", "role": "legal_admin",
        "municipalities": ["losser"], "from": "2026-01-01T00:00:00Z", "until": "2030-01-01T00:00:00Z",
        "document_ref": "DEMO" });
    let waiting = enter(&admin, grant).await?;
    ensure!(approver.verify(waiting.id).await?.state == ProposalState::Verified);
    Ok(())
}
