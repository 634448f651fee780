//! Recording obeys the decisions: a use period that ends cuts a group of pictures at the instant, nothing is pulled or
//! kept afterwards, and an emergency window that begins later brings nothing from before its begin. What is on disk is
//! read by the test itself, with the daemon gone.

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use end_to_end::{PATIENCE, cameras_until, log_in, room_that_closes};
use media::Micros;
use protocol::api::{CameraState, NewEmergency, TelephoneConsultation};
use std::path::Path;
use vault::{Item, Vault, VaultConfig};

/// The capture times (µs UTC) of every stream, in order, with whether each is a key frame.
fn on_disk(state: &Path, from: DateTime<Utc>) -> Result<Vec<Vec<(i64, bool)>>> {
    let vault =
        Vault::open(VaultConfig::new(state.join("vault"), [state.join("keys-a"), state.join("keys-b")]))?;
    let mut streams = Vec::new();
    for stream in vault.streams() {
        let (from, until) = (Micros(from.timestamp_micros()), Micros(Utc::now().timestamp_micros()));
        let units = vault.read(stream, from, until)?.filter_map(|item| match item {
            Item::Unit(unit) => Some((unit.captured.0, unit.key)),
            Item::Gap { .. } => None,
        });
        streams.push(units.collect());
    }
    Ok(streams)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_boundary_cuts_a_group_of_pictures_at_the_instant() -> Result<()> {
    let started = Utc::now();
    let (mut room, observer, ends) = room_that_closes("recording_obeys", 2, "observant").await?;
    let idle = |list: &[protocol::api::CameraView]| list.iter().all(|c| c.state == CameraState::Idle);
    cameras_until(&observer, PATIENCE, idle).await?;
    ensure!(Utc::now() >= ends, "the cameras went before their period ended");

    // Ordered and telephoned, to begin in some seconds and to last some more: use and live both.
    let legal = log_in(&room, "besluit").await?;
    let now = Utc::now();
    let emergency = legal
        .declare_emergency(&NewEmergency {
            decree: "DEMO-ENS-01".into(),
            area: None,
            ordered_by: mandate::facts::DecidedBy::Mayor,
            ordered_at: now,
            consultation: TelephoneConsultation {
                held_at: now,
                prosecutor: "DEMO officier".to_owned(),
                outcome: "no objection".to_owned(),
            },
            from: Some(now + TimeDelta::seconds(20)),
            until: now + TimeDelta::seconds(30),
            ground: "DEMO disorder".to_owned(),
        })
        .await?;
    ensure!(emergency.from == now + TimeDelta::seconds(20) && emergency.ordered_from.is_none());
    cameras_until(&observer, PATIENCE, |list| list.iter().any(|c| matches!(c.state, CameraState::Up { .. })))
        .await?;
    cameras_until(&observer, PATIENCE, idle).await?;
    ensure!(Utc::now() >= emergency.until);
    room.daemon.stop();

    let streams = tokio::task::spawn_blocking({
        let state = room.data.join("state");
        move || on_disk(&state, started - TimeDelta::minutes(1))
    })
    .await??;
    let (ends, begins, over) =
        (ends.timestamp_micros(), emergency.from.timestamp_micros(), emergency.until.timestamp_micros());
    let mut cut_inside_a_group = false;
    let mut reopened = false;
    for units in &streams {
        let times = || units.iter().map(|(at, _)| *at);
        let stray: Vec<i64> = times().filter(|at| (*at >= ends && *at < begins) || *at >= over).collect();
        ensure!(
            stray.is_empty(),
            "captured outside use: {stray:?} (end {ends}, begin {begins}, over {over})"
        );
        let last = times().rfind(|at| *at < ends).context("nothing was recorded")?;
        ensure!(ends - last < 500_000, "recording ended {} µs early", ends - last);
        let key = units.iter().rfind(|(at, key)| *at < ends && *key).context("no key frame")?.0;
        println!("group of {} µs, cut {} µs before the end", last - key, ends - last);
        cut_inside_a_group |= last > key;
        if let Some((first, key)) = units.iter().find(|(at, _)| *at >= begins) {
            reopened = true;
            ensure!(*key, "what begins in the middle of a group cannot be looked at");
            println!("first picture {} µs after the begin", first - begins);
            let end = times().next_back().context("nothing")?;
            ensure!(over - end < 500_000, "the emergency window was left {} µs early", over - end);
        }
    }
    ensure!(cut_inside_a_group, "no group was cut: the test saw nothing");
    ensure!(reopened, "the emergency window recorded nothing");
    Ok(())
}
