//! What the wire itself remembers: how often each action was called, and the key of its tokens.
//!
//! Must not know what any action does.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::token::Sealer;

/// How often each action was called, by service and action.
pub type Calls = BTreeMap<(String, String), u64>;

/// The wire's own state; one per lab.
#[derive(Debug)]
pub struct Memory {
    sealer: Sealer,
    calls: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    calls: Calls,
    total: u64,
}

impl Memory {
    /// Begins with no calls; tokens follow from the seed.
    pub fn new(seed: u64) -> Memory {
        Memory {
            sealer: Sealer::new(seed),
            calls: Mutex::default(),
        }
    }

    /// Seals and opens this lab's tokens.
    pub fn sealer(&self) -> Sealer {
        self.sealer
    }

    /// How often each action was called so far, refused calls included.
    pub fn calls(&self) -> Calls {
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .calls
            .clone()
    }

    /// Counts one call and returns its request id, in the shape of a UUID.
    pub(super) fn count(&self, service: &str, action: &str) -> String {
        let mut counted = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *counted
            .calls
            .entry((service.to_owned(), action.to_owned()))
            .or_insert(0) += 1;
        counted.total += 1;
        format!("00000000-0000-4000-8000-{:012x}", counted.total)
    }
}
