use super::*;
use crate::units::at_epoch_seconds;

fn history(days: u32, rate: impl Fn(u32) -> f64) -> Vec<WritePeriod> {
    let one = |minute: u32| WritePeriod {
        start: at_epoch_seconds(f64::from(minute) * 300.0),
        period_seconds: 300,
        write_bytes: rate(minute / 12 % 24) * 300.0 * 8192.0,
        write_ops: rate(minute / 12 % 24) * 300.0,
    };
    (0..days * 288).map(one).collect()
}

#[test]
fn the_rhythm_of_the_day_is_found() {
    let model = LoadModel::fit(&history(5, |hour| if hour < 6 { 10.0 } else { 100.0 }));
    let clock = LoadPaths::of(&model, 0.0);
    let day = 86_400.0 * 30.0;
    let night = clock.expected(day + 3600.0, day + 7200.0).small;
    let noon = clock.expected(day + 43_200.0, day + 46_800.0).small;
    assert!((noon / 360_000.0 - 1.0).abs() < 0.2, "{noon}");
    assert!(night < 0.35 * noon, "{night} {noon}");
}

#[test]
fn windows_add_up() {
    let clock = LoadPaths::of(
        &LoadModel::fit(&history(3, |hour| f64::from(hour) + 1.0)),
        0.0,
    );
    let whole = clock.expected(1e6, 1e6 + 2e5).small;
    let parts = clock.expected(1e6, 1e6 + 7e4).small + clock.expected(1e6 + 7e4, 1e6 + 2e5).small;
    assert!((whole - parts).abs() < 1e-6 * whole);
}

#[test]
fn garbage_and_gaps_leave_a_usable_wide_load() {
    let mut rows = history(1, |_| 50.0);
    rows[3].write_bytes = f64::NAN;
    rows[5].write_ops = -1.0;
    rows[7].period_seconds = 0;
    rows.reverse();
    rows.truncate(40);
    let model = LoadModel::fit(&rows);
    assert!(model.level_spread.is_finite() && model.level_spread > DAY_SPREAD);
    assert!(LoadPaths::of(&model, 0.0).expected(0.0, 60.0).small > 0.0);
    let none = LoadModel::fit(&[]);
    assert!(none.provenance.contains("assumed") && none.level_spread > 1.0);
}

#[test]
fn large_writes_are_bulk() {
    let rows = [WritePeriod {
        start: at_epoch_seconds(0.0),
        period_seconds: 60,
        write_bytes: 60.0 * 1_048_576.0,
        write_ops: 60.0,
    }];
    let model = LoadModel::fit(&rows);
    let minute = LoadPaths::of(&model, 0.0).expected(0.0, 60.0);
    assert!(
        minute.small < 1e-9 && (minute.bulk_blocks - 120.0).abs() < 30.0,
        "{minute:?}"
    );
}
