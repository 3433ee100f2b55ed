//! What was written in the past, kept small enough to travel inside a plan.
//!
//! The newest hours keep the metric's own periods, older ones are added up. A gap is unknown, not
//! idle. It must not know rhythms or forecasts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dirty::Written;

/// Age up to which periods are kept as they are, and the steps older ones are added up to.
const AS_MEASURED_SECONDS: f64 = 6.0 * 3600.0;
const COARSER: [(f64, f64); 2] = [(72.0 * 3600.0, 300.0), (f64::INFINITY, 1800.0)];
/// Nothing older is kept: two weeks show every rhythm of a week twice, with a day to spare.
const OLDEST_SECONDS: f64 = 15.0 * 86_400.0;
/// Share of a coarser step that must be known for it to stand for the whole.
const KNOWN_SHARE: f64 = 0.5;
/// Starts and ends that differ by less belong together.
const TOUCHING_SECONDS: f64 = 0.5;

/// Written volume of one span of time without gaps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) start: f64,
    pub(super) seconds: f64,
    pub(super) written: Written,
    /// Part of it in which no bulk writing hid the small one.
    pub(super) calm_seconds: f64,
}

impl Entry {
    pub(super) fn end(&self) -> f64 {
        self.start + self.seconds
    }
}

/// Equally long steps without a gap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Stretch {
    /// Seconds since 1970.
    start: f64,
    step_seconds: f64,
    /// Small writes of each step, in equivalent operations.
    small: Vec<f64>,
    /// Bulk writes of each step, in blocks; empty when there were none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    bulk_blocks: Vec<f64>,
    /// Seconds of each step with bulk writing; empty when there were none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    bulk_seconds: Vec<f64>,
}

/// The past of one volume, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Record(Vec<Stretch>);

impl Record {
    /// Nothing is recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Packs entries that are in order and do not overlap.
    pub(super) fn of(entries: &[Entry]) -> Self {
        let Some(last) = entries.last() else {
            return Self::default();
        };
        let mut stretches: Vec<Stretch> = Vec::new();
        for entry in coarser(entries, last.end()) {
            let seconds = entry.seconds;
            match stretches.last_mut().filter(|last| last.continues(&entry)) {
                Some(stretch) => stretch.push(&entry),
                None => stretches.push(Stretch::new(&entry, seconds)),
            }
        }
        stretches.iter_mut().for_each(Stretch::trim);
        Self(stretches)
    }

    /// Unpacked, oldest first.
    pub(super) fn entries(&self) -> Vec<Entry> {
        self.0.iter().flat_map(Stretch::entries).collect()
    }

    /// With newer entries, in order and without overlap, which count where both tell.
    pub(super) fn joined(&self, fresh: &[Entry]) -> Self {
        let told = |entry: &Entry| {
            let next = fresh.partition_point(|new| new.end() <= entry.start + TOUCHING_SECONDS);
            fresh
                .get(next)
                .is_some_and(|new| new.start < entry.end() - TOUCHING_SECONDS)
        };
        let mut all = self.entries();
        all.retain(|entry| !told(entry));
        all.extend(fresh);
        all.sort_by(|a, b| a.start.total_cmp(&b.start));
        Self::of(&untangled(all))
    }
}

impl Stretch {
    fn new(entry: &Entry, step_seconds: f64) -> Self {
        let mut stretch = Self {
            start: entry.start,
            step_seconds,
            small: Vec::new(),
            bulk_blocks: Vec::new(),
            bulk_seconds: Vec::new(),
        };
        stretch.push(entry);
        stretch
    }

    fn continues(&self, entry: &Entry) -> bool {
        let end = self.start + self.step_seconds * self.small.len() as f64;
        (entry.start - end).abs() < TOUCHING_SECONDS
            && (entry.seconds - self.step_seconds).abs() < TOUCHING_SECONDS
    }

