//! The stream of a dispatched request, watched until it ends.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use fathom_proto::inference::{Event, TokenStream};
use fathom_proto::{Error as PublicError, ErrorCode};
use futures::Stream;

use crate::Error;
use crate::outcome::Outcome;
use crate::place::Place;

/// A worker's stream that settles its place when it ends, and never ends in silence.
pub(crate) struct Settled {
    stream: TokenStream,
    /// Present until settled.
    place: Option<Place>,
}

impl Settled {
    pub fn new(stream: TokenStream, place: Place) -> Self {
        Self {
            stream,
            place: Some(place),
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        if let Some(place) = self.place.take() {
            place.settle(outcome);
        }
    }
}

impl Stream for Settled {
    type Item = Result<Event, PublicError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.place.is_none() {
            return Poll::Ready(None);
        }
        let item = match ready!(self.stream.as_mut().poll_next(context)) {
            Some(Ok(event)) => {
                if matches!(event, Event::Finished { .. }) {
                    self.settle(Outcome::Finished);
                }
                Ok(event)
            }
            Some(Err(error)) => Err(in_band(error)),
            None => Err(Error::WorkerLost { source: None }.into()),
        };
        if let Err(error) = &item {
            self.settle(Outcome::Failed(error.code));
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
