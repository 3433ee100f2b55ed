//! What volumes and snapshots hold, traced (versions, no bytes) or real (bytes in an image file).
//! It must not know accounts, lineage, time or the wire: it clones, compares and merges what it is given.

pub mod blocks;
mod extents;
pub mod image;
pub mod mark;
mod pattern;
mod reader;
mod reflink;
pub mod versions;

use std::io;
use std::path::PathBuf;

use bytes::Bytes;

pub use blocks::{BLOCK_BYTES, BLOCK_LEN, BLOCKS_PER_GIB, BlockSet};
pub use image::{Image, ImageStore};
pub use mark::{WriteMark, format_lsn, parse_lsn};
pub use reader::Reader;
pub use versions::VersionMap;

/// The content of one volume or snapshot. A clone of bytes is another name for the same image.
#[derive(Debug, Clone)]
pub enum Content {
    /// Versions per block, no bytes.
    Traced(VersionMap),
    /// Bytes in an image file.
    Real(Image),
}

/// Why content could not be read, written or cloned.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// A file operation failed.
    #[error("{action} failed on image {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The image file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A directory that another lab holds.
    #[error("another lab is using {}: stop it, or give this one a directory of its own", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// A block beyond the end.
    #[error("block {block} is beyond the end of the content, which has {blocks} blocks")]
    OutOfRange {
        /// The block asked for.
        block: u64,
        /// Blocks there are.
        blocks: u64,
    },
    /// Data that is not one block long.
    #[error("a block is 524288 bytes, {len} bytes were given for block {block}")]
    WrongLength {
        /// The block to be written.
        block: u64,
        /// Bytes given.
        len: usize,
    },
    /// Bytes that no traced volume made.
    #[error(
        "block {block} does not hold the bytes of a traced block: a traced volume can only take those"
    )]
    NotTraced {
        /// The block to be written.
        block: u64,
    },
    /// A block that another traced volume made.
    #[error("block {block} was written by {found}, this content holds blocks of {origin}")]
    ForeignBlock {
        /// The block to be written.
        block: u64,
        /// Origin of this content.
        origin: String,
        /// Origin of the block.
        found: String,
    },
    /// Traced and real content cannot be compared or merged.
    #[error("traced and byte-holding content cannot be combined")]
    MixedKinds,
    /// The volume is smaller than what it should hold.
    #[error("a volume of {size_gib} GiB cannot hold a snapshot of {needed_gib} GiB")]
    TooSmall {
        /// The volume's size.
        size_gib: u64,
        /// The snapshot's size.
        needed_gib: u64,
    },
}

impl Content {
    /// An atomic clone at this point in time, for a snapshot. Real: DIR/snapshots/ID.img.
    ///
    /// # Errors
    /// [`ContentError::Io`] when the image cannot be cloned.
    pub fn freeze_clone(&self, id: &str) -> Result<Self, ContentError> {
        match self {
            Self::Traced(map) => Ok(Self::Traced(map.clone())),
            Self::Real(image) => image.clone_snapshot(id).map(Self::Real),
        }
    }

    /// The allocated blocks: every block ever written.
    ///
    /// # Errors
    /// [`ContentError::Io`] when the image cannot be read.
    pub fn written_blocks(&self) -> Result<BlockSet, ContentError> {
        match self {
            Self::Traced(map) => Ok(map.written_blocks()),
            Self::Real(image) => image.written_blocks(),
        }
    }

    /// The blocks that differ, in either direction.
    ///
    /// # Errors
    /// [`ContentError::MixedKinds`], or [`ContentError::Io`] when an image cannot be read.
    pub fn changed_since(&self, older: &Self) -> Result<BlockSet, ContentError> {
        match (self, older) {
            (Self::Traced(new), Self::Traced(old)) => Ok(new.changed_since(old)),
            (Self::Real(new), Self::Real(old)) => new.changed_since(old),
            _ => Err(ContentError::MixedKinds),
        }
    }

    /// A new content `id`: this one with the blocks of `delta` taken from `newer`, the way an incremental copy is built.
    ///
    /// # Errors
    /// [`ContentError::MixedKinds`], or [`ContentError::Io`] when an image cannot be written.
    pub fn overlay(&self, id: &str, delta: &BlockSet, newer: &Self) -> Result<Self, ContentError> {
        match (self, newer) {
            (Self::Traced(old), Self::Traced(new)) => Ok(Self::Traced(old.overlay(delta, new))),
            (Self::Real(old), Self::Real(new)) => old.overlay(id, delta, new).map(Self::Real),
            _ => Err(ContentError::MixedKinds),
        }
    }

