//! The forecast at the gate: the plan's models, taught by the rounds and the fresh write rate.

use std::cell::OnceCell;

use crate::chain::{Chain, Circumstances, Cutover, Nominal, Signs, Since};
use crate::cost::Spending;
use crate::draws::{DRAWS, Draw, GLANCE_DRAWS, SEARCH_DRAWS, draws, outcomes};
use crate::evidence::{Evidence, MeasuredRound};
use crate::observation::ServiceStep;
use crate::plan::{Forecast, Plan};
use crate::policy::TransferPath;
use crate::units::{Quantiles, Timestamp, epoch_seconds};

use super::teaching::taught;
use super::{FittedModel, shares, widened};

/// Forecast of a cutover that starts now, from everything measured so far. Falls back to the
/// plan's knowledge wherever the evidence is silent; `seed` fixes every draw.
#[must_use]
pub fn at_gate(plan: &Plan, evidence: &Evidence, now: Timestamp, seed: u64) -> Forecast {
    Taught::of(plan, evidence, now).simulated((evidence, now), seed, DRAWS)
}

/// What each of `steps` will take of a cutover that starts now, on fewer draws: to be held against what came.
#[must_use]
pub fn parts_at_gate(
    plan: &Plan,
    (evidence, now): (&Evidence, Timestamp),
    steps: &[ServiceStep],
) -> Vec<Quantiles> {
    let taught = Taught::of(plan, evidence, now);
    let (chain, seconds) = (taught.chain(), epoch_seconds(now));
    let since = last_round(plan, evidence, now);
    let play =
        |draw: &Draw| chain.cutover(since, seconds + chain.checkpoint_seconds(draw), 0, draw);
    let ends = outcomes(plan.seed, chain.volumes(), 1, GLANCE_DRAWS, play);
    let part = |step: &ServiceStep| {
        let seconds = ends.iter().map(|end| end.seconds_of(*step));
        Quantiles::of(&mut seconds.collect::<Vec<f64>>())
    };
    steps.iter().map(part).collect()
}

/// The plan's models after what was measured so far: taught once, asked several times while the
/// next step is weighed.
#[derive(Clone, Debug)]
pub struct Taught<'a> {
    plan: &'a Plan,
    model: FittedModel,
    now: Timestamp,
    /// Its chain: made when it is asked for, because that takes most of the time.
    chain: OnceCell<Chain>,
}

impl<'a> Taught<'a> {
    /// Teaches the models of `plan`.
    #[must_use]
    pub fn of(plan: &'a Plan, evidence: &Evidence, now: Timestamp) -> Self {
        Self {
            plan,
            model: taught(plan, evidence, now),
            now,
            chain: OnceCell::new(),
        }
    }

    /// The chain as it is seen at the moment of teaching.
    fn chain(&self) -> &Chain {
        self.chain.get_or_init(|| {
            let path = Circumstances::plain(path_of(self.plan));
            Chain::of(&self.model, path, epoch_seconds(self.now))
        })
    }

    /// The models themselves.
    pub(crate) fn into_model(self) -> FittedModel {
        self.model
    }

    /// Forecast of a cutover at `at`, as [`at_gate`] but on fewer draws. Of the evidence only the point
    /// in time of the last round may differ from what the models were taught.
    #[must_use]
    pub fn glance(&self, evidence: &Evidence, at: Timestamp, seed: u64) -> Forecast {
        self.simulated((evidence, at), seed, GLANCE_DRAWS)
    }

