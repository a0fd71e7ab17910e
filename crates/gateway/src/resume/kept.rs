//! A stream between the task that fills it and whoever reads it.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use fathom_kit::shutdown::Shutdown;
use fathom_proto::id::RequestId;
use fathom_proto::{Error, ErrorCode};
use futures::{Stream, StreamExt};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::buffer::{Buffer, Missing};
use super::{Owner, Streams, count, unknown};

/// What is shared by the two sides.
pub struct Kept {
    owner: Owner,
    /// The client wants no more of it.
    cancelled: CancellationToken,
    state: Mutex<State>,
}

struct State {
    buffer: Buffer,
    /// Which reader it is that reads; they are counted.
    reader: u64,
    is_read: bool,
    /// What says nothing, to be sent while there is nothing to be said.
    sign: Option<&'static [u8]>,
    /// All of it is in the buffer.
    complete: bool,
    /// It is given up, or was cut: nobody may read it any more.
    over: bool,
    of_reader: Option<Waker>,
    of_keeper: Option<Waker>,
}

impl Kept {
    /// A stream that is read.
    pub fn new(owner: Owner, limit: usize) -> Self {
        Self {
            owner,
            cancelled: CancellationToken::new(),
            state: Mutex::new(State {
                buffer: Buffer::new(limit),
                reader: 0,
                is_read: true,
                sign: None,
                complete: false,
                over: false,
                of_reader: None,
                of_keeper: None,
            }),
        }
    }

    /// Whoever has asked for it.
    pub fn first_reader(self: &Arc<Self>) -> Reader {
        Reader {
            kept: self.clone(),
            number: 0,
        }
    }

    /// Whose it is, and where.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Ends it, whether it runs or is complete.
    pub fn cancel(&self) {
        self.cancelled.cancel();
    }

    /// Whether it is this caller's.
    pub fn is_of(&self, owner: &Owner) -> bool {
        self.owner == *owner
    }

