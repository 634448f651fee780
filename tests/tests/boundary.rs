//! A window that ends during viewing ends the picture within a second, tells why, and leaves both entries in the ledger.

use anyhow::{Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use end_to_end::{Next, PATIENCE, log_in, next, room_that_closes, until_end, watch};
use mandate::ReasonCode;
use protocol::socket::{EndCause, ServerMessage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_ends_during_viewing_ends_the_picture() -> Result<()> {
    let (room, session, until) = room_that_closes("boundary", 2, "observant").await?;
    let camera = session.cameras().await?.remove(0);

    let (sender, mut media) = session.media().await?;
    sender.send(&watch(1, &camera.id)).await?;
    // No picture is of later than the basis or sent later; the notice may take its time on a busy machine.
    let mut seen = 0;
    let cause = loop {
        match next(&mut media, 1, PATIENCE).await? {
            Next::Unit(header, _) => {
                ensure!(header.sent < until.timestamp_micros() + 1_000_000, "{header:?} came after {until}");
                seen += 1;
            }
            Next::Said(ServerMessage::Ended { cause, .. }) => break cause,
            Next::Said(_) => {}
        }
    };
    ensure!(seen > 0, "nothing was seen before the period ended");
    let EndCause::Refused(refusal) = cause else { anyhow::bail!("ended for another cause: {cause:?}") };
    ensure!(
        matches!(refusal.code, ReasonCode::OutsideLiveWindow | ReasonCode::OutsideUsePeriod),
        "{refusal:?}"
    );
    ensure!(!refusal.sentence.nl.is_empty() && !refusal.sentence.en.is_empty());

    // A second look is refused for the same reason, and everything stands in the ledger.
    sender.send(&watch(2, &camera.id)).await?;
    let (cause, seen, _) = until_end(&mut media, 2, PATIENCE).await?;
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
    let stop = entries.iter().find(|e| e.entry["action"] == "live_view.stop");
    let at = stop.and_then(|e| e.entry["at"].as_str()).unwrap_or_default().parse::<DateTime<Utc>>()?;
    ensure!(at - until < TimeDelta::seconds(1), "the look ended {} after its basis", at - until);
    let denied = entries
        .iter()
        .filter(|e| e.entry["outcome"] == "deny" && e.entry["object"]["camera"] == camera.id.as_str());
    ensure!(denied.count() >= 1, "the refusal is not in the ledger");
    ensure!(of("live_view.start") >= 1, "starts: {}", of("live_view.start"));
    Ok(())
}
