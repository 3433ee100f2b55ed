//! From observations to quantiles of every delta, duration, clock and the cost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The fitted models of one consistency group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FittedModel {}
