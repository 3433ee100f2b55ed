//! The delta curve: how many distinct 512 KiB blocks a volume dirties while it writes a volume of data.
//!
//! U is a function of operational time, not of seconds: a stream of small writes (in equivalent
//! operations) that hit blocks at unequal rates and so saturate, and a stream of bulk writing
//! that covers fresh blocks. It is concave and increasing in both, zero at zero, and never above
//! the blocks the volume has. It must not know clocks, services or money.

mod blend;
mod bulk;
mod counts;
mod error;
mod fit;
mod incidence;
mod knots;
mod mixture;
mod nnls;
mod sample;
mod scores;
mod unions;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calibration::Calibration;

pub use bulk::BulkPoint;
pub use fit::{Interval, fit, foresights, refit};
pub use incidence::IncidenceTable;
pub use knots::Knot;
pub use mixture::{Atom, expected, fit_mixture, log_likelihood};
pub use scores::own_scores;

/// A point in operational time, or a distance in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Written {
    /// Small writes, in equivalent operations.
    pub small: f64,
    /// Bulk writes, in 512 KiB blocks.
    pub bulk_blocks: f64,
}

impl Written {
    /// Both streams times `factor`.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self {
            small: self.small * factor,
            bulk_blocks: self.bulk_blocks * factor,
        }
    }

    /// Both streams added.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            small: self.small + other.small,
            bulk_blocks: self.bulk_blocks + other.bulk_blocks,
        }
    }
}

/// The shape the small writes' curve has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Growth {
    /// A concave curve fitted to the identities of changed blocks.
    Fitted {
        /// Its points.
        knots: Vec<Knot>,
        /// Operational time of all calibration intervals together.
        calibrated: f64,
    },
    /// Blocks hit at a mixture of Poisson rates, as earlier versions wrote it.
    Mixture {
        /// Rates and how many blocks have them.
        atoms: Vec<Atom>,
        /// Operational time of all calibration intervals together.
        calibrated: f64,
    },
    /// anchor x (v / anchor volume) ^ exponent (Heaps 1978), for counts, one delta, or none.
    Heaps {
        /// Operational time of the anchor.
        anchor_volume: f64,
        /// Blocks dirtied in it.
        anchor_blocks: f64,
        /// Exponent.
        exponent: f64,
        /// Its standard deviation.
        exponent_spread: f64,
    },
}

/// The delta curve of one volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DirtyCurve {
    /// No delta is larger.
    pub bound_blocks: f64,
    /// Small writes.
    pub growth: Growth,
    /// ln of the blocks dirtied per bulk block at 200 blocks.
    pub bulk_log_factor: f64,
    /// Exponent of that factor around 200 blocks.
    #[serde(default = "prior_bulk_slope", skip_serializing_if = "is_prior_slope")]
    pub bulk_slope: f64,
    /// Bulk writing of the observed deltas, in 512 KiB blocks.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bulk_observed_blocks: f64,
    /// What bulk writing was seen to dirty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bulk_points: Vec<BulkPoint>,
    /// Log scale of the error of a curve without identities (Student t).
    pub spread: f64,
    /// Observed deltas behind it.
    pub deltas: u32,
    /// Incidence of blocks over observed deltas, so that later deltas join them.
    pub tables: Vec<IncidenceTable>,
    /// How wrong the curve was on deltas it had not seen.
    #[serde(default, skip_serializing_if = "Calibration::is_prior")]
    pub calibration: Calibration,
    /// Where it comes from.
    pub provenance: String,
}

fn prior_bulk_slope() -> f64 {
    bulk::PRIOR_SLOPE
}

// What is at its default is not written: a plan of an older version keeps its digest.

fn is_prior_slope(slope: &f64) -> bool {
    slope.to_bits() == bulk::PRIOR_SLOPE.to_bits()
}

fn is_zero(blocks: &f64) -> bool {
    blocks.to_bits() == 0
}

impl DirtyCurve {
    /// A curve of nothing yet.
    fn empty(bound_blocks: f64) -> Self {
        Self {
            bound_blocks,
            growth: Growth::Fitted {
                knots: Vec::new(),
                calibrated: 0.0,
            },
            bulk_log_factor: bulk::PRIOR_LOG_FACTOR,
            bulk_slope: bulk::PRIOR_SLOPE,
            bulk_observed_blocks: 0.0,
            bulk_points: Vec::new(),
            spread: 0.0,
            deltas: 0,
            tables: Vec::new(),
            calibration: Calibration::default(),
            provenance: String::new(),
        }
    }

    /// Expected distinct blocks of a window.
    #[must_use]
    pub fn blocks(&self, window: Written) -> f64 {
        let all = self.small_blocks(window.small) + self.bulk_blocks(window.bulk_blocks);
        // A finite number of blocks: never-ending growth bends into it.
        all.min(self.bound_blocks).max(0.0)
    }

    fn small_blocks(&self, small: f64) -> f64 {
        match &self.growth {
            Growth::Fitted { knots, .. } => knots::height(knots, small),
            Growth::Mixture { atoms, .. } => expected(atoms, small.max(0.0)),
            Growth::Heaps {
                anchor_volume,
                anchor_blocks,
                exponent,
                ..
            } => {
                let anchor = (*anchor_volume, *anchor_blocks);
                counts::power(small, anchor, *exponent, self.deltas > 0)
            }
        }
    }

    fn bulk_blocks(&self, bulk: f64) -> f64 {
        bulk::dirtied(bulk, self.bulk_log_factor, self.bulk_slope)
    }
}

#[cfg(test)]
mod tests;
