//! The search: windows and numbers of rounds, all played through on the same few draws.
//!
//! Two kinds of candidates. *At once*: every round as soon as the one before is in the target,
//! which follows the service however long it takes. *Timed*: rounds counted backwards from a fence
//! in a window, so that the last one arrives just before it.

use crate::chain::{Chain, Circumstances, Itinerary};
use crate::draws::{Draw, SEARCH_DRAWS, draws};
use crate::forecast::FittedModel;
use crate::plan::Window;
use crate::units::{Timestamp, at_epoch_seconds, epoch_seconds};

use super::demand::Demand;
use super::{PlanError, seconds_of, window};

const HOUR: f64 = 3600.0;
/// Hours after the base in which the quiet hour is looked for.
const HORIZON_HOURS: f64 = 48.0;
/// Days after the base in which a window of the policy is looked for, when none comes sooner.
const FAR_HORIZON_DAYS: f64 = 8.0;
/// A window without an end stays open this long.
const OPEN_SECONDS: f64 = 24.0 * HOUR;
/// Draws behind the backward timing of rounds, and the share of them that are in time.
const TIMING_DRAWS: usize = 48;
const IN_TIME: f64 = 0.85;
/// A further round must gain this share of the downtime, a later window this share.
const ROUND_GAIN: f64 = 0.05;
const WINDOW_GAIN: f64 = 0.05;

/// A schedule that could be chosen.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) itinerary: Itinerary,
    pub(crate) window: Window,
}

/// The chosen schedule and what it was compared with.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) candidate: Candidate,
    /// Write downtime at the policy's confidence.
    pub(crate) downtime_seconds: f64,
    /// Fence and downtime of the best schedule in each window considered.
    pub(crate) windows: Vec<(f64, f64)>,
    /// Rounds between base and final, with the downtime, in the chosen window.
    pub(crate) by_rounds: Vec<(usize, f64)>,
}

/// What all candidates share.
pub(crate) struct Search<'a> {
    pub(crate) model: &'a FittedModel,
    pub(crate) demand: &'a Demand,
    pub(crate) chain: Chain,
    pub(crate) draws: Vec<Draw>,
    base: Itinerary,
    /// Nine in ten bases are in the target by then.
    pub(crate) base_ready: f64,
}

impl<'a> Search<'a> {
    pub(crate) fn new(
        model: &'a FittedModel,
        demand: &'a Demand,
        now: Timestamp,
        seed: u64,
    ) -> Result<Self, PlanError> {
        let chain = Chain::of(model, Circumstances::plain(demand.path));
        let now = seconds_of(now);
        let base = Itinerary {
            base_at: demand.reusable_at.map_or(now, epoch_seconds),
            transfer_from: demand.reusable_at.map(|_| now),
            ..Itinerary::default()
        };
        let draws = draws(seed, chain.volumes(), SEARCH_DRAWS);
        let ready = |draw: &Draw| {
            let outcome = chain.base(&base, draw);
            base.transfer_from
                .map_or(outcome.ready(), |from| from + outcome.transfer_seconds)
        };
        let base_ready = quantile(draws.iter().map(ready).collect(), 0.9);
        let search = Self {
            model,
            demand,
            chain,
            draws,
            base,
            base_ready,
        };
        search.base_in_time()?;
        Ok(search)
    }

    fn base_in_time(&self) -> Result<(), PlanError> {
        match self.demand.latest_finish {
            Some(latest) if epoch_seconds(latest) < self.base_ready => {
                Err(PlanError::Contradiction {
                    one: format!("latest_finish is {latest}"),
                    other: format!(
                        "the base is in the target only by {} (nine in ten)",
                        at_epoch_seconds(self.base_ready).format("%Y-%m-%d %H:%M UTC")
                    ),
                    remedy: "move latest_finish, or keep a recent snapshot that can serve as base",
                })
            }
            _ => Ok(()),
        }
    }

