//! What a block is to become. It knows neither where it comes from nor where it goes.

use bytes::Bytes;

/// What a block is to become.
#[derive(Clone, Debug)]
pub enum Content {
    /// These bytes.
    Bytes(Bytes),
    /// Zeros.
    Zeros,
}

impl Content {
    /// Whether these bytes are it.
    #[must_use]
    pub fn is(&self, now: &[u8]) -> bool {
        match self {
            Self::Bytes(bytes) => bytes == now,
            Self::Zeros => now.iter().all(|byte| *byte == 0),
        }
    }

    /// Whether it is zeros by name: zeros hold no bytes.
    #[must_use]
    pub const fn is_zeros(&self) -> bool {
        matches!(self, Self::Zeros)
    }
}
