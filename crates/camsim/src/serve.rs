//! The RTSP server: mounts, passwords, the clock that drives every stream, and the control port.

use crate::{
    camera::Stream,
    entrance,
    faults::{Command, Faults},
    loops::Loop,
    wire,
};
use anyhow::{Context, Result, anyhow};
use gstreamer::{self as gst, glib, prelude::*};
use gstreamer_rtsp::RTSPAuthMethod;
use gstreamer_rtsp_server::{self as rtsp, prelude::*};
use serde::Serialize;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Main and sub of one encoded scene.
pub type Pair = (Arc<Loop>, Arc<Loop>);

/// Where to serve and how many cameras.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address to listen on.
    pub address: String,
    /// RTSP port, 0 for any free one.
    pub port: u16,
    /// Control port on 127.0.0.1, 0 for any free one.
    pub control_port: u16,
    /// Cameras, numbered from 1.
    pub cameras: u16,
}

/// Cameras that speak H.265.
pub const H265_CAMERAS: [u16; 2] = [4, 9];

struct Camera {
    entry: wire::Camera,
    main: Stream,
    sub: Stream,
    faults: Mutex<Faults>,
}

impl Camera {
    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn role(&self) -> String {
        format!("camera{}", self.entry.n)
    }
}

/// A running server with its cameras. Dropping it stops the clock; the process ends it for good.
pub struct Server {
    rtsp: rtsp::RTSPServer,
    auth: rtsp::RTSPAuth,
    cameras: Vec<Arc<Camera>>,
    ready: wire::Ready,
    stop: Arc<AtomicBool>,
}

