//! `[[worker.engines]]` of `kind = "local"`

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use fathom_engine::{EngineOptions, WeightsInfo};
use serde::{Deserialize, Serialize};

/// An engine of `kind = "local"`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LocalConfig {
    /// Names of the models that the engine answers for.
    pub serves: Vec<String>,
    /// A GGUF file; absent: the default weights, fetched when they are not there.
    pub path: Option<PathBuf>,
    /// Threads that compute; absent: as many as the machine runs at a time. More make it slower.
    pub threads: Option<NonZeroUsize>,
    /// Most tokens of prompt and answer together; absent: what the weights were trained for, at
    /// most 8192.
    pub context_length: Option<u32>,
    /// Generations that run at a time. Memory for `context_length` tokens of each is taken at
    /// the start.
    pub slots: NonZeroUsize,
    /// Most tokens of texts that ended and are remembered, so that requests that begin alike are
    /// answered sooner; they take memory when it is needed. Absent: twice `context_length`.
    pub remembered_tokens: Option<u32>,
    /// Tokens of prompts that are read in one step: more are a little faster, and later to notice
    /// that a client is gone; absent: 128.
    pub prefill_chunk: Option<NonZeroUsize>,
    /// A file with a Jinja chat template to use instead of the one in the weights.
    pub chat_template: Option<PathBuf>,
    /// Requests that may wait for a slot; further ones are refused.
    pub max_queue: usize,
    /// How long a request may wait before it is refused. Clients that have given up by then
    /// would get answers nobody reads.
    #[serde(with = "humantime_serde")]
    pub max_queue_age: Duration,
}

/// Longest context that memory is set aside for unless configured.
const DEFAULT_CONTEXT: u32 = 8192;

/// The same for weights that make vectors, which take memory for its square.
const DEFAULT_EMBEDDED: u32 = 2048;

impl LocalConfig {
    /// Most tokens of prompt and answer together, with these weights.
    #[must_use]
    pub fn context_of(&self, info: &WeightsInfo) -> u32 {
        let default = match info.pooling {
            Some(_) => DEFAULT_EMBEDDED,
            None => DEFAULT_CONTEXT,
        };
        self.context_length
            .unwrap_or(info.context_length.min(default))
    }

    /// Tokens of context that memory is set aside for, with these weights.
    #[must_use]
    pub fn kv_tokens_of(&self, info: &WeightsInfo) -> u64 {
        let texts = match info.pooling {
            Some(_) => 1,
            None => self.slots.get() as u64,
        };
        texts.saturating_mul(self.context_of(info).into())
    }
}

impl Default for LocalConfig {
    fn default() -> Self {
        Self {
            serves: Vec::new(),
            path: None,
            threads: None,
            context_length: None,
            slots: EngineOptions::SLOTS,
            remembered_tokens: None,
            prefill_chunk: None,
            chat_template: None,
            max_queue: 64,
            max_queue_age: Duration::from_secs(30),
        }
    }
}
