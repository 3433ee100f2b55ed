use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Wait(u32),
    Ask(usize, &'static str, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let ops = [
        "fence",
        "freeze",
        "commit",
        "unfence",
        "activate",
        "probe_commit",
        "checkpoint",
    ];
    prop_oneof![
        (1u32..200).prop_map(Step::Wait),
        (0usize..2, proptest::sample::select(ops.to_vec()), 1u64..4)
            .prop_map(|(h, op, e)| Step::Ask(h, op, e)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whatever is asked of the source: what it wrote is what its log says, and a permanent fence stays closed to its epoch.
    #[test]
    fn no_sequence_of_requests_breaks_the_writer(steps in proptest::collection::vec(step(), 1..25)) {
        let mut bench = bench();
        let mut committed: Option<u64> = None;
        for step in steps {
            match step {
                Step::Wait(wait_seconds) => bench.wait(f64::from(wait_seconds)),
                Step::Ask(host, op, epoch) => {
                    let instance = [SOURCE, TARGET][host];
                    let arguments = json!({ "epoch": epoch, "lease_seconds": 90.0, "limit_seconds": 20.0 });
                    let reply = bench.ask(instance, op, arguments);
                    let done = reply["error"].is_null() && instance == SOURCE;
                    if done && op == "commit" { committed = Some(epoch); }
                    if done && op == "activate" {
                        prop_assert!(committed < Some(epoch), "only a newer epoch opens a permanent fence");
                        committed = None;
                    }
                }
            }
            prop_assert!(committed.is_none() || !bench.source.serving());
            for (content, writer, _) in bench.shelf.0.values() {
                let (Content::Traced(map), Some(writer)) = (content, writer) else { continue };
                let replayed = writer.log().replay(map.blocks(), u32::MAX);
                prop_assert!((0..map.blocks()).all(|b| map.get(b) == replayed[usize::try_from(b).unwrap()]));
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_answers_whatever_else_time_did() {
    let run = |extra_looks: u32| {
        let mut bench = bench();
        for _ in 0..10 {
            for _ in 0..extra_looks {
                bench
                    .source
                    .advance(bench.now + TimeDelta::milliseconds(300), &mut bench.shelf);
            }
            bench.wait(7.0);
        }
        (
            bench.fence(1, 60.0),
            bench.ok(
                SOURCE,
                "freeze",
                json!({ "epoch": 1, "limit_seconds": 20.0 }),
            ),
        )
    };
    assert_eq!(run(0), run(3));
}
