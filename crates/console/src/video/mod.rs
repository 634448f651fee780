//! Live and recorded pictures: from access units to the tile.
//!
//! ```text
//! socket task ──push──▶ player ──▶ pipeline (GStreamer's thread) ──▶ board ──▶ gl (the window's thread)
//!                                                                      └─▶ pacer: repaint, once per period
//! ```
//!
//! A [`Player`] is one tile's stream: it may be handed units from any thread. [`VideoSystem`] belongs to the window,
//! holds the players and paints them. Newest picture wins; latency is measured from capture to painting.

mod board;
mod frame;
mod gl;
mod histogram;
mod load;
mod pacer;
mod pipeline;
mod player;
mod replay;
mod rgba;
#[cfg(test)]
mod tests;

pub use load::{LoadLevel, LoadPolicy, LoadSample};
pub use pacer::Pacer;
pub use player::{PlayerError, Severity};
pub use replay::ReplayClock;

use bytes::Bytes;
use eframe::{egui_glow, glow};
use frame::Frame;
use pipeline::GstDecoders;
use player::{Core, DecoderConfig};
use protocol::wire::UnitHeader;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Which player: chosen by the caller, one per subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlayerId(pub u64);

/// Figures of one player.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlayerStats {
    /// Distinct pictures painted.
    pub frames_shown: u64,
    /// Units dropped before the decoder, for whatever reason.
    pub frames_dropped: u64,
    /// Those of them dropped because the decoder was more than half a second behind.
    pub backlog_drops: u64,
    /// Pictures that came out of the decoder.
    pub decoded: u64,
    /// Decoded pictures that a newer one replaced before they were painted.
    pub overwritten: u64,
    /// From the request for the picture (first use of the player, or [`Player::reset`]) to its first paint, ms.
    pub first_picture_ms: Option<f64>,
    /// Capture to paint on the daemon's clock over the last 30 to 60 s, ms: median and 99th percentile. Live only. The
    /// screen's own delay comes on top.
    pub latency_ms: Option<(f64, f64)>,
    /// Capture time of the picture on screen, µs UTC.
    pub last_captured: Option<i64>,
    /// Time since a new picture was painted.
    pub age: Option<Duration>,
    /// Live, and no new picture for two seconds, or one taken longer ago: what is shown must not pass for live.
    pub late: bool,
    /// The decoder in use: `avdec_h264`.
    pub decoder: Option<String>,
    /// Width and height of the picture on screen, pixels.
    pub size: Option<(u32, u32)>,
    /// What stands in the way, once it has lasted 400 ms.
    pub error: Option<PlayerError>,
}

/// A cheap handle on one tile's pictures; every method may be called from any thread.
#[derive(Clone)]
pub struct Player(Arc<Core<GstDecoders>>);

impl Player {
    /// The codec parameters of `generation`, before its first unit; `record` is avcC or hvcC (ISO/IEC 14496-15). The
    /// last picture stays until the first one of the new generation.
    pub fn set_parameters(
        &self,
        generation: u16,
        codec: media::Codec,
        width: u16,
        height: u16,
        record: Bytes,
    ) {
        self.0.set_parameters(generation, DecoderConfig { codec, width, height, record });
    }

    /// One access unit as it came from the socket. Never blocks on decoding; may start a decoder (tens of
    /// milliseconds), so better not from the window's thread.
    pub fn push(&self, header: UnitHeader, payload: Bytes) {
        self.0.push(header, payload);
    }

    /// Figures now.
    pub fn stats(&self) -> PlayerStats {
        self.0.stats(Frame::size)
    }

    /// Forgets everything at once, the picture on screen too (a basis ended; another camera in this tile). The time to
    /// the first picture counts from here. Parameters stay known.
    pub fn reset(&self) {
        self.0.reset();
    }

    /// Forgets what is on its way but keeps the picture on screen until the next: for a jump in a replay.
    pub fn flush(&self) {
        self.0.flush();
    }

    /// A hidden tile decodes nothing, and goes on with the next key frame once it is seen again.
    pub fn set_hidden(&self, hidden: bool) {
        self.0.set_hidden(hidden);
    }

    /// Only key frames are decoded (load shedding, previews).
    pub fn set_key_frames_only(&self, on: bool) {
        self.0.set_key_frames_only(on);
    }

    /// The daemon's clock minus the workstation's, µs.
    pub fn set_clock_offset(&self, microseconds: i64) {
        self.0.set_clock_offset(microseconds);
    }

    /// Recorded pictures are shown by this clock, shared by all tiles that play in step; `None` is live.
    pub fn set_replay(&self, clock: Option<ReplayClock>) {
        self.0.set_replay(clock);
    }

    /// Capture time (µs UTC) of the picture after the one on screen, if it is decoded: where a step forward leads.
    pub fn next_captured(&self) -> Option<i64> {
        self.0.next_captured()
    }
}

