//! One open way to a helper, over which lines go: a socket, or a relay's standard input and output.

use crate::quiesce::protocol::MAX_LINE_BYTES;
use serde_json::Value;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader,
};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

/// How long a kept connection is looked at before it is used again: far below what a call costs.
const IDLE_LOOK: Duration = Duration::from_millis(1);

pub(super) struct Connection {
    reader: Pin<Box<dyn AsyncBufRead + Send>>,
    writer: Pin<Box<dyn AsyncWrite + Send>>,
    child: Option<Child>,
}

impl Connection {
    pub(super) async fn unix(path: &PathBuf) -> Result<Self, String> {
        let stream = UnixStream::connect(path)
            .await
            .map_err(|error| format!("cannot connect: {error}"))?;
        let (reader, writer) = stream.into_split();
        Ok(Self {
            reader: Box::pin(BufReader::new(reader)),
            writer: Box::pin(writer),
            child: None,
        })
    }

    pub(super) fn exec(argv: &[String]) -> Result<Self, String> {
        let (program, arguments) = argv.split_first().ok_or("the relay command is empty")?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .map_err(|error| format!("cannot run {program}: {error}"))?;
        let writer = child
            .stdin
            .take()
            .ok_or("the relay has no standard input")?;
        let reader = child
            .stdout
            .take()
            .ok_or("the relay has no standard output")?;
        Ok(Self {
            reader: Box::pin(BufReader::new(reader)),
            writer: Box::pin(writer),
            child: Some(child),
        })
    }

    /// Whether the connection can be used again: not when the host has closed it or speaks unasked. The moment of
    /// waiting lets the runtime notice what happened since the last call.
    pub(super) async fn is_idle(&mut self) -> bool {
        tokio::time::timeout(IDLE_LOOK, self.reader.fill_buf())
            .await
            .is_err()
    }

    pub(super) async fn roundtrip(
        &mut self,
        request: Value,
        sent: &mut bool,
    ) -> Result<Value, String> {
        let line = format!("{request}\n");
        *sent = true;
        self.writer
            .write_all(line.as_bytes())
            .await
            .map_err(|error| format!("cannot send: {error}"))?;
        self.writer
            .flush()
            .await
            .map_err(|error| format!("cannot send: {error}"))?;
        let mut answer = String::new();
        let mut limited = (&mut self.reader).take(MAX_LINE_BYTES as u64);
        let read = limited
            .read_line(&mut answer)
            .await
            .map_err(|error| format!("cannot read the answer: {error}"))?;
        if read == 0 || !answer.ends_with('\n') {
            return Err(self.why_closed().await);
        }
        serde_json::from_str(&answer).map_err(|error| format!("the answer is not JSON: {error}"))
    }

    /// What a relay said before it ended, which for ssh is the reason.
    async fn why_closed(&mut self) -> String {
        let mut said = Vec::new();
        if let Some(stderr) = self.child.as_mut().and_then(|child| child.stderr.take()) {
            let mut stderr = stderr.take(4096);
            let _ =
                tokio::time::timeout(Duration::from_secs(1), stderr.read_to_end(&mut said)).await;
        }
        let said = String::from_utf8_lossy(&said);
        format!("the host closed the connection {}", said.trim())
            .trim_end()
            .to_owned()
    }
}
