use std::io::Write as _;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::content::BLOCK_BYTES;

const MIXED: &str = r"
[[workload]]
kind = 'hot_set'
ops_per_second = 30
jobs = { per_day = 40, gib = { median = 0.5 }, seconds = { median = 300, sigma = 0.4 } }
[[workload]]
kind = 'uniform'
ops_per_second = 3
[[workload]]
kind = 'sequential_log'
ops_per_second = 12
span_gib = 1
[[workload]]
kind = 'append'
ops_per_second = 2
[[workload]]
kind = 'checkpoint_bursts'
ops_per_second = 25
period_seconds = 60
";

fn chain(error: &dyn std::error::Error) -> String {
    let source = error.source().map(chain).unwrap_or_default();
    format!("{error}: {source}")
}

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_793_606_400, 0).expect("a time")
}

fn build(text: &str, base_dir: &Path) -> Result<Workload, WorkloadError> {
    let table: Table = toml::from_str(text).expect("test TOML");
    let tables = table["workload"].as_array().expect("an array").iter();
    let tables = tables
        .map(|t| t.as_table().cloned().expect("a table"))
        .collect::<Vec<_>>();
    let (size_gib, written_gib) = (40, 20.0);
    let setup = WorkloadSetup {
        seed: 7,
        volume: "vol-a",
        size_gib,
        written_gib,
        start: start(),
        base_dir,
    };
    Workload::new(&setup, &tables)
}

fn mixed() -> Workload {
    build(MIXED, Path::new(".")).expect("a valid workload")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn results_do_not_depend_on_when_anyone_looked(steps in proptest::collection::vec(1u32..90, 1..12)) {
        let (mut once, mut often) = (mixed(), mixed());
        let (mut map, mut stepped) = (once.initial_content(), often.initial_content());
        let end = 1 + steps.iter().sum::<u32>();
        once.run(&mut map, 2, end);
        let mut at = 1;
        for step in steps {
            often.run(&mut stepped, at + 1, at + step);
            let _looked = (stepped.clone(), often.metrics(start(), start()));
            at += step;
        }
        prop_assert!(map.changed_since(&stepped).is_empty());
        prop_assert_eq!(once.total(), often.total());
        prop_assert_eq!(once.log().replay(map.blocks(), end), often.log().replay(map.blocks(), end));
    }
}

#[test]
fn the_log_replays_to_the_volume() {
    let mut workload = mixed();
    let mut map = workload.initial_content();
    workload.run(&mut map, 2, 200);
    workload.flush(&mut map, 201, 300);
    workload.skip(500);
    workload.run(&mut map, 501, 640);
    let replayed = workload.log().replay(map.blocks(), u32::MAX);
    assert!((0..map.blocks()).all(|b| map.get(b) == replayed[usize::try_from(b).expect("small")]));
    assert!(
        !replayed.iter().any(|v| (202..501).contains(v)),
        "nothing is written while skipped"
    );
}

#[test]
fn recorded_minutes_are_like_the_history_before_them() {
    let mut workload = mixed();
    let mut map = workload.initial_content();
    workload.run(&mut map, 2, 1 + 6 * 3600);
    let mean = |samples: Vec<MinuteSample>| {
        assert_eq!(samples.len(), 360);
        samples.iter().map(|s| s.write_ops as f64).sum::<f64>() / 360.0
    };
    let hours = chrono::TimeDelta::hours(6);
    let before = mean(workload.metrics(start() - hours, start()));
    let after = mean(workload.metrics(start(), start() + hours + hours));
    assert!(
        (0.6..1.7).contains(&(before / after)),
        "{before} before, {after} after"
    );
    assert_eq!(
        workload.total().ops,
        workload
            .metrics(start(), start() + hours)
            .iter()
            .map(|s| s.write_ops)
            .sum::<u64>()
    );
}

fn write_trace(lines: &[(f64, u64, u64)], gzip: bool) -> PathBuf {
    let name = format!(
        "snapmigrate-lab-trace-{}-{}-{gzip}.csv",
        std::process::id(),
        lines.len()
    );
    let path = std::env::temp_dir().join(name);
    let mut text = String::from("t_seconds,offset_bytes,size_bytes\n");
    lines
        .iter()
        .for_each(|(t, offset, size)| text.push_str(&format!("{t},{offset},{size}\n")));
    let file = std::fs::File::create(&path).expect("a file");
    if gzip {
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).expect("written");
        encoder.finish().expect("finished");
    } else {
        std::io::BufWriter::new(file)
            .write_all(text.as_bytes())
            .expect("written");
    }
    path
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_replayed_trace_equals_a_naive_replay(
        mut writes in proptest::collection::vec((0.0f64..40.0, 0u64..30_000_000_000, 1u64..3_000_000), 1..120),
        gzip: bool, begin in 0u32..60, repeat: bool,
    ) {
        writes.sort_by(|a, b| a.0.total_cmp(&b.0));
        let path = write_trace(&writes, gzip);
        let text = format!("[[workload]]\nkind = 'trace'\npath = '{}'\nloop = {repeat}\nstart_at_seconds = {begin}", path.display());
        let mut workload = build(&text, Path::new("/")).expect("a valid trace");
        let mut map = workload.initial_content();
        workload.run(&mut map, 2, 101);
        let mut naive = workload.initial_content();
        let mut bytes = 0;
        let len = writes.last().map_or(0.0, |w| w.0.floor() + 1.0);
        for tick in 2..=101u32 {
            naive.set(0, tick);
            let mut second = f64::from(begin) + f64::from(tick) - 2.0;
            if repeat { second %= len; }
            for (_, offset, size) in writes.iter().filter(|w| w.0.floor().total_cmp(&second).is_eq()) {
                (offset / BLOCK_BYTES..=(offset + size - 1) / BLOCK_BYTES).for_each(|b| naive.set(b, tick));
                bytes += size;
            }
        }
        prop_assert!(map.changed_since(&naive).is_empty());
        prop_assert_eq!(workload.total().bytes, bytes);
        std::fs::remove_file(path).expect("removed");
    }
}

#[test]
fn a_bad_trace_is_named_by_line() {
    for (lines, word) in [
        (vec![(5.0, 0, 1), (3.0, 0, 1)], "line 3"),
        (vec![(5.0, 1 << 60, 1)], "beyond the volume"),
        (vec![(5.0, 0, 0), (6.0, 0, 1), (7.0, 0, 1)], "line 2"),
        (vec![], "no writes"),
    ] {
        let path = write_trace(&lines, false);
        let text = format!("[[workload]]\nkind = 'trace'\npath = '{}'", path.display());
        let message = chain(&build(&text, Path::new("/")).expect_err(word));
        assert!(
            message.contains(word) && message.contains("vol-a"),
            "{message}"
        );
        std::fs::remove_file(path).expect("removed");
    }
}

#[test]
fn a_span_outside_the_volume_is_refused() {
    let text = "[[workload]]\nkind = 'uniform'\nops_per_second = 1\nspan_gib = 41";
    let message = build(text, Path::new(".")).expect_err("too long");
    let message = chain(&message);
    assert!(message.contains("40 GiB"), "{message}");
}
