//! A second attempt beside one that is slow to begin; the first token decides.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use fathom_proto::inference::Event;
use tokio::time::{Sleep, sleep};

use crate::connection::Connection;
use crate::dispatch::attempt::{Attempt, Contact, Failure};

/// One attempt, or two of which one will be dropped.
pub(super) struct Race {
    first: Attempt,
    second: Option<Attempt>,
    /// When a second one begins; `None`: never.
    begins: Option<Pin<Box<Sleep>>>,
}

/// What comes of a race.
pub(super) enum Step {
    /// An event of the attempt that is [`Race::attempt`] now.
    Event(Event),
    /// One of two failed; the other goes on.
    Lost(Arc<Connection>, Contact),
    /// The last one failed.
    Failed(Arc<Connection>, Failure),
    /// It is time for [`Race::second`].
    Slow,
}

impl Race {
    /// `patience`: how long the attempt has to begin without company.
    pub fn new(first: Attempt, patience: Option<Duration>) -> Self {
        Self {
            first,
            second: None,
            begins: patience.map(|patience| Box::pin(sleep(patience))),
        }
    }

    /// The attempt that runs, or the first of two.
    pub fn attempt(&self) -> &Attempt {
        &self.first
    }

    /// Has a second attempt take part.
    pub fn second(&mut self, attempt: Attempt) {
        self.second = Some(attempt);
    }

    pub fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        if let Poll::Ready(result) = self.first.poll_event(context) {
            return Poll::Ready(match result {
                Ok(event) => {
                    if !matches!(event, Event::Started { .. }) {
                        self.decided();
                    }
                    Step::Event(event)
                }
                Err(failure) => {
                    let connection = self.first.connection().clone();
                    match self.second.take() {
                        Some(second) => {
                            self.first = second;
                            Step::Lost(connection, failure.contact)
                        }
                        None => Step::Failed(connection, failure),
                    }
                }
            });
        }
        if let Some(second) = &mut self.second
            && let Poll::Ready(result) = second.poll_event(context)
        {
            let Some(second) = self.second.take() else {
                return Poll::Pending;
            };
            return Poll::Ready(match result {
                Ok(event @ Event::Started { .. }) => {
                    self.second = Some(second);
                    Step::Event(event)
                }
                Ok(event) => {
                    self.first = second;
                    self.decided();
                    Step::Event(event)
                }
                Err(failure) => Step::Lost(second.connection().clone(), failure.contact),
            });
        }
        if let Some(begins) = &mut self.begins
            && begins.as_mut().poll(context).is_ready()
        {
            self.begins = None;
            return Poll::Ready(Step::Slow);
        }
        Poll::Pending
    }

    fn decided(&mut self) {
        self.begins = None;
        self.second = None;
    }
}
