//! `[[worker.engines]]` of `kind = "local"`

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

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
    /// Most tokens of prompt and answer together, for which memory is set aside; absent: what
    /// the weights were trained for, at most 8192.
    pub context_length: Option<u32>,
    /// Tokens of context that all generations share, those that are remembered for the next
    /// request included; absent: twice `context_length`. At least `context_length`.
    pub kv_tokens: Option<u32>,
    /// Generations that run at a time.
    pub slots: NonZeroUsize,
    /// Tokens of prompts that are read in one step: more are a little faster, and later to notice
    /// that a client is gone; absent: 64.
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

impl Default for LocalConfig {
    fn default() -> Self {
        Self {
            serves: Vec::new(),
            path: None,
            threads: None,
            context_length: None,
            kv_tokens: None,
            slots: NonZeroUsize::MIN.saturating_add(7),
            prefill_chunk: None,
            chat_template: None,
            max_queue: 64,
            max_queue_age: Duration::from_secs(30),
        }
    }
}
