//! Why no plan can be made.

use crate::ids::VolumeId;

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
    /// A setting that means nothing.
    #[error("policy {key} is {value}: {expected}")]
    Setting {
        /// Setting.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is accepted.
        expected: &'static str,
    },
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
