//! What a forecast costs: 10,000 draws over a chain of four volumes.
//!
//! `cargo bench -p snapmigrate-models --bench chain`

use snapmigrate_models::chain::{Chain, Circumstances, Itinerary, Run};
use snapmigrate_models::dirty::{Interval, Written, fit as fit_curve};
use snapmigrate_models::draws::{DRAWS, Draw, outcomes};
use snapmigrate_models::forecast::{FittedModel, VolumeModel};
use snapmigrate_models::load::LoadModel;
use snapmigrate_models::observation::WritePeriod;
use snapmigrate_models::policy::TransferPath;
use snapmigrate_models::service::priors;
use snapmigrate_models::units::{Quantiles, at_epoch_seconds};

const NOW: f64 = 1_800_000_000.0;

fn main() {
    divan::main();
}

/// Two weeks of five-minute periods with a rhythm of the day.
fn history(volume: f64) -> Vec<WritePeriod> {
    let one = |k: u32| {
        let start = NOW - 14.0 * 86_400.0 + f64::from(k) * 300.0;
        let hour = (start / 3600.0).rem_euclid(24.0);
        let ops = volume * 300.0 * (40.0 + 20.0 * (hour / 24.0 * std::f64::consts::TAU).sin());
        WritePeriod {
            start: at_epoch_seconds(start),
            period_seconds: 300,
            write_bytes: ops * 8192.0,
            write_ops: ops,
        }
    };
    (0..14 * 288).map(one).collect()
}

/// A volume with six half-hour deltas: a hot set and fresh blocks.
fn volume(number: u32) -> VolumeModel {
    let load = LoadModel::fit(&history(f64::from(number)));
    let written = Written {
        small: 70_000.0,
        bulk_blocks: 20.0,
    };
    let runs: Vec<Vec<(u64, u64)>> = (0..6_u64)
        .map(|k| vec![(0, 800), (10_000 + 300 * k, 300), (90_000 + 7 * k, 40)])
        .collect();
    let intervals: Vec<Interval<'_>> = runs
        .iter()
        .map(|runs| Interval {
            written,
            changed_blocks: 1140,
            runs,
        })
        .collect();
    VolumeModel {
        volume: format!("vol-{number}").parse().expect("a volume id"),
        base_blocks: 2_000_000.0,
        curve: fit_curve(&intervals, 2_000_000.0, load.minute()),
        load,
    }
}

fn group(volumes: u32) -> FittedModel {
    FittedModel {
        volumes: (1..=volumes).map(volume).collect(),
        services: priors(),
        database: true,
        flush_bytes: None,
        clock_scores: Vec::new(),
        provenance: Vec::new(),
    }
}

/// Base, five rounds and the final one, each as soon as the one before is in the target.
#[divan::bench(args = [1, 4])]
fn ten_thousand_draws(bencher: divan::Bencher<'_, '_>, volumes: u32) {
    let model = group(volumes);
    let itinerary = Itinerary {
        base_at: NOW,
        rounds: vec![NOW; 5],
        fence: NOW,
        ..Itinerary::default()
    };
    bencher.bench(|| {
        let chain = Chain::of(&model, Circumstances::plain(TransferPath::Copy), NOW);
        let play = |draw: &Draw| chain.run(&itinerary, draw);
        let runs: Vec<Run> = outcomes(1, chain.volumes(), 7, DRAWS, play);
        let clock = |run: &Run| run.cutover.write_downtime_seconds;
        Quantiles::of(&mut runs.iter().map(clock).collect::<Vec<f64>>())
    });
}

/// The draws alone.
#[divan::bench]
fn chance_alone() -> usize {
    outcomes(1, 4, 7, DRAWS, |draw| draw.path).len()
}
