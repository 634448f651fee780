//! People on foot and on bicycles: jointed figures that walk through the street once or more a minute.

use super::{
    Canvas,
    lens::{Lens, Vector, along, hash, unit},
    town::Town,
};
use std::f32::consts::TAU;

/// How a person goes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gait {
    /// On foot.
    Walks,
    /// Stays, and shifts weight now and then.
    Stands,
    /// By bicycle.
    Cycles,
}

/// A person and the line they follow: from one point of the ground (x, z) to another, `rounds` times a minute,
/// starting `phase` of the way.
#[derive(Debug, Clone)]
pub struct Person {
    /// Where from.
    pub from: [f32; 2],
    /// Where to.
    pub to: [f32; 2],
    /// Times per minute.
    pub rounds: f32,
    /// 0..1.
    pub phase: f32,
    /// How.
    pub gait: Gait,
    /// Chooses clothes and build.
    pub seed: i32,
}

/// Clothes as they are worn: mostly dark, now and then a colour.
const COATS: [Vector; 10] = [
    [0.03, 0.03, 0.04],
    [0.05, 0.06, 0.10],
    [0.10, 0.10, 0.11],
    [0.30, 0.05, 0.04],
    [0.06, 0.12, 0.20],
    [0.32, 0.24, 0.14],
    [0.09, 0.14, 0.08],
    [0.50, 0.48, 0.44],
    [0.04, 0.04, 0.05],
    [0.42, 0.30, 0.05],
];
const TROUSERS: [Vector; 4] =
    [[0.03, 0.035, 0.06], [0.05, 0.07, 0.13], [0.025, 0.025, 0.03], [0.14, 0.12, 0.09]];
const HAIR: [Vector; 4] = [[0.03, 0.02, 0.015], [0.10, 0.06, 0.03], [0.28, 0.20, 0.09], [0.2, 0.2, 0.2]];
const SKIN: [Vector; 3] = [[0.46, 0.30, 0.22], [0.30, 0.18, 0.11], [0.12, 0.07, 0.045]];
const METAL: Vector = [0.04, 0.04, 0.045];

impl Person {
    /// Where they are at a share of the minute: place, direction of going, and metres gone (for the legs).
    pub fn at(&self, minute: f32) -> (Vector, Vector, f32) {
        let t = (minute * self.rounds + self.phase).fract();
        let (dx, dz) = (self.to[0] - self.from[0], self.to[1] - self.from[1]);
        let length = (dx * dx + dz * dz).sqrt();
        let ahead = unit([dx, 0.0, dz]);
        if self.gait == Gait::Stands {
            let turn = hash(self.seed, 1, 1) * TAU;
            return ([self.from[0], 0.0, self.from[1]], [turn.cos(), 0.0, turn.sin()], minute * 60.0);
        }
        // Nobody walks along a ruler.
        let drift = (t * TAU * 1.5 + hash(self.seed, 2, 2) * TAU).sin() * 0.5;
        let place = [self.from[0] + dx * t - ahead[2] * drift, 0.0, self.from[1] + dz * t + ahead[0] * drift];
        (place, ahead, t * length)
    }

    /// Draws the person. `sun` is where the shadow falls, if there is a sun.
    pub fn draw(&self, canvas: &mut Canvas, lens: &Lens, town: &Town, minute: f32) {
        let (place, ahead, gone) = self.at(minute);
        let Some((feet, scale)) = lens.project(place) else { return };
        if feet.0 < -2.0 * scale || feet.0 > canvas.width as f32 + 2.0 * scale {
            return;
        }
        shade(canvas, lens, town, place, 1.7, 0.36);
        let pick =
            |what: i32, of: &[Vector]| of[(hash(self.seed, what, 0) * of.len() as f32) as usize % of.len()];
        let coat = pick(3, &COATS);
        let height = 0.94 + 0.12 * hash(self.seed, 4, 0);
        let figure = Figure {
            canvas,
            lens,
            town,
            origin: place,
            ahead,
            side: [ahead[2], 0.0, -ahead[0]],
            height,
            chest: along(place, [0.0, 1.0, 0.0], 1.1),
        };
        let (legs, hair, skin) = (pick(5, &TROUSERS), pick(6, &HAIR), pick(7, &SKIN));
        match self.gait {
            Gait::Cycles => figure.cyclist(gone, coat, legs, hair, skin),
            Gait::Walks => {
                let stride = gone * TAU / 1.45; // metres of two steps
                figure.walker(stride.sin(), stride.cos(), 1.0, [coat, legs, hair, skin], self.seed);
            }
            Gait::Stands => {
                let sway = (gone * 0.35 + self.phase * 9.0).sin() * 0.12;
                figure.walker(sway, 0.0, 0.25, [coat, legs, hair, skin], self.seed);
            }
        }
    }
}

