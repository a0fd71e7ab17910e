//! Token counts and the reason a generation ended.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Tokens as the model's tokenizer counts them. The part of the prompt that was computed before is
/// told twice, in DeepSeek's words and in OpenAI's, so that clients of both find it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens generated.
    pub completion_tokens: u32,
    /// The sum of both.
    pub total_tokens: u32,
    /// Tokens of the prompt that were computed for an earlier request.
    #[serde(default)]
    pub prompt_cache_hit_tokens: u32,
    /// Tokens of the prompt that were not.
    #[serde(default)]
    pub prompt_cache_miss_tokens: u32,
    /// What the prompt's tokens were.
    #[serde(default)]
    pub prompt_tokens_details: PromptTokensDetails,
    /// What the generated tokens were.
    #[serde(default)]
    pub completion_tokens_details: CompletionTokensDetails,
}

/// What the prompt's tokens were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromptTokensDetails {
    /// The same as `prompt_cache_hit_tokens`.
    #[serde(default)]
    pub cached_tokens: u32,
}

/// What the generated tokens were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CompletionTokensDetails {
    /// Thought, not said.
    #[serde(default)]
    pub reasoning_tokens: u32,
}

impl Usage {
    /// Counts of one request: `cached` of the prompt's tokens were computed before, `reasoning` of
    /// the generated ones were thought.
    #[must_use]
    pub const fn new(prompt: u32, cached: u32, completion: u32, reasoning: u32) -> Self {
        Self {
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: prompt.saturating_add(completion),
            prompt_cache_hit_tokens: cached,
            prompt_cache_miss_tokens: prompt.saturating_sub(cached),
            prompt_tokens_details: PromptTokensDetails {
                cached_tokens: cached,
            },
            completion_tokens_details: CompletionTokensDetails {
                reasoning_tokens: reasoning,
            },
        }
    }
}

/// Why a generation ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended its text, or a stop text came up.
    Stop,
    /// `max_tokens` or the end of the context was reached.
    Length,
    /// The model waits for the results of the functions that it called.
    ToolCalls,
    /// A filter took the text away.
    ContentFilter,
    /// The server ran out of capacity (DeepSeek).
    InsufficientSystemResource,
    /// A word that only the upstream knows.
    #[serde(untagged)]
    Other(String),
}
