//! Answers over HTTP/2. Several share one socket, so one that is not read stalls nothing but
//! itself: its window is used up, and nobody asks its body for more. That is seen here, where each
//! answer is a task, and ending the task resets the stream.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body::{Body as _, Frame, SizeHint};
use hyper::rt::Executor;
use metrics::counter;
use tokio::time::{Sleep, sleep};

use super::activity::InFlight;
use super::metrics::ENDED;
use crate::shutdown::Shutdown;

tokio::task_local! {
    /// The reader of the answer that the task sends.
    static READER: Arc<Reader>;
}

/// Runs the streams of connections as tasks that draining waits for.
#[derive(Clone)]
pub struct Streams {
    pub shutdown: Shutdown,
    /// How long a reader may take nothing.
    pub write_timeout: Option<Duration>,
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        match self.write_timeout {
            None => self.shutdown.spawn(stream),
            Some(limit) => {
                let reader = Arc::new(Reader::default());
                let read = while_read(stream, reader.clone(), limit);
                self.shutdown.spawn(READER.scope(reader, read));
            }
        }
    }
}

/// What the reader of an answer has taken.
#[derive(Debug, Default)]
pub struct Reader {
    frames: AtomicU64,
    /// Whether it has got all there is, and waits for more.
    full: AtomicBool,
}

/// Runs `stream` until it ends, or its reader takes nothing for `limit`.
async fn while_read(stream: impl Future<Output = ()>, reader: Arc<Reader>, limit: Duration) {
    let mut stream = pin!(stream);
    let mut stalled: Option<(u64, Pin<Box<Sleep>>)> = None;
    std::future::poll_fn(|context| {
        if stream.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        if !reader.full.load(Ordering::Relaxed) {
            stalled = None;
            return Poll::Pending;
        }
        let frames = reader.frames.load(Ordering::Relaxed);
        let (_, time) = match &mut stalled {
            Some(same) if same.0 == frames => same,
            other => other.insert((frames, Box::pin(sleep(limit)))),
        };
        ready!(time.as_mut().poll(context));
        counter!(ENDED, "reason" => "write").increment(1);
        Poll::Ready(())
    })
    .await;
}

/// Most of an answer that is handed over at a time. What is handed over counts as read, and over
/// HTTP/2 it is taken whole as soon as there is room for a byte.
const PIECE: usize = 16 * 1024;

/// An answer's body: its request is in flight until it ends.
pub struct Answer {
    body: Body,
    /// What is left of a frame that is larger than a [`PIECE`].
    rest: Bytes,
    /// `None` on HTTP/1.1, where the socket sees the same.
    reader: Option<Arc<Reader>>,
    in_flight: InFlight,
}

impl Answer {
    /// Must be made in the task that sends it.
    pub fn new(body: Body, in_flight: InFlight) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            reader: READER.try_with(Arc::clone).ok(),
            in_flight,
        }
    }

    fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let polled = ready!(Pin::new(&mut self.body).poll_frame(context));
            let Some(Ok(frame)) = polled else {
                return Poll::Ready(polled);
            };
            match frame.into_data() {
                Ok(data) => self.rest = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let piece = self.rest.split_to(PIECE.min(self.rest.len()));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = self.poll_piece(context);
        if polled.is_ready() {
            self.in_flight.activity().answered();
        }
        if let Some(reader) = &self.reader {
            // What is handed over is asked for again once there is room for it.
            reader.full.store(polled.is_ready(), Ordering::Relaxed);
            if polled.is_ready() {
                reader.frames.fetch_add(1, Ordering::Relaxed);
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let body = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}
