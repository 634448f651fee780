//! What an unattended run tells: a JSON report of every tile, and a screenshot. Tests and the demo read them; the report
//! is written anew each second, whole or not at all.

use crate::video::PlayerStats;
use serde::Serialize;
use std::{collections::HashMap, path::Path, time::Instant};

/// One tile.
#[derive(Clone, Debug, Serialize)]
pub struct TileReport {
    /// The tile, from 1.
    pub tile: usize,
    /// Id of the camera.
    pub camera: String,
    /// Its number.
    pub number: u32,
    /// Its municipality.
    pub municipality: String,
    /// `live`, `closed`, `offline` or `late`.
    pub state: &'static str,
    /// Reason code of the law, for a closed tile.
    pub reason_code: Option<String>,
    /// What a screen reader says.
    pub name: String,
    /// Distinct pictures painted.
    pub frames_shown: u64,
    /// Pictures that came and were not painted: dropped before the decoder, by the daemon, or replaced by a newer one.
    pub frames_dropped: u64,
    /// From the request to the first picture, ms.
    pub first_picture_ms: Option<f64>,
    /// Capture to paint over the last minute, ms.
    pub latency_ms: Option<Latency>,
    /// The decoder in use.
    pub decoder: Option<String>,
    /// Where the tile lies in the window: left, top, width, height, in pixels.
    pub rect: [f32; 4],
    /// Where its picture lies in the window, bars around it excluded; null when none was drawn.
    pub picture: Option<[f32; 4]>,
}

/// A latency, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
}

/// How long looks took from the request to the first picture painted, ms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FirstPictures {
    /// Looks that had one.
    pub count: usize,
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
}

impl FirstPictures {
    /// The figures of some looks; none without a look.
    pub fn of(mut ms: Vec<f64>) -> Option<Self> {
        ms.sort_by(f64::total_cmp);
        let at = |share: f64| ms.get((ms.len() as f64 * share) as usize).copied();
        Some(Self { count: ms.len(), p50: at(0.5)?, p95: at(0.95)? })
    }
}

/// The whole run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The tiles of the layout that hold a camera.
    pub tiles: Vec<TileReport>,
    /// Entries in the log.
    pub ledger_entries: u64,
    /// Receipts of looks that were checked and kept.
    pub receipts: u64,
    /// Whether the log can be written.
    pub ledger_writable: bool,
    /// Whether the media socket is up.
    pub connected: bool,
    /// The notices on screen, for tests: what the operator is being told.
    pub notices: Vec<String>,
    /// Repaints in the last second.
    pub hz: f32,
    /// CPU of this process so far, all threads, s.
    pub cpu_s: f64,
    /// Time since start, s.
    pub wall_s: f64,
    /// First pictures of all live looks of the run.
    pub first_pictures_ms: Option<FirstPictures>,
    /// Median over the tiles of the median latency in each minute of the run, ms: it must not grow.
    pub latency_by_minute: Vec<f64>,
    /// What was given up for want of strength: 0 nothing, 1 15 Hz, 2 sub streams, 3 key frames.
    pub shed_level: u8,
}

/// Figures that outlive a player: a tile that changed its stream goes on counting.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    /// Pictures painted by players that are gone.
    pub shown: u64,
    /// Pictures they dropped.
    pub dropped: u64,
    /// The first of their first pictures, ms.
    pub first_picture_ms: Option<f64>,
}

/// Keeps sums per tile and camera, and the course of the latency.
#[derive(Debug)]
pub struct Book {
    started: Instant,
    sums: HashMap<(usize, String), Sums>,
    first_pictures: Vec<f64>,
    minutes: Vec<f64>,
    this_minute: Vec<f64>,
}

impl Default for Book {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            sums: HashMap::new(),
            first_pictures: Vec::new(),
            minutes: Vec::new(),
            this_minute: Vec::new(),
        }
    }
}

/// Pictures that came and were not painted.
pub fn dropped(stats: &PlayerStats, skipped: u64) -> u64 {
    stats.frames_dropped + stats.overwritten + skipped
}

impl Book {
    /// A player is gone; its figures stay.
    pub fn close(&mut self, tile: usize, camera: &str, stats: &PlayerStats, skipped: u64) {
        let sums = self.sums.entry((tile, camera.to_owned())).or_default();
        sums.shown += stats.frames_shown;
        sums.dropped += dropped(stats, skipped);
        sums.first_picture_ms = sums.first_picture_ms.or(stats.first_picture_ms);
        // A shift opens some thousands of looks; the oldest tell nothing new.
        if self.first_pictures.len() >= 10_000 {
            self.first_pictures.clear();
        }
        self.first_pictures.extend(stats.first_picture_ms);
    }

    /// First pictures of the looks that are over.
    pub fn first_pictures(&self) -> Vec<f64> {
        self.first_pictures.clone()
    }

    /// The sums of a tile and camera.
    pub fn sums(&self, tile: usize, camera: &str) -> Sums {
        self.sums.get(&(tile, camera.to_owned())).copied().unwrap_or_default()
    }

    /// Learns the median latency of the wall, once a second.
    pub fn latency(&mut self, ms: f64) {
        let minute = self.wall_s() as usize / 60;
        if minute > self.minutes.len() {
            self.minutes.push(median(&mut std::mem::take(&mut self.this_minute)).unwrap_or(0.0));
        }
        self.this_minute.push(ms);
    }

    /// Medians of the minutes so far, the one under way included.
    pub fn by_minute(&self) -> Vec<f64> {
        let mut all = self.minutes.clone();
        all.extend(median(&mut self.this_minute.clone()));
        all
    }

    /// Time since start, s.
    pub fn wall_s(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

/// The middle value.
pub fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// CPU of this process, all threads, in s, from `/proc/self/stat` (proc(5), fields 14 and 15, in ticks of 10 ms); 0 where
/// there is none.
pub fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in brackets may hold spaces.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// Writes the report so that a reader never sees half of it.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, report: &Report) -> std::io::Result<()> {
    let json = serde_json::to_vec_pretty(report).map_err(std::io::Error::other)?;
    let half = path.with_extension("json.part");
    std::fs::write(&half, json)?;
    std::fs::rename(&half, path)
}

/// Writes a picture of the window as PNG.
///
/// # Errors
/// When the file cannot be written.
pub fn write_png(path: &Path, picture: &egui::ColorImage) -> Result<(), image::ImageError> {
    let bytes: Vec<u8> = picture.pixels.iter().flat_map(egui::Color32::to_array).collect();
    let [width, height] = picture.size;
    image::save_buffer(path, &bytes, width as u32, height as u32, image::ColorType::Rgba8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_outlive_their_player() {
        let mut book = Book::default();
        let stats = PlayerStats {
            frames_shown: 10,
            frames_dropped: 1,
            first_picture_ms: Some(120.0),
            ..PlayerStats::default()
        };
        book.close(0, "ENS-C01", &stats, 2);
        book.close(0, "ENS-C01", &PlayerStats { first_picture_ms: Some(90.0), ..stats }, 0);
        let sums = book.sums(0, "ENS-C01");
        assert_eq!((sums.shown, sums.dropped, sums.first_picture_ms), (20, 4, Some(120.0)));
    }

    #[test]
    fn this_process_uses_cpu() {
        let before = cpu_seconds();
        let mut x = 0_u64;
        while cpu_seconds() <= before {
            x = x.wrapping_mul(31).wrapping_add(7);
        }
        assert!(cpu_seconds() > before, "{x}");
    }
}
