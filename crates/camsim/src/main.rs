//! Starts simulated cameras; see the library for what they do.

use anyhow::{Context, Result};
use camsim::{encode::Quality, scenes, serve};
use clap::Parser;
use gstreamer::glib;
use serde::Serialize;
use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use tracing_subscriber::EnvFilter;

/// Simulated cameras: RTSP servers whose pictures tell the time.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// How many cameras; numbers 4 and 9 speak H.265, the others H.264.
    #[arg(long, default_value_t = 16)]
    cameras: u16,
    /// Folder in which the encoded scenes are kept between starts.
    #[arg(long)]
    scenes: PathBuf,
    /// Show the clips in this folder instead of drawn streets.
    #[arg(long)]
    footage: Option<PathBuf>,
    /// Address to serve RTSP on.
    #[arg(long, default_value = "127.0.0.1")]
    address: String,
    /// RTSP port; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Port of the control line on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    control_port: u16,
    /// Where to write the passwords (JSON, readable by the owner only).
    #[arg(long)]
    credentials: Option<PathBuf>,
    /// Where to write ports and cameras once they answer (JSON, readable by the owner only).
    #[arg(long)]
    ready: Option<PathBuf>,
    /// Width of the main stream, 16:9; the sub stream is half as wide.
    #[arg(long, default_value_t = 1280)]
    main_width: usize,
    /// Rate of the main stream in kbit/s; the sub stream's is 7/40 of it.
    #[arg(long, default_value_t = 4000)]
    main_bitrate: u32,
    /// How many different scenes.
    #[arg(long, default_value_t = 4)]
    scene_count: usize,
    /// Only draw one frame (0..1500) of a scene into an uncompressed PPM picture, SCENE:FRAME:FILE, and end.
    #[arg(long, value_name = "SCENE:FRAME:FILE")]
    still: Option<String>,
}

#[derive(Serialize)]
struct Credentials<'a> {
    cameras: Vec<Credential<'a>>,
}

#[derive(Serialize)]
struct Credential<'a> {
    n: u16,
    username: &'a str,
    password: &'a str,
}

fn main() -> Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")))
        .with_writer(std::io::stderr)
        .init();
    let arguments = Arguments::parse();
    if let Some(still) = &arguments.still {
        return draw_still(still, arguments.main_width);
    }
    gstreamer::init().context("starting GStreamer")?;
    let width = arguments.main_width & !3;
    let scenes = scenes::prepare(&scenes::Options {
        folder: arguments.scenes,
        footage: arguments.footage,
        count: arguments.scene_count,
        h265: serve::H265_CAMERAS.iter().any(|&n| n <= arguments.cameras),
        quality: Quality {
            width,
            height: (width * 9 / 16) & !3,
            main_kbps: arguments.main_bitrate,
            sub_kbps: (arguments.main_bitrate * 7 / 40).max(40),
        },
    })?;
    let server = serve::Server::start(
        &serve::Options {
            address: arguments.address,
            port: arguments.port,
            control_port: arguments.control_port,
            cameras: arguments.cameras,
        },
        &scenes.h264,
        &scenes.h265,
    )?;
    let ready = server.ready();
    if let Some(path) = &arguments.credentials {
        let cameras = ready
            .cameras
            .iter()
            .map(|c| Credential { n: c.n, username: &c.username, password: &c.password })
            .collect();
        write_private(path, &Credentials { cameras })?;
    }
    if let Some(path) = &arguments.ready {
        write_private(path, ready)?;
    }
    tracing::info!(
        cameras = ready.cameras.len(),
        rtsp = ready.rtsp_port,
        control = ready.control_port,
        "ready"
    );

    let main_loop = glib::MainLoop::new(None, false);
    let ending = main_loop.clone();
    ctrlc::set_handler(move || ending.quit()).context("waiting for SIGINT and SIGTERM")?;
    main_loop.run();
    tracing::info!("ends");
    Ok(())
}

fn draw_still(order: &str, width: usize) -> Result<()> {
    let mut parts = order.splitn(3, ':');
    let (scene, frame, file) = (parts.next(), parts.next(), parts.next());
    let (Some(scene), Some(frame), Some(file)) = (scene, frame, file) else {
        anyhow::bail!("--still wants SCENE:FRAME:FILE")
    };
    let picture = scenes::still(scene, frame.parse()?, width, width * 9 / 16)
        .with_context(|| format!("there is no scene {scene}"))?;
    let mut ppm = format!("P6 {} {} 255\n", picture.width, picture.height).into_bytes();
    ppm.extend(picture.to_rgb());
    fs::write(file, ppm).with_context(|| format!("writing {file}"))
}

/// Writes JSON to a file only its owner may read; a reader finds all of it or nothing.
fn write_private(path: &Path, value: &impl Serialize) -> Result<()> {
    let partial = path.with_extension("partial");
    let context = || format!("writing {}", path.display());
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)
        .with_context(context)?;
    serde_json::to_writer_pretty(&mut file, value)?;
    file.write_all(b"\n")?;
    drop(file);
    fs::rename(&partial, path).with_context(context)
}
