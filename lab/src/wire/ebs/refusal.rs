//! Errors of the EBS direct APIs: an exception with the `Reason` that some of them carry.
//!
//! Codes and reasons: EBS direct APIs service model and error-retries page. The world writes both as one code,
//! `EXCEPTION/REASON`. Must not know any operation.

use bytes::Bytes;
use http::Response;

use crate::error::ApiError;
use crate::wire::reply::{JSON, respond, set_header};

/// A `ValidationException` with a reason such as `INVALID_BLOCK_TOKEN`.
pub fn validation(reason: &str, message: &str) -> ApiError {
    ApiError::client(&format!("ValidationException/{reason}"), message)
}

/// A `ValidationException` with `INVALID_PARAMETER_VALUE`.
pub fn invalid(message: &str) -> ApiError {
    validation("INVALID_PARAMETER_VALUE", message)
}

/// Writes the error as REST-JSON.
pub fn response(error: &ApiError) -> Response<Bytes> {
    let (exception, reason) = match error.code.split_once('/') {
        Some((exception, reason)) => (exception, Some(reason)),
        None => (exception_of(&error.code), None),
    };
    let mut body = serde_json::json!({
        "__type": exception,
        "Message": error.message,
        "message": error.message,
    });
    if let Some(reason) = reason {
        body["Reason"] = reason.into();
    }
    let mut response = respond(error.status, JSON, body.to_string());
    set_header(&mut response, "x-amzn-errortype", exception);
    response
}

/// The service's name for faults that every service has a name of its own for.
fn exception_of(code: &str) -> &str {
    match code {
        "InternalError" => "InternalServerException",
        "RequestLimitExceeded" => "ThrottlingException",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_a_member_of_its_own() {
        let response = response(&validation("UNRELATED_SNAPSHOTS", "not related"));
        let body: serde_json::Value = serde_json::from_slice(response.body()).expect("JSON");
        assert_eq!(body["__type"], "ValidationException");
        assert_eq!(body["Reason"], "UNRELATED_SNAPSHOTS");
        assert_eq!(
            response.headers()["x-amzn-errortype"],
            "ValidationException"
        );
        assert_eq!(response.status(), 400);
    }

    #[test]
    fn faults_have_the_names_of_this_service() {
        let internal = response(&ApiError::internal("x"));
        assert_eq!(
            internal.headers()["x-amzn-errortype"],
            "InternalServerException"
        );
    }
}
