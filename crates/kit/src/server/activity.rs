//! Whether a connection has anything to do, and since when not. The connection, its socket and its
//! requests share it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, ready};
use std::time::Duration;

use futures::task::AtomicWaker;
use tokio::time::{Instant, Sleep, sleep_until};

use super::limits::Limits;

/// How long a connection that is told to end may take to do so.
pub const FAREWELL: Duration = Duration::from_secs(1);

/// What goes on on a connection.
pub struct Activity {
    /// Requests whose answer has not ended.
    in_flight: AtomicUsize,
    /// A request's body was left unread, and its rest is still to come.
    unread: AtomicBool,
    /// The peer sends what only makes work.
    flooded: AtomicBool,
    /// Pieces of answers that were handed over.
    pieces: AtomicU64,
    quiet: Mutex<Quiet>,
    /// The connection's task, to be told of what happens in others.
    connection: AtomicWaker,
}

/// A time without a request.
struct Quiet {
    since: Instant,
    /// When its first byte came, which begins a header.
    heard: Option<Instant>,
    /// Whether there was a request before.
    served: bool,
    http2: bool,
    /// When draining began.
    draining: Option<Instant>,
}

/// Why a connection is to end now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdue {
    /// A header did not come in time.
    Header,
    /// No request came.
    Idle,
    /// The peer sends what only makes work.
    Flood,
    /// The server drains, and nothing is left to be done.
    Drained,
}

impl Overdue {
    /// The label of its metric.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Idle => "idle",
            Self::Flood => "flood",
            Self::Drained => "drained",
        }
    }
}

impl Activity {
    /// A connection that has just come.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            in_flight: AtomicUsize::new(0),
            unread: AtomicBool::new(false),
            flooded: AtomicBool::new(false),
            pieces: AtomicU64::new(0),
            quiet: Mutex::new(Quiet {
                since: Instant::now(),
                heard: None,
                served: false,
                http2: false,
                draining: None,
            }),
            connection: AtomicWaker::new(),
        })
    }

    /// A request begins; it ends when what is returned is dropped.
    pub fn begin(self: &Arc<Self>, http2: bool) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        let mut quiet = self.quiet();
        quiet.served = true;
        quiet.http2 = http2;
        quiet.heard = None;
        InFlight(self.clone())
    }

    /// Bytes came.
    pub fn heard(&self) {
        if self.in_flight.load(Ordering::Acquire) == 0 {
            self.quiet().heard.get_or_insert_with(Instant::now);
        }
    }

    /// Some of an answer was sent; the last of it is when its request has ended already.
    pub fn sent(&self) {
        if self.in_flight.load(Ordering::Acquire) == 0 {
            self.quiet().since = Instant::now();
        }
    }

    /// The peer sends what only makes work.
    pub fn flooded(&self) {
        self.flooded.store(true, Ordering::Release);
        self.connection.wake();
    }

    /// A piece of an answer is handed over.
    pub fn answered(&self) {
        self.pieces.fetch_add(1, Ordering::Relaxed);
    }

    /// How many pieces of answers were handed over.
    pub fn pieces(&self) -> u64 {
        self.pieces.load(Ordering::Relaxed)
    }

    /// The server drains: without a request the connection ends soon, whatever its peer says to
    /// that.
    pub fn drain(&self) {
        self.quiet().draining = Some(Instant::now());
    }

    /// A request's body is left unread.
    pub fn leave_unread(&self) {
        self.unread.store(true, Ordering::Release);
    }

    /// Whether the rest of a body is still to come.
    pub fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Acquire)
    }

    /// Completes when the connection is to end. It must be polled after whatever the connection's
    /// task does.
    pub async fn overdue(&self, limits: &Limits) -> Overdue {
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|context| {
            self.connection.register(context.waker());
            if self.flooded.load(Ordering::Acquire) {
                return Poll::Ready(Overdue::Flood);
            }
            let Some((end, why)) = self.end(limits) else {
                return Poll::Pending;
            };
            let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
            if timer.deadline() != end {
                timer.as_mut().reset(end);
            }
            ready!(timer.as_mut().poll(context));
            Poll::Ready(why)
        })
        .await
    }

    /// When the connection is to end, and why; `None`: not before something else happens.
    fn end(&self, limits: &Limits) -> Option<(Instant, Overdue)> {
        if self.in_flight.load(Ordering::Acquire) > 0 {
            return None;
        }
        let quiet = self.quiet();
        if let Some(draining) = quiet.draining {
            return Some((quiet.since.max(draining) + FAREWELL, Overdue::Drained));
        }
        // The first request is on its way when the connection comes. On HTTP/2 not every byte
        // after it begins a header: there are pings.
        let header = if quiet.served {
            quiet.heard.filter(|_| !quiet.http2)
        } else {
            Some(quiet.since)
        };
        match header {
            Some(begun) => Some((begun + limits.header_timeout, Overdue::Header)),
            None => Some((quiet.since + limits.idle_timeout?, Overdue::Idle)),
        }
    }

    fn quiet(&self) -> MutexGuard<'_, Quiet> {
        // Every change is a few assignments, so a panic elsewhere leaves nothing half done.
        self.quiet.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request whose answer has not ended.
