//! A real OpenSSH server on 127.0.0.1 for root, with keys of its own, and a client that knows them.

use super::postgres::free_port;
use super::{run, text};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A server; ended on drop.
pub struct Sshd {
    /// Directory with a program `ssh` that reads no configuration but this server's.
    pub client: PathBuf,
    /// Where it listens.
    pub port: u16,
    child: Child,
}

/// Where our programs are.
pub fn programs() -> &'static Path {
    let helper = Path::new(env!("CARGO_BIN_EXE_snapmigrate-host"));
    helper.parent().expect("a program lies in a directory")
}

impl Sshd {
    /// Starts one whose logins find our programs first.
    pub fn start(directory: &Path) -> Self {
        fs::create_dir_all(directory.join("bin")).expect("a directory can be made");
        fs::create_dir_all("/run/sshd").expect("sshd's directory can be made");
        let file = |name: &str| text(&directory.join(name));
        for key in ["host_key", "user_key"] {
            run(&[
                "ssh-keygen",
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-f",
                &file(key),
            ]);
        }
        fs::copy(file("user_key.pub"), file("authorized_keys")).expect("a key can be copied");
        let port = free_port();
        let server = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n\
             SetEnv PATH={}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin\n",
            file("host_key"),
            file("authorized_keys"),
            text(programs())
        );
        fs::write(file("sshd_config"), server).expect("a configuration can be written");
        let host_key = fs::read_to_string(file("host_key.pub")).expect("the key was made");
        fs::write(
            file("known_hosts"),
            format!("[127.0.0.1]:{port} {host_key}"),
        )
        .expect("it can be written");
        let client = format!(
            "UserKnownHostsFile {}\nIdentityFile {}\nIdentitiesOnly yes\n",
            file("known_hosts"),
            file("user_key")
        );
        fs::write(file("ssh_config"), client).expect("a configuration can be written");
        let wrapper = format!(
            "#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n",
            file("ssh_config")
        );
        fs::write(file("bin/ssh"), wrapper).expect("a program can be written");
        fs::set_permissions(file("bin/ssh"), fs::Permissions::from_mode(0o755))
            .expect("it can be made to run");
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", &file("sshd_config")])
            .stderr(Stdio::null())
            .spawn()
            .expect("sshd is missing: apt-get install openssh-server");
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "sshd does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        Self {
            client: directory.join("bin"),
            port,
            child,
        }
    }

    /// The address of a helper behind it.
    pub fn address(&self, socket: &Path) -> String {
        format!("ssh:root@127.0.0.1:{}{}", self.port, text(socket))
    }

    /// The value of `PATH` with which `ssh` is this server's client.
    pub fn path(&self) -> String {
        format!(
            "{}:{}",
            text(&self.client),
            std::env::var("PATH").unwrap_or_default()
        )
    }

    /// Ends every connection at once, as a network does; new ones are taken.
    pub fn cut(&self) {
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        let children = fs::read_to_string(children).unwrap_or_default();
        for pid in children
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok())
        {
            if let Some(pid) = rustix::process::Pid::from_raw(pid) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.cut();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
