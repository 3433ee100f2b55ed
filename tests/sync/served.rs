//! A served lab with a volume, the tool as a child process, and a wire between them that can be disturbed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::oracle::{ACCOUNT, REGION, Scratch, Volume, authorization_in, ids};

/// Bytes of a block.
pub const BLOCK_BYTES: i64 = 524_288;
/// Longer than anything here takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A served lab; ended on drop.
pub struct Served {
    pub scratch: Scratch,
    pub url: String,
    server: Child,
}

impl Served {
    pub fn start(options: &[&str]) -> Self {
        let scratch = Scratch::new();
        let mut server = Command::new(env!("CARGO_BIN_EXE_snapmigrate"))
            .args(["lab", "serve", "--listen", "127.0.0.1:0", "--dir"])
            .arg(scratch.0.join("lab"))
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server can be started");
        let output = BufReader::new(server.stdout.take().expect("it is piped"));
        let mut lines = output.lines().map_while(Result::ok);
        let url = lines.find_map(|line| line.strip_prefix("listening on ").map(str::to_owned));
        Self {
            scratch,
            url: url.expect("the server says where it listens"),
            server,
        }
    }

    pub fn address(&self) -> String {
        self.url.trim_start_matches("http://").to_owned()
    }

    /// One EC2 call; the first id with this prefix in its answer.
    pub fn ec2(&self, form: &str, prefix: &str) -> String {
        self.ec2_in(REGION, form, prefix)
    }

    /// One EC2 call in a region.
    pub fn ec2_in(&self, region: &str, form: &str, prefix: &str) -> String {
        let answer = self.answer(region, form);
        let mut found = ids(&answer, prefix);
        assert!(!found.is_empty(), "{form}: {answer}");
        found.swap_remove(0)
    }

    /// The whole answer to one EC2 call in a region.
    pub fn answer(&self, region: &str, form: &str) -> String {
        let body = format!("{form}&Version=2016-11-15");
        let mut stream = TcpStream::connect(self.address()).expect("the server listens");
        write!(
            stream,
            "POST / HTTP/1.1\r\nhost: lab\r\nconnection: close\r\nauthorization: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            authorization_in(region),
            body.len()
        )
        .expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }

    /// A new volume of 1 GiB.
    pub fn volume(&self) -> (String, Volume) {
        let form = "Action=CreateVolume&Size=1&AvailabilityZone=us-east-1a";
        let id = self.ec2(form, "vol-");
        let image = self.scratch.0.join(format!("lab/volumes/{id}.img"));
        (id, Volume::open(&image))
    }

    /// A completed snapshot of a volume.
    pub fn snapshot(&self, volume: &str) -> String {
        let form = format!("Action=CreateSnapshot&VolumeId={volume}");
        let id = self.ec2(&form, "snap-");
        self.wait_for(REGION, &id);
        id
    }

    /// A completed copy of a snapshot in another region.
    pub fn copy(&self, snapshot: &str, region: &str) -> String {
        let form = format!("Action=CopySnapshot&SourceRegion={REGION}&SourceSnapshotId={snapshot}");
        let id = self.ec2_in(region, &form, "snap-");
        self.wait_for(region, &id);
        id
    }

