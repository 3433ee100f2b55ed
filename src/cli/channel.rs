//! Channels to the helpers on database hosts, as policies name them.

use super::CliError;
use crate::quiesce::channel::Channel;

/// Opens `unix:PATH` or `exec:COMMAND ARG...`.
pub fn open(address: &str) -> Result<Channel, CliError> {
    match address.split_once(':') {
        Some(("unix", path)) if !path.is_empty() => Ok(Channel::unix(path)),
        Some(("exec", command)) if !command.trim().is_empty() => {
            Ok(Channel::exec(command.split_whitespace().map(str::to_owned).collect()))
        }
        _ => Err(CliError::usage(format!("{address:?} is no channel to a host"))
            .hint("expected unix:PATH, or exec:COMMAND ARG... such as exec:ssh db1 snapmigrate-host relay")),
    }
}
