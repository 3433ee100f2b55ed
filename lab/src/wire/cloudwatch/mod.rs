//! CloudWatch: GetMetricData over the EBS metrics of the lab's volumes, in the protocols clients choose between.
//!
//! Current SDKs speak RPC v2 CBOR (`/service/GraniteServiceVersion20100801/operation/GetMetricData`), older ones AWS JSON
//! 1.0 or Query. Metrics of anything but the caller's volumes are empty, as for any metric without data. The lab's
//! workloads only write, so the read metrics are 0. Must not know how writes come about.

mod codec;
mod pages;
mod request;
mod series;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::Response;

use crate::Lab;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::wire::form::Form;
use crate::wire::reply::Dialect;
use crate::world::{Metric, World};
use pages::Flow;
use request::{Query, Request};
use series::{Minute, Stat};

/// Answers one CloudWatch action.
///
/// # Errors
/// `ValidationError`, `MissingParameter`, `SerializationException`, `InvalidNextToken`, or `InvalidAction` and
/// `UnknownOperationException` for an action that the lab does not serve (all 400).
pub fn answer(
    lab: &Lab,
    caller: &Caller,
    (dialect, action): (Dialect, &str),
    body: &Bytes,
    request_id: &str,
) -> Result<Response<Bytes>, ApiError> {
    if action != "GetMetricData" {
        return Err(unknown(dialect, action));
    }
    let tree = match dialect {
        Dialect::Cbor => codec::tree_from_cbor(body)?,
        Dialect::Json | Dialect::RestJson => codec::tree_from_json(body)?,
        Dialect::Query | Dialect::Ec2Query => codec::tree_from_form(&Form::from_body(body)),
    };
    let request = request::read(&tree)?;
    let answer = lab.with_world(|world| {
        let flow = Flow::resume(lab.wire().sealer(), caller, &request, world.now())?;
        let queries = request.queries.iter();
        let points = queries.map(|query| points(world, caller, query, &request, flow.as_of()));
        Ok(flow.page(&request, points.collect::<Result<_, _>>()?))
    })?;
    Ok(codec::write(dialect, &answer, request_id))
}

fn unknown(dialect: Dialect, action: &str) -> ApiError {
    let code = match dialect {
        Dialect::Query | Dialect::Ec2Query => "InvalidAction",
        Dialect::Cbor | Dialect::Json | Dialect::RestJson => "UnknownOperationException",
    };
    ApiError::client(code, format!("The lab does not serve {action}"))
}

/// All data points of one query, in the order asked for.
fn points(
    world: &World,
    caller: &Caller,
    query: &Query,
    request: &Request,
    as_of: DateTime<Utc>,
) -> Result<Vec<Minute>, ApiError> {
    let stat = Stat::read(&query.stat).ok_or_else(|| {
        let message = format!("The lab does not compute the statistic {}", query.stat);
        ApiError::client("ValidationError", message)
    })?;
    let minutes = minutes(world, caller, query, request, as_of);
    let mut points = series::points(&minutes, query.period_seconds, stat, as_of);
    if request.newest_first {
        points.reverse();
    }
    Ok(points)
}

fn minutes(
    world: &World,
    caller: &Caller,
    query: &Query,
    request: &Request,
    as_of: DateTime<Utc>,
) -> Vec<Minute> {
    let [(dimension, volume)] = &query.dimensions[..] else {
        return Vec::new();
    };
    let metric = match (
        query.namespace.as_str(),
        dimension.as_str(),
        query.metric.as_str(),
    ) {
        ("AWS/EBS", "VolumeId", "VolumeWriteBytes" | "VolumeReadBytes") => Metric::VolumeWriteBytes,
        ("AWS/EBS", "VolumeId", "VolumeWriteOps" | "VolumeReadOps") => Metric::VolumeWriteOps,
        _ => return Vec::new(),
    };
    let written = query.metric.starts_with("VolumeWrite");
    let range = series::range_of((request.start, request.end), query.period_seconds);
    let sums = world.metric_minutes(caller, volume, metric, range, as_of);
    sums.iter()
        .map(|point| (point.at, if written { point.sum } else { 0.0 }))
        .collect()
}
