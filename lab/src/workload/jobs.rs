//! Jobs that nobody announced: loads, rebuilds, dumps. Each writes sequentially from a place nobody knows before.
//! It must not know the volume's versions.

use super::chance::{self, Draws};
use super::meter::Written;
use super::process::{Span, touch};
use super::rate::hashable;
use super::spec::JobSpec;

const DAY: i64 = 86_400;
const JOB_OP_BYTES: u64 = 256 * 1024;
/// A job ends within a day, so that two days' jobs are all that can run at an instant.
const LONGEST_SECONDS: f64 = 86_400.0;

/// All jobs of a process as a function of time.
#[derive(Debug, Clone)]
pub(super) struct Jobs {
    key: u64,
    spec: JobSpec,
    span: Span,
    near: (i64, Vec<Job>),
}

#[derive(Debug, Clone, Copy)]
struct Job {
    from: i64,
    seconds: i64,
    bytes: u64,
    place: u64,
}

impl Jobs {
    pub fn new(key: u64, spec: JobSpec, span: Span) -> Self {
        Self {
            key,
            spec,
            span,
            near: (i64::MIN, Vec::new()),
        }
    }

    /// What the jobs write in one second.
    pub fn second(&mut self, second: i64, out: &mut Vec<u32>) -> Written {
        let day = second.div_euclid(DAY);
        if self.near.0 != day {
            self.near = (day, self.near_day(day));
        }
        let mut written = Written::default();
        for job in &self.near.1 {
            let (start, end) = job.bytes_between(second, second + 1);
            touch(self.span, job.place + start, end - start, out);
            written += operations(end - start);
        }
        written
    }

    /// What the jobs wrote in a minute before the lab's start.
    pub fn history(&self, minute: i64) -> Written {
        let mut written = Written::default();
        for job in self.near_day((minute * 60).div_euclid(DAY)) {
            let (start, end) = job.bytes_between(minute * 60, minute * 60 + 60);
            written += operations(end - start);
        }
        written
    }

    /// The jobs that can run on a day: its own and the day's before.
    fn near_day(&self, day: i64) -> Vec<Job> {
        (day - 1..=day).flat_map(|day| self.begun_on(day)).collect()
    }

    fn begun_on(&self, day: i64) -> Vec<Job> {
        let mut draws = Draws::new(&[self.key, 31, hashable(day)]);
        let seconds_a_day = 86_400;
        (0..draws.poisson(self.spec.per_day))
            .map(|_| {
                let from = day * DAY + i64::try_from(draws.below(seconds_a_day)).unwrap_or(0);
                let drawn = |dist: crate::scenario::Dist, hash| {
                    chance::lognormal(dist.median, dist.sigma, hash)
                };
                let seconds = drawn(self.spec.seconds, draws.bits()).clamp(1.0, LONGEST_SECONDS);
                let bytes = chance::round(drawn(self.spec.gib, draws.bits()) * f64::from(1 << 30));
                let place = draws.below(self.span.blocks) * crate::content::BLOCK_BYTES;
                let seconds = i64::try_from(chance::round(seconds)).unwrap_or(1);
                Job {
                    from,
                    seconds,
                    bytes: bytes.min(self.span.bytes()),
                    place,
                }
            })
            .collect()
    }
}

impl Job {
    /// The job's byte range written between two instants.
    fn bytes_between(&self, from: i64, to: i64) -> (u64, u64) {
        let done = |at: i64| {
            let into = u128::try_from((at - self.from).clamp(0, self.seconds)).unwrap_or(0);
            let total = u128::try_from(self.seconds).unwrap_or(1);
            u64::try_from(u128::from(self.bytes) * into / total).unwrap_or(self.bytes)
        };
        (done(from), done(to))
    }
}

fn operations(bytes: u64) -> Written {
    Written {
        ops: bytes.div_ceil(JOB_OP_BYTES),
        bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Dist;

    #[test]
    fn jobs_write_what_they_are_said_to_write() {
        let spec = JobSpec {
            per_day: 4.0,
            gib: Dist {
                median: 1.0,
                sigma: 0.0,
            },
            seconds: Dist {
                median: 600.0,
                sigma: 0.5,
            },
        };
        let span = Span {
            start: 100,
            blocks: 20_000,
        };
        let mut jobs = Jobs::new(3, spec, span);
        let (mut bytes, mut blocks) = (0, Vec::new());
        (0..30 * DAY).for_each(|second| bytes += jobs.second(second, &mut blocks).bytes);
        let count = bytes as f64 / f64::from(1 << 30);
        assert!((90.0..150.0).contains(&count), "{count} jobs in 30 days");
        assert!(blocks.iter().all(|b| (100..20_100).contains(b)));
        let history: u64 = (0..30 * 1440).map(|m| jobs.history(m).bytes).sum();
        assert_eq!(history, bytes, "history and replay are the same jobs");
    }
}
