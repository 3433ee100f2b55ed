//! Quantiles of what was drawn, and the highest factor that passes. Knows no plan.

/// Nearest-rank quantile; zero of nothing.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank between 0 and the number of values"
)]
pub(crate) fn quantile(mut values: Vec<f64>, level: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (level * values.len() as f64).ceil() as usize;
    values.get(rank.max(1) - 1).copied().unwrap_or(0.0)
}

/// The highest factor up to `most` that passes, by bisection in the logarithm; 0 when none does.
pub(crate) fn highest(passes: impl Fn(f64) -> bool, most: f64) -> f64 {
    if passes(most) {
        return most;
    }
    let (mut low, mut high) = (1e-3, most);
    if !passes(low) {
        return 0.0;
    }
    for _ in 0..12 {
        let middle = (low * high).sqrt();
        if passes(middle) {
            low = middle
        } else {
            high = middle
        }
    }
    low
}