    /// The 524 288 bytes of a block; zeros where nothing was written.
    ///
    /// # Errors
    /// [`ContentError::OutOfRange`], or [`ContentError::Io`] when the image cannot be read.
    pub fn read_block(&self, block: u64) -> Result<Bytes, ContentError> {
        self.reader(block)?.read()
    }

    /// Writes one block. Traced content takes only bytes that came from a traced block, and zeros.
    ///
    /// # Errors
    /// [`ContentError::OutOfRange`], [`ContentError::WrongLength`], [`ContentError::NotTraced`],
    /// [`ContentError::ForeignBlock`], or [`ContentError::Io`].
    pub fn write_block(&mut self, block: u64, data: &[u8]) -> Result<(), ContentError> {
        self.check_range(block)?;
        if data.len() != BLOCK_LEN {
            return Err(ContentError::WrongLength {
                block,
                len: data.len(),
            });
        }
        match self {
            Self::Traced(map) => write_traced(map, block, data),
            Self::Real(image) => image.write_block(block, data),
        }
    }

    /// The content of a new volume made from this snapshot. Real: DIR/volumes/ID.img, grown to `size_gib`.
    ///
    /// # Errors
    /// [`ContentError::TooSmall`], or [`ContentError::Io`] when the image cannot be cloned.
    pub fn to_volume(&self, volume_id: &str, size_gib: u64) -> Result<Self, ContentError> {
        match self {
            Self::Traced(map) => map.grown_to(size_gib).map(Self::Traced),
            Self::Real(image) => image.clone_volume(volume_id, size_gib).map(Self::Real),
        }
    }

    /// Blocks that the content can hold.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        match self {
            Self::Traced(map) => map.blocks(),
            Self::Real(image) => image.blocks(),
        }
    }

    /// The mark of the database that wrote traced content.
    #[must_use]
    pub fn mark(&self) -> Option<&WriteMark> {
        match self {
            Self::Traced(map) => map.mark(),
            Self::Real(_) => None,
        }
    }

    /// Gives the storage back: removes the image file of real content.
    ///
    /// # Errors
    /// [`ContentError::Io`] when the file cannot be removed.
    pub fn discard(self) -> Result<(), ContentError> {
        match self {
            Self::Traced(_) => Ok(()),
            Self::Real(image) => image.discard(),
        }
    }

    fn check_range(&self, block: u64) -> Result<(), ContentError> {
        let blocks = self.blocks();
        if block < blocks {
            Ok(())
        } else {
            Err(ContentError::OutOfRange { block, blocks })
        }
    }
}

fn write_traced(map: &mut VersionMap, block: u64, data: &[u8]) -> Result<(), ContentError> {
    let identity = pattern::decode(block, data)?;
    let (version, mark) = match identity {
        None => (0, None),
        Some(found) => {
            check_origin(map, block, &found.origin)?;
            (found.version, found.mark)
        }
    };
    map.set(block, version);
    if block == 0 {
        map.put_mark(mark);
    }
    Ok(())
}

fn check_origin(map: &mut VersionMap, block: u64, found: &str) -> Result<(), ContentError> {
    if map.origin() == found {
        return Ok(());
    }
    if map.written_blocks().is_empty() {
        map.adopt_origin(found);
        return Ok(());
    }
    let (origin, found) = (map.origin().to_owned(), found.to_owned());
    Err(ContentError::ForeignBlock {
        block,
        origin,
        found,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traced(origin: &str) -> Content {
        let mut map = VersionMap::new(origin, 1);
        map.fill(0, 10, 1);
        map.set_mark(
            WriteMark {
                lsn: 77,
                ..WriteMark::default()
            },
            5,
        );
        Content::Traced(map)
    }

    #[test]
    fn block_bytes_rebuild_a_traced_volume_with_its_mark() {
        let source = traced("vol-a");
        let mut target = Content::Traced(VersionMap::new("vol-b", 1));
        for block in source.written_blocks().expect("traced").iter() {
            target
                .write_block(block, &source.read_block(block).expect("read"))
                .expect("write");
        }
        assert!(target.changed_since(&source).expect("traced").is_empty());
        assert_eq!(target.mark(), source.mark());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut content = traced("vol-a");
        let foreign = traced("vol-b").read_block(3).expect("read");
        assert!(matches!(
            content.read_block(2048),
            Err(ContentError::OutOfRange { .. })
        ));
        assert!(matches!(
            content.write_block(3, &foreign),
            Err(ContentError::ForeignBlock { .. })
        ));
        assert!(matches!(
            content.write_block(3, b"short"),
            Err(ContentError::WrongLength { .. })
        ));
        assert!(matches!(
            content.write_block(3, &vec![1; BLOCK_LEN]),
            Err(ContentError::NotTraced { .. })
        ));
    }
}
