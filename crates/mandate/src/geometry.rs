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

    #[test]
    fn an_open_ring_is_closed() {
        assert!(inside([0.5, 0.5], &[vec![vec![[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]]]));
    }
}
