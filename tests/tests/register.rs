//! The register as its people use it, from a terminal: a folder of decisions is applied, a second person verifies it, a
//! revocation ends a running look within a second, and the history and a past answer show what happened.

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use end_to_end::{PATIENCE, log_in, pictures, plan, programs, until_end, watch};
use mandate::{Purpose, ReasonCode, RecipientKind};
use protocol::{
    api::{Approval, NewFootageRequest},
    socket::EndCause,
};
use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use xtask::room::{Periods, Room};

/// `rtrctl` in the hands of one person.
struct Desk {
    rtrctl: PathBuf,
    session: PathBuf,
}

impl Desk {
    fn open(bin: &Path, room: &Room, person: &str) -> Result<Self> {
        let desk =
            Self { rtrctl: bin.join("rtrctl"), session: room.data.join(format!("{person}.session.json")) };
        let password = room.accounts.get(person).context("no such account")?;
        let mut login = desk.command();
        login.args(["login", "--url", &room.url, "--user", person]).arg("--ca").arg(&room.ca);
        let said = said(login.env("RTR_PASSWORD", password))?;
        ensure!(said.contains(" as "), "{said}");
        let mode = std::fs::metadata(&desk.session)?.permissions().mode();
        ensure!(mode & 0o777 == 0o600, "the session file has mode {mode:o}");
        Ok(desk)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.rtrctl);
        command.arg("--session").arg(&self.session);
        command
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        said(self.command().args(arguments))
    }

    fn refused(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command().args(arguments).output()?;
        ensure!(!output.status.success(), "{arguments:?} went through");
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn said(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {error}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Asks until the answer holds a text: what the daemon finds by itself it finds a moment later.
fn until(desk: &Desk, arguments: &[&str], text: &str) -> Result<String> {
    let end = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        let answer = desk.run(arguments)?;
        if answer.contains(text) {
            return Ok(answer);
        }
        ensure!(std::time::Instant::now() < end, "never `{text}`: {answer}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_are_applied_verified_and_revoked() -> Result<()> {
    let bin = programs()?;
    let programs = bin.clone();
    let room =
        tokio::task::spawn_blocking(move || Room::open(&programs, &plan("register", 2, Periods::Open)))
            .await??;
    let legal = Desk::open(&bin, &room, "besluit")?;
    let officer = Desk::open(&bin, &room, "oov-enschede")?;
    let auditor = Desk::open(&bin, &room, "auditor")?;
    let privacy = Desk::open(&bin, &room, "privacy")?;

    // A look is running the whole time.
    let observer = log_in(&room, "observant").await?;
    let cameras = observer.cameras().await?;
    let camera = cameras.iter().find(|c| c.municipality.as_str() == "enschede").context("no camera")?;
    let (sender, mut media) = observer.media().await?;
    sender.send(&watch(1, &camera.id)).await?;
    pictures(&mut media, 1, 10, PATIENCE).await?;

    // The folder is the room's own configuration with better reasons for the decree; first only the differences.
    let folder = room.data.join("decisions");
    std::fs::create_dir_all(&folder)?;
    let text = std::fs::read_to_string(room.data.join("config/municipalities/enschede.toml"))?;
    let better =
        text.replace("DEMO: nuisance and violence on weekend nights in the centre.", "DEMO: better reasons.");
    ensure!(better != text, "the configuration says something else now");
    std::fs::write(folder.join("enschede.toml"), better)?;
    let folder = folder.display().to_string();
    let differences = legal.run(&["apply", &folder, "--dry-run"])?;
    ensure!(differences.contains("~ decree DEMO-ENS-01"), "{differences}");
    ensure!(
        differences.contains("0 new, 1 changed") && differences.contains("Nothing was entered"),
        "{differences}"
    );
    ensure!(legal.run(&["proposals"])?.contains("0 proposals"));
    // Entered, but without effect until the second person; who entered it is not that person.
    legal.run(&["apply", &folder, "--yes", "--note", "evaluation 2026"])?;
    legal.run(&["withdraw", "1"])?;
    legal.run(&["apply", &folder, "--yes", "--note", "evaluation 2026, again"])?;
    let refused = legal.refused(&["verify", "2", "--yes"])?;
    ensure!(refused.contains("FOUR_EYES"), "{refused}");
    let stands = legal.run(&["facts", "--kind", "decree", "--id", "DEMO-ENS-01"])?;
    ensure!(stands.contains("1 facts") && !stands.contains("better reasons"), "{stands}");
    let verified = officer.run(&["verify", "--all", "--yes"])?;
    ensure!(verified.contains("verified by oov-enschede"), "{verified}");
    let history = auditor.run(&["history", "decree", "DEMO-ENS-01"])?;
    ensure!(history.contains("entered by besluit, verified by oov-enschede"), "{history}");
    ensure!(history.contains("necessity:") && history.contains("→ DEMO: better reasons."), "{history}");
    // The look goes on under the new version.
    pictures(&mut media, 1, 25, PATIENCE).await?;
    let before = Utc::now();

    let day_ahead = (Utc::now() + TimeDelta::days(1)).to_rfc3339();
    // Ahead: open all day, until the decree ends.
    let ahead = auditor.run(&["periods", "--camera", camera.id.as_str()])?;
    ensure!(ahead.contains("  use") && ahead.contains("  live"), "{ahead}");
    ensure!(auditor.run(&["endings", "--days", "3600"])?.contains("decree DEMO-ENS-01"));

    let watches = auditor.run(&["periods", "--person", "observant", "--until", &day_ahead])?;
    ensure!(
        watches.contains("observant as observer in enschede") && watches.contains("watches "),
        "{watches}"
    );

    // Whoever keeps the machines announces work from a file, without reading the register; the witness confirms it.
    let technician = Desk::open(&bin, &room, "beheer")?;
    let work = room.data.join("work.toml");
    let from = (Utc::now() + TimeDelta::hours(1)).to_rfc3339();
    let until_when = (Utc::now() + TimeDelta::hours(2)).to_rfc3339();
    std::fs::write(
        &work,
        format!(
            "[[maintenance]]\nid = \"DEMO-1\"\nperson = \"beheer\"\nticket = \"DEMO 1\"\nfrom = \"{from}\"\n\
             until = \"{until_when}\"\nwitness = \"regie\"\n"
        ),
    )?;
    let announced = technician.run(&["enter", &work.display().to_string()])?;
    ensure!(announced.contains("open maintenance"), "{announced}");
    let witness = Desk::open(&bin, &room, "regie")?;
    let seen = witness.run(&["verify", "--all", "--yes"])?;
    ensure!(seen.contains("verified by regie"), "{seen}");

    // A year of a person, asked for in pieces.
    let year_ahead = (Utc::now() + TimeDelta::days(360)).to_rfc3339();
    let year = auditor.run(&["periods", "--person", "observant", "--until", &year_ahead])?;
    ensure!(year.contains("watches "), "{year}");

    // An emergency: ordered, the prosecutor telephoned, in force at once, and marked until it is confirmed in writing.
    let just_now = (Utc::now() - TimeDelta::seconds(5)).to_rfc3339();
    let soon = (Utc::now() + TimeDelta::hours(1)).to_rfc3339();
    let emergency = [
        "emergency",
        "DEMO-ENS-01",
        "--ordered-at",
        &just_now,
        "--telephoned-at",
        &just_now,
        "--prosecutor",
        "DEMO officier",
        "--outcome",
        "no objection",
        "--until",
        &soon,
        "--ground",
        "DEMO disorder",
    ];
    // The telephone reality: ordered ten minutes ago to begin nine minutes ago, entered now. It holds from its entry on.
    let minutes_ago = |minutes| (Utc::now() - TimeDelta::minutes(minutes)).to_rfc3339();
    let (ordered, begin) = (minutes_ago(10), minutes_ago(9));
    let mut late = emergency.to_vec();
    late[3] = &ordered;
    late[5] = &ordered;
    late.extend(["--from", begin.as_str()]);
    let entered_at = Utc::now();
    let declared = legal.run(&late)?;
    ensure!(declared.contains("is in force from") && declared.contains("Ordered from"), "{declared}");
    let late_window = declared.split_whitespace().next().context("no window")?.to_owned();
    let fact = legal.run(&["facts", "--kind", "extra_window", "--id", &late_window, "--json"])?;
    let fact: serde_json::Value = serde_json::from_str(&fact)?;
    let begun: DateTime<Utc> = fact[0]["body"]["from"].as_str().context("no begin")?.parse()?;
    ensure!(begun > entered_at, "a window that was entered at {entered_at} opened the past from {begun}");
    ensure!(begun - entered_at < TimeDelta::seconds(10), "not at once: {begun}");
    let told: DateTime<Utc> = fact[0]["body"]["ordered_at"].as_str().context("no order")?.parse()?;
    ensure!(entered_at - told > TimeDelta::minutes(9), "the order keeps its own instant: {told}");
    // What cannot be meant is refused with what to write instead.
    let yesterday = (Utc::now() - TimeDelta::days(1)).to_rfc3339();
    let mut wrong = emergency.to_vec();
    wrong.extend(["--from", yesterday.as_str()]);
    let refused = legal.refused(&wrong)?;
    ensure!(refused.contains("leave the start out"), "{refused}");
    wrong = emergency.to_vec();
    wrong[3] = &soon;
    let refused = legal.refused(&wrong)?;
    ensure!(refused.contains("when the mayor gave the order"), "{refused}");

    let declared = legal.run(&emergency)?;
    ensure!(declared.contains("is in force from") && !declared.contains("Ordered from"), "{declared}");
    let window = declared.split_whitespace().next().context("no window")?.to_owned();
    let waits = privacy.run(&["endings"])?;
    ensure!(waits.contains(&format!("waits  emergency window {window}")), "{waits}");
    ensure!(waits.contains("entered by besluit") && waits.contains(", ordered "), "{waits}");
    legal.run(&["confirm", &window, "--at", "now"])?;
    legal.run(&["confirm", &late_window, "--at", "now"])?;
    officer.run(&["verify", "--all", "--yes"])?;
    let waits = privacy.run(&["endings"])?;
    ensure!(!waits.contains("emergency window"), "{waits}");

    // It turns out that the other camera was taken down some seconds ago: what it recorded since is closed off, the privacy
    // officer sees it, and the police decide that it goes. The keys are gone when the answer is there.
    // What an approved request has secured meanwhile binds it until the request is closed.
    let other = cameras.iter().find(|c| c.municipality.as_str() == "enschede" && c.id != camera.id);
    let other = other.context("no second camera")?.id.to_string();
    let investigator = log_in(&room, "rechercheur").await?;
    let approver = log_in(&room, "goedkeurder").await?;
    let now = Utc::now();
    let asked = NewFootageRequest {
        cameras: vec![other.as_str().into()],
        from: now - TimeDelta::seconds(8),
        until: now,
        purpose: Purpose::Investigation,
        offence_ref: Some("Sr 300".to_owned()),
        case_number: Some("PL0600-2026-DEMO".to_owned()),
        description: Some("DEMO: taken down later".to_owned()),
        recipient: None,
        recipient_kind: RecipientKind::Police,
    };
    let request = investigator.request_footage(&asked).await?;
    let approved = approver.approve_request(&request.id, &Approval::default()).await?;
    ensure!(!approved.held.is_empty(), "nothing was secured: {approved:?}");
    let taken_down = (now - TimeDelta::seconds(5)).to_rfc3339();
    legal.run(&["end", "position", &format!("{other}-P1"), "--at", &taken_down])?;
    let closed_off = until(&privacy, &["quarantine"], "CAMERA_OUTSIDE_AREA")?;
    ensure!(closed_off.contains(&other), "{closed_off}");
    ensure!(closed_off.contains("lawful footage"), "the price of a decision is told: {closed_off}");
    let decide = ["destroy-quarantined", "1", "--yes", "--reason", "DEMO: should not exist"];
    ensure!(legal.refused(&decide)?.contains("ROLE_NOT_PERMITTED"));
    let bound = privacy.refused(&decide)?;
    ensure!(bound.contains("HELD"), "what a request has secured went: {bound}");
    approver.close_request(&request.id, "withdrawn").await?;
    let gone = privacy.run(&decide)?;
    ensure!(gone.contains("decided by privacy"), "{gone}");
    ensure!(privacy.refused(&decide)?.contains("destroyed already"));
    let log = log_in(&room, "auditor").await?.ledger_entries("lawfulness", 0, 10_000).await?;
    let at = |action: &str| log.iter().position(|e| e.entry["action"] == action);
    ensure!(
        at("quarantine.decide").is_some()
            && at("quarantine.decide") < at("destroy.quarantine")
            && at("destroy.quarantine") < at("destroy.done"),
        "the intent is logged before the deed"
    );

    // Revoked: one act, by one person, at once.
    let revoked = legal.run(&["revoke", "DEMO-ENS-01", "--reason", "DEMO: no longer necessary"])?;
    ensure!(revoked.contains("effective revocation"), "{revoked}");
    let (cause, _, _) = until_end(&mut media, 1, PATIENCE).await?;
    let EndCause::Refused(refusal) = cause else { anyhow::bail!("ended for another cause: {cause:?}") };
    ensure!(refusal.code == ReasonCode::DecreeRevoked, "{refusal:?}");
    let history: serde_json::Value =
        serde_json::from_str(&auditor.run(&["history", "revocation", "DEMO-ENS-01", "--json"])?)?;
    let instant = |text: &serde_json::Value| -> Result<DateTime<Utc>> {
        Ok(text.as_str().context("no instant")?.parse()?)
    };
    let effective = instant(&history[0]["fact"]["body"]["revoked_from"])?
        .max(instant(&history[0]["fact"]["known_from"])?);
    // By the daemon's own clock: what this test's machine did between is not the daemon's.
    let log = log_in(&room, "auditor").await?.ledger_entries("lawfulness", 0, 10_000).await?;
    let stop =
        log.iter().rev().find(|e| e.entry["action"] == "live_view.stop").context("no end in the log")?;
    let late = instant(&stop.entry["at"])? - effective;
    println!("the look ended {late} after the revocation");
    ensure!(late < TimeDelta::seconds(1), "the look ended {late} after the revocation");
    ensure!(history[0]["entered_by"] == "besluit" && history[0]["verified_by"].is_null(), "{history}");

    // No emergency cures a decree that is gone.
    let refused = legal.refused(&emergency)?;
    ensure!(refused.contains("WINDOW_EXCEEDS_DECREE") || refused.contains("DECREE_REVOKED"), "{refused}");

    // A past answer again: permitted then, refused now, computed from the facts as they stood.
    let asked =
        ["explain", "--camera", camera.id.as_str(), "--person", "observant", "--role", "observer", "--at"];
    let then = before.to_rfc3339();
    let past = auditor.run(&[&asked[..], &[&then]].concat())?;
    ensure!(past.contains(": permitted.") && past.contains("decree DEMO-ENS-01 v2"), "{past}");
    let now = Utc::now().to_rfc3339();
    let present = auditor.run(&[&asked[..], &[&now]].concat())?;
    ensure!(present.contains("DECREE_REVOKED"), "{present}");
    ensure!(legal.refused(&[&asked[..], &[&now]].concat())?.contains("ROLE_NOT_PERMITTED"));

    // The figures name nobody, and the footage says on which basis it was captured.
    let report = officer.run(&["report", "--format", "csv"])?;
    ensure!(report.contains("enschede,") && !report.contains("observant"), "{report}");
    let captured = privacy.run(&["captured", "--camera", camera.id.as_str()])?;
    ensure!(
        captured.contains("decree DEMO-ENS-01 v1") && captured.contains("decree DEMO-ENS-01 v2"),
        "{captured}"
    );
    let quarantined = privacy.run(&["quarantine"])?;
    ensure!(
        quarantined.contains(&other) && !quarantined.contains("goes "),
        "all of it is gone: {quarantined}"
    );
    ensure!(!quarantined.contains(camera.id.as_str()), "a revocation leaves nothing unlawful: {quarantined}");

    // Every step of it stands in the log.
    let reader = log_in(&room, "privacy").await?;
    let entries = reader.ledger_entries("lawfulness", 0, 10_000).await?;
    for action in [
        "register.propose",
        "register.withdraw",
        "register.verify",
        "register.record",
        "register.emergency",
        "register.explain",
        "capture.basis",
    ] {
        let permitted =
            |e: &protocol::api::LedgerEntry| e.entry["action"] == action && e.entry["outcome"] != "deny";
        ensure!(entries.iter().any(permitted), "no entry `{action}`");
    }
    Ok(())
}
