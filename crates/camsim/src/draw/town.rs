//! The still part of a street: walls with their houses, the paving, the lamps and the sky, and what light they give.
//!
//! Colours here are linear light; [`Town::ink`] exposes them as a camera would.

use super::{
    Ink,
    lens::{Vector, along, dot, hash, ripple, times, unit},
};

/// How the houses along a wall are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Narrow old houses with gables and shops below.
    Gables,
    /// A row under one kind of roof with shops and awnings below.
    Shops,
    /// One long public building with a tall middle, arched windows and a clock.
    Station,
    /// A church tower.
    Tower,
}

/// A row of houses along a straight line.
#[derive(Debug, Clone)]
pub struct Wall {
    from: [f32; 2],
    direction: [f32; 2],
    length: f32,
    normal: Vector,
    style: Style,
    houses: Vec<House>,
}

#[derive(Debug, Clone)]
struct House {
    from: f32,
    to: f32,
    eave: f32,
    roof: f32,
    colour: Vector,
    sign: Vector,
    stepped: bool,
    seed: i32,
}

const BRICKS: [Vector; 7] = [
    [0.30, 0.12, 0.08],
    [0.36, 0.17, 0.10],
    [0.55, 0.50, 0.42],
    [0.22, 0.11, 0.09],
    [0.62, 0.58, 0.52],
    [0.40, 0.24, 0.14],
    [0.46, 0.42, 0.40],
];
const SIGNS: [Vector; 6] = [
    [0.9, 0.25, 0.1],
    [0.1, 0.35, 0.9],
    [0.9, 0.7, 0.2],
    [0.15, 0.6, 0.3],
    [0.85, 0.85, 0.8],
    [0.7, 0.1, 0.35],
];
const SLATE: Vector = [0.10, 0.10, 0.11];
const TILES: Vector = [0.24, 0.10, 0.06];
const FRAME: Vector = [0.75, 0.74, 0.70];

impl Wall {
    /// A row from one point of the ground (x, z) to another; its houses face to the right of that direction, seen
    /// from above.
    pub fn new(from: [f32; 2], to: [f32; 2], style: Style, seed: i32) -> Wall {
        let (dx, dz) = (to[0] - from[0], to[1] - from[1]);
        let length = (dx * dx + dz * dz).sqrt();
        let direction = [dx / length, dz / length];
        let mut houses = Vec::new();
        let mut at = 0.0;
        while at < length {
            let n = houses.len() as i32;
            let roll = |what: i32| hash(n, what, seed);
            let (width, eave, roof) = match style {
                Style::Gables => (5.5 + 2.8 * roll(1), 6.6 + 2.6 * roll(2), 3.0 + 1.2 * roll(3)),
                Style::Shops => (7.0 + 3.5 * roll(1), 7.4 + 3.4 * roll(2), 2.4 * roll(3)),
                Style::Station => (length, 8.0, 1.0),
                Style::Tower => (length, 22.0, 14.0),
            };
            let pick = |what: i32, of: &[Vector]| of[(roll(what) * of.len() as f32) as usize % of.len()];
            let to = if length - at - width < 4.0 { length } else { at + width };
            houses.push(House {
                from: at,
                to,
                eave,
                roof,
                colour: match style {
                    Style::Station => [0.42, 0.25, 0.17],
                    Style::Tower => [0.34, 0.24, 0.18],
                    _ => pick(4, &BRICKS),
                },
                sign: pick(5, &SIGNS),
                stepped: roll(6) > 0.55,
                seed: seed * 131 + n,
            });
            at = to;
        }
        Wall { from, direction, length, normal: [direction[1], 0.0, -direction[0]], style, houses }
    }

    /// Distance along a ray to this row and where it is hit: metres along the row and above the ground.
    fn hit(&self, eye: Vector, ray: Vector) -> Option<(f32, f32, f32)> {
        let facing = ray[0] * self.normal[0] + ray[2] * self.normal[2];
        if facing >= -1e-5 {
            return None; // from behind, houses are not there
        }
        self.meet(eye, ray)
    }

