//! Batches of texts through llama.cpp.

use std::num::NonZeroU32;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_batch::LlamaBatch;

use super::steps::Vectorizer;
use super::{EmbedError, EmbedderOptions};
use crate::{LoadError, Token, Weights};

/// Most texts that are computed at once; llama.cpp keeps something for each.
const SEQUENCES: u32 = 32;

/// Weights, and how to work with them.
pub(super) struct Llama<'w> {
    pub(super) weights: &'w Weights,
    pub(super) options: &'w EmbedderOptions,
}

/// A context of llama.cpp and the batch that it reads.
pub(super) struct Context<'w> {
    context: LlamaContext<'w>,
    batch: LlamaBatch<'static>,
}

impl<'w> Vectorizer for Llama<'w> {
    type Context = Context<'w>;

    /// Creates the context, which pools as the model says.
    fn open(&self) -> Result<Context<'w>, LoadError> {
        let threads = i32::try_from(self.options.threads.get()).unwrap_or(i32::MAX);
        let length = self.options.context_length;
        // A text is pooled within one step, so a step takes the longest one. llama.cpp aborts where
        // a step has no room for one token of each sequence.
        let step = length.max(SEQUENCES);
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(step))
            .with_n_batch(step)
            .with_n_ubatch(step)
            .with_n_seq_max(SEQUENCES)
            .with_kv_unified(true)
            .with_embeddings(true)
            .with_n_threads(threads)
            .with_n_threads_batch(threads);
        Ok(Context {
            context: self.weights.open_context(params)?,
            batch: LlamaBatch::new(length as usize, 1),
        })
    }

    fn fitting(&self, texts: &[Vec<Token>]) -> usize {
        let mut room = self.options.context_length as usize;
        let fits = |text: &&Vec<Token>| {
            let left = room.checked_sub(text.len());
            room = left.unwrap_or(0);
            left.is_some()
        };
        let most = texts.iter().take(SEQUENCES as usize);
        most.take_while(fits).count().max(1)
    }

    fn vectors(
        &self,
        context: &mut Context<'w>,
        texts: &[Vec<Token>],
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        let Context { context, batch } = context;
        context.clear_kv_cache();
        batch.clear();
        for (text, sequence) in texts.iter().zip(0..) {
            for (&token, position) in text.iter().zip(0..) {
                batch
                    .add(token.into(), position, &[sequence], true)
                    .map_err(unexpected)?;
            }
        }
        context.decode(batch).map_err(|error| {
            tracing::error!(%error, "llama.cpp cannot decode");
            EmbedError::Decode
        })?;
        let vector = |sequence| {
            let vector = context.embeddings_seq_ith(sequence);
            vector.map(<[f32]>::to_vec).map_err(unexpected)
        };
        (0..).take(texts.len()).map(vector).collect()
    }
}

/// A failure that only a mistake of this crate leads to.
fn unexpected(error: impl std::error::Error) -> EmbedError {
    tracing::error!(%error, "the batch has no vectors");
    EmbedError::Internal
}
