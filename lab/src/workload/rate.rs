//! How many operations a process makes: a mean rate that follows the clock and varies. It must not know blocks.

use std::f64::consts::TAU;

use super::chance::{self, Draws};
use super::spec::{Noise, Rhythm};

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 86_400;
/// 1970-01-01 was a Thursday, so day 2 was the first Saturday.
const FIRST_SATURDAY: i64 = 2;

/// A rate in operations per second as a function of UTC seconds, the same whoever asks and in whatever order.
#[derive(Debug, Clone)]
pub(super) struct Rate {
    key: u64,
    ops_per_second: f64,
    rhythm: Rhythm,
    noise: Noise,
    current: (i64, f64),
}

impl Rate {
    pub fn new(key: u64, ops_per_second: f64, rhythm: Rhythm, noise: Noise) -> Self {
        Self {
            key,
            ops_per_second,
            rhythm,
            noise,
            current: (i64::MIN, 0.0),
        }
    }

    /// Mean operations per second in the minute `minute` (UTC seconds / 60).
    pub fn mean(&self, minute: i64) -> f64 {
        self.ops_per_second * self.rhythm_factor(minute) * self.noise_factor(minute)
    }

    /// Mean operations per second over all times, before rhythm and noise.
    pub fn middle(&self) -> f64 {
        self.ops_per_second
    }

    /// Operations in the second that begins at `second`.
    pub fn count(&mut self, second: i64, draws: &mut Draws) -> u64 {
        let minute = second.div_euclid(MINUTE);
        if self.current.0 != minute {
            self.current = (minute, self.mean(minute));
        }
        draws.poisson(self.current.1)
    }

    /// Operations in a whole minute for which no blocks are drawn.
    pub fn count_minute(&self, minute: i64) -> u64 {
        let mut draws = Draws::new(&[self.key, 3, hashable(minute)]);
        draws.poisson(self.mean(minute) * 60.0)
    }

    fn rhythm_factor(&self, minute: i64) -> f64 {
        let Rhythm {
            amplitude,
            quiet_hour,
            weekend_factor,
        } = self.rhythm;
        let second = minute * MINUTE;
        let hour = second.rem_euclid(DAY) as f64 / HOUR as f64;
        let weekend = (second.div_euclid(DAY) - FIRST_SATURDAY).rem_euclid(7) < 2;
        let daily = 1.0 - amplitude * (TAU * (hour - quiet_hour) / 24.0).cos();
        daily * if weekend { weekend_factor } else { 1.0 }
    }

    fn noise_factor(&self, minute: i64) -> f64 {
        let Noise {
            minute_sigma,
            hour_sigma,
        } = self.noise;
        let draw =
            |stream: u64, at: i64| chance::normal(chance::mix(&[self.key, stream, hashable(at)]));
        let (hour, into) = (minute.div_euclid(60), minute.rem_euclid(60) as f64 / 60.0);
        let drift = draw(2, hour) * (1.0 - into) + draw(2, hour + 1) * into;
        (minute_sigma * draw(1, minute) - minute_sigma * minute_sigma / 2.0 + hour_sigma * drift)
            .exp()
    }
}

/// A signed time as hash input.
pub(super) fn hashable(time: i64) -> u64 {
    u64::from_le_bytes(time.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(amplitude: f64, weekend_factor: f64, sigma: f64) -> Rate {
        let rhythm = Rhythm {
            amplitude,
            quiet_hour: 3.0,
            weekend_factor,
        };
        Rate::new(
            9,
            10.0,
            rhythm,
            Noise {
                minute_sigma: sigma,
                hour_sigma: 0.0,
            },
        )
    }

    #[test]
    fn the_quiet_hour_is_quiet_and_weekends_are_scaled() {
        let rate = rate(0.5, 0.25, 0.0);
        let monday = 4 * 1440; // 1970-01-05
        assert!((rate.mean(monday + 180) - 5.0).abs() < 1e-9);
        assert!((rate.mean(monday + 900) - 15.0).abs() < 1e-9);
        assert!(
            (rate.mean(monday - 1440 + 180) - 1.25).abs() < 1e-9,
            "Sunday"
        );
    }

    #[test]
    fn noise_keeps_the_mean_and_history_keeps_the_rate() {
        let rate = rate(0.0, 1.0, 0.5);
        let means = (0..5000).map(|m| rate.mean(m)).sum::<f64>() / 5000.0;
        let counted = (0..5000).map(|m| rate.count_minute(m) as f64).sum::<f64>() / 5000.0 / 60.0;
        assert!((means / 10.0 - 1.0).abs() < 0.03, "{means}");
        assert!((counted / means - 1.0).abs() < 0.01, "{counted}");
    }
}
