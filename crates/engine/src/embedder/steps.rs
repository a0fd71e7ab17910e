//! Steps through the requests, and survives their panics.

#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use super::EmbedError;
use super::turns::{Task, Turns};
use crate::{LoadError, Token};

/// What makes vectors: llama.cpp, or a test's stand-in.
pub(super) trait Vectorizer {
    /// What it computes in. Nothing is known about its state after a failure.
    type Context;

    /// A new context.
    fn open(&self) -> Result<Self::Context, LoadError>;

    /// How many of `texts` fit one step: the first in any case.
    fn fitting(&self, texts: &[Vec<Token>]) -> usize;

    /// One vector for each of `texts`, which fit one step.
    fn vectors(
        &self,
        context: &mut Self::Context,
        texts: &[Vec<Token>],
    ) -> Result<Vec<Vec<f32>>, EmbedError>;
}

/// Takes requests and makes a step of one after the other.
pub(super) struct Steps<V: Vectorizer> {
    vectorizer: V,
    /// Absent after a failure, until there is something to compute again.
    context: Option<V::Context>,
    turns: Turns,
    /// How long a request may wait for its first step.
    max_wait: Duration,
}

impl<V: Vectorizer> Steps<V> {
    pub(super) fn new(vectorizer: V, context: V::Context, max_wait: Duration) -> Self {
        Self {
            vectorizer,
            context: Some(context),
            turns: Turns::default(),
            max_wait,
        }
    }

    /// Works until the sender of `tasks` is gone. Requests that are not done by
    /// then have no answer.
    pub(super) fn run(mut self, tasks: &Receiver<Task>) {
        while self.receive(tasks) {
            self.step(Instant::now());
        }
    }

    /// Takes the requests that came, and waits for one if there is none. False
    /// when none can come any more.
    fn receive(&mut self, tasks: &Receiver<Task>) -> bool {
        if self.turns.is_empty() {
            match tasks.recv() {
                Ok(task) => self.turns.push(task),
                Err(_) => return false,
            }
        }
        loop {
            match tasks.try_recv() {
                Ok(task) => self.turns.push(task),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// Makes one step of the request whose turn it is.
    fn step(&mut self, now: Instant) {
        self.turns.weed_out(now, self.max_wait);
        let Some(mut task) = self.turns.take() else {
            return;
        };
        if let Some(started) = task.started.take() {
            // Whoever does not listen any more is noticed before the next step.
            let _ = started.send(());
        }
        let attempt = AssertUnwindSafe(|| self.compute(&mut task));
        let outcome = catch_unwind(attempt).unwrap_or_else(|_| {
            tracing::error!("a request panicked in the embedder");
            Err(EmbedError::Internal)
        });
        match outcome {
            Ok(()) if !task.rest().is_empty() => self.turns.put_back(task),
            outcome => task.end(outcome),
        }
    }

    fn compute(&mut self, task: &mut Task) -> Result<(), EmbedError> {
        if task.rest().is_empty() {
            return Ok(());
        }
        // A context that a step fails in is not used again.
        let mut context = match self.context.take() {
            Some(context) => context,
            None => self.vectorizer.open().map_err(|error| {
                tracing::error!(%error, "the embedder has no context");
                EmbedError::Internal
            })?,
        };
        let rest = task.rest();
        let texts = &rest[..self.vectorizer.fitting(rest)];
        let vectors = self.vectorizer.vectors(&mut context, texts)?;
        task.vectors.extend(vectors);
        self.context = Some(context);
        Ok(())
    }
}
