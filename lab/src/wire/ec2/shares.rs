//! Sharing of snapshots: ModifySnapshotAttribute and DescribeSnapshotAttribute.
//! Must not know who sees what.

use crate::error::ApiError;
use crate::world::{ShareRequest, missing_snapshot};

use super::Call;
use super::params::Params;
use super::xml::Xml;

/// ModifySnapshotAttribute, in both of its forms: `CreateVolumePermission.Add/Remove`, and
/// `OperationType` with `UserId` and `UserGroup`.
pub(super) fn modify(call: &mut Call) -> Result<Xml, ApiError> {
    attribute(&call.params)?;
    let request = read(&call.params)?;
    call.dry_run(|world| world.check_share(call.caller, &request))?;
    call.world.share_snapshot(call.caller, &request)?;
    Ok(Xml::done())
}

/// DescribeSnapshotAttribute; for the owner.
pub(super) fn describe(call: &mut Call) -> Result<Xml, ApiError> {
    let id = call.params.required("SnapshotId")?;
    call.params.required("Attribute")?;
    attribute(&call.params)?;
    call.dry_run(|world| world.check_delete_snapshot(call.caller, id))?;
    call.world.check_delete_snapshot(call.caller, id)?;
    let snapshot = call
        .world
        .snapshot(id)
        .ok_or_else(|| missing_snapshot(id))?;
    let mut xml = Xml::new();
    xml.text("snapshotId", id);
    xml.list(
        "createVolumePermission",
        &snapshot.permissions,
        |xml, who| {
            let name = if who == "all" { "group" } else { "userId" };
            xml.text(name, who);
        },
    );
    Ok(xml)
}

fn attribute(params: &Params) -> Result<(), ApiError> {
    match params.text("Attribute") {
        None | Some("createVolumePermission") => Ok(()),
        Some(other) => {
            let message = format!("The attribute '{other}' is not served here.");
            Err(ApiError::client("InvalidParameterValue", message))
        }
    }
}

fn read(params: &Params) -> Result<ShareRequest, ApiError> {
    let mut request = ShareRequest {
        snapshot: params.required("SnapshotId")?.to_owned(),
        add: nested(params, "Add"),
        remove: nested(params, "Remove"),
    };
    let mut flat = params.list("UserId");
    flat.extend(params.list("UserGroup"));
    match (flat.is_empty(), params.text("OperationType")) {
        (true, _) => {}
        (false, Some("add")) => request.add.extend(flat),
        (false, Some("remove")) => request.remove.extend(flat),
        (false, _) => {
            let message = "OperationType must be add or remove.";
            return Err(ApiError::client("InvalidParameterValue", message));
        }
    }
    Ok(request)
}

fn nested(params: &Params, operation: &str) -> Vec<String> {
    let each = params.structures(&format!("CreateVolumePermission.{operation}"));
    let who = |prefix: String| {
        let user = params.owned(&format!("{prefix}UserId"));
        user.or_else(|| params.owned(&format!("{prefix}Group")))
    };
    each.into_iter().filter_map(who).collect()
}
