//! The lab as a server of its own, with loop devices, and an AWS client that shares no code with the product.

use super::sshd::programs;
use super::{run, text, try_run};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A running `snapmigrate lab serve`; its volumes are unmounted, detached and it is stopped on drop.
pub struct LabServer {
    /// Where it listens.
    pub url: String,
    directory: PathBuf,
    mounts: Vec<PathBuf>,
    child: Child,
}

/// A program that runs commands as an instance's agent would, and finds the helper.
pub fn agent(directory: &Path) -> PathBuf {
    let agent = directory.join("agent");
    let script = format!("#!/bin/sh\nPATH={}:$PATH exec sh -s\n", text(programs()));
    fs::write(&agent, script).expect("a program can be written");
    run(&["chmod", "755", &text(&agent)]);
    agent
}

impl LabServer {
    /// Serves `scenario` with its images in `directory`, which must be on a file system with reflinks, and `agent` to run
    /// the commands of SSM.
    pub fn start(directory: &Path, scenario: &Path, time_scale: f64, agent: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_snapmigrate"))
            .args(["lab", "serve", "--listen", "127.0.0.1:0", "--loop-devices"])
            .args(["--dir", &text(directory), "--scenario", &text(scenario)])
            .args(["--time-scale", &time_scale.to_string()])
            .args(["--run-command", &text(agent)])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the lab can be started");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        let read = BufReader::new(stdout).read_line(&mut line);
        let url = line.trim().strip_prefix("listening on ").map(str::to_owned);
        let server = |url| Self {
            url,
            directory: directory.to_owned(),
            mounts: Vec::new(),
            child,
        };
        match url {
            Some(url) => server(url),
            None => {
                drop(server(String::new()));
                panic!("the lab says {line:?} instead of where it listens ({read:?})")
            }
        }
    }

    /// The image of a volume.
    pub fn volume(&self, volume: &str) -> PathBuf {
        self.directory.join("volumes").join(format!("{volume}.img"))
    }

    /// The image of a snapshot.
    pub fn snapshot(&self, snapshot: &str) -> PathBuf {
        self.directory
            .join("snapshots")
            .join(format!("{snapshot}.img"))
    }

    /// The loop device the lab attached a volume as.
    pub fn device(&self, volume: &str) -> String {
        let image = text(&self.volume(volume));
        let device = run(&[
            "losetup",
            "--noheadings",
            "--output",
            "NAME",
            "--associated",
            &image,
        ]);
        assert!(device.starts_with("/dev/loop"), "{volume} is not attached");
        device
    }

    /// Formats a volume as ext4 and mounts it.
    pub fn format_and_mount(&mut self, volume: &str, mountpoint: &Path) {
        let device = self.device(volume);
        run(&["mkfs.ext4", "-q", "-E", "nodiscard", &device]);
        fs::create_dir_all(mountpoint).expect("a mount point can be made");
        run(&["mount", &device, &text(mountpoint)]);
        self.mounts.push(mountpoint.to_owned());
    }

    /// Asks EC2 as an account in a region; the answer is XML.
    pub fn ec2(&self, account: &str, region: &str, query: &str) -> String {
        let host = self.url.trim_start_matches("http://");
        let body = format!("Version=2016-11-15&{query}");
        let scope = format!("{account}/20260101/{region}/ec2/aws4_request");
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX-Amz-Date: 20260101T000000Z\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature=00\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(host).expect("the lab listens");
        stream
            .write_all(request.as_bytes())
            .expect("it can be asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 200"), "{query}: {answer}");
        answer
    }

    /// Ids of what a describe shows, which stand in `<tag>`.
    pub fn ids(&self, account: &str, region: &str, query: &str, tag: &str) -> Vec<String> {
        let answer = self.ec2(account, region, query);
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        let found = answer.split(&open).skip(1);
        let mut ids: Vec<String> = found
            .filter_map(|rest| rest.split_once(&close))
            .map(|(id, _)| id.to_owned())
            .collect();
        ids.sort();
        ids.dedup();
        ids
    }
}

impl Drop for LabServer {
    fn drop(&mut self) {
        for mountpoint in self.mounts.iter().rev() {
            try_run(&["fsfreeze", "--unfreeze", &text(mountpoint)]);
            unmount(mountpoint);
        }
        super::tool::terminate(&mut self.child, Duration::from_secs(15));
        detach_images(&self.directory);
    }
}

/// Unmounts, patiently: what used the file system was ended just before.
fn unmount(mountpoint: &Path) {
    let begun = Instant::now();
    while !try_run(&["umount", &text(mountpoint)]).status.success() {
        if begun.elapsed() > Duration::from_secs(5) {
            try_run(&["umount", "--lazy", &text(mountpoint)]);
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Frees the loop devices of a lab that could not do so itself.
fn detach_images(directory: &Path) {
    let listed = try_run(&["losetup", "--noheadings", "--output", "NAME,BACK-FILE"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    for (device, image) in listed.lines().filter_map(|line| line.split_once(' ')) {
        if image.trim().starts_with(&text(directory)) {
            try_run(&["losetup", "--detach", device]);
        }
    }
}
