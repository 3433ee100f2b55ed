//! `verify` against real bytes: a served lab, a probe snapshot of its volume, and one flipped bit.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

const BLOCK: u64 = 524_288;
const BLOCKS: u64 = 64;

const SCENARIO: &str = r#"
format = "snapmigrate.scenario/1"
name = "verify"
seed = 1
start = "2026-11-02T08:00:00Z"
[source]
account = "111111111111"
region = "us-east-1"
zone = "us-east-1a"
instance = "i-0db00000000000001"
[target]
account = "222222222222"
region = "eu-west-1"
zone = "eu-west-1a"
instance = "i-0db00000000000002"
[[volumes]]
id = "vol-0da7a000000000001"
device = "/dev/sdf"
size_gib = 1
type = "gp3"
written_gib = 0.0
"#;

/// A served lab in a temporary directory; both end on drop.
struct Served {
    directory: PathBuf,
    url: String,
    server: Child,
}

impl Served {
    fn start() -> Self {
        let directory =
            std::env::temp_dir().join(format!("snapmigrate-verify-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a temporary directory can be made");
        let scenario = directory.join("scenario.toml");
        fs::write(&scenario, SCENARIO).expect("a file can be written");
        let mut server = Command::new(env!("CARGO_BIN_EXE_snapmigrate"))
            .args([
                "lab",
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--time-scale",
                "1000",
                "--dir",
            ])
            .arg(directory.join("lab"))
            .arg("--scenario")
            .arg(&scenario)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server can be started");
        let output = BufReader::new(server.stdout.take().expect("it is piped"));
        let said = output.lines().map_while(Result::ok);
        let url = said
            .filter_map(|line| line.strip_prefix("listening on ").map(str::to_owned))
            .next();
        Self {
            directory,
            url: url.expect("the server says where it listens"),
            server,
        }
    }

    fn image(&self) -> PathBuf {
        self.directory.join("lab/volumes/vol-0da7a000000000001.img")
    }

    fn snapmigrate(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_snapmigrate"))
            .args(arguments)
            .env("AWS_ENDPOINT_URL", &self.url)
            .env("AWS_ACCESS_KEY_ID", "111111111111")
            .env("AWS_SECRET_ACCESS_KEY", "x")
            .env("AWS_REGION", "us-east-1")
            .output()
            .expect("the binary can be started")
    }

    /// Exit code and mismatches of one comparison.
    fn verify(&self, snapshot: &str, file: &Path) -> (Option<i32>, u64) {
        let file = file.to_str().expect("test paths are UTF-8");
        let run = self.snapmigrate(&["verify", "--snapshot", snapshot, file, "--json"]);
        let found: Value = serde_json::from_slice(&run.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&run.stderr)));
        (
            run.status.code(),
            found["mismatches"].as_u64().expect("a count"),
        )
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Fills the first blocks of an image, every third left as a hole.
fn fill(image: &Path) {
    let file = OpenOptions::new()
        .write(true)
        .open(image)
        .expect("the lab made the image");
    for block in (0..BLOCKS).filter(|block| block % 3 != 2) {
        let fill = u8::try_from(block % 251 + 1).expect("below 256");
        file.write_all_at(&[fill; 4096], block * BLOCK + 8192)
            .expect("the image can be written");
    }
    file.sync_all().expect("the image can be synced");
}

fn flip(file: &Path, offset: u64) {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(file)
        .expect("the copy is there");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset)
        .expect("the byte is there");
    file.write_all_at(&[byte[0] ^ 1], offset)
        .expect("the byte can be written");
}

#[test]
fn one_flipped_bit_anywhere_is_a_mismatch() {
    let lab = Served::start();
    fill(&lab.image());
    let profile = lab.directory.join("profile.json");
    let measured = lab.snapmigrate(&[
        "measure",
        "--instance",
        "i-0db00000000000001",
        "--probe-snapshots",
        "1",
        "-o",
        profile.to_str().expect("test paths are UTF-8"),
    ]);
    assert!(
        measured.status.success(),
        "{}",
        String::from_utf8_lossy(&measured.stderr)
    );
    let profile: Value = serde_json::from_reader(File::open(&profile).expect("it was written"))
        .expect("a profile is JSON");
    let snapshot = profile["inventory"]["snapshots"][0]["snapshot"]
        .as_str()
        .expect("a probe");

    let copy = lab.directory.join("copy.img");
    let exact = || fs::copy(lab.image(), &copy).expect("the image can be copied");
    exact();
    assert_eq!(lab.verify(snapshot, &copy), (Some(0), 0));
    let written = 7 * BLOCK + 8192 + 17;
    let hole = 2 * BLOCK + 5;
    let last = (1 << 30) - 1;
    // And bytes all over the volume, near its beginning more than elsewhere.
    let scattered =
        (1..8_u64).map(|n| n * 0x9e37_79b9 % if n % 2 == 0 { 1 << 30 } else { BLOCKS * BLOCK });
    for offset in [written, hole, last].into_iter().chain(scattered) {
        exact();
        flip(&copy, offset);
        assert_eq!(
            lab.verify(snapshot, &copy),
            (Some(1), 1),
            "a bit at {offset}"
        );
    }

    // What a short file lacks counts as zeros: every written block behind its end differs.
    File::create(&copy)
        .and_then(|file| file.set_len(BLOCK))
        .expect("a short file can be made");
    let written = (0..BLOCKS).filter(|block| block % 3 != 2).count() as u64;
    assert_eq!(lab.verify(snapshot, &copy), (Some(1), written));
    let short = copy.to_str().expect("test paths are UTF-8");
    let run = lab.snapmigrate(&["verify", "--snapshot", "snap-0ffffffffffffffff", short]);
    assert_eq!(
        run.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
}
