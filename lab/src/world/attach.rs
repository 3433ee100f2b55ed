//! Attaching and detaching volumes. It must not know any wire format, nor who uses the device.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::caller::Caller;
use crate::content::Content;
use crate::error::ApiError;

use super::meter::DeviceMeter;
use super::view::well_formed;
use super::{Attachment, Instance, Volume, World, loops};

/// AttachVolume.
#[derive(Debug, Clone, Default)]
pub struct AttachRequest {
    /// The volume.
    pub volume: String,
    /// The instance.
    pub instance: String,
    /// The device name.
    pub device: String,
}

impl World {
    /// Whether AttachVolume would be accepted now.
    ///
    /// # Errors
    /// `InvalidVolume.NotFound`, `InvalidInstanceID.NotFound`, `VolumeInUse`, `IncorrectState`,
    /// `InvalidVolume.ZoneMismatch`, `InvalidParameterValue` (the device is in use).
    pub fn check_attach(&self, caller: &Caller, request: &AttachRequest) -> Result<(), ApiError> {
        let volume = self.own_volume(caller, &request.volume)?;
        let zone = self.zone_of_instance(caller, request, volume)?;
        if volume.attached(self.now).is_some() {
            let message = format!("{} is already attached to an instance", volume.id);
            return Err(ApiError::client("VolumeInUse", message));
        }
        if self.now < volume.available_at {
            let message = format!("Volume '{}' is not 'available'.", volume.id);
            return Err(ApiError::client("IncorrectState", message));
        }
        if zone != volume.zone {
            let message = format!(
                "The volume '{}' is not in the same availability zone as instance '{}'",
                volume.id, request.instance
            );
            return Err(ApiError::client("InvalidVolume.ZoneMismatch", message));
        }
        let devices = self.attached_to(&request.instance);
        let taken = devices.iter().any(|v| {
            v.attachment
                .as_ref()
                .is_some_and(|a| a.device == request.device)
        });
        if request.device.is_empty() || taken {
            let message = format!(
                "Invalid value '{}' for unixDevice. Attachment point {} is already in use",
                request.device, request.device
            );
            return Err(ApiError::client("InvalidParameterValue", message));
        }
        Ok(())
    }

    /// Attaches a volume.
    ///
    /// # Errors
    /// As [`World::check_attach`], and `InternalError` when a loop device can't be made.
    pub fn attach_volume(
        &mut self,
        caller: &Caller,
        request: &AttachRequest,
    ) -> Result<Attachment, ApiError> {
        self.check_attach(caller, request)?;
        self.make_instance(caller, request);
        let entity = format!("attach/{}", request.volume);
        let attached_at = self.now + self.takes(&entity, self.service.attach.seconds);
        let attach_time = self.now;
        let volume = self
            .volumes
            .get_mut(&request.volume)
            .expect("checked before");
        let attachment = Attachment {
            instance: request.instance.clone(),
            device: request.device.clone(),
            attach_time,
            attached_at,
            detached_at: None,
            delete_on_termination: false,
            loop_device: None,
        };
        volume.attachment = Some(attachment.clone());
        self.plug(&request.volume)?;
        Ok(attachment)
    }

    /// Gives an attached, byte-holding volume its loop device, where the lab makes any. When that fails
    /// the volume is not attached.
    pub(super) fn plug(&mut self, id: &str) -> Result<(), ApiError> {
        let now = self.now;
        let Some(volume) = self
            .volumes
            .get_mut(id)
            .filter(|_| self.settings.loop_devices)
        else {
            return Ok(());
        };
        let Content::Real(image) = &volume.content else {
            return Ok(());
        };
        let device = loops::attach(image.path()).inspect_err(|_| volume.attachment = None)?;
        volume.meter = loops::written(&device).map(|total| DeviceMeter::new(now, total));
        if let Some(attachment) = volume.attachment.as_mut() {
            attachment.loop_device = Some(device);
        }
        Ok(())
    }

