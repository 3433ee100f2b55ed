//! Measures a consistency group: inventory, write history, deltas and durations, into a profile.
//!
//! Reads only, unless probe snapshots are allowed. Knows no model and draws no conclusion.

mod advice;
mod deltas;
mod inventory;
mod probe;

pub use probe::ProbePolicy;

use chrono::{DateTime, TimeDelta};
use snapmigrate_models::evidence::VolumePeriods;
use snapmigrate_models::format::Document;
use snapmigrate_models::ids::{InstanceId, VolumeId};
use snapmigrate_models::inventory::Inventory;
use snapmigrate_models::observation::{VolumeObservations, WritePeriod};
use snapmigrate_models::profile::Profile;
use snapmigrate_models::step::FailureClass;
use snapmigrate_models::units::Timestamp;

use crate::clock::Clock;
use crate::cloud::{Cloud, CloudError};

/// Metric period of the recent past: bursts are visible at one minute only.
const FINE_PERIOD_SECONDS: u32 = 60;
/// How far back the fine period reaches.
const FINE_HISTORY: TimeDelta = TimeDelta::hours(72);
/// A round that took longer is told in coarse periods: the journal keeps every one of them.
const FINE_SPAN: TimeDelta = TimeDelta::hours(12);
/// Metric period before that, enough for the rhythm of day and week.
const COARSE_PERIOD_SECONDS: u32 = 300;

/// What to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Every data volume of an instance.
    Instance(InstanceId),
    /// These volumes, all attached to one instance.
    Volumes(Vec<VolumeId>),
}

/// How to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How much write history to read.
    pub history: TimeDelta,
    /// Probe snapshots to take, if any.
    pub probe: Option<ProbePolicy>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            history: TimeDelta::days(14),
            probe: None,
        }
    }
}

/// Why a group cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// AWS refused or did not answer.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// Nothing to migrate.
    #[error(
        "instance {instance} has no data volume, only its root volume {root}: snapmigrate moves \
         data volumes; attach the database's volumes or name another instance"
    )]
    OnlyRoot {
        /// Instance.
        instance: InstanceId,
        /// Its root volume, or `none`.
        root: String,
    },
    /// A volume nothing can write to, or that is broken.
    #[error(
        "volume {volume} is {state}: a volume is measured and migrated while attached to a running \
         instance; attach it, repair it, or leave it out"
    )]
    NotInUse {
        /// Volume.
        volume: VolumeId,
        /// Its state.
        state: String,
    },
    /// Volumes that cannot be snapshotted in one set.
    #[error(
        "volumes {first} and {other} are attached to different instances: one snapshot set covers \
         one instance; measure each instance on its own"
    )]
    SeveralInstances {
        /// A volume of one instance.
        first: VolumeId,
        /// A volume of another.
        other: VolumeId,
    },
    /// A named volume is the root volume.
    #[error("volume {volume} is the root volume of {instance}: root volumes are not migrated")]
    Root {
        /// Volume.
        volume: VolumeId,
        /// Instance.
        instance: InstanceId,
    },
    /// A probe snapshot failed.
    #[error("probe snapshot {snapshot} ended in state {state}; delete it and measure again")]
    Probe {
        /// Snapshot.
        snapshot: String,
        /// State.
        state: String,
    },
}

/// Measures a group as it is now.
///
/// # Errors
/// [`MeasureError`]; nothing was changed, except that probe snapshots already taken stay, tagged.
pub async fn measure(
    cloud: &Cloud,
    clock: &Clock,
    subject: &Subject,
    options: &Options,
) -> Result<Profile, MeasureError> {
    let mut inventory = inventory::read(cloud, clock, subject).await?;
    if let Some(policy) = &options.probe {
        probe::take(cloud, clock, &inventory, policy).await?;
        inventory = inventory::read(cloud, clock, subject).await?;
    }
    let mut notes = advice::oddities(&inventory, clock.now(), options.history);
    let mut volumes = Vec::new();
    for facts in &inventory.volumes {
        let read = write_history(cloud, &facts.volume, clock.now(), options.history).await;
        let writes = noted_when_refused(read, &facts.volume, &mut notes)?;
        let observed = observe(cloud, &inventory, &facts.volume, writes, &mut notes).await?;
        volumes.push(observed);
    }
    notes.push(advice::next_probe(&volumes));
    Ok(Profile {
        format: Profile::FORMAT.to_owned(),
        inventory,
        volumes,
        notes,
    })
}

