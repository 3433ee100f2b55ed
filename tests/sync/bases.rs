//! What a target's host holds for the path `direct`, on real block devices that are written to, mounted, shrunk or taken
//! away in between: it is no base any more, or it says what is the matter; nothing else is ever claimed.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use snapmigrate::quiesce::channel::{Channel, HostError};
use snapmigrate::quiesce::protocol::{
    BaseReply, BaseState, Credentials, Operation, Reader, SyncStatus, SyncVolume,
};
use tokio::runtime::Runtime;

use super::{Device, GIB_BLOCKS, done, text};
use crate::oracle::{ACCOUNT, REGION, Volume, differs};
use crate::served::Served;

const LIMIT: Duration = Duration::from_secs(60);

/// The volume that the device is, by its backing file's name. Another in every run: one that was killed leaves its
/// device behind, and a volume must not be attached twice.
fn held_volume() -> String {
    format!("vol-0ba5e{:012x}", std::process::id())
}

/// A helper on the target's host, whose database never comes up here.
struct Host {
    dir: PathBuf,
    child: Child,
    runtime: Runtime,
}

impl Host {
    fn start(dir: &Path) -> Self {
        std::fs::create_dir_all(dir).expect("a directory");
        let settings = format!(
            "[database]\nengine = \"postgres\"\nbin_directory = \"/usr/bin\"\ndata_directory = {:?}\n\
             socket_directory = {:?}\n[state]\ndirectory = {:?}\n",
            dir.join("pg/main"),
            dir.join("pg"),
            dir.join("state")
        );
        std::fs::write(dir.join("host.toml"), settings).expect("room");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        Self {
            dir: dir.to_owned(),
            child: spawn(dir),
            runtime: runtime.expect("a runtime"),
        }
    }

    fn restart(&mut self) {
        self.child = spawn(&self.dir);
    }

    fn kill(&mut self) {
        self.child.kill().expect("it is running");
        self.child.wait().expect("it ended");
    }

    fn ask<O: Operation>(&self, operation: O) -> Result<O::Reply, HostError> {
        let channel = Channel::unix(self.dir.join("host.sock"));
        self.runtime.block_on(channel.call(operation))
    }

    fn status(&self) -> BaseReply {
        let (volume, wait_seconds) = (held_volume(), 60.0);
        let status = SyncStatus {
            volume,
            wait_seconds,
        };
        self.ask(status).expect("it answers")
    }

    /// What it says at once when it is told to bring the volume to a snapshot.
    fn sync(&self, lab: &Served, from: Option<&str>, to: &str) -> Result<BaseReply, HostError> {
        let credentials = Credentials {
            access_key_id: ACCOUNT.to_owned(),
            secret_access_key: "x".to_owned(),
            session_token: "x".to_owned(),
            expires_at: Utc::now() + TimeDelta::hours(1),
        };
        let reader = Reader {
            region: REGION.to_owned(),
            endpoint_url: Some(lab.url.clone()),
            credentials,
        };
        self.ask(SyncVolume {
            volume: held_volume(),
            from: from.map(str::to_owned),
            to: to.to_owned(),
            reader,
        })
    }

    /// Brings the volume to a snapshot, and waits until it is held.
    fn hold(&self, lab: &Served, from: Option<&str>, to: &str) {
        self.sync(lab, from, to).expect("it begins");
        let reply = self.status();
        let held = (BaseState::Held, Some(to.to_owned()));
        assert_eq!((reply.state, reply.to), held, "{:?}", reply.trouble);
    }

