//! How long a service step takes: overhead + bytes / rate, with a spread, learned from what was seen.
//!
//! Priors come from `data/priors.toml`. Every observed duration updates them: those of other places
//! first, which tell what such places are like, then those of the migration's own. It must not know
//! volumes, rounds or what a step is for.

mod learn;
mod setting;
mod start;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::draws::{Call, Draw, luck_of};
use crate::observation::{ObservedDuration, ServiceStep};

pub use setting::{Setting, learned};
pub use start::after_unclean_start;

/// All steps, in the order of their numbers.
pub const ALL_STEPS: [ServiceStep; crate::draws::STEPS + 1] = [
    ServiceStep::Snapshot,
    ServiceStep::Copy,
    ServiceStep::CreateVolume,
    ServiceStep::Attach,
    ServiceStep::Recovery,
    ServiceStep::Checkpoint,
    ServiceStep::Fence,
    ServiceStep::Freeze,
    ServiceStep::Activate,
    ServiceStep::Initialize,
    ServiceStep::Direct,
];

/// What is believed of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceModel {
    /// Step.
    pub step: ServiceStep,
    /// Mean of ln(overhead in seconds).
    pub log_overhead: f64,
    /// Its standard deviation.
    pub log_overhead_spread: f64,
    /// Mean of ln(bytes per second); absent for steps that move nothing.
    pub log_rate: Option<f64>,
    /// Its standard deviation.
    pub log_rate_spread: f64,
    /// Correlation of the two: a slower rate explains the same duration as a longer overhead.
    pub correlation: f64,
    /// Log scale of one call around its mean (Student t, 4 degrees of freedom).
    pub scatter: f64,
    /// Probability that a call falls into the tail.
    pub tail_probability: f64,
    /// How many times longer a call takes there.
    pub tail_factor: f64,
    /// Durations it has learned from.
    pub points: u32,
    /// Source of the prior.
    pub source: String,
}

/// One row of `data/priors.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prior {
    overhead_seconds: f64,
    overhead_spread: f64,
    bytes_per_second: Option<f64>,
    rate_spread: Option<f64>,
    scatter: f64,
    tail_probability: f64,
    tail_factor: f64,
    source: String,
}

static PRIORS: LazyLock<BTreeMap<ServiceStep, Prior>> = LazyLock::new(|| {
    toml::from_str(include_str!("../data/priors.toml"))
        .expect("priors.toml is part of the program and read by its tests")
});

/// What is believed of every step before anything was measured.
#[must_use]
pub fn priors() -> Vec<ServiceModel> {
    ALL_STEPS
        .iter()
        .filter_map(|step| Some(prior(*step, PRIORS.get(step)?)))
        .collect()
}

fn prior(step: ServiceStep, prior: &Prior) -> ServiceModel {
    ServiceModel {
        step,
        log_overhead: prior.overhead_seconds.ln(),
        log_overhead_spread: prior.overhead_spread,
        log_rate: prior.bytes_per_second.map(f64::ln),
        log_rate_spread: prior.rate_spread.unwrap_or(0.0),
        correlation: 0.0,
        scatter: prior.scatter,
        tail_probability: prior.tail_probability,
        tail_factor: prior.tail_factor,
        points: 0,
        source: prior.source.clone(),
    }
}

/// Bytes moved (when the step moves any) and seconds taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Bytes.
    pub bytes: f64,
    /// Seconds.
    pub seconds: f64,
}

impl Point {
    /// The usable part of an observation: finite, positive, and with its bytes when they matter.
    #[must_use]
    pub fn of(observed: &ObservedDuration) -> Option<Self> {
        let moves = matches!(
            observed.step,
            ServiceStep::Snapshot
                | ServiceStep::Copy
                | ServiceStep::Initialize
                | ServiceStep::Direct
        );
        let bytes = if moves {
            observed.moved_bytes? as f64
        } else {
            0.0
        };
        (observed.seconds.is_finite() && observed.seconds > 0.0).then_some(Self {
            bytes,
            seconds: observed.seconds,
        })
    }
}

impl ServiceModel {
    /// Mean duration of a call that moves `bytes`, with unit-normal parameters `z`.
    #[must_use]
    pub fn mean_seconds(&self, bytes: f64, z: [f64; 2]) -> f64 {
        let (overhead, per_byte) = self.paced(z);
        overhead + bytes.max(0.0) * per_byte
    }

    /// Overhead in seconds and seconds per byte, in one draw.
    #[must_use]
    pub fn pace(&self, draw: &Draw) -> (f64, f64) {
        self.paced(draw.service[luck_of(self.step)])
    }

    fn paced(&self, z: [f64; 2]) -> (f64, f64) {
        let overhead = (self.log_overhead + self.log_overhead_spread * z[0]).exp();
        let Some(log_rate) = self.log_rate else {
            return (overhead, 0.0);
        };
        let mixed =
            self.correlation * z[0] + (1.0 - self.correlation.powi(2)).max(0.0).sqrt() * z[1];
        (overhead, (-log_rate - self.log_rate_spread * mixed).exp())
    }

    /// Duration of a call that moves `bytes` in one draw; never shorter for more bytes.
    #[must_use]
    pub fn seconds(&self, bytes: f64, call: Call, draw: &Draw) -> f64 {
        self.mean_seconds(bytes, draw.service[luck_of(self.step)]) * self.luck(call)
    }

    /// A call's factor over its own mean.
    #[must_use]
    pub fn luck(&self, call: Call) -> f64 {
        let factor = if call.tail > 1.0 - self.tail_probability {
            self.tail_factor
        } else {
            1.0
        };
        (self.scatter * call.scatter).clamp(-3.0, 3.0).exp() * factor
    }

    /// Where this belief comes from, for the reader.
    #[must_use]
    pub fn provenance(&self) -> String {
        let name = format!("{:?}", self.step).to_lowercase();
        match self.points {
            0 => format!("{name}: prior ({})", self.source),
            n => format!("{name}: measured ({n} durations), prior where they are silent"),
        }
    }
}

#[cfg(test)]
mod tests;
