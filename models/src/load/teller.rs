//! Tells the past again as sample paths of the future.
//!
//! A path tells what followed a past moment again, in proportion to what was forecast then and
//! is forecast now: bursts, pauses and jobs keep their order and their length. The near future
//! comes from moments like the present, the days after from the same time of other days. Bulk
//! writing is told as it was, and a job that runs goes on by its age. What a short history cannot
//! know widens the paths. It must not know windows or draws.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::dirty::Written;

use super::luck::{Luck, PATHS, luck, scattered, scramble};
use super::origins::{likeness, moments, same_time};
use super::panel::{Asked, Panel};
use super::past::Past;
use super::surprise::Surprise;

const DAY: f64 = 86_400.0;
/// From here on days are told again as days, when there are days.
const FAR_SECONDS: f64 = 4.0 * 3600.0;
/// Without days a story goes on at a place this share of the past earlier.
const JUMP_SHARE: f64 = 0.38;
/// Log scale of what a history cannot know as far ahead as it is long (Student t), and its limit.
const UNKNOWN_SPREAD: f64 = 0.3;
const MOST_UNKNOWN: f64 = 1.0;
/// Rates stay within this, in ln.
const LOG_RATE_LIMIT: f64 = 600.0;

/// What one step of a story said.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    /// ln(actual / forecast) of the small writes.
    log_ratio: f64,
    /// Bulk blocks per second.
    bulk_rate: f64,
}

struct Teller<'a> {
    past: &'a Past,
    panel: Panel,
    steps: &'a [f64],
    /// ln(rate + floor) forecast now, per favourite (the last: none) and step.
    now: Vec<Vec<f64>>,
}

/// Written until each of `steps` (seconds from the end of the past) on each path. The paths are in
/// order of the moments they tell, so that one draw tells the same hours of every volume.
pub(super) fn tell(past: &Past, steps: &[f64]) -> Vec<Vec<Written>> {
    let moments = moments(past);
    let chosen = resampled(&likeness(past, &moments));
    let teller = Teller::of(past, &moments, steps);
    let days: Vec<Vec<Told>> = same_time(past)
        .iter()
        .map(|at| teller.story(*at, teller.near()..teller.count(), None))
        .collect();
    // Paths that tell the same moment to the same favourite tell the same.
    let mut told_before: BTreeMap<(usize, Option<usize>), Vec<Told>> = BTreeMap::new();
    let mut one = |path: usize| {
        let moment = chosen
            .get(path)
            .copied()
            .filter(|index| *index < moments.len());
        let near = if days.is_empty() {
            teller.count()
        } else {
            teller.near()
        };
        let favourite = teller.favourite(path);
        let mut story = match moment {
            Some(index) => {
                let story = || teller.story(moments[index], 0..near, favourite);
                told_before
                    .entry((index, favourite))
                    .or_insert_with(story)
                    .clone()
            }
            None => vec![Told::default(); near],
        };
        if let Some(day) = days.get(scramble(path) % days.len().max(1)) {
            story.extend(day);
        }
        teller.path(path, favourite, &story)
    };
    (0..PATHS).map(&mut one).collect()
}

impl<'a> Teller<'a> {
    fn of(past: &'a Past, moments: &[f64], steps: &'a [f64]) -> Self {
        let panel = Panel::of(past, moments);
        let forecast = |favourite: Option<usize>| -> Vec<f64> {
            let asked = panel.asked(past, past.ledger.end(), favourite);
            let spans = steps.windows(2);
            spans
                .map(|ab| panel.log_rate(past, &asked, ab[0], ab[1]))
                .collect()
        };
        let favourites = (0..panel.experts()).map(Some).chain([None]);
        let now = favourites.map(forecast).collect();
        Self {
            past,
            panel,
            steps,
            now,
        }
    }

    fn count(&self) -> usize {
        self.steps.len().saturating_sub(1)
    }

    fn near(&self) -> usize {
        self.steps.partition_point(|step| *step < FAR_SECONDS)
    }

    /// Every expert is the favourite of some paths, and some have none.
    fn favourite(&self, path: usize) -> Option<usize> {
        let turn = scramble(path) % self.now.len();
        (turn + 1 < self.now.len()).then_some(turn)
    }

    /// What followed `moment`, told on from earlier moments where the past ends.
    fn story(&self, moment: f64, steps: Range<usize>, favourite: Option<usize>) -> Vec<Told> {
        let mut from = moment;
        let mut asked = self.panel.asked(self.past, from, favourite);
        let mut story = Vec::with_capacity(self.count());
        for step in steps {
            let (a, b) = (self.steps[step], self.steps[step + 1]);
            let fitting = self.fitting(from, b);
            if fitting < from {
                from = fitting;
                asked = self.panel.asked(self.past, from, favourite);
            }
            story.push(self.told(from, a, b, &asked));
        }
        story
    }

