//! A block that was looked up and is still to be read: whoever looked it up need not hold the world meanwhile,
//! so that many blocks are read at once. It must not know who may read it.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::io::Errno;

use super::blocks::{BLOCK_BYTES, BLOCK_LEN};
use super::pattern::{self, Identity};
use super::{Content, ContentError};

/// A block to read; it stays readable when its content is removed meanwhile.
#[derive(Debug)]
pub struct Reader {
    block: u64,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Image(Arc<File>, PathBuf),
    Traced(Option<Identity>),
}

impl Content {
    /// Looks a block up.
    ///
    /// # Errors
    /// [`ContentError::OutOfRange`].
    pub fn reader(&self, block: u64) -> Result<Reader, ContentError> {
        self.check_range(block)?;
        let source = match self {
            Self::Traced(map) => Source::Traced(map.identity(block)),
            Self::Real(image) => Source::Image(image.file(), image.path().to_owned()),
        };
        Ok(Reader { block, source })
    }
}

impl Reader {
    /// The 524 288 bytes of the block; zeros where nothing was written.
    ///
    /// # Errors
    /// [`ContentError::Io`] when the image cannot be read.
    pub fn read(self) -> Result<Bytes, ContentError> {
        match self.source {
            Source::Image(file, path) => {
                block_of(&file, self.block).map_err(|source| ContentError::Io {
                    action: "reading",
                    path,
                    source,
                })
            }
            Source::Traced(None) => Ok(Bytes::from_static(&[0; BLOCK_LEN])),
            Source::Traced(Some(identity)) => Ok(pattern::encode(self.block, &identity)),
        }
    }
}

/// One block of an image, read into memory that nobody had to clear first.
pub(super) fn block_of(file: &File, block: u64) -> io::Result<Bytes> {
    let mut data = Vec::with_capacity(BLOCK_LEN);
    while data.len() < BLOCK_LEN {
        let at = block * BLOCK_BYTES + data.len() as u64;
        match rustix::io::pread(file, spare_capacity(&mut data), at) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    data.resize(BLOCK_LEN, 0);
    Ok(data.into())
}
