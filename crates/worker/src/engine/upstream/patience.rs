//! How long another server is waited for.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::error::{Failure, UpstreamError};
use crate::{Error, UpstreamConfig};

/// How long a complete answer is kept open for what may follow it: token counts, and the end of
/// the stream, without which the connection cannot be used again.
const TAIL: Duration = Duration::from_secs(1);

/// How long the connection of an answer that is over is given to end the answer, too.
const LINGER: Duration = Duration::from_millis(5);

/// The limits of one request.
///
/// The time between two tokens is measured from when the second one is waited for: a caller that
/// reads slowly is not the server's fault.
pub(super) struct Patience {
    first: Duration,
    idle: Duration,
    total: Duration,
    /// When the whole answer is late, or of no use any more.
    end: Instant,
    deadline: Option<Instant>,
    phase: Phase,
    /// When what is waited for now is late; `None`: nothing is waited for.
    until: Option<Instant>,
    /// Set anew only when it fires too early: tokens that come do not touch it.
    sleep: Pin<Box<Sleep>>,
}

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The first token. What the server sends to keep the connection alive extends the wait.
    First,
    /// The next one. Only events extend the wait.
    Next,
    /// What may follow a complete answer.
    Tail,
    /// The end of the body.
    Linger,
}

impl Patience {
    /// The limits of a request that is sent now, whose first sign of an answer may take `first`.
    pub fn new(config: &UpstreamConfig, first: Duration, deadline: Option<Instant>) -> Self {
        let now = Instant::now();
        let total = now + config.total_timeout;
        let end = deadline.map_or(total, |deadline| deadline.min(total));
        let until = end.min(now + first);
        Self {
            first,
            idle: config.idle_timeout,
            total: config.total_timeout,
            end,
            deadline,
            phase: Phase::First,
            until: Some(until),
            sleep: Box::pin(sleep_until(until)),
        }
    }

    /// What comes of `work`, if that is not late.
    pub async fn wait<T, E: Into<Error>>(
        &mut self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            done = work => done.map_err(Into::into),
            late = poll_fn(|context| self.poll_late(context)) => Err(late),
        }
    }

    /// Waits for something else from now on.
    pub fn phase(&mut self, phase: Phase) {
        if self.phase != phase {
            self.phase = phase;
            self.until = None;
        }
    }

    /// Something came, for which it is not late.
    pub fn heard(&mut self) {
        self.until = None;
    }

    /// Ready with what is late.
    pub fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<Error> {
        let until = *self.until.get_or_insert_with(|| {
            let limit = match self.phase {
                Phase::First => self.first,
                Phase::Next => self.idle,
                Phase::Tail => self.idle.min(TAIL),
                Phase::Linger => LINGER,
            };
            self.end.min(Instant::now() + limit)
        });
        if until < self.sleep.deadline() {
            self.sleep.as_mut().reset(until);
        }
        loop {
            ready!(self.sleep.as_mut().poll(context));
            if self.sleep.deadline() >= until {
                return Poll::Ready(self.late());
            }
            self.sleep.as_mut().reset(until);
        }
    }

    /// What is late, now that something is.
    fn late(&self) -> Error {
        let now = Instant::now();
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            return Error::DeadlineExceeded;
        }
        let late = |what, limit| UpstreamError::Late { what, limit };
        let error = if self.end <= now {
            late("the whole answer", self.total)
        } else if self.phase == Phase::First {
            late("the first token", self.first)
        } else {
            Failure::Stalled(self.idle).into()
        };
        error.into()
    }
}
