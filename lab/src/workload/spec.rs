//! What a scenario says of one write process, over the committed defaults. It must not know how blocks are drawn.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use toml::{Table, Value};

use super::WorkloadError;
use crate::scenario::Dist;

const DEFAULTS: &str = include_str!("../../data/workload.toml");

/// The kinds of write process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Every block of the span alike.
    Uniform,
    /// A skewed hot set: the block of rank r is written in proportion to r^-skew.
    HotSet,
    /// A log written in a circle.
    SequentialLog,
    /// Fresh blocks, one after the other.
    Append,
    /// Pages dirtied in memory and flushed in file order within a share of each period.
    CheckpointBursts,
    /// Replay of a trace file.
    Trace,
}

/// How a rate follows the clock (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rhythm {
    /// 0 = flat, 1 = still at the quiet hour and double twelve hours later.
    pub amplitude: f64,
    /// Hour of the day with the least writing.
    pub quiet_hour: f64,
    /// Rate on Saturday and Sunday relative to other days.
    #[serde(default = "one")]
    pub weekend_factor: f64,
}

/// Lognormal noise of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// Spread from minute to minute.
    pub minute_sigma: f64,
    /// Spread of the slow drift between hours.
    #[serde(default)]
    pub hour_sigma: f64,
}

/// Jobs that nobody announced: bulk sequential writes at any place of the span.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// Mean number a day.
    pub per_day: f64,
    /// GiB that one writes.
    pub gib: Dist,
    /// How long one takes.
    pub seconds: Dist,
}

/// One write process with all defaults filled in.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessSpec {
    /// Its kind.
    pub kind: Kind,
    /// Mean write operations per second at the middle of its rhythm.
    pub ops_per_second: Option<f64>,
    /// KiB that one operation writes.
    pub kib_per_op: Option<f64>,
    /// Where its span begins.
    pub start_gib: Option<f64>,
    /// How long its span is.
    pub span_gib: Option<f64>,
    /// Exponent of the hot set.
    pub skew: Option<f64>,
    /// Checkpoint period.
    pub period_seconds: Option<u32>,
    /// Share of the period in which a checkpoint is written.
    pub flush_share: Option<f64>,
    /// The trace file, CSV or gzipped CSV.
    pub path: Option<PathBuf>,
    /// Second of the trace at which the lab starts.
    pub start_at_seconds: Option<u32>,
    /// Whether the trace begins again at its end.
    #[serde(rename = "loop")]
    pub repeat: Option<bool>,
    /// How the rate follows the clock.
    pub rhythm: Option<Rhythm>,
    /// How the rate varies.
    pub noise: Option<Noise>,
    /// Unannounced jobs.
    pub jobs: Option<JobSpec>,
}

fn one() -> f64 {
    1.0
}

impl ProcessSpec {
    /// Reads one `[[volumes.workload]]` table over the defaults of its kind; `base` is where trace paths start.
    pub fn read(table: &Table, base: &Path) -> Result<Self, WorkloadError> {
        let mut spec = Self::deserialize(Value::Table(with_defaults(table))).map_err(|error| {
            WorkloadError::Malformed {
                message: error.message().to_owned(),
            }
        })?;
        spec.path = spec.path.map(|path| base.join(path));
        spec.check()?;
        Ok(spec)
    }

    fn check(&self) -> Result<(), WorkloadError> {
        self.check_keys()?;
        let positive = [
            ("kib_per_op", self.kib_per_op),
            ("span_gib", self.span_gib),
            ("flush_share", self.flush_share),
            ("period_seconds", self.period_seconds.map(f64::from)),
        ];
        for (key, value) in positive {
            require(key, value, |v| v > 0.0, "must be above 0")?;
        }
        for (key, value) in [
            ("ops_per_second", self.ops_per_second),
            ("start_gib", self.start_gib),
        ] {
            require(key, value, |v| v >= 0.0, "must not be negative")?;
        }
        require(
            "skew",
            self.skew,
            |v| (0.0..=4.0).contains(&v),
            "must be between 0 and 4",
        )?;
        require(
            "flush_share",
            self.flush_share,
            |v| v <= 1.0,
            "must be at most 1",
        )?;
        self.check_shape()
    }

    fn check_shape(&self) -> Result<(), WorkloadError> {
        if let Some(Rhythm {
            amplitude,
            quiet_hour,
            weekend_factor,
        }) = self.rhythm
        {
            require(
                "rhythm.amplitude",
                Some(amplitude),
                |v| (0.0..=1.0).contains(&v),
                "must be between 0 and 1",
            )?;
            require(
                "rhythm.quiet_hour",
                Some(quiet_hour),
                |v| (0.0..24.0).contains(&v),
                "must be an hour of the day",
            )?;
            require(
                "rhythm.weekend_factor",
                Some(weekend_factor),
                |v| v >= 0.0,
                "must not be negative",
            )?;
        }
        if let Some(Noise {
            minute_sigma,
            hour_sigma,
        }) = self.noise
        {
            require(
                "noise.minute_sigma",
                Some(minute_sigma),
                sane_sigma,
                "must be between 0 and 3",
            )?;
            require(
                "noise.hour_sigma",
                Some(hour_sigma),
                sane_sigma,
                "must be between 0 and 3",
            )?;
        }
        let Some(JobSpec {
            per_day,
            gib,
            seconds,
        }) = self.jobs
        else {
            return Ok(());
        };
        require(
            "jobs.per_day",
            Some(per_day),
            |v| (0.0..=200.0).contains(&v),
            "must be between 0 and 200",
        )?;
        require(
            "jobs.gib",
            Some(gib.median),
            |v| v > 0.0,
            "must have a median above 0",
        )?;
        require(
            "jobs.seconds",
            Some(seconds.median),
            |v| v >= 1.0,
            "must have a median of at least 1",
        )
    }

