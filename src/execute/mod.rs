//! Execution: `decide -> append -> act -> append`, until the end or until only the operator can help.
//!
//! Everything that is decided is decided in `snapmigrate_models::decide`; everything that is known
//! is in the journal. Here a decision becomes calls and their answers become entries. Nothing here
//! writes to the terminal: a watcher is told each entry after it is durable.

mod act;
mod adopt;
mod claim;
mod control;
mod driver;
mod failure;
mod names;
mod poll;

use std::fmt;

use snapmigrate_models::report::RunOutcome;
use snapmigrate_models::step::{VolumeDelta, VolumePair};

pub use claim::{Claimant, take_over};
pub use control::{Control, Executor, Server, SpeakError, flag, limited, request, speak};
pub use driver::{Run, execute};

use crate::cloud::{Cloud, CloudError};
use crate::journal::JournalError;
use crate::quiesce::channel::Channel;

/// Both ends of a migration.
#[derive(Debug)]
pub struct Sides {
    /// The source's account and region.
    pub source: Cloud,
    /// The target's account and region.
    pub target: Cloud,
    /// The helper on the source's host, when the plan names a database.
    pub source_host: Option<Channel>,
    /// The helper on the target's host, when the plan names a database.
    pub target_host: Option<Channel>,
    /// How the final snapshots are compared.
    pub comparison: Comparison,
    /// What becomes of the policy's hooks.
    pub hooks: Hooks,
}

/// What becomes of the policy's hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hooks {
    /// They are run, as child processes.
    Run,
    /// They are only named: a rehearsal on a paused clock has no child processes.
    Named,
}

/// How the final snapshots of both sides are compared.
pub enum Comparison {
    /// All bytes, read through the EBS direct APIs, by SHA-256.
    Bytes,
    /// Identities of traced blocks, told by the lab that wrote them: there are no bytes to read.
    Audit(Box<Auditor>),
}

/// Compares what the writer wrote up to the fence with what the restored volumes hold.
pub type Auditor = dyn Fn(&[VolumePair], &[VolumeDelta]) -> Result<Audited, String> + Send + Sync;

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audited {
    /// Blocks compared, all volumes; every block of the final delta is among them.
    pub blocks_compared: u64,
    /// Blocks that differ.
    pub mismatches: u64,
    /// SHA-256 over the identities of all compared blocks of the target.
    pub digest: String,
}

impl fmt::Debug for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "Bytes",
            Self::Audit(_) => "Audit",
        })
    }
}

/// How a run of the executor ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The migration is over.
    Closed {
        /// How.
        outcome: RunOutcome,
        /// Why.
        reason: String,
    },
    /// Only the operator can help; the state is safe to stay in.
    AwaitingOperator {
        /// What is the matter and what the ways out are.
        reason: String,
    },
    /// Asked to stop; the source serves and the same command goes on.
    Stopped {
        /// Where it stands.
        reason: String,
    },
}

/// Why a run could not go on at all.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// The plan cannot be carried out to the goal.
    #[error("{reason}")]
    Inadmissible {
        /// Why.
        reason: String,
    },
    /// Nobody can tell whether another executor runs.
    #[error("cannot claim the migration for this executor; nothing was changed")]
    Claim(#[source] CloudError),
    /// The journal refused.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal took no entry any more: a full disk, most likely.
    #[error("nothing can be journaled any more, and nothing was done since; {state}")]
    Unwritten {
        /// What the journal said.
        #[source]
        source: JournalError,
        /// Who serves, or when that is known.
        state: String,
        /// The source certainly serves.
        source_serves: bool,
    },
    /// A control file refused.
    #[error("{path}: {source}")]
    Control {
        /// File.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}
