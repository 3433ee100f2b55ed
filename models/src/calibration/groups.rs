//! Scores by extrapolation and the quantile table made of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Score;
use super::adaptive::Misses;
use super::prior::{self, Prior, PriorGroup, Seen, interpolated};

/// Levels of the table; beyond the outermost the quantile stays.
pub(super) const LEVELS: [f64; 17] = [
    0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995,
    0.998,
];
/// Scores a group keeps: the newest.
const MOST_SCORES: usize = 200;
/// Each later score takes this from an earlier one's weight.
const FADING: f64 = 0.985;
/// Weight up to which a group is filled up with its neighbours' scores.
const ENOUGH: f64 = 20.0;
/// A neighbour's score counts less.
const NEIGHBOUR_SHARE: f64 = 0.5;
/// Points that stand for the prior.
const PRIOR_POINTS: u32 = 16;

/// One group of extrapolation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Group {
    /// ln(actual / predicted), oldest first.
    scores: Vec<f64>,
    /// Quantiles at `LEVELS`.
    table: Vec<f64>,
}

impl Group {
    pub(super) fn prior(of: &PriorGroup, prior: &Prior) -> Self {
        let seen = prior.seen(1.0, 0.0);
        let row = LEVELS.iter().map(|level| seen.quantile(of.scale, *level));
        Self {
            scores: Vec::new(),
            table: row.collect(),
        }
    }

    /// Its scores, oldest first.
    pub(super) fn scores(&self) -> &[f64] {
        &self.scores
    }

    pub(super) const fn count(&self) -> usize {
        self.scores.len()
    }
}

/// Index of the group a score belongs to: the nearest centre in ln.
fn index_of(extrapolation: f64) -> usize {
    let distance = |group: &PriorGroup| (group.extrapolation / extrapolation).ln().abs();
    let groups = prior::groups().iter().enumerate();
    groups
        .min_by(|a, b| distance(a.1).total_cmp(&distance(b.1)))
        .map_or(0, |(index, _)| index)
}

/// Adds a score to its group; the oldest one goes when the group is full.
pub(super) fn add(groups: &mut [Group], score: Score) {
    if let Some(group) = groups.get_mut(index_of(score.extrapolation)) {
        group.scores.push(score.log_ratio);
        if group.scores.len() > MOST_SCORES {
            group.scores.remove(0);
        }
    }
}

/// Comparisons in the group of an extrapolation.
pub(super) fn scores_near(groups: &[Group], extrapolation: f64) -> usize {
    groups.get(index_of(extrapolation)).map_or(0, Group::count)
}

/// Makes all tables anew.
pub(super) fn tabulate(groups: &mut [Group], misses: Misses, prior: &Prior) {
    let all = || groups.iter().zip(prior::groups());
    let scores = all().flat_map(|(group, of)| {
        let scores = faded(group).into_iter();
        scores.map(|(score, weight)| (score, of.scale, weight))
    });
    let own = prior.own_scale(scores);
    let count: usize = groups.iter().map(Group::count).sum();
    let seen = prior.seen(own, count as f64);
    let tables: Vec<Option<Vec<f64>>> = (0..groups.len())
        .map(|index| table(groups, index, misses, seen))
        .collect();
    for (group, table) in groups.iter_mut().zip(tables) {
        if let Some(table) = table {
            group.table = table;
        }
    }
}

/// The table of one group; none while it and its neighbours have no scores.
fn table(groups: &[Group], index: usize, misses: Misses, seen: Seen<'_>) -> Option<Vec<f64>> {
    let scale = prior::groups().get(index)?.scale;
    if groups.iter().all(|group| group.scores.is_empty()) {
        return None;
    }
    let sample = Sample::of(weighted(groups, index), scale, seen);
    let row = LEVELS
        .iter()
        .map(|level| sample.quantile(misses.level(*level), scale, seen));
    // Levels ascend and so do quantiles; rounding must not say otherwise.
    let mut highest = f64::NEG_INFINITY;
    Some(
        row.map(|value| {
            highest = highest.max(value);
            highest
        })
        .collect(),
    )
}

