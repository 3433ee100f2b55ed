//! GetMetricData in three protocols: CBOR, JSON and Query. Each request becomes one neutral tree, each answer is written
//! from one [`Answer`].
//!
//! Must not know what the metrics mean.

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use ciborium::Value as Cbor;
use http::Response;
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::wire::form::Form;
use crate::wire::reply::{self, Dialect, JSON_1_0, XML, escape, respond};

/// One page of results.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// One entry for every query of the request, in its order.
    pub results: Vec<Series>,
    /// Token of the next page; `None` on the last.
    pub next_token: Option<String>,
}

/// The data points of one query on this page.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The query's id.
    pub id: String,
    /// The query's label.
    pub label: String,
    /// Start of each period, and the statistic over it.
    pub points: Vec<(DateTime<Utc>, f64)>,
    /// `Complete`, or `PartialData` when later pages hold more.
    pub status: &'static str,
}

/// Reads a CBOR body into the neutral tree.
///
/// # Errors
/// `SerializationException` (400) when the body is not a CBOR value the tree can hold.
pub fn tree_from_cbor(body: &[u8]) -> Result<Value, ApiError> {
    let broken = |what: String| ApiError::client("SerializationException", what);
    let value: Cbor = ciborium::from_reader(body).map_err(|error| broken(error.to_string()))?;
    tree(value)
        .ok_or_else(|| broken("the body holds a value that GetMetricData does not take".to_owned()))
}

/// Reads a JSON body into the neutral tree.
///
/// # Errors
/// `SerializationException` (400) when the body is not JSON.
pub fn tree_from_json(body: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::client("SerializationException", error.to_string()))
}

fn tree(value: Cbor) -> Option<Value> {
    Some(match value {
        Cbor::Null => Value::Null,
        Cbor::Bool(flag) => Value::Bool(flag),
        Cbor::Text(text) => Value::String(text),
        Cbor::Integer(number) => json!(i64::try_from(number).ok()?),
        Cbor::Float(number) => json!(number),
        Cbor::Tag(1, inner) => tree(*inner)?,
        Cbor::Array(items) => Value::Array(items.into_iter().map(tree).collect::<Option<_>>()?),
        Cbor::Map(entries) => {
            let entry = |(name, value): (Cbor, Cbor)| Some((name.into_text().ok()?, tree(value)?));
            Value::Object(
                entries
                    .into_iter()
                    .map(entry)
                    .collect::<Option<Map<_, _>>>()?,
            )
        }
        _ => return None,
    })
}

/// Reads a Query form into the neutral tree.
pub fn tree_from_form(form: &Form) -> Value {
    let mut root = Map::new();
    for name in [
        "StartTime",
        "EndTime",
        "NextToken",
        "ScanBy",
        "MaxDatapoints",
    ] {
        copy(form, name, name, &mut root);
    }
    let queries = members(form, "MetricDataQueries").map(|prefix| query_from_form(form, &prefix));
    root.insert("MetricDataQueries".to_owned(), queries.collect());
    Value::Object(root)
}

fn query_from_form(form: &Form, prefix: &str) -> Value {
    let mut query = Map::new();
    for name in ["Id", "Label", "ReturnData", "Expression"] {
        copy(form, &format!("{prefix}.{name}"), name, &mut query);
    }
    let stat_prefix = format!("{prefix}.MetricStat");
    if form.has_prefix(&format!("{stat_prefix}.")) {
        query.insert("MetricStat".to_owned(), stat_from_form(form, &stat_prefix));
    }
    Value::Object(query)
}

fn stat_from_form(form: &Form, prefix: &str) -> Value {
    let (mut stat, mut metric) = (Map::new(), Map::new());
    for name in ["Period", "Stat", "Unit"] {
        copy(form, &format!("{prefix}.{name}"), name, &mut stat);
    }
    for name in ["Namespace", "MetricName"] {
        copy(form, &format!("{prefix}.Metric.{name}"), name, &mut metric);
    }
    let dimension = |prefix: String| {
        let mut dimension = Map::new();
        copy(form, &format!("{prefix}.Name"), "Name", &mut dimension);
        copy(form, &format!("{prefix}.Value"), "Value", &mut dimension);
        Value::Object(dimension)
    };
    let dimensions = members(form, &format!("{prefix}.Metric.Dimensions")).map(dimension);
    metric.insert("Dimensions".to_owned(), dimensions.collect());
    stat.insert("Metric".to_owned(), Value::Object(metric));
    Value::Object(stat)
}

