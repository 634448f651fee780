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
