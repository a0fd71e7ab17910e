//! Texts that wait: in order of arrival within a partition, and the partitions
//! take turns.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::plan::JobId;
use crate::Token;

/// A text and how far it has come.
pub(super) struct Text {
    pub(super) id: JobId,
    pub(super) partition: Arc<str>,
    /// The prompt and what was generated so far.
    pub(super) tokens: Vec<Token>,
    /// Where in the text it is not yet told what may follow. Tokens before
    /// that are read only for those after them, or not at all.
    pub(super) logits_from: usize,
    pub(super) submitted: Instant,
    pub(super) paused: bool,
}

/// The texts that wait.
#[derive(Default)]
pub(super) struct Queue {
    /// In order of turns; none is empty.
    partitions: VecDeque<VecDeque<Text>>,
}

impl Queue {
    /// Adds a text behind all others of its partition.
    pub(super) fn push(&mut self, text: Text) {
        match self.partition(&text.partition) {
            Some(line) => line.push_back(text),
            None => self.partitions.push_back(VecDeque::from([text])),
        }
    }

    /// The first text of each partition, in order of turns.
    pub(super) fn heads(&self) -> impl Iterator<Item = &Text> {
        self.partitions.iter().filter_map(VecDeque::front)
    }

    /// Takes the head at `turn`; its partition's next turn comes last.
    pub(super) fn take(&mut self, turn: usize) -> Option<Text> {
        let mut line = self.partitions.remove(turn)?;
        let text = line.pop_front();
        if !line.is_empty() {
            self.partitions.push_back(line);
        }
        text
    }

    /// The texts of the partition at `turn` begin to wait now.
    pub(super) fn wait_anew(&mut self, turn: usize, now: Instant) {
        for text in self.partitions.get_mut(turn).into_iter().flatten() {
            text.submitted = text.submitted.max(now);
        }
    }

    /// Removes the text of `id`, if it waits.
    pub(super) fn remove(&mut self, id: JobId) -> Option<Text> {
        let found = self.partitions.iter_mut().find_map(|line| {
            let index = line.iter().position(|text| text.id == id)?;
            line.remove(index)
        });
        self.partitions.retain(|line| !line.is_empty());
        found
    }

    /// Removes texts that have waited for `max_wait` since they came.
    pub(super) fn expire(&mut self, now: Instant, max_wait: Duration, expired: &mut Vec<JobId>) {
        let is_late = |text: &Text| now.saturating_duration_since(text.submitted) >= max_wait;
        for line in &mut self.partitions {
            expired.extend(line.iter().filter(|text| is_late(text)).map(|text| text.id));
            line.retain(|text| !is_late(text));
        }
        self.partitions.retain(|line| !line.is_empty());
    }

    /// The texts that wait.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Text> {
        self.partitions.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Text> {
        self.partitions.iter_mut().flatten()
    }

    fn partition(&mut self, name: &str) -> Option<&mut VecDeque<Text>> {
        self.partitions
            .iter_mut()
            .find(|line| line.front().is_some_and(|text| &*text.partition == name))
    }
}
