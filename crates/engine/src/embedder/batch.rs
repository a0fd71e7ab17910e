//! Batches of texts through llama.cpp.

use std::num::NonZeroU32;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_batch::LlamaBatch;

use super::{EmbedError, EmbedderOptions};
use crate::{LoadError, Token, Weights};

/// Most texts that are computed at once; llama.cpp keeps something for each.
const SEQUENCES: u32 = 32;

/// A llama.cpp context that makes vectors.
pub(super) struct Vectorizer<'w> {
    context: LlamaContext<'w>,
    batch: LlamaBatch<'static>,
    capacity: usize,
}

impl<'w> Vectorizer<'w> {
    /// Creates the context, which pools as the model says.
    pub(super) fn open(weights: &'w Weights, options: &EmbedderOptions) -> Result<Self, LoadError> {
        let threads = i32::try_from(options.threads.get()).unwrap_or(i32::MAX);
        let length = options.context_length;
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
        Ok(Self {
            context: weights.open_context(params)?,
            batch: LlamaBatch::new(length as usize, 1),
            capacity: length as usize,
        })
    }

    /// One vector for each of `texts`, unless `cancelled` comes true.
    pub(super) fn vectors(
        &mut self,
        mut texts: &[Vec<Token>],
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut vectors = Vec::with_capacity(texts.len());
        while !texts.is_empty() && !cancelled() {
            let (now, later) = texts.split_at(self.fitting(texts));
            vectors.extend(self.step(now)?);
            texts = later;
        }
        Ok(vectors)
    }

    /// How many of `texts` fit one step, the first in any case.
    fn fitting(&self, texts: &[Vec<Token>]) -> usize {
        let mut room = self.capacity;
        let fits = |text: &&Vec<Token>| {
            let left = room.checked_sub(text.len());
            room = left.unwrap_or(0);
            left.is_some()
        };
        let most = texts.iter().take(SEQUENCES as usize);
        most.take_while(fits).count().max(1)
    }

    fn step(&mut self, texts: &[Vec<Token>]) -> Result<Vec<Vec<f32>>, EmbedError> {
        self.context.clear_kv_cache();
        self.batch.clear();
        for (text, sequence) in texts.iter().zip(0..) {
            for (&token, position) in text.iter().zip(0..) {
                self.batch
                    .add(token.into(), position, &[sequence], true)
                    .map_err(|_| EmbedError::Internal)?;
            }
        }
        self.context.decode(&mut self.batch)?;
        let vector = |sequence| {
            self.context
                .embeddings_seq_ith(sequence)
                .map(<[f32]>::to_vec)
                .map_err(|_| EmbedError::Internal)
        };
        (0..).take(texts.len()).map(vector).collect()
    }
}
