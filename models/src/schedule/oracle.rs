//! The least downtime of whoever knows the future, on one draw: exact on a grid of start times.
//!
//! For a given fence the latest snapshot that is in the target before it is the best last one, because
//! a shorter delta is a subset of a longer one. So of every point in time only the earliest end of a
//! round taken then matters, and that follows from the latest round that ended before it: dynamic
//! programming over time, without a limit on the number of rounds.

use crate::chain::Since;
use crate::draws::Draw;

use super::rivals::base;
use super::search::Search;

/// Start times on the grid are so far apart.
const STEP_SECONDS: f64 = 120.0;
/// Rounds further ahead of a fence cannot be the last but one or two: an allowed span needs no
/// longer run-up than this.
const RUN_UP_SECONDS: f64 = 12.0 * 3600.0;
/// Luck of the rounds in between: that of the first one.
const ROUND: usize = 1;

/// The least write downtime over all fences that the policy allows and all rounds before them; the
/// final round's luck is that of round `index`, as in the schedule it is compared with.
pub(super) fn least_downtime(search: &Search<'_>, index: usize, draw: &Draw) -> f64 {
    let (held, ready) = base(search, draw);
    let spans = search.spans();
    let mut least = f64::INFINITY;
    for (start, end) in spans {
        let from = ready.max(start - RUN_UP_SECONDS);
        let mut last = Since::unflushed(held);
        let mut running: Vec<(f64, f64)> = Vec::new();
        let mut at = from;
        while at < end.max(ready + STEP_SECONDS) {
            last = latest(&mut running, at).map_or(last, Since::flushed);
            if at >= start {
                let cutover = search.chain.cutover(last, at, index, draw);
                least = least.min(cutover.write_downtime_seconds);
            }
            let round = search.chain.round(last, at, ROUND, draw);
            running.push((at, round.ready()));
            at += STEP_SECONDS;
        }
    }
    least
}

/// The latest start among the rounds that ended by `at`; they are taken out.
fn latest(running: &mut Vec<(f64, f64)>, at: f64) -> Option<f64> {
    let ended = running.iter().filter(|(_, end)| *end <= at);
    let latest = ended.map(|(start, _)| *start).reduce(f64::max);
    if let Some(latest) = latest {
        running.retain(|(start, _)| *start > latest);
    }
    latest
}
