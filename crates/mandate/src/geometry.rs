//! Whether a camera stands inside a designated area: points and polygons on WGS 84.
//!
//! An area is a few hundred metres wide, so degrees are treated as a plane; no polygon crosses the date line.

use crate::facts::Ring;

/// Whether the point lies inside one of the polygons. A point exactly on an edge may fall either way.
pub(crate) fn inside(point: [f64; 2], polygons: &[Vec<Ring>]) -> bool {
    polygons.iter().any(|rings| {
        let mut rings = rings.iter();
        rings.next().is_some_and(|outline| within(point, outline)) && !rings.any(|hole| within(point, hole))
    })
}

/// The even-odd rule: a ray to the east crosses the outline of what it starts in an odd number of times. A coordinate
/// that is not a number crosses nothing, so it is outside.
fn within([x, y]: [f64; 2], ring: &[[f64; 2]]) -> bool {
    let ends = ring.iter().skip(1).chain(ring.first());
    ring.iter().zip(ends).fold(false, |odd, (&[ax, ay], &[bx, by])| {
        let crosses = (ay > y) != (by > y) && x < (bx - ax) * (y - ay) / (by - ay) + ax;
        odd != crosses
    })
}

/// Nearer than this is the same place: a centimetre, in degrees.
const SAME_PLACE: f64 = 1e-7;

/// Whether the polygons of `whole` together hold every part of `part`. Sharing an edge is holding.
pub(crate) fn covers(whole: &[Vec<Ring>], part: &[Vec<Ring>]) -> bool {
    let held = |point: [f64; 2]| inside(point, whole) || edges(whole).any(|edge| on_edge(point, edge));
    // No stretch of its outline leaves the whole, and no edge of the whole that runs through it has the outside beside it.
    stretches(part, whole).all(|stretch| held(middle(stretch)))
        && stretches(whole, part)
            .filter(|stretch| {
                let middle = middle(*stretch);
                inside(middle, part) && !edges(part).any(|edge| on_edge(middle, edge))
            })
            .all(|stretch| beside(stretch).into_iter().all(held))
}

type Edge = [[f64; 2]; 2];

fn edges(polygons: &[Vec<Ring>]) -> impl Iterator<Item = Edge> {
    polygons.iter().flatten().flat_map(|ring| {
        let ends = ring.iter().skip(1).chain(ring.first());
        ring.iter().zip(ends).map(|(a, b)| [*a, *b])
    })
}

/// The edges of `of`, cut where edges of `by` cross them.
fn stretches(of: &[Vec<Ring>], by: &[Vec<Ring>]) -> impl Iterator<Item = Edge> {
    edges(of)
        .flat_map(|edge| {
            let mut cuts: Vec<f64> = edges(by).flat_map(|other| crossings(edge, other)).collect();
            cuts.extend([0.0, 1.0]);
            cuts.sort_by(f64::total_cmp);
            let ends: Vec<f64> = cuts.iter().copied().skip(1).collect();
            let [a, b] = edge;
            let at = move |t: f64| [a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])];
            cuts.into_iter().zip(ends).map(move |(from, until)| [at(from), at(until)])
        })
        .filter(|[a, b]| (b[0] - a[0]).hypot(b[1] - a[1]) > SAME_PLACE)
}

/// Where another edge meets this one, as parts of its length: its crossing, and its ends where they lie on this one.
fn crossings(edge: Edge, other: Edge) -> impl Iterator<Item = f64> {
    let vector = |[from, to]: Edge| [to[0] - from[0], to[1] - from[1]];
    let cross = |one: [f64; 2], two: [f64; 2]| one[0] * two[1] - one[1] * two[0];
    let (own, its) = (vector(edge), vector(other));
    let from_start = move |point: [f64; 2]| vector([edge[0], point]);
    let across = cross(own, its);
    let (here, there) =
        (cross(from_start(other[0]), its) / across, cross(from_start(other[0]), own) / across);
    let crossing = (0.0..=1.0).contains(&there).then_some(here);
    let along = move |point: [f64; 2]| {
        let way = from_start(point);
        (way[0] * own[0] + way[1] * own[1]) / (own[0] * own[0] + own[1] * own[1])
    };
    let ends = other.map(|end| on_edge(end, edge).then(|| along(end)));
    ends.into_iter().chain([crossing]).flatten().filter(|part| *part > 0.0 && *part < 1.0)
}

fn middle([a, b]: Edge) -> [f64; 2] {
    [f64::midpoint(a[0], b[0]), f64::midpoint(a[1], b[1])]
}