/// The shadow below something of a height and half-width: long under a sun, a soft spot under lamps.
pub fn shade(canvas: &mut Canvas, lens: &Lens, town: &Town, place: Vector, height: f32, half: f32) {
    let Some((foot, scale)) = lens.project(place) else { return };
    canvas.shadow(foot, half * scale * 1.3, half * scale * 0.6, 0.5);
    let (direction, colour) = town.sun;
    if colour[0] <= 0.0 || town.light(place, [0.0, 1.0, 0.0])[0] < colour[0] * direction[1] {
        return; // already in the shadow of a house
    }
    let reach = height / direction[1].max(0.2);
    for step in 1..=4 {
        let tip = along(place, [-direction[0], 0.0, -direction[2]], reach * step as f32 / 5.0);
        if let Some((spot, scale)) = lens.project(tip) {
            canvas.shadow(spot, half * scale * 1.1, half * scale * 0.7, 0.34);
        }
    }
}

/// A body being drawn: joints are given in metres ahead, up and to the side.
struct Figure<'a> {
    canvas: &'a mut Canvas,
    lens: &'a Lens,
    town: &'a Town,
    origin: Vector,
    ahead: Vector,
    side: Vector,
    height: f32,
    chest: Vector,
}

type Joint = (f32, f32, f32);

