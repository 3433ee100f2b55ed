//! Simple forecasts of the small writes' rate. It must not know how far each is trusted.

use super::past::Past;

const DAY: f64 = 86_400.0;
const WEEK: f64 = 7.0 * DAY;
/// Spans whose mean may simply go on.
const LASTS: [f64; 5] = [120.0, 600.0, 1800.0, 7200.0, DAY];
/// A trend is the change between two spans whose middles lie this far apart.
const TREND: (f64, f64) = (300.0, 900.0);
const TREND_SECONDS: f64 = 450.0;
/// Share of a trend that is expected to go on, how far ahead, and its limit in ln.
const TREND_SHARE: f64 = 0.6;
const TREND_UNTIL_SECONDS: f64 = 900.0;
const TREND_LIMIT: f64 = 1.5;
/// A period's echo is read over this share of it, at most half an hour.
const ECHO_SHARE: f64 = 0.1;
const ECHO_SECONDS: f64 = 1800.0;

/// One simple forecast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Expert {
    /// As in the last so many seconds.
    Last(f64),
    /// As on the mean of everything before.
    Ever,
    /// As the last minutes changed from those before them.
    Trend,
    /// As one period ago (seasonal naive).
    Before(f64),
    /// As on other days at this time.
    SameTime,
}

/// What an expert knows at one moment whatever is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stand {
    /// ln(rate + floor) at any distance.
    Lasting(f64),
    /// ln(rate + floor) now, and its change per second.
    Moving(f64, f64),
    /// It depends on what is asked.
    Open,
    /// It knows nothing.
    Silent,
}

impl Expert {
    /// The experts worth asking about a past.
    pub(super) fn all(past: &Past) -> Vec<Self> {
        let long = past.ledger.end() - past.ledger.start();
        let lasts = LASTS.iter().filter(|seconds| **seconds < long);
        let periods = past.cycle.into_iter().chain([DAY, WEEK]);
        let periods = periods.filter(|period| *period < long);
        lasts
            .map(|seconds| Self::Last(*seconds))
            .chain([Self::Ever, Self::Trend])
            .chain(periods.map(Self::Before))
            .chain((long > DAY).then_some(Self::SameTime))
            .collect()
    }

    /// What it knows at `origin`.
    pub(super) fn stand(self, past: &Past, origin: f64) -> Stand {
        let log = |rate: f64| (rate + past.floor).ln();
        let lasting = |seconds: f64| past.small_rate(origin - seconds, origin).map(log);
        match self {
            Self::Last(seconds) => lasting(seconds).map_or(Stand::Silent, Stand::Lasting),
            Self::Ever => lasting(f64::INFINITY).map_or(Stand::Silent, Stand::Lasting),
            Self::Trend => {
                let new = lasting(TREND.0);
                let old = past.small_rate(origin - TREND.1, origin - TREND.0).map(log);
                match (new, old) {
                    (Some(new), Some(old)) => {
                        Stand::Moving(new, TREND_SHARE * (new - old) / TREND_SECONDS)
                    }
                    _ => Stand::Silent,
                }
            }
            Self::Before(_) | Self::SameTime => Stand::Open,
        }
    }

    /// ln(rate + floor) of the span from `a` to `b` seconds after `origin`.
    pub(super) fn says(
        self,
        past: &Past,
        stand: Stand,
        origin: f64,
        a: f64,
        b: f64,
    ) -> Option<f64> {
        match stand {
            Stand::Silent => None,
            Stand::Lasting(log_rate) => Some(log_rate),
            Stand::Moving(now, change) => {
                let ahead = ((a + b) / 2.0 + TREND.0 / 2.0).min(TREND_UNTIL_SECONDS);
                Some(now + (change * ahead).clamp(-TREND_LIMIT, TREND_LIMIT))
            }
            Stand::Open => self
                .looks(past, origin, a, b)
                .map(|rate| (rate + past.floor).ln()),
        }
    }

    fn looks(self, past: &Past, origin: f64, a: f64, b: f64) -> Option<f64> {
        match self {
            Self::Before(period) => {
                let back = (b / period).ceil().max(1.0) * period;
                let wide = (b - a).max((ECHO_SHARE * period).min(ECHO_SECONDS));
                let to = (origin + (a + b + wide) / 2.0 - back).min(origin);
                past.small_rate(to - wide, to)
            }
            Self::SameTime => past.days.other_days(origin + (a + b) / 2.0),
            Self::Last(_) | Self::Ever | Self::Trend => None,
        }
    }
}
