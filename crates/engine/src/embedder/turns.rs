//! Requests that wait for their next step: in order of arrival within a
//! partition, and the partitions take turns.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::EmbedError;
use crate::Token;
use crate::load::Seat;

/// A request and how far it has come.
pub(super) struct Task {
    pub(super) partition: Arc<str>,
    pub(super) texts: Vec<Vec<Token>>,
    /// Those of the first texts.
    pub(super) vectors: Vec<Vec<f32>>,
    pub(super) submitted: Instant,
    /// Told when its first turn comes; absent from then on.
    pub(super) started: Option<oneshot::Sender<()>>,
    pub(super) answer: oneshot::Sender<Result<Vec<Vec<f32>>, EmbedError>>,
    pub(super) seat: Seat,
}

impl Task {
    /// The texts that have no vector yet.
    pub(super) fn rest(&self) -> &[Vec<Token>] {
        &self.texts[self.vectors.len()..]
    }

    /// Ends the request, with its vectors unless there is an error.
    pub(super) fn end(self, outcome: Result<(), EmbedError>) {
        drop(self.seat);
        // Nobody is to be told when the receiver is gone.
        let _ = self.answer.send(outcome.map(|()| self.vectors));
    }
}

/// The requests that are not done.
#[derive(Default)]
pub(super) struct Turns {
    /// In order of turns; none is empty.
    partitions: VecDeque<VecDeque<Task>>,
}

impl Turns {
    pub(super) fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// Adds a request behind all others of its partition.
    pub(super) fn push(&mut self, task: Task) {
        match self.partition(&task.partition) {
            Some(line) => line.push_back(task),
            None => self.partitions.push_back(VecDeque::from([task])),
        }
    }

    /// Puts back a request that had its turn, before all others of its
    /// partition, whose next turn comes last.
    pub(super) fn put_back(&mut self, task: Task) {
        match self.partition(&task.partition) {
            Some(line) => line.push_front(task),
            None => self.partitions.push_back(VecDeque::from([task])),
        }
    }

    /// The request whose turn it is.
    pub(super) fn take(&mut self) -> Option<Task> {
        let mut line = self.partitions.pop_front()?;
        let task = line.pop_front();
        if !line.is_empty() {
            self.partitions.push_back(line);
        }
        task
    }

    /// Drops requests that nobody waits for, and refuses those that have waited
    /// for `max_wait` and had no turn.
    pub(super) fn weed_out(&mut self, now: Instant, max_wait: Duration) {
        let is_late = |task: &Task| {
            task.started.is_some() && now.saturating_duration_since(task.submitted) >= max_wait
        };
        for line in &mut self.partitions {
            line.retain(|task| !task.answer.is_closed());
            while let Some(index) = line.iter().position(is_late) {
                if let Some(task) = line.remove(index) {
                    task.end(Err(EmbedError::Expired));
                }
            }
        }
        self.partitions.retain(|line| !line.is_empty());
    }

    fn partition(&mut self, name: &str) -> Option<&mut VecDeque<Task>> {
        self.partitions
            .iter_mut()
            .find(|line| line.front().is_some_and(|task| &*task.partition == name))
    }
}
