//! What goes wrong in the lab: as AWS would say it to a client, and to whoever sets the lab up.
//!
//! It must not know any wire format: each protocol writes an `ApiError` in its own way.

use std::path::PathBuf;

/// A refusal as a service states it: its error code, its words, and the HTTP status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// The service's error code, e.g. `InvalidVolume.NotFound`.
    pub code: String,
    /// The service's words.
    pub message: String,
    /// The HTTP status it comes with.
    pub status: u16,
}

impl ApiError {
    /// A client error (HTTP 400).
    pub fn client(code: &str, message: impl Into<String>) -> ApiError {
        ApiError {
            code: code.to_owned(),
            message: message.into(),
            status: 400,
        }
    }

    /// An error with its own HTTP status.
    pub fn with_status(code: &str, message: impl Into<String>, status: u16) -> ApiError {
        ApiError {
            code: code.to_owned(),
            message: message.into(),
            status,
        }
    }

    /// A fault inside the lab itself, as the service's `InternalError` (HTTP 500).
    pub fn internal(message: impl Into<String>) -> ApiError {
        ApiError::with_status("InternalError", message, 500)
    }
}

/// Why a lab could not be set up or asked.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The scenario file can't be used.
    #[error(transparent)]
    Scenario(#[from] crate::scenario::ScenarioError),
    /// A directory or file of the lab could not be used.
    #[error("can't use {path}: give the lab a directory it may write to", path = path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A volume's content could not be made or read.
    #[error("the content of {entity} can't be used: {message}")]
    Content {
        /// The volume or snapshot.
        entity: String,
        /// What the content layer said.
        message: String,
    },
    /// A write process of the scenario can't be built.
    #[error(transparent)]
    Workload(#[from] crate::workload::WorkloadError),
    /// Volumes could not be compared.
    #[error(transparent)]
    Audit(#[from] crate::audit::AuditError),
    /// A volume, snapshot or instance that is not in this lab.
    #[error("there is no {entity} in this lab: name one of the scenario or one created in it")]
    Unknown {
        /// The id asked for.
        entity: String,
    },
}
