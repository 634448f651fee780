//! A wall of live tiles without a daemon: what the video room costs on this machine, and how late its pictures are.
//!
//! `cargo run -p console --example tiles -- --tiles 16 --hz 25 --seconds 60 --screenshot /tmp/wall.png`
//!
//! Clips are made on the spot; one thread pushes each tile's units at 25 pictures a second, tiles staggered. Prints
//! processor time by kind of thread, pictures and repaints per second, and latency from push to paint.

use anyhow::Context as _;
use clap::Parser;
use console::video::{Player, PlayerId, VideoSystem};
use eframe::egui;
use protocol::wire::UnitHeader;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

#[path = "support/clip.rs"]
mod clip;
use clip::{Clip, clip};

#[derive(Parser, Clone)]
struct Arguments {
    /// How many tiles.
    #[arg(long, default_value_t = 16)]
    tiles: u32,
    /// Repaints a second.
    #[arg(long, default_value_t = 25)]
    hz: u32,
    /// Pictures a second and stream.
    #[arg(long, default_value_t = 25)]
    fps: u32,
    /// How long.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How often to print.
    #[arg(long, default_value_t = 10)]
    every: u64,
    /// Picture size.
    #[arg(long, default_value_t = 640)]
    width: u16,
    /// Picture size.
    #[arg(long, default_value_t = 360)]
    height: u16,
    /// Every fourth tile is H.265.
    #[arg(long)]
    mixed: bool,
    /// Decode, but do not draw.
    #[arg(long)]
    no_video: bool,
    /// Let the load policy act.
    #[arg(long)]
    shed: bool,
    /// Where to put a picture of the window at the end.
    #[arg(long)]
    screenshot: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).init();
    let arguments = Arguments::parse();
    let Arguments { width, height, fps, .. } = arguments;
    let source = |pattern: &str| {
        format!(
            "videotestsrc pattern={pattern} num-buffers={} ! video/x-raw,width={width},height={height},framerate={fps}/1 \
             ! timeoverlay font-desc=\"Sans 40\" halignment=center valignment=center",
            fps * 20
        )
    };
    let mut clips = Vec::new();
    for pattern in ["smpte", "ball", "smpte100", "pinwheel"] {
        let head = format!(
            "{} ! x264enc tune=zerolatency speed-preset=veryfast bitrate=700 key-int-max=50 ! video/x-h264,profile=main",
            source(pattern)
        );
        clips.push((
            media::Codec::H264,
            Arc::new(clip(media::Codec::H264, &head).map_err(anyhow::Error::msg)?),
        ));
    }
    if arguments.mixed {
        let head = format!(
            "{} ! x265enc tune=zerolatency speed-preset=ultrafast bitrate=500 key-int-max=50",
            source("smpte75")
        );
        clips[3] =
            (media::Codec::H265, Arc::new(clip(media::Codec::H265, &head).map_err(anyhow::Error::msg)?));
    }
    println!("clips ready: {} units each", clips[0].1.units.len());
    let options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_inner_size([1920.0, 1080.0])
            .with_position([0.0, 0.0]),
        ..Default::default()
    };
    let run = move |cc: &eframe::CreationContext<'_>| -> Result<Box<dyn eframe::App>, Box<dyn std::error::Error + Send + Sync>> {
        let mut video = VideoSystem::new(cc.egui_ctx.clone(), cc.gl.clone());
        video.pacer().set_rate_hz(arguments.hz);
        let players: Vec<Player> = (0..arguments.tiles).map(|tile| video.player(PlayerId(tile.into()))).collect();
        let fps = arguments.fps;
        std::thread::Builder::new().name("pacing".into()).spawn(move || push_for_ever(&players, &clips, fps))?;
        Ok(Box::new(Tiles { video, arguments, started: Instant::now(), last: None, asked: false, ui: Duration::ZERO, frames: 0 }))
    };
    eframe::run_native("tiles", options, Box::new(run))
        .map_err(|error| anyhow::anyhow!("{error}"))
        .context("the window")
}

/// Feeds every player its clip, again and again, in step with the clock.
fn push_for_ever(players: &[Player], clips: &[(media::Codec, Arc<Clip>)], fps: u32) {
    for (player, (codec, clip)) in players.iter().zip(clips.iter().cycle()) {
        player.set_parameters(1, *codec, clip.size.0, clip.size.1, clip.record.clone());
    }
    let tiles = players.len() as u32;
    let started = Instant::now();
    let step = Duration::from_secs(1) / (fps * tiles);
    for number in 0_u32.. {
        let due = step * number;
        if let Some(wait) = due.checked_sub(started.elapsed()) {
            std::thread::sleep(wait);
        }
        let (tile, picture) = (number % tiles, number / tiles);
        let (Some(player), Some((_, clip))) =
            (players.get(tile as usize), clips.get(tile as usize % clips.len()))
        else {
            return;
        };
        // Each tile starts in another group, as cameras do.
        let picture = (picture + (tile / 4) * 50) as usize % clip.units.len();
        let (key, _, payload) = &clip.units[picture];
        player.push(header(*key), payload.clone());
    }
}

fn header(key: bool) -> UnitHeader {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64);
    UnitHeader {
        subscription: 1,
        key,
        discontinuity: false,
        last: false,
        gap: false,
        generation: 1,
        captured: now,
        duration: 40_000,
        sent: now,
        received: now,
    }
}

struct Tiles {
    video: VideoSystem,
    arguments: Arguments,
    started: Instant,
    last: Option<(Instant, BTreeMap<String, f64>, u64, u64)>,
    asked: bool,
    ui: Duration,
    frames: u64,
}

