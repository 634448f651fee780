//! Footage of an offence: asked by an investigator, approved by another person, fetched once by who is named, cut exactly,
//! playable anywhere, and every step in the log.

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use end_to_end::{PATIENCE, cameras_until, log_in, plan, programs};
use mandate::{CameraId, Purpose, RecipientKind, Role};
use media::mp4::read;
use protocol::{
    api::{Approval, CameraState, LogIn, NewFootageRequest, RequestState},
    client::{Client, ClientError, ReplayOf, Session},
};
use std::{io::Write as _, path::Path, process::Command, time::Duration};
use xtask::room::{Periods, Room};

/// One more authorisation for the approver, who may then ask as well: what four eyes are for.
const TWO_ROLES: &str = r#"
[[authorisation]]
id = "DEMO-AUT-goedkeurder-2"
person = "goedkeurder"
role = "investigator"
municipalities = ["enschede", "hengelo", "almelo", "borne"]
from = "2026-01-01T00:00:00+01:00"
until = "2028-01-01T00:00:00+01:00"
document_ref = "DEMO-DOC-goedkeurder-2"
granted_by = "autorisatie"
"#;

async fn log_in_as(room: &Room, name: &str, role: Role) -> Result<Session> {
    let client = Client::connect(&room.url, &std::fs::read(&room.ca)?)?;
    let password = room.accounts.get(name).context("no account")?.clone();
    let workstation = Some("end-to-end".to_owned());
    Ok(client.log_in(&LogIn { username: name.to_owned(), password, role: Some(role), workstation }).await?)
}

fn asked(camera: &CameraId, from: DateTime<Utc>, until: DateTime<Utc>) -> NewFootageRequest {
    NewFootageRequest {
        cameras: vec![camera.clone()],
        from,
        until,
        purpose: Purpose::Investigation,
        offence_ref: Some("Sr 300".to_owned()),
        case_number: Some("PL0500-2026-1".to_owned()),
        description: Some("the scuffle at the fountain".to_owned()),
        recipient: None,
        recipient_kind: RecipientKind::Police,
    }
}

fn code<T>(answer: Result<T, ClientError>) -> String {
    match answer {
        Ok(_) => "permitted".to_owned(),
        Err(error) => error.problem().map_or_else(|| error.to_string(), |problem| problem.code.clone()),
    }
}

