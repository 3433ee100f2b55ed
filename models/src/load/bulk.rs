//! Bulk jobs: how many there were, and whether one is running. It must not know small writes.

use super::ledger::Ledger;

/// A pause from which on it is another job.
const PAUSE_SECONDS: f64 = 240.0;
/// What a running job wrote lately.
const LATELY_SECONDS: f64 = 300.0;
/// A job that writes less than this share of its mean lately has ended.
const RUNNING_SHARE: f64 = 0.1;

/// The bulk jobs of a past.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Jobs {
    /// How many there were; one that outweighs all others counts as one (the inverse of Simpson's
    /// index, Nature 163, 1949).
    pub(super) count: f64,
    /// The one that is running.
    pub(super) running: Option<Running>,
    /// How many, each counting as one.
    number: f64,
    /// Time until the last one ended, and since then, in seconds.
    active: f64,
    silent: f64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    /// Seconds since it began.
    pub(super) age: f64,
    /// Blocks per second lately.
    pub(super) rate: f64,
}

impl Jobs {
    /// Share of worlds in which the running job ends by its own age, not as those before it.
    pub(super) fn runs_by_age(&self) -> f64 {
        1.0 / (1.0 + 0.5 * self.count)
    }

    /// Chance that no more follow: the rule of succession, and the longer it has been silent
    /// against the time between jobs, the likelier (Bayes with exponential pauses).
    pub(super) fn over(&self) -> f64 {
        let prior = 1.0 / (2.0 + self.number);
        let silence = (self.active / (self.active + self.silent)).powf(self.number);
        prior / (prior + (1.0 - prior) * silence)
    }
}

struct Job {
    start: f64,
    end: f64,
    blocks: f64,
}

impl Jobs {
    pub(super) fn of(ledger: &Ledger) -> Self {
        let mut jobs: Vec<Job> = Vec::new();
        for (from, to, written) in ledger.spans() {
            let blocks = written.map_or(0.0, |written| written.bulk_blocks);
            if blocks <= 0.0 {
                continue;
            }
            match jobs.last_mut().filter(|job| from - job.end < PAUSE_SECONDS) {
                Some(job) => (job.end, job.blocks) = (to, job.blocks + blocks),
                None => jobs.push(Job {
                    start: from,
                    end: to,
                    blocks,
                }),
            }
        }
        let (sum, squares) = jobs.iter().fold((0.0, 0.0), |s, job| {
            (s.0 + job.blocks, s.1 + job.blocks * job.blocks)
        });
        let count = if squares > 0.0 {
            sum * sum / squares
        } else {
            0.0
        };
        let last = jobs.last().map_or(ledger.start(), |job| job.end);
        Self {
            count,
            number: jobs.len() as f64,
            active: (last - ledger.start()).max(PAUSE_SECONDS),
            silent: ledger.end() - last,
            running: jobs.last().and_then(|job| running(ledger, job)),
        }
    }
}

fn running(ledger: &Ledger, job: &Job) -> Option<Running> {
    let end = ledger.end();
    let age = end - job.start;
    let lately = LATELY_SECONDS.min(age);
    let rate = ledger.between(end - lately, end).bulk_blocks / lately.max(1.0);
    let mean = job.blocks / (job.end - job.start).max(1.0);
    (end - job.end < PAUSE_SECONDS && rate > RUNNING_SHARE * mean).then_some(Running { age, rate })
}
