//! The operator's commands: run once, told what and where on standard input, bounded in time and words.
//!
//! A hook runs in a process group of its own and is killed with everything it started when its time is over. It gets
//! no secret: neither on standard input nor in its environment. It must not know what a failure leads to.

use std::os::unix::fs::PermissionsExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use snapmigrate_models::policy::HookPolicy;
use snapmigrate_models::step::StepResult;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::Context;
use crate::execute::Hooks;
use crate::execute::failure::Failure;

/// How much of what a hook says is kept, in bytes: the end, where errors are.
const KEPT_BYTES: usize = 2000;
/// How long the output is waited for after the end: a process left behind may hold the pipe open.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Variables that would hand the executor's own credentials on.
const SECRETS: [&str; 4] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
];

impl Context<'_> {
    pub(super) async fn hook(&self, name: &str, occasion: u64) -> Result<StepResult, Failure> {
        let missing = || Failure::permanent(format!("the policy has no hook {name}"));
        let hook = self.plan.policy.hook(name).ok_or_else(missing)?;
        if self.sides.hooks == Hooks::Named {
            return Ok(StepResult::HookRan {
                seconds: 0.0,
                said: "not run: a rehearsal names hooks only".to_owned(),
            });
        }
        let begun = self.clock.now();
        // Behind the fence no hook may outlive the lease.
        let left = self.deadline.map(|end| (end - begun).as_seconds_f64());
        let seconds = left.map_or(hook.timeout_seconds, |left| left.min(hook.timeout_seconds));
        let limit = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default();
        let said = run(hook, &self.told(hook, occasion), limit).await?;
        Ok(StepResult::HookRan {
            seconds: (self.clock.now() - begun).as_seconds_f64(),
            said,
        })
    }

    /// Each program must be there before anything is changed.
    pub(super) fn hooks_can_run(&self) -> Result<(), Failure> {
        if self.sides.hooks == Hooks::Named {
            return Ok(());
        }
        let program = |hook: &HookPolicy| hook.command.first().cloned().unwrap_or_default();
        let executable = |hook: &&HookPolicy| {
            let metadata = std::fs::metadata(program(hook));
            metadata.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
        };
        match self.plan.policy.hooks.iter().find(|hook| !executable(hook)) {
            None => Ok(()),
            Some(hook) => Err(Failure::permanent(format!(
                "hook {}: {} is no program that can be run here",
                hook.name,
                program(hook)
            ))),
        }
    }

    /// What, where, for which step: ids and names, no secrets.
    fn told(&self, hook: &HookPolicy, occasion: u64) -> Value {
        let side = |place: &snapmigrate_models::plan::Place| json!({"account": place.account, "region": place.region, "zone": place.zone, "instance": place.instance});
        let volumes = self.plan.volumes.iter().map(|planned| &planned.volume);
        let fence = self.progress.fence.as_ref();
        let facts = fence.and_then(|fence| fence.facts.as_ref());
        json!({
            "format": "snapmigrate.hook/1",
            "migration": self.plan.name,
            "plan": self.plan.digest,
            "hook": hook.name,
            "phase": hook.phase,
            "when": hook.when,
            "occasion": occasion,
            "attempt": self.attempt,
            "source": side(&self.plan.source),
            "target": side(&self.plan.target),
            "source_volumes": volumes.collect::<Vec<_>>(),
            "target_volumes": self.progress.restored.iter().map(|pair| &pair.target).collect::<Vec<_>>(),
            "fence_position": facts.map(|facts| &facts.lsn),
        })
    }
}

/// Runs a hook to its end; what it said last.
async fn run(hook: &HookPolicy, told: &Value, limit: Duration) -> Result<String, Failure> {
    let failed = |what: String| Failure::permanent(format!("hook {}: {what}", hook.name));
    let mut child =
        spawn(&hook.command).map_err(|error| failed(format!("cannot be run: {error}")))?;
    let group = child
        .id()
        .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let input = child.stdin.take();
    let told = told.to_string();
    tokio::spawn(async move {
        // An error is a hook that does not read.
        if let Some(mut input) = input {
            let _ = input.write_all(told.as_bytes()).await;
        }
    });
    let (out, err) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let ended = tokio::time::timeout(limit, child.wait()).await;
    if !matches!(ended, Ok(Ok(_)))
        && let Some(group) = group
    {
        let _ = kill_process_group(group, Signal::KILL);
        let _ = child.wait().await;
    }
    let said = last(&[out.words().await, err.words().await].concat());
    match ended {
        Ok(Ok(status)) if status.success() => Ok(said),
        Ok(Ok(status)) => Err(failed(format!("{}: {said}", how(status)))),
        Ok(Err(error)) => Err(failed(format!("cannot be waited for: {error}"))),
        Err(_) => Err(failed(format!(
            "killed after {} s: {said}",
            limit.as_secs_f64()
        ))),
    }
}

