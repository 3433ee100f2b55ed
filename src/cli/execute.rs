//! `execute`: carry out a plan, from wherever its journal stands.

use std::path::{Path, PathBuf};

use snapmigrate_models::decide::Goal;
use snapmigrate_models::history::PastMigration;
use snapmigrate_models::plan::Plan;
use snapmigrate_models::progress::Progress;
use snapmigrate_models::report::{Report, RunOutcome};
use snapmigrate_models::step::{Event, Verb};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::host::leave_hosts;
use super::say::Confirmation;
use super::{CliError, ConnectionArgs, Exit, Kind, StateArgs, Ui, channel, check, files, runtime};
use crate::clock::Clock;
use crate::cloud::{self, Cloud, Connection, Transport};
use crate::execute::{
    Claimant, Comparison, Control, Ended, ExecuteError, Executor, Hooks, Run, Server, Sides,
    execute, take_over,
};
use crate::journal::{Entry, Journal, JournalError};
use crate::view;

/// Carry out a plan: the chain, and with --cutover the cutover; continues where its journal ends.
///
/// Shows each step on standard error after it is durable in the journal, and the report at the end.
/// SIGTERM and SIGINT stop it safely: the source serves, and the same command goes on later.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 3 refused, 4 stopped safely (the source serves),
5 waiting for the operator.

Examples:
  snapmigrate execute plan.json                # bring the chain to the target, no cutover
  snapmigrate execute plan.json --cutover      # and cut over in the plan's window
  snapmigrate execute plan.json --cutover --source-profile old --target-profile new --json > report.json"
)]
pub struct Args {
    /// Plan to carry out.
    pub(super) plan: PathBuf,
    /// Go through the cutover; otherwise stop when the chain is in the target.
    #[arg(long)]
    pub(super) cutover: bool,
    /// Journal; begun when there is none [default: beside the plan, PLAN without .json plus
    /// .journal.sqlite].
    #[arg(long, value_name = "FILE")]
    pub(super) journal: Option<PathBuf>,
    /// Take the migration over from another executor: only when that one certainly runs no more. Needs the name.
    #[arg(long)]
    pub(super) take_over: bool,
    #[command(flatten)]
    pub(super) confirmation: Confirmation,
    /// File to write the report to, as JSON.
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
    #[command(flatten)]
    pub(super) state: StateArgs,
}

impl Args {
    /// To go on with a journal under the plan that is in it.
    pub(super) fn going_on(journal: &Path, connection: &ConnectionArgs, state: &StateArgs) -> Self {
        Self {
            plan: PathBuf::new(),
            cutover: false,
            journal: Some(journal.to_owned()),
            take_over: false,
            confirmation: Confirmation::default(),
            output: None,
            connection: connection.clone(),
            state: state.clone(),
        }
    }
}

/// Executes, saves, shows.
pub fn run(args: &Args, ui: &Ui) -> Result<Exit, CliError> {
    let plan = files::plan(&args.plan)?;
    if args.take_over {
        let what = "Another executor that still runs would act on the same source: be sure that it does not.";
        args.confirmation.of(&plan.name, what, ui)?;
    }
    let path = args.journal.clone().unwrap_or_else(|| beside(&args.plan));
    ui.note(&format!("journal {}", path.display()));
    let begun = path.exists().then(|| opened(&path, &plan)).transpose()?;
    carry_on(args, &plan, &path, begun, ui)
}

/// Goes on with a journal from wherever it stands, or begins it, and shows the report.
pub(super) fn carry_on(
    args: &Args,
    plan: &Plan,
    path: &Path,
    begun: Option<Journal>,
    ui: &Ui,
) -> Result<Exit, CliError> {
    let (journal, ended) = runtime::network(drive(args, plan, path, begun, &Doing::all(ui)))??;
    remember(args, plan, &journal, ui);
    let progress = journal.progress();
    if progress.is_final() && progress.closed.is_some() {
        runtime::network(leave_hosts(plan, &args.connection, ui))?;
    }
    let report = journal.recorded().report();
    if let Some(output) = &args.output {
        files::save_document(output, &report)?;
    }
    ui.show(&report, view::report)?;
    Ok(exit(&ended, &report, ui))
}

