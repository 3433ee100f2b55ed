use proptest::prelude::*;

use super::*;
use crate::draws::{Draw, draws};
use crate::units::{at_epoch_seconds, epoch_seconds};

const MINUTE: f64 = 60.0;
const DAY: f64 = 86_400.0;
/// A Monday, midnight.
const START: f64 = 1_704_067_200.0;

/// `count` periods of `seconds` with the operations per second that `rate` says; 8 KiB writes.
fn periods(seconds: u32, count: u32, rate: impl Fn(f64) -> f64) -> Vec<WritePeriod> {
    let one = |k: u32| {
        let at = f64::from(k * seconds);
        let ops = rate(at) * f64::from(seconds);
        WritePeriod {
            start: at_epoch_seconds(START + at),
            period_seconds: seconds,
            write_bytes: ops * 8192.0,
            write_ops: ops,
        }
    };
    (0..count).map(one).collect()
}

fn hour_of(at: f64) -> f64 {
    (at / HOUR).rem_euclid(24.0)
}

/// Small writes of a window on each of some draws, in order of size.
fn drawn(paths: &LoadPaths, from: f64, to: f64) -> Vec<f64> {
    let all: Vec<Draw> = draws(1, 1, 1, 2000);
    let one = |draw: &Draw| paths.drawn(from, to, draw, &draw.volumes[0]).small;
    let mut sums: Vec<f64> = all.iter().map(one).collect();
    sums.sort_by(f64::total_cmp);
    sums
}

/// 5th, 50th and 95th percentile.
fn band(paths: &LoadPaths, from: f64, to: f64) -> [f64; 3] {
    let sums = drawn(paths, from, to);
    [sums[100], sums[1000], sums[1899]]
}

fn covers(band: [f64; 3], actual: f64) -> bool {
    band[0] <= actual && actual <= band[2]
}

#[test]
fn the_rhythm_of_the_day_is_found() {
    let rate = |at: f64| if hour_of(at) < 6.0 { 10.0 } else { 100.0 };
    let model = LoadModel::fit(&periods(300, 5 * 288, rate));
    let end = START + 5.0 * DAY;
    let paths = LoadPaths::of(&model, end);
    for day in [0.0, 1.0, 4.0] {
        let night = end + day * DAY + 2.0 * HOUR;
        let noon = end + day * DAY + 12.0 * HOUR;
        let (night, noon) = (
            band(&paths, night, night + HOUR),
            band(&paths, noon, noon + HOUR),
        );
        assert!((noon[1] / 360_000.0 - 1.0).abs() < 0.15, "{noon:?}");
        assert!((night[1] / 36_000.0 - 1.0).abs() < 0.2, "{night:?}");
    }
    assert!(
        model.provenance.contains("rhythm of the day"),
        "{}",
        model.provenance
    );
}

#[test]
fn two_weeks_asked_for_show_the_rhythm_of_the_week() {
    // What `measure` reads of 336 hours: the newest minutes are not told yet, and an hour is missing.
    let mut rows = periods(300, 14 * 288 - 3, |at| {
        if (at / DAY) % 7.0 < 5.0 { 100.0 } else { 10.0 }
    });
    rows.drain(500..512);
    let model = LoadModel::fit(&rows);
    assert_eq!(model.hours.len(), 168);
    assert!(
        model.provenance.contains("rhythm of the week"),
        "{}",
        model.provenance
    );
    let nine_days = LoadModel::fit(&rows[..9 * 288]);
    assert_eq!(nine_days.hours.len(), 24);
}

