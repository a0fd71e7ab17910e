//! Bodies of requests: one that stops coming is an error for whoever reads it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use axum::body::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use metrics::counter;
use tokio::time::{Instant, Sleep, sleep_until};

use super::activity::Activity;
use super::metrics::ENDED;

/// What a body must bring on the whole, in bytes a second, once it has had its first time-out.
const MIN_RATE: u64 = 500;

/// The body stopped coming, or comes too slowly.
#[derive(Debug, thiserror::Error)]
#[error("the request's body did not come in time")]
pub struct BodyStalled(());

impl BodyStalled {
    /// Whether this is behind an error of reading a body.
    #[must_use]
    pub fn is_cause_of(error: &(dyn std::error::Error + 'static)) -> bool {
        std::iter::successors(Some(error), |error| error.source()).any(|error| error.is::<Self>())
    }
}

/// A body that has its time.
pub struct RequestBody {
    body: Incoming,
    activity: Arc<Activity>,
    limit: Option<Duration>,
    bytes: u64,
    /// Whether all of it came, or it failed.
    over: bool,
    /// When it must be whole at [`MIN_RATE`], without what its bytes add.
    due: Option<Instant>,
    /// Runs while somebody waits for bytes.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl RequestBody {
    pub fn new(body: Incoming, limit: Option<Duration>, activity: Arc<Activity>) -> Self {
        Self {
            body,
            activity,
            limit,
            bytes: 0,
            over: false,
            due: None,
            waiting: None,
        }
    }

    fn is_late(&mut self, limit: Duration, context: &mut Context<'_>) -> bool {
        let waiting = match &mut self.waiting {
            Some(waiting) => waiting,
            None => {
                let now = Instant::now();
                let due = *self.due.get_or_insert(now + limit);
                let earned = Duration::from_millis(self.bytes * 1000 / MIN_RATE);
                let end = (now + limit).min(due + earned);
                self.waiting.insert(Box::pin(sleep_until(end)))
            }
        };
        waiting.as_mut().poll(context).is_ready()
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.waiting = None;
            match &frame {
                Some(Ok(frame)) => {
                    let length = frame.data_ref().map_or(0, Bytes::len);
                    self.bytes = self.bytes.saturating_add(length as u64);
                }
                None | Some(Err(_)) => self.over = true,
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let Some(limit) = self.limit else {
            return Poll::Pending;
        };
        if !self.is_late(limit, context) {
            return Poll::Pending;
        }
        counter!(ENDED, "reason" => "body").increment(1);
        Poll::Ready(Some(Err(Box::new(BodyStalled(())))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !self.over && !self.body.is_end_stream() {
            self.activity.leave_unread();
        }
    }
}
