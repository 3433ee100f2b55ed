//! CopySnapshot. Must not know when a copy is incremental.

use crate::error::ApiError;
use crate::world::CopyRequest;

use super::Call;
use super::xml::Xml;

/// CopySnapshot. `PresignedUrl` and `DestinationRegion` are deprecated and ignored: a copy goes to the
/// region that is called.
pub(super) fn copy(call: &mut Call) -> Result<Xml, ApiError> {
    let params = &call.params;
    let request = CopyRequest {
        source_region: params.required("SourceRegion")?.to_owned(),
        source: params.required("SourceSnapshotId")?.to_owned(),
        description: params.owned("Description").unwrap_or_default(),
        tags: params.tag_specification("snapshot")?,
        encrypted: params.flag("Encrypted")?,
        kms_key: params.owned("KmsKeyId"),
        completion_minutes: params.parsed("CompletionDurationMinutes")?,
    };
    call.dry_run(|world| world.check_copy(call.caller, &request))?;
    let id = call.world.copy_snapshot(call.caller, &request)?;
    let mut xml = Xml::new();
    xml.text("snapshotId", id).tags(&request.tags);
    Ok(xml)
}
