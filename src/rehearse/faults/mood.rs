//! How likely what goes wrong is in one run, drawn by its seed: most runs have some kinds of trouble and not others,
//! so that each is also seen without the rest.
//!
//! It must not know calls or journals.

use std::time::Duration;

use chrono::TimeDelta;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::places::{KillPoint, Moment};
use crate::clock::{MOST_STEPS, Step, Steps};

/// Calls of an undisturbed run, roughly: kills are drawn within so many.
const CALLS: u64 = 260;
/// Entries of its journal.
const ENTRIES: u64 = 220;
/// Most kills of one run in a call.
const MOST_KILLS: u32 = 3;
/// Furthest that a wall clock is set at once, in seconds: a time zone taken for another, and then some.
const FURTHEST_SECONDS: f64 = 14.0 * 3600.0;

/// Probabilities, per call where nothing else is said.
#[derive(Clone, Copy, Debug)]
pub struct Mood {
    /// Requests or answers that do not arrive, to services and to hosts.
    pub lost: [f64; 2],
    /// Calls that are under way for long.
    pub hangs: f64,
    /// The executor stands still.
    pub pauses: f64,
    /// Somebody deletes what is not his.
    pub strangers: f64,
    /// The journal's disk is full, per start of the executor.
    pub full_disks: f64,
}

impl Mood {
    /// Nothing goes wrong.
    pub const GOOD: Self = Self {
        lost: [0.0, 0.0],
        hangs: 0.0,
        pauses: 0.0,
        strangers: 0.0,
        full_disks: 0.0,
    };

    /// Draws one.
    pub fn draw(rng: &mut ChaCha8Rng) -> Self {
        Self {
            lost: [
                one_of(rng, [0.0, 0.002, 0.01]),
                one_of(rng, [0.0, 0.01, 0.05]),
            ],
            hangs: one_of(rng, [0.0, 0.0, 0.01]),
            pauses: one_of(rng, [0.0, 0.0, 0.006]),
            strangers: one_of(rng, [0.0, 0.0, 0.005]),
            full_disks: one_of(rng, [0.0, 0.0, 0.3]),
        }
    }

    /// Where the executor is killed.
    pub fn kills(&self, rng: &mut ChaCha8Rng) -> Vec<KillPoint> {
        let calls = drawn(rng, MOST_KILLS, CALLS);
        let moments = [Moment::Before, Moment::During, Moment::After];
        let mut kills: Vec<KillPoint> = calls
            .into_iter()
            .map(|call| KillPoint::Call(call, moments[rng.random_range(0..moments.len())]))
            .collect();
        kills.extend(drawn(rng, 1, ENTRIES).into_iter().map(KillPoint::Entry));
        kills
    }

    /// Calls at which a side is cut off.
    pub fn partition_calls(&self, rng: &mut ChaCha8Rng) -> Vec<u64> {
        drawn(rng, 1, CALLS)
    }
}

/// How the executor's wall clock is set on the way, within so many seconds from `begin_seconds` on: in a third of the
/// runs.
pub fn clock_steps(rng: &mut ChaCha8Rng, begin_seconds: f64, within_seconds: f64) -> Steps {
    let mut steps = Steps::default();
    if rng.random_range(0..3) > 0 {
        return steps;
    }
    for step in steps.iter_mut().take(rng.random_range(1..=MOST_STEPS)) {
        let after = begin_seconds + rng.random::<f64>() * within_seconds;
        let far_seconds = (rng.random::<f64>() * FURTHEST_SECONDS.ln()).exp();
        let far = Duration::from_secs_f64(far_seconds);
        let far = TimeDelta::from_std(far).unwrap_or_default();
        *step = Some(Step {
            after: Duration::from_secs_f64(after.max(0.0)),
            by: if rng.random() { far } else { -far },
        });
    }
    steps
}

fn drawn(rng: &mut ChaCha8Rng, most: u32, within: u64) -> Vec<u64> {
    let count = rng.random_range(0..=most);
    (0..count).map(|_| rng.random_range(1..within)).collect()
}

fn one_of(rng: &mut ChaCha8Rng, choices: [f64; 3]) -> f64 {
    choices[rng.random_range(0..choices.len())]
}
