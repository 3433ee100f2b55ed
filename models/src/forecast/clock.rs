//! The write downtime's quantiles after what earlier migrations came to.
//!
//! Split-conformal scaling of the upper half (Papadopoulos et al. 2002): the score of a migration is
//! ln(actual / P50) over ln(P90 / P50), and the P90 is moved out to the rank (n + 1) x 0.9 of the
//! scores. Never in: a few lucky migrations promise nothing.

use super::FittedModel;
use crate::units::Quantiles;

/// Fewest scores whose rank (n + 1) x 0.9 exists.
const LEAST_SCORES: usize = 9;

/// The quantiles with their distance from the median stretched to what was seen.
pub(crate) fn widened(clock: Quantiles, model: &FittedModel) -> Quantiles {
    let factor = factor(&model.clock_scores);
    let out = |quantile: f64| {
        if clock.p50 > 0.0 && quantile > clock.p50 {
            clock.p50 * (quantile / clock.p50).powf(factor)
        } else {
            quantile
        }
    };
    Quantiles {
        p50: clock.p50,
        p90: out(clock.p90),
        p99: out(clock.p99),
    }
}

fn factor(scores: &[f64]) -> f64 {
    let mut sound: Vec<f64> = scores.iter().copied().filter(|s| s.is_finite()).collect();
    if sound.len() < LEAST_SCORES {
        return 1.0;
    }
    sound.sort_by(f64::total_cmp);
    let rank = ((sound.len() + 1) * 9).div_ceil(10).min(sound.len());
    sound[rank - 1].clamp(1.0, 4.0)
}

/// What the clocks' quantiles rest on.
pub(super) fn words(scores: &[f64]) -> Option<String> {
    let n = scores.len();
    Some(match n {
        0 => "write downtime: simulated; no earlier migration to compare with".to_owned(),
        n if n < LEAST_SCORES => format!(
            "write downtime: simulated; {n} earlier migrations, too few to correct it (9 for P90, 99 for P99)"
        ),
        n if n < 99 => format!(
            "write downtime: P90 held against {n} earlier migrations; P99 not supported (n = {n}): simulated"
        ),
        n => format!("write downtime: held against {n} earlier migrations"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretched(scores: Vec<f64>) -> f64 {
        factor(&scores)
    }

    #[test]
    fn few_scores_change_nothing_and_good_ones_never_narrow() {
        assert!((stretched(vec![9.0; 8]) - 1.0).abs() < 1e-12);
        assert!((stretched(vec![0.1; 50]) - 1.0).abs() < 1e-12);
        assert!((stretched(vec![f64::NAN; 50]) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn misses_move_the_quantile_out_to_their_rank() {
        let scores: Vec<f64> = (0..19).map(|k| f64::from(k) * 0.1).collect();
        // Rank 18 of 19.
        assert!((stretched(scores) - 1.7).abs() < 1e-12);
    }
}