fn spawn(command: &[String]) -> std::io::Result<Child> {
    let (program, arguments) = command
        .split_first()
        .ok_or(std::io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    for secret in SECRETS {
        command.env_remove(secret);
    }
    command
        .args(arguments)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

fn how(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("ended with {code}"),
        None => format!("was ended ({status})"),
    }
}

/// The end of a stream that is read to its end, however much comes.
struct Said(
    tokio::sync::watch::Receiver<Vec<u8>>,
    tokio::task::JoinHandle<()>,
);

impl Said {
    async fn words(self) -> Vec<u8> {
        let reading = tokio::time::timeout(LAST_WORDS, self.1).await;
        drop(reading);
        self.0.borrow().clone()
    }
}

fn collect(pipe: Option<impl AsyncRead + Unpin + Send + 'static>) -> Said {
    let (sender, receiver) = tokio::sync::watch::channel(Vec::new());
    let reading = tokio::spawn(async move {
        let Some(mut pipe) = pipe else { return };
        let mut buffer = [0; 8192];
        while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
            sender.send_modify(|kept| {
                kept.extend_from_slice(&buffer[..read]);
                let surplus = kept.len().saturating_sub(KEPT_BYTES);
                kept.drain(..surplus);
            });
        }
    });
    Said(receiver, reading)
}

fn last(bytes: &[u8]) -> String {
    let from = bytes.len().saturating_sub(KEPT_BYTES);
    String::from_utf8_lossy(&bytes[from..]).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapmigrate_models::policy::{HookPhase, HookTime};

    fn shell(script: &str) -> HookPolicy {
        HookPolicy {
            name: "test".into(),
            phase: HookPhase::Fence,
            when: HookTime::Pre,
            command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            timeout_seconds: 20.0,
            fatal: true,
            idempotent: false,
        }
    }

    async fn ran(script: &str, limit: Duration) -> Result<String, String> {
        let told = json!({"migration": "orders"});
        let ran = run(&shell(script), &told, limit).await;
        ran.map_err(|failure| failure.message)
    }

    const PATIENT: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_hook_reads_what_it_is_told_and_its_end_is_heard() {
        assert_eq!(
            ran("cat", PATIENT).await.as_deref(),
            Ok("{\"migration\":\"orders\"}")
        );
        assert_eq!(ran("exit 0", PATIENT).await.as_deref(), Ok(""));
        let failed = ran("echo because >&2; exit 3", PATIENT).await;
        let failed = failed.expect_err("it failed");
        assert!(failed.contains("ended with 3: because"), "{failed}");
    }

    #[tokio::test]
    async fn a_flood_is_cut_and_a_hanging_hook_is_killed_with_all_it_started() {
        let flood = "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo end";
        let said = ran(flood, PATIENT).await.expect("it ends");
        assert!(said.len() <= KEPT_BYTES && said.ends_with("end"));
        let mark = std::env::temp_dir().join(format!("snapmigrate-hook-{}", std::process::id()));
        let _ = std::fs::remove_file(&mark);
        let script = format!("(sleep 2; touch {}) & wait", mark.display());
        let killed = ran(&script, Duration::from_millis(300)).await;
        assert!(killed.expect_err("it hangs").contains("killed after 0.3 s"));
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(!mark.exists(), "its child went on");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let mut hook = shell("true");
        hook.command = vec!["/nowhere/at-all".into()];
        let failure = run(&hook, &json!({}), PATIENT)
            .await
            .expect_err("it is missing");
        assert!(
            failure.message.contains("cannot be run"),
            "{}",
            failure.message
        );
    }
}
