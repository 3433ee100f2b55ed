//! How many blocks to have under way: as many as still make it faster, found by trying.
//!
//! Latency times rate would be simpler, but a service whose fastest answer is far below its usual one would
//! be asked too little. It knows only completions and time.

use std::time::Duration;

use tokio::time::Instant;

/// Blocks under way until the first answer says how far away the service is.
const START: usize = 32;
/// Fewest: what is held back by a quota, too, goes on while one answer is late.
const LEAST: usize = 16;
/// Most: they reach the quota of 1,000 per second with 190 ms a read; each is a connection.
const MOST: usize = 192;
/// However fast the service: a second's worth of reads at four times the quota's rate, spread over the fastest
/// answer. More only wait in line, in memory.
const FAST_ENOUGH: usize = 16;
const PER_SECOND: f64 = 4000.0;
/// Gain for which twice as many are kept.
const GAIN: f64 = 1.05;
/// Loss that is no loss.
const SAME: f64 = 0.99;
/// Shortest window that tells a rate.
const WINDOW: Duration = Duration::from_millis(150);
/// Windows between two trials.
const REST: u32 = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    Growing,
    Resting(u32),
    More,
    Fewer,
}

/// The search for the best number.
#[derive(Debug)]
pub struct Flow {
    limit: usize,
    has_answered: bool,
    useful: usize,
    kept: usize,
    rate: f64,
    trial: Trial,
    trials: u32,
    since: Instant,
    completed: u32,
}

impl Flow {
    /// Begins to search.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            limit: START,
            has_answered: false,
            useful: MOST,
            kept: START,
            rate: 0.0,
            trial: Trial::Growing,
            trials: 0,
            since: now,
            completed: 0,
        }
    }

    /// Blocks that may be under way.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.min(self.useful)
    }

    /// Reads take `fastest` at least. The first answer says at once how many a far service needs.
    pub fn answers_in(&mut self, fastest: Duration) {
        let spread = (fastest.as_secs_f64() * PER_SECOND).min(MOST as f64);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and MOST"
        )]
        let spread = spread as usize;
        self.useful = spread.max(FAST_ENOUGH);
        if !std::mem::replace(&mut self.has_answered, true) {
            (self.limit, self.kept) = (self.useful, self.useful);
        }
    }

    /// One arrived; reads take `usual` at present.
    pub fn completed(&mut self, now: Instant, usual: Duration) {
        self.completed += 1;
        let window = now.saturating_duration_since(self.since);
        if window < WINDOW.max(usual * 2) {
            return;
        }
        let rate = f64::from(self.completed) / window.as_secs_f64();
        (self.completed, self.since) = (0, now);
        self.judge(rate);
    }

    fn judge(&mut self, rate: f64) {
        self.trial = match self.trial {
            Trial::Growing if rate > self.rate * GAIN && self.limit < MOST => {
                self.keep(rate);
                self.limit = (self.limit * 2).min(MOST);
                Trial::Growing
            }
            Trial::More if rate > self.rate * GAIN => {
                self.keep(rate);
                self.limit = (self.limit * 2).min(MOST);
                Trial::Growing
            }
            Trial::Fewer if rate >= self.rate * SAME => {
                self.keep(rate);
                Trial::Resting(REST / 4)
            }
            Trial::Growing | Trial::More | Trial::Fewer => {
                self.limit = self.kept;
                Trial::Resting(REST)
            }
            Trial::Resting(0) => {
                self.rate = rate;
                self.try_another()
            }
            Trial::Resting(left) => {
                self.rate = if self.rate == 0.0 {
                    rate
                } else {
                    0.7 * self.rate + 0.3 * rate
                };
                Trial::Resting(left - 1)
            }
        };
    }

    fn keep(&mut self, rate: f64) {
        (self.kept, self.rate) = (self.limit, rate);
    }

    fn try_another(&mut self) -> Trial {
        self.trials += 1;
        if self.trials.is_multiple_of(2) && self.limit < MOST {
            self.limit = (self.limit * 3 / 2).min(MOST);
            Trial::More
        } else {
            self.limit = (self.limit * 2 / 3).max(LEAST);
            Trial::Fewer
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a service that answers after `latency` and serves at most `capacity` a second.
    fn settled(latency: f64, capacity: f64) -> usize {
        let start = Instant::now();
        let mut flow = Flow::new(start);
        let mut at = 0.0;
        while at < 60.0 {
            let rate = (flow.limit() as f64 / latency).min(capacity);
            at += 1.0 / rate;
            flow.answers_in(Duration::from_secs_f64(latency));
            flow.completed(
                start + Duration::from_secs_f64(at),
                Duration::from_secs_f64(latency),
            );
        }
        flow.limit()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_answer_tells_a_far_service_from_a_near_one() {
        for (latency, expected) in [(1, FAST_ENOUGH), (10, 40), (20, 80), (40, 160), (100, MOST)] {
            let mut flow = Flow::new(Instant::now());
            assert_eq!(flow.limit(), START);
            flow.answers_in(Duration::from_millis(latency));
            assert_eq!(flow.limit(), expected, "{latency} ms");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_finds_what_a_far_service_needs_and_what_a_near_one_does_not() {
        let far = settled(0.1, 1000.0);
        assert!((64..=MOST).contains(&far), "{far}");
        let near = settled(0.001, 1000.0);
        assert!(near <= START, "{near}");
    }
}
