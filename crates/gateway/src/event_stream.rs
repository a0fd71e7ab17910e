//! A generation as server-sent events, in the form of one dialect.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use fathom_api::sse::DONE;
use fathom_proto::Error;
use fathom_proto::inference::{Delta, FinishReason, Usage};
use futures::{Stream, StreamExt};
use http::{HeaderValue, header};
use serde::Serialize;

use crate::error;
use crate::generation::{Generation, Output};

/// Where events go, one after the other.
pub trait EventWriter {
    /// An event without a name. What it says is built of strings and numbers, so that its JSON
    /// cannot fail.
    fn event(&mut self, data: &impl Serialize);
    /// An event with a name.
    fn named(&mut self, name: &str, data: &impl Serialize);
    /// The end of a complete stream, for dialects that tell it by an event of its own.
    fn done(&mut self);
}

/// Server-sent events (WHATWG HTML, section 9.2). JSON never holds a raw line break.
impl EventWriter for Vec<u8> {
    fn event(&mut self, data: &impl Serialize) {
        self.extend_from_slice(b"data: ");
        let begun = self.len();
        if serde_json::to_writer(&mut *self, data).is_err() {
            self.truncate(begun);
        }
        self.extend_from_slice(b"\n\n");
    }

    fn named(&mut self, name: &str, data: &impl Serialize) {
        self.extend_from_slice(b"event: ");
        self.extend_from_slice(name.as_bytes());
        self.push(b'\n');
        self.event(data);
    }

    fn done(&mut self) {
        for bytes in ["data: ", DONE, "\n\n"] {
            self.extend_from_slice(bytes.as_bytes());
        }
    }
}

/// The events of one dialect.
pub trait Events: Send + Unpin + 'static {
    /// Before anything else, when the first of the choices has begun.
    fn opening(&mut self, generation: &Generation, out: &mut impl EventWriter);

    /// Something new of a choice. An error, for what the dialect has no form for, ends the stream.
    fn delta(
        &mut self,
        generation: &Generation,
        choice: usize,
        delta: Delta,
        out: &mut impl EventWriter,
    ) -> Result<(), Error>;

    /// The end of a choice; with the counts of all, the end of the stream too. An error ends the
    /// stream in its place.
    fn finish(
        &mut self,
        generation: &Generation,
        choice: usize,
        reason: FinishReason,
        usage: Option<Usage>,
        out: &mut impl EventWriter,
    ) -> Result<(), Error>;

    /// The end of a stream that fails, perhaps before its opening.
    fn error(&mut self, error: &Error, out: &mut impl EventWriter);

    /// What says nothing, to be sent between two events while nothing else is.
    fn keep_alive(&self) -> &'static [u8] {
        b": keep-alive\n\n"
    }
}

/// When to come again, where REST would say so, as the standard has it: a field of the event that
/// follows. The data is what SDKs check, and this they pass over.
pub fn hint(error: &Error, out: &mut Vec<u8>) {
    if let Some(millis) = error::retry_after_ms(error) {
        out.extend_from_slice(format!("retry: {millis}\n").as_bytes());
    }
}

/// What says nothing in the stream of an answer, for layers around its handler.
#[derive(Clone, Copy)]
pub struct Sign(pub &'static [u8]);

/// The answer that streams `generation` as `events`.
pub fn response<E: Events>(generation: Generation, mut events: E) -> Response {
    let mut opening = Vec::new();
    events.opening(&generation, &mut opening);
    let stream = EventStream {
        generation,
        events,
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

/// Room for an event of one token.
const EVENT_BYTES: usize = 320;

/// The JSON of a message that is built of strings and numbers and so cannot fail.
pub fn to_json(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).unwrap_or_default()
}

struct EventStream<E> {
    generation: Generation,
    events: E,
    opening: Vec<u8>,
    ended: bool,
}

impl<E: Events> EventStream<E> {
    fn encode(&mut self, output: Result<Output, Error>, out: &mut Vec<u8>) {
        let generation = &self.generation;
        let encoded = output.and_then(|output| match output {
            Output::Delta { choice, delta } => self.events.delta(generation, choice, delta, out),
            Output::Finish {
                choice,
                reason,
                usage,
            } => {
                self.ended = usage.is_some();
                self.events.finish(generation, choice, reason, usage, out)
            }
        });
        if let Err(error) = encoded {
            self.ended = true;
            generation.failed(&error);
            hint(&error, out);
            self.events.error(&error, out);
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
        let mut out = Vec::with_capacity(EVENT_BYTES);
        self.encode(output, &mut out);
        Poll::Ready(Some(Ok(out.into())))
    }
}
