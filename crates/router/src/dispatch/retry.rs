//! Whether a request that failed is tried again, and when.

#[cfg(test)]
mod tests;

use std::num::NonZeroU32;
use std::time::Duration;

use fathom_kit::backoff::Backoff;
use fathom_proto::ErrorCode;
use serde::{Deserialize, Serialize};
use tower::retry::budget::TpsBudget;

use crate::dispatch::attempt::{Contact, Failure};

/// The longest delay.
const LONGEST: Duration = Duration::from_secs(30);

/// For so long a request counts towards what may be tried again.
const BUDGET_WINDOW: Duration = Duration::from_secs(10);

/// `[router.retry]`
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryConfig {
    /// How often a request is tried in all until a token comes; workers that cannot be reached
    /// do not count.
    pub attempts: NonZeroU32,
    /// How often a request goes on at another worker after tokens came, each time with as many
    /// attempts.
    pub continuations: u32,
    /// How long to wait for the only worker after its first failure; twice as long after each
    /// further one.
    #[serde(with = "humantime_serde")]
    pub first_delay: Duration,
    /// Of a hundred requests, so many may be tried again, counted over ten seconds and over all
    /// models: more would keep workers down that fail under their load.
    pub budget_percent: u8,
    /// So many each second besides.
    pub budget_per_second: u16,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            attempts: NonZeroU32::MIN.saturating_add(2),
            continuations: 3,
            first_delay: Duration::from_secs(1),
            budget_percent: 20,
            budget_per_second: 10,
        }
    }
}

impl RetryConfig {
    /// What may be tried again.
    pub(super) fn budget(&self) -> TpsBudget {
        let share = f32::from(self.budget_percent) / 100.0;
        TpsBudget::new(BUDGET_WINDOW, self.budget_per_second.into(), share)
    }
}

/// Second attempts beside first ones: at most one for twenty requests.
pub(super) fn hedging_budget() -> TpsBudget {
    TpsBudget::new(BUDGET_WINDOW, 0, 0.05)
}

/// What is left of one request's tries.
pub(super) struct Retry {
    config: RetryConfig,
    left: u32,
    continuations: u32,
    /// The last attempt gave tokens.
    progressed: bool,
    /// A worker was lost before it gave a token of this request.
    lost: bool,
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
    /// Wait until a worker has room.
    Queue,
}

impl Retry {
    pub fn new(config: RetryConfig) -> Self {
        Self {
            left: config.attempts.get(),
            continuations: config.continuations,
            progressed: false,
            lost: false,
            backoff: Self::backoff(&config),
            config,
        }
    }

    /// The running attempt gave a token.
    pub fn progressed(&mut self) {
        self.progressed = true;
    }

    /// One of two attempts lost its worker before a token came.
    pub fn lost_one(&mut self) {
        self.lost |= !self.progressed;
    }

    /// What to do about `failure`, given whether there are workers that were not asked yet.
    pub fn after(&mut self, failure: &Failure, others: bool) -> Next {
        let Failure { error, contact } = failure;
        if !matches!(
            error.code,
            ErrorCode::Unavailable
                | ErrorCode::WorkerFailed
                | ErrorCode::ShuttingDown
                | ErrorCode::Overloaded
        ) {
            return Next::GiveUp;
        }
        // Nothing has run on a worker that cannot be reached, and the registry forgets it.
        if *contact == Contact::None && others {
            return Next::Now;
        }
        if std::mem::take(&mut self.progressed) {
            if self.continuations == 0 {
                return Next::GiveUp;
            }
            self.continuations -= 1;
            self.left = self.config.attempts.get();
            self.backoff = Self::backoff(&self.config);
        } else {
            // A worker may have died of the request, and another one too: no third one.
            if *contact == Contact::Lost && std::mem::replace(&mut self.lost, true) {
                return Next::GiveUp;
            }
            self.left = self.left.saturating_sub(1);
        }
        match error.code {
            ErrorCode::Overloaded if self.left == 0 || !others => Next::Queue,
            _ if self.left == 0 => Next::GiveUp,
            _ if others => Next::Now,
            _ => {
                let asked = error.retry_after.unwrap_or_default();
                Next::Later(self.backoff.next_delay().max(asked))
            }
        }
    }

    fn backoff(config: &RetryConfig) -> Backoff {
        Backoff::new(config.first_delay, LONGEST.max(config.first_delay))
    }
}
