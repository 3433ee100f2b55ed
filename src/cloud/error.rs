//! What went wrong with a call, and its class. Retry is decided by the class, never by the text.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use snapmigrate_models::step::FailureClass;

/// A call that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{operation} on {subject} failed: {code}: {message}")]
pub struct CloudError {
    /// Decides about another attempt.
    pub class: FailureClass,
    /// API operation, such as `CreateSnapshots`.
    pub operation: &'static str,
    /// Volume, snapshot or instance it was about.
    pub subject: String,
    /// Error code of the service, or `timeout`, `dispatch`, `response`, `credentials`, `request`.
    pub code: String,
    /// What the service or the client said.
    pub message: String,
}

/// Codes with which AWS refuses credentials (EC2 error codes, client errors).
const CREDENTIAL_CODES: [&str; 7] = [
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "MissingAuthenticationToken",
    "RequestExpired",
    "UnrecognizedClientException",
];

/// Codes that pass with time and say that nothing was done (EC2 API throttling; EBS direct APIs, error retries; CloudWatch limits).
const TRANSIENT_CODES: [&str; 10] = [
    "ConcurrentSnapshotLimitExceeded",
    "EC2ThrottledException",
    "IncorrectState",
    "PendingSnapshotLimitExceeded",
    "RequestLimitExceeded",
    "RequestThrottledException",
    "ResourceLimitExceeded",
    "SnapshotCreationPerVolumeRateExceeded",
    "Throttling",
    "ThrottlingException",
];

/// Code of an answer that could not be read.
const UNREADABLE: &str = "response";

impl CloudError {
    /// An answer that lacks what the API promises.
    pub(super) fn incomplete(operation: &'static str, subject: &str, missing: &str) -> Self {
        Self {
            class: FailureClass::Unknown,
            operation,
            subject: subject.to_owned(),
            code: UNREADABLE.to_owned(),
            message: format!("the answer has no {missing}"),
        }
    }

    /// Whether an answer came that could not be read, as opposed to none.
    #[must_use]
    pub fn is_unreadable_answer(&self) -> bool {
        self.code == UNREADABLE
    }

    /// Something named does not exist or is not visible with these credentials.
    pub(super) fn absent(operation: &'static str, subject: &str, region: &str) -> Self {
        Self {
            class: FailureClass::Permanent,
            operation,
            subject: subject.to_owned(),
            code: "NotFound".to_owned(),
            message: format!(
                "not found in {region}: check the id, the region and the account of the credentials"
            ),
        }
    }
}

/// Sorts an SDK error about `subject` into its class.
pub(super) fn classify<E: ProvideErrorMetadata + Error + 'static>(
    operation: &'static str,
    subject: &str,
    error: &SdkError<E, HttpResponse>,
) -> CloudError {
    let (class, code, message) = match error {
        SdkError::ServiceError(context) => {
            service_error(context.err(), context.raw().status().as_u16())
        }
        SdkError::TimeoutError(_) => (
            FailureClass::Unknown,
            "timeout".to_owned(),
            "no answer in time".to_owned(),
        ),
        SdkError::ResponseError(_) => (
            FailureClass::Unknown,
            UNREADABLE.to_owned(),
            chain_of(error),
        ),
        SdkError::DispatchFailure(_) if has_credentials_error(error) => (
            FailureClass::Credentials,
            "credentials".to_owned(),
            credentials_hint(error),
        ),
        SdkError::DispatchFailure(_) => (
            FailureClass::Unknown,
            "dispatch".to_owned(),
            unreachable_hint(error),
        ),
        _ => (
            FailureClass::Permanent,
            "request".to_owned(),
            chain_of(error),
        ),
    };
    CloudError {
        class,
        operation,
        subject: subject.to_owned(),
        code,
        message,
    }
}

fn service_error<E: ProvideErrorMetadata + Error + 'static>(
    error: &E,
    status: u16,
) -> (FailureClass, String, String) {
    let code = error.code().unwrap_or("unknown").to_owned();
    let message = match (error.message(), error.code()) {
        (Some(message), _) => message.to_owned(),
        (None, Some(_)) => chain_of(error),
        (None, None) => foreign_answer(status, error),
    };
    let class = match code.as_str() {
        code if CREDENTIAL_CODES.contains(&code) => FailureClass::Credentials,
        code if TRANSIENT_CODES.contains(&code) => FailureClass::Transient,
        // A server that failed may have done what it was asked: EC2 documents no promise that it did not.
        _ if status >= 500 => FailureClass::Unknown,
        _ => FailureClass::Permanent,
    };
    (class, code, message)
}

fn has_credentials_error(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<CredentialsError>() || error.to_string().contains("no auth scheme") {
            return true;
        }
        next = error.source();
    }
    false
}

fn credentials_hint(error: &(dyn Error + 'static)) -> String {
    let detail = chain_of(error);
    format!(
        "no usable credentials ({detail}): set AWS_PROFILE or AWS_ACCESS_KEY_ID, log in again, or \
         name a profile with --source-profile / --target-profile"
    )
}

/// What to say when nobody answered: a wrong region has no endpoint either.
fn unreachable_hint(error: &(dyn Error + 'static)) -> String {
    let detail = chain_of(error);
    format!(
        "no connection ({detail}): check the network, the region, and --endpoint-url or \
         AWS_ENDPOINT_URL when one is set"
    )
}

/// What to say of an error that carries no code of AWS.
fn foreign_answer(status: u16, error: &(dyn Error + 'static)) -> String {
    let detail = chain_of(error);
    format!(
        "HTTP status {status} without an error code of AWS ({detail}): the endpoint does not serve \
         this operation, or not in this region; check the region, and --endpoint-url or \
         AWS_ENDPOINT_URL when one is set"
    )
}

fn chain_of(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        next = error.source();
    }
    text
}
