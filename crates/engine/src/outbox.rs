//! The sending half of a job.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, OwnedPermit};

use crate::generation::Message;
use crate::{EngineError, Event, Generation};

/// Events that wait for a receiver before its job is paused.
const CAPACITY: usize = 16;

/// Sends the events of one job from the decode loop, without ever waiting.
pub(crate) struct Outbox {
    events: mpsc::Sender<Message>,
    /// A place kept for the last message, which is thus never lost to a
    /// receiver that does not read.
    last: OwnedPermit<Message>,
    /// Events that found no room: at most those of one step, as the job is
    /// paused until they are sent.
    backlog: VecDeque<Event>,
    /// Since when there is no room.
    full_since: Option<Instant>,
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
    /// A new outbox and its receiving end.
    pub(crate) fn open(stall_limit: Duration) -> Result<(Self, Generation), EngineError> {
        let (events, messages) = mpsc::channel(CAPACITY + 1);
        let last = events
            .clone()
            .try_reserve_owned()
            .map_err(|_| EngineError::Internal)?;
        let outbox = Self {
            events,
            last,
            backlog: VecDeque::new(),
            full_since: None,
            stall_limit,
        };
        Ok((outbox, Generation::new(messages)))
    }

    /// Sends `event`, or keeps it until there is room.
    pub(crate) fn send(&mut self, event: Event) {
        self.backlog.push_back(event);
        self.offer();
    }

    /// Sends what is kept; whether all is sent.
    pub(crate) fn flush(&mut self, now: Instant) -> Result<bool, Halt> {
        if self.events.is_closed() {
            return Err(Halt::Cancelled);
        }
        if self.offer() {
            self.full_since = None;
        }
        if self.backlog.is_empty() {
            return Ok(true);
        }
        let since = *self.full_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= self.stall_limit {
            return Err(EngineError::Stalled.into());
        }
        Ok(false)
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

    /// Sends as much as there is room for; whether that is anything.
    fn offer(&mut self) -> bool {
        let before = self.backlog.len();
        while let Some(event) = self.backlog.pop_front() {
            if let Err(TrySendError::Full(Ok(event))) = self.events.try_send(Ok(event)) {
                self.backlog.push_front(event);
                break;
            }
        }
        self.backlog.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Result<T = ()> = std::result::Result<T, EngineError>;

    const LIMIT: Duration = Duration::from_secs(30);

    fn event(prompt_tokens: u32) -> Event {
        Event::Started {
            prompt_tokens,
            replayed: Vec::new(),
            cached_tokens: 0,
        }
    }

    /// An outbox with as many events as its receiver has room for, and one.
    fn overfull() -> Result<(Outbox, Generation)> {
        let (mut outbox, generation) = Outbox::open(LIMIT)?;
        for number in 0..=16 {
            outbox.send(event(number));
        }
        Ok((outbox, generation))
    }

    #[tokio::test]
    async fn an_event_without_room_is_sent_later() -> Result {
        let (mut outbox, mut generation) = overfull()?;
        let now = Instant::now();
        assert!(matches!(outbox.flush(now), Ok(false)));
        for number in 0..=16 {
            assert!(matches!(generation.next().await, Some(Ok(sent)) if sent == event(number)));
            assert!(matches!(outbox.flush(now + LIMIT), Ok(true)));
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_stalled_receiver_still_learns_why() -> Result {
        let (mut outbox, mut generation) = overfull()?;
        let now = Instant::now();
        assert!(matches!(outbox.flush(now), Ok(false)));
        let outcome = outbox.flush(now + LIMIT);
        assert!(matches!(outcome, Err(Halt::Failed(EngineError::Stalled))));
        outbox.close(outcome.map(|_| event(0)));
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

    #[tokio::test]
    async fn a_receiver_that_reads_slowly_is_not_stalled() -> Result {
        let (mut outbox, mut generation) = overfull()?;
        outbox.send(event(17));
        let now = Instant::now();
        assert!(matches!(outbox.flush(now), Ok(false)));
        generation.next().await;
        assert!(matches!(outbox.flush(now + LIMIT), Ok(false)));
        assert!(matches!(outbox.flush(now + LIMIT), Ok(false)));
        Ok(())
    }

    #[test]
    fn a_receiver_that_is_gone_is_noticed() -> Result {
        let (mut outbox, generation) = overfull()?;
        drop(generation);
        let outcome = outbox.flush(Instant::now());
        assert!(matches!(outcome, Err(Halt::Cancelled)));
        Ok(())
    }

    #[tokio::test]
    async fn a_job_without_a_last_message_was_stopped() -> Result {
        let (outbox, mut generation) = Outbox::open(LIMIT)?;
        drop(outbox);
        assert!(matches!(
            generation.next().await,
            Some(Err(EngineError::Stopped))
        ));
        assert!(generation.next().await.is_none());
        Ok(())
    }
}
