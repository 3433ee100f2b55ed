//! Real block devices and a full disk: needs root and loop devices.

mod bases;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::oracle::differs;
use crate::served::{Served, said};

const GIB_BLOCKS: u64 = 2048;

fn done(program: &str, arguments: &[&str]) -> String {
    let run = Command::new(program).args(arguments).output();
    let run = run.expect("the program is installed");
    assert!(
        run.status.success(),
        "{program} {arguments:?}: {}",
        said(&run)
    );
    String::from_utf8_lossy(&run.stdout).trim().to_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

/// A loop device and where it is mounted; both let go on drop.
struct Device {
    path: PathBuf,
    mountpoint: Option<PathBuf>,
}

impl Device {
    fn new(backing: &Path, mib: u64) -> Self {
        let file = File::create(backing).expect("room");
        file.set_len(mib << 20).expect("a sparse file");
        file.write_all_at(&[9; 5000], 777 * 524_288 + 3)
            .expect("garbage");
        let path = done("losetup", &["--find", "--show", text(backing)]);
        Self {
            path: PathBuf::from(path),
            mountpoint: None,
        }
    }

    fn mount(&mut self, at: &Path) {
        std::fs::create_dir_all(at).expect("a directory");
        done("mount", &[text(&self.path), text(at)]);
        self.mountpoint = Some(at.to_owned());
    }

    fn unmount(&mut self) {
        if let Some(at) = self.mountpoint.take() {
            done("umount", &[text(&at)]);
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if let Some(at) = self.mountpoint.take() {
            let _ = Command::new("umount").arg(&at).status();
        }
        let _ = Command::new("losetup")
            .arg("--detach")
            .arg(&self.path)
            .status();
    }
}

#[test]
fn a_device_is_written_past_the_cache_and_refused_when_it_is_in_use() {
    let lab = Served::start(&[]);
    let (id, mut volume) = lab.volume();
    let mut device = Device::new(&lab.file("device.img"), 1024);
    let target = device.path.clone();
    let state = lab.file("state");
    let with_state = |arguments: &[&str]| -> Vec<String> {
        let state = ["--state", text(&state)];
        let all = [arguments, &state[..]].concat();
        all.into_iter().map(str::to_owned).collect()
    };
    let sync = |arguments: &[&str]| {
        let arguments = with_state(arguments);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        lab.json(&arguments, &target)
    };
    let refused = |code: i32, saying: &str, arguments: &[&str]| {
        let arguments = with_state(arguments);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        lab.refused(code, saying, &arguments, &target);
    };

    // A file system, so that it can be mounted; its image is the volume's content.
    let image = lab.scratch.0.join(format!("lab/volumes/{id}.img"));
    done("mkfs.ext4", &["-q", "-F", "-E", "nodiscard", text(&image)]);
    volume.load(&image);
    let first = lab.snapshot(&id);
    let report = sync(&["sync", "--to", &first]);
    assert_eq!(report["read_back"], "direct");
    assert_eq!(report["blocks"]["cleared"], 1, "the garbage: {report}");
    assert_eq!(differs(&target, &volume.image, GIB_BLOCKS), None);

    for block in [1900, 1901, 1903] {
        volume.write(block, 3, 4, 100);
    }
    let second = lab.snapshot(&id);
    let delta = ["sync", "--from", &first, "--to", &second];
    sync(&delta);
    assert_eq!(differs(&target, &volume.image, GIB_BLOCKS), None);
    sync(&["sync", "--undo"]);
    sync(&delta);
    assert_eq!(differs(&target, &volume.image, GIB_BLOCKS), None);

    device.mount(&lab.file("mounted"));
    refused(
        3,
        "mounted at",
        &["sync", "--from", &second, "--to", &first],
    );
    device.unmount();
    refused(
        3,
        "written to since",
        &["sync", "--from", &second, "--to", &first],
    );
    lab.refused(
        3,
        "the file behind",
        &["sync", "--to", &first],
        &lab.file("device.img"),
    );
    let small = Device::new(&lab.file("small.img"), 512);
    lab.refused(
        2,
        "a larger device",
        &["sync", "--to", &first, "--state", text(&state)],
        &small.path,
    );
}

/// A file system in memory of this size; gone on drop.
struct Small(PathBuf);

impl Small {
    fn new(lab: &Served, size: &str) -> Self {
        let at = lab.file("small");
        std::fs::create_dir_all(&at).expect("a directory");
        let options = format!("size={size}");
        done("mount", &["-t", "tmpfs", "-o", &options, "none", text(&at)]);
        Self(at)
    }

    fn grow(&self, size: &str) {
        done(
            "mount",
            &["-o", &format!("remount,size={size}"), text(&self.0)],
        );
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_ends_it_and_it_goes_on_when_there_is_room() {
    let lab = Served::start(&[]);
    let (id, mut volume) = lab.volume();
    (0..80).for_each(|block| volume.write(block, 9, 3, 100));
    let snapshot = lab.snapshot(&id);
    let small = Small::new(&lab, "24m");
    let target = small.0.join("target.img");
    let state = lab.file("state");
    let whole = ["sync", "--to", &snapshot, "--state", text(&state)];
    lab.refused(1, "make room", &whole, &target);
    small.grow("64m");
    lab.json(&whole, &target);
    assert_eq!(differs(&target, &volume.image, GIB_BLOCKS), None);
}

#[test]
fn a_full_disk_for_the_record_ends_it_and_it_goes_on_and_back_when_there_is_room() {
    let lab = Served::start(&[]);
    let (id, mut volume) = lab.volume();
    (0..60).for_each(|block| volume.write(block, 9, 3, 100));
    let first = lab.snapshot(&id);
    let (before, target) = (volume.image.clone(), lab.file("target.img"));
    lab.json(&["sync", "--to", &first], &target);
    (0..60).for_each(|block| volume.write(block, 9, 4, 100));
    let second = lab.snapshot(&id);
    let small = Small::new(&lab, "9m");
    let state = small.0.join("state");
    let delta = [
        "sync",
        "--from",
        &first,
        "--to",
        &second,
        "--state",
        text(&state),
    ];
    lab.refused(1, "make room", &delta, &target);
    small.grow("64m");
    let report = lab.json(&delta, &target);
    assert_eq!(report["undo"]["blocks"], 60, "{report}");
    assert_eq!(differs(&target, &volume.image, GIB_BLOCKS), None);
    lab.json(&["sync", "--undo", "--state", text(&state)], &target);
    assert_eq!(differs(&target, &before, GIB_BLOCKS), None);
}

/// The disk below a loop device is full: for whoever writes to it, the device fails.
#[test]
fn a_device_that_fails_in_mid_sync_ends_it_and_it_goes_on_when_it_is_back() {
    let lab = Served::start(&[]);
    let (id, mut volume) = lab.volume();
    (0..120).for_each(|block| volume.write(block, 9, 3, 100));
    let snapshot = lab.snapshot(&id);
    let small = Small::new(&lab, "24m");
    let device = Device::new(&small.0.join("device.img"), 1024);
    let state = lab.file("state");
    let whole = ["sync", "--to", &snapshot, "--state", text(&state)];
    lab.refused(1, "the device failed or was detached", &whole, &device.path);
    small.grow("128m");
    let report = lab.json(&whole, &device.path);
    assert_eq!(report["blocks"]["read_back"], 120, "{report}");
    assert_eq!(differs(&device.path, &volume.image, GIB_BLOCKS), None);
}
