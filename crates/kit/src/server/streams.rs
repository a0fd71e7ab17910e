//! Answers over HTTP/2. Several share one socket, so one that is not read stalls nothing but
//! itself: its window is used up, and nobody asks its body for more. That is seen here, where each
//! answer is a task, and ending the task resets the stream.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
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

/// An answer's body: its request is in flight until it ends.
pub struct Answer {
    body: Body,
    /// `None` on HTTP/1.1, where the socket sees the same.
    reader: Option<Arc<Reader>>,
    _in_flight: InFlight,
}

impl Answer {
    /// Must be made in the task that sends it.
    pub fn new(body: Body, in_flight: InFlight) -> Self {
        Self {
            body,
            reader: READER.try_with(Arc::clone).ok(),
            _in_flight: in_flight,
        }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
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
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
