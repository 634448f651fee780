//! What a shift leaves in the log: every kind of act of a control room once, with the fields that the law's purposes need
//! (domain 2.2), and the auditor's reports over it. The table of all events is `daemon::events`.

use anyhow::{Context as _, Result, ensure};
use chrono::Utc;
use end_to_end::{Next, PATIENCE, cameras_until, log_in, next, pictures, plan, programs, until_end};
use mandate::{Purpose, RecipientKind};
use protocol::{
    api::{
        Approval, CameraState, HoldRelease, IncidentCategory, IncidentSource, NewFootageRequest, NewHold,
        NewIncident, StreamRole,
    },
    client::Client,
    socket::{ClientMessage, ServerMessage},
};
use serde_json::{Value, json};
use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};
use xtask::room::{Periods, Room};

/// The newest entry of an action with an outcome.
fn find<'a>(entries: &'a [Value], action: &str, outcome: &str) -> Result<&'a Value> {
    let all =
        || entries.iter().map(|e| format!("{} {}", e["action"], e["outcome"])).collect::<Vec<_>>().join("\n");
    let found = entries.iter().rev().find(|e| e["action"] == action && e["outcome"] == outcome);
    found.with_context(|| format!("no entry `{action}` with `{outcome}` in\n{}", all()))
}

