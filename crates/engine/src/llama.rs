//! llama.cpp as the decode loop's model.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::context::session::{LlamaStateSeqFlags, SeqState};
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_sys_2::LLAMA_FLASH_ATTN_TYPE_AUTO;

use crate::model::Model;
use crate::scheduler::{CacheChange, Plan, SavedId, SequenceId};
use crate::{EngineError, EngineOptions, LoadError, Token, Weights};

/// Weights, and how to work with them.
pub(crate) struct Llama<'w> {
    pub(crate) weights: &'w Weights,
    pub(crate) options: &'w EngineOptions,
}

/// A context of llama.cpp and the batch that it reads.
pub(crate) struct Context<'w> {
    context: LlamaContext<'w>,
    /// Texts outside of the KV cache.
    saved: BTreeMap<SavedId, SeqState>,
    batch: LlamaBatch<'static>,
}

impl<'w> Model for Llama<'w> {
    type Context = Context<'w>;

    /// Each sequence has a part of the KV cache to itself, with room for the
    /// longest text: no step looks at another's. Flash attention is faster;
    /// `AUTO` turns it off only for models that cannot do it. A full cache for
    /// sliding windows lets a prefix be used again after the window has left it.
    fn open(&self) -> Result<Context<'w>, LoadError> {
        let limits = self.options.limits(true);
        let number = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        let threads = i32::try_from(self.options.threads.get()).unwrap_or(i32::MAX);
        let batch = limits.prefill_chunk + limits.slots;
        // llama.cpp cuts a batch to the context, and aborts where a batch has
        // no room for one token of each sequence.
        let longest = (self.options.context_length as usize).max(batch);
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(number(limits.slots * longest)))
            .with_n_seq_max(number(limits.slots))
            .with_kv_unified(false)
            .with_swa_full(true)
            .with_flash_attention_policy(LLAMA_FLASH_ATTN_TYPE_AUTO)
            .with_n_batch(number(batch))
            .with_n_ubatch(number(batch))
            .with_n_threads(threads)
            .with_n_threads_batch(threads);
        Ok(Context {
            context: self.weights.open_context(params)?,
            saved: BTreeMap::new(),
            batch: LlamaBatch::new(batch, 1),
        })
    }

    fn decode(&self, context: &mut Context<'w>, plan: &Plan) -> Result<(), EngineError> {
        for change in &plan.changes {
            context.apply(change)?;
        }
        let Context { context, batch, .. } = context;
        batch.clear();
        for row in &plan.rows {
            let position = i32::try_from(row.position).map_err(unexpected)?;
            batch
                .add(
                    row.token.into(),
                    position,
                    &[row.sequence],
                    row.wants_logits,
                )
                .map_err(unexpected)?;
        }
        if plan.rows.is_empty() {
            return Ok(());
        }
        context.decode(batch).map_err(|error| {
            tracing::error!(%error, "llama.cpp cannot decode");
            EngineError::Decode
        })
    }

    fn logits<'c>(&self, context: &'c Context<'w>, row: usize) -> &'c [f32] {
        let row = i32::try_from(row).unwrap_or(i32::MAX);
        context.context.get_logits_ith(row)
    }

    fn vocabulary(&self) -> i32 {
        self.weights.vocab().n_tokens()
    }

    fn piece(&self, token: Token) -> Vec<u8> {
        let vocab = self.weights.vocab();
        vocab.token_to_piece(token.into(), false, None)
    }

    fn control_piece(&self, token: Token) -> Vec<u8> {
        let vocab = self.weights.vocab();
        vocab.token_to_piece(token.into(), true, None)
    }

    fn ends_text(&self, token: Token) -> bool {
        self.weights.vocab().is_eog(token.into())
    }
}

impl Context<'_> {
    fn apply(&mut self, change: &CacheChange) -> Result<(), EngineError> {
        match *change {
            CacheChange::Copy { from, to, tokens } => {
                let state = self.state(from)?;
                self.fill(to, &state, tokens)
            }
            CacheChange::Save { from, to } => {
                let state = self.state(from)?;
                self.saved.insert(to, state);
                Ok(())
            }
            CacheChange::Restore { from, to, tokens } => {
                let state = self.saved.remove(&from).ok_or(EngineError::Internal)?;
                let filled = self.fill(to, &state, tokens);
                self.saved.insert(from, state);
                filled
            }
            CacheChange::Forget(id) => {
                self.saved.remove(&id);
                Ok(())
            }
            CacheChange::Remove(sequence) => self
                .context
                .kv_cache_seq_rm(sequence, None, None)
                .map_err(unexpected),
        }
    }

    fn state(&self, sequence: SequenceId) -> Result<SeqState, EngineError> {
        let all = LlamaStateSeqFlags::empty();
        self.context
            .state_seq_get(sequence, all)
            .map_err(unexpected)
    }

    /// Makes the first tokens of `state` those of an empty sequence.
    fn fill(
        &mut self,
        sequence: SequenceId,
        state: &SeqState,
        tokens: usize,
    ) -> Result<(), EngineError> {
        self.context
            .state_seq_set(state, sequence)
            .map_err(unexpected)?;
        let end = u32::try_from(tokens).map_err(unexpected)?;
        self.context
            .kv_cache_seq_rm(sequence, Some(end), None)
            .map_err(unexpected)
    }
}

/// A failure that only a mistake of this crate leads to.
fn unexpected(error: impl std::error::Error) -> EngineError {
    tracing::error!(%error, "the batch cannot be built");
    EngineError::Internal
}
