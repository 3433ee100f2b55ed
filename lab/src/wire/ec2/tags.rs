//! CreateTags. Must not know what tags are for.

use crate::error::ApiError;

use super::Call;
use super::xml::Xml;

/// CreateTags.
pub(super) fn create(call: &mut Call) -> Result<Xml, ApiError> {
    call.params.required("ResourceId.1")?;
    let ids = call.params.list("ResourceId");
    let tags = call.params.tags("Tag");
    call.dry_run(|world| world.check_tags(call.caller, &ids, &tags))?;
    call.world.create_tags(call.caller, &ids, &tags)?;
    Ok(Xml::done())
}
