use super::*;
use crate::draws::{draws, student4_quantile};

/// Independent errors, Student t of 4 degrees of freedom, with a bias.
fn world(seed: u64, count: usize, scale: f64, bias: f64) -> Vec<Score> {
    let all = draws(seed, 1, 1, count);
    let score = |draw: &crate::draws::Draw| Score {
        extrapolation: 0.2 + 0.6 * draw.path,
        log_ratio: bias + scale * student4_quantile(draw.volumes[0].error_level),
    };
    all.iter().map(score).collect()
}

/// Share of `later` inside the 90 % interval.
fn coverage(calibration: &Calibration, later: &[Score]) -> f64 {
    let inside = |score: &&Score| {
        let at = |level| calibration.log_error(score.extrapolation, level);
        (at(0.05)..=at(0.95)).contains(&score.log_ratio)
    };
    later.iter().filter(inside).count() as f64 / later.len() as f64
}

#[test]
fn the_prior_widens_with_extrapolation() {
    let prior = Calibration::prior();
    let width = |e: f64| prior.log_error(e, 0.95) - prior.log_error(e, 0.05);
    assert!(width(0.5) < width(2.0) && width(2.0) < width(6.0) && width(6.0) < width(30.0));
    assert!(prior.log_error(1.0, 0.9).exp() < 1.6);
    assert!(!prior.supports(0.9, 1.0));
    assert!(prior.provenance().contains("prior only"));
}

#[test]
fn exchangeable_scores_are_covered_as_promised() {
    // 40 worlds of 60 scores each, of which some are far from the prior's scale.
    let mut shares = Vec::new();
    for seed in 0..40 {
        let scale = 0.1 * 1.6_f64.powi((seed % 4) as i32);
        let all = world(seed, 460, scale, 0.1);
        shares.push(coverage(
            &Calibration::prior().with_scores(&all[..60]),
            &all[60..],
        ));
    }
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    // Of 60 faded scores a coverage scatters by about 0.045, the mean of 40 by 0.007; the
    // prior, wider than most of these worlds, holds a little more.
    assert!((mean - 0.9).abs() < 0.045, "{mean}");
    assert!(shares.iter().all(|share| *share > 0.75), "{shares:?}");
}

#[test]
fn a_wild_volume_widens_and_a_calm_one_narrows() {
    let width = |scale| {
        let calibration = Calibration::prior().with_scores(&world(1, 40, scale, 0.0));
        calibration.log_error(0.7, 0.95) - calibration.log_error(0.7, 0.05)
    };
    let prior = Calibration::prior();
    let before = prior.log_error(0.7, 0.95) - prior.log_error(0.7, 0.05);
    assert!(width(0.02) < 0.6 * before && width(1.0) > 2.0 * before);
}

#[test]
fn after_a_drift_the_interval_follows() {
    let mut all = world(2, 60, 0.05, 0.0);
    all.extend(world(3, 30, 0.05, 0.8));
    let drifted = Calibration::prior().with_scores(&all);
    assert!(coverage(&drifted, &world(4, 400, 0.05, 0.8)) > 0.8);
}

#[test]
fn a_bias_far_out_is_learned_from_the_neighbours() {
    let near: Vec<Score> = world(5, 30, 0.05, 0.5);
    let taught = Calibration::prior().with_scores(&near);
    let prior = Calibration::prior();
    assert!(taught.log_error(2.0, 0.5) > prior.log_error(2.0, 0.5) + 0.2);
    assert!((taught.log_error(50.0, 0.5) - prior.log_error(50.0, 0.5)).abs() < 0.2);
}

#[test]
fn only_enough_scores_support_a_quantile() {
    let after = |count| Calibration::prior().with_scores(&world(6, count, 0.1, 0.0));
    assert!(!after(8).supports(0.9, 0.7) && after(9).supports(0.9, 0.7));
    assert!(!after(98).supports(0.99, 0.7) && after(99).supports(0.99, 0.7));
    assert!(
        after(30)
            .provenance()
            .contains("P99 not supported (n = 30)")
    );
}

#[test]
fn it_survives_a_round_trip_and_garbage() {
    let nan = Score {
        extrapolation: f64::NAN,
        log_ratio: 1.0,
    };
    let infinite = Score {
        extrapolation: 1.0,
        log_ratio: f64::INFINITY,
    };
    let taught = Calibration::prior().with_scores(&world(7, 20, 0.1, 0.0));
    assert_eq!(taught, taught.with_scores(&[nan, infinite]));
    let text = serde_json::to_string(&taught).expect("a value");
    let back: Calibration = serde_json::from_str(&text).expect("the same value");
    assert!((back.log_error(0.7, 0.9) - taught.log_error(0.7, 0.9)).abs() < 1e-9);
    for level in [0.0, 1.0, f64::NAN] {
        assert!(!taught.log_error(f64::NAN, level).is_infinite());
    }
}

proptest::proptest! {
    #[test]
    fn quantiles_rise_with_the_level_and_are_continuous(
        ratios in proptest::collection::vec((0.05..60.0_f64, -3.0..3.0_f64), 0..40),
        extrapolation in 0.01..100.0_f64,
        low in 0.001..0.998_f64,
    ) {
        let scores: Vec<Score> = ratios
            .into_iter()
            .map(|(extrapolation, log_ratio)| Score { extrapolation, log_ratio })
            .collect();
        let calibration = Calibration::prior().with_scores(&scores);
        let at = |extrapolation: f64, level: f64| calibration.log_error(extrapolation, level);
        proptest::prop_assert!(at(extrapolation, low) <= at(extrapolation, low + 1e-3));
        let step = at(extrapolation * 1.0001, low) - at(extrapolation, low);
        proptest::prop_assert!(step.abs() < 0.01, "{step}");
    }
}