    /// The best candidate: least downtime at the policy's confidence; among nearly equal ones
    /// the earliest window and the fewest rounds.
    pub(crate) fn best(&self) -> Result<Found, PlanError> {
        let mut options: Vec<Found> = Vec::new();
        if self.demand.daily.is_empty() {
            options.extend(self.settled(&|k| Some(self.at_once(k))));
        }
        for (fence, end) in self.fences() {
            options.extend(self.settled(&|k| self.timed(k, fence, end)));
        }
        options.retain(|found| self.finishes(found));
        let least = options
            .iter()
            .map(|found| found.downtime_seconds)
            .fold(f64::INFINITY, f64::min);
        let windows = options
            .iter()
            .map(|f| (f.candidate.itinerary.fence, f.downtime_seconds))
            .collect();
        let good = options
            .into_iter()
            .find(|f| f.downtime_seconds <= least * (1.0 + WINDOW_GAIN));
        good.map(|found| Found { windows, ..found })
            .ok_or_else(|| self.no_window())
    }

    fn no_window(&self) -> PlanError {
        let ready = at_epoch_seconds(self.base_ready).format("%Y-%m-%d %H:%M UTC");
        PlanError::Contradiction {
            one: match self.demand.latest_finish {
                Some(latest) => format!("latest_finish is {latest}"),
                None => "the policy's windows are too short or too rare".to_owned(),
            },
            other: format!(
                "the base is in the target only by {ready}, and no allowed window fits in after it"
            ),
            remedy: "move latest_finish or widen the windows",
        }
    }

    fn finishes(&self, found: &Found) -> bool {
        let end = found.candidate.itinerary.fence + found.downtime_seconds;
        self.demand
            .latest_finish
            .is_none_or(|latest| end <= epoch_seconds(latest))
    }

    /// Fences to try, each with the end of its window, in order of time.
    fn fences(&self) -> Vec<(f64, f64)> {
        let near = self.fences_within(self.base_ready + HORIZON_HOURS * HOUR);
        if near.is_empty() && !self.demand.daily.is_empty() {
            return self.fences_within(self.base_ready + FAR_HORIZON_DAYS * 24.0 * HOUR);
        }
        near
    }

    fn fences_within(&self, to: f64) -> Vec<(f64, f64)> {
        let from = self.base_ready;
        let spans: Vec<(f64, f64)> = match self.demand.daily.as_slice() {
            [] => vec![(from, to)],
            daily => daily
                .iter()
                .flat_map(|daily| daily.spans(from, to))
                .collect(),
        };
        let open = self.demand.daily.is_empty();
        let mut fences: Vec<(f64, f64)> = spans
            .into_iter()
            .flat_map(|(start, end)| {
                let last = end.min(to);
                let hours = (0..).map(move |k| start + f64::from(k) * HOUR);
                hours
                    .take_while(move |fence| *fence < last)
                    .map(move |fence| (fence, if open { fence + OPEN_SECONDS } else { end }))
            })
            .collect();
        fences.sort_by(|a, b| a.0.total_cmp(&b.0));
        fences
    }

    /// The number of rounds that is enough: one more would not gain enough.
    fn settled(&self, make: &dyn Fn(usize) -> Option<Candidate>) -> Option<Found> {
        let mut tried: Vec<(Candidate, f64)> = Vec::new();
        for rounds in 0..self.demand.max_rounds {
            let Some(candidate) = make(rounds) else { break };
            let downtime = self.downtime(&candidate, &self.chain);
            let stalled = tried
                .iter()
                .rev()
                .take(2)
                .filter(|t| downtime > t.1 * (1.0 - ROUND_GAIN));
            let stalled = stalled.count() == 2;
            tried.push((candidate, downtime));
            if stalled {
                break;
            }
        }
        let least = tried.iter().map(|t| t.1).fold(f64::INFINITY, f64::min);
        let by_rounds = tried
            .iter()
            .enumerate()
            .map(|(rounds, t)| (rounds, t.1))
            .collect();
        let (candidate, downtime_seconds) = tried
            .into_iter()
            .find(|t| t.1 <= least * (1.0 + ROUND_GAIN))?;
        Some(Found {
            candidate,
            downtime_seconds,
            windows: Vec::new(),
            by_rounds,
        })
    }

    /// Write downtime of a candidate at the policy's confidence.
    pub(crate) fn downtime(&self, candidate: &Candidate, chain: &Chain) -> f64 {
        let one = |draw: &Draw| {
            chain
                .run(&candidate.itinerary, draw)
                .cutover
                .write_downtime_seconds
        };
        quantile(self.draws.iter().map(one).collect(), self.demand.confidence)
    }

