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

use super::activity::InFlight;
use super::metrics::ENDED;
use super::pace::Pace;
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
    bytes: AtomicU64,
    /// Whether it has got all there is, and waits for more.
    full: AtomicBool,
}

impl Reader {
    /// It is handed a frame with so many bytes, which wait until another one is asked for.
    fn hand_over(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.frames.fetch_add(1, Ordering::Relaxed);
        self.full.store(true, Ordering::Relaxed);
    }
}

/// Runs `stream` until it ends, or its reader takes nothing for `limit`, or next to nothing.
async fn while_read(stream: impl Future<Output = ()>, reader: Arc<Reader>, limit: Duration) {
    let mut stream = pin!(stream);
    let mut pace = Pace::default();
    let (mut frames, mut bytes) = (0, 0);
    std::future::poll_fn(|context| {
        if stream.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let full = reader.full.load(Ordering::Relaxed);
        let frames_now = reader.frames.load(Ordering::Relaxed);
        if !full || frames_now != frames {
            // What was handed over before has been taken.
            let bytes_now = reader.bytes.load(Ordering::Relaxed);
            pace.take(bytes_now - bytes);
            (frames, bytes) = (frames_now, bytes_now);
        }
        if !full {
            return Poll::Pending;
        }
        ready!(pace.poll_late(context, limit));
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
            match &polled {
                Poll::Ready(frame) => {
                    let data = frame
                        .as_ref()
                        .and_then(|frame| frame.as_ref().ok()?.data_ref());
                    reader.hand_over(data.map_or(0, Bytes::len));
                }
                Poll::Pending => reader.full.store(false, Ordering::Relaxed),
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

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep, timeout};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How long a stream lasts whose reader takes so many bytes each second, and never all that
    /// there are; `None`: an hour.
    async fn lasts(bytes: usize) -> Option<Duration> {
        let reader = Arc::new(Reader::default());
        let handed = reader.clone();
        let stream = async move {
            loop {
                handed.hand_over(bytes);
                sleep(SECOND).await;
            }
        };
        let begun = Instant::now();
        let read = while_read(stream, reader, 30 * SECOND);
        timeout(3600 * SECOND, read).await.ok()?;
        Some(begun.elapsed())
    }

    /// LIFE-5: over HTTP/2 each stream has its reader, and one that gives room for a byte now and
    /// then holds an answer no longer than one that gives none.
    #[tokio::test(start_paused = true)]
    async fn life_5_the_reader_of_a_stream_must_take_something_on_the_whole() {
        let next_to_nothing = lasts(8).await.unwrap();
        assert!(next_to_nothing < 60 * SECOND, "{next_to_nothing:?}");
        // The smallest event of a token, each second.
        assert_eq!(lasts(80).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_waits_for_more_is_not_slow() {
        let reader = Arc::new(Reader::default());
        let handed = reader.clone();
        let stream = async move {
            for _ in 0..100 {
                handed.hand_over(1);
                handed.full.store(false, Ordering::Relaxed);
                sleep(60 * SECOND).await;
            }
        };
        let begun = Instant::now();
        while_read(stream, reader, 30 * SECOND).await;
        assert_eq!(begun.elapsed(), 6000 * SECOND);
    }
}
