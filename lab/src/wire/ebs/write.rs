//! StartSnapshot, PutSnapshotBlock and CompleteSnapshot.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::Response;
use serde::Deserialize;
use serde_json::json;

use super::Call;
use super::checksum;
use super::refusal::{invalid, validation};
use super::request::{block_index, header};
use crate::content::BLOCK_LEN;
use crate::error::ApiError;
use crate::wire::reply::{JSON, respond, set_header};
use crate::world::{Snapshot, StartSnapshotRequest};

/// StartSnapshot's body.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Start {
    volume_size: Option<u64>,
    parent_snapshot_id: Option<String>,
    #[serde(default)]
    tags: Option<Vec<Tag>>,
    description: Option<String>,
    client_token: Option<String>,
    encrypted: Option<bool>,
    kms_key_arn: Option<String>,
    timeout: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: Option<String>,
    value: Option<String>,
}

impl Start {
    fn request(self) -> Result<StartSnapshotRequest, ApiError> {
        let volume_size_gib = self
            .volume_size
            .ok_or_else(|| invalid("VolumeSize is required."))?;
        let pair = |tag: Tag| {
            let key = tag
                .key
                .ok_or_else(|| validation("INVALID_TAG", "A tag has no key."))?;
            Ok((key, tag.value.unwrap_or_default()))
        };
        Ok(StartSnapshotRequest {
            volume_size_gib,
            parent: self.parent_snapshot_id,
            tags: self
                .tags
                .unwrap_or_default()
                .into_iter()
                .map(pair)
                .collect::<Result<_, ApiError>>()?,
            description: self.description.unwrap_or_default(),
            client_token: self.client_token,
            encrypted: self.encrypted,
            kms_key: self.kms_key_arn,
            timeout_minutes: self.timeout,
        })
    }
}

/// Answers StartSnapshot.
pub(super) fn start_snapshot(call: &Call) -> Result<Response<Bytes>, ApiError> {
    let start: Start = serde_json::from_slice(call.body)
        .map_err(|error| invalid(&format!("The body is malformed: {error}")))?;
    let request = start.request()?;
    let body = call.lab.with_world(|world| {
        let id = world.start_snapshot(call.caller, &request)?;
        let lost = || ApiError::internal("The snapshot just started is gone.");
        Ok(started(
            world.snapshot(&id).ok_or_else(lost)?,
            request.parent.as_deref(),
        ))
    })?;
    Ok(respond(201, JSON, body.to_string()))
}

fn started(snapshot: &Snapshot, parent: Option<&str>) -> serde_json::Value {
    let tags = snapshot
        .tags
        .iter()
        .map(|(key, value)| json!({ "Key": key, "Value": value }));
    let mut body = json!({
        "SnapshotId": snapshot.id,
        "OwnerId": snapshot.owner,
        "Status": "pending",
        "StartTime": epoch_seconds(snapshot.start_time),
        "VolumeSize": snapshot.volume_size_gib,
        "BlockSize": BLOCK_LEN,
        "Description": snapshot.description,
        "Tags": tags.collect::<Vec<_>>(),
    });
    if let Some(parent) = parent {
        body["ParentSnapshotId"] = parent.into();
    }
    if let Some(key) = &snapshot.kms_key {
        body["KmsKeyArn"] = key.as_str().into();
    }
    body
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds over centuries fit 53 bits"
)]
fn epoch_seconds(at: DateTime<Utc>) -> f64 {
    at.timestamp_millis() as f64 / 1000.0
}

/// Answers PutSnapshotBlock: the data must match its length and its checksum.
pub(super) fn put_snapshot_block(
    call: &Call,
    id: &str,
    label: &str,
) -> Result<Response<Bytes>, ApiError> {
    let block = block_index(label)?;
    let announced_len = number(call, "x-amz-data-length")?;
    if announced_len != Some(BLOCK_LEN as u64) || call.body.len() != BLOCK_LEN {
        return Err(invalid(
            "DataLength must be 524288, and the body that long.",
        ));
    }
    if number(call, "x-amz-progress")?.is_some_and(|percent| percent > 100) {
        return Err(invalid("Progress must be from 0 to 100."));
    }
    let announced = checksum::announced(&call.parts.headers)?;
    let announced = announced.ok_or_else(|| invalid("Checksum is required."))?;
    let digest = checksum::of(call.body);
    if digest != announced {
        return Err(invalid("The checksum does not match the data."));
    }
    call.lab
        .with_world(|world| world.put_snapshot_block(call.caller, id, block, call.body, digest))?;
    let mut response = respond(201, JSON, "{}");
    set_header(&mut response, "x-amz-checksum", &checksum::text(&digest));
    set_header(&mut response, "x-amz-checksum-algorithm", "SHA256");
    Ok(response)
}

/// Answers CompleteSnapshot; the snapshot is completed some time later.
pub(super) fn complete_snapshot(call: &Call, id: &str) -> Result<Response<Bytes>, ApiError> {
    let changed = number(call, "x-amz-changedblockscount")?;
    let changed = changed.ok_or_else(|| invalid("ChangedBlocksCount is required."))?;
    let aggregate = checksum::announced(&call.parts.headers)?;
    let method = header(&call.parts.headers, "x-amz-checksum-aggregation-method");
    if method.is_some_and(|method| method != "LINEAR") || (aggregate.is_some() && method.is_none())
    {
        return Err(invalid("ChecksumAggregationMethod must be LINEAR."));
    }
    call.lab
        .with_world(|world| world.complete_snapshot(call.caller, id, changed, aggregate))?;
    Ok(respond(
        202,
        JSON,
        json!({ "Status": "pending" }).to_string(),
    ))
}

fn number(call: &Call, name: &str) -> Result<Option<u64>, ApiError> {
    let Some(text) = header(&call.parts.headers, name) else {
        return Ok(None);
    };
    text.parse()
        .map(Some)
        .map_err(|_| invalid(&format!("{name} is not a non-negative number.")))
}
