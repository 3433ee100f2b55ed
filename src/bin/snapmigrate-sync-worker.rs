//! Brings one device to a snapshot, as the helper on its host tells it: started by `snapmigrate-host`, for path `direct`.
//!
//! A program of its own, because it carries the AWS clients and the helper, which is locked in memory, must not.

use std::io::Write;
use std::process::ExitCode;

use snapmigrate::quiesce::host::worker;

fn main() -> ExitCode {
    match worker::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(
                std::io::stderr(),
                "snapmigrate-sync-worker: {error}; it is started by snapmigrate-host and does nothing by itself"
            );
            ExitCode::FAILURE
        }
    }
}
