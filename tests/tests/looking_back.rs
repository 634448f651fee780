//! Looking back at two cameras in step: forward, backward by key frames, to another instant; with their time axes; and as a
//! file for any player, which is cut when the session ends.

use anyhow::{Result, bail, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use end_to_end::{Next, PATIENCE, cameras_until, log_in, next, plan, programs};
use protocol::{
    api::{CameraState, CameraView, IncidentCategory, IncidentSource, NewIncident, StreamRole},
    client::{Incoming, MediaReceiver, ReplayOf, TimelineOf},
    socket::{ClientMessage, EndCause, Motion, ServerMessage},
    wire::UnitHeader,
};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};
use xtask::room::{Periods, Room};

/// Pictures of several looks until all of them have sent what there is, by subscription, each with when it came.
async fn all_of(
    media: &mut MediaReceiver,
    looks: &[u32],
) -> Result<HashMap<u32, Vec<(UnitHeader, Instant)>>> {
    let mut seen: HashMap<u32, Vec<(UnitHeader, Instant)>> = HashMap::new();
    let mut open: Vec<u32> = looks.to_vec();
    let collect = async {
        while !open.is_empty() {
            match media.next().await {
                Incoming::Unit(header, _) => {
                    seen.entry(header.subscription).or_default().push((header, Instant::now()));
                }
                Incoming::Control(ServerMessage::AtEnd { subscription }) => {
                    open.retain(|o| *o != subscription);
                }
                // What came before the steering was answered is out of date.
                Incoming::Control(ServerMessage::Steered { subscription, .. }) => {
                    seen.remove(&subscription);
                }
                Incoming::Control(ServerMessage::Ended { cause, .. }) => bail!("a look ended: {cause:?}"),
                Incoming::Closed(why) => bail!("the socket closed: {why}"),
                Incoming::Control(_) => {}
            }
        }
        Ok(())
    };
    match tokio::time::timeout(PATIENCE, collect).await {
        Ok(outcome) => outcome?,
        Err(_) => bail!("still waiting for {open:?}"),
    }
    Ok(seen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_cameras_are_looked_back_at_in_step_in_both_directions() -> Result<()> {
    let bin = programs()?;
    let mut room =
        tokio::task::spawn_blocking(move || Room::open(&bin, &plan("looking_back", 2, Periods::Open)))
            .await??;
    let session = log_in(&room, "observant").await?;
    let is_up = |list: &[CameraView]| list.iter().all(|c| matches!(c.state, CameraState::Up { .. }));
    let cameras: Vec<_> =
        cameras_until(&session, PATIENCE, is_up).await?.into_iter().map(|camera| camera.id).collect();
    let started = Utc::now();
    tokio::time::sleep(Duration::from_secs(14)).await;
    let incident = session
        .mark(&NewIncident {
            at: Utc::now(),
            cameras: cameras.clone(),
            category: IncidentCategory::Other,
            note: String::new(),
            source: IncidentSource::Own,
            instruction: None,
            quick: true,
            outside_number: None,
        })
        .await?
        .id;
    let until = Utc::now();

    // The time axis: everything is explained, and nothing but pictures makes the curve.
    let of = TimelineOf {
        from: started - TimeDelta::minutes(30),
        until,
        incident: Some(incident.clone()),
        of: None,
    };
    let axis = session.timeline(&cameras[0], &of).await?;
    ensure!(axis.spans.first().is_some_and(|s| s.from == axis.from && s.gap.is_some()), "{:?}", axis.spans);
    ensure!(axis.spans.iter().any(|s| s.gap.is_none() && s.until - s.from > TimeDelta::seconds(10)));
    // Before the room was opened nothing may be seen: the wall stands where that ends, not later.
    let wall = axis.refused.first().filter(|refused| refused.from == axis.from);
    ensure!(wall.is_some_and(|wall| wall.until <= started), "no limit: {:?}", axis.refused);
    ensure!(axis.activity.iter().any(|bytes| *bytes > 0), "no curve");
    ensure!(
        session
            .timeline(&cameras[0], &TimelineOf { incident: None, ..of })
            .await?
            .activity
            .iter()
            .all(|b| *b == 0)
    );

    // In step: both begin at one instant on one clock, whatever the order in which they were opened.
    let (sender, mut media) = session.media().await?;
    let position = started + TimeDelta::seconds(4);
    let motion = |position: DateTime<Utc>, speed: f32, keys: bool| Motion {
        position: Some(position),
        speed,
        at: Some(Utc::now() + TimeDelta::milliseconds(1500)),
        key_frames_only: keys,
    };
    let common = motion(position, 2.0, false);
    for (subscription, camera) in (1..).zip(&cameras) {
        let replay = ClientMessage::Replay {
            subscription,
            camera: camera.clone(),
            stream: StreamRole::Main,
            from: started,
            until,
            incident: Some(incident.clone()),
            of: None,
            motion: common.clone(),
            stay: true,
        };
        sender.send(&replay).await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let seen = all_of(&mut media, &[1, 2]).await?;
    for units in seen.values() {
        ensure!(units[0].0.key && units[0].0.captured <= position.timestamp_micros(), "no exact start");
        ensure!(units.windows(2).all(|pair| pair[0].0.captured < pair[1].0.captured), "out of order");
        ensure!(units.len() > 150, "{} pictures of 10 s", units.len());
        // Ten seconds at twice the speed, from the common instant on, less what goes ahead.
        let last = units.last().map_or(0, |(unit, _)| unit.sent);
        let begins = common.at.map_or(0, |at| at.timestamp_micros());
        let took = last - begins;
        ensure!((3_500_000..12_000_000).contains(&took), "10 s at twice the speed took {took} µs");
    }
    // The same instants of both cameras arrive together.
    for n in 1..8 {
        let instant = (position + TimeDelta::seconds(n)).timestamp_micros();
        let came = |look: u32| {
            seen[&look].iter().find(|(unit, _)| unit.captured >= instant).map(|(unit, _)| unit.sent)
        };
        let (Some(one), Some(other)) = (came(1), came(2)) else { bail!("no picture at {n} s") };
        let apart = one.max(other) - one.min(other);
        ensure!(apart < 150_000, "{apart} µs apart at {n} s");
    }

    // Backward from the end, key frames only; one message steers both.
    let back = motion(until, -8.0, true);
    sender.send(&ClientMessage::Steer { subscriptions: vec![1, 2], serial: 7, motion: back }).await?;
    let seen = all_of(&mut media, &[1, 2]).await?;
    for units in seen.values() {
        ensure!(units.iter().all(|(unit, _)| unit.key), "more than key frames");
        ensure!(units.windows(2).all(|pair| pair[0].0.captured > pair[1].0.captured), "not backward");
        let first = units.last().map_or(0, |(unit, _)| unit.captured);
        ensure!(
            units.len() >= 4 && first - started.timestamp_micros() < 3_000_000,
            "{} key frames",
            units.len()
        );
    }
    // Standing still: the picture at the position and a little more.
    let still = Motion { position: Some(position), speed: 0.0, at: None, key_frames_only: false };
    sender.send(&ClientMessage::Steer { subscriptions: vec![1], serial: 8, motion: still }).await?;
    let seen = all_of(&mut media, &[1]).await?;
    let last = seen[&1].last().map_or(0, |(unit, _)| unit.captured) - position.timestamp_micros();
    ensure!((1_500_000..=2_000_000).contains(&last), "{last} µs ahead");
    for subscription in [1, 2] {
        sender.send(&ClientMessage::Stop { subscription }).await?;
    }
    loop {
        if let Next::Said(ServerMessage::Ended { cause, .. }) = next(&mut media, 1, PATIENCE).await? {
            ensure!(cause == EndCause::Stopped);
            break;
        }
    }

    // For any player, at its own pace; the end of the session is the end of the file, and no silent one.
    let of = ReplayOf {
        camera: cameras[0].clone(),
        from: started,
        until,
        incident: Some(incident),
        purpose: None,
        offence_ref: None,
        case_number: None,
        speed: Some(1.0),
    };
    let mut file = session.replay_mp4(&of).await?;
    let first = file.next().await?;
    ensure!(first.is_some_and(|bytes| bytes.len() > 100), "nothing came");
    let other = log_in(&room, "privacy").await?;
    session.log_out().await?;
    let cut = Instant::now();
    let ended = loop {
        match file.next().await {
            Ok(Some(_)) => ensure!(cut.elapsed() < PATIENCE, "it goes on"),
            Ok(None) => bail!("a file that was cut looks whole"),
            Err(error) => break error,
        }
    };
    println!("the file ended: {ended}");
    // Two looks on the socket and one file: steering is no look of its own, and each look has its end, soon after its last byte.
    loop {
        let entries = other.ledger_entries("lawfulness", 0, 10_000).await?;
        let count = |action: &str| entries.iter().filter(|entry| entry.entry["action"] == action).count();
        let looks = (count("replay.start"), count("replay.stop"));
        if looks == (3, 3) {
            break;
        }
        ensure!(looks.0 == 3 && looks.1 < 3 && cut.elapsed() < PATIENCE, "{looks:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    room.daemon.stop();
    Ok(())
}
