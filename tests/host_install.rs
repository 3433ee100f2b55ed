//! The helper over a real OpenSSH server: reached, installed by its digest, greeted, and taken away again.

mod common;

use common::lab::LabServer;
use common::source::{Source, code, fence, source, until, writable};
use common::sshd::Sshd;
use common::tool::Tool;
use common::{database::Database, text};
use serde_json::Value;
use snapmigrate::quiesce::channel::{Channel, HostError};
use snapmigrate::quiesce::protocol::*;
use snapmigrate::quiesce::ssh::Ssh;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Runtime;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made")
}

/// The relay as the tool calls it, with this server's client.
fn channel(sshd: &Sshd, socket: &Path) -> Channel {
    let address = sshd.address(socket);
    let ssh: Ssh = address["ssh:".len()..].parse().expect("an address");
    let mut argv = ssh.relay();
    argv[0] = text(&sshd.client.join("ssh"));
    Channel::exec(argv)
}

#[test]
fn a_login_carries_the_protocol_and_a_cut_connection_leaves_the_host_its_promises() {
    let source = source();
    let sshd = Sshd::start(&source.disks.root.join("sshd"));
    let (channel, runtime) = (channel(&sshd, &source.helper.socket), runtime());
    let hello = runtime.block_on(channel.call(Hello {})).expect("an answer");
    assert_eq!(hello.sha256.as_ref().map(String::len), Some(64));
    runtime
        .block_on(channel.call(fence(1, 60.0)))
        .expect("it is fenced");
    runtime
        .block_on(channel.call(Freeze {
            epoch: 1,
            limit_seconds: 1.5,
        }))
        .expect("it is frozen");
    sshd.cut();
    let lost = runtime.block_on(channel.call(fence(1, 60.0)));
    assert!(
        matches!(lost, Err(HostError::ChannelLost { .. })) || lost.is_ok(),
        "a connection that was seen to be dead is made anew: {lost:?}"
    );
    until("the host thaws by itself", Duration::from_secs(5), || {
        source.mounts.iter().all(|mountpoint| writable(mountpoint))
    });
    runtime
        .block_on(channel.call(Unfence { epoch: 1 }))
        .expect("a new connection takes over");
    assert!(source.cluster.serves());
    let stale = runtime.block_on(channel.call(fence(0, 5.0)));
    assert_eq!(code(stale), ErrorCode::StaleEpoch);

    let stranger = Ssh::relay(
        &format!("root@127.0.0.1:{}", sshd.port)
            .parse()
            .expect("an address"),
    );
    let lost = runtime.block_on(Channel::exec(stranger).call(Hello {}));
    let lost = lost
        .expect_err("an unknown host key is refused")
        .to_string();
    assert!(lost.contains("Host key verification failed"), "{lost}");
}

/// A helper installed under `root`, and the tool that did it.
struct Installed {
    tool: Tool,
    root: PathBuf,
    host: String,
    socket: PathBuf,
    source: Source,
    _sshd: Sshd,
}

impl Installed {
    fn begin() -> Self {
        let source = source();
        let sshd = Sshd::start(&source.disks.root.join("sshd"));
        let root = source.disks.root.join("installed");
        let path = sshd.path();
        let tool = Tool::new(&source.disks.root.join("operator"), &[("PATH", &path)]);
        let config = format!(
            "{}[state]\ndirectory = {:?}\n",
            source.cluster.host_section(false),
            root.join("state")
        );
        fs::write(tool.file("host.toml"), config).expect("a configuration can be written");
        let socket = root.join("run/host.sock");
        let host = sshd.address(&socket);
        Self {
            tool,
            root,
            host,
            socket,
            source,
            _sshd: sshd,
        }
    }

    fn arguments(&self) -> Vec<String> {
        let program = text(&self.root.join("usr/local/sbin/snapmigrate-host"));
        let config = text(&self.root.join("etc/snapmigrate/host.toml"));
        let start = format!(
            "setsid {program} serve --config {config} --socket {} < /dev/null > /dev/null 2>&1 &",
            text(&self.socket)
        );
        let words = [
            "host",
            "install",
            &self.host,
            "--config",
            "host.toml",
            "--dynamic",
            "--helper",
        ];
        let more = [
            env!("CARGO_BIN_EXE_snapmigrate-host"),
            "--root",
            &text(&self.root),
            "--start",
            &start,
        ];
        words
            .iter()
            .map(|word| (*word).to_owned())
            .chain(more.map(str::to_owned))
            .collect()
    }

    fn install(&self) {
        let arguments = self.arguments();
        self.tool
            .run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    }

    fn shown(&self) -> Value {
        let shown = self.tool.run(&["host", "show", &self.host]);
        serde_json::from_str(&shown).expect("it is JSON")
    }

    fn call<O: Operation>(&self, operation: O) -> O::Reply {
        let reply = runtime().block_on(Channel::unix(&self.socket).call(operation));
        reply.unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        let word = text(&self.root.join("etc/snapmigrate/host.toml"));
        for helper in common::postgres::servers_of("/snapmigrate-host", &word) {
            let _ = rustix::process::kill_process(helper, rustix::process::Signal::TERM);
        }
    }
}

