//! Where volumes hold what they hold: in version maps, or in image files under a directory.
//! It must not know which volume wants it or why.

use std::sync::Arc;

use crate::content::{BLOCKS_PER_GIB, Content, ContentError, Image, ImageStore, VersionMap};

/// What new volumes are made of.
#[derive(Debug, Clone)]
pub enum Storage {
    /// Version maps: no bytes.
    Traced,
    /// Image files in a directory.
    Images(Arc<ImageStore>),
}

impl Storage {
    /// A volume whose first `written_gib` GiB were written before the lab's start. An image begins
    /// empty: its bytes are whatever is written to it.
    pub fn volume(
        &self,
        id: &str,
        size_gib: u64,
        written_gib: f64,
    ) -> Result<Content, ContentError> {
        match self {
            Storage::Traced => {
                let mut map = VersionMap::new(id, size_gib);
                map.fill(0, blocks(written_gib), 1);
                Ok(Content::Traced(map))
            }
            Storage::Images(store) => Ok(Content::Real(Image::create_volume(store, id, size_gib)?)),
        }
    }

    /// The empty content of a snapshot that is written block by block.
    pub fn snapshot(&self, id: &str, size_gib: u64) -> Result<Content, ContentError> {
        match self {
            Storage::Traced => Ok(Content::Traced(VersionMap::new(id, size_gib))),
            Storage::Images(store) => {
                Ok(Content::Real(Image::create_snapshot(store, id, size_gib)?))
            }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a checked scenario's sizes are between 0 and 65536 GiB"
)]
fn blocks(gib: f64) -> u64 {
    (gib * BLOCKS_PER_GIB as f64).round() as u64
}
