//! A simulated AWS below the wire: what stands behind the endpoints, for rehearsals and tests.
//!
//! It must not know the product or the forecaster: it writes blocks and takes time, nothing more.

mod caller;
mod clock;
pub mod content;
mod error;
pub mod scenario;
pub mod workload;
mod wire;

pub use caller::Caller;
pub use clock::{LabClock, seconds, seconds_between};
pub use error::{ApiError, LabError};
pub use scenario::{Scenario, ScenarioError};