    /// The same from either side: houses keep light out from behind as well.
    fn meet(&self, eye: Vector, ray: Vector) -> Option<(f32, f32, f32)> {
        let facing = ray[0] * self.normal[0] + ray[2] * self.normal[2];
        if facing.abs() < 1e-5 {
            return None;
        }
        let (px, pz) = (self.from[0] - eye[0], self.from[1] - eye[2]);
        let distance = (px * self.normal[0] + pz * self.normal[2]) / facing;
        if distance <= 0.01 {
            return None;
        }
        let s = (ray[0] * distance - px) * self.direction[0] + (ray[2] * distance - pz) * self.direction[1];
        let y = eye[1] + ray[1] * distance;
        if s < 0.0 || s > self.length || y < -0.1 {
            return None;
        }
        (y < self.house(s).top(s, self.style)).then_some((distance, s, y))
    }

    fn house(&self, s: f32) -> &House {
        let at = self.houses.partition_point(|house| house.to <= s);
        &self.houses[at.min(self.houses.len() - 1)]
    }
}

impl House {
    /// Height of the skyline at a place along the row.
    fn top(&self, s: f32, style: Style) -> f32 {
        let half = (self.to - self.from) / 2.0;
        let off = (s - self.from - half).abs(); // from the middle of the house
        match style {
            Style::Gables => {
                let slope = (1.0 - off / half).max(0.0);
                let slope = if self.stepped { (slope * 5.0).ceil() / 5.0 } else { slope };
                self.eave + self.roof * slope
            }
            Style::Station if off < 7.5 => self.eave + 5.0 - (off / 7.5) * (off / 7.5) * 1.2,
            Style::Shops | Style::Station => self.eave + self.roof,
            Style::Tower => self.eave + self.roof * (1.0 - off / half).max(0.0),
        }
    }

    /// Reflectance and own light of the front. `lit` is how much of the windows has a lamp on behind it.
    fn front(&self, s: f32, y: f32, style: Style, lit: f32) -> (Vector, Vector) {
        let width = self.to - self.from;
        let x = s - self.from;
        let dark = [0.0; 3];
        let tone = 0.90
            + 0.2
                * hash(
                    (s * 4.5 + f32::from((y * 12.0) as u8 & 1) * 0.5) as i32,
                    (y * 12.0) as i32,
                    self.seed,
                );
        let wall = self.colour.map(|c| c * tone * (0.88 + 0.24 * ripple(s * 0.3, y * 0.3, self.seed)));
        match style {
            Style::Station => return self.station(x - width / 2.0, y, wall, lit),
            Style::Tower => {
                let slit = (x - width / 2.0).abs() < 0.7 && (13.0..18.5).contains(&y);
                return (
                    if y > self.eave {
                        SLATE
                    } else if slit {
                        [0.03; 3]
                    } else {
                        wall
                    },
                    dark,
                );
            }
            _ => {}
        }
        // A drain pipe or party wall between neighbours.
        if x < 0.12 {
            return ([0.05; 3], dark);
        }
        if y < 3.7 {
            return self.shop(x, y, width, style, wall, lit);
        }
        if y > self.eave {
            if style == Style::Gables {
                let under_edge = self.top(s, style) - y < 0.22;
                let attic = (x - width / 2.0).abs() < 0.45 && y < self.eave + 1.5 && y > self.eave + 0.3;
                return match (under_edge, attic) {
                    (true, _) => (FRAME, dark),
                    (_, true) => ([0.04; 3], dark),
                    _ => (wall, dark),
                };
            }
            let rows = 0.8 + 0.2 * ((y * 9.0).sin() * 0.5 + 0.5);
            let roof = if hash(self.seed, 9, 1) > 0.5 { TILES } else { SLATE };
            return (roof.map(|c| c * rows), dark);
        }
        if self.eave - y < 0.3 {
            return (FRAME, dark);
        }
        // Upper floors: a window to every two metres, its frame around it, a sill below.
        let columns = (width / 2.1).floor().max(1.0);
        let pitch = width / columns;
        let (column, floor) = ((x / pitch) as i32, ((y - 3.7) / 2.9) as i32);
        let (wx, wy) = ((x / pitch).fract() * pitch - pitch / 2.0, (y - 3.7) % 2.9);
        let (across, above) = (wx.abs(), wy - 0.75);
        if self.eave - 3.7 - floor as f32 * 2.9 < 2.6 || across > 0.62 || !(-0.12..1.75).contains(&above) {
            return (wall, dark);
        }
        if above < 0.0 || across > 0.52 || above > 1.65 || wx.abs() < 0.035 || (above - 1.15).abs() < 0.04 {
            return (FRAME, dark);
        }
        let on = hash(column, floor, self.seed) < lit * 0.42;
        let curtain = across > 0.52 - 0.3 * hash(column, floor, self.seed + 3);
        let glow = if curtain { [0.75, 0.46, 0.20] } else { [1.25, 0.86, 0.46] };
        let glow = glow.map(|c| c * (0.10 + 0.38 * hash(column, floor, self.seed + 5)));
        ([0.05, 0.06, 0.07], if on { glow.map(|c| c * lit.min(1.0)) } else { dark })
    }

