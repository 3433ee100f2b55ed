//! Channels to the helpers on database hosts, as policies name them.

mod ssm;

use std::process;

use super::CliError;
use crate::clock::Clock;
use crate::cloud::Cloud;
use crate::quiesce::channel::Channel;

const EXPECTED: &str = "expected unix:PATH, ssh:[USER@]HOST[:PORT][/SOCKET], ssm:INSTANCE[/SOCKET], or exec:COMMAND ARG... for a \
     relay of your own";

/// Opens `unix:PATH`, `ssh:[USER@]HOST[:PORT][/SOCKET]`, `ssm:INSTANCE[/SOCKET]` or `exec:COMMAND ARG...`. `cloud` is the
/// account and region of the host's side.
pub fn open(address: &str, cloud: &Cloud) -> Result<Channel, CliError> {
    let refused = |reason: String| {
        CliError::usage(format!("{address:?} is no channel to a host{reason}")).hint(EXPECTED)
    };
    match address.split_once(':') {
        Some(("unix", path)) if !path.is_empty() => Ok(Channel::unix(path)),
        Some(("ssh", host)) => match host.parse() {
            Ok(ssh) => Ok(Channel::ssh(ssh)),
            Err(reason) => Err(refused(format!(": {reason}"))),
        },
        Some(("ssm", instance)) => match ssm::open(instance, cloud, client()) {
            Ok(channel) => Ok(channel),
            Err(reason) => Err(refused(format!(": {reason}"))),
        },
        Some(("exec", command)) if !command.trim().is_empty() => {
            let words = command.split_whitespace().map(str::to_owned);
            Ok(Channel::exec(words.collect()))
        }
        _ => Err(refused(String::new())),
    }
}

/// Tells this process's channel from every other one.
fn client() -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let now = Clock::System.now().timestamp_millis();
    format!("{}-{}-{now}", machine.trim(), process::id())
}
