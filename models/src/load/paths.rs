//! What a volume will write, as sample paths prepared for many questions about windows.
//!
//! A path tells what followed a past moment again, in proportion to what was forecast then and
//! is forecast now: bursts, pauses and unannounced jobs keep their order and their length. The
//! near future comes from moments like the present, the days after from the same time of other
//! days. Bulk writing is told again as it was. What a short history cannot know widens the paths.
//! It must not know blocks, deltas or services.

use crate::dirty::Written;
use crate::draws::{Draw, VolumeDraw, student4_quantile};

use super::LoadModel;
use super::clock::LoadClock;
use super::experts::Panel;
use super::origins::{alike, same_time};
use super::past::{Past, whole};

const HOUR: f64 = 3600.0;
const DAY: f64 = 86_400.0;
/// Number of paths: a power of two.
const PATHS: usize = 256;
const PATH_BITS: u32 = 8;
/// Steps ahead: (until, step), in seconds.
const STEPS: [(f64, f64); 3] = [
    (1800.0, 60.0),
    (4.0 * HOUR, 300.0),
    (8.0 * DAY + 4.0 * HOUR, HOUR),
];
/// From here on days are told again as days, when there are days.
const FAR_SECONDS: f64 = 4.0 * HOUR;
/// Log scale of what a history cannot know as far ahead as it is long (Student t), and its limit.
const UNKNOWN_SPREAD: f64 = 0.3;
const MOST_UNKNOWN: f64 = 1.0;

/// A load as seen from one moment.
#[derive(Clone, Debug)]
pub struct LoadPaths {
    clock: LoadClock,
    /// Boundaries of the known past with what was written until each.
    known: Vec<(f64, Written)>,
    /// Where the paths begin, and their step boundaries as seconds from there.
    start: f64,
    steps: Vec<f64>,
    /// What each path has written until each boundary.
    paths: Vec<Vec<Written>>,
}

impl LoadPaths {
    /// Prepares the paths of `model` as seen at `issued_at`, seconds since 1970.
    #[must_use]
    pub fn of(model: &LoadModel, issued_at: f64) -> Self {
        let past = Past::of(&model.record, issued_at);
        let clock = LoadClock::of(model);
        let blind = past.ledger.seconds() <= 0.0;
        let start = if blind { issued_at } else { past.ledger.end() };
        let steps = steps();
        let paths = if blind {
            blind_paths(model, &clock, start, &steps)
        } else {
            told_again(&past, &steps)
        };
        Self {
            known: known(&past, &clock),
            clock,
            start,
            steps,
            paths,
        }
    }

    /// The median of what is written between two points in time, stream by stream; zero when
    /// they are not in order.
    #[must_use]
    pub fn expected(&self, from: f64, to: f64) -> Written {
        let all = || self.paths.iter().map(|path| self.on(path, from, to));
        Written {
            small: median(all().map(|written| written.small).collect()),
            bulk_blocks: median(all().map(|written| written.bulk_blocks).collect()),
        }
    }

    /// Written between two points in time on one draw; zero when they are not in order.
    #[must_use]
    pub fn drawn(&self, from: f64, to: f64, draw: &Draw, _own: &VolumeDraw) -> Written {
        let index = whole(draw.path * self.paths.len() as f64).min(self.paths.len() - 1);
        self.on(&self.paths[index], from, to)
    }

    fn on(&self, path: &[Written], from: f64, to: f64) -> Written {
        if from.is_nan() || to.is_nan() || to <= from {
            return Written::default();
        }
        let (a, b) = (self.until(path, from), self.until(path, to));
        Written {
            small: (b.small - a.small).max(0.0),
            bulk_blocks: (b.bulk_blocks - a.bulk_blocks).max(0.0),
        }
    }

