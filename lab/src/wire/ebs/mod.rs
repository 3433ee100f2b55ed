//! The EBS direct APIs (REST-JSON): list, compare, read and write the blocks of snapshots.
//!
//! Must not know EC2's Query protocol nor how blocks are kept.

mod checksum;
mod paging;
mod read;
mod refusal;
mod request;
mod write;

use bytes::Bytes;
use http::Response;
use http::request::Parts;

#[cfg(test)]
pub use checksum::{of as sha, text as sha_text};
pub use refusal::response as error_response;
pub use request::Target;

use crate::Lab;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::wire::form::Form;

/// One EBS direct request.
struct Call<'a> {
    lab: &'a Lab,
    caller: &'a Caller,
    parts: &'a Parts,
    query: Form,
    body: &'a Bytes,
}

/// Answers one EBS direct request.
///
/// # Errors
/// The operation's exceptions; codes as the world writes them, `EXCEPTION/REASON`.
pub fn answer(
    lab: &Lab,
    caller: &Caller,
    target: &Target,
    (parts, body): (&Parts, &Bytes),
) -> Result<Response<Bytes>, ApiError> {
    let call = Call {
        lab,
        caller,
        parts,
        query: request::query_of(parts),
        body,
    };
    match target {
        Target::ListSnapshotBlocks(id) => read::list_snapshot_blocks(&call, id),
        Target::ListChangedBlocks(second) => read::list_changed_blocks(&call, second),
        Target::GetSnapshotBlock(id, block) => read::get_snapshot_block(&call, id, block),
        Target::PutSnapshotBlock(id, block) => write::put_snapshot_block(&call, id, block),
        Target::StartSnapshot => write::start_snapshot(&call),
        Target::CompleteSnapshot(id) => write::complete_snapshot(&call, id),
    }
}
