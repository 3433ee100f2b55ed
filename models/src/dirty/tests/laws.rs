//! Laws of the curve and its interval on volumes whose process is known.

use proptest::prelude::*;

use super::*;
use crate::calibration::Calibration;

fn intervals_of<'a>(deltas: &'a [(f64, Vec<(u64, u64)>)]) -> Vec<Interval<'a>> {
    let one = |(small, runs): &'a (f64, Vec<(u64, u64)>)| Interval {
        written: Written {
            small: *small,
            bulk_blocks: 0.0,
        },
        changed_blocks: runs.len() as u64,
        runs,
    };
    deltas.iter().map(one).collect()
}

/// Width of the 90 % band of the error after so many deltas of the same process, for the next one.
fn width(count: usize, seed: u64) -> f64 {
    let deltas = sampled(&THREE, &vec![5.0; count], seed);
    let intervals = intervals_of(&deltas);
    let curve = fit(&intervals, 60_000.0, Written::default());
    let scores = own_scores(&intervals, 60_000.0, Written::default());
    let calibration = Calibration::prior().with_scores(&scores);
    let next = curve.extrapolation(Written {
        small: 5.0,
        bulk_blocks: 0.0,
    });
    calibration.log_error(next, 0.95) - calibration.log_error(next, 0.05)
}

#[test]
fn on_stationary_data_more_deltas_narrow_the_interval_on_average() {
    let mean = |count| (0..6).map(|seed| width(count, seed)).sum::<f64>() / 6.0;
    let widths = [1, 3, 6].map(mean);
    assert!(
        widths.windows(2).all(|pair| pair[1] < pair[0]),
        "{widths:?}"
    );
}

#[test]
fn the_same_deltas_give_the_same_bytes() {
    let deltas = sampled(&THREE, &[5.0, 2.0, 9.0], 4);
    let text = || serde_json::to_string(&curve_of(&deltas, 60_000.0)).unwrap();
    assert_eq!(text(), text());
}

#[test]
fn a_volume_that_only_appends_teaches_its_curve() {
    let runs: Vec<Vec<(u64, u64)>> = (0..5).map(|k| vec![(k * 1000, 1000)]).collect();
    let intervals: Vec<Interval<'_>> = runs
        .iter()
        .map(|runs| Interval {
            written: Written {
                small: 0.0,
                bulk_blocks: 1000.0,
            },
            changed_blocks: 1000,
            runs,
        })
        .collect();
    let bulk = |bulk_blocks| Written {
        small: 0.0,
        bulk_blocks,
    };
    let curve = fit(&intervals, 1e7, Written::default());
    let said = curve.blocks(bulk(10_000.0));
    assert!((said / 10_000.0).ln().abs() < 0.03, "{said}");
    assert!((curve.extrapolation(bulk(5000.0)) - 1.0).abs() < 0.05);
    // And it goes on learning from one more.
    let more = refit(&curve, &intervals[..1]);
    assert_eq!((more.deltas, more.bulk_observed_blocks), (6, 6000.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Within what was observed the curve is that of the process, up to what so many blocks scatter by.
    #[test]
    fn a_known_mixture_is_recovered_within_sampling_error(
        hot in 200.0_f64..600.0, rate in 0.3_f64..3.0, cold in 3000.0_f64..8000.0, slow in 0.005_f64..0.03,
        seed in 0_u64..1000,
    ) {
        let atoms = [
            Atom { rate, blocks: hot.floor() },
            Atom { rate: slow, blocks: cold.floor() },
        ];
        let deltas = sampled(&atoms, &[4.0, 8.0, 4.0, 8.0, 4.0, 8.0], seed);
        let curve = curve_of(&deltas, 60_000.0);
        for volume in [4.0, 8.0, 16.0, 32.0] {
            let said = curve.blocks(Written { small: volume, bulk_blocks: 0.0 });
            let truth = expected(&atoms, volume);
            let error = (said / truth).ln().abs();
            prop_assert!(error < 0.05 + 4.0 / truth.sqrt(), "at {volume}: {said} for {truth}");
        }
    }
}
