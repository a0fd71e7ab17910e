//! A generation as server-sent events. A stream that ends with `[DONE]` is complete; one that
//! fails ends with an event that holds the error, and without `[DONE]`.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use fathom_api::sse::{DONE, write_event};
use fathom_api::usage::{FinishReason, Usage};
use fathom_proto::Error;
use fathom_proto::inference::Delta;
use futures::{Stream, StreamExt};
use http::{HeaderValue, header};
use serde::Serialize;

use crate::generation::{Generation, Output};
use crate::{answer, error};

/// The JSON of an endpoint's events.
pub trait Events: Send + Unpin + 'static {
    /// The event before anything else of a choice, where the dialect has one.
    fn opening(&self, generation: &Generation, choice: usize) -> Option<Vec<u8>>;
    /// An event with something new of a choice.
    fn delta(&mut self, generation: &Generation, choice: usize, delta: Delta) -> Vec<u8>;
    /// The event that says why a choice ended.
    fn finish(&self, generation: &Generation, choice: usize, reason: FinishReason) -> Vec<u8>;
    /// The event with the token counts.
    fn usage(&self, generation: &Generation, usage: Usage) -> Vec<u8>;
    /// The event that ends a stream which fails.
    fn failure(&self, error: &Error) -> Vec<u8> {
        to_json(&error::body(error))
    }
}

/// The answer that streams `generation`, with an event for the counts if the caller asked.
pub fn response<E: Events>(generation: Generation, events: E, include_usage: bool) -> Response {
    let mut opening = Vec::new();
    for choice in 0..generation.choices() {
        if let Some(event) = events.opening(&generation, choice) {
            write_event(&event, &mut opening);
        }
    }
    let stream = EventStream {
        generation,
        events,
        include_usage,
        opening,
        ended: false,
    };
    head(Body::from_stream(stream))
}

/// The answer whose body is a stream of events.
pub fn head(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream; charset=utf-8"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies that buffer would hold tokens back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// The JSON of a message that is built of strings and numbers and so cannot fail.
pub fn to_json(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).unwrap_or_default()
}

struct EventStream<E> {
    generation: Generation,
    events: E,
    include_usage: bool,
    opening: Vec<u8>,
    ended: bool,
}

impl<E: Events> EventStream<E> {
    fn encode(&mut self, output: Result<Output, Error>, out: &mut Vec<u8>) {
        let generation = &self.generation;
        match output {
            Ok(Output::Delta { choice, delta }) => {
                write_event(&self.events.delta(generation, choice, delta), out);
            }
            Ok(Output::Finish {
                choice,
                reason,
                usage,
            }) => {
                let reason = answer::finish_reason(reason);
                write_event(&self.events.finish(generation, choice, reason), out);
                let Some(usage) = usage else {
                    return;
                };
                if self.include_usage {
                    let usage = answer::usage(usage);
                    write_event(&self.events.usage(generation, usage), out);
                }
                write_event(DONE.as_bytes(), out);
                self.ended = true;
            }
            Err(error) => {
                error.log_cause(Some(generation.request_id()));
                write_event(&self.events.failure(&error), out);
                self.ended = true;
            }
        }
    }
}

impl<E: Events> Stream for EventStream<E> {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if !self.opening.is_empty() {
            let opening = std::mem::take(&mut self.opening);
            return Poll::Ready(Some(Ok(opening.into())));
        }
        let Some(output) = ready!(self.generation.poll_next_unpin(context)) else {
            self.ended = true;
            return Poll::Ready(None);
        };
        let mut out = Vec::new();
        self.encode(output, &mut out);
        Poll::Ready(Some(Ok(out.into())))
    }
}
