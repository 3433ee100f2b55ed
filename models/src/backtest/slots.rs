//! Choice of the freeze's slot, judged on series of half-hours: what it cost against the best one.
//!
//! The series tells how many 4 KiB pages a volume wrote in each half-hour and how many of them were
//! distinct; from that a power law of the distinct bytes is fitted, and the final round's seconds in
//! every slot follow as the fixed point of T = a + U(rate T) / r. The gate knows the mean rate of
//! the very half-hour it decides in, the optimistic end; the stale one only that of the one before.
//! It must not know files.

use crate::load::{Decision, LoadModel, LoadPaths, Outlook, decide, planned};
use crate::observation::WritePeriod;
use crate::units::at_epoch_seconds;

const SLOT_SECONDS: f64 = 1800.0;
const PAGE_BYTES: f64 = 4096.0;
/// Slots of a day, how many days are history at least, and the distance of origins.
const DAY: usize = 48;
const HISTORY_DAYS: usize = 4;
const ORIGINS_APART: usize = 6;
/// Overhead of the final round in seconds.
const OVERHEAD_SECONDS: f64 = 60.0;
/// A half-hour with fewer pages tells nothing of the curve; so many must tell.
const TELLING_PAGES: f64 = 50.0;
const LEAST_TELLING: usize = 60;
/// Range of the power law's exponent.
const EXPONENTS: (f64, f64) = (0.4, 1.0);
/// The zero of a series without a date: a Monday, midnight UTC.
const EPOCH_SECONDS: f64 = 1_704_067_200.0;

/// One volume, half-hour by half-hour.
#[derive(Clone, Debug, Default)]
pub struct HalfHours {
    /// 4 KiB pages written.
    pub pages: Vec<f64>,
    /// Bytes of the distinct ones.
    pub distinct_bytes: Vec<f64>,
}

/// Ways to choose a slot of the next 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Choice {
    /// The first one.
    Now,
    /// The time of day with the least mean so far.
    HistoryMean,
    /// The time of day with the least maximum so far.
    HistoryMinimax,
    /// The forecast's least bad slot, without a gate.
    Plan,
    /// The forecast with a gate that knows the present half-hour.
    Gate,
    /// The same with a rate half an hour old.
    StaleGate,
}

impl Choice {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Now,
        Self::HistoryMean,
        Self::HistoryMinimax,
        Self::Plan,
        Self::Gate,
        Self::StaleGate,
    ];
}

/// Seconds of the chosen slot over those of the best one, for every origin of a series; empty when
/// the series is too short or too quiet to tell. `factor` is the snapshot's rate over the mean
/// dirty rate.
#[must_use]
pub fn regrets(series: &HalfHours, factor: f64, choice: Choice) -> Vec<f64> {
    let Some(rounds) = Rounds::of(series, factor) else {
        return Vec::new();
    };
    let seconds: Vec<f64> = series
        .pages
        .iter()
        .map(|pages| rounds.seconds(*pages))
        .collect();
    let last = seconds.len().saturating_sub(DAY);
    let origins = (HISTORY_DAYS * DAY..last).step_by(ORIGINS_APART);
    let regret = |origin: usize| {
        let day = &seconds[origin..origin + DAY];
        let best = day.iter().copied().fold(f64::INFINITY, f64::min);
        day[chosen(series, &rounds, &seconds, origin, choice)] / best
    };
    origins.map(regret).collect()
}

fn chosen(
    series: &HalfHours,
    rounds: &Rounds,
    seconds: &[f64],
    origin: usize,
    choice: Choice,
) -> usize {
    let day = &seconds[origin..origin + DAY];
    let history = |slot: usize| (origin + slot - DAY) % DAY..origin;
    let at_time = |slot: usize| history(slot).step_by(DAY).map(|k| seconds[k]);
    match choice {
        Choice::Now => 0,
        Choice::HistoryMean => least(|slot| {
            let count = at_time(slot).count().max(1) as f64;
            at_time(slot).sum::<f64>() / count
        }),
        Choice::HistoryMinimax => least(|slot| at_time(slot).fold(0.0, f64::max)),
        Choice::Plan => planned(&outlooks(series, rounds, origin)).unwrap_or(0),
        Choice::Gate => waited(day, &outlooks(series, rounds, origin)),
        Choice::StaleGate => waited(
            &seconds[origin - 1..origin + DAY - 1],
            &outlooks(series, rounds, origin),
        ),
    }
}

/// The slot in which the gate opens, by what it knows of each.
fn waited(known: &[f64], outlooks: &[Outlook]) -> usize {
    let open = |slot: &usize| decide(known[*slot], &outlooks[slot + 1..]) == Decision::Go;
    (0..known.len()).find(open).unwrap_or(known.len() - 1)
}

fn least(cost: impl Fn(usize) -> f64) -> usize {
    let by_cost = |a: &usize, b: &usize| cost(*a).total_cmp(&cost(*b));
    (0..DAY).min_by(by_cost).unwrap_or(0)
}

