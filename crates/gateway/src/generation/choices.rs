//! The events of several generations as one stream.

use std::iter::Enumerate;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use fathom_proto::inference::{Event, GenerateRequest, Inference, RequestContext, TokenStream};
use fathom_proto::{Error, ErrorCode};
use futures::stream::SelectAll;
use futures::{FutureExt, Stream, StreamExt, TryFutureExt};

use crate::request::Requests;

/// Which choice, and what it yields. Each begins with [`Event::Started`] and ends with
/// [`Event::Finished`] or an error.
pub enum Choices {
    /// Most requests want one, which has nothing to be chosen from.
    One(Choice),
    /// Whichever is ready is next.
    Many(Many),
}

impl Choices {
    /// Asks for the first ones, `at_a_time` of them, and for the next one when one has ended.
    /// They run while the stream is read.
    pub async fn ask(
        inference: &Arc<dyn Inference>,
        mut requests: Requests,
        context: RequestContext,
        at_a_time: NonZeroUsize,
    ) -> Result<Self, Error> {
        if requests.len() == 1
            && let Some(request) = requests.next()
        {
            let stream = inference.generate(request, context).await?;
            return Ok(Self::One(Choice::new(0, stream)));
        }
        Ok(Self::Many(Many {
            inference: inference.clone(),
            context,
            waiting: requests.enumerate(),
            running: SelectAll::new(),
            at_a_time: at_a_time.get(),
        }))
    }
}

impl Stream for Choices {
    type Item = Result<(usize, Event), Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut *self {
            Self::One(choice) => choice.poll_next_unpin(context),
            Self::Many(choices) => choices.poll_next_unpin(context),
        }
    }
}

/// Several generations, of which some wait for the end of others.
pub struct Many {
    inference: Arc<dyn Inference>,
    context: RequestContext,
    waiting: Enumerate<Requests>,
    running: SelectAll<Choice>,
    at_a_time: usize,
}

impl Many {
    fn has_room(&self) -> bool {
        self.running.len() < self.at_a_time
    }

    fn ask(&mut self, index: usize, request: GenerateRequest) {
        let inference = self.inference.clone();
        let context = self.context.clone();
        let stream = async move { inference.generate(request, context).await };
        let stream = stream.boxed().try_flatten_stream().boxed();
        self.running.push(Choice::new(index, stream));
    }
}

impl Stream for Many {
    type Item = Result<(usize, Event), Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            while self.has_room()
                && let Some((index, request)) = self.waiting.next()
            {
                self.ask(index, request);
            }
            let next = self.running.poll_next_unpin(context);
            // Looking for the next event finds out which ones have ended.
            let goes_on = self.has_room() && self.waiting.len() > 0;
            if matches!(next, Poll::Ready(Some(_))) || !goes_on {
                return next;
            }
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
    type Item = Result<(usize, Event), Error>;

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
        Poll::Ready(Some(event.map(|event| (self.index, event))))
    }
}

pub fn did_not_begin() -> Error {
    Error::new(
        ErrorCode::WorkerFailed,
        "the worker did not begin as it should",
    )
}
