//! Brings a device or file from one snapshot's content to another's over the EBS direct APIs.
//!
//! ```text
//! listing -> index -> calls (paced, hedged) -> batch: check, keep, write -> settle: sync, read back, note
//! ```
//!
//! A whole snapshot is the delta from nothing. The set of blocks that the listing shows, the set written and
//! the set read back are the same at the end, or the sync failed. It emits progress and never prints.

mod batch;
mod bitmap;
mod calls;
mod content;
mod engine;
mod error;
mod flow;
mod index;
mod listing;
mod onto;
mod pace;
mod patience;
mod progress;
mod puts;
mod record;
mod source;
mod start;
mod state;
mod sweep;
mod take_back;
mod target;
mod undo;

pub use error::SyncError;
pub use onto::{OntoRequest, onto};
pub use progress::{Bound, Progress};
pub use start::{Request, sync};
pub use take_back::undo;
pub use target::device_seal;

/// What a comparison of a device with a snapshot is made of, too.
pub(super) mod parts {
    pub use super::bitmap::Bitmap;
    pub use super::calls::Calls;
    pub use super::ended;
    pub use super::index::{Index, Wanted};
    pub use super::listing::Listing;
    pub use super::source::Source;
    pub use super::start::readable;
    pub use super::state::Sha;
    pub use super::sweep::{Sweep, Work};
}

/// What a task returned; an error when it ended early.
///
/// # Errors
/// [`SyncError::Integrity`].
pub fn ended<T>(result: Result<T, tokio::task::JoinError>) -> Result<T, SyncError> {
    result.map_err(|error| SyncError::Integrity(format!("a task of the sync ended early: {error}")))
}
