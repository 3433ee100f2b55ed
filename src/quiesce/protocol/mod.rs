//! Host protocol 1: one JSON object per line in each direction, between the executor and the helper on a database host.
//!
//! Times are RFC 3339 UTC with milliseconds, durations are seconds. Pure data: knows neither sockets nor databases.

mod direct;
mod operations;
mod replies;
pub mod timestamp;

pub use direct::*;
pub use operations::*;
pub use replies::*;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// The protocol's version; a request with another one is answered with `unknown_protocol`.
pub const PROTOCOL: u64 = 1;

/// Longest line either side accepts, in bytes: an answer is a few kilobytes even with many findings, so that a longer
/// line is a peer that does not speak this protocol.
pub const MAX_LINE_BYTES: usize = 1 << 20;

/// One operation of the protocol with the type of its answer.
pub trait Operation: Into<Op> {
    /// Name on the wire.
    const NAME: &'static str;
    /// How long the executor waits for the answer unless it says otherwise; the host's own limits are shorter.
    const TIMEOUT: Duration;
    /// What `ok` holds.
    type Reply: Serialize + DeserializeOwned;
}

/// Why the host did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request cannot be understood or an argument is out of range.
    BadRequest,
    /// The request's protocol version is not spoken here.
    UnknownProtocol,
    /// A newer epoch is known: this executor is not the owner.
    StaleEpoch,
    /// The lease ended before; the host has let go or is doing so.
    LeaseEnded,
    /// The operation needs a fence of this epoch and there is none.
    NotFenced,
    /// The fence is already permanent.
    Committed,
    /// The freeze asked about did not last unbroken until now.
    FreezeBroken,
    /// The database engine failed or refused; the message carries its own words.
    Database,
    /// The host is in a state in which it will not do this.
    Refused,
    /// Nothing was brought up on this host.
    NoTarget,
    /// A volume, device, mount or the helper's own disk failed.
    Device,
    /// The target is not what it must be.
    NotProved,
    /// A device does not hold what its delta begins with: it was written to, mounted or replaced.
    NotABase,
    /// A service that the host reads from is out of reach, refuses for now, or its credentials have expired.
    Service,
    /// A code of a newer host.
    #[serde(other)]
    Other,
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self {
            Self::BadRequest => "bad_request",
            Self::UnknownProtocol => "unknown_protocol",
            Self::StaleEpoch => "stale_epoch",
            Self::LeaseEnded => "lease_ended",
            Self::NotFenced => "not_fenced",
            Self::Committed => "committed",
            Self::FreezeBroken => "freeze_broken",
            Self::Database => "database",
            Self::Refused => "refused",
            Self::NoTarget => "no_target",
            Self::Device => "device",
            Self::NotProved => "not_proved",
            Self::NotABase => "not_a_base",
            Self::Service => "service",
            Self::Other => "other",
        };
        formatter.write_str(name)
    }
}

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What kind of error.
    pub code: ErrorCode,
    /// What happened, to which thing, what to do.
    pub message: String,
    /// One line: what state the host is in now.
    #[serde(default)]
    pub state: String,
}

impl Refusal {
    /// A refusal whose `state` the server fills in when it answers.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            state: String::new(),
        }
    }
}

/// A request as the server sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Chosen by the client; the answer carries it back.
    pub id: u64,
    /// What to do.
    pub op: Op,
    /// The channel it came from, when that sends a request again whose answer it did not get.
    pub client: Option<String>,
    /// Of the fence that the executor holds or held, also where the operation has none of its own.
    pub epoch: Option<u64>,
}

/// The wire form of a request of an executor whose fence has this epoch.
#[must_use]
pub fn encode_request(id: u64, epoch: Option<u64>, op: &Op) -> Value {
    let mut request = json!({"id": id, "protocol": PROTOCOL});
    if let Some(epoch) = epoch {
        // An operation's own epoch, written below, goes before the executor's.
        request["epoch"] = epoch.into();
    }
    if let (Some(request), Ok(Value::Object(op))) =
        (request.as_object_mut(), serde_json::to_value(op))
    {
        request.extend(op);
    }
    request
}

