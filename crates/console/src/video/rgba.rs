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
            let (blue, red) = match layout {
                Layout::I420 => (first.get(x / 2), second.get(x / 2)),
                Layout::Nv12 => (first.get(x / 2 * 2), first.get(x / 2 * 2 + 1)),
            };
            let ycc = [sample, *blue?, *red?];
            let rgb = fixed.map(|row| {
                let sum: i32 = (0..3).map(|i| row[i] * (i32::from(ycc[i]) - offset[i])).sum();
                ((sum + 32768) >> 16).clamp(0, 255) as u8
            });
            // A pixel of the camera is data, not design: the one place outside the theme that makes colours.
            #[allow(clippy::disallowed_methods)]
            pixels.push(Color32::from_rgb(rgb[0], rgb[1], rgb[2]));
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
        let luma = [81, 81, 41, 41, 99, 99, 81, 81, 41, 41, 99, 99];
        let (blue, red, both) = ([90, 240, 7], [240, 110, 7], [90, 240, 240, 110, 7, 7]);
        let colour = Colour::new(0.299, 0.114, false);
        let luma = Plane::new(&luma, 6, 4, 2, 1).unwrap();
        let three = [luma, Plane::new(&blue, 3, 2, 1, 1).unwrap(), Plane::new(&red, 3, 2, 1, 1).unwrap()];
        let two = [luma, Plane::new(&both, 6, 2, 1, 2).unwrap()];
        let planar = image_from_planes(&three, Layout::I420, &colour).unwrap();
        assert_eq!(planar, image_from_planes(&two, Layout::Nv12, &colour).unwrap());
        assert_eq!(planar.size, [4, 2]);
        for (index, pixel) in planar.pixels.iter().enumerate() {
            let expected = if index % 4 < 2 { [255, 0, 0, 255] } else { [0, 0, 255, 255] };
            for (found, expected) in pixel.to_array().into_iter().zip(expected) {
                assert!(found.abs_diff(expected) <= 2, "{pixel:?} is not {expected:?}");
            }
        }
    }

    #[test]
    fn a_missing_plane_is_no_picture() {
        let samples = [0_u8; 8];
        let luma = Plane::new(&samples, 4, 4, 2, 1).unwrap();
        let colour = Colour::new(0.299, 0.114, false);
        assert!(image_from_planes(&[luma], Layout::I420, &colour).is_none());
        let narrow = Plane::new(&samples, 1, 1, 1, 1).unwrap();
        assert!(image_from_planes(&[luma, narrow, narrow], Layout::I420, &colour).is_none());
    }
}
