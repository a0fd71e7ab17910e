//! One attempt: a request on one worker, watched until it ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use fathom_proto::inference::{Event, GenerateRequest, RequestContext, TokenStream};
use fathom_proto::{Error as PublicError, ErrorCode};
use futures::TryFutureExt;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::Error;
use crate::connection::Connection;
use crate::dispatch::target::Target;
use crate::outcome::Outcome;
use crate::place::Place;

/// How long a worker may be silent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub first_token: Duration,
    pub between_tokens: Duration,
}

/// A worker's stream that settles its place when it ends, never ends in silence, and never lasts
/// in silence. What the worker is asked is part of it, so that it can be raced and dropped.
pub(super) struct Attempt {
    stream: TokenStream,
    /// Present until settled.
    place: Option<Place>,
    connection: Arc<Connection>,
    target: Arc<Target>,
    limits: Limits,
    deadline: Option<Instant>,
    began: Instant,
    stage: Stage,
    /// Since when the worker has been waited for; time in which nobody asked is not its fault.
    waiting_since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

/// How far an attempt is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Asked,
    Admitted,
    Generating,
}

/// Why an attempt failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub error: PublicError,
    pub contact: Contact,
}

/// What is known of the worker after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contact {
    /// It was not reached, and knows nothing of the request.
    None,
    /// It was sent the request and fell silent, or its connection broke: it may have died of it.
    Lost,
    /// It said so itself.
    Answered,
}

impl Attempt {
    /// Asks the worker once this is polled.
    pub fn new(
        place: Place,
        target: Arc<Target>,
        limits: Limits,
        request: GenerateRequest,
        context: RequestContext,
    ) -> Self {
        let worker = place.worker();
        let deadline = context.deadline;
        let began = Instant::now();
        let stream = async move { worker.generate(request, context).await };
        let due = began + limits.first_token.min(limits.between_tokens);
        Self {
            stream: Box::pin(stream.try_flatten_stream()),
            connection: place.connection().clone(),
            place: Some(place),
            target,
            limits,
            deadline,
            began,
            stage: Stage::Asked,
            waiting_since: None,
            timer: Box::pin(sleep_until(due)),
        }
    }

    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// What answers there; `None`: it is over.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// The next event. Nothing follows `Finished` or a failure.
    pub fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Result<Event, Failure>> {
        if let Poll::Ready(item) = self.stream.as_mut().poll_next(context) {
            self.waiting_since = None;
            return Poll::Ready(self.received(item));
        }
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let limit = match self.stage {
            Stage::Generating => self.limits.between_tokens,
            Stage::Asked | Stage::Admitted => self.limits.first_token,
        };
        let silent = since + limit;
        let due = self
            .deadline
            .map_or(silent, |deadline| deadline.min(silent));
        loop {
            // The timer is behind when events came, and is set only when it rings.
            if self.timer.deadline() > due {
                self.timer.as_mut().reset(due);
            }
            ready!(self.timer.as_mut().poll(context));
            if Instant::now() >= due {
                let error = if due < silent {
                    Error::DeadlinePassed
                } else {
                    Error::WorkerSilent { limit }
                };
                return Poll::Ready(Err(self.failed(error.into(), Contact::Lost)));
            }
            self.timer.as_mut().reset(due);
        }
    }

    fn received(&mut self, item: Option<Result<Event, PublicError>>) -> Result<Event, Failure> {
        match item {
            Some(Ok(event)) => {
                match event {
                    Event::Started { .. } => self.stage = Stage::Admitted,
                    Event::Delta(_) => self.generating(),
                    Event::Finished { .. } => self.settle(Outcome::Finished),
                }
                Ok(event)
            }
            Some(Err(error)) => {
                let contact = contact(&error);
                let error = match error.code {
                    // The service was reachable.
                    ErrorCode::Unavailable if self.stage != Stage::Asked => lost(error),
                    _ => in_context(error, self.deadline),
                };
                Err(self.failed(error, contact))
            }
            None => {
                let lost = Error::WorkerLost { source: None };
                Err(self.failed(lost.into(), Contact::Lost))
            }
        }
    }

    fn generating(&mut self) {
        if self.stage == Stage::Generating {
            return;
        }
        self.stage = Stage::Generating;
        let after = self.began.elapsed();
        self.target.first_tokens.record(after);
        if let Some(place) = &self.place {
            place.first_token(after);
        }
    }

    fn failed(&mut self, error: PublicError, contact: Contact) -> Failure {
        let is_late = self.deadline.is_some_and(|at| at <= Instant::now());
        let outcome = match error.code {
            // The caller gave it too little time.
            ErrorCode::DeadlineExceeded if is_late && self.stage == Stage::Generating => {
                Outcome::Dropped
            }
            code => Outcome::Failed(code),
        };
        self.settle(outcome);
        Failure { error, contact }
    }

    fn settle(&mut self, outcome: Outcome) {
        let Some(place) = self.place.take() else {
            return;
        };
        place.settle(outcome);
        // A refusal frees nothing.
        if self.stage != Stage::Asked || !matches!(outcome, Outcome::Failed(_)) {
            self.target.line.freed();
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.settle(Outcome::Dropped);
    }
}

/// What is known of a worker whose call ended with `error`.
pub(super) fn contact(error: &PublicError) -> Contact {
    if error.is_unreachable() {
        Contact::None
    } else if error.is_lost() || error.code == ErrorCode::Cancelled {
        Contact::Lost
    } else {
        Contact::Answered
    }
}

/// What an error means, since the caller is still there: what looks like a call that was
/// cancelled is a lost connection.
pub(super) fn in_context(error: PublicError, deadline: Option<Instant>) -> PublicError {
    let late = deadline.is_some_and(|deadline| deadline <= Instant::now());
    match error.code {
        ErrorCode::Cancelled if late => Error::DeadlinePassed.into(),
        ErrorCode::Cancelled => lost(error),
        _ => error,
    }
}

fn lost(error: PublicError) -> PublicError {
    Error::WorkerLost {
        source: Some(Box::new(error)),
    }
    .into()
}
