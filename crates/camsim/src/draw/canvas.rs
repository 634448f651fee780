//! A picture in I420 planes and the few anti-aliased shapes that people, vehicles and lamps are made of.
//!
//! Coordinates are pixels with the origin in the top-left corner; shapes outside the picture are clipped. Coverage
//! is 0..=256, so that blending is one multiplication and one shift.

/// A point on the picture in pixels.
pub type Point = (f32, f32);

/// A colour in the video's own terms: BT.709 limited range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ink {
    /// Luma, 16..=235.
    pub y: i32,
    /// Blue difference, 128 is none.
    pub u: i32,
    /// Red difference, 128 is none.
    pub v: i32,
}

impl Ink {
    /// From gamma-coded red, green and blue, each 0..=1; brighter values are clipped.
    pub fn rgb([r, g, b]: [f32; 3]) -> Ink {
        let (r, g, b) = (r.clamp(0.0, 1.0), g.clamp(0.0, 1.0), b.clamp(0.0, 1.0));
        let luma = 0.2126 * r + 0.7152 * g + 0.0722 * b;
        Ink {
            y: 16 + (219.0 * luma) as i32,
            u: 128 + (224.0 * (b - luma) / 1.8556) as i32,
            v: 128 + (224.0 * (r - luma) / 1.5748) as i32,
        }
    }
}

/// One picture.
#[derive(Debug, Clone)]
pub struct Canvas {
    /// Pixels per row, even.
    pub width: usize,
    /// Rows, even.
    pub height: usize,
    /// Luma, then both chroma planes at half the size, without padding.
    pub planes: Vec<u8>,
}

impl Canvas {
    /// A black picture; odd sizes are rounded down.
    pub fn new(width: usize, height: usize) -> Canvas {
        let (width, height) = (width & !1, height & !1);
        let luma = width * height;
        let mut planes = vec![16; luma + luma / 2];
        planes[luma..].fill(128);
        Canvas { width, height, planes }
    }

    /// Makes this picture equal to another of the same size.
    pub fn copy_from(&mut self, other: &Canvas) {
        self.planes.copy_from_slice(&other.planes);
    }

    /// Blends a colour into one pixel. Chroma follows on every second pixel of every second row.
    #[inline]
    pub fn blend(&mut self, x: usize, y: usize, ink: Ink, coverage: i32) {
        mix(&mut self.planes[y * self.width + x], ink.y, coverage);
        if (x | y) & 1 == 0 {
            let luma = self.width * self.height;
            let at = luma + (y / 2) * (self.width / 2) + x / 2;
            mix(&mut self.planes[at], ink.u, coverage);
            mix(&mut self.planes[at + luma / 4], ink.v, coverage);
        }
    }

    /// The pixels a shape may touch, or nothing when it lies outside.
    fn clip(&self, left: f32, top: f32, right: f32, bottom: f32) -> Option<(usize, usize, usize, usize)> {
        let x0 = left.floor().max(0.0) as usize;
        let y0 = top.floor().max(0.0) as usize;
        let x1 = (right.ceil().max(0.0) as usize).min(self.width);
        let y1 = (bottom.ceil().max(0.0) as usize).min(self.height);
        (x0 < x1 && y0 < y1).then_some((x0, y0, x1, y1))
    }

    /// A limb: the round-ended stroke between two points, `ra` and `rb` wide to each side.
    pub fn capsule(&mut self, a: Point, b: Point, ra: f32, rb: f32, ink: Ink, opacity: f32) {
        let r = ra.max(rb) + 1.0;
        let (left, right) = (a.0.min(b.0) - r, a.0.max(b.0) + r);
        let (top, bottom) = (a.1.min(b.1) - r, a.1.max(b.1) + r);
        let Some((x0, y0, x1, y1)) = self.clip(left, top, right, bottom) else { return };
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let inverse = 1.0 / (dx * dx + dy * dy).max(1e-4);
        let scale = 256.0 * opacity;
        for y in y0..y1 {
            let py = y as f32 + 0.5 - a.1;
            for x in x0..x1 {
                let px = x as f32 + 0.5 - a.0;
                let t = ((px * dx + py * dy) * inverse).clamp(0.0, 1.0);
                let (qx, qy) = (px - t * dx, py - t * dy);
                let radius = ra + (rb - ra) * t;
                let squared = qx * qx + qy * qy;
                if squared >= (radius + 0.5) * (radius + 0.5) {
                    continue;
                }
                let coverage = ((radius + 0.5 - squared.sqrt()).min(1.0) * scale) as i32;
                self.blend(x, y, ink, coverage);
            }
        }
    }

