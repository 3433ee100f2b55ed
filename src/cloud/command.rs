//! Commands on instances through SSM RunCommand: sent, then asked for until they ended.
//!
//! SendCommand has no idempotency token: what is run must bear to be run twice. Output beyond 24,000 characters is cut by
//! the service (SSM API reference, GetCommandInvocation).

use std::time::Duration;

use aws_sdk_ssm::types::CommandInvocationStatus as Status;

use super::error::classify;
use super::{Cloud, CloudError};

/// The document that runs a shell script on Linux.
const DOCUMENT: &str = "AWS-RunShellScript";
/// A command that has not begun within this time is not begun at all: the least that SendCommand takes
/// (SSM API reference, SendCommand, TimeoutSeconds).
const DELIVERY_SECONDS: i32 = 30;
/// First and longest pause between two looks at a command.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(2)];

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandOutput {
    /// Its exit code; -1 when it never began or was ended.
    pub code: i32,
    /// `Success`, `Failed`, `TimedOut`, `Cancelled`, ...
    pub status: String,
    /// Standard output.
    pub output: String,
    /// Standard error.
    pub error: String,
}

impl CommandOutput {
    /// Whether the command may have begun (SSM user guide, "Understanding command statuses").
    #[must_use]
    pub fn may_have_run(&self) -> bool {
        let never = ["Undeliverable", "Delivery Timed Out", "Terminated"];
        self.code >= 0 || !never.contains(&self.status.as_str())
    }
}

impl Cloud {
    /// Runs a shell command on an instance and waits for its end, without a limit of its own: the caller stops waiting.
    /// `limit` is how long the command itself may run.
    ///
    /// # Errors
    /// [`CloudError`]; `InvalidInstanceId` when the instance is not managed by SSM. Once it was sent, an error's class is
    /// `Unknown`.
    pub async fn run_command(
        &self,
        instance: &str,
        command: &str,
        limit: Duration,
    ) -> Result<CommandOutput, CloudError> {
        let id = self.send_command(instance, command, limit).await?;
        let mut pause = PAUSES[0];
        loop {
            self.clock.sleep(pause).await;
            if let Some(ended) = self.invocation(instance, &id).await? {
                return Ok(ended);
            }
            pause = (pause * 3 / 2).min(PAUSES[1]);
        }
    }

    async fn send_command(
        &self,
        instance: &str,
        command: &str,
        limit: Duration,
    ) -> Result<String, CloudError> {
        const CALL: &str = "SendCommand";
        let request = self
            .ssm
            .send_command()
            .document_name(DOCUMENT)
            .instance_ids(instance);
        let request = request
            .parameters("commands", vec![command.to_owned()])
            .parameters("executionTimeout", vec![limit.as_secs().max(1).to_string()])
            .timeout_seconds(DELIVERY_SECONDS)
            .comment("snapmigrate");
        let answer = request
            .send()
            .await
            .map_err(|error| classify(CALL, instance, &error))?;
        let id = answer.command().and_then(|command| command.command_id());
        id.map(str::to_owned)
            .ok_or_else(|| CloudError::incomplete(CALL, instance, "command id"))
    }

    /// The end of a command, once it has ended.
    async fn invocation(
        &self,
        instance: &str,
        id: &str,
    ) -> Result<Option<CommandOutput>, CloudError> {
        const CALL: &str = "GetCommandInvocation";
        let request = self
            .ssm
            .get_command_invocation()
            .command_id(id)
            .instance_id(instance);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                return match classify(CALL, instance, &error) {
                    // Right after SendCommand it is not visible yet.
                    absent if absent.code == "InvocationDoesNotExist" => Ok(None),
                    other => Err(other),
                };
            }
        };
        let status = answer.status().cloned().unwrap_or(Status::Pending);
        if matches!(
            status,
            Status::Pending | Status::InProgress | Status::Delayed | Status::Cancelling
        ) {
            return Ok(None);
        }
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Ok(Some(CommandOutput {
            code: answer.response_code(),
            status: text(answer.status_details()),
            output: text(answer.standard_output_content()),
            error: text(answer.standard_error_content()),
        }))
    }
}
