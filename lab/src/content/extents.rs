//! The physical extents of a file (the kernel's FIEMAP ioctl), to find what two clones still share.
//! The only unsafe code of the lab is the one ioctl call here. It knows files only.

use std::fs::File;
use std::io;

use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

use super::blocks::{BLOCK_BYTES, BlockSet};

const EXTENTS_PER_CALL: usize = 256;
/// FIEMAP_FLAG_SYNC (linux/fiemap.h): flush the file before mapping it.
const FLAG_SYNC: u32 = 0x1;
/// FIEMAP_EXTENT_LAST: no extent follows.
const EXTENT_LAST: u32 = 0x1;
/// UNKNOWN, DELALLOC, ENCODED, DATA_ENCRYPTED, NOT_ALIGNED, DATA_INLINE, DATA_TAIL: the physical place says nothing.
const EXTENT_UNPLACED: u32 = 0x2 | 0x4 | 0x8 | 0x80 | 0x100 | 0x200 | 0x400;
/// FIEMAP_EXTENT_UNWRITTEN: allocated and reads as zeros.
const EXTENT_UNWRITTEN: u32 = 0x800;

/// One extent that holds data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub logical: u64,
    pub physical: u64,
    pub len: u64,
    /// Whether `physical` identifies the data.
    pub placed: bool,
}

/// `struct fiemap` of linux/fiemap.h without its flexible array.
#[repr(C)]
#[derive(Clone, Copy)]
struct Header {
    start: u64,
    length: u64,
    flags: u32,
    mapped_extents: u32,
    extent_count: u32,
    reserved: u32,
}

/// `struct fiemap_extent` of linux/fiemap.h.
#[repr(C)]
#[derive(Clone, Copy)]
struct RawExtent {
    logical: u64,
    physical: u64,
    length: u64,
    reserved64: [u64; 2],
    flags: u32,
    reserved: [u32; 3],
}

#[repr(C)]
struct Request {
    header: Header,
    extents: [RawExtent; EXTENTS_PER_CALL],
}

const FS_IOC_FIEMAP: Opcode = opcode::read_write::<Header>(b'f', 11);
const EMPTY: RawExtent = RawExtent {
    logical: 0,
    physical: 0,
    length: 0,
    reserved64: [0; 2],
    flags: 0,
    reserved: [0; 3],
};

/// The extents of a file that hold data, in order of their logical place.
pub(super) fn data_extents(file: &File) -> io::Result<Vec<Extent>> {
    let mut found = Vec::new();
    let mut start = 0;
    loop {
        let request = fiemap(file, start)?;
        let mapped = usize::try_from(request.header.mapped_extents).unwrap_or(0);
        let raw = &request.extents[..mapped.min(EXTENTS_PER_CALL)];
        found.extend(
            raw.iter()
                .filter(|e| e.flags & EXTENT_UNWRITTEN == 0)
                .map(extent),
        );
        match raw.last() {
            Some(last) if last.flags & EXTENT_LAST == 0 => start = last.logical + last.length,
            _ => return Ok(found),
        }
    }
}

/// The blocks in which two lists of extents do not name the same physical data.
pub(super) fn differing_blocks(new: &[Extent], old: &[Extent]) -> BlockSet {
    let mut blocks = BlockSet::new();
    add_unshared(new, old, &mut blocks);
    add_unshared(old, new, &mut blocks);
    blocks
}

/// Adds the blocks of every stretch of `of` that `with` does not share.
fn add_unshared(of: &[Extent], with: &[Extent], blocks: &mut BlockSet) {
    let mut first = 0;
    for extent in of {
        let (mut at, end) = (extent.logical, extent.logical + extent.len);
        while with.get(first).is_some_and(|e| e.logical + e.len <= at) {
            first += 1;
        }
        for other in with[first..].iter().take_while(|e| e.logical < end) {
            if shares(extent, other) {
                add_bytes(blocks, at, other.logical.max(at));
                at = end.min(other.logical + other.len);
            }
        }
        add_bytes(blocks, at, end);
    }
}

fn shares(a: &Extent, b: &Extent) -> bool {
    let place = |e: &Extent| e.physical.wrapping_sub(e.logical);
    a.placed && b.placed && place(a) == place(b)
}

fn add_bytes(blocks: &mut BlockSet, start: u64, end: u64) {
    if start < end {
        blocks.insert_range(start / BLOCK_BYTES, end.div_ceil(BLOCK_BYTES));
    }
}

fn extent(raw: &RawExtent) -> Extent {
    let placed = raw.flags & EXTENT_UNPLACED == 0;
    Extent {
        logical: raw.logical,
        physical: raw.physical,
        len: raw.length,
        placed,
    }
}

#[expect(
    unsafe_code,
    reason = "FIEMAP has no safe wrapper; the struct is laid out as in linux/fiemap.h"
)]
fn fiemap(file: &File, start: u64) -> io::Result<Box<Request>> {
    let extent_count = u32::try_from(EXTENTS_PER_CALL).unwrap_or(0);
    let length = u64::MAX - start;
    let header = Header {
        start,
        length,
        flags: FLAG_SYNC,
        mapped_extents: 0,
        extent_count,
        reserved: 0,
    };
    let mut request = Box::new(Request {
        header,
        extents: [EMPTY; EXTENTS_PER_CALL],
    });
    // SAFETY: the kernel writes the header and at most `extent_count` extents behind it, all of which `Request` holds.
    unsafe { ioctl(file, Updater::<FS_IOC_FIEMAP, Request>::new(&mut request))? };
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1024;

    fn at(logical_kib: u64, physical_kib: u64, len_kib: u64) -> Extent {
        Extent {
            logical: logical_kib * KIB,
            physical: physical_kib * KIB,
            len: len_kib * KIB,
            placed: true,
        }
    }

    fn differing(new: &[Extent], old: &[Extent]) -> Vec<u64> {
        let blocks = differing_blocks(new, old);
        assert_eq!(
            blocks,
            differing_blocks(old, new),
            "the comparison is symmetric"
        );
        blocks.iter().collect()
    }

    #[test]
    fn shared_extents_are_equal_however_they_are_split() {
        let whole = [at(0, 8192, 2048)];
        let split = [at(0, 8192, 700), at(700, 8892, 1348)];
        assert_eq!(differing(&whole, &split), Vec::<u64>::new());
    }

    #[test]
    fn rewritten_new_and_missing_stretches_differ() {
        let old = [at(0, 8192, 2048)];
        let rewritten = [at(0, 8192, 512), at(512, 99_000, 4), at(516, 8708, 1532)];
        assert_eq!(differing(&rewritten, &old), vec![1]);
        assert_eq!(
            differing(&[at(0, 8192, 2048), at(4096, 50_000, 4)], &old),
            vec![8]
        );
        assert_eq!(differing(&[at(0, 8192, 1024)], &old), vec![2, 3]);
        let unplaced = [Extent {
            placed: false,
            ..old[0]
        }];
        assert_eq!(differing(&unplaced, &unplaced), vec![0, 1, 2, 3]);
    }
}
