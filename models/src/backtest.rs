//! The forecast against what really happened: rolling origins over a trace of writes.
//!
//! At every half delta the product's own models see only what an operator would have: the sets of
//! changed blocks of the last deltas and the sums of bytes and operations per minute, the newest
//! ones late. Then they say what the next window holds. This module must not know files, terminals or
//! how the models work inside; it must not tell them anything from after the origin, except where it
//! says so: `known_volume` is the same model given the true future write volume.

mod advice;
mod marks;
mod moments;
mod origin;
mod own;
mod picture;
mod prior;
mod protocol;
mod replay;
mod rivals;
mod score;
mod slots;
mod trace;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format::Document;
pub use advice::Advice;
pub use moments::{MomentChoice, MomentRegret, Regret, moment_regrets, moments};
pub use own::run_profile;
pub use picture::{Picture, Point, picture, profile_picture};
pub use prior::{Derived, Errors, derived, errors};
pub use slots::{Choice, HalfHours, regrets};
pub use trace::{BadWrite, Recorded, Trace};

/// Windows with fewer changed blocks than this are reported, not scored: one block more or less
/// would decide.
pub const LEAST_SCORED_BLOCKS: u64 = 15;

/// Windows of one trace: at a hundredth of a second each, half an hour.
const MAX_WINDOWS: f64 = 200_000.0;

/// How a trace is evaluated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Protocol {
    /// Time between two snapshots.
    pub delta_seconds: f64,
    /// Deltas the model sees at each origin.
    pub deltas: u32,
    /// Windows predicted at each origin.
    pub lags_seconds: Vec<f64>,
    /// How late the newest metric period is.
    pub metric_delay_seconds: f64,
}

/// Predicted bytes of one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Band {
    /// One in twenty outcomes is below this.
    pub p05: f64,
    /// Half of the outcomes are at or below this.
    pub p50: f64,
    /// Nine in ten outcomes are at or below this.
    pub p90: f64,
    /// One in twenty outcomes is above this.
    pub p95: f64,
}

/// One window: what was said and what came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Prediction {
    /// Trace it belongs to.
    pub trace: String,
    /// Origin, in the trace's seconds.
    pub start_seconds: f64,
    /// Length of the window.
    pub lag_seconds: f64,
    /// Deltas the model saw.
    pub deltas_used: u32,
    /// Counted in the errors and the coverage.
    pub scored: bool,
    /// True write volume of the window over that of all the deltas the model saw.
    pub extrapolation: f64,
    /// With the forecast of the write volume.
    pub predicted_bytes: Band,
    /// The same model given the true future write volume.
    pub predicted_bytes_known_volume: f64,
    /// Its band.
    pub known_volume_band_bytes: Band,
    /// Mean rate of the deltas seen, times the lag.
    pub naive_bytes: f64,
    /// Constant-rate pre-copy (Liu, Jin, Xu, Liao, HPDC 2011): the last delta's rate, times the lag.
    pub constant_rate_bytes: f64,
    /// One exponential saturation, fitted to the unions of the deltas seen; given the true volume.
    pub exponential_bytes: f64,
    /// One power law (Heaps 1978), fitted to the same; given the true volume.
    pub power_law_bytes: f64,
    /// Distinct changed blocks of the window, in bytes.
    pub actual_bytes: f64,
}

/// Figures over scored windows; absent where there is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Figures {
    /// Windows behind them.
    pub scored: u32,
    /// Median of |ln(predicted/actual)| with the forecast write volume.
    pub median_abs_log_error: Option<f64>,
    /// The same, given the true future write volume.
    pub median_abs_log_error_known_volume: Option<f64>,
    /// The same of rate times time.
    pub naive_median_abs_log_error: Option<f64>,
    /// The same of the constant-rate pre-copy model.
    pub constant_rate_median_abs_log_error: Option<f64>,
    /// The same of one exponential saturation, given the true future write volume.
    pub exponential_median_abs_log_error: Option<f64>,
    /// The same of one power law, given the true future write volume.
    pub power_law_median_abs_log_error: Option<f64>,
    /// Share of windows whose actual bytes lie within p05 and p95, 0 to 1.
    pub coverage_90_percent: Option<f64>,
    /// The same of the band given the true future write volume.
    pub coverage_90_percent_known_volume: Option<f64>,
    /// Median of P90/P50 over windows up to extrapolation 3.
    pub p90_over_p50: Option<f64>,
    /// The same given the true future write volume.
    pub p90_over_p50_known_volume: Option<f64>,
    /// Ninth decile of |ln(predicted/actual)| with the forecast write volume.
    pub p90_abs_log_error: Option<f64>,
    /// The same, given the true future write volume.
    pub p90_abs_log_error_known_volume: Option<f64>,
}

/// One trace of a backtest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TraceResult {
    /// Its name.
    pub trace: String,
    /// How it was evaluated.
    pub protocol: Protocol,
    /// Its length.
    pub seconds: f64,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
    /// The same for each lag.
    pub lags: Vec<LagResult>,
}

