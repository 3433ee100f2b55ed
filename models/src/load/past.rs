//! What the experts look at: the ledger of small and bulk writes, its scale and its rhythms.
//!
//! It must not know forecasts.

use super::bulk::Jobs;
use super::ledger::{Ledger, Sums};
use super::record::Entry;

const DAY: f64 = 86_400.0;
/// Slots of a day whose rates are compared between days.
const SLOT_SECONDS: f64 = 1800.0;
const SLOTS: usize = 48;
/// Share of a span that must be known for its rate to count.
const KNOWN_SHARE: f64 = 0.3;
/// A rate below this share of the mean is as good as idle.
const FLOOR_SHARE: f64 = 0.01;
/// One write a year: where nothing was ever written, that is idle too.
const LEAST_FLOOR: f64 = 3e-8;

/// The past as the forecast sees it.
#[derive(Clone, Debug)]
pub(super) struct Past {
    pub(super) ledger: Ledger,
    /// Mean rate of the small writes, and the rate that counts as idle.
    pub(super) rate: f64,
    pub(super) floor: f64,
    /// Mean bulk blocks per second.
    pub(super) bulk_rate: f64,
    /// A rhythm shorter than a day, in seconds.
    pub(super) cycle: Option<f64>,
    pub(super) days: Days,
    pub(super) jobs: Jobs,
    /// Small writes per second of the busiest ten minutes.
    pub(super) busiest: f64,
}

impl Past {
    pub(super) fn of(entries: &[Entry]) -> Self {
        let ledger = Ledger::of(entries);
        let all = ledger.all();
        let rate = all.small / all.calm_seconds.max(1.0);
        Self {
            days: Days::of(&ledger),
            rate,
            floor: (FLOOR_SHARE * rate).max(LEAST_FLOOR),
            bulk_rate: all.bulk_blocks / all.seconds.max(1.0),
            busiest: busiest(&ledger),
            jobs: Jobs::of(&ledger),
            cycle: super::cycle::find(&ledger),
            ledger,
        }
    }

    /// Days to tell a rhythm of the day from.
    pub(super) fn has_days(&self) -> bool {
        self.ledger.end() - self.ledger.start() >= 2.0 * DAY
    }

    /// Sums of a span; `None` when too little is known or it is not over.
    pub(super) fn known(&self, from: f64, to: f64) -> Option<Sums> {
        let sums = self.ledger.between(from, to);
        let enough = sums.seconds > 0.0 && sums.seconds >= KNOWN_SHARE * (to - from);
        (enough && to <= self.ledger.end() + 1e-6).then_some(sums)
    }

    /// Small writes per second outside bulk writing; `None` when too little is known.
    pub(super) fn small_rate(&self, from: f64, to: f64) -> Option<f64> {
        let from = from.max(self.ledger.start());
        let sums = self.ledger.between(from, to);
        (sums.calm_seconds > 0.0 && sums.calm_seconds >= KNOWN_SHARE * (to - from))
            .then(|| sums.small / sums.calm_seconds)
    }
}

/// Rates by time of day.
#[derive(Clone, Debug)]
pub(super) struct Days {
    first: f64,
    /// (small writes, calm seconds) of each slot since `first`.
    slots: Vec<(f64, f64)>,
    /// The same of all days together.
    day: Vec<(f64, f64)>,
    /// Rate of the other days in each slot since `first`, looked up a hundred thousand times.
    others: Vec<Option<f64>>,
}

impl Days {
    fn of(ledger: &Ledger) -> Self {
        let first = (ledger.start() / SLOT_SECONDS).floor() * SLOT_SECONDS;
        let count = ((ledger.end() - first) / SLOT_SECONDS).ceil().max(0.0);
        let mut day = vec![(0.0, 0.0); SLOTS];
        let mut slots = Vec::new();
        for k in 0..whole(count).min(SLOTS * 16) {
            let at = first + SLOT_SECONDS * k as f64;
            let sums = ledger.between(at, at + SLOT_SECONDS);
            slots.push((sums.small, sums.calm_seconds));
            let of_day = &mut day[slot_of_day(at)];
            *of_day = (of_day.0 + sums.small, of_day.1 + sums.calm_seconds);
        }
        let mut days = Self {
            first,
            slots,
            day,
            others: Vec::new(),
        };
        let middle = |k: usize| first + SLOT_SECONDS * (k as f64 + 0.5);
        days.others = (0..days.slots.len())
            .map(|k| days.others_at(middle(k)))
            .collect();
        days
    }

    /// Rate on all other days within half an hour of the time of day of `at`.
    pub(super) fn other_days(&self, at: f64) -> Option<f64> {
        let k = ((at - self.first) / SLOT_SECONDS).floor();
        let known = (k >= 0.0).then(|| self.others.get(whole(k))).flatten();
        known.copied().unwrap_or_else(|| self.others_at(at))
    }

    fn others_at(&self, at: f64) -> Option<f64> {
        let (mut small, mut seconds) = (0.0, 0.0);
        for shift in [-SLOT_SECONDS, 0.0, SLOT_SECONDS] {
            let time = at + shift;
            let all = self.day[slot_of_day(time)];
            let own = self.slot(time);
            small += all.0 - own.0;
            seconds += all.1 - own.1;
        }
        (seconds > SLOT_SECONDS / 2.0).then(|| small.max(0.0) / seconds)
    }

    fn slot(&self, at: f64) -> (f64, f64) {
        let k = ((at - self.first) / SLOT_SECONDS).floor();
        if k < 0.0 {
            return (0.0, 0.0);
        }
        self.slots.get(whole(k)).copied().unwrap_or((0.0, 0.0))
    }
}

fn slot_of_day(at: f64) -> usize {
    whole((at.rem_euclid(DAY) / SLOT_SECONDS).floor()).min(SLOTS - 1)
}

/// A nonnegative whole number as an index.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what an index holds; NaN becomes 0"
)]
pub(super) fn whole(value: f64) -> usize {
    value.clamp(0.0, 1e9) as usize
}

fn busiest(ledger: &Ledger) -> f64 {
    let count = whole((ledger.end() - ledger.start()) / 600.0).min(3000);
    let rate = |k: usize| {
        let to = ledger.end() - 600.0 * k as f64;
        let sums = ledger.between(to - 600.0, to);
        sums.small / sums.seconds.max(300.0)
    };
    (0..count).map(rate).fold(0.0, f64::max)
}

/// Nearest rank; zero of nothing.
pub(super) fn quantile(mut values: Vec<f64>, level: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = whole(level * values.len().saturating_sub(1) as f64);
    values.get(rank).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_up_of_other_days_is_what_is_reckoned() {
        let entry = |k: i32| Entry {
            start: 1e6 + 300.0 * f64::from(k),
            seconds: 300.0,
            written: crate::dirty::Written {
                small: f64::from(k % 97),
                bulk_blocks: 0.0,
            },
            calm_seconds: 300.0,
        };
        let entries: Vec<Entry> = (0..1500).map(entry).collect();
        let days = Days::of(&Ledger::of(&entries));
        for k in -200..1700 {
            let at = 1e6 + 331.7 * f64::from(k);
            assert_eq!(days.other_days(at), days.others_at(at), "{at}");
        }
    }
}
