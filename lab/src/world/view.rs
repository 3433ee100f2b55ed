//! Who sees what, and as of when. It must not change anything but its own chance.

use chrono::{DateTime, TimeDelta, Utc};

use crate::caller::Caller;
use crate::error::ApiError;

use super::{Instance, ROOT_DEVICE, Snapshot, Volume, World};

/// How long ago something must have been made for a describe that misses to know it.
const MISSING_MINUTES: i64 = 30;

/// What a describe knows.
#[derive(Debug, Clone, Copy)]
pub struct Glance {
    /// The time as of which it answers; earlier than now when the answer is stale.
    pub at: DateTime<Utc>,
    /// It knows what was made by then; earlier than `at` when it misses something.
    pub knows: DateTime<Utc>,
}

impl Glance {
    /// A describe that knows everything that was at `at`.
    pub const fn at(at: DateTime<Utc>) -> Glance {
        Glance { at, knows: at }
    }
}

impl Volume {
    /// Whether it is its instance's root volume.
    pub fn is_root(&self) -> bool {
        self.attachment
            .as_ref()
            .is_some_and(|attachment| attachment.device == ROOT_DEVICE)
    }

    /// Most snapshots in progress (EBS user guide, quotas: 5; 1 on st1 and sc1).
    pub(crate) fn max_pending_snapshots(&self) -> usize {
        match self.volume_type.as_str() {
            "st1" | "sc1" => 1,
            _ => 5,
        }
    }
}

impl World {
    /// What the caller's next describe knows: what is now, or was some time ago under `stale_describe`; without the
    /// newest things under `missing_describe`.
    pub fn glance(&mut self, caller: &Caller, action: &str) -> Glance {
        let of = format!("{}/{}/{action}", caller.account, caller.region);
        let stale = format!("stale/{of}");
        let mut at = self.now;
        if self.chance.strikes(&stale, self.faults.stale_describe) {
            at = (at - self.takes(&stale, self.service.stale_seconds)).max(self.start);
        }
        let missing = format!("missing/{of}");
        let misses = self.chance.strikes(&missing, self.faults.missing_describe);
        let before = at - TimeDelta::minutes(MISSING_MINUTES);
        let knows = if misses { before.max(self.start) } else { at };
        Glance { at, knows }
    }

    /// The snapshots that the caller sees as of `glance`, by id.
    pub fn visible_snapshots<'a>(
        &'a self,
        caller: &'a Caller,
        glance: Glance,
    ) -> impl Iterator<Item = &'a Snapshot> {
        self.snapshots
            .values()
            .filter(move |snapshot| snapshot.visible_to(caller, glance.knows))
    }

    /// The volumes that the caller sees as of `glance`, by id.
    pub fn visible_volumes<'a>(
        &'a self,
        caller: &'a Caller,
        glance: Glance,
    ) -> impl Iterator<Item = &'a Volume> {
        self.volumes.values().filter(move |volume| {
            volume.owner == caller.account
                && volume.region == caller.region
                && glance.knows >= volume.visible_at
        })
    }

    /// The caller's instances, by id.
    pub fn visible_instances<'a>(
        &'a self,
        caller: &'a Caller,
    ) -> impl Iterator<Item = &'a Instance> {
        self.instances.values().filter(move |instance| {
            instance.owner == caller.account && instance.region == caller.region
        })
    }

    /// A snapshot that the caller may use in its region: its own or one shared with it.
    pub(crate) fn usable_snapshot(&self, caller: &Caller, id: &str) -> Result<&Snapshot, ApiError> {
        let found = self
            .snapshots
            .get(id)
            .filter(|s| s.visible_to(caller, self.now));
        found.ok_or_else(|| missing_snapshot(id))
    }

    /// A snapshot that the caller owns.
    pub(crate) fn own_snapshot(&self, caller: &Caller, id: &str) -> Result<&Snapshot, ApiError> {
        let snapshot = self.usable_snapshot(caller, id)?;
        if snapshot.owner != caller.account {
            let message = format!("You do not own the snapshot '{id}'.");
            return Err(ApiError::with_status("UnauthorizedOperation", message, 403));
        }
        Ok(snapshot)
    }

    /// A volume that the caller owns.
    pub(crate) fn own_volume(&self, caller: &Caller, id: &str) -> Result<&Volume, ApiError> {
        let found = self.volumes.get(id).filter(|volume| {
            volume.owner == caller.account
                && volume.region == caller.region
                && self.now >= volume.visible_at
        });
        found.ok_or_else(|| missing_volume(id))
    }

    /// An instance that the caller owns.
    pub(crate) fn own_instance(&self, caller: &Caller, id: &str) -> Result<&Instance, ApiError> {
        let found = self.instances.get(id).filter(|instance| {
            instance.owner == caller.account && instance.region == caller.region
        });
        found.ok_or_else(|| missing_instance(id))
    }
}

/// EC2's answer for a snapshot id that is malformed or names nothing.
pub fn missing_snapshot(id: &str) -> ApiError {
    not_found("InvalidSnapshot", "snapshot", id, "snap-")
}

/// EC2's answer for a volume id that is malformed or names nothing.
pub fn missing_volume(id: &str) -> ApiError {
    not_found("InvalidVolume", "volume", id, "vol-")
}

/// EC2's answer for an instance id that is malformed or names nothing.
pub fn missing_instance(id: &str) -> ApiError {
    not_found("InvalidInstanceID", "instance ID", id, "i-")
}

/// EC2's answer for an id that is malformed or names nothing the caller may see.
fn not_found(code: &str, noun: &str, id: &str, prefix: &str) -> ApiError {
    if !well_formed(id, prefix) {
        let message = format!("Invalid id: \"{id}\" (expecting \"{prefix}...\")");
        return match code {
            "InvalidVolume" => ApiError::client("InvalidVolumeID.Malformed", message),
            "InvalidSnapshot" => ApiError::client("InvalidSnapshotID.Malformed", message),
            other => ApiError::client(&format!("{other}.Malformed"), message),
        };
    }
    let message = format!("The {noun} '{id}' does not exist.");
    ApiError::client(&format!("{code}.NotFound"), message)
}

/// Whether an id is a prefix and letters or digits.
pub(crate) fn well_formed(id: &str, prefix: &str) -> bool {
    let rest = id.strip_prefix(prefix).unwrap_or_default();
    !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
