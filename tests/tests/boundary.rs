//! A window that ends during viewing ends the picture within a second, tells why, and leaves both entries in the ledger.

use anyhow::{Result, ensure};
use chrono::Utc;
use end_to_end::{log_in, pictures, plan, programs, until_end, watch};
use mandate::ReasonCode;
use protocol::{api::Access, socket::EndCause};
use std::time::Duration;
use xtask::room::{Periods, Room};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_ends_during_viewing_ends_the_picture() -> Result<()> {
    let bin = programs()?;
    let room =
        tokio::task::spawn_blocking(move || Room::open(&bin, &plan("boundary", 2, Periods::ClosingIn(25))))
            .await??;
    let session = log_in(&room, "observant").await?;
    let camera = session.cameras().await?.remove(0);
    let Access::Open { until: Some(until) } = camera.access else { anyhow::bail!("not open: {camera:?}") };

    let (sender, mut media) = session.media().await?;
    sender.send(&watch(1, &camera.id)).await?;
    pictures(&mut media, 1, 25, Duration::from_secs(15)).await?;
    let (cause, _, _) = until_end(&mut media, 1, Duration::from_secs(40)).await?;
    let late = Utc::now() - until;
    ensure!(late.num_milliseconds() < 1_000, "the picture ended {late} after its basis");
    let EndCause::Refused(refusal) = cause else { anyhow::bail!("ended for another cause: {cause:?}") };
    ensure!(
        matches!(refusal.code, ReasonCode::OutsideLiveWindow | ReasonCode::OutsideUsePeriod),
        "{refusal:?}"
    );
    ensure!(!refusal.sentence.nl.is_empty() && !refusal.sentence.en.is_empty());

    // A second look is refused for the same reason, and everything stands in the ledger.
    sender.send(&watch(2, &camera.id)).await?;
    let (cause, seen, _) = until_end(&mut media, 2, Duration::from_secs(5)).await?;
    ensure!(matches!(cause, EndCause::Refused(_)) && seen == 0, "{cause:?} after {seen} pictures");
    let auditor = log_in(&room, "auditor").await?;
    let entries = auditor.ledger_entries("internal_control", 0, 10_000).await?;
    let of = |action: &str| {
        entries
            .iter()
            .filter(|e| e.entry["action"] == action && e.entry["object"]["camera"] == camera.id.as_str())
            .count()
    };
    ensure!(of("live_view.stop") == 1, "stops: {}", of("live_view.stop"));
    let denied = entries
        .iter()
        .filter(|e| e.entry["outcome"] == "deny" && e.entry["object"]["camera"] == camera.id.as_str());
    ensure!(denied.count() >= 1, "the refusal is not in the ledger");
    ensure!(of("live_view.start") >= 1, "starts: {}", of("live_view.start"));
    Ok(())
}
