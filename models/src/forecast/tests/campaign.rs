//! Many worlds whose services are slower, wilder and more varied than the priors say.

use super::*;
use crate::forecast::Taught;
use crate::service::Point;

/// Overhead and rate of one service in one world, log-normal around shifted medians.
struct Service {
    overhead: f64,
    rate: f64,
}

impl World {
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    fn service(&mut self, overhead: (f64, f64), rate: (f64, f64)) -> Service {
        Service {
            overhead: overhead.0 * (overhead.1 * self.normal()).exp(),
            rate: rate.0 * (rate.1 * self.normal()).exp(),
        }
    }

    /// A call with its own jitter, and now and then a slow one.
    fn seconds(&mut self, service: &Service, blocks: u64) -> f64 {
        let bytes = (blocks * BLOCK_BYTES) as f64;
        let slow = if self.uniform() < 0.05 { 3.0 } else { 1.0 };
        (service.overhead + bytes / service.rate) * (0.25 * self.normal()).exp() * slow
    }
}

/// Actual write downtime of one world, and the forecast at the gate after two rounds.
fn migrate(plan: &Plan, seed: u64) -> (f64, crate::units::Quantiles) {
    let mut world = World::new(seed);
    let snapshot = world.service((80.0, 0.9), (30e6, 0.8));
    let copy = world.service((60.0, 1.0), (70e6, 1.0));
    let mut evidence = Evidence::default();
    let base = VolumeDelta {
        volume: "vol-0001".parse().unwrap(),
        changed_blocks: 400_000,
        runs: crate::blocks::BlockSet::default(),
    };
    let mut gap = 0.0;
    let mut at = now();
    for index in 0..3 {
        let delta = if index == 0 {
            base.clone()
        } else {
            world.delta(gap)
        };
        let seconds = (
            world.seconds(&snapshot, delta.changed_blocks),
            world.seconds(&copy, delta.changed_blocks),
        );
        evidence.rounds.push(measured(index, at, delta, seconds));
        gap = seconds.0 + seconds.1;
        at += span(gap);
    }
    let forecast = Taught::of(plan, &evidence, at).glance(&evidence, at, seed);
    let blocks = world.delta(gap).changed_blocks;
    let restore = Service {
        overhead: 25.0 * (0.4 * world.normal()).exp(),
        rate: f64::INFINITY,
    };
    let hop = world.seconds(&snapshot, blocks) + world.seconds(&copy, blocks);
    (
        hop + world.seconds(&restore, 0),
        forecast.write_downtime_seconds,
    )
}

#[test]
fn after_two_rounds_the_quantiles_hold_in_worlds_unlike_the_priors() {
    let plan = plan();
    let runs: Vec<(f64, crate::units::Quantiles)> =
        (0..100).map(|seed| migrate(&plan, seed)).collect();
    let share = |holds: &dyn Fn(&(f64, crate::units::Quantiles)) -> bool| {
        runs.iter().filter(|run| holds(run)).count() as f64 / runs.len() as f64
    };
    let median = share(&|run| run.0 <= run.1.p50);
    let ninety = share(&|run| run.0 <= run.1.p90);
    let mut widths: Vec<f64> = runs.iter().map(|run| run.1.p90 / run.1.p50).collect();
    let width = crate::units::Quantiles::of(&mut widths);
    // 100 runs: a standard error of 0.05 at the median and 0.03 at P90.
    assert!(
        (0.38..0.64).contains(&median),
        "P50 {median}, P90 {ninety}, width {width:?}"
    );
    assert!(
        (0.83..0.98).contains(&ninety),
        "P50 {median}, P90 {ninety}, width {width:?}"
    );
    // Two deltas say little of the curve's error; the prior's tail is most of this width.
    assert!(width.p50 < 2.4, "{width:?}");
}

#[test]
fn a_service_that_was_watched_for_long_is_known_well() {
    let mut world = World::new(9);
    let service = world.service((80.0, 0.9), (30e6, 0.8));
    let prior = crate::service::priors();
    let mut model = prior[0].clone();
    let points: Vec<Point> = (0..40)
        .map(|k| {
            let blocks = 200 << (k % 8);
            let bytes = (blocks * BLOCK_BYTES) as f64;
            Point {
                bytes,
                seconds: world.seconds(&service, blocks),
            }
        })
        .collect();
    model = model.updated(&points);
    for bytes in [1e8, 1e9, 1e10] {
        let truth = service.overhead + bytes / service.rate;
        let error = (model.mean_seconds(bytes, [0.0; 2]) / truth).ln();
        assert!(error.abs() < 0.2, "{bytes}: {error}");
    }
}
