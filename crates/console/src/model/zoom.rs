//! Digital zoom: which part of a picture a tile shows.

use egui::{Pos2, Rect, Vec2, pos2, vec2};

/// Largest digital zoom.
const ZOOM_MAX: f32 = 8.0;

/// Part of the picture that a tile shows: digital zoom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Zoom {
    /// 1 shows all.
    pub factor: f32,
    /// Middle of what is shown, 0..1 in both directions.
    pub centre: Pos2,
}

impl Default for Zoom {
    fn default() -> Self {
        Self { factor: 1.0, centre: pos2(0.5, 0.5) }
    }
}

impl Zoom {
    /// The part of the picture that is shown.
    pub fn part(self) -> Rect {
        Rect::from_center_size(self.centre, Vec2::splat(1.0 / self.factor))
    }

    /// Zooms by `by`, keeping the point of the tile at `at` (0..1) where it is.
    #[must_use]
    pub fn zoomed(self, by: f32, at: Pos2) -> Self {
        let factor = (self.factor * by).clamp(1.0, ZOOM_MAX);
        let part = self.part();
        let anchor = part.min + vec2(at.x * part.width(), at.y * part.height());
        let side = 1.0 / factor;
        let centre = anchor + vec2(0.5 - at.x, 0.5 - at.y) * side;
        Self { factor, centre }.clamped()
    }

    /// Moves by a part of the tile.
    #[must_use]
    pub fn moved(self, by: Vec2) -> Self {
        Self { centre: self.centre - by / self.factor, ..self }.clamped()
    }

    fn clamped(self) -> Self {
        let half = 0.5 / self.factor;
        let centre = pos2(self.centre.x.clamp(half, 1.0 - half), self.centre.y.clamp(half, 1.0 - half));
        Self { centre, ..self }
    }
}
