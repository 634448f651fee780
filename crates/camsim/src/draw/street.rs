//! The four scenes: their towns, who walks and drives there, and a frame of each at any time of the minute.

use super::{
    Canvas, Ink,
    lens::{Lens, Vector, hash},
    people::{Gait, Person},
    town::{Lamp, Paving, Style, Town, Wall},
    traffic::{Body, Vehicle},
};

/// Which scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreetKind {
    /// A market square with a church, by night.
    MarketByNight,
    /// The forecourt of a station, at dusk.
    StationByDusk,
    /// A shopping street, by day.
    ShoppingByDay,
    /// A crossing, by night in the rain.
    CrossingInRain,
}

impl StreetKind {
    /// Every scene, in the order cameras take them.
    pub const ALL: [StreetKind; 4] = [
        StreetKind::MarketByNight,
        StreetKind::StationByDusk,
        StreetKind::ShoppingByDay,
        StreetKind::CrossingInRain,
    ];

    /// Its name in file names.
    pub fn name(self) -> &'static str {
        match self {
            StreetKind::MarketByNight => "market-night",
            StreetKind::StationByDusk => "station-dusk",
            StreetKind::ShoppingByDay => "shopping-day",
            StreetKind::CrossingInRain => "crossing-rain",
        }
    }

    fn seed(self) -> i32 {
        match self {
            StreetKind::MarketByNight => 11,
            StreetKind::StationByDusk => 23,
            StreetKind::ShoppingByDay => 37,
            StreetKind::CrossingInRain => 53,
        }
    }
}

/// Copies of the backdrop that differ in noise only; the encoder cannot predict one from the other.
const NOISES: usize = 8;

/// A scene ready to be drawn.
#[derive(Debug)]
pub struct Street {
    kind: StreetKind,
    town: Town,
    lens: Lens,
    backdrops: Vec<Canvas>,
    people: Vec<Person>,
    vehicles: Vec<Vehicle>,
    rain: bool,
}

impl Street {
    /// Builds the scene and draws its backdrop; takes a second or two at 1280x720.
    pub fn new(kind: StreetKind, width: usize, height: usize) -> Street {
        let (town, (eye, yaw, pitch, view)) = town(kind);
        let lens = Lens::new(eye, yaw, pitch, view, width, height);
        let backdrop = backdrop(&town, &lens, width, height);
        let noise = match kind {
            StreetKind::ShoppingByDay => 2.4,
            StreetKind::StationByDusk => 3.6,
            _ => 5.0,
        };
        Street {
            kind,
            backdrops: (0..NOISES).map(|n| noisy(&backdrop, noise, n as u32)).collect(),
            people: people(kind),
            vehicles: vehicles(kind),
            rain: kind == StreetKind::CrossingInRain,
            town,
            lens,
        }
    }

