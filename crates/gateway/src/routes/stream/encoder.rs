//! A generation as the events of its endpoint, one at a time. It knows neither lanes nor sockets:
//! whoever reads it decides where the events go, and when.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use fathom_api::sse::{DONE, Decoder};
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

/// The answer of an endpoint with these events, out of the event stream that it would be.
pub struct Encoder<E> {
    generation: Generation,
    events: E,
    /// What the endpoint writes, and how it is taken apart again.
    stream: Vec<u8>,
    decoder: Decoder,
    /// Events of which the generation yields several at once; few more than it has choices.
    ready: VecDeque<Vec<u8>>,
    done: Option<Usage>,
}

impl<E: Events> Encoder<E> {
    /// Begins with what the endpoint says before the generation does.
    pub fn new(generation: Generation, mut events: E) -> Self {
        let mut stream = Vec::new();
        events.opening(&generation, &mut stream);
        let mut encoder = Self {
            generation,
            events,
            stream,
            // What is written here is not a stranger's, and a line of it is never cut.
            decoder: Decoder::new(usize::MAX),
            ready: VecDeque::new(),
            done: None,
        };
        encoder.take_apart();
        encoder
    }

    /// What was written, event by event; the end is told otherwise here.
    fn take_apart(&mut self) {
        let ready = &mut self.ready;
        let taken = self.decoder.feed(&self.stream, |data| {
            if data != DONE.as_bytes() {
                ready.push_back(data.to_vec());
            }
        });
        debug_assert!(taken.is_ok(), "nothing is too long");
        self.stream.clear();
    }

    /// Writes what the generation yields.
    fn encode(&mut self, output: Output) -> Result<(), Error> {
        let (generation, stream) = (&self.generation, &mut self.stream);
        match output {
            Output::Delta { choice, delta } => {
                self.events.delta(generation, choice, delta, stream)?;
            }
            Output::Finish {
                choice,
                reason,
                usage,
            } => {
                self.events
                    .finish(generation, choice, reason, usage, stream)?;
                self.done = usage.map(answer::usage);
            }
        }
        self.take_apart();
        Ok(())
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
            if let Err(error) = output.and_then(|output| self.encode(output)) {
                return Poll::Ready(Step::Failed(error));
            }
        }
    }

    fn usage(&self) -> Usage {
        answer::usage(self.generation.usage())
    }
}
