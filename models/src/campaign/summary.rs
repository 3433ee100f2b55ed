//! How often the forecasts of a campaign held: coverage, width, error, and the verdicts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::parts::PARTS;
use super::{CampaignRun, Compared, PartCoverage, Truth};
use crate::observation::ServiceStep;
use crate::plan::Verdict;
use crate::units::Quantiles;

/// Rounds after the base from which a gate counts as one that has learned from the chain.
const TAUGHT_ROUNDS: u32 = 2;
/// A true downtime within this share of the limit says nothing about a verdict.
const CLOSE_TO_LIMIT: f64 = 0.2;

/// Counted over all runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CampaignSummary {
    /// Runs.
    pub runs: u32,
    /// Runs that cut over.
    pub cut_over: u32,
    /// Write downtime, when the plan was made.
    pub write_downtime_at_plan: Coverage,
    /// Write downtime, at the last gate.
    pub write_downtime_at_gate: Coverage,
    /// Write downtime, at the last gate where at least two rounds had followed the base.
    pub write_downtime_at_gate_after_two_rounds: Coverage,
    /// Final delta, when the plan was made.
    pub final_delta_at_plan: Coverage,
    /// Final delta, at the last gate.
    pub final_delta_at_gate: Coverage,
    /// Final delta, at the last gate where at least two rounds had followed the base.
    pub final_delta_at_gate_after_two_rounds: Coverage,
    /// Whether the plans' verdicts were right.
    pub verdict: VerdictCount,
    /// Share of the plans' verdicts that would have been right had the limit been compared with the plan's forecast times
    /// the one factor that, knowing how every run ended, makes this share largest: what is not known of a world when the
    /// plan is made, no verdict can tell.
    #[serde(default)]
    pub verdict_in_hindsight_percent: f64,
    /// Whether the last gate's, with the policy's limit, were.
    #[serde(default)]
    pub verdict_at_gate: VerdictCount,
    /// The same where at least two rounds had followed the base.
    #[serde(default)]
    pub verdict_at_gate_after_two_rounds: VerdictCount,
    /// What the verdicts are held against.
    #[serde(default)]
    pub truth: Truth,
    /// The steps of the cutover, as the last gate expected them.
    #[serde(default)]
    pub parts_at_gate: Vec<PartCoverage>,
}

/// How a predicted quantity compares with what came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    /// Runs that have both.
    pub runs: u32,
    /// Share of them at or under P50.
    pub under_p50_percent: f64,
    /// Share of them at or under P90.
    pub under_p90_percent: f64,
    /// Median of P90 / P50.
    pub median_p90_over_p50: f64,
    /// Median of |ln(actual / P50)|.
    pub median_abs_log_error: f64,
}

/// Verdicts against the truth: the write downtime that the world keeps at the policy's confidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VerdictCount {
    /// Said to converge and did, or said not to and did not.
    pub right: u32,
    /// Said to converge, and did not.
    pub wrongly_promised: u32,
    /// Said not to converge, and did.
    pub wrongly_refused: u32,
    /// The truth is within a fifth of the limit, or unknown.
    pub not_scored: u32,
    /// Share of the scored ones that were right.
    pub right_percent: f64,
}

impl CampaignSummary {
    /// Counts over `runs`.
    #[must_use]
    pub fn of(runs: &[CampaignRun]) -> Self {
        let all: Vec<&CampaignRun> = runs.iter().collect();
        let taught: Vec<&CampaignRun> = runs
            .iter()
            .filter(|run| run.rounds_before_gate >= TAUGHT_ROUNDS)
            .collect();
        let downtime = |run: &CampaignRun| run.write_downtime_seconds;
        let delta = |run: &CampaignRun| run.final_delta_bytes;
        let plan = |compared: &Compared| compared.at_plan;
        let gate = |compared: &Compared| compared.at_gate;
        let truth = Truth::of(runs);
        let scored = |runs: &[&CampaignRun], said: &dyn Fn(&CampaignRun) -> Option<bool>| {
            VerdictCount::of(runs, &truth, said)
        };
        Self {
            runs: super::count(runs.len()),
            cut_over: super::count(runs.iter().filter(|run| run.failure.is_none()).count()),
            write_downtime_at_plan: Coverage::of(&all, downtime, plan),
            write_downtime_at_gate: Coverage::of(&all, downtime, gate),
            write_downtime_at_gate_after_two_rounds: Coverage::of(&taught, downtime, gate),
            final_delta_at_plan: Coverage::of(&all, delta, plan),
            final_delta_at_gate: Coverage::of(&all, delta, gate),
            final_delta_at_gate_after_two_rounds: Coverage::of(&taught, delta, gate),
            verdict: scored(&all, &said_at_plan),
            verdict_in_hindsight_percent: in_hindsight(runs, &truth),
            verdict_at_gate: scored(&all, &said_at_gate),
            verdict_at_gate_after_two_rounds: scored(&taught, &said_at_gate),
            parts_at_gate: PARTS.iter().map(|step| part(&all, *step)).collect(),
            truth,
        }
    }
}

