//! Laws of the harness: what comes after an origin never reaches the forecast, and figures are what they say.

use super::*;
use crate::units::BLOCK_BYTES;

/// One write a second, two thirds of them to a hot tenth of 1,000 blocks; the last half hour by another pattern.
fn trace(minutes: u64, change_at: u64) -> Trace {
    let mut state = 7_u64;
    let mut next = move |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let mut trace = Trace::new("test");
    for second in 0..minutes * 60 {
        let bound = if next(3) > 0 { 100 } else { 1000 };
        let size = if second < change_at * 60 {
            4096
        } else {
            3 * BLOCK_BYTES
        };
        let offset = next(bound) * BLOCK_BYTES;
        trace
            .push(second as f64, offset, size)
            .expect("a sound write");
    }
    trace
        .push(minutes as f64 * 60.0, 2000 * BLOCK_BYTES, 4096)
        .expect("both volumes end alike");
    trace
}

fn protocol() -> Protocol {
    Protocol {
        delta_seconds: 120.0,
        deltas: 4,
        lags_seconds: vec![60.0, 240.0],
        metric_delay_seconds: 60.0,
    }
}

#[test]
fn what_comes_after_an_origin_never_reaches_its_forecast() {
    let steady = run(&trace(30, 60), &protocol()).expect("long enough");
    let changed = run(&trace(30, 20), &protocol()).expect("long enough");
    let before = |backtest: &Backtest| -> Vec<(f64, f64, Band)> {
        let early = backtest
            .predictions
            .iter()
            .filter(|p| p.start_seconds <= 1200.0);
        early
            .map(|p| (p.start_seconds, p.naive_bytes, p.predicted_bytes))
            .collect()
    };
    assert!(before(&steady).len() > 20);
    assert_eq!(before(&steady), before(&changed));
    assert_ne!(steady.predictions, changed.predictions, "what came differs");
}

#[test]
fn every_origin_that_fits_is_judged_and_none_beyond_the_end() {
    let backtest = run(&trace(30, 60), &protocol()).expect("long enough");
    let starts: Vec<f64> = backtest
        .predictions
        .iter()
        .map(|p| p.start_seconds)
        .collect();
    assert_eq!((starts[0], starts[1], starts[2]), (480.0, 480.0, 540.0));
    assert_eq!(
        starts.last(),
        Some(&1740.0),
        "the shortest window ends with the trace"
    );
    let ends = backtest
        .predictions
        .iter()
        .map(|p| p.start_seconds + p.lag_seconds);
    assert!(ends.fold(0.0, f64::max) <= 1800.0);
}

#[test]
fn a_trace_with_a_late_first_write_keeps_its_own_clock() {
    let mut late = Trace::new("late");
    for second in 0..1200_u32 {
        let at = 1_700_000_030.0 + f64::from(second);
        late.push(at, u64::from(second % 50) * BLOCK_BYTES, 4096)
            .expect("a sound write");
    }
    assert_eq!(
        late.start_seconds(),
        1_699_999_980.0,
        "the minute of the first write"
    );
    let backtest = run(&late, &protocol()).expect("long enough");
    assert_eq!(backtest.predictions[0].start_seconds, 1_700_000_460.0);
}

#[test]
fn figures_are_medians_and_shares_of_scored_windows() {
    let mut backtest = run(&trace(30, 60), &protocol()).expect("long enough");
    backtest.predictions.truncate(4);
    for (index, one) in backtest.predictions.iter_mut().enumerate() {
        let actual = [8e6, 16e6, 32e6, 1e6][index];
        one.scored = index < 3;
        one.actual_bytes = actual;
        one.predicted_bytes = Band {
            p05: 10e6,
            p50: 16e6,
            p90: 20e6,
            p95: 20e6,
        };
        one.naive_bytes = 64e6;
    }
    let figures = score::figures(&backtest.predictions);
    assert_eq!(figures.scored, 3);
    assert_eq!(figures.median_abs_log_error, Some(2.0_f64.ln()));
    assert_eq!(figures.naive_median_abs_log_error, Some(4.0_f64.ln()));
    assert_eq!(figures.coverage_90_percent, Some(1.0 / 3.0));
}

#[test]
fn nothing_scored_has_no_figures_and_says_so() {
    let mut idle = Trace::new("idle");
    for second in 0..2000_u32 {
        idle.push(f64::from(second), 0, 4096)
            .expect("a sound write");
    }
    let backtest = run(&idle, &protocol()).expect("long enough");
    assert!(
        backtest
            .predictions
            .iter()
            .all(|p| !p.scored && p.actual_bytes == BLOCK_BYTES as f64)
    );
    assert_eq!(backtest.figures.median_abs_log_error, None);
    assert_eq!(Advice::of(&backtest), Advice::NothingScored);
}
