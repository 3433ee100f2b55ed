//! The operating system user that a database server runs as, and what it needs of the helper's state directory.

use super::command::{self, RunAs};
use crate::quiesce::protocol::{ErrorCode, Refusal};
use std::path::Path;
use std::time::Duration;

/// How to become `user`: only root can, and only needs to when it is not that user.
///
/// # Errors
/// `bad_request` when there is no such user.
pub fn run_as(user: &str) -> Result<RunAs, Refusal> {
    let refused = |error: &dyn std::fmt::Display| {
        let message = format!("database.os_user {user}: {error}");
        Refusal::new(ErrorCode::BadRequest, message)
    };
    let id = |flag: &str| {
        let argv = ["id", flag, "--", user].map(str::to_owned);
        let text = command::run(&RunAs::Myself, &argv, Duration::from_secs(30))
            .map_err(|error| refused(&error))?;
        text.trim().parse::<u32>().map_err(|error| refused(&error))
    };
    let (uid, gid) = (id("-u")?, id("-g")?);
    let myself = rustix::process::geteuid().as_raw();
    Ok(if uid == myself {
        RunAs::Myself
    } else {
        RunAs::User { uid, gid }
    })
}

/// Makes the directory of the isolated socket and the server's log, which the server's user must be able to write.
///
/// # Errors
/// `device` when the state directory cannot take them.
pub fn prepare(run_as: &RunAs, isolated: &Path, log: &Path) -> Result<(), Refusal> {
    make(run_as, isolated, log).map_err(|error| {
        let directory = isolated.parent().unwrap_or(isolated).display();
        Refusal::new(
            ErrorCode::Device,
            format!("cannot prepare {directory}: {error}"),
        )
    })
}

fn make(run_as: &RunAs, isolated: &Path, log: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{PermissionsExt, chown};
    std::fs::create_dir_all(isolated)?;
    std::fs::set_permissions(isolated, std::fs::Permissions::from_mode(0o700))?;
    std::fs::File::options()
        .append(true)
        .create(true)
        .open(log)?;
    std::fs::set_permissions(log, std::fs::Permissions::from_mode(0o600))?;
    if let RunAs::User { uid, gid } = run_as {
        chown(isolated, Some(*uid), Some(*gid))?;
        chown(log, Some(*uid), Some(*gid))?;
    }
    Ok(())
}
