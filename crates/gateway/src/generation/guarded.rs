//! Choices that end with the lifetime of their request.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use fathom_proto::Error;
use fathom_proto::inference::Event;
use futures::StreamExt;
use tokio::task::JoinSet;

use super::choices::Choices;
use super::truncated;
use crate::lifetime::Lifetime;

/// Running choices. They end when their lifetime is over, whether they are read or not: a client
/// that has stopped reading must not keep its places at the engines.
pub struct Guarded {
    choices: Arc<Place>,
    /// One task, which waits for the end of the lifetime. It is dropped with this.
    over: JoinSet<Error>,
}

/// Where choices are until they end.
struct Place(Mutex<Option<Choices>>);

impl Guarded {
    /// Lets `choices` run as long as `lifetime` allows.
    pub fn new(choices: Choices, lifetime: Lifetime) -> Self {
        let choices = Arc::new(Place(Mutex::new(Some(choices))));
        // A task is dropped some time after it was told to stop; its choices are not to wait for it.
        let place = Arc::downgrade(&choices);
        let mut over = JoinSet::new();
        over.spawn(async move {
            let error = lifetime.over().await;
            if let Some(place) = place.upgrade() {
                place.clear();
            }
            error
        });
        Self { choices, over }
    }

    /// The next event, of whichever choice has one, or why there are no more.
    pub fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Result<(usize, Event), Error>> {
        // A reader that is slow has always something waiting, so the end comes first.
        if let Poll::Ready(error) = self.poll_over(context) {
            return Poll::Ready(Err(error));
        }
        match &mut *self.choices.lock() {
            Some(choices) => choices
                .poll_next_unpin(context)
                .map(|next| next.unwrap_or_else(|| Err(truncated()))),
            // The task ends in a moment, and says why.
            None => Poll::Pending,
        }
    }

    /// Completes when the lifetime is over, with the reason.
    pub async fn over(&mut self) -> Error {
        poll_fn(|context| self.poll_over(context)).await
    }

    /// Stops the choices that run.
    pub fn stop(&mut self) {
        self.choices.clear();
        self.over.abort_all();
    }

    fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<Error> {
        Poll::Ready(match ready!(self.over.poll_join_next(context)) {
            Some(Ok(error)) => error,
            Some(Err(panicked)) => Error::internal(panicked),
            None => truncated(),
        })
    }
}

impl Place {
    fn clear(&self) {
        // What it takes to stop them does not happen under the lock.
        let choices = self.lock().take();
        drop(choices);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Choices>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
