//! What execution has measured so far: the input of the forecast at the gate.

use serde::{Deserialize, Serialize};

use crate::observation::ObservedDuration;
use crate::step::VolumeDelta;
use crate::units::Timestamp;

/// Measurements of the running migration, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Rounds measured so far, the base included.
    pub rounds: Vec<MeasuredRound>,
    /// Fresh write rate of the group in bytes per second, when the gate has read it.
    pub fresh_write_bytes_per_second: Option<f64>,
    /// Fresh write operations per second of the group, when the gate has read them.
    pub fresh_write_ops_per_second: Option<f64>,
    /// Point in time of the last round.
    pub last_round_at: Option<Timestamp>,
    /// Durations of steps measured in this run.
    pub durations: Vec<ObservedDuration>,
}

/// One completed round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeasuredRound {
    /// Position, the base is 0.
    pub index: u32,
    /// Point in time of its snapshots.
    pub at: Timestamp,
    /// Changed blocks since the previous round, per volume.
    pub deltas: Vec<VolumeDelta>,
    /// From the point in time until the whole set was completed.
    pub snapshot_seconds: Option<f64>,
    /// From there until the data was in the target.
    pub transfer_seconds: Option<f64>,
}
