//! The search: windows and numbers of rounds, all played through on the same few draws.
//!
//! Two kinds of candidates. *At once*: every round as soon as the one before is in the target,
//! which follows the service however long it takes. *Timed*: rounds counted backwards from a fence
//! in a window, so that the last one arrives just before it.

use crate::chain::Run;
use crate::chain::{Chain, Circumstances, Itinerary, Since};
use crate::draws::{Draw, MAX_ROUNDS, SEARCH_DRAWS, draws};
use crate::forecast::FittedModel;
use crate::plan::Window;
use crate::units::{Timestamp, at_epoch_seconds, epoch_seconds};

use super::demand::Demand;
use super::levels::{highest, quantile};
use super::{PlanError, seconds_of, window};

/// A window without an end stays open this long.
const OPEN_SECONDS: f64 = 24.0 * 3600.0;
/// Draws behind the backward timing of rounds, and the share of them that are in time for the next.
const TIMING_DRAWS: usize = 32;
/// Where most rounds are in time the fence stands when it is planned. Where only half are, no round is given more
/// time than it mostly needs, and the fence waits for the last one: worth it only where that is not long.
pub(crate) const IN_TIME: f64 = 0.85;
pub(crate) const TIGHT: f64 = 0.5;
/// Longest wait of a tight schedule's fence, in nine of ten cases.
const MOST_DELAY_SECONDS: f64 = 1200.0;
/// Share of runs that are earlier than the times shown for rounds taken at once.
const EARLY: f64 = 0.05;
/// Without a single measured delta a schedule is judged by its median: the base and the first
/// rounds are what measures, they risk nothing, and the gate decides at the full confidence.
const EVEN_ODDS: f64 = 0.5;
/// Rounds of a chain that is hurried on.
const EAGER_ROUNDS: usize = 8;
/// A further round must gain this share of the downtime: less is below what the draws can tell.
const ROUND_GAIN: f64 = 0.02;
/// So many further rounds must not gain it together.
const STALLED_ROUNDS: usize = 2;

/// A schedule that could be chosen.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) itinerary: Itinerary,
    pub(crate) window: Window,
    /// Write downtime at the level of the comparison.
    pub(crate) downtime_seconds: f64,
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
    pub(crate) base: Itinerary,
    /// Half of the bases are in the target by then.
    pub(crate) base_expected: f64,
    /// Nine in ten bases are in the target by then.
    pub(crate) base_ready: f64,
    /// Probability at which candidates are compared and the verdict is given.
    pub(crate) level: f64,
}

impl<'a> Search<'a> {
    pub(crate) fn new(
        model: &'a FittedModel,
        demand: &'a Demand,
        now: Timestamp,
        seed: u64,
    ) -> Result<Self, PlanError> {
        let now = seconds_of(now);
        let base = Itinerary {
            base_at: demand.reusable_at.map_or(now, epoch_seconds),
            transfer_from: demand.reusable_at.map(|_| now),
            ..Itinerary::default()
        };
        let search = Self::from_base(model, demand, base, (now, seed), SEARCH_DRAWS);
        search.base_in_time()?;
        Ok(search)
    }

    /// From a base that is taken, or stands already, with the load as seen now, on so many draws.
    pub(crate) fn from_base(
        model: &'a FittedModel,
        demand: &'a Demand,
        base: Itinerary,
        (now, seed): (f64, u64),
        count: usize,
    ) -> Self {
        let chain = Chain::of(model, Circumstances::plain(demand.path), now);
        let draws = draws(seed, chain.volumes(), MAX_ROUNDS, count);
        let level = if prior_only(model) {
            EVEN_ODDS
        } else {
            demand.confidence
        };
        let mut search = Self {
            model,
            demand,
            chain,
            draws,
            base: Itinerary::default(),
            base_expected: 0.0,
            base_ready: 0.0,
            level,
        };
        search.begin(base);
        search
    }

    /// The same search from another base.
    pub(crate) fn begin(&mut self, base: Itinerary) {
        let draws = self.draws.iter();
        let times: Vec<f64> = draws
            .map(|draw| self.chain.base_in_target(&base, draw))
            .collect();
        self.base_expected = quantile(times.clone(), 0.5);
        self.base_ready = quantile(times, 0.9);
        self.base = base;
    }

