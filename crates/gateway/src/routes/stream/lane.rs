//! One request on a multiplexed socket: what is asked, its answer, and its last message.
//! [`kept`] has those that may go on on another socket.

mod kept;

use std::task::{Context, Poll};

use fathom_api::chat::ChatRequest;
use fathom_api::completions::CompletionRequest;
use fathom_api::stream::lanes::{LaneMessage, write_chunk};
use fathom_api::usage::Usage;
use fathom_proto::Error;
use fathom_proto::id::RequestId;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use self::kept::Away;
use super::encoder::{Answer, Encoder, Step};
use super::message::{json_text, retry_after_ms, text};
use crate::dialect::Dialect;
use crate::error::{self, ApiError};
use crate::generation::Generation;
use crate::identity::Session;
use crate::record::{Ending, Record};
use crate::routes::chat::ChatEvents;
use crate::routes::completions::CompletionEvents;
use crate::{Gateway, json, request};

/// What a client calls a lane: 1 to 256 of `A-Z`, `a-z`, `0-9`, `_`, `.` and `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamId(Box<str>);

impl StreamId {
    /// The name, if it can be one.
    pub fn new(text: &str) -> Result<Self, Error> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if (1..=256).contains(&text.len()) && text.bytes().all(fits) {
            return Ok(Self(text.into()));
        }
        let message = "`stream_id` must be 1 to 256 of the characters A-Z, a-z, 0-9, `_`, `.`, `-`";
        Err(Error::invalid("stream_id", message))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A request that is answered under its name.
pub struct Lane {
    id: StreamId,
    /// Said before everything else, and not counted.
    created: Option<Utf8Bytes>,
    next_seq: u64,
    state: State,
    /// The end of its record; one that is made elsewhere is recorded there.
    ending: Option<Ending>,
    request_id: RequestId,
}

enum State {
    /// No worker has begun.
    Starting(BoxFuture<'static, Result<Box<dyn Answer>, Error>>),
    /// The answer comes.
    Answering(Box<dyn Answer>),
    /// Its messages are made elsewhere.
    Away(Away),
    /// Only its last message is left.
    Over(Last),
}

/// How a lane ends.
enum Last {
    Done(Usage),
    Failed(Error),
    Cancelled(Option<Usage>),
}

impl Lane {
    /// Begins to ask; a request that is refused has a lane too, of one message.
    pub fn begin(
        gateway: &Gateway,
        session: &Session,
        id: StreamId,
        request: &RawValue,
        ending: Ending,
    ) -> Self {
        let record = ending.record.clone();
        let request_id = record.id().clone();
        let state = match Asked::read(request) {
            Ok(asked) => {
                let (gateway, session) = (gateway.clone(), session.clone());
                State::Starting(asked.start(gateway, session, record).boxed())
            }
            Err(ApiError(error)) => State::Over(Last::Failed(error)),
        };
        Self {
            id,
            created: None,
            next_seq: 0,
            state,
            ending: Some(ending),
            request_id,
        }
    }

    /// Its name.
    pub fn id(&self) -> &StreamId {
        &self.id
    }

    /// Goes on until a worker has begun, whether or not the client reads.
    pub fn poll_start(&mut self, context: &mut Context<'_>) {
        if let State::Starting(starting) = &mut self.state
            && let Poll::Ready(started) = starting.as_mut().poll(context)
        {
            self.state = match started {
                Ok(answer) => State::Answering(answer),
                Err(error) => State::Over(Last::Failed(error)),
            };
        }
    }

    /// The next message.
    pub fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Said> {
        if let Some(created) = self.created.take() {
            return Poll::Ready(Said::Chunk(created));
        }
        self.poll_start(context);
        if let State::Away(away) = &mut self.state {
            return match away.poll_message(context) {
                Poll::Ready(Ok(said)) => Poll::Ready(said),
                Poll::Ready(Err(error)) => {
                    self.fail(error);
                    self.poll_message(context)
                }
                Poll::Pending => Poll::Pending,
            };
        }
        if let State::Answering(answer) = &mut self.state {
            let Poll::Ready(step) = answer.poll_step(context) else {
                return Poll::Pending;
            };
            self.state = match step {
                Step::Event(event) => {
                    let seq = self.next_seq;
                    self.next_seq += 1;
                    let chunk = write_chunk(self.id.as_str(), seq, &event);
                    return Poll::Ready(Said::Chunk(json_text(chunk)));
                }
                Step::Done(usage) => State::Over(Last::Done(usage)),
                Step::Failed(error) => State::Over(Last::Failed(error)),
            };
        }
        match &self.state {
            State::Over(last) => Poll::Ready(Said::Last(self.last(last))),
            _ => Poll::Pending,
        }
    }

