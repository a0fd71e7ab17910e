//! `POST /v1/completions`

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bounded;
use crate::bounds;
use crate::logprobs::CompletionLogprobs;
use crate::sampling::{self, Extra, LogitBias, OneOrMany, StreamOptions};
use crate::usage::{FinishReason, Usage};

/// A prompt to continue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CompletionRequest {
    /// Name of the model.
    #[schemars(length(min = 1, max = bounds::MODEL_BYTES))]
    pub model: String,
    /// What to continue.
    pub prompt: Prompt,
    /// Most tokens to generate; 16 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = bounds::TEMPERATURE.0, max = bounds::TEMPERATURE.1))]
    pub temperature: Option<f32>,
    /// Above 0, at most 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = bounds::TOP_P.1), extend("exclusiveMinimum" = bounds::TOP_P.0))]
    pub top_p: Option<f32>,
    /// For the same text again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = bounds::PENALTY.0, max = bounds::PENALTY.1))]
    pub frequency_penalty: Option<f32>,
    /// -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = bounds::PENALTY.0, max = bounds::PENALTY.1))]
    pub presence_penalty: Option<f32>,
    /// Only so many likeliest tokens are considered; not at OpenAI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// Only tokens at least so probable, relative to the likeliest; not at OpenAI.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = bounds::MIN_P.0, max = bounds::MIN_P.1))]
    pub min_p: Option<f32>,
    /// Added to the logits of single tokens, from -100 to 100.
    #[serde(
        default,
        deserialize_with = "bounded::numbers",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(schema_with = "sampling::logit_bias")]
    pub logit_bias: Option<LogitBias>,
    /// Texts that end the generation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<OneOrMany>,
    /// How many continuations of each prompt; one when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = bounds::CHOICES))]
    pub n: Option<u32>,
    /// How many to choose from; the same as `n` here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub best_of: Option<u32>,
    /// Tell how probable each token was, and so many likeliest ones, at most 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = bounds::TOP_LOGPROBS))]
    pub logprobs: Option<u32>,
    /// Begin the text with the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub echo: Option<bool>,
    /// Text after the gap that is to be filled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    /// Answer with an event stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// How to stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<StreamOptions>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What to continue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "must be a string, a list of strings, or token ids"
)]
pub enum Prompt {
    /// One text.
    Text(String),
    /// Token ids.
    Tokens(#[schemars(length(min = 1))] Vec<u32>),
    /// Several texts.
    Texts(#[schemars(length(min = 1, max = bounds::GENERATIONS))] Vec<String>),
    /// Several lists of token ids.
    TokenLists(
        #[schemars(length(min = 1, max = bounds::GENERATIONS), inner(length(min = 1)))]
        Vec<Vec<u32>>,
    ),
}

/// A whole answer, and each event of a stream: they have one form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Completion<'a> {
    /// The same in every event of a stream.
    pub id: Cow<'a, str>,
    /// Always `text_completion`.
    pub object: Cow<'a, str>,
    /// Seconds since the epoch.
    pub created: u64,
    /// The model that was asked.
    pub model: Cow<'a, str>,
    /// What stands behind the model, where an upstream says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_fingerprint: Option<Cow<'a, str>>,
    /// As many as were asked for; in an event one, or none in the event that carries the usage.
    pub choices: Vec<Choice<'a>>,
    /// In a whole answer, and in the last event if asked for; `null` in the events before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Option<Usage>>,
    /// Noise that makes events equally long, if asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obfuscation: Option<Cow<'a, str>>,
}

/// A continuation, or a piece of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Choice<'a> {
    /// Which continuation.
    pub index: u32,
    /// The text.
    pub text: Cow<'a, str>,
    /// How probable its tokens were, if asked for.
    pub logprobs: Option<CompletionLogprobs>,
    /// `null` until the end.
    pub finish_reason: Option<FinishReason>,
}
