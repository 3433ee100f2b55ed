//! What earlier migrations and earlier plans of this one taught: kept between runs, small.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Score;
use crate::observation::ObservedDuration;
use crate::units::Quantiles;

/// A forecast write downtime and what it came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClockOutcome {
    /// Forecast at the gate.
    pub predicted: Quantiles,
    /// Seconds it took.
    pub actual_seconds: f64,
}

/// Everything worth keeping of earlier migrations, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct History {
    /// Deltas of earlier rounds against their forecasts.
    #[serde(default)]
    pub curve: Vec<Score>,
    /// Durations of service steps; each says where it was.
    #[serde(default)]
    pub durations: Vec<ObservedDuration>,
    /// Write downtimes against their forecasts at the gate.
    #[serde(default)]
    pub clocks: Vec<ClockOutcome>,
}

impl History {
    /// ln(actual / P50) over ln(P90 / P50) of every usable outcome.
    #[must_use]
    pub fn clock_scores(&self) -> Vec<f64> {
        let score = |outcome: &ClockOutcome| {
            let width = (outcome.predicted.p90 / outcome.predicted.p50).ln();
            (outcome.actual_seconds / outcome.predicted.p50).ln() / width.max(0.01)
        };
        let scores = self.clocks.iter().map(score);
        scores.filter(|score| score.is_finite()).collect()
    }
}
