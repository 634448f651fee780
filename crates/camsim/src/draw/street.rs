//! Scenes.
use super::{Canvas, Ink};

/// Which street.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreetKind {
    /// Market.
    MarketByNight,
}
impl StreetKind {
    /// All.
    pub const ALL: [StreetKind; 1] = [StreetKind::MarketByNight];
    /// Name.
    pub fn name(self) -> &'static str {
        "market-night"
    }
}
/// A street.
#[derive(Debug)]
pub struct Street;
impl Street {
    /// New.
    pub fn new(_: StreetKind, _: usize, _: usize) -> Street {
        Street
    }
    /// Draw.
    pub fn draw(&mut self, frame: u16, canvas: &mut Canvas) {
        canvas.planes.fill(100);
        canvas.haze((frame as f32, 200.0), 50.0, 80.0, Ink { y: 200, u: 90, v: 160 }, 1.0);
    }
}
