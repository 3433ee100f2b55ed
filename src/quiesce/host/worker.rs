//! The process that brings one device to a snapshot: started by the helper, told by it on standard input, telling it on
//! standard output, one JSON value a line.
//!
//! A process of its own: its memory is not locked, and whatever becomes of it, the helper's watchdog goes on. The
//! credentials come on standard input and live in memory only. It ends when the helper does.

use crate::clock::Clock;
use crate::cloud::{self, CloudError, Connection, Session, SharedSession, Transport};
use crate::quiesce::protocol::{BaseProgress, BaseTrouble, Credentials, ErrorCode, Reader};
use crate::transfer::sync::{Progress, Request, SyncError, sync};
use serde::{Deserialize, Serialize};
use snapmigrate_models::ids::SnapshotId;
use snapmigrate_models::step::FailureClass;
use snapmigrate_models::sync::SyncReport;
use std::error::Error;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::time::Duration;

/// Listings at once: at 400 ms a page 20 make the quota of 50 requests per second (EBS quotas).
const LISTERS: u64 = 24;
/// How long nothing may be heard before an attempt is given up; what is durable is kept.
const PATIENCE: Duration = Duration::from_secs(300);

/// The first line on standard input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Snapshot that the device holds; null: every block is written.
    pub from: Option<SnapshotId>,
    /// Snapshot that it is to hold.
    pub to: SnapshotId,
    /// Block device.
    pub device: PathBuf,
    /// Where the sync keeps its record.
    pub state_dir: PathBuf,
    /// Whether the record of another sync is thrown away.
    pub forget: bool,
    /// What the snapshots are read with.
    pub reader: Reader,
}

/// A line on standard output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// How far it is.
    Progress(BaseProgress),
    /// It is done.
    Report(Box<SyncReport>),
    /// It ended early.
    Trouble(BaseTrouble),
}

/// Does what standard input says.
///
/// # Errors
/// When it is not told what to do. A sync that fails is told, no error.
pub fn run() -> io::Result<()> {
    // The helper is out of the OOM killer's reach; what it starts is not.
    let _ = std::fs::write("/proc/self/oom_score_adj", "0");
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let job: Job = serde_json::from_str(&line)?;
    let session = SharedSession::new(session(&job.reader.credentials));
    let renewed = session.clone();
    std::thread::spawn(move || listen(&renewed));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    tell(&runtime.block_on(bring(&job, session)))
}

/// Newer credentials until the helper is gone; then this process has nobody to work for.
fn listen(session_of_calls: &SharedSession) {
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if let Ok(credentials) = serde_json::from_str::<Credentials>(&line) {
            session_of_calls.renew(session(&credentials));
        }
    }
    std::process::exit(3);
}

async fn bring(job: &Job, session: SharedSession) -> Told {
    let connection = Connection {
        region: Some(job.reader.region.clone()),
        endpoint_url: job.reader.endpoint_url.clone(),
        ..Connection::default()
    };
    let cloud = cloud::connect(&connection, &Transport::Handed(session), Clock::System).await;
    let cloud = match cloud {
        Ok(cloud) => cloud,
        Err(error) => return Told::Trouble(trouble(&error.into())),
    };
    let request = Request {
        from: job.from.clone(),
        to: job.to.clone(),
        target: job.device.clone(),
        state_dir: job.state_dir.clone(),
        // The way back of a migration deletes the volumes: nothing is put back onto them.
        undo: false,
        read_back: true,
        listers: LISTERS,
        patience: PATIENCE,
        forget: job.forget,
    };
    let mut watch = |now: &Progress| {
        let progress = BaseProgress {
            changed_blocks: now.changed_blocks,
            done_blocks: now.done_blocks,
            blocks_per_second: now.blocks_per_second,
        };
        // A helper that is gone ends this process elsewhere.
        let _ = tell(&Told::Progress(progress));
    };
    match sync(&cloud, &request, &mut watch).await {
        Ok(report) => Told::Report(Box::new(report)),
        Err(error) => Told::Trouble(trouble(&error)),
    }
}

fn tell(told: &Told) -> io::Result<()> {
    let line = serde_json::to_string(told)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

fn session(credentials: &Credentials) -> Session {
    Session {
        access_key_id: credentials.access_key_id.clone(),
        secret_access_key: credentials.secret_access_key.clone(),
        session_token: credentials.session_token.clone(),
        expires_at: credentials.expires_at,
    }
}

fn trouble(error: &SyncError) -> BaseTrouble {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(below) = cause {
        message = format!("{message}: {below}");
        cause = below.source();
    }
    BaseTrouble {
        code: code_of(error),
        message,
    }
}

fn code_of(error: &SyncError) -> ErrorCode {
    match error {
        SyncError::WrongBase { .. } | SyncError::State { .. } | SyncError::Integrity(_) => {
            ErrorCode::NotABase
        }
        SyncError::Io { .. } | SyncError::InUse { .. } => ErrorCode::Device,
        SyncError::Stalled { .. } => ErrorCode::Service,
        SyncError::Cloud(error) => cloud_code(error),
        _ => ErrorCode::Refused,
    }
}

/// Expired credentials are renewed by whoever asks again.
fn cloud_code(error: &CloudError) -> ErrorCode {
    match error.class {
        FailureClass::Transient
        | FailureClass::Unknown
        | FailureClass::Credentials
        | FailureClass::Interrupted => ErrorCode::Service,
        FailureClass::Integrity | FailureClass::Lineage | FailureClass::Gone => ErrorCode::NotABase,
        FailureClass::Permanent => ErrorCode::Refused,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn cloud_error(class: FailureClass) -> SyncError {
        SyncError::Cloud(CloudError {
            class,
            operation: "GetSnapshotBlock",
            subject: "snap-1".into(),
            code: "c".into(),
            message: "m".into(),
        })
    }

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        let code = |class| trouble(&cloud_error(class)).code;
        assert_eq!(code(FailureClass::Credentials), ErrorCode::Service);
        assert_eq!(code(FailureClass::Unknown), ErrorCode::Service);
        assert_eq!(code(FailureClass::Permanent), ErrorCode::Refused);
        let base = SyncError::WrongBase {
            path: "/dev/x".into(),
            snapshot: "snap-1".parse().unwrap(),
            found: "it was written to".into(),
        };
        assert_eq!(trouble(&base).code, ErrorCode::NotABase);
        assert!(trouble(&base).message.contains("/dev/x"));
    }

    #[test]
    fn lines_survive_the_round_trip() {
        let told = Told::Progress(BaseProgress {
            changed_blocks: 3,
            done_blocks: 1,
            blocks_per_second: 0.5,
        });
        let line = serde_json::to_string(&told).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<Told>(&line).unwrap(), told);
    }
}
