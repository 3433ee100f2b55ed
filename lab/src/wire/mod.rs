//! The wire: from an HTTP request as AWS clients send it to the HTTP response they expect.
//!
//! Every request takes the same way: understood, counted, admitted (latency, rates, faults), answered by its service's
//! module. Signatures are not verified; see [`auth`]. Must not know how the world works.

pub mod auth;
mod chunked;
mod cloudwatch;
mod ebs;
mod ec2;
mod form;
mod memory;
pub mod reply;
mod route;
mod ssm;
mod sts;
#[cfg(test)]
mod tests;
mod token;

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};

pub use memory::{Calls, Memory};
pub use ssm::command::Commands;

use crate::Lab;
use crate::error::ApiError;
use crate::world::{Admission, Admit};
use reply::Dialect;
use route::{Action, Call};

/// Answers one request of any service, region and account.
pub async fn handle(lab: &Lab, request: Request<Bytes>) -> Response<Bytes> {
    let (parts, body) = request.into_parts();
    let call = match route::read(&parts, body) {
        Ok(call) => call,
        Err((dialect, error)) => {
            let id = lab.wire().count("unknown", &error.code);
            return finish(error_response(dialect, &error, &id), &id);
        }
    };
    let id = lab.wire().count(&call.caller.service, call.action.name());
    let admission = admit(lab, &call);
    pause(admission.before).await;
    let answer = match admission.refusal {
        Some(refusal) => Err(refusal),
        None => dispatch(lab, &call, &parts, &id),
    };
    pause(admission.after).await;
    let answer = match admission.lost {
        Some(lost) => Err(lost),
        None => answer,
    };
    finish(
        answer.unwrap_or_else(|error| error_response(call.dialect, &error, &id)),
        &id,
    )
}

fn admit(lab: &Lab, call: &Call) -> Admission {
    let request = Admit {
        action: call.action.name(),
        unfiltered: matches!(&call.action, Action::Ec2(name, form) if route::is_unfiltered(name, form)),
        block_snapshot: match &call.action {
            Action::Ebs(target) => target.block_snapshot(),
            _ => None,
        },
    };
    lab.with_world(|world| Ok(world.admit(&call.caller, &request)))
        .unwrap_or_else(Admission::refuse)
}

fn dispatch(
    lab: &Lab,
    call: &Call,
    parts: &http::request::Parts,
    id: &str,
) -> Result<Response<Bytes>, ApiError> {
    let (caller, body) = (&call.caller, &call.body);
    match &call.action {
        Action::Ec2(name, form) => ec2::answer(lab, caller, name, form, id),
        Action::Ebs(target) => ebs::answer(lab, caller, target, (parts, body)),
        Action::CloudWatch(name) => cloudwatch::answer(lab, caller, (call.dialect, name), body, id),
        Action::Sts(name, form) => {
            let token = parts
                .headers
                .get("x-amz-security-token")
                .and_then(|value| value.to_str().ok());
            sts::answer(name, caller, token, form, (lab.now(), id))
        }
        Action::Ssm(name) if ssm::command::answers(name) => {
            ssm::command::answer(lab, caller, name, body)
        }
        Action::Ssm(name) => lab.with_world(|world| ssm::answer(name, caller, body, world)),
    }
}

async fn pause(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}

fn error_response(dialect: Dialect, error: &ApiError, id: &str) -> Response<Bytes> {
    match dialect {
        Dialect::RestJson => ebs::error_response(error),
        _ => reply::error(dialect, error, id),
    }
}

fn finish(mut response: Response<Bytes>, id: &str) -> Response<Bytes> {
    reply::set_header(&mut response, "x-amzn-requestid", id);
    response
}
