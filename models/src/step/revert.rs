//! What a target says of itself before it gives way. It must not know how it is asked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a target that served stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetPosition {
    /// Identity of the database.
    pub system_identifier: String,
    /// Position at or above every commit.
    pub lsn: String,
    /// Timeline.
    pub timeline: u32,
    /// Transactions the database had begun by then, without those of the tool's own probes since the activation;
    /// absent when it does not count them.
    pub transactions: Option<u64>,
}
