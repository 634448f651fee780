//! Cameras that are not GStreamer: aio-rtsp-toolkit (Python, TCP only) and VLC (UDP only). Recorded, watched, read back.

use anyhow::{Context as _, Result, ensure};
use end_to_end::{PATIENCE, cameras_until, log_in, pictures, plan, programs, watch};
use protocol::api::CameraState;
use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use xtask::{
    processes::{self, Process},
    room::{Periods, Plan, Room, SimulatedCamera, target},
};

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A minute of a moving test picture, as a camera would send it.
fn clip(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("clip.mp4");
    if !path.exists() {
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args([
            "-nostdin",
            "-loglevel",
            "error",
            "-y",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=640x360:rate=25",
        ]);
        ffmpeg.args([
            "-t",
            "120",
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-bf",
            "0",
            "-g",
            "50",
            "-b:v",
            "1M",
        ]);
        processes::run(ffmpeg.arg(&path))?;
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    Ok(path)
}

/// aio-rtsp-toolkit from PyPI, in an environment of its own under the target folder.
fn aio_rtsp(clips: &Path, port: u16) -> Result<Option<Process>> {
    let environment = target().join("python");
    let server = environment.join("bin/rtsp-server");
    if !server.exists() {
        processes::run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
        let mut pip = Command::new(environment.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "aio-rtsp-toolkit[server]==0.1.4"]);
        if processes::run(&mut pip).is_err() {
            println!("not tried: aio-rtsp-toolkit cannot be had from the Python package index");
            return Ok(None);
        }
    }
    let mut command = Command::new(server);
    command.arg("--dir").arg(clips).args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    command.args(["-cp", &free_port()?.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(Some(Process::start("aio-rtsp-toolkit", &mut command)?))
}

/// VLC, which refuses to run as root. Without a password: the challenge it sends carries no sequence number
/// (RFC 2326 clause 12.17), and retina rightly refuses to guess which request it answers.
fn vlc(clip: &Path, home: &Path, port: u16) -> Result<Process> {
    fs::create_dir_all(home)?;
    fs::set_permissions(home, fs::Permissions::from_mode(0o777))?;
    let mut command = Command::new("runuser");
    command.args(["-u", "nobody", "--", "env", &format!("HOME={}", home.display()), "cvlc", "-q"]).arg(clip);
    command.args(["--loop", "--no-audio", "--sout-keep", "--sout"]);
    command.arg(format!("#rtp{{sdp=rtsp://127.0.0.1:{port}/car}}"));
    Process::start("VLC", command.stdout(Stdio::null()).stderr(Stdio::null()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_servers_over_tcp_and_udp() -> Result<()> {
    // VLC reads the clip as `nobody`, who must be able to enter its folder.
    let folder = tempfile::Builder::new().prefix("rtr-foreign").tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    let clip = clip(folder.path())?;
    let (tcp, udp) = (free_port()?, free_port()?);
    let mut servers = Vec::new();
    let mut existing = Vec::new();
    if let Some(server) = aio_rtsp(folder.path(), tcp)? {
        servers.push(server);
        existing.push(SimulatedCamera {
            n: 1,
            main: format!("rtsp://127.0.0.1:{tcp}/clip.mp4"),
            transport: Some("tcp".to_owned()),
            ..SimulatedCamera::default()
        });
    }
    servers.push(vlc(&clip, &folder.path().join("home"), udp)?);
    existing.push(SimulatedCamera {
        n: 2,
        main: format!("rtsp://127.0.0.1:{udp}/car"),
        transport: Some("udp".to_owned()),
        ..SimulatedCamera::default()
    });
    let cameras = existing.len();

    let bin = programs()?;
    let plan = Plan { existing: Some(existing), ..plan("foreign", cameras, Periods::Open) };
    let room = tokio::task::spawn_blocking(move || Room::open(&bin, &plan)).await??;
    let session = log_in(&room, "observant").await?;
    let list = cameras_until(&session, PATIENCE, |list| {
        list.len() == cameras && list.iter().all(|c| matches!(c.state, CameraState::Up { .. }))
    })
    .await?;
    let (sender, mut media) = session.media().await?;
    for (i, camera) in list.iter().enumerate() {
        let subscription = i as u32 + 1;
        sender.send(&watch(subscription, &camera.id)).await?;
        let seen = pictures(&mut media, subscription, 100, PATIENCE)
            .await
            .with_context(|| format!("{} at {}", camera.id, room.cameras[i].main))?;
        ensure!(seen[0].key, "the first picture of {} is not a key frame", camera.id);
        ensure!(
            seen.windows(2).all(|w| w[0].captured < w[1].captured),
            "pictures of {} out of order",
            camera.id
        );
        let span = seen[99].captured - seen[50].captured;
        ensure!((1_000_000..4_000_000).contains(&span), "49 frames of {} span {span} µs", camera.id);
    }
    ensure!(room.recorded_bytes() > 0, "nothing was recorded");
    drop(servers);
    Ok(())
}