struct Entry {
    player: Player,
    /// Second path: the picture as egui's own texture.
    texture: Option<egui::TextureHandle>,
    /// A fixed picture in place of the player's (image tests).
    still: Option<(egui::ColorImage, i64)>,
}

/// All players of the window and what paints them. Lives on the window's thread.
pub struct VideoSystem {
    context: egui::Context,
    decoders: Arc<GstDecoders>,
    renderer: Option<Arc<Mutex<gl::Renderer>>>,
    gl: Option<Arc<glow::Context>>,
    pacer: Arc<Pacer>,
    entries: HashMap<PlayerId, Entry>,
    load: LoadPolicy,
    most_hz: u32,
    started: Instant,
    sampled: Option<(Duration, Totals)>,
}

#[derive(Clone, Copy, Default)]
struct Totals {
    backlog_drops: u64,
    decoded: u64,
    overwritten: u64,
}

impl VideoSystem {
    /// `gl` is `CreationContext::gl`; without it, or if its driver refuses the shader, pictures go through egui's own
    /// textures: slower, but the same.
    pub fn new(egui_ctx: egui::Context, gl: Option<Arc<glow::Context>>) -> Self {
        let renderer = gl.as_ref().and_then(|gl| match gl::Renderer::new(gl) {
            Ok(renderer) => Some(Arc::new(Mutex::new(renderer))),
            Err(error) => {
                tracing::error!(%error, "video falls back to plain textures");
                None
            }
        });
        let decoders = Arc::new(GstDecoders::default());
        // Finding plug-ins and waking drivers takes longer than a group of pictures: before anyone waits for one.
        let early = decoders.clone();
        let warm = std::thread::Builder::new().name("decoder warm-up".to_owned());
        if let Err(error) = warm.spawn(move || early.warm_up()) {
            tracing::warn!(%error, "the first pictures will take longer");
        }
        let pacer = Arc::new(Pacer::new(egui_ctx.clone()));
        let begins = pacer.clone();
        egui_ctx.on_begin_pass("video pacer", Arc::new(move |_| begins.repaint_begins()));
        Self {
            context: egui_ctx,
            decoders,
            renderer,
            gl,
            pacer,
            entries: HashMap::new(),
            load: LoadPolicy::default(),
            most_hz: 25,
            started: Instant::now(),
            sampled: None,
        }
    }

    /// Uses only this decoder from now on (`avdec_h264`); for players made afterwards.
    pub fn force_decoder(&mut self, name: Option<String>) {
        self.decoders = Arc::new(GstDecoders::new(name));
    }

    /// Repaints at most so often a second, however strong the machine is.
    pub fn limit_hz(&mut self, hz: u32) {
        self.most_hz = hz;
        self.pacer.set_rate_hz(self.load.level().repaint_hz(hz));
    }

    /// The player with this id; made on first use, which starts the time to its first picture.
    pub fn player(&mut self, id: PlayerId) -> Player {
        let entry = self.entries.entry(id).or_insert_with(|| {
            let pacer = self.pacer.clone();
            let core = Core::new(self.decoders.clone(), player::clocks(), move || pacer.picture_ready());
            Entry { player: Player(Arc::new(core)), texture: None, still: None }
        });
        entry.player.clone()
    }

