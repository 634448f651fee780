//! How the wall is divided. Layouts are fixed and numbered, so that a hand finds them in the dark.

use egui::{Pos2, Rect, Vec2, pos2, vec2};

/// A division of the wall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Layout {
    /// One picture.
    One,
    /// Two by two.
    Four,
    /// One large picture with five around it.
    OnePlusFive,
    /// Three by three.
    #[default]
    Nine,
    /// Four by four.
    Sixteen,
}

impl Layout {
    /// All, in the order of their numbers on the keypad (`* 1` is the first).
    pub const ALL: [Self; 5] = [Self::One, Self::Four, Self::OnePlusFive, Self::Nine, Self::Sixteen];

    /// The layout with this many tiles.
    pub fn with_tiles(tiles: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|layout| layout.tiles() == tiles)
    }

    /// The layout with this number on the keypad, from 1.
    pub fn numbered(number: usize) -> Option<Self> {
        Self::ALL.get(number.checked_sub(1)?).copied()
    }

    /// How many tiles it has.
    pub fn tiles(self) -> usize {
        match self {
            Self::One => 1,
            Self::Four => 4,
            Self::OnePlusFive => 6,
            Self::Nine => 9,
            Self::Sixteen => 16,
        }
    }

    /// Cells of the grid that each tile takes: column, row, and how many columns and rows.
    fn cells(self) -> (usize, Vec<[usize; 3]>) {
        let grid = |side: usize| (side, (0..side * side).map(|i| [i % side, i / side, 1]).collect());
        match self {
            Self::One => grid(1),
            Self::Four => grid(2),
            Self::Nine => grid(3),
            Self::Sixteen => grid(4),
            Self::OnePlusFive => (3, vec![[0, 0, 2], [2, 0, 1], [2, 1, 1], [0, 2, 1], [1, 2, 1], [2, 2, 1]]),
        }
    }

    /// Where each tile lies in `area`, with `gap` points between them, on whole points.
    pub fn rects(self, area: Rect, gap: f32) -> Vec<Rect> {
        let (side, cells) = self.cells();
        let pitch = (area.size() + Vec2::splat(gap)) / side as f32;
        let corner = |column: usize, row: usize| -> Pos2 {
            (area.min + vec2(pitch.x * column as f32, pitch.y * row as f32)).round()
        };
        cells
            .into_iter()
            .map(|[column, row, span]| {
                Rect::from_min_max(corner(column, row), corner(column + span, row + span) - Vec2::splat(gap))
            })
            .collect()
    }

    /// The tile one arrives at from `tile` by an arrow key; the same one at the edge.
    pub fn neighbour(self, tile: usize, direction: Direction) -> usize {
        let rects = self.rects(Rect::from_min_size(Pos2::ZERO, vec2(960.0, 960.0)), 0.0);
        let Some(from) = rects.get(tile) else { return 0 };
        let step = match direction {
            Direction::Left => vec2(from.left() - 1.0, from.top() + 1.0),
            Direction::Right => vec2(from.right() + 1.0, from.top() + 1.0),
            Direction::Up => vec2(from.left() + 1.0, from.top() - 1.0),
            Direction::Down => vec2(from.left() + 1.0, from.bottom() + 1.0),
        };
        rects.iter().position(|rect| rect.contains(pos2(step.x, step.y))).unwrap_or(tile)
    }
}

/// An arrow key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To the left.
    Left,
    /// To the right.
    Right,
    /// Up.
    Up,
    /// Down.
    Down,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_fill_the_wall_and_do_not_overlap() {
        let area = Rect::from_min_size(pos2(72.0, 56.0), vec2(1512.0, 996.0));
        for layout in Layout::ALL {
            let rects = layout.rects(area, 4.0);
            assert_eq!(rects.len(), layout.tiles());
            for (i, a) in rects.iter().enumerate() {
                assert!(area.expand(0.5).contains_rect(*a), "{layout:?} {a}");
                assert!(rects.iter().skip(i + 1).all(|b| !a.intersects(*b)), "{layout:?}");
            }
            let covered: f32 = rects.iter().map(Rect::area).sum();
            assert!(covered / area.area() > 0.97, "{layout:?} leaves holes");
        }
    }

    #[test]
    fn arrows_walk_the_wall() {
        assert_eq!(Layout::Nine.neighbour(0, Direction::Right), 1);
        assert_eq!(Layout::Nine.neighbour(0, Direction::Down), 3);
        assert_eq!(Layout::Nine.neighbour(0, Direction::Left), 0);
        assert_eq!(Layout::OnePlusFive.neighbour(0, Direction::Right), 1);
        assert_eq!(Layout::OnePlusFive.neighbour(5, Direction::Up), 2);
        assert_eq!(Layout::OnePlusFive.neighbour(3, Direction::Up), 0);
    }
}
