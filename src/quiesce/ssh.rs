//! How OpenSSH's client is called: `ssh:[user@]host[:port][/socket]`.
//!
//! Keys, addresses and jump hosts are the operator's `~/.ssh/config`. It must not know what goes over the connection.

use super::host::config::DEFAULT_SOCKET;
use std::fmt;
use std::str::FromStr;

/// The installed helper, found as the login finds programs.
const PROGRAM: &str = "snapmigrate-host";

/// Nothing is ever asked of a human, an unknown host key is refused, a silent connection counts as lost after 15 s, and
/// no agent, terminal or port goes to the host. A connection of its own: a shared one would end with somebody else's.
const OPTIONS: [&str; 19] = [
    "-T",
    "-a",
    "-x",
    "-e",
    "none",
    "-o",
    "BatchMode=yes",
    "-o",
    "StrictHostKeyChecking=yes",
    "-o",
    "ConnectTimeout=10",
    "-o",
    "ServerAliveInterval=5",
    "-o",
    "ServerAliveCountMax=3",
    "-o",
    "ClearAllForwardings=yes",
    "-o",
    "ControlPath=none",
];

/// A host that one can log in to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    destination: String,
    port: Option<u16>,
    socket: String,
}

impl FromStr for Ssh {
    type Err = String;

    fn from_str(address: &str) -> Result<Self, String> {
        let (host, socket) = match address.find('/') {
            Some(at) => (&address[..at], &address[at..]),
            None => (address, DEFAULT_SOCKET),
        };
        let (destination, port) = match host.rsplit_once(':') {
            Some((destination, port)) => {
                let port = port.parse().map_err(|_| format!("{port:?} is no port"))?;
                (destination, Some(port))
            }
            None => (host, None),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "@._-".contains(c);
        if destination.is_empty() || destination.starts_with('-') || !destination.chars().all(plain)
        {
            return Err(format!(
                "{destination:?} is no host: expected [user@]host[:port][/socket]"
            ));
        }
        if !socket.chars().all(|c| plain(c) || c == '/') {
            return Err(format!("{socket:?} is no path to a socket"));
        }
        Ok(Self {
            destination: destination.to_owned(),
            port,
            socket: socket.to_owned(),
        })
    }
}

impl fmt::Display for Ssh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self
            .port
            .map_or_else(String::new, |port| format!(":{port}"));
        let socket = if self.socket == DEFAULT_SOCKET {
            ""
        } else {
            &self.socket
        };
        write!(f, "ssh:{}{port}{socket}", self.destination)
    }
}

impl Ssh {
    /// The relay to the helper.
    #[must_use]
    pub fn relay(&self) -> Vec<String> {
        self.run(&format!("{PROGRAM} relay --socket {}", self.socket))
    }

    /// A command on the host, as root: by login, or by `sudo` without a password.
    #[must_use]
    pub fn run(&self, command: &str) -> Vec<String> {
        let as_root = format!(
            "PATH=$PATH:/usr/local/sbin; if [ \"$(id -u)\" = 0 ]; then exec {command}; else exec sudo -n {command}; fi"
        );
        let mut argv: Vec<String> = std::iter::once("ssh")
            .chain(OPTIONS)
            .map(str::to_owned)
            .collect();
        if let Some(port) = self.port {
            argv.extend(["-p".to_owned(), port.to_string()]);
        }
        argv.extend(["--".to_owned(), self.destination.clone(), as_root]);
        argv
    }

    /// Where the helper listens.
    #[must_use]
    pub fn socket(&self) -> &str {
        &self.socket
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_address_survives_the_round_trip_and_becomes_arguments() {
        for address in [
            "db1",
            "root@db1.example.com",
            "admin@10.0.0.7:2222",
            "db1:22/run/x/h.sock",
        ] {
            assert_eq!(
                address.parse::<Ssh>().unwrap().to_string(),
                format!("ssh:{address}")
            );
        }
        let argv = "admin@db1:2222/run/x.sock".parse::<Ssh>().unwrap().relay();
        let end = &argv[argv.len() - 5..];
        assert_eq!(end[..4], ["-p", "2222", "--", "admin@db1"]);
        assert!(end[4].contains("sudo -n snapmigrate-host relay --socket /run/x.sock"));
        assert!(argv.iter().any(|word| word == "BatchMode=yes"));
    }

    #[test]
    fn what_ssh_or_a_shell_could_take_for_something_else_is_refused() {
        for address in [
            "",
            "-oProxyCommand=x",
            "a b",
            "h;reboot",
            "h:port",
            "h/run/$(x)",
            "h/a b",
            "h:1:2x",
        ] {
            assert!(address.parse::<Ssh>().is_err(), "{address}");
        }
    }
}