fn ffprobe(path: &Path) -> Result<String> {
    let entries = "stream=codec_name,nb_read_frames,start_pts:stream_tags=creation_time:format_tags=date";
    let out = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-show_entries", entries, "-of", "default=nw=1"])
        .arg(path)
        .output()
        .context("ffprobe cannot be started")?;
    ensure!(out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
    Ok(String::from_utf8(out.stdout)?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn footage_leaves_by_four_eyes_exactly_cut_and_once() -> Result<()> {
    let bin = programs()?;
    let mut room = tokio::task::spawn_blocking(move || {
        let plan = plan("export", 1, Periods::Open);
        let prepared = Room::prepare(&bin, &plan)?;
        let people = plan.data.join("config/organisations.toml");
        std::fs::OpenOptions::new().append(true).open(people)?.write_all(TWO_ROLES.as_bytes())?;
        prepared.start()
    })
    .await??;
    let observer = log_in(&room, "observant").await?;
    let is_up =
        |list: &[protocol::api::CameraView]| list.iter().all(|c| matches!(c.state, CameraState::Up { .. }));
    let camera = cameras_until(&observer, PATIENCE, is_up).await?.remove(0).id;
    // Footage is told apart to the microsecond.
    let began = DateTime::from_timestamp_micros(Utc::now().timestamp_micros()).context("no time")?;
    tokio::time::sleep(Duration::from_secs(12)).await;

    // In the middle of a group of pictures, to the millisecond.
    let (from, until) = (began + TimeDelta::milliseconds(4_321), began + TimeDelta::milliseconds(9_876));
    let investigator = log_in(&room, "rechercheur").await?;
    let without = NewFootageRequest { offence_ref: None, ..asked(&camera, from, until) };
    ensure!(code(investigator.request_footage(&without).await) == "NO_CONCRETE_OFFENCE");
    let future = asked(&camera, from, Utc::now() + TimeDelta::hours(1));
    ensure!(code(investigator.request_footage(&future).await) == "invalid");
    let request = investigator.request_footage(&asked(&camera, from, until)).await?;
    ensure!(request.state == RequestState::Requested);
    ensure!(code(investigator.download(&request.id, 0).await) == "NOT_APPROVED");

    // Four eyes are two persons, not two roles.
    let both = log_in_as(&room, "goedkeurder", Role::Investigator).await?;
    let approver = log_in_as(&room, "goedkeurder", Role::PoliceApprover).await?;
    let own = both.request_footage(&asked(&camera, from, until)).await?;
    ensure!(code(approver.approve_request(&own.id, &Approval::default()).await) == "FOUR_EYES");
    let own = approver.refuse_request(&own.id, "asked for twice").await?;
    ensure!(own.state == RequestState::Refused && own.refusal_reason.as_deref() == Some("asked for twice"));

    let approved = approver.approve_request(&request.id, &Approval::default()).await?;
    ensure!(approved.state == RequestState::Approved && approved.ready, "{approved:?}");
    ensure!(approved.left_out.is_empty(), "left out: {:?}", approved.left_out);
    let [file] = &approved.files[..] else { anyhow::bail!("not one file: {:?}", approved.files) };
    ensure!(file.from == from && (until - file.until).abs() < TimeDelta::milliseconds(100), "{file:?}");

    // What was approved survives a crash.
    let room = tokio::task::spawn_blocking(move || room.restart_daemon(true).map(|()| room)).await??;
    let approver = log_in_as(&room, "goedkeurder", Role::PoliceApprover).await?;
    let investigator = log_in(&room, "rechercheur").await?;
    ensure!(code(approver.download(&request.id, 0).await) == "RECIPIENT_MISMATCH");
    let bytes = investigator.download_witnessed(&request.id, 0, || {}).await?.all().await?;
    ensure!(bytes.len() as u64 == file.bytes, "{} bytes instead of {}", bytes.len(), file.bytes);
    let path = room.data.join(&file.name);
    std::fs::write(&path, &bytes)?;
    let hash = Command::new("sha256sum").arg(&path).output()?;
    ensure!(hash.stdout.starts_with(file.sha256.as_bytes()), "another hash than approved");
    ensure!(code(investigator.download(&request.id, 0).await) == "conflict", "fetched twice");

    // It begins with a key frame and shows exactly what was asked for.
    let track = read::track(&bytes)?;
    let [(shown, skipped)] = track.edits[..] else { anyhow::bail!("no edit list") };
    ensure!(track.samples[0].key && skipped > 0, "the start was not in the middle of a group: {skipped}");
    let within = |time: i64| time >= skipped && time < skipped + shown as i64;
    let expected = track.samples.iter().filter(|s| within(s.decoded + i64::from(s.shift))).count();
    ensure!((130..=142).contains(&expected), "{expected} pictures in 5.555 s of 25 a second");
    let said = ffprobe(&path)?;
    for line in [
        format!("nb_read_frames={expected}"),
        format!("TAG:date={}", from.format("%Y-%m-%dT%H:%M:%S%.6fZ")),
        format!("TAG:creation_time={}", from.format("%Y-%m-%dT%H:%M:%S.000000Z")),
    ] {
        ensure!(said.lines().any(|l| l == line), "no {line} in\n{said}");
    }

    // Any player can look back, for an offence, and sees the same pictures.
    let mut of = ReplayOf {
        camera: camera.clone(),
        from,
        until,
        incident: None,
        purpose: Some("investigation".to_owned()),
        offence_ref: Some("Sr 300".to_owned()),
        case_number: None,
        speed: None,
    };
    let stream = investigator.replay_mp4(&of).await?.all().await?;
    let path = room.data.join("replay.mp4");
    std::fs::write(&path, &stream)?;
    let said = ffprobe(&path)?;
    ensure!(said.contains("nb_read_frames="), "{said}");
    of.offence_ref = None;
    ensure!(code(investigator.replay_mp4(&of).await) == "NO_CONCRETE_OFFENCE");

    // Done with: the footage is released and nothing is fetched any more.
    let closed = approver.close_request(&request.id, "delivered").await?;
    ensure!(closed.state == RequestState::Closed);
    ensure!(code(investigator.download(&request.id, 0).await) == "NOT_APPROVED");

    let privacy = log_in(&room, "privacy").await?;
    let entries = privacy.ledger_entries("lawfulness", 0, 10_000).await?;
    let logged: Vec<String> = entries
        .iter()
        .map(|entry| {
            let text = |name: &str| entry.entry[name].as_str().unwrap_or_default().to_owned();
            let outcome = &entry.entry["outcome"];
            format!("{} {} {}", text("action"), outcome, entry.entry["reason_code"])
        })
        .collect();
    for (action, what) in [
        ("export.request", "permit"),
        ("export.request", "NO_CONCRETE_OFFENCE"),
        ("export.approve", "FOUR_EYES"),
        ("export.refuse", "permit"),
        ("export.approve", "permit"),
        ("export.ready", "done"),
        ("export.download", "NOT_APPROVED"),
        ("export.download", "RECIPIENT_MISMATCH"),
        ("export.download", "permit"),
        ("export.downloaded", "done"),
        ("replay.start", "permit"),
        ("replay.stop", "done"),
        ("hold.release", "permit"),
    ] {
        ensure!(
            logged.iter().any(|line| line.starts_with(&format!("{action} ")) && line.contains(what)),
            "no entry `{action}` with `{what}` in\n{}",
            logged.join("\n")
        );
    }
    Ok(())
}
