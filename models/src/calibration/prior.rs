//! The error of curves before any comparison, from `data/calibration.toml`: how much errors grow with the
//! extrapolation, how those of volumes relate to their own earlier ones, and how far volumes differ.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// The table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prior {
    /// It counts as so many scores.
    pub(super) weight: f64,
    /// The volume's own scale is drawn towards that of all volumes as if by so many scores.
    scale_weight: f64,
    /// An own score is never believed to be smaller.
    least_score: f64,
    /// Volumes that the table was made of: the next one may be unlike all of them, and its scores no guide.
    volumes: u32,
    /// Levels of the quantiles, ascending.
    pub(super) levels: Vec<f64>,
    /// Quantiles of ln(actual / predicted) over the group's scale and the volume's own.
    like_its_own: Vec<f64>,
    /// The same over the group's scale alone.
    unlike: Vec<f64>,
    /// By extrapolation, ascending.
    group: Vec<PriorGroup>,
}

/// How large errors are around one extrapolation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriorGroup {
    /// Centre of the group.
    pub(super) extrapolation: f64,
    /// Usual |ln(actual / predicted)|.
    pub(super) scale: f64,
}

pub(super) static PRIOR: LazyLock<Prior> = LazyLock::new(|| {
    toml::from_str(include_str!("../../data/calibration.toml"))
        .expect("calibration.toml is part of the program and read by its tests")
});

pub(super) fn groups() -> &'static [PriorGroup] {
    &PRIOR.group
}

/// A prior seen by one volume with a scale of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub(super) prior: &'a Prior,
    /// Its scale over that of all volumes.
    own: f64,
    /// Chance that its scores are no guide.
    pub(super) unlike: f64,
}

impl Prior {
    /// The table with other quantiles, made of so many volumes.
    #[must_use]
    pub fn of(&self, volumes: u32, like_its_own: Vec<f64>, unlike: Vec<f64>) -> Self {
        Self {
            volumes,
            like_its_own,
            unlike,
            ..self.clone()
        }
    }

    /// Levels of its quantiles.
    #[must_use]
    pub fn levels(&self) -> &[f64] {
        &self.levels
    }

    /// Volumes behind it.
    #[must_use]
    pub fn volumes(&self) -> u32 {
        self.volumes
    }

    /// Quantiles of errors over the group's scale and the volume's own.
    #[must_use]
    pub fn like_its_own(&self) -> &[f64] {
        &self.like_its_own
    }

    /// Quantiles of errors over the group's scale alone.
    #[must_use]
    pub fn unlike(&self) -> &[f64] {
        &self.unlike
    }

    /// Usual |ln(actual / predicted)| at an extrapolation, over all volumes.
    #[must_use]
    pub fn scale_at(&self, extrapolation: f64) -> f64 {
        let xs: Vec<f64> = self.group.iter().map(|g| g.extrapolation.ln()).collect();
        let ys: Vec<f64> = self.group.iter().map(|g| g.scale).collect();
        interpolated(&xs, &ys, extrapolation.ln())
    }

    /// A volume's scale over that of all volumes, by scores over their groups' scales with weights: the root
    /// of their mean square, drawn to one in ln.
    pub(super) fn own_scale(&self, scores: impl Iterator<Item = (f64, f64, f64)>) -> f64 {
        let square =
            |score: f64, scale: f64| (score * score + self.least_score.powi(2)) / (scale * scale);
        let (sum, count) = scores.fold((0.0, 0.0), |sum, (score, scale, weight)| {
            (sum.0 + weight * square(score, scale), sum.1 + weight)
        });
        if count <= 0.0 {
            return 1.0;
        }
        (0.5 * (sum / count).ln() * count / (count + self.scale_weight)).exp()
    }

    /// As seen by a volume with that scale after `count` scores.
    pub(super) fn seen(&self, own: f64, count: f64) -> Seen<'_> {
        let volumes = f64::from(self.volumes.max(1));
        Seen {
            prior: self,
            own,
            // Scores tell of a scale by their squares: one leaves it even, three settle it. That a volume is unlike
            // all others is ever less likely the more of its own scores speak.
            unlike: (self.weight / (self.weight + count) / (volumes + 1.0))
                .max(1.0 / (count * count + 1.0)),
        }
    }
}

impl Seen<'_> {
    /// Error at a level when the volume's own scores are a guide.
    pub(super) fn like(&self, scale: f64, level: f64) -> f64 {
        scale * self.own * interpolated(&self.prior.levels, &self.prior.like_its_own, level)
    }

    /// Error at a level when they are not: never smaller than they say.
    pub(super) fn unlike(&self, scale: f64, level: f64) -> f64 {
        scale * self.own.max(1.0) * interpolated(&self.prior.levels, &self.prior.unlike, level)
    }

    /// Between the two, by the chance of each.
    pub(super) fn quantile(&self, scale: f64, level: f64) -> f64 {
        let (like, unlike) = (self.like(scale, level), self.unlike(scale, level));
        like + self.unlike * (unlike - like)
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
