//! Write processes.
pub mod chance;
