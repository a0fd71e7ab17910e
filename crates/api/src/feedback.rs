//! `POST /v1/feedback`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an answer was worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedbackRequest {
    /// Id of the answer, or of its request.
    pub id: String,
    /// More is better.
    pub score: Score,
}

/// A score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "must be a number from -1 to 1, true or false")]
pub enum Score {
    /// It served its purpose, or did not: 1 or 0.
    Good(bool),
    /// From -1 to 1.
    Value(#[schemars(range(min = -1, max = 1))] f64),
}

impl Score {
    /// As a number.
    #[must_use]
    pub fn value(self) -> f64 {
        match self {
            Self::Good(good) => f64::from(good),
            Self::Value(value) => value,
        }
    }
}
