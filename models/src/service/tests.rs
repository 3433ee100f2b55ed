#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::draws::draws;

fn snapshot() -> ServiceModel {
    priors()
        .into_iter()
        .find(|model| model.step == ServiceStep::Snapshot)
        .unwrap()
}

#[test]
fn every_step_has_a_prior_with_a_source() {
    let all = priors();
    assert_eq!(all.len(), ALL_STEPS.len());
    assert!(
        all.iter()
            .all(|model| !model.source.is_empty() && model.scatter > 0.0)
    );
}

#[test]
fn durations_pull_the_belief_to_the_truth_and_narrow_it() {
    let truth = |bytes: f64| 90.0 + bytes / 90.0e6;
    let points: Vec<Point> = [0.0, 1e9, 5e9, 2e10, 1e11]
        .map(|bytes| Point {
            bytes,
            seconds: truth(bytes),
        })
        .to_vec();
    let learned = snapshot().updated(&points);
    for bytes in [0.0, 3e9, 5e10] {
        let ratio = learned.mean_seconds(bytes, [0.0, 0.0]) / truth(bytes);
        assert!((ratio.ln()).abs() < 0.15, "{bytes}: {ratio}");
    }
    assert!(learned.log_rate_spread < 0.5 * snapshot().log_rate_spread);
}

#[test]
fn one_wild_call_does_not_carry_the_belief_off() {
    let mut points = vec![
        Point {
            bytes: 1e10,
            seconds: 260.0
        };
        6
    ];
    let calm = snapshot().updated(&points).mean_seconds(1e10, [0.0, 0.0]);
    points.push(Point {
        bytes: 1e10,
        seconds: 26_000.0,
    });
    let shaken = snapshot().updated(&points).mean_seconds(1e10, [0.0, 0.0]);
    assert!(shaken / calm < 1.2, "{calm} {shaken}");
}

#[test]
fn calm_calls_make_a_slow_one_rarer_and_slow_ones_more_frequent() {
    let call = |seconds| Point {
        bytes: 1e10,
        seconds,
    };
    let mut points = vec![call(260.0); 24];
    let before = snapshot();
    let calm = before.updated(&points).tail_probability;
    assert!(calm < 0.6 * before.tail_probability, "{calm}");
    points.extend([call(780.0), call(760.0), call(800.0)]);
    let slow = before.updated(&points).tail_probability;
    assert!(slow > 1.5 * before.tail_probability, "{slow}");
}

#[test]
fn unusable_observations_are_left_out() {
    let observed = |seconds, moved_bytes| ObservedDuration {
        step: ServiceStep::Snapshot,
        moved_bytes,
        seconds,
        ended_at: crate::units::Timestamp::UNIX_EPOCH,
        region: "eu-west-1".parse().unwrap(),
        volume_type: None,
        zone: None,
        from_region: None,
    };
    assert_eq!(Point::of(&observed(f64::NAN, Some(1))), None);
    assert_eq!(Point::of(&observed(-1.0, Some(1))), None);
    assert_eq!(Point::of(&observed(5.0, None)), None);
    assert!(Point::of(&observed(5.0, Some(1))).is_some());
}

#[test]
fn more_bytes_never_take_less_time() {
    let model = snapshot();
    for draw in draws(3, 1, 2, 50) {
        let call = draw.call(1, ServiceStep::Snapshot);
        assert!(model.seconds(2e9, call, &draw) >= model.seconds(1e9, call, &draw));
    }
}

fn seen(
    step: ServiceStep,
    region: &str,
    bytes: u64,
    seconds: f64,
    minute: i64,
) -> ObservedDuration {
    ObservedDuration {
        step,
        moved_bytes: Some(bytes),
        seconds,
        ended_at: crate::units::Timestamp::UNIX_EPOCH + chrono::TimeDelta::minutes(minute),
        region: region.parse().unwrap(),
        volume_type: None,
        zone: None,
        from_region: None,
    }
}

fn setting() -> Setting {
    let place = |region: &str| {
        (
            region.parse().unwrap(),
            format!("{region}a").parse().unwrap(),
        )
    };
    Setting {
        source: place("eu-west-1"),
        target: place("us-east-1"),
        volume_types: vec!["gp3".into()],
    }
}

fn copies(region: &str) -> Vec<ObservedDuration> {
    let one = |k: i64| {
        let bytes = 1_u64 << (30 + k % 5);
        seen(
            ServiceStep::Copy,
            region,
            bytes,
            60.0 + bytes as f64 / 200e6,
            k,
        )
    };
    (0..20).map(one).collect()
}

fn copy_of(services: &[ServiceModel]) -> &ServiceModel {
    services
        .iter()
        .find(|model| model.step == ServiceStep::Copy)
        .unwrap()
}

#[test]
fn another_place_teaches_less_than_the_own_one() {
    let before = priors();
    let own = learned(&before, &copies("us-east-1"), &setting());
    let other = learned(&before, &copies("ap-south-1"), &setting());
    let (before, own, other) = (copy_of(&before), copy_of(&own), copy_of(&other));
    assert!(own.log_rate_spread < other.log_rate_spread);
    assert!(other.log_rate_spread < before.log_rate_spread);
    let miss = |model: &ServiceModel| (model.log_rate.unwrap() - 200e6_f64.ln()).abs();
    assert!(miss(own) < 0.1 && miss(other) < miss(before));
}

#[test]
fn the_own_place_speaks_last() {
    let mut all = copies("ap-south-1");
    let slow = |k: i64| {
        seen(
            ServiceStep::Copy,
            "us-east-1",
            10 << 30,
            60.0 + 10.0 * 1_073.741_824 / 60.0,
            100 + k,
        )
    };
    all.extend((0..3).map(slow));
    let services = learned(&priors(), &all, &setting());
    let taken = copy_of(&services).mean_seconds((10_u64 << 30) as f64, [0.0, 0.0]);
    assert!((taken / 239.0).ln().abs() < 0.25, "{taken}");
}

#[test]
fn calm_calls_narrow_the_scatter_and_wild_ones_widen_it() {
    let at = |sizes: &[f64]| {
        let points: Vec<Point> = sizes
            .iter()
            .cycle()
            .take(24)
            .map(|factor| Point {
                bytes: 1e10,
                seconds: 300.0 * factor,
            })
            .collect();
        snapshot().updated(&points).scatter
    };
    let (calm, wild) = (at(&[0.98, 1.0, 1.02]), at(&[0.4, 1.0, 2.5]));
    assert!(calm < 0.7 * snapshot().scatter, "{calm}");
    assert!(wild > 1.3 * snapshot().scatter, "{wild}");
}

proptest::proptest! {
    #[test]
    fn whatever_was_observed_a_belief_stays_usable(
        points in proptest::collection::vec((0.0..1e15_f64, 1e-3..1e8_f64), 0..12),
    ) {
        let points: Vec<Point> = points.into_iter().map(|(bytes, seconds)| Point { bytes, seconds }).collect();
        let model = snapshot().updated(&points);
        for draw in draws(3, 1, 2, 20) {
            let seconds = model.seconds(1e10, draw.call(1, model.step), &draw);
            proptest::prop_assert!(seconds.is_finite() && seconds > 0.0, "{seconds}");
        }
    }
}