    /// `rounds` rounds, each as soon as the one before is in the target. The times shown are
    /// early ones (one in twenty), for they are only a lower bound.
    fn at_once(&self, rounds: usize) -> Candidate {
        let mut itinerary = self.base.clone();
        itinerary.rounds = vec![itinerary.base_at; rounds];
        itinerary.fence = itinerary.base_at;
        let runs: Vec<_> = self
            .draws
            .iter()
            .map(|draw| self.chain.run(&itinerary, draw))
            .collect();
        let early = |k: usize| quantile(runs.iter().map(|run| run.rounds[k].at).collect(), 0.05);
        itinerary.rounds = (1..=rounds).map(early).collect();
        let fences = || {
            runs.iter()
                .map(|run| run.cutover.round.at)
                .collect::<Vec<f64>>()
        };
        itinerary.fence = quantile(fences(), 0.05);
        let end = quantile(fences(), 0.99) + OPEN_SECONDS;
        Candidate {
            window: window(itinerary.fence, end),
            itinerary,
        }
    }

    /// `rounds` rounds counted backwards from `fence`; `None` when the base is not there in time.
    fn timed(&self, rounds: usize, fence: f64, end: f64) -> Option<Candidate> {
        let mut gaps: Vec<f64> = vec![0.0; rounds];
        // The first delta's length depends on all gaps after it: three passes settle it.
        for _ in 0..3 {
            let mut since = self.base.base_at;
            let mut at = fence - gaps.iter().sum::<f64>();
            for (k, gap) in gaps.iter_mut().enumerate() {
                *gap = self.round_seconds(since, at, k + 1);
                since = at;
                at += *gap;
            }
        }
        let mut at = fence - gaps.iter().sum::<f64>();
        if at < self.base_ready {
            return None;
        }
        let mut itinerary = Itinerary {
            fence,
            ..self.base.clone()
        };
        for gap in gaps {
            itinerary.rounds.push(at);
            at += gap;
        }
        Some(Candidate {
            itinerary,
            window: window(fence, end),
        })
    }

    /// Time a round takes with the wanted certainty.
    fn round_seconds(&self, since: f64, at: f64, index: usize) -> f64 {
        let one = |draw: &Draw| {
            let round = self.chain.round(since, at, index, draw);
            round.snapshot_seconds + round.transfer_seconds
        };
        quantile(
            self.draws.iter().take(TIMING_DRAWS).map(one).collect(),
            IN_TIME,
        )
    }

    /// Group's write rate at which even the median downtime exceeds the limit.
    pub(crate) fn highest_write_rate(&self, found: &Found) -> f64 {
        let expected = self.expected_write_rate();
        let passes = |factor: f64| {
            let chain = self.under(Circumstances {
                write_factor: factor,
                ..self.plain()
            });
            let one = |draw: &Draw| {
                chain
                    .run(&found.candidate.itinerary, draw)
                    .cutover
                    .write_downtime_seconds
            };
            quantile(self.draws.iter().map(one).collect(), 0.5) <= self.demand.limit_seconds
        };
        expected * highest(passes, 64.0)
    }

    /// Mean write rate of the group, bytes per second.
    pub(crate) fn expected_write_rate(&self) -> f64 {
        self.model
            .volumes
            .iter()
            .map(|v| v.load.mean_bytes_per_second * v.load.level)
            .sum()
    }

    pub(crate) fn plain(&self) -> Circumstances {
        Circumstances::plain(self.demand.path)
    }

    pub(crate) fn under(&self, circumstances: Circumstances) -> Chain {
        Chain::of(self.model, circumstances)
    }

    /// The chain started over under other circumstances: as soon as possible, with as many
    /// rounds as the chosen one has, ending at the same fence or later.
    pub(crate) fn downtimes(&self, found: &Found, chain: &Chain) -> Vec<f64> {
        let one = |draw: &Draw| {
            chain
                .run(&found.candidate.itinerary, draw)
                .cutover
                .write_downtime_seconds
        };
        self.draws.iter().map(one).collect()
    }
}

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
