//! What the tests with foreign clients share: the lab as a server, moto's server, and Python with boto3,
//! the AWS CLI and moto. Whatever is started here is ended here, also when a test fails.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(90);

/// Python with boto3, the AWS CLI and moto's server beside it.
pub fn python() -> PathBuf {
    tool(
        "SNAPMIGRATE_TEST_PYTHON",
        "a Python with boto3, awscli and moto[server]",
    )
}

/// coldsnap.
pub fn coldsnap() -> PathBuf {
    tool("SNAPMIGRATE_TEST_COLDSNAP", "the coldsnap program")
}

fn tool(variable: &str, what: &str) -> PathBuf {
    let path = std::env::var_os(variable).map(PathBuf::from);
    let path = path.unwrap_or_else(|| {
        panic!("{variable} is not set: run tests/run, which installs it, or name {what}")
    });
    assert!(path.exists(), "{variable}: {} is missing", path.display());
    path
}

/// An empty directory for one test.
pub fn scratch(test: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("foreign")
        .join(test);
    if dir.exists() {
        std::fs::remove_dir_all(&dir).expect("an old directory can be removed");
    }
    std::fs::create_dir_all(&dir).expect("the target directory can be written");
    dir
}

/// A program without any AWS configuration but these credentials.
pub fn command(program: &Path, account: Option<&str>) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null());
    if let Some(account) = account {
        command
            .env("AWS_ACCESS_KEY_ID", account)
            .env("AWS_SECRET_ACCESS_KEY", "any");
    }
    command
}

/// The tool with credentials of `account`, or without any.
pub fn snapmigrate(account: Option<&str>) -> Command {
    command(Path::new(env!("CARGO_BIN_EXE_snapmigrate")), account)
}

/// Runs a program that must succeed; returns what it prints.
pub fn succeed(command: &mut Command) -> String {
    let output = run(command);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(
        output.status.success(),
        "{command:?} failed with {}\n{stdout}\n{stderr}",
        output.status
    );
    stdout
}

/// Runs a program whatever comes of it.
pub fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}

/// Runs one of the sessions beside this file.
pub fn session(script: &str, arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/foreign")
        .join(script);
    let mut command = command(&python(), None);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    succeed(command.arg(script).args(arguments))
}

fn log(path: &Path) -> File {
    File::create(path).expect("the scratch directory can be written")
}

/// Output as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A server as a child process; killed on drop.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub url: String,
}

impl Server {
    /// `snapmigrate lab serve` on a free port over a directory.
    pub fn lab(dir: &Path, options: &[&str]) -> Server {
        let mut command = snapmigrate(None);
        command
            .args(["lab", "serve", "--listen", "127.0.0.1:0", "--dir"])
            .arg(dir)
            .args(options);
        Self::listening(command, &dir.with_extension("stderr"))
    }

    /// TLS before a lab, of an authority that it makes: `authority.pem` in `dir`.
    pub fn tls(lab: &Server, dir: &Path) -> Server {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign/tls_proxy.py");
        let mut command = command(&python(), None);
        command.arg(script).arg(&lab.url).arg(dir);
        Self::listening(command, &dir.join("tls.stderr"))
    }

    /// A program that says where it listens.
    fn listening(mut command: Command, stderr: &Path) -> Server {
        command.stdout(Stdio::piped()).stderr(log(stderr));
        let mut child = command.spawn().expect("it can be started");
        let stdout = child.stdout.take().expect("it is piped");
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it says where it listens");
        let url = line.trim().strip_prefix("listening on ");
        let url = url
            .unwrap_or_else(|| panic!("expected `listening on URL`, not {line:?}"))
            .to_owned();
        Server { child, url }
    }

    /// moto's server on a free port.
    pub fn moto(log_file: &Path) -> Server {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("it is bound");
        drop(free);
        let log = log(log_file);
        let program = python().with_file_name("moto_server");
        let mut command = command(&program, None);
        command
            .args(["-H", "127.0.0.1", "-p", &address.port().to_string()])
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log);
        let child = command
            .spawn()
            .expect("moto's server stands beside its Python");
        let server = Server {
            child,
            url: format!("http://{address}"),
        };
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(began.elapsed() < PATIENCE, "moto's server did not start");
            std::thread::sleep(Duration::from_millis(100));
        }
        server
    }

    /// Sends SIGTERM and waits for the end.
    pub fn stop(mut self) -> ExitStatus {
        let id = i32::try_from(self.child.id()).expect("process ids are positive");
        let pid = Pid::from_raw(id).expect("a process id is not 0");
        kill_process(pid, Signal::TERM).expect("it runs");
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "the server does not stop on SIGTERM"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
