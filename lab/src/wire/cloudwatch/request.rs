//! GetMetricData's request as plain values, read from one neutral tree whatever the protocol.
//!
//! The tree is JSON: CBOR and Query requests are turned into it first (timestamps as epoch seconds or RFC 3339 text).
//! Must not know the world nor HTTP.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::error::ApiError;

/// Most queries one GetMetricData call may hold (CloudWatch API reference, GetMetricData).
pub const QUERIES_MAX: usize = 500;
/// Most data points one GetMetricData answer may hold (CloudWatch API reference, GetMetricData).
pub const POINTS_MAX: usize = 100_800;

/// One GetMetricData request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What to look up, in the caller's order.
    pub queries: Vec<Query>,
    /// Start of the time range, inclusive.
    pub start: DateTime<Utc>,
    /// End of the time range, exclusive.
    pub end: DateTime<Utc>,
    /// Token of the page wanted.
    pub next_token: Option<String>,
    /// Newest data points first (the service's default).
    pub newest_first: bool,
    /// Most data points wanted in one answer.
    pub points_max: usize,
}

/// One MetricDataQuery holding a MetricStat.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The caller's id of the query.
    pub id: String,
    /// The label to show; the metric's name when the caller gave none.
    pub label: String,
    /// Metric namespace, for example `AWS/EBS`.
    pub namespace: String,
    /// Metric name, for example `VolumeWriteBytes`.
    pub metric: String,
    /// Dimension names and values.
    pub dimensions: Vec<(String, String)>,
    /// Period of one data point in seconds.
    pub period_seconds: i64,
    /// Statistic, for example `Sum`.
    pub stat: String,
}

/// Reads a request from the neutral tree.
///
/// # Errors
/// `ValidationError`, `MissingParameter` or `InvalidParameterValue` (400), naming the parameter.
pub fn read(tree: &Value) -> Result<Request, ApiError> {
    let queries = tree.get("MetricDataQueries").and_then(Value::as_array);
    let queries = queries
        .filter(|list| !list.is_empty())
        .ok_or_else(|| missing("MetricDataQueries"))?;
    if queries.len() > QUERIES_MAX {
        return Err(invalid(format!(
            "MetricDataQueries holds more than {QUERIES_MAX} members"
        )));
    }
    let (start, end) = (time(tree, "StartTime")?, time(tree, "EndTime")?);
    if start >= end {
        return Err(invalid(
            "The parameter StartTime must be less than the parameter EndTime".to_owned(),
        ));
    }
    let shown = queries.iter().filter(|query| returns_data(query));
    Ok(Request {
        queries: shown.map(read_query).collect::<Result<_, _>>()?,
        start,
        end,
        next_token: text(tree, "NextToken"),
        newest_first: read_order(tree)?,
        points_max: read_points_max(tree)?,
    })
}

fn read_order(tree: &Value) -> Result<bool, ApiError> {
    match text(tree, "ScanBy").as_deref() {
        None | Some("TimestampDescending") => Ok(true),
        Some("TimestampAscending") => Ok(false),
        Some(other) => Err(invalid(format!("ScanBy can't be {other}"))),
    }
}

fn read_points_max(tree: &Value) -> Result<usize, ApiError> {
    let Some(wanted) = integer(tree, "MaxDatapoints") else {
        return Ok(POINTS_MAX);
    };
    let wanted = usize::try_from(wanted)
        .ok()
        .filter(|wanted| (1..=POINTS_MAX).contains(wanted));
    wanted.ok_or_else(|| invalid(format!("MaxDatapoints must be from 1 to {POINTS_MAX}")))
}

fn returns_data(query: &Value) -> bool {
    match query.get("ReturnData") {
        Some(Value::Bool(wanted)) => *wanted,
        Some(Value::String(wanted)) => wanted != "false",
        _ => true,
    }
}

fn read_query(query: &Value) -> Result<Query, ApiError> {
    let id = text(query, "Id").ok_or_else(|| missing("MetricDataQueries.member.N.Id"))?;
    let stat = query.get("MetricStat").ok_or_else(|| {
        invalid(format!(
            "query {id} holds no MetricStat: the lab evaluates no metric expressions"
        ))
    })?;
    let metric = stat
        .get("Metric")
        .ok_or_else(|| missing("MetricStat.Metric"))?;
    let name = text(metric, "MetricName").ok_or_else(|| missing("MetricStat.Metric.MetricName"))?;
    Ok(Query {
        label: text(query, "Label").unwrap_or_else(|| name.clone()),
        namespace: text(metric, "Namespace")
            .ok_or_else(|| missing("MetricStat.Metric.Namespace"))?,
        metric: name,
        dimensions: read_dimensions(metric)?,
        period_seconds: read_period(stat)?,
        stat: text(stat, "Stat").ok_or_else(|| missing("MetricStat.Stat"))?,
        id,
    })
}

fn read_dimensions(metric: &Value) -> Result<Vec<(String, String)>, ApiError> {
    let list = metric
        .get("Dimensions")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let pair = |dimension: &Value| {
        let name = text(dimension, "Name").ok_or_else(|| missing("Dimensions.member.N.Name"))?;
        Ok((
            name,
            text(dimension, "Value").ok_or_else(|| missing("Dimensions.member.N.Value"))?,
        ))
    };
    list.iter().map(pair).collect()
}

/// Periods are 1, 5, 10, 20, 30 or a multiple of 60 seconds (CloudWatch API reference, MetricStat).
fn read_period(stat: &Value) -> Result<i64, ApiError> {
    let period = integer(stat, "Period").ok_or_else(|| missing("MetricStat.Period"))?;
    let short = [1, 5, 10, 20, 30].contains(&period);
    if short || (period >= 60 && period % 60 == 0) {
        return Ok(period);
    }
    Err(invalid(format!(
        "Period {period} must be 1, 5, 10, 20, 30, or a multiple of 60"
    )))
}

fn text(tree: &Value, name: &str) -> Option<String> {
    tree.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn integer(tree: &Value, name: &str) -> Option<i64> {
    let value = tree.get(name)?;
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn time(tree: &Value, name: &str) -> Result<DateTime<Utc>, ApiError> {
    let value = tree
        .get(name)
        .filter(|value| !value.is_null())
        .ok_or_else(|| missing(name))?;
    let parsed = match value {
        Value::String(text) => text.parse().ok().or_else(|| from_epoch(text.parse().ok()?)),
        other => other.as_f64().and_then(from_epoch),
    };
    parsed.ok_or_else(|| invalid(format!("{name} is not a timestamp: {value}")))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "an epoch in milliseconds; float casts saturate"
)]
fn from_epoch(seconds: f64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis((seconds * 1000.0).round() as i64)
}

fn missing(name: &str) -> ApiError {
    ApiError::client(
        "MissingParameter",
        format!("The parameter {name} is required"),
    )
}

fn invalid(message: String) -> ApiError {
    ApiError::client("ValidationError", message)
}
