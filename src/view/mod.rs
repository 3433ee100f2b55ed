//! Values as text for people: pure functions from a value of `models` to a `String`.
//!
//! Nothing here prints, reads a clock or decides anything.

mod backtest;
mod backtest_plot;
mod campaign;
mod faults;
mod findings;
mod fleet;
mod fleet_timeline;
mod plan;
mod profile;
mod progress;
mod report;
mod rivals;
mod runbook;
mod spread;
mod status;
mod sync;
mod table;
mod trial;
pub mod units;
mod verify;
mod window_choice;
mod words;

pub use backtest::{backtest, derived_prior, goals as backtest_goals};
pub use backtest_plot::plot as backtest_plot;
pub use campaign::campaign;
pub use faults::faults;
pub use findings::findings;
pub use fleet::fleet;
pub use fleet_timeline::timeline as fleet_timeline;
pub use plan::plan;
pub use profile::profile;
pub use progress::line;
pub use report::{report, verification};
pub use rivals::rivals;
pub use runbook::{Runbook, runbook};
pub use status::status;
pub use sync::{hydration, hydration_progress, sync, sync_progress};
pub use trial::trial;
pub use verify::device;
pub use window_choice::{ChoiceRegret, choice_words, window_choice};
