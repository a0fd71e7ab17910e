//! The port where callers say what an answer was worth. The router implements it.

use crate::Error;
use crate::id::{RequestId, TenantId};

/// Takes the scores of requests.
#[tonic::async_trait]
pub trait Feedback: Send + Sync {
    /// Scores a request of `tenant`, in place of the score that it had.
    /// [`crate::ErrorCode::NotFound`] when no request of the tenant with this id is part of an
    /// experiment, whatever the reason.
    async fn score(
        &self,
        tenant: &TenantId,
        request: &RequestId,
        score: Score,
    ) -> Result<(), Error>;
}

/// What an answer was worth: from -1 to 1, more is better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score(f64);

impl Score {
    /// A score; `None`: it is none.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        (-1.0..=1.0).contains(&value).then_some(Self(value))
    }

    /// From -1 to 1.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }
}
