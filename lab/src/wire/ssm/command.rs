//! SSM RunCommand: SendCommand and GetCommandInvocation (AWS JSON 1.1).
//!
//! A command is run by a program of whoever serves the lab, which is the agent of every instance: `PROGRAM INSTANCE` with
//! the command on standard input, as root of that instance would run it. Without one no instance is managed. Must not
//! know what commands do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::Response;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::{seconds, text};
use crate::Lab;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::wire::reply::{JSON_1_1, respond};
use crate::workload::chance;

/// Longest output that GetCommandInvocation tells, in characters: of standard output and of standard error (SSM API
/// reference).
const OUTPUT_CHARS: [usize; 2] = [24_000, 8_000];
/// Least and most delivery timeout (SSM API reference, SendCommand).
const DELIVERY_SECONDS: [u64; 2] = [30, 2_592_000];
/// The document that is known.
const DOCUMENT: &str = "AWS-RunShellScript";
/// A command is not visible for so long after it was sent; nobody promises a number, clients have to bear it.
const UNSEEN_SECONDS: f64 = 0.3;
/// Least and most time until the agent has fetched the command: assumed, AWS states none.
const FETCH_SECONDS: [f64; 2] = [0.3, 1.2];

/// All commands of a lab, and what runs them.
#[derive(Debug, Default)]
pub struct Commands {
    agent: OnceLock<PathBuf>,
    sent: Mutex<BTreeMap<String, Sent>>,
}

#[derive(Debug, Clone)]
struct Sent {
    instance: String,
    owner: (String, String),
    visible_at: DateTime<Utc>,
    status: &'static str,
    code: i32,
    output: [String; 2],
}

impl Commands {
    /// The program that runs commands from now on; only the first one counts.
    pub fn run_with(&self, agent: PathBuf) {
        let _ = self.agent.set(agent);
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Sent)) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sent) = sent.get_mut(id) {
            change(sent);
        }
    }
}

/// Whether this module answers an action.
pub fn answers(action: &str) -> bool {
    matches!(action, "SendCommand" | "GetCommandInvocation")
}

/// Answers one of the two actions.
///
/// # Errors
/// `InvalidInstanceId`, `InvalidDocument`, `InvalidParameters`, `InvocationDoesNotExist`, `ValidationException` or
/// `SerializationException` (400).
pub fn answer(
    lab: &Lab,
    caller: &Caller,
    action: &str,
    body: &[u8],
) -> Result<Response<Bytes>, ApiError> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| ApiError::client("SerializationException", error.to_string()))?;
    let result = match action {
        "SendCommand" => send(lab, caller, &body)?,
        _ => invocation(lab, caller, &body)?,
    };
    Ok(respond(200, JSON_1_1, result.to_string()))
}

fn send(lab: &Lab, caller: &Caller, body: &Value) -> Result<Value, ApiError> {
    let instance = instance(lab, caller, body)?;
    let agent = lab.commands().agent.get().cloned();
    let agent = agent.ok_or_else(|| {
        ApiError::client(
            "InvalidInstanceId",
            "Instances not in a valid state for account",
        )
    })?;
    if text(body, "DocumentName")? != DOCUMENT {
        return Err(ApiError::client(
            "InvalidDocument",
            "The document does not exist",
        ));
    }
    let delivery = body["TimeoutSeconds"].as_u64().unwrap_or(600);
    if delivery < DELIVERY_SECONDS[0] || delivery > DELIVERY_SECONDS[1] {
        return Err(ApiError::client(
            "ValidationException",
            "TimeoutSeconds must be 30 to 2592000",
        ));
    }
    let script = script(body)?;
    let limit = body["Parameters"]["executionTimeout"][0]
        .as_str()
        .and_then(|text| text.parse().ok());
    let limit = Duration::from_secs(limit.unwrap_or(3600));
    let now = lab.now();
    let (id, fetch) = note(lab, caller, &instance, now);
    let shown = json!({
        "CommandId": id, "DocumentName": DOCUMENT, "InstanceIds": [instance], "Status": "Pending",
        "StatusDetails": "Pending", "RequestedDateTime": seconds(now), "TimeoutSeconds": delivery,
        "TargetCount": 1, "CompletedCount": 0, "ErrorCount": 0,
    });
    tokio::spawn(carry_out(
        Arc::clone(lab.commands()),
        id,
        agent,
        (instance, script),
        fetch,
        limit,
    ));
    Ok(json!({ "Command": shown }))
}

