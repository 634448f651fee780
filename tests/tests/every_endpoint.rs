//! A client that skips the console gets exactly as much: every endpoint there is refuses whoever may not use it, and the
//! media socket refuses who is not logged in. What it does answer is what the API document says.

use anyhow::{Context as _, Result, ensure};
use end_to_end::{PATIENCE, log_in, plan, programs, until_end};
use protocol::{
    api::StreamRole,
    client::Client,
    socket::{ClientMessage, EndCause},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
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
            of: None,
            motion: protocol::socket::Motion { speed: 0.0, ..Default::default() },
            stay: false,
        })
        .await?;
    let (cause, pictures, _) = until_end(&mut media, 1, PATIENCE).await?;
    ensure!(matches!(cause, EndCause::Refused(_)) && pictures == 0, "{cause:?} after {pictures} pictures");

    answers_are_as_described(&room, &client, document).await
}

/// What the document says, read by a judge that we did not write.
struct Judge {
    document: Value,
    compiler: boon::Compiler,
    schemas: boon::Schemas,
}

const HERE: &str = "http://document.invalid/openapi.json";

impl Judge {
    fn new(document: Value) -> Result<Self> {
        let mut compiler = boon::Compiler::new();
        compiler.set_default_draft(boon::Draft::V2020_12);
        compiler.enable_format_assertions();
        let added = compiler.add_resource(HERE, document.clone());
        added.map_err(|e| anyhow::anyhow!("the document cannot be read: {e}"))?;
        Ok(Self { document, compiler, schemas: boon::Schemas::new() })
    }

    /// Whether a body is what the document says of an answer.
    fn judge(&mut self, method: &str, path: &str, status: u16, body: &Value) -> Result<()> {
        let method = method.to_lowercase();
        let media = if status < 400 { "application/json" } else { "application/problem+json" };
        let status = if status < 400 { status.to_string() } else { "default".to_owned() };
        let keys = ["paths", path, &method, "responses", &status, "content", media, "schema"];
        let keys = keys.map(|key| key.replace('~', "~0").replace('/', "~1"));
        let pointer = format!("/{}", keys.join("/"));
        ensure!(self.document.pointer(&pointer).is_some(), "{method} {path} {status} is not described");
        let place = format!("{HERE}#{}", pointer.replace('{', "%7B").replace('}', "%7D"));
        let schema = self.compiler.compile(&place, &mut self.schemas);
        let schema = schema.map_err(|e| anyhow::anyhow!("{method} {path} {status}: {e}"))?;
        let verdict = self.schemas.validate(body, schema).map_err(|e| e.to_string());
        ensure!(verdict.is_ok(), "{method} {path} answers what is not described: {verdict:?} {body}");
        Ok(())
    }
}

