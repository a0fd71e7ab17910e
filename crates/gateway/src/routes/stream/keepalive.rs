//! Whether a client is still there: it is asked now and then, and has to answer. A ping waits behind
//! everything that the client has not read, so one that reads slowly is there although it does not
//! answer in time.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep};

/// So many pings in a row may stay without an answer.
const MAX_UNANSWERED: usize = 2;

/// The pings of one connection.
pub struct Keepalive {
    interval: Duration,
    next: Pin<Box<Sleep>>,
    /// The pings that wait for an answer. Each has a payload that cannot be guessed, so that
    /// whoever answers has read.
    unanswered: Vec<Bytes>,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub enum Due {
    /// Send a ping with this payload.
    Ping(Bytes),
    /// The client has answered none of the last pings, and has read nothing meanwhile.
    Silent,
}

impl Keepalive {
    /// Pings every `interval`.
    pub fn new(interval: Duration) -> Self {
        Self {
            interval,
            next: Box::pin(sleep(interval)),
            unanswered: Vec::with_capacity(MAX_UNANSWERED),
        }
    }

    /// Completes when something is to be done.
    pub fn poll_due(&mut self, context: &mut Context<'_>) -> Poll<Due> {
        ready!(self.next.as_mut().poll(context));
        if self.unanswered.len() >= MAX_UNANSWERED {
            return Poll::Ready(Due::Silent);
        }
        let next = Instant::now() + self.interval;
        self.next.as_mut().reset(next);
        let payload = Bytes::copy_from_slice(&fastrand::u64(..).to_be_bytes());
        self.unanswered.push(payload.clone());
        Poll::Ready(Due::Ping(payload))
    }

    /// The client has read something.
    pub fn reads(&mut self) {
        self.unanswered.clear();
    }

    /// The client has sent a pong; one that answers nothing counts for nothing.
    pub fn pong(&mut self, payload: &Bytes) {
        if self.unanswered.contains(payload) {
            self.unanswered.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn due(keepalive: &mut Keepalive) -> Due {
        poll_fn(|context| keepalive.poll_due(context)).await
    }

    /// LIFE-5
    #[tokio::test(start_paused = true)]
    async fn who_reads_stays_even_without_an_answer() {
        let mut keepalive = Keepalive::new(Duration::from_secs(20));
        for _ in 0..20 {
            assert!(matches!(due(&mut keepalive).await, Due::Ping(_)));
            keepalive.reads();
        }
        assert!(matches!(due(&mut keepalive).await, Due::Ping(_)));
        assert!(matches!(due(&mut keepalive).await, Due::Ping(_)));
        assert_eq!(due(&mut keepalive).await, Due::Silent);
    }

    /// WS-5
    #[tokio::test(start_paused = true)]
    async fn who_answers_stays_and_who_does_not_is_silent_after_two_pings() {
        let mut keepalive = Keepalive::new(Duration::from_secs(20));
        for _ in 0..10 {
            let Due::Ping(payload) = due(&mut keepalive).await else {
                panic!("it answered");
            };
            keepalive.pong(&payload);
        }
        let begun = Instant::now();
        assert!(matches!(due(&mut keepalive).await, Due::Ping(_)));
        keepalive.pong(&Bytes::from_static(b"guessed"));
        assert!(matches!(due(&mut keepalive).await, Due::Ping(_)));
        keepalive.pong(&Bytes::new());
        assert_eq!(due(&mut keepalive).await, Due::Silent);
        assert_eq!(begun.elapsed(), Duration::from_secs(60));
    }
}
