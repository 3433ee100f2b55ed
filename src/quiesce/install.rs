//! Puts the helper on a host and has it supervised: sent as a file, checked by its digest there, started, greeted.
//!
//! Only over ways that carry a shell; what the helper does is none of its business. Taking it away is the helper's own
//! operation, `leave`, which every channel carries.

mod layout;
mod program;
mod shell;

pub use layout::{Layout, MANIFEST, Manifest};
pub use program::{Program, ProgramError};
pub use shell::{Shell, ShellError};

use super::channel::Channel;
use super::compare::{CompareError, greet};
use super::protocol::{FenceState, Hello, HelloReply, Status};
use std::time::Duration;

/// How long a helper may take from its start to its first answer.
const START: Duration = Duration::from_secs(30);
/// Pause between two greetings.
const PAUSE: Duration = Duration::from_millis(300);

/// What is installed, and how.
#[derive(Debug)]
pub struct Installation {
    /// The helper.
    pub helper: Program,
    /// What it needs beside it for path `direct`.
    pub worker: Option<Program>,
    /// Text of `host.toml`; none: the one that is there.
    pub config: Option<String>,
    /// Where things go.
    pub layout: Layout,
    /// Starts the helper on a host without systemd; none: systemd does.
    pub start: Option<String>,
}

/// Why the helper is not installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// A command on the host failed.
    #[error("{0}; what was sent so far lies beside its place and does nothing")]
    Shell(#[from] ShellError),
    /// What arrived is not what was sent.
    #[error("{path} has SHA-256 {found} on the host, sent was {sent}: it was removed again")]
    Digest {
        /// The file on the host.
        path: String,
        /// Digest there.
        found: String,
        /// Digest here.
        sent: String,
    },
    /// A fence or a freeze stands.
    #[error("the helper on {0} holds a fence or a freeze: end that first; nothing was changed")]
    Busy(String),
    /// It does not answer, or another one does.
    #[error("it was installed and started, but {0}")]
    Greeting(#[source] CompareError),
}

impl Installation {
    /// Installs, starts and greets; the same one, running already, is left alone.
    ///
    /// # Errors
    /// [`InstallError`].
    pub async fn carry_out(
        &self,
        shell: &Shell,
        channel: &Channel,
    ) -> Result<HelloReply, InstallError> {
        if let Some(there) = self.running(channel).await? {
            return Ok(there);
        }
        let layout = &self.layout;
        self.send(shell, &layout.program, &self.helper).await?;
        if let Some(worker) = &self.worker {
            self.send(shell, &layout.worker, worker).await?;
        }
        if let Some(config) = &self.config {
            shell
                .write(&layout.config, "600", config.as_bytes())
                .await?;
        }
        shell
            .write(
                &layout.manifest(),
                "600",
                layout.manifest_text(self).as_bytes(),
            )
            .await?;
        shell.run(&self.start_script(channel), &[]).await?;
        self.greeted(channel).await
    }

    /// The helper of this digest, when it runs there already.
    async fn running(&self, channel: &Channel) -> Result<Option<HelloReply>, InstallError> {
        let Ok(hello) = channel.call(Hello {}).await else {
            return Ok(None);
        };
        if hello.sha256.as_ref() == Some(&self.helper.sha256) && self.config.is_none() {
            return Ok(Some(hello));
        }
        let status = channel.call(Status {}).await;
        match status {
            Ok(status) if status.fence == FenceState::Leased || status.frozen => {
                Err(InstallError::Busy(channel.name()))
            }
            _ => Ok(None),
        }
    }

    /// Beside its place first: what is there stays whole until the new one has arrived whole.
    async fn send(&self, shell: &Shell, path: &str, program: &Program) -> Result<(), InstallError> {
        let beside = format!("{path}.new");
        shell.write(&beside, "755", &program.bytes).await?;
        let sum = shell.run(&format!("sha256sum {beside}"), &[]).await?;
        let found = sum.split_whitespace().next().unwrap_or_default();
        if found != program.sha256 {
            shell.run(&format!("rm -f {beside}"), &[]).await?;
            return Err(InstallError::Digest {
                path: path.to_owned(),
                found: found.to_owned(),
                sent: program.sha256.clone(),
            });
        }
        shell
            .run(&format!("mv {beside} {path} && sync {path}"), &[])
            .await?;
        Ok(())
    }

    fn start_script(&self, channel: &Channel) -> String {
        match &self.start {
            Some(start) => start.clone(),
            None => self.layout.systemd_script(channel.socket()),
        }
    }

    async fn greeted(&self, channel: &Channel) -> Result<HelloReply, InstallError> {
        let until = tokio::time::Instant::now() + START;
        loop {
            match greet(channel, Some(&self.helper.sha256)).await {
                Ok(hello) => return Ok(hello),
                Err(error) if tokio::time::Instant::now() >= until => {
                    return Err(InstallError::Greeting(error));
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}
