//! Quantities as people read them.

use snapmigrate_models::units::{GIB, Quantiles, Timestamp};

/// Bytes in the binary unit that leaves one to four digits before the point.
#[must_use]
pub fn bytes(bytes: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes;
    let mut unit = 0;
    while value.abs() >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{value:.0} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// A whole number of bytes.
#[must_use]
pub fn whole_bytes(count: u64) -> String {
    bytes(count as f64)
}

/// GiB as the console shows volume sizes.
#[must_use]
pub fn gib(size_gib: u64) -> String {
    bytes(size_gib as f64 * GIB as f64)
}

/// A duration: below a minute in seconds with one decimal, else `hh:mm:ss`, with days in front when there are any.
#[must_use]
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "never".to_owned();
    }
    if seconds.abs() < 59.95 {
        return format!("{seconds:.1} s");
    }
    let minutes = (seconds.abs().round() / 60.0).floor();
    let hours = (minutes / 60.0).floor();
    let days = (hours / 24.0).floor();
    let sign = if seconds < 0.0 { "-" } else { "" };
    let clock = format!(
        "{:02}:{:02}:{:02}",
        hours - days * 24.0,
        minutes - hours * 60.0,
        seconds.abs().round() - minutes * 60.0
    );
    if days > 0.0 {
        format!("{sign}{days:.0}d {clock}")
    } else {
        format!("{sign}{clock}")
    }
}

/// An amount of money.
#[must_use]
pub fn usd(amount: f64) -> String {
    format!("${amount:.2}")
}

/// A rate.
#[must_use]
pub fn per_second(rate: f64) -> String {
    format!("{}/s", bytes(rate))
}

/// A probability.
#[must_use]
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent.fract().abs() < 0.05 {
        format!("{percent:.0} %")
    } else {
        format!("{percent:.1} %")
    }
}

/// A point in time, to the second.
#[must_use]
pub fn time(at: Timestamp) -> String {
    at.format("%a %Y-%m-%d %H:%M:%SZ").to_string()
}

/// A point in time to the minute, for plans.
#[must_use]
pub fn minute(at: Timestamp) -> String {
    at.format("%a %m-%d %H:%MZ").to_string()
}

/// The three quantiles, each through `unit`.
#[must_use]
pub fn quantiles(quantiles: Quantiles, unit: fn(f64) -> String) -> [String; 3] {
    [
        unit(quantiles.p50),
        unit(quantiles.p90),
        unit(quantiles.p99),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_like_a_clock() {
        let cases = [
            (0.0, "0.0 s"),
            (9.25, "9.2 s"),
            (59.97, "00:01:00"),
            (61.4, "00:01:01"),
            (3599.6, "01:00:00"),
            (50_400.0, "14:00:00"),
            (90_061.0, "1d 01:01:01"),
            (-61.0, "-00:01:01"),
            (f64::INFINITY, "never"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(duration(seconds), expected);
        }
    }

    #[test]
    fn bytes_stay_short() {
        assert_eq!(bytes(0.0), "0 B");
        assert_eq!(whole_bytes(524_288), "512.0 KiB");
        assert_eq!(gib(3072), "3.0 TiB");
        assert_eq!(per_second(1_572_864.0), "1.5 MiB/s");
        assert_eq!(percent(0.9), "90 %");
        assert_eq!(percent(0.995), "99.5 %");
    }
}