    fn push(&mut self, entry: &Entry) {
        self.small.push(rounded(entry.written.small));
        self.bulk_blocks.push(rounded(entry.written.bulk_blocks));
        let bulk = (entry.seconds - entry.calm_seconds).round();
        self.bulk_seconds.push(bulk);
    }

    fn trim(&mut self) {
        if self.bulk_blocks.iter().all(|blocks| *blocks <= 0.0) {
            self.bulk_blocks.clear();
            self.bulk_seconds.clear();
        }
    }

    /// Damaged steps, which only a foreign document has, are left out.
    fn entries(&self) -> impl Iterator<Item = Entry> {
        let sound = |value: f64| value.is_finite() && value >= 0.0;
        let at = |values: &[f64], k: usize| values.get(k).copied().unwrap_or(0.0);
        (0..self.small.len())
            .map(move |k| Entry {
                start: self.start + self.step_seconds * k as f64,
                seconds: self.step_seconds,
                written: Written {
                    small: self.small[k],
                    bulk_blocks: at(&self.bulk_blocks, k),
                },
                calm_seconds: (self.step_seconds - at(&self.bulk_seconds, k)).max(0.0),
            })
            .filter(move |entry| {
                entry.start.is_finite()
                    && entry.seconds > 0.0
                    && sound(entry.seconds)
                    && sound(entry.written.small)
                    && sound(entry.written.bulk_blocks)
                    && sound(entry.calm_seconds)
            })
    }
}

/// Four significant digits: finer than any metric is worth, and short on disk.
fn rounded(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 0.0;
    }
    let scale = 10.0_f64.powf(3.0 - value.log10().floor());
    (value * scale).round() / scale
}

/// Adds up what is old to coarser steps, and drops what is too old.
fn coarser(entries: &[Entry], now: f64) -> Vec<Entry> {
    let mut packed: Vec<Entry> = Vec::new();
    let mut bin: Option<Entry> = None;
    let mut known = 0.0;
    for entry in entries {
        let age = now - entry.start;
        if age > OLDEST_SECONDS {
            continue;
        }
        let step = step_for(age).filter(|step| entry.seconds < *step);
        let slot = step.map(|step| ((entry.start / step).floor() * step, step));
        if let Some(open) = bin.filter(|open| slot != Some((open.start, open.seconds))) {
            packed.extend(whole(open, known));
            (bin, known) = (None, 0.0);
        }
        let Some((start, seconds)) = slot else {
            packed.push(*entry);
            continue;
        };
        let open = bin.get_or_insert(Entry {
            start,
            seconds,
            written: Written::default(),
            calm_seconds: 0.0,
        });
        open.written = open.written.plus(entry.written);
        open.calm_seconds += entry.calm_seconds;
        known += entry.seconds;
    }
    packed.extend(bin.and_then(|open| whole(open, known)));
    untangled(packed)
}

fn step_for(age: f64) -> Option<f64> {
    let coarse = COARSER.iter().find(|(until, _)| age <= *until);
    coarse
        .filter(|_| age > AS_MEASURED_SECONDS)
        .map(|(_, step)| *step)
}

/// A step of which enough is known, scaled to its whole length.
fn whole(open: Entry, known: f64) -> Option<Entry> {
    (known >= KNOWN_SHARE * open.seconds).then(|| Entry {
        written: open.written.scaled(open.seconds / known),
        calm_seconds: (open.calm_seconds * open.seconds / known).min(open.seconds),
        ..open
    })
}

/// Where steps of two lengths meet they may overlap: the earlier one is cut.
fn untangled(mut entries: Vec<Entry>) -> Vec<Entry> {
    for k in 1..entries.len() {
        let next = entries[k].start;
        let entry = &mut entries[k - 1];
        if entry.end() > next + 1e-6 {
            let share = ((next - entry.start) / entry.seconds).clamp(0.0, 1.0);
            entry.seconds *= share;
            entry.calm_seconds *= share;
            entry.written = entry.written.scaled(share);
        }
    }
    entries.retain(|entry| entry.seconds > TOUCHING_SECONDS);
    entries
}
