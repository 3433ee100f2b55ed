//! Builds HTTP responses: success and error bodies in each protocol AWS services answer in.
//!
//! Must not know any service or any state.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};

use crate::error::ApiError;

/// How a request's answer has to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// EC2's own form of the Query protocol (`<Response><Errors>`).
    Ec2Query,
    /// AWS Query (`<ErrorResponse>`): STS and the older CloudWatch clients.
    Query,
    /// AWS JSON 1.0 or 1.1: SSM, CloudWatch.
    Json,
    /// REST-JSON: EBS direct.
    RestJson,
    /// Smithy RPC v2 CBOR: CloudWatch as current SDKs speak it.
    Cbor,
}

/// Builds a response of `status` with `content_type` and `body`.
pub fn respond(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static(content_type),
    );
    response
}

/// Sets a header; a value that no header can carry is left out.
pub fn set_header(response: &mut Response<Bytes>, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// Writes `error` as the protocol's clients expect it.
pub fn error(dialect: Dialect, error: &ApiError, request_id: &str) -> Response<Bytes> {
    match dialect {
        Dialect::Ec2Query => respond(error.status, XML, ec2_error(error, request_id)),
        Dialect::Query => respond(error.status, XML, query_error(error, request_id)),
        Dialect::Json => json_error(error, JSON_1_1),
        Dialect::RestJson => json_error(error, JSON),
        Dialect::Cbor => cbor_error(error),
    }
}

/// `application/json`, what REST-JSON answers in.
pub const JSON: &str = "application/json";
/// The content type of AWS JSON 1.0.
pub const JSON_1_0: &str = "application/x-amz-json-1.0";
/// The content type of AWS JSON 1.1.
pub const JSON_1_1: &str = "application/x-amz-json-1.1";
/// The content type of both Query protocols' answers.
pub const XML: &str = "text/xml;charset=UTF-8";
/// The content type of RPC v2 CBOR.
pub const CBOR: &str = "application/cbor";

fn ec2_error(error: &ApiError, request_id: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{}</Code><Message>{}</Message></Error></Errors><RequestID>{request_id}</RequestID></Response>",
        escape(&error.code),
        escape(&error.message),
    )
}

fn query_error(error: &ApiError, request_id: &str) -> String {
    format!(
        "<ErrorResponse><Error><Type>{}</Type><Code>{}</Code><Message>{}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
        blame(error),
        escape(&error.code),
        escape(&error.message),
    )
}

fn json_error(error: &ApiError, content_type: &'static str) -> Response<Bytes> {
    let body = serde_json::json!({ "__type": error.code, "message": error.message });
    let mut response = respond(error.status, content_type, body.to_string());
    set_header(&mut response, "x-amzn-errortype", &error.code);
    set_header(
        &mut response,
        "x-amzn-query-error",
        &format!("{};{}", error.code, blame(error)),
    );
    response
}

fn cbor_error(error: &ApiError) -> Response<Bytes> {
    let text = |value: &str| ciborium::Value::Text(value.to_owned());
    let body = ciborium::Value::Map(vec![
        (text("__type"), text(&error.code)),
        (text("message"), text(&error.message)),
    ]);
    let mut response = cbor(error.status, &body);
    set_header(
        &mut response,
        "x-amzn-query-error",
        &format!("{};{}", error.code, blame(error)),
    );
    response
}

/// Writes `body` as an RPC v2 CBOR answer.
pub fn cbor(status: u16, body: &ciborium::Value) -> Response<Bytes> {
    let mut bytes = Vec::new();
    ciborium::into_writer(body, &mut bytes).expect("writing CBOR to memory cannot fail");
    let mut response = respond(status, CBOR, bytes);
    set_header(&mut response, "smithy-protocol", "rpc-v2-cbor");
    response
}

fn blame(error: &ApiError) -> &'static str {
    if error.status < 500 {
        "Sender"
    } else {
        "Receiver"
    }
}

/// Escapes text for XML content.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            other => out.push(other),
        }
    }
    out
}
