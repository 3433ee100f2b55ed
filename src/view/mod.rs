//! Values as text for people: pure functions from a value of `models` to a `String`.
//!
//! Nothing here prints, reads a clock or decides anything.

mod campaign;
mod findings;
mod plan;
mod profile;
mod progress;
mod report;
mod runbook;
mod spread;
mod status;
mod table;
pub mod units;
mod verify;
mod words;

pub use campaign::campaign;
pub use findings::findings;
pub use plan::plan;
pub use profile::profile;
pub use progress::line;
pub use report::{report, verification};
pub use runbook::{Runbook, runbook};
pub use status::status;
pub use verify::device;
