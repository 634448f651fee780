//! Figures for Prometheus, on a loopback listener of their own: no persons, no cameras' pictures, no log-in.

use crate::{
    api::{App, Rooms},
    media_socket::DELAY_BOUNDS_MS,
};
use axum::{Router, extract::State, http::header, response::IntoResponse, routing::get};
use mandate::{duties::DutyKind, endings::EndingKind};
use std::sync::atomic::Ordering;

/// The router of the metrics listener.
pub fn router(app: App) -> Router {
    Router::new().route("/metrics", get(figures)).with_state(app)
}

async fn figures(State(app): State<App>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text(&app))
}

/// All figures in the Prometheus text format.
pub fn text(app: &Rooms) -> String {
    let mut out = Vec::new();
    let mut figure = |name: &str, kind: &str, help: &str, value: u64| {
        out.push(format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"));
    };
    let hub = app.ingest.hub();
    let (mut frames, mut bytes, mut skips, mut lost, mut up) = (0, 0, 0, 0, 0);
    for camera in app.streams.iter() {
        for config in std::iter::once(&camera.main).chain(&camera.sub) {
            let stats = hub.stats(config.stream);
            frames += stats.frames;
            bytes += stats.bytes;
            skips += stats.viewer_skips;
            lost += stats.packets_lost;
        }
        up += u64::from(matches!(
            *app.ingest.state(camera.main.stream).borrow(),
            ingest::SessionState::Up { .. }
        ));
    }
    let vault = app.vault.stats();
    let ledger = app.gate.log().health().borrow().clone();
    let (looks, denials) = app.gate.figures();
    let media = &app.media;
    let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    figure("rtr_received_bytes_total", "counter", "Payload bytes received from cameras", bytes);
    figure("rtr_received_frames_total", "counter", "Pictures received from cameras", frames);
    figure("rtr_packets_lost_total", "counter", "RTP packets that never came", lost);
    figure("rtr_cameras_up", "gauge", "Cameras whose main stream gives pictures", up);
    figure(
        "rtr_stored_bytes_total",
        "counter",
        "Bytes written to volumes, everything included",
        vault.bytes_written,
    );
    figure("rtr_stored_frames_total", "counter", "Pictures handed to the vault", load(&app.recording.units));
    figure("rtr_recording_gaps_total", "counter", "Gaps begun in recordings", load(&app.recording.gaps));
    figure("rtr_written_frames_total", "counter", "Pictures written to volumes", vault.written);
    figure("rtr_synced_frames_total", "counter", "Pictures that survive a power cut", vault.synced);
    figure("rtr_indexed_frames_total", "counter", "Pictures found through the index alone", vault.indexed);
    figure(
        "rtr_dropped_frames_total",
        "counter",
        "Pictures dropped for want of memory or disk",
        vault.dropped,
    );
    figure(
        "rtr_arrival_uncertainty_microseconds",
        "gauge",
        "How much earlier than noted the newest picture may have arrived",
        load(&app.recording.within),
    );
    figure(
        "rtr_vault_syncs_total",
        "counter",
        "Syncs of volumes and of the key store (the index adds about one a minute)",
        vault.syncs,
    );
    figure(
        "rtr_vault_slowest_sync_microseconds",
        "gauge",
        "The longest that the disk took to sync since the start",
        vault.slowest_sync_us,
    );
    figure("rtr_recorded_bytes", "gauge", "Bytes of all volumes on disk", vault.bytes);
    figure("rtr_disk_full", "gauge", "Whether the last write met a full disk", u64::from(vault.disk_full));
    figure("rtr_viewer_skips_total", "counter", "Pictures that slow viewers missed", skips);
    figure("rtr_media_sockets", "gauge", "Consoles connected", load(&media.sockets));
    figure("rtr_media_frames_total", "counter", "Pictures written to consoles", load(&media.units));
    figure("rtr_media_bytes_total", "counter", "Payload bytes written to consoles", load(&media.bytes));
    figure("rtr_looks", "gauge", "Looks open now", looks as u64);
    figure("rtr_denials_total", "counter", "Refusals by the gate", denials);
    figure("rtr_ledger_entries", "gauge", "Entries of the log", ledger.entries);
    figure("rtr_ledger_writable", "gauge", "Whether the log can be written", u64::from(ledger.writable));
    let now = app.gate.clock().now();
    let late = crate::custody::witness_late(&ledger, now);
    figure(
        "rtr_ledger_witness_late",
        "gauge",
        "Whether no witness confirmed the log for five minutes",
        late.into(),
    );
    if let Some(at) = ledger.witnessed_at {
        let seconds = (now - at).num_seconds().max(0) as u64;
        figure("rtr_ledger_witness_lag_seconds", "gauge", "Since a witness confirmed the log", seconds);
    }
    figure(
        "rtr_ledger_witnessed_entries",
        "gauge",
        "Entries that a witness confirmed",
        ledger.witnessed_entries,
    );
    figure("rtr_ledger_spooled", "gauge", "Entries that wait to be logged", ledger.spooled as u64);
    figure("rtr_ledger_spool_lost", "gauge", "Entries that found no room in the spool", ledger.spool_lost);
    let kept = &app.retention.figures;
    figure("rtr_keys_destroyed_total", "counter", "Keys of footage destroyed", load(&kept.keys));
    figure(
        "rtr_keys_destroyed_late_total",
        "counter",
        "Keys that died after their due instant",
        load(&kept.late),
    );
    figure(
        "rtr_destroy_failures_total",
        "counter",
        "Destructions that failed and are tried again",
        load(&kept.failures),
    );
    figure(
        "rtr_unlinks_failed",
        "gauge",
        "Volumes in which nothing lives and that the disk did not unlink",
        load(&kept.unlinks_failed),
    );
    figure("rtr_budget_percent", "gauge", "Percent of the byte budget in use", load(&kept.budget_percent));
    figure(
        "rtr_keys_differing",
        "gauge",
        "Slots in which the two copies of the keys differ",
        load(&kept.differing_keys),
    );
    figure(
        "rtr_key_copy_unreadable",
        "gauge",
        "Whether a copy of the key store cannot be read",
        u64::from(kept.unreadable_keys.load(Ordering::Relaxed)),
    );
    figure(
        "rtr_keys_mended",
        "gauge",
        "Slots in which the two copies of the keys differed at the start",
        vault.keys_mended,
    );
    figure(
        "rtr_holds_differing",
        "gauge",
        "Holds whose two copies differ, or of which one is missing",
        load(&kept.differing_holds),
    );
    figure(
        "rtr_keys_lost",
        "gauge",
        "Whether the keys of older footage were gone at the start",
        u64::from(vault.keys_lost),
    );
    figure(
        "rtr_keys_sealed_away",
        "gauge",
        "Keys whose credential or token was not there at the start",
        vault.keys_sealed_away,
    );
    figure(
        "rtr_destroy_unwitnessed",
        "gauge",
        "Announcements of destruction that no witness confirmed within the hour",
        load(&kept.unwitnessed),
    );
    figure(
        "rtr_clock_set_back",
        "gauge",
        "Whether the clock is behind what has passed: time goes on without it",
        u64::from(kept.clock_set_back.load(Ordering::Relaxed)),
    );
    figure(
        "rtr_clock_unkept",
        "gauge",
        "Whether the mark of guarded time cannot be written: time goes on with the one in memory",
        u64::from(kept.clock_unkept.load(Ordering::Relaxed)),
    );
    figure(
        "rtr_clock_doubted",
        "gauge",
        "Whether the clock is ahead of what has passed and no witness confirms it",
        u64::from(kept.clock_doubted.load(Ordering::Relaxed)),
    );
    let name = "rtr_oldest_footage_timestamp_seconds";
    out.push(format!("# HELP {name} Capture time of the oldest footage of a camera\n# TYPE {name} gauge\n"));
    for (camera, at) in app.retention.oldest() {
        out.push(format!("{name}{{camera=\"{camera}\"}} {}\n", at.0 / 1_000_000));
    }
    out.push(of_register(app, now));
    let name = "rtr_media_delay_seconds";
    out.push(format!(
        "# HELP {name} From the last packet of a live picture to the socket\n# TYPE {name} histogram\n"
    ));
    let mut total = 0;
    for (i, count) in media.delay.iter().enumerate() {
        total += load(count);
        let bound =
            DELAY_BOUNDS_MS.get(i).map_or_else(|| "+Inf".to_owned(), |ms| (*ms as f64 / 1000.0).to_string());
        out.push(format!("{name}_bucket{{le=\"{bound}\"}} {total}\n"));
    }
    out.push(format!("{name}_sum {}\n{name}_count {total}\n", load(&media.delay_us) as f64 / 1e6));
    out.concat()
}

/// What the register says of itself: what ends soon, what waits, what was closed off.
fn of_register(app: &Rooms, now: chrono::DateTime<chrono::Utc>) -> String {
    use chrono::TimeDelta;
    let register = &app.gate.snapshot().register;
    let waiting = mandate::endings::unconfirmed(register, now);
    let overdue = waiting.iter().filter(|w| w.overdue).count();
    let closed_off = app.captured.quarantined().map_or(0, |all| all.len());
    let mut out = Vec::new();
    for (name, help, value) in [
        (
            "rtr_emergencies_unconfirmed",
            "Emergency windows that wait for written confirmation",
            waiting.len(),
        ),
        ("rtr_emergencies_overdue", "Those whose confirmation is overdue", overdue),
        ("rtr_quarantined", "Stretches of footage that turned out to lack a basis", closed_off),
    ] {
        out.push(format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"));
    }
    let name = "rtr_endings";
    out.push(format!(
        "# HELP {name} Facts of the register that end within so many days\n# TYPE {name} gauge\n"
    ));
    // Every kind is told, also with nothing: an alarm on a series that is not there never fires.
    let horizons = [7, 30, 90];
    let ends = mandate::endings::endings(register, now, now + TimeDelta::days(90));
    for kind in EndingKind::ALL {
        for days in horizons {
            let before = now + TimeDelta::days(days);
            let count = ends.iter().filter(|e| e.kind == *kind && e.at < before).count();
            let kind = crate::gate::word(kind);
            out.push(format!("{name}{{kind=\"{kind}\",within_days=\"{days}\"}} {count}\n"));
        }
    }
    let name = "rtr_duties";
    out.push(format!("# HELP {name} Reports, answers and audits that are due within so many days; 0: overdue\n# TYPE {name} gauge\n"));
    let due = mandate::duties::duties(register, now, now + TimeDelta::days(90));
    for kind in DutyKind::ALL {
        for days in [0].into_iter().chain(horizons) {
            let before = now + TimeDelta::days(days);
            let count = due.iter().filter(|d| d.kind == *kind && d.due_at <= before).count();
            let kind = crate::gate::word(kind);
            out.push(format!("{name}{{kind=\"{kind}\",within_days=\"{days}\"}} {count}\n"));
        }
    }
    out.concat()
}