#[test]
fn the_newest_minutes_dominate_the_near_future_and_fade() {
    let rate = |at: f64| if hour_of(at) < 12.0 { 50.0 } else { 100.0 };
    // Some days are three times as busy as others, for hours on end.
    let busy = |at: f64| {
        if (at / DAY).floor() % 3.0 == 1.0 {
            3.0
        } else {
            1.0
        }
    };
    let model = LoadModel::fit(&periods(300, 6 * 288, |at| rate(at) * busy(at)));
    let now = START + 6.0 * DAY + 2.0 * HOUR;
    let recent: Vec<WritePeriod> = periods(60, 20, |_| 150.0)
        .into_iter()
        .map(|p| WritePeriod {
            start: at_epoch_seconds(now - 22.0 * MINUTE + epoch_seconds(p.start) - START),
            ..p
        })
        .collect();
    let paths = LoadPaths::of(&model.with_recent(&recent, now), now);
    let near = band(&paths, now, now + 600.0);
    assert!((near[1] / 90_000.0 - 1.0).abs() < 0.25, "{near:?}");
    let far = band(&paths, now + 2.0 * DAY, now + 2.0 * DAY + 600.0);
    assert!(far[1] < 70_000.0 && covers(far, 30_000.0), "{far:?}");
}

#[test]
fn a_swing_of_half_an_hour_is_learned_from_two() {
    let swing = |at: f64| 100.0 * (std::f64::consts::TAU * at / 1800.0).sin().exp();
    let model = LoadModel::fit(&periods(60, 75, swing));
    let end = START + 75.0 * MINUTE;
    let paths = LoadPaths::of(&model, end);
    let actual: f64 = (75..85).map(|k| 60.0 * swing(f64::from(k) * 60.0)).sum();
    let said = band(&paths, end, end + 600.0);
    assert!((said[1] / actual).ln().abs() < 0.25, "{said:?} {actual}");
}

#[test]
fn a_burst_then_silence_is_neither_forecast_at_the_mean_nor_surely() {
    let burst = |at: f64| if at < 1500.0 { 1000.0 } else { 10.0 };
    let model = LoadModel::fit(&periods(60, 45, burst));
    let end = START + 45.0 * MINUTE;
    let said = band(&LoadPaths::of(&model, end), end, end + 600.0);
    let mean = 600.0 * 560.0;
    assert!(
        said[1] < 0.2 * mean && said[2] > 3.0 * 6000.0 && covers(said, 6000.0),
        "{said:?}"
    );
}

#[test]
fn a_running_bulk_job_goes_on_about_as_long_as_it_ran() {
    let mut rows = periods(60, 120, |_| 20.0);
    for row in rows.iter_mut().skip(105) {
        (row.write_ops, row.write_bytes) = (3000.0, 3000.0 * 262_144.0);
    }
    let end = START + 120.0 * MINUTE;
    let paths = LoadPaths::of(&LoadModel::fit(&rows), end);
    let per_minute = 1500.0;
    let near = paths.expected(end, end + 300.0).bulk_blocks;
    let far = paths.expected(end + 7200.0, end + 7500.0).bulk_blocks;
    assert!(near > 3.0 * per_minute && far < 0.5 * near, "{near} {far}");
}

#[test]
fn the_measured_past_is_the_same_on_every_path() {
    let model = LoadModel::fit(&periods(60, 120, |at| 10.0 + at / 60.0));
    let end = START + 120.0 * MINUTE;
    let said = drawn(
        &LoadPaths::of(&model, end + 120.0),
        end - 3600.0,
        end - 1800.0,
    );
    let actual: f64 = (60..90).map(|k| 60.0 * (10.0 + f64::from(k))).sum();
    assert!((said[0] - said[199]).abs() < 1e-3 && (said[0] / actual - 1.0).abs() < 0.01);
}

#[test]
fn what_is_missing_widens_and_is_said() {
    let rate = |at: f64| 100.0 + 40.0 * (at / 777.0).sin();
    let width = |rows: &[WritePeriod]| {
        let model = LoadModel::fit(rows);
        let end = rows.last().map_or(START, |p| epoch_seconds(p.start)) + DAY;
        let said = band(&LoadPaths::of(&model, end), end, end + HOUR);
        ((said[2] / said[0]).ln(), model.provenance)
    };
    let all = periods(300, 4 * 288, rate);
    let (narrow, words) = width(&all);
    assert!(words.contains("one-minute metrics"), "{words}");
    let (wider, words) = width(&all[4 * 288 - 24..]);
    assert!(
        wider > narrow && words.contains("two days would show it"),
        "{wider} {narrow} {words}"
    );
    let (widest, words) = width(&all[..1]);
    assert!(widest > 2.0 * narrow, "{widest} {narrow} {words}");
    let none = LoadModel::fit(&[]);
    assert!(none.provenance.contains("assumed"));
    let said = band(&LoadPaths::of(&none, START), START, START + HOUR);
    assert!((said[2] / said[0]).ln() > 2.0, "{said:?}");
}

