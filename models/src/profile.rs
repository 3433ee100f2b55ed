//! The profile: everything `measure` learned about one consistency group, in one file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format::Document;
use crate::inventory::Inventory;
use crate::observation::VolumeObservations;

/// What `measure` writes and `plan` reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Profile {
    /// `snapmigrate.profile/1`.
    pub format: String,
    /// What stands in the source account.
    pub inventory: Inventory,
    /// What was measured, one entry per data volume, in order of volume ids.
    pub volumes: Vec<VolumeObservations>,
    /// What is missing or doubtful, for the reader.
    pub notes: Vec<String>,
}

impl Document for Profile {
    const FORMAT: &'static str = "snapmigrate.profile/1";
}