    pub(crate) fn base_in_time(&self) -> Result<(), PlanError> {
        match self.demand.latest_finish {
            Some(latest) if epoch_seconds(latest) < self.base_expected => {
                Err(PlanError::Contradiction {
                    one: format!("latest_finish is {latest}"),
                    other: format!(
                        "the base is expected in the target only by {}",
                        at_epoch_seconds(self.base_expected).format("%Y-%m-%d %H:%M UTC")
                    ),
                    remedy: "move latest_finish, or keep a recent snapshot that can serve as base",
                })
            }
            _ => Ok(()),
        }
    }

    /// The number of rounds that is enough: some more would not gain enough.
    pub(crate) fn settled(&self, make: &dyn Fn(usize) -> Option<Candidate>) -> Option<Found> {
        let mut tried: Vec<Candidate> = Vec::new();
        for rounds in 0..self.demand.max_rounds {
            let Some(candidate) = make(rounds) else { break };
            let gained = |t: &&Candidate| {
                candidate.downtime_seconds <= t.downtime_seconds * (1.0 - ROUND_GAIN)
            };
            let last = tried.iter().rev().take(STALLED_ROUNDS);
            let stalled = tried.len() >= STALLED_ROUNDS && !last.clone().any(|t| gained(&t));
            tried.push(candidate);
            if stalled {
                break;
            }
        }
        let seconds: Vec<f64> = tried.iter().map(|t| t.downtime_seconds).collect();
        let least = seconds.iter().copied().fold(f64::INFINITY, f64::min);
        let enough = |t: &Candidate| t.downtime_seconds <= least * (1.0 + ROUND_GAIN);
        let candidate = tried.into_iter().find(enough)?;
        Some(Found {
            downtime_seconds: candidate.downtime_seconds,
            candidate,
            windows: Vec::new(),
            by_rounds: seconds.into_iter().enumerate().collect(),
        })
    }

    /// The chosen start time, and those at which the base is surely there: the ones that differ
    /// by the load alone.
    pub(crate) fn comparable(&self, found: &Found) -> Vec<(f64, f64)> {
        let chosen = found.candidate.itinerary.fence;
        let settled = |window: &&(f64, f64)| window.0 >= self.base_ready || window.0 == chosen;
        found.windows.iter().filter(settled).copied().collect()
    }

    /// Write downtime of a candidate at the level of the comparison.
    pub(crate) fn downtime(&self, candidate: &Candidate, chain: &Chain) -> f64 {
        quantile(self.downtimes(candidate, chain), self.level)
    }

    /// Write downtime of a candidate on each draw.
    pub(crate) fn downtimes(&self, candidate: &Candidate, chain: &Chain) -> Vec<f64> {
        let runs = self
            .draws
            .iter()
            .map(|draw| chain.run(&candidate.itinerary, draw));
        runs.map(|run| run.cutover.write_downtime_seconds).collect()
    }

    /// `rounds` rounds, each as soon as the one before is in the target. The times shown are
    /// early ones (one in twenty), for they are only a lower bound.
    pub(super) fn at_once(&self, rounds: usize) -> Candidate {
        let mut itinerary = self.base.clone();
        itinerary.rounds = vec![itinerary.base_at; rounds];
        itinerary.fence = itinerary.base_at;
        let runs = self.runs(&itinerary);
        let early = |k: usize| quantile(runs.iter().map(|run| run.rounds[k].at).collect(), EARLY);
        itinerary.rounds = (1..=rounds).map(early).collect();
        itinerary.fence = quantile(fence_times(&runs), EARLY);
        let end = quantile(fence_times(&runs), 0.99) + OPEN_SECONDS;
        Candidate {
            window: window(itinerary.fence, self.finish(end)),
            downtime_seconds: quantile(write_downtimes(&runs), self.level),
            itinerary,
        }
    }

    /// As many rounds as could ever help, each as soon as possible: what a chain can reach at
    /// best when the chosen one was made for circumstances that change.
    pub(crate) fn eager(&self) -> Candidate {
        self.at_once(self.demand.max_rounds.saturating_sub(1).min(EAGER_ROUNDS))
    }

