//! Whether an engine may be asked, by how its requests end.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fathom_proto::id::WorkerId;
use tokio::time::Instant;

use crate::breaker::{Admission, Breaker, BreakerConfig, Change, Pass};
use crate::metrics;
use crate::outcome::Outcome;

/// The breaker of one engine. A worker may have several, and one that fails, such as an upstream
/// that is away, says nothing of the others.
pub(crate) struct Health {
    worker: WorkerId,
    breaker: Mutex<Breaker>,
}

impl Health {
    /// Of an engine of `worker`, which may be asked.
    pub fn new(worker: WorkerId, config: BreakerConfig) -> Self {
        Self {
            worker,
            breaker: Mutex::new(Breaker::new(config)),
        }
    }

    /// Whether it may be asked, and since when it is back from an outage; `None`: it had none.
    pub fn admission(&self, now: Instant) -> (Admission, Option<Instant>) {
        let breaker = self.breaker();
        (breaker.admission(now), breaker.recovered())
    }

    /// Takes leave to ask it.
    ///
    /// # Errors
    /// When it may be asked instead.
    pub fn admit(&self, now: Instant) -> Result<Pass, Duration> {
        let mut breaker = self.breaker();
        let before = breaker.recovered();
        let pass = breaker.admit(now)?;
        let recovered = breaker.recovered() != before;
        drop(breaker);
        if pass.is_probe() {
            transition("half_open");
        } else if recovered {
            self.note(Change::Closed);
        }
        Ok(pass)
    }

    /// A request has its first token.
    pub fn first_token(&self, pass: Pass, now: Instant) {
        if pass.is_probe() {
            self.breaker().first_token(pass, now);
        }
    }

    /// Counts how a request ended.
    pub fn settle(&self, pass: Pass, outcome: Outcome, now: Instant) {
        let change = self.breaker().settle(pass, outcome.verdict(), now);
        if let Some(change) = change {
            self.note(change);
        }
    }

    fn note(&self, change: Change) {
        let worker = &self.worker;
        match change {
            Change::Opened(delay) => {
                transition("open");
                let delay_ms = delay.as_millis();
                tracing::warn!(worker.id = %worker, delay_ms, "worker fails; it is not asked");
            }
            Change::Closed => {
                transition("closed");
                tracing::info!(worker.id = %worker, "worker works again");
            }
        }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn transition(to: &'static str) {
    ::metrics::counter!(metrics::BREAKER_TOTAL, "to" => to).increment(1);
}
