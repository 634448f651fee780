//! The row of fourteen cells in the top-left corner of every picture that says which frame of the minute it is.
//!
//! A cell is a square of one fortieth of the picture's width. The row starts one cell from the left and one cell from
//! the top, on a black plate that reaches half a cell beyond it. From left to right: a white and a black guard cell,
//! eleven bits of frame number (0..1500, most significant first; white is 1) and one bit that makes the number of white
//! cells among the twelve odd: never none, or a street lamp before a dark sky would read as frame 0. It survives scaling, video compression and a letterboxed tile; [`read`] finds it in a
//! screenshot.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Cells in the row: two guards, eleven bits, one parity bit.
pub const CELLS: usize = 14;
/// Frames in the minute.
pub const FRAMES: u16 = 1500;
/// Frames per second.
pub const RATE: u16 = 25;
/// Time between two frames.
pub const FRAME_TIME: Duration = Duration::from_millis(40);
/// Cells that fit in the width of the picture: the size of a cell is the picture's width divided by this.
pub const CELLS_PER_WIDTH: usize = 40;

/// Half the difference in luma that a white and a black cell must keep between them to be believed.
const CONTRAST: i32 = 56;

/// The cells for a frame of the minute, `true` for white. Numbers from [`FRAMES`] up wrap around.
pub fn encode(frame: u16) -> [bool; CELLS] {
    let frame = frame % FRAMES;
    let mut cells = [false; CELLS];
    cells[0] = true;
    for (bit, cell) in cells[2..13].iter_mut().enumerate() {
        *cell = frame >> (10 - bit) & 1 == 1;
    }
    cells[13] = frame.count_ones().is_multiple_of(2);
    cells
}

/// The frame number in a row of cells; `None` when guards, parity or range say it is no row of ours.
pub fn decode(cells: &[bool; CELLS]) -> Option<u16> {
    let white = cells[2..].iter().filter(|&&c| c).count();
    if !cells[0] || cells[1] || white.is_multiple_of(2) {
        return None;
    }
    let frame = cells[2..13].iter().fold(0, |n, &c| n << 1 | u16::from(c));
    (frame < FRAMES).then_some(frame)
}

/// The frame of the minute that is due at an instant.
pub fn frame_at(now: SystemTime) -> u16 {
    let into_minute = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() % 60_000;
    (into_minute / 40) as u16
}

/// How old a frame was when it was seen. Ages are known modulo one minute; a frame seen up to five seconds before
/// it was due (clocks differ) counts as age zero.
pub fn age(frame: u16, seen: SystemTime) -> Duration {
    let into_minute = (seen.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() % 60_000) as u64;
    let age = (60_000 + into_minute - u64::from(frame % FRAMES) * 40) % 60_000;
    Duration::from_millis(if age > 55_000 { 0 } else { age })
}

/// Pixels to read from: rows without padding, `channels` bytes each (1 grey, 3 RGB, 4 RGBA).
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    /// Rows from top to bottom.
    pub pixels: &'a [u8],
    /// Pixels per row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Bytes per pixel.
    pub channels: usize,
}

/// A rectangle of a screenshot in pixels, for instance a tile of the wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rect {
    /// Left edge.
    pub x: usize,
    /// Top edge.
    pub y: usize,
    /// Width.
    pub width: usize,
    /// Height.
    pub height: usize,
}

impl Picture<'_> {
    /// The whole picture as a rectangle.
    pub fn bounds(&self) -> Rect {
        Rect { x: 0, y: 0, width: self.width, height: self.height }
    }

    /// Luma of the pixel that holds a point; black outside the picture.
    fn luma(&self, x: f32, y: f32) -> i32 {
        if x < 0.0 || y < 0.0 || x as usize >= self.width || y as usize >= self.height {
            return 0;
        }
        let at = (y as usize * self.width + x as usize) * self.channels;
        match self.pixels.get(at..at + self.channels) {
            Some([grey]) => i32::from(*grey),
            Some([red, green, blue, ..]) => {
                (i32::from(*red) * 54 + i32::from(*green) * 183 + i32::from(*blue) * 19) >> 8
            }
            _ => 0,
        }
    }
}