pub struct InFlight(Arc<Activity>);

impl InFlight {
    /// What goes on on its connection.
    pub fn activity(&self) -> &Arc<Activity> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            let mut quiet = self.0.quiet();
            quiet.since = Instant::now();
            quiet.heard = None;
            drop(quiet);
            // On HTTP/2 the answer ends in a task of its own.
            self.0.connection.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn left(activity: &Activity) -> Option<(u64, Overdue)> {
        let (end, why) = activity.end(&Limits::default())?;
        Some(((end - Instant::now()).as_secs(), why))
    }

    #[tokio::test(start_paused = true)]
    async fn a_header_has_its_time_and_an_idle_connection_another() {
        let activity = Activity::new();
        advance(SECOND).await;
        assert_eq!(left(&activity), Some((9, Overdue::Header)));
        let request = activity.begin(false);
        activity.heard();
        assert_eq!(left(&activity), None);
        drop(request);
        assert_eq!(left(&activity), Some((75, Overdue::Idle)));
        advance(SECOND).await;
        assert_eq!(left(&activity), Some((74, Overdue::Idle)));
        activity.heard();
        advance(SECOND).await;
        activity.heard();
        assert_eq!(left(&activity), Some((9, Overdue::Header)));
    }

    /// LIFE-5: whoever still reads an answer is not idle.
    #[tokio::test(start_paused = true)]
    async fn what_is_sent_of_an_answer_that_was_handed_over_puts_the_end_off() {
        let activity = Activity::new();
        drop(activity.begin(false));
        for _ in 0..10 {
            advance(30 * SECOND).await;
            activity.sent();
            assert_eq!(left(&activity), Some((75, Overdue::Idle)));
        }
        advance(SECOND).await;
        assert_eq!(left(&activity), Some((74, Overdue::Idle)));
    }

    /// EDGE-10: also with a request in flight.
    #[tokio::test(start_paused = true)]
    async fn a_flood_ends_a_connection_at_once() {
        let activity = Activity::new();
        let _request = activity.begin(true);
        let limits = Limits::default();
        let flood = async {
            advance(SECOND).await;
            activity.flooded();
        };
        let begun = Instant::now();
        let (why, ()) = tokio::join!(activity.overdue(&limits), flood);
        assert_eq!((why, begun.elapsed()), (Overdue::Flood, SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn pings_do_not_keep_an_idle_connection_of_http_2() {
        let activity = Activity::new();
        let (first, second) = (activity.begin(true), activity.begin(true));
        drop(first);
        assert_eq!(left(&activity), None);
        drop(second);
        activity.heard();
        advance(SECOND).await;
        activity.heard();
        assert_eq!(left(&activity), Some((74, Overdue::Idle)));
    }

    /// A peer of HTTP/2 that does not answer a farewell holds nothing up, and one whose request
    /// was on its way then still gets its answer.
    #[tokio::test(start_paused = true)]
    async fn a_drained_connection_ends_when_its_last_request_has() {
        let activity = Activity::new();
        let request = activity.begin(true);
        activity.drain();
        assert_eq!(left(&activity), None);
        advance(9 * SECOND).await;
        drop(request);
        assert_eq!(left(&activity), Some((1, Overdue::Drained)));
        let late = activity.begin(true);
        assert_eq!(left(&activity), None);
        drop(late);
        assert_eq!(left(&activity), Some((1, Overdue::Drained)));
    }
}
