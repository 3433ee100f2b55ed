//! The chosen schedule against simpler ones and against one that knows the future, on the same draws.
//!
//! The draws are not those the search saw, so that it gains nothing by its choice. Every rival has its fence
//! at the moment at which the chosen schedule has it: what differs is when the rounds are taken.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calibration::History;
use crate::chain::{Chain, Run, Since};
use crate::draws::{Draw, MAX_ROUNDS, draws};
use crate::forecast::fit_with;
use crate::policy::Policy;
use crate::profile::Profile;
use crate::units::Timestamp;

use super::demand::Demand;
use super::levels::quantile;
use super::search::{Found, Search};
use super::{PlanError, oracle};

/// Draws behind a comparison.
const COMPARED_DRAWS: usize = 256;
const HOUR: f64 = 3600.0;
/// A rival takes no more rounds than this, ever.
const MOST_ROUNDS: usize = 2000;

/// How the chosen schedule compares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// Name of the migration.
    pub name: String,
    /// Seed.
    pub seed: u64,
    /// Level at which downtimes are compared.
    pub confidence: f64,
    /// Rounds between base and final of the chosen schedule.
    pub rounds: u32,
    /// Write downtime of the chosen schedule at that level.
    pub chosen_seconds: f64,
    /// A round every hour.
    pub hourly_seconds: f64,
    /// The next round after min[max[1 h, half of the last one's duration], 12 h], as Azure Migrate
    /// takes its delta cycles (Microsoft Learn, agentless migration architecture).
    pub azure_seconds: f64,
    /// Every round as soon as the one before is in the target.
    pub back_to_back_seconds: f64,
    /// The least downtime of whoever knows all writing and all luck beforehand, fence and rounds.
    pub oracle_seconds: f64,
}

impl Comparison {
    /// Least downtime of the simpler schedules.
    #[must_use]
    pub fn best_rival_seconds(&self) -> f64 {
        self.hourly_seconds
            .min(self.azure_seconds)
            .min(self.back_to_back_seconds)
    }

    /// The chosen schedule's downtime over the best simpler one's.
    #[must_use]
    pub fn over_rival(&self) -> f64 {
        self.chosen_seconds / self.best_rival_seconds().max(1e-9)
    }

    /// The chosen schedule's downtime over the oracle's; never below one.
    #[must_use]
    pub fn over_oracle(&self) -> f64 {
        self.chosen_seconds / self.oracle_seconds.max(1e-9)
    }
}

/// When a rival starts its next round, from the last one's start and end.
type Pause = fn(f64, f64) -> f64;

const RIVALS: [Pause; 3] = [
    |start, end| end.max(start + HOUR),
    |start, end| end + ((end - start) / 2.0).clamp(HOUR, 12.0 * HOUR),
    |_, end| end,
];

/// Plans, and plays the plan and its rivals on draws of their own.
///
/// # Errors
/// [`PlanError`] when nothing can be planned.
pub fn compare(
    profile: &Profile,
    policy: &Policy,
    now: Timestamp,
    seed: u64,
) -> Result<Comparison, PlanError> {
    let demand = Demand::of(profile, policy, now)?;
    let model = fit_with(profile, policy, &History::default());
    let search = Search::new(&model, &demand, now, seed)?;
    let found = search.best()?;
    let fresh = !seed;
    let rows: Vec<[f64; 5]> = draws(fresh, search.chain.volumes(), MAX_ROUNDS, COMPARED_DRAWS)
        .iter()
        .map(|draw| downtimes(&search, &found, draw))
        .collect();
    let at = |k: usize| quantile(rows.iter().map(|row| row[k]).collect(), search.level);
    let rounds = found.candidate.itinerary.rounds.len();
    Ok(Comparison {
        name: policy.name.clone(),
        seed,
        confidence: search.level,
        rounds: u32::try_from(rounds).unwrap_or(u32::MAX),
        chosen_seconds: at(0),
        hourly_seconds: at(1),
        azure_seconds: at(2),
        back_to_back_seconds: at(3),
        oracle_seconds: at(4),
    })
}

/// Chosen, the three rivals, oracle, on one draw.
fn downtimes(search: &Search<'_>, found: &Found, draw: &Draw) -> [f64; 5] {
    let itinerary = &found.candidate.itinerary;
    let chosen = search.chain.run(itinerary, draw);
    let rival = |pause: &Pause| downtime_with(search, &chosen, *pause, draw);
    let rivals: Vec<f64> = RIVALS.iter().map(rival).collect();
    let own = chosen.cutover.write_downtime_seconds;
    let known = rivals.iter().copied().fold(own, f64::min);
    let index = itinerary.rounds.len() + 1;
    let least = oracle::least_downtime(search, index, draw);
    [own, rivals[0], rivals[1], rivals[2], known.min(least)]
}

/// Rounds by `pause` from the base to the chosen schedule's fence, and the final one with the same luck.
fn downtime_with(search: &Search<'_>, chosen: &Run, pause: Pause, draw: &Draw) -> f64 {
    let chain: &Chain = &search.chain;
    let (mut start, mut ready) = base(search, draw);
    let fence = chosen.cutover.round.at;
    let mut since = Since::unflushed(start);
    let mut next = ready;
    for index in 1..MOST_ROUNDS {
        if next >= fence {
            break;
        }
        let round = chain.round(since, next, index, draw);
        (start, ready) = (next, round.ready());
        since = Since::flushed(start);
        next = pause(start, ready);
    }
    let index = chosen.rounds.len();
    let cutover = chain.cutover(since, fence.max(ready), index, draw);
    cutover.write_downtime_seconds
}

/// The point in time the base holds, and when it is in the target.
pub(super) fn base(search: &Search<'_>, draw: &Draw) -> (f64, f64) {
    let ready = search.chain.base_in_target(&search.base, draw);
    (search.base.base_at, ready)
}