fn opened(path: &Path, plan: &Plan) -> Result<Journal, CliError> {
    let journal = match &plan.parent {
        Some(_) => Journal::go_on(path, plan, Clock::System.now()),
        None => Journal::open(path, plan),
    };
    journal.map_err(unusable)
}

/// Keeps what a migration that ended taught, for the next plan.
fn remember(args: &Args, plan: &Plan, journal: &Journal, ui: &Ui) {
    let recorded = journal.recorded();
    let entries = recorded
        .entries
        .iter()
        .map(|entry| (entry.at, &entry.event));
    if let Some(past) = PastMigration::of(plan, &recorded.progress, entries) {
        args.state.remember(past, ui);
    }
}

/// The journal of a plan when none is named.
pub(super) fn beside(plan: &Path) -> PathBuf {
    let stem = plan.file_stem().unwrap_or(plan.as_os_str());
    let mut name = stem.to_owned();
    name.push(".journal.sqlite");
    plan.with_file_name(name)
}

/// What to do with a journal besides going on with it.
pub(super) struct Doing<'a> {
    /// Told each entry.
    pub ui: &'a Ui,
    /// Word of the operator to begin with.
    pub order: Option<Verb>,
    /// The event after which the executor stops as if it were asked to.
    pub is_enough: &'a dyn Fn(&Event) -> bool,
}

impl<'a> Doing<'a> {
    /// To the end.
    pub fn all(ui: &'a Ui) -> Self {
        Self {
            ui,
            order: None,
            is_enough: &|_| false,
        }
    }
}

/// Executes until the end, or until an event that is enough.
pub(super) async fn drive(
    args: &Args,
    plan: &Plan,
    path: &Path,
    begun: Option<Journal>,
    doing: &Doing<'_>,
) -> Result<(Journal, Ended), CliError> {
    let ui = doing.ui;
    let sides = sides(&args.connection, plan).await?;
    // Once it has begun the executor itself looks at what it is about to touch: preflight and gate.
    if begun
        .as_ref()
        .is_none_or(|journal| journal.progress().entries == 0)
    {
        let hosts = args.cutover.then_some((&args.connection, path));
        check::before_start(&sides.source, plan, Clock::System, hosts, ui).await?;
    }
    if args.take_over {
        let taken = take_over(&sides.source, plan).await;
        taken.map_err(|error| broken(ExecuteError::Claim(error)))?;
    }
    let mut journal = begun.map_or_else(|| opened(path, plan), Ok)?;
    if let Some(verb) = doing.order {
        let said = journal.append(Clock::System.now(), &Event::Operator { verb });
        said.map_err(|error| {
            CliError::new(
                Kind::Refused,
                "that cannot be done now; nothing was changed",
            )
            .caused_by(error)
        })?;
    }
    let (asked, stop) = watch::channel(false);
    let signals = stop_on_signals(asked.clone())?;
    let mut watcher = |entry: &Entry, _: &Progress| {
        if (doing.is_enough)(&entry.event) {
            asked.send_replace(true);
        }
        if let Some(line) = view::line(entry.at, &entry.event) {
            ui.note(&line);
        }
    };
    let mut server = listen(path, plan, ui);
    let mut control = Control::beside(path, stop);
    if let Some(server) = &mut server {
        control = control.over(server);
    }
    let run = Run {
        clock: Clock::System,
        claimant: claimant(path),
        goal: Goal {
            cutover: args.cutover,
        },
        control,
        notice: &|text| ui.note(text),
        watcher: &mut watcher,
    };
    let ended = execute(&sides, &mut journal, run).await;
    signals.abort();
    drop(server);
    Ok((journal, ended.map_err(broken)?))
}

/// The socket beside the journal; without one the files there still speak.
fn listen(journal: &Path, plan: &Plan, ui: &Ui) -> Option<Server> {
    let executor = Executor {
        journal: journal.to_owned(),
        name: plan.name.clone(),
        since: Clock::System.now(),
    };
    let opened = Server::open(executor);
    let unheard = |error: std::io::Error| {
        ui.note(&format!(
            "no control socket beside the journal ({error}); verbs are heard through its file within seconds"
        ));
    };
    opened.map_err(unheard).ok()
}