    pub(crate) fn runs(&self, itinerary: &Itinerary) -> Vec<Run> {
        self.draws
            .iter()
            .map(|draw| self.chain.run(itinerary, draw))
            .collect()
    }

    /// No window reaches beyond the latest finish, nor beyond the last moment for the fence.
    fn finish(&self, end: f64) -> f64 {
        let latest = [self.demand.latest_finish, self.demand.fence_by];
        let latest = latest.into_iter().flatten().map(epoch_seconds);
        latest.fold(end, f64::min)
    }

    /// `rounds` rounds counted backwards from `fence`, each with the time that a share `in_time` of them needs;
    /// `None` when the base is not expected in time, or the fence not up before the window ends, or not soon after
    /// it was planned, in nine of ten cases.
    pub(crate) fn timed(
        &self,
        rounds: usize,
        (fence, end): (f64, Option<f64>),
        in_time: f64,
    ) -> Option<Candidate> {
        let mut gaps: Vec<f64> = vec![0.0; rounds];
        // The first delta's length depends on all gaps after it: two passes settle it.
        for _ in 0..2 {
            let mut since = self.base.base_at;
            let mut at = fence - gaps.iter().sum::<f64>();
            for (k, gap) in gaps.iter_mut().enumerate() {
                *gap = self.round_seconds((since, at), k + 1, in_time);
                since = at;
                at += *gap;
            }
        }
        let mut at = fence - gaps.iter().sum::<f64>();
        if at < self.base_expected {
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
        let runs = self.runs(&itinerary);
        let times = || fence_times(&runs);
        let end = end.unwrap_or_else(|| quantile(times(), 0.99) + OPEN_SECONDS);
        let window = window(fence, self.finish(end));
        let up = quantile(times(), 0.9);
        let soon = in_time >= IN_TIME || up <= fence + MOST_DELAY_SECONDS;
        (soon && at_epoch_seconds(up) < window.end).then(|| Candidate {
            window,
            downtime_seconds: quantile(write_downtimes(&runs), self.level),
            itinerary,
        })
    }

    /// Time within which so large a share of rounds is done.
    fn round_seconds(&self, (since, at): (f64, f64), index: usize, in_time: f64) -> f64 {
        let one = |draw: &Draw| {
            let since = match index {
                1 => Since::unflushed(since),
                _ => Since::flushed(since),
            };
            self.chain.round(since, at, index, draw).seconds()
        };
        quantile(
            self.draws.iter().take(TIMING_DRAWS).map(one).collect(),
            in_time,
        )
    }

    /// Group's write rate at which even the median downtime exceeds the limit.
    pub(crate) fn highest_write_rate(&self, found: &Found) -> f64 {
        let passes = |factor: f64| {
            let chain = self.under(Circumstances {
                write_factor: factor,
                ..self.plain()
            });
            quantile(self.downtimes(&found.candidate, &chain), 0.5) <= self.demand.limit_seconds
        };
        self.expected_write_rate() * highest(passes, 64.0)
    }

    /// Mean write rate of the group, bytes per second.
    pub(crate) fn expected_write_rate(&self) -> f64 {
        self.model
            .volumes
            .iter()
            .map(|v| v.load.mean_bytes_per_second)
            .sum()
    }

    pub(crate) fn plain(&self) -> Circumstances {
        Circumstances::plain(self.demand.path)
    }

    pub(crate) fn under(&self, circumstances: Circumstances) -> Chain {
        self.chain.under(circumstances)
    }
}

/// No volume's deltas were ever measured.
pub(crate) fn prior_only(model: &FittedModel) -> bool {
    model.volumes.iter().any(|volume| volume.curve.deltas == 0)
}

fn write_downtimes(runs: &[Run]) -> Vec<f64> {
    runs.iter()
        .map(|run| run.cutover.write_downtime_seconds)
        .collect()
}

fn fence_times(runs: &[Run]) -> Vec<f64> {
    runs.iter().map(|run| run.cutover.round.at).collect()
}
