//! The helper on a database host: fences, freezes, thaws, keeps the lease, and brings the target up.
//!
//! What may happen is decided by two small pure machines ([`fence`] and [`freeze`]).

pub mod clock;
pub mod fence;
pub mod freeze;
