//! What a camera writes into its own picture: the row of cells and the seconds of the minute, large enough to be
//! read off a screenshot of a small tile.

use super::{Canvas, Ink};
use crate::code;

const BLACK: Ink = Ink { y: 16, u: 128, v: 128 };
const WHITE: Ink = Ink { y: 235, u: 128, v: 128 };

/// Five by seven dots for each digit, the decimal point and `s`; a row is five bits, the leftmost highest.
const DIGITS: [[u8; 7]; 10] = [
    [14, 17, 19, 21, 25, 17, 14],
    [4, 12, 4, 4, 4, 4, 14],
    [14, 17, 1, 2, 4, 8, 31],
    [31, 2, 4, 2, 1, 17, 14],
    [2, 6, 10, 18, 31, 2, 2],
    [31, 16, 30, 1, 1, 17, 14],
    [6, 8, 16, 30, 17, 17, 14],
    [31, 1, 2, 4, 8, 8, 8],
    [14, 17, 17, 14, 17, 17, 14],
    [14, 17, 17, 15, 1, 2, 12],
];

/// Draws the overlay of a frame of the minute.
pub fn draw(canvas: &mut Canvas, frame: u16) {
    let cell = canvas.width as f32 / code::CELLS_PER_WIDTH as f32;
    let at = |cells: f32| (cells * cell).round() as usize;
    canvas.block(at(0.5), at(0.5), at(15.5), at(2.5), BLACK, 1.0);
    for (n, &white) in code::encode(frame).iter().enumerate() {
        if white {
            let left = n as f32 + 1.0;
            canvas.block(at(left), at(1.0), at(left + 1.0), at(2.0), WHITE, 1.0);
        }
    }
    seconds(canvas, frame, (at(1.0), at(3.0)), (at(0.3)).max(1));
}

/// Seconds and hundredths, such as `07.48`, in dots of `dot` pixels, with a dark rim so that it reads on any ground.
fn seconds(canvas: &mut Canvas, frame: u16, (left, top): (usize, usize), dot: usize) {
    let hundredths = usize::from(frame) * 4;
    let digits = [hundredths / 1000, hundredths / 100 % 10, 10, hundredths / 10 % 10, hundredths % 10];
    // First every rim, then every face, so that no rim covers a neighbour.
    for rim in [true, false] {
        let mut x = left;
        let grow = if rim { dot.div_ceil(3) } else { 0 };
        let ink = if rim { BLACK } else { WHITE };
        for (place, &digit) in digits.iter().enumerate() {
            // Hundredths are half the size: the eye reads the seconds.
            let large = dot;
            let dot = if place > 2 { large.div_ceil(2) } else { large };
            let drop = 7 * (large - dot);
            if digit == 10 {
                let y = top + 6 * dot;
                canvas.block(x - grow, y - grow, x + dot + grow, y + dot + grow, ink, 1.0);
                x += 2 * dot;
                continue;
            }
            for (row, bits) in DIGITS[digit].iter().enumerate() {
                for column in (0..5).filter(|c| bits >> (4 - c) & 1 == 1) {
                    let (dx, dy) = (x + column * dot, top + drop + row * dot);
                    canvas.block(dx - grow, dy - grow, dx + dot + grow, dy + dot + grow, ink, 1.0);
                }
            }
            x += 6 * dot;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_can_be_read_from_main_and_sub() {
        for frame in (0..code::FRAMES).step_by(37) {
            let mut main = Canvas::new(1280, 720);
            main.planes[..1280 * 720].fill(150);
            draw(&mut main, frame);
            let mut sub = Canvas::new(640, 360);
            main.halved_into(&mut sub);
            for canvas in [&main, &sub] {
                let picture = code::Picture {
                    pixels: &canvas.planes,
                    width: canvas.width,
                    height: canvas.height,
                    channels: 1,
                };
                assert_eq!(code::read(&picture, picture.bounds()), Some(frame));
                assert_eq!(code::read_whole(&picture), Some(frame));
            }
        }
    }
}
