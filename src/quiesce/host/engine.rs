//! What the helper needs of a database engine; PostgreSQL is one, MariaDB another.

use super::survey::EngineSurvey;
use crate::quiesce::protocol::{
    ActivateReply, DatabaseState, ErrorCode, FenceReply, InspectReply, ProbeCommitReply,
    ProveReply, Refusal,
};
use std::path::PathBuf;

/// What the target must turn out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The cluster.
    pub system_identifier: String,
    /// The fence position.
    pub lsn: String,
}

impl Expected {
    /// The copy is of a running database and reaches no fence: a restore that is tried. `0/0` on the wire.
    #[must_use]
    pub fn is_trial(&self) -> bool {
        self.lsn == "0/0"
    }
}

/// An isolated standby that answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Started {
    /// What it holds.
    pub standby: ProveReply,
    /// How long it replayed its log, as that log tells; of a start by this very call.
    pub replay_seconds: Option<f64>,
}

/// A database engine on this host. Every call has a time limit of its own and blocks until it is done.
pub trait Engine: Send + Sync {
    /// What the database is doing.
    fn state(&self) -> DatabaseState;

    /// Every directory whose file system holds part of the database, running or not.
    ///
    /// # Errors
    /// `database` when the data directory is not there.
    fn places(&self) -> Result<Vec<PathBuf>, Refusal>;

    /// Facts and findings; the caller adds mounts and what it finds about them.
    ///
    /// # Errors
    /// `database`.
    fn inspect(&self) -> Result<InspectReply, Refusal>;

    /// What it needs of its host; whatever cannot be told is left out. Changes nothing.
    fn survey(&self) -> EngineSurvey;

    /// Flushes the database.
    ///
    /// # Errors
    /// `database`.
    fn checkpoint(&self) -> Result<(), Refusal>;

    /// Commits once and reports when that was acknowledged.
    ///
    /// # Errors
    /// `database`.
    fn probe_commit(&self) -> Result<ProbeCommitReply, Refusal>;

    /// Ends all writing so that nothing but [`Engine::unfence`] starts it again. May fail half-way.
    ///
    /// # Errors
    /// `database` or `refused`.
    fn fence(&self, epoch: u64) -> Result<FenceReply, Refusal>;

    /// Refuses unless the fence has held since [`Engine::fence`] answered `fenced`: asked right before the commit of the
    /// migration.
    ///
    /// # Errors
    /// `refused`, saying what is not as it was; whatever cannot be shown is an error too.
    fn require_fenced(&self, fenced: &FenceReply) -> Result<(), Refusal>;

    /// Makes a database that does not run unable to start, until [`Engine::unfence`]: for a target that broke down and
    /// gives way. Its last position and commit are what is known of them.
    ///
    /// # Errors
    /// `refused` by an engine that cannot.
    fn fence_stopped(&self, _epoch: u64) -> Result<FenceReply, Refusal> {
        Err(Refusal::new(
            ErrorCode::Refused,
            "this engine is fenced only while it serves: start the database first",
        ))
    }

    /// Serves again, from wherever a fence got to. Idempotent.
    ///
    /// # Errors
    /// `database`; to be tried again.
    fn unfence(&self) -> Result<(), Refusal>;

    /// Starts the database, whose file systems are mounted, as a standby that no client reaches. Idempotent.
    ///
    /// # Errors
    /// `not_proved` when it is another database, `database` when it does not start.
    fn start_isolated(&self, expected: &Expected) -> Result<Started, Refusal>;

    /// Waits until the isolated standby has replayed everything expected.
    ///
    /// # Errors
    /// `not_proved`.
    fn prove(&self, expected: &Expected) -> Result<ProveReply, Refusal>;

    /// Promotes the isolated standby and opens it to its clients. Idempotent, from wherever an earlier call got to.
    ///
    /// # Errors
    /// `database`; to be tried again.
    fn activate(&self) -> Result<ActivateReply, Refusal>;

    /// Stops the isolated standby; returns whether one ran.
    ///
    /// # Errors
    /// `database`, `refused` when what runs is not the isolated standby.
    fn stop_isolated(&self) -> Result<bool, Refusal>;
}
