//! Cars, vans and a bus: boxes with wheels, windows and lights, driving along a line.

use super::{
    Canvas,
    canvas::Point,
    lens::{Lens, Vector, along, dot, unit},
    people::shade,
    town::Town,
};
use std::f32::consts::TAU;

/// What drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// A hatchback.
    Car,
    /// A delivery van.
    Van,
    /// A town bus.
    Bus,
}

/// A vehicle and its line; times as for a person.
#[derive(Debug, Clone)]
pub struct Vehicle {
    /// Where from, ground (x, z).
    pub from: [f32; 2],
    /// Where to.
    pub to: [f32; 2],
    /// Share of the minute at which it starts.
    pub start: f32,
    /// Share of the minute the way takes; parked when zero, at `from`.
    pub takes: f32,
    /// What it is.
    pub body: Body,
    /// Paint.
    pub paint: Vector,
}

impl Vehicle {
    /// Place and direction at a share of the minute; `None` while it is elsewhere.
    pub fn at(&self, minute: f32) -> Option<(Vector, Vector)> {
        let (dx, dz) = (self.to[0] - self.from[0], self.to[1] - self.from[1]);
        let ahead = unit([dx, 0.0, dz]);
        if self.takes <= 0.0 {
            return Some(([self.from[0], 0.0, self.from[1]], ahead));
        }
        let t = (minute - self.start).rem_euclid(1.0) / self.takes;
        (t < 1.0).then(|| ([self.from[0] + dx * t, 0.0, self.from[1] + dz * t], ahead))
    }

    /// Draws the vehicle where it is, with its lights on when the town's are.
    pub fn draw(&self, canvas: &mut Canvas, lens: &Lens, town: &Town, minute: f32) {
        let Some((place, ahead)) = self.at(minute) else { return };
        let side = [ahead[2], 0.0, -ahead[0]];
        let (length, width, belt, roof) = match self.body {
            Body::Car => (4.2, 1.78, 0.92, 1.48),
            Body::Van => (5.4, 2.0, 1.25, 2.4),
            Body::Bus => (11.8, 2.5, 1.1, 3.0),
        };
        for step in [-0.3, 0.0, 0.3] {
            shade(canvas, lens, town, along(place, ahead, length * step), roof * 0.8, length * 0.28);
        }
        let mut box_ = Hull { canvas, lens, town, place, ahead, side };
        let (l, w) = (length / 2.0, width / 2.0);
        let night = town.lit > 0.3 && self.takes > 0.0;
        if night {
            box_.beams(l);
        }
        match self.body {
            Body::Car => {
                box_.prism([l, l * 0.96, w, w * 0.97], [0.28, belt], self.paint, None);
                box_.prism([l * 0.50, l * 0.24, w * 0.94, w * 0.78], [belt, roof], self.paint, Some(0.0));
            }
            Body::Van => {
                box_.prism([l, l * 0.97, w, w], [0.3, belt], self.paint, None);
                box_.prism([l * 0.95, l * 0.86, w, w * 0.95], [belt, roof], self.paint, Some(0.62));
            }
            Body::Bus => {
                box_.prism([l, l, w, w], [0.3, belt], self.paint, None);
                box_.prism([l, l * 0.99, w, w], [belt, roof - 0.6], self.paint, Some(0.0));
                box_.prism([l, l * 0.98, w, w * 0.96], [roof - 0.6, roof], self.paint, None);
            }
        }
        box_.wheels(l, w);
        box_.lamps(l, w, night);
    }
}

struct Hull<'a> {
    canvas: &'a mut Canvas,
    lens: &'a Lens,
    town: &'a Town,
    place: Vector,
    ahead: Vector,
    side: Vector,
}