/// The points just left and right of the middle.
fn beside(edge: Edge) -> [[f64; 2]; 2] {
    let ([x, y], [a, b]) = (middle(edge), edge);
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    let step = SAME_PLACE / dx.hypot(dy);
    [[x - dy * step, y + dx * step], [x + dy * step, y - dx * step]]
}

fn on_edge([x, y]: [f64; 2], [a, b]: Edge) -> bool {
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    let along = (((x - a[0]) * dx + (y - a[1]) * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
    (x - a[0] - along * dx).hypot(y - a[1] - along * dy) < SAME_PLACE / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(from: f64, until: f64) -> Ring {
        vec![[from, from], [until, from], [until, until], [from, until], [from, from]]
    }

    #[test]
    fn a_hole_is_outside_and_a_second_polygon_counts() {
        let area = vec![vec![square(0.0, 4.0), square(1.0, 3.0)], vec![square(10.0, 11.0)]];
        assert!(inside([0.5, 0.5], &area));
        assert!(!inside([2.0, 2.0], &area), "in the hole");
        assert!(inside([10.5, 10.5], &area));
        assert!(!inside([5.0, 5.0], &area));
        assert!(!inside([f64::NAN, 0.5], &area));
        assert!(!inside([0.5, 0.5], &[]));
        assert!(!inside([0.5, 0.5], &[vec![]]));
    }

    #[test]
    fn what_is_covered_leaves_nothing_out() {
        let part = |points: &[[f64; 2]]| vec![vec![points.to_vec()]];
        let whole = vec![vec![square(0.0, 4.0)]];
        assert!(covers(&whole, &whole), "itself");
        assert!(covers(&whole, &part(&[[0.0, 0.0], [4.0, 0.0], [4.0, 4.0]])), "half of it, along its edges");
        assert!(!covers(&whole, &part(&[[0.0, 0.0], [4.1, 0.0], [4.0, 4.0]])), "a corner outside");
        assert!(!covers(&[], &whole) && covers(&whole, &[]));
        // A notch: all corners stay where they were, but the cut is straightened.
        let notched = part(&[[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [2.0, 1.0], [0.0, 4.0]]);
        assert!(covers(&whole, &notched) && covers(&notched, &notched));
        assert!(!covers(&notched, &part(&[[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]])));
        // A hole is outside, unless what is asked about has it too.
        let pierced = vec![vec![square(0.0, 4.0), square(1.0, 2.0)]];
        assert!(!covers(&pierced, &whole) && covers(&pierced, &pierced));
        assert!(covers(&pierced, &[vec![square(0.0, 4.0), square(0.5, 2.5)]]));
        assert!(!covers(&pierced, &[vec![square(0.0, 4.0), square(1.2, 1.8)]]));
        // Two that share an edge are one whole; with a strip between them they are not.
        let column = |from: f64, until: f64| vec![vec![[from, 0.0], [until, 0.0], [until, 4.0], [from, 4.0]]];
        assert!(covers(&[column(0.0, 2.0), column(2.0, 4.0)], &whole));
        assert!(!covers(&[column(0.0, 1.9), column(2.0, 4.0)], &whole));
        assert!(!covers(&whole, &part(&[[0.0, 0.0], [f64::NAN, 0.0], [4.0, 4.0]])));
    }

    /// By the signs of the cross products, independently of any ray.
    fn in_triangle(p: [f64; 2], [a, b, c]: [[f64; 2]; 3]) -> Option<bool> {
        let side = |a: [f64; 2], b: [f64; 2]| (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]);
        let sides = [side(a, b), side(b, c), side(c, a)];
        // On an edge either answer will do.
        (!sides.contains(&0.0)).then(|| sides.iter().all(|s| *s > 0.0) || sides.iter().all(|s| *s < 0.0))
    }

    #[test]
    fn slanted_edges_and_points_level_with_a_corner() {
        let triangles = [
            [[0.0, 0.0], [7.0, 2.0], [3.0, 8.0]],
            [[-4.0, 1.0], [5.0, -6.0], [2.0, 6.0]],
            [[1.0, 1.0], [9.0, 3.0], [4.0, 3.0]],
        ];
        let mut told = 0;
        for triangle in triangles {
            for x in -20..=40 {
                for y in -28..=36 {
                    let point = [f64::from(x) / 4.0, f64::from(y) / 4.0];
                    if let Some(expected) = in_triangle(point, triangle) {
                        assert_eq!(
                            inside(point, &[vec![triangle.to_vec()]]),
                            expected,
                            "{point:?} in {triangle:?}"
                        );
                        told += 1;
                    }
                }
            }
        }
        assert!(told > 11_000, "{told}");
    }

    #[test]
    fn an_open_ring_is_closed() {
        assert!(inside([0.5, 0.5], &[vec![vec![[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]]]));
    }
}
