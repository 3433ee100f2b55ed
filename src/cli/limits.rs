//! `limits`: what the operator accepts, moved while the migration runs.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use snapmigrate_models::policy::{PolicyLimits, WindowPolicy};

use super::say::{Confirmation, Told, limit};
use super::{CliError, Exit, Ui, files};

/// Move limits of the policy while the migration runs, up to the fence.
///
/// Old and new values go into the journal. The plan is not edited: `execute` makes a child plan that keeps to the new
/// limits and goes on with it, or says why there is none and waits (exit code 5).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  snapmigrate limits plan.journal.sqlite --max-write-downtime 20m --confirm orders
  snapmigrate limits plan.journal.sqlite --window 02:00-05:00 --latest-finish 2026-12-06T06:00:00Z --confirm orders")]
pub struct Args {
    /// Journal of the migration.
    journal: PathBuf,
    /// Longest write downtime accepted: seconds, or a number with s, m or h.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    max_write_downtime: Option<f64>,
    /// The migration must be over by then (RFC 3339).
    #[arg(long, value_name = "TIME")]
    latest_finish: Option<DateTime<Utc>>,
    /// Most money to spend, in USD.
    #[arg(long, value_name = "USD")]
    budget: Option<f64>,
    /// Daily window for the cutover, in the policy's time zone, instead of all it has; may be given several times.
    #[arg(long, value_name = "HH:MM-HH:MM", value_parser = window, conflicts_with = "any_time")]
    window: Vec<WindowPolicy>,
    /// The cutover may start at any time.
    #[arg(long)]
    any_time: bool,
    #[command(flatten)]
    confirmation: Confirmation,
}

/// Says them.
pub fn run(args: &Args, ui: &Ui) -> Result<Exit, CliError> {
    let named = args.any_time || !args.window.is_empty();
    let limits = PolicyLimits {
        max_write_downtime_seconds: args.max_write_downtime,
        latest_finish: args.latest_finish,
        budget_usd: args.budget,
        windows: named.then(|| args.window.clone()),
    };
    if limits.is_empty() {
        return Err(CliError::usage("no limit is named").hint("snapmigrate limits --help"));
    }
    let recorded = files::journal(&args.journal)?;
    let what = "The migration goes on under other limits than those its plan was approved with.";
    let name = args.confirmation.of(&recorded.plan.name, what, ui)?;
    ui.note(match limit(&args.journal, &recorded, limits, name)? {
        Told::Executor => "said; the executor plans anew with them",
        Told::Journal(_) => "journaled; nobody executes now, `execute` plans anew with them",
    });
    Ok(Exit::Done)
}

fn seconds(text: &str) -> Result<f64, String> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) => (number, text.chars().last().unwrap_or('s')),
        None => (text, 's'),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| format!("{text} is no time such as 900, 20m or 1.5h"))?;
    Ok(number
        * match unit {
            'h' => 3600.0,
            'm' => 60.0,
            _ => 1.0,
        })
}

fn window(text: &str) -> Result<WindowPolicy, String> {
    let (start, end) = text
        .split_once('-')
        .ok_or_else(|| format!("{text} is no window such as 02:00-04:30"))?;
    Ok(WindowPolicy {
        days: Vec::new(),
        start: start.to_owned(),
        end: end.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times_have_units() {
        let read = |text| seconds(text).map(f64::to_bits);
        assert_eq!(read("20m"), Ok(1200.0_f64.to_bits()));
        assert_eq!(read("1.5h"), Ok(5400.0_f64.to_bits()));
        assert_eq!(read("900"), Ok(900.0_f64.to_bits()));
        assert!(read("soon").is_err() && read("m").is_err());
    }
}
