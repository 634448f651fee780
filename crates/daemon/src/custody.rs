//! The log in the daemon's care: the alarm when no witness has confirmed it for a while, and the end of its own term.

use crate::api::App;
use chrono::{DateTime, Months, TimeDelta, Utc};
use ledger::{LedgerHealth, Purge};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// After this long without a cosignature there is an alarm (decision 15).
pub const WITNESS_LATE: TimeDelta = TimeDelta::minutes(5);
/// How often the alarm is looked after.
const LOOK: Duration = Duration::from_secs(15);
/// How often entries past the log's term are looked for.
const PURGE: Duration = Duration::from_hours(1);

/// Whether the police have not confirmed the log for too long. A log that nobody ever confirmed is late.
pub fn witness_late(health: &LedgerHealth, now: DateTime<Utc>) -> bool {
    health.witnessed_at.is_none_or(|at| now - at > WITNESS_LATE)
}

/// Alarms and purges until the daemon stops. `term` is how long entries are kept.
pub async fn keep(app: App, term: Months, stop: CancellationToken) {
    let mut look = tokio::time::interval(LOOK);
    let mut purge = tokio::time::interval(PURGE);
    // A witness is given its minutes at a start as well.
    let since = app.gate.clock().now();
    let mut alarmed = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick() => {
                let now = app.gate.clock().now();
                let health = app.gate.log().health().borrow().clone();
                let late = witness_late(&health, now) && now - since > WITNESS_LATE;
                if late && !alarmed {
                    tracing::error!(
                        witnessed_at = ?health.witnessed_at,
                        "ALARM: no witness has confirmed the log for five minutes"
                    );
                } else if alarmed && !late {
                    tracing::info!("a witness confirms the log again");
                }
                alarmed = late;
            }
            _ = purge.tick() => {
                let now = app.gate.clock().now();
                let Some(cutoff) = now.checked_sub_months(term) else { continue };
                // Announced, witnessed, done: each hour takes the step that is due.
                match app.ledger.purge(cutoff, now).await {
                    Ok(Purge::NothingDue) => {}
                    Ok(step) => tracing::info!(?step, "entries past the log's term"),
                    Err(error) => tracing::error!(%error, "entries past the log's term could not be purged"),
                }
            }
        }
    }
}
