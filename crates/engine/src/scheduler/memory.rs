//! What the KV cache holds: running texts, and those remembered for their
//! beginnings.

use std::sync::Arc;

use super::cells::{Cell, Cells};
use super::plan::{CacheChange, SequenceId};
use crate::Token;

/// The KV cache as the scheduler sees it.
///
/// It mirrors what llama.cpp does with the changes it writes down, so that no
/// batch is ever refused for want of room.
pub(super) struct Memory {
    cells: Cells,
    /// The cells of each sequence, by position.
    sequences: Vec<Vec<Cell>>,
    unused: Vec<SequenceId>,
    remembered: Vec<Remembered>,
    /// Counts uses of remembered texts.
    clock: u64,
    reuse: bool,
    /// Not yet part of a plan.
    pub(super) changes: Vec<CacheChange>,
}

/// A text that ended and whose computed tokens are kept.
struct Remembered {
    sequence: SequenceId,
    partition: Arc<str>,
    tokens: Vec<Token>,
    last_use: u64,
}

/// The beginning of a text that the cache holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Prefix {
    pub(super) sequence: SequenceId,
    pub(super) tokens: usize,
}

impl Memory {
    /// An empty cache. Nothing is remembered unless `reuse`.
    pub(super) fn new(kv_tokens: usize, sequences: usize, reuse: bool) -> Self {
        Self {
            cells: Cells::new(kv_tokens),
            sequences: vec![Vec::new(); sequences],
            unused: (0..).take(sequences).collect(),
            remembered: Vec::new(),
            clock: 0,
            reuse,
            changes: Vec::new(),
        }
    }

    /// A sequence for a text that begins with `prefix`. The text remembered
    /// longest ago makes place if need be.
    pub(super) fn open(&mut self, prefix: Option<Prefix>) -> Option<SequenceId> {
        if let Some(prefix) = prefix {
            self.touch(prefix.sequence);
        }
        if self.unused.is_empty() {
            self.evict();
        }
        let to = self.unused.pop()?;
        if let Some(Prefix { sequence, tokens }) = prefix {
            let cells = self.cells_of(sequence)[..tokens].to_vec();
            cells.iter().for_each(|&cell| self.cells.pin(cell));
            self.sequences[to as usize] = cells;
            self.changes.push(CacheChange::Copy {
                from: sequence,
                to,
                tokens,
            });
        }
        Some(to)
    }

    /// Makes room for `tokens` more tokens of a running text, if that is
    /// possible without ending another.
    pub(super) fn grow(&mut self, sequence: SequenceId, tokens: usize) -> bool {
        if tokens > self.cells.unpinned() {
            return false;
        }
        while self.cells.free() < tokens && self.evict() {}
        let taken = std::iter::from_fn(|| self.cells.take()).take(tokens);
        self.sequences[sequence as usize].extend(taken);
        true
    }

    /// Frees what a running text holds.
    pub(super) fn drop_running(&mut self, sequence: SequenceId) {
        for cell in std::mem::take(&mut self.sequences[sequence as usize]) {
            self.cells.unpin(cell);
        }
        self.release(sequence);
    }

    /// Keeps what was computed of a text that ran, unless a remembered text
    /// begins with it; those that it begins with are forgotten.
    pub(super) fn remember(
        &mut self,
        sequence: SequenceId,
        partition: Arc<str>,
        mut tokens: Vec<Token>,
    ) {
        tokens.truncate(self.length(sequence));
        let longer = self
            .of(&partition)
            .find(|known| known.tokens.starts_with(&tokens))
            .map(|known| known.sequence);
        if let Some(longer) = longer {
            self.touch(longer);
        }
        if !self.reuse || longer.is_some() || tokens.is_empty() {
            return self.drop_running(sequence);
        }
        while let Some(index) = self
            .remembered
            .iter()
            .position(|known| known.partition == partition && tokens.starts_with(&known.tokens))
        {
            self.forget(index);
        }
        for &cell in &self.sequences[sequence as usize] {
            self.cells.retire(cell);
        }
        self.clock += 1;
        self.remembered.push(Remembered {
            sequence,
            partition,
            tokens,
            last_use: self.clock,
        });
    }

    /// The longest beginning of `tokens` that a remembered text of `partition`
    /// shares.
    pub(super) fn recall(&self, partition: &str, tokens: &[Token]) -> Option<Prefix> {
        self.of(partition)
            .map(|known| Prefix {
                sequence: known.sequence,
                tokens: common(&known.tokens, tokens),
            })
            .filter(|prefix| prefix.tokens > 0)
            .max_by_key(|prefix| prefix.tokens)
    }

    /// Cells that would be left if `prefix` were in use and everything
    /// remembered were forgotten.
    pub(super) fn room_beside(&self, prefix: Option<Prefix>) -> usize {
        let kept = prefix.map_or(0, |prefix| {
            self.cells_of(prefix.sequence)[..prefix.tokens]
                .iter()
                .filter(|&&cell| !self.cells.is_pinned(cell))
                .count()
        });
        self.cells.unpinned() - kept
    }

    /// Tokens computed of the text in `sequence`, those of the planned batch
    /// included.
    pub(super) fn length(&self, sequence: SequenceId) -> usize {
        self.cells_of(sequence).len()
    }

    /// Cells that are held.
    pub(super) fn used(&self) -> usize {
        self.cells.used()
    }

    /// Forgets every remembered text.
    #[cfg(test)]
    pub(super) fn forget_all(&mut self) {
        while self.evict() {}
    }

    fn of(&self, partition: &str) -> impl Iterator<Item = &Remembered> {
        self.remembered
            .iter()
            .filter(move |known| &*known.partition == partition)
    }

    fn cells_of(&self, sequence: SequenceId) -> &[Cell] {
        &self.sequences[sequence as usize]
    }

    fn touch(&mut self, sequence: SequenceId) {
        self.clock += 1;
        let clock = self.clock;
        self.remembered
            .iter_mut()
            .filter(|known| known.sequence == sequence)
            .for_each(|known| known.last_use = clock);
    }

    /// Forgets the text that was used longest ago; whether there was one.
    fn evict(&mut self) -> bool {
        let oldest =
            (0..self.remembered.len()).min_by_key(|&index| self.remembered[index].last_use);
        oldest.map(|index| self.forget(index)).is_some()
    }

    fn forget(&mut self, index: usize) {
        let sequence = self.remembered.swap_remove(index).sequence;
        for cell in std::mem::take(&mut self.sequences[sequence as usize]) {
            self.cells.forget(cell);
        }
        self.release(sequence);
    }

    fn release(&mut self, sequence: SequenceId) {
        self.unused.push(sequence);
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
