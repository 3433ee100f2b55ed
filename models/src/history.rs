//! What earlier migrations taught, as the file that outlives them: `snapmigrate.history/1`.
//!
//! It holds durations, places and how forecasts turned out; no account, no name, nothing of a
//! database. It must not know where the file lies.

mod learned;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calibration::History;
use crate::format::Document;
use crate::report::RunOutcome;
use crate::units::Timestamp;

/// Migrations that are remembered: the newest ones tell how the service is now.
const MOST_MIGRATIONS: usize = 200;

/// Everything that is remembered, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PastMigrations {
    /// `snapmigrate.history/1`.
    pub format: String,
    /// One per migration that ended, in order of their ends.
    pub migrations: Vec<PastMigration>,
}

impl Document for PastMigrations {
    const FORMAT: &'static str = "snapmigrate.history/1";
}

impl Default for PastMigrations {
    fn default() -> Self {
        Self {
            format: Self::FORMAT.to_owned(),
            migrations: Vec::new(),
        }
    }
}

/// What one migration taught.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PastMigration {
    /// Digest of its plan: a migration is remembered once.
    pub plan_digest: String,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How it ended.
    pub outcome: RunOutcome,
    /// Forecasts against what came, and durations.
    pub learned: History,
}

impl PastMigrations {
    /// The same with one more; it replaces what was remembered of the same plan, and the oldest are forgotten.
    #[must_use]
    pub fn with(mut self, migration: PastMigration) -> Self {
        self.migrations
            .retain(|past| past.plan_digest != migration.plan_digest);
        self.migrations.push(migration);
        self.migrations.sort_by_key(|past| past.ended_at);
        let forgotten = self.migrations.len().saturating_sub(MOST_MIGRATIONS);
        self.migrations.drain(..forgotten);
        self
    }

    /// Everything they taught, oldest first.
    #[must_use]
    pub fn learned(&self) -> History {
        let mut all = History::default();
        for past in &self.migrations {
            all.curve.extend(&past.learned.curve);
            all.durations.extend(past.learned.durations.iter().cloned());
            all.clocks.extend(&past.learned.clocks);
        }
        all
    }
}
