//! Simple forecasts of the small writes' rate, and how far each is trusted at each distance.
//!
//! Nobody knows beforehand whether a volume goes on as in the last two minutes, as a half-hour
//! ago or as yesterday at this time. So all are asked, and each counts by its own past errors at
//! the same distance (inverse error weights: Bates and Granger, Operational Research Quarterly 20,
//! 1969), the moments most like the present one first. It must not know paths or draws.

use super::past::Past;

/// Distances at which the experts are weighed, seconds ahead.
pub(super) const BANDS: [(f64, f64); 11] = [
    (0.0, 300.0),
    (300.0, 900.0),
    (900.0, 1800.0),
    (1800.0, 3600.0),
    (3600.0, 7200.0),
    (7200.0, 14_400.0),
    (14_400.0, 28_800.0),
    (28_800.0, 57_600.0),
    (57_600.0, 108_000.0),
    (108_000.0, 194_400.0),
    (194_400.0, 691_200.0),
];
/// The longest window one error is measured on.
const WINDOW_SECONDS: f64 = 7200.0;
/// Errors count to this power: the inverse of the squared mean square.
const SHARPNESS: f64 = 4.0;
/// An error no expert is expected to stay below, and the one assumed before any was seen.
const LEAST_ERROR: f64 = 0.03;
const ASSUMED_ERROR: f64 = 0.5;
/// As many origins as the assumption counts for.
const ASSUMED_ORIGINS: f64 = 2.0;

/// One simple forecast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Expert {
    /// As in the last so many seconds.
    Last(f64),
    /// As on the mean of everything before.
    Ever,
    /// As one period ago (seasonal naive).
    Before(f64),
    /// As on other days at this time.
    SameTime,
}

/// The experts worth asking about a past.
pub(super) fn experts(past: &Past) -> Vec<Expert> {
    let mut experts = vec![
        Expert::Last(120.0),
        Expert::Last(600.0),
        Expert::Last(1800.0),
        Expert::Last(7200.0),
        Expert::Last(86_400.0),
        Expert::Ever,
    ];
    experts.extend(past.cycle.map(Expert::Before));
    experts.extend([
        Expert::Before(86_400.0),
        Expert::Before(604_800.0),
        Expert::SameTime,
    ]);
    experts
}

/// Answers at one moment that do not depend on the distance.
pub(super) struct Asked {
    origin: f64,
    lasting: Vec<Option<f64>>,
}

/// Weights of the experts in every band.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    experts: Vec<Expert>,
    weights: Vec<Vec<f64>>,
}

impl Panel {
    /// Weighs the experts by their errors after `origins`, pairs of time and weight.
    pub(super) fn of(past: &Past, origins: &[(f64, f64)]) -> Self {
        let experts = experts(past);
        let weigh = |band: &(f64, f64)| {
            let errors = experts.iter().map(|e| error(past, *e, *band, origins));
            errors
                .map(|error| (error + LEAST_ERROR).powf(-SHARPNESS))
                .collect()
        };
        Self {
            weights: BANDS.iter().map(weigh).collect(),
            experts,
        }
    }

    /// Asks at `origin` what does not depend on the distance.
    pub(super) fn asked(&self, past: &Past, origin: f64) -> Asked {
        let lasting = |expert: &Expert| match expert {
            Expert::Last(_) | Expert::Ever => ask(past, *expert, origin, 0.0, 1.0),
            Expert::Before(_) | Expert::SameTime => None,
        };
        Asked {
            origin,
            lasting: self.experts.iter().map(lasting).collect(),
        }
    }

    /// ln(rate + floor) of the span from `a` to `b` seconds after the origin.
    pub(super) fn log_rate(&self, past: &Past, asked: &Asked, a: f64, b: f64) -> f64 {
        let middle = (a + b) / 2.0;
        let band = BANDS.partition_point(|band| band.1 <= middle);
        let weights = &self.weights[band.min(BANDS.len() - 1)];
        let (mut sum, mut total) = (0.0, 0.0);
        for ((expert, weight), lasting) in self.experts.iter().zip(weights).zip(&asked.lasting) {
            let rate = match expert {
                Expert::Last(_) | Expert::Ever => *lasting,
                Expert::Before(_) | Expert::SameTime => ask(past, *expert, asked.origin, a, b),
            };
            if let Some(rate) = rate {
                sum += weight * (rate + past.floor).ln();
                total += weight;
            }
        }
        if total > 0.0 {
            sum / total
        } else {
            (past.rate + past.floor).ln()
        }
    }
}

/// Mean absolute log error of an expert in a band.
fn error(past: &Past, expert: Expert, band: (f64, f64), origins: &[(f64, f64)]) -> f64 {
    let (mut sum, mut total) = (ASSUMED_ERROR * ASSUMED_ORIGINS, ASSUMED_ORIGINS);
    let scale = origins.len() as f64;
    let width = (band.1 - band.0).min(WINDOW_SECONDS);
    let places = ((band.1 - band.0) / width).floor().max(1.0);
    for (k, (origin, weight)) in origins.iter().enumerate() {
        let a = band.0 + width * (k as f64 % places);
        let (from, to) = (origin + a, origin + a + width);
        let actual = past
            .small_rate(from, to)
            .filter(|_| to <= past.ledger.end());
        let (Some(actual), Some(rate)) = (actual, ask(past, expert, *origin, a, a + width)) else {
            continue;
        };
        let miss = ((actual + past.floor) / (rate + past.floor)).ln().abs();
        sum += weight * scale * miss;
        total += weight * scale;
    }
    sum / total
}

/// What an expert says at `origin` about the span from `a` to `b` seconds later.
fn ask(past: &Past, expert: Expert, origin: f64, a: f64, b: f64) -> Option<f64> {
    match expert {
        Expert::Last(seconds) => past.small_rate(origin - seconds, origin),
        Expert::Ever => past.small_rate(past.ledger.start(), origin),
        Expert::Before(period) => {
            let back = (b / period).ceil().max(1.0) * period;
            let wide = (b - a).max((0.1 * period).min(1800.0));
            let to = (origin + (a + b + wide) / 2.0 - back).min(origin);
            past.small_rate(to - wide, to)
        }
        Expert::SameTime => past.days.other_days(origin + (a + b) / 2.0),
    }
}
