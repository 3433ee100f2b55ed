//! SSM: RunCommand, and the parameter store's PutParameter, GetParameter and DeleteParameter (AWS JSON 1.1).
//!
//! PutParameter without Overwrite is an atomic create, which makes it a lock. Values are kept as they are:
//! `SecureString` is stored, not encrypted. Must not know how parameters are kept.

pub mod command;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::Response;
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::error::ApiError;
use crate::wire::reply::{JSON_1_1, respond};
use crate::world::{Parameter, World};

/// Longest value of a standard parameter, in bytes (SSM API reference, PutParameter).
const VALUE_BYTES_MAX: usize = 4096;

/// Answers one SSM action.
///
/// # Errors
/// `ParameterAlreadyExists`, `ParameterNotFound`, `ValidationException`, `SerializationException` or
/// `UnknownOperationException` (400).
pub fn answer(
    action: &str,
    caller: &Caller,
    body: &[u8],
    world: &mut World,
) -> Result<Response<Bytes>, ApiError> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| ApiError::client("SerializationException", error.to_string()))?;
    let result = match action {
        "PutParameter" => put(caller, &body, world)?,
        "GetParameter" => {
            let name = text(&body, "Name")?;
            json!({ "Parameter": view(caller, name, world.parameter(caller, name)?) })
        }
        "DeleteParameter" => {
            world.delete_parameter(caller, text(&body, "Name")?)?;
            json!({})
        }
        other => {
            let message = format!("The lab does not serve {other}");
            return Err(ApiError::client("UnknownOperationException", message));
        }
    };
    Ok(respond(200, JSON_1_1, result.to_string()))
}

fn put(caller: &Caller, body: &Value, world: &mut World) -> Result<Value, ApiError> {
    let (name, value) = (text(body, "Name")?, text(body, "Value")?);
    let kind = body.get("Type").and_then(Value::as_str).unwrap_or("String");
    if !["String", "StringList", "SecureString"].contains(&kind) {
        return Err(ApiError::client(
            "UnsupportedParameterType",
            format!("{kind} is not supported"),
        ));
    }
    if value.is_empty() || value.len() > VALUE_BYTES_MAX {
        return Err(invalid(&format!(
            "Value must have 1 to {VALUE_BYTES_MAX} bytes"
        )));
    }
    let overwrite = body
        .get("Overwrite")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let version = world.put_parameter(caller, name, value, kind, overwrite)?;
    Ok(json!({ "Version": version, "Tier": "Standard" }))
}

fn view(caller: &Caller, name: &str, parameter: &Parameter) -> Value {
    let slash = if name.starts_with('/') { "" } else { "/" };
    json!({
        "Name": name,
        "Type": parameter.kind,
        "Value": parameter.value,
        "Version": parameter.version,
        "LastModifiedDate": seconds(parameter.last_modified),
        "ARN": format!("arn:aws:ssm:{}:{}:parameter{slash}{name}", caller.region, caller.account),
        "DataType": "text",
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds over centuries fit 53 bits"
)]
fn seconds(at: DateTime<Utc>) -> f64 {
    at.timestamp_millis() as f64 / 1000.0
}

fn text<'a>(body: &'a Value, name: &str) -> Result<&'a str, ApiError> {
    let value = body
        .get(name)
        .and_then(Value::as_str)
        .filter(|value| !value.is_empty());
    value.ok_or_else(|| invalid(&format!("{name} is required")))
}

fn invalid(message: &str) -> ApiError {
    ApiError::client("ValidationException", message)
}