    #[track_caller]
    fn broken(&self, saying: &str) {
        let reply = self.status();
        let trouble = reply
            .trouble
            .map(|trouble| trouble.message)
            .unwrap_or_default();
        assert_eq!(reply.state, BaseState::Broken, "{trouble}");
        assert!(trouble.contains(saying), "{trouble}");
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(dir: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snapmigrate-host"));
    command
        .arg("serve")
        .arg("--config")
        .arg(dir.join("host.toml"));
    let socket = dir.join("host.sock");
    let mut child = command
        .arg("--socket")
        .arg(&socket)
        .stdout(Stdio::null())
        .spawn()
        .expect("it can be started");
    let deadline = Instant::now() + LIMIT;
    while UnixStream::connect(&socket).is_err() {
        assert!(
            child.try_wait().expect("it is ours").is_none(),
            "the helper ended at once"
        );
        assert!(Instant::now() < deadline, "the helper does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

/// A lab with two snapshots of a file system, a device that holds the first, and the host that holds the device.
struct Scene {
    host: Host,
    device: Device,
    volume: Volume,
    snapshots: [String; 2],
    lab: Served,
}

impl Scene {
    fn set() -> Self {
        let lab = Served::start(&[]);
        let (id, mut volume) = lab.volume();
        let image = lab.scratch.0.join(format!("lab/volumes/{id}.img"));
        done("mkfs.ext4", &["-q", "-F", "-E", "nodiscard", text(&image)]);
        volume.load(&image);
        let first = lab.snapshot(&id);
        (1900..1910).for_each(|block| volume.write(block, 3, 4, 100));
        let second = lab.snapshot(&id);
        let device = Device::new(&lab.file(&format!("{}.img", held_volume())), 1024);
        let host = Host::start(&lab.file("host"));
        host.hold(&lab, None, &first);
        let snapshots = [first, second];
        Self {
            host,
            device,
            volume,
            snapshots,
            lab,
        }
    }

    /// A delta onto what the host holds: refused, and why.
    fn refused_delta(&self, saying: &str) {
        let [first, second] = &self.snapshots;
        let refused = self.host.sync(&self.lab, Some(first), second);
        let refused = refused.expect_err("it is no base").to_string();
        assert!(refused.contains(saying), "{refused}");
    }

    /// Whatever it was: written whole it is a base again.
    fn whole_again(&self) {
        self.host.hold(&self.lab, None, &self.snapshots[1]);
        assert_eq!(
            differs(&self.device.path, &self.volume.image, GIB_BLOCKS),
            None
        );
    }
}

#[test]
fn what_is_held_cannot_be_mounted_and_what_is_written_to_is_no_base() {
    let scene = Scene::set();
    let at = scene.lab.file("mounted");
    std::fs::create_dir_all(&at).expect("a directory");
    let mount = Command::new("mount")
        .arg(&scene.device.path)
        .arg(&at)
        .status();
    assert!(!mount.expect("mount runs").success(), "the device is held");
    let [first, second] = &scene.snapshots;
    scene.host.hold(&scene.lab, Some(first), second);
    // No claim keeps root from writing to a device by its name.
    let device = File::options()
        .write(true)
        .open(&scene.device.path)
        .expect("root may");
    device.write_all_at(&[9; 512], 5 << 20).expect("it writes");
    device.sync_all().expect("it reaches the device");
    drop(device);
    scene.host.broken("written to since");
    scene.whole_again();
}

#[test]
fn what_was_mounted_while_the_helper_was_down_is_no_base() {
    let mut scene = Scene::set();
    scene.host.kill();
    scene.device.mount(&scene.lab.file("mounted"));
    scene.host.restart();
    scene.host.broken("written to since");
    scene.refused_delta("must be written whole");
    let whole = scene.host.sync(&scene.lab, None, &scene.snapshots[1]);
    let refused = whole.expect_err("it is mounted").to_string();
    assert!(refused.contains("unmount it"), "{refused}");
    scene.device.unmount();
    scene.whole_again();
}

#[test]
fn a_device_that_is_gone_or_has_shrunk_is_named_and_another_is_written_whole() {
    let mut scene = Scene::set();
    let backing = scene.lab.file(&format!("{}.img", held_volume()));
    scene.host.kill();
    done("losetup", &["--detach", text(&scene.device.path)]);
    scene.host.restart();
    scene.host.broken("its device is gone");
    // It comes back smaller.
    scene.device.path = {
        File::options()
            .write(true)
            .open(&backing)
            .expect("it is there")
            .set_len(512 << 20)
            .expect("it shrinks");
        PathBuf::from(done("losetup", &["--find", "--show", text(&backing)]))
    };
    scene.refused_delta("must be written whole");
    scene
        .host
        .sync(&scene.lab, None, &scene.snapshots[1])
        .expect("it begins");
    let reply = scene.host.status();
    let trouble = reply
        .trouble
        .map(|trouble| trouble.message)
        .unwrap_or_default();
    assert_eq!(reply.state, BaseState::Failed, "{trouble}");
    assert!(
        trouble.contains("smaller") || trouble.contains("larger device"),
        "{trouble}"
    );
    File::options()
        .write(true)
        .open(&backing)
        .expect("it is there")
        .set_len(1 << 30)
        .expect("it grows");
    done("losetup", &["--set-capacity", text(&scene.device.path)]);
    scene.whole_again();
}
