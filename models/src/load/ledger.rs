//! Sums of a record over any span of time. It must not know what they are used for.

use crate::dirty::Written;

use super::past::whole;
use super::record::Entry;

/// What is known of a span of time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub(super) small: f64,
    pub(super) bulk_blocks: f64,
    /// Seconds of it that are known at all.
    pub(super) seconds: f64,
    /// Seconds of it in which no bulk writing hid the small one.
    pub(super) calm_seconds: f64,
}

impl Sums {
    fn plus(self, entry: &Entry) -> Self {
        Self {
            small: self.small + entry.written.small,
            bulk_blocks: self.bulk_blocks + entry.written.bulk_blocks,
            seconds: self.seconds + entry.seconds,
            calm_seconds: self.calm_seconds + entry.calm_seconds,
        }
    }

    fn between(self, other: Self, share: f64) -> Self {
        let mix = |a: f64, b: f64| a + (b - a) * share;
        Self {
            small: mix(self.small, other.small),
            bulk_blocks: mix(self.bulk_blocks, other.bulk_blocks),
            seconds: mix(self.seconds, other.seconds),
            calm_seconds: mix(self.calm_seconds, other.calm_seconds),
        }
    }
}

/// Running sums at every boundary of a record.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    at: Vec<f64>,
    sums: Vec<Sums>,
    /// Index of the first boundary after the start of each of as many equal spans as there are boundaries.
    places: Vec<usize>,
}

impl Ledger {
    /// From entries in order, without overlap.
    pub(super) fn of(entries: &[Entry]) -> Self {
        let mut ledger = Self::default();
        let mut sum = Sums::default();
        for entry in entries {
            if ledger.at.last().is_none_or(|end| entry.start > end + 1e-6) {
                ledger.push(entry.start, sum);
            }
            sum = sum.plus(entry);
            ledger.push(entry.end(), sum);
        }
        ledger.places = ledger.places();
        ledger
    }

    fn places(&self) -> Vec<usize> {
        let width = (self.end() - self.start()) / self.at.len().max(1) as f64;
        let mut after = 0;
        let mut place = |k: usize| {
            let start = self.start() + width * k as f64;
            while self.at.get(after).is_some_and(|at| *at <= start) {
                after += 1;
            }
            after
        };
        (0..self.at.len()).map(&mut place).collect()
    }

    fn push(&mut self, at: f64, sum: Sums) {
        self.at.push(at);
        self.sums.push(sum);
    }

    pub(super) fn start(&self) -> f64 {
        self.at.first().copied().unwrap_or(0.0)
    }

    pub(super) fn end(&self) -> f64 {
        self.at.last().copied().unwrap_or(0.0)
    }

    /// Seconds known in all.
    pub(super) fn seconds(&self) -> f64 {
        self.sums.last().map_or(0.0, |sum| sum.seconds)
    }

    pub(super) fn all(&self) -> Sums {
        self.sums.last().copied().unwrap_or_default()
    }

    pub(super) fn between(&self, from: f64, to: f64) -> Sums {
        let (a, b) = (self.until(from), self.until(to));
        Sums {
            small: (b.small - a.small).max(0.0),
            bulk_blocks: (b.bulk_blocks - a.bulk_blocks).max(0.0),
            seconds: (b.seconds - a.seconds).max(0.0),
            calm_seconds: (b.calm_seconds - a.calm_seconds).max(0.0),
        }
    }

    fn until(&self, at: f64) -> Sums {
        let after = self.after(at);
        match (after.checked_sub(1), self.at.get(after)) {
            (None, _) => Sums::default(),
            (Some(before), None) => self.sums[before],
            (Some(before), Some(next)) => {
                let share = (at - self.at[before]) / (next - self.at[before]);
                self.sums[before].between(self.sums[after], share)
            }
        }
    }

    /// Index of the first boundary after `at`: looked for from its span's on.
    fn after(&self, at: f64) -> usize {
        let share = (at - self.start()) / (self.end() - self.start());
        let span = whole(share * self.places.len() as f64);
        let Some(mut after) = self.places.get(span).copied() else {
            return self.at.partition_point(|boundary| *boundary <= at);
        };
        // Rounding may have named the span beside.
        while after > 0 && self.at[after - 1] > at {
            after -= 1;
        }
        while self.at.get(after).is_some_and(|boundary| *boundary <= at) {
            after += 1;
        }
        after
    }

    /// Boundaries with what was written between them, unknown spans as `None`.
    pub(super) fn spans(&self) -> impl Iterator<Item = (f64, f64, Option<Written>)> {
        self.at
            .windows(2)
            .zip(self.sums.windows(2))
            .map(|(at, sums)| {
                let written = Written {
                    small: sums[1].small - sums[0].small,
                    bulk_blocks: sums[1].bulk_blocks - sums[0].bulk_blocks,
                };
                let known = sums[1].seconds > sums[0].seconds;
                (at[0], at[1], known.then_some(written))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Minutes after five-minute periods, with a hole.
    fn ledger() -> Ledger {
        let entry = |(start, seconds): (f64, f64)| Entry {
            start,
            seconds,
            written: Written {
                small: start + 1.0,
                bulk_blocks: 0.0,
            },
            calm_seconds: seconds,
        };
        let coarse = (0..40).map(|k| (300.0 * f64::from(k), 300.0));
        let fine = (0..90).map(|k| (15_000.0 + 60.0 * f64::from(k), 60.0));
        Ledger::of(&coarse.chain(fine).map(entry).collect::<Vec<Entry>>())
    }

    #[test]
    fn the_place_is_that_of_a_search() {
        let ledger = ledger();
        for k in -30_i32..2200 {
            let at = f64::from(k) * 10.0 + f64::from(k.rem_euclid(7)) / 7.0 * 10.0;
            let searched = ledger.at.partition_point(|boundary| *boundary <= at);
            assert_eq!(ledger.after(at), searched, "{at}");
        }
        assert_eq!(Ledger::default().after(5.0), 0);
    }
}
