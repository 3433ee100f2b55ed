//! Makes processes of what a scenario says. It must not know what they write later.

use std::path::Path;

use toml::Table;

use super::bursts::{BurstShape, Bursts};
use super::chance;
use super::jobs::Jobs;
use super::process::{Body, Process, Span};
use super::rate::Rate;
use super::skew::SkewedSpan;
use super::spec::{Kind, Noise, ProcessSpec, Rhythm};
use super::trace::Trace;
use super::{WorkloadError, WorkloadSetup};
use crate::content::{BLOCK_BYTES, BLOCKS_PER_GIB};

const FLAT: Rhythm = Rhythm {
    amplitude: 0.0,
    quiet_hour: 0.0,
    weekend_factor: 1.0,
};
const STEADY: Noise = Noise {
    minute_sigma: 0.0,
    hour_sigma: 0.0,
};

/// All processes of a volume.
pub(super) fn processes(
    setup: &WorkloadSetup<'_>,
    tables: &[Table],
) -> Result<Vec<Process>, WorkloadError> {
    let read = |(index, table): (usize, &Table)| {
        let at = |error| WorkloadError::Process {
            volume: setup.volume.to_owned(),
            number: index + 1,
            source: Box::new(error),
        };
        process(setup, index, table).map_err(at)
    };
    tables.iter().enumerate().map(read).collect()
}

fn process(
    setup: &WorkloadSetup<'_>,
    index: usize,
    table: &Table,
) -> Result<Process, WorkloadError> {
    let spec = ProcessSpec::read(table, setup.base_dir)?;
    let key = chance::mix(&[setup.seed, chance::hash_text(setup.volume), index as u64]);
    let span = span(setup, &spec)?;
    let body = match (spec.kind, &spec.path) {
        (Kind::Trace, Some(path)) => replay(setup, &spec, span, path)?,
        _ => drawn(&spec, key, span),
    };
    let jobs = spec.jobs.map(|jobs| Jobs::new(key, jobs, span));
    Ok(Process {
        key,
        span,
        body,
        jobs,
    })
}

fn drawn(spec: &ProcessSpec, key: u64, span: Span) -> Body {
    let ops_per_second = spec.ops_per_second.unwrap_or(0.0);
    let rate = Rate::new(
        key,
        ops_per_second,
        spec.rhythm.unwrap_or(FLAT),
        spec.noise.unwrap_or(STEADY),
    );
    let op_bytes = chance::round(spec.kib_per_op.unwrap_or(8.0) * 1024.0).max(1);
    let skewed = || SkewedSpan::new(span.blocks, spec.skew.unwrap_or(0.0), key);
    match spec.kind {
        Kind::HotSet => Body::Pages {
            rate,
            op_bytes,
            skewed: Some(skewed()),
        },
        Kind::SequentialLog | Kind::Append => Body::Stream {
            rate,
            op_bytes,
            position: 0,
        },
        Kind::CheckpointBursts => {
            let period_seconds = i64::from(spec.period_seconds.unwrap_or(300));
            let flush_share = spec.flush_share.unwrap_or(0.9);
            let shape = BurstShape {
                key,
                page_bytes: op_bytes.min(BLOCK_BYTES),
                period_seconds,
                flush_share,
            };
            Body::Bursts(Bursts::new(shape, rate, skewed()))
        }
        Kind::Uniform | Kind::Trace => Body::Pages {
            rate,
            op_bytes,
            skewed: None,
        },
    }
}

fn replay(
    setup: &WorkloadSetup<'_>,
    spec: &ProcessSpec,
    span: Span,
    path: &Path,
) -> Result<Body, WorkloadError> {
    let limit_bytes = (span.start + span.blocks) * BLOCK_BYTES;
    let trace = Trace::load(path, span.start * BLOCK_BYTES, limit_bytes)?;
    let start_at = i64::from(spec.start_at_seconds.unwrap_or(0));
    let offset = start_at - setup.start.timestamp();
    Ok(Body::Replay {
        trace,
        offset,
        repeat: spec.repeat.unwrap_or(true),
    })
}

fn span(setup: &WorkloadSetup<'_>, spec: &ProcessSpec) -> Result<Span, WorkloadError> {
    let size = setup.size_gib * BLOCKS_PER_GIB;
    let written = u64::from(setup.initial_blocks());
    let start = spec.start_gib.map_or(
        if spec.kind == Kind::Append {
            written
        } else {
            0
        },
        blocks,
    );
    let rest = match spec.kind {
        Kind::Append | Kind::Trace | Kind::SequentialLog => size.saturating_sub(start),
        Kind::Uniform | Kind::HotSet | Kind::CheckpointBursts => written.saturating_sub(start),
    };
    let len = spec.span_gib.map_or(rest, blocks);
    if len == 0 || start + len > size {
        let (start_gib, span_gib) = (gib(start), gib(len));
        return Err(WorkloadError::Span {
            start_gib,
            span_gib,
            size_gib: setup.size_gib,
        });
    }
    Ok(Span { start, blocks: len })
}

fn blocks(gib: f64) -> u64 {
    chance::round(gib * BLOCKS_PER_GIB as f64)
}

fn gib(blocks: u64) -> f64 {
    blocks as f64 / BLOCKS_PER_GIB as f64
}
