//! What an execution has measured so far: the input that turns a plan's forecast into one at the gate.

mod gathered;

pub use gathered::FLUSH_COUNTS_SECONDS;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::VolumeId;
use crate::observation::{ObservedDuration, WritePeriod};
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
    /// Everything that was read of the volumes' writing since the base, oldest first: up to the last
    /// minutes, as late as the metrics are. Sums of one minute, of five where a round took long.
    #[serde(default)]
    pub recent_writes: Vec<VolumePeriods>,
    /// Point in time the last completed round holds; absent: that of the last of `rounds`.
    pub last_round_at: Option<Timestamp>,
    /// What starting the database from a round took, where that was tried and nobody knows how much of it was the
    /// replay of its log: it was never stopped.
    #[serde(default)]
    pub unclean_start_seconds: Option<f64>,
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
    /// The periods that overlap the time since the previous round, per volume, as far as they were read.
    #[serde(default)]
    pub writes: Vec<VolumePeriods>,
    /// What the round took beyond snapshot and transfer until its last step had ended: looks at the service, the
    /// listing of its blocks.
    #[serde(default)]
    pub besides_seconds: Option<f64>,
    /// A CHECKPOINT came right before it: the database held nothing dirty in memory.
    #[serde(default)]
    pub flushed: bool,
}

/// What the metrics showed of one volume's writing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VolumePeriods {
    /// Volume.
    pub volume: VolumeId,
    /// Its periods, oldest first; one without a data point is absent: unknown, not zero.
    pub periods: Vec<WritePeriod>,
}
