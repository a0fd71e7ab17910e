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
use futures::{Stream, StreamExt};
use http::{HeaderValue, header};
use serde::Serialize;

use crate::error;
use crate::generation::{Generation, Piece};

/// The JSON of an endpoint's events.
pub trait Events: Send + Unpin + 'static {
    /// The event before any text, where the dialect has one.
    fn opening(&self, generation: &Generation) -> Option<Vec<u8>>;
    /// An event with text.
    fn text(&self, generation: &Generation, text: &str) -> Vec<u8>;
    /// The event that says why the generation ended.
    fn finish(&self, generation: &Generation, reason: FinishReason) -> Vec<u8>;
    /// The event with the token counts.
    fn usage(&self, generation: &Generation, usage: Usage) -> Vec<u8>;
}

/// The answer that streams `generation`, with an event for the counts if the caller asked.
pub fn response<E: Events>(generation: Generation, events: E, include_usage: bool) -> Response {
    let opening = events.opening(&generation);
    let stream = EventStream {
        generation,
        events,
        include_usage,
        opening,
        ended: false,
    };
    let mut response = Response::new(Body::from_stream(stream));
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
    opening: Option<Vec<u8>>,
    ended: bool,
}

impl<E: Events> EventStream<E> {
    fn encode(&self, piece: Result<Piece, Error>, out: &mut Vec<u8>) {
        match piece {
            Ok(Piece::Text(text)) => write_event(&self.events.text(&self.generation, &text), out),
            Ok(Piece::End(reason, usage)) => {
                let reason = finish_reason(reason);
                write_event(&self.events.finish(&self.generation, reason), out);
                if self.include_usage {
                    let usage = Usage::new(usage.prompt_tokens, usage.completion_tokens);
                    write_event(&self.events.usage(&self.generation, usage), out);
                }
                write_event(DONE.as_bytes(), out);
            }
            Err(error) => {
                error.log_cause(Some(self.generation.request_id()));
                write_event(&to_json(&error::body(&error)), out);
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
        let mut out = Vec::new();
        if let Some(opening) = self.opening.take() {
            write_event(&opening, &mut out);
            return Poll::Ready(Some(Ok(out.into())));
        }
        let Some(piece) = ready!(self.generation.poll_next_unpin(context)) else {
            self.ended = true;
            return Poll::Ready(None);
        };
        self.ended = !matches!(piece, Ok(Piece::Text(_)));
        self.encode(piece, &mut out);
        Poll::Ready(Some(Ok(out.into())))
    }
}

/// The public name of the reason.
pub fn finish_reason(reason: fathom_proto::inference::FinishReason) -> FinishReason {
    match reason {
        fathom_proto::inference::FinishReason::Stop => FinishReason::Stop,
        fathom_proto::inference::FinishReason::Length => FinishReason::Length,
    }
}
