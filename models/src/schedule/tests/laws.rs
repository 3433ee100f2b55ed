use proptest::prelude::*;

use super::*;
use crate::chain::Chain;
use crate::forecast::fit;

fn any_period() -> impl Strategy<Value = WritePeriod> {
    let number = prop_oneof![
        4 => 0.0_f64..1e10,
        1 => Just(f64::NAN), 1 => Just(f64::INFINITY), 1 => Just(-1.0), 1 => Just(0.0), 1 => Just(1e300),
    ];
    (
        0_i64..200_000,
        prop_oneof![Just(0_u32), Just(60), Just(300), Just(u32::MAX)],
        number.clone(),
        number,
    )
        .prop_map(
            |(ago, period_seconds, write_bytes, write_ops)| WritePeriod {
                start: now() - chrono::TimeDelta::seconds(ago),
                period_seconds,
                write_bytes,
                write_ops,
            },
        )
}

fn any_delta() -> impl Strategy<Value = ObservedDelta> {
    let run = (0_u64..1_000_000, 0_u64..100);
    (
        -100_000_i64..100_000,
        -100_000_i64..100_000,
        0_u64..u64::MAX,
        prop::collection::vec(run, 0..20),
    )
        .prop_map(|(from, to, changed_blocks, runs)| ObservedDelta {
            from_snapshot: "snap-1".parse().unwrap(),
            to_snapshot: "snap-2".parse().unwrap(),
            from: now() + chrono::TimeDelta::seconds(from),
            to: now() + chrono::TimeDelta::seconds(to),
            changed_blocks,
            runs: BlockSet::of(runs),
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn garbage_gives_a_wide_plan_or_a_clear_error(
        writes in prop::collection::vec(any_period(), 0..30),
        deltas in prop::collection::vec(any_delta(), 0..6),
        written in prop::option::of(0_u64..u64::MAX),
        gib in prop_oneof![Just(0_u64), Just(1), Just(16_384), Just(u64::MAX)],
    ) {
        let mut profile = profile(1, 10, 1.0);
        profile.inventory.volumes[0].size_gib = gib;
        profile.volumes[0].writes = writes;
        profile.volumes[0].deltas = deltas;
        profile.volumes[0].written_blocks = written;
        match make_plan(&profile, &policy(1800.0), now(), 3) {
            Err(error) => prop_assert!(!error.to_string().is_empty()),
            Ok(plan) => {
                let f = &plan.forecast;
                let clocks = [&f.freeze_seconds, &f.write_downtime_seconds, &f.read_downtime_seconds];
                prop_assert!(clocks.iter().all(|q| ordered(q)), "{:?}", f);
                prop_assert!(ordered(&f.final_delta_bytes) && ordered(&f.cost_usd), "{:?}", f);
                prop_assert_eq!(Plan::from_json(&plan.to_json()).unwrap().computed_digest(), plan.digest);
            }
        }
    }

    #[test]
    fn a_plan_passes_the_check_of_its_own_inventory(count in 1_u32..4, gib in 1_u64..3000, factor in 0.0_f64..0.3) {
        let profile = profile(count, gib, factor);
        let plan = planned(&profile, &policy(1e6));
        let findings = check(&plan, &profile.inventory, now());
        prop_assert!(!findings.refused(), "{findings:?}");
    }

    #[test]
    fn more_writing_never_shortens_and_a_faster_copy_never_lengthens(
        factor in 1.0_f64..8.0, seed in 0_u64..100,
    ) {
        let mut model = fit(&profile(2, 500, 0.5), &policy(1800.0));
        // A longer chain ends at another hour, which may be a quieter one: an even rate here.
        for volume in &mut model.volumes {
            volume.load = crate::load::LoadModel::fit(&[]);
        }
        let at = |write_factor, transfer_factor| {
            let circumstances =
                Circumstances { write_factor, transfer_factor, path: TransferPath::Copy };
            let start = epoch_seconds(now());
            let chain = Chain::of(&model, circumstances, start);
            let itinerary = crate::chain::Itinerary {
                base_at: start,
                rounds: vec![start; 3],
                fence: start,
                ..crate::chain::Itinerary::default()
            };
            let runs = crate::draws::draws(seed, 2, 5, 40);
            let clock = |draw| chain.run(&itinerary, draw).cutover.write_downtime_seconds;
            runs.iter().map(clock).collect::<Vec<f64>>()
        };
        let plain = at(1.0, 1.0);
        // The same luck, so the law holds for every single draw, not only on average.
        for (less, more) in plain.iter().zip(at(factor, 1.0)) {
            prop_assert!(more >= less * (1.0 - 1e-9));
        }
        for (more, less) in plain.iter().zip(at(1.0, factor)) {
            prop_assert!(less <= more * (1.0 + 1e-9));
        }
    }
}
