//! The stream of a generation that may begin on one worker and begin again on another.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use fathom_proto::Error as PublicError;
use fathom_proto::inference::{Event, GenerateRequest, RequestContext};
use futures::Stream;
use futures::future::BoxFuture;

use crate::dispatch::attempts::Attempts;
use crate::outcome::Outcome;
use crate::settled::Settled;

/// A generation of which the caller has no token yet, so that it can begin again.
pub(super) struct Generation {
    pub request: GenerateRequest,
    pub context: RequestContext,
    pub attempts: Attempts,
}

impl Generation {
    /// Starts it on a worker; on others if that fails.
    async fn start(&mut self) -> Result<Settled, PublicError> {
        loop {
            let place = self.attempts.place().await?;
            let worker = place.worker();
            let started = worker.generate(self.request.clone(), self.context.clone());
            match started.await {
                Ok(stream) => return Ok(Settled::new(stream, place)),
                Err(error) => {
                    place.settle(Outcome::Failed(error.code));
                    self.attempts.failed(error).await?;
                }
            }
        }
    }

    async fn start_again(mut self: Box<Self>, error: PublicError) -> Restarted {
        self.attempts.failed(error).await?;
        let stream = self.start().await?;
        Ok((stream, self))
    }
}

type Restarted = Result<(Settled, Box<Generation>), PublicError>;

/// The events of a generation: it has one `Started`, however often it began.
pub(super) struct Retried {
    state: State,
    /// Whether the caller has seen `Started`.
    started: bool,
}

enum State {
    /// A worker generates; it can begin again until its first token is out.
    Running(Settled, Option<Box<Generation>>),
    Restarting(BoxFuture<'static, Restarted>),
    Over,
}

impl Retried {
    /// Starts `generation`.
    pub async fn start(generation: Generation) -> Result<Self, PublicError> {
        let mut generation = Box::new(generation);
        let stream = generation.start().await?;
        Ok(Self {
            state: State::Running(stream, Some(generation)),
            started: false,
        })
    }
}

impl Stream for Retried {
    type Item = Result<Event, PublicError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::Running(stream, generation) => {
                    let error = match ready!(Pin::new(stream).poll_next(context)) {
                        Some(Ok(Event::Started { .. })) if this.started => continue,
                        Some(Ok(event)) => {
                            this.started = true;
                            if !matches!(event, Event::Started { .. }) {
                                *generation = None;
                            }
                            return Poll::Ready(Some(Ok(event)));
                        }
                        Some(Err(error)) => error,
                        None => return Poll::Ready(None),
                    };
                    let Some(generation) = generation.take() else {
                        this.state = State::Over;
                        return Poll::Ready(Some(Err(error)));
                    };
                    this.state = State::Restarting(Box::pin(generation.start_again(error)));
                }
                State::Restarting(restart) => match ready!(restart.as_mut().poll(context)) {
                    Ok((stream, generation)) => {
                        this.state = State::Running(stream, Some(generation));
                    }
                    Err(error) => {
                        this.state = State::Over;
                        return Poll::Ready(Some(Err(error)));
                    }
                },
                State::Over => return Poll::Ready(None),
            }
        }
    }
}
