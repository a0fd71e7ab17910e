//! Lanes that may be taken up again on another socket. A task of this process has the lane, and what
//! it says; a socket reads that.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use fathom_api::stream::lanes::{LaneMessage, ResumeFrom};
use fathom_proto::{Error, ErrorCode};
use futures::{Stream, stream};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_util::sync::CancellationToken;

use super::{Lane, Said, State, StreamId};
use crate::Gateway;
use crate::identity::Session;
use crate::record::Ending;
use crate::resume::{Owner, Piece, Read, Reader};
use crate::routes::stream::message::text;

impl Lane {
    /// The same lane, run by a task of its own if there is a place for one more. It says first
    /// whether it is.
    pub fn kept(self, gateway: &Gateway, session: &Session) -> Self {
        let owner = owner(session, &self.id);
        let place = gateway.streams.keep(&self.request_id, owner);
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
            let source = messages(self, keeper.cancelled());
            if keeper.fill(source, &shutdown).await {
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
fn messages(
    lane: Lane,
    cancelled: CancellationToken,
) -> impl Stream<Item = Result<Piece, ()>> + Send {
    stream::unfold(Some(lane), move |lane| {
        let cancelled = cancelled.clone();
        async move {
            let mut lane = lane?;
            let said = tokio::select! {
                biased;
                () = cancelled.cancelled() => {
                    lane.cancel();
                    poll_fn(|context| lane.poll_message(context)).await
                }
                said = poll_fn(|context| lane.poll_message(context)) => said,
            };
            Some(match said {
                Said::Chunk(text) => (Ok(Piece::Event(text.into())), Some(lane)),
                Said::Last(text) => {
                    lane.end();
                    (Ok(Piece::Last(text.into())), None)
                }
            })
        }
    })
}

/// The messages of a lane that is elsewhere.
pub struct Away {
    reader: Reader,
}

impl Away {
    /// The next message; an error if there is none here any more.
    pub fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Result<Said, Error>> {
        loop {
            let text = match ready!(self.reader.poll_read(context)) {
                Read::Event(bytes) => utf8(bytes),
                // There are none on a socket.
                Read::Sign(_) => continue,
                Read::End | Read::Cut => return Poll::Ready(Err(cut())),
            };
            return Poll::Ready(Ok(match self.reader.is_at_end() {
                true => Said::Last(text),
                false => Said::Chunk(text),
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
