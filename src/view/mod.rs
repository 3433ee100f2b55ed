//! Values as text for people: pure functions from a value of `models` to a `String`.
//!
//! Nothing here prints, reads a clock or decides anything.

pub mod units;
