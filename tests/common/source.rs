//! A source host: a cluster on two volumes with its helper, and what tests ask of it.

use super::disks::Disks;
use super::helper::Helper;
use super::postgres::Cluster;
use super::require_machine;
use snapmigrate::quiesce::channel::HostError;
use snapmigrate::quiesce::protocol::{ErrorCode, Fence};
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// Volume of the data directory.
pub const DATA: &str = "vol-0aaaaaaaaaaaaaaa1";
/// Volume of the log.
pub const WAL: &str = "vol-0aaaaaaaaaaaaaaa2";

/// A source host with data and log on two volumes. Fields drop in this order: helper, server, disks.
pub struct Source {
    /// The helper.
    pub helper: Helper,
    /// The database.
    pub cluster: Cluster,
    /// Data first, then log.
    pub mounts: Vec<PathBuf>,
    /// Below all.
    pub disks: Disks,
}

/// A cluster with its log on a volume of its own, and a helper.
pub fn source() -> Source {
    source_with(|cluster| cluster)
}

/// The same with the cluster as `with` wants it.
pub fn source_with(with: impl Fn(Cluster) -> Cluster) -> Source {
    require_machine();
    let mut disks = Disks::new(8);
    let mounts = vec![disks.root.join("pg"), disks.root.join("wal")];
    for (volume, mountpoint) in [DATA, WAL].into_iter().zip(&mounts) {
        let device = disks.create_ext4(volume, 1024);
        disks.mount(&device, mountpoint);
    }
    let cluster = Cluster::start(
        &mounts[0].join("data"),
        Some(&mounts[1].join("wal")),
        &disks.root.join("sockets"),
    );
    let cluster = with(cluster);
    let helper = Helper::source(&disks.root.join("source-host"), &cluster);
    Source {
        helper,
        cluster,
        mounts,
        disks,
    }
}

/// The code of a refusal, which must also say what state the host is in.
pub fn code<T: std::fmt::Debug>(outcome: Result<T, HostError>) -> ErrorCode {
    match outcome.expect_err("the host refuses") {
        HostError::Refused { code, state, .. } => {
            assert!(
                state.contains("epoch"),
                "a refusal says what state the host is in: {state}"
            );
            code
        }
        lost => panic!("{lost}"),
    }
}

/// Waits until something holds and returns how long that took.
pub fn until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < limit, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
    begun.elapsed()
}

/// The request.
pub fn fence(epoch: u64, lease_seconds: f64) -> Fence {
    Fence {
        epoch,
        lease_seconds,
        expected: None,
    }
}

/// Whether a write to the file system ends within half a second. The writer is left to end by itself after the thaw.
pub fn writable(mountpoint: &std::path::Path) -> bool {
    let (sender, receiver) = std::sync::mpsc::channel();
    let probe = mountpoint.join("probe");
    thread::spawn(move || sender.send(fs::write(probe, "x").is_ok()));
    receiver
        .recv_timeout(Duration::from_millis(500))
        .unwrap_or(false)
}
