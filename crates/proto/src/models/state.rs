//! Which version of a model answers whom.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::ModelId;

/// Which version of a model answers whom, and what else can be changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ModelState {
    /// The version that answers; `null`: the model has none and is served under its own name.
    pub stable: Option<u32>,
    /// The versions that a rollback reaches, the next one first; at most three.
    pub previous: Vec<u32>,
    /// The version that is tried out.
    pub canary: Option<Canary>,
    /// The model that answers when no worker of this one can.
    pub fallback: Option<ModelId>,
    /// Whether a second worker is asked when the first is slow to begin.
    pub hedging: bool,
}

/// A version that is tried out with some of the users.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Canary {
    /// Its number.
    pub version: u32,
    /// Users of 100 that it answers, 1 to 99.
    pub percent: u32,
    /// What ends the trial.
    pub guard: Guard,
    /// When the trial began.
    pub since: i64,
}

/// What ends a trial by itself, in comparison with the stable version.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Guard {
    /// How much larger the share of requests that fail may be, above 0, at most 1.
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    pub max_error_increase: f64,
    /// How many times as long the first token may take, as the 99th percentile; 1 to 1,000.
    #[schemars(range(min = 1, max = 1000))]
    pub max_first_token_ratio: f64,
    /// How many requests of either version must be over before they are compared; 10 to 1,000,000.
    #[schemars(range(min = 10, max = 1_000_000))]
    pub min_requests: u32,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            max_error_increase: 0.02,
            max_first_token_ratio: 1.5,
            min_requests: 100,
        }
    }
}