    /// The ground floor: a shop window with its door, a fascia with the name, perhaps an awning.
    fn shop(&self, x: f32, y: f32, width: f32, style: Style, wall: Vector, lit: f32) -> (Vector, Vector) {
        let open = hash(self.seed, 7, 7) < 0.75;
        let brightness = lit * if open { 0.16 + 0.34 * hash(self.seed, 8, 8) } else { 0.03 };
        let margin = x < 0.4 || x > width - 0.4;
        if (2.85..3.45).contains(&y) && !margin {
            // Letters nobody can read at this distance: strokes of hashed height in the middle of the fascia.
            let stroke = hash((x * 5.0) as i32, 3, self.seed) > 0.35 && (2.99..3.31).contains(&y);
            let letters = stroke && (x - width / 2.0).abs() < width * 0.26;
            let own = if letters { [2.4, 2.2, 1.9] } else { self.sign.map(|c| c * 0.8) };
            return (
                if letters { [0.8; 3] } else { self.sign.map(|c| c * 0.5) },
                own.map(|c| c * brightness),
            );
        }
        if style == Style::Shops && hash(self.seed, 11, 2) > 0.45 && (2.25..2.9).contains(&y) && !margin {
            let stripe = ((x * 1.8) as i32) & 1 == 0;
            return (if stripe { self.sign.map(|c| c * 0.8 + 0.05) } else { [0.75, 0.72, 0.66] }, [0.0; 3]);
        }
        if margin || y > 2.8 {
            return (wall, [0.0; 3]);
        }
        let mullion = (x * 0.62).fract() < 0.05 || y < 0.35;
        if mullion {
            return ([0.06, 0.06, 0.065], [0.0; 3]);
        }
        // Goods behind the glass: blurred blocks of light.
        let goods = ripple(x * 2.2, y * 2.2, self.seed + 21);
        let tint = if hash(self.seed, 12, 4) > 0.4 { [1.25, 0.98, 0.62] } else { [0.95, 1.02, 1.08] };
        (
            [
                0.05 + 0.16 * goods * (1.0 - lit).max(0.0),
                0.055 + 0.17 * goods * (1.0 - lit).max(0.0),
                0.06 + 0.17 * goods * (1.0 - lit).max(0.0),
            ],
            tint.map(|c| c * brightness * (0.25 + 1.3 * goods)),
        )
    }

