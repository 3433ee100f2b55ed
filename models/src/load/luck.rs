//! The paths' own chance: fixed sequences that cover (0, 1) evenly and have nothing to do with
//! each other (additive recurrences, Roberts 2018). It must not know what they are used for.

use crate::draws::student4_quantile;

/// Number of paths: a power of two.
pub(super) const PATHS: usize = 256;
const PATH_BITS: u32 = PATHS.trailing_zeros();
/// The plastic ratio of five dimensions: the root of x^6 = x + 1.
const PLASTIC: f64 = 1.134_724_138_401_519_4;

/// What chance is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Luck {
    /// Whether the bulk jobs are over, or go on.
    Jobs = 1,
    /// How long the running one lasts.
    JobLength,
    /// The surprise.
    SurpriseStart,
    SurpriseLength,
    SurpriseSize,
}

/// A number in (0, 1).
pub(super) fn luck(path: usize, of: Luck) -> f64 {
    let step = PLASTIC.powi(-(of as i32));
    let at = (0.5 + (path as f64 + 1.0) * step).fract();
    at.clamp(1e-4, 1.0 - 1e-4)
}

/// The paths' numbers in another order (bits reversed), so that neighbours differ.
pub(super) fn scramble(path: usize) -> usize {
    path.reverse_bits() >> (usize::BITS - PATH_BITS)
}

/// A variate per path, Student t with 4 degrees of freedom, evenly spread over the paths.
pub(super) fn scattered(path: usize) -> f64 {
    student4_quantile((scramble(path) as f64 + 0.5) / PATHS as f64).clamp(-4.0, 4.0)
}