    /// Written from the start of the paths; negative before it.
    fn until(&self, path: &[Written], at: f64) -> Written {
        if at <= self.start {
            return self.before(at).scaled(-1.0);
        }
        let ahead = at - self.start;
        let after = self.steps.partition_point(|step| *step <= ahead);
        let Some(next) = self.steps.get(after) else {
            let end = self.start + self.steps[after - 1];
            return path[after - 1].plus(self.clock.written(end, at));
        };
        let before = self.steps[after - 1];
        let share = (ahead - before) / (next - before);
        path[after - 1]
            .scaled(1.0 - share)
            .plus(path[after].scaled(share))
    }

    /// Written from `at` until the start of the paths.
    fn before(&self, at: f64) -> Written {
        let after = self.known.partition_point(|(boundary, _)| *boundary <= at);
        let Some((end, all)) = self.known.last() else {
            return self.clock.written(at, self.start);
        };
        let Some((next, sum)) = self.known.get(after) else {
            return self.clock.written(at.max(*end), self.start);
        };
        let Some((last, before)) = after.checked_sub(1).map(|k| self.known[k]) else {
            return all.plus(self.clock.written(at, *next));
        };
        let share = (at - last) / (next - last);
        let here = before.scaled(1.0 - share).plus(sum.scaled(share));
        all.plus(here.scaled(-1.0))
    }
}

/// Sums over the known past; what is unknown in it is filled with the rhythm.
fn known(past: &Past, clock: &LoadClock) -> Vec<(f64, Written)> {
    if past.ledger.seconds() <= 0.0 {
        return Vec::new();
    }
    let mut sum = Written::default();
    let mut known = vec![(past.ledger.start(), sum)];
    for (from, to, written) in past.ledger.spans() {
        sum = sum.plus(written.unwrap_or_else(|| clock.written(from, to)));
        known.push((to, sum));
    }
    known
}

fn steps() -> Vec<f64> {
    let mut steps = vec![0.0];
    let mut at = 0.0;
    for (until, step) in STEPS {
        while at < until {
            at += step;
            steps.push(at);
        }
    }
    steps
}

/// Without any history: the assumed rhythm at an uncertain level.
fn blind_paths(
    model: &LoadModel,
    clock: &LoadClock,
    start: f64,
    steps: &[f64],
) -> Vec<Vec<Written>> {
    let spread = model.level_spread.hypot(model.burst_spread);
    let one = |path: usize| {
        let factor = (spread * scattered(path)).exp();
        let until = |step: &f64| clock.written(start, start + step).scaled(factor);
        steps.iter().map(until).collect()
    };
    (0..PATHS).map(one).collect()
}

/// One path per past moment, the heavier moments more often; in order of time, so that the same
/// draw tells the same hours of every volume of a group.
fn told_again(past: &Past, steps: &[f64]) -> Vec<Vec<Written>> {
    let moments = alike(past);
    let teller = Teller::of(past, &moments, steps);
    let near = teller.near_steps();
    let stories: Vec<Vec<Told>> = moments
        .iter()
        .map(|(at, _)| teller.story(*at, 0..steps.len() - 1))
        .collect();
    let days: Vec<Vec<Told>> = same_time(past)
        .iter()
        .map(|at| teller.story(*at, near..steps.len() - 1))
        .collect();
    let chosen = resampled(&moments);
    let one = |path: usize| {
        let first = stories.get(chosen.get(path).copied().unwrap_or(0));
        let day = days.get(scramble(path) % days.len().max(1));
        let told = |step: usize| match day {
            Some(day) if step >= near => day[step - near],
            _ => first.map_or(Told::default(), |story| story[step]),
        };
        teller.path(told, scattered(path))
    };
    (0..PATHS).map(one).collect()
}

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
    /// ln(rate + floor) forecast now, per step.
    now: Vec<f64>,
}

impl<'a> Teller<'a> {
    fn of(past: &'a Past, moments: &[(f64, f64)], steps: &'a [f64]) -> Self {
        let panel = Panel::of(past, moments);
        let end = past.ledger.end();
        let asked = panel.asked(past, end);
        let now = steps
            .windows(2)
            .map(|ab| panel.log_rate(past, &asked, ab[0], ab[1]))
            .collect();
        Self {
            past,
            panel,
            steps,
            now,
        }
    }

