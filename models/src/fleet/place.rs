//! Finds an instance its place: when its base begins, when it is cut over.
//!
//! One after the other, on few draws. An instance that was placed stays where it is, so that the work grows with
//! their number and no faster.

use std::collections::BTreeMap;

use crate::chain::Itinerary;
use crate::policy::FleetPolicy;
use crate::schedule::levels::quantile;
use crate::schedule::{Candidate, Found, IN_TIME, Search};
use crate::units::epoch_seconds;

use super::calendar::{Calendar, Take};
use super::shared::Shared;

/// Start times looked at for one base.
const CANDIDATES: usize = 12;
/// Start times so much worse than the best are taken only when nothing better is free.
const NEARLY_AS_GOOD: f64 = 1.1;
/// When no start time is free the base begins so much later, and no later than that after the plan.
const LATER_SECONDS: f64 = 6.0 * 3600.0;
const LATEST_SECONDS: f64 = 90.0 * 86_400.0;

/// What all instances share.
#[derive(Debug)]
pub(super) struct Grounds<'a> {
    pub(super) fleet: &'a FleetPolicy,
    pub(super) now: f64,
    pub(super) calendar: Calendar,
    /// When a cutover of a domain is under way.
    pub(super) domains: BTreeMap<String, Vec<(f64, f64)>>,
}

/// Where an instance was placed.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) found: Found,
    /// The base, or its copy, begins then.
    pub(super) base_start: f64,
    pub(super) over_by: f64,
    pub(super) waited_for: Option<String>,
}

impl Grounds<'_> {
    /// Places an instance of `domain` and takes what it needs of the limits.
    pub(super) fn place(
        &mut self,
        search: &mut Search<'_>,
        domain: &str,
    ) -> Result<Placed, String> {
        search.base_in_time().map_err(|error| error.to_string())?;
        let shared = Shared::of(search, self.fleet, &mut self.calendar);
        let (first, unplaced) = (search.base.clone(), shared.base(search));
        let mut delay = 0.0;
        let mut waited_for = None;
        while delay <= LATEST_SECONDS {
            let (fits, named) = self.calendar.first_fit(&unplaced, delay);
            waited_for = named.or(waited_for);
            search.begin(begun_later(&first, fits));
            search
                .base_in_time()
                .map_err(|error| late(&error.to_string(), waited_for.as_ref()))?;
            let base: Vec<Take> = unplaced.iter().map(|take| take.later(fits)).collect();
            if let Some((found, over_by)) = self.cutover(search, &shared, domain, &base) {
                let base = &search.base;
                return Ok(Placed {
                    found,
                    base_start: base.transfer_from.unwrap_or(base.base_at),
                    over_by,
                    waited_for: waited_for.filter(|_| fits > 0.0),
                });
            }
            delay = fits + LATER_SECONDS;
        }
        Err("no start in 90 days leaves it a window of its own and room for its copies".to_owned())
    }

    /// The best start time that is free, taken with the base's share of the limits.
    fn cutover(
        &mut self,
        search: &Search<'_>,
        shared: &Shared,
        domain: &str,
        base: &[Take],
    ) -> Option<(Found, f64)> {
        let options = self.options(search);
        let windows = |o: &Candidate| (o.itinerary.fence, o.downtime_seconds);
        let looked_at: Vec<(f64, f64)> = options.iter().map(windows).collect();
        for candidate in by_preference(options) {
            let fence = candidate.itinerary.fence;
            let runs = search.runs(&candidate.itinerary);
            let seconds = runs.iter().map(|run| run.cutover.write_downtime_seconds);
            let longest = quantile(seconds.collect(), 0.99);
            let over_by = epoch_seconds(candidate.window.end) + longest;
            if self.occupied(domain, (fence, over_by)) {
                continue;
            }
            let cutovers = self.cutovers(fence, over_by);
            let takes = [base, &shared.rounds(&runs), &cutovers].concat();
            if !self.calendar.has_room(&takes) {
                continue;
            }
            self.calendar.reserve(&takes);
            let own = self.domains.entry(domain.to_owned()).or_default();
            own.push((fence, over_by));
            let found = Found {
                downtime_seconds: candidate.downtime_seconds,
                by_rounds: vec![(candidate.itinerary.rounds.len(), candidate.downtime_seconds)],
                candidate,
                windows: looked_at,
            };
            return Some((found, over_by));
        }
        None
    }

    /// Start times after the base, with as many rounds as are enough.
    fn options(&self, search: &Search<'_>) -> Vec<Candidate> {
        let fences: Vec<(f64, Option<f64>)> = search.fences();
        let step = fences.len().div_ceil(CANDIDATES).max(1);
        let ends = |(fence, end): &(f64, Option<f64>)| {
            let latest = fence + self.fleet.window_seconds;
            (*fence, end.map_or(latest, |end| end.min(latest)))
        };
        let fences: Vec<(f64, f64)> = fences.iter().step_by(step).map(ends).collect();
        let middle = fences.get(fences.len() / 2).copied().unwrap_or_default();
        let settled =
            search.settled(&|rounds| search.timed(rounds, (middle.0, Some(middle.1)), IN_TIME));
        let enough = settled.map_or(1, |found| found.candidate.itinerary.rounds.len());
        let one = |(fence, end): &(f64, f64)| {
            let mut fewer = (0..=enough).rev();
            fewer.find_map(|rounds| search.timed(rounds, (*fence, Some(*end)), IN_TIME))
        };
        fences.iter().filter_map(one).collect()
    }

    /// Another cutover of the domain is under way, or was until just before.
    fn occupied(&self, domain: &str, (from, to): (f64, f64)) -> bool {
        let settle = self.fleet.settle_seconds;
        let others = self.domains.get(domain).into_iter().flatten();
        let meets = |other: &(f64, f64)| from < other.1 + settle && other.0 < to + settle;
        others.into_iter().any(meets)
    }

    fn cutovers(&mut self, from: f64, to: f64) -> Vec<Take> {
        let Some(most) = self.fleet.cutovers_at_once else {
            return Vec::new();
        };
        let limit = "cutovers under way".to_owned();
        self.calendar.limit(&limit, most.into(), "cutovers");
        let amount = 1.0;
        vec![Take {
            limit,
            from,
            to,
            amount,
        }]
    }
}

/// The nearly best ones in order of time, then the others, best first.
fn by_preference(mut options: Vec<Candidate>) -> Vec<Candidate> {
    let seconds = |o: &Candidate| o.downtime_seconds;
    let least = options.iter().map(seconds).fold(f64::INFINITY, f64::min);
    options.sort_by(|a, b| {
        let rank = |o: &Candidate| match seconds(o) <= least * NEARLY_AS_GOOD {
            true => (0_u8, o.itinerary.fence),
            false => (1, seconds(o)),
        };
        let (a, b) = (rank(a), rank(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    options
}

fn begun_later(base: &Itinerary, delay: f64) -> Itinerary {
    match base.transfer_from {
        Some(from) => Itinerary {
            transfer_from: Some(from + delay),
            ..base.clone()
        },
        None => Itinerary {
            base_at: base.base_at + delay,
            ..base.clone()
        },
    }
}

fn late(error: &str, waited_for: Option<&String>) -> String {
    waited_for.map_or_else(
        || error.to_owned(),
        |limit| format!("{error}: it waits for {limit}, which others of the fleet take"),
    )
}