/// Reads the frame number off a picture shown inside `tile`, whatever bars or header the tile has around it.
///
/// The picture must show its whole left and top edge and at least half of the width it could have in the tile; a cell must be
/// at least four pixels wide. `None` when no row is found.
pub fn read(picture: &Picture<'_>, tile: Rect) -> Option<u16> {
    // The widest picture that can stand in the tile; it may be smaller where a header takes room.
    let widest = (tile.width as f32).max(tile.height as f32 * 16.0 / 9.0).min(tile.width as f32);
    let mut best: Option<(f32, u16)> = None;
    let mut width = widest;
    while width >= widest * 0.5 {
        let cell = width / CELLS_PER_WIDTH as f32;
        if cell < 4.0 {
            break;
        }
        let step = (cell / 5.0).max(1.0);
        let rows = ((tile.height as f32 - 2.0 * cell) / step).max(0.0) as usize;
        let columns = ((tile.width as f32 - CELLS as f32 * cell) / step).max(0.0) as usize;
        // The row is in the top-left of the picture, so in the upper half and left part of the tile.
        for row in 0..=rows / 2 {
            for column in 0..=columns * 2 / 3 {
                let x = tile.x as f32 + column as f32 * step;
                let y = tile.y as f32 + row as f32 * step;
                let Some((misfit, frame)) = row_at(picture, x, y, cell) else { continue };
                if best.is_none_or(|(least, _)| misfit < least) {
                    best = Some((misfit, frame));
                }
            }
        }
        width *= 0.985;
    }
    best.map(|(_, frame)| frame)
}

/// Reads the frame number off a picture that is nothing but the camera's: a decoder's output. Size and place of the row are known,
/// so no neighbour of it is mistaken for it.
pub fn read_whole(picture: &Picture<'_>) -> Option<u16> {
    let cell = picture.width as f32 / CELLS_PER_WIDTH as f32;
    row_at(picture, cell, cell, cell).map(|(_, frame)| frame)
}

