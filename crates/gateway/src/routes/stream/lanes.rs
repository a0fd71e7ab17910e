//! The lanes of one socket. They take turns, a message each, whenever the client has taken what
//! was said before; so no lane waits for another one, and none is read ahead of the client.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use fathom_proto::{Error, ErrorCode};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::connection::Outgoing;
use super::lane::{Lane, Said, StreamId};

/// Refusals that wait for the client to read them.
const MAX_UNREAD: usize = 64;

/// What a socket has to say.
#[derive(Default)]
pub struct Lanes {
    /// What is about messages and not of lanes; it goes first.
    refusals: VecDeque<Utf8Bytes>,
    lanes: Vec<Lane>,
    /// Whose turn it is.
    turn: usize,
    /// No lane will be added.
    closing: bool,
}

impl Lanes {
    /// How many lanes there are.
    pub fn count(&self) -> usize {
        self.lanes.len()
    }

    /// Whether a lane has this name.
    pub fn has(&self, id: &StreamId) -> bool {
        self.lanes.iter().any(|lane| lane.id() == id)
    }

    /// Adds a lane.
    pub fn add(&mut self, lane: Lane) {
        self.lanes.push(lane);
    }

    /// Cancels a lane. One that is not there may have ended while the client spoke.
    pub fn cancel(&mut self, id: &StreamId) {
        if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.id() == id) {
            lane.cancel();
        }
    }

    /// Says something about a message; `false`: the client reads none of it.
    pub fn refuse(&mut self, refusal: Utf8Bytes) -> bool {
        let room = self.refusals.len() < MAX_UNREAD;
        if room {
            self.refusals.push_back(refusal);
        }
        room
    }

    /// Lets the lanes end and takes no more.
    pub fn close(&mut self) {
        self.closing = true;
    }

    /// Ends all lanes with this error, and takes no more.
    pub fn fail(&mut self, code: ErrorCode, message: &str) {
        self.closing = true;
        for lane in &mut self.lanes {
            lane.fail(Error::new(code, message));
        }
    }
}

impl Outgoing for Lanes {
    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Message>> {
        if let Some(refusal) = self.refusals.pop_front() {
            return Poll::Ready(Some(Message::Text(refusal)));
        }
        for _ in 0..self.lanes.len() {
            let turn = if self.turn < self.lanes.len() {
                self.turn
            } else {
                0
            };
            self.turn = turn + 1;
            let Some(lane) = self.lanes.get_mut(turn) else {
                break;
            };
            match lane.poll_message(context) {
                Poll::Ready(Said::Chunk(text)) => {
                    return Poll::Ready(Some(Message::Text(text)));
                }
                Poll::Ready(Said::Last(text)) => {
                    self.lanes.remove(turn).end();
                    // The one after it has moved to its place.
                    self.turn = turn;
                    return Poll::Ready(Some(Message::Text(text)));
                }
                Poll::Pending => {}
            }
        }
        if self.closing && self.lanes.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Pending
    }

    fn poll_work(&mut self, context: &mut Context<'_>) {
        for lane in &mut self.lanes {
            lane.poll_start(context);
        }
    }
}
