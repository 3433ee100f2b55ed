//! `lab serve`: the simulated AWS as an HTTP server, for any AWS client.

use std::path::PathBuf;

use snapmigrate_lab::{Lab, LabError, Scenario, ServeOptions, serve};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::{CliError, Exit, Ui, runtime};

/// The simulated AWS.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: LabVerb,
}

#[derive(Debug, clap::Subcommand)]
enum LabVerb {
    Serve(Serve),
}

/// Serve a simulated AWS over HTTP: EC2 snapshots and volumes, EBS direct APIs, CloudWatch, STS, SSM.
///
/// Prints `listening on URL` when it is ready and stops cleanly on SIGTERM or SIGINT. The region
/// comes from the signature's scope; a 12-digit access key id is the account. Volume bytes lie at
/// DIR/volumes/VOLUME.img; without a reflink file system snapshots are copies.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  snapmigrate lab serve --dir /var/tmp/lab
  snapmigrate lab serve --listen 127.0.0.1:0 --dir lab --scenario fixtures/scenarios/fourteen-hours.toml
  AWS_ACCESS_KEY_ID=111111111111 AWS_SECRET_ACCESS_KEY=any \\
    aws --region us-east-1 --endpoint-url http://127.0.0.1:4599 ec2 describe-snapshots --owner-ids self")]
struct Serve {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4599")]
    listen: String,
    /// Directory for the bytes of volumes and snapshots; made when missing.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// What exists at the start; without it, nothing does and any credentials are welcome.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Latency added to every request.
    #[arg(long, value_name = "N", default_value_t = 0)]
    latency_ms: u64,
    /// Whether requests are limited as AWS limits them [default: on with a scenario, else off].
    #[arg(long, value_enum)]
    quota: Option<Switch>,
    /// What the service times of the scenario are divided by.
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    time_scale: f64,
    /// Seed of all chance [default: the scenario's, else 1].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Attach volumes as loop devices; needs root.
    #[arg(long, conflicts_with = "traced")]
    loop_devices: bool,
    /// What runs the commands that SSM SendCommand sends: called with the instance's id, the command on standard input;
    /// without it no instance is managed.
    #[arg(long, value_name = "PROGRAM")]
    run_command: Option<PathBuf>,
    /// Let volumes hold versions instead of bytes: large ones take no space, and a block's bytes are made up
    /// from its version.
    #[arg(long)]
    traced: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Switch {
    On,
    Off,
}

/// Serves until it is told to stop.
pub fn run(args: &Args, ui: &Ui) -> Result<Exit, CliError> {
    let LabVerb::Serve(args) = &args.verb;
    let options = options(args)?;
    let lab = Lab::open(&options).map_err(|error| unusable(args, error))?;
    if let Some(agent) = &args.run_command {
        lab.run_commands_with(agent.clone());
    }
    lab.notices().iter().for_each(|notice| ui.note(notice));
    runtime::threads(listen(lab, args, ui))?
}

fn options(args: &Serve) -> Result<ServeOptions, CliError> {
    if !(args.time_scale > 0.0 && args.time_scale.is_finite()) {
        return Err(CliError::usage(format!(
            "--time-scale {}: expected a number above 0",
            args.time_scale
        )));
    }
    let scenario = args.scenario.as_deref().map(scenario).transpose()?;
    let quota = args
        .quota
        .map_or(scenario.is_some(), |quota| quota == Switch::On);
    let seed = args
        .seed
        .or(scenario.as_ref().map(|scenario| scenario.seed))
        .unwrap_or(1);
    Ok(ServeOptions {
        dir: args.dir.clone(),
        scenario,
        latency_ms: args.latency_ms,
        quota,
        time_scale: args.time_scale,
        seed,
        loop_devices: args.loop_devices,
        traced: args.traced,
    })
}

/// Reads a scenario file.
pub fn scenario(path: &std::path::Path) -> Result<Scenario, CliError> {
    Scenario::load(path).map_err(|error| {
        CliError::usage(format!("cannot use {}", path.display()))
            .caused_by(error)
            .hint("docs/formats.md describes scenario files")
    })
}

fn unusable(args: &Serve, error: LabError) -> CliError {
    CliError::failed(format!("cannot open a lab in {}", args.dir.display())).caused_by(error)
}

async fn listen(lab: Lab, args: &Serve, ui: &Ui) -> Result<Exit, CliError> {
    let failed =
        |error| CliError::failed(format!("cannot serve on {}", args.listen)).caused_by(error);
    let listener = TcpListener::bind(&args.listen).await.map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    ui.text(&format!(
        "listening on http://{}",
        listener.local_addr().map_err(failed)?
    ))?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    serve(lab, listener, stop).await.map_err(failed)?;
    Ok(Exit::Done)
}
