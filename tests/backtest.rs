//! `backtest` through the built binary: its figures against a count made here, the same bytes for the same
//! input, and what it makes of files that are no traces. Nothing here reaches a network.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

const HEADER: &str = "t_seconds,offset_bytes,size_bytes\n";
const BLOCK_BYTES: u64 = 524_288;
const MINUTE: u64 = 60;

fn snapmigrate(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snapmigrate"));
    command.arg("backtest").args(arguments).env_clear();
    command
        .output()
        .expect("the binary was built for this test")
}

fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("backtest");
    std::fs::create_dir_all(&dir).expect("the target directory can be written");
    dir.join(name)
}

fn saved(name: &str, content: &[u8]) -> String {
    let path = scratch(name);
    std::fs::write(&path, content).expect("the target directory can be written");
    path.display().to_string()
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(text.as_bytes())
        .expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

/// Two thirds of the writes hit 200 hot blocks, the rest any of 4,000: (seconds, offset), 8 KiB each.
fn writes(minutes: u64) -> Vec<(u64, u64)> {
    let mut state = 1_u64;
    let mut next = move |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let mut one = |second: u64| {
        let bound = if next(3) == 0 { 4000 } else { 200 };
        (second, next(bound) * BLOCK_BYTES + next(60) * 8192)
    };
    (0..minutes * MINUTE)
        .flat_map(|second| [one(second), one(second)])
        .collect()
}

fn csv(writes: &[(u64, u64)]) -> String {
    let line = |(at, offset): &(u64, u64)| format!("{at}.25,{offset},8192\n");
    HEADER.to_owned() + &writes.iter().map(line).collect::<String>()
}

fn result(arguments: &[&str]) -> Value {
    let output = snapmigrate(&[arguments, &["--json"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    serde_json::from_slice(&output.stdout).expect("--json writes JSON")
}

#[test]
fn predictions_are_judged_by_what_really_changed() {
    let writes = writes(65);
    let trace = saved("judged.csv", csv(&writes).as_bytes());
    let found = result(&[
        "--trace",
        &trace,
        "--delta-seconds",
        "240",
        "--lags",
        "120,240,480",
    ]);
    assert_eq!(found["format"], "snapmigrate.backtest/1");
    let predictions = found["predictions"].as_array().expect("a list");
    assert_eq!(
        predictions[0]["start_seconds"], 1440.0,
        "six deltas are seen before the first"
    );
    assert_eq!(
        predictions[3]["start_seconds"], 1560.0,
        "an origin every half delta"
    );
    for one in predictions {
        let (from, lag) = (
            one["start_seconds"].as_f64().expect("a number"),
            one["lag_seconds"].as_f64().expect("a number"),
        );
        let inside = |at: u64| (from..from + lag).contains(&(at as f64 + 0.25));
        let blocks: BTreeSet<u64> = writes
            .iter()
            .filter(|w| inside(w.0))
            .map(|w| w.1 / BLOCK_BYTES)
            .collect();
        let bytes = blocks.len() as u64 * BLOCK_BYTES;
        assert_eq!(
            one["actual_bytes"].as_f64(),
            Some(bytes as f64),
            "from {from} for {lag} s"
        );
        let band = |level: &str| one["predicted_bytes"][level].as_f64().expect("a number");
        assert!(
            band("p05") <= band("p50") && band("p50") <= band("p95"),
            "{one}"
        );
        assert_eq!(
            (&one["deltas_used"], &one["scored"]),
            (&json!(6), &json!(true))
        );
    }
    let figure = |name: &str| found[name].as_f64().expect("a number");
    assert!(
        figure("median_abs_log_error_known_volume") < 0.1,
        "steady writes are predicted well"
    );
    assert!(
        figure("median_abs_log_error") < 0.15,
        "and so is how much is written"
    );
    assert!(
        figure("naive_median_abs_log_error") > 2.5 * figure("median_abs_log_error_known_volume"),
        "hot blocks are not hit in proportion to time"
    );
    assert!((0.0..=1.0).contains(&figure("coverage_90_percent")));
}

#[test]
fn the_same_input_gives_the_same_bytes_gzipped_or_not() {
    let text = csv(&writes(40));
    let plain = saved("same.csv", text.as_bytes());
    let packed = saved("same.csv.gz", &gzipped(&text));
    let run = |path: &str| snapmigrate(&["--trace", path, "--json"]).stdout;
    assert_eq!(run(&plain), run(&plain));
    let of_packed = String::from_utf8(run(&packed)).expect("JSON is UTF-8");
    let of_plain = String::from_utf8(run(&plain)).expect("JSON is UTF-8");
    assert_eq!(of_packed.replace("same.csv.gz", "same.csv"), of_plain);
}

#[test]
fn people_see_a_table_and_what_to_measure_next() {
    let trace = saved("people.csv", csv(&writes(65)).as_bytes());
    let picture = scratch("people.svg").display().to_string();
    let output = snapmigrate(&["--trace", &trace, "--plot", &picture, "--goals"]);
    let shown = String::from_utf8_lossy(&output.stdout);
    for words in [
        "chosen from the length",
        "rate x time",
        "told writes",
        "P90/P50",
        "Next: ",
        "Goals",
    ] {
        assert!(shown.contains(words), "{words:?} is missing in:\n{shown}");
    }
    assert!(!shown.contains("NaN") && !shown.contains("inf"), "{shown}");
    let svg = std::fs::read_to_string(picture).expect("the picture was written");
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && !svg.contains("NaN"));
}

#[test]
fn several_traces_are_pooled() {
    let (one, two) = (csv(&writes(65)), csv(&writes(50)));
    let (one, two) = (
        saved("one.csv", one.as_bytes()),
        saved("two.csv", two.as_bytes()),
    );
    let found = result(&["--trace", &one, "--trace", &two]);
    let errors: Vec<f64> = (0..2)
        .map(|k| {
            found["traces"][k]["median_abs_log_error"]
                .as_f64()
                .expect("a number")
        })
        .collect();
    let pooled = found["median_abs_log_error"].as_f64().expect("a number");
    assert!(
        (pooled - (errors[0] + errors[1]) / 2.0).abs() < 1e-12,
        "{errors:?} {pooled}"
    );
}

#[test]
fn a_scenarios_volumes_are_traces_too() {
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/scenarios/tiny.toml");
    let found = result(&[
        "--scenario",
        scenario,
        "--hours",
        "2",
        "--delta-seconds",
        "300",
    ]);
    assert!(found["scored"].as_u64() > Some(20), "{}", found["traces"]);
    let naive = found["naive_median_abs_log_error"].as_f64();
    assert!(found["median_abs_log_error_known_volume"].as_f64() < naive);
}

/// The frozen profile, one volume of which gets `count` deltas of 20 minutes, each of 40 hot blocks and 10 others.
fn profile_with(count: u64) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/formats/profile.json");
    let text = std::fs::read_to_string(path).expect("the fixture exists");
    let mut profile: Value = serde_json::from_str(&text).expect("a frozen example is JSON");
    let delta = |k: u64| {
        let minute = |m: u64| format!("2026-11-02T{:02}:{:02}:00Z", m / 60, m % 60);
        json!({
            "from_snapshot": format!("snap-{k}"), "to_snapshot": format!("snap-{}", k + 1),
            "from": minute(k * 20), "to": minute(k * 20 + 20),
            "changed_blocks": 50, "runs": [[0, 40], [1000 + 10 * k, 10]],
        })
    };
    for volume in profile["volumes"].as_array_mut().expect("a list") {
        volume["deltas"] = json!([]);
    }
    profile["volumes"][0]["deltas"] = (0..count).map(delta).collect();
    profile.to_string()
}

#[test]
fn a_profile_is_judged_by_its_own_deltas() {
    let profile = saved("profile.json", profile_with(5).as_bytes());
    let found = result(&["--profile", &profile]);
    let predictions = found["predictions"].as_array().expect("a list");
    assert_eq!(
        predictions.len(),
        4 + 3 + 2 + 1,
        "every run of deltas after each of the last four's starts"
    );
    let union = |one: &Value| one["actual_bytes"].as_f64().expect("a number") / BLOCK_BYTES as f64;
    assert_eq!(
        (union(&predictions[0]), union(&predictions[1])),
        (50.0, 60.0),
        "a union, not a sum"
    );
    let used: Vec<u64> = predictions
        .iter()
        .filter_map(|one| one["deltas_used"].as_u64())
        .collect();
    assert_eq!(used, [1, 1, 1, 1, 2, 2, 2, 3, 3, 4]);
    let lonely = saved("lonely.json", profile_with(1).as_bytes());
    assert_refused(&["--profile", &lonely], &["two deltas", "hint:"]);
}

#[track_caller]
fn assert_refused(arguments: &[&str], words: &[&str]) {
    let output = snapmigrate(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    assert!(output.stdout.is_empty(), "an error prints no result");
    for word in words {
        assert!(
            said.contains(word),
            "{arguments:?}: {word:?} is missing in: {said}"
        );
    }
}

#[test]
fn files_that_are_no_traces_are_refused_with_the_line() {
    let far = u64::MAX - 5;
    let cases: [(&str, String, &str); 14] = [
        ("nothing", String::new(), "must begin with the line"),
        ("no-header", "1,2,3\n".to_owned(), "it begins with `1,2,3`"),
        ("no-writes", HEADER.to_owned(), "holds no writes"),
        ("unsorted", format!("{HEADER}5,0,10\n4,0,10\n"), "line 3"),
        (
            "nan",
            format!("{HEADER}NaN,0,10\n"),
            "is no number of seconds",
        ),
        (
            "infinite",
            format!("{HEADER}inf,0,10\n"),
            "is no number of seconds",
        ),
        ("negative", format!("{HEADER}-1,0,10\n"), "negative"),
        ("words", format!("{HEADER}soon,0,10\n"), "`soon` is no time"),
        (
            "short",
            format!("{HEADER}1,2\n"),
            "2 fields, three are needed",
        ),
        ("zero", format!("{HEADER}1,2,0\n"), "a write of 0 bytes"),
        ("far", format!("{HEADER}1,{far},4096\n"), "64 TiB"),
        ("late", format!("{HEADER}1,2,3\n1e12,2,3\n"), "three years"),
        ("long-line", HEADER.to_owned() + &"9".repeat(4000), "fields"),
        (
            "one-row",
            format!("{HEADER}1,2,3\n"),
            "a shorter --delta-seconds",
        ),
    ];
    for (name, text, word) in cases {
        let path = saved(&format!("{name}.csv"), text.as_bytes());
        assert_refused(&["--trace", &path], &[word]);
    }
    let packed = gzipped(&csv(&writes(30)));
    let cut = saved("cut.csv.gz", &packed[..packed.len() / 2]);
    assert_refused(&["--trace", &cut], &["cannot read", "beyond line"]);
    assert_refused(
        &["--trace", "/nonexistent/trace.csv"],
        &["/nonexistent/trace.csv"],
    );
}

#[test]
fn senseless_protocols_are_refused() {
    let trace = saved("protocols.csv", csv(&writes(20)).as_bytes());
    let cases: [(&[&str], &str); 8] = [
        (&["--delta-seconds", "0"], "the delta is 0"),
        (&["--delta-seconds", "nan"], "the delta is NaN"),
        (&["--delta-seconds", "3600"], "need"),
        (&["--delta-seconds", "0.001"], "more than a backtest takes"),
        (&["--lags", "0"], "a lag is 0"),
        (&["--lags", "60,inf"], "a lag is inf"),
        (&["--deltas", "0"], "--deltas"),
        (&["--metric-delay-seconds=-1"], "the metric delay is -1"),
    ];
    for (flags, word) in cases {
        assert_refused(&[&["--trace", &trace], flags].concat(), &[word]);
    }
    assert_refused(&[], &["--trace"]);
    assert_refused(
        &["--trace", &trace, "--profile", "p.json"],
        &["cannot be used with"],
    );
}

/// Eight days of quiet nights and busy days.
fn half_hours(slots: u32) -> String {
    let line = |slot: u32| {
        let pages = if (4..12).contains(&(slot % 48)) {
            500 + slot % 7
        } else {
            20_000 + 100 * (slot % 5)
        };
        format!("w1,{slot},0,{pages},{},1\n", pages * 3000)
    };
    let header =
        "vol,half_hour,last_request_us,pages4k_written,distinct_pages4k_bytes,seq_writes\n";
    header.to_owned() + &(0..slots).map(line).collect::<String>()
}

#[test]
fn slots_to_freeze_in_are_judged_on_series() {
    let series = saved("series.csv.gz", &gzipped(&half_hours(8 * 48)));
    let found = result(&["--series", &series]);
    let rows = found.as_array().expect("a list");
    let median = |choice: &str| {
        let row = rows.iter().find(|row| {
            row["choice"]
                .as_str()
                .is_some_and(|c| c.starts_with(choice))
        });
        row.and_then(|row| row["p50"].as_f64())
            .expect("the choice is judged")
    };
    assert!(
        median("forecast and gate that knows") < median("now"),
        "{found}"
    );
    let short = saved("short-series.csv", half_hours(40).as_bytes());
    assert_refused(&["--series", &short], &["more than five days"]);
    let torn = saved("torn-series.csv", b"vol,half_hour\nw1,1\n");
    assert_refused(&["--series", &torn], &["no column `pages4k_written`"]);
    let odd = half_hours(3) + "w1,9999999,0,1,1,1\n";
    let odd = saved("odd-series.csv", odd.as_bytes());
    assert_refused(&["--series", &odd], &["line 5", "ten years"]);
}
