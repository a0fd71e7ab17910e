//! The workers that one request is tried on, one after the other.

use std::sync::Arc;

use fathom_proto::id::ModelId;
use fathom_proto::{Error as PublicError, ErrorCode};
use tokio::time::Instant;

use crate::connection::{Connection, Load};
use crate::dispatch::retry::{Next, Retry};
use crate::registry::Workers;
use crate::settled::Dispatch;
use crate::{Error, metrics};

/// What was tried, and what is left to try.
pub(super) struct Attempts {
    workers: Arc<Workers>,
    model: ModelId,
    deadline: Option<Instant>,
    retry: Retry,
    /// Workers that failed since the last pause.
    failed: Vec<Arc<Connection>>,
    /// The worker of the running attempt.
    current: Option<Arc<Connection>>,
    /// A place that was found while waiting.
    found: Option<Load>,
}

impl Attempts {
    pub fn new(workers: &Arc<Workers>, model: ModelId, deadline: Option<Instant>) -> Self {
        Self {
            retry: Retry::new(workers.retry()),
            workers: workers.clone(),
            model,
            deadline,
            failed: Vec::new(),
            current: None,
            found: None,
        }
    }

    /// The next worker's place. Where there is none, one that may be coming up is waited for;
    /// [`Error::NoWorker`] when none is, or it takes too long.
    pub async fn place(&mut self) -> Result<Dispatch, PublicError> {
        let load = match self.found.take() {
            Some(found) => Some(found),
            None => match self.workers.pick(&self.model, &self.failed) {
                Some(load) => Some(load),
                None => self.wait(self.workers.expected_until(&self.model)).await,
            },
        };
        let Some(load) = load else {
            let model = self.model.clone();
            return Err(Error::NoWorker { model }.into());
        };
        self.current = Some(load.connection().clone());
        Ok(Dispatch::new(&self.model, load))
    }

    /// Notes that the last worker failed before it generated anything, and returns when
    /// [`Self::place`] has another try. The error is the answer if there is none.
    pub async fn failed(&mut self, error: PublicError) -> Result<(), PublicError> {
        let error = not_cancelled(error);
        if let Some(worker) = self.current.take() {
            if error.is_unreachable() {
                self.workers.forget(&worker);
            }
            self.failed.push(worker);
        }
        let others = self.workers.serve(&self.model, &self.failed);
        match self.retry.after(&error, others) {
            Next::GiveUp => return Err(error),
            Next::Now => {}
            Next::Later(delay) => {
                let until = Instant::now() + delay;
                if self.deadline.is_some_and(|deadline| deadline <= until) {
                    return Err(error);
                }
                self.found = self.wait(until).await;
                self.failed.clear();
            }
        }
        let model = self.model.to_string();
        ::metrics::counter!(metrics::RETRIES_TOTAL, "model" => model).increment(1);
        Ok(())
    }

    /// Waits for a place on a worker that has not failed.
    async fn wait(&self, until: Instant) -> Option<Load> {
        let until = self.deadline.map_or(until, |deadline| deadline.min(until));
        let waited = self.workers.wait(&self.model, &self.failed, until);
        waited.await
    }
}

/// The caller is still there: what looks like a call that was cancelled is a lost connection.
fn not_cancelled(error: PublicError) -> PublicError {
    match error.code {
        ErrorCode::Cancelled => Error::WorkerLost {
            source: Some(Box::new(error)),
        }
        .into(),
        _ => error,
    }
}
