//! Creating and deleting volumes. It must not know any wire format.

use chrono::{DateTime, Utc};

use crate::caller::Caller;
use crate::error::ApiError;

use super::keys::{default_key, key_arn};
use super::tokens::Seen;
use super::zones::zone_name;
use super::{Snapshot, Tags, Volume, World, content_failed, tags};

/// Sum of all initialization rates asked for in a region, MiB/s (EBS user guide, quotas).
const MAX_INITIALIZATION_MIB_PER_SECOND: u32 = 5000;

/// CreateVolume.
#[derive(Debug, Clone, Default)]
pub struct CreateVolumeRequest {
    /// The zone's name.
    pub zone: Option<String>,
    /// The zone's id, instead.
    pub zone_id: Option<String>,
    /// Its size in GiB; the snapshot's when absent.
    pub size_gib: Option<u64>,
    /// The snapshot it is made from.
    pub snapshot: Option<String>,
    /// Its type; gp2 when absent.
    pub volume_type: Option<String>,
    /// Provisioned IOPS.
    pub iops: Option<u32>,
    /// Provisioned throughput, MiB/s.
    pub throughput: Option<u32>,
    /// Whether it is encrypted.
    pub encrypted: Option<bool>,
    /// The key it is encrypted with.
    pub kms_key: Option<String>,
    /// MiB/s at which its blocks are loaded (100 to 300).
    pub initialization_rate: Option<u32>,
    /// Its tags.
    pub tags: Tags,
    /// Makes a repeated request answer with the same volume.
    pub client_token: Option<String>,
}

/// A request that was found good: where it goes and how large it is.
#[derive(Debug)]
struct Checked {
    zone: String,
    size_gib: u64,
}

impl World {
    /// Whether CreateVolume would be accepted now.
    ///
    /// # Errors
    /// `InvalidZone.NotFound`, `InvalidSnapshot.NotFound`, `IncorrectState` (snapshot not completed),
    /// `InvalidParameterValue`, `MissingParameter`, `UnknownVolumeType`, `ResourceLimitExceeded`.
    pub fn check_volume(
        &self,
        caller: &Caller,
        request: &CreateVolumeRequest,
    ) -> Result<(), ApiError> {
        self.checked_volume(caller, request).map(|_| ())
    }

    /// Creates a volume; returns its id.
    ///
    /// # Errors
    /// As [`World::check_volume`], and `IdempotentParameterMismatch` for a client token that was used
    /// with other parameters.
    pub fn create_volume(
        &mut self,
        caller: &Caller,
        request: &CreateVolumeRequest,
    ) -> Result<String, ApiError> {
        let described = format!("{request:?}");
        let token = request.client_token.clone().unwrap_or_default();
        if !token.is_empty() {
            match self.volume_tokens.look(caller, &token, &described) {
                Seen::Same(id) => return Ok(id),
                Seen::Different => return Err(mismatch()),
                Seen::New => {}
            }
        }
        let checked = self.checked_volume(caller, request)?;
        let id = self.ids.next("vol");
        let volume = self.new_volume(caller, request, &id, checked)?;
        self.volumes.insert(id.clone(), volume);
        if !token.is_empty() {
            self.volume_tokens.remember(caller, &token, described, &id);
        }
        Ok(id)
    }

    /// Whether DeleteVolume would be accepted now.
    ///
    /// # Errors
    /// `InvalidVolume.NotFound`, `VolumeInUse`.
    pub fn check_delete_volume(&self, caller: &Caller, id: &str) -> Result<(), ApiError> {
        let volume = self.own_volume(caller, id)?;
        if volume.attached(self.now).is_some() {
            let message = format!("Volume {id} is currently attached.");
            return Err(ApiError::client("VolumeInUse", message));
        }
        Ok(())
    }

    /// Deletes a volume.
    ///
    /// # Errors
    /// As [`World::check_delete_volume`].
    pub fn delete_volume(&mut self, caller: &Caller, id: &str) -> Result<(), ApiError> {
        self.check_delete_volume(caller, id)?;
        let volume = self.volumes.remove(id).expect("checked before");
        volume.content.discard().map_err(content_failed)
    }

    fn checked_volume(
        &self,
        caller: &Caller,
        request: &CreateVolumeRequest,
    ) -> Result<Checked, ApiError> {
        tags::check(&request.tags)?;
        let (name, id) = (request.zone.as_deref(), request.zone_id.as_deref());
        let Some(zone) = zone_name(&caller.region, name, id) else {
            let message = format!(
                "The zone '{}' does not exist.",
                name.or(id).unwrap_or_default()
            );
            return Err(ApiError::client("InvalidZone.NotFound", message));
        };
        let snapshot = self.restorable(caller, request)?;
        let size_gib = size_of(request, snapshot)?;
        check_type(request.volume_type.as_deref().unwrap_or("gp2"), size_gib)?;
        self.check_initialization(caller, request)?;
        Ok(Checked { zone, size_gib })
    }

    fn restorable(
        &self,
        caller: &Caller,
        request: &CreateVolumeRequest,
    ) -> Result<Option<&Snapshot>, ApiError> {
        let Some(id) = request.snapshot.as_deref() else {
            return Ok(None);
        };
        let snapshot = self.usable_snapshot(caller, id)?;
        if !snapshot.usable(self.now) {
            let message = format!("Snapshot '{id}' is not 'completed'.");
            return Err(ApiError::client("IncorrectState", message));
        }
        Ok(Some(snapshot))
    }

