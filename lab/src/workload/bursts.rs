//! A database's checkpoints: pages are dirtied in memory all the time and written in file order within a share of
//! each period. It must not know the volume's versions.

use std::sync::OnceLock;

use super::chance::{self, Draws};
use super::meter::Written;
use super::rate::Rate;
use super::skew::SkewedSpan;
use crate::content::BLOCK_BYTES;

/// Loads, relative to the mean load of a period, at which distinct pages are counted for the time before the start.
const SAMPLED_LOADS: [f64; 6] = [0.0625, 0.25, 0.5, 1.0, 2.0, 4.0];

/// The figures of a checkpoint process.
#[derive(Debug, Clone, Copy)]
pub(super) struct BurstShape {
    pub key: u64,
    pub page_bytes: u64,
    pub period_seconds: i64,
    pub flush_share: f64,
}

/// The state of a checkpoint process.
#[derive(Debug, Clone)]
pub(super) struct Bursts {
    shape: BurstShape,
    rate: Rate,
    span: SkewedSpan,
    period: i64,
    dirty: Vec<u64>,
    flushing: Vec<u64>,
    flushed: usize,
    sampled: OnceLock<Vec<(f64, f64)>>,
}

impl Bursts {
    pub fn new(shape: BurstShape, rate: Rate, span: SkewedSpan) -> Self {
        let (dirty, flushing) = (Vec::new(), Vec::new());
        Self {
            shape,
            rate,
            span,
            period: i64::MIN,
            dirty,
            flushing,
            flushed: 0,
            sampled: OnceLock::new(),
        }
    }

    /// One second: dirties pages and writes the due share of the running checkpoint; blocks relative to the span.
    pub fn second(&mut self, second: i64, draws: &mut Draws, out: &mut impl FnMut(u64)) -> Written {
        let period = second.div_euclid(self.shape.period_seconds);
        if period != self.period {
            self.period = period;
            self.begin_checkpoint();
        }
        for _ in 0..self.rate.count(second, draws) {
            self.dirty.push(self.page(draws));
        }
        let into = (second.rem_euclid(self.shape.period_seconds) + 1) as f64;
        let share = into / (self.shape.period_seconds as f64 * self.shape.flush_share);
        let due = chance::floor(self.flushing.len() as f64 * share.min(1.0));
        self.flush_to(usize::try_from(due).unwrap_or(usize::MAX), out)
    }

    /// Writes every dirty page now, as a forced checkpoint or a clean stop does.
    pub fn drain(&mut self, out: &mut impl FnMut(u64)) -> Written {
        let rest = self.flush_to(usize::MAX, out);
        self.begin_checkpoint();
        let mut written = self.flush_to(usize::MAX, out);
        written += rest;
        written
    }

    /// What a minute before the lab's start wrote: as many pages as such a load was seen to dirty.
    pub fn history(&self, minute: i64) -> Written {
        let period = self.shape.period_seconds as f64;
        let flush_seconds = period * self.shape.flush_share;
        let (from, to) = (minute * 60, minute * 60 + 60);
        let (first, last) = (
            from.div_euclid(self.shape.period_seconds),
            (to - 1).div_euclid(self.shape.period_seconds),
        );
        let pages = (first..=last).map(|index| {
            let begins = (index * self.shape.period_seconds) as f64;
            let overlap = (to as f64).min(begins + flush_seconds) - (from as f64).max(begins);
            self.distinct_pages(self.load(index - 1)) * (overlap / flush_seconds).max(0.0)
        });
        let ops = chance::round(pages.sum());
        Written {
            ops,
            bytes: ops * self.shape.page_bytes,
        }
    }

    fn begin_checkpoint(&mut self) {
        let mut pages = self
            .flushing
            .split_off(self.flushed.min(self.flushing.len()));
        pages.append(&mut self.dirty);
        pages.sort_unstable();
        pages.dedup();
        self.flushing = pages;
        self.flushed = 0;
    }

    fn flush_to(&mut self, end: usize, out: &mut impl FnMut(u64)) -> Written {
        let end = end.min(self.flushing.len());
        let due = self.flushing.get(self.flushed..end).unwrap_or_default();
        due.iter()
            .for_each(|page| out(page / self.pages_per_block()));
        let ops = due.len() as u64;
        self.flushed = self.flushed.max(end);
        Written {
            ops,
            bytes: ops * self.shape.page_bytes,
        }
    }