    /// The latest moment some jumps before `from` after which `ahead` still fits into the past.
    fn fitting(&self, from: f64, ahead: f64) -> f64 {
        let (start, end) = (self.past.ledger.start(), self.past.ledger.end());
        let over = from + ahead - end;
        if over <= 0.0 {
            return from;
        }
        let jump = if self.past.has_days() {
            DAY
        } else {
            JUMP_SHARE * (end - start)
        };
        let back = from - jump * (over / jump).ceil();
        if back >= start {
            return back;
        }
        (end - ahead).clamp(start, from)
    }

    fn told(&self, from: f64, a: f64, b: f64, asked: &Asked) -> Told {
        let ledger = &self.past.ledger;
        let (mut start, wide) = (from + a, b - a);
        if start + wide > ledger.end() {
            // Further ahead than the past is long: any part of it.
            let span = (ledger.end() - ledger.start() - wide).max(1.0);
            start = ledger.start() + a.rem_euclid(span);
        }
        let Some(sums) = self.past.known(start, start + wide) else {
            return Told {
                log_ratio: 0.0,
                bulk_rate: self.past.bulk_rate,
            };
        };
        let actual = sums.small / sums.seconds + self.past.floor;
        Told {
            log_ratio: actual.ln() - self.panel.log_rate(self.past, asked, a, b),
            bulk_rate: sums.bulk_blocks / sums.seconds,
        }
    }

    fn path(&self, path: usize, favourite: Option<usize>, story: &[Told]) -> Vec<Written> {
        let now = &self.now[favourite.unwrap_or(self.now.len() - 1)];
        let bulk = BulkLine::of(path, self.past);
        let surprise = Surprise::of(path, self.past);
        let scatter = scattered(path);
        let mut sum = Written::default();
        let mut written = vec![sum];
        for (step, (now, told)) in now.iter().zip(story).enumerate() {
            let (a, b) = (self.steps[step], self.steps[step + 1]);
            let unknown = self.unknown((a + b) / 2.0) * scatter;
            let log_rate = (now + told.log_ratio + unknown).clamp(-LOG_RATE_LIMIT, LOG_RATE_LIMIT);
            let small = (log_rate.exp() - self.past.floor).max(0.0);
            let bulk = bulk.rate(a, told.bulk_rate) * unknown.exp();
            let new = surprise.within(a, b);
            sum = sum.plus(Written {
                small: small * (b - a) + surprise.small * new,
                bulk_blocks: bulk * (b - a) + surprise.bulk * new,
            });
            written.push(sum);
        }
        written
    }

    /// Log scale of what cannot be known so far ahead.
    fn unknown(&self, ahead: f64) -> f64 {
        let known = self.past.ledger.seconds().max(60.0);
        let reach = UNKNOWN_SPREAD * (ahead / known).sqrt();
        reach.hypot(self.panel.drift(ahead)).min(MOST_UNKNOWN)
    }
}

/// What becomes of the bulk jobs on one path.
struct BulkLine {
    /// The running job goes on until here, at this rate.
    runs_until: Option<(f64, f64)>,
    /// No other follows.
    over: bool,
}

impl BulkLine {
    fn of(path: usize, past: &Past) -> Self {
        let jobs = &past.jobs;
        let goes_on = jobs
            .running
            .filter(|_| luck(path, Luck::Jobs) < jobs.runs_by_age());
        Self {
            over: 1.0 - luck(path, Luck::Jobs) < jobs.over(),
            // Half of them as long again as they ran already: nothing else is known of a new one.
            runs_until: goes_on.map(|job| {
                let odds = 1.0 / luck(path, Luck::JobLength) - 1.0;
                (job.age * odds, job.rate)
            }),
        }
    }

    fn rate(&self, at: f64, told: f64) -> f64 {
        match self.runs_until {
            Some((end, rate)) if at < end => rate,
            _ if self.over => 0.0,
            _ => told,
        }
    }
}

/// The moment of each path (systematic resampling).
fn resampled(weights: &[f64]) -> Vec<usize> {
    let mut chosen = Vec::with_capacity(PATHS);
    let (mut index, mut until) = (0, weights.first().copied().unwrap_or(1.0));
    for path in 0..PATHS {
        let level = (path as f64 + 0.5) / PATHS as f64;
        while until < level && index + 1 < weights.len() {
            index += 1;
            until += weights[index];
        }
        chosen.push(index);
    }
    chosen
}