#[test]
fn a_volume_idle_for_weeks_may_wake() {
    let model = LoadModel::fit(&periods(300, 14 * 288, |_| 0.0));
    let end = START + 14.0 * DAY;
    let paths = LoadPaths::of(&model, end);
    assert!(band(&paths, end, end + HOUR)[1] < 1.0);
    assert!(drawn(&paths, end, end + 8.0 * DAY)[1999] > 0.0);
    assert!(model.provenance.contains("nothing was written"));
}

#[test]
fn a_fortnight_stays_small_on_disk() {
    let rate = |at: f64| 100.0 + 70.0 * (at / 9000.0).sin() + (at % 977.0) / 13.0;
    let mut rows = periods(300, 11 * 288, rate);
    let later = periods(60, 72 * 60, rate).into_iter().map(|p| WritePeriod {
        start: at_epoch_seconds(epoch_seconds(p.start) + 11.0 * DAY),
        ..p
    });
    rows.extend(later);
    let text = serde_json::to_string(&LoadModel::fit(&rows)).expect("a model is plain data");
    assert!(text.len() < 25_000, "{} bytes", text.len());
    let back: LoadModel = serde_json::from_str(&text).expect("it reads what it wrote");
    assert_eq!(back, LoadModel::fit(&rows));
}

#[test]
fn large_writes_are_bulk() {
    let mut rows = periods(60, 30, |_| 1.0);
    for row in &mut rows {
        row.write_bytes = row.write_ops * 1_048_576.0;
    }
    let paths = LoadPaths::of(&LoadModel::fit(&rows), START + 1800.0);
    let minute = paths.expected(START + 1800.0, START + 1860.0);
    assert!((minute.bulk_blocks - 120.0).abs() < 30.0, "{minute:?}");
}

