//! The error of curves before any comparison, from `data/calibration.toml`.

use std::sync::LazyLock;

use serde::Deserialize;

/// The table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Prior {
    /// It counts as so many scores.
    pub(super) weight: f64,
    /// Levels of the quantiles, ascending.
    pub(super) levels: Vec<f64>,
    /// By extrapolation, ascending.
    group: Vec<PriorGroup>,
}

/// Quantiles around one extrapolation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PriorGroup {
    /// Centre of the group.
    pub(super) extrapolation: f64,
    /// Quantiles of ln(actual / predicted).
    pub(super) log_ratio: Vec<f64>,
}

pub(super) static PRIOR: LazyLock<Prior> = LazyLock::new(|| {
    toml::from_str(include_str!("../../data/calibration.toml"))
        .expect("calibration.toml is part of the program and read by its tests")
});

pub(super) fn groups() -> &'static [PriorGroup] {
    &PRIOR.group
}

impl PriorGroup {
    /// Quantile by linear interpolation, beyond the table along its outermost piece in the log odds.
    pub(super) fn quantile(&self, level: f64) -> f64 {
        interpolated(&PRIOR.levels, &self.log_ratio, level)
    }

    /// Half of the distance between the quartiles.
    pub(super) fn scale(&self) -> f64 {
        ((self.quantile(0.75) - self.quantile(0.25)) / 2.0).max(1e-3)
    }
}

/// Piecewise linear through (x, y), x ascending; constant beyond.
pub(super) fn interpolated(xs: &[f64], ys: &[f64], x: f64) -> f64 {
    let upper = xs.iter().position(|known| *known >= x).unwrap_or(xs.len());
    let value = |k: usize| ys.get(k).copied().unwrap_or(0.0);
    if upper == 0 {
        return value(0);
    }
    if upper >= xs.len() {
        return value(xs.len().saturating_sub(1));
    }
    let share = (x - xs[upper - 1]) / (xs[upper] - xs[upper - 1]).max(1e-12);
    value(upper - 1) + share * (value(upper) - value(upper - 1))
}
