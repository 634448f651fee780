//! The log in the daemon's care: the alarm when no witness has confirmed it for a while (also logged, so that an auditor sees
//! how long nobody looked), and the end of its own term.

use crate::{api::App, gate::Gate};
use chrono::{DateTime, Months, TimeDelta, Utc};
use ledger::{Entry, LedgerHealth, Operation, Purge};
use mandate::{Action, Object, Request, Statement};
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

/// The entry of an alarm that begins or ends at this instant. A witness is given its minutes at a start as well.
fn change(alarmed: bool, health: &LedgerHealth, since: DateTime<Utc>, now: DateTime<Utc>) -> Option<Entry> {
    let late = witness_late(health, now) && now - since > WITNESS_LATE;
    (late != alarmed).then(|| {
        let name = if late { "witness.late" } else { "witness.back" };
        let mut entry = Entry::new(now, Operation::Maintenance, name);
        entry.data = Some(serde_json::json!({ "witnessed_at": health.witnessed_at }));
        entry
    })
}

/// Before which instant entries may go: past their term, covered by an external audit (Wpg 32 lid 4, 33), and permitted by
/// the law. Before the first such audit nothing goes, and nothing while the clock is doubted: a clock that somebody set forward
/// must not end a term, as with footage (`decisions.md` 20).
fn purge_before(gate: &Gate, now: DateTime<Utc>, term: Months) -> Option<DateTime<Utc>> {
    if gate.clock_is_doubted() {
        return None;
    }
    let audit_covered_until = gate.snapshot().register.audited_until();
    let cutoff = now.checked_sub_months(term)?.min(audit_covered_until?);
    let said = Statement { entries_until: Some(cutoff), audit_covered_until, ..Statement::default() };
    let request = Request::by_system(Action::PurgeLog, Object::None).saying(said);
    gate.preview(&request).is_permit().then_some(cutoff)
}

/// Alarms and purges until the daemon stops. `term` is how long entries are kept.
pub async fn keep(app: App, term: Months, stop: CancellationToken) {
    let mut look = tokio::time::interval(LOOK);
    let mut purge = tokio::time::interval(PURGE);
    let since = app.gate.clock().now();
    let mut alarmed = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick() => {
                app.recording.tell_gaps(false);
                let now = app.gate.clock().now();
                let health = app.gate.log().health().borrow().clone();
                if let Some(entry) = change(alarmed, &health, since, now) {
                    alarmed = !alarmed;
                    if alarmed {
                        tracing::error!(
                            witnessed_at = ?health.witnessed_at,
                            "ALARM: no witness has confirmed the log for five minutes"
                        );
                    } else {
                        tracing::info!("a witness confirms the log again");
                    }
                    app.gate.log().append_spooled(entry);
                }
            }
            _ = purge.tick() => {
                let now = app.gate.clock().now();
                let Some(cutoff) = purge_before(&app.gate, now, term) else { continue };
                // Announced, witnessed, done: each hour takes the step that is due.
                match app.ledger.purge(cutoff, now).await {
                    Ok(Purge::NothingDue) => {}
                    Ok(step) => tracing::info!(?step, "entries past the log's term"),
                    Err(error) => tracing::error!(%error, "entries past the log's term could not be purged"),
                }
                match app.ledger.purge_former(cutoff, now).await {
                    Ok(steps) => {
                        for (folder, step) in steps {
                            tracing::info!(folder = %folder.display(), ?step, "a former log past its term");
                        }
                    }
                    Err(error) => tracing::error!(%error, "a former log past its term could not be purged"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock as _, ManualClock},
        journal::Provenance,
        testing::{FakeLog, journal},
    };
    use mandate::FactBody;
    use std::sync::Arc;

    #[tokio::test]
    async fn nothing_of_the_log_goes_by_a_clock_that_is_doubted() {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new("2026-06-13T20:00:00Z".parse().unwrap());
        let log = FakeLog::new(&clock);
        let journal = journal(folder.path(), &log, &clock).await;
        let audit = serde_json::json!({ "kind": "audit", "id": "AUD-1", "type": "external",
            "auditor": "auditors", "scope_from": "2014-01-01T00:00:00Z",
            "scope_until": "2026-01-01T00:00:00Z", "done_at": "2026-02-01T00:00:00Z" });
        let audit: FactBody = serde_json::from_value(audit).unwrap();
        journal.record(audit, Provenance::default()).await.unwrap();
        let gate = Gate::new(journal.watch(), log.clone(), Arc::new(clock.clone()));
        let due = || purge_before(&gate, clock.wall(), Months::new(72));
        assert_eq!(due(), Some("2020-06-13T20:00:00Z".parse().unwrap()));
        gate.doubt_clock(true);
        assert_eq!(due(), None, "whoever set the clock forward ends no term");
        gate.doubt_clock(false);
        assert!(due().is_some());
    }

    #[test]
    fn a_late_witness_is_logged_once_and_so_is_its_return() {
        let at = |minute: i64| DateTime::from_timestamp(1_795_000_000 + minute * 60, 0).unwrap();
        let mut health = LedgerHealth {
            entries: 1,
            writable: true,
            failing_since: None,
            witnessed_at: None,
            witnessed_entries: 0,
            spooled: 0,
            spool_lost: 0,
        };
        let action = |entry: Option<Entry>| entry.map(|entry| entry.action.into_owned());
        assert_eq!(action(change(false, &health, at(0), at(5))), None);
        assert_eq!(action(change(false, &health, at(0), at(6))).as_deref(), Some("witness.late"));
        assert_eq!(action(change(true, &health, at(0), at(7))), None);
        health.witnessed_at = Some(at(7));
        assert_eq!(action(change(true, &health, at(0), at(8))).as_deref(), Some("witness.back"));
        assert_eq!(action(change(false, &health, at(0), at(13))).as_deref(), Some("witness.late"));
    }
}
