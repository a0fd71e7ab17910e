//! The sending half of a job.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, OwnedPermit};

use crate::generation::Message;
use crate::{EngineError, Event, Generation};

/// Events that wait for a receiver before the decode loop waits too.
const CAPACITY: usize = 16;

/// How long the decode loop parks before it tries a full channel again.
const RETRY: Duration = Duration::from_millis(5);

/// Sends the events of one job from the decode loop.
pub(crate) struct Outbox {
    events: mpsc::Sender<Message>,
    /// A place kept for the last message, which is thus never lost to a
    /// receiver that does not read.
    last: OwnedPermit<Message>,
    stopping: Arc<AtomicBool>,
    stall_limit: Duration,
}

/// Why a job ends before it is finished.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The receiver is gone; nobody is to be told.
    Cancelled,
    /// The receiver is to be told.
    Failed(EngineError),
}

impl<E: Into<EngineError>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Outbox {
    /// A new outbox and its receiving end. `stopping` ends the job from
    /// outside.
    pub(crate) fn open(
        stopping: Arc<AtomicBool>,
        stall_limit: Duration,
    ) -> Result<(Self, Generation), EngineError> {
        let (events, messages) = mpsc::channel(CAPACITY + 1);
        let last = events
            .clone()
            .try_reserve_owned()
            .map_err(|_| EngineError::Internal)?;
        let outbox = Self {
            events,
            last,
            stopping,
            stall_limit,
        };
        Ok((outbox, Generation::new(messages)))
    }

    /// Whether the job is still wanted.
    pub(crate) fn check(&self) -> Result<(), Halt> {
        if self.events.is_closed() {
            return Err(Halt::Cancelled);
        }
        if self.stopping.load(Ordering::Relaxed) {
            return Err(EngineError::Stopped.into());
        }
        Ok(())
    }

    /// Sends `event`, waiting for room up to the stall limit.
    pub(crate) fn send(&self, event: Event) -> Result<(), Halt> {
        let since = Instant::now();
        let mut message = Ok(event);
        loop {
            message = match self.events.try_send(message) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Closed(_)) => return Err(Halt::Cancelled),
                Err(TrySendError::Full(message)) => message,
            };
            self.check()?;
            if since.elapsed() >= self.stall_limit {
                return Err(EngineError::Stalled.into());
            }
            thread::park_timeout(RETRY);
        }
    }

    /// Sends the last message: `outcome` is the event of a finished job.
    pub(crate) fn close(self, outcome: Result<Event, Halt>) {
        let message = match outcome {
            Ok(event) => Ok(event),
            Err(Halt::Failed(error)) => Err(error),
            Err(Halt::Cancelled) => return,
        };
        self.last.send(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Result<T = ()> = std::result::Result<T, EngineError>;

    fn open(stall_limit: Duration) -> Result<(Outbox, Generation)> {
        Outbox::open(Arc::default(), stall_limit)
    }

    fn event() -> Event {
        Event::Started { prompt_tokens: 1 }
    }

    #[tokio::test]
    async fn stalled_receiver_still_learns_why() -> Result {
        let (outbox, mut generation) = open(Duration::from_millis(20))?;
        for _ in 0..CAPACITY {
            assert!(outbox.send(event()).is_ok());
        }
        let outcome = outbox.send(event());
        assert!(matches!(outcome, Err(Halt::Failed(EngineError::Stalled))));
        outbox.close(outcome.map(|()| event()));
        for _ in 0..CAPACITY {
            assert!(matches!(generation.next().await, Some(Ok(_))));
        }
        assert!(matches!(
            generation.next().await,
            Some(Err(EngineError::Stalled))
        ));
        assert!(generation.next().await.is_none());
        Ok(())
    }

    #[test]
    fn a_blocked_send_notices_that_the_receiver_is_gone() -> Result {
        let (outbox, generation) = open(Duration::from_secs(60))?;
        let (full, blocked) = std::sync::mpsc::channel();
        thread::spawn(move || {
            for _ in 0..=CAPACITY {
                let _ = full.send(outbox.send(event()));
            }
        });
        for _ in 0..CAPACITY {
            assert!(matches!(blocked.recv(), Ok(Ok(()))));
        }
        drop(generation);
        assert!(matches!(blocked.recv(), Ok(Err(Halt::Cancelled))));
        Ok(())
    }

    #[test]
    fn a_stopping_engine_ends_a_blocked_send() -> Result {
        let stopping = Arc::new(AtomicBool::new(true));
        let (outbox, _generation) = Outbox::open(stopping, Duration::from_secs(60))?;
        for _ in 0..CAPACITY {
            assert!(outbox.send(event()).is_ok());
        }
        let outcome = outbox.send(event());
        assert!(matches!(outcome, Err(Halt::Failed(EngineError::Stopped))));
        Ok(())
    }

    #[tokio::test]
    async fn a_job_without_a_last_message_was_stopped() -> Result {
        let (outbox, mut generation) = open(Duration::ZERO)?;
        drop(outbox);
        assert!(matches!(
            generation.next().await,
            Some(Err(EngineError::Stopped))
        ));
        assert!(generation.next().await.is_none());
        Ok(())
    }
}