impl Hull<'_> {
    fn point(&self, ahead: f32, up: f32, side: f32) -> Vector {
        let at = along(along(self.place, self.ahead, ahead), self.side, side);
        [at[0], up, at[2]]
    }

    fn seen(&self, corners: &[Vector]) -> Option<Vec<Point>> {
        corners.iter().map(|&c| self.lens.project(c).map(|(p, _)| p)).collect()
    }

    fn face(&mut self, corners: &[Vector], albedo: Vector, gloss: f32) {
        let Some(points) = self.seen(corners) else { return };
        let middle = corners.iter().fold([0.0; 3], |sum, &c| along(sum, c, 1.0 / corners.len() as f32));
        let edge = |n: usize| along(corners[n], corners[0], -1.0);
        let (a, b) = (edge(1), edge(2));
        let mut normal =
            unit([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]);
        let outward = along(middle, [self.place[0], middle[1] - 0.2, self.place[2]], -1.0);
        if dot(normal, outward) < 0.0 {
            normal = normal.map(|c| -c);
        }
        if dot(normal, along(self.lens.eye, middle, -1.0)) <= 0.0 {
            return;
        }
        let light = self.town.light(middle, normal);
        // Paint mirrors a little of the sky.
        let sky = self.town.sky.1.map(|c| c * gloss);
        let colour = [0, 1, 2].map(|i| albedo[i] * light[i] + sky[i]);
        self.canvas.polygon(&points, self.town.ink(colour), 1.0);
    }

    /// A block with half-lengths and half-widths at its bottom and top. `glass` gives its sides windows, from that share
    /// of the length on forwards.
    fn prism(
        &mut self,
        [l0, l1, w0, w1]: [f32; 4],
        [low, high]: [f32; 2],
        paint: Vector,
        glass: Option<f32>,
    ) {
        let pane = [0.03, 0.035, 0.04];
        let walls: [([f32; 2], [f32; 2]); 4] = [
            ([1.0, 1.0], [1.0, -1.0]),
            ([-1.0, 1.0], [-1.0, -1.0]),
            ([1.0, 1.0], [-1.0, 1.0]),
            ([1.0, -1.0], [-1.0, -1.0]),
        ];
        for (at, (p, q)) in walls.iter().enumerate() {
            let corner = |[a, s]: [f32; 2], top: f32| {
                let (l, w) = (l0 + (l1 - l0) * top, w0 + (w1 - w0) * top);
                self.point(a * l, low + (high - low) * top, s * w)
            };
            let whole = [corner(*p, 0.0), corner(*q, 0.0), corner(*q, 1.0), corner(*p, 1.0)];
            let flank = at > 1;
            let inset = glass.map(|from| {
                let mixed = |share: f32| [p[0] + (q[0] - p[0]) * share, p[1] + (q[1] - p[1]) * share];
                let to = if flank && from > 0.0 { 1.0 - from } else { 0.95 };
                let (a, b) = (mixed(0.05), mixed(to));
                [corner(a, 0.08), corner(b, 0.08), corner(b, 0.86), corner(a, 0.86)]
            });
            self.face(&whole, paint, 0.06);
            if let Some(inset) = inset {
                let inside =
                    if self.town.lit > 0.3 && high > 2.0 && low > 1.0 && l0 > 4.0 { 1.0 } else { 0.0 };
                self.face(&inset, pane, 0.22);
                if inside > 0.0 {
                    self.lit_windows(&inset);
                }
            }
        }
        let roof = [[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [-1.0, 1.0]]
            .map(|[a, s]: [f32; 2]| self.point(a * l1, high, s * w1));
        self.face(&roof, paint, 0.12);
    }

    /// The lit inside of a bus behind its windows, with posts between them.
    fn lit_windows(&mut self, inset: &[Vector; 4]) {
        let [a, b, c, d] = *inset;
        let middle = along(along([0.0; 3], a, 0.5), c, 0.5);
        let outward = along(middle, self.place, -1.0);
        let normal = if dot(outward, self.side).abs() > 1.0 {
            self.side.map(|v| v * dot(outward, self.side).signum())
        } else {
            self.ahead.map(|v| v * dot(outward, self.ahead).signum())
        };
        if dot(normal, along(self.lens.eye, middle, -1.0)) <= 0.0 {
            return;
        }
        let panes = if dot(outward, self.side).abs() > 1.0 { 7 } else { 1 };
        let between = |p: Vector, q: Vector, share: f32| along(p.map(|v| v * (1.0 - share)), q, share);
        for n in 0..panes {
            let (from, to) = ((n as f32 + 0.06) / panes as f32, (n as f32 + 0.94) / panes as f32);
            let pane = [between(a, b, from), between(a, b, to), between(d, c, to), between(d, c, from)];
            if let Some(points) = self.seen(&pane) {
                let warmth = 0.7 + 0.2 * (n % 3) as f32;
                let ink = self.town.ink([0.62, 0.60, 0.50].map(|v: f32| v * warmth));
                self.canvas.polygon(&points, ink, 0.9);
            }
        }
    }

    fn wheels(&mut self, l: f32, w: f32) {
        let near = if dot(along(self.lens.eye, self.place, -1.0), self.side) > 0.0 { 1.0 } else { -1.0 };
        for ahead in [l * 0.62, -l * 0.62] {
            for (radius, albedo) in [(0.34, [0.015; 3]), (0.19, [0.22, 0.22, 0.23])] {
                let rim: Vec<Vector> = (0..12)
                    .map(|n| {
                        let (s, c) = (n as f32 / 12.0 * TAU).sin_cos();
                        self.point(ahead + radius * c, 0.34 + radius * s, near * (w + 0.01))
                    })
                    .collect();
                if let Some(points) = self.seen(&rim) {
                    let ink = self.town.lit(albedo, self.place);
                    self.canvas.polygon(&points, ink, 1.0);
                }
            }
        }
    }

    /// Head lamps' light on the road ahead, under the body.
    fn beams(&mut self, l: f32) {
        for (distance, size, strength) in [(3.0, 1.6, 0.28), (6.0, 2.4, 0.20), (10.0, 3.2, 0.11)] {
            let spot = self.point(l + distance, 0.0, 0.0);
            if let Some((at, scale)) = self.lens.project(spot) {
                let ink = self.town.ink([1.6, 1.5, 1.3]);
                let flat = scale * size * 0.42;
                let strength = if self.town.ambient[0] > 0.1 { strength * 0.4 } else { strength };
                self.canvas.glow(at, scale * size * 1.25, flat, ink, strength);
            }
        }
    }

    fn lamps(&mut self, l: f32, w: f32, night: bool) {
        let towards = dot(along(self.lens.eye, self.place, -1.0), self.ahead);
        let (ahead, colour, plain) = if towards > 0.0 {
            (l, [4.0, 3.8, 3.3], [0.7, 0.7, 0.68])
        } else {
            (-l, [3.0, 0.12, 0.06], [0.35, 0.02, 0.02])
        };
        for side in [-0.72, 0.72] {
            let at = self.point(ahead, 0.68, side * w);
            let Some((spot, scale)) = self.lens.project(at) else { continue };
            if !night {
                let ink = self.town.lit(plain, at);
                self.canvas.capsule(spot, spot, 0.10 * scale, 0.10 * scale, ink, 1.0);
                continue;
            }
            let ink = self.town.ink(colour);
            // A lamp dazzles who looks into it, and by dusk less than by night.
            let from_eye = along(self.lens.eye, at, -1.0);
            let into = (towards.abs() / dot(from_eye, from_eye).sqrt().max(1.0)).min(1.0);
            let dusk = if self.town.ambient[0] > 0.1 { 0.5 } else { 1.0 };
            let glare = (0.35 + 1.1 * into * into) * dusk;
            self.canvas.glow(spot, glare * scale, glare * scale, ink, 0.7);
            self.canvas.capsule(spot, spot, 0.11 * scale, 0.11 * scale, ink, 1.0);
            if self.town.wet > 0.0 {
                // The lamp's image in the wet road: a long streak towards the viewer.
                let image = (spot.0, spot.1 + 1.9 * scale);
                self.canvas.glow(image, 0.28 * scale, 1.9 * scale, ink, 0.55);
            }
        }
    }
}