    /// The station's front; `x` from the middle.
    fn station(&self, x: f32, y: f32, wall: Vector, lit: f32) -> (Vector, Vector) {
        let dark = [0.0; 3];
        let warm = |k: f32| [0.85 * k * lit, 0.60 * k * lit, 0.32 * k * lit];
        let middle = x.abs() < 7.5;
        // The clock above the doors.
        let (cx, cy) = (x, y - 10.4);
        let from_clock = (cx * cx + cy * cy).sqrt();
        if middle && from_clock < 1.15 {
            let angle = cx.atan2(cy).rem_euclid(std::f32::consts::TAU);
            let hand = (angle - 1.75).abs() < 0.12 && from_clock < 0.6
                || (angle - 5.5).abs() < 0.08 && from_clock < 0.9;
            let rim = from_clock > 0.98;
            return if hand || rim {
                ([0.02; 3], dark)
            } else {
                ([0.8; 3], [0.9 * lit, 0.9 * lit, 0.82 * lit])
            };
        }
        // A canopy over the doors along the whole front, lit from below.
        if (3.7..4.05).contains(&y) {
            return ([0.12, 0.13, 0.14], warm(0.25));
        }
        if y < 3.7 {
            let bay = (x / 3.0).rem_euclid(1.0);
            if bay < 0.12 || y > 3.2 {
                return (wall, warm(0.12));
            }
            let panes = (bay * 8.0).fract() < 0.08;
            return (
                [0.06; 3],
                if panes { dark } else { warm(0.55 + 0.5 * ripple(x * 1.4, y * 1.4, self.seed)) },
            );
        }
        if (self.eave - y).abs() < 0.22 || (middle && y > self.eave + 4.2) {
            return (FRAME.map(|c| c * 0.8), dark);
        }
        // Arched windows: three tall ones in the middle, smaller ones in the wings.
        let (pitch, half, sill, spring) = if middle { (4.2, 1.25, 4.8, 7.4) } else { (3.0, 0.8, 4.9, 6.2) };
        let wx = ((x / pitch + 0.5).rem_euclid(1.0) - 0.5) * pitch;
        let arch = if y > spring { (wx * wx + (y - spring) * (y - spring)).sqrt() } else { wx.abs() };
        if y < sill || arch > half + 0.18 || y > spring + half {
            return (wall, dark);
        }
        let bars = (wx * 1.6).rem_euclid(1.0) < 0.08 || (y * 1.1).rem_euclid(1.0) < 0.06;
        if arch > half || bars {
            return (FRAME.map(|c| c * 0.7), dark);
        }
        ([0.05, 0.06, 0.08], warm(if middle { 0.75 } else { 0.45 * hash((x / pitch) as i32, 1, self.seed) }))
    }
}

/// What lies on the ground.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paving {
    /// Clinker with bands of natural stone and a ring in the middle.
    Square,
    /// A bus lane before a tiled plaza.
    Forecourt,
    /// A pedestrian street with gutters.
    Street,
    /// Two roads that cross, with zebras.
    Crossing,
}

/// A street lamp or another source of light.
#[derive(Debug, Clone, Copy)]
pub struct Lamp {
    /// Where it burns.
    pub at: Vector,
    /// Its light.
    pub colour: Vector,
    /// Metres at which its light has fallen to a half.
    pub reach: f32,
    /// Whether it stands on a pole of its own (a lamp on a facade or the moon does not).
    pub pole: bool,
}

/// Everything that does not move.
#[derive(Debug, Clone)]
pub struct Town {
    /// Rows of houses.
    pub walls: Vec<Wall>,
    /// The ground.
    pub paving: Paving,
    /// Lamps.
    pub lamps: Vec<Lamp>,
    /// Light from everywhere.
    pub ambient: Vector,
    /// Direction to the sun and its light; black when it is down.
    pub sun: (Vector, Vector),
    /// The sky at the horizon and overhead.
    pub sky: (Vector, Vector),
    /// How much of the windows is lit from within, 0 by day.
    pub lit: f32,
    /// How wet the ground is, 0..=1.
    pub wet: f32,
    /// Exposure.
    pub exposure: f32,
}

impl Town {
    /// The light that comes back along a ray.
    pub fn look(&self, eye: Vector, ray: Vector) -> Vector {
        self.trace(eye, ray, self.wet > 0.0)
    }

    fn trace(&self, eye: Vector, ray: Vector, mirrored: bool) -> Vector {
        let ground = if ray[1] < -1e-4 { -eye[1] / ray[1] } else { f32::MAX };
        let mut nearest: Option<(f32, &Wall, f32, f32)> = None;
        for wall in &self.walls {
            if let Some((distance, s, y)) = wall.hit(eye, ray)
                && distance < ground
                && nearest.is_none_or(|(d, ..)| distance < d)
            {
                nearest = Some((distance, wall, s, y));
            }
        }
        if let Some((distance, wall, s, y)) = nearest {
            let place = along(eye, ray, distance);
            let (albedo, own) = wall.house(s).front(s, y, wall.style, self.lit);
            let lit = times(albedo, self.light(place, wall.normal));
            return self.through_air(along(lit, own, 1.0), distance);
        }
        if ground < 400.0 {
            let place = along(eye, ray, ground);
            let dry = times(self.ground(place), self.light(place, [0.0, 1.0, 0.0]));
            if !mirrored {
                return self.through_air(dry, ground);
            }
            // Puddles: the street upside down, torn by small waves, stronger the flatter one looks.
            let (wx, wz) =
                (ripple(place[0] * 3.1, place[2] * 3.1, 5), ripple(place[0] * 3.3, place[2] * 2.9, 9));
            let puddle = ripple(place[0] * 0.35, place[2] * 0.35, 77);
            let rough = 0.05 + 0.13 * (1.0 - puddle);
            let bounce = unit([
                ray[0] + (wx - 0.5) * rough,
                -ray[1] + (wz - 0.3) * rough,
                ray[2] + (wz - 0.5) * rough,
            ]);
            let seen = self.trace(along(place, [0.0, 1.0, 0.0], 0.01), bounce, false);
            let fresnel = 0.10 + 0.80 * (1.0 + ray[1]).powi(4);
            let share = self.wet * fresnel * (0.25 + 0.65 * puddle);
            return self.through_air(along(dry.map(|c| c * (1.0 - 0.45 * self.wet)), seen, share), ground);
        }
        self.sky_at(ray)
    }