/// The windows of one lag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LagResult {
    /// The lag.
    pub lag_seconds: f64,
    /// Their figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// The windows that reach about equally far beyond what the model saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReachResult {
    /// Their extrapolation is above this.
    pub above: f64,
    /// And not above this; absent for the last group.
    pub up_to: Option<f64>,
    /// Their figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// What a backtest found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Backtest {
    /// `snapmigrate.backtest/1`.
    pub format: String,
    /// The traces, in the order given.
    pub traces: Vec<TraceResult>,
    /// Pooled: medians are medians of the traces' medians, the coverage is that of all windows.
    #[serde(flatten)]
    pub figures: Figures,
    /// All windows by how far they reach.
    pub reaches: Vec<ReachResult>,
    /// What the choice of a moment to cut over in cost, where that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moments: Vec<MomentRegret>,
    /// Every window, trace by trace, origin by origin.
    pub predictions: Vec<Prediction>,
}

impl Document for Backtest {
    const FORMAT: &'static str = "snapmigrate.backtest/1";
}

/// A trace that the protocol cannot be applied to.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BacktestError {
    /// A length that cannot be.
    #[error("{name} is {value}, it must be more than 0 and finite")]
    Length {
        /// Which one.
        name: &'static str,
        /// Its value.
        value: f64,
    },
    /// No delta or no lag.
    #[error("a backtest needs at least one of {name}")]
    None {
        /// What is missing.
        name: &'static str,
    },
    /// More windows than anybody waits for.
    #[error(
        "{trace} gives {windows:.0} windows at a delta of {delta_seconds} s, more than a backtest takes"
    )]
    TooMany {
        /// Trace.
        trace: String,
        /// How many.
        windows: f64,
        /// Length of a delta.
        delta_seconds: f64,
    },
    /// Nothing to judge a forecast by.
    #[error(
        "no volume of the profile has two deltas, one after the other (the most is {found}): a backtest \
         predicts each delta from those before it"
    )]
    TooFewDeltas {
        /// Most deltas of one volume.
        found: usize,
    },
    /// The trace ends before the first window does.
    #[error(
        "{trace} lasts {trace_seconds:.0} s, but {deltas} deltas of {delta_seconds} s and a window of \
         {lag_seconds} s need {needed_seconds:.0} s"
    )]
    TooShort {
        /// Trace.
        trace: String,
        /// Its length.
        trace_seconds: f64,
        /// Deltas before an origin.
        deltas: u32,
        /// Length of each.
        delta_seconds: f64,
        /// Shortest window.
        lag_seconds: f64,
        /// What they need together.
        needed_seconds: f64,
    },
}

/// Evaluates the forecast on one trace.
///
/// # Errors
/// [`BacktestError`] when the protocol is senseless or the trace is too short for it.
pub fn run(trace: &Trace, protocol: &Protocol) -> Result<Backtest, BacktestError> {
    check(trace, protocol)?;
    let predictions = replay::predictions(trace, protocol);
    Ok(of_one(
        trace.name(),
        trace.seconds(),
        protocol.clone(),
        predictions,
    ))
}

/// The backtest of one trace from its predictions.
fn of_one(name: &str, seconds: f64, protocol: Protocol, predictions: Vec<Prediction>) -> Backtest {
    let result = TraceResult {
        trace: name.to_owned(),
        protocol,
        seconds,
        figures: score::figures(&predictions),
        lags: score::by_lag(&predictions),
    };
    whole(vec![result], predictions)
}

/// Several backtests as one.
#[must_use]
pub fn pooled(parts: Vec<Backtest>) -> Backtest {
    let (mut traces, mut predictions) = (Vec::new(), Vec::new());
    for part in parts {
        traces.extend(part.traces);
        predictions.extend(part.predictions);
    }
    whole(traces, predictions)
}

fn whole(traces: Vec<TraceResult>, predictions: Vec<Prediction>) -> Backtest {
    Backtest {
        format: Backtest::FORMAT.to_owned(),
        figures: score::pooled(&traces, &predictions),
        reaches: score::by_reach(&predictions),
        moments: Vec::new(),
        traces,
        predictions,
    }
}

fn check(trace: &Trace, protocol: &Protocol) -> Result<(), BacktestError> {
    let delta = [("the delta", protocol.delta_seconds)];
    let lags = protocol.lags_seconds.iter().map(|lag| ("a lag", *lag));
    for (name, value) in delta.into_iter().chain(lags) {
        if !(value > 0.0 && value.is_finite()) {
            return Err(BacktestError::Length { name, value });
        }
    }
    let delay = protocol.metric_delay_seconds;
    if !(delay >= 0.0 && delay.is_finite()) {
        let name = "the metric delay";
        return Err(BacktestError::Length { name, value: delay });
    }
    if protocol.deltas == 0 {
        return Err(BacktestError::None { name: "deltas" });
    }
    let shortest = protocol.lags_seconds.iter().copied().reduce(f64::min);
    let lag_seconds = shortest.ok_or(BacktestError::None { name: "lags" })?;
    let needed_seconds = f64::from(protocol.deltas) * protocol.delta_seconds + lag_seconds;
    let windows =
        2.0 * trace.seconds() / protocol.delta_seconds * protocol.lags_seconds.len() as f64;
    if windows > MAX_WINDOWS {
        return Err(BacktestError::TooMany {
            trace: trace.name().to_owned(),
            windows,
            delta_seconds: protocol.delta_seconds,
        });
    }
    if trace.seconds() >= needed_seconds {
        return Ok(());
    }
    Err(BacktestError::TooShort {
        trace: trace.name().to_owned(),
        trace_seconds: trace.seconds(),
        deltas: protocol.deltas,
        delta_seconds: protocol.delta_seconds,
        lag_seconds,
        needed_seconds,
    })
}

#[cfg(test)]
mod tests;