    fn page(&self, draws: &mut Draws) -> u64 {
        self.span.pick(draws) * self.pages_per_block() + draws.below(self.pages_per_block())
    }

    fn pages_per_block(&self) -> u64 {
        (BLOCK_BYTES / self.shape.page_bytes).max(1)
    }

    /// Operations expected in a period.
    fn load(&self, period: i64) -> f64 {
        let seconds = self.shape.period_seconds;
        let minutes = (period * seconds).div_euclid(60)
            ..((period + 1) * seconds)
                .div_euclid(60)
                .max((period * seconds).div_euclid(60) + 1);
        let count = (minutes.end - minutes.start) as f64;
        minutes.map(|m| self.rate.mean(m)).sum::<f64>() / count * seconds as f64
    }

    /// Distinct pages of so many operations, between counted samples.
    fn distinct_pages(&self, ops: f64) -> f64 {
        let samples = self.sampled.get_or_init(|| self.sample());
        let next = samples.iter().position(|(load, _)| *load >= ops);
        match next {
            None => samples.last().map_or(0.0, |(_, pages)| *pages),
            Some(0) => samples[0].1 * ops / samples[0].0.max(1.0),
            Some(i) => {
                let ((x0, y0), (x1, y1)) = (samples[i - 1], samples[i]);
                y0 + (y1 - y0) * (ops - x0) / (x1 - x0).max(1.0)
            }
        }
    }

    fn sample(&self) -> Vec<(f64, f64)> {
        let mean = self.rate.middle() * self.shape.period_seconds as f64;
        let mut draws = Draws::new(&[self.shape.key, 21]);
        let mut pages = Vec::new();
        let count = |load: &f64| {
            let ops = usize::try_from(chance::round(load * mean)).unwrap_or(0);
            while pages.len() < ops {
                pages.push(self.page(&mut draws));
            }
            let mut distinct = pages.clone();
            distinct.sort_unstable();
            distinct.dedup();
            (ops as f64, distinct.len() as f64)
        };
        SAMPLED_LOADS.iter().map(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec::{Noise, Rhythm};
    use super::*;

    fn bursts() -> Bursts {
        let rhythm = Rhythm {
            amplitude: 0.0,
            quiet_hour: 0.0,
            weekend_factor: 1.0,
        };
        let rate = Rate::new(
            4,
            40.0,
            rhythm,
            Noise {
                minute_sigma: 0.0,
                hour_sigma: 0.0,
            },
        );
        let shape = BurstShape {
            key: 4,
            page_bytes: 8192,
            period_seconds: 120,
            flush_share: 0.5,
        };
        Bursts::new(shape, rate, SkewedSpan::new(500, 0.8, 4))
    }

    #[test]
    fn a_checkpoint_writes_in_order_within_its_share_of_the_period() {
        let (mut bursts, mut blocks) = (bursts(), Vec::new());
        for second in 0..120 {
            let written = bursts.second(
                second,
                &mut Draws::new(&[super::super::rate::hashable(second)]),
                &mut |b| blocks.push(b),
            );
            assert_eq!(
                written,
                Written::default(),
                "nothing is written before the first checkpoint"
            );
        }
        for second in 120..240 {
            let written = bursts.second(
                second,
                &mut Draws::new(&[super::super::rate::hashable(second)]),
                &mut |b| blocks.push(b),
            );
            assert_eq!(written.ops == 0, second >= 180, "second {second}");
        }
        assert!(
            blocks.is_sorted() && blocks.len() > 2000,
            "{}",
            blocks.len()
        );
        let drained = bursts.drain(&mut |b| blocks.push(b));
        assert!(drained.ops > 2000);
        assert_eq!(bursts.drain(&mut |_| ()), Written::default());
    }

    #[test]
    fn history_is_like_what_is_recorded() {
        let (mut bursts, mut recorded) = (bursts(), 0);
        for second in 0..12_000 {
            recorded += bursts
                .second(
                    second,
                    &mut Draws::new(&[super::super::rate::hashable(second)]),
                    &mut |_| (),
                )
                .ops;
        }
        let history: u64 = (0..200).map(|m| bursts.history(m).ops).sum();
        assert!(
            (history as f64 / recorded as f64 - 1.0).abs() < 0.05,
            "{history} for {recorded}"
        );
    }
}
