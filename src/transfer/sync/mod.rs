//! Brings a device or file from one snapshot's content to another's over the EBS direct APIs.
//!
//! ```text
//! listing -> index -> calls (paced, hedged) -> batch: check, keep, write -> settle: sync, read back, note
//! ```
//!
//! A whole snapshot is the delta from nothing. The set of blocks that the listing shows, the set written and
//! the set read back are the same at the end, or the sync failed. It emits progress and never prints.

mod aligned;
mod batch;
mod bitmap;
mod calls;
mod engine;
mod error;
mod flow;
mod index;
mod listing;
mod pace;
mod progress;
mod record;
mod start;
mod state;
mod take_back;
mod target;
mod undo;

pub use error::SyncError;
pub use progress::{Bound, Progress};
pub use start::{Request, sync};
pub use take_back::undo;
