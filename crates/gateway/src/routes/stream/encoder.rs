//! A generation as the events of its endpoint, one at a time. It knows neither lanes nor sockets:
//! whoever reads it decides where the events go, and when.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use fathom_api::usage::Usage;
use fathom_proto::Error;
use futures::StreamExt;

use crate::answer;
use crate::event_stream::Events;
use crate::generation::{Generation, Output};

/// What comes next of an answer.
pub enum Step {
    /// The JSON of an event.
    Event(Vec<u8>),
    /// It is complete.
    Done(Usage),
    /// It failed.
    Failed(Error),
}

/// An answer that is read event by event. Dropping it stops the generation.
pub trait Answer: Send {
    /// What comes next; nothing after its end.
    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Step>;
    /// The counts so far.
    fn usage(&self) -> Usage;
}

/// The answer of an endpoint with these events.
pub struct Encoder<E> {
    generation: Generation,
    events: E,
    include_usage: bool,
    /// Events of which the generation yields several at once; never more than it has choices.
    ready: VecDeque<Vec<u8>>,
    done: Option<Usage>,
}

impl<E: Events> Encoder<E> {
    /// Begins with what the endpoint says before the generation does.
    pub fn new(generation: Generation, events: E, include_usage: bool) -> Self {
        let choices = 0..generation.choices();
        let openings = choices.filter_map(|choice| events.opening(&generation, choice));
        let ready = openings.collect();
        Self {
            generation,
            events,
            include_usage,
            ready,
            done: None,
        }
    }
}

impl<E: Events> Answer for Encoder<E> {
    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Poll::Ready(Step::Event(event));
            }
            if let Some(usage) = self.done {
                return Poll::Ready(Step::Done(usage));
            }
            let Some(output) = ready!(self.generation.poll_next_unpin(context)) else {
                return Poll::Pending;
            };
            match output {
                Ok(Output::Delta { choice, delta }) => {
                    let event = self.events.delta(&self.generation, choice, delta);
                    return Poll::Ready(Step::Event(event));
                }
                Ok(Output::Finish {
                    choice,
                    reason,
                    usage,
                }) => {
                    let reason = answer::finish_reason(reason);
                    let event = self.events.finish(&self.generation, choice, reason);
                    self.ready.push_back(event);
                    self.done = usage.map(answer::usage);
                    if let (Some(usage), true) = (self.done, self.include_usage) {
                        let event = self.events.usage(&self.generation, usage);
                        self.ready.push_back(event);
                    }
                }
                Err(error) => return Poll::Ready(Step::Failed(error)),
            }
        }
    }

    fn usage(&self) -> Usage {
        answer::usage(self.generation.usage())
    }
}