/// Every endpoint that can be read, and what can be entered without other people, asked by somebody who may: each answer
/// is what the document says.
async fn answers_are_as_described(room: &Room, client: &Client, document: Value) -> Result<()> {
    let mut judge = Judge::new(document)?;
    let accounts = [
        ("observant", "observer"),
        ("regie", "police_operator"),
        ("rechercheur", "investigator"),
        ("privacy", "privacy_officer"),
        ("auditor", "auditor"),
        ("besluit", "legal_admin"),
        ("beheer", "system_admin"),
    ];
    let mut sessions = Vec::new();
    for (account, role) in accounts {
        sessions.push((role, log_in(room, account).await?));
    }
    let camera = sessions[0].1.cameras().await?.remove(0).id;
    let now = chrono::Utc::now();
    let (ago, soon) = (now - chrono::TimeDelta::seconds(2), now + chrono::TimeDelta::hours(1));

    // Something to read: an incident, a request for footage, an entry that waits, and a look at what it would change.
    let agreement = json!({ "kind": "agreement", "id": "DEMO-NIEUW", "type": "cooperation", "parties": ["politie", "vrt"],
        "valid_from": now, "valid_until": soon });
    let entered = [
        ("observer", "/incidents", json!({ "at": now, "cameras": [camera], "category": "crowd" })),
        (
            "investigator",
            "/requests",
            json!({ "cameras": [camera], "from": ago, "until": now, "purpose": "investigation",
                "offence_ref": "Sr 141", "case_number": "PL0600-2026-1" }),
        ),
        ("legal_admin", "/register/proposals", json!({ "body": agreement, "note": "for the test" })),
        ("legal_admin", "/register/preview", json!({ "bodies": [agreement] })),
        (
            "police_operator",
            "/register/proposals",
            json!({ "body": { "kind": "instruction", "id": "AANW-1", "cameras": [camera], "from": now, "until": soon,
                "entered_by": "regie" } }),
        ),
    ];
    let mut asked = String::new();
    for (role, path, body) in entered {
        let (_, session) = sessions.iter().find(|(r, _)| *r == role).context("no such session")?;
        let (status, answer) = client.raw("POST", &path[1..], Some(session.token()), Some(&body)).await?;
        ensure!(status < 300, "POST {path} as {role}: {status} {answer}");
        judge.judge("POST", path, status, &answer)?;
        if path == "/requests" {
            answer["id"].as_str().context("a request has an id")?.clone_into(&mut asked);
        }
    }
    let wrong = json!({ "body": { "kind": "decree", "retention_days": 29 } });
    let legal = &sessions.iter().find(|(r, _)| *r == "legal_admin").context("no session")?.1;
    let (status, problem) =
        client.raw("POST", "register/proposals", Some(legal.token()), Some(&wrong)).await?;
    ensure!(status >= 400, "a decree of nothing was taken: {problem}");
    judge.judge("POST", "/register/proposals", status, &problem)?;

    let asks = |path: &str| -> String {
        let query = match path {
            "/register/outlook" => "?municipality=enschede".to_owned(),
            "/register/endings" => "?days=3600".to_owned(),
            "/register/explanation" => {
                format!(
                    "?purpose=lawfulness&camera={camera}&at={}",
                    now.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
                )
            }
            "/cameras/{id}/timeline" => {
                format!(
                    "?from={}&purpose=investigation&offence_ref=Sr%20141",
                    ago.format("%Y-%m-%dT%H:%M:%SZ")
                )
            }
            _ if path.starts_with("/ledger/") => "?purpose=lawfulness".to_owned(),
            _ => String::new(),
        };
        let path = path.replace("/cameras/{id}", &format!("/cameras/{camera}"));
        let path = path.replace("/requests/{id}", &format!("/requests/{asked}"));
        path.replace("{kind}/{id}", "decree/DEMO-ENS-01") + &query
    };
    // Files and receipts: no JSON, or of something that is not there yet.
    let others: BTreeSet<&str> =
        ["/media", "/replay.mp4", "/ledger/tree/{path}", "/requests/{id}/files/{seq}", "/receipts/{seq}"]
            .into();
    let paths = judge.document["paths"].as_object().context("no paths")?.clone();
    let mut read = 0;
    for (path, methods) in &paths {
        let Some(operation) = methods.get("get").filter(|_| !others.contains(path.as_str())) else {
            continue;
        };
        let roles = operation["x-roles"].as_array();
        let may = |role: &str| roles.is_none_or(|roles| roles.iter().any(|r| r == role));
        // A request is its requester's; anything else is asked by whoever may.
        let own = |role: &str| !path.starts_with("/requests/") || role == "investigator";
        let (_, session) = sessions.iter().rev().find(|(r, _)| may(r) && own(r)).context("nobody may")?;
        let url = asks(path);
        let (status, body) = client.raw("GET", &url[1..], Some(session.token()), None).await?;
        ensure!(status == 200, "GET {url}: {status} {body}");
        judge.judge("GET", path, status, &body)?;
        read += 1;
    }
    println!("{read} endpoints answered as described");
    ensure!(read >= 20, "only {read} endpoints were read");
    Ok(())
}
