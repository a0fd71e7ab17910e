//! The events of several generations as one stream.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use fathom_proto::inference::{Event, GenerateRequest, Inference, RequestContext, TokenStream};
use fathom_proto::{Error, ErrorCode};
use futures::stream::{SelectAll, select_all};
use futures::{FutureExt, Stream, StreamExt, TryFutureExt};

/// Which choice, and what it yields. Each begins with [`Event::Started`] and ends with
/// [`Event::Finished`] or an error.
pub enum Choices {
    /// Most requests want one, which has nothing to be chosen from.
    One(Choice),
    /// Whichever is ready is next.
    Many(SelectAll<Choice>),
}

impl Choices {
    /// Asks for all of them at once. They run while the stream is read.
    pub async fn ask(
        inference: &Arc<dyn Inference>,
        mut requests: Vec<GenerateRequest>,
        context: RequestContext,
    ) -> Result<Self, Error> {
        if requests.len() == 1
            && let Some(request) = requests.pop()
        {
            let stream = inference.generate(request, context).await?;
            return Ok(Self::One(Choice::new(0, stream)));
        }
        let choices = requests.into_iter().enumerate().map(|(index, request)| {
            let inference = inference.clone();
            let context = context.clone();
            let stream = async move { inference.generate(request, context).await };
            Choice::new(index, stream.boxed().try_flatten_stream().boxed())
        });
        Ok(Self::Many(select_all(choices)))
    }

    /// Stops those that run.
    pub fn stop(&mut self) {
        *self = Self::Many(SelectAll::new());
    }
}

impl Stream for Choices {
    type Item = (usize, Result<Event, Error>);

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut *self {
            Self::One(choice) => choice.poll_next_unpin(context),
            Self::Many(choices) => choices.poll_next_unpin(context),
        }
    }
}

/// One generation, held to the order of its events.
pub struct Choice {
    index: usize,
    stream: TokenStream,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Waiting,
    Running,
    Ended,
}

impl Choice {
    fn new(index: usize, stream: TokenStream) -> Self {
        Self {
            index,
            stream,
            stage: Stage::Waiting,
        }
    }
}

impl Stream for Choice {
    type Item = (usize, Result<Event, Error>);

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let event = loop {
            if self.stage == Stage::Ended {
                return Poll::Ready(None);
            }
            let event = ready!(self.stream.poll_next_unpin(context));
            break match (self.stage, event) {
                (_, Some(Err(error))) => Err(error),
                (Stage::Waiting, Some(Ok(event @ Event::Started { .. }))) => Ok(event),
                (Stage::Waiting, _) => Err(did_not_begin()),
                // It has begun already.
                (_, Some(Ok(Event::Started { .. }))) => continue,
                (_, Some(Ok(event))) => Ok(event),
                (_, None) => Err(super::truncated()),
            };
        };
        self.stage = match &event {
            Ok(Event::Started { .. } | Event::Delta(_)) => Stage::Running,
            Ok(Event::Finished { .. }) | Err(_) => Stage::Ended,
        };
        Poll::Ready(Some((self.index, event)))
    }
}

pub fn did_not_begin() -> Error {
    Error::new(
        ErrorCode::WorkerFailed,
        "the worker did not begin as it should",
    )
}