    /// Paints the newest picture into `rect`, which it fills: `uv` (0..1) is the part of the picture to show, for
    /// digital zoom and for keeping the aspect ratio. Corners are square; draw labels and borders afterwards. False
    /// when there is no picture: draw the reason instead.
    pub fn paint(&mut self, ui: &egui::Ui, rect: egui::Rect, id: PlayerId, uv: egui::Rect) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else { return false };
        if let Some((still, _)) = &entry.still {
            let texture = entry.texture.get_or_insert_with(|| {
                self.context.load_texture("still", still.clone(), egui::TextureOptions::LINEAR)
            });
            ui.painter().image(texture.id(), rect, uv, egui::Color32::WHITE);
            return true;
        }
        if entry.player.0.replay_runs() {
            // Recorded pictures come due by the clock, not by arriving.
            self.pacer.picture_ready();
        }
        if !entry.player.0.can_paint() {
            return false;
        }
        let Some(renderer) = &self.renderer else {
            if let Some(image) =
                entry.player.0.take().and_then(|shown| rgba::image_from_frame(&shown.picture))
            {
                if let Some(texture) = &mut entry.texture {
                    texture.set(image, egui::TextureOptions::LINEAR);
                } else {
                    let texture = self.context.load_texture("video", image, egui::TextureOptions::LINEAR);
                    entry.texture = Some(texture);
                }
            }
            let Some(texture) = &entry.texture else { return false };
            ui.painter().image(texture.id(), rect, uv, egui::Color32::WHITE);
            return true;
        };
        let (renderer, player) = (renderer.clone(), entry.player.clone());
        let part = [uv.min.x, uv.min.y, uv.max.x, uv.max.y];
        let callback = egui_glow::CallbackFn::new(move |info, painter| {
            let mut renderer = renderer.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(shown) = player.0.take()
                && let Err(error) = renderer.upload(painter.gl(), id, &shown.picture)
            {
                tracing::error!(%error, ?id, "picture not painted");
            }
            // It may have been reset since: then not even the old picture may be seen once more.
            if player.0.shown().is_some() {
                renderer.draw(painter.gl(), id, part, info.viewport_in_pixels().width_px);
            }
        });
        ui.painter().add(egui::PaintCallback { rect, callback: Arc::new(callback) });
        true
    }

    /// Whether there is a picture of the present (or of a replay's position): one that may replace another's.
    pub fn has_picture(&self, id: PlayerId) -> bool {
        self.entries.get(&id).is_some_and(|entry| entry.still.is_some() || entry.player.0.has_picture())
    }

    /// Ends a player: its decoder stops when the last handle on it is gone, its textures go with the next repaint.
    pub fn remove(&mut self, id: PlayerId) {
        let Some(entry) = self.entries.remove(&id) else { return };
        // Whoever still holds a handle and pushes no longer keeps a decoder busy.
        entry.player.set_hidden(true);
        entry.player.reset();
        if let Some(renderer) = &self.renderer {
            renderer.lock().unwrap_or_else(PoisonError::into_inner).forget(id);
        }
    }

    /// The picture on screen as RGBA, at its own size.
    pub fn still(&self, id: PlayerId) -> Option<egui::ColorImage> {
        let entry = self.entries.get(&id)?;
        match &entry.still {
            Some((image, _)) => Some(image.clone()),
            None => rgba::image_from_frame(&entry.player.0.shown()?.picture),
        }
    }

    /// Capture time of the picture on screen, µs UTC: that of [`Self::still`].
    pub fn captured(&self, id: PlayerId) -> Option<i64> {
        let entry = self.entries.get(&id)?;
        match &entry.still {
            Some((_, captured)) => Some(*captured),
            None => Some(entry.player.0.shown()?.captured),
        }
    }

    /// From now on this tile shows `image`, taken at `captured` (µs UTC): for image tests, which have no OpenGL.
    pub fn show_still(&mut self, id: PlayerId, image: egui::ColorImage, captured: i64) {
        self.player(id);
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.texture = None;
            entry.still = Some((image, captured));
        }
    }

    /// The repaint rate.
    pub fn pacer(&self) -> &Pacer {
        &self.pacer
    }

    /// Call once per frame: measures once a second, sets the repaint rate, and says what else should be given away
    /// (see [`LoadLevel`]); streams and key frames are the wall's to choose, as it knows which tile is selected.
    pub fn load_level(&mut self) -> LoadLevel {
        let now = self.started.elapsed();
        let elapsed = self.sampled.map(|(at, _)| now.saturating_sub(at));
        if elapsed.is_some_and(|elapsed| elapsed < Duration::from_secs(1)) {
            return self.load.level();
        }
        let mut totals = Totals::default();
        for stats in self.entries.values().map(|entry| entry.player.stats()) {
            totals.backlog_drops += stats.backlog_drops;
            totals.decoded += stats.decoded;
            totals.overwritten += stats.overwritten;
        }
        let before = self.sampled.replace((now, totals));
        if let (Some((_, before)), Some(elapsed)) = (before, elapsed)
            // After a pause (minimised, nothing moving) the figures say nothing.
            && elapsed < Duration::from_secs(2)
        {
            // Players that left took their counts with them.
            let decoded = totals.decoded.saturating_sub(before.decoded);
            let overwritten = totals.overwritten.saturating_sub(before.overwritten);
            let target_hz = self.pacer.target_hz();
            let sample = LoadSample {
                backlog_drops: totals.backlog_drops.saturating_sub(before.backlog_drops),
                decoded,
                overwritten,
                repaint_hz: self.pacer.rate_hz(),
                target_hz,
                // Pictures came faster than repaints: only then is a low rate a sign of strain.
                busy: decoded >= 10 && overwritten > decoded / 8,
            };
            let level = self.load.observe(now, &sample);
            let hz = level.repaint_hz(self.most_hz);
            if hz != target_hz {
                tracing::info!(?level, ?sample, "load level");
                self.pacer.set_rate_hz(hz);
            }
        }
        self.load.level()
    }

    /// Frees what OpenGL holds; from `App::on_exit`.
    pub fn destroy(&mut self) {
        self.entries.clear();
        if let (Some(renderer), Some(gl)) = (self.renderer.take(), &self.gl) {
            renderer.lock().unwrap_or_else(PoisonError::into_inner).destroy(gl);
        }
    }
}
