//! Event streams over HTTP that may be taken up again. A client asks for one with
//! `x-fathom-resume: true`; each event has an `id:` then, and a request to the same route with
//! `Last-Event-ID` gets what follows that event.
//!
//! Once it has seen an `id:`, the decoder of OpenAI's Python SDK takes every blank line for the end
//! of an event, so a comment has none behind it here.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use fathom_proto::id::RequestId;
use fathom_proto::identity::Scope;
use fathom_proto::{Error, ErrorCode};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tokio::time::{Sleep, sleep};

use super::{Owner, Piece, Read, Reader};
use crate::error::ApiError;
use crate::event_stream::{self, Sign};
use crate::identity::Session;
use crate::record::{self, Record};
use crate::{Gateway, json};

/// Asks for such a stream; in the answer, whether it is one.
pub const RESUME: HeaderName = HeaderName::from_static("x-fathom-resume");
/// The `id` of the last event that the client has, as in the specification of event streams.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The layer behind a policy that makes of an event stream one that may be taken up again, where
/// that is asked for, and takes one up.
pub async fn layer(
    State(gateway): State<Gateway>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let extensions = request.extensions();
    let (Some(session), Some(record), Some(path), &Method::POST) = (
        extensions.get::<Session>().cloned(),
        extensions.get::<Record>().cloned(),
        extensions.get::<MatchedPath>().cloned(),
        request.method(),
    ) else {
        return Ok(next.run(request).await);
    };
    let owner = Owner::new(&session, path.as_str());
    if let Some(last) = last_event_id(request.headers())? {
        // A client may send its request again with it, and may not read before it has done so.
        json::body(request, &()).await?;
        return take_up(&gateway, session, record, &owner, &last);
    }
    if !is_asked_for(request.headers())? {
        return Ok(next.run(request).await);
    }
    let mut response = next.run(request).await;
    if !response.status().is_success() {
        return Ok(response);
    }
    let place = match is_event_stream(&response) {
        true => gateway.streams.keep(record.id(), owner),
        false => None,
    };
    let may_resume = HeaderValue::from_static(if place.is_some() { "true" } else { "false" });
    response.headers_mut().insert(RESUME, may_resume);
    let Some((keeper, reader)) = place else {
        return Ok(response);
    };
    let sign = response.extensions_mut().remove::<Sign>();
    let (heir, inherits) = record::Heir::new();
    response.extensions_mut().insert(heir);
    let mut answer = Body::empty();
    std::mem::swap(response.body_mut(), &mut answer);
    let shutdown = gateway.shutdown.clone();
    gateway.shutdown.spawn(async move {
        // Whoever ends the request is told when the answer's head is complete.
        let Ok(mut ending) = inherits.await else {
            return;
        };
        let source = pieces(answer, sign, ending.record.id());
        let cancelled = keeper.cancelled();
        let complete = tokio::select! {
            biased;
            () = cancelled.cancelled() => false,
            complete = keeper.fill(source, &shutdown) => complete,
        };
        ending.complete = complete;
        drop(ending);
        if complete {
            keeper.linger(&shutdown).await;
        }
    });
    *response.body_mut() = Body::from_stream(Events::of(reader, None));
    Ok(response)
}

/// The rest of a stream.
fn take_up(
    gateway: &Gateway,
    session: Session,
    record: Record,
    owner: &Owner,
    last: &str,
) -> Result<Response, ApiError> {
    let (id, after) = parse(last)?;
    let of_header = |error: Error| match error.code {
        ErrorCode::InvalidRequest => Error {
            param: Some(LAST_EVENT_ID.to_string()),
            ..error
        },
        _ => error,
    };
    let reader = gateway.streams.resume(id, owner, after);
    let reader = reader.map_err(of_header)?;
    record.set_resumed(id.into());
    // What was begun may be finished; by another credential, as long as that holds.
    let over = session.ended(Scope::Inference, None).boxed();
    let events = Events::of(reader, Some((over, record)));
    let mut response = event_stream::head(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(RESUME, HeaderValue::from_static("true"));
    Ok(response)
}

/// Whether the client wants to take the stream up again if it breaks.
fn is_asked_for(headers: &HeaderMap) -> Result<bool, ApiError> {
    match headers.get(RESUME).map(HeaderValue::as_bytes) {
        None | Some(b"false") => Ok(false),
        Some(b"true") => Ok(true),
        Some(_) => {
            let message = "the header `x-fathom-resume` must be `true` or `false`";
            Err(ApiError::invalid(RESUME.as_str(), message))
        }
    }
}

/// What the client has last seen; an empty header is none, as browsers have it.
fn last_event_id(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(LAST_EVENT_ID).filter(|it| !it.is_empty()) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| malformed())?;
    Ok(Some(text.to_owned()))
}

