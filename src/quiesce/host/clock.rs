//! The helper's two clocks: boot time for every limit, wall time only to report.

use chrono::{DateTime, Utc};
use std::path::Path;

use rustix::time::{ClockId, clock_gettime};

/// Seconds since boot, suspend included: no clock step moves it, and a laptop lid does not stop a lease.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct BootSeconds(pub f64);

impl BootSeconds {
    /// Now, by `CLOCK_BOOTTIME`.
    #[must_use]
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::Boottime);
        #[expect(
            clippy::cast_precision_loss,
            reason = "2^53 seconds is longer than any uptime"
        )]
        Self(now.tv_sec as f64 + now.tv_nsec as f64 / 1e9)
    }

    /// This instant and `seconds` more.
    #[must_use]
    pub fn plus(self, seconds: f64) -> Self {
        Self(self.0 + seconds)
    }

    /// Seconds from `earlier` to this instant, negative when it is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> f64 {
        self.0 - earlier.0
    }
}

/// Wall time, for reports only: nothing is decided by it.
#[must_use]
pub fn wall() -> DateTime<Utc> {
    Utc::now()
}

/// Where the kernel tells its id of this boot.
pub const BOOT_ID_FILE: &str = "/proc/sys/kernel/random/boot_id";

/// The id of this boot.
///
/// # Errors
/// When the file does not tell.
pub fn boot_id(file: &Path) -> std::io::Result<String> {
    Ok(std::fs::read_to_string(file)?.trim().to_owned())
}
