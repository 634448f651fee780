//! A client that skips the console gets exactly as much: every endpoint there is refuses whoever may not use it, and the
//! media socket refuses who is not logged in.

use anyhow::{Result, ensure};
use end_to_end::{log_in, plan, programs, until_end};
use protocol::{
    api::StreamRole,
    client::Client,
    socket::{ClientMessage, EndCause},
};
use serde_json::Value;
use std::time::Duration;
use xtask::room::{Periods, Room};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_endpoint_refuses_the_unauthorised() -> Result<()> {
    let bin = programs()?;
    let room =
        tokio::task::spawn_blocking(move || Room::open(&bin, &plan("every_endpoint", 2, Periods::Open)))
            .await??;
    let client = Client::connect(&room.url, &std::fs::read(&room.ca)?)?;
    let (status, document) = client.raw("GET", "openapi.json", None, None).await?;
    ensure!(status == 200, "no OpenAPI document: {status}");
    let paths = document["paths"].as_object().expect("an OpenAPI document has paths");
    let mut walked = 0;
    let mut privileged = 0;
    let observer = log_in(&room, "observant").await?;
    let admin = log_in(&room, "beheer").await?;
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().expect("methods") {
            let url = path.replace("{id}", "1").replace("{seq}", "0");
            let url = url.trim_start_matches("/api/v1").trim_start_matches('/').to_owned();
            let method = method.to_uppercase();
            let open_to_all = operation["security"].as_array().is_some_and(Vec::is_empty);
            let (status, body) = client.raw(&method, &url, None, Some(&Value::Null)).await?;
            if !open_to_all {
                walked += 1;
                ensure!(status == 401, "{method} {path} without log-in: {status} {body}");
                let (status, body) =
                    client.raw(&method, &url, Some("no-such-token"), Some(&Value::Null)).await?;
                ensure!(status == 401, "{method} {path} with a made-up token: {status} {body}");
            }
            // Each operation says which roles may use it; whoever is none of them is refused by the law, not by luck.
            let Some(roles) = operation["x-roles"].as_array() else { continue };
            for (session, role) in [(&observer, "observer"), (&admin, "system_admin")] {
                if roles.iter().any(|r| r == role) {
                    continue;
                }
                privileged += 1;
                let (status, body) =
                    client.raw(&method, &url, Some(session.token()), Some(&Value::Null)).await?;
                ensure!(status == 403, "{method} {path} as {role}: {status} {body}");
                ensure!(body["code"] == "ROLE_NOT_PERMITTED", "{method} {path} as {role}: {body}");
            }
        }
    }
    ensure!(walked >= 10, "only {walked} endpoints were walked");
    ensure!(privileged >= 8, "only {privileged} refusals by role were tried");

    // Pictures: the technical administrator keeps the cameras running and never sees one; not even the socket opens.
    let refused = admin.media().await.err().and_then(|error| error.problem().map(|p| p.code.clone()));
    ensure!(refused.as_deref() == Some("ROLE_NOT_PERMITTED"), "the media socket answered {refused:?}");
    // A role that may watch opens it, and still gets nothing that the law refuses: an hour back, without an incident.
    let camera = observer.cameras().await?.remove(0);
    let (sender, mut media) = observer.media().await?;
    sender
        .send(&ClientMessage::Replay {
            subscription: 1,
            camera: camera.id,
            stream: StreamRole::Main,
            from: chrono::Utc::now() - chrono::TimeDelta::hours(1),
            until: chrono::Utc::now(),
            incident: None,
            speed: 0.0,
        })
        .await?;
    let (cause, pictures, _) = until_end(&mut media, 1, Duration::from_secs(5)).await?;
    ensure!(matches!(cause, EndCause::Refused(_)) && pictures == 0, "{cause:?} after {pictures} pictures");
    Ok(())
}