    fn check_keys(&self) -> Result<(), WorkloadError> {
        let trace = self.kind == Kind::Trace;
        let skewed = matches!(self.kind, Kind::HotSet | Kind::CheckpointBursts);
        let rated = [self.ops_per_second, self.kib_per_op]
            .iter()
            .any(Option::is_some)
            || self.rhythm.is_some();
        let misplaced = [
            ("skew", self.skew.is_some() && !skewed),
            (
                "period_seconds",
                self.period_seconds.is_some() && self.kind != Kind::CheckpointBursts,
            ),
            (
                "flush_share",
                self.flush_share.is_some() && self.kind != Kind::CheckpointBursts,
            ),
            ("path", self.path.is_some() && !trace),
            (
                "start_at_seconds",
                self.start_at_seconds.is_some() && !trace,
            ),
            ("loop", self.repeat.is_some() && !trace),
            (
                "ops_per_second, kib_per_op or rhythm",
                trace && (rated || self.noise.is_some()),
            ),
        ];
        if let Some((key, _)) = misplaced.iter().find(|(_, wrong)| *wrong) {
            return Err(WorkloadError::Misplaced {
                key,
                kind: self.kind,
            });
        }
        let missing = if trace {
            ("path", self.path.is_none())
        } else {
            ("ops_per_second", self.ops_per_second.is_none())
        };
        if missing.1 {
            Err(WorkloadError::Missing {
                key: missing.0,
                kind: self.kind,
            })
        } else {
            Ok(())
        }
    }
}

fn sane_sigma(sigma: f64) -> bool {
    (0.0..=3.0).contains(&sigma)
}

fn require(
    key: &'static str,
    value: Option<f64>,
    holds: impl Fn(f64) -> bool,
    rule: &'static str,
) -> Result<(), WorkloadError> {
    match value {
        Some(value) if !value.is_finite() || !holds(value) => {
            Err(WorkloadError::Value { key, value, rule })
        }
        _ => Ok(()),
    }
}

fn with_defaults(table: &Table) -> Table {
    let defaults: Table = toml::from_str(DEFAULTS).expect("the committed workload.toml is TOML");
    let kind = table
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut merged = table.clone();
    for (key, value) in defaults
        .get(kind)
        .and_then(Value::as_table)
        .into_iter()
        .flatten()
    {
        match (merged.get_mut(key), value) {
            (None, _) => {
                merged.insert(key.clone(), value.clone());
            }
            (Some(Value::Table(given)), Value::Table(more)) => {
                for (k, v) in more {
                    given.entry(k).or_insert_with(|| v.clone());
                }
            }
            (Some(_), _) => {}
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ProcessSpec, WorkloadError> {
        ProcessSpec::read(
            &toml::from_str(text).expect("test TOML"),
            Path::new("/base"),
        )
    }

    #[test]
    fn defaults_fill_what_is_not_said() {
        let spec = read("kind = 'hot_set'\nops_per_second = 5\nnoise = { minute_sigma = 0.0 }")
            .expect("valid");
        assert_eq!(spec.skew, Some(0.9));
        assert_eq!(
            spec.noise.map(|n| (n.minute_sigma, n.hour_sigma)),
            Some((0.0, 0.30))
        );
        let trace = read("kind = 'trace'\npath = 'a.csv'").expect("valid");
        assert_eq!(trace.path, Some(PathBuf::from("/base/a.csv")));
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (text, word) in [
            ("kind = 'hot_sett'", "hot_sett"),
            ("kind = 'uniform'", "ops_per_second"),
            ("kind = 'uniform'\nops_per_second = -1", "ops_per_second"),
            ("kind = 'uniform'\nops_per_second = 1\nskew = 1", "skew"),
            ("kind = 'uniform'\nops_per_second = 1\nspeed = 1", "speed"),
            ("kind = 'trace'", "path"),
            (
                "kind = 'trace'\npath = 'a'\nops_per_second = 3",
                "ops_per_second",
            ),
            (
                "kind = 'append'\nops_per_second = 1\nrhythm = { amplitude = 2 }",
                "amplitude",
            ),
            ("ops_per_second = 1", "kind"),
        ] {
            let message = read(text).expect_err(text).to_string();
            assert!(message.contains(word), "{text}: {message}");
        }
    }
}
