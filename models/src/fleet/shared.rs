//! Which shared limits there are, and what a schedule takes of them.
//!
//! A round is expected to copy from when its snapshot may be done (one in ten) until its data is in the target
//! (seventeen in twenty), in the same draws that timed it.

use crate::chain::{RoundOutcome, Run};
use crate::limits::LIMITS;
use crate::plan::Place;
use crate::policy::{FleetPolicy, TransferPath};
use crate::schedule::{Search, levels::quantile};

use super::calendar::{Calendar, STEP_SECONDS, Take};

/// Part of the calls that migrations may take: the rest of the account lives too.
const CALLS_SHARE: f64 = 0.5;
/// Share of draws in which a round's copy has not begun before, and has ended by, the times reserved.
const EARLY: f64 = 0.1;
const LATE: f64 = 0.85;
/// Looks of one executor at one thing that is under way, per second: every 15 s at most.
const LOOKS_PER_SECOND: f64 = 1.0 / 15.0;

/// The limits that one instance meets.
pub(super) struct Shared {
    copies: Option<String>,
    bytes: Option<String>,
    made: [String; 2],
    looked: String,
    volumes: f64,
}

impl Shared {
    /// Names the limits of `search`'s place in `calendar`.
    pub(super) fn of(search: &Search<'_>, fleet: &FleetPolicy, calendar: &mut Calendar) -> Self {
        let (source, target) = (&search.demand.source, &search.demand.target);
        let copied = search.demand.path == TransferPath::Copy;
        let most = LIMITS.copies_per_destination_region as f64;
        let most = fleet.copies_at_once.map_or(most, f64::from);
        let copies = copied.then(|| format!("copies into {}", named(target)));
        let rate = fleet.copy_mib_per_second.filter(|_| copied);
        let bytes = rate.map(|_| format!("copying from {} to {}", source.region, target.region));
        let steady = CALLS_SHARE * LIMITS.mutating_calls_per_second * STEP_SECONDS;
        let made =
            [source, target].map(|place| format!("calls that make things, {}", named(place)));
        let looked = format!("looks at snapshots, {}", named(source));
        if let Some(name) = &copies {
            calendar.limit(name, most, "copies");
        }
        if let (Some(name), Some(rate)) = (&bytes, rate) {
            calendar.limit(name, rate, "MiB/s");
        }
        made.iter()
            .for_each(|name| calendar.limit(name, steady, "calls in 5 min"));
        let looks = CALLS_SHARE * LIMITS.describe_calls_per_second;
        calendar.limit(&looked, looks, "calls/s");
        Self {
            copies,
            bytes,
            made,
            looked,
            volumes: search.chain.volumes() as f64,
        }
    }

    /// What the base takes.
    pub(super) fn base(&self, search: &Search<'_>) -> Vec<Take> {
        let begun = search.base.transfer_from.unwrap_or(search.base.base_at);
        let one = |draw| {
            let base = search.chain.base(&search.base, draw);
            RoundOutcome { at: begun, ..base }
        };
        self.round(&search.draws.iter().map(one).collect::<Vec<_>>())
    }

    /// What the rounds and the final one of runs take.
    pub(super) fn rounds(&self, runs: &[Run]) -> Vec<Take> {
        let count = runs.first().map_or(0, |run| run.rounds.len());
        let taken = |k: usize| runs.iter().map(|run| run.rounds[k]).collect::<Vec<_>>();
        let last: Vec<_> = runs.iter().map(|run| run.cutover.round).collect();
        let mut takes = self.round(&last);
        takes.extend((1..count).flat_map(|k| self.round(&taken(k))));
        // The restored volumes are made and attached at the end of the last copy.
        let end = quantile(last.iter().map(RoundOutcome::ready).collect(), 0.5);
        takes.push(take(&self.made[1], end, end, self.volumes));
        takes
    }

    fn round(&self, outcomes: &[RoundOutcome]) -> Vec<Take> {
        let column = |part: &dyn Fn(&RoundOutcome) -> f64, level| {
            quantile(outcomes.iter().map(part).collect(), level)
        };
        let begun = column(&|o| o.at, 0.5);
        let copying = column(&|o| o.at + o.snapshot_seconds, EARLY);
        let ready = column(&RoundOutcome::ready, LATE);
        let mut takes = vec![
            take(&self.made[0], begun, begun, 1.0),
            take(&self.looked, begun, ready, LOOKS_PER_SECOND),
        ];
        if let Some(name) = &self.copies {
            takes.push(take(name, copying, ready, self.volumes));
            takes.push(take(&self.made[1], copying, copying, self.volumes));
        }
        if let Some(name) = &self.bytes {
            let rate = |o: &RoundOutcome| o.delta_bytes / o.transfer_seconds.max(1.0) / 1_048_576.0;
            takes.push(take(name, copying, ready, column(&rate, 0.5)));
        }
        takes
    }
}

fn named(place: &Place) -> String {
    format!("{} of {}", place.region, place.account)
}

fn take(limit: &str, from: f64, to: f64, amount: f64) -> Take {
    Take {
        limit: limit.to_owned(),
        from,
        to,
        amount,
    }
}
