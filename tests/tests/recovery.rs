//! A camera that dies and returns: its state says why, and viewing goes on without asking again.

use anyhow::{Result, ensure};
use end_to_end::{PATIENCE, cameras_until, log_in, pictures, plan, programs, watch};
use protocol::api::CameraState;
use xtask::room::{Periods, Room};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_dies_and_returns() -> Result<()> {
    let bin = programs()?;
    let room =
        tokio::task::spawn_blocking(move || Room::open(&bin, &plan("recovery", 2, Periods::Open))).await??;
    let session = log_in(&room, "observant").await?;
    let cameras = cameras_until(&session, PATIENCE, |list| {
        list.iter().all(|c| matches!(c.state, CameraState::Up { .. }))
    })
    .await?;
    let camera = &cameras[0];
    let (sender, mut media) = session.media().await?;
    sender.send(&watch(1, &camera.id)).await?;
    pictures(&mut media, 1, 25, PATIENCE).await?;

    let tell = |line: &str| camsim::wire::command(room.control_port, line);
    for (fault, cause) in [("refuse 1", "unauthorised"), ("stall 1", "no_frames")] {
        tell(fault)?;
        cameras_until(&session, PATIENCE, |list| {
            list.iter().any(|c| {
                c.id == camera.id && matches!(&c.state, CameraState::Down { cause: c, .. } if c == cause)
            })
        })
        .await?;
        tell("heal 1")?;
        cameras_until(&session, PATIENCE, |list| {
            list.iter().any(|c| c.id == camera.id && matches!(c.state, CameraState::Up { .. }))
        })
        .await?;
    }
    // What waits in the socket from before the fault is passed over: the pictures must be recent ones.
    loop {
        let units = pictures(&mut media, 1, 25, PATIENCE).await?;
        let now = chrono::Utc::now().timestamp_micros();
        if units.last().is_some_and(|u| now - u.captured < 1_000_000) {
            break;
        }
    }
    let other = cameras.iter().find(|c| c.id != camera.id);
    let list = session.cameras().await?;
    ensure!(
        list.iter().any(|c| Some(&c.id) == other.map(|o| &o.id) && matches!(c.state, CameraState::Up { .. }))
    );
    Ok(())
}
