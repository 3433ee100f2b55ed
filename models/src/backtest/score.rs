//! Errors and coverage over windows. It must not know how a prediction was made.

use super::{Figures, LagResult, Prediction, ReachResult, TraceResult};
use crate::units::BLOCK_BYTES;

/// Extrapolation up to which the width of the band is judged.
const NEAR: f64 = 3.0;

/// Borders between groups of extrapolation.
const REACHES: [f64; 6] = [0.0, 0.1, 0.3, 1.0, NEAR, 10.0];

/// Figures of each lag, ascending.
pub fn by_lag(predictions: &[Prediction]) -> Vec<LagResult> {
    let mut lags: Vec<f64> = predictions.iter().map(|p| p.lag_seconds).collect();
    lags.sort_by(f64::total_cmp);
    lags.dedup();
    let result = |lag_seconds: f64| LagResult {
        lag_seconds,
        figures: figures_of(predictions, |p| p.lag_seconds == lag_seconds),
    };
    lags.into_iter().map(result).collect()
}

/// Figures of each group of extrapolation that has windows.
pub fn by_reach(predictions: &[Prediction]) -> Vec<ReachResult> {
    let group = |(index, &above): (usize, &f64)| {
        let up_to = REACHES.get(index + 1).copied();
        let most = up_to.unwrap_or(f64::INFINITY);
        let inside = |p: &Prediction| p.extrapolation > above && p.extrapolation <= most;
        let figures = figures_of(predictions, inside);
        ReachResult {
            above,
            up_to,
            figures,
        }
    };
    let groups = REACHES.iter().enumerate().map(group);
    groups.filter(|group| group.figures.scored > 0).collect()
}

fn figures_of(predictions: &[Prediction], of: impl Fn(&Prediction) -> bool) -> Figures {
    let group: Vec<Prediction> = predictions.iter().filter(|p| of(p)).cloned().collect();
    figures(&group)
}

/// Figures of one trace, or of any other group of windows.
pub fn figures(predictions: &[Prediction]) -> Figures {
    let scored: Vec<&Prediction> = predictions.iter().filter(|p| p.scored).collect();
    let near: Vec<&Prediction> = scored
        .iter()
        .copied()
        .filter(|p| p.extrapolation <= NEAR)
        .collect();
    let errors = |of: &dyn Fn(&Prediction) -> f64| {
        sorted(scored.iter().map(|p| log_error(of(p), p.actual_bytes)))
    };
    let widths = |of: &dyn Fn(&Prediction) -> super::Band| {
        let width = |p: &&Prediction| of(p).p90 / of(p).p50.max(BLOCK_BYTES as f64 / 2.0);
        quantile(&sorted(near.iter().map(width)), 0.5)
    };
    let covered = |of: &dyn Fn(&Prediction) -> super::Band| {
        let inside = |p: &&&Prediction| (of(p).p05..=of(p).p95).contains(&p.actual_bytes);
        let hits = scored.iter().filter(inside).count();
        (!scored.is_empty()).then(|| hits as f64 / scored.len() as f64)
    };
    let forecast = errors(&|p| p.predicted_bytes.p50);
    let known = errors(&|p| p.predicted_bytes_known_volume);
    Figures {
        scored: u32::try_from(scored.len()).unwrap_or(u32::MAX),
        median_abs_log_error: quantile(&forecast, 0.5),
        median_abs_log_error_known_volume: quantile(&known, 0.5),
        naive_median_abs_log_error: quantile(&errors(&|p| p.naive_bytes), 0.5),
        constant_rate_median_abs_log_error: quantile(&errors(&|p| p.constant_rate_bytes), 0.5),
        exponential_median_abs_log_error: quantile(&errors(&|p| p.exponential_bytes), 0.5),
        power_law_median_abs_log_error: quantile(&errors(&|p| p.power_law_bytes), 0.5),
        coverage_90_percent: covered(&|p| p.predicted_bytes),
        coverage_90_percent_known_volume: covered(&|p| p.known_volume_band_bytes),
        p90_over_p50: widths(&|p| p.predicted_bytes),
        p90_over_p50_known_volume: widths(&|p| p.known_volume_band_bytes),
        p90_abs_log_error: quantile(&forecast, 0.9),
        p90_abs_log_error_known_volume: quantile(&known, 0.9),
    }
}

/// Pooled over traces: medians of their medians, so that no long trace decides; the coverage of all windows.
pub fn pooled(traces: &[TraceResult], predictions: &[Prediction]) -> Figures {
    let middle = |of: &dyn Fn(&Figures) -> Option<f64>| {
        quantile(
            &sorted(traces.iter().filter_map(|trace| of(&trace.figures))),
            0.5,
        )
    };
    let all = figures(predictions);
    Figures {
        median_abs_log_error: middle(&|f| f.median_abs_log_error),
        median_abs_log_error_known_volume: middle(&|f| f.median_abs_log_error_known_volume),
        naive_median_abs_log_error: middle(&|f| f.naive_median_abs_log_error),
        constant_rate_median_abs_log_error: middle(&|f| f.constant_rate_median_abs_log_error),
        exponential_median_abs_log_error: middle(&|f| f.exponential_median_abs_log_error),
        power_law_median_abs_log_error: middle(&|f| f.power_law_median_abs_log_error),
        p90_over_p50: middle(&|f| f.p90_over_p50),
        p90_over_p50_known_volume: middle(&|f| f.p90_over_p50_known_volume),
        p90_abs_log_error: middle(&|f| f.p90_abs_log_error),
        p90_abs_log_error_known_volume: middle(&|f| f.p90_abs_log_error_known_volume),
        ..all
    }
}

/// |ln(predicted/actual)|; a prediction of nothing counts as half a block.
pub fn log_error(predicted_bytes: f64, actual_bytes: f64) -> f64 {
    let half = BLOCK_BYTES as f64 / 2.0;
    (predicted_bytes.max(half) / actual_bytes.max(half))
        .ln()
        .abs()
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Quantile of ascending values, linear between ranks (Hyndman and Fan 1996, type 7).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank within the values"
)]
pub fn quantile(ascending: &[f64], level: f64) -> Option<f64> {
    let last = ascending.len().checked_sub(1)?;
    let rank = level.clamp(0.0, 1.0) * last as f64;
    let below = rank.floor() as usize;
    let (low, high) = (ascending[below], ascending[(below + 1).min(last)]);
    Some(low + (high - low) * (rank - below as f64))
}
