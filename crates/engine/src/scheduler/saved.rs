//! Texts that ended and are remembered for their beginnings.

use std::sync::Arc;

use super::memory::{Prefix, Source, common};
use super::plan::{CacheChange, SavedId, SequenceId};
use crate::Token;

/// A shorter text is read again in less time than it takes to save or copy it.
pub(super) const SHORTEST: usize = 32;

/// What is saved; the texts used longest ago make room for others.
pub(super) struct Saved {
    texts: Vec<SavedText>,
    /// Most tokens of all texts.
    limit: usize,
    next: u64,
    /// Counts uses.
    clock: u64,
}

struct SavedText {
    id: SavedId,
    partition: Arc<str>,
    tokens: Vec<Token>,
    last_use: u64,
}

impl Saved {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            texts: Vec::new(),
            limit,
            next: 0,
            clock: 0,
        }
    }

    /// Saves the text of a sequence, unless it is short or a saved text begins
    /// with it; those that it begins with are forgotten.
    pub(super) fn save(
        &mut self,
        sequence: SequenceId,
        partition: Arc<str>,
        tokens: Vec<Token>,
        changes: &mut Vec<CacheChange>,
    ) {
        if !(SHORTEST..=self.limit).contains(&tokens.len()) {
            return;
        }
        let is_known =
            |text: &&SavedText| text.partition == partition && text.tokens.starts_with(&tokens);
        if let Some(id) = self.texts.iter().find(is_known).map(|text| text.id) {
            return self.touch(id);
        }
        let is_part =
            |text: &SavedText| text.partition == partition && tokens.starts_with(&text.tokens);
        let parts = self.texts.extract_if(.., |text| is_part(text));
        changes.extend(parts.map(|text| CacheChange::Forget(text.id)));
        while self.tokens() + tokens.len() > self.limit {
            let Some(oldest) =
                (0..self.texts.len()).min_by_key(|&index| self.texts[index].last_use)
            else {
                break;
            };
            changes.push(CacheChange::Forget(self.texts.swap_remove(oldest).id));
        }
        let id = SavedId(self.next);
        self.next += 1;
        self.clock += 1;
        changes.push(CacheChange::Save {
            from: sequence,
            to: id,
        });
        self.texts.push(SavedText {
            id,
            partition,
            tokens,
            last_use: self.clock,
        });
    }

    /// The longest beginning of `tokens` that a text of `partition` shares.
    pub(super) fn longest(&self, partition: &str, tokens: &[Token]) -> Option<Prefix> {
        self.texts
            .iter()
            .filter(|text| &*text.partition == partition)
            .map(|text| Prefix {
                source: Source::Saved(text.id),
                tokens: common(&text.tokens, tokens),
            })
            .filter(|prefix| prefix.tokens >= SHORTEST)
            .max_by_key(|prefix| prefix.tokens)
    }

    /// A text was used.
    pub(super) fn touch(&mut self, id: SavedId) {
        self.clock += 1;
        let clock = self.clock;
        self.texts
            .iter_mut()
            .filter(|text| text.id == id)
            .for_each(|text| text.last_use = clock);
    }

    /// Tokens of all texts.
    pub(super) fn tokens(&self) -> usize {
        self.texts.iter().map(|text| text.tokens.len()).sum()
    }
}
