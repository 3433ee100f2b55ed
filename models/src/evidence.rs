//! What an execution has measured so far: the input that turns a plan's forecast into one at the gate.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::VolumeId;
use crate::observation::ObservedDuration;
use crate::step::VolumeDelta;
use crate::units::Timestamp;

/// Everything measured since the plan was made. Empty is valid: then the forecast is the plan's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// Completed rounds, the base first.
    pub rounds: Vec<MeasuredRound>,
    /// Bytes per second the group wrote in the last minutes.
    pub fresh_write_bytes_per_second: Option<f64>,
    /// Write operations per second of the group in the last minutes.
    pub fresh_write_ops_per_second: Option<f64>,
    /// Point in time the last completed round holds; absent: that of the last of `rounds`.
    pub last_round_at: Option<Timestamp>,
    /// Durations of single steps. When snapshots or copies are among them, they count instead of
    /// the rounds' own seconds, so that nothing is learned twice.
    pub durations: Vec<ObservedDuration>,
}

/// One completed round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeasuredRound {
    /// Position, the base is 0.
    pub index: u32,
    /// Point in time it holds.
    pub at: Timestamp,
    /// Changed blocks since the previous round, per volume; for the base all written blocks.
    pub deltas: Vec<VolumeDelta>,
    /// From the call until the whole set was completed.
    pub snapshot_seconds: Option<f64>,
    /// From there until the data was in the target.
    pub transfer_seconds: Option<f64>,
    /// Written since the previous round per volume, when it was read.
    #[serde(default)]
    pub writes: Vec<VolumeWrites>,
    /// A CHECKPOINT came right before it: the database held nothing dirty in memory.
    #[serde(default)]
    pub flushed: bool,
}

/// Written by one volume between two rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VolumeWrites {
    /// Volume.
    pub volume: VolumeId,
    /// Bytes.
    pub write_bytes: f64,
    /// Operations.
    pub write_ops: f64,
}
