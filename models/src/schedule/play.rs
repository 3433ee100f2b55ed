//! The chosen schedule played through on all draws, and what it comes to.

use crate::chain::{Chain, Itinerary, Nominal, Run, Signs, Since};
use crate::cost::Spending;
use crate::draws::{DRAWS, Draw, SEARCH_DRAWS, outcomes};
use crate::forecast::{FittedModel, SpreadShare, shares, widened};
use crate::plan::{Forecast, PlannedRound, RoundKind};
use crate::policy::TransferPath;
use crate::units::{Quantiles, at_epoch_seconds};

use super::demand::Demand;
use super::search::{Candidate, Search};

/// The chosen candidate played through on all draws.
pub(crate) struct Play {
    runs: Vec<Run>,
    signs: Vec<Signs>,
    downtime: Quantiles,
}

impl Play {
    /// On `count` draws; fewer than a whole forecast has do not tell what their spread comes from.
    pub(super) fn of(search: &Search<'_>, candidate: &Candidate, seed: u64, count: usize) -> Self {
        let (chain, itinerary) = (&search.chain, &candidate.itinerary);
        let rounds = itinerary.rounds.len() + 2;
        let run = |draw: &Draw| chain.run(itinerary, draw);
        let (runs, signs) = if count < DRAWS {
            (
                outcomes(seed, chain.volumes(), rounds, count, run),
                Vec::new(),
            )
        } else {
            let hop = nominal(chain, itinerary, seed);
            let play = |draw: &Draw| (run(draw), chain.signs(&hop, draw));
            outcomes(seed, chain.volumes(), rounds, count, play)
                .into_iter()
                .unzip()
        };
        let clock = |run: &Run| run.cutover.write_downtime_seconds;
        Self {
            downtime: widened(column(&runs, clock), search.model),
            runs,
            signs,
        }
    }

    pub(super) fn column(&self, part: impl Fn(&Run) -> f64) -> Quantiles {
        column(&self.runs, part)
    }

    /// With the quantiles that earlier migrations ask for.
    pub(super) const fn forecast_downtime(&self) -> Quantiles {
        self.downtime
    }

    pub(super) fn forecast(&self, model: &FittedModel, spent: &[Spending]) -> Forecast {
        let write_downtime_seconds = self.forecast_downtime();
        Forecast {
            freeze_seconds: self.column(|run| run.cutover.freeze_seconds),
            write_downtime_seconds,
            // The fence ends every session, so nothing is read until the target serves.
            read_downtime_seconds: if model.database {
                write_downtime_seconds
            } else {
                Quantiles::exact(0.0)
            },
            final_delta_bytes: self.column(|run| run.cutover.round.delta_bytes),
            cost_usd: Quantiles::of(&mut spent.iter().map(Spending::usd).collect::<Vec<f64>>()),
            spread: self.spread(),
            provenance: model.provenance.clone(),
        }
    }

    fn spread(&self) -> Vec<SpreadShare> {
        if self.signs.is_empty() {
            return Vec::new();
        }
        let downtimes = self
            .runs
            .iter()
            .map(|run| run.cutover.write_downtime_seconds);
        shares(&downtimes.collect::<Vec<f64>>(), &self.signs)
    }

    pub(super) fn spending(&self, model: &FittedModel, demand: &Demand) -> Vec<Spending> {
        let base = demand.spending(model);
        let one = |run: &Run| {
            let rounds = run
                .rounds
                .iter()
                .skip(1)
                .fold(base, |sum, r| sum.with_round(r.delta_bytes));
            rounds.with_round(run.cutover.round.delta_bytes)
        };
        self.runs.iter().map(one).collect()
    }

    pub(super) fn rounds(&self, candidate: &Candidate, path: TransferPath) -> Vec<PlannedRound> {
        let last = candidate.itinerary.rounds.len() + 1;
        let starts = std::iter::once(&candidate.itinerary.base_at)
            .chain(&candidate.itinerary.rounds)
            .chain(std::iter::once(&candidate.itinerary.fence));
        starts
            .enumerate()
            .map(|(k, start)| self.planned(k, last, *start, path))
            .collect()
    }

    fn planned(&self, k: usize, last: usize, start: f64, path: TransferPath) -> PlannedRound {
        let outcome = |run: &Run| {
            if k == last {
                run.cutover.round
            } else {
                run.rounds[k]
            }
        };
        let index = u32::try_from(k).unwrap_or(u32::MAX);
        PlannedRound {
            index,
            kind: match k {
                0 => RoundKind::Base,
                k if k == last => RoundKind::Final,
                _ => RoundKind::Round,
            },
            start: at_epoch_seconds(start),
            path,
            delta_bytes: self.column(|run| outcome(run).delta_bytes),
            snapshot_seconds: self.column(|run| outcome(run).snapshot_seconds),
            transfer_seconds: self.column(|run| outcome(run).transfer_seconds),
        }
    }
}

fn column(runs: &[Run], part: impl Fn(&Run) -> f64) -> Quantiles {
    Quantiles::of(&mut runs.iter().map(part).collect::<Vec<f64>>())
}

/// The median final hop: its last round, fence and bytes.
fn nominal(chain: &Chain, itinerary: &Itinerary, seed: u64) -> Nominal {
    let rounds = itinerary.rounds.len() + 2;
    let play = |draw: &Draw| chain.run(itinerary, draw);
    let runs = outcomes(seed, chain.volumes(), rounds, SEARCH_DRAWS, play);
    let last = |run: &Run| {
        run.rounds
            .last()
            .map_or(itinerary.base_at, |round| round.at)
    };
    let at = column(&runs, last).p50;
    let since = match itinerary.rounds.len() {
        0 => Since::unflushed(at),
        _ => Since::flushed(at),
    };
    let fence = at + column(&runs, |run| run.cutover.round.at - last(run)).p50;
    let bytes = column(&runs, |run| run.cutover.round.delta_bytes).p50;
    chain.nominal(since, fence, bytes)
}