fn members<'a>(form: &'a Form, list: &str) -> impl Iterator<Item = String> + 'a {
    let list = list.to_owned();
    let prefix = move |n: usize| format!("{list}.member.{n}");
    (1..)
        .map(prefix)
        .take_while(|prefix| form.has_prefix(&format!("{prefix}.")))
}

fn copy(form: &Form, from: &str, to: &str, into: &mut Map<String, Value>) {
    if let Some(value) = form.get(from) {
        into.insert(to.to_owned(), Value::String(value.to_owned()));
    }
}

/// Writes the answer in the caller's protocol.
pub fn write(dialect: Dialect, answer: &Answer, request_id: &str) -> Response<Bytes> {
    match dialect {
        Dialect::Cbor => reply::cbor(200, &cbor(answer)),
        Dialect::Json | Dialect::RestJson => respond(200, JSON_1_0, json_body(answer).to_string()),
        Dialect::Query | Dialect::Ec2Query => respond(200, XML, xml(answer, request_id)),
    }
}

fn cbor(answer: &Answer) -> Cbor {
    let text = |value: &str| Cbor::Text(value.to_owned());
    let time = |at: &DateTime<Utc>| Cbor::Tag(1, Box::new(Cbor::Integer(at.timestamp().into())));
    let series = |series: &Series| {
        Cbor::Map(vec![
            (text("Id"), text(&series.id)),
            (text("Label"), text(&series.label)),
            (
                text("Timestamps"),
                series
                    .points
                    .iter()
                    .map(|(at, _)| time(at))
                    .collect::<Vec<_>>()
                    .into(),
            ),
            (
                text("Values"),
                series
                    .points
                    .iter()
                    .map(|(_, v)| Cbor::Float(*v))
                    .collect::<Vec<_>>()
                    .into(),
            ),
            (text("StatusCode"), text(series.status)),
        ])
    };
    let results = answer.results.iter().map(series).collect();
    let mut body = vec![
        (text("MetricDataResults"), Cbor::Array(results)),
        (text("Messages"), Cbor::Array(Vec::new())),
    ];
    body.extend(
        answer
            .next_token
            .iter()
            .map(|token| (text("NextToken"), text(token))),
    );
    Cbor::Map(body)
}

fn json_body(answer: &Answer) -> Value {
    let series = |series: &Series| {
        json!({
            "Id": series.id,
            "Label": series.label,
            "Timestamps": series.points.iter().map(|(at, _)| at.timestamp()).collect::<Vec<_>>(),
            "Values": series.points.iter().map(|(_, value)| *value).collect::<Vec<_>>(),
            "StatusCode": series.status,
        })
    };
    let results: Vec<Value> = answer.results.iter().map(series).collect();
    let mut body = json!({ "MetricDataResults": results, "Messages": [] });
    if let Some(token) = &answer.next_token {
        body["NextToken"] = json!(token);
    }
    body
}

fn xml(answer: &Answer, request_id: &str) -> String {
    let member = |text: String| format!("<member>{text}</member>");
    let time = |at: &DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let series = |series: &Series| {
        let times: String = series
            .points
            .iter()
            .map(|(at, _)| member(time(at)))
            .collect();
        let values: String = series
            .points
            .iter()
            .map(|(_, value)| member(value.to_string()))
            .collect();
        member(format!(
            "<Timestamps>{times}</Timestamps><Values>{values}</Values><Label>{}</Label><Id>{}</Id><StatusCode>{}</StatusCode>",
            escape(&series.label),
            escape(&series.id),
            series.status,
        ))
    };
    let results: String = answer.results.iter().map(series).collect();
    let next = answer
        .next_token
        .as_deref()
        .map(|token| format!("<NextToken>{token}</NextToken>"));
    format!(
        "<GetMetricDataResponse xmlns=\"http://monitoring.amazonaws.com/doc/2010-08-01/\"><GetMetricDataResult><MetricDataResults>{results}</MetricDataResults><Messages/>{}</GetMetricDataResult><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></GetMetricDataResponse>",
        next.unwrap_or_default(),
    )
}
