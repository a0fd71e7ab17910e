//! The work of llama.cpp's own benchmarks: a loop that does nothing but decode
//! and take the most probable token.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;
use std::time::Instant;

use fathom_engine::Token;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_sys_2::LLAMA_FLASH_ATTN_TYPE_ENABLED;

use crate::{CONTEXT, Result, SEQUENCES};

/// Proof that the backend is initialised, which the engine's weights did.
static BACKEND: LlamaBackend = LlamaBackend {};

/// Tokens of one batch.
const BATCH: u32 = 512;

/// A context of llama.cpp with a KV cache for each sequence, as
/// `llama-batched-bench` has it.
pub(crate) struct Plain {
    context: LlamaContext<'static>,
    batch: LlamaBatch<'static>,
    sampler: LlamaSampler,
}

impl Plain {
    pub(crate) fn load(path: &Path, threads: NonZeroUsize) -> Result<Self> {
        let threads = i32::try_from(threads.get())?;
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(SEQUENCES * CONTEXT))
            .with_n_seq_max(SEQUENCES)
            .with_flash_attention_policy(LLAMA_FLASH_ATTN_TYPE_ENABLED)
            .with_n_batch(2 * BATCH)
            .with_n_ubatch(BATCH)
            .with_n_threads(threads)
            .with_n_threads_batch(threads);
        let model = LlamaModel::load_from_file(&BACKEND, path, &LlamaModelParams::default())?;
        // The context borrows the model, and both live as long as the process.
        let model: &'static LlamaModel = Box::leak(Box::new(model));
        Ok(Self {
            context: model.new_context(&BACKEND, params)?,
            batch: LlamaBatch::new(2 * BATCH as usize, 1),
            sampler: LlamaSampler::greedy(),
        })
    }

    /// Tokens per second that texts of `generated` tokens get together.
    pub(crate) fn decode(&mut self, prompts: &[Vec<Token>], generated: u32) -> Result<f64> {
        let mut times = vec![Vec::new(); prompts.len()];
        let mut tokens = self.read(prompts)?;
        for times in &mut times {
            times.push((Instant::now(), 1));
        }
        let mut positions: Vec<_> = prompts.iter().map(Vec::len).collect();
        for _ in 1..generated {
            self.batch.clear();
            for (sequence, position) in positions.iter_mut().enumerate() {
                let (at, sequence_id) = (i32::try_from(*position)?, i32::try_from(sequence)?);
                self.batch.add(tokens[sequence], at, &[sequence_id], true)?;
                *position += 1;
            }
            self.context.decode(&mut self.batch)?;
            for (row, token) in (0..).zip(&mut tokens) {
                *token = self.sampler.sample(&self.context, row);
            }
            for times in &mut times {
                times.push((Instant::now(), 1));
            }
        }
        rate(&times)
    }

    /// Seconds until the first token.
    pub(crate) fn first_token(&mut self, prompt: &[Token]) -> Result<f64> {
        let begin = Instant::now();
        self.read(&[prompt.to_vec()])?;
        Ok(begin.elapsed().as_secs_f64())
    }

    /// Reads prompts, each into a sequence of its own; the token after each.
    fn read(&mut self, prompts: &[Vec<Token>]) -> Result<Vec<LlamaToken>> {
        self.context.clear_kv_cache();
        let mut tokens = Vec::new();
        for (sequence, prompt) in (0..).zip(prompts) {
            self.batch.clear();
            for (position, token) in (0..).zip(prompt) {
                let is_last = position as usize + 1 == prompt.len();
                self.batch
                    .add(LlamaToken(token.0), position, &[sequence], is_last)?;
            }
            self.context.decode(&mut self.batch)?;
            let last = self.batch.n_tokens() - 1;
            tokens.push(self.sampler.sample(&self.context, last));
        }
        Ok(tokens)
    }
}

/// Tokens per second of all texts, from when each has begun until one ends:
/// when each came, and how many at once.
pub(crate) fn rate(texts: &[Vec<(Instant, u32)>]) -> Result<f64> {
    let begin = texts.iter().filter_map(|times| times.first()).max();
    let end = texts.iter().filter_map(|times| times.last()).min();
    let (begin, end) = begin.zip(end).ok_or("no text")?;
    let between = texts
        .iter()
        .flatten()
        .filter(|(time, _)| (begin.0..end.0).contains(time));
    let tokens: u32 = between.map(|(_, tokens)| tokens).sum();
    Ok(f64::from(tokens) / (end.0 - begin.0).as_secs_f64())
}
