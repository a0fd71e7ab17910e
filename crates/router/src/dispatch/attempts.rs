//! The workers that one request is tried on, one after the other.

use std::sync::Arc;

use fathom_proto::id::{ModelId, TenantId};
use fathom_proto::inference::RequestContext;
use fathom_proto::{Error as PublicError, ErrorCode};
use tokio::time::Instant;

use crate::connection::Connection;
use crate::dispatch::retry::{Next, Retry};
use crate::place::{Ask, Pick, Place};
use crate::registry::Workers;
use crate::{Error, metrics};

/// What was tried, and what is left to try.
pub(super) struct Attempts {
    workers: Arc<Workers>,
    target: ModelId,
    tenant: TenantId,
    deadline: Option<Instant>,
    retry: Retry,
    /// Workers that failed since the last pause.
    failed: Vec<Arc<Connection>>,
    /// The worker of the running attempt.
    current: Option<Arc<Connection>>,
    /// A place that was found while waiting.
    found: Option<Place>,
}

impl Attempts {
    pub fn new(workers: &Arc<Workers>, target: ModelId, context: &RequestContext) -> Self {
        Self {
            retry: Retry::new(workers.retry()),
            workers: workers.clone(),
            target,
            tenant: context.tenant.clone(),
            deadline: context.deadline,
            failed: Vec::new(),
            current: None,
            found: None,
        }
    }

    /// The next worker's place. Where there is none, one that may be coming up is waited for;
    /// [`Error::NoWorker`] when none is, or it takes too long.
    pub async fn place(&mut self) -> Result<Place, PublicError> {
        let place = match self.found.take() {
            Some(found) => Some(found),
            None => match self.workers.pick(&self.ask()) {
                Pick::Place(place) => Some(place),
                _ => self.wait(self.workers.expected_until(&self.target)).await,
            },
        };
        let Some(place) = place else {
            let model = self.target.clone();
            return Err(Error::NoWorker { model }.into());
        };
        self.current = Some(place.connection().clone());
        Ok(place)
    }

    fn ask(&self) -> Ask<'_> {
        Ask {
            target: &self.target,
            tenant: &self.tenant,
            prefixes: &[],
            tried: &self.failed,
            like: None,
        }
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
        let others = self.workers.serve(&self.ask());
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
        let model = self.target.to_string();
        ::metrics::counter!(metrics::RETRIES_TOTAL, "model" => model).increment(1);
        Ok(())
    }

    /// Waits for a place on a worker that has not failed.
    async fn wait(&self, until: Instant) -> Option<Place> {
        let until = self.deadline.map_or(until, |deadline| deadline.min(until));
        match self.workers.wait(&self.ask(), until).await {
            Pick::Place(place) => Some(place),
            Pick::Out(_) | Pick::Nobody => None,
        }
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
