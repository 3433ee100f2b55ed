//! EC2's own Query protocol: form parameters in, XML out, one file per noun.
//!
//! Must not know HTTP beyond the response it builds, nor how the world works.

mod attachments;
mod copies;
mod filters;
mod instances;
mod page;
mod params;
mod places;
mod shares;
mod snapshots;
mod status;
mod tags;
mod volumes;
mod xml;

use bytes::Bytes;
use http::Response;

use crate::Lab;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::wire::form::Form;
use crate::wire::reply::{XML, respond};
use crate::world::World;

use params::Params;
use xml::Xml;

/// The API version whose shapes these are.
const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";

/// Error codes that a dry run does not find: it checks who asks for what, not states and quotas.
const NOT_FOUND_BY_DRY_RUN: [&str; 6] = [
    "IncorrectState",
    "ConcurrentSnapshotLimitExceeded",
    "SnapshotCreationPerVolumeRateExceeded",
    "ResourceLimitExceeded",
    "VolumeInUse",
    "IdempotentParameterMismatch",
];

/// One request: the world it meets, who sends it and what it says.
struct Call<'a> {
    world: &'a mut World,
    caller: &'a Caller,
    params: Params<'a>,
    action: &'a str,
}

impl Call<'_> {
    /// Ends a dry run: `DryRunOperation` when the request would be let through, else why it would not.
    /// Goes on when this is no dry run.
    fn dry_run(&self, check: impl FnOnce(&World) -> Result<(), ApiError>) -> Result<(), ApiError> {
        if !self.params.flag("DryRun")?.unwrap_or(false) {
            return Ok(());
        }
        match check(self.world) {
            Err(error) if !NOT_FOUND_BY_DRY_RUN.contains(&error.code.as_str()) => Err(error),
            Ok(()) | Err(_) => Err(ApiError::with_status(
                "DryRunOperation",
                "Request would have succeeded, but DryRun flag is set.",
                412,
            )),
        }
    }
}

/// Answers one EC2 action.
///
/// # Errors
/// Whatever the action refuses; `InvalidAction` (400) for one that the lab does not serve.
pub fn answer(
    lab: &Lab,
    caller: &Caller,
    action: &str,
    form: &Form,
    request_id: &str,
) -> Result<Response<Bytes>, ApiError> {
    let body = lab.with_world(|world| {
        let params = Params::new(form);
        dispatch(&mut Call {
            world,
            caller,
            params,
            action,
        })
    })?;
    let body = body.finish();
    Ok(respond(
        200,
        XML,
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{action}Response xmlns=\"{NAMESPACE}\">\
             <requestId>{request_id}</requestId>{body}</{action}Response>"
        ),
    ))
}

fn dispatch(call: &mut Call) -> Result<Xml, ApiError> {
    match call.action {
        "AttachVolume" => attachments::attach(call),
        "CopySnapshot" => copies::copy(call),
        "CreateSnapshot" => snapshots::create(call),
        "CreateSnapshots" => snapshots::create_set(call),
        "CreateTags" => tags::create(call),
        "CreateVolume" => volumes::create(call),
        "DeleteSnapshot" => snapshots::delete(call),
        "DeleteVolume" => volumes::delete(call),
        "DescribeAvailabilityZones" => places::zones(call),
        "DescribeInstances" => instances::describe(call),
        "DescribeRegions" => places::regions(call),
        "DescribeSnapshotAttribute" => shares::describe(call),
        "DescribeSnapshots" => snapshots::describe(call),
        "DescribeVolumeStatus" => status::describe(call),
        "DescribeVolumes" => volumes::describe(call),
        "DetachVolume" => attachments::detach(call),
        "GetEbsDefaultKmsKeyId" => places::default_key(call),
        "GetEbsEncryptionByDefault" => places::encryption_by_default(call),
        "ModifySnapshotAttribute" => shares::modify(call),
        "ModifySnapshotTier" => snapshots::modify_tier(call),
        other => {
            let message = format!("The action {other} is not valid for this web service.");
            Err(ApiError::client("InvalidAction", message))
        }
    }
}