/// The request, and the number of its event; none where the client has seen no event, and knows
/// the request by `x-request-id`.
fn parse(last: &str) -> Result<(&str, Option<u64>), ApiError> {
    match last.split_once('-') {
        None => Ok((last, None)),
        Some((id, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok((id, Some(number.parse().map_err(|_| malformed())?)))
        }
        Some(_) => Err(malformed()),
    }
}

fn malformed() -> ApiError {
    let message = "the header `last-event-id` must be the `id` of the last event received";
    ApiError::invalid(LAST_EVENT_ID.as_str(), message)
}

fn is_event_stream(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// The events of an answer, each with its id.
fn pieces(
    answer: Body,
    sign: Option<Sign>,
    id: &RequestId,
) -> impl Stream<Item = Result<Piece, ()>> + use<> {
    let id = id.clone();
    let mut number = 0u64;
    answer.into_data_stream().flat_map(move |frame| {
        let pieces = match frame {
            Err(_) => vec![Err(())],
            Ok(frame) => match sign {
                Some(Sign(sign)) if frame == sign => vec![Ok(Piece::Sign(bare(sign)))],
                _ => {
                    let events = split(&frame).map(|event| {
                        let mut bytes = format!("id: {id}-{number}\n").into_bytes();
                        number += 1;
                        bytes.extend_from_slice(event);
                        Ok(Piece::Event(bytes.into()))
                    });
                    events.collect()
                }
            },
        };
        stream::iter(pieces)
    })
}

/// The events of a frame, which holds whole ones.
fn split(mut frame: &[u8]) -> impl Iterator<Item = &[u8]> {
    const END: &[u8] = b"\n\n";
    std::iter::from_fn(move || {
        let end = frame.windows(END.len()).position(|it| it == END);
        let (event, rest) = frame.split_at(end.map_or(frame.len(), |end| end + END.len()));
        frame = rest;
        (!event.is_empty()).then_some(event)
    })
}

/// A comment without the blank line that follows it elsewhere.
fn bare(sign: &'static [u8]) -> &'static [u8] {
    match sign {
        [b':', .., b'\n', b'\n'] => sign.split_last().map_or(sign, |(_, line)| line),
        _ => sign,
    }
}

/// How long a caller that is shut out still gets what is there. If its credential is the one that
/// began the stream, this is the event that says so.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The events that a reader gets.
struct Events {
    reader: Option<Reader>,
    rights: Rights,
}

/// How long the caller may read.
enum Rights {
    /// As long as there is something: what is read ends with the rights of the same credential.
    OfStream,
    /// Until this completes.
    Until(BoxFuture<'static, Error>, Record),
    /// For some moments.
    Over(Pin<Box<Sleep>>),
}

/// The stream goes on elsewhere, so this connection breaks.
#[derive(Debug, thiserror::Error)]
#[error("the stream was taken up elsewhere, or may not be read any more")]
struct Cut;

impl Events {
    /// What `reader` gets, with a credential of its own until that does not hold any more.
    fn of(reader: Reader, until: Option<(BoxFuture<'static, Error>, Record)>) -> Self {
        Self {
            reader: Some(reader),
            rights: until.map_or(Rights::OfStream, |(over, record)| {
                Rights::Until(over, record)
            }),
        }
    }

    /// Completes when nothing may be read any more.
    fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Rights::Until(over, record) = &mut self.rights {
            let error = ready!(over.poll_unpin(context));
            record.set_error(error.code);
            error.log_cause(Some(record.id()));
            self.rights = Rights::Over(Box::pin(sleep(LAST_WORDS)));
        }
        match &mut self.rights {
            Rights::Over(moments) => moments.as_mut().poll(context),
            _ => Poll::Pending,
        }
    }
}

impl Stream for Events {
    type Item = Result<Bytes, Cut>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let over = this.poll_over(context).is_ready();
        let Some(reader) = &mut this.reader else {
            return Poll::Ready(None);
        };
        let read = match over {
            true => Read::Cut,
            false => ready!(reader.poll_read(context)),
        };
        Poll::Ready(match read {
            Read::Event(bytes) | Read::Last(bytes) => Some(Ok(bytes)),
            Read::Sign(sign) => Some(Ok(Bytes::from_static(sign))),
            Read::End => {
                this.reader = None;
                None
            }
            Read::Cut => {
                this.reader = None;
                Some(Err(Cut))
            }
        })
    }
}
