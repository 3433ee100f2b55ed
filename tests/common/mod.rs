//! What tests on real file systems and a real database share: disks, a cluster, a load, a helper.
//!
//! Everything is made in a temporary directory and taken away on drop, also when a test fails.

#![allow(dead_code, reason = "each test uses a part")]

pub mod back;
pub mod database;
pub mod disks;
pub mod helper;
pub mod kills;
pub mod lab;
pub mod load;
pub mod mariadb;
pub mod postgres;
pub mod scene;
pub mod source;
pub mod sshd;
pub mod stage;
pub mod tool;
pub mod witness;

use std::path::Path;
use std::process::{Command, Output};

/// Fails with what to install when this machine cannot run the tests.
pub fn require_machine() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test mounts file systems: run it as root"
    );
    for (program, package) in [
        ("mkfs.xfs", "xfsprogs"),
        ("mkfs.ext4", "e2fsprogs"),
        ("losetup", "mount"),
        ("setpriv", "util-linux"),
        ("unshare", "util-linux"),
    ] {
        let found = std::env::split_paths("/usr/sbin:/usr/bin:/sbin:/bin")
            .any(|directory| directory.join(program).exists());
        assert!(found, "{program} is missing: apt-get install {package}");
    }
    assert!(
        Path::new("/dev/loop-control").exists(),
        "loop devices are missing: modprobe loop"
    );
    postgres::bin_directory();
}

/// Runs a program and fails the test with its output unless it succeeds.
pub fn run(argv: &[&str]) -> String {
    let output = try_run(argv);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    assert!(
        output.status.success(),
        "{argv:?} failed: {} {}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Runs a program whatever comes of it.
pub fn try_run(argv: &[&str]) -> Output {
    let mut command = Command::new(argv[0]);
    command
        .args(&argv[1..])
        .current_dir("/")
        .output()
        .unwrap_or_else(|error| panic!("cannot run {argv:?}: {error}"))
}

/// A path as text.
pub fn text(path: &Path) -> String {
    path.to_str().expect("test paths are UTF-8").to_owned()
}

/// Shows something with `--nocapture`, and when the test fails.
#[expect(clippy::print_stdout, reason = "a test's output is for who runs it")]
pub fn say(what: &str) {
    println!("{what}");
}
