//! The end of a chain whose next snapshot is taken while the last copy still runs.
//!
//! The executor takes one round at a time and does not do this: it is played to say what it would gain. Copies of
//! one lineage follow one another (AWS EBS user guide, copying snapshots), so the final copy waits for the one before.

use super::{Chain, Itinerary, Since};
use crate::draws::Draw;

impl Chain {
    /// Write downtime when the last round's snapshot is taken so late that it is completed, and its copy begun, by
    /// the fence; never longer than round by round.
    #[must_use]
    pub fn pipelined_seconds(&self, itinerary: &Itinerary, draw: &Draw) -> f64 {
        let run = self.run(itinerary, draw);
        let plain = run.cutover.write_downtime_seconds;
        let [.., before, last] = run.rounds.as_slice() else {
            return plain;
        };
        let (index, fence) = (run.rounds.len(), run.cutover.round.at);
        let since = match index {
            2 => Since::unflushed(before.at),
            _ => Since::flushed(before.at),
        };
        let at = (fence - last.snapshot_seconds.max(last.transfer_seconds)).max(last.at);
        let late = self.round(since, at, index - 1, draw);
        let end = self.cutover(Since::flushed(at), fence, index, draw);
        let waits = late.ready() - (fence + end.round.snapshot_seconds);
        plain.min(end.write_downtime_seconds + waits.max(0.0))
    }
}
