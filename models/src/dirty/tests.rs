#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

mod laws;

fn curve_of(deltas: &[(f64, Vec<(u64, u64)>)], bound: f64) -> DirtyCurve {
    let intervals: Vec<Interval<'_>> = deltas
        .iter()
        .map(|(small, runs)| Interval {
            written: Written {
                small: *small,
                bulk_blocks: 0.0,
            },
            changed_blocks: runs.iter().map(|run| run.1).sum(),
            runs,
        })
        .collect();
    fit(
        &intervals,
        bound,
        Written {
            small: 60.0,
            bulk_blocks: 0.0,
        },
    )
}

/// Deltas of blocks hit at Poisson rates, by inverse sampling with a fixed generator.
fn sampled(atoms: &[Atom], volumes: &[f64], seed: u64) -> Vec<(f64, Vec<(u64, u64)>)> {
    use rand::{Rng, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut uniform = move || (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    let one = |volume: &f64| {
        let mut runs = Vec::new();
        let mut block = 0_u64;
        for atom in atoms {
            for _ in 0..crate::units::whole_blocks(atom.blocks) {
                if uniform() < -(-atom.rate * volume).exp_m1() {
                    runs.push((block, 1));
                }
                block += 1;
            }
        }
        (*volume, runs)
    };
    volumes.iter().map(one).collect::<Vec<_>>()
}

const THREE: [Atom; 3] = [
    Atom {
        rate: 2.0,
        blocks: 400.0,
    },
    Atom {
        rate: 0.05,
        blocks: 4000.0,
    },
    Atom {
        rate: 0.001,
        blocks: 20_000.0,
    },
];

#[test]
fn em_recovers_a_mixture_of_three_rates() {
    let deltas = sampled(&THREE, &[5.0, 5.0, 5.0, 10.0, 20.0, 2.0], 11);
    let curve = curve_of(&deltas, 60_000.0);
    for volume in [1.0, 5.0, 20.0, 60.0] {
        let ratio = curve.blocks(Written {
            small: volume,
            bulk_blocks: 0.0,
        }) / expected(&THREE, volume);
        assert!(ratio.ln().abs() < 0.08, "at {volume}: {ratio}");
    }
}

#[test]
fn each_em_step_raises_the_likelihood() {
    let deltas = sampled(&THREE, &[5.0, 3.0, 8.0], 5);
    let rows: Vec<(f64, &[(u64, u64)])> = deltas
        .iter()
        .map(|(v, runs)| (*v, runs.as_slice()))
        .collect();
    let tables = [IncidenceTable::of(&rows)];
    let at = |steps| {
        log_likelihood(
            &tables,
            60_000.0,
            &fit_mixture(&tables, 60_000.0, Some(steps)),
        )
    };
    let likelihoods: Vec<f64> = [1, 2, 5, 20, 80, 200].map(at).to_vec();
    // Atoms below a thousandth of a block are dropped: allow for their share.
    assert!(
        likelihoods.windows(2).all(|pair| pair[1] >= pair[0] - 0.01),
        "{likelihoods:?}"
    );
}

#[test]
fn later_deltas_join_the_earlier_ones() {
    let deltas = sampled(&THREE, &[5.0, 5.0, 5.0, 1.0], 3);
    let early = curve_of(&deltas[..3], 60_000.0);
    let late = Interval {
        written: Written {
            small: 1.0,
            bulk_blocks: 0.0,
        },
        changed_blocks: deltas[3].1.len() as u64,
        runs: &deltas[3].1,
    };
    let joined = refit(&early, &[late]);
    assert_eq!(joined.deltas, 4);
    let reach = |curve: &DirtyCurve| {
        curve.extrapolation(Written {
            small: 15.0,
            bulk_blocks: 0.0,
        })
    };
    assert!(reach(&joined) < reach(&early));
}

#[test]
fn one_delta_is_reproduced_and_grows_slower_than_time() {
    let curve = curve_of(&[(1000.0, vec![(0, 300)])], 1e6);
    let at = |small| {
        curve.blocks(Written {
            small,
            bulk_blocks: 0.0,
        })
    };
    assert!((at(1000.0) - 300.0).abs() < 1.0);
    assert!(at(4000.0) < 4.0 * 300.0 && at(4000.0) > 1.5 * 300.0);
}

#[test]
fn bulk_writing_covers_fresh_blocks() {
    let curve = curve_of(&[], 1e6);
    let bulk = curve.blocks(Written {
        small: 0.0,
        bulk_blocks: 1000.0,
    });
    assert!((900.0..1300.0).contains(&bulk), "{bulk}");
}

fn any_curve() -> impl Strategy<Value = DirtyCurve> {
    let run = (0_u64..5000, 1_u64..50);
    let delta = (1.0_f64..1e5, prop::collection::vec(run, 0..40));
    (prop::collection::vec(delta, 0..5), 100.0_f64..1e5)
        .prop_map(|(deltas, bound)| curve_of(&deltas, bound))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_curve_is_zero_at_zero_increasing_concave_and_bounded(
        curve in any_curve(), step in 0.1_f64..1e5, bulk in prop::bool::ANY,
    ) {
        let at = |k: f64| {
            let small = if bulk { 0.0 } else { step * k };
            let bulk_blocks = if bulk { step * k } else { 0.0 };
            curve.blocks(Written { small, bulk_blocks })
        };
        prop_assert_eq!(at(0.0), 0.0);
        let values: Vec<f64> = (0..12).map(|k| at(f64::from(k))).collect();
        let slack = 1e-9 * values.last().copied().unwrap().max(1.0);
        for three in values.windows(3) {
            prop_assert!(three[1] >= three[0] - slack);
            prop_assert!(three[2] - three[1] <= three[1] - three[0] + slack);
        }
        prop_assert!(values.iter().all(|value| *value <= curve.bound_blocks + slack));
    }

    #[test]
    fn no_draw_ever_shrinks_with_more_writing(
        curve in any_curve(), small in 0.1_f64..1e6, factor in 1.0_f64..100.0, seed in 0_u64..1000,
    ) {
        for draw in crate::draws::draws(seed, 1, 1, 8) {
            let less = curve.drawn(Written { small, bulk_blocks: small / 9.0 }, &draw.volumes[0]);
            let more = curve.drawn(
                Written { small: small * factor, bulk_blocks: small * factor / 9.0 },
                &draw.volumes[0],
            );
            prop_assert!(more >= less * (1.0 - 1e-12));
        }
    }
}

#[test]
fn bad_input_gives_a_usable_curve() {
    let runs: Vec<(u64, u64)> = vec![(5, 5), (0, 8), (u64::MAX - 1, 9), (7, 0)];
    let one = |small: f64, bulk_blocks: f64, changed_blocks: u64| Interval {
        written: Written { small, bulk_blocks },
        changed_blocks,
        runs: &runs,
    };
    let minute = Written {
        small: f64::NAN,
        bulk_blocks: 0.0,
    };
    let odd = [
        one(f64::NAN, 0.0, 3),
        one(0.0, 0.0, 3),
        one(-1.0, 2.0, 3),
        one(1e300, 0.0, u64::MAX),
    ];
    let idle = Interval {
        runs: &[],
        ..one(5.0, 0.0, 0)
    };
    let cases = [
        odd.to_vec(),
        vec![idle; 3],
        vec![one(1.0, 1e9, 10); 4],
        vec![one(0.0, 50.0, 10); 3],
    ];
    for intervals in cases {
        let curve = fit(&intervals, 1e5, minute);
        let blocks = curve.blocks(Written {
            small: 100.0,
            bulk_blocks: 10.0,
        });
        assert!(
            blocks.is_finite() && blocks >= 0.0,
            "{intervals:?}: {blocks}"
        );
        assert!(!curve.provenance.is_empty());
        assert!(
            own_scores(&intervals, 1e5, minute)
                .iter()
                .all(|s| s.log_ratio.is_finite())
        );
    }
}

#[test]
fn own_deltas_of_a_steady_volume_are_foretold() {
    let deltas = sampled(&THREE, &[5.0; 6], 7);
    let intervals: Vec<Interval<'_>> = deltas
        .iter()
        .map(|(small, runs)| Interval {
            written: Written {
                small: *small,
                bulk_blocks: 0.0,
            },
            changed_blocks: runs.len() as u64,
            runs,
        })
        .collect();
    let scores = own_scores(&intervals, 60_000.0, Written::default());
    assert_eq!(scores.len(), 6);
    assert!(
        scores.iter().all(|score| score.log_ratio.abs() < 0.15),
        "{scores:?}"
    );
    assert!(foresights(&[intervals], 60_000.0)[0] < 0.15);
}

#[test]
fn more_bulk_and_more_runs_than_anyone_has_are_sampled() {
    let runs: Vec<(u64, u64)> = (0..600_000).map(|k| (k * 7, 1)).collect();
    let curve = curve_of(&[(1000.0, runs.clone()), (1000.0, runs)], 1e8);
    let again = curve.blocks(Written {
        small: 1000.0,
        bulk_blocks: 0.0,
    });
    assert!((again / 6e5).ln().abs() < 0.1, "{again}");
}
