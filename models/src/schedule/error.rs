//! Why no plan can be made.

use crate::ids::VolumeId;
use crate::policy::ImpossibleWish;

/// Why no plan can be made. Each message names both sides of the contradiction.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// Nothing to migrate.
    #[error(
        "{subject} has no data volumes: there is nothing to migrate; name its volumes with --volume"
    )]
    NoVolumes {
        /// Instance or account.
        subject: String,
    },
    /// A volume that can't take part.
    #[error("volume {volume} {problem}; {remedy}")]
    Volume {
        /// Volume.
        volume: VolumeId,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A wish that cannot be one.
    #[error(transparent)]
    Wish(#[from] ImpossibleWish),
    /// Two settings, or a setting and a fact, that exclude each other.
    #[error("{one}, but {other}; {remedy}")]
    Contradiction {
        /// One side.
        one: String,
        /// The other.
        other: String,
        /// What to do.
        remedy: &'static str,
    },
    /// No path leads from source to target.
    #[error("no transfer path for volume {volume}: {reasons}")]
    NoPath {
        /// Volume.
        volume: VolumeId,
        /// Each path with its reason.
        reasons: String,
    },
}

impl PlanError {
    /// The wishes make sense, and cannot be had: what a usage error is not.
    #[must_use]
    pub const fn is_infeasible(&self) -> bool {
        matches!(self, Self::Contradiction { .. } | Self::NoPath { .. })
    }
}
