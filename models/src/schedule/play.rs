//! The chosen schedule played through on all draws, and what it comes to.

use crate::chain::{Chain, Run, Signs, Since};
use crate::cost::Spending;
use crate::draws::{DRAWS, draws};
use crate::forecast::{FittedModel, SpreadShare, shares, widened};
use crate::plan::{Forecast, PlannedRound, RoundKind};
use crate::policy::TransferPath;
use crate::units::{Quantiles, at_epoch_seconds};

use super::demand::Demand;
use super::search::Candidate;

/// The chosen candidate played through on all draws.
pub(crate) struct Play {
    runs: Vec<Run>,
    signs: Vec<Signs>,
    downtime: Quantiles,
}

impl Play {
    pub(super) fn of(chain: &Chain, candidate: &Candidate, model: &FittedModel, seed: u64) -> Self {
        let all = draws(
            seed,
            chain.volumes(),
            candidate.itinerary.rounds.len() + 2,
            DRAWS,
        );
        let itinerary = &candidate.itinerary;
        let runs: Vec<Run> = all.iter().map(|draw| chain.run(itinerary, draw)).collect();
        let column = |part: &dyn Fn(&Run) -> f64| {
            Quantiles::of(&mut runs.iter().map(part).collect::<Vec<f64>>())
        };
        let last = |run: &Run| {
            run.rounds
                .last()
                .map_or(itinerary.base_at, |round| round.at)
        };
        let at = column(&last).p50;
        let since = match itinerary.rounds.len() {
            0 => Since::unflushed(at),
            _ => Since::flushed(at),
        };
        let fence = at + column(&|run| run.cutover.round.at - last(run)).p50;
        let bytes = column(&|run| run.cutover.round.delta_bytes).p50;
        let downtime = column(&|run| run.cutover.write_downtime_seconds);
        Self {
            signs: all
                .iter()
                .map(|draw| chain.signs(since, fence, bytes, draw))
                .collect(),
            downtime: widened(downtime, model),
            runs,
        }
    }

    pub(super) fn column(&self, part: impl Fn(&Run) -> f64) -> Quantiles {
        Quantiles::of(&mut self.runs.iter().map(part).collect::<Vec<f64>>())
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
