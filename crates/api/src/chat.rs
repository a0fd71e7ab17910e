//! `POST /v1/chat/completions`

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::bounded::{self, TextOr, text_or};
use crate::bounds;
use crate::format::ResponseFormat;
use crate::logprobs::ChatLogprobs;
use crate::sampling::{self, Extra, LogitBias, OneOrMany, StreamOptions};
use crate::tools::{Tool, ToolCall, ToolCallDelta, ToolChoice};
use crate::usage::{FinishReason, Usage};

/// A conversation to continue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChatRequest {
    /// Name of the model.
    #[schemars(length(min = 1, max = bounds::MODEL_BYTES))]
    pub model: String,
    /// Turns, oldest first.
    #[serde(deserialize_with = "bounded::messages")]
    #[schemars(length(min = 1, max = bounds::MESSAGES))]
    pub messages: Vec<Message>,
    /// Most tokens to generate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_tokens: Option<u32>,
    /// The newer name of `max_tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_completion_tokens: Option<u32>,
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
    /// How many answers; one when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = bounds::CHOICES))]
    pub n: Option<u32>,
    /// Tell how probable each token was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<bool>,
    /// Tell so many likeliest tokens at each place, at most 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = bounds::TOP_LOGPROBS))]
    pub top_logprobs: Option<u32>,
    /// What the answer must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<ResponseFormat>,
    /// Functions that the model may call.
    #[serde(
        default,
        deserialize_with = "bounded::items",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(length(max = bounds::FUNCTIONS))]
    pub tools: Option<Vec<Tool>>,
    /// Whether it must; `auto` when there are functions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several at once; true when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
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

/// One turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    #[schemars(extend("enum" = ["system", "developer", "user", "assistant", "tool"]))]
    pub role: String,
    /// What is said; `null` counts as empty.
    #[serde(default)]
    pub content: Option<Content>,
    /// Name of the speaker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the model thought before it said this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Functions that the model called in this turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
    /// The call that a `tool` turn answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Whether this last turn is the beginning of the answer (DeepSeek's beta).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<bool>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What is said in a turn.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Content {
    /// `"text"`
    Text(String),
    /// `[{"type": "text", "text": …}, …]`
    Parts(#[schemars(length(max = bounds::ITEMS))] Vec<Part>),
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a string or a list of parts";
        let read = text_or::<Part, { bounds::ITEMS }, D>(deserializer, expected)?;
        Ok(match read {
            TextOr::Text(text) => Self::Text(text),
            TextOr::List(parts) => Self::Parts(parts),
        })
    }
}

/// A part of a turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// `text`, `image_url`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// The text of a `text` part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What other kinds of parts hold.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChatCompletion<'a> {
    /// Names the answer.
    pub id: Cow<'a, str>,
    /// Always `chat.completion`.
    pub object: Cow<'a, str>,
    /// Seconds since the epoch.
    pub created: u64,
    /// The model that was asked.
    pub model: Cow<'a, str>,
    /// What stands behind the model, where an upstream says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_fingerprint: Option<Cow<'a, str>>,
    /// As many as were asked for.
    pub choices: Vec<ChatChoice<'a>>,
    /// Token counts.
    pub usage: Usage,
}

/// An answer among several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChatChoice<'a> {
    /// Which answer.
    pub index: u32,
    /// The model's turn.
    pub message: AssistantMessage<'a>,
    /// How probable its tokens were, if asked for.
    pub logprobs: Option<ChatLogprobs>,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

/// The model's turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AssistantMessage<'a> {
    /// Always `assistant`.
    pub role: Cow<'a, str>,
    /// What it says.
    pub content: Option<Cow<'a, str>>,
    /// What it thought before, for models that do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<Cow<'a, str>>,
    /// Functions that it calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
    /// Always `null` here.
    pub refusal: Option<()>,
}

/// An event of a stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChatChunk<'a> {
    /// The same in every event.
    pub id: Cow<'a, str>,
    /// Always `chat.completion.chunk`.
    pub object: Cow<'a, str>,
    /// Seconds since the epoch, the same in every event.
    pub created: u64,
    /// The model that was asked.
    pub model: Cow<'a, str>,
    /// What stands behind the model, where an upstream says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_fingerprint: Option<Cow<'a, str>>,
    /// One, or none in the event that carries the usage.
    pub choices: Vec<ChunkChoice<'a>>,
    /// In the last event if asked for; `null` in the events before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Option<Usage>>,
    /// Noise that makes events equally long, if asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obfuscation: Option<Cow<'a, str>>,
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChunkChoice<'a> {
    /// Which answer.
    pub index: u32,
    /// What is new.
    pub delta: Delta<'a>,
    /// How probable its tokens were, if asked for.
    pub logprobs: Option<ChatLogprobs>,
    /// `null` until the end.
    pub finish_reason: Option<FinishReason>,
}

/// What is new in an event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Delta<'a> {
    /// `assistant`, in the first event only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Cow<'a, str>>,
    /// The next piece of what the model thinks before it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<Cow<'a, str>>,
    /// The next piece of text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Cow<'a, str>>,
    /// The next pieces of function calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCallDelta>>,
}
