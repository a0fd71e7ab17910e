//! The lanes of one socket. They take turns, a message each, whenever the client has taken what
//! was said before; so no lane waits for another one, and none is read ahead of the client.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use fathom_proto::{Error, ErrorCode};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::connection::Outgoing;
use super::lane::{Lane, Said, StreamId};
use super::turns::{Turn, Turns};

/// Refusals that wait for the client to read them.
const MAX_UNREAD: usize = 64;

/// What a socket has to say.
#[derive(Default)]
pub struct Lanes {
    /// What is about messages and not of lanes; it goes first.
    refusals: VecDeque<Utf8Bytes>,
    /// By numbers that are given once.
    seats: HashMap<u64, Seat>,
    next_key: u64,
    turns: Turns,
    /// No lane will be added.
    closing: bool,
}

struct Seat {
    lane: Lane,
    turn: Arc<Turn>,
    /// The same, as the lane knows it.
    waker: Waker,
}

impl Lanes {
    /// How many lanes there are.
    pub fn count(&self) -> usize {
        self.seats.len()
    }

    /// Whether a lane has this name.
    pub fn has(&self, id: &StreamId) -> bool {
        self.seats.values().any(|seat| seat.lane.id() == id)
    }

    /// Adds a lane.
    pub fn add(&mut self, lane: Lane) {
        let key = self.next_key;
        self.next_key += 1;
        let turn = self.turns.join(key);
        let waker = turn.clone().into();
        self.seats.insert(key, Seat { lane, turn, waker });
    }

    /// Cancels a lane. One that is not there may have ended while the client spoke.
    pub fn cancel(&mut self, id: &StreamId) {
        if let Some(seat) = self.seats.values_mut().find(|seat| seat.lane.id() == id) {
            seat.lane.cancel();
            seat.waker.wake_by_ref();
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
        for seat in self.seats.values_mut() {
            seat.lane.fail(Error::new(code, message));
            seat.waker.wake_by_ref();
        }
    }
}

impl Outgoing for Lanes {
    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Message>> {
        if let Some(refusal) = self.refusals.pop_front() {
            return Poll::Ready(Some(Message::Text(refusal)));
        }
        self.turns.listen(context);
        // One that wants another turn at once gets it after this.
        for _ in 0..self.turns.waiting() {
            let Some(key) = self.turns.next() else {
                break;
            };
            let Some(Seat { lane, turn, waker }) = self.seats.get_mut(&key) else {
                continue;
            };
            turn.begin();
            match lane.poll_message(&mut Context::from_waker(waker)) {
                Poll::Ready(Said::Chunk(text)) => {
                    turn.again();
                    return Poll::Ready(Some(Message::Text(text)));
                }
                Poll::Ready(Said::Last(text)) => {
                    if let Some(seat) = self.seats.remove(&key) {
                        seat.lane.end();
                    }
                    return Poll::Ready(Some(Message::Text(text)));
                }
                Poll::Pending => {}
            }
        }
        if self.closing && self.seats.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Pending
    }

    fn poll_work(&mut self, context: &mut Context<'_>) {
        self.turns.listen(context);
        for _ in 0..self.turns.waiting() {
            let Some(key) = self.turns.next() else {
                break;
            };
            let Some(Seat { lane, turn, waker }) = self.seats.get_mut(&key) else {
                continue;
            };
            turn.begin();
            if lane.poll_start(&mut Context::from_waker(waker)).is_ready() {
                turn.again();
            }
        }
    }
}
