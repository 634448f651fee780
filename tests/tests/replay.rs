//! The last 30 seconds: through the gate, on an incident, from the recorder, up to the live edge; the daemon may have been
//! killed in between.

use anyhow::{Result, ensure};
use chrono::Utc;
use end_to_end::{Next, PATIENCE, cameras_until, log_in, next, plan, programs, until_end};
use protocol::{
    api::{CameraState, IncidentCategory, IncidentChange, IncidentSource, NewIncident, StreamRole},
    socket::{ClientMessage, EndCause, ServerMessage},
};
use std::time::Duration;
use xtask::room::{Periods, Room};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_seconds_come_back_on_an_incident_only() -> Result<()> {
    let bin = programs()?;
    let mut room =
        tokio::task::spawn_blocking(move || Room::open(&bin, &plan("replay", 1, Periods::Open))).await??;
    let session = log_in(&room, "observant").await?;
    let is_up =
        |list: &[protocol::api::CameraView]| list.iter().all(|c| matches!(c.state, CameraState::Up { .. }));
    let camera = cameras_until(&session, PATIENCE, is_up).await?.remove(0).id;
    let started = Utc::now();
    tokio::time::sleep(Duration::from_secs(12)).await;

    // A crash: what was recorded before it is still there.
    let mut room = tokio::task::spawn_blocking(move || room.restart_daemon(true).map(|()| room)).await??;
    let session = log_in(&room, "observant").await?;
    cameras_until(&session, PATIENCE, is_up).await?;
    tokio::time::sleep(Duration::from_secs(6)).await;

    let (sender, mut media) = session.media().await?;
    let replay_at = |subscription, incident, speed| ClientMessage::Replay {
        subscription,
        camera: camera.clone(),
        stream: StreamRole::Main,
        from: started,
        until: Utc::now(),
        incident,
        of: None,
        motion: protocol::socket::Motion { speed, ..Default::default() },
        stay: false,
    };
    let replay = |subscription, incident| replay_at(subscription, incident, 0.0);
    sender.send(&replay(1, None)).await?;
    let (cause, pictures, _) = until_end(&mut media, 1, PATIENCE).await?;
    ensure!(
        matches!(&cause, EndCause::Refused(r) if r.code == mandate::ReasonCode::IncidentRequired),
        "{cause:?}"
    );
    ensure!(pictures == 0);

    let incident = session
        .mark(&NewIncident {
            at: Utc::now(),
            cameras: vec![camera.clone()],
            category: IncidentCategory::Other,
            note: String::new(),
            source: IncidentSource::Own,
            instruction: None,
            quick: true,
            outside_number: None,
        })
        .await?;
    sender.send(&replay(2, Some(incident.id.clone()))).await?;
    let (mut units, mut gaps) = (Vec::new(), 0);
    loop {
        match next(&mut media, 2, PATIENCE).await? {
            Next::Unit(header, _) => units.push(header),
            Next::Said(ServerMessage::Gap { .. }) => gaps += 1,
            Next::Said(ServerMessage::Ended { cause, .. }) => {
                ensure!(cause == EndCause::Complete, "{cause:?}");
                break;
            }
            Next::Said(_) => {}
        }
    }
    ensure!(units.first().is_some_and(|u| u.key), "does not start with a key frame");
    ensure!(units.windows(2).all(|w| w[0].captured < w[1].captured), "out of order");
    ensure!(gaps >= 1, "the crash is not shown as a gap");
    let first = units[0].captured;
    ensure!(
        first - started.timestamp_micros() < 4_000_000,
        "starts {} µs late",
        first - started.timestamp_micros()
    );
    // 18 seconds of 25 frames, less the crash and at most one group of pictures.
    ensure!(units.len() > 300, "only {} pictures came back", units.len());

    // At the pace of the clock it would go on for 18 seconds; closing the incident ends what rests on it (V12).
    sender.send(&replay_at(3, Some(incident.id.clone()), 1.0)).await?;
    end_to_end::pictures(&mut media, 3, 5, PATIENCE).await?;
    let closed = IncidentChange { category: None, note: None, close: true };
    session.change_incident(&incident.id, &closed).await?;
    let (cause, _, _) = until_end(&mut media, 3, PATIENCE).await?;
    ensure!(
        matches!(&cause, EndCause::Refused(r) if r.code == mandate::ReasonCode::IncidentRequired),
        "{cause:?}"
    );
    room.daemon.stop();
    Ok(())
}
