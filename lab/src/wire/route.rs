//! Which service, protocol and action a request is for.
//!
//! The service is the one of the signature's scope; the action is where the service's protocol puts it. Must not know
//! what an action does.

use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;

use super::ebs::Target;
use super::form::Form;
use super::reply::Dialect;
use super::{auth, chunked};
use crate::caller::Caller;
use crate::error::ApiError;

/// One request, understood as far as its action.
#[derive(Debug)]
pub struct Call {
    /// Who calls, and where.
    pub caller: Caller,
    /// How to answer.
    pub dialect: Dialect,
    /// What is asked for.
    pub action: Action,
    /// The body, with chunked encoding undone.
    pub body: Bytes,
}

/// What is asked for, by service.
#[derive(Debug)]
pub enum Action {
    /// An EC2 action and its parameters.
    Ec2(String, Form),
    /// An EBS direct operation.
    Ebs(Target),
    /// A CloudWatch action.
    CloudWatch(String),
    /// An STS action and its parameters.
    Sts(String, Form),
    /// An SSM action.
    Ssm(String),
}

impl Action {
    /// The action's name.
    pub fn name(&self) -> &str {
        match self {
            Action::Ec2(name, _) | Action::Sts(name, _) => name,
            Action::CloudWatch(name) | Action::Ssm(name) => name,
            Action::Ebs(target) => target.action(),
        }
    }
}

/// Whether a describe names no ids, no filters and no page size: those have a smaller request bucket (EC2 developer
/// guide, request throttling).
pub fn is_unfiltered(action: &str, form: &Form) -> bool {
    let ids = match action {
        "DescribeSnapshots" => "SnapshotId.",
        "DescribeVolumes" => "VolumeId.",
        "DescribeInstances" => "InstanceId.",
        _ => return false,
    };
    form.get("MaxResults").is_none() && !form.has_prefix("Filter.") && !form.has_prefix(ids)
}

/// Understands a request as far as its action.
///
/// # Errors
/// The dialect to answer in and the refusal: `MissingAuthenticationToken`, `IncompleteSignature`,
/// `SignatureDoesNotMatch` for a service that the lab does not serve, `InvalidAction` or `UnknownOperationException` for
/// a request that names no action.
pub fn read(parts: &Parts, body: Bytes) -> Result<Call, (Dialect, ApiError)> {
    let guess = guess(parts, &body);
    let caller = auth::caller(&parts.headers).map_err(|error| (guess, error))?;
    let body = unchunk(&parts.headers, body).map_err(|error| (guess, error))?;
    let (dialect, action) = match caller.service.as_str() {
        "ec2" => (Dialect::Ec2Query, query_action(parts, &body, Action::Ec2)),
        "sts" => (Dialect::Query, query_action(parts, &body, Action::Sts)),
        "ebs" => (Dialect::RestJson, ebs_action(parts)),
        "ssm" => (Dialect::Json, target_action(&parts.headers, Action::Ssm)),
        "monitoring" => cloudwatch_action(parts, &body),
        other => (guess, Err(not_served(other))),
    };
    match action {
        Ok(action) => Ok(Call {
            caller,
            dialect,
            action,
            body,
        }),
        Err(error) => Err((dialect, error)),
    }
}

fn unchunk(headers: &HeaderMap, body: Bytes) -> Result<Bytes, ApiError> {
    if !chunked::is_chunked(headers) {
        return Ok(body);
    }
    let broken = || ApiError::client("IncompleteBody", "The aws-chunked body is malformed");
    chunked::decode(&body).ok_or_else(broken)
}

fn query_action(
    parts: &Parts,
    body: &Bytes,
    make: fn(String, Form) -> Action,
) -> Result<Action, ApiError> {
    let form = match body.is_empty() {
        true => Form::from_query(parts.uri.query().unwrap_or_default()),
        false => Form::from_body(body),
    };
    let name = form
        .get("Action")
        .filter(|name| !name.is_empty())
        .map(str::to_owned);
    let name =
        name.ok_or_else(|| ApiError::client("MissingAction", "The request has no Action"))?;
    Ok(make(name, form))
}

fn ebs_action(parts: &Parts) -> Result<Action, ApiError> {
    let path = parts.uri.path();
    Target::read(&parts.method, path)
        .map(Action::Ebs)
        .ok_or_else(|| {
            let message = format!("{} {path} is no operation of EBS direct", parts.method);
            ApiError::with_status("UnknownOperationException", message, 404)
        })
}

fn target_action(headers: &HeaderMap, make: fn(String) -> Action) -> Result<Action, ApiError> {
    let name = target(headers).map(str::to_owned);
    let missing = || ApiError::client("UnknownOperationException", "X-Amz-Target is missing");
    name.map(make).ok_or_else(missing)
}

fn target(headers: &HeaderMap) -> Option<&str> {
    headers
        .get("x-amz-target")?
        .to_str()
        .ok()?
        .rsplit('.')
        .next()
}

fn cloudwatch_action(parts: &Parts, body: &Bytes) -> (Dialect, Result<Action, ApiError>) {
    if parts.headers.contains_key("smithy-protocol") {
        let name = parts
            .uri
            .path()
            .split_once("/operation/")
            .map(|(_, name)| name.to_owned());
        let missing =
            || ApiError::client("UnknownOperationException", "the path names no operation");
        return (
            Dialect::Cbor,
            name.map(Action::CloudWatch).ok_or_else(missing),
        );
    }
    if parts.headers.contains_key("x-amz-target") {
        return (
            Dialect::Json,
            target_action(&parts.headers, Action::CloudWatch),
        );
    }
    (
        Dialect::Query,
        query_action(parts, body, |name, _| Action::CloudWatch(name)),
    )
}

/// The dialect of a request whose service is not known: by its content type.
fn guess(parts: &Parts, body: &Bytes) -> Dialect {
    let content_type = parts.headers.get(http::header::CONTENT_TYPE);
    match content_type
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
    {
        text if text.contains("x-www-form-urlencoded") => {
            let ec2 = Form::from_body(body)
                .get("Version")
                .is_some_and(|v| v == "2016-11-15");
            if ec2 {
                Dialect::Ec2Query
            } else {
                Dialect::Query
            }
        }
        text if text.contains("cbor") => Dialect::Cbor,
        text if text.contains("x-amz-json") => Dialect::Json,
        _ => Dialect::RestJson,
    }
}

fn not_served(service: &str) -> ApiError {
    let message = format!(
        "Credential should be scoped to a service that the lab serves (ec2, ebs, monitoring, sts, ssm), not '{service}'"
    );
    ApiError::with_status("SignatureDoesNotMatch", message, 403)
}
