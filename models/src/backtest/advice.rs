//! What would narrow the forecast most, read off a backtest. It must not know how it is worded.

use super::{Backtest, Figures};

/// An error beyond this is worth doing something about: a quarter of the delta.
const BAD: f64 = 0.25;
/// One error counts as much larger than another from this ratio on.
const MUCH: f64 = 2.0;
/// Fewest windows that a comparison of lags rests on.
const LEAST_WINDOWS: u32 = 8;

/// What to measure next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Advice {
    /// No window changed enough to be scored.
    NothingScored,
    /// Short windows are predicted badly, longer ones well: snapshots closer together would help.
    ShorterDeltas {
        /// Windows from here down to half a delta are the bad ones.
        lag_seconds: f64,
        /// Their median |ln| error.
        error: f64,
    },
    /// Windows far beyond the deltas seen are predicted badly.
    MoreDeltas {
        /// Windows from this extrapolation on.
        above: f64,
        /// Their median |ln| error.
        error: f64,
    },
    /// The curve fits; how much will be written is what is not known.
    FresherMetrics {
        /// Median |ln| error with the forecast.
        forecast: f64,
        /// And given the true writes.
        known: f64,
    },
    /// The curve itself is off at every window: what is written changes its nature.
    Unsteady {
        /// Median |ln| error given the true writes.
        known: f64,
    },
    /// Errors are small, the band does not hold what it promises.
    BandTooNarrow {
        /// Share of windows inside.
        coverage: f64,
    },
    /// Nothing stands out.
    Enough {
        /// Median |ln| error with the forecast.
        forecast: f64,
    },
}

impl Advice {
    /// The advice of a backtest.
    #[must_use]
    pub fn of(backtest: &Backtest) -> Self {
        let all = &backtest.figures;
        let (Some(known), Some(forecast)) = (
            all.median_abs_log_error_known_volume,
            all.median_abs_log_error,
        ) else {
            return Self::NothingScored;
        };
        if let Some(short) = short_windows(backtest, known) {
            return short;
        }
        if let Some(far) = far_windows(backtest, known) {
            return far;
        }
        let coverage = all.coverage_90_percent.unwrap_or(0.0);
        match () {
            () if forecast > BAD && forecast > MUCH * known => {
                Self::FresherMetrics { forecast, known }
            }
            () if known > BAD => Self::Unsteady { known },
            () if coverage < 0.75 => Self::BandTooNarrow { coverage },
            () => Self::Enough { forecast },
        }
    }
}

fn known(figures: &Figures) -> Option<f64> {
    let enough = figures.scored >= LEAST_WINDOWS;
    figures.median_abs_log_error_known_volume.filter(|_| enough)
}

/// The shortest windows of a single trace are much worse than the others.
fn short_windows(backtest: &Backtest, all: f64) -> Option<Advice> {
    let [trace] = backtest.traces.as_slice() else {
        return None;
    };
    let shortest = trace.lags.first()?;
    let error = known(&shortest.figures)?;
    let bad =
        shortest.lag_seconds < trace.protocol.delta_seconds && error > BAD && error > MUCH * all;
    bad.then_some(Advice::ShorterDeltas {
        lag_seconds: shortest.lag_seconds,
        error,
    })
}

fn far_windows(backtest: &Backtest, all: f64) -> Option<Advice> {
    let far = backtest.reaches.iter().find(|group| {
        let error = known(&group.figures).unwrap_or(0.0);
        group.above >= 1.0 && error > BAD && error > MUCH * all
    })?;
    Some(Advice::MoreDeltas {
        above: far.above,
        error: known(&far.figures)?,
    })
}