/// A group's scores, newest first, with their weights.
fn faded(group: &Group) -> Vec<(f64, f64)> {
    let newest_first = group.scores.iter().rev();
    let mut weight = 1.0 / FADING;
    newest_first
        .map(|score| {
            weight *= FADING;
            (*score, weight)
        })
        .collect()
}

/// The group's scores with their weights, and its neighbours' at its own scale.
fn weighted(groups: &[Group], index: usize) -> Vec<(f64, f64)> {
    let mut all = faded(&groups[index]);
    let lacking = (ENOUGH - all.iter().map(|s| s.1).sum::<f64>()).max(0.0);
    let neighbours = [index.checked_sub(1), Some(index + 1)];
    let mut borrowed = Vec::new();
    for other in neighbours
        .into_iter()
        .flatten()
        .filter(|other| *other < groups.len())
    {
        let scale = prior::groups()[index].scale / prior::groups()[other].scale;
        borrowed.extend(
            faded(&groups[other])
                .iter()
                .map(|s| (s.0 * scale, s.1 * NEIGHBOUR_SHARE)),
        );
    }
    let weight: f64 = borrowed.iter().map(|s| s.1).sum();
    let share = (lacking / weight.max(1e-9)).min(1.0);
    if share > 0.0 {
        all.extend(borrowed.iter().map(|s| (s.0, s.1 * share)));
    }
    all
}

/// Weighted scores in order, the prior among them, each at its conformal position.
struct Sample {
    values: Vec<f64>,
    /// Levels: (weight below + half of its own + 1/2) / (total weight + 1), for equal weights and
    /// without a prior the rank over (n + 1).
    levels: Vec<f64>,
}

impl Sample {
    fn of(mut scores: Vec<(f64, f64)>, scale: f64, seen: Seen<'_>) -> Self {
        let points = f64::from(PRIOR_POINTS);
        let weight = seen.prior.weight;
        let level = |k: u32| (f64::from(k) + 0.5) / points;
        let (like, unlike) = (1.0 - seen.unlike, seen.unlike);
        // The + 1 of the rank is for what a sample does not show; the prior is no sample.
        let count: f64 = scores.iter().map(|s| s.1).sum();
        let one = count / (count + weight);
        let points = (0..PRIOR_POINTS).flat_map(|k| {
            [
                (seen.like(scale, level(k)), like * weight / points),
                (seen.unlike(scale, level(k)), unlike * weight / points),
            ]
        });
        scores.extend(points);
        let mut seen = scores;
        seen.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total: f64 = seen.iter().map(|s| s.1).sum();
        let mut below = 0.0;
        let levels = seen.iter().map(|s| {
            let level = (below + s.1 / 2.0 + one / 2.0) / (total + one);
            below += s.1;
            level
        });
        let levels = levels.collect();
        Self {
            values: seen.iter().map(|s| s.0).collect(),
            levels,
        }
    }

    /// Beyond the outermost score the prior's tail goes on.
    fn quantile(&self, level: f64, scale: f64, seen: Seen<'_>) -> f64 {
        let inside = interpolated(&self.levels, &self.values, level);
        let ends = [self.levels.first(), self.levels.last()].map(|end| end.copied().unwrap_or(0.5));
        let nearest = level.clamp(ends[0], ends[1]);
        inside + seen.quantile(scale, level) - seen.quantile(scale, nearest)
    }
}

/// Quantile between the two groups whose centres enclose the extrapolation, in ln.
pub(super) fn quantile(groups: &[Group], extrapolation: f64, level: f64) -> f64 {
    let centres = prior::groups();
    let at = |index: usize| {
        groups
            .get(index)
            .map_or(0.0, |group| interpolated(&LEVELS, &group.table, level))
    };
    let upper = centres
        .iter()
        .position(|group| group.extrapolation >= extrapolation);
    match upper {
        Some(0) => at(0),
        Some(upper) => {
            let (low, high) = (
                centres[upper - 1].extrapolation,
                centres[upper].extrapolation,
            );
            let share = (extrapolation / low).ln() / (high / low).ln();
            at(upper - 1) + share * (at(upper) - at(upper - 1))
        }
        None => at(centres.len().saturating_sub(1)),
    }
}