    /// Stops at once, and says so in its turn.
    pub fn cancel(&mut self) {
        let usage = match &self.state {
            State::Starting(_) => None,
            State::Answering(answer) => Some(answer.usage()),
            State::Away(away) => return away.cancel(),
            State::Over(_) => return,
        };
        self.state = State::Over(Last::Cancelled(usage));
    }

    /// Stops at once, and says why in its turn.
    pub fn fail(&mut self, error: Error) {
        if let State::Away(away) = &self.state {
            // Whoever takes the lane up again goes on with this number.
            self.next_seq = away.next_seq();
        }
        if !matches!(self.state, State::Over(_)) {
            self.state = State::Over(Last::Failed(error));
        }
    }

    /// The last message was handed over.
    pub fn end(self) {
        let Some(mut ending) = self.ending else {
            return;
        };
        match self.state {
            State::Over(Last::Done(_)) | State::Away(_) => ending.complete = true,
            State::Over(Last::Failed(error)) => {
                ending.record.set_error(error.code);
                error.log_cause(Some(ending.record.id()));
            }
            _ => {}
        }
    }

    fn last(&self, last: &Last) -> Utf8Bytes {
        let stream_id = self.id.as_str().into();
        let (seq, id) = (self.next_seq, self.request_id.as_str().into());
        text(&match last {
            Last::Done(usage) => LaneMessage::Done {
                stream_id,
                seq,
                id,
                usage: *usage,
                fathom: self.ending.as_ref().and_then(|it| it.record.answered_by()),
            },
            Last::Cancelled(usage) => LaneMessage::Cancelled {
                stream_id,
                seq,
                id,
                usage: *usage,
            },
            Last::Failed(error) => LaneMessage::Error {
                status: error.code.row().http,
                stream_id: Some(stream_id),
                seq: Some(seq),
                id: Some(id),
                error: error::body(error).error,
                retry_after_ms: retry_after_ms(error),
            },
        })
    }
}

/// What a lane says.
pub enum Said {
    /// More will come.
    Chunk(Utf8Bytes),
    /// This is its end.
    Last(Utf8Bytes),
}

/// The body of an endpoint.
enum Asked {
    Chat(Box<ChatRequest>),
    Completion(Box<CompletionRequest>),
}

/// What tells the one from the other.
#[derive(Deserialize)]
struct Endpoint {
    prompt: Option<IgnoredAny>,
    messages: Option<IgnoredAny>,
}

impl Asked {
    fn read(request: &RawValue) -> Result<Self, ApiError> {
        let body = request.get().as_bytes();
        let endpoint: Endpoint = json::parse(body)?;
        let (asked, stream) = match (endpoint.prompt, endpoint.messages) {
            (Some(_), Some(_)) => {
                let message = "send either `messages`, for a chat, or `prompt`, for a completion";
                return Err(ApiError::invalid("prompt", message));
            }
            (Some(_), None) => {
                let request: CompletionRequest = json::parse(body)?;
                let stream = request.stream;
                (Self::Completion(Box::new(request)), stream)
            }
            (None, _) => {
                let request: ChatRequest = json::parse(body)?;
                let stream = request.stream;
                (Self::Chat(Box::new(request)), stream)
            }
        };
        if stream == Some(false) {
            let message = "a socket always streams; leave `stream` out";
            return Err(ApiError::invalid("stream", message));
        }
        Ok(asked)
    }

    /// The same as the endpoint does, with `stream`.
    async fn start(
        self,
        gateway: Gateway,
        session: Session,
        record: Record,
    ) -> Result<Box<dyn Answer>, Error> {
        match self {
            Self::Chat(request) => {
                let mut request = *request;
                let dialect = Dialect::OpenAi;
                request::check_chat(dialect, &mut request).map_err(|it| it.0)?;
                let options = request.stream_options.unwrap_or_default();
                let asked = request::from_chat(request, &gateway.config).map_err(|it| it.0)?;
                let generation = Generation::start(&gateway, &session, &record, asked).await?;
                let events = ChatEvents::new(record.id(), options, dialect);
                Ok(Box::new(Encoder::new(generation, events)))
            }
            Self::Completion(request) => {
                let mut request = *request;
                let dialect = Dialect::OpenAi;
                request::check_completion(dialect, &mut request).map_err(|it| it.0)?;
                let options = request.stream_options.unwrap_or_default();
                let asked =
                    request::from_completion(request, &gateway.config).map_err(|it| it.0)?;
                let generation = Generation::start(&gateway, &session, &record, asked).await?;
                let choices = generation.choices();
                let events = CompletionEvents::new(record.id(), choices, options, dialect);
                Ok(Box::new(Encoder::new(generation, events)))
            }
        }
    }
}
