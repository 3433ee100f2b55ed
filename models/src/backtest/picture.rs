//! One origin in detail, for a drawing: the forecast of every window up to the longest, and what came.
//! It must not know how it is drawn.

use super::origin::{Asked, Bench, Origin};
use super::own::Own;
use super::replay::Replay;
use super::{BacktestError, Band, Protocol, Trace, check};
use crate::profile::Profile;

/// Windows along the curve.
const POINTS: u32 = 40;

/// One window of the curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Its length.
    pub lag_seconds: f64,
    /// With the forecast of the write volume.
    pub predicted_bytes: Band,
    /// Rate times time.
    pub naive_bytes: f64,
}

/// The curve of one origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Trace or volume.
    pub trace: String,
    /// The origin, in the trace's seconds.
    pub start_seconds: f64,
    /// Deltas the model saw.
    pub deltas_used: usize,
    /// The forecast, by ascending lag.
    pub curve: Vec<Point>,
    /// What came: lag and bytes, ascending.
    pub actual: Vec<(f64, f64)>,
}

/// The last origin of a trace with every lag of the protocol.
///
/// # Errors
/// As [`super::run`].
pub fn picture(trace: &Trace, protocol: &Protocol) -> Result<Picture, BacktestError> {
    check(trace, protocol)?;
    let longest = protocol.lags_seconds.iter().copied().fold(0.0, f64::max);
    let fine = Protocol {
        lags_seconds: (1..=POINTS)
            .map(|k| longest * f64::from(k) / f64::from(POINTS))
            .collect(),
        ..protocol.clone()
    };
    let replay = Replay::of(trace, &fine);
    let origins = || replay.steps().rev().filter_map(|step| replay.origin(step));
    let most = origins()
        .map(|origin| origin.windows.len())
        .max()
        .unwrap_or(0);
    let best = origins().find(|origin| origin.windows.len() == most);
    best.map(|origin| drawn(&replay.bench, &origin))
        .ok_or(BacktestError::None { name: "origins" })
}

/// The origin of the volume with the most deltas that has the most windows.
#[must_use]
pub fn profile_picture(
    profile: &Profile,
    deltas: u32,
    metric_delay_seconds: f64,
) -> Option<Picture> {
    let seen = profile
        .volumes
        .iter()
        .max_by_key(|volume| volume.deltas.len())?;
    let own = Own::of(profile, seen, deltas, metric_delay_seconds);
    let origins = own.origins();
    let middle = origins.len().checked_sub(1)? / 2;
    Some(drawn(&own.bench, &origins[middle]))
}

fn drawn(bench: &Bench, origin: &Origin) -> Picture {
    let asked = Asked::of(bench, origin);
    let longest = origin
        .windows
        .last()
        .map_or(0.0, |window| window.0 - origin.at);
    let point = |k: u32| {
        let lag_seconds = longest * f64::from(k) / f64::from(POINTS);
        Point {
            lag_seconds,
            predicted_bytes: asked.forecast(origin.at + lag_seconds),
            naive_bytes: asked.naive_bytes(origin.at + lag_seconds),
        }
    };
    let actual = |&(to, blocks): &(f64, u64)| (to - origin.at, super::origin::bytes(blocks as f64));
    Picture {
        trace: bench.name.clone(),
        start_seconds: origin.at - bench.zero,
        deltas_used: origin.seen.deltas.len(),
        curve: (0..=POINTS).map(point).collect(),
        actual: origin.windows.iter().map(actual).collect(),
    }
}