    fn sky_at(&self, ray: Vector) -> Vector {
        let height = (ray[1].max(0.0) * 2.2).min(1.0);
        let cloud = ripple(ray[0] * 4.0 / (ray[1].abs() + 0.15), 2.0 / (ray[1].abs() + 0.15), 31);
        let veil = 0.85 + 0.3 * cloud;
        let (low, high) = self.sky;
        [0, 1, 2].map(|i| (low[i] + (high[i] - low[i]) * height) * veil)
    }

    /// Haze takes contrast away with distance.
    fn through_air(&self, colour: Vector, distance: f32) -> Vector {
        let lost = 1.0 - (-distance / 420.0).exp();
        [0, 1, 2].map(|i| colour[i] + (self.sky.0[i] * 0.8 - colour[i]) * lost)
    }

    /// The light that falls on a surface.
    pub fn light(&self, place: Vector, normal: Vector) -> Vector {
        let mut sum = self.ambient.map(|c| c * (0.75 + 0.25 * normal[1]));
        let (direction, colour) = self.sun;
        let facing = dot(direction, normal);
        if colour[0] > 0.0 && facing > 0.0 && !self.in_shadow(along(place, normal, 0.05), direction) {
            sum = along(sum, colour, facing);
        }
        for lamp in &self.lamps {
            let to = along(lamp.at, place, -1.0);
            let squared = dot(to, to);
            let slant = (dot(to, normal) / squared.sqrt().max(0.1)).max(0.0) * 0.85 + 0.15;
            sum = along(sum, lamp.colour, slant / (1.0 + squared / (lamp.reach * lamp.reach)));
        }
        if self.lit > 0.0 && place[1] < 3.0 {
            // Shop windows light the paving before them.
            for wall in &self.walls {
                let (px, pz) = (place[0] - wall.from[0], place[2] - wall.from[1]);
                let away = px * wall.normal[0] + pz * wall.normal[2];
                let s = px * wall.direction[0] + pz * wall.direction[1];
                if (0.05..9.0).contains(&away)
                    && (0.0..wall.length).contains(&s)
                    && wall.style != Style::Tower
                {
                    let warm = 0.20 * self.lit * (-away / 2.2).exp();
                    sum = along(sum, [1.2, 0.92, 0.58], warm);
                }
            }
        }
        sum
    }

    fn in_shadow(&self, place: Vector, towards: Vector) -> bool {
        self.walls.iter().any(|wall| wall.meet(place, towards).is_some_and(|(distance, ..)| distance > 0.1))
    }

