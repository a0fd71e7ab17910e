//! One answer of another server, read as it arrives.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use fathom_api::sse::Decoder;
use fathom_proto::inference::{Event, FinishReason, Usage};
use futures::Stream;
use futures::future::BoxFuture;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http_body::Body;
use hyper::body::Incoming;

use super::client::Answered;
use super::count::Counting;
use super::error::{Failure, UpstreamError};
use super::patience::{Patience, Phase};
use super::secrets::Secrets;
use super::transcript::Transcript;
use crate::Error;
use crate::admission::Permit;

/// Most bytes of one event.
const MAX_EVENT: usize = 1024 * 1024;

/// Most bytes of an answer that does not stream.
const MAX_WHOLE: usize = 16 * 1024 * 1024;

/// An answer that is being read. Dropping it takes the request back at the server.
pub(super) struct Answer {
    body: Incoming,
    form: Form,
    transcript: Transcript,
    patience: Patience,
    stage: Stage,
    counting: Option<Counting>,
    secrets: Secrets,
    _permit: Permit,
}

/// What the body is.
enum Form {
    Stream(Decoder),
    /// The server does not stream: one JSON object, as far as it is there.
    Whole(Vec<u8>),
}

enum Stage {
    Reading,
    /// Everything is read that may be, and this is what went wrong.
    Ended(Option<Error>),
    /// The server did not count, so that it is done here.
    Counting(FinishReason, BoxFuture<'static, Usage>),
    Over,
}

impl Answer {
    /// Reads on after a head with status 200.
    pub fn new(
        head: Answered,
        patience: Patience,
        counting: Counting,
        secrets: Secrets,
        permit: Permit,
    ) -> Result<Self, UpstreamError> {
        let form = form(&head)?;
        Ok(Self {
            body: head.into_body(),
            form,
            transcript: Transcript::new(counting.estimate(), counting.wants_text()),
            patience,
            stage: Stage::Reading,
            counting: Some(counting),
            secrets,
            _permit: permit,
        })
    }

    /// Reads the network once: ready when that brought something, or nothing more comes.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let frame = match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let error = ready!(self.patience.poll_late(context));
                self.end(Err(error));
                return Poll::Ready(());
            }
        };
        match frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref()
                    && let Err(error) = self.read(data)
                {
                    self.end(Err(error.into()));
                }
            }
            Some(Err(error)) => self.end(Err(UpstreamError::from(Failure::Broken(error)).into())),
            None => {
                let whole = match &self.form {
                    Form::Whole(body) => self.transcript.whole(body),
                    Form::Stream(_) => Err(Failure::Cut.into()),
                };
                self.end(whole.map_err(Error::from));
            }
        }
        Poll::Ready(())
    }

    fn read(&mut self, data: &[u8]) -> Result<(), UpstreamError> {
        let (decoder, transcript) = match &mut self.form {
            Form::Stream(decoder) => (decoder, &mut self.transcript),
            Form::Whole(body) => {
                self.patience.heard();
                if body.len() + data.len() > MAX_WHOLE {
                    return Err(Failure::TooLong(MAX_WHOLE).into());
                }
                body.extend_from_slice(data);
                return Ok(());
            }
        };
        let mut heard = !transcript.begun;
        let mut read = Ok(());
        let fed = decoder.feed(data, |data| {
            if read.is_ok() {
                read = transcript.event(data);
                heard = true;
            }
        });
        read?;
        fed.map_err(|_| Failure::TooLong(MAX_EVENT))?;
        if heard {
            self.patience.heard();
        }
        self.patience.phase(match transcript {
            Transcript { done: true, .. } => Phase::Linger,
            Transcript {
                reason: Some(_), ..
            } => Phase::Tail,
            Transcript { begun: true, .. } => Phase::Next,
            _ => Phase::First,
        });
        Ok(())
    }

    /// Nothing more comes. An answer whose reason to end is known is complete, whatever went
    /// wrong after it.
    fn end(&mut self, end: Result<(), Error>) {
        let complete = self.transcript.reason.is_some();
        self.stage = Stage::Ended(end.err().filter(|_| !complete));
    }

    /// What comes after the last delta: the error, or the end with its counts.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        loop {
            match &mut self.stage {
                Stage::Reading | Stage::Over => return Poll::Ready(None),
                Stage::Ended(Some(_)) => {
                    let Stage::Ended(error) = std::mem::replace(&mut self.stage, Stage::Over)
                    else {
                        return Poll::Ready(None);
                    };
                    return Poll::Ready(error.map(Err));
                }
                Stage::Ended(None) => {
                    let reason = self.transcript.reason.take().unwrap_or(FinishReason::Stop);
                    match (self.transcript.usage, self.counting.take()) {
                        (None, Some(counting)) => {
                            let text = self.transcript.text.take();
                            let usage = counting.usage(self.transcript.tokens, text);
                            self.stage = Stage::Counting(reason, Box::pin(usage));
                        }
                        (usage, _) => {
                            self.stage = Stage::Over;
                            let usage = usage.unwrap_or_default();
                            return Poll::Ready(Some(Ok(Event::Finished { reason, usage })));
                        }
                    }
                }
                Stage::Counting(reason, counting) => {
                    let usage = ready!(counting.as_mut().poll(context));
                    let reason = reason.clone();
                    self.stage = Stage::Over;
                    return Poll::Ready(Some(Ok(Event::Finished { reason, usage })));
                }
            }
        }
    }
}

impl Stream for Answer {
    type Item = Result<Event, fathom_proto::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(event) = this.transcript.next() {
                return Poll::Ready(Some(Ok(event)));
            }
            if !matches!(this.stage, Stage::Reading) {
                let end = ready!(this.poll_end(context));
                return Poll::Ready(
                    end.map(|end| end.map_err(|error| this.secrets.redact(error).into())),
                );
            }
            ready!(this.poll_read(context));
        }
    }
}

/// What the body of an answer is, as its head says.
fn form(head: &Answered) -> Result<Form, UpstreamError> {
    let text = |name| {
        head.headers()
            .get(name)
            .map_or("", |value| value.to_str().unwrap_or("?"))
    };
    if !matches!(text(CONTENT_ENCODING), "" | "identity") {
        return Err(Failure::Encoded.into());
    }
    let content_type = text(CONTENT_TYPE);
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("text/event-stream") {
        Ok(Form::Stream(Decoder::new(MAX_EVENT)))
    } else if essence.eq_ignore_ascii_case("application/json") {
        Ok(Form::Whole(Vec::new()))
    } else {
        Err(Failure::ContentType(content_type.to_owned()).into())
    }
}