#[test]
fn a_helper_is_installed_by_its_digest_and_takes_itself_away_when_no_fence_stands() {
    let installed = Installed::begin();
    let (status, said) = installed.tool.refused(&["host", "show", &installed.host]);
    assert_eq!(status, 1, "{said}");
    installed.install();
    let digest = snapmigrate::quiesce::host::survey::digest(Path::new(env!(
        "CARGO_BIN_EXE_snapmigrate-host"
    )));
    assert_eq!(
        installed.shown()["hello"]["sha256"],
        digest.expect("it can be read").as_str()
    );

    // A dynamic program, a way that carries no files, a damaged configuration: refused, and what runs goes on.
    let mut dynamic = installed.arguments();
    dynamic.retain(|word| word != "--dynamic");
    let (status, said) = installed
        .tool
        .refused(&dynamic.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(status == 2 && said.contains("libraries"), "{said}");
    let (status, said) = installed.tool.refused(&["host", "install", "ssm:i-0123"]);
    assert!(status == 2 && said.contains("helper_sha256"), "{said}");
    assert_eq!(installed.shown()["status"]["fence"], "none");

    // What it started is not out of the OOM killer's reach, and outlives it.
    installed.call(fence(1, 60.0));
    let (_, said) = installed.tool.refused(&["host", "remove", &installed.host]);
    assert!(said.contains("a fence"), "{said}");
    let arguments = installed.arguments();
    let (_, said) = installed
        .tool
        .refused(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(said.contains("holds a fence"), "{said}");
    installed.call(Unfence { epoch: 1 });
    let data = text(&installed.source.cluster.data);
    let server = common::postgres::servers_of("/postgres", &data);
    let score = fs::read_to_string(format!(
        "/proc/{}/oom_score_adj",
        server[0].as_raw_nonzero()
    ));
    assert_eq!(score.expect("it runs").trim(), "0");

    installed.tool.run(&["host", "remove", &installed.host]);
    until("the helper ends", Duration::from_secs(10), || {
        std::os::unix::net::UnixStream::connect(&installed.socket).is_err()
    });
    for gone in [
        "usr/local/sbin/snapmigrate-host",
        "etc/snapmigrate/host.toml",
        "etc/snapmigrate/installed.json",
        "state",
    ] {
        assert!(!installed.root.join(gone).exists(), "{gone} is still there");
    }
    assert!(
        installed.source.cluster.serves(),
        "the database outlives the helper"
    );
}

#[test]
fn a_permanent_fence_stays_with_its_record_when_the_helper_leaves() {
    let installed = Installed::begin();
    installed.install();
    installed.call(fence(4, 60.0));
    installed.call(Commit { epoch: 4 });
    installed.tool.run(&["host", "remove", &installed.host]);
    until("the helper ends", Duration::from_secs(10), || {
        std::os::unix::net::UnixStream::connect(&installed.socket).is_err()
    });
    let record =
        fs::read_to_string(installed.root.join("state/fence.json")).expect("the record stays");
    assert!(record.contains("permanent"), "{record}");
    assert!(
        !installed
            .root
            .join("usr/local/sbin/snapmigrate-host")
            .exists()
    );
    assert!(!installed.source.cluster.serves());
    // A helper that comes back, on a new boot too, knows what it may not do.
    installed.install();
    let status = installed.call(Status {});
    assert_eq!(
        (status.fence, status.epoch),
        (FenceState::Permanent, Some(4))
    );
    assert!(!installed.source.cluster.serves());
}

const INSTANCE: &str = "i-0db00000000000001";

/// A lab whose agent on the source's instance finds the helper and knows its way to it.
fn commanded(source: &Source) -> LabServer {
    let root = &source.disks.root;
    let agent = common::lab::agent(root);
    let scenario = root.join("scenario.toml");
    let place = |side: &str, account: &str, instance: &str| {
        format!(
            "[{side}]\naccount = \"{account}\"\nregion = \"us-east-1\"\nzone = \"us-east-1a\"\ninstance = \"{instance}\"\n"
        )
    };
    let text = format!(
        "format = \"snapmigrate.scenario/1\"\nname = \"ssm\"\nseed = 7\nstart = \"2026-11-02T08:00:00Z\"\n{}{}\
         [[volumes]]\nid = \"vol-0da7a000000000001\"\ndevice = \"/dev/sdf\"\nsize_gib = 1\nwritten_gib = 0.0\n",
        place("source", "111111111111", INSTANCE),
        place("target", "222222222222", "i-0db00000000000002")
    );
    fs::write(&scenario, text).expect("the scenario can be written");
    LabServer::start(&root.join("volumes/lab"), &scenario, 1.0, &agent)
}

#[test]
fn run_command_carries_the_protocol_and_names_what_cannot_be_reached() {
    let source = source();
    let lab = commanded(&source);
    let environment = [
        ("AWS_ACCESS_KEY_ID", "111111111111"),
        ("AWS_SECRET_ACCESS_KEY", "any"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", lab.url.as_str()),
    ];
    let tool = Tool::new(&source.disks.root.join("operator"), &environment);
    let host = format!("ssm:{INSTANCE}{}", text(&source.helper.socket));
    let shown = tool.run(&["host", "show", &host]);
    let shown: Value = serde_json::from_str(&shown).expect("it is JSON");
    assert_eq!(shown["status"]["database"], "running");
    assert_eq!(shown["hello"]["sha256"].as_str().map(str::len), Some(64));
    let (_, said) = tool.refused(&["host", "show", &format!("ssm:{INSTANCE}/run/nobody.sock")]);
    assert!(
        said.contains("never sent") && said.contains("nobody.sock"),
        "{said}"
    );
    let (_, said) = tool.refused(&["host", "show", "ssm:i-00000000000000000"]);
    assert!(said.contains("InvalidInstanceId"), "{said}");
}
