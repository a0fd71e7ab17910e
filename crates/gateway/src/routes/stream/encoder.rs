//! A generation as the events of its endpoint, one at a time. It knows neither lanes nor sockets:
//! whoever reads it decides where the events go, and when.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use fathom_api::usage::Usage;
use fathom_proto::Error;
use futures::StreamExt;
use serde::Serialize;

use crate::answer;
use crate::event_stream::{EventWriter, Events, to_json};
use crate::generation::{Generation, Output, truncated};

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
    /// Events of which the generation yields several at once; few more than it has choices.
    ready: Ready,
    done: Option<Usage>,
}

/// The JSON of each event. The messages of a socket say by themselves what they are.
#[derive(Default)]
struct Ready(VecDeque<Vec<u8>>);

impl EventWriter for Ready {
    fn event(&mut self, data: &impl Serialize) {
        self.0.push_back(to_json(data));
    }

    fn named(&mut self, _: &str, data: &impl Serialize) {
        self.event(data);
    }

    /// The end is told otherwise here.
    fn done(&mut self) {}
}

impl<E: Events> Encoder<E> {
    /// Begins with what the endpoint says before the generation does.
    pub fn new(generation: Generation, mut events: E) -> Self {
        let mut ready = Ready::default();
        events.opening(&generation, &mut ready);
        Self {
            generation,
            events,
            ready,
            done: None,
        }
    }

    /// Writes what the generation yields.
    fn encode(&mut self, output: Output) -> Result<(), Error> {
        let (generation, ready) = (&self.generation, &mut self.ready);
        match output {
            Output::Delta { choice, delta } => self.events.delta(generation, choice, delta, ready),
            Output::Finish {
                choice,
                reason,
                usage,
            } => {
                self.done = usage.map(answer::usage);
                self.events.finish(generation, choice, reason, usage, ready)
            }
        }
    }
}

impl<E: Events> Answer for Encoder<E> {
    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        loop {
            if let Some(event) = self.ready.0.pop_front() {
                return Poll::Ready(Step::Event(event));
            }
            if let Some(usage) = self.done {
                return Poll::Ready(Step::Done(usage));
            }
            let output = ready!(self.generation.poll_next_unpin(context));
            let output = output.unwrap_or_else(|| Err(truncated()));
            if let Err(error) = output.and_then(|output| self.encode(output)) {
                return Poll::Ready(Step::Failed(error));
            }
        }
    }

    fn usage(&self) -> Usage {
        answer::usage(self.generation.usage())
    }
}
