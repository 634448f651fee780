//! As many viewers as cameras, for the bench: time to the first picture, and what the daemon adds to a frame.
//!
//! `viewers URL CA USER CAMERAS SECONDS`, password in `RTR_PASSWORD`. Prints one JSON object.

use anyhow::{Context as _, Result};
use protocol::{
    api::{LogIn, StreamRole},
    client::{Client, Incoming},
    socket::{ClientMessage, ServerMessage},
};
use std::time::{Duration, Instant};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, ca, user, cameras, seconds] = &arguments[..] else {
        anyhow::bail!("usage: viewers URL CA USER CAMERAS SECONDS")
    };
    let password = std::env::var("RTR_PASSWORD").context("RTR_PASSWORD is not set")?;
    let client = Client::connect(url, &std::fs::read(ca)?)?;
    let credentials =
        LogIn { username: user.clone(), password, role: None, workstation: Some("bench".to_owned()) };
    let session = client.log_in(&credentials).await?;
    let wanted: usize = cameras.parse()?;
    let list: Vec<_> = session.cameras().await?.into_iter().take(wanted).collect();

    let (sender, mut media) = session.media().await?;
    let watch = |subscription: usize| ClientMessage::Watch {
        subscription: subscription as u32,
        camera: list[(subscription - 1) % list.len()].id.clone(),
        stream: StreamRole::Main,
        incident: None,
        display: None,
        key_frames_only: false,
    };
    // First pictures: one look after another, each stopped again, at moments that fall anywhere in a group of pictures.
    let mut first = Vec::new();
    for round in 0..60 {
        let subscription = round + 1;
        let asked = Instant::now();
        sender.send(&watch(subscription)).await?;
        loop {
            match media.next().await {
                Incoming::Unit(header, _) if header.subscription as usize == subscription => break,
                Incoming::Control(ServerMessage::Ended { subscription: s, cause })
                    if s as usize == subscription =>
                {
                    anyhow::bail!("refused: {cause:?}")
                }
                Incoming::Closed(why) => anyhow::bail!("closed: {why}"),
                _ => {}
            }
        }
        first.push(asked.elapsed().as_secs_f64() * 1e3);
        sender.send(&ClientMessage::Stop { subscription: subscription as u32 }).await?;
        tokio::time::sleep(Duration::from_millis(37)).await;
    }

    for i in 0..list.len() {
        sender.send(&watch(1001 + i * list.len())).await?;
    }
    // The groups so far come first; only live frames are measured.
    let settle = Instant::now() + Duration::from_secs(3);
    let end = settle + Duration::from_secs(seconds.parse()?);
    let (mut added, mut frames, mut skipped) = (Vec::new(), 0_u64, 0);
    while Instant::now() < end {
        match media.next().await {
            Incoming::Unit(header, _) if Instant::now() > settle => {
                frames += 1;
                added.push((header.sent - header.received) as f64 / 1e3);
            }
            Incoming::Control(ServerMessage::Skipped { pictures, .. }) => skipped += pictures,
            Incoming::Closed(why) => anyhow::bail!("closed: {why}"),
            _ => {}
        }
    }
    let quantile = |values: &mut Vec<f64>, q: f64| {
        values.sort_by(f64::total_cmp);
        values.get(((values.len() as f64 * q) as usize).min(values.len().saturating_sub(1))).copied()
    };
    let figures = serde_json::json!({
        "viewers": list.len(), "frames": frames, "skipped": skipped,
        "first_picture_ms": { "p50": quantile(&mut first, 0.5), "p95": quantile(&mut first, 0.95) },
        "daemon_adds_ms": { "p50": quantile(&mut added, 0.5), "p99": quantile(&mut added, 0.99) },
    });
    println!("{figures}");
    Ok(())
}