impl Server {
    /// Starts serving on the default main context, which the caller must run. `h264` and `h265` are the encoded scenes;
    /// the cameras take turns with them.
    pub fn start(options: &Options, h264: &[Pair], h265: &[Pair]) -> Result<Arc<Server>> {
        entrance::register()?;
        let rtsp = rtsp::RTSPServer::new();
        rtsp.set_address(&options.address);
        rtsp.set_service(&options.port.to_string());
        let auth = rtsp::RTSPAuth::new();
        auth.set_supported_methods(RTSPAuthMethod::Digest);
        rtsp.set_auth(Some(&auth));
        // A thread for each client: one that waits for its camera's first frame must not hold up the others.
        rtsp.thread_pool().context("the RTSP server has no threads")?.set_max_threads(-1);
        rtsp.attach(None).context("the RTSP server cannot listen (is the port taken?)")?;
        let rtsp_port = u16::try_from(rtsp.bound_port()).context("the RTSP server has no port")?;
        let control = TcpListener::bind((Ipv4Addr::LOCALHOST, options.control_port))
            .context("the control port cannot listen")?;
        let mounts = rtsp.mount_points().context("the RTSP server has no mounts")?;

        let mut cameras = Vec::new();
        for n in 1..=options.cameras {
            let of_kind = if H265_CAMERAS.contains(&n) && !h265.is_empty() { h265 } else { h264 };
            let scene = usize::from(n - 1).checked_rem(of_kind.len()).and_then(|at| of_kind.get(at));
            let (main, sub) = scene.cloned().context("there is no scene to serve")?;
            let url = format!("rtsp://{}:{rtsp_port}/cam{n}", options.address);
            let camera = Arc::new(Camera {
                entry: wire::Camera {
                    n,
                    sub: format!("{url}/sub"),
                    main: url,
                    codec: main.codec().name().to_owned(),
                    username: format!("camera{n}-{}", &secret()?[..6]),
                    password: secret()?,
                },
                main: Stream::new(main.clone(), sub.clone(), random()?),
                sub: Stream::new(sub, main, random()?),
                faults: Mutex::default(),
            });
            accept_password(&auth, &camera);
            mount(&mounts, &camera, true);
            mount(&mounts, &camera, false);
            cameras.push(camera);
        }

        let ready = wire::Ready {
            rtsp_port,
            control_port: control.local_addr()?.port(),
            cameras: cameras.iter().map(|camera| camera.entry.clone()).collect(),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let server = Arc::new(Server { rtsp, auth, cameras, ready, stop });
        let (clocked, stop) = (server.cameras.clone(), server.stop.clone());
        thread::Builder::new().name("frame clock".to_owned()).spawn(move || run_clock(&clocked, &stop))?;
        let controlled = Arc::downgrade(&server);
        thread::Builder::new().name("control".to_owned()).spawn(move || {
            for socket in control.incoming().flatten() {
                let Some(server) = controlled.upgrade() else { return };
                // A talker that keeps its line open must not keep others out.
                let spawned = thread::Builder::new()
                    .name("control line".to_owned())
                    .spawn(move || server.converse(&socket));
                if let Err(error) = spawned {
                    tracing::warn!(%error, "no thread for a control connection");
                }
            }
        })?;
        Ok(server)
    }

    /// Where everything is.
    pub fn ready(&self) -> &wire::Ready {
        &self.ready
    }

    /// Carries out a command and gives the line to answer.
    pub fn obey(&self, line: &str) -> String {
        let answer = Command::parse(line).and_then(|command| self.carry_out(command));
        answer.unwrap_or_else(|why| format!("error {why}"))
    }

    fn camera(&self, n: u16) -> Result<&Camera, String> {
        self.cameras
            .iter()
            .find(|camera| camera.entry.n == n)
            .map(Arc::as_ref)
            .ok_or_else(|| format!("there is no camera {n}, only 1 to {}", self.cameras.len()))
    }

    fn carry_out(&self, command: Command) -> Result<String, String> {
        match command {
            Command::Stall(n) => self.camera(n)?.faults().stalled = true,
            Command::Drop(n) => self.close_connections(self.camera(n)?),
            Command::Refuse(n) => {
                let camera = self.camera(n)?;
                camera.faults().refusing = true;
                self.auth.remove_digest(&camera.entry.username);
                self.close_connections(camera);
            }
            Command::Jump(n, seconds) => {
                let mut faults = self.camera(n)?.faults();
                faults.jump_seconds = faults.jump_seconds.saturating_add(seconds);
            }
            Command::Resize(n) => self.camera(n)?.faults().resized = true,
            Command::Loss(n, percent) => self.camera(n)?.faults().loss_percent = percent,
            Command::Heal(n) => {
                let camera = self.camera(n)?;
                let before = std::mem::take(&mut *camera.faults());
                if before.refusing {
                    accept_password(&self.auth, camera);
                }
            }
            Command::State => return self.state(),
        }
        Ok("ok".to_owned())
    }

    fn state(&self) -> Result<String, String> {
        #[derive(Serialize)]
        struct State {
            n: u16,
            main_served: bool,
            sub_served: bool,
            main_frames: u64,
            sub_frames: u64,
            faults: Faults,
        }
        let states: Vec<State> = self
            .cameras
            .iter()
            .map(|camera| State {
                n: camera.entry.n,
                main_served: camera.main.is_served(),
                sub_served: camera.sub.is_served(),
                main_frames: camera.main.frames(),
                sub_frames: camera.sub.frames(),
                faults: *camera.faults(),
            })
            .collect();
        serde_json::to_string(&states).map_err(|error| error.to_string())
    }

    /// Closes every connection on which the camera is set up, main or sub.
    fn close_connections(&self, camera: &Camera) {
        // A session's media says whether a path lies below its own; the sub stream's lies below both.
        let below = format!("/cam{}/sub", camera.entry.n);
        let mut concerned = |_: &rtsp::RTSPServer, client: &rtsp::RTSPClient| {
            let mut ours = false;
            client.session_filter(Some(&mut |_, session| {
                session.filter(Some(&mut |_, media| {
                    ours |= media.matches(&below).is_some();
                    rtsp::RTSPFilterResult::Keep
                }));
                rtsp::RTSPFilterResult::Keep
            }));
            if ours { rtsp::RTSPFilterResult::Remove } else { rtsp::RTSPFilterResult::Keep }
        };
        self.rtsp.client_filter(Some(&mut concerned));
    }

    fn converse(&self, socket: &TcpStream) {
        let Ok(mut answers) = socket.try_clone() else { return };
        for line in BufReader::new(socket).lines() {
            let Ok(line) = line else { return };
            if writeln!(answers, "{}", self.obey(&line)).is_err() {
                return;
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn accept_password(auth: &rtsp::RTSPAuth, camera: &Camera) {
    let token = rtsp::RTSPToken::builder().field("media.factory.role", camera.role()).build();
    auth.add_digest(&camera.entry.username, &camera.entry.password, &token);
}

/// Offers one stream of a camera to whoever knows that camera's password.
fn mount(mounts: &rtsp::RTSPMountPoints, camera: &Arc<Camera>, main: bool) {
    let factory = rtsp::RTSPMediaFactory::new();
    factory.set_launch(&format!("( {} name=pay0 )", entrance::ELEMENT));
    factory.set_shared(true);
    factory.add_role_from_structure(
        &gst::Structure::builder(camera.role())
            .field("media.factory.access", true)
            .field("media.factory.construct", true)
            .build(),
    );
    let of = Arc::downgrade(camera);
    factory.connect_media_configure(move |_, media| {
        let Some(camera) = of.upgrade() else { return };
        let entrance = media
            .element()
            .downcast::<gst::Bin>()
            .ok()
            .and_then(|bin| bin.by_name("pay0"))
            .and_then(|pay| pay.downcast::<entrance::Entrance>().ok())
            .and_then(|pay| pay.source());
        let Some(entrance) = entrance else { return };
        let stream = if main { &camera.main } else { &camera.sub };
        stream.attach(entrance.clone());
        let of = Arc::downgrade(&camera);
        media.connect_prepared(|media| hurry_reports(&media.element()));
        media.connect_unprepared(move |_| {
            if let Some(camera) = of.upgrade() {
                if main { &camera.main } else { &camera.sub }.detach(&entrance);
            }
        });
    });
    let path = format!("/cam{}{}", camera.entry.n, if main { "" } else { "/sub" });
    mounts.add_factory(&path, factory);
}

/// Asks for a sender report every second, as cameras do; GStreamer's own choice is every five.
fn hurry_reports(element: &gst::Element) {
    let Some(pipeline) = element.parent().and_then(|parent| parent.downcast::<gst::Bin>().ok()) else {
        return;
    };
    for rtpbin in pipeline.iterate_all_by_element_factory_name("rtpbin").into_iter().flatten() {
        let session = rtpbin.emit_by_name::<Option<glib::Object>>("get-internal-session", &[&0_u32]);
        if let Some(session) = session {
            session.set_property("rtcp-min-interval", gst::ClockTime::from_seconds(1).nseconds());
        }
    }
}

/// Sends every frame of every stream when it is due, for ever.
fn run_clock(cameras: &[Arc<Camera>], stop: &AtomicBool) {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut last = now().as_millis() as u64 / 40;
    while !stop.load(Ordering::Relaxed) {
        let due = Duration::from_millis((last + 1) * 40);
        let wait = due.saturating_sub(now());
        if wait < Duration::from_secs(1) {
            thread::sleep(wait);
        }
        let current = now().as_millis() as u64 / 40;
        // A late wake-up is caught up frame by frame; more than a second, or backwards, is a clock that was set.
        let continuous = (last..=last + 25).contains(&current);
        if !continuous {
            tracing::warn!(last, current, "the clock jumped; streams go on at their next key frame");
            last = current.saturating_sub(1);
        }
        for tick in last + 1..=current {
            for camera in cameras {
                let faults = *camera.faults();
                camera.main.send(tick, continuous, &faults);
                camera.sub.send(tick, continuous, &faults);
            }
        }
        last = last.max(current);
        if !continuous {
            last = current;
        }
    }
}

/// Sixteen random bytes in hexadecimal.
fn secret() -> Result<String> {
    Ok(format!("{:032x}", u128::from_le_bytes(random_bytes()?)))
}

fn random() -> Result<u64> {
    Ok(u64::from_le_bytes(random_bytes()?))
}

fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| anyhow!("no random numbers: {error}"))?;
    Ok(bytes)
}