    fn near_steps(&self) -> usize {
        self.steps.partition_point(|step| *step < FAR_SECONDS)
    }

    /// What followed `moment`, told on from earlier moments where the past ends.
    fn story(&self, moment: f64, range: std::ops::Range<usize>) -> Vec<Told> {
        let mut from = moment;
        let mut asked = self.panel.asked(self.past, from);
        let mut story = Vec::with_capacity(range.len());
        for step in range {
            let (a, b) = (self.steps[step], self.steps[step + 1]);
            let fitting = self.fitting(from, b);
            if fitting < from || fitting > from {
                from = fitting;
                asked = self.panel.asked(self.past, from);
            }
            story.push(self.told(from, a, b, &asked));
        }
        story
    }

    /// The latest moment a whole number of jumps before `from` that `ahead` still fits after.
    fn fitting(&self, from: f64, ahead: f64) -> f64 {
        let (start, end) = (self.past.ledger.start(), self.past.ledger.end());
        let over = from + ahead - end;
        if over <= 0.0 {
            return from;
        }
        let span = end - start;
        let jump = if span >= 2.0 * DAY { DAY } else { 0.38 * span };
        let back = from - jump * (over / jump).ceil();
        if back >= start {
            back
        } else {
            (end - ahead).max(start)
        }
    }

    fn told(&self, from: f64, a: f64, b: f64, asked: &super::experts::Asked) -> Told {
        let ledger = &self.past.ledger;
        let (mut a0, mut b0) = (from + a, from + b);
        if b0 > ledger.end() {
            // Further ahead than the past is long: any part of it.
            let span = (ledger.end() - ledger.start() - (b - a)).max(1.0);
            a0 = ledger.start() + a.rem_euclid(span);
            b0 = a0 + (b - a);
        }
        let sums = ledger.between(a0, b0);
        if sums.seconds < 0.3 * (b - a).min(ledger.seconds()) {
            return Told {
                log_ratio: 0.0,
                bulk_rate: self.past.bulk_rate,
            };
        }
        let actual = sums.small / sums.seconds + self.past.floor;
        let forecast = self.panel.log_rate(self.past, asked, a, b);
        Told {
            log_ratio: actual.ln() - forecast,
            bulk_rate: sums.bulk_blocks / sums.seconds,
        }
    }

    fn path(&self, told: impl Fn(usize) -> Told, scatter: f64) -> Vec<Written> {
        let mut sum = Written::default();
        let mut path = vec![sum];
        let known = self.past.ledger.seconds().max(60.0);
        for (step, now) in self.now.iter().enumerate() {
            let (a, b) = (self.steps[step], self.steps[step + 1]);
            let told = told(step);
            let unknown = (UNKNOWN_SPREAD * (b / known).sqrt()).min(MOST_UNKNOWN) * scatter;
            let rate = (now + told.log_ratio + unknown).clamp(-700.0, 600.0).exp();
            sum = sum.plus(Written {
                small: (rate - self.past.floor).max(0.0) * (b - a),
                bulk_blocks: told.bulk_rate * unknown.exp() * (b - a),
            });
            path.push(sum);
        }
        path
    }
}

/// The moment of each path (systematic resampling).
fn resampled(moments: &[(f64, f64)]) -> Vec<usize> {
    let mut chosen = Vec::with_capacity(PATHS);
    let (mut index, mut until) = (0, moments.first().map_or(1.0, |moment| moment.1));
    for path in 0..PATHS {
        let level = (path as f64 + 0.5) / PATHS as f64;
        while until < level && index + 1 < moments.len() {
            index += 1;
            until += moments[index].1;
        }
        chosen.push(index);
    }
    chosen
}

/// The paths' numbers in another order (bits reversed), so that neighbours differ.
fn scramble(path: usize) -> usize {
    path.reverse_bits() >> (usize::BITS - PATH_BITS)
}

/// A variate per path, Student t with 4 degrees of freedom, evenly spread over the paths.
fn scattered(path: usize) -> f64 {
    student4_quantile((scramble(path) as f64 + 0.5) / PATHS as f64).clamp(-4.0, 4.0)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
