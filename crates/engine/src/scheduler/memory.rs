//! What the KV cache holds: the running texts; and what is saved outside of it:
//! texts that are remembered for their beginnings.

use std::sync::Arc;

use super::cells::{Cell, Cells};
use super::plan::{CacheChange, SavedId, SequenceId};
use super::saved::Saved;
use crate::Token;

/// The KV cache as the scheduler sees it, and the texts saved from it.
///
/// It mirrors what llama.cpp does with the changes it writes down, so that no
/// batch is ever refused for want of room. A text that ended is saved outside
/// of the cache: every step reads the cache up to its last cell in use, so
/// whatever stays in it slows the running texts down.
pub(super) struct Memory {
    cells: Cells,
    /// The cells of each sequence, by position.
    sequences: Vec<Vec<Cell>>,
    unused: Vec<SequenceId>,
    saved: Saved,
    reuse: bool,
    /// Not yet part of a plan.
    pub(super) changes: Vec<CacheChange>,
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
    /// In the cache, whose cells can be shared.
    Running(SequenceId),
    /// Outside; the whole saved text needs room in the cache before it is cut.
    Saved(SavedId, usize),
}

impl Memory {
    /// An empty cache of so many tokens and sequences. Texts of so many tokens
    /// together are remembered; none unless `reuse`.
    pub(super) fn new(kv_tokens: usize, sequences: usize, remembered: usize, reuse: bool) -> Self {
        Self {
            cells: Cells::new(kv_tokens),
            sequences: vec![Vec::new(); sequences],
            unused: (0..).take(sequences).collect(),
            saved: Saved::new(remembered),
            reuse,
            changes: Vec::new(),
        }
    }

    /// A sequence for a text that begins with `prefix`, for which there is room.
    pub(super) fn open(&mut self, prefix: Option<Prefix>) -> Option<SequenceId> {
        let to = self.unused.pop()?;
        match prefix {
            None => {}
            Some(Prefix {
                source: Source::Running(from),
                tokens,
            }) => {
                let shared = self.cells_of(from)[..tokens].to_vec();
                shared.iter().for_each(|&cell| self.cells.share(cell));
                self.sequences[to as usize] = shared;
                self.changes.push(CacheChange::Copy { from, to, tokens });
            }
            Some(Prefix {
                source: Source::Saved(from, _),
                tokens,
            }) => {
                self.saved.touch(from);
                self.take(to, tokens);
                self.changes.push(CacheChange::Restore { from, to, tokens });
            }
        }
        Some(to)
    }

    /// Makes `tokens` more cells a running text's, if there are so many.
    pub(super) fn grow(&mut self, sequence: SequenceId, tokens: usize) -> bool {
        let has_room = tokens <= self.cells.free();
        if has_room {
            self.take(sequence, tokens);
        }
        has_room
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
        self.drop_text(sequence);
    }

    /// Ends a running text without saving anything of it.
    pub(super) fn drop_text(&mut self, sequence: SequenceId) {
        for cell in std::mem::take(&mut self.sequences[sequence as usize]) {
            self.cells.release(cell);
        }
        self.unused.push(sequence);
        self.changes.push(CacheChange::Remove(sequence));
    }

    /// The longest beginning of `tokens` that a saved text of `partition`
    /// shares and that there is room for.
    pub(super) fn recall(&self, partition: &str, tokens: &[Token]) -> Option<Prefix> {
        self.saved.longest(partition, tokens, self.cells.free())
    }

    /// Cells that nothing uses.
    pub(super) fn free(&self) -> usize {
        self.cells.free()
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

    /// Tokens that are saved.
    #[cfg(test)]
    pub(super) fn saved(&self) -> usize {
        self.saved.tokens()
    }

    fn take(&mut self, sequence: SequenceId, tokens: usize) {
        let taken = std::iter::from_fn(|| self.cells.take()).take(tokens);
        self.sequences[sequence as usize].extend(taken);
    }

    fn cells_of(&self, sequence: SequenceId) -> &[Cell] {
        &self.sequences[sequence as usize]
    }
}

/// How many tokens two texts have in common at their beginnings.
pub(super) fn common(one: &[Token], other: &[Token]) -> usize {
    one.iter()
        .zip(other)
        .take_while(|(one, other)| one == other)
        .count()
}
