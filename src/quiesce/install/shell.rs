//! A shell on a host, as root: this machine's own, or one behind a login.

use crate::quiesce::ssh::Ssh;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Longest a command may take, sending a program over a slow line included.
const LIMIT: Duration = Duration::from_secs(300);

/// Where commands run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shell {
    /// On this machine.
    Local,
    /// Behind a login.
    Ssh(Ssh),
}

/// A command that did not succeed.
#[derive(Debug, thiserror::Error)]
#[error("a command on {place} failed: {reason}")]
pub struct ShellError {
    place: String,
    reason: String,
}

impl Shell {
    /// Runs a script with bytes on its standard input; what it prints.
    ///
    /// # Errors
    /// [`ShellError`], with what it said.
    pub async fn run(&self, script: &str, input: &[u8]) -> Result<String, ShellError> {
        let outcome = tokio::time::timeout(LIMIT, self.outcome(script, input)).await;
        let outcome =
            outcome.unwrap_or_else(|_| Err(format!("no end within {} s", LIMIT.as_secs())));
        outcome.map_err(|reason| ShellError {
            place: self.place(),
            reason,
        })
    }

    /// Writes a file of mode `mode` and makes its directory, which the server's user must be able to pass.
    ///
    /// # Errors
    /// [`ShellError`].
    pub async fn write(&self, path: &str, mode: &str, bytes: &[u8]) -> Result<(), ShellError> {
        let script = format!(
            "umask 022 && mkdir -p $(dirname {path}) && umask 077 && cat > {path} && chmod {mode} {path}"
        );
        self.run(&script, bytes).await.map(|_| ())
    }

    async fn outcome(&self, script: &str, input: &[u8]) -> Result<String, String> {
        let argv = self.argv(script);
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).kill_on_drop(true);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| format!("{}: {error}", argv[0]))?;
        let stdin = child.stdin.take();
        let feed = async {
            // A command that ends before it has read everything says why itself.
            if let Some(mut stdin) = stdin {
                let _ = stdin.write_all(input).await;
            }
        };
        let ((), output) = tokio::join!(feed, child.wait_with_output());
        let output = output.map_err(|error| error.to_string())?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() {
            return Ok(said(&output.stdout));
        }
        Err(format!("{}: {}", output.status, said(&output.stderr)))
    }

    fn argv(&self, script: &str) -> Vec<String> {
        match self {
            Self::Local => ["sh", "-c", script].map(str::to_owned).to_vec(),
            Self::Ssh(ssh) => ssh.run(&format!("sh -c {}", quoted(script))),
        }
    }

    fn place(&self) -> String {
        match self {
            Self::Local => "this machine".to_owned(),
            Self::Ssh(ssh) => ssh.to_string(),
        }
    }
}

/// One word for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn a_file_arrives_whole_and_a_failure_is_told_in_its_own_words() {
        let shell = Shell::Local;
        let root = std::env::temp_dir().join(format!("snapmigrate-shell-{}", std::process::id()));
        let path = format!("{}/new/file", root.display());
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        shell.write(&path, "640", &bytes).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        assert_eq!(
            shell.run(&format!("stat -c %a {path}"), &[]).await.unwrap(),
            "640"
        );
        let error = shell
            .run("echo because >&2; exit 3", &bytes)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("because") && error.contains('3'), "{error}");
        std::fs::remove_dir_all(root).unwrap();
    }

    #[tokio::test]
    async fn a_quoted_script_is_one_word() {
        let script = "echo 'it'\\''s' \"$0\"";
        let direct = Shell::Local.run(script, &[]).await.unwrap();
        let nested = Shell::Local
            .run(&format!("sh -c {}", quoted(script)), &[])
            .await
            .unwrap();
        assert_eq!(direct, nested);
    }
}
