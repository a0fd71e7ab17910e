//! Whether a request that failed is tried again, and when.

use std::num::NonZeroU32;
use std::time::Duration;

use fathom_kit::backoff::Backoff;
use fathom_proto::{Error, ErrorCode};
use serde::{Deserialize, Serialize};

/// The longest delay.
const LONGEST: Duration = Duration::from_secs(30);

/// `[router.retry]`
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryConfig {
    /// How often a request is tried in all; workers that cannot be reached do not count.
    pub attempts: NonZeroU32,
    /// How long to wait for the only worker after its first failure; twice as long after each
    /// further one.
    #[serde(with = "humantime_serde")]
    pub first_delay: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            attempts: NonZeroU32::MIN.saturating_add(2),
            first_delay: Duration::from_secs(1),
        }
    }
}

/// What is left of one request's tries.
pub(super) struct Retry {
    left: u32,
    backoff: Backoff,
}

/// What to do after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Tell the caller.
    GiveUp,
    /// Ask another worker.
    Now,
    /// Wait for a worker that comes up, or ask the same one after so long.
    Later(Duration),
}

impl Retry {
    pub fn new(config: RetryConfig) -> Self {
        Self {
            left: config.attempts.get(),
            backoff: Backoff::new(config.first_delay, LONGEST.max(config.first_delay)),
        }
    }

    /// What to do about `error`, given whether there are workers that were not asked yet.
    pub fn after(&mut self, error: &Error, others: bool) -> Next {
        // Nothing has run on a worker that cannot be reached, and the registry forgets it.
        if error.is_unreachable() && others {
            return Next::Now;
        }
        self.left = self.left.saturating_sub(1);
        match error.code {
            _ if self.left == 0 => Next::GiveUp,
            ErrorCode::Unavailable
            | ErrorCode::WorkerFailed
            | ErrorCode::ShuttingDown
            | ErrorCode::Overloaded
                if others =>
            {
                Next::Now
            }
            ErrorCode::Unavailable | ErrorCode::WorkerFailed | ErrorCode::ShuttingDown => {
                let asked = error.retry_after.unwrap_or_default();
                Next::Later(self.backoff.next_delay().max(asked))
            }
            _ => Next::GiveUp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry() -> Retry {
        Retry::new(RetryConfig::default())
    }

    fn error(code: ErrorCode) -> Error {
        Error::new(code, "failed")
    }

    #[test]
    fn only_what_another_worker_may_do_better_is_tried_again() {
        let tried = [
            ErrorCode::WorkerFailed,
            ErrorCode::Overloaded,
            ErrorCode::Unavailable,
            ErrorCode::ShuttingDown,
        ];
        for code in ErrorCode::ALL {
            let next = retry().after(&error(code), true);
            assert_eq!(next == Next::Now, tried.contains(&code), "{code}");
        }
    }

    #[test]
    fn the_only_worker_gets_time_unless_it_is_merely_busy() {
        for code in [
            ErrorCode::WorkerFailed,
            ErrorCode::Unavailable,
            ErrorCode::ShuttingDown,
        ] {
            let next = retry().after(&error(code), false);
            assert!(matches!(next, Next::Later(_)), "{code}");
        }
        let busy = retry().after(&error(ErrorCode::Overloaded), false);
        assert_eq!(busy, Next::GiveUp);
    }

    #[test]
    fn delays_double_and_respect_what_the_worker_asks_for() {
        let mut retry = Retry::new(RetryConfig {
            attempts: NonZeroU32::MAX,
            ..RetryConfig::default()
        });
        let mut delay = Duration::from_secs(1);
        for _ in 0..5 {
            let Next::Later(waited) = retry.after(&error(ErrorCode::WorkerFailed), false) else {
                panic!("there are tries left");
            };
            assert!(delay / 2 <= waited && waited <= delay, "{waited:?}");
            delay *= 2;
        }
        let asked = error(ErrorCode::Unavailable).retry_after(Duration::from_secs(60));
        let next = retry.after(&asked, false);
        assert_eq!(next, Next::Later(Duration::from_secs(60)));
    }

    #[test]
    fn tries_end_and_unreachable_workers_do_not_count() {
        let mut retry = retry();
        let unreachable = Error::from(tonic::Status::unavailable("connection refused"));
        for _ in 0..100 {
            assert_eq!(retry.after(&unreachable, true), Next::Now);
        }
        let failed = error(ErrorCode::WorkerFailed);
        assert_eq!(retry.after(&failed, true), Next::Now);
        let answered = error(ErrorCode::Unavailable);
        assert_eq!(retry.after(&answered, true), Next::Now);
        assert_eq!(retry.after(&failed, true), Next::GiveUp);
    }
}