    /// A filled convex polygon, its corners in either direction.
    pub fn polygon(&mut self, corners: &[Point], ink: Ink, opacity: f32) {
        const SUB: usize = 4;
        let (mut top, mut bottom) = (f32::MAX, f32::MIN);
        for c in corners {
            top = top.min(c.1);
            bottom = bottom.max(c.1);
        }
        let Some((_, y0, _, y1)) = self.clip(0.0, top, self.width as f32, bottom) else { return };
        let scale = 256.0 * opacity / SUB as f32;
        for y in y0..y1 {
            let mut spans = [(0.0_f32, 0.0_f32); SUB];
            let (mut outer, mut inner) = ((f32::MAX, f32::MIN), (f32::MIN, f32::MAX));
            for (n, span) in spans.iter_mut().enumerate() {
                let line = y as f32 + (n as f32 + 0.5) / SUB as f32;
                let (mut left, mut right) = (f32::MAX, f32::MIN);
                for (i, &p) in corners.iter().enumerate() {
                    let q = corners[(i + 1) % corners.len()];
                    if (p.1 <= line) != (q.1 <= line) {
                        let x = p.0 + (q.0 - p.0) * (line - p.1) / (q.1 - p.1);
                        left = left.min(x);
                        right = right.max(x);
                    }
                }
                if left > right {
                    (left, right) = (0.0, 0.0);
                }
                *span = (left, right);
                if right > left {
                    outer = (outer.0.min(left), outer.1.max(right));
                }
                inner = (inner.0.max(left), inner.1.min(right));
            }
            if outer.0 >= outer.1 {
                continue;
            }
            let x0 = outer.0.floor().max(0.0) as usize;
            let x1 = (outer.1.ceil().max(0.0) as usize).min(self.width);
            for x in x0..x1 {
                let (l, r) = (x as f32, x as f32 + 1.0);
                let coverage = if l >= inner.0 && r <= inner.1 {
                    SUB as f32
                } else {
                    spans.iter().map(|s| (r.min(s.1) - l.max(s.0)).max(0.0)).sum()
                };
                self.blend(x, y, ink, (coverage * scale) as i32);
            }
        }
    }

    /// A soft-edged ellipse of a colour: full in the middle, nothing at the rim.
    pub fn haze(&mut self, centre: Point, rx: f32, ry: f32, ink: Ink, opacity: f32) {
        self.soft_ellipse(centre, rx, ry, |canvas, x, y, strength| {
            canvas.blend(x, y, ink, (strength * opacity * 256.0) as i32);
        });
    }

    /// Light on what is already there: adds luma and pulls the chroma towards a colour.
    pub fn glow(&mut self, centre: Point, rx: f32, ry: f32, ink: Ink, strength: f32) {
        self.soft_ellipse(centre, rx, ry, |canvas, x, y, soft| {
            let gain = soft * soft * strength;
            let luma = &mut canvas.planes[y * canvas.width + x];
            let added = (f32::from(*luma) + gain * ink.y as f32).min(235.0) as i32;
            canvas.blend(x, y, Ink { y: added, ..ink }, ((gain * 160.0) as i32).min(200));
            canvas.planes[y * canvas.width + x] = added as u8;
        });
    }

