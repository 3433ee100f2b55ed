//! How far a sync is, how fast, and what holds it back.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Rates remembered, one per report: the spread of the remaining time comes from them.
const REMEMBERED: usize = 30;
/// Rates of which the mean is told.
const TOLD: usize = 5;

/// What holds the sync back at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The listing has not shown blocks enough.
    Listing,
    /// The service's quota per snapshot.
    SnapshotQuota,
    /// The service's quota per account.
    AccountQuota,
    /// The network or the service behind it.
    Network,
    /// The target's device, or the record beside it.
    Device,
    /// Computing checksums.
    Checksum,
}

/// One report.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Share of the volume that the listing has covered, 0 to 1.
    pub listed: f64,
    /// Blocks known to differ.
    pub changed_blocks: u64,
    /// Blocks of them that are durable.
    pub done_blocks: u64,
    /// Blocks received per second over the last few reports.
    pub blocks_per_second: f64,
    /// Remaining time in seconds at the slow and the fast end of the recent rates; unknown until the listing
    /// is complete, and when nothing came lately.
    pub remaining_seconds: Option<(f64, f64)>,
    /// What holds it back.
    pub bound: Bound,
}

/// Rates of the recent past.
#[derive(Debug)]
pub struct Rates {
    at: Instant,
    received: u64,
    recent: VecDeque<f64>,
}

impl Rates {
    /// Nothing received yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            at: now,
            received: 0,
            recent: VecDeque::new(),
        }
    }

    /// Whether a report is due.
    #[must_use]
    pub fn is_due(&self, now: Instant, every: Duration) -> bool {
        now.saturating_duration_since(self.at) >= every
    }

    /// Blocks per second since the last call, told as the mean of the last few: as often as progress is shown.
    pub fn measure(&mut self, now: Instant, received: u64) -> f64 {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        let rate = (received - self.received) as f64 / seconds.max(0.001);
        (self.at, self.received) = (now, received);
        self.recent.push_back(rate);
        if self.recent.len() > REMEMBERED {
            self.recent.pop_front();
        }
        let last = self.recent.iter().rev().take(TOLD);
        last.clone().sum::<f64>() / last.count().max(1) as f64
    }

    /// Seconds for `left` blocks at the slow and the fast end of the recent rates, the slow one first: their 10th and
    /// 90th percentile, pauses included. Unknown when nothing came lately.
    #[must_use]
    pub fn remaining(&self, left: u64) -> Option<(f64, f64)> {
        let mut rates: Vec<f64> = self.recent.iter().copied().collect();
        rates.sort_by(f64::total_cmp);
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        let slow = *rates.get(rates.len() / 10)?;
        let fast = *rates.get(rates.len() * 9 / 10)?;
        // A pause in every tenth second is no reason to expect nothing at all.
        let slow = if slow > 0.0 { slow.min(mean) } else { mean };
        (mean > 0.0).then(|| (left as f64 / slow, left as f64 / fast.max(mean)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_remaining_time_spreads_with_the_rates() {
        let start = Instant::now();
        let mut rates = Rates::new(start);
        assert_eq!(rates.remaining(10), None);
        rates.measure(start + Duration::from_secs(1), 100);
        assert_eq!(rates.remaining(1000), Some((10.0, 10.0)));
        rates.measure(start + Duration::from_secs(2), 300);
        let (slow, fast) = rates.remaining(1000).expect("two rates");
        assert!(slow > fast);
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_lengthen_the_remaining_time_until_nothing_is_known() {
        let start = Instant::now();
        let mut rates = Rates::new(start);
        let mut at = |second: u64, received: u64| {
            rates.measure(start + Duration::from_secs(second), received);
            rates.remaining(1000)
        };
        assert_eq!(at(1, 100), Some((10.0, 10.0)));
        for second in 2..=10 {
            at(second, 100);
        }
        let (slow, fast) = at(11, 100).expect("something came within half a minute");
        assert!(slow >= 100.0 && fast <= slow, "{fast} to {slow}");
        for second in 12..=40 {
            at(second, 100);
        }
        assert_eq!(at(41, 100), None);
    }
}
