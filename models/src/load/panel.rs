//! How far each simple forecast is trusted at each distance, and how wrong they all were.
//!
//! Nobody knows beforehand whether a volume goes on as in the last two minutes, as half an hour
//! ago or as yesterday at this time. So all are asked at many moments of the past, and each counts
//! by its errors at the same distance (inverse error weights: Bates and Granger, Operational
//! Research Quarterly 20, 1969). It must not know paths or draws.

use super::experts::{Expert, Stand};
use super::past::{Past, quantile};

/// Distances at which the experts are weighed, seconds ahead.
const BANDS: [(f64, f64); 11] = [
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
/// Errors count to this power. Two to eight did about equally well.
const SHARPNESS: i32 = 6;
/// An error no expert is expected to stay below, the one assumed before any was seen, and as many
/// moments as the assumption counts for.
const LEAST_ERROR: f64 = 0.03;
const ASSUMED_ERROR: f64 = 0.5;
const ASSUMED_MOMENTS: f64 = 1.0;
/// Overlapping windows tell more than those apart, but not much more.
const OVERLAP: f64 = 8.0;
/// Variance of ln forecast at which the regression is believed half.
const SLOPE_PRIOR: f64 = 1.0;
/// The favourite of a path counts this much more: where experts of equal rank disagree, the paths do.
const FAVOUR: f64 = 4.0;
/// Moments from which on, and at how many of them, earlier errors are compared with later ones.
const LEAST_ERRORS: usize = 8;
const COMPARED: usize = 16;
/// Limits of how much larger later errors were, and the least spread they are compared with.
const MOST_EXCESS: f64 = 3.0;
const LEAST_SPREAD: f64 = 0.02;

/// The experts with their weights in every band.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    experts: Vec<Expert>,
    bands: Vec<Weighed>,
}

/// One band.
#[derive(Clone, Debug)]
struct Weighed {
    weights: Vec<f64>,
    /// How much of a forecast's deviation came true (the slope of ln actual over ln forecast):
    /// one for steady writing, nought for bursts that nothing announces.
    slope: f64,
    /// Log scale of what its earlier errors did not cover of the later ones.
    drift: f64,
}

/// The panel at one moment.
pub(super) struct Asked {
    origin: f64,
    stands: Vec<Stand>,
    favourite: Option<usize>,
}

impl Panel {
    /// Weighs the experts by their errors after `origins`, oldest first.
    pub(super) fn of(past: &Past, origins: &[f64]) -> Self {
        let experts = Expert::all(past);
        let even = Weighed {
            weights: vec![1.0; experts.len()],
            slope: 1.0,
            drift: 0.0,
        };
        let mut panel = Self {
            bands: vec![even; BANDS.len()],
            experts,
        };
        let asked: Vec<Asked> = origins
            .iter()
            .map(|at| panel.asked(past, *at, None))
            .collect();
        for (index, band) in BANDS.iter().enumerate() {
            panel.weigh(past, index, *band, &asked);
        }
        panel
    }

    /// Number of experts.
    pub(super) fn experts(&self) -> usize {
        self.experts.len()
    }

    /// Asks at `origin` what does not depend on the distance.
    pub(super) fn asked(&self, past: &Past, origin: f64, favourite: Option<usize>) -> Asked {
        Asked {
            origin,
            favourite,
            stands: self.experts.iter().map(|e| e.stand(past, origin)).collect(),
        }
    }

    /// ln(rate + floor) of the span from `a` to `b` seconds after the origin, drawn towards the
    /// mean as far as forecasts at this distance deserve it.
    pub(super) fn log_rate(&self, past: &Past, asked: &Asked, a: f64, b: f64) -> f64 {
        let centre = (past.rate + past.floor).ln();
        let index = band_of((a + b) / 2.0);
        centre + self.bands[index].slope * (self.mixed(past, index, asked, (a, b)) - centre)
    }

    /// Log scale of what may have changed, so far ahead.
    pub(super) fn drift(&self, ahead: f64) -> f64 {
        self.bands[band_of(ahead)].drift
    }

