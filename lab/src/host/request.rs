//! Requests and answers of the host protocol as JSON. It must not know what an operation does.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

/// The protocol's version.
pub(super) const PROTOCOL: u64 = 1;

/// Why the host refuses: a code of the protocol and a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub code: &'static str,
    pub message: String,
}

/// A refusal with this code.
pub(super) fn refuse(code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal {
        code,
        message: message.into(),
    }
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a>(pub &'a Value);

impl<'a> Request<'a> {
    /// The operation, after the version was checked.
    pub fn op(self) -> Result<&'a str, Refusal> {
        let protocol = &self.0["protocol"];
        if protocol.as_u64() != Some(PROTOCOL) {
            return Err(refuse(
                "unknown_protocol",
                format!("protocol {protocol} is not spoken here, only {PROTOCOL}"),
            ));
        }
        self.text("op")
    }

    pub fn text(self, key: &str) -> Result<&'a str, Refusal> {
        self.0[key].as_str().ok_or_else(|| missing(key, "a text"))
    }

    pub fn number(self, key: &str) -> Result<u64, Refusal> {
        self.0[key]
            .as_u64()
            .ok_or_else(|| missing(key, "a whole number"))
    }

    /// A positive duration in seconds.
    pub fn seconds(self, key: &str) -> Result<f64, Refusal> {
        let seconds = self.0[key]
            .as_f64()
            .filter(|s| s.is_finite() && *s > 0.0 && *s < 1e8);
        seconds.ok_or_else(|| missing(key, "a number of seconds above 0"))
    }

    /// The volumes to mount and where.
    pub fn mounts(self) -> Result<Vec<Mount>, Refusal> {
        let list = self.0["mounts"]
            .as_array()
            .ok_or_else(|| missing("mounts", "a list"))?;
        let mount = |value: &Value| {
            let request = Request(value);
            let (volume, mountpoint) = (request.text("volume")?, request.text("mountpoint")?);
            Ok(Mount {
                volume: volume.to_owned(),
                mountpoint: mountpoint.to_owned(),
            })
        };
        list.iter().map(mount).collect()
    }
}

/// A volume and where its file system is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub volume: String,
    pub mountpoint: String,
}

/// The answer on the wire.
pub(super) fn reply(request: &Value, result: Result<Value, Refusal>, state: &str) -> Value {
    let id = request["id"].as_u64().unwrap_or(0);
    match result {
        Ok(ok) => json!({ "id": id, "ok": ok }),
        Err(Refusal { code, message }) => {
            json!({ "id": id, "error": { "code": code, "message": message, "state": state } })
        }
    }
}

/// A time on the wire.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn missing(key: &str, what: &str) -> Refusal {
    refuse("bad_request", format!("`{key}` must be {what}"))
}