/// This machine and this journal.
fn claimant(journal: &Path) -> Claimant {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let journal = std::path::absolute(journal).unwrap_or_else(|_| journal.to_owned());
    Claimant {
        host: read("/proc/sys/kernel/hostname").trim().to_owned(),
        machine: read("/etc/machine-id").trim().to_owned(),
        journal: journal.display().to_string(),
    }
}

async fn sides(connection: &ConnectionArgs, plan: &Plan) -> Result<Sides, CliError> {
    let database = plan.policy.database.as_ref();
    let source = reach("source", connection.source_in(&plan.source.region)).await?;
    let target = reach("target", connection.target(&plan.target.region)).await?;
    let host = |address: &String, cloud| channel::open(address, cloud);
    Ok(Sides {
        source_host: database
            .map(|database| host(&database.source_host, &source))
            .transpose()?,
        target_host: database
            .map(|database| host(&database.target_host, &target))
            .transpose()?,
        source,
        target,
        comparison: Comparison::Bytes,
        hooks: Hooks::Run,
    })
}

pub(super) async fn reach(side: &str, connection: Connection) -> Result<Cloud, CliError> {
    cloud::connect(&connection, &Transport::Network, Clock::System)
        .await
        .map_err(|error| {
            CliError::failed(format!(
                "cannot reach the {side} account; nothing was changed"
            ))
            .caused_by(error)
        })
}

/// Turns SIGTERM and SIGINT into a request to stop safely.
fn stop_on_signals(asked: watch::Sender<bool>) -> Result<tokio::task::JoinHandle<()>, CliError> {
    let failed = |error| CliError::failed("cannot listen for signals").caused_by(error);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        asked.send_replace(true);
        // The sender lives on, so that the executor keeps seeing the request.
        std::future::pending::<()>().await;
    }))
}

fn exit(ended: &Ended, report: &Report, ui: &Ui) -> Exit {
    match ended {
        Ended::Closed { outcome, .. } => closed(*outcome, report),
        Ended::AwaitingOperator { reason } => {
            ui.note(&format!("waiting for the operator: {reason}"));
            Exit::Waiting
        }
        Ended::Stopped { reason } => {
            ui.note(&format!("stopped: {reason}"));
            Exit::Stopped
        }
    }
}

/// A mismatch is a failure whatever the outcome says.
pub fn closed(outcome: RunOutcome, report: &Report) -> Exit {
    let mismatch = report
        .verification
        .as_ref()
        .is_some_and(|found| found.mismatches > 0);
    match outcome {
        _ if mismatch => Exit::Failed,
        RunOutcome::CutOver | RunOutcome::Copied => Exit::Done,
        RunOutcome::Aborted | RunOutcome::Reverted => Exit::Stopped,
        RunOutcome::Failed => Exit::Failed,
    }
}

pub(super) fn unusable(error: JournalError) -> CliError {
    let kind = match &error {
        JournalError::Format { .. }
        | JournalError::ForeignPlan { .. }
        | JournalError::Orphan { .. }
        | JournalError::Damaged { .. } => Kind::Usage,
        JournalError::Locked { .. }
        | JournalError::Io { .. }
        | JournalError::Sqlite { .. }
        | JournalError::Refused(_) => Kind::Failed,
    };
    CliError::new(kind, "cannot use the journal; nothing was changed").caused_by(error)
}

fn broken(error: ExecuteError) -> CliError {
    match error {
        ExecuteError::Inadmissible { reason } => CliError::new(Kind::Refused, reason)
            .hint("snapmigrate plan makes another plan; nothing was changed"),
        ExecuteError::Claim(_) => CliError::failed("the executor cannot begin")
            .caused_by(error)
            .hint("snapmigrate policy PLAN prints what the source role must be allowed"),
        ExecuteError::Unwritten { source_serves, .. } => {
            let kind = match source_serves {
                true => Kind::Stopped,
                false => Kind::Waiting,
            };
            CliError::new(kind, "the journal takes no entry any more")
                .caused_by(error)
                .hint("make room on its disk and run the same command again: it looks up what the last step did")
        }
        ExecuteError::Journal(_) | ExecuteError::Control { .. } => {
            CliError::failed("the executor cannot go on")
                .caused_by(error)
                .hint("the journal holds every step that was begun: repair the cause and run the same command again")
        }
    }
}
