//! `backtest`: the forecast against what really happened, on traces or on a profile's own deltas.

mod slots;

use std::path::PathBuf;

use snapmigrate_lab::Scenario;
use snapmigrate_models::backtest::{
    Backtest, BacktestError, Picture, Protocol, Trace, derived, errors, moment_regrets, moments,
    picture, pooled, profile_picture, run as evaluate, run_profile,
};
use snapmigrate_models::profile::Profile;

use super::{CliError, Exit, Ui, files};
use crate::{trace, view};

/// Judge the forecast by what really happened: on block traces, or on a profile's own deltas.
///
/// Rolls over the recording and predicts, from the deltas and metrics before each point, the delta of the time
/// that follows. Shows the error for each length of time, how often the 90 % band held, what simpler models would
/// have said, and what to measure next. Needs no account.
#[derive(Debug, clap::Args)]
#[command(
    group(clap::ArgGroup::new("source").required(true).multiple(true).args(["trace", "scenario", "profile", "series"])),
    after_help = "A trace is CSV with the header t_seconds,offset_bytes,size_bytes: writes only, sorted by time, gzip \
allowed (docs/formats.md). Several traces in one run give a pooled table.

Examples:
  snapmigrate backtest --profile profile.json
  snapmigrate backtest --trace writes.csv.gz --plot forecast.svg
  snapmigrate backtest --trace monday.csv.gz --trace sunday.csv.gz --delta-seconds 1800 --json"
)]
pub struct Args {
    /// Trace of the writes to one volume, CSV or gzipped CSV; can be given more than once.
    #[arg(long, value_name = "FILE")]
    trace: Vec<PathBuf>,
    /// Scenario of the lab whose volumes' write processes are recorded as traces; can be given more than once.
    #[arg(long, value_name = "FILE")]
    scenario: Vec<PathBuf>,
    /// Profile that `measure` wrote: each delta is predicted from those before it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["trace", "scenario", "delta_seconds", "lags"])]
    profile: Option<PathBuf>,
    /// Series of half-hours, CSV or gzipped CSV with the columns vol, half_hour, pages4k_written and
    /// distinct_pages4k_bytes: judges the choice of a slot to freeze in instead.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["trace", "scenario", "profile", "delta_seconds", "lags", "plot", "goals", "moments"])]
    series: Option<PathBuf>,
    /// Time between two snapshots [default: chosen from the trace's length].
    #[arg(long, value_name = "S")]
    delta_seconds: Option<f64>,
    /// Deltas the forecast sees.
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=1000))]
    deltas: u32,
    /// Lengths of time to predict [default: a half, 1, 2, 3 and 6 times the delta].
    #[arg(long, value_name = "S,S,...", value_delimiter = ',')]
    lags: Vec<f64>,
    /// How late the newest metrics are.
    #[arg(long, value_name = "S", default_value_t = 120.0)]
    metric_delay_seconds: f64,
    /// Hours recorded of each scenario.
    #[arg(long, value_name = "H", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=336))]
    hours: u32,
    /// Draw the forecast of one point in time, its band and what came, and all predictions, into this file.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Judge the choice of the moment to cut over as well: a gate at every half delta of the next six deltas, fed with
    /// metrics as late as --metric-delay-seconds says, against the best moment.
    #[arg(long, conflicts_with = "profile")]
    moments: bool,
    /// Show the project's goals beside the figures, met or missed.
    #[arg(long)]
    goals: bool,
    /// Print the table of errors that these traces and scenarios give as a prior, and how often it holds on each
    /// of them when that one is left out (models/data/calibration.toml is made so).
    #[arg(long, conflicts_with_all = ["profile", "series", "delta_seconds", "lags", "plot", "goals", "moments"])]
    derive_prior: bool,
}

/// Evaluates, draws, shows.
pub fn run(args: &Args, ui: &Ui) -> Result<Exit, CliError> {
    if let Some(path) = &args.series {
        return slots::run(path, ui);
    }
    if args.derive_prior {
        return derive_prior(args, ui);
    }
    let (backtest, picture) = match &args.profile {
        Some(path) => on_profile(&files::profile(path)?, args)?,
        None => on_traces(args)?,
    };
    if let (Some(path), Some(picture)) = (&args.plot, &picture) {
        files::save(path, &view::backtest_plot(&backtest, picture))?;
    }
    ui.show(&backtest, |found| {
        let goals = args.goals.then(|| view::backtest_goals(found));
        view::backtest(found, args.delta_seconds.is_none()) + &goals.unwrap_or_default()
    })?;
    Ok(Exit::Done)
}

