//! What a curve costs: a volume of 16 TiB with twelve deltas of a million scattered runs each.
//!
//! `cargo bench -p snapmigrate-models --bench curve`

use snapmigrate_models::dirty::{DirtyCurve, Interval, Written, fit, own_scores};

#[global_allocator]
static MEMORY: divan::AllocProfiler = divan::AllocProfiler::system();

const VOLUME_BLOCKS: u64 = 32 << 20;
const DELTAS: u64 = 12;
const RUNS: u64 = 1 << 20;
const WRITTEN: Written = Written {
    small: 3e6,
    bulk_blocks: 1e4,
};

fn main() {
    divan::main();
}

/// Every delta hits every 32 blocks once or twice, at places that move.
fn deltas() -> Vec<Vec<(u64, u64)>> {
    let stride = VOLUME_BLOCKS / RUNS;
    let run = |delta: u64, k: u64| (stride * k + (k * 7 + delta * delta) % 11, 1 + k % 2);
    (0..DELTAS)
        .map(|delta| (0..RUNS).map(|k| run(delta, k)).collect())
        .collect()
}

fn intervals(deltas: &[Vec<(u64, u64)>]) -> Vec<Interval<'_>> {
    deltas
        .iter()
        .map(|runs| Interval {
            written: WRITTEN,
            changed_blocks: runs.iter().map(|run| run.1).sum(),
            runs,
        })
        .collect()
}

#[divan::bench(sample_count = 3)]
fn fit_a_volume_of_16_tib(bencher: divan::Bencher<'_, '_>) {
    let deltas = deltas();
    let intervals = intervals(&deltas);
    bencher.bench_local(|| -> DirtyCurve { fit(&intervals, VOLUME_BLOCKS as f64, WRITTEN) });
}

#[divan::bench(sample_count = 3)]
fn score_it_on_its_own_deltas(bencher: divan::Bencher<'_, '_>) {
    let deltas = deltas();
    let intervals = intervals(&deltas);
    bencher.bench_local(|| own_scores(&intervals, VOLUME_BLOCKS as f64, WRITTEN));
}