    /// A reader in place of the one that there was.
    pub fn read_after(self: &Arc<Self>, after: Option<u64>) -> Result<Reader, Error> {
        let mut state = self.lock();
        if state.over {
            return Err(unknown());
        }
        state.buffer.seek(after).map_err(missing)?;
        state.reader += 1;
        state.is_read = true;
        let number = state.reader;
        state.wake();
        drop(state);
        Ok(Reader {
            kept: self.clone(),
            number,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves nothing half done that could be read.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Has both sides look again.
    fn wake(&mut self) {
        for waker in [self.of_reader.take(), self.of_keeper.take()] {
            waker.into_iter().for_each(Waker::wake);
        }
    }
}

/// What comes from where the answer is made.
pub enum Piece {
    /// An event.
    Event(Bytes),
    /// A sign of life, which is neither numbered nor kept.
    Sign(&'static [u8]),
    /// The event that ends it.
    Last(Bytes),
}

/// The side that fills a stream. When it is dropped the stream is over.
pub struct Keeper {
    streams: Streams,
    id: RequestId,
    kept: Arc<Kept>,
}

impl Keeper {
    pub(super) fn new(streams: Streams, id: RequestId, kept: Arc<Kept>) -> Self {
        Self { streams, id, kept }
    }

    /// Cancelled when the client wants no more of it.
    pub fn cancelled(&self) -> CancellationToken {
        self.kept.cancelled.clone()
    }

    /// Fills the stream with what the source gives, and drops the source. `false`: nobody has read
    /// it for too long, or the source broke.
    ///
    /// When what is not sent fills its part of the buffer, the source has to wait.
    pub async fn fill<S>(&self, source: S, shutdown: &Shutdown) -> bool
    where
        S: Stream<Item = Result<Piece, ()>>,
    {
        tokio::select! {
            biased;
            () = self.unread(shutdown) => false,
            complete = self.take_all(source) => complete,
        }
    }

    /// Keeps what is complete until nobody has read it for long enough, or wants it.
    pub async fn linger(&self, shutdown: &Shutdown) {
        tokio::select! {
            biased;
            () = self.kept.cancelled.cancelled() => {}
            () = self.unread(shutdown) => {}
        }
    }

    async fn take_all<S>(&self, source: S) -> bool
    where
        S: Stream<Item = Result<Piece, ()>>,
    {
        let mut source = std::pin::pin!(source);
        loop {
            tokio::select! {
                // There mostly is room, and then nothing else is looked at.
                biased;
                () = poll_fn(|context| self.poll(context, |state| state.buffer.has_room())) => {}
                // The source has a last word then, which is short.
                () = self.kept.cancelled.cancelled() => {}
            }
            let piece = match source.next().await {
                Some(Ok(piece)) => piece,
                Some(Err(())) => return false,
                None => {
                    self.change(|state| state.complete = true);
                    return true;
                }
            };
            match piece {
                Piece::Event(event) => self.change(|state| state.buffer.push(event)),
                Piece::Sign(sign) => self.change(|state| state.sign = Some(sign)),
                Piece::Last(event) => {
                    self.change(|state| {
                        state.buffer.push(event);
                        state.complete = true;
                    });
                    return true;
                }
            }
        }
    }

    /// Completes when nobody has read the stream for the grace, or nobody reads it and the process
    /// goes down. Nobody can read it from then on.
    async fn unread(&self, shutdown: &Shutdown) {
        loop {
            poll_fn(|context| self.poll(context, |state| !state.is_read)).await;
            let last = self.kept.lock().reader;
            // One may have come, and left.
            let another = |state: &State| state.is_read || state.reader != last;
            tokio::select! {
                biased;
                () = poll_fn(|context| self.poll(context, another)) => continue,
                () = shutdown.draining() => {}
                () = sleep(self.streams.0.config.grace) => {}
            }
            let mut state = self.kept.lock();
            if !another(&state) {
                state.over = true;
                let event = if state.complete {
                    "forgotten"
                } else {
                    "expired"
                };
                drop(state);
                count(event);
                return;
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.kept.lock();
        change(&mut state);
        let waker = state.of_reader.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    /// All that waits on this side is one task, so one waker is enough.
    fn poll(&self, context: &mut Context<'_>, holds: impl FnOnce(&State) -> bool) -> Poll<()> {
        let mut state = self.kept.lock();
        if holds(&state) {
            return Poll::Ready(());
        }
        state.of_keeper = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.streams.remove(&self.id);
        self.change(|state| state.over = true);
    }
}

/// The side that reads a stream. When it is dropped, the stream waits for another one.
pub struct Reader {
    kept: Arc<Kept>,
    number: u64,
}

/// What a reader gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// An event.
    Event(Bytes),
    /// An event after which nothing comes.
    Last(Bytes),
    /// A sign of life.
    Sign(&'static [u8]),
    /// It was all.
    End,
    /// Another reader has taken its place, or the stream broke.
    Cut,
}

impl Reader {
    /// What comes next.
    pub fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Read> {
        let mut state = self.kept.lock();
        if state.reader != self.number {
            return Poll::Ready(Read::Cut);
        }
        let was_full = !state.buffer.has_room();
        if let Some(event) = state.buffer.take() {
            // It is a sign of life, too.
            state.sign = None;
            let mut waker = None;
            if was_full && state.buffer.has_room() {
                waker = state.of_keeper.take();
            }
            let last = state.complete && state.buffer.is_at_end();
            drop(state);
            waker.into_iter().for_each(Waker::wake);
            return Poll::Ready(match last {
                true => Read::Last(event),
                false => Read::Event(event),
            });
        }
        if state.complete {
            return Poll::Ready(Read::End);
        }
        if state.over {
            return Poll::Ready(Read::Cut);
        }
        if let Some(sign) = state.sign.take() {
            return Poll::Ready(Read::Sign(sign));
        }
        state.of_reader = Some(context.waker().clone());
        Poll::Pending
    }

    /// Number of the event that comes next.
    pub fn position(&self) -> u64 {
        self.kept.lock().buffer.next()
    }

    /// Ends the stream; its source says so in a last event.
    pub fn cancel(&self) {
        self.kept.cancel();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.kept.lock();
        if state.reader == self.number {
            state.is_read = false;
            // It would tell the next one of a silence before it came.
            state.sign = None;
            let waker = state.of_keeper.take();
            drop(state);
            waker.into_iter().for_each(Waker::wake);
        }
    }
}

fn missing(missing: Missing) -> Error {
    match missing {
        Missing::Lost => Error::new(
            ErrorCode::Gone,
            "what follows that event is not kept any more; send the request anew",
        ),
        Missing::Unknown => Error::new(
            ErrorCode::InvalidRequest,
            "the stream has had no event of that number; send the id of the last one received",
        ),
    }
}
