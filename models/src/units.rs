//! Quantities and how they are rounded and summarised. Knows nothing of what they measure.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bytes of one snapshot block: EBS tracks changes in units of 512 KiB (AWS EBS direct APIs, block size).
pub const BLOCK_BYTES: u64 = 524_288;

/// Bytes of one GiB.
pub const GIB: u64 = 1 << 30;

/// A point in time, always UTC.
pub type Timestamp = DateTime<Utc>;

/// A number of 512 KiB snapshot blocks.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Blocks(pub u64);

impl Blocks {
    /// Bytes these blocks hold.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0 * BLOCK_BYTES
    }

    /// The fewest blocks that hold `bytes`.
    #[must_use]
    pub const fn covering(bytes: u64) -> Self {
        Self(bytes.div_ceil(BLOCK_BYTES))
    }
}

/// The whole blocks nearest to a modelled number of blocks; zero for what is not a number.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what a u64 holds; NaN becomes 0"
)]
pub fn whole_blocks(blocks: f64) -> u64 {
    blocks.round().clamp(0.0, 9e18) as u64
}

/// Seconds as a span of time, to the millisecond; zero for what is not a number.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    reason = "clamped to a hundred years"
)]
pub fn span(seconds: f64) -> chrono::TimeDelta {
    let milliseconds = (seconds * 1000.0).round().clamp(-3.2e12, 3.2e12);
    chrono::TimeDelta::milliseconds(milliseconds as i64)
}

/// Seconds since 1970, as the models count time.
#[must_use]
pub fn epoch_seconds(at: Timestamp) -> f64 {
    at.timestamp_millis() as f64 / 1000.0
}

/// The point in time `seconds` after 1970; the nearest one that can be written down.
#[must_use]
pub fn at_epoch_seconds(seconds: f64) -> Timestamp {
    Timestamp::UNIX_EPOCH
        .checked_add_signed(span(seconds))
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Three quantiles of an uncertain quantity; the unit is in the name of the field that holds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quantiles {
    /// Half of the outcomes are at or below this.
    pub p50: f64,
    /// Nine in ten outcomes are at or below this.
    pub p90: f64,
    /// Ninety-nine in a hundred outcomes are at or below this.
    pub p99: f64,
}

impl Quantiles {
    /// A quantity known exactly.
    #[must_use]
    pub const fn exact(value: f64) -> Self {
        Self {
            p50: value,
            p90: value,
            p99: value,
        }
    }

    /// Quantiles of `draws` by the nearest-rank rule; sorts the slice. All zero when it is empty.
    #[must_use]
    pub fn of(draws: &mut [f64]) -> Self {
        draws.sort_by(f64::total_cmp);
        let at = |level: f64| {
            draws
                .get(nearest_rank(level, draws.len()))
                .copied()
                .unwrap_or(0.0)
        };
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
        }
    }

    /// The smallest stated quantile whose level is at least `confidence`; beyond 0.99 the p99.
    #[must_use]
    pub fn at_confidence(&self, confidence: f64) -> f64 {
        match confidence {
            level if level <= 0.5 => self.p50,
            level if level <= 0.9 => self.p90,
            _ => self.p99,
        }
    }

    /// The same quantities in another unit.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self {
            p50: self.p50 * factor,
            p90: self.p90 * factor,
            p99: self.p99 * factor,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank between 0 and the number of draws"
)]
fn nearest_rank(level: f64, count: usize) -> usize {
    let rank = (level * count as f64).ceil() as usize;
    rank.max(1) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_a_last_partial_block() {
        assert_eq!(Blocks::covering(0), Blocks(0));
        assert_eq!(Blocks::covering(1), Blocks(1));
        assert_eq!(Blocks::covering(BLOCK_BYTES + 1), Blocks(2));
        assert_eq!(Blocks(2).bytes(), 1_048_576);
    }

    #[test]
    fn quantiles_follow_the_nearest_rank() {
        let mut draws: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(
            Quantiles::of(&mut draws),
            Quantiles {
                p50: 50.0,
                p90: 90.0,
                p99: 99.0
            }
        );
        assert_eq!(Quantiles::of(&mut []), Quantiles::exact(0.0));
    }
}