/// What stands in the account now, without its history: what a check compares a plan with. Reads only.
///
/// # Errors
/// [`MeasureError`].
pub async fn inventory(
    cloud: &Cloud,
    clock: &Clock,
    subject: &Subject,
) -> Result<Inventory, MeasureError> {
    inventory::read(cloud, clock, subject).await
}

/// Written bytes and operations of every volume in `[from, to)`, in whole periods: of one minute, of five
/// where the time is long. What rounds and gates read; the last minutes may not be published yet. A
/// volume whose metrics are refused for good is left out.
///
/// # Errors
/// [`CloudError`] of any other class.
pub async fn writes_between(
    cloud: &Cloud,
    volumes: &[VolumeId],
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<VolumePeriods>, CloudError> {
    let period_seconds = if to - from > FINE_SPAN {
        COARSE_PERIOD_SECONDS
    } else {
        FINE_PERIOD_SECONDS
    };
    let (from, to) = (aligned(from, period_seconds), aligned(to, period_seconds));
    let mut told = Vec::new();
    for volume in volumes.iter().filter(|_| from < to) {
        let volume = volume.clone();
        match cloud.write_metrics(&volume, from, to, period_seconds).await {
            Ok(periods) if periods.is_empty() => {}
            Ok(periods) => told.push(VolumePeriods { volume, periods }),
            Err(error) if error.class == FailureClass::Permanent => {}
            Err(error) => return Err(error),
        }
    }
    Ok(told)
}

async fn write_history(
    cloud: &Cloud,
    volume: &VolumeId,
    now: Timestamp,
    history: TimeDelta,
) -> Result<Vec<WritePeriod>, MeasureError> {
    let until = aligned(now, COARSE_PERIOD_SECONDS);
    let from = until - history;
    let fine_from = from.max(until - FINE_HISTORY);
    let mut writes = Vec::new();
    if from < fine_from {
        writes = cloud
            .write_metrics(volume, from, fine_from, COARSE_PERIOD_SECONDS)
            .await?;
    }
    writes.extend(
        cloud
            .write_metrics(volume, fine_from, until, FINE_PERIOD_SECONDS)
            .await?,
    );
    Ok(writes)
}

/// A profile can do without a write history that CloudWatch refuses for good, but must say so.
fn noted_when_refused(
    read: Result<Vec<WritePeriod>, MeasureError>,
    volume: &VolumeId,
    notes: &mut Vec<String>,
) -> Result<Vec<WritePeriod>, MeasureError> {
    match read {
        Err(MeasureError::Cloud(error)) if error.class == FailureClass::Permanent => {
            notes.push(format!("{volume}: CloudWatch was not read: {error}"));
            Ok(Vec::new())
        }
        read => read,
    }
}

/// Metrics are asked for on whole periods, so that no sum is cut.
fn aligned(now: Timestamp, period_seconds: u32) -> Timestamp {
    let seconds = now.timestamp() - now.timestamp().rem_euclid(i64::from(period_seconds));
    DateTime::from_timestamp(seconds, 0).unwrap_or(now)
}

async fn observe(
    cloud: &Cloud,
    inventory: &Inventory,
    volume: &VolumeId,
    writes: Vec<WritePeriod>,
    notes: &mut Vec<String>,
) -> Result<VolumeObservations, MeasureError> {
    if writes.is_empty() {
        notes.push(format!(
            "{volume}: CloudWatch has no write history; the forecast assumes one"
        ));
    }
    let measured = deltas::measure(cloud, inventory, volume, notes).await?;
    Ok(VolumeObservations {
        volume: volume.clone(),
        written_blocks: measured.written_blocks,
        writes,
        deltas: measured.deltas,
        durations: measured.durations,
    })
}
