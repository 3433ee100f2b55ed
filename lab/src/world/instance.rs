//! An instance: a name, a place and its root device. Its volumes say themselves where they are
//! attached. It must not know what runs on it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

/// The device name of every root volume.
pub const ROOT_DEVICE: &str = "/dev/xvda";

/// An instance, always running.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// The account that owns it.
    pub owner: String,
    /// Its region.
    pub region: String,
    /// Its availability zone.
    pub zone: String,
    /// Its type.
    pub instance_type: String,
    /// When it was launched.
    pub launch_time: DateTime<Utc>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}
