//! What must happen now and then. Each in a task of its own: a log that is slow to take the roots of volumes must not keep
//! what is due from dying.

use crate::{
    api::{App, Rooms},
    losses,
    roots::{self, Roots},
};
use std::{io, path::Path, sync::Arc, time::Duration};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

/// How often the register is compiled anew, so that its windows reach far enough ahead.
const REFRESH: Duration = Duration::from_hours(6);
/// How often footage past its term is looked for; more often than keys die early.
const DESTROY: Duration = Duration::from_secs(30);
/// How often sealed volumes are logged.
const SEALED: Duration = Duration::from_mins(15);
/// How often ended sessions are cleared.
const SWEEP: Duration = Duration::from_secs(1);

/// Starts all of it; it ends with the daemon. `dead` is cancelled when the footage store can record no more.
///
/// # Errors
/// When `roots.json` is there and cannot be read.
pub(crate) fn start(
    app: &App,
    data: &Path,
    stop: &CancellationToken,
    dead: CancellationToken,
) -> io::Result<()> {
    let roots = Arc::new(Roots::open(data)?);
    every(REFRESH, false, app, stop, |app| {
        if let Err(error) = app.journal.refresh() {
            tracing::error!(%error, "the register could not be compiled anew");
        }
    });
    every(SWEEP, true, app, stop, move |app| {
        if !app.vault.alive() && !dead.is_cancelled() {
            tracing::error!(
                "ALARM: the writer of the footage store has died; nothing is recorded any more, the daemon ends"
            );
            dead.cancel();
        }
        losses::tell(&app.vault, &app.streams, &app.gate);
        if let Err(error) = app.identity.sweep() {
            tracing::error!(%error, "ended sessions could not be cleared");
        }
    });
    every(DESTROY, true, app, stop, |app| app.retention.pass());
    every(DESTROY, true, app, stop, crate::api::holds::finish_releases);
    every(SEALED, true, app, stop, move |app| {
        roots.tell(&app.vault, app.gate.log(), app.gate.clock(), &|all| roots::logged(&app.ledger, all));
    });
    Ok(())
}

/// Does something on a thread that may block, at once or after the first period, then each period. One that takes longer
/// than its period delays itself only.
fn every(
    period: Duration,
    at_once: bool,
    app: &App,
    stop: &CancellationToken,
    act: impl Fn(&Rooms) + Send + Sync + 'static,
) {
    let (app, stop, act) = (app.clone(), stop.clone(), Arc::new(act));
    tokio::spawn(async move {
        let first = Instant::now() + if at_once { Duration::ZERO } else { period };
        let mut ticks = interval_at(first, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let (app, act) = (app.clone(), act.clone());
            if tokio::task::spawn_blocking(move || act(&app)).await.is_err() {
                tracing::error!("what must happen now and then failed; it is tried again");
            }
        }
    });
}
