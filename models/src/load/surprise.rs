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

#[cfg(test)]
mod tests {
    use super::super::luck::PATHS;
    use super::super::record::Entry;
    use super::*;
    use crate::dirty::Written;

    fn known_for(hours: f64) -> Past {
        let entry = Entry {
            start: 1e6,
            seconds: 3600.0 * hours,
            written: Written {
                small: 1e5,
                bulk_blocks: 0.0,
            },
            calm_seconds: 3600.0 * hours,
        };
        Past::of(&[entry])
    }

    /// What never came in n units of time comes within the next m with probability m / (n + m).
    #[test]
    fn a_job_never_seen_comes_by_laplaces_rule() {
        for (known, ahead) in [(2.0, 1.0), (24.0, 6.0), (6.0, 18.0), (336.0, 8.0)] {
            let past = known_for(known);
            let comes = |path: &usize| Surprise::of(*path, &past).within(0.0, 3600.0 * ahead) > 0.0;
            let share = (0..PATHS).filter(comes).count() as f64 / PATHS as f64;
            let rule = ahead / (known + ahead);
            assert!((share - rule).abs() < 0.01, "{known} h: {share}, {rule}");
        }
    }
}
