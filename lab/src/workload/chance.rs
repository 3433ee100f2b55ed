//! Seeded chance without state: each number is a hash of what it is for, so nothing depends on who asked before.
//! It knows no distribution's purpose.

use std::f64::consts::TAU;

/// A 64-bit hash of some numbers (SplitMix64 finaliser over each, Steele, Lea and Flood 2014).
#[must_use]
pub fn mix(parts: &[u64]) -> u64 {
    parts.iter().fold(0x243F_6A88_85A3_08D3, |state, part| {
        scramble(state ^ scramble(*part))
    })
}

/// A 64-bit hash of a text (FNV-1a, then scrambled).
#[must_use]
pub fn hash_text(text: &str) -> u64 {
    let fnv = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    scramble(text.bytes().fold(0xCBF2_9CE4_8422_2325, fnv))
}

/// A number uniform in `[0, 1)` made of a hash.
#[must_use]
pub fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

/// A standard normal number made of a hash (Box and Muller 1958).
#[must_use]
pub fn normal(hash: u64) -> f64 {
    let (first, second) = (unit(hash), unit(scramble(hash ^ 0x5851_F42D_4C95_7F2D)));
    (-2.0 * (1.0 - first).ln()).sqrt() * (TAU * second).cos()
}

fn scramble(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A small fast generator for the draws of one tick (SplitMix64); its seed is a hash of what the draws are for.
#[derive(Debug, Clone)]
pub struct Draws(u64);

impl Draws {
    /// The generator of one purpose.
    #[must_use]
    pub fn new(parts: &[u64]) -> Self {
        Self(mix(parts))
    }

    /// The next 64 bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number uniform in `0..bound` (multiply and shift, Lemire 2019, without its rejection: the bias is below 2^-30
    /// for every volume size).
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.bits()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// A number of events with the given mean: exact inversion when few, a rounded normal when many.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 30.0 {
            return round(mean + mean.sqrt() * normal(self.bits()));
        }
        let (mut left, mut count) = (unit(self.bits()), 0);
        let mut chance = (-mean).exp();
        while left >= chance && count < 200 {
            left -= chance;
            count += 1;
            chance *= mean / count as f64;
        }
        count
    }
}

/// A positive number from its median and the standard deviation of its logarithm.
#[must_use]
pub fn lognormal(median: f64, sigma: f64, hash: u64) -> f64 {
    median * (sigma * normal(hash)).exp()
}

/// The nearest whole number; 0 for negative numbers and not-a-number.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, which is meant"
)]
pub fn round(value: f64) -> u64 {
    value.round() as u64
}

/// The whole number below; 0 for negative numbers and not-a-number.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, which is meant"
)]
pub fn floor(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_as_named() {
        let n = 20_000u64;
        let (mut sum, mut squares, mut uniform) = (0.0, 0.0, 0.0);
        for i in 0..n {
            let z = normal(mix(&[7, i]));
            (sum, squares, uniform) = (sum + z, squares + z * z, uniform + unit(mix(&[8, i])));
        }
        let n = n as f64;
        assert!(
            (sum / n).abs() < 0.03 && (squares / n - 1.0).abs() < 0.04,
            "{sum} {squares}"
        );
        assert!((uniform / n - 0.5).abs() < 0.01);
    }

    #[test]
    fn counts_have_their_mean_and_spread() {
        for mean in [0.2, 3.0, 25.0, 250.0] {
            let mut draws = Draws::new(&[1]);
            let counts = (0..20_000)
                .map(|_| draws.poisson(mean) as f64)
                .collect::<Vec<_>>();
            let average = counts.iter().sum::<f64>() / 20_000.0;
            let spread = counts.iter().map(|c| (c - average).powi(2)).sum::<f64>() / 20_000.0;
            assert!(
                (average / mean - 1.0).abs() < 0.03,
                "mean {average} for {mean}"
            );
            assert!(
                (spread / mean - 1.0).abs() < 0.06,
                "variance {spread} for {mean}"
            );
        }
    }
}
