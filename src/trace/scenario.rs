//! A scenario's volumes as traces: the lab's write processes run for some hours, without a lab around them.
//! The forecaster sees of them what CloudWatch and ListChangedBlocks would show.

use chrono::{DateTime, TimeDelta, Utc};
use snapmigrate_lab::Scenario;
use snapmigrate_lab::scenario::VolumeSpec;
use snapmigrate_lab::workload::{Workload, WorkloadError, WorkloadSetup};
use snapmigrate_models::backtest::{Recorded, Trace};
use snapmigrate_models::observation::WritePeriod;
use snapmigrate_models::units::{GIB, epoch_seconds};

/// Length of a metric period.
const METRIC_SECONDS: u32 = 60;
/// Tick of the first second of a workload.
const FIRST_TICK: u32 = 2;
/// CloudWatch keeps one-minute data for 15 days (Amazon CloudWatch User Guide, "Metrics retention").
const HISTORY_HOURS: i64 = 14 * 24;

/// The writes of each volume of a scenario over `hours`, with the metrics of the two weeks before.
///
/// # Errors
/// [`WorkloadError`] naming the volume, the process and the key.
pub fn of_scenario(
    scenario: &Scenario,
    seed: u64,
    hours: u32,
) -> Result<Vec<Trace>, WorkloadError> {
    let busy = scenario
        .volumes
        .iter()
        .filter(|volume| !volume.workload.is_empty());
    busy.map(|volume| of_volume(scenario, volume, seed, hours))
        .collect()
}

fn of_volume(
    scenario: &Scenario,
    volume: &VolumeSpec,
    seed: u64,
    hours: u32,
) -> Result<Trace, WorkloadError> {
    let setup = WorkloadSetup {
        seed,
        volume: &volume.id,
        size_gib: volume.size_gib,
        written_gib: volume.written_gib,
        start: scenario.start,
        base_dir: &scenario.base_dir,
    };
    let mut workload = Workload::new(&setup, &volume.workload)?;
    let mut content = workload.initial_content();
    workload.run(&mut content, FIRST_TICK, FIRST_TICK + hours * 3600 - 1);
    let end = scenario.start + TimeDelta::hours(i64::from(hours));
    let recorded = Recorded {
        name: format!("{} {}", scenario.name, volume.id),
        epoch_seconds: epoch_seconds(scenario.start),
        size_bytes: volume.size_gib * GIB,
        metrics: metrics(
            &workload,
            scenario.start - TimeDelta::hours(HISTORY_HOURS),
            end,
        ),
    };
    Ok(Trace::of_blocks(recorded, writes(&workload)))
}

/// Every block of every second, in the middle of it.
fn writes(workload: &Workload) -> impl Iterator<Item = (f64, u32)> {
    let entries = workload.log().entries();
    entries.flat_map(|(tick, blocks)| {
        let at = f64::from(tick - FIRST_TICK) + 0.5;
        blocks.iter().map(move |block| (at, *block))
    })
}

fn metrics(workload: &Workload, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<WritePeriod> {
    let minutes = workload.metrics(from, to).into_iter();
    let period = |minute: snapmigrate_lab::workload::MinuteSample| WritePeriod {
        start: minute.at,
        period_seconds: METRIC_SECONDS,
        write_bytes: minute.write_bytes as f64,
        write_ops: minute.write_ops as f64,
    };
    minutes.map(period).collect()
}
