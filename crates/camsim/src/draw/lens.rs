//! Where the camera hangs and what it sees: metres of the street to pixels of the picture and back.
//!
//! x runs to the right, y up from the paving, z away from the camera's pole; all in metres.

use super::canvas::Point;

/// A place or a direction in the street.
pub type Vector = [f32; 3];

/// `a + b * by`
pub fn along(a: Vector, b: Vector, by: f32) -> Vector {
    [a[0] + b[0] * by, a[1] + b[1] * by, a[2] + b[2] * by]
}

/// The scalar product.
pub fn dot(a: Vector, b: Vector) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// The same direction, one metre long.
pub fn unit(a: Vector) -> Vector {
    let inverse = 1.0 / dot(a, a).sqrt().max(1e-6);
    [a[0] * inverse, a[1] * inverse, a[2] * inverse]
}

/// Component by component.
pub fn times(a: Vector, b: Vector) -> Vector {
    [a[0] * b[0], a[1] * b[1], a[2] * b[2]]
}

/// A camera on a pole, without roll.
#[derive(Debug, Clone)]
pub struct Lens {
    /// Where it hangs.
    pub eye: Vector,
    focal: f32,
    centre: Point,
    right: Vector,
    up: Vector,
    forward: Vector,
}

impl Lens {
    /// `yaw` to the right and `pitch` down in degrees, `view` the horizontal angle of view in degrees.
    pub fn new(eye: Vector, yaw: f32, pitch: f32, view: f32, width: usize, height: usize) -> Lens {
        let ((sy, cy), (sp, cp)) = (yaw.to_radians().sin_cos(), pitch.to_radians().sin_cos());
        Lens {
            eye,
            focal: width as f32 / 2.0 / (view / 2.0).to_radians().tan(),
            centre: (width as f32 / 2.0, height as f32 / 2.0),
            right: [cy, 0.0, -sy],
            up: [sy * sp, cp, cy * sp],
            forward: [sy * cp, -sp, cy * cp],
        }
    }

    /// The direction that a point of the picture looks in.
    pub fn ray(&self, (x, y): Point) -> Vector {
        let (dx, dy) = ((x - self.centre.0) / self.focal, (self.centre.1 - y) / self.focal);
        unit(along(along(self.forward, self.right, dx), self.up, dy))
    }

    /// Where a place appears, and how many pixels a metre measures there; `None` behind the camera.
    pub fn project(&self, place: Vector) -> Option<(Point, f32)> {
        let from = along(place, self.eye, -1.0);
        let depth = dot(from, self.forward);
        if depth < 1.0 {
            return None;
        }
        let scale = self.focal / depth;
        Some((
            (self.centre.0 + dot(from, self.right) * scale, self.centre.1 - dot(from, self.up) * scale),
            scale,
        ))
    }
}

/// A number from 0 to 1 that depends on three whole numbers and nothing else.
pub fn hash(a: i32, b: i32, c: i32) -> f32 {
    let mut h = (a as u32).wrapping_mul(0x8da6_b343)
        ^ (b as u32).wrapping_mul(0xd816_3841)
        ^ (c as u32).wrapping_mul(0xcb1a_b31f);
    h = (h ^ h >> 15).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ h >> 12).wrapping_mul(0x297a_2d39);
    ((h ^ h >> 15) >> 8) as f32 / 16_777_216.0
}

/// Smooth noise from 0 to 1 over a plane, with features one unit large.
pub fn ripple(x: f32, z: f32, seed: i32) -> f32 {
    let (ix, iz) = (x.floor(), z.floor());
    let (fx, fz) = (x - ix, z - iz);
    let (sx, sz) = (fx * fx * (3.0 - 2.0 * fx), fz * fz * (3.0 - 2.0 * fz));
    let at = |dx: i32, dz: i32| hash(ix as i32 + dx, iz as i32 + dz, seed);
    let near = at(0, 0) + (at(1, 0) - at(0, 0)) * sx;
    let far = at(0, 1) + (at(1, 1) - at(0, 1)) * sx;
    near + (far - near) * sz
}
