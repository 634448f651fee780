//! A decoded picture as the decoder left it: planes, strides and what its numbers mean as colours.

use gstreamer_video::{self as gst_video, VideoColorMatrix, VideoColorRange, VideoFrameExt as _};

/// How the samples lie in memory. All are 8 bit, colour at half resolution both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Y, U and V in three planes: software decoders.
    I420,
    /// Y, then U and V in turn: hardware decoders.
    Nv12,
}

/// One plane of samples.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plane<'a> {
    /// Rows of `stride` bytes; the last may end after `width` samples.
    pub(super) data: &'a [u8],
    /// Bytes from one row to the next.
    pub(super) stride: usize,
    /// Samples per row; a sample of the second plane of NV12 is two bytes.
    pub(super) width: usize,
    /// Rows.
    pub(super) height: usize,
    /// Bytes per sample: 1 or 2.
    pub(super) sample: usize,
}

impl<'a> Plane<'a> {
    /// A plane, if `data` holds all its rows.
    pub(super) fn new(
        data: &'a [u8],
        stride: usize,
        width: usize,
        height: usize,
        sample: usize,
    ) -> Option<Self> {
        let needed = stride.checked_mul(height.checked_sub(1)?)?.checked_add(width.checked_mul(sample)?)?;
        (width > 0 && stride >= width * sample && data.len() >= needed).then_some(Self {
            data,
            stride,
            width,
            height,
            sample,
        })
    }

    /// Row `y`, without padding; empty past the end.
    pub(super) fn row(&self, y: usize) -> &'a [u8] {
        let start = y * self.stride;
        self.data.get(start..start + self.width * self.sample).unwrap_or_default()
    }
}

/// From Y'CbCr samples (0..1) to R'G'B' (0..1): `rgb = rows · (ycc − offset)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Colour {
    /// Black and neutral.
    pub(super) offset: [f32; 3],
    /// One row each for red, green and blue.
    pub(super) rows: [[f32; 3]; 3],
}

impl Colour {
    /// From the luma weights of red and blue (ITU-R BT.601: 0.299 and 0.114, BT.709: 0.2126 and 0.0722) and the range
    /// (full, or 16..235 and 16..240).
    pub(super) fn new(red: f32, blue: f32, full_range: bool) -> Self {
        let green = 1.0 - red - blue;
        let (luma, chroma, black) =
            if full_range { (1.0, 1.0, 0.0) } else { (255.0 / 219.0, 255.0 / 224.0, 16.0 / 255.0) };
        let (cr, cb) = (2.0 * (1.0 - red) * chroma, 2.0 * (1.0 - blue) * chroma);
        Self {
            offset: [black, 128.0 / 255.0, 128.0 / 255.0],
            rows: [[luma, 0.0, cr], [luma, -cb * blue / green, -cr * red / green], [luma, cb, 0.0]],
        }
    }

    /// What the stream says; where it says nothing, GStreamer has put BT.601 for SD and BT.709 for HD.
    fn of(colorimetry: gst_video::VideoColorimetry, height: u32) -> Self {
        let (red, blue) = match colorimetry.matrix() {
            VideoColorMatrix::Bt709 => (0.2126, 0.0722),
            VideoColorMatrix::Bt601 => (0.299, 0.114),
            VideoColorMatrix::Bt2020 => (0.2627, 0.0593),
            VideoColorMatrix::Fcc => (0.30, 0.11),
            VideoColorMatrix::Smpte240m => (0.212, 0.087),
            _ if height >= 720 => (0.2126, 0.0722),
            _ => (0.299, 0.114),
        };
        Self::new(red, blue, colorimetry.range() == VideoColorRange::Range0_255)
    }
}

/// A picture in the decoder's own memory, mapped once; it goes back to the decoder when the last holder lets go.
#[derive(Debug)]
pub(super) struct Frame {
    video: gst_video::VideoFrame<gst_video::video_frame::Readable>,
    pub(super) layout: Layout,
    pub(super) colour: Colour,
}

impl Frame {
    /// Maps `buffer`; `None` if it cannot be mapped or has another layout than I420 and NV12.
    pub(super) fn map(buffer: gstreamer::Buffer, info: &gst_video::VideoInfo) -> Option<Self> {
        let layout = match info.format() {
            gst_video::VideoFormat::I420 => Layout::I420,
            gst_video::VideoFormat::Nv12 => Layout::Nv12,
            _ => return None,
        };
        let colour = Colour::of(info.colorimetry(), info.height());
        let video = gst_video::VideoFrame::from_buffer_readable(buffer, info).ok()?;
        Some(Self { video, layout, colour })
    }

    /// Width and height in pixels.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.video.width(), self.video.height())
    }

    /// Two or three planes; `None` if one is shorter than it should be.
    pub(super) fn planes(&self) -> Option<Vec<Plane<'_>>> {
        let (width, height) = (self.video.width() as usize, self.video.height() as usize);
        let count = if self.layout == Layout::I420 { 3 } else { 2 };
        (0..count)
            .map(|index| {
                let data = self.video.plane_data(index).ok()?;
                let stride = usize::try_from(*self.video.plane_stride().get(index as usize)?).ok()?;
                let (w, h) =
                    if index == 0 { (width, height) } else { (width.div_ceil(2), height.div_ceil(2)) };
                let sample = if index == 1 && self.layout == Layout::Nv12 { 2 } else { 1 };
                Plane::new(data, stride, w, h, sample)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rgb(colour: &Colour, ycc: [u8; 3]) -> [i32; 3] {
        colour.rows.map(|row| {
            let sum: f32 = (0..3).map(|i| row[i] * (f32::from(ycc[i]) / 255.0 - colour.offset[i])).sum();
            (sum * 255.0).round() as i32
        })
    }

    fn near(found: [i32; 3], expected: [i32; 3]) {
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() <= 2, "{found:?} is not {expected:?}");
        }
    }

    /// The 100 % colour bars as both standards code them.
    #[test]
    fn known_colours() {
        let sd = Colour::new(0.299, 0.114, false);
        near(rgb(&sd, [16, 128, 128]), [0, 0, 0]);
        near(rgb(&sd, [235, 128, 128]), [255, 255, 255]);
        near(rgb(&sd, [81, 90, 240]), [255, 0, 0]);
        near(rgb(&sd, [145, 54, 34]), [0, 255, 0]);
        near(rgb(&sd, [41, 240, 110]), [0, 0, 255]);
        let hd = Colour::new(0.2126, 0.0722, false);
        near(rgb(&hd, [63, 102, 240]), [255, 0, 0]);
        near(rgb(&hd, [173, 42, 26]), [0, 255, 0]);
        near(rgb(&hd, [32, 240, 118]), [0, 0, 255]);
        let full = Colour::new(0.299, 0.114, true);
        near(rgb(&full, [76, 85, 255]), [255, 1, 0]);
        near(rgb(&full, [255, 128, 128]), [255, 255, 255]);
    }

    #[test]
    fn a_short_plane_is_refused() {
        let data = [0_u8; 100];
        assert!(Plane::new(&data, 10, 8, 10, 1).is_some(), "the last row may end early");
        assert!(Plane::new(&data[..98], 10, 8, 10, 1).is_some());
        assert!(Plane::new(&data[..97], 10, 8, 10, 1).is_none());
        assert!(Plane::new(&data, 10, 8, 10, 2).is_none(), "rows overlap");
        assert!(Plane::new(&data, 10, 0, 10, 1).is_none());
        assert!(Plane::new(&data, 10, 8, 0, 1).is_none());
        assert!(Plane::new(&data, usize::MAX, 8, 3, 1).is_none());
    }
}