/// Tries to read a row whose first cell has its corner at (x, y). The other number is how far the picture is from the row and
/// plate of that frame drawn there, in levels of luma: between long runs of one colour a row that is a cell longer or shorter
/// reads as well, but does not fit as well.
fn row_at(picture: &Picture<'_>, x: f32, y: f32, cell: f32) -> Option<(f32, u16)> {
    let centre = |n: f32| picture.luma(x + (n + 0.5) * cell, y + 0.5 * cell);
    // Cheap tests first: nearly every candidate ends here.
    let (white, black) = (centre(0.0), centre(1.0));
    // The absolute bounds keep out grey: a decoder that joined between key frames paints that where it knows nothing.
    if white - black < 2 * CONTRAST || white < 160 || black > 90 {
        return None;
    }
    let middle = i32::midpoint(white, black);
    // The plate: dark before the white guard, above and below it.
    let plate = [(-0.25, 0.5), (0.5, -0.25), (0.5, 1.25), (13.5, -0.25), (13.5, 1.25), (14.25, 0.5)];
    if plate.iter().any(|(px, py)| picture.luma(x + px * cell, y + py * cell) > middle) {
        return None;
    }
    let (mut dimmest, mut brightest, mut darkest) = (255, 0, 255);
    let mut cells = [false; CELLS];
    for (n, bit) in cells.iter_mut().enumerate() {
        let at = |dx: f32, dy: f32| picture.luma(x + (n as f32 + dx) * cell, y + dy * cell);
        let samples = [at(0.5, 0.5), at(0.3, 0.3), at(0.7, 0.3), at(0.3, 0.7), at(0.7, 0.7)];
        *bit = samples[0] > middle;
        for sample in samples {
            if (sample > middle) != *bit {
                return None; // not one flat cell
            }
            if *bit {
                dimmest = dimmest.min(sample);
            } else {
                brightest = brightest.max(sample);
                darkest = darkest.min(sample);
            }
        }
    }
    // The plate is one black; a night street is many.
    if dimmest - brightest < CONTRAST || brightest - darkest > CONTRAST {
        return None;
    }
    let frame = decode(&cells)?;
    let mut misfit = 0;
    for down in -1..3 {
        for across in -2..58 {
            let (px, py) = (across as f32 * 0.25 + 0.125, down as f32 * 0.5 + 0.25);
            let drawn = if (0..2).contains(&down) && (0..56).contains(&across) && cells[across as usize / 4] {
                white
            } else {
                black
            };
            misfit += (picture.luma(x + px * cell, y + py * cell) - drawn).abs();
        }
    }
    Some((misfit as f32 / 240.0, frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A grey picture with a row in it, as camsim's overlay draws it, with a noisy bright background.
    fn painted(frame: u16, width: usize, height: usize) -> Vec<u8> {
        let mut pixels: Vec<u8> = (0..width * height).map(|n| (n * 7919 % 251) as u8).collect();
        let cell = width as f32 / CELLS_PER_WIDTH as f32;
        let cells = encode(frame);
        for y in 0..height {
            for x in 0..width {
                let (cx, cy) = (x as f32 / cell - 1.0, y as f32 / cell - 1.0);
                if (-0.5..14.5).contains(&cx) && (-0.5..1.5).contains(&cy) {
                    let inside = (0.0..14.0).contains(&cx) && (0.0..1.0).contains(&cy);
                    pixels[y * width + x] = if inside && cells[cx as usize] { 235 } else { 16 };
                }
            }
        }
        pixels
    }

    #[test]
    fn every_frame_of_the_minute_survives_the_row() {
        for frame in 0..FRAMES {
            assert_eq!(decode(&encode(frame)), Some(frame));
        }
    }

    #[test]
    fn one_wrong_cell_is_refused() {
        for frame in 0..FRAMES {
            for cell in 0..CELLS {
                let mut cells = encode(frame);
                cells[cell] = !cells[cell];
                assert_eq!(decode(&cells), None);
            }
        }
    }

    #[test]
    fn is_read_in_a_letterboxed_tile_of_a_screenshot() {
        for (index, (width, height)) in [(640, 360), (283, 159), (347, 195), (1176, 662)].iter().enumerate() {
            let frame = 1 + index as u16 * 487;
            let inner = painted(frame, *width, *height);
            // An RGB screenshot with the picture in the middle of a taller tile, below a bright bar.
            let whole = Picture { pixels: &inner, width: *width, height: *height, channels: 1 };
            assert_eq!(read_whole(&whole), Some(frame), "{width}x{height}");
            let (w, h) = (width + 40, height + 130);
            let mut shot = vec![200_u8; w * h * 3];
            let tile = Rect { x: 13, y: 9, width: width + 8, height: height + 110 };
            for y in 0..*height {
                for x in 0..*width {
                    let at = ((y + 9 + 55) * w + x + 13 + 4) * 3;
                    shot[at..at + 3].fill(inner[y * width + x]);
                }
            }
            let picture = Picture { pixels: &shot, width: w, height: h, channels: 3 };
            assert_eq!(read(&picture, tile), Some(frame), "{width}x{height}");
        }
    }

    #[test]
    fn a_picture_without_a_row_reads_as_nothing() {
        assert_eq!(
            decode(&[
                true, false, false, false, false, false, false, false, false, false, false, false, false,
                false
            ]),
            None
        );
        let noise: Vec<u8> = (0..640 * 360_usize).map(|n| (n * n % 255) as u8).collect();
        let picture = Picture { pixels: &noise, width: 640, height: 360, channels: 1 };
        assert_eq!(read(&picture, picture.bounds()), None);
    }

    #[test]
    fn age_wraps_at_the_minute() {
        let at = |ms: u64| UNIX_EPOCH + Duration::from_millis(1_795_320_000_000 + ms);
        assert_eq!(frame_at(at(59_999)), 1499);
        assert_eq!(age(1499, at(60_100)), Duration::from_millis(140));
        assert_eq!(age(10, at(390)), Duration::ZERO);
    }
}
