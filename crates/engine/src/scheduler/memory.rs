//! What the KV cache holds: the running texts; and what is saved outside of it:
//! texts that are remembered for their beginnings.

use std::sync::Arc;

use super::plan::{CacheChange, SavedId, SequenceId};
use super::saved::Saved;
use crate::Token;

/// A longer text takes more time to move than it spares.
const MOVABLE: usize = 4096;

/// The KV cache as the scheduler sees it, and the texts saved from it.
///
/// Each sequence has room for the longest text. A text that ended is saved
/// outside of the cache, so that its sequence is free at once.
pub(super) struct Memory {
    sequences: Vec<Sequence>,
    saved: Saved,
    reuse: bool,
    /// Not yet part of a plan.
    pub(super) changes: Vec<CacheChange>,
}

#[derive(Clone, Copy, Default)]
struct Sequence {
    in_use: bool,
    tokens: usize,
}

/// The beginning of a text that was computed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Prefix {
    pub(super) source: Source,
    pub(super) tokens: usize,
}

/// Where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Running(SequenceId),
    Saved(SavedId),
}

impl Memory {
    /// An empty cache of so many sequences. Texts of so many tokens together
    /// are remembered; none unless `reuse`.
    pub(super) fn new(sequences: usize, remembered: usize, reuse: bool) -> Self {
        Self {
            sequences: vec![Sequence::default(); sequences],
            saved: Saved::new(remembered),
            reuse,
            changes: Vec::new(),
        }
    }

    /// A sequence for a text that begins with `prefix`: the first free one.
    pub(super) fn open(&mut self, prefix: Option<Prefix>) -> Option<SequenceId> {
        let to = self.sequences.iter().position(|place| !place.in_use)?;
        self.sequences[to] = Sequence {
            in_use: true,
            tokens: prefix.map_or(0, |prefix| prefix.tokens),
        };
        let to = id(to);
        if let Some(Prefix { source, tokens }) = prefix {
            self.changes.push(match source {
                Source::Running(from) => CacheChange::Copy { from, to, tokens },
                Source::Saved(from) => {
                    self.saved.touch(from);
                    CacheChange::Restore { from, to, tokens }
                }
            });
        }
        Some(to)
    }

    /// So many tokens more are computed of a text.
    pub(super) fn grow(&mut self, sequence: SequenceId, tokens: usize) {
        self.sequences[index(sequence)].tokens += tokens;
    }

    /// Ends a running text and saves what was computed of it, if that may be of
    /// use.
    pub(super) fn close(
        &mut self,
        sequence: SequenceId,
        partition: Arc<str>,
        mut tokens: Vec<Token>,
    ) {
        tokens.truncate(self.length(sequence));
        if self.reuse {
            self.saved
                .save(sequence, partition, tokens, &mut self.changes);
        }
        self.free(sequence);
    }

    /// Moves the last text into the first free sequence before it, as llama.cpp
    /// computes only neighbouring sequences together: from where, to where.
    pub(super) fn close_gap(&mut self) -> Option<(SequenceId, SequenceId)> {
        let to = self.sequences.iter().position(|place| !place.in_use)?;
        let from = self.sequences.iter().rposition(|place| place.in_use)?;
        let moved = self.sequences[from];
        if from < to || moved.tokens > MOVABLE {
            return None;
        }
        self.sequences[to] = moved;
        if moved.tokens > 0 {
            self.changes.push(CacheChange::Copy {
                from: id(from),
                to: id(to),
                tokens: moved.tokens,
            });
        }
        self.free(id(from));
        Some((id(from), id(to)))
    }

    /// The longest beginning of `tokens` that a saved text of `partition`
    /// shares.
    pub(super) fn recall(&self, partition: &str, tokens: &[Token]) -> Option<Prefix> {
        self.saved.longest(partition, tokens)
    }

    /// Tokens computed of the text in `sequence`, those of the planned batch
    /// included.
    pub(super) fn length(&self, sequence: SequenceId) -> usize {
        self.sequences[index(sequence)].tokens
    }

    /// Tokens in the cache.
    pub(super) fn used(&self) -> usize {
        self.sequences.iter().map(|sequence| sequence.tokens).sum()
    }

    /// Tokens that are saved.
    #[cfg(test)]
    pub(super) fn saved(&self) -> usize {
        self.saved.tokens()
    }

    fn free(&mut self, sequence: SequenceId) {
        self.sequences[index(sequence)] = Sequence::default();
        self.changes.push(CacheChange::Remove(sequence));
    }
}

/// How many tokens two texts have in common at their beginnings.
pub(super) fn common(one: &[Token], other: &[Token]) -> usize {
    one.iter()
        .zip(other)
        .take_while(|(one, other)| one == other)
        .count()
}

/// There are at most 256 sequences.
fn id(index: usize) -> SequenceId {
    SequenceId::try_from(index).unwrap_or(SequenceId::MAX)
}

fn index(sequence: SequenceId) -> usize {
    usize::try_from(sequence).unwrap_or(usize::MAX)
}