/// A history as a broken source may give it.
fn any_history() -> impl Strategy<Value = Vec<WritePeriod>> {
    let amount = prop_oneof![
        8 => 0.0_f64..1e9,
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(-5.0),
        2 => Just(0.0),
    ];
    let period = prop_oneof![4 => Just(60_u32), 2 => Just(300_u32), 1 => 0_u32..100_000];
    let start = prop_oneof![6 => 0_i32..20_000, 1 => -2_000_000_000_i32..2_000_000_000];
    let row =
        (start, period, amount.clone(), amount).prop_map(|(at, seconds, bytes, ops)| WritePeriod {
            start: at_epoch_seconds(START + f64::from(at) * 10.0),
            period_seconds: seconds,
            write_bytes: bytes,
            write_ops: ops / 1e4,
        });
    proptest::collection::vec(row, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_history_gives_growing_paths_that_add_up(
        rows in any_history(), from in -1e5_f64..1e6, first in 0.0_f64..1e5, second in 0.0_f64..1e6,
    ) {
        let model = LoadModel::fit(&rows);
        let paths = LoadPaths::of(&model, START + 150_000.0);
        let (a, b) = (START + from + first, START + from + first + second);
        for draw in draws(3, 1, 1, 12) {
            let on = |from, to| paths.drawn(from, to, &draw, &draw.volumes[0]);
            let parts = on(START + from, a).plus(on(a, b));
            let whole = on(START + from, b);
            prop_assert!(whole.small.is_finite() && whole.bulk_blocks.is_finite());
            prop_assert!(whole.small >= 0.0 && whole.bulk_blocks >= 0.0);
            prop_assert!((whole.small - parts.small).abs() <= 1e-6 * whole.small + 1e-3);
            prop_assert!((whole.bulk_blocks - parts.bulk_blocks).abs() <= 1e-6 * whole.bulk_blocks + 1e-3);
            prop_assert!(on(START + from, a).small <= whole.small + 1e-9);
            prop_assert_eq!(on(a, a), Written::default());
            prop_assert_eq!(on(b, a - 1.0), Written::default());
        }
        prop_assert!(!model.provenance.is_empty());
    }

    #[test]
    fn the_order_of_the_history_changes_nothing(rows in any_history(), turn in 0_usize..60) {
        let mut other = rows.clone();
        let middle = turn % rows.len().max(1);
        other.rotate_left(middle);
        other.reverse();
        let json = |rows: &[WritePeriod]| serde_json::to_string(&LoadModel::fit(rows)).expect("plain data");
        prop_assert_eq!(json(&rows), json(&other));
    }

    #[test]
    fn n_times_the_writing_is_n_times_the_forecast(seed in 1.0_f64..50.0, tens in 1..4) {
        // The record is kept to four decimal digits, so tenfold is exact.
        let factor = 10.0_f64.powi(tens);
        let rate = |at: f64| 20.0 + 300.0 * (at * seed / 7000.0).sin().powi(8);
        let one = LoadModel::fit(&periods(60, 300, rate));
        let many = LoadModel::fit(&periods(60, 300, |at| factor * rate(at)));
        let end = START + 300.0 * MINUTE;
        let said = drawn(&LoadPaths::of(&one, end), end, end + 1200.0);
        let scaled = drawn(&LoadPaths::of(&many, end), end, end + 1200.0);
        for (one, many) in said.iter().zip(&scaled) {
            prop_assert!((many / one / factor - 1.0).abs() < 0.02, "{} {}", one, many);
        }
    }
}

#[test]
fn a_burst_of_pages_is_bulk_where_the_usual_write_is_a_log_sector() {
    let period = |minute: i64, bytes: f64, ops: f64| WritePeriod {
        start: at_epoch_seconds(60.0 * minute as f64),
        period_seconds: 60,
        write_bytes: bytes,
        write_ops: ops,
    };
    let mut history: Vec<WritePeriod> = (0..50).map(|m| period(m, 1e6, 1000.0)).collect();
    history.push(period(50, 2e8, 12_000.0));
    let logging = LoadModel::fit(&history);
    assert!(logging.written(2e8, 12_000.0, 60.0).bulk_blocks > 300.0);
    let pages: Vec<WritePeriod> = (0..50).map(|m| period(m, 1.6e7, 1000.0)).collect();
    let scattered = LoadModel::fit(&pages);
    assert!(scattered.written(2e8, 12_000.0, 60.0).small > 1000.0);
}

#[test]
fn after_a_flush_a_database_holds_what_its_silence_does_not_show() {
    let flushed = 5.0 * HOUR;
    let silent = |at: f64| if at < flushed { 100.0 } else { 0.0 };
    let (from, now) = (START + flushed, START + flushed + 600.0);
    let paths =
        |rate: &dyn Fn(f64) -> f64| LoadPaths::of(&LoadModel::fit(&periods(60, 310, rate)), now);
    let held = paths(&silent).held(from, 300.0);
    assert!((held - 30_000.0).abs() < 1.0, "one period's: {held}");
    let all = paths(&silent).held(from, 3600.0);
    assert!(
        (all - 60_000.0).abs() < 1.0,
        "what ten minutes dirty: {all}"
    );
    assert!(
        paths(&|_| 100.0).held(from, 300.0) < 1.0,
        "it is written as it comes"
    );
    assert!(paths(&|at| if at < flushed { 100.0 } else { 900.0 }).held(from, 300.0) < 1.0);
    assert!(
        paths(&silent).held(now + 60.0, 300.0) < 1.0,
        "nothing is known of the future"
    );
}