impl eframe::App for Tiles {
    fn ui(&mut self, ui: &mut egui::Ui, _: &mut eframe::Frame) {
        let begun = Instant::now();
        let whole = ui.max_rect();
        let columns = (self.arguments.tiles as f32).sqrt().ceil().max(1.0);
        let (w, h) = (whole.width() / columns, whole.height() / columns);
        if !self.arguments.no_video {
            for tile in 0..self.arguments.tiles {
                let (column, row) = (tile as f32 % columns, (tile as f32 / columns).floor());
                let rect =
                    egui::Rect::from_min_size(whole.min + egui::vec2(column * w, row * h), egui::vec2(w, h))
                        .shrink(2.0);
                // The last tile shows its middle, twice as large: digital zoom.
                let uv = if tile + 1 == self.arguments.tiles {
                    egui::Rect::from_min_max(egui::pos2(0.25, 0.25), egui::pos2(0.75, 0.75))
                } else {
                    egui::Rect::from_min_max(egui::pos2(0.0, 0.0), egui::pos2(1.0, 1.0))
                };
                self.video.paint(ui, rect, PlayerId(tile.into()), uv);
                ui.painter().text(
                    rect.left_top() + egui::vec2(6.0, 4.0),
                    egui::Align2::LEFT_TOP,
                    format!("{tile}"),
                    egui::FontId::proportional(16.0),
                    egui::Color32::WHITE,
                );
            }
        }
        if self.arguments.shed {
            self.video.load_level();
        }
        self.frames += 1;
        self.ui += begun.elapsed();
        self.report();
        let end = Duration::from_secs(self.arguments.seconds);
        if self.started.elapsed() > end {
            if let Some(path) = self.arguments.screenshot.take() {
                self.asked = true;
                let context = ui.ctx().clone();
                ui.ctx().request_screenshot(move |image| {
                    let [w, h] = image.size;
                    let pixels = image.pixels.iter().flat_map(egui::Color32::to_array).collect::<Vec<u8>>();
                    match image::RgbaImage::from_raw(w as u32, h as u32, pixels).map(|i| i.save(&path)) {
                        Some(Ok(())) => println!("screenshot in {}", path.display()),
                        other => println!("no screenshot: {other:?}"),
                    }
                    context.send_viewport_cmd(egui::ViewportCommand::Close);
                });
                ui.ctx().request_repaint();
            } else if !self.asked {
                ui.ctx().send_viewport_cmd(egui::ViewportCommand::Close);
            }
        }
    }

    fn on_exit(&mut self, _: Option<&eframe::glow::Context>) {
        self.video.destroy();
    }
}

impl Tiles {
    fn report(&mut self) {
        if self.last.as_ref().is_some_and(|(at, ..)| at.elapsed() < Duration::from_secs(self.arguments.every))
        {
            return;
        }
        let cpu = cpu_seconds_by_thread();
        let stats: Vec<_> =
            (0..self.arguments.tiles).map(|t| self.video.player(PlayerId(t.into())).stats()).collect();
        let (decoded, shown) =
            stats.iter().fold((0, 0), |(d, s), stats| (d + stats.decoded, s + stats.frames_shown));
        if let Some((at, before, decoded_before, shown_before)) = &self.last {
            let seconds = at.elapsed().as_secs_f64();
            let share = |name: &String| (cpu[name] - before.get(name).copied().unwrap_or(0.0)) / seconds;
            let total: f64 = cpu.keys().map(share).sum();
            let kinds: Vec<String> =
                cpu.keys().filter(|k| share(k) >= 0.005).map(|k| format!("{k} {:.2}", share(k))).collect();
            let tiles = f64::from(self.arguments.tiles);
            let worst = |pick: fn(&(f64, f64)) -> f64| {
                stats.iter().filter_map(|s| s.latency_ms.as_ref().map(pick)).fold(0.0, f64::max)
            };
            let median = stats.iter().filter_map(|s| s.latency_ms).map(|l| l.0).sum::<f64>() / tiles;
            println!(
                "{:4.0} s  cores {total:.2} ({})  repaint {:.0} Hz  decoded {:.1}/s shown {:.1}/s per tile  latency median {median:.0} worst p99 {:.0} ms  dropped {}  first {:.0} ms  ui {:.2} ms  rss {} MB  {:?} {:?}",
                self.started.elapsed().as_secs_f64(),
                kinds.join(", "),
                self.video.pacer().rate_hz(),
                (decoded - decoded_before) as f64 / seconds / tiles,
                (shown - shown_before) as f64 / seconds / tiles,
                worst(|l| l.1),
                stats.iter().map(|s| s.frames_dropped).sum::<u64>(),
                stats.iter().filter_map(|s| s.first_picture_ms).fold(0.0, f64::max),
                self.ui.as_secs_f64() * 1e3 / self.frames.max(1) as f64,
                rss_mb(),
                stats.iter().find_map(|s| s.decoder.clone()),
                stats.iter().find_map(|s| s.error.clone()),
            );
        }
        (self.ui, self.frames) = (Duration::ZERO, 0);
        self.last = Some((Instant::now(), cpu, decoded, shown));
    }
}

/// Linux: user and system time of each thread, summed by name without its number. Clock ticks are 1/100 s.
fn cpu_seconds_by_thread() -> BTreeMap<String, f64> {
    let mut sum = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else { continue };
        let Some((head, tail)) = stat.split_once(") ") else { continue };
        let name = head.split_once('(').map_or("", |(_, name)| name);
        let kind: String = name.chars().filter(|c| !c.is_ascii_digit()).collect();
        let ticks: f64 = tail.split(' ').skip(11).take(2).filter_map(|t| t.parse::<f64>().ok()).sum();
        *sum.entry(kind).or_insert(0.0) += ticks / 100.0;
    }
    sum
}

fn rss_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}
