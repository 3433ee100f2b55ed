//! Cloning a file: shared extents where the file system can, a sparse copy where it cannot.
//! It knows files only, not what they stand for.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, SeekFrom};

const COPY_CHUNK_LEN: usize = 1 << 20;

/// Whether two files in `dir` can share extents (FICLONE), found by trying.
pub(super) fn supported(dir: &Path) -> io::Result<bool> {
    let (from, to) = (dir.join(".reflink-probe-a"), dir.join(".reflink-probe-b"));
    let source = create(&from)?;
    source.write_all_at(&[1; 4096], 0)?;
    let shared = rustix::fs::ioctl_ficlone(create(&to)?, &source).is_ok();
    std::fs::remove_file(&from)?;
    std::fs::remove_file(&to)?;
    Ok(shared)
}

/// A new empty file that can be read and written.
pub(super) fn create(path: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
}

/// Makes `to` a clone of `from` as it is at one instant: the kernel holds writers off while it shares the extents.
/// What was written before but not yet flushed is flushed first, so that writers wait as briefly as can be.
pub(super) fn share(from: &File, to: &File) -> io::Result<()> {
    from.sync_data()?;
    rustix::fs::ioctl_ficlone(to, from)?;
    Ok(())
}

/// Copies the data extents of `from`, leaving holes. Not a point in time while something writes to `from`.
pub(super) fn copy_sparse(from: &File, to: &File) -> io::Result<()> {
    let len = from.metadata()?.len();
    to.set_len(len)?;
    for (start, end) in data_extents(from, len)? {
        copy_range(from, to, start, end)?;
    }
    Ok(())
}

/// Copies `start..end` by sharing where the file system can (`copy_file_range` tries that first).
pub(super) fn copy_range(from: &File, to: &File, start: u64, end: u64) -> io::Result<()> {
    let (mut source, mut target) = (start, start);
    while source < end {
        let len = usize::try_from(end - source).unwrap_or(usize::MAX);
        let copied =
            rustix::fs::copy_file_range(from, Some(&mut source), to, Some(&mut target), len);
        match copied {
            Ok(0) => break,
            Ok(_) => {}
            Err(
                rustix::io::Errno::XDEV | rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP,
            ) => {
                return copy_bytes(from, to, source, end);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Makes `start..end` a hole.
pub(super) fn punch_hole(file: &File, start: u64, end: u64) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(file, flags, start, end - start)?;
    Ok(())
}

/// The byte ranges below `len` that hold data (`SEEK_DATA`, `SEEK_HOLE`).
pub(super) fn data_extents(file: &File, len: u64) -> io::Result<Vec<(u64, u64)>> {
    let mut extents = Vec::new();
    let mut at = 0;
    while at < len {
        let start = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(rustix::io::Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(file, SeekFrom::Hole(start))?.min(len);
        extents.push((start, end));
        at = end.max(start + 1);
    }
    Ok(extents)
}

fn copy_bytes(from: &File, to: &File, start: u64, end: u64) -> io::Result<()> {
    let mut buffer = vec![0; COPY_CHUNK_LEN];
    let mut at = start;
    while at < end {
        let want = usize::try_from(end - at)
            .unwrap_or(COPY_CHUNK_LEN)
            .min(COPY_CHUNK_LEN);
        let read = from.read_at(&mut buffer[..want], at)?;
        if read == 0 {
            break;
        }
        to.write_all_at(&buffer[..read], at)?;
        at += read as u64;
    }
    Ok(())
}