fn derive_prior(args: &Args, ui: &Ui) -> Result<Exit, CliError> {
    let mut volumes = Vec::new();
    for_each_trace(args, |trace| {
        volumes.push(errors(trace));
        Ok(())
    })?;
    ui.show(&derived(&volumes), view::derived_prior)?;
    Ok(Exit::Done)
}

fn on_profile(profile: &Profile, args: &Args) -> Result<(Backtest, Option<Picture>), CliError> {
    let delay = args.metric_delay_seconds;
    if !(delay >= 0.0 && delay.is_finite()) {
        return Err(CliError::usage(
            "--metric-delay-seconds must not be negative",
        ));
    }
    let backtest = run_profile(profile, args.deltas, delay).map_err(refused)?;
    Ok((backtest, profile_picture(profile, args.deltas, delay)))
}

fn on_traces(args: &Args) -> Result<(Backtest, Option<Picture>), CliError> {
    let (mut parts, mut regrets) = (Vec::new(), Vec::new());
    let mut drawn = None;
    for_each_trace(args, |trace| {
        let protocol = protocol(args, trace);
        parts.push(evaluate(trace, &protocol).map_err(refused)?);
        if args.moments {
            let found = moments(trace, &protocol).map_err(refused)?;
            regrets.push((trace.name().to_owned(), found));
        }
        if drawn.is_none() && args.plot.is_some() {
            drawn = Some(picture(trace, &protocol).map_err(refused)?);
        }
        Ok(())
    })?;
    let backtest = Backtest {
        moments: moment_regrets(&regrets),
        ..pooled(parts)
    };
    Ok((backtest, drawn))
}

fn for_each_trace(
    args: &Args,
    mut one: impl FnMut(&Trace) -> Result<(), CliError>,
) -> Result<(), CliError> {
    for path in &args.trace {
        let trace = trace::read(path).map_err(|error| {
            CliError::usage(format!("cannot use {}", path.display())).caused_by(error)
        })?;
        one(&trace)?;
    }
    for path in &args.scenario {
        simulated(path, args.hours)?.iter().try_for_each(&mut one)?;
    }
    Ok(())
}

fn simulated(path: &std::path::Path, hours: u32) -> Result<Vec<Trace>, CliError> {
    let unusable = || CliError::usage(format!("cannot use {}", path.display()));
    let scenario = Scenario::load(path).map_err(|error| unusable().caused_by(error))?;
    trace::of_scenario(&scenario, scenario.seed, hours).map_err(|error| unusable().caused_by(error))
}

fn protocol(args: &Args, trace: &Trace) -> Protocol {
    let delta_seconds = args
        .delta_seconds
        .unwrap_or_else(|| Protocol::delta_for(trace.seconds(), args.deltas));
    let lags_seconds = if args.lags.is_empty() {
        Protocol::lags_for(delta_seconds)
    } else {
        args.lags.clone()
    };
    Protocol {
        delta_seconds,
        deltas: args.deltas,
        lags_seconds,
        metric_delay_seconds: args.metric_delay_seconds,
    }
}

fn refused(error: BacktestError) -> CliError {
    let hint = match &error {
        BacktestError::TooShort { .. } => {
            "a shorter --delta-seconds, fewer --deltas or a longer recording would do"
        }
        BacktestError::TooFewDeltas { .. } => {
            "snapmigrate measure with more snapshots, or with probe snapshots, gives a profile more deltas"
        }
        BacktestError::Length { .. } | BacktestError::None { .. } => {
            "see snapmigrate backtest --help for the lengths it takes"
        }
        BacktestError::TooMany { .. } => "a longer --delta-seconds or a shorter recording would do",
    };
    CliError::usage("this backtest cannot be run")
        .caused_by(error)
        .hint(hint)
}
