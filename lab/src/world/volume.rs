//! A volume: what it is, what it holds and where it is attached. It must not know any wire format.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, Utc};

use crate::content::Content;
use crate::workload::Workload;

use super::meter::DeviceMeter;

/// An attachment, whole or under way.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// The instance.
    pub instance: String,
    /// The device name asked for.
    pub device: String,
    /// When AttachVolume was called.
    pub attach_time: DateTime<Utc>,
    /// From when it is attached.
    pub attached_at: DateTime<Utc>,
    /// From when it is detached, once DetachVolume was called.
    pub detached_at: Option<DateTime<Utc>>,
    /// Whether it ends with the instance.
    pub delete_on_termination: bool,
    /// The loop device, in a server with loop devices.
    pub loop_device: Option<PathBuf>,
}

impl Attachment {
    /// The word of the API at `at`; none when it is over.
    pub fn word(&self, at: DateTime<Utc>) -> Option<&'static str> {
        match self.detached_at {
            Some(end) if at >= end => None,
            Some(_) => Some("detaching"),
            None if at >= self.attached_at => Some("attached"),
            None => Some("attaching"),
        }
    }
}

/// A volume.
#[derive(Debug, Clone)]
pub struct Volume {
    /// Its id.
    pub id: String,
    /// The account that owns it.
    pub owner: String,
    /// Its region.
    pub region: String,
    /// Its availability zone.
    pub zone: String,
    /// Its size in GiB.
    pub size_gib: u64,
    /// Its type.
    pub volume_type: String,
    /// Provisioned or baseline IOPS.
    pub iops: Option<u32>,
    /// Provisioned throughput in MiB/s (gp3).
    pub throughput: Option<u32>,
    /// The key it is encrypted with.
    pub kms_key: Option<String>,
    /// The snapshot it was made from, as shown; empty when none.
    pub snapshot_id: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// When it was created.
    pub create_time: DateTime<Utc>,
    /// From when describes know it.
    pub visible_at: DateTime<Utc>,
    /// From when it is `available`.
    pub available_at: DateTime<Utc>,
    /// From when all its blocks are loaded.
    pub initialized_at: DateTime<Utc>,
    /// MiB/s asked for with VolumeInitializationRate.
    pub initialization_rate: Option<u32>,
    /// Where it is attached.
    pub attachment: Option<Attachment>,
    /// The family of its snapshots.
    pub family: String,
    /// The snapshot of its family that it was made from: the first delta counts from there.
    pub base: Option<String>,
    /// What it holds.
    pub content: Content,
    /// The processes that write to it: the database's volumes have one, even an idle one.
    pub workload: Option<Workload>,
    /// What is really written to its loop device, when it has one.
    pub meter: Option<DeviceMeter>,
    /// When a snapshot of it was last requested.
    pub last_snapshot_request: Option<DateTime<Utc>>,
}

impl Volume {
    /// The word of the API for its state at `at`.
    pub fn state_word(&self, at: DateTime<Utc>) -> &'static str {
        if at < self.available_at {
            return "creating";
        }
        match self
            .attachment
            .as_ref()
            .and_then(|attachment| attachment.word(at))
        {
            Some(_) => "in-use",
            None => "available",
        }
    }

    /// The attachment that is not over at `at`.
    pub fn attached(&self, at: DateTime<Utc>) -> Option<&Attachment> {
        self.attachment
            .as_ref()
            .filter(|attachment| attachment.word(at).is_some())
    }
}
