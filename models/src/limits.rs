//! Limits of the service as data: the figures and their sources are in `data/limits.toml`.

use std::sync::LazyLock;

use serde::Deserialize;

/// What AWS allows; each figure's source stands beside it in `data/limits.toml`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Concurrent copies per destination region.
    pub copies_per_destination_region: usize,
    /// Pending snapshots per volume.
    pub pending_snapshots_per_volume: usize,
    /// The same for st1 and sc1 volumes.
    pub pending_snapshots_per_hdd_volume: usize,
    /// Least time between two CreateSnapshot calls on a volume.
    pub snapshot_interval_seconds: f64,
    /// Volumes in one CreateSnapshots set, the root volume included.
    pub volumes_per_set: usize,
    /// Data volumes that can be left out of a set.
    pub excluded_volumes_per_set: usize,
    /// What the direct APIs read of one snapshot per second.
    pub direct_snapshot_bytes_per_second: f64,
    /// Listing the changed blocks of two snapshots.
    pub direct_list_seconds: f64,
    /// Most blocks on one page of a listing.
    pub blocks_per_list_page: u64,
    /// A time-based copy's completion is a multiple of this, and never less.
    pub time_based_copy_step_seconds: f64,
    /// Rate at which one time-based copy is promised at most.
    pub time_based_copy_bytes_per_second: f64,
    /// Lowest provisioned initialization rate.
    pub initialization_mib_per_second_min: u32,
    /// Highest provisioned initialization rate.
    pub initialization_mib_per_second_max: u32,
    /// Lasting rate of one call that makes something, per account and region.
    pub mutating_calls_per_second: f64,
    /// Lasting rate of one Describe call, per account and region.
    pub describe_calls_per_second: f64,
    /// Snapshots in one region.
    pub snapshots_per_region: u64,
}

/// The limits this program was built with.
pub static LIMITS: LazyLock<Limits> = LazyLock::new(|| {
    toml::from_str(include_str!("../data/limits.toml"))
        .expect("limits.toml is part of the program and read by its tests")
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_file_is_readable() {
        assert_eq!(LIMITS.copies_per_destination_region, 20);
        assert_eq!(LIMITS.pending_snapshots_per_hdd_volume, 1);
    }
}