    /// Draws the picture of a frame of the minute.
    pub fn draw(&mut self, frame: u16, canvas: &mut Canvas) {
        let minute = f32::from(frame) / f32::from(crate::code::FRAMES);
        // Never the same noise twice in a row.
        let pick = (usize::from(frame) * 3 + usize::from(frame) / 7 % 2) % NOISES;
        if let Some(backdrop) = self.backdrops.get(pick) {
            canvas.copy_from(backdrop);
        }
        // Far things first.
        let depth = |place: Vector| place[2];
        let mut order: Vec<(f32, Actor<'_>)> = Vec::new();
        order.extend(self.people.iter().map(|p| (depth(p.at(minute).0), Actor::Person(p))));
        order.extend(
            self.vehicles
                .iter()
                .filter_map(|v| v.at(minute).map(|(place, _)| (depth(place), Actor::Vehicle(v)))),
        );
        order.extend(self.town.lamps.iter().filter(|l| l.pole).map(|l| (l.at[2], Actor::Post(l))));
        order.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (_, actor) in order {
            match actor {
                Actor::Person(person) => person.draw(canvas, &self.lens, &self.town, minute),
                Actor::Vehicle(vehicle) => vehicle.draw(canvas, &self.lens, &self.town, minute),
                Actor::Post(lamp) => post(canvas, &self.lens, &self.town, lamp),
            }
        }
        if self.rain {
            rain(canvas, frame, self.kind.seed());
        }
    }
}

enum Actor<'a> {
    Person(&'a Person),
    Vehicle(&'a Vehicle),
    Post(&'a Lamp),
}

/// Ray-casts the still part, three samples to a pixel, with the darkening towards the corners of a cheap wide lens.
fn backdrop(town: &Town, lens: &Lens, width: usize, height: usize) -> Canvas {
    let mut canvas = Canvas::new(width, height);
    let mut rows: Vec<Vector> = vec![[0.0; 3]; width];
    let samples = [(0.22, 0.3), (0.78, 0.5), (0.36, 0.85)];
    for y in 0..canvas.height {
        for (x, pixel) in rows.iter_mut().enumerate() {
            let mut sum = [0.0; 3];
            for (dx, dy) in samples {
                let seen = town.exposed(town.look(lens.eye, lens.ray((x as f32 + dx, y as f32 + dy))));
                sum = [sum[0] + seen[0], sum[1] + seen[1], sum[2] + seen[2]];
            }
            let (cx, cy) = (x as f32 / width as f32 - 0.5, y as f32 / height as f32 - 0.5);
            let vignette = 1.0 - 0.42 * (cx * cx + cy * cy);
            *pixel = sum.map(|c| c / samples.len() as f32 * vignette);
        }
        for (x, &pixel) in rows.iter().enumerate().take(canvas.width) {
            canvas.blend(x, y, Ink::rgb(pixel), 256);
        }
    }
    canvas
}

/// A copy with sensor noise: grain that neighbours share a little of, as after a camera's own filter.
fn noisy(clean: &Canvas, strength: f32, seed: u32) -> Canvas {
    let mut copy = clean.clone();
    let luma = copy.width * copy.height;
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut last = 0.0_f32;
    for (at, value) in copy.planes.iter_mut().enumerate() {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        // The sum of two uniform numbers is near enough to a bell.
        let bell = ((state & 0xffff) + (state >> 16)) as f32 / 65_536.0 - 1.0;
        last = bell * 0.85 + last * 0.35;
        let amount = if at < luma { strength * 2.0 } else { strength * 0.8 };
        *value = (f32::from(*value) + last * amount).clamp(16.0, 240.0) as u8;
    }
    copy
}

/// A lamp post with its lantern, drawn each frame because people pass behind it.
fn post(canvas: &mut Canvas, lens: &Lens, town: &Town, lamp: &Lamp) {
    let [x, y, z] = lamp.at;
    let (Some((foot, scale)), Some((top, _))) = (lens.project([x, 0.0, z]), lens.project([x, y + 0.1, z]))
    else {
        return;
    };
    let iron = town.lit([0.05, 0.055, 0.06], [x, 1.2, z]);
    canvas.shadow(foot, 0.35 * scale, 0.15 * scale, 0.4);
    canvas.capsule(foot, (foot.0, foot.1 - 0.8 * scale), 0.11 * scale, 0.085 * scale, iron, 1.0);
    canvas.capsule(foot, top, 0.07 * scale, 0.05 * scale, iron, 1.0);
    let bulb = town.ink(lamp.colour.map(|c| c * 2.5));
    if town.lit > 0.2 {
        canvas.glow(top, 1.4 * scale, 1.4 * scale, bulb, 0.45);
    }
    canvas.capsule(
        (top.0, top.1 - 0.16 * scale),
        (top.0, top.1 + 0.16 * scale),
        0.13 * scale,
        0.17 * scale,
        bulb,
        1.0,
    );
    canvas.capsule(
        (top.0 - 0.2 * scale, top.1 - 0.34 * scale),
        (top.0 + 0.2 * scale, top.1 - 0.34 * scale),
        0.06 * scale,
        0.06 * scale,
        iron,
        1.0,
    );
}

/// Streaks of rain, thinner and fainter further away.
fn rain(canvas: &mut Canvas, frame: u16, seed: i32) {
    let ink = Ink { y: 190, u: 130, v: 126 };
    let (width, height) = (canvas.width as f32, canvas.height as f32);
    for n in 0..150 {
        let roll = |what: i32| hash(n * 7 + what, i32::from(frame), seed);
        let near = roll(3) * roll(3);
        let length = height * (0.015 + 0.06 * near);
        let (x, y) = (roll(1) * width, roll(2) * height);
        let thick = width / 1280.0 * (0.35 + 0.5 * near);
        canvas.capsule((x, y), (x - length * 0.14, y + length), thick, thick, ink, 0.13 + 0.2 * near);
    }
}

/// Eye, yaw, pitch and angle of view.
type View = (Vector, f32, f32, f32);

fn lamp(x: f32, z: f32, height: f32, colour: Vector, reach: f32) -> Lamp {
    Lamp { at: [x, height, z], colour, reach, pole: true }
}

fn town(kind: StreetKind) -> (Town, View) {
    let warm = [1.25, 0.78, 0.36];
    let white = [1.0, 0.98, 0.9];
    let no_sun = ([0.0, 1.0, 0.0], [0.0; 3]);
    match kind {
        StreetKind::MarketByNight => (
            Town {
                walls: vec![
                    Wall::new([-24.0, 43.0], [30.0, 43.0], Style::Gables, 4),
                    Wall::new([-18.0, 4.0], [-18.0, 43.0], Style::Gables, 7),
                    Wall::new([24.0, 43.0], [24.0, 6.0], Style::Gables, 12),
                    Wall::new([3.0, 60.0], [11.0, 60.0], Style::Tower, 5),
                ],
                paving: Paving::Square,
                lamps: vec![
                    lamp(-11.0, 17.0, 4.6, warm, 5.0),
                    lamp(-9.0, 32.0, 4.6, warm, 5.0),
                    lamp(9.5, 15.5, 4.6, warm, 5.0),
                    lamp(15.0, 27.0, 4.6, warm, 5.0),
                    lamp(6.0, 37.0, 4.6, warm, 5.0),
                    Lamp { at: [7.0, 16.0, 56.0], colour: [1.1, 0.7, 0.35], reach: 7.0, pole: false },
                ],
                ambient: [0.030, 0.036, 0.055],
                sun: no_sun,
                sky: ([0.045, 0.042, 0.055], [0.008, 0.012, 0.03]),
                lit: 1.0,
                wet: 0.0,
                exposure: 2.3,
            },
            ([-2.0, 7.4, -1.0], 6.0, 13.0, 74.0),
        ),
        StreetKind::StationByDusk => (
            Town {
                walls: vec![
                    Wall::new([-34.0, 42.0], [34.0, 42.0], Style::Station, 3),
                    Wall::new([-27.0, 18.0], [-27.0, 42.0], Style::Shops, 9),
                    Wall::new([30.0, 42.0], [30.0, 20.0], Style::Shops, 15),
                ],
                paving: Paving::Forecourt,
                lamps: vec![
                    lamp(-14.0, 24.0, 6.0, white, 5.5),
                    lamp(-2.0, 30.0, 6.0, white, 5.5),
                    lamp(11.0, 25.0, 6.0, white, 5.5),
                    lamp(20.0, 33.0, 6.0, white, 5.5),
                ],
                ambient: [0.20, 0.21, 0.29],
                sun: no_sun,
                sky: ([0.85, 0.46, 0.27], [0.16, 0.24, 0.46]),
                lit: 0.9,
                wet: 0.0,
                exposure: 1.6,
            },
            ([4.0, 7.0, 0.0], -5.0, 11.0, 76.0),
        ),
        StreetKind::ShoppingByDay => (
            Town {
                walls: vec![
                    Wall::new([-7.2, 0.0], [-9.0, 84.0], Style::Shops, 21),
                    Wall::new([8.5, 84.0], [7.4, 0.0], Style::Shops, 34),
                    Wall::new([-20.0, 84.0], [20.0, 84.0], Style::Gables, 8),
                ],
                paving: Paving::Street,
                lamps: vec![
                    lamp(-4.6, 14.0, 4.4, [0.0; 3], 1.0),
                    lamp(4.7, 24.0, 4.4, [0.0; 3], 1.0),
                    lamp(-4.8, 36.0, 4.4, [0.0; 3], 1.0),
                    lamp(4.8, 48.0, 4.4, [0.0; 3], 1.0),
                ],
                ambient: [0.40, 0.46, 0.56],
                sun: (super::lens::unit([-0.52, 0.95, -0.42]), [1.5, 1.36, 1.12]),
                sky: ([0.80, 0.92, 1.10], [0.26, 0.48, 0.95]),
                lit: 0.0,
                wet: 0.0,
                exposure: 1.7,
            },
            ([1.2, 6.2, -4.0], -3.0, 15.0, 70.0),
        ),
        StreetKind::CrossingInRain => (
            Town {
                walls: vec![
                    Wall::new([-40.0, 34.0], [-8.0, 34.0], Style::Shops, 41),
                    Wall::new([-8.0, 34.0], [-8.0, 90.0], Style::Shops, 42),
                    Wall::new([9.0, 90.0], [9.0, 34.0], Style::Gables, 43),
                    Wall::new([9.0, 34.0], [44.0, 34.0], Style::Gables, 44),
                    Wall::new([-9.5, 0.0], [-9.5, 14.0], Style::Gables, 45),
                    Wall::new([-20.0, 92.0], [20.0, 92.0], Style::Gables, 46),
                ],
                paving: Paving::Crossing,
                lamps: vec![
                    lamp(-6.4, 18.6, 6.5, [1.3, 0.95, 0.55], 6.0),
                    lamp(6.3, 30.6, 6.5, [1.3, 0.95, 0.55], 6.0),
                    lamp(-16.0, 30.5, 6.5, [1.3, 0.95, 0.55], 6.0),
                    lamp(19.0, 18.5, 6.5, [1.3, 0.95, 0.55], 6.0),
                    lamp(-6.2, 46.0, 6.5, [1.3, 0.95, 0.55], 6.0),
                ],
                ambient: [0.035, 0.042, 0.058],
                sun: no_sun,
                sky: ([0.07, 0.065, 0.07], [0.02, 0.022, 0.035]),
                lit: 1.0,
                wet: 1.0,
                exposure: 2.3,
            },
            ([7.6, 7.2, -1.0], -13.0, 13.0, 74.0),
        ),
    }
}

/// People who walk a line, spread over the width given.
fn crowd(count: i32, seed: i32, line: impl Fn(i32) -> ([f32; 2], [f32; 2]), speed: f32) -> Vec<Person> {
    (0..count)
        .map(|n| {
            let (mut from, mut to) = line(n);
            if hash(n, 1, seed) > 0.5 {
                std::mem::swap(&mut from, &mut to);
            }
            let length = ((to[0] - from[0]).powi(2) + (to[1] - from[1]).powi(2)).sqrt();
            // Whole rounds a minute, so that the loop closes.
            let rounds = (speed * 60.0 / length).round().max(1.0);
            Person { from, to, rounds, phase: hash(n, 2, seed), gait: Gait::Walks, seed: seed * 100 + n }
        })
        .collect()
}

fn standing(places: &[[f32; 2]], seed: i32) -> impl Iterator<Item = Person> {
    places.iter().enumerate().map(move |(n, &from)| Person {
        from,
        to: from,
        rounds: 1.0,
        phase: hash(n as i32, 5, seed),
        gait: Gait::Stands,
        seed: seed * 7 + n as i32,
    })
}

fn cyclist(from: [f32; 2], to: [f32; 2], rounds: f32, phase: f32, seed: i32) -> Person {
    Person { from, to, rounds, phase, gait: Gait::Cycles, seed }
}

fn people(kind: StreetKind) -> Vec<Person> {
    let roll = |n: i32, what: i32| hash(n, what, kind.seed());
    let seed = kind.seed();
    let mut people = match kind {
        StreetKind::MarketByNight => {
            let mut all = crowd(
                9,
                seed,
                |n| {
                    let (a, b) = (12.0 + 26.0 * roll(n, 3), 12.0 + 28.0 * roll(n, 4));
                    ([-17.5, a], [23.5, b])
                },
                1.3,
            );
            all.extend(crowd(
                3,
                seed + 1,
                |n| ([-8.0 + 9.0 * n as f32, 3.0], [-6.0 + 7.0 * n as f32, 42.5]),
                1.25,
            ));
            all
        }
        StreetKind::StationByDusk => {
            let mut all = crowd(
                9,
                seed,
                |n| {
                    let door = -6.0 + 1.5 * n as f32;
                    ([door, 41.5], [-22.0 + 48.0 * roll(n, 3), 6.0])
                },
                1.4,
            );
            all.extend(crowd(
                5,
                seed + 1,
                |n| ([-27.0, 21.5 + 3.5 * n as f32], [29.0, 23.0 + 3.3 * n as f32]),
                1.35,
            ));
            all
        }
        StreetKind::ShoppingByDay => crowd(
            20,
            seed,
            |n| {
                let x = -5.6 + 11.4 * roll(n, 3);
                ([x, 3.5], [x * 0.7 + 2.0 * (roll(n, 4) - 0.5), 72.0])
            },
            1.2,
        ),
        StreetKind::CrossingInRain => {
            let mut all =
                crowd(5, seed, |n| ([-9.0, 16.3 + 0.5 * n as f32], [18.0, 16.2 + 0.5 * n as f32]), 1.5);
            all.extend(crowd(
                4,
                seed + 1,
                |n| ([-30.0, 30.0 + 0.8 * n as f32], [32.0, 30.4 + 0.7 * n as f32]),
                1.5,
            ));
            all
        }
    };
    match kind {
        StreetKind::MarketByNight => {
            people.extend(standing(
                &[[-12.4, 22.0], [-11.6, 22.5], [-11.9, 21.3], [10.6, 21.0], [11.4, 21.4], [4.0, 33.0]],
                5,
            ));
            people.push(cyclist([-17.5, 20.0], [23.5, 14.0], 5.0, 0.1, 61));
            people.push(cyclist([23.5, 30.0], [-17.5, 34.0], 5.0, 0.6, 62));
        }
        StreetKind::StationByDusk => {
            people.extend(standing(
                &[[-8.0, 21.2], [-7.2, 21.5], [-4.6, 21.1], [8.0, 21.3], [9.2, 21.6], [16.0, 22.0]],
                6,
            ));
            people.push(cyclist([-27.0, 12.0], [32.0, 12.0], 4.0, 0.3, 63));
            people.push(cyclist([32.0, 11.0], [-27.0, 11.0], 4.0, 0.8, 64));
        }
        StreetKind::ShoppingByDay => {
            people.extend(standing(
                &[[-4.4, 17.0], [-3.7, 17.4], [5.2, 20.0], [4.4, 31.0], [5.0, 31.5], [-5.2, 40.0]],
                7,
            ));
            people.push(cyclist([0.8, 80.0], [-0.6, 2.0], 3.0, 0.4, 65));
        }
        StreetKind::CrossingInRain => {
            people.extend(standing(&[[-6.3, 15.2], [12.0, 31.0]], 8));
            people.push(cyclist([-40.0, 27.2], [40.0, 27.2], 4.0, 0.2, 66));
        }
    }
    people
}

fn vehicles(kind: StreetKind) -> Vec<Vehicle> {
    let drive = |from: [f32; 2], to: [f32; 2], start: f32, takes: f32, body: Body, paint: Vector| Vehicle {
        from,
        to,
        start,
        takes,
        body,
        paint,
    };
    let (silver, navy, red, white, black) = (
        [0.42, 0.43, 0.44],
        [0.03, 0.06, 0.16],
        [0.38, 0.03, 0.025],
        [0.72, 0.72, 0.70],
        [0.025, 0.025, 0.03],
    );
    match kind {
        StreetKind::MarketByNight => {
            vec![drive([18.6, 33.0], [18.6, 20.0], 0.0, 0.0, Body::Van, white)]
        }
        StreetKind::StationByDusk => vec![
            drive([-40.0, 18.2], [44.0, 18.2], 0.05, 0.26, Body::Bus, [0.62, 0.60, 0.55]),
            drive([44.0, 14.8], [-40.0, 14.8], 0.40, 0.16, Body::Car, silver),
            drive([-40.0, 18.2], [44.0, 18.2], 0.55, 0.15, Body::Car, red),
            drive([44.0, 14.8], [-40.0, 14.8], 0.78, 0.15, Body::Car, navy),
            drive([-20.0, 18.2], [0.0, 18.2], 0.0, 0.0, Body::Car, black),
        ],
        StreetKind::ShoppingByDay => vec![drive([-4.6, 28.0], [-4.7, 60.0], 0.0, 0.0, Body::Van, white)],
        StreetKind::CrossingInRain => {
            let (right, left) = ([[-48.0, 22.4], [48.0, 22.4]], [[48.0, 26.1], [-48.0, 26.1]]);
            vec![
                drive(right[0], right[1], 0.02, 0.14, Body::Car, silver),
                drive(left[0], left[1], 0.10, 0.15, Body::Car, black),
                drive(right[0], right[1], 0.26, 0.13, Body::Van, white),
                drive(left[0], left[1], 0.36, 0.14, Body::Car, red),
                drive(right[0], right[1], 0.48, 0.14, Body::Car, navy),
                drive(left[0], left[1], 0.55, 0.20, Body::Bus, [0.60, 0.58, 0.52]),
                drive(right[0], right[1], 0.68, 0.13, Body::Car, black),
                drive(left[0], left[1], 0.84, 0.14, Body::Car, silver),
                drive([2.1, 88.0], [2.1, 32.0], 0.30, 0.0, Body::Car, white),
            ]
        }
    }
}