    /// Looks at the counters of all loop devices.
    pub(super) fn read_meters(&mut self, now: DateTime<Utc>) {
        for volume in self.volumes.values_mut() {
            let device = volume
                .attachment
                .as_ref()
                .and_then(|a| a.loop_device.as_ref());
            let (Some(device), Some(meter)) = (device, volume.meter.as_mut()) else {
                continue;
            };
            if meter.is_due(now)
                && let Some(total) = loops::written(device)
            {
                meter.observe(now, total);
            }
        }
    }

    /// Whether DetachVolume would be accepted now.
    ///
    /// # Errors
    /// `InvalidVolume.NotFound`, `IncorrectState` when it is not attached, `InvalidAttachment.NotFound`
    /// when it is attached to another instance than the one named.
    pub fn check_detach(
        &self,
        caller: &Caller,
        id: &str,
        instance: Option<&str>,
    ) -> Result<(), ApiError> {
        let volume = self.own_volume(caller, id)?;
        let Some(attachment) = volume.attached(self.now) else {
            let message = format!("Volume '{id}' is in the 'available' state.");
            return Err(ApiError::client("IncorrectState", message));
        };
        if instance.is_some_and(|instance| instance != attachment.instance) {
            let message = format!("Volume '{id}' is not attached to the instance named.");
            return Err(ApiError::client("InvalidAttachment.NotFound", message));
        }
        Ok(())
    }

    /// Detaches a volume; returns the attachment that ends.
    ///
    /// # Errors
    /// As [`World::check_detach`], and `InternalError` when its loop device can't be freed.
    pub fn detach_volume(
        &mut self,
        caller: &Caller,
        id: &str,
        instance: Option<&str>,
    ) -> Result<Attachment, ApiError> {
        self.check_detach(caller, id, instance)?;
        let takes = self.takes(&format!("detach/{id}"), self.service.detach.seconds);
        let detached_at = self.now + takes;
        let volume = self.volumes.get_mut(id).expect("checked before");
        let attachment = volume.attachment.as_mut().expect("checked before");
        if let Some(device) = attachment.loop_device.take() {
            loops::detach(&device)?;
        }
        attachment.detached_at =
            Some(detached_at.min(attachment.detached_at.unwrap_or(detached_at)));
        Ok(attachment.clone())
    }

    /// Frees all loop devices: for the end of a server.
    ///
    /// # Errors
    /// `InternalError` when one can't be freed.
    pub fn detach_loops(&mut self) -> Result<(), ApiError> {
        let attachments = self
            .volumes
            .values_mut()
            .filter_map(|v| v.attachment.as_mut());
        for device in attachments.filter_map(|attachment| attachment.loop_device.take()) {
            loops::detach(&device)?;
        }
        Ok(())
    }

    fn zone_of_instance(
        &self,
        caller: &Caller,
        request: &AttachRequest,
        volume: &Volume,
    ) -> Result<String, ApiError> {
        match self.own_instance(caller, &request.instance) {
            Ok(instance) => Ok(instance.zone.clone()),
            Err(_) if self.any_instance(&request.instance) => Ok(volume.zone.clone()),
            Err(error) => Err(error),
        }
    }

    fn any_instance(&self, id: &str) -> bool {
        self.settings.any_instance && well_formed(id, "i-") && !self.instances.contains_key(id)
    }

    /// Without a scenario an instance exists as soon as something is attached to it.
    fn make_instance(&mut self, caller: &Caller, request: &AttachRequest) {
        if self.instances.contains_key(&request.instance) {
            return;
        }
        let instance = Instance {
            id: request.instance.clone(),
            owner: caller.account.clone(),
            region: caller.region.clone(),
            zone: self.volumes[&request.volume].zone.clone(),
            instance_type: "r6i.4xlarge".to_owned(),
            launch_time: self.now,
            tags: BTreeMap::new(),
        };
        self.instances.insert(instance.id.clone(), instance);
    }
}
