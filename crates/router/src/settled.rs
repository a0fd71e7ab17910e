//! The stream of a dispatched request, watched until it ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use fathom_proto::id::ModelId;
use fathom_proto::inference::{Event, Inference, TokenStream};
use fathom_proto::{Error as PublicError, ErrorCode};
use futures::Stream;

use crate::connection::Load;
use crate::{Error, metrics};

/// One request on one worker. It counts as in flight until it is settled or dropped.
pub(crate) struct Dispatch {
    model: ModelId,
    outcome: &'static str,
    load: Load,
}

impl Dispatch {
    /// Takes the place on the worker.
    pub fn new(model: &ModelId, load: Load) -> Self {
        ::metrics::gauge!(metrics::IN_FLIGHT, "model" => model.to_string()).increment(1.0);
        // Whoever drops it without a word is a caller that went away.
        Self {
            model: model.clone(),
            outcome: "dropped",
            load,
        }
    }

    /// What to call.
    pub fn worker(&self) -> Arc<dyn Inference> {
        self.load.connection().inference.clone()
    }

    /// Frees the place on the worker.
    pub fn settle(mut self, outcome: &'static str) {
        self.outcome = outcome;
    }
}

impl Drop for Dispatch {
    fn drop(&mut self) {
        let model = self.model.to_string();
        ::metrics::gauge!(metrics::IN_FLIGHT, "model" => model.clone()).decrement(1.0);
        ::metrics::counter!(metrics::DISPATCHES_TOTAL, "model" => model, "outcome" => self.outcome)
            .increment(1);
    }
}

/// A worker's stream that settles its dispatch when it ends, and never ends in silence.
pub(crate) struct Settled {
    stream: TokenStream,
    /// Present until settled.
    dispatch: Option<Dispatch>,
}

impl Settled {
    pub fn new(stream: TokenStream, dispatch: Dispatch) -> Self {
        Self {
            stream,
            dispatch: Some(dispatch),
        }
    }

    fn settle(&mut self, outcome: &'static str) {
        if let Some(dispatch) = self.dispatch.take() {
            dispatch.settle(outcome);
        }
    }
}

impl Stream for Settled {
    type Item = Result<Event, PublicError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.dispatch.is_none() {
            return Poll::Ready(None);
        }
        let item = match ready!(self.stream.as_mut().poll_next(context)) {
            Some(Ok(event)) => {
                if matches!(event, Event::Finished { .. }) {
                    self.settle("finished");
                }
                Ok(event)
            }
            Some(Err(error)) => Err(in_band(error)),
            None => Err(Error::WorkerLost { source: None }.into()),
        };
        if let Err(error) = &item {
            self.settle(error.code.row().name);
        }
        Poll::Ready(Some(item))
    }
}

/// Once a stream runs, a connection that breaks is a lost worker, whatever the transport calls
/// it: the caller is still there, and the service was reachable.
fn in_band(error: PublicError) -> PublicError {
    match error.code {
        ErrorCode::Unavailable | ErrorCode::Cancelled => Error::WorkerLost {
            source: Some(Box::new(error)),
        }
        .into(),
        _ => error,
    }
}