/// An entry has these fields, given as JSON pointers.
fn has(entry: &Value, fields: &[&str]) -> Result<()> {
    for field in fields {
        let there = entry.pointer(field).is_some_and(|value| !value.is_null() && value != "");
        ensure!(there, "no {field} in {entry:#}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shift_stands_in_the_log_and_the_auditor_reads_it() -> Result<()> {
    let bin = programs()?;
    let rtrctl = bin.join("rtrctl");
    let mut room = tokio::task::spawn_blocking(move || {
        let plan = plan("events", 1, Periods::Open);
        let prepared = Room::prepare(&bin, &plan)?;
        // Small volumes, so that one is sealed while we look.
        let config = plan.data.join("config/rtr.toml");
        let text = fs::read_to_string(&config)?;
        let (usual, small) = ("volume_mib = 256", "volume_mib = 1");
        let (minute, at_once) = ("volume_seconds = 60", "volume_seconds = 0");
        ensure!(text.contains(usual) && text.contains(minute));
        fs::write(&config, text.replace(usual, small).replace(minute, at_once))?;
        prepared.start()
    })
    .await??;
    let observer = log_in(&room, "observant").await?;
    let is_up =
        |list: &[protocol::api::CameraView]| list.iter().all(|c| matches!(c.state, CameraState::Up { .. }));
    let camera = cameras_until(&observer, PATIENCE, is_up).await?.remove(0).id;
    let began = Utc::now();
    let client = Client::connect(&room.url, &fs::read(&room.ca)?)?;

    // Somebody who is nobody, and somebody who may not.
    let nobody = json!({ "username": "observant", "password": "wrong", "workstation": "elsewhere" });
    ensure!(client.raw("POST", "sessions", None, Some(&nobody)).await?.0 == 401);
    let admin = log_in(&room, "beheer").await?;
    ensure!(admin.media().await.is_err(), "a technician sees no pictures");

    // A look on a wall display, an incident, a look back.
    let (sender, mut media) = observer.media().await?;
    let wall = ClientMessage::Watch {
        subscription: 1,
        camera: camera.clone(),
        stream: StreamRole::Main,
        incident: None,
        display: Some("wall 2".to_owned()),
        key_frames_only: false,
    };
    sender.send(&wall).await?;
    let seq = loop {
        if let Next::Said(ServerMessage::Started { ledger_seq, .. }) = next(&mut media, 1, PATIENCE).await? {
            break ledger_seq;
        }
    };
    pictures(&mut media, 1, 100, PATIENCE).await?;
    let incident = observer
        .mark(&NewIncident {
            at: Utc::now(),
            cameras: vec![camera.clone()],
            category: IncidentCategory::Other,
            note: "somebody fell".to_owned(),
            source: IncidentSource::Own,
            instruction: None,
            quick: true,
            outside_number: None,
        })
        .await?;
    let change = json!({ "note": "helped up" });
    let path = format!("incidents/{}", incident.id);
    let (status, answer) = client.raw("PATCH", &path, Some(observer.token()), Some(&change)).await?;
    ensure!(status == 200, "{status} {answer}");
    let replay = |subscription, incident| ClientMessage::Replay {
        subscription,
        camera: camera.clone(),
        stream: StreamRole::Main,
        from: began,
        until: Utc::now(),
        incident,
        of: None,
        motion: protocol::socket::Motion { speed: 0.0, ..Default::default() },
        stay: false,
    };
    sender.send(&replay(3, None)).await?;
    until_end(&mut media, 3, PATIENCE).await?;
    sender.send(&replay(2, Some(incident.id.clone()))).await?;
    until_end(&mut media, 2, PATIENCE).await?;
    sender.send(&ClientMessage::Stop { subscription: 1 }).await?;
    until_end(&mut media, 1, PATIENCE).await?;

    // Secured and released by two; asked, approved, fetched.
    let operator = log_in(&room, "regie").await?;
    let approver = log_in(&room, "goedkeurder").await?;
    let until = Utc::now();
    let hold = NewHold {
        camera: camera.clone(),
        from: began,
        until,
        case_number: "PL0600-2026-EVENTS".to_owned(),
        offence: "Sr 300".to_owned(),
        review_at: None,
    };
    let post = async |session: &str, path: &str, body: Value| -> Result<Value> {
        let (status, answer) = client.raw("POST", path, Some(session), Some(&body)).await?;
        ensure!(status < 300, "POST {path}: {status} {answer}");
        Ok(answer)
    };
    let kept = post(operator.token(), "holds", serde_json::to_value(&hold)?).await?;
    let second = post(operator.token(), "holds", serde_json::to_value(&hold)?).await?;
    let release = format!("holds/{}/release", kept["id"].as_str().context("no id")?);
    let reason = HoldRelease { reason: "case closed".to_owned() };
    post(approver.token(), &release, serde_json::to_value(reason)?).await?;
    let investigator = log_in(&room, "rechercheur").await?;
    let asked = NewFootageRequest {
        cameras: vec![camera.clone()],
        from: began,
        until,
        purpose: Purpose::Investigation,
        offence_ref: Some("Sr 300".to_owned()),
        case_number: Some("PL0600-2026-EVENTS".to_owned()),
        description: Some("the fall".to_owned()),
        recipient: None,
        recipient_kind: RecipientKind::Police,
    };
    let request = investigator.request_footage(&asked).await?;
    approver.approve_request(&request.id, &Approval::default()).await?;
    investigator.download_witnessed(&request.id, 0, || {}).await?.all().await?;

    // The log is read, and asked for somebody else's act.
    let auditor = log_in(&room, "auditor").await?;
    ensure!(auditor.log_file("checkpoint", "integrity").await.is_ok());
    let (status, _) =
        client.raw("GET", "ledger/checkpoint?purpose=integrity", Some(auditor.token()), None).await?;
    ensure!(status == 200);
    ensure!(admin.receipt(seq).await.is_err());
    admin.log_out().await?;

    // A start with another configuration.
    let config = room.data.join("config/rtr.toml");
    let text = fs::read_to_string(&config)?;
    ensure!(text.contains("session_hours = 10"));
    fs::write(&config, text.replace("session_hours = 10", "session_hours = 9"))?;
    let mut room = tokio::task::spawn_blocking(move || room.restart_daemon(false).map(|()| room)).await??;
    let privacy = log_in(&room, "privacy").await?;
    // Which volumes are sealed is told beside the start.
    let end = Instant::now() + PATIENCE;
    let entries: Vec<Value> = loop {
        let entries = privacy.ledger_entries("lawfulness", 0, 10_000).await?;
        let entries: Vec<Value> = entries.into_iter().map(|e| e.entry).collect();
        if find(&entries, "volume.sealed", "done").is_ok() || Instant::now() > end {
            break entries;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    for entry in &entries {
        has(entry, &["/v", "/at", "/clock", "/operation", "/action", "/actor/kind", "/outcome"])?;
    }
    let person = [
        "/actor/pseudonym",
        "/actor/role",
        "/actor/organisation",
        "/origin/workstation",
        "/origin/session",
        "/origin/address",
    ];
    let law = ["/legal_context/basis", "/legal_context/policy_version", "/legal_context/register_head"];
    let camera_fields = ["/object/camera", "/object/municipality"];
    let footage = ["/object/camera", "/object/from", "/object/until"];
    let case = ["/justification/offence", "/justification/case_number"];
    let all = |parts: &[&[&'static str]]| parts.concat();
    for (action, outcome, fields) in [
        ("daemon.init", "done", all(&[&["/data/log_key", "/data/authority_sha256"]])),
        ("register.record", "done", all(&[&["/data/journal", "/data/event", "/change"]])),
        ("daemon.started", "done", all(&[&["/data/version", "/data/configuration/rtr.toml"]])),
        ("daemon.stopped", "done", vec![]),
        ("configuration.changed", "done", all(&[&["/change/old/rtr.toml", "/change/new/rtr.toml"]])),
        ("volume.sealed", "done", all(&[&["/object/id", "/data/root", "/data/bytes"]])),
        ("record.start", "permit", all(&[&camera_fields, &law])),
        ("record.stop", "deny", all(&[&camera_fields, &["/reason_code"]])),
        ("record.gap", "failed", all(&[&camera_fields, &["/reason_code"]])),
        ("session.start", "permit", all(&[&person])),
        ("session.start", "deny", all(&[&["/object/pseudonym", "/origin/address", "/reason_code"]])),
        ("session.stop", "done", all(&[&person])),
        (
            "live_view.start",
            "permit",
            all(&[&person, &camera_fields, &law, &["/object/screen", "/look", "/actor/authorisation"]]),
        ),
        ("live_view.stop", "done", all(&[&person, &camera_fields, &["/object/screen", "/look"]])),
        ("replay", "deny", all(&[&person, &footage, &["/reason_code"]])),
        ("replay.start", "permit", all(&[&person, &footage, &law, &["/justification/incident"]])),
        ("replay.stop", "done", all(&[&person, &footage])),
        ("incident.mark", "permit", all(&[&person, &law])),
        ("incident.change", "permit", all(&[&person])),
        ("hold.set", "permit", all(&[&person, &footage, &case])),
        ("hold.secured", "done", all(&[&["/object/id", "/data/review_at", "/data/chunks"]])),
        ("hold.release", "permit", all(&[&person, &footage, &["/justification/note"]])),
        ("hold.released", "done", all(&[&["/object/id"]])),
        (
            "export.request",
            "permit",
            all(&[&person, &footage, &case, &["/recipient/organisation", "/recipient/article"]]),
        ),
        ("export.approve", "permit", all(&[&person, &footage, &case, &["/recipient/article", "/object/id"]])),
        ("export.ready", "done", all(&[&["/object/id", "/data/files/0/sha256"]])),
        (
            "export.download",
            "permit",
            all(&[&person, &footage, &["/recipient/person", "/recipient/article"]]),
        ),
        (
            "export.downloaded",
            "done",
            all(&[&person, &footage, &["/recipient/person", "/recipient/article"]]),
        ),
        ("log.read", "permit", all(&[&person, &["/justification/purpose", "/data/filters"]])),
        ("log.checkpoint", "permit", all(&[&person, &["/justification/purpose"]])),
        ("log.tiles", "permit", all(&[&person, &["/justification/purpose"]])),
        ("log.receipt", "deny", all(&[&person, &["/reason_code"]])),
    ] {
        has(find(&entries, action, outcome)?, &fields)?;
    }
    let screen = &find(&entries, "live_view.start", "permit")?["object"]["screen"];
    ensure!(screen == "wall 2", "{screen}");
    let text = serde_json::to_string(&entries)?;
    for secret in
        ["observant", "somebody fell", "helped up", "PL0600-2026-EVENTS", "127.0.0.1", "case closed"]
    {
        ensure!(!text.contains(secret), "`{secret}` stands in the log");
    }
    // One of the demo's people is called as a role is.
    for person in room.accounts.keys().filter(|person| person.as_str() != "auditor") {
        ensure!(!text.contains(&format!("\"{person}\"")), "the person `{person}` stands in the log by name");
    }
    let signs = entries.iter().filter(|e| e["action"] == "ledger.heartbeat").count();
    let minutes = (Utc::now() - began).num_minutes();
    ensure!(signs as i64 <= minutes + 2, "{signs} signs of life in {minutes} minutes bury the rest");

    // The auditor's reports over this room's log, offline.
    room.daemon.stop();
    let state = room.data.join("state");
    let audit = |words: &[&str]| -> Result<String> {
        let mut command = Command::new(&rtrctl);
        command.args(["ledger", "audit"]).arg(state.join("ledger")).args(words);
        command.arg("--log-key").arg(state.join("ledger.vkey"));
        command.arg("--witness-key").arg(room.data.join("witness.vkey"));
        let output = command.output()?;
        ensure!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    };
    let months = state.join("ledger-months").display().to_string();
    let reports: Value =
        serde_json::from_str(&audit(&["--json", "--months", &months, "--purpose", "lawfulness"])?)?;
    let lines = |report: &str| -> Result<Vec<String>> {
        let lines =
            reports["reports"][report]["lines"].as_array().with_context(|| format!("no report {report}"))?;
        Ok(lines.iter().map(|line| line["text"].as_str().unwrap_or_default().to_owned()).collect())
    };
    let says = |report: &str, word: &str| -> Result<()> {
        let all = lines(report)?;
        ensure!(all.iter().any(|line| line.contains(word)), "{report} does not say `{word}`: {all:#?}");
        Ok(())
    };
    ensure!(reports["reports"].as_object().context("no reports")?.len() == 14);
    ensure!(lines("without-incident")?.is_empty(), "{:?}", lines("without-incident")?);
    says("denied", "ROLE_NOT_PERMITTED; system_admin")?;
    says("denied", "INCIDENT_REQUIRED; observer")?;
    says("denied", "LOG_IN_REFUSED; anonymous; 1")?;
    ensure!(
        lines("open-looks")?.iter().all(|line| line.contains("record.start")),
        "{:?}",
        lines("open-looks")?
    );
    let standing = second["id"].as_str().context("no id")?;
    says("holds", &format!("{standing}, "))?;
    says("holds", "review at")?;
    // What an approved request secured stands there too; the released one does not.
    says("holds", "export-")?;
    ensure!(lines("holds")?.len() == 2, "the released one still stands: {:?}", lines("holds")?);
    says("disclosures", "Wpg 15")?;
    says("destruction", camera.as_str())?;
    says("agreements", "in force").or_else(|_| says("agreements", "below"))?;
    says("authorisations", "observant as observer")?;
    says("without-activity", "as ")?;
    ensure!(!lines("without-activity")?.iter().any(|line| line.starts_with("observant as observer")));
    says("windows", "decree")?;
    says("log-reading", "integrity; auditor; 2")?;
    says("maintenance", "daemon.started")?;
    says("maintenance", "configuration.changed")?;
    lines("silence")?;
    lines("outside-windows")?;
    // As text, for people, and through a pipe that is closed early.
    let text = audit(&[])?;
    ensure!(text.contains("== Disclosures") && !text.contains("observant"), "{text}");
    let head = Command::new("sh")
        .args(["-c", "\"$0\" ledger audit \"$1\" --unverified --log-key \"$2\" | head -n 1"])
        .args([&rtrctl, &state.join("ledger"), &state.join("ledger.vkey")])
        .output()?;
    ensure!(head.status.success() && head.stderr.is_empty(), "{}", String::from_utf8_lossy(&head.stderr));
    Ok(())
}