    /// A soft shadow: `depth` is how much of the light is taken away in the middle, 0..=1.
    pub fn shadow(&mut self, centre: Point, rx: f32, ry: f32, depth: f32) {
        self.soft_ellipse(centre, rx, ry, |canvas, x, y, soft| {
            let luma = &mut canvas.planes[y * canvas.width + x];
            let kept = 1.0 - depth * (soft * 1.6).min(1.0);
            *luma = (16.0 + (f32::from(*luma) - 16.0).max(0.0) * kept) as u8;
        });
    }

    fn soft_ellipse(
        &mut self,
        centre: Point,
        rx: f32,
        ry: f32,
        mut dab: impl FnMut(&mut Canvas, usize, usize, f32),
    ) {
        let Some((x0, y0, x1, y1)) = self.clip(centre.0 - rx, centre.1 - ry, centre.0 + rx, centre.1 + ry)
        else {
            return;
        };
        let (ix, iy) = (1.0 / rx.max(0.5), 1.0 / ry.max(0.5));
        for y in y0..y1 {
            let dy = (y as f32 + 0.5 - centre.1) * iy;
            for x in x0..x1 {
                let dx = (x as f32 + 0.5 - centre.0) * ix;
                let reach = 1.0 - dx * dx - dy * dy;
                if reach > 0.0 {
                    dab(self, x, y, reach);
                }
            }
        }
    }

    /// A rectangle with hard edges on whole pixels.
    pub fn block(&mut self, x0: usize, y0: usize, x1: usize, y1: usize, ink: Ink, opacity: f32) {
        let coverage = (opacity * 256.0) as i32;
        for y in y0..y1.min(self.height) {
            for x in x0..x1.min(self.width) {
                self.blend(x, y, ink, coverage);
            }
        }
    }

    /// The picture as rows of red, green and blue.
    pub fn to_rgb(&self) -> Vec<u8> {
        let luma = self.width * self.height;
        let mut rgb = Vec::with_capacity(luma * 3);
        for at in 0..luma {
            let chroma = luma + at / self.width / 2 * (self.width / 2) + at % self.width / 2;
            let y = (f32::from(self.planes[at]) - 16.0) * 255.0 / 219.0;
            let u = (f32::from(self.planes[chroma]) - 128.0) * 255.0 / 224.0;
            let v = (f32::from(self.planes[chroma + luma / 4]) - 128.0) * 255.0 / 224.0;
            rgb.extend([y + 1.5748 * v, y - 0.1873 * u - 0.4681 * v, y + 1.8556 * u].map(|c| c as u8));
        }
        rgb
    }

    /// The picture at half the width and height: the sub stream's.
    pub fn halved_into(&self, half: &mut Canvas) {
        let luma = self.width * self.height;
        let small = half.width * half.height;
        let (y, chroma) = self.planes.split_at(luma);
        let (hy, hchroma) = half.planes.split_at_mut(small);
        shrink(y, self.width, hy, half.width);
        let (u, v) = chroma.split_at(luma / 4);
        let (hu, hv) = hchroma.split_at_mut(small / 4);
        shrink(u, self.width / 2, hu, half.width / 2);
        shrink(v, self.width / 2, hv, half.width / 2);
    }
}

/// Each pixel of the small plane is the mean of four of the large one.
fn shrink(from: &[u8], from_width: usize, to: &mut [u8], to_width: usize) {
    for (rows, out) in from.chunks_exact(from_width * 2).zip(to.chunks_exact_mut(to_width)) {
        let (upper, lower) = rows.split_at(from_width);
        for ((out, a), b) in out.iter_mut().zip(upper.chunks_exact(2)).zip(lower.chunks_exact(2)) {
            let sum = u16::from(a[0]) + u16::from(a[1]) + u16::from(b[0]) + u16::from(b[1]);
            *out = ((sum + 2) >> 2) as u8;
        }
    }
}

#[inline]
fn mix(pixel: &mut u8, value: i32, coverage: i32) {
    let old = i32::from(*pixel);
    *pixel = (old + (((value - old) * coverage + 128) >> 8)).clamp(0, 255) as u8;
}