/// A new command and the time until its agent has it.
fn note(lab: &Lab, caller: &Caller, instance: &str, now: DateTime<Utc>) -> (String, Duration) {
    let mut sent = lab
        .commands()
        .sent
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let hash = chance::mix(&[
        chance::hash_text(instance),
        sent.len() as u64 + 1,
        now.timestamp_micros().unsigned_abs(),
    ]);
    let hex = format!("{hash:016x}{:016x}", chance::mix(&[hash]));
    let id = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-");
    #[expect(clippy::cast_precision_loss, reason = "a share of the range")]
    let share = (hash >> 32) as f64 / f64::from(u32::MAX);
    let visible_at = now + crate::clock::seconds(UNSEEN_SECONDS);
    let owner = (caller.account.clone(), caller.region.clone());
    let new = Sent {
        instance: instance.to_owned(),
        owner,
        visible_at,
        status: "Pending",
        code: -1,
        output: Default::default(),
    };
    sent.insert(id.clone(), new);
    (
        id,
        Duration::from_secs_f64(FETCH_SECONDS[0] + share * (FETCH_SECONDS[1] - FETCH_SECONDS[0])),
    )
}

async fn carry_out(
    commands: Arc<Commands>,
    id: String,
    agent: PathBuf,
    (instance, script): (String, String),
    fetch: Duration,
    limit: Duration,
) {
    tokio::time::sleep(fetch).await;
    commands.change(&id, |sent| sent.status = "InProgress");
    let ended = tokio::time::timeout(limit, run(&agent, &instance, &script)).await;
    commands.change(&id, |sent| match ended {
        Err(_) => sent.status = "TimedOut",
        Ok(Err(error)) => {
            (sent.status, sent.output[1]) = ("Failed", format!("{}: {error}", agent.display()))
        }
        Ok(Ok(output)) => {
            sent.code = output.status.code().unwrap_or(137);
            sent.status = if output.status.success() {
                "Success"
            } else {
                "Failed"
            };
            sent.output = [
                cut(&output.stdout, OUTPUT_CHARS[0]),
                cut(&output.stderr, OUTPUT_CHARS[1]),
            ];
        }
    });
}

async fn run(agent: &Path, instance: &str, script: &str) -> std::io::Result<std::process::Output> {
    let mut command = Command::new(agent);
    command.arg(instance).kill_on_drop(true);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // An agent that does not read its command shows in its exit code.
        let _ = stdin.write_all(script.as_bytes()).await;
    }
    child.wait_with_output().await
}

fn cut(bytes: &[u8], chars: usize) -> String {
    String::from_utf8_lossy(bytes).chars().take(chars).collect()
}

fn invocation(lab: &Lab, caller: &Caller, body: &Value) -> Result<Value, ApiError> {
    let (id, instance) = (text(body, "CommandId")?, text(body, "InstanceId")?);
    let absent = || ApiError::client("InvocationDoesNotExist", "");
    let sent = lab
        .commands()
        .sent
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let owner = (caller.account.clone(), caller.region.clone());
    let sent = sent.get(id).filter(|sent| {
        sent.instance == instance && sent.owner == owner && lab.now() >= sent.visible_at
    });
    let sent = sent.ok_or_else(absent)?;
    let details = match sent.status {
        "InProgress" => "In Progress",
        "TimedOut" => "Execution Timed Out",
        other => other,
    };
    Ok(json!({
        "CommandId": id, "InstanceId": instance, "DocumentName": DOCUMENT, "PluginName": "aws:runShellScript",
        "ResponseCode": sent.code, "Status": sent.status, "StatusDetails": details,
        "StandardOutputContent": sent.output[0], "StandardErrorContent": sent.output[1],
    }))
}

/// The one instance that is asked for, which the caller must own.
fn instance(lab: &Lab, caller: &Caller, body: &Value) -> Result<String, ApiError> {
    let asked: Vec<&str> = body["InstanceIds"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let [instance] = asked.as_slice() else {
        return Err(ApiError::client(
            "ValidationException",
            "the lab takes exactly one instance id",
        ));
    };
    lab.with_world(|world| {
        let known = world
            .visible_instances(caller)
            .any(|known| known.id == *instance);
        let unknown = || {
            ApiError::client(
                "InvalidInstanceId",
                format!(
                    "Instances [[{instance}]] not in a valid state for account {}",
                    caller.account
                ),
            )
        };
        known.then(|| (*instance).to_owned()).ok_or_else(unknown)
    })
}

fn script(body: &Value) -> Result<String, ApiError> {
    let lines: Vec<&str> = body["Parameters"]["commands"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if lines.is_empty() {
        return Err(ApiError::client("InvalidParameters", "commands is missing"));
    }
    Ok(lines.join("\n"))
}
