//! One worker under way: started, told newer credentials, listened to, ended.

use super::super::clock;
use super::super::worker::{Job, Told};
use super::{Bases, program};
use crate::quiesce::protocol::{
    BaseDone, BaseProgress, BaseTrouble, Credentials, ErrorCode, Refusal, SyncVolume,
};
use chrono::{DateTime, Utc};
use snapmigrate_models::ids::SnapshotId;
use snapmigrate_models::sync::SyncReport;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

static NUMBER: AtomicU64 = AtomicU64::new(1);

/// A worker.
pub struct Run {
    /// Tells it from one that was ended before.
    pub number: u64,
    child: Arc<Mutex<Child>>,
    stdin: ChildStdin,
    progress: Arc<Mutex<Option<BaseProgress>>>,
}

impl Run {
    /// Starts a worker; its end is told to `bases`.
    ///
    /// # Errors
    /// `bad_request` for a snapshot that cannot be one, `device` when no process can be started.
    pub fn start(
        bases: &Bases,
        asked: &SyncVolume,
        disk: &Path,
        state_dir: PathBuf,
        forget: bool,
    ) -> Result<Self, Refusal> {
        let job = Job {
            from: asked.from.as_deref().map(snapshot).transpose()?,
            to: snapshot(&asked.to)?,
            device: disk.to_owned(),
            state_dir,
            forget,
            reader: asked.reader.clone(),
        };
        let (child, stdin, stdout) = spawn(&job).map_err(|error| {
            Refusal::new(ErrorCode::Device, format!("cannot start a worker: {error}"))
        })?;
        let run = Self {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            child: Arc::new(Mutex::new(child)),
            stdin,
            progress: Arc::new(Mutex::new(None)),
        };
        let (bases, volume, disk) = (bases.clone(), asked.volume.clone(), disk.to_owned());
        let (number, progress) = (run.number, Arc::clone(&run.progress));
        let (child, started_at) = (Arc::clone(&run.child), clock::wall());
        let listening = thread::Builder::new()
            .name("sync".to_owned())
            .stack_size(512 << 10)
            .spawn(move || {
                let end = listen(stdout, &progress, started_at);
                // It has closed its output: it is ending.
                let _ = child.lock().unwrap_or_else(PoisonError::into_inner).wait();
                bases.ended(&volume, number, &disk, end);
            });
        listening.map_err(|error| {
            Refusal::new(
                ErrorCode::Device,
                format!("cannot listen to a worker: {error}"),
            )
        })?;
        Ok(run)
    }

    /// Hands over newer credentials. A worker that is gone is noticed by whoever listens.
    pub fn renew(&mut self, credentials: &Credentials) {
        let line = serde_json::to_string(credentials).unwrap_or_default();
        let _ = writeln!(self.stdin, "{line}");
    }

    /// How far it is, once it has told.
    pub fn progress(&self) -> Option<BaseProgress> {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it and waits for its end. Without its standard input it would end by itself.
    pub fn end(self) {
        drop(self.stdin);
        // Without its standard input it ends: the listener, which may wait for that with the lock in hand, gets there.
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn spawn(job: &Job) -> io::Result<(Child, ChildStdin, ChildStdout)> {
    let mut command = Command::new(program()?);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    for (name, _) in std::env::vars_os() {
        // What it may read comes from the executor alone.
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    let mut child = command.spawn()?;
    let missing = || io::Error::other("it has no standard input or output");
    let mut stdin = child.stdin.take().ok_or_else(missing)?;
    let stdout = child.stdout.take().ok_or_else(missing)?;
    writeln!(stdin, "{}", serde_json::to_string(job)?)?;
    Ok((child, stdin, stdout))
}

fn listen(
    stdout: ChildStdout,
    progress: &Mutex<Option<BaseProgress>>,
    started_at: DateTime<Utc>,
) -> Result<BaseDone, BaseTrouble> {
    for line in BufReader::new(stdout).lines() {
        let Ok(line) = line else { break };
        match serde_json::from_str(&line) {
            Ok(Told::Progress(now)) => {
                *progress.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
            }
            Ok(Told::Report(report)) => return done(&report, started_at),
            Ok(Told::Trouble(trouble)) => return Err(trouble),
            Err(error) => {
                let message = format!("the worker said what cannot be understood: {error}");
                return Err(trouble(ErrorCode::Device, message));
            }
        }
    }
    let message = "the worker ended early; asked again it goes on where it was";
    Err(trouble(ErrorCode::Service, message.to_owned()))
}

fn done(report: &SyncReport, started_at: DateTime<Utc>) -> Result<BaseDone, BaseTrouble> {
    if !report.proved {
        let message = format!(
            "{} of {} changed blocks were written and {} read back",
            report.blocks.written, report.blocks.changed, report.blocks.read_back
        );
        return Err(trouble(ErrorCode::NotABase, message));
    }
    Ok(BaseDone {
        changed_blocks: report.blocks.changed,
        written_blocks: report.blocks.written,
        read_back_blocks: report.blocks.read_back,
        resumed_blocks: report.blocks.resumed,
        method: report.method.clone(),
        digest: report.digest.clone(),
        started_at,
        finished_at: clock::wall(),
    })
}

/// What the sync left at its end.
pub fn seal_of(state_dir: &Path) -> Option<String> {
    let text = fs::read_to_string(state_dir.join("sync.json")).ok()?;
    let record: serde_json::Value = serde_json::from_str(&text).ok()?;
    record["seal"].as_str().map(str::to_owned)
}

fn trouble(code: ErrorCode, message: String) -> BaseTrouble {
    BaseTrouble { code, message }
}

fn snapshot(id: &str) -> Result<SnapshotId, Refusal> {
    id.parse()
        .map_err(|error| Refusal::new(ErrorCode::BadRequest, format!("{id:?}: {error}")))
}
