//! One request on a multiplexed socket: its answer, message by message, and its last message.
//! [`asked`] has what is asked, [`kept`] those lanes that may go on on another socket.

pub mod asked;
mod kept;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use fathom_api::stream::lanes::{LaneMessage, write_chunk};
use fathom_api::usage::Usage;
use fathom_proto::Error;
use fathom_proto::id::RequestId;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use self::asked::Asked;
use self::kept::Away;
use super::encoder::{Answer, Step};
use super::message::{json_text, text};
use crate::Gateway;
use crate::error::{self, ApiError};
use crate::identity::Session;
use crate::record::Ending;

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

    /// Goes on until a worker has begun, whether or not the client reads; ready when there may be
    /// something to say.
    pub fn poll_start(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.survives(|lane| {
            lane.go_on(context);
            match lane.state {
                State::Starting(_) if lane.created.is_none() => Poll::Pending,
                _ => Poll::Ready(()),
            }
        })
        .unwrap_or(Poll::Ready(()))
    }

    /// The next message.
    pub fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Said> {
        match self.survives(|lane| lane.poll_said(context)) {
            Some(said) => said,
            None => self.poll_said(context),
        }
    }

    /// A bug in one lane ends that lane alone. Its text is in the log already, by the panic hook; it
    /// may hold anything.
    fn survives<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> Option<T> {
        // What is half done then is thrown away.
        let done = catch_unwind(AssertUnwindSafe(|| work(self)));
        if done.is_err() {
            self.state = State::Over(Last::Failed(Error::internal("a bug ended the lane")));
        }
        done.ok()
    }

    fn go_on(&mut self, context: &mut Context<'_>) {
        if let State::Starting(starting) = &mut self.state
            && let Poll::Ready(started) = starting.as_mut().poll(context)
        {
            self.state = match started {
                Ok(answer) => State::Answering(answer),
                Err(error) => State::Over(Last::Failed(error)),
            };
        }
    }

    fn poll_said(&mut self, context: &mut Context<'_>) -> Poll<Said> {
        if let Some(created) = self.created.take() {
            return Poll::Ready(Said::Chunk(created));
        }
        self.go_on(context);
        if let State::Away(away) = &mut self.state {
            return match away.poll_message(context) {
                Poll::Ready(Ok(said)) => Poll::Ready(said),
                Poll::Ready(Err(error)) => {
                    self.fail(error);
                    self.poll_said(context)
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
                retry_after_ms: error::retry_after_ms(error),
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