    /// What the ground is made of at a place.
    fn ground(&self, place: Vector) -> Vector {
        let [x, _, z] = place;
        let grain = 0.92 + 0.16 * ripple(x * 0.8, z * 0.8, 3);
        let clinker = |size: f32, spread: f32| {
            1.0 - spread / 2.0 + spread * hash((x / size).floor() as i32, (z / size).floor() as i32, 17)
        };
        let asphalt = [0.085, 0.085, 0.09];
        let colour = match self.paving {
            Paving::Square => {
                let from_middle = ((x - 1.0) * (x - 1.0) + (z - 24.0) * (z - 24.0)).sqrt();
                let ring = (from_middle - 6.0).abs() < 0.35 || (from_middle - 2.4).abs() < 0.25;
                let band = (x.rem_euclid(7.0) < 0.5 || z.rem_euclid(7.0) < 0.5) && from_middle > 6.3;
                if ring || band {
                    [0.36, 0.35, 0.33].map(|c| c * clinker(0.5, 0.14))
                } else {
                    [0.21, 0.155, 0.125].map(|c| c * clinker(0.22, 0.34))
                }
            }
            Paving::Forecourt if (13.0..20.0).contains(&z) => {
                let line = (z - 16.5).abs() < 0.08 && x.rem_euclid(4.0) < 2.0;
                if line { [0.5; 3] } else { asphalt }
            }
            Paving::Forecourt if (12.7..13.0).contains(&z) || (20.0..20.3).contains(&z) => [0.42; 3],
            Paving::Forecourt => {
                let joint = x.rem_euclid(1.2) < 0.04 || z.rem_euclid(1.2) < 0.04;
                let guide = (22.4..22.8).contains(&z) && x.rem_euclid(0.2) < 0.1;
                let slab = 0.9 + 0.2 * hash((x / 1.2).floor() as i32, (z / 1.2).floor() as i32, 23);
                if guide {
                    [0.5, 0.5, 0.47]
                } else {
                    [0.26, 0.26, 0.265].map(|c| c * if joint { 0.7 } else { slab })
                }
            }
            Paving::Street => {
                let gutter = (x.abs() - 3.6).abs() < 0.16;
                let inner = x.abs() < 3.6;
                if gutter {
                    [0.30, 0.30, 0.30]
                } else if inner {
                    [0.30, 0.20, 0.155].map(|c| c * clinker(0.2, 0.3))
                } else {
                    [0.34, 0.33, 0.32].map(|c| c * clinker(0.6, 0.14))
                }
            }
            Paving::Crossing => {
                crossing(x, z).unwrap_or_else(|| [0.19, 0.185, 0.18].map(|c| c * clinker(0.3, 0.18)))
            }
        };
        colour.map(|c| c * grain)
    }

    /// A surface of a colour in the light at a place, as the camera shows it.
    pub fn lit(&self, albedo: Vector, place: Vector) -> Ink {
        // People and cars are round: they catch light from above and from the side.
        let (up, front) = (self.light(place, [0.0, 1.0, 0.0]), self.light(place, [0.0, 0.3, -0.95]));
        self.ink(times(albedo, [0, 1, 2].map(|i| (up[i] + front[i]) * 0.5)))
    }

    /// Linear light as the camera exposes it.
    pub fn ink(&self, colour: Vector) -> Ink {
        Ink::rgb(self.exposed(colour))
    }

    /// Linear light to gamma-coded colour, with a soft shoulder instead of hard clipping.
    pub fn exposed(&self, colour: Vector) -> Vector {
        colour.map(|c| {
            let coded = (1.0 - (-c.max(0.0) * self.exposure).exp()).powf(1.0 / 2.2);
            // A gentle S: cameras raise contrast.
            coded * (0.6 + 0.4 * coded * (3.0 - 2.0 * coded))
        })
    }
}

/// Road, markings and kerbs of the crossing; `None` on the pavement.
fn crossing(x: f32, z: f32) -> Option<Vector> {
    let (main, cross) = (x.abs() < 4.2, (20.5..28.0).contains(&z));
    let kerb = ((x.abs() - 4.35).abs() < 0.15 && !cross)
        || ((z - 20.35).abs() < 0.15 || (z - 28.15).abs() < 0.15) && !main;
    if kerb {
        return Some([0.32; 3]);
    }
    if !main && !cross {
        return None;
    }
    let white = Some([0.62, 0.62, 0.6]);
    let zebra = main && (15.6..18.8).contains(&z) && x.rem_euclid(1.0) < 0.5
        || main && (29.4..32.4).contains(&z) && x.rem_euclid(1.0) < 0.5
        || cross && (6.0..9.0).contains(&x) && z.rem_euclid(1.0) < 0.5;
    let lane = cross && !main && (z - 24.25).abs() < 0.07 && x.rem_euclid(3.0) < 1.6
        || main && !cross && x.abs() < 0.07 && z.rem_euclid(3.0) < 1.6 && !(15.0..19.4).contains(&z);
    if zebra || lane { white } else { Some([0.075, 0.075, 0.08]) }
}
