#![expect(clippy::unwrap_used, reason = "tests")]

mod campaign;
mod laws;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::blocks::BlockSet;
use crate::fixtures::{now, policy, profile};
use crate::observation::{ObservedDuration, ServiceStep};
use crate::plan::{Forecast, Plan};
use crate::schedule::make_plan;
use crate::step::VolumeDelta;
use crate::units::{Timestamp, span};

/// A database that writes to a hot set and, now and then, anywhere: blocks and hits per second.
const HOT: (u64, f64) = (4_000, 2.0);
const COLD: (u64, f64) = (400_000, 8.0);
const TRUE_OVERHEAD_SECONDS: (f64, f64) = (70.0, 120.0);
const TRUE_BYTES_PER_SECOND: (f64, f64) = (60e6, 80e6);

struct World {
    chance: ChaCha8Rng,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            chance: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    fn uniform(&mut self) -> f64 {
        (self.chance.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Blocks dirtied in `seconds`: each set's blocks are hit at the same rate.
    fn delta(&mut self, seconds: f64) -> VolumeDelta {
        let mut runs = Vec::new();
        let mut first = 0;
        for (blocks, rate) in [HOT, COLD] {
            let hit = -(-rate * seconds / blocks as f64).exp_m1();
            for block in first..first + blocks {
                if self.uniform() < hit {
                    runs.push((block, 1));
                }
            }
            first += blocks;
        }
        VolumeDelta {
            volume: "vol-0001".parse().unwrap(),
            changed_blocks: runs.len() as u64,
            runs: BlockSet::of(runs),
        }
    }

    /// A round's snapshot and transfer.
    fn durations(&mut self, blocks: u64) -> (f64, f64) {
        let bytes = (blocks * BLOCK_BYTES) as f64;
        let mut noisy = |seconds: f64| seconds * (0.15 * (2.0 * self.uniform() - 1.0)).exp();
        (
            noisy(TRUE_OVERHEAD_SECONDS.0 + bytes / TRUE_BYTES_PER_SECOND.0),
            noisy(TRUE_OVERHEAD_SECONDS.1 + bytes / TRUE_BYTES_PER_SECOND.1),
        )
    }

    /// Rounds back to back: each starts when the one before is in the target.
    fn chain(&mut self, rounds: u32) -> Evidence {
        let mut evidence = Evidence::default();
        let (mut at, mut gap) = (now() + span(40_000.0), 40_000.0);
        let base = VolumeDelta {
            volume: "vol-0001".parse().unwrap(),
            changed_blocks: 4_718_592,
            runs: BlockSet::default(),
        };
        evidence
            .rounds
            .push(measured(0, now(), base, (40_000.0, 30_000.0)));
        for index in 1..=rounds {
            let delta = self.delta(gap);
            let durations = self.durations(delta.changed_blocks);
            evidence.rounds.push(measured(index, at, delta, durations));
            gap = durations.0 + durations.1;
            at += span(gap);
        }
        evidence
    }
}

fn measured(index: u32, at: Timestamp, delta: VolumeDelta, seconds: (f64, f64)) -> MeasuredRound {
    MeasuredRound {
        index,
        at,
        deltas: vec![delta],
        snapshot_seconds: Some(seconds.0),
        transfer_seconds: Some(seconds.1),
        writes: Vec::new(),
        besides_seconds: None,
        flushed: true,
    }
}

fn plan() -> Plan {
    // The worlds of these tests write at one rate, and so did they before.
    let mut profile = profile(1, 2560, 0.05);
    for period in &mut profile.volumes[0].writes {
        period.write_ops = 10.0 * f64::from(period.period_seconds);
        period.write_bytes = 8192.0 * period.write_ops;
    }
    make_plan(&profile, &policy(1800.0), now(), 1).unwrap()
}

fn gate_after(plan: &Plan, evidence: &Evidence, seconds: f64) -> Forecast {
    let last = evidence.rounds.last().unwrap().at;
    at_gate(plan, evidence, last + span(seconds), 5)
}

fn truth(world: &mut World, seconds: f64) -> f64 {
    (world.delta(seconds).changed_blocks * BLOCK_BYTES) as f64
}

#[test]
fn measured_rounds_make_the_final_delta_precise() {
    let plan = plan();
    for seed in 0..6 {
        let mut world = World::new(seed);
        let evidence = world.chain(3);
        let delta = gate_after(&plan, &evidence, 300.0).final_delta_bytes;
        let error = (delta.p50 / truth(&mut world, 300.0)).ln();
        assert!(error.abs() < 0.2, "seed {seed}: {error}");
        // The window is shorter than every delta so far: there U is not told by what is written.
        assert!(delta.p90 / delta.p50 < 1.9, "seed {seed}: {delta:?}");
    }
}

#[test]
fn measured_rounds_teach_the_downtime() {
    let plan = plan();
    let mut world = World::new(3);
    let evidence = world.chain(4);
    let taught = gate_after(&plan, &evidence, 250.0).write_downtime_seconds;
    let blocks = world.delta(250.0).changed_blocks;
    let moved = (blocks * BLOCK_BYTES) as f64;
    let hop = 190.0 + moved / TRUE_BYTES_PER_SECOND.0 + moved / TRUE_BYTES_PER_SECOND.1;
    // Freeze, volume and attachment are priors of 25 s together.
    assert!(
        (taught.p50 / (hop + 25.0)).ln().abs() < 0.2,
        "{taught:?} {hop}"
    );
    let untaught = gate_after(
        &plan,
        &Evidence {
            rounds: evidence.rounds[..1].to_vec(),
            ..Evidence::default()
        },
        40_000.0,
    );
    let wide = untaught.write_downtime_seconds;
    assert!(
        taught.p90 / taught.p50 < wide.p90 / wide.p50,
        "{taught:?} {wide:?}"
    );
}

#[test]
fn a_rate_above_the_rhythm_never_shortens_the_downtime() {
    let plan = plan();
    let mut evidence = World::new(2).chain(3);
    let expected: f64 = plan
        .model
        .volumes
        .iter()
        .map(|v| v.load.mean_bytes_per_second)
        .sum();
    let mut before = crate::units::Quantiles::exact(0.0);
    for factor in [0.2, 0.8, 1.0, 1.5, 4.0, 20.0] {
        evidence.fresh_write_bytes_per_second = Some(expected * factor);
        evidence.fresh_write_ops_per_second = Some(expected * factor / 8192.0);
        let downtime = gate_after(&plan, &evidence, 300.0).write_downtime_seconds;
        let pairs = [
            (before.p50, downtime.p50),
            (before.p90, downtime.p90),
            (before.p99, downtime.p99),
        ];
        assert!(
            pairs.iter().all(|(less, more)| less <= more),
            "{factor}: {before:?} {downtime:?}"
        );
        before = downtime;
    }
}

#[test]
fn waiting_longer_never_shrinks_the_final_delta() {
    let plan = plan();
    let evidence = World::new(4).chain(2);
    let at = |seconds| gate_after(&plan, &evidence, seconds).final_delta_bytes.p50;
    assert!(at(60.0) < at(600.0) && at(600.0) < at(6000.0));
}

#[test]
fn without_evidence_the_gate_still_answers() {
    let plan = plan();
    let forecast = at_gate(&plan, &Evidence::default(), plan.window.start, 1);
    assert!(forecast.write_downtime_seconds.p50 > 0.0);
    assert!(
        forecast
            .provenance
            .iter()
            .any(|line| line.contains("prior"))
    );
}

#[test]
fn garbage_evidence_is_survived() {
    let plan = plan();
    let mut evidence = World::new(1).chain(2);
    evidence.rounds.reverse();
    evidence.rounds[0].snapshot_seconds = Some(f64::NAN);
    evidence.rounds[1].transfer_seconds = Some(-5.0);
    evidence.rounds[1].deltas[0].runs =
        BlockSet::of(vec![(u64::MAX - 1, 7), (3, 0), (9, 2), (2, 9)]);
    evidence.rounds[2].deltas.clear();
    evidence.fresh_write_bytes_per_second = Some(f64::INFINITY);
    evidence.fresh_write_ops_per_second = Some(f64::NAN);
    evidence.last_round_at = Some(now() - span(1e9));
    let forecast = at_gate(&plan, &evidence, now(), 1);
    let clock = forecast.write_downtime_seconds;
    assert!(clock.p50.is_finite() && clock.p50 <= clock.p90 && clock.p90 <= clock.p99);
}

#[test]
fn the_same_evidence_gives_the_same_forecast() {
    let plan = plan();
    let evidence = World::new(6).chain(3);
    assert_eq!(
        gate_after(&plan, &evidence, 90.0),
        gate_after(&plan, &evidence, 90.0)
    );
}

#[test]
fn one_slow_member_of_a_set_does_not_make_the_others_slow() {
    let region: crate::ids::Region = "eu-west-1".parse().unwrap();
    let one = |moved_bytes| ObservedDuration {
        step: ServiceStep::Snapshot,
        moved_bytes: Some(moved_bytes),
        seconds: 1000.0,
        ended_at: now(),
        region: region.clone(),
        volume_type: None,
        zone: None,
        from_region: None,
    };
    let here = setting(&profile(1, 100, 1.0).inventory, &policy(1800.0));
    let together = service::learned(&service::priors(), &[one(1 << 20), one(1 << 35)], &here);
    let alone = service::learned(&service::priors(), &[one(1 << 35)], &here);
    assert_eq!(together, alone);
}

#[test]
fn deltas_out_of_order_are_put_in_order_and_nonsense_left_out() {
    let mut profile = profile(1, 100, 1.0);
    let snapshot = |n: u32| {
        format!("snap-{n}")
            .parse::<crate::ids::SnapshotId>()
            .unwrap()
    };
    let delta = |from: f64, to: f64, blocks: u64| ObservedDelta {
        from_snapshot: snapshot(1),
        to_snapshot: snapshot(2),
        from: now() - span(from),
        to: now() - span(to),
        changed_blocks: blocks,
        runs: BlockSet::of(vec![(0, blocks)]),
    };
    profile.volumes[0].deltas = vec![
        delta(3600.0, 1800.0, 500),
        delta(1800.0, 3600.0, 9),
        delta(7200.0, 3600.0, 800),
        delta(7200.0, 3600.0, 800),
    ];
    let model = fit(&profile, &policy(1800.0));
    assert_eq!(model.volumes[0].curve.deltas, 2);
    assert!(
        model.volumes[0]
            .curve
            .provenance
            .contains("measured (2 deltas")
    );
}
