//! Live and recorded pictures: from access units to the tile.
//!
//! The socket task pushes units into a [`Player`] (any thread); the wall paints with [`VideoSystem::paint`].

use bytes::Bytes;
use eframe::glow;
use protocol::wire::UnitHeader;
use std::{sync::Arc, time::Duration};

/// Which player: chosen by the caller, one per subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlayerId(pub u64);

/// How bad a [`PlayerError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It will pass: another decoder is tried, a key frame is awaited.
    Passing,
    /// No pictures until something changes.
    Serious,
}

/// What stands in the way of a picture; shown only once it has lasted 400 ms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlayerError {
    /// How bad.
    pub severity: Severity,
    /// For diagnostics, in English: element and cause.
    pub detail: String,
}

/// Figures of one player.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlayerStats {
    /// Distinct pictures painted.
    pub frames_shown: u64,
    /// Units dropped before the decoder.
    pub frames_dropped: u64,
    /// Pictures that came out of the decoder.
    pub decoded: u64,
    /// Decoded pictures that a newer one replaced before they were painted.
    pub overwritten: u64,
    /// From the request for the picture to its first paint, ms.
    pub first_picture_ms: Option<f64>,
    /// Capture to paint on the daemon's clock over the last minute, ms: median and 99th percentile. Live only.
    pub latency_ms: Option<(f64, f64)>,
    /// Capture time of the picture on screen, µs UTC.
    pub last_captured: Option<i64>,
    /// Time since a new picture was painted.
    pub age: Option<Duration>,
    /// No new picture for two seconds: what is shown is not live.
    pub late: bool,
    /// The decoder in use: `avdec_h264`.
    pub decoder: Option<String>,
    /// Width and height of the picture on screen, pixels.
    pub size: Option<(u32, u32)>,
    /// What stands in the way, once it has lasted 400 ms.
    pub error: Option<PlayerError>,
}

/// A cheap handle on one player; `Send + Sync`, every method may be called from any thread.
#[derive(Clone)]
pub struct Player(Arc<()>);

impl Player {
    /// The codec parameters of `generation`, before its first unit. `record` is avcC or hvcC.
    pub fn set_parameters(
        &self,
        generation: u16,
        codec: media::Codec,
        width: u16,
        height: u16,
        record: Bytes,
    ) {
    }
    /// One access unit, as it came from the socket.
    pub fn push(&self, header: UnitHeader, payload: Bytes) {}
    /// Figures now.
    pub fn stats(&self) -> PlayerStats {
        PlayerStats::default()
    }
    /// Forgets everything, the picture on screen too (a basis ended, another camera in this tile); the time to the
    /// first picture counts from here.
    pub fn reset(&self) {}
    /// A hidden tile decodes nothing.
    pub fn set_hidden(&self, hidden: bool) {}
    /// Daemon clock minus workstation clock, µs.
    pub fn set_clock_offset(&self, microseconds: i64) {}
    /// Only key frames are decoded (load shedding).
    pub fn set_key_frames_only(&self, on: bool) {}
    /// Recorded pictures are presented by this clock, shared by all tiles of a replay; `None` is live.
    pub fn set_replay(&self, clock: Option<ReplayClock>) {}
}

/// The position of a replay, shared by the tiles that play in step. Cheap to clone.
#[derive(Clone)]
pub struct ReplayClock(Arc<()>);

impl ReplayClock {
    /// At `captured` (µs UTC), running at `speed` as soon as the first picture is there.
    pub fn new(captured: i64, speed: f32) -> Self {
        Self(Arc::new(()))
    }
    /// The position now, µs UTC.
    pub fn position(&self) -> i64 {
        0
    }
    /// Another position; waits there for the first picture.
    pub fn seek(&self, captured: i64) {}
    /// 1.0 is real time.
    pub fn set_speed(&self, speed: f32) {}
    /// Stops and goes on.
    pub fn set_paused(&self, paused: bool) {}
}

/// Merges repaints to one per frame period.
pub struct Pacer(());

impl Pacer {
    /// 25 or 15.
    pub fn set_rate_hz(&self, hz: u32) {}
    /// Repaints in the last second.
    pub fn rate_hz(&self) -> f32 {
        0.0
    }
}

/// All players of the console and what draws them.
pub struct VideoSystem(());

impl VideoSystem {
    /// `gl` is `CreationContext::gl`; without it (image tests) pictures go through egui's own textures.
    pub fn new(egui_ctx: egui::Context, gl: Option<Arc<glow::Context>>) -> Self {
        Self(())
    }
    /// The player with this id; made on first use.
    pub fn player(&mut self, id: PlayerId) -> Player {
        Player(Arc::new(()))
    }
    /// Draws the newest picture into `rect`, `uv` being the part of it to show (0..1: digital zoom). False when there
    /// is no picture yet: draw the reason instead. Fills `rect`; keeping the aspect ratio is the caller's.
    pub fn paint(&mut self, ui: &egui::Ui, rect: egui::Rect, id: PlayerId, uv: egui::Rect) -> bool {
        false
    }
    /// Ends a player and frees its textures.
    pub fn remove(&mut self, id: PlayerId) {}
    /// The picture on screen, as RGBA.
    pub fn still(&self, id: PlayerId) -> Option<egui::ColorImage> {
        None
    }
    /// Shows this picture (image tests and documentation).
    pub fn show_still(&mut self, id: PlayerId, image: egui::ColorImage, captured: i64) {}
    /// The pacer: repaint rate.
    pub fn pacer(&self) -> &Pacer {
        static P: Pacer = Pacer(());
        &P
    }
    /// Frees GL objects; from `App::on_exit`.
    pub fn destroy(&mut self) {}
}
