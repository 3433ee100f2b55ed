//! A lognormal distribution as scenarios write it. It must not know what it measures.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `{ median, sigma }`: half of all draws are below `median`, `sigma` is the standard deviation of the
/// logarithm. The unit is in the name of the field that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dist {
    /// The median of the draws.
    pub median: f64,
    /// The standard deviation of the draws' logarithm; 0 makes every draw the median.
    #[serde(default)]
    pub sigma: f64,
}

impl Dist {
    /// One draw.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> f64 {
        self.median * (self.sigma * standard_normal(rng)).exp()
    }
}

/// One draw from the standard normal distribution (Box and Muller, 1958).
pub fn standard_normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius: f64 = 1.0 - rng.random::<f64>();
    let angle: f64 = rng.random::<f64>() * std::f64::consts::TAU;
    (-2.0 * radius.ln()).sqrt() * angle.cos()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn half_of_the_draws_are_below_the_median() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let dist = Dist {
            median: 40.0,
            sigma: 0.5,
        };
        let below = (0..4000).filter(|_| dist.draw(&mut rng) < 40.0).count();
        assert!(
            (1850..2150).contains(&below),
            "{below} of 4000 below the median"
        );
    }

    #[test]
    fn no_spread_gives_the_median() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        assert_eq!(
            Dist {
                median: 3.0,
                sigma: 0.0
            }
            .draw(&mut rng)
            .to_bits(),
            3.0_f64.to_bits()
        );
    }
}
