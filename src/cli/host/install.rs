//! `host install`.

use std::fs;
use std::path::PathBuf;

use super::super::{CliError, Exit, Ui, runtime};
use super::Named;
use crate::quiesce::install::{Installation, Layout, Program, Shell};

/// Send the helper to a host, check its digest there, have systemd supervise it, and greet it.
///
/// Over `ssh:` and on this machine (`unix:`). Over `ssm:` nothing can be sent: bring the program there by image, package
/// or bucket, and compare what `host show` says with the digest that is printed here.
#[derive(Debug, clap::Args)]
pub struct Install {
    #[command(flatten)]
    named: Named,
    /// The host's host.toml; without it the one that is there is used.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The helper, linked statically [default: snapmigrate-host beside this program].
    #[arg(long, value_name = "FILE")]
    helper: Option<PathBuf>,
    /// The worker that path direct needs on the target's host.
    #[arg(long, value_name = "FILE")]
    worker: Option<PathBuf>,
    /// Send a helper that needs libraries of the host.
    #[arg(long)]
    dynamic: bool,
    /// Shell command that starts the helper under a supervisor of yours [default: systemd].
    #[arg(long, value_name = "COMMAND")]
    start: Option<String>,
    /// Directory below which everything is put.
    #[arg(long, value_name = "DIR", default_value = "")]
    root: String,
}

/// Installs and says what is there.
pub fn run(args: &Install, ui: &Ui) -> Result<Exit, CliError> {
    let shell = shell(&args.named.host)?;
    let what = installation(args)?;
    let done = async {
        let channel = args.named.channel().await?;
        let hello = what.carry_out(&shell, &channel).await;
        hello.map_err(|error| CliError::failed("the helper was not installed").caused_by(error))
    };
    let hello = runtime::network(done)??;
    ui.note(&format!(
        "snapmigrate-host {} runs on {}; in the policy: helper_sha256 = \"{}\"",
        hello.version, hello.host, what.helper.sha256
    ));
    Ok(Exit::Done)
}

fn shell(host: &str) -> Result<Shell, CliError> {
    match host.split_once(':') {
        Some(("unix", _)) => Ok(Shell::Local),
        Some(("ssh", address)) => match address.parse() {
            Ok(ssh) => Ok(Shell::Ssh(ssh)),
            Err(reason) => Err(CliError::usage(format!("{host:?}: {reason}"))),
        },
        _ => Err(CliError::usage(format!("nothing can be sent over {host:?}; nothing was changed")).hint(
            "install over ssh:, or bring snapmigrate-host to the host yourself, run it there, and set helper_sha256 in the \
             policy: every other helper is then refused",
        )),
    }
}

fn installation(args: &Install) -> Result<Installation, CliError> {
    let beside =
        || std::env::current_exe().map(|program| program.with_file_name("snapmigrate-host"));
    let helper = match &args.helper {
        Some(path) => path.clone(),
        None => beside().map_err(|error| {
            CliError::failed("cannot tell where this program is").caused_by(error)
        })?,
    };
    let read = |path: &PathBuf| {
        Program::read(path).map_err(|error| {
            CliError::usage("the helper cannot be sent; nothing was changed").caused_by(error)
        })
    };
    let program = read(&helper)?;
    if program.dynamic && !args.dynamic {
        let message = format!(
            "{} needs libraries of the host; nothing was changed",
            helper.display()
        );
        return Err(CliError::usage(message).hint(
            "build it with tests/build-helper (docs/operating.md, \"Hosts\"), or say --dynamic",
        ));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if !args.root.chars().all(plain) || !(args.root.is_empty() || args.root.starts_with('/')) {
        return Err(CliError::usage(format!(
            "--root {:?} must be an absolute path of plain characters",
            args.root
        )));
    }
    let config = args.config.as_ref().map(fs::read_to_string).transpose();
    Ok(Installation {
        helper: program,
        worker: args.worker.as_ref().map(read).transpose()?,
        config: config.map_err(|error| {
            CliError::usage("the configuration cannot be read").caused_by(error)
        })?,
        layout: Layout::below(args.root.trim_end_matches('/')),
        start: args.start.clone(),
    })
}
