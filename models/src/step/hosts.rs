//! What a host told of its database. It must not know how it was asked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Timestamp;

/// Which server it was that served, so that another one in its place is noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerIdentity {
    /// The database, across all its copies.
    pub system_identifier: String,
    /// Timeline; 0 where the engine has none.
    pub timeline: u64,
    /// When the server was started; absent when it does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
}

/// What lies between volumes and a file system that is not directly on one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stack {
    /// Where the file system is mounted, as an absolute path.
    pub mountpoint: String,
    /// Layer upon layer, the lowest first, each once.
    pub layers: Vec<Layer>,
}

/// One layer, by the names and identities that travel with the volumes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "layer", rename_all = "snake_case")]
pub enum Layer {
    /// A logical volume of LVM.
    Lvm {
        /// Volume group.
        group: String,
        /// Logical volume.
        volume: String,
        /// Both identities as the device mapper writes them: `LVM-`, 32 characters of the group, 32 of the volume.
        uuid: String,
    },
    /// An array of mdraid.
    Raid {
        /// Node of the array on the source, such as `md0`; on the target it may get another number.
        name: String,
        /// Level, such as `raid0`.
        level: String,
        /// Identity, 32 hexadecimal digits.
        uuid: String,
    },
    /// An encrypted device.
    Luks {
        /// Name it is opened under.
        name: String,
        /// Identity, 32 hexadecimal digits.
        uuid: String,
    },
}

impl std::fmt::Display for Layer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lvm { group, volume, .. } => write!(formatter, "LVM {group}/{volume}"),
            Self::Raid { name, level, .. } => write!(formatter, "{level} {name}"),
            Self::Luks { name, .. } => write!(formatter, "LUKS {name}"),
        }
    }
}
