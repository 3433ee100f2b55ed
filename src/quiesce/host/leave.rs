//! The helper takes itself away: what was installed, as its list says, and its state where no fence needs it.

use super::fence::Phase;
use super::service::{Host, log};
use super::survey::lines_of;
use crate::quiesce::install::Manifest;
use crate::quiesce::protocol::{ErrorCode, LeaveReply, Refusal};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Time for the answer to leave before the helper ends.
const LAST_WORD: Duration = Duration::from_millis(500);

impl Host {
    /// Removes what was installed and ends the helper. A permanent fence stays, with its record.
    pub(super) fn leave(&self) -> Result<LeaveReply, Refusal> {
        let _changing = self.changing();
        let phase = self.store.get().fence.phase;
        if !matches!(phase, Phase::Open | Phase::Permanent { .. }) || self.freezer.is_frozen() {
            return Err(refused(
                "a fence or a freeze stands: end the migration first",
            ));
        }
        let manifest = self.manifest()?;
        let mut reply = LeaveReply::default();
        for file in &manifest.files {
            take_away(Path::new(file), &mut reply);
        }
        if let Some(path) = &self.manifest {
            take_away(path, &mut reply);
        }
        self.leave_state(&phase, &mut reply);
        end(manifest.unit);
        Ok(reply)
    }

    fn manifest(&self) -> Result<Manifest, Refusal> {
        let path = self.manifest.as_ref().filter(|path| path.exists());
        let path = path.ok_or_else(|| refused("this helper was not installed by `snapmigrate host install`: remove it the way it came"))?;
        let malformed =
            |error: &dyn std::fmt::Display| refused(&format!("{}: {error}", path.display()));
        let text = fs::read_to_string(path).map_err(|error| malformed(&error))?;
        let manifest: Manifest = serde_json::from_str(&text).map_err(|error| malformed(&error))?;
        if manifest.format != Manifest::FORMAT {
            return Err(malformed(&format!(
                "format {}, expected {}",
                manifest.format,
                Manifest::FORMAT
            )));
        }
        Ok(manifest)
    }

    /// The record of a permanent fence is what an operator reads who wonders why a database does not start.
    fn leave_state(&self, phase: &Phase, reply: &mut LeaveReply) {
        let directory = self.store.directory();
        if matches!(phase, Phase::Permanent { .. }) {
            reply
                .kept
                .push(format!("{} (the fence is permanent)", directory.display()));
            return;
        }
        match fs::remove_dir_all(directory) {
            Ok(()) => reply.removed.push(directory.display().to_string()),
            Err(error) => reply
                .kept
                .push(format!("{} ({error})", directory.display())),
        }
    }
}

fn take_away(path: &Path, reply: &mut LeaveReply) {
    match fs::remove_file(path) {
        Ok(()) => reply.removed.push(path.display().to_string()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => reply.kept.push(format!("{} ({error})", path.display())),
    }
}

/// Ends the helper, after its answer has gone.
fn end(unit: Option<String>) {
    let ending = thread::Builder::new()
        .name("leave".to_owned())
        .spawn(move || {
            thread::sleep(LAST_WORD);
            log("removed, as the migration is over");
            if let Some(unit) = unit {
                // Whatever of it fails, the process ends.
                let unit = unit.as_str();
                let words: [&[&str]; 3] = [
                    &["disable", unit],
                    &["daemon-reload"],
                    &["stop", "--no-block", unit],
                ];
                for arguments in words {
                    let _ = lines_of("systemctl", arguments);
                }
            }
            std::process::exit(0);
        });
    if let Err(error) = ending {
        log(&format!("removed, but it cannot end by itself: {error}"));
    }
}

fn refused(message: &str) -> Refusal {
    Refusal::new(ErrorCode::Refused, message)
}
