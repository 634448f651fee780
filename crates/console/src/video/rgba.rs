//! The second path: a picture as RGBA, for stills, for image tests and where there is no OpenGL.

use super::frame::{Colour, Frame, Layout, Plane};
use egui::{Color32, ColorImage};

/// The picture as egui knows it; `None` if its planes are damaged.
pub(super) fn image_from_frame(frame: &Frame) -> Option<ColorImage> {
    image_from_planes(&frame.planes()?, frame.layout, &frame.colour)
}

/// Converts with 8-bit results and nearest-neighbour colour, as fast as plain integer code gets: stills only.
pub(super) fn image_from_planes(planes: &[Plane<'_>], layout: Layout, colour: &Colour) -> Option<ColorImage> {
    let luma = planes.first()?;
    let chroma = planes.get(1)?;
    // 16.16 fixed point of the same matrix the shader uses.
    let fixed = colour.rows.map(|row| row.map(|factor| (factor * 65536.0).round() as i32));
    let offset = colour.offset.map(|value| (value * 255.0).round() as i32);
    let mut pixels = Vec::with_capacity(luma.width * luma.height);
    for y in 0..luma.height {
        let (row, first) = (luma.row(y), chroma.row(y / 2));
        let second = match layout {
            Layout::I420 => planes.get(2)?.row(y / 2),
            Layout::Nv12 => first,
        };
        for (x, &sample) in row.iter().enumerate() {
            let (u, v) = match layout {
                Layout::I420 => (first.get(x / 2), second.get(x / 2)),
                Layout::Nv12 => (first.get(x / 2 * 2), first.get(x / 2 * 2 + 1)),
            };
            let ycc = [sample, *u?, *v?];
            let [r, g, b] = fixed.map(|row| {
                let sum: i32 = (0..3).map(|i| row[i] * (i32::from(ycc[i]) - offset[i])).sum();
                ((sum + 32768) >> 16).clamp(0, 255) as u8
            });
            // A pixel of the camera is data, not design: the one place outside the theme that makes colours.
            #[allow(clippy::disallowed_methods)]
            pixels.push(Color32::from_rgb(r, g, b));
        }
    }
    (pixels.len() == luma.width * luma.height).then(|| ColorImage::new([luma.width, luma.height], pixels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_give_the_same_colours_past_padding() {
        // 4x2 pixels: left half red, right half blue (BT.601), rows padded with garbage.
        let y = [81, 81, 41, 41, 99, 99, 81, 81, 41, 41, 99, 99];
        let (u, v) = ([90, 240, 7], [240, 110, 7]);
        let uv = [90, 240, 240, 110, 7, 7];
        let colour = Colour::new(0.299, 0.114, false);
        let luma = Plane::new(&y, 6, 4, 2, 1).unwrap();
        let three = [luma, Plane::new(&u, 3, 2, 1, 1).unwrap(), Plane::new(&v, 3, 2, 1, 1).unwrap()];
        let two = [luma, Plane::new(&uv, 6, 2, 1, 2).unwrap()];
        let a = image_from_planes(&three, Layout::I420, &colour).unwrap();
        let b = image_from_planes(&two, Layout::Nv12, &colour).unwrap();
        assert_eq!(a, b);
        assert_eq!(a.size, [4, 2]);
        for (index, pixel) in a.pixels.iter().enumerate() {
            let [r, g, b, alpha] = pixel.to_array();
            assert_eq!((alpha, g < 3), (255, true));
            assert_eq!(
                if index % 4 < 2 { (r > 252, b < 3) } else { (r < 3, b > 252) },
                (true, true),
                "{pixel:?}"
            );
        }
    }

    #[test]
    fn a_missing_plane_is_no_picture() {
        let y = [0_u8; 8];
        let luma = Plane::new(&y, 4, 4, 2, 1).unwrap();
        let colour = Colour::new(0.299, 0.114, false);
        assert!(image_from_planes(&[luma], Layout::I420, &colour).is_none());
        let narrow = Plane::new(&y, 1, 1, 1, 1).unwrap();
        assert!(image_from_planes(&[luma, narrow, narrow], Layout::I420, &colour).is_none());
    }
}