    fn wait_for(&self, region: &str, snapshot: &str) {
        let described = format!("Action=DescribeSnapshots&SnapshotId.1={snapshot}");
        while !self.answer(region, &described).contains("completed") {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A snapshot under way: started through the EBS direct APIs, never completed.
    pub fn pending(&self) -> String {
        let body = r#"{"VolumeSize":1}"#;
        let mut stream = TcpStream::connect(self.address()).expect("the server listens");
        let who = authorization_in(REGION).replace("/ec2/", "/ebs/");
        write!(
            stream,
            "POST /snapshots HTTP/1.1\r\nhost: lab\r\nconnection: close\r\nauthorization: {who}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        ids(&answer, "snap-").swap_remove(0)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.scratch.0.join(name)
    }

    /// The tool against `url`, about to start.
    pub fn command(&self, url: &str, arguments: &[&str], target: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snapmigrate"));
        command
            .args(arguments)
            .arg(target)
            .env("AWS_ENDPOINT_URL", url)
            .env("AWS_ACCESS_KEY_ID", ACCOUNT)
            .env("AWS_SECRET_ACCESS_KEY", "x")
            .env("AWS_REGION", REGION)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the tool to its end.
    pub fn run(&self, arguments: &[&str], target: &Path) -> Output {
        let mut command = self.command(&self.url, arguments, target);
        command.output().expect("the binary can be started")
    }

    /// Runs the tool, which must succeed, and reads its JSON.
    pub fn json(&self, arguments: &[&str], target: &Path) -> Value {
        let run = self.run(&[arguments, &["--json"]].concat(), target);
        assert_eq!(run.status.code(), Some(0), "{}", said(&run));
        serde_json::from_slice(&run.stdout).expect("a document")
    }

    /// Runs the tool, which must fail with this code and say this.
    #[track_caller]
    pub fn refused(&self, code: i32, saying: &str, arguments: &[&str], target: &Path) {
        let run = self.run(arguments, target);
        let text = said(&run);
        assert_eq!(run.status.code(), Some(code), "{text}");
        assert!(text.contains(saying), "{text}");
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The record that a sync onto a file keeps beside it.
pub fn record(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".sync");
    PathBuf::from(name)
}

pub fn said(run: &Output) -> String {
    String::from_utf8_lossy(&run.stderr).into_owned()
}

/// A wire to the server that alters one byte, or is cut.
pub struct Wire {
    pub url: String,
    control: Arc<Control>,
}

struct Control {
    to: String,
    /// Answer bytes until one is altered; below zero: none is.
    left: AtomicI64,
    /// Answer bytes that may still pass before everything stands still.
    room: AtomicI64,
    /// Answer bytes after which one answer stands still for good while the others go on.
    hold: AtomicI64,
    cut: AtomicBool,
}

impl Wire {
    pub fn to(server: &Served) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let control = Arc::new(Control {
            to: server.address(),
            left: AtomicI64::new(-1),
            room: AtomicI64::new(i64::MAX),
            hold: AtomicI64::new(i64::MAX),
            cut: AtomicBool::new(false),
        });
        let shared = Arc::clone(&control);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let control = Arc::clone(&shared);
                std::thread::spawn(move || control.carry(stream));
            }
        });
        Self { url, control }
    }

    /// Alters the byte this many answer bytes from now.
    pub fn alter(&self, after: i64) {
        self.control.left.store(after, Ordering::SeqCst);
    }

    /// Whether the byte has passed.
    pub fn altered(&self) -> bool {
        self.control.left.load(Ordering::SeqCst) < 0
    }

    pub fn cut(&self, cut: bool) {
        self.control.cut.store(cut, Ordering::SeqCst);
    }

    /// Lets this many answer bytes pass from now; then answers stand still until more may pass or the wire is cut.
    pub fn let_pass(&self, bytes: i64) {
        self.control.room.store(bytes, Ordering::SeqCst);
    }

    /// Lets one block's answer stand still for good, after this many blocks' bytes from now.
    pub fn hold_one(&self, after_blocks: i64) {
        let bytes = after_blocks * BLOCK_BYTES;
        self.control.hold.store(bytes, Ordering::SeqCst);
    }

    /// Starts the tool, lets this many blocks' bytes pass, and kills it when its record shows some of them.
    pub fn kill_midway(&self, mut command: Command, record: &Path, blocks: i64) {
        self.let_pass(blocks * BLOCK_BYTES);
        let mut child = command.spawn().expect("it starts");
        self.wait_for_a_standstill(record);
        child.kill().expect("it is running");
        let ended = child.wait().expect("it ended");
        assert!(!ended.success(), "it was killed");
        self.let_pass(i64::MAX);
    }

    /// Waits until the answers stand still, and until what came through has left its digests in `record`.
    /// However fast or slow the machine is: a process that this returns for has something durable and cannot end.
    pub fn wait_for_a_standstill(&self, record: &Path) {
        let noted = || {
            let running = std::fs::read_to_string(record.join("sync.json"))
                .is_ok_and(|header| header.contains("running"));
            let digests = std::fs::read(record.join("digests")).unwrap_or_default();
            running && digests.iter().any(|byte| *byte != 0)
        };
        let deadline = Instant::now() + PATIENCE;
        while self.control.room.load(Ordering::SeqCst) > 0 || !noted() {
            assert!(Instant::now() < deadline, "it came to no standstill");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Control {
    fn carry(self: Arc<Self>, client: TcpStream) {
        if self.cut.load(Ordering::SeqCst) {
            return;
        }
        let Ok(server) = TcpStream::connect(&self.to) else {
            return;
        };
        let (Ok(from), Ok(to)) = (client.try_clone(), server.try_clone()) else {
            return;
        };
        let forth = Arc::clone(&self);
        std::thread::spawn(move || forth.pump(from, to, false));
        self.pump(server, client, true);
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream, answers: bool) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read) = from.read(&mut buffer) {
            if read == 0 || self.cut.load(Ordering::SeqCst) {
                break;
            }
            if answers {
                self.pass(&mut buffer[..read]);
                self.wait_for_room(read);
                self.hold_if_it_is_the_one(read);
            }
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    fn wait_for_room(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).expect("small");
        if self.room.fetch_sub(bytes, Ordering::SeqCst) > 0 {
            return;
        }
        while self.room.load(Ordering::SeqCst) <= 0 && !self.cut.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn hold_if_it_is_the_one(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).expect("small");
        let before = self.hold.fetch_sub(bytes, Ordering::SeqCst);
        // Only blocks come in long pieces.
        if before > 0 && before <= bytes && bytes < 16 << 10 {
            self.hold.store(1, Ordering::SeqCst);
        } else if before > 0 && before <= bytes {
            while !self.cut.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn pass(&self, bytes: &mut [u8]) {
        let length = i64::try_from(bytes.len()).expect("small");
        let left = self.left.load(Ordering::SeqCst);
        if left < 0 {
            return;
        }
        if left < length {
            bytes[usize::try_from(left).expect("not below zero")] ^= 1;
        }
        self.left.store(left - length, Ordering::SeqCst);
    }
}
