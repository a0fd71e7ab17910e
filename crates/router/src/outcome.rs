//! How one attempt on a worker ended.

use fathom_proto::ErrorCode;

/// How one attempt on a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was complete.
    Finished,
    /// The caller went away, or another attempt was faster.
    Dropped,
    /// It failed, at its begin or later.
    Failed(ErrorCode),
}

/// What an outcome says of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It works.
    Success,
    /// It does not: the breaker counts it.
    Failure,
    /// It has enough to do: the balancer counts it, the breaker does not.
    Refusal,
    /// Nothing: the caller is at fault, or went away.
    Nothing,
}

impl Outcome {
    /// The table of what counts as an error of a worker.
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Finished => Verdict::Success,
            Self::Dropped => Verdict::Nothing,
            Self::Failed(code) => match code {
                ErrorCode::Internal
                | ErrorCode::WorkerFailed
                | ErrorCode::Unavailable
                | ErrorCode::ShuttingDown
                | ErrorCode::DeadlineExceeded => Verdict::Failure,
                ErrorCode::RateLimited | ErrorCode::Overloaded => Verdict::Refusal,
                ErrorCode::InvalidRequest
                | ErrorCode::ContextLengthExceeded
                | ErrorCode::Unauthenticated
                | ErrorCode::PermissionDenied
                | ErrorCode::ModelNotFound
                | ErrorCode::NotFound
                | ErrorCode::Conflict
                | ErrorCode::Gone
                | ErrorCode::MethodNotAllowed
                | ErrorCode::RequestTimeout
                | ErrorCode::PayloadTooLarge
                | ErrorCode::UnsupportedMediaType
                | ErrorCode::WebSocketStreamLimit
                | ErrorCode::Cancelled => Verdict::Nothing,
            },
        }
    }

    /// As metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Dropped => "dropped",
            Self::Failed(code) => code.row().name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CB-3: server errors and timeouts count, client errors, refusals and cancels do not.
    #[test]
    fn cb_3_every_outcome_has_its_verdict() {
        assert_eq!(Outcome::Finished.verdict(), Verdict::Success);
        assert_eq!(Outcome::Dropped.verdict(), Verdict::Nothing);
        for code in ErrorCode::ALL {
            let expected = match code.row().name {
                "rate_limit_exceeded" | "overloaded" => Verdict::Refusal,
                _ if code.row().http >= 500 => Verdict::Failure,
                _ => Verdict::Nothing,
            };
            assert_eq!(Outcome::Failed(code).verdict(), expected, "{code}");
        }
    }
}
