//! Runs the database's own programs: with a time limit, an empty environment, as the database's user.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(5);
/// How long output is waited for after the program's end: a daemon it left behind may hold the pipe open.
const LAST_OUTPUT: Duration = Duration::from_millis(500);
/// How much of each output is kept in an error, in bytes.
const KEPT_BYTES: usize = 4000;

/// A program that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be started.
    #[error("cannot run {program}: {source}")]
    Spawn {
        /// The program.
        program: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// It ended with an error.
    #[error("{program} failed ({status}): {output}")]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it said.
        output: String,
    },
    /// It was killed at its time limit.
    #[error("{program} did not finish within {limit_seconds} s and was killed: {output}")]
    TimedOut {
        /// The program.
        program: String,
        /// The limit.
        limit_seconds: f64,
        /// The end of what it said.
        output: String,
    },
}

/// The user to run programs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunAs {
    /// As the helper itself.
    Myself,
    /// As another user with all its groups; needs root.
    User {
        /// Numeric user id.
        uid: u32,
        /// Its primary group.
        gid: u32,
    },
}

/// Runs `argv` to its end and returns its standard output.
///
/// # Errors
/// [`CommandError`], with what the program wrote.
pub fn run(run_as: &RunAs, argv: &[String], limit: Duration) -> Result<String, CommandError> {
    let program = argv.first().cloned().unwrap_or_default();
    let argv = [ordinary_for_the_oom_killer(), prefix(run_as), argv.to_vec()].concat();
    let mut child = spawn(&argv).map_err(|source| CommandError::Spawn {
        program: program.clone(),
        source,
    })?;
    let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let status = wait(&mut child, limit);
    let text = |from: mpsc::Receiver<Vec<u8>>| {
        let bytes: Vec<u8> = std::iter::from_fn(|| from.recv_timeout(LAST_OUTPUT).ok())
            .flatten()
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (stdout, stderr) = (text(stdout), text(stderr));
    match status {
        Some(status) if status.success() => Ok(stdout),
        Some(status) => Err(CommandError::Failed {
            program,
            status,
            output: last(&format!("{stdout}{stderr}")),
        }),
        None => {
            let output = last(&format!("{stdout}{stderr}"));
            Err(CommandError::TimedOut {
                program,
                limit_seconds: limit.as_secs_f64(),
                output,
            })
        }
    }
}

/// Programs started here, the database above all, do not inherit the helper's own protection.
fn ordinary_for_the_oom_killer() -> Vec<String> {
    let script = "echo 0 2>/dev/null >/proc/self/oom_score_adj; exec \"$@\"";
    ["sh", "-c", script, "sh"].map(str::to_owned).to_vec()
}

fn prefix(run_as: &RunAs) -> Vec<String> {
    match run_as {
        RunAs::Myself => Vec::new(),
        RunAs::User { uid, gid } => {
            vec![
                "setpriv".to_owned(),
                format!("--reuid={uid}"),
                format!("--regid={gid}"),
                "--init-groups".to_owned(),
            ]
        }
    }
}

fn spawn(argv: &[String]) -> std::io::Result<Child> {
    let (program, arguments) = argv.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
    Command::new(program)
        .args(arguments)
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env("LC_ALL", "C")
        .env("PGCONNECT_TIMEOUT", "10")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => thread::sleep(POLL),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let Some(mut pipe) = pipe else { return };
        let mut buffer = [0; 8192];
        while let Ok(read @ 1..) = pipe.read(&mut buffer) {
            if sender.send(buffer[..read].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The end of a text, cut at a character.
#[must_use]
pub fn last(text: &str) -> String {
    let text = text.trim();
    let from = text.len().saturating_sub(KEPT_BYTES);
    let from = (from..=text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    text[from..].to_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<String, CommandError> {
        run(
            &RunAs::Myself,
            &["sh".into(), "-c".into(), script.into()],
            limit,
        )
    }

    #[test]
    fn output_comes_back_and_errors_carry_what_was_said() {
        assert_eq!(
            shell("echo fine; echo noise >&2", Duration::from_secs(10)).unwrap(),
            "fine\n"
        );
        let error = shell("echo because >&2; exit 3", Duration::from_secs(10))
            .unwrap_err()
            .to_string();
        assert!(error.contains("because") && error.contains('3'), "{error}");
    }

    #[test]
    fn a_hanging_program_is_killed_and_a_daemon_left_behind_does_not_hang_us() {
        let begun = Instant::now();
        assert!(matches!(
            shell("exec sleep 60", Duration::from_millis(50)),
            Err(CommandError::TimedOut { .. })
        ));
        assert_eq!(
            shell("sleep 3 & echo left", Duration::from_secs(10)).unwrap(),
            "left\n"
        );
        assert!(begun.elapsed() < Duration::from_secs(3));
    }

    #[test]
    fn the_environment_is_empty() {
        assert_eq!(
            shell("echo \"$HOME$CARGO\"", Duration::from_secs(10)).unwrap(),
            "\n"
        );
    }
}