impl Coverage {
    fn of(
        runs: &[&CampaignRun],
        quantity: impl Fn(&CampaignRun) -> Compared,
        moment: impl Fn(&Compared) -> Option<Quantiles>,
    ) -> Self {
        let pair = |run: &&CampaignRun| {
            let compared = quantity(run);
            Some((moment(&compared)?, compared.actual?))
        };
        let pairs: Vec<(Quantiles, f64)> = runs.iter().filter_map(pair).collect();
        let share = |holds: &dyn Fn(&(Quantiles, f64)) -> bool| {
            percent(pairs.iter().filter(|pair| holds(pair)).count(), pairs.len())
        };
        let middle = |value: &dyn Fn(&(Quantiles, f64)) -> f64| {
            let mut values: Vec<f64> = pairs.iter().map(value).filter(|v| v.is_finite()).collect();
            Quantiles::of(&mut values).p50
        };
        Self {
            runs: super::count(pairs.len()),
            under_p50_percent: share(&|(predicted, actual)| *actual <= predicted.p50),
            under_p90_percent: share(&|(predicted, actual)| *actual <= predicted.p90),
            median_p90_over_p50: middle(&|(predicted, _)| predicted.p90 / predicted.p50),
            median_abs_log_error: middle(&|(predicted, actual)| {
                (actual / predicted.p50).ln().abs()
            }),
        }
    }
}

impl VerdictCount {
    fn of(
        runs: &[&CampaignRun],
        truth: &Truth,
        said: &dyn Fn(&CampaignRun) -> Option<bool>,
    ) -> Self {
        let mut counted = Self::default();
        for run in runs {
            let place = match said(run).zip(within_limit(run, truth)) {
                None => &mut counted.not_scored,
                Some((said, true_one)) if said == true_one => &mut counted.right,
                Some((true, _)) => &mut counted.wrongly_promised,
                Some((false, _)) => &mut counted.wrongly_refused,
            };
            *place += 1;
        }
        let all = counted.right + counted.wrongly_promised + counted.wrongly_refused;
        counted.right_percent = percent(counted.right as usize, all as usize);
        counted
    }
}

/// Right verdicts of the best border between the plans' forecasts over their limits, in percent.
fn in_hindsight(runs: &[CampaignRun], truth: &Truth) -> f64 {
    let scored = |run: &CampaignRun| {
        let said = run.write_downtime_seconds.at_plan?;
        let over_limit = said.at_confidence(run.confidence) / run.limit_seconds;
        Some((over_limit, within_limit(run, truth)?))
    };
    let mut all: Vec<(f64, bool)> = runs.iter().filter_map(scored).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Everything up to the border is said to keep the limit.
    let refused = all.iter().filter(|(_, keeps)| !keeps).count();
    let mut right = refused;
    let mut best = refused;
    for (index, (over_limit, keeps)) in all.iter().enumerate() {
        right = if *keeps { right + 1 } else { right - 1 };
        // No border tells equal forecasts apart.
        if all.get(index + 1).is_none_or(|next| next.0 > *over_limit) {
            best = best.max(right);
        }
    }
    percent(best, all.len())
}

fn said_at_plan(run: &CampaignRun) -> Option<bool> {
    Some(matches!(
        run.verdict?,
        Verdict::Converges | Verdict::ConvergesInWindow
    ))
}

fn said_at_gate(run: &CampaignRun) -> Option<bool> {
    let forecast = run.write_downtime_seconds.at_gate?;
    Some(forecast.at_confidence(run.confidence) <= run.limit_seconds)
}

/// Whether the world of a run keeps the limit; none when that is unknown or too close.
fn within_limit(run: &CampaignRun, truth: &Truth) -> Option<bool> {
    let share = truth.seconds(run.seed, run.confidence)? / run.limit_seconds;
    ((share - 1.0).abs() > CLOSE_TO_LIMIT).then_some(share <= 1.0)
}

