//! The helper on a database host: parses arguments, calls the library, sets the exit code.

use clap::{Parser, Subcommand};
use snapmigrate::quiesce::channel::Channel;
use snapmigrate::quiesce::host::config::{DEFAULT_SOCKET, DatabaseConfig, EXAMPLES, HostConfig};
use snapmigrate::quiesce::host::engine::Engine;
use snapmigrate::quiesce::host::mysql::{Dialect, Mysql};
use snapmigrate::quiesce::host::postgres::Postgres;
use snapmigrate::quiesce::host::record::Store;
use snapmigrate::quiesce::host::service::Host;
use snapmigrate::quiesce::host::survey::Kept;
use snapmigrate::quiesce::host::{clock, server, watchdog};
use snapmigrate::quiesce::install::MANIFEST;
use snapmigrate::quiesce::parcel;
use snapmigrate::quiesce::protocol::{Hello, Refusal, Status};
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use tokio::signal::unix::{SignalKind, signal};

/// Fences, freezes and brings up a database for snapmigrate, and lets go by itself when nobody talks to it.
#[derive(Parser)]
#[command(version, after_long_help = examples())]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the helper until it is told to stop.
    Serve {
        /// Configuration; see --help for an example.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Where to listen; owner only.
        #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
        socket: PathBuf,
    },
    /// Connects standard input and output to a running helper, for a remote executor: ssh HOST snapmigrate-host relay.
    Relay {
        /// Where the helper listens.
        #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
        socket: PathBuf,
    },
    /// Hands one request to a running helper and prints its answer, for a remote executor without a connection.
    #[command(hide = true)]
    Ask {
        /// The request, as base64.
        request: String,
        /// Where the helper listens.
        #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
        socket: PathBuf,
    },
    /// Shows the fence, the freeze and the database as JSON.
    Status {
        /// Where the helper listens.
        #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
        socket: PathBuf,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve { config, socket } => serve(&config, socket),
        Command::Relay { socket } => {
            server::relay(&socket).map_err(|error| format!("{}: {error}", socket.display()).into())
        }
        Command::Ask { request, socket } => ask(&request, &socket),
        Command::Status { socket } => status(socket),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "snapmigrate-host: {error}");
            error
                .downcast_ref::<NotAsked>()
                .map_or(ExitCode::FAILURE, |_| ExitCode::from(NOT_ASKED))
        }
    }
}

/// Exit code of `ask` when the helper did not get the request (EX_UNAVAILABLE of sysexits).
const NOT_ASKED: u8 = 69;

/// The request did not reach the helper.
#[derive(Debug)]
struct NotAsked(String);

impl std::fmt::Display for NotAsked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for NotAsked {}

fn serve(config_file: &std::path::Path, socket: PathBuf) -> Result<(), Box<dyn Error>> {
    let config = HostConfig::load(config_file)?;
    watchdog::protect();
    let boot_id = clock::boot_id(&config.state.boot_id_file)?;
    let state = &config.state.directory;
    let store = Store::open(state, &boot_id)?;
    let engine = engine(config.database, state)?;
    let program = std::env::current_exe()?;
    let kept = Kept::of(&[
        ("the helper's record", state.as_path()),
        ("the helper's socket", socket.as_path()),
        ("the helper's program", program.as_path()),
        ("the helper's configuration", config_file),
    ]);
    let mut host = Host::new(engine, store, &boot_id, kept, config.mount).map_err(sentence)?;
    host.manifest = Some(config_file.with_file_name(MANIFEST));
    let host = Arc::new(host);
    watchdog::start(&host)?;
    let listener = server::listen(&socket)
        .map_err(|error| format!("cannot listen at {}: {error}", socket.display()))?;
    let _ = writeln!(std::io::stdout(), "listening on {}", socket.display());
    let serving = Arc::clone(&host);
    thread::spawn(move || {
        let ended = server::serve(&listener, &serving);
        let _ = writeln!(
            std::io::stderr(),
            "snapmigrate-host: the socket is gone: {ended:?}"
        );
        std::process::exit(1);
    });
    wait_for_signal()?;
    host.thaw_all();
    Ok(())
}

fn ask(request: &str, socket: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let not_asked = |error: std::io::Error| NotAsked(format!("{}: {error}", socket.display()));
    let line = parcel::unpack(request).map_err(not_asked)?;
    let stream = std::os::unix::net::UnixStream::connect(socket).map_err(not_asked)?;
    let answer = server::ask(stream, &line)?;
    writeln!(std::io::stdout(), "{}", parcel::pack(&answer)?)?;
    Ok(())
}

fn engine(
    database: DatabaseConfig,
    state: &std::path::Path,
) -> Result<Box<dyn Engine>, Box<dyn Error>> {
    let mysql = |dialect, config| Mysql::new(dialect, config, state).map_err(sentence);
    Ok(match database {
        DatabaseConfig::Postgres(config) => {
            Box::new(Postgres::new(config, state).map_err(sentence)?)
        }
        DatabaseConfig::Mariadb(config) => Box::new(mysql(Dialect::Mariadb, config)?),
        DatabaseConfig::Mysql(config) => Box::new(mysql(Dialect::Mysql, config)?),
    })
}

fn examples() -> String {
    let shown = EXAMPLES.map(|(engine, text)| format!("host.toml for {engine}:\n\n{text}"));
    format!(
        "{}\nRun it under a supervisor that restarts it at once: a helper that starts thaws first.",
        shown.join("\n")
    )
}

/// Returns at the first SIGTERM or SIGINT. The fence stays, in the record and in the data directory.
fn wait_for_signal() -> std::io::Result<()> {
    runtime()?.block_on(async {
        let (mut terminate, mut interrupt) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}

fn status(socket: PathBuf) -> Result<(), Box<dyn Error>> {
    let channel = Channel::unix(socket);
    let (hello, status) = runtime()?.block_on(async {
        Ok::<_, Box<dyn Error>>((
            channel.call(Hello {}).await?,
            channel.call(Status {}).await?,
        ))
    })?;
    let shown = serde_json::json!({"hello": hello, "status": status});
    writeln!(
        std::io::stdout(),
        "{}",
        serde_json::to_string_pretty(&shown)?
    )?;
    Ok(())
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

fn sentence(refusal: Refusal) -> String {
    refusal.message
}
