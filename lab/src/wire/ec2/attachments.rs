//! AttachVolume and DetachVolume. Must not know what is behind the device.

use crate::error::ApiError;
use crate::world::{AttachRequest, Attachment, Glance};

use super::Call;
use super::xml::Xml;

/// AttachVolume.
pub(super) fn attach(call: &mut Call) -> Result<Xml, ApiError> {
    let request = AttachRequest {
        volume: call.params.required("VolumeId")?.to_owned(),
        instance: call.params.required("InstanceId")?.to_owned(),
        device: call.params.required("Device")?.to_owned(),
    };
    call.dry_run(|world| world.check_attach(call.caller, &request))?;
    let attachment = call.world.attach_volume(call.caller, &request)?;
    Ok(answer(call, &request.volume, &attachment))
}

/// DetachVolume.
pub(super) fn detach(call: &mut Call) -> Result<Xml, ApiError> {
    let (id, instance) = (
        call.params.required("VolumeId")?,
        call.params.text("InstanceId"),
    );
    call.dry_run(|world| world.check_detach(call.caller, id, instance))?;
    let attachment = call.world.detach_volume(call.caller, id, instance)?;
    Ok(answer(call, id, &attachment))
}

fn answer(call: &Call, volume: &str, attachment: &Attachment) -> Xml {
    let mut xml = Xml::new();
    write(&mut xml, volume, attachment, Glance::at(call.world.now()));
    xml
}

/// An attachment as volumes show it.
pub(super) fn write(xml: &mut Xml, volume: &str, attachment: &Attachment, glance: Glance) {
    xml.text("volumeId", volume)
        .text("instanceId", &attachment.instance)
        .text("device", &attachment.device)
        .text("status", attachment.word(glance.at).unwrap_or("detached"))
        .time("attachTime", attachment.attach_time)
        .text("deleteOnTermination", attachment.delete_on_termination);
}