/// What the load forecast expects of each slot of the next day.
fn outlooks(series: &HalfHours, rounds: &Rounds, origin: usize) -> Vec<Outlook> {
    let at = |slot: usize| EPOCH_SECONDS + SLOT_SECONDS * slot as f64;
    let period = |(slot, pages): (usize, &f64)| WritePeriod {
        start: at_epoch_seconds(at(slot)),
        period_seconds: 1800,
        write_bytes: pages * PAGE_BYTES,
        write_ops: *pages,
    };
    let history: Vec<WritePeriod> = series.pages[..origin]
        .iter()
        .enumerate()
        .map(period)
        .collect();
    let paths = LoadPaths::of(&LoadModel::fit(&history), at(origin));
    let outlook = |slot: usize| {
        let [median, high] = paths.small_quantiles(at(slot), at(slot + 1), [0.5, 0.9]);
        Outlook {
            median: rounds.seconds(median),
            high: rounds.seconds(high),
        }
    };
    (origin..origin + DAY).map(outlook).collect()
}

/// The final round's seconds by the pages of a half-hour.
struct Rounds {
    log_scale: f64,
    exponent: f64,
    most_bytes: f64,
    bytes_per_second: f64,
}

impl Rounds {
    fn of(series: &HalfHours, factor: f64) -> Option<Self> {
        let pairs = series.pages.iter().zip(&series.distinct_bytes);
        let telling = pairs.filter(|(pages, bytes)| **pages > TELLING_PAGES && **bytes > 0.0);
        let points: Vec<(f64, f64)> = telling
            .map(|(pages, bytes)| ((pages * PAGE_BYTES).ln(), bytes.ln()))
            .collect();
        if points.len() < LEAST_TELLING || series.pages.len() < (HISTORY_DAYS + 1) * DAY {
            return None;
        }
        let count = points.len() as f64;
        let mean = |part: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(part).sum::<f64>() / count;
        let (x, y) = (mean(&|p| p.0), mean(&|p| p.1));
        let slope = mean(&|p| (p.0 - x) * (p.1 - y)) / mean(&|p| (p.0 - x).powi(2)).max(1e-12);
        let exponent = slope.clamp(EXPONENTS.0, EXPONENTS.1);
        let most = series.distinct_bytes.iter().copied().fold(0.0, f64::max);
        let mut rounds = Self {
            log_scale: y - exponent * x,
            exponent,
            most_bytes: 2.0 * most,
            bytes_per_second: 1.0,
        };
        let pages = series.pages.iter().sum::<f64>() / series.pages.len() as f64;
        rounds.bytes_per_second = factor * rounds.distinct(pages * PAGE_BYTES) / SLOT_SECONDS;
        Some(rounds)
    }

    fn distinct(&self, bytes: f64) -> f64 {
        let grown = (self.log_scale + self.exponent * bytes.max(1.0).ln()).exp();
        grown.min(self.most_bytes)
    }

    /// The fixed point of T = a + U(rate T) / r.
    fn seconds(&self, pages: f64) -> f64 {
        let rate = pages.max(1.0) * PAGE_BYTES / SLOT_SECONDS;
        let next = |seconds: f64, _| {
            OVERHEAD_SECONDS + self.distinct(rate * seconds) / self.bytes_per_second
        };
        (0..60).fold(600.0, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A week with quiet nights and a job nobody announced in one of them.
    fn week() -> HalfHours {
        let pages = |slot: usize| match (slot % DAY, slot) {
            (_, 244..250) => 400_000.0,
            (2..10, _) => 1000.0 + (slot % 7) as f64 * 20.0,
            _ => 20_000.0 + (slot % 5) as f64 * 1000.0,
        };
        let pages: Vec<f64> = (0..7 * DAY).map(pages).collect();
        let distinct_bytes = pages.iter().map(|p| 9000.0 * p.powf(0.8)).collect();
        HalfHours {
            pages,
            distinct_bytes,
        }
    }

    fn worst(choice: Choice) -> f64 {
        regrets(&week(), 1.5, choice)
            .into_iter()
            .fold(0.0, f64::max)
    }

    #[test]
    fn the_gate_waits_for_the_night_and_steps_aside_of_the_job() {
        assert!(worst(Choice::Gate) < 1.3, "{}", worst(Choice::Gate));
        assert!(worst(Choice::Now) > 5.0 && worst(Choice::HistoryMinimax) > 5.0);
    }

    #[test]
    fn no_choice_beats_the_best_slot_and_a_short_series_tells_nothing() {
        for choice in Choice::ALL {
            assert!(
                regrets(&week(), 3.0, choice)
                    .iter()
                    .all(|regret| *regret >= 1.0 - 1e-9)
            );
        }
        assert!(regrets(&HalfHours::default(), 3.0, Choice::Gate).is_empty());
    }
}
