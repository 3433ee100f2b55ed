//! Statistics over a volume's minutes: from one-minute sums to the data points of one query.
//!
//! Rules: CloudWatch user guide, "Metrics retention" (60 s points for 15 days, 300 s for 63 days, 3600 s for 455 days;
//! a period that is no multiple of what is kept gets no data points for that range), and the EBS user guide,
//! "CloudWatch metrics for EBS" (one-minute data; Nitro instances report one sample a minute, so `Average` is the mean
//! over minutes). Which minutes are published already is the world's to say. Must not know HTTP nor the world.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

/// A value of one metric over the minute that starts at the instant.
pub type Minute = (DateTime<Utc>, f64);

/// The statistics the lab computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stat {
    /// Sum over the period.
    Sum,
    /// Mean over the period's minutes.
    Average,
    /// Smallest minute.
    Minimum,
    /// Largest minute.
    Maximum,
    /// Number of minutes.
    SampleCount,
}

impl Stat {
    /// Reads a statistic's name; `None` for one the lab does not compute.
    pub fn read(name: &str) -> Option<Stat> {
        Some(match name {
            "Sum" => Stat::Sum,
            "Average" => Stat::Average,
            "Minimum" => Stat::Minimum,
            "Maximum" => Stat::Maximum,
            "SampleCount" => Stat::SampleCount,
            _ => return None,
        })
    }

    fn of(self, values: &[f64]) -> f64 {
        let sum = values.iter().sum::<f64>();
        match self {
            Stat::Sum => sum,
            Stat::Average => sum / count(values),
            Stat::Minimum => values.iter().copied().fold(f64::INFINITY, f64::min),
            Stat::Maximum => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Stat::SampleCount => count(values),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "minutes of a period, far below 2^53"
)]
fn count(values: &[f64]) -> f64 {
    values.len() as f64
}

/// The range of minutes needed for the periods that start in `start..end`: whole periods.
pub fn range_of(
    (start, end): (DateTime<Utc>, DateTime<Utc>),
    period_seconds: i64,
) -> (DateTime<Utc>, DateTime<Utc>) {
    let period = period_seconds.max(60);
    let last = floor(end.timestamp() - 1, period) + period;
    (instant(floor(start.timestamp(), period)), instant(last))
}

/// Groups minutes by period (aligned to the epoch) and applies the statistic; oldest first.
pub fn points(
    minutes: &[Minute],
    period_seconds: i64,
    stat: Stat,
    now: DateTime<Utc>,
) -> Vec<Minute> {
    let mut periods: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (at, value) in minutes {
        periods
            .entry(floor(at.timestamp(), period_seconds.max(60)))
            .or_default()
            .push(*value);
    }
    let kept = periods
        .into_iter()
        .filter(|(at, _)| is_kept(now.timestamp() - at, period_seconds));
    kept.map(|(at, values)| (instant(at), stat.of(&values)))
        .collect()
}

/// Whether a data point of that age can still be had at that period.
fn is_kept(age_seconds: i64, period_seconds: i64) -> bool {
    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;
    let coarsest_needed = match age_seconds {
        age if age <= 3 * HOUR => 1,
        age if age <= 15 * DAY => 60,
        age if age <= 63 * DAY => 300,
        age if age <= 455 * DAY => 3600,
        _ => return false,
    };
    period_seconds % coarsest_needed == 0
}

fn floor(seconds: i64, step: i64) -> i64 {
    seconds.div_euclid(step) * step
}

fn instant(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use chrono::TimeDelta;

    const DAY: i64 = 86_400;

    fn now() -> DateTime<Utc> {
        "2026-11-02T08:00:00Z".parse().unwrap()
    }

    fn minutes(age_seconds: i64, values: &[f64]) -> Vec<Minute> {
        let start = now() - TimeDelta::seconds(age_seconds);
        let at = |n: usize| start + TimeDelta::minutes(i64::try_from(n).unwrap());
        values
            .iter()
            .enumerate()
            .map(|(n, value)| (at(n), *value))
            .collect()
    }

    #[test]
    fn groups_by_period() {
        let data = minutes(600, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let values = |stat| {
            points(&data, 300, stat, now())
                .iter()
                .map(|(_, v)| *v)
                .collect::<Vec<_>>()
        };
        assert_eq!(values(Stat::Sum), [15.0, 6.0]);
        assert_eq!(values(Stat::Average), [3.0, 6.0]);
        assert_eq!(values(Stat::SampleCount), [5.0, 1.0]);
        assert_eq!(
            (values(Stat::Minimum)[0], values(Stat::Maximum)[0]),
            (1.0, 5.0)
        );
    }

    #[test]
    fn old_points_need_a_coarse_period() {
        let count = |age, period| points(&minutes(age, &[1.0; 60]), period, Stat::Sum, now()).len();
        assert_eq!(count(3600, 60), 60);
        assert_eq!(count(14 * DAY, 60), 60);
        assert_eq!(count(16 * DAY, 60), 0);
        assert_eq!(count(16 * DAY, 300), 12);
        assert_eq!(count(64 * DAY, 300), 0);
        assert_eq!(count(64 * DAY, 3600), 1);
        assert_eq!(count(456 * DAY, 3600), 0);
    }

    #[test]
    fn whole_periods_are_looked_up() {
        let (from, to) = range_of(
            (
                now() + TimeDelta::seconds(70),
                now() + TimeDelta::seconds(300),
            ),
            300,
        );
        assert_eq!((from, to), (now(), now() + TimeDelta::seconds(300)));
        let (from, to) = range_of(
            (
                now() + TimeDelta::seconds(70),
                now() + TimeDelta::seconds(301),
            ),
            60,
        );
        assert_eq!(
            (from, to),
            (
                now() + TimeDelta::seconds(60),
                now() + TimeDelta::seconds(360)
            )
        );
    }
}