/// One step over all runs.
fn part(runs: &[&CampaignRun], step: ServiceStep) -> PartCoverage {
    let of = |run: &CampaignRun| {
        let part = run.parts.iter().find(|part| part.step == step);
        part.map_or_else(Compared::default, |part| part.seconds)
    };
    let middle = |value: &dyn Fn(Compared) -> Option<f64>| {
        let values = runs.iter().filter_map(|run| value(of(run)));
        Quantiles::of(&mut values.collect::<Vec<f64>>()).p50
    };
    PartCoverage {
        step,
        coverage: Coverage::of(runs, of, |compared| compared.at_gate),
        median_p50_seconds: middle(&|part| Some(part.at_gate?.p50)),
        median_actual_seconds: middle(&|part| part.actual),
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    100.0 * part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(verdict: Verdict, limit_seconds: f64, actual: Option<f64>) -> CampaignRun {
        CampaignRun {
            verdict: Some(verdict),
            limit_seconds,
            confidence: 0.9,
            rounds_before_gate: 2,
            write_downtime_seconds: Compared {
                at_plan: Some(Quantiles {
                    p50: 100.0,
                    p90: 150.0,
                    p99: 300.0,
                }),
                at_gate: None,
                actual,
            },
            ..CampaignRun::default()
        }
    }

    #[test]
    fn shares_are_of_runs_that_have_both_sides() {
        let actual = [Some(90.0), Some(100.0), Some(140.0), Some(200.0), None];
        let runs = actual.map(|actual| run(Verdict::Converges, 1.0, actual));
        let coverage = CampaignSummary::of(&runs).write_downtime_at_plan;
        assert_eq!(coverage.runs, 4);
        assert_eq!(
            (coverage.under_p50_percent, coverage.under_p90_percent),
            (50.0, 75.0)
        );
        assert_eq!(coverage.median_p90_over_p50, 1.5);
        assert_eq!(CampaignSummary::of(&runs).write_downtime_at_gate.runs, 0);
    }

    #[test]
    fn a_verdict_counts_where_the_truth_is_clear() {
        // Each world was run twice, and both times it took the same.
        let worlds = [
            run(Verdict::Converges, 1000.0, Some(700.0)),
            run(Verdict::ConvergesInWindow, 500.0, Some(700.0)),
            run(Verdict::DoesNotConverge, 500.0, Some(700.0)),
            run(Verdict::NeedsLowerWriteRate, 1000.0, Some(700.0)),
            run(Verdict::Converges, 800.0, Some(700.0)),
            run(Verdict::Converges, 800.0, None),
        ];
        let twice = |(seed, run): (u64, CampaignRun)| {
            let run = CampaignRun { seed, ..run };
            [run.clone(), run]
        };
        let runs: Vec<CampaignRun> = (0..).zip(worlds).flat_map(twice).collect();
        let counted = CampaignSummary::of(&runs).verdict;
        let parts = (
            counted.right,
            counted.wrongly_promised,
            counted.wrongly_refused,
        );
        assert_eq!((parts, counted.not_scored), ((4, 2, 2), 4));
        assert_eq!(counted.right_percent, 50.0);
    }

    #[test]
    fn no_border_on_the_forecast_tells_worlds_apart_that_it_foretold_alike() {
        // The same forecast over the limit; one world keeps the limit, the other does not. A third is told apart.
        let world = |seed, limit_seconds, actual| CampaignRun {
            seed,
            ..run(Verdict::Converges, limit_seconds, Some(actual))
        };
        let worlds = [
            world(1, 500.0, 200.0),
            world(2, 500.0, 900.0),
            world(3, 100.0, 900.0),
        ];
        let runs: Vec<CampaignRun> = worlds.iter().flat_map(|w| [w.clone(), w.clone()]).collect();
        let found = CampaignSummary::of(&runs).verdict_in_hindsight_percent;
        assert!((found - 200.0 / 3.0).abs() < 1e-9, "{found}");
        assert_eq!(CampaignSummary::of(&[]).verdict_in_hindsight_percent, 0.0);
    }

    #[test]
    fn the_gate_is_judged_by_its_forecast_at_the_policys_confidence() {
        let promise = |p90: f64| CampaignRun {
            confidence: 0.9,
            write_downtime_seconds: Compared {
                at_gate: Some(Quantiles {
                    p50: 400.0,
                    p90,
                    p99: 9000.0,
                }),
                actual: Some(500.0),
                at_plan: None,
            },
            ..run(Verdict::Converges, 1000.0, None)
        };
        let counted = CampaignSummary::of(&[promise(900.0), promise(1100.0)]).verdict_at_gate;
        assert_eq!((counted.right, counted.wrongly_refused), (1, 1));
    }
}
