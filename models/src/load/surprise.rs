//! Jobs nobody announced: what no history shows, as a heavy tail. It must not know the history's
//! order, only how long it is and what its busiest minutes were.

use super::luck::{Luck, luck};
use super::past::Past;
use crate::draws::student4_quantile;

/// Half of them last longer than this, and one in n longer than n times it; the longest.
const MEDIAN_SECONDS: f64 = 600.0;
const LONGEST_SECONDS: f64 = 8.0 * 3600.0;
/// Log scale (Student t, 4 degrees of freedom) of its small writes against the busiest ten minutes.
const SMALL_SPREAD: f64 = 0.7;
/// Bulk blocks per second of half of them (2 MiB/s: dumps, rebuilds, copies), and the log scale.
const BULK_RATE: f64 = 4.0;
const BULK_SPREAD: f64 = 1.3;
/// Small writes per second where not even one was ever seen.
const ASSUMED_BUSIEST: f64 = 100.0;

/// The surprise of one path; times are seconds from the path's start.
pub(super) struct Surprise {
    start: f64,
    end: f64,
    /// Small writes and bulk blocks per second.
    pub(super) small: f64,
    pub(super) bulk: f64,
}

impl Surprise {
    pub(super) fn of(path: usize, past: &Past) -> Self {
        let known = past.ledger.seconds().max(60.0);
        // Even odds that it comes before as much time again has passed as is known (Laplace's rule of succession).
        let start = known * (1.0 / luck(path, Luck::SurpriseStart) - 1.0);
        let lasts = MEDIAN_SECONDS * (1.0 / luck(path, Luck::SurpriseLength) - 1.0);
        let size = student4_quantile(luck(path, Luck::SurpriseSize)).clamp(-4.0, 4.0);
        let busiest = if past.busiest > 0.0 {
            past.busiest
        } else {
            ASSUMED_BUSIEST
        };
        Self {
            start,
            end: start + lasts.min(LONGEST_SECONDS),
            small: busiest * (SMALL_SPREAD * size).exp(),
            bulk: BULK_RATE * (BULK_SPREAD * size).exp(),
        }
    }

    /// Seconds of it between `a` and `b`.
    pub(super) fn within(&self, a: f64, b: f64) -> f64 {
        (self.end.min(b) - self.start.max(a)).max(0.0)
    }
}
