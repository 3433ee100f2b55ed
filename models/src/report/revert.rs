//! The way back after the activation, as the report tells it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::VolumeId;
use crate::progress::{Progress, TargetClosed};
use crate::units::Timestamp;

/// A revert: what the target took, how it was closed, and how long nobody wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReportedRevert {
    /// When the target's fence stood.
    pub target_fenced_at: Option<Timestamp>,
    /// Our last probe commit the target accepted.
    pub last_target_write: Option<Timestamp>,
    /// When it was known that the target never serves again, and how.
    pub target_closed_at: Option<Timestamp>,
    /// `committed`, or the state of its instance.
    pub target_closed_by: Option<String>,
    /// When the source's database served.
    pub source_reopened_at: Option<Timestamp>,
    /// Our first commit it accepted.
    pub first_source_write: Option<Timestamp>,
    /// From the target's last commit to the source's first; absent when the target could not be asked.
    pub write_downtime_seconds: Option<f64>,
    /// Position of the target at its activation.
    pub activation_lsn: Option<String>,
    /// Its last position.
    pub target_lsn: Option<String>,
    /// Its timeline.
    pub target_timeline: Option<u32>,
    /// Transactions it began in between, ours not counted; absent when nobody could count them.
    pub target_transactions: Option<u64>,
    /// The operator gave up on the source what the target took.
    pub target_writes_discarded: bool,
    /// Volumes that hold it.
    pub target_volumes: Vec<VolumeId>,
}

/// The revert of a migration, once one was begun.
pub(super) fn reported(progress: &Progress) -> Option<ReportedRevert> {
    let revert = progress.revert.as_ref()?;
    let position = revert.position.as_ref();
    let reopened = revert.reopened.as_ref();
    let closed = revert.closed.as_ref();
    let first = reopened.map(|reopened| reopened.first_source_write);
    let last = revert.fenced.map(|(_, last)| last);
    Some(ReportedRevert {
        target_fenced_at: revert.fenced.map(|(at, _)| at),
        last_target_write: last,
        target_closed_at: closed.map(|(at, _)| *at),
        target_closed_by: closed.map(|(_, how)| match how {
            TargetClosed::Committed => "committed".to_owned(),
            TargetClosed::Isolated { state } => state.clone(),
        }),
        source_reopened_at: reopened.map(|reopened| reopened.reopened_at),
        first_source_write: first,
        write_downtime_seconds: last
            .zip(first)
            .map(|(from, to)| (to - from).as_seconds_f64()),
        activation_lsn: progress.activated.as_ref().and_then(|a| a.lsn.clone()),
        target_lsn: position.map(|position| position.lsn.clone()),
        target_timeline: position.map(|position| position.timeline),
        target_transactions: position.and_then(|p| progress.target_transactions(p)),
        target_writes_discarded: progress.orders.discard_target_writes,
        target_volumes: progress.restored.iter().map(|p| p.target.clone()).collect(),
    })
}
