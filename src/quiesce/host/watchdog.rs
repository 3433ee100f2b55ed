//! The threads that let go when nobody else does, and what keeps them running on a host short of memory.

use super::service::{Host, log};
use rustix::mm::MlockAllFlags;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How often the freeze limit is looked at: the most by which a freeze outlives its limit.
const FREEZE_POLL: Duration = Duration::from_millis(20);
/// How often the lease is looked at.
const LEASE_POLL: Duration = Duration::from_millis(100);
/// Pause between tries to let a database serve that does not.
const RETRY: Duration = Duration::from_secs(2);

/// Starts both threads; they end with the process.
///
/// # Errors
/// When the system has no thread to give.
pub fn start(host: &Arc<Host>) -> std::io::Result<()> {
    let freezes = Arc::clone(host);
    thread::Builder::new()
        .name("thaw".to_owned())
        .spawn(move || {
            loop {
                freezes.tick_freeze();
                thread::sleep(FREEZE_POLL);
            }
        })?;
    let leases = Arc::clone(host);
    thread::Builder::new()
        .name("lease".to_owned())
        .spawn(move || {
            loop {
                let pause = match leases.tick_lease() {
                    Ok(()) => LEASE_POLL,
                    Err(refusal) => {
                        log(&format!(
                            "cannot let the database serve yet: {}",
                            refusal.message
                        ));
                        RETRY
                    }
                };
                thread::sleep(pause);
            }
        })?;
    Ok(())
}

/// Keeps the helper in memory and out of the OOM killer's reach, as far as its rights go; says what it could not do.
pub fn protect() {
    if let Err(error) = rustix::mm::mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE) {
        log(&format!(
            "memory is not locked ({error}): under memory pressure a thaw may come late"
        ));
    }
    if let Err(error) = std::fs::write("/proc/self/oom_score_adj", "-1000") {
        log(&format!("not protected from the OOM killer: {error}"));
    }
}
