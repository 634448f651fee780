//! What the end-to-end tests share: a control room of real processes, a client that skips the console, and screenshots
//! read as a person would read them.
//!
//! Each file under `tests/tests/` is one story. They run one after another (each is a program of its own), with few
//! cameras, on the binaries that `cargo build --workspace --all-targets` made.

mod copying;

pub use copying::copy_folder;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use mandate::CameraId;
use protocol::{
    api::{Access, CameraState, CameraView, LogIn, StreamRole},
    client::{Client, Incoming, MediaReceiver, Session},
    socket::{ClientMessage, EndCause, ServerMessage},
    wire::UnitHeader,
};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};
use xtask::room::{Periods, Plan, Room};

/// How long anything may take that a test waits for and does not measure: a shared machine stalls for many seconds.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The folder of the programs under test: the one this test program was built into.
///
/// # Errors
/// When the running program cannot be located.
pub fn programs() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.ancestors().find(|f| f.join("rtrd").is_file());
    let folder = folder.context("rtrd is not built; run `cargo build --workspace --all-targets` first")?;
    Ok(folder.to_owned())
}

/// A plan with a data folder under the target folder, named after the story.
pub fn plan(story: &str, cameras: usize, periods: Periods) -> Plan {
    Plan::new(xtask::room::target().join("e2e").join(story), cameras, periods)
}

/// A room whose periods end soon, with every camera up and some seconds left, somebody logged in, and the instant. The seconds
/// count from before the room starts, so where a machine takes long to start it, another one is given more.
///
/// # Errors
/// When it cannot be started, or is not up in time however long the periods are.
pub async fn room_that_closes(
    story: &'static str,
    cameras: usize,
    name: &str,
) -> Result<(Room, Session, DateTime<Utc>)> {
    for seconds in [25, 60, 150] {
        let bin = programs()?;
        let open = move || Room::open(&bin, &plan(story, cameras, Periods::ClosingIn(seconds)));
        let room = tokio::task::spawn_blocking(open).await??;
        let session = log_in(&room, name).await?;
        loop {
            let list = session.cameras().await?;
            let ends = list.iter().find_map(|camera| match camera.access {
                Access::Open { until } => until,
                Access::Closed(_) => None,
            });
            let Some(ends) = ends.filter(|ends| *ends - Utc::now() > TimeDelta::seconds(8)) else { break };
            if list.iter().all(|camera| matches!(camera.state, CameraState::Up { .. })) {
                return Ok((room, session, ends));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    bail!("the cameras of {story} were not up before their periods ended")
}

/// Logs in as one of the room's people.
///
/// # Errors
/// When the daemon cannot be reached or refuses.
pub async fn log_in(room: &Room, name: &str) -> Result<Session> {
    let client = Client::connect(&room.url, &std::fs::read(&room.ca)?)?;
    let password = room.accounts.get(name).with_context(|| format!("there is no account `{name}`"))?;
    let credentials = LogIn {
        username: name.to_owned(),
        password: password.clone(),
        role: None,
        workstation: Some("end-to-end".to_owned()),
    };
    Ok(client.log_in(&credentials).await?)
}

/// The message that asks for a live main stream.
pub fn watch(subscription: u32, camera: &CameraId) -> ClientMessage {
    ClientMessage::Watch {
        subscription,
        camera: camera.clone(),
        stream: StreamRole::Main,
        incident: None,
        display: Some(format!("test {subscription}")),
        key_frames_only: false,
    }
}

/// What a subscription brought next.
#[derive(Debug)]
pub enum Next {
    /// A picture.
    Unit(UnitHeader, Bytes),
    /// A message about the subscription.
    Said(ServerMessage),
}

/// Waits for the next thing that concerns a subscription.
///
/// # Errors
/// When the socket closes or nothing comes in time.
pub async fn next(media: &mut MediaReceiver, subscription: u32, patience: Duration) -> Result<Next> {
    let wait = async {
        loop {
            match media.next().await {
                Incoming::Unit(header, payload) if header.subscription == subscription => {
                    return Ok(Next::Unit(header, payload));
                }
                Incoming::Control(message) if concerns(&message, subscription) => {
                    return Ok(Next::Said(message));
                }
                Incoming::Closed(why) => bail!("the socket closed: {why}"),
                Incoming::Unit(..) | Incoming::Control(_) => {}
            }
        }
    };
    tokio::time::timeout(patience, wait).await.context("nothing came in time")?
}

/// Waits for the end of a subscription and says why, how many pictures came before, and when.
///
/// # Errors
/// When it does not end in time.
pub async fn until_end(
    media: &mut MediaReceiver,
    subscription: u32,
    patience: Duration,
) -> Result<(EndCause, u64, Instant)> {
    let end = Instant::now() + patience;
    let mut pictures = 0;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match next(media, subscription, left).await? {
            Next::Unit(..) => pictures += 1,
            Next::Said(ServerMessage::Ended { cause, .. }) => return Ok((cause, pictures, Instant::now())),
            Next::Said(_) => {}
        }
    }
}

/// Waits for so many pictures.
///
/// # Errors
/// When the subscription ends or they do not come in time.
pub async fn pictures(
    media: &mut MediaReceiver,
    subscription: u32,
    count: u64,
    patience: Duration,
) -> Result<Vec<UnitHeader>> {
    let end = Instant::now() + patience;
    let mut seen = Vec::new();
    while (seen.len() as u64) < count {
        let left = end.saturating_duration_since(Instant::now());
        match next(media, subscription, left)
            .await
            .with_context(|| format!("after {} pictures", seen.len()))?
        {
            Next::Unit(header, _) => seen.push(header),
            Next::Said(ServerMessage::Ended { cause, .. }) => bail!("the look ended: {cause:?}"),
            Next::Said(_) => {}
        }
    }
    Ok(seen)
}

fn concerns(message: &ServerMessage, wanted: u32) -> bool {
    match message {
        ServerMessage::Started { subscription, .. }
        | ServerMessage::Continued { subscription, .. }
        | ServerMessage::Parameters { subscription, .. }
        | ServerMessage::Skipped { subscription, .. }
        | ServerMessage::Gap { subscription, .. }
        | ServerMessage::Steered { subscription, .. }
        | ServerMessage::AtEnd { subscription }
        | ServerMessage::Ended { subscription, .. } => *subscription == wanted,
        _ => false,
    }
}

/// Waits until a condition on the camera list holds.
///
/// # Errors
/// When it does not come to hold in time; the last list is told.
pub async fn cameras_until(
    session: &Session,
    patience: Duration,
    condition: impl Fn(&[CameraView]) -> bool,
) -> Result<Vec<CameraView>> {
    let end = Instant::now() + patience;
    loop {
        let cameras = session.cameras().await?;
        if condition(&cameras) {
            return Ok(cameras);
        }
        if Instant::now() > end {
            bail!("the cameras did not come to that state: {cameras:#?}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
