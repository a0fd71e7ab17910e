//! `[[worker.engines]]` of `kind = "sim"`

mod fault;

use std::num::NonZeroUsize;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use fault::{SimFault, SimFaultKind};

/// An engine of `kind = "sim"`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimConfig {
    /// Names of the models that the engine answers for.
    pub serves: Vec<String>,
    /// Time from admission to the first token.
    #[serde(with = "humantime_serde")]
    pub ttft: Duration,
    /// Time from one token to the next.
    #[serde(with = "humantime_serde")]
    pub inter_token: Duration,
    /// Tokens of an answer that nothing cuts short.
    pub tokens: u32,
    /// Most tokens of prompt and answer together.
    pub context_length: u32,
    /// Generations that run at a time.
    pub capacity: usize,
    /// Requests that may wait; further ones are refused.
    pub max_queue: usize,
    /// How long a request may wait before it is refused.
    #[serde(with = "humantime_serde")]
    pub max_queue_age: Duration,
    /// Length of its vectors; absent: it has no embeddings.
    pub embedding_dimensions: Option<NonZeroUsize>,
    /// What goes wrong; of several that meet a request the first.
    pub faults: Vec<SimFault>,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            serves: Vec::new(),
            ttft: Duration::ZERO,
            inter_token: Duration::ZERO,
            tokens: 32,
            context_length: 32_768,
            capacity: 1_000,
            max_queue: 64,
            max_queue_age: Duration::from_secs(30),
            embedding_dimensions: None,
            faults: Vec::new(),
        }
    }
}
