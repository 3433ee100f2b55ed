//! Buffers whose first byte lies where O_DIRECT wants it, and a pool of them that holds one block each.
//!
//! A transfer fills and empties the same few buffers over and over: no page of them is made twice. There are only so
//! many: whoever wants one more waits, so that a transfer's memory is bounded whatever it has asked for.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Alignment that every device we know accepts.
const ALIGNMENT: usize = 4096;

/// An aligned buffer of fixed length.
#[derive(Debug, Default)]
pub struct Aligned {
    memory: Vec<u8>,
    from: usize,
    length: usize,
}

impl Aligned {
    /// A buffer of zeros.
    #[must_use]
    pub fn zeroed(length: usize) -> Self {
        let memory = vec![0; length + ALIGNMENT];
        let from = memory.as_ptr().align_offset(ALIGNMENT);
        Self {
            memory,
            from,
            length,
        }
    }
}

impl Deref for Aligned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.from..self.from + self.length]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.from..self.from + self.length]
    }
}

/// Whether bytes lie where O_DIRECT wants them.
#[must_use]
pub fn is_aligned(bytes: &[u8]) -> bool {
    bytes.as_ptr().addr().is_multiple_of(ALIGNMENT) && bytes.len().is_multiple_of(ALIGNMENT)
}

/// Bytes of a block.
pub const BLOCK: usize = 524_288;

/// Buffers on loan at most: 24 MiB, a batch on each of two cores and one that arrives.
pub const LENT_MOST: usize = 48;

/// Buffers of one block.
#[derive(Debug)]
pub struct Pool {
    free: Mutex<Vec<Aligned>>,
    permits: Arc<Semaphore>,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            free: Mutex::default(),
            permits: Arc::new(Semaphore::new(LENT_MOST)),
        }
    }
}

impl Pool {
    /// Whether all buffers are on loan.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.permits.available_permits() == 0
    }

    /// A buffer with nothing in it; it comes back when dropped. Waits while too many are on loan.
    pub async fn lend(self: &Arc<Self>) -> Lent {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.expect("nobody closes the semaphore");
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        Lent {
            buffer: free.pop().unwrap_or_else(|| Aligned::zeroed(BLOCK)),
            filled: 0,
            pool: Arc::clone(self),
            _permit: permit,
        }
    }
}

/// A buffer on loan; it reads as what has been put into it.
#[derive(Debug)]
pub struct Lent {
    buffer: Aligned,
    filled: usize,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Lent {
    /// Puts bytes behind those that are there; `None` when they are more than a block holds.
    pub fn put(&mut self, piece: &[u8]) -> Option<()> {
        let end = self.filled + piece.len();
        self.buffer
            .get_mut(self.filled..end)?
            .copy_from_slice(piece);
        self.filled = end;
        Some(())
    }

    /// The room that is left, to be filled from its beginning.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[self.filled..]
    }

    /// So many bytes of the room were filled.
    ///
    /// # Panics
    /// When there was less room.
    pub fn filled(&mut self, bytes: usize) {
        self.filled += bytes;
        assert!(
            self.filled <= self.buffer.len(),
            "more than there was room for"
        );
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        let mut free = self
            .pool
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        free.push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_aligned_and_as_long_as_asked() {
        for length in [512, 524_288, 1 << 20] {
            let buffer = Aligned::zeroed(length);
            assert_eq!(buffer.len(), length);
            assert!(buffer.as_ptr().addr().is_multiple_of(ALIGNMENT));
        }
    }

    #[tokio::test]
    async fn a_buffer_comes_back_and_begins_empty() {
        let pool = Arc::new(Pool::default());
        let mut lent = pool.lend().await;
        lent.put(b"abc").expect("room");
        lent.put(&[7; BLOCK - 3]).expect("just room");
        assert_eq!((lent.put(b"x"), lent.as_ref().len()), (None, BLOCK));
        drop(lent);
        assert!(pool.lend().await.as_ref().is_empty());
        assert_eq!(pool.free.lock().expect("nobody died").len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn one_more_than_there_are_is_waited_for() {
        let pool = Arc::new(Pool::default());
        let mut lent = Vec::new();
        for _ in 0..LENT_MOST {
            lent.push(pool.lend().await);
        }
        let wait = std::time::Duration::from_secs(60);
        assert!(tokio::time::timeout(wait, pool.lend()).await.is_err());
        lent.pop();
        assert!(tokio::time::timeout(wait, pool.lend()).await.is_ok());
    }
}