/// Parses a request.
///
/// # Errors
/// The id (0 when there was none) and `bad_request` or `unknown_protocol`.
pub fn decode_request(line: &str) -> Result<Request, (u64, Refusal)> {
    let bad = |message| Refusal::new(ErrorCode::BadRequest, message);
    let value: Value = serde_json::from_str(line)
        .map_err(|error| (0, bad(format!("the request is not JSON: {error}"))))?;
    let id = value["id"].as_u64().unwrap_or(0);
    if value["protocol"].as_u64() != Some(PROTOCOL) {
        let message = format!(
            "protocol {} is not spoken here, only {PROTOCOL}",
            value["protocol"]
        );
        return Err((id, Refusal::new(ErrorCode::UnknownProtocol, message)));
    }
    let client = value["client"].as_str().map(str::to_owned);
    let epoch = value["epoch"].as_u64();
    let op = serde_json::from_value(value)
        .map_err(|error| (id, bad(format!("the request is malformed: {error}"))))?;
    Ok(Request {
        id,
        op,
        client,
        epoch,
    })
}

/// The wire form of an answer.
#[must_use]
pub fn encode_reply(id: u64, reply: &Result<Value, Refusal>) -> Value {
    match reply {
        Ok(ok) => json!({"id": id, "ok": ok}),
        Err(refusal) => json!({"id": id, "error": refusal}),
    }
}

/// Parses an answer to request `id`; the outer error says how the answer breaks the protocol.
///
/// # Errors
/// A sentence about the malformed answer.
pub fn decode_reply(id: u64, mut reply: Value) -> Result<Result<Value, Refusal>, String> {
    if reply["id"].as_u64() != Some(id) {
        return Err(format!(
            "the answer is for request {}, not {id}",
            reply["id"]
        ));
    }
    if let Some(ok) = reply.get_mut("ok") {
        return Ok(Ok(ok.take()));
    }
    serde_json::from_value(reply["error"].take())
        .map(Err)
        .map_err(|error| format!("neither ok nor error: {error}"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_request_is_flat_and_survives_the_round_trip() {
        let op = Op::from(Fence {
            epoch: 3,
            lease_seconds: 120.0,
            expected: None,
        });
        let wire = encode_request(7, Some(2), &op);
        assert_eq!(
            wire,
            json!({"id": 7, "protocol": 1, "op": "fence", "epoch": 3, "lease_seconds": 120.0})
        );
        assert_eq!(
            decode_request(&wire.to_string()).unwrap(),
            Request {
                id: 7,
                op,
                client: None,
                epoch: Some(3),
            }
        );
    }

    #[test]
    fn every_operation_without_arguments_parses_from_its_name_alone() {
        for name in [
            "hello",
            "status",
            "inspect",
            "checkpoint",
            "probe_commit",
            "take_down",
        ] {
            let line = json!({"id": 1, "protocol": 1, "op": name}).to_string();
            assert_eq!(decode_request(&line).unwrap().op.name(), name);
        }
    }

    #[test]
    fn bad_requests_are_named() {
        let code = |line: &str| decode_request(line).unwrap_err().1.code;
        assert_eq!(code("nonsense"), ErrorCode::BadRequest);
        assert_eq!(code(r#"{"id":1,"op":"hello"}"#), ErrorCode::UnknownProtocol);
        assert_eq!(
            code(r#"{"id":1,"protocol":2,"op":"hello"}"#),
            ErrorCode::UnknownProtocol
        );
        assert_eq!(
            code(r#"{"id":1,"protocol":1,"op":"dance"}"#),
            ErrorCode::BadRequest
        );
        assert_eq!(
            code(r#"{"id":1,"protocol":1,"op":"fence","epoch":1}"#),
            ErrorCode::BadRequest
        );
        assert_eq!(
            decode_request(r#"{"id":9,"protocol":1,"op":"dance"}"#)
                .unwrap_err()
                .0,
            9
        );
    }

    #[test]
    fn replies_survive_the_round_trip_and_a_foreign_id_does_not() {
        let refused = Err(Refusal {
            code: ErrorCode::StaleEpoch,
            message: "m".into(),
            state: "s".into(),
        });
        for reply in [Ok(json!({"a": 1})), refused] {
            assert_eq!(decode_reply(4, encode_reply(4, &reply)).unwrap(), reply);
        }
        assert!(decode_reply(5, encode_reply(4, &Ok(json!({})))).is_err());
        assert!(decode_reply(4, json!({"id": 4})).is_err());
    }

    #[test]
    fn times_carry_milliseconds() {
        let at = chrono::DateTime::parse_from_rfc3339("2026-01-02T03:04:05.678901Z")
            .unwrap()
            .to_utc();
        let wire = serde_json::to_value(CommitReply { committed_at: at }).unwrap();
        assert_eq!(wire, json!({"committed_at": "2026-01-02T03:04:05.678Z"}));
    }
}
