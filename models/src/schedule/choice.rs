//! The choice among all start times: a quick look at each, a close one at the best.

use crate::shares::by_shares;
use crate::units::at_epoch_seconds;

use super::PlanError;
use super::search::{Candidate, Found, IN_TIME, Search, TIGHT};

/// Start times looked at closely.
const SHORTLIST: usize = 8;
/// A later window must gain this share of the downtime: less is below what the draws can tell.
const WINDOW_GAIN: f64 = 0.02;

/// A start time with the end of its window.
type Start = (f64, Option<f64>);

impl Search<'_> {
    /// The best candidate: least downtime at the policy's confidence; among nearly equal ones
    /// the earliest window and the fewest rounds. All start times are compared with the rounds that
    /// are enough at one of them; the best of them then find their own.
    pub(crate) fn best(&self) -> Result<Found, PlanError> {
        let mut options: Vec<Found> = Vec::new();
        if self.demand.hours.is_empty() {
            let in_time = |found: &Candidate| found.window.start < found.window.end;
            options.extend(self.settled(&|rounds| Some(self.at_once(rounds)).filter(in_time)));
        }
        let mut windows: Vec<(f64, f64)> = options.iter().map(summary).collect();
        let close = self.shortlist(&mut windows);
        options.extend(by_shares(close.len(), 1, |share| {
            let timed = |start: &Start| {
                [IN_TIME, TIGHT]
                    .map(|share| self.settled(&|rounds| self.timed(rounds, *start, share)))
            };
            close[share].iter().flat_map(timed).flatten().collect()
        }));
        for found in &options {
            let (fence, seconds) = summary(found);
            let own = windows.iter_mut().find(|window| same_time(window.0, fence));
            own.into_iter()
                .for_each(|window| window.1 = window.1.min(seconds));
        }
        options.sort_by(|a, b| {
            let (a, b) = (summary(a), summary(b));
            a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
        });
        let least = options
            .iter()
            .map(|found| found.downtime_seconds)
            .fold(f64::INFINITY, f64::min);
        options
            .into_iter()
            .find(|found| found.downtime_seconds <= least * (1.0 + WINDOW_GAIN))
            .map(|found| Found { windows, ..found })
            .ok_or_else(|| self.no_window())
    }

    /// The start times worth a closer look; tells the downtime of all of them.
    fn shortlist(&self, windows: &mut Vec<(f64, f64)>) -> Vec<Start> {
        let fences = self.fences();
        let enough = self.enough(&fences);
        let quick = |fence: Start| {
            // Close behind the base there may be no time for so many.
            let mut fewer = (0..=enough).rev();
            let candidate = fewer.find_map(|rounds| self.timed(rounds, fence, IN_TIME))?;
            Some((fence, candidate.downtime_seconds))
        };
        let mut told: Vec<(Start, f64)> = by_shares(fences.len(), 4, |share| {
            fences[share].iter().copied().filter_map(quick).collect()
        });
        windows.extend(told.iter().map(|(fence, seconds)| (fence.0, *seconds)));
        let least = told
            .iter()
            .map(|(_, seconds)| *seconds)
            .fold(f64::INFINITY, f64::min);
        // The earliest of those that are nearly as good is the one to take.
        let early = told
            .iter()
            .position(|(_, seconds)| *seconds <= least * (1.0 + WINDOW_GAIN));
        let early = early.map(|index| told[index].0);
        told.sort_by(|a, b| a.1.total_cmp(&b.1));
        let mut kept: Vec<Start> = told
            .into_iter()
            .take(SHORTLIST)
            .map(|(fence, _)| fence)
            .collect();
        kept.extend(early);
        kept.sort_by(|a, b| a.0.total_cmp(&b.0));
        kept.dedup_by(|a, b| same_time(a.0, b.0));
        kept
    }

    fn no_window(&self) -> PlanError {
        let ready = at_epoch_seconds(self.base_ready).format("%Y-%m-%d %H:%M UTC");
        PlanError::Contradiction {
            one: match self.demand.latest_finish {
                Some(latest) => format!("latest_finish is {latest}"),
                None => "the policy's windows are too short or too rare".to_owned(),
            },
            other: format!(
                "the base is surely in the target only by {ready}, and no allowed window fits in after it"
            ),
            remedy: "move latest_finish or widen the windows",
        }
    }

    /// Rounds that are enough wherever the fence is: the later it is, the longer the first delta and the
    /// more rounds it takes to work it off.
    fn enough(&self, fences: &[Start]) -> usize {
        let settled = fences.iter().position(|fence| fence.0 >= self.base_ready);
        let first = settled.unwrap_or(fences.len() / 2);
        let middle = (first + fences.len()) / 2;
        let probes = [first, middle, fences.len().saturating_sub(1)];
        let rounds = |probe: usize| {
            let mut later = fences.iter().skip(probe);
            later
                .find_map(|fence| self.settled(&|rounds| self.timed(rounds, *fence, IN_TIME)))
                .map_or(1, |found| found.candidate.itinerary.rounds.len())
        };
        probes.into_iter().map(rounds).max().unwrap_or(1)
    }
}

/// Fence and downtime.
fn summary(found: &Found) -> (f64, f64) {
    (found.candidate.itinerary.fence, found.downtime_seconds)
}

/// The same start time, to the second.
fn same_time(a: f64, b: f64) -> bool {
    (a - b).abs() < 1.0
}