    fn mixed(&self, past: &Past, index: usize, asked: &Asked, (a, b): (f64, f64)) -> f64 {
        let (mut sum, mut total) = (0.0, 0.0);
        for (k, expert) in self.experts.iter().enumerate() {
            if let Some(log_rate) = expert.says(past, asked.stands[k], asked.origin, a, b) {
                let favour = if asked.favourite == Some(k) {
                    FAVOUR
                } else {
                    1.0
                };
                let weight = self.bands[index].weights[k] * favour;
                sum += weight * log_rate;
                total += weight;
            }
        }
        if total > 0.0 {
            sum / total
        } else {
            (past.rate + past.floor).ln()
        }
    }

    fn weigh(&mut self, past: &Past, index: usize, band: (f64, f64), asked: &[Asked]) {
        let width = (band.1 - band.0).min(WINDOW_SECONDS);
        let places = ((band.1 - band.0) / width).floor().max(1.0);
        let windows: Vec<(&Asked, f64, f64)> = asked
            .iter()
            .enumerate()
            .filter_map(|(k, asked)| {
                let a = band.0 + width * (k as f64 % places);
                let actual = actual(past, asked.origin + a, asked.origin + a + width)?;
                Some((asked, a, actual))
            })
            .collect();
        let count = windows.len() as f64;
        let share = (OVERLAP * past.ledger.seconds() / band.1 / count.max(1.0)).min(1.0);
        let weight = |(k, expert): (usize, &Expert)| {
            let (mut sum, mut seen) = (ASSUMED_ERROR * ASSUMED_MOMENTS, ASSUMED_MOMENTS);
            for (asked, a, actual) in &windows {
                let said = expert.says(past, asked.stands[k], asked.origin, *a, a + width);
                sum += said.map_or(0.0, |said| share * (actual - said).abs());
                seen += said.map_or(0.0, |_| share);
            }
            (sum / seen + LEAST_ERROR).powi(-SHARPNESS)
        };
        self.bands[index].weights = self.experts.iter().enumerate().map(weight).collect();
        let pairs: Vec<(f64, f64)> = windows
            .iter()
            .map(|(asked, a, actual)| (self.mixed(past, index, asked, (*a, a + width)), *actual))
            .collect();
        let slope = slope(&pairs, share);
        let errors: Vec<f64> = pairs
            .iter()
            .map(|(said, actual)| actual - slope * said)
            .collect();
        self.bands[index].slope = slope;
        self.bands[index].drift = drift(&errors);
    }
}

fn band_of(ahead: f64) -> usize {
    BANDS
        .partition_point(|band| band.1 <= ahead)
        .min(BANDS.len() - 1)
}

fn actual(past: &Past, from: f64, to: f64) -> Option<f64> {
    let sums = past.known(from, to)?;
    Some((sums.small / sums.seconds + past.floor).ln())
}

/// Regression slope of actual over forecast, drawn towards one.
fn slope(pairs: &[(f64, f64)], share: f64) -> f64 {
    let count = pairs.len().max(1) as f64;
    let mean = |part: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(part).sum::<f64>() / count;
    let (x, y) = (mean(&|p| p.0), mean(&|p| p.1));
    let xy = share * count * mean(&|p| (p.0 - x) * (p.1 - y));
    let xx = share * count * mean(&|p| (p.0 - x).powi(2));
    ((xy + SLOPE_PRIOR) / (xx + SLOPE_PRIOR)).clamp(0.0, 1.0)
}

/// What is to be added to the spread of earlier errors so that it covers nine in ten later ones
/// (prequential: each is compared with those before it).
fn drift(errors: &[f64]) -> f64 {
    let count = errors.len();
    if count < LEAST_ERRORS {
        return 0.0;
    }
    let mut excess = Vec::new();
    let mut spread = 0.0;
    for k in (count / 3..count).step_by((count / COMPARED).max(1)) {
        let centre = quantile(errors[..k].to_vec(), 0.5);
        let apart = errors[..k].iter().map(|error| (error - centre).abs());
        spread = quantile(apart.collect(), 0.9).max(LEAST_SPREAD);
        excess.push((errors[k] - centre).abs() / spread);
    }
    let excess = quantile(excess, 0.9).clamp(1.0, MOST_EXCESS);
    // Nine in ten of a normal are within 1.64 of its standard deviations.
    spread / 1.64 * (excess * excess - 1.0).sqrt()
}