    /// A cutover at `at` on so many draws.
    fn simulated(
        &self,
        (evidence, at): (&Evidence, Timestamp),
        seed: u64,
        count: usize,
    ) -> Forecast {
        let (model, chain, seconds) = (&self.model, self.chain(), epoch_seconds(at));
        let since = last_round(self.plan, evidence, at);
        let cutover =
            |draw: &Draw| chain.cutover(since, seconds + chain.checkpoint_seconds(draw), 0, draw);
        let (ends, signs): (Vec<Cutover>, Vec<Signs>) = if count < DRAWS {
            // Fewer do not tell what the spread comes from.
            (
                outcomes(seed, chain.volumes(), 1, count, cutover),
                Vec::new(),
            )
        } else {
            let hop = nominal(chain, since, seconds, &cutover, seed);
            let play = |draw: &Draw| (cutover(draw), chain.signs(&hop, draw));
            let both = outcomes(seed, chain.volumes(), 1, count, play);
            both.into_iter().unzip()
        };
        let column = |part: &dyn Fn(&Cutover) -> f64| {
            Quantiles::of(&mut ends.iter().map(part).collect::<Vec<f64>>())
        };
        let downtimes: Vec<f64> = ends.iter().map(|end| end.write_downtime_seconds).collect();
        let write_downtime_seconds = widened(column(&|end| end.write_downtime_seconds), model);
        let spent = Spending::so_far(self.plan, model, evidence);
        Forecast {
            freeze_seconds: column(&|end| end.freeze_seconds),
            write_downtime_seconds,
            read_downtime_seconds: if model.database {
                write_downtime_seconds
            } else {
                Quantiles::exact(0.0)
            },
            final_delta_bytes: column(&|end| end.round.delta_bytes),
            cost_usd: column(&|end| spent.with_round(end.round.delta_bytes).usd()),
            spread: match signs.is_empty() {
                true => Vec::new(),
                false => shares(&downtimes, &signs),
            },
            provenance: model.provenance.clone(),
        }
    }

    /// Seconds that one more round takes at the median if it starts at `now`, until it is seen in the target: its
    /// snapshot and transfer by the forecast, and what the executor needed besides in the rounds so far (looks,
    /// the listing of a large volume, the flush). For the decision whether it is worth its time.
    #[must_use]
    pub fn next_round_seconds(&self, evidence: &Evidence, now: Timestamp, seed: u64) -> f64 {
        let chain = self.chain();
        let since = last_round(self.plan, evidence, now);
        let besides = besides(&evidence.rounds);
        let play = |draw: &Draw| {
            let round = chain.round(since, epoch_seconds(now), 0, draw);
            let looks = round.unseen_seconds;
            round.seconds() - looks + besides.unwrap_or(looks)
        };
        let all = draws(seed, chain.volumes(), 1, SEARCH_DRAWS);
        Quantiles::of(&mut all.iter().map(play).collect::<Vec<f64>>()).p50
    }
}

/// What rounds took beyond snapshot and transfer, at the median; none before one did.
fn besides(rounds: &[MeasuredRound]) -> Option<f64> {
    let rounds = rounds.iter().filter(|round| round.index > 0);
    let mut seen: Vec<f64> = rounds.filter_map(|round| round.besides_seconds).collect();
    (!seen.is_empty()).then(|| Quantiles::of(&mut seen).p50)
}

/// The hop at hand at the median of its bytes.
fn nominal(
    chain: &Chain,
    since: Since,
    fence: f64,
    cutover: &(impl Fn(&Draw) -> Cutover + Sync),
    seed: u64,
) -> Nominal {
    let bytes = |draw: &Draw| cutover(draw).round.delta_bytes;
    let mut bytes = outcomes(seed, chain.volumes(), 1, SEARCH_DRAWS, bytes);
    chain.nominal(since, fence, Quantiles::of(&mut bytes).p50)
}

/// The path of the plan's last hop.
pub(super) fn path_of(plan: &Plan) -> TransferPath {
    plan.rounds
        .last()
        .map_or(TransferPath::Copy, |round| round.path)
}

/// Point in time the last completed round holds; the base's planned start before any round.
fn last_round(plan: &Plan, evidence: &Evidence, now: Timestamp) -> Since {
    let last = evidence.rounds.iter().max_by_key(|round| round.at);
    let planned = plan.rounds.first().map(|round| round.start);
    let at = evidence
        .last_round_at
        .or(last.map(|round| round.at))
        .or(planned)
        .unwrap_or(plan.made_at)
        .min(now);
    // A round that is only weighed comes after a CHECKPOINT, as every round before a cutover does.
    let weighed = last.is_none_or(|round| round.at < at);
    if weighed || last.is_some_and(|round| round.flushed) {
        Since::flushed(epoch_seconds(at))
    } else {
        Since::unflushed(epoch_seconds(at))
    }
}
