//! Numbers in words, as reasons state them.

use chrono::TimeDelta;

use crate::units::{GIB, Timestamp};

/// A span such as `14 h 03 min`, `4 min 10 s` or `12 s`.
pub(super) fn span(seconds: f64) -> String {
    let seconds = millis(seconds.max(0.0).round()) / 1000;
    match seconds {
        s if s >= 3600 => format!("{} h {:02} min", s / 3600, s % 3600 / 60),
        s if s >= 60 => format!("{} min {:02} s", s / 60, s % 60),
        s => format!("{s} s"),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "saturates far beyond any migration"
)]
fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0).min(1e15) as i64
}

/// A duration of `seconds`.
pub(super) fn delta(seconds: f64) -> TimeDelta {
    TimeDelta::milliseconds(millis(seconds))
}

/// Seconds from `from` to `to`.
pub(super) fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    (to - from).as_seconds_f64()
}

/// A size such as `12.3 GiB`.
#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
pub(super) fn size(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / GIB as f64)
}

/// An instant such as `2026-11-02 22:00:00 UTC`.
pub(super) fn instant(at: Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
