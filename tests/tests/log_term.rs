//! The end of the log's own term, in a running room: entries of six years ago are announced, seen by the witness, purged by
//! whole tiles under a signed tombstone; their month's key dies with them, and what is left verifies.

use anyhow::{Result, ensure};
use chrono::{DateTime, Datelike as _, Months, TimeDelta, Utc};
use end_to_end::{log_in, plan, programs};
use ledger::{Actor, Entry, Ledger, LedgerConfig, Object, Operation, Outcome};
use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use xtask::room::{Periods, Room};

/// Entries that are past their term: two bundles of 256 in one month, and some of two months later that fill no bundle.
const OLD: i64 = 700;

/// A log as it was kept six years ago, before the room's first start: same key, same name.
async fn old_log(state: &Path, first: DateTime<Utc>) -> Result<()> {
    fs::create_dir_all(state)?;
    let config = LedgerConfig::new(state.join("ledger"), state.join("ledger.key"), "demo.rtr.invalid/ledger");
    let ledger = Ledger::open(config)?;
    let appends = (0..OLD).map(|n| {
        let entry = Entry {
            actor: Actor::Person {
                person: "somebody-long-gone".to_owned(),
                role: "observer".to_owned(),
                organisation: "rj-security".to_owned(),
                authorisation: None,
            },
            object: Some(Object::camera("ENS-C12", "enschede")),
            outcome: Outcome::Permit,
            ..Entry::new(
                first + TimeDelta::minutes(n) + TimeDelta::days(if n < 512 { 0 } else { 62 }),
                Operation::Consult,
                "live_view.start",
            )
        };
        ledger.append(entry)
    });
    for append in appends {
        append.await?;
    }
    let mut published = ledger.published();
    published.wait_for(|size| *size >= OLD as u64).await?;
    Ok(())
}

fn until(what: &str, mut ready: impl FnMut() -> bool) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(40);
    while !ready() {
        ensure!(Instant::now() < end, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn size_of(checkpoint: &Path) -> u64 {
    let note = fs::read_to_string(checkpoint).unwrap_or_default();
    note.lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_past_the_logs_term_are_announced_witnessed_and_purged() -> Result<()> {
    let bin = programs()?;
    let (rtrctl, room_bin) = (bin.join("rtrctl"), bin.clone());
    let prepared =
        tokio::task::spawn_blocking(move || Room::prepare(&bin, &plan("log_term", 1, Periods::Open)))
            .await??;
    let state = prepared.state();
    let then = Utc::now() - Months::new(72);
    let first = then.with_day(5).unwrap_or(then);
    old_log(&state, first).await?;
    let key_of = |at: DateTime<Utc>| state.join("ledger-months").join(at.format("%Y-%m").to_string());
    let (key_of_then, key_of_later) = (key_of(first), key_of(first + TimeDelta::days(62)));
    ensure!(key_of_then.exists() && key_of_later.exists(), "months of then have no keys");
    let mut room = tokio::task::spawn_blocking(move || prepared.start()).await??;
    let (log, witness_key) = (state.join("ledger"), room.data.join("witness.vkey"));
    let verify = || -> Result<String> {
        let mut command = Command::new(&rtrctl);
        command.args(["ledger", "verify"]).arg(&log).arg("--log-key").arg(state.join("ledger.vkey"));
        command.arg("--witness-key").arg(&witness_key);
        let output = command.output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{text}");
        Ok(text)
    };

    // The job looks each hour and at a start. At the first nothing was witnessed, so nothing is due.
    let witnessed = log.join("checkpoint.witnessed");
    tokio::task::block_in_place(|| until("a cosignature", || size_of(&witnessed) > OLD as u64))?;
    ensure!(log.join("tile/entries/000").exists());
    drop(verify()?);
    // Nothing goes before an external audit covers it (Wpg 32 lid 4): the privacy officer records one.
    let privacy = log_in(&room, "privacy").await?;
    let audited = serde_json::json!({ "body": { "kind": "audit", "id": "AUD-1", "type": "external",
        "auditor": "DEMO RE auditors", "scope_from": first - TimeDelta::days(366),
        "scope_until": Utc::now() - TimeDelta::days(40), "done_at": Utc::now() - TimeDelta::days(30) } });
    let audit = privacy.propose(&serde_json::from_value(audited)?).await?;
    ensure!(audit.state == protocol::api::ProposalState::Effective, "{audit:?}");
    // The second announces, and destroys nothing before the witness has seen that.
    tokio::task::block_in_place(|| room.restart_daemon(false))?;
    let privacy = log_in(&room, "privacy").await?;
    let announced = async |session: &protocol::client::Session| -> Result<Option<(u64, serde_json::Value)>> {
        let entries = session.ledger_entries("lawfulness", OLD as u64, 10_000).await?;
        Ok(entries.into_iter().find(|e| e.entry["action"] == "ledger.purge").map(|e| (e.seq, e.entry)))
    };
    let end = Instant::now() + Duration::from_secs(20);
    let (seq, entry) = loop {
        if let Some(found) = announced(&privacy).await? {
            break found;
        }
        ensure!(Instant::now() < end, "nothing is announced");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    ensure!(entry["data"]["first"] == 512 && entry["operation"] == "destroy", "{entry}");
    ensure!(log.join("tile/entries/000").exists() && key_of_then.exists());
    tokio::task::block_in_place(|| until("a cosignature on the announcement", || size_of(&witnessed) > seq))?;
    // The third does it.
    tokio::task::block_in_place(|| room.restart_daemon(false))?;
    let gone = || !log.join("tile/entries/000").exists() && !log.join("tile/entries/001").exists();
    tokio::task::block_in_place(|| until("the purge", gone))?;
    ensure!(log.join("tile/entries/002").exists() || log.join("tile/entries/002.p").exists());
    tokio::task::block_in_place(|| {
        until("the tombstone", || size_of(&log.join("checkpoint.pruned")) == 512)
    })?;
    // What only those entries needed dies with them: who they were about.
    tokio::task::block_in_place(|| until("the month's key to die", || !key_of_then.exists()))?;
    ensure!(key_of_later.exists(), "a month's key died before its last entry");
    let text = verify()?;
    ensure!(text.contains("the entries before 512, by a signed tombstone"), "{text}");
    // What is left is still read with the months' keys, offline.
    let months = state.join("ledger-months");
    let audited = Command::new(room_bin.join("rtrctl"))
        .args(["ledger", "audit", "--purpose", "lawfulness", "--report", "log-reading"])
        .arg(&log)
        .arg("--months")
        .arg(&months)
        .arg("--log-key")
        .arg(state.join("ledger.vkey"))
        .output()?;
    let said = String::from_utf8_lossy(&audited.stdout);
    ensure!(audited.status.success() && said.contains("read for the purpose lawfulness"), "{audited:?}");
    // Nothing that is gone is served.
    let privacy = log_in(&room, "privacy").await?;
    let refused = privacy.ledger_entries("lawfulness", 0, 10).await;
    ensure!(refused.is_err(), "purged entries are served: {refused:?}");
    let kept = privacy.ledger_entries("lawfulness", 512, 10).await?;
    ensure!(kept.len() == 10 && kept[0].seq == 512);
    Ok(())
}