    fn check_initialization(
        &self,
        caller: &Caller,
        request: &CreateVolumeRequest,
    ) -> Result<(), ApiError> {
        let Some(rate) = request.initialization_rate else {
            return Ok(());
        };
        if !(100..=300).contains(&rate) || request.snapshot.is_none() {
            let message = "VolumeInitializationRate must be between 100 and 300, with a snapshot.";
            return Err(invalid(message));
        }
        let busy = self.volumes.values().filter(|volume| {
            volume.owner == caller.account
                && volume.region == caller.region
                && volume.initialized_at > self.now
        });
        let used: u32 = busy.filter_map(|volume| volume.initialization_rate).sum();
        if used + rate > MAX_INITIALIZATION_MIB_PER_SECOND {
            let message = "The cumulative volume initialization rate quota is used up.";
            return Err(ApiError::client("ResourceLimitExceeded", message));
        }
        Ok(())
    }

    fn new_volume(
        &mut self,
        caller: &Caller,
        request: &CreateVolumeRequest,
        id: &str,
        checked: Checked,
    ) -> Result<Volume, ApiError> {
        let takes = self.takes(&format!("volume/{id}"), self.service.volume_create.seconds);
        let available_at = self.now + takes;
        let visible_at = self.seen_from(id);
        let snapshot = request.snapshot.as_ref().map(|id| &self.snapshots[id]);
        let content = match snapshot.and_then(|snapshot| snapshot.content.as_ref()) {
            Some(content) => content.to_volume(id, checked.size_gib),
            None => self.storage.volume(id, checked.size_gib, 0.0),
        }
        .map_err(content_failed)?;
        let kms_key = volume_key(caller, request, snapshot);
        let inherits = snapshot.filter(|s| s.owner == caller.account && s.kms_key == kms_key);
        let family = inherits.map_or_else(|| format!("family/{id}"), |s| s.family.clone());
        let base = inherits.map(|s| s.id.clone());
        let full_bytes = snapshot.map_or(0, |s| s.full_bytes);
        let initialized_at = self.initialized_at(request, id, available_at, full_bytes);
        let volume_type = request
            .volume_type
            .clone()
            .unwrap_or_else(|| "gp2".to_owned());
        Ok(Volume {
            id: id.to_owned(),
            owner: caller.account.clone(),
            region: caller.region.clone(),
            zone: checked.zone,
            size_gib: checked.size_gib,
            iops: request
                .iops
                .or_else(|| baseline_iops(&volume_type, checked.size_gib)),
            throughput: request.throughput.or((volume_type == "gp3").then_some(125)),
            volume_type,
            kms_key,
            snapshot_id: request.snapshot.clone().unwrap_or_default(),
            tags: request.tags.clone(),
            create_time: self.now,
            visible_at,
            available_at,
            initialized_at,
            initialization_rate: request.initialization_rate,
            attachment: None,
            family,
            base,
            content,
            workload: None,
            meter: None,
            last_snapshot_request: None,
        })
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "volumes are far below 2^53 bytes"
    )]
    fn initialized_at(
        &mut self,
        request: &CreateVolumeRequest,
        id: &str,
        available_at: DateTime<Utc>,
        full_bytes: u64,
    ) -> DateTime<Utc> {
        let mib = full_bytes as f64 / 1_048_576.0;
        let mut rng = self.chance.stream(&format!("initialize/{id}"));
        let rate = match request.initialization_rate {
            Some(rate) => f64::from(rate),
            None => self.service.initialize.mib_per_second.draw(&mut rng),
        };
        available_at + self.scaled(mib / rate)
    }
}

fn size_of(request: &CreateVolumeRequest, snapshot: Option<&Snapshot>) -> Result<u64, ApiError> {
    let least = snapshot.map_or(1, |snapshot| snapshot.volume_size_gib);
    match request.size_gib {
        None if snapshot.is_none() => {
            let message = "The request must contain the parameter size or snapshotId";
            Err(ApiError::client("MissingParameter", message))
        }
        None => Ok(least),
        Some(size) if size < least => Err(invalid(&format!(
            "The volume of {size} GiB is smaller than the snapshot's {least}."
        ))),
        Some(size) => Ok(size),
    }
}

/// Sizes per volume type (EC2 API reference, CreateVolume).
fn check_type(volume_type: &str, size_gib: u64) -> Result<(), ApiError> {
    let (least, most) = match volume_type {
        "gp3" => (1, 65_536),
        "io2" => (4, 65_536),
        "io1" => (4, 16_384),
        "gp2" => (1, 16_384),
        "st1" | "sc1" => (125, 16_384),
        "standard" => (1, 1024),
        other => {
            let message = format!("Unsupported volume type '{other}'.");
            return Err(ApiError::client("UnknownVolumeType", message));
        }
    };
    if !(least..=most).contains(&size_gib) {
        let message = format!("Volume of {size_gib}GiB: {volume_type} takes {least} to {most}.");
        return Err(invalid(&message));
    }
    Ok(())
}

fn baseline_iops(volume_type: &str, size_gib: u64) -> Option<u32> {
    match volume_type {
        "gp3" => Some(3000),
        "gp2" => u32::try_from((size_gib * 3).clamp(100, 16_000)).ok(),
        _ => None,
    }
}

fn volume_key(
    caller: &Caller,
    request: &CreateVolumeRequest,
    snapshot: Option<&Snapshot>,
) -> Option<String> {
    if let Some(named) = &request.kms_key {
        return Some(key_arn(caller, named));
    }
    let inherited = snapshot.and_then(|snapshot| snapshot.kms_key.clone());
    let wanted = request.encrypted.unwrap_or(false);
    inherited.or_else(|| wanted.then(|| default_key(caller)))
}

fn mismatch() -> ApiError {
    ApiError::client(
        "IdempotentParameterMismatch",
        "The client token you have provided is associated with a resource with different parameters.",
    )
}

fn invalid(message: &str) -> ApiError {
    ApiError::client("InvalidParameterValue", message)
}
