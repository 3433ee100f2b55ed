//! STS: GetCallerIdentity and AssumeRole (Query/XML).
//!
//! AssumeRole always succeeds: the lab has accounts and no policies. The credentials it issues name the role's account
//! in their access key id and the role session in their session token. Must not know the world.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use http::Response;

use crate::caller::Caller;
use crate::error::ApiError;
use crate::wire::auth::{TEMPORARY_KEY_PREFIX, is_account};
use crate::wire::form::Form;
use crate::wire::reply::{XML, escape, respond};

/// Answers one STS action. `session_token` is the caller's, when its credentials are temporary.
///
/// # Errors
/// `ValidationError` (400) for a bad parameter, `InvalidAction` (400) for an action the lab does not serve.
pub fn answer(
    action: &str,
    caller: &Caller,
    session_token: Option<&str>,
    form: &Form,
    (now, request_id): (DateTime<Utc>, &str),
) -> Result<Response<Bytes>, ApiError> {
    let result = match action {
        "GetCallerIdentity" => identity(caller, session_token),
        "AssumeRole" => assume_role(form, now)?,
        other => {
            let message = format!("Could not find operation {other} for version 2011-06-15");
            return Err(ApiError::client("InvalidAction", message));
        }
    };
    let body = format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>{result}</{action}Result><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>"
    );
    Ok(respond(200, XML, body))
}

fn identity(caller: &Caller, session_token: Option<&str>) -> String {
    let account = &caller.account;
    let (arn, user) = match session_token.and_then(role_session) {
        Some(session) => (
            format!("arn:aws:sts::{account}:assumed-role/{session}"),
            user_id(account, &session),
        ),
        None => (
            format!("arn:aws:iam::{account}:user/lab"),
            format!("AIDA{account}LAB0"),
        ),
    };
    let (arn, user) = (escape(&arn), escape(&user));
    format!("<Arn>{arn}</Arn><UserId>{user}</UserId><Account>{account}</Account>")
}

fn user_id(account: &str, session: &str) -> String {
    let name = session.rsplit('/').next().unwrap_or_default();
    format!("AROA{account}LAB0:{name}")
}

/// Reads `ROLE/SESSION` out of a session token the lab issued.
fn role_session(token: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(token).ok()?)
        .ok()?
        .strip_prefix("lab-session ")
        .map(str::to_owned)
}

fn assume_role(form: &Form, now: DateTime<Utc>) -> Result<String, ApiError> {
    let arn = required(form, "RoleArn")?;
    let session = required(form, "RoleSessionName")?;
    let (account, role) = role_of(arn).ok_or_else(|| invalid(&format!("{arn} is invalid")))?;
    if !(2..=64).contains(&session.len()) {
        return Err(invalid("RoleSessionName must have 2 to 64 characters"));
    }
    let expires = now + TimeDelta::seconds(duration_seconds(form)?);
    let expires = expires.to_rfc3339_opts(SecondsFormat::Secs, true);
    let role = role.rsplit('/').next().unwrap_or_default();
    let token = STANDARD.encode(format!("lab-session {role}/{session}"));
    let (role, session) = (escape(role), escape(session));
    Ok(format!(
        "<AssumedRoleUser><AssumedRoleId>AROA{account}LAB0:{session}</AssumedRoleId><Arn>arn:aws:sts::{account}:assumed-role/{role}/{session}</Arn></AssumedRoleUser><Credentials><AccessKeyId>{TEMPORARY_KEY_PREFIX}{account}</AccessKeyId><SecretAccessKey>lab-secret-is-not-verified</SecretAccessKey><SessionToken>{token}</SessionToken><Expiration>{expires}</Expiration></Credentials>"
    ))
}

/// Splits `arn:PARTITION:iam::ACCOUNT:role/NAME` into account and name.
fn role_of(arn: &str) -> Option<(&str, &str)> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", _partition, "iam", "", account, resource] = parts[..] else {
        return None;
    };
    let role = resource
        .strip_prefix("role/")
        .filter(|role| !role.is_empty())?;
    is_account(account).then_some((account, role))
}

/// 900 to 43 200 seconds, one hour when not given (STS API reference, AssumeRole).
fn duration_seconds(form: &Form) -> Result<i64, ApiError> {
    let Some(text) = form.get("DurationSeconds") else {
        return Ok(3600);
    };
    let wanted = text
        .parse()
        .ok()
        .filter(|seconds| (900..=43_200).contains(seconds));
    wanted.ok_or_else(|| invalid("DurationSeconds must be from 900 to 43200"))
}

fn required<'a>(form: &'a Form, name: &str) -> Result<&'a str, ApiError> {
    form.get(name)
        .ok_or_else(|| invalid(&format!("{name} is required")))
}

fn invalid(message: &str) -> ApiError {
    ApiError::client("ValidationError", message)
}
