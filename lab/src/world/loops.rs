//! Loop devices over volume images, so that an attached volume appears as a block device, as on EC2.
//! It must not know what is on them. Only a server run by root with loop devices on comes here.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::ApiError;
use crate::workload::Written;

/// Attaches an image file to a free loop device; returns the device.
pub(super) fn attach(image: &Path) -> Result<PathBuf, ApiError> {
    let mut command = Command::new("losetup");
    command.args(["--direct-io=on", "-f", "--show"]).arg(image);
    Ok(PathBuf::from(run(command)?.trim()))
}

/// Detaches a loop device.
pub(super) fn detach(device: &Path) -> Result<(), ApiError> {
    let mut command = Command::new("losetup");
    command.arg("-d").arg(device);
    run(command).map(|_| ())
}

/// What was written to a device since it exists (Linux, `Documentation/block/stat.rst`: write I/Os and
/// sectors of 512 bytes).
pub(super) fn written(device: &Path) -> Option<Written> {
    let name = device.file_name()?.to_str()?;
    let text = std::fs::read_to_string(format!("/sys/block/{name}/stat")).ok()?;
    let fields: Vec<u64> = text
        .split_whitespace()
        .filter_map(|field| field.parse().ok())
        .collect();
    Some(Written {
        ops: *fields.get(4)?,
        bytes: fields.get(6)? * 512,
    })
}

fn run(mut command: Command) -> Result<String, ApiError> {
    let failed = |what: String| ApiError::internal(format!("losetup failed: {what}"));
    let output = command
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