impl Figure<'_> {
    fn place(&self, (ahead, up, side): Joint) -> Vector {
        let base = along(along(self.origin, self.ahead, ahead), self.side, side);
        [base[0], up * self.height, base[2]]
    }

    fn limb(&mut self, a: Joint, b: Joint, ra: f32, rb: f32, albedo: Vector) {
        let (Some((pa, scale)), Some((pb, _))) =
            (self.lens.project(self.place(a)), self.lens.project(self.place(b)))
        else {
            return;
        };
        let ink = self.town.lit(albedo, self.chest);
        self.canvas.capsule(pa, pb, ra * scale, rb * scale, ink, 1.0);
    }

    /// A part drawn from the side the viewer sees last: whether the figure's left or right is nearer.
    fn near_side(&self) -> f32 {
        let to_eye = along(self.lens.eye, self.origin, -1.0);
        if super::lens::dot(to_eye, self.side) > 0.0 { 1.0 } else { -1.0 }
    }

    fn walker(
        mut self,
        swing: f32,
        lift: f32,
        amount: f32,
        [coat, legs, hair, skin]: [Vector; 4],
        seed: i32,
    ) {
        let near = self.near_side();
        let dim = |c: Vector, by: f32| c.map(|c| c * by);
        let long_coat = hash(seed, 8, 0) > 0.6;
        for (side, sign) in [(-near, -1.0), (near, 1.0)] {
            let s = swing * sign * amount;
            let knee_lift = (lift * sign * amount).max(0.0);
            let tone = if sign < 0.0 { 0.75 } else { 1.0 };
            let (hip, knee, foot) = (
                (0.0, 0.90, side * 0.09),
                (0.20 * s + 0.07 * knee_lift, 0.49, side * 0.10),
                (0.36 * s - 0.05 * knee_lift, 0.07 + 0.13 * knee_lift, side * 0.10),
            );
            self.limb(hip, knee, 0.105, 0.075, dim(legs, tone));
            self.limb(knee, foot, 0.075, 0.055, dim(legs, tone));
            self.limb(foot, (foot.0 + 0.15, foot.1 - 0.02, foot.2), 0.055, 0.045, [0.03; 3]);
            if sign < 0.0 {
                self.arm(side, -s, dim(coat, 0.75), skin);
                self.limb(
                    (0.02, 1.38, 0.0),
                    (0.0, if long_coat { 0.66 } else { 0.92 }, 0.0),
                    0.185,
                    0.17,
                    coat,
                );
                // Light from above on the shoulders, the shaded side below.
                self.limb((0.0, 1.42, -0.12), (0.0, 1.42, 0.12), 0.10, 0.10, dim(coat, 1.35));
            } else {
                self.arm(side, -s, dim(coat, 1.12), skin);
            }
        }
        self.limb((0.01, 1.46, 0.0), (0.02, 1.54, 0.0), 0.06, 0.06, dim(skin, 0.8));
        self.limb((0.04, 1.60, 0.0), (0.03, 1.66, 0.0), 0.095, 0.10, skin);
        self.limb((-0.02, 1.66, 0.0), (-0.01, 1.71, 0.0), 0.10, 0.095, hair);
        if hash(seed, 9, 0) > 0.62 {
            let bag = if hash(seed, 10, 0) > 0.5 { [0.20, 0.12, 0.05] } else { [0.05, 0.05, 0.06] };
            self.limb((-0.05, 0.95, near * 0.25), (-0.02, 0.80, near * 0.26), 0.12, 0.13, bag);
        }
    }

    fn arm(&mut self, side: f32, swing: f32, coat: Vector, skin: Vector) {
        let elbow = (0.13 * swing - 0.03, 1.13, side * 0.25);
        let hand = (0.30 * swing + 0.05, 0.90, side * 0.25);
        self.limb((0.0, 1.40, side * 0.20), elbow, 0.07, 0.058, coat);
        self.limb(elbow, hand, 0.058, 0.05, coat);
        self.limb(hand, (hand.0, hand.1 - 0.05, hand.2), 0.045, 0.04, skin);
    }

    fn cyclist(mut self, gone: f32, coat: Vector, legs: Vector, hair: Vector, skin: Vector) {
        let near = self.near_side();
        for hub in [-0.53_f32, 0.55] {
            let rim = |n: usize| {
                let (s, c) = (n as f32 / 10.0 * TAU).sin_cos();
                (hub + 0.34 * c, 0.35 + 0.34 * s, 0.0)
            };
            for n in 0..10 {
                self.limb(rim(n), rim(n + 1), 0.022, 0.022, METAL);
            }
        }
        let (saddle, bar, pedals) = ((-0.22, 0.95, 0.0), (0.42, 1.02, 0.0), (-0.02, 0.33, 0.0));
        for (a, b) in [
            (saddle, pedals),
            (pedals, bar),
            ((-0.53, 0.35, 0.0), saddle),
            (bar, (0.55, 0.35, 0.0)),
            (saddle, bar),
        ] {
            self.limb(a, b, 0.022, 0.022, [0.10, 0.16, 0.14]);
        }
        let turn = gone * 1.4;
        for (side, tone) in [(-near, 0.7), (near, 1.0)] {
            let (s, c) = (turn + if side > 0.0 { 0.0 } else { TAU / 2.0 }).sin_cos();
            let foot = (pedals.0 + 0.16 * c, pedals.1 + 0.16 * s, side * 0.11);
            let knee = (0.17 + 0.10 * c, 0.74 + 0.11 * s, side * 0.12);
            self.limb((-0.2, 1.0, side * 0.09), knee, 0.10, 0.075, legs.map(|v| v * tone));
            self.limb(knee, foot, 0.07, 0.05, legs.map(|v| v * tone));
            self.limb(
                (0.02, 1.42, side * 0.17),
                (0.40, 1.08, side * 0.22),
                0.06,
                0.045,
                coat.map(|v| v * tone),
            );
        }
        self.limb((-0.20, 1.04, 0.0), (0.02, 1.42, 0.0), 0.16, 0.18, coat);
        self.limb((0.10, 1.60, 0.0), (0.09, 1.65, 0.0), 0.095, 0.10, skin);
        self.limb((0.05, 1.66, 0.0), (0.06, 1.70, 0.0), 0.10, 0.09, hair);
        if self.town.lit > 0.3 {
            for (at, colour) in [((0.62, 0.85, 0.0), [3.0, 2.9, 2.5]), ((-0.62, 0.75, 0.0), [2.5, 0.1, 0.05])]
            {
                if let Some((spot, scale)) = self.lens.project(self.place(at)) {
                    let ink = self.town.ink(colour);
                    self.canvas.glow(spot, 0.4 * scale, 0.4 * scale, ink, 0.7);
                    self.canvas.capsule(spot, spot, 0.05 * scale, 0.05 * scale, ink, 1.0);
                }
            }
        }
    }
}
