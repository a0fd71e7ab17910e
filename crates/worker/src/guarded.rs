//! The stream of one generation as the worker hands it out: it ends at its deadline and with the
//! process, gives its engine up as soon as it is complete, a panic of the engine is its error, and
//! its tokens are counted.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use fathom_proto::inference::{Event, TokenStream};
use futures::Stream;
use futures::future::BoxFuture;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::serving::Held;
use crate::tokens::Tokens;

/// A stream that ends with an error when its time is over.
pub(crate) struct Guarded {
    /// The engine's events, and the engine; dropped after the last event, and the permit with
    /// them.
    running: Option<(TokenStream, Held)>,
    end: BoxFuture<'static, Error>,
    tokens: Tokens,
}

impl Guarded {
    pub fn new(
        events: TokenStream,
        held: Held,
        end: BoxFuture<'static, Error>,
        tokens: Tokens,
    ) -> Self {
        Self {
            running: Some((events, held)),
            end,
            tokens,
        }
    }
}

impl Stream for Guarded {
    type Item = Result<Event, fathom_proto::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some((events, _)) = &mut this.running else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(error) = this.end.as_mut().poll(context) {
            this.running = None;
            return Poll::Ready(Some(Err(error.into())));
        }
        let polled = catch_unwind(AssertUnwindSafe(|| events.as_mut().poll_next(context)));
        let panicked = || Poll::Ready(Some(Err(Error::Panicked.into())));
        let event = ready!(polled.unwrap_or_else(|_| panicked()));
        if let Some(Ok(event)) = &event {
            this.tokens.count(event);
        }
        let goes_on = matches!(event, Some(Ok(Event::Started { .. } | Event::Delta(_))));
        if !goes_on {
            this.running = None;
        }
        Poll::Ready(event)
    }
}

/// Why a generation ends before it is complete: the process does, or its deadline passes.
pub(crate) async fn end(shutdown: CancellationToken, deadline: Option<Instant>) -> Error {
    let passed = async {
        match deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = shutdown.cancelled() => Error::ShuttingDown,
        () = passed => Error::DeadlineExceeded,
    }
}
