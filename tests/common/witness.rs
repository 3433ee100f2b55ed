//! A writer of its own on a file system: what it could not write while, was frozen.

use chrono::{DateTime, Utc};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// When a write began and when it ended.
pub type Write = (DateTime<Utc>, DateTime<Utc>);

/// A writer that writes all the time; ended on drop, as soon as it can write.
pub struct Witness {
    stop: Arc<AtomicBool>,
    writes: Arc<Mutex<Vec<Write>>>,
}

impl Witness {
    /// Writes to a file of its own on the file system mounted at `mountpoint`.
    pub fn start(mountpoint: &Path) -> Self {
        let file = File::create(mountpoint.join("witness")).expect("a file can be made");
        let witness = Self {
            stop: Arc::default(),
            writes: Arc::default(),
        };
        let (stop, writes) = (Arc::clone(&witness.stop), Arc::clone(&witness.writes));
        thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                let begun = Utc::now();
                if file.write_at(b"x", 0).is_err() {
                    return;
                }
                let write = (begun, Utc::now());
                writes.lock().expect("nobody panicked").push(write);
                thread::sleep(Duration::from_millis(2));
            }
        });
        witness
    }

    /// How long the slowest write took.
    pub fn longest(&self) -> Duration {
        let writes = self.writes.lock().expect("nobody panicked");
        let took = writes
            .iter()
            .map(|(begun, ended)| (*ended - *begun).to_std());
        took.filter_map(Result::ok).max().unwrap_or_default()
    }

    /// The write that was under way at an instant.
    pub fn under_way(&self, at: DateTime<Utc>) -> Option<Write> {
        let writes = self.writes.lock().expect("nobody panicked");
        let under_way = |write: &&Write| write.0 <= at && at <= write.1;
        writes.iter().find(under_way).copied()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}
