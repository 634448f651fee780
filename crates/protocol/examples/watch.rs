//! Logs in, watches cameras, and prints pictures per second and latency: the smallest client there is.
//!
//! `watch https://127.0.0.1:8443 ca.pem NAME PASSWORD-FILE SECONDS [CAMERA …] [--replay SECONDS]`; the password file
//! holds TOML lines `name = "password"`. Without cameras it watches every open one; closed ones are asked too, so that
//! the refusal can be seen.

use protocol::{
    api::{Access, LogIn, StreamRole},
    client::{Client, Incoming},
    socket::{ClientMessage, ServerMessage},
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

#[derive(Default)]
struct Tile {
    camera: String,
    first_ms: Option<u128>,
    frames: u64,
    skipped: u64,
    /// µs from the last packet to the daemon's socket, and from there to here.
    added: Vec<i64>,
    way: Vec<i64>,
    end: Option<String>,
}

fn percentile(values: &mut [i64], p: usize) -> f64 {
    values.sort_unstable();
    values.get((values.len().saturating_sub(1)) * p / 100).map_or(f64::NAN, |us| *us as f64 / 1000.0)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let replay = arguments
        .iter()
        .position(|a| a == "--replay")
        .map(|i| arguments.drain(i..).nth(1))
        .and_then(|s| s?.parse::<i64>().ok());
    let [url, ca, name, passwords, seconds, cameras @ ..] = arguments.as_slice() else {
        return Err("watch URL CA NAME PASSWORD-FILE SECONDS [CAMERA …]".into());
    };
    let password = std::fs::read_to_string(passwords)?
        .lines()
        .find_map(|line| {
            line.split_once(" = ")
                .filter(|(n, _)| n.trim_matches('"') == name)
                .map(|(_, p)| p.trim_matches('"').to_owned())
        })
        .ok_or("no such name in the password file")?;
    let client = Client::connect(url, &std::fs::read(ca)?)?;
    println!("{:?}", client.about().await?);
    let credentials =
        LogIn { username: name.clone(), password, role: None, workstation: Some("example".to_owned()) };
    let session = client.log_in(&credentials).await?;
    println!("{} as {:?}", session.me().name, session.me().role);
    let all = session.cameras().await?;
    let (sender, mut receiver) = session.media().await?;
    let asked = Instant::now();
    let mut tiles: BTreeMap<u32, Tile> = BTreeMap::new();
    for camera in &all {
        let listed = cameras.iter().any(|c| *c == camera.id.as_str());
        if !cameras.is_empty() && !listed {
            continue;
        }
        if let Access::Closed(refusal) = &camera.access {
            println!(
                "{} closed: {} ({:?}), opens {:?}",
                camera.id, refusal.sentence.en, refusal.code, refusal.opens_at
            );
        }
        let subscription = camera.number;
        tiles.insert(subscription, Tile { camera: camera.id.to_string(), ..Tile::default() });
        let message = match replay {
            Some(back) => {
                let until = chrono::Utc::now();
                let incident = session
                    .incidents()
                    .await?
                    .into_iter()
                    .find(|i| i.cameras.contains(&camera.id))
                    .map(|i| i.id);
                ClientMessage::Replay {
                    subscription,
                    camera: camera.id.clone(),
                    stream: StreamRole::Main,
                    from: until - chrono::TimeDelta::seconds(back),
                    until,
                    incident,
                    of: None,
                    motion: protocol::socket::Motion { speed: 0.0, ..Default::default() },
                    stay: false,
                }
            }
            None => ClientMessage::Watch {
                subscription,
                camera: camera.id.clone(),
                stream: StreamRole::Main,
                incident: None,
                display: Some(format!("tile {subscription}")),
                key_frames_only: false,
            },
        };
        sender.send(&message).await?;
    }
    let end = asked + Duration::from_secs(seconds.parse()?);
    while let Ok(incoming) = tokio::time::timeout_at(end.into(), receiver.next()).await {
        match incoming {
            Incoming::Unit(header, _) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as i64;
                let Some(tile) = tiles.get_mut(&header.subscription) else { continue };
                tile.first_ms.get_or_insert(asked.elapsed().as_millis());
                tile.frames += 1;
                // The group so far comes at once and is older; the live edge is what counts.
                if asked.elapsed() > Duration::from_secs(3) {
                    tile.added.push(header.sent - header.received);
                    tile.way.push(now - header.sent);
                }
            }
            Incoming::Control(ServerMessage::Skipped { subscription, pictures }) => {
                if let Some(tile) = tiles.get_mut(&subscription) {
                    tile.skipped += pictures;
                }
            }
            Incoming::Control(ServerMessage::Ended { subscription, cause }) => {
                if let Some(tile) = tiles.get_mut(&subscription) {
                    tile.end = Some(format!("{:?} after {:.3} s", cause, asked.elapsed().as_secs_f64()));
                }
            }
            Incoming::Control(ServerMessage::Ledger { .. } | ServerMessage::Camera { .. }) => {}
            Incoming::Control(other) => println!("{other:?}"),
            Incoming::Closed(why) => {
                println!("closed: {why}");
                break;
            }
        }
    }
    let seconds = asked.elapsed().as_secs_f64();
    let (mut added, mut way) = (Vec::new(), Vec::new());
    for tile in tiles.values_mut() {
        println!(
            "{:10} first {:?} ms, {:5.1} pictures/s, skipped {}, added p50 {:.1} p99 {:.1} ms {}",
            tile.camera,
            tile.first_ms,
            tile.frames as f64 / seconds,
            tile.skipped,
            percentile(&mut tile.added, 50),
            percentile(&mut tile.added, 99),
            tile.end.clone().unwrap_or_default()
        );
        added.append(&mut tile.added);
        way.append(&mut tile.way);
    }
    println!(
        "all: added p50 {:.2} p99 {:.2} max {:.2} ms; way p50 {:.2} p99 {:.2} ms",
        percentile(&mut added, 50),
        percentile(&mut added, 99),
        percentile(&mut added, 100),
        percentile(&mut way, 50),
        percentile(&mut way, 99)
    );
    Ok(())
}
