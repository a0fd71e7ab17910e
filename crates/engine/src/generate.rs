//! One job from prompt to finish.

use std::num::NonZeroU32;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::vocab::LlamaVocab;

use crate::outbox::{Halt, Outbox};
use crate::text::TextStream;
use crate::{EngineError, EngineOptions, Event, FinishReason, Job, LoadError, Token, Weights};

/// The only sequence of the context.
const SEQUENCE: i32 = 0;

/// A llama.cpp context that generates one text at a time.
pub(crate) struct Generator<'w> {
    context: LlamaContext<'w>,
    vocab: LlamaVocab<'w>,
    batch: LlamaBatch<'static>,
    /// Where the next token goes in the context.
    position: i32,
    context_length: u32,
    prefill_chunk: usize,
}

impl<'w> Generator<'w> {
    /// Creates the context.
    pub(crate) fn open(weights: &'w Weights, options: &EngineOptions) -> Result<Self, LoadError> {
        let threads = i32::try_from(options.threads.get()).unwrap_or(i32::MAX);
        let batch = u32::try_from(options.prefill_chunk.get())
            .unwrap_or(u32::MAX)
            .min(options.context_length);
        let prefill_chunk = batch as usize;
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(options.context_length))
            .with_n_seq_max(1)
            .with_n_batch(batch)
            .with_n_ubatch(batch)
            .with_n_threads(threads)
            .with_n_threads_batch(threads);
        Ok(Self {
            context: weights.open_context(params)?,
            vocab: weights.vocab(),
            batch: LlamaBatch::new(prefill_chunk, 1),
            position: 0,
            context_length: options.context_length,
            prefill_chunk,
        })
    }

    /// Generates the text of `job` and returns the event that it is finished.
    pub(crate) fn generate(&mut self, job: &Job, outbox: &Outbox) -> Result<Event, Halt> {
        self.clear();
        let prompt_tokens = u32::try_from(job.prompt.len()).unwrap_or(u32::MAX);
        outbox.send(Event::Started { prompt_tokens })?;

        let room = self.context_length.saturating_sub(prompt_tokens);
        let budget = job.max_tokens.min(room);
        let mut sampler = job
            .sampling
            .sampler(self.vocab.n_tokens(), self.context_length);
        let mut text = TextStream::new(&job.stop);
        let mut reason = FinishReason::Length;
        let mut completion_tokens = 0;
        let mut unread = job.prompt.clone();
        while completion_tokens < budget {
            self.read(&unread, outbox)?;
            let token = sampler.sample(&self.context, self.batch.n_tokens() - 1);
            if self.vocab.is_eog(token) {
                reason = FinishReason::Stop;
                break;
            }
            completion_tokens += 1;
            let piece = text.push(&self.vocab.token_to_piece(token, false, None));
            if let Some(event) = piece.event {
                outbox.send(event)?;
            }
            if piece.stopped {
                reason = FinishReason::Stop;
                break;
            }
            unread = vec![Token(token.0)];
        }
        if let Some(event) = text.finish() {
            outbox.send(event)?;
        }
        Ok(Event::Finished {
            reason,
            prompt_tokens,
            completion_tokens,
        })
    }

    /// Forgets the text before.
    fn clear(&mut self) {
        self.context.clear_kv_cache();
        self.position = 0;
    }

    /// Reads `tokens` into the context, so that the one after them can be
    /// sampled.
    ///
    /// The binding has no safe way to interrupt a decode call, so a prompt goes
    /// in chunks with a look at the receiver before each.
    fn read(&mut self, tokens: &[Token], outbox: &Outbox) -> Result<(), Halt> {
        for chunk in tokens.chunks(self.prefill_chunk) {
            outbox.check()?;
            self.batch.clear();
            for (index, &token) in chunk.iter().enumerate() {
                let is_last = index + 1 == chunk.len();
                self.batch
                    .add(token.into(), self.position, &[SEQUENCE], is_last)
                    .map_err(|_| EngineError::Internal)?;
                self.position += 1;
            }
            self.context
                .decode(&mut self.batch)
                .map_err(EngineError::from)?;
        }
        Ok(())
    }
}
