//! One write process: which blocks it writes in a second, and what it wrote in a minute before the start.
//! It must not know versions, logs or the database.

use super::bursts::Bursts;
use super::chance::Draws;
use super::jobs::Jobs;
use super::meter::Written;
use super::rate::{Rate, hashable};
use super::skew::SkewedSpan;
use super::trace::Trace;
use crate::content::BLOCK_BYTES;

/// A block of 512 KiB holds 64 pages of 8 KiB: a flush of one block needs no more writes than that on average.
const MOST_PAGES_PER_BLOCK: u64 = 64;

/// Consecutive blocks of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// First block.
    pub start: u64,
    /// Number of blocks, at least one.
    pub blocks: u64,
}

impl Span {
    /// Bytes in the span.
    pub fn bytes(self) -> u64 {
        self.blocks * BLOCK_BYTES
    }
}

/// A process with its state.
#[derive(Debug, Clone)]
pub(super) struct Process {
    pub key: u64,
    pub span: Span,
    pub body: Body,
    pub jobs: Option<Jobs>,
}

/// What a process does.
#[derive(Debug, Clone)]
pub(super) enum Body {
    /// Single operations anywhere in the span, skewed when there is a skew.
    Pages {
        rate: Rate,
        op_bytes: u64,
        skewed: Option<SkewedSpan>,
    },
    /// One position that moves on, in a circle.
    Stream {
        rate: Rate,
        op_bytes: u64,
        position: u64,
    },
    /// Checkpoints.
    Bursts(Bursts),
    /// Replay; `offset` is the trace's second at UTC second 0.
    Replay {
        trace: Trace,
        offset: i64,
        repeat: bool,
    },
}

impl Process {
    /// Writes of the second that begins at `second` (UTC); their blocks are added to `out`.
    pub fn second(&mut self, second: i64, out: &mut Vec<u32>) -> Written {
        let mut draws = Draws::new(&[self.key, 1, hashable(second)]);
        let span = self.span;
        let mut written = match &mut self.body {
            Body::Pages {
                rate,
                op_bytes,
                skewed,
            } => {
                let ops = rate.count(second, &mut draws);
                pages(span, ops, *op_bytes, skewed.as_ref(), &mut draws, out)
            }
            Body::Stream {
                rate,
                op_bytes,
                position,
            } => {
                let ops = rate.count(second, &mut draws);
                let bytes = ops * *op_bytes;
                touch(span, *position, bytes, out);
                *position = (*position + bytes) % span.bytes();
                Written { ops, bytes }
            }
            Body::Bursts(bursts) => {
                bursts.second(second, &mut draws, &mut |block| push(span, block, out))
            }
            Body::Replay {
                trace,
                offset,
                repeat,
            } => {
                let writes = trace.second(trace_second(trace, *offset + second, *repeat));
                writes.iter().for_each(|w| out.extend(w.first..=w.last));
                sum(writes)
            }
        };
        if let Some(jobs) = &mut self.jobs {
            written += jobs.second(second, out);
        }
        written
    }

    /// What the process wrote in a minute before the lab's start, by the same rates, without drawing blocks.
    pub fn history(&self, minute: i64) -> Written {
        let by_rate = |rate: &Rate, op_bytes: u64| {
            let ops = rate.count_minute(minute);
            Written {
                ops,
                bytes: ops * op_bytes,
            }
        };
        let mut written = match &self.body {
            Body::Pages { rate, op_bytes, .. } | Body::Stream { rate, op_bytes, .. } => {
                by_rate(rate, *op_bytes)
            }
            Body::Bursts(bursts) => bursts.history(minute),
            Body::Replay {
                trace,
                offset,
                repeat,
            } => {
                let mut written = Written::default();
                for second in minute * 60..minute * 60 + 60 {
                    written += sum(trace.second(trace_second(trace, *offset + second, *repeat)));
                }
                written
            }
        };
        if let Some(jobs) = &self.jobs {
            written += jobs.history(minute);
        }
        written
    }

    /// Mean page writes per second: its share of what a clean stop flushes. Checkpoint processes have their own dirty
    /// pages and no share.
    pub fn page_rate(&self) -> f64 {
        match &self.body {
            Body::Pages { rate, .. } => rate.middle(),
            Body::Bursts(_) | Body::Stream { .. } | Body::Replay { .. } => 0.0,
        }
    }

    /// Writes pages as the process would choose them until `count` distinct blocks are written, or nearly.
    pub fn flush_pages(&self, count: u64, draws: &mut Draws, out: &mut Vec<u32>) -> Written {
        let Body::Pages {
            op_bytes, skewed, ..
        } = &self.body
        else {
            return Written::default();
        };
        let mut distinct = std::collections::BTreeSet::new();
        let mut written = Written::default();
        let most = count.saturating_mul(MOST_PAGES_PER_BLOCK);
        while (distinct.len() as u64) < count && written.ops < most {
            let before = out.len();
            written += pages(self.span, 1, *op_bytes, skewed.as_ref(), draws, out);
            distinct.extend(out[before..].iter().copied());
        }
        written
    }

    /// Writes what is dirty in memory.
    pub fn drain(&mut self, out: &mut Vec<u32>) -> Written {
        let span = self.span;
        match &mut self.body {
            Body::Bursts(bursts) => bursts.drain(&mut |block| push(span, block, out)),
            Body::Pages { .. } | Body::Stream { .. } | Body::Replay { .. } => Written::default(),
        }
    }
}

/// Adds the blocks of `len` bytes at `position` of a circular span.
pub(super) fn touch(span: Span, position: u64, len: u64, out: &mut Vec<u32>) {
    if len > 0 {
        let (first, last) = (position / BLOCK_BYTES, (position + len - 1) / BLOCK_BYTES);
        (first..=last.min(first + span.blocks))
            .for_each(|block| push(span, block % span.blocks, out));
    }
}

fn pages(
    span: Span,
    ops: u64,
    op_bytes: u64,
    skewed: Option<&SkewedSpan>,
    draws: &mut Draws,
    out: &mut Vec<u32>,
) -> Written {
    let more = op_bytes.div_ceil(BLOCK_BYTES).max(1) - 1;
    for _ in 0..ops {
        let block = match skewed {
            Some(skewed) => skewed.pick(draws),
            None => draws.below(span.blocks),
        };
        push(span, block, out);
        (1..=more).for_each(|next| push(span, (block + next) % span.blocks, out));
    }
    Written {
        ops,
        bytes: ops * op_bytes,
    }
}

#[inline]
fn push(span: Span, block: u64, out: &mut Vec<u32>) {
    out.push(u32::try_from(span.start + block).unwrap_or(u32::MAX));
}

fn trace_second(trace: &Trace, second: i64, repeat: bool) -> i64 {
    if repeat {
        second.rem_euclid(trace.len_seconds().max(1))
    } else {
        second
    }
}

fn sum(writes: &[super::trace::TraceWrite]) -> Written {
    Written {
        ops: writes.len() as u64,
        bytes: writes.iter().map(|w| w.bytes).sum(),
    }
}
