//! What one step does.

use crate::Token;

/// A job, in the order of arrival: the lower one is the older.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct JobId(pub(super) u64);

/// A text saved outside of the KV cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SavedId(pub(super) u64);

/// A sequence of the KV cache, from 0.
pub(crate) type SequenceId = i32;

/// What one step does, in this order. It is filled anew for each step, so that
/// its memory is used again.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Jobs that waited too long; the scheduler has forgotten them.
    pub(crate) expired: Vec<JobId>,
    /// Jobs that got a slot.
    pub(crate) started: Vec<Start>,
    /// Changes to the KV cache, before the batch is decoded.
    pub(crate) changes: Vec<CacheChange>,
    /// The batch: first one token of each text that generates, in order of
    /// sequences, then prompts.
    pub(crate) rows: Vec<Row>,
}

/// A job that got a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) job: JobId,
    /// Tokens of its prompt that need not be read.
    pub(crate) cached_tokens: usize,
}

/// A change to the KV cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CacheChange {
    /// The first tokens of one sequence become those of another, empty one.
    Copy {
        from: SequenceId,
        to: SequenceId,
        tokens: usize,
    },
    /// What a sequence holds is saved outside of the cache.
    Save { from: SequenceId, to: SavedId },
    /// The first tokens of what is saved become those of an empty sequence.
    Restore {
        from: SavedId,
        to: SequenceId,
        tokens: usize,
    },
    /// What is saved is of no use any more.
    Forget(SavedId),
    /// The sequence becomes empty.
    Remove(SequenceId),
}

/// A token to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) job: JobId,
    pub(crate) sequence: SequenceId,
    /// Its place in the text, from 0.
    pub(crate) position: usize,
    pub(crate) token: Token,
    /// Whether what may follow it is to be told.
    pub(crate) wants_logits: bool,
}

impl Plan {
    pub(super) fn clear(&mut self) {
        self.expired.clear();
        self.started.clear();
        self.changes.clear();
        self.rows.clear();
    }
}
