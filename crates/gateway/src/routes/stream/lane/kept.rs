//! Lanes that may be taken up again on another socket. A task of this process has the lane, and what
//! it says; a socket reads that.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use fathom_api::stream::lanes::{LaneMessage, ResumeFrom};
use fathom_proto::{Error, ErrorCode};
use futures::{Stream, StreamExt};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::{Lane, Said, State, StreamId};
use crate::Gateway;
use crate::identity::Session;
use crate::record::Ending;
use crate::resume::{Owner, Piece, Read, Reader};
use crate::routes::stream::message::text;

impl Lane {
    /// The same lane, run by a task of its own if there is a place for one more, and a request that
    /// can be read. It says first whether it is.
    pub fn kept(self, gateway: &Gateway, session: &Session) -> Self {
        let place = match self.state {
            State::Over(_) => None,
            _ => {
                let owner = owner(session, &self.id);
                gateway.streams.keep(&self.request_id, owner)
            }
        };
        let created = text(&LaneMessage::Created {
            stream_id: self.id.as_str().into(),
            id: self.request_id.as_str().into(),
            resume: place.is_some(),
        });
        let Some((keeper, reader)) = place else {
            return Self {
                created: Some(created),
                ..self
            };
        };
        let front = Self {
            id: self.id.clone(),
            created: Some(created),
            next_seq: 0,
            state: State::Away(Away { reader }),
            ending: None,
            request_id: self.request_id.clone(),
        };
        let shutdown = gateway.shutdown.clone();
        gateway.shutdown.spawn(async move {
            let mut said = 0_u64;
            let messages = Messages::of(self, &keeper.cancelled());
            let source = messages.inspect(|_| said += 1);
            // Of a request that was refused there is nothing to come back for.
            if keeper.fill(source, &shutdown).await && said > 1 {
                keeper.linger(&shutdown).await;
            }
        });
        front
    }

    /// The lane that was begun on another socket.
    pub fn resumed(
        gateway: &Gateway,
        session: &Session,
        id: StreamId,
        from: &ResumeFrom<'_>,
        ending: Ending,
    ) -> Result<Self, Error> {
        let reader = gateway
            .streams
            .resume(&from.id, &owner(session, &id), from.seq);
        let reader = reader.map_err(|error| {
            ending.record.set_error(error.code);
            Error {
                param: Some("resume_from".to_owned()),
                ..error
            }
        })?;
        let request_id = from.id.as_ref().into();
        ending.record.set_resumed(from.id.as_ref().into());
        Ok(Self {
            id,
            created: None,
            next_seq: 0,
            state: State::Away(Away { reader }),
            ending: Some(ending),
            request_id,
        })
    }
}

/// What a lane says holds its name, so it is taken up under the same one.
fn owner(session: &Session, id: &StreamId) -> Owner {
    Owner::new(session, &format!("/v1/stream {}", id.as_str()))
}

/// What a lane says, to its end.
struct Messages {
    lane: Option<Lane>,
    /// Until it has completed.
    cancelled: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Messages {
    fn of(lane: Lane, cancelled: &CancellationToken) -> Self {
        Self {
            lane: Some(lane),
            cancelled: Some(Box::pin(cancelled.clone().cancelled_owned())),
        }
    }
}

impl Stream for Messages {
    type Item = Result<Piece, ()>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(lane) = &mut this.lane else {
            return Poll::Ready(None);
        };
        if let Some(cancelled) = &mut this.cancelled
            && cancelled.as_mut().poll(context).is_ready()
        {
            this.cancelled = None;
            lane.cancel();
        }
        Poll::Ready(Some(Ok(match ready!(lane.poll_message(context)) {
            Said::Chunk(text) => Piece::Event(text.into()),
            Said::Last(text) => {
                if let Some(lane) = this.lane.take() {
                    lane.end();
                }
                Piece::Last(text.into())
            }
        })))
    }
}

/// The messages of a lane that is elsewhere.
pub struct Away {
    reader: Reader,
}

impl Away {
    /// The next message; an error if there is none here any more.
    pub fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Result<Said, Error>> {
        loop {
            return Poll::Ready(Ok(match ready!(self.reader.poll_read(context)) {
                Read::Event(bytes) => Said::Chunk(utf8(bytes)),
                Read::Last(bytes) => Said::Last(utf8(bytes)),
                // There are none on a socket.
                Read::Sign(_) => continue,
                Read::End | Read::Cut => return Poll::Ready(Err(cut())),
            }));
        }
    }

    /// Stops the generation; the last message comes in its turn.
    pub fn cancel(&self) {
        self.reader.cancel();
    }

    /// `seq` of the message that comes next.
    pub fn next_seq(&self) -> u64 {
        self.reader.position()
    }
}

fn utf8(bytes: Bytes) -> Utf8Bytes {
    // It was one before.
    Utf8Bytes::try_from(bytes).unwrap_or_default()
}

fn cut() -> Error {
    Error::new(
        ErrorCode::Conflict,
        "the lane was taken up on another socket, or is read to its end already",
    )
}
