//! How wrong a delta curve is: quantiles of ln(actual / predicted), learned from comparisons.
//!
//! A volume's own errors tell the scale of its later ones, over two orders of magnitude between volumes; so
//! the prior is a table of errors over that scale (normalised conformal scores; Papadopoulos et al., Neural
//! Processing Letters 2011), mixed with one for a volume whose scores are no guide.
//!
//! Split-conformal prediction (Papadopoulos et al., ECML 2002; Lei et al., JASA 2018) in groups of
//! extrapolation (Mondrian): a level is the rank (n + 1) x level among the scores. A prior counts as a
//! few scores, a group with few of its own borrows from its neighbours, older scores fade (Barber et
//! al., Annals of Statistics 2023), and recent misses widen what comes next (Gibbs and Candes, NeurIPS
//! 2021). It must not know curves, volumes, services or time.

mod adaptive;
mod groups;
mod history;
mod prior;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use adaptive::Misses;
use groups::Group;
use prior::PRIOR;

pub use history::{ClockOutcome, History};
pub use prior::Prior;

/// One comparison of a forecast with what came.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Score {
    /// Operational time of the window over that of all deltas behind the forecast.
    pub extrapolation: f64,
    /// ln(actual / predicted).
    pub log_ratio: f64,
}

impl Score {
    /// Finite, with a positive extrapolation.
    fn sound(&self) -> bool {
        self.log_ratio.is_finite() && self.extrapolation.is_finite() && self.extrapolation > 0.0
    }
}

/// What is known of the error, prior and scores together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Calibration {
    /// In order of extrapolation.
    groups: Vec<Group>,
    /// Recent misses on both sides.
    misses: Misses,
}

impl Default for Calibration {
    fn default() -> Self {
        Self::prior()
    }
}

impl Calibration {
    /// The table behind it before any comparison.
    #[must_use]
    pub fn prior_table() -> &'static Prior {
        &PRIOR
    }

    /// A volume's scale over that of all volumes, as far as its comparisons tell.
    #[must_use]
    pub fn own_scale(&self) -> f64 {
        let scores = self.comparisons().into_iter();
        PRIOR.own_scale(scores.map(|s| (s.log_ratio, PRIOR.scale_at(s.extrapolation), 1.0)))
    }

    /// Before any comparison.
    #[must_use]
    pub fn prior() -> Self {
        Self {
            groups: prior::groups()
                .iter()
                .map(|group| Group::prior(group, &PRIOR))
                .collect(),
            misses: Misses::default(),
        }
    }

    /// Nothing was compared yet.
    #[must_use]
    pub fn is_prior(&self) -> bool {
        *self == Self::prior()
    }

    /// After more comparisons, oldest first. Unusable ones are left out.
    #[must_use]
    pub fn with_scores(&self, scores: &[Score]) -> Self {
        self.with_scores_by(&PRIOR, scores)
    }

    /// The same by another prior.
    #[must_use]
    pub fn with_scores_by(&self, prior: &Prior, scores: &[Score]) -> Self {
        let mut next = self.clone();
        for score in scores.iter().filter(|score| score.sound()) {
            next.judge(prior, *score);
            groups::add(&mut next.groups, *score);
        }
        groups::tabulate(&mut next.groups, next.misses, prior);
        next
    }

    /// The comparisons behind it, group by group; their extrapolations are those of the groups' centres.
    #[must_use]
    pub fn comparisons(&self) -> Vec<Score> {
        let groups = self.groups.iter().zip(prior::groups());
        let of_group = |(group, of): (&Group, &prior::PriorGroup)| {
            let extrapolation = of.extrapolation;
            let scores = group.scores().iter();
            let score = |log_ratio: &f64| Score {
                extrapolation,
                log_ratio: *log_ratio,
            };
            scores.map(score).collect::<Vec<Score>>()
        };
        groups.flat_map(of_group).collect()
    }

    /// Whether the interval so far held this score.
    fn judge(&mut self, prior: &Prior, score: Score) {
        // The tables are brought up to date one by one only while misses are counted.
        groups::tabulate(&mut self.groups, Misses::default(), prior);
        let at = |level| groups::quantile(&self.groups, score.extrapolation, level);
        let (low, high) = (at(adaptive::TAIL), at(1.0 - adaptive::TAIL));
        self.misses = self
            .misses
            .after(score.log_ratio < low, score.log_ratio > high);
    }

    /// Quantile of ln(actual / predicted) at `level` in (0, 1); nondecreasing in `level` and
    /// continuous in both arguments.
    #[must_use]
    pub fn log_error(&self, extrapolation: f64, level: f64) -> f64 {
        groups::quantile(&self.groups, extrapolation, level)
    }

    /// Enough comparisons for such a quantile: the rank (n + 1) x level exists.
    #[must_use]
    pub fn supports(&self, level: f64, extrapolation: f64) -> bool {
        let tail = level.min(1.0 - level);
        let count = groups::scores_near(&self.groups, extrapolation) as f64;
        tail > 0.0 && (count + 1.0) * tail >= 1.0 - 1e-9
    }

    /// Number of comparisons behind it.
    #[must_use]
    pub fn scores(&self) -> usize {
        self.groups.iter().map(Group::count).sum()
    }

    /// Where the interval comes from, for the reader.
    #[must_use]
    pub fn provenance(&self) -> String {
        let count = self.scores();
        if count == 0 {
            return "error of the curve: prior only (eight recorded and synthetic volumes)"
                .to_owned();
        }
        let unsupported: Vec<&str> = [(0.9, "P90"), (0.99, "P99")]
            .into_iter()
            .filter(|(level, _)| !self.supports(*level, 1.0))
            .map(|(_, name)| name)
            .collect();
        let lacking = if unsupported.is_empty() {
            String::new()
        } else {
            format!(
                "; {} not supported (n = {count}): prior tail",
                unsupported.join(" and ")
            )
        };
        format!("error of the curve: measured ({count} comparisons with own deltas){lacking}")
    }
}

#[cfg(test)]
mod tests;
