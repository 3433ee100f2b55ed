//! A concave curve through the origin, kept as points with straight lines between them.
//!
//! Any concave growth can be written so, and a simulation asks for it a million times. It must not
//! know where the points come from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A point of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Knot {
    /// Operational time, more than 0.
    pub volume: f64,
    /// Distinct blocks dirtied in it.
    pub blocks: f64,
}

/// The least concave curve from the origin on or above `points`, never falling. Points that are
/// not finite or not positive are left out.
#[must_use]
pub fn hull(mut points: Vec<Knot>) -> Vec<Knot> {
    points.retain(|p| p.volume > 0.0 && p.volume.is_finite() && p.blocks.is_finite());
    points.sort_by(|a, b| a.volume.total_cmp(&b.volume));
    let mut highest = 0.0_f64;
    let mut kept: Vec<Knot> = Vec::with_capacity(points.len());
    for point in points {
        highest = highest.max(point.blocks);
        let next = Knot {
            blocks: highest,
            ..point
        };
        while let Some(last) = kept.last() {
            let before = kept.len().checked_sub(2).map(|k| kept[k]);
            if slope(before, *last) > slope(Some(*last), next) {
                break;
            }
            kept.pop();
        }
        kept.push(next);
    }
    kept
}

fn slope(from: Option<Knot>, to: Knot) -> f64 {
    let (volume, blocks) = from.map_or((0.0, 0.0), |knot| (knot.volume, knot.blocks));
    (to.blocks - blocks) / (to.volume - volume).max(1e-300)
}

/// The curve's height; beyond the last knot its last slope goes on.
#[must_use]
pub fn height(knots: &[Knot], volume: f64) -> f64 {
    if knots.is_empty() || volume.is_nan() || volume <= 0.0 {
        return 0.0;
    }
    let upper = knots.partition_point(|knot| knot.volume < volume);
    let upper = upper.min(knots.len() - 1);
    let before = upper.checked_sub(1).map(|k| knots[k]);
    let (volume_before, blocks_before) = before.map_or((0.0, 0.0), |k| (k.volume, k.blocks));
    blocks_before + slope(before, knots[upper]) * (volume - volume_before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knot(volume: f64, blocks: f64) -> Knot {
        Knot { volume, blocks }
    }

    #[test]
    fn a_dent_is_bridged_and_a_fall_held() {
        let dented = hull(vec![
            knot(1.0, 10.0),
            knot(2.0, 11.0),
            knot(3.0, 18.0),
            knot(4.0, 17.0),
        ]);
        assert_eq!(height(&dented, 2.0), 14.0);
        assert_eq!(height(&dented, 4.0), 18.0);
        assert_eq!(height(&dented, 40.0), 18.0);
    }

    #[test]
    fn it_goes_through_the_origin_and_on_beyond_the_end() {
        let line = hull(vec![knot(2.0, 4.0), knot(4.0, 6.0)]);
        assert_eq!(height(&line, 0.0), 0.0);
        assert_eq!(height(&line, 1.0), 2.0);
        assert_eq!(height(&line, 8.0), 10.0);
        assert_eq!(height(&hull(vec![knot(f64::NAN, 1.0)]), 5.0), 0.0);
    }
}
