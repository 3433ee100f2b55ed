//! Blocks that the snapshot does not hold: they must be zeros, looked at by as many threads as there are cores.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinSet;

use super::device::Device;
use super::ledger::Ledger;
use crate::transfer::sync::SyncError;
use crate::transfer::sync::parts::{Bitmap, ended};

/// Blocks that one thread looks at before it takes the next ones.
const STRETCH: u64 = 256;

/// Checks `chosen`, or every block that is not in `written`; how many.
pub(super) async fn check(
    device: &Arc<Device>,
    ledger: &Arc<Ledger>,
    written: &Bitmap,
    chosen: Option<Vec<u64>>,
) -> Result<u64, SyncError> {
    let (bound, absent) = (written.bound(), written.bound() - written.count());
    let count = chosen.as_ref().map_or(absent, |chosen| chosen.len() as u64);
    let look = Arc::new(Look {
        device: Arc::clone(device),
        ledger: Arc::clone(ledger),
        skipped: match chosen {
            None => written.clone(),
            Some(chosen) => all_but(&chosen, bound),
        },
        next: AtomicU64::new(0),
    });
    let mut threads = JoinSet::new();
    for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
        let look = Arc::clone(&look);
        threads.spawn_blocking(move || look.run());
    }
    while let Some(done) = threads.join_next().await {
        ended(done)??;
    }
    Ok(count)
}

fn all_but(chosen: &[u64], bound: u64) -> Bitmap {
    let mut skipped = Bitmap::new(bound);
    skipped.insert_range(0, bound);
    for block in chosen {
        skipped.remove(*block);
    }
    skipped
}

struct Look {
    device: Arc<Device>,
    ledger: Arc<Ledger>,
    skipped: Bitmap,
    next: AtomicU64,
}

impl Look {
    fn run(&self) -> Result<(), SyncError> {
        let mut buffer = Device::buffer();
        loop {
            let from = self.next.fetch_add(STRETCH, Ordering::Relaxed);
            if from >= self.skipped.bound() {
                return Ok(());
            }
            let end = (from + STRETCH).min(self.skipped.bound());
            let mut block = self.skipped.next_absent(from);
            while block < end {
                let Some(data) = self.device.next_data(block) else {
                    return Ok(());
                };
                block = self.skipped.next_absent(data.max(block));
                if block >= end {
                    break;
                }
                if !self.device.is_zeros(block, &mut buffer)? {
                    self.ledger.differs(block);
                }
                block = self.skipped.next_absent(block + 1);
            }
        }
    }
}
