//! The receiving half of a job.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use tokio::sync::mpsc;

use crate::{EngineError, Event};

/// What is sent for a job.
pub(crate) type Message = Result<Event, EngineError>;

/// The events of one job, as they happen.
///
/// It ends after [`Event::Finished`] or an error. Dropping it before cancels
/// the job: the engine stops within one decode step, which
/// [`EngineOptions::prefill_chunk`](crate::EngineOptions::prefill_chunk) bounds.
pub struct Generation {
    messages: mpsc::Receiver<Message>,
    ended: bool,
}

impl Generation {
    pub(crate) fn new(messages: mpsc::Receiver<Message>) -> Self {
        Self {
            messages,
            ended: false,
        }
    }

    /// The next event; nothing after the last one. Safe to cancel.
    ///
    /// # Errors
    ///
    /// An [`EngineError`] as the last item, if the job fails.
    pub async fn next(&mut self) -> Option<Result<Event, EngineError>> {
        std::future::poll_fn(|context| self.poll_message(context)).await
    }

    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Message>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.messages.poll_recv(context).map(|message| {
            // A job that waited when its engine was dropped has no last message.
            let message = message.unwrap_or(Err(EngineError::Stopped));
            self.ended = matches!(message, Err(_) | Ok(Event::Finished { .. }));
            Some(message)
        })
    }
}

impl Stream for Generation {
    type Item = Result<Event, EngineError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Message>> {
        self.poll_message(context)
    }
}
