//! `POST /v1/responses`, as OpenAI defines it, without anything that is stored.

pub mod events;

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::bounded::{self, TextOr, text_or};
use crate::bounds;
use crate::error::ErrorObject;
use crate::logprobs::TokenLogprob;
use crate::sampling::Extra;

/// What to answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResponsesRequest {
    /// Name of the model.
    #[schemars(length(min = 1, max = bounds::MODEL_BYTES))]
    pub model: String,
    /// One turn of a user, or a whole conversation.
    pub input: Input,
    /// A turn of the system before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// Most tokens to generate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_output_tokens: Option<u32>,
    /// 0 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = bounds::TEMPERATURE.0, max = bounds::TEMPERATURE.1))]
    pub temperature: Option<f32>,
    /// Above 0, at most 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = bounds::TOP_P.1), extend("exclusiveMinimum" = bounds::TOP_P.0))]
    pub top_p: Option<f32>,
    /// Tell so many likeliest tokens at each place, at most 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = bounds::TOP_LOGPROBS))]
    pub top_logprobs: Option<u32>,
    /// What the answer tells besides.
    #[serde(
        default,
        deserialize_with = "bounded::items",
        skip_serializing_if = "Option::is_none"
    )]
    pub include: Option<Vec<String>>,
    /// Functions that the model may call.
    #[serde(
        default,
        deserialize_with = "bounded::items",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(length(max = bounds::FUNCTIONS))]
    pub tools: Option<Vec<Extra>>,
    /// Whether it must: a word or an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<Value>,
    /// Whether it may call several at once; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// Most calls of tools that the server has itself, of which there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_tool_calls: Option<u32>,
    /// `format` and `verbosity` of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Extra>,
    /// `effort` and `summary` of what the model thinks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Extra>,
    /// Texts that come back with the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend(
        "maxProperties" = bounds::METADATA,
        "propertyNames" = {"maxLength": bounds::METADATA_NAME},
        "additionalProperties" = {"type": "string", "maxLength": bounds::METADATA_VALUE},
    ))]
    pub metadata: Option<Extra>,
    /// Answer with an event stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// How to stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<Extra>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What to answer.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "ResponsesInput")]
pub enum Input {
    /// `"text"`
    Text(String),
    /// `[{"role": "user", "content": …}, …]`
    Items(#[schemars(length(max = bounds::MESSAGES))] Vec<Extra>),
}

impl<'de> Deserialize<'de> for Input {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a string or a list of items";
        let read = text_or::<Extra, { bounds::MESSAGES }, D>(deserializer, expected)?;
        Ok(match read {
            TextOr::Text(text) => Self::Text(text),
            TextOr::List(items) => Self::Items(items),
        })
    }
}

/// A whole answer, with the settings that it was made under.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ResponsesAnswer")]
pub struct Response {
    /// Names the answer.
    pub id: String,
    /// Always `response`.
    pub object: Cow<'static, str>,
    /// Seconds since the epoch.
    pub created_at: u64,
    /// `in_progress`, `completed`, `incomplete` or `failed`.
    pub status: Status,
    /// Always false.
    pub background: bool,
    /// Why it failed.
    pub error: Option<ErrorObject<'static>>,
    /// Why it is incomplete.
    pub incomplete_details: Option<IncompleteDetails>,
    /// As asked for.
    pub instructions: Option<String>,
    /// As asked for.
    pub max_output_tokens: Option<u32>,
    /// As asked for.
    pub max_tool_calls: Option<u32>,
    /// The model that was asked.
    pub model: String,
    /// What the model thinks, says and calls.
    pub output: Vec<Item>,
    /// Whether it may call several functions at once.
    pub parallel_tool_calls: bool,
    /// Always `null`: nothing is stored.
    pub previous_response_id: Option<()>,
    /// As asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_cache_key: Option<String>,
    /// As asked for.
    pub reasoning: Reasoning,
    /// As asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safety_identifier: Option<String>,
    /// Always false.
    pub store: bool,
    /// As asked for; `null`: what the model has.
    pub temperature: Option<f32>,
    /// As asked for.
    pub text: Extra,
    /// As asked for.
    pub tool_choice: Value,
    /// As asked for.
    pub tools: Vec<Extra>,
    /// As asked for.
    pub top_logprobs: u32,
    /// As asked for; `null`: what the model has.
    pub top_p: Option<f32>,
    /// Always `disabled`: a conversation that is too long is refused.
    pub truncation: Cow<'static, str>,
    /// Token counts, at the end.
    pub usage: Option<Usage>,
    /// As asked for.
    pub user: Option<String>,
    /// As asked for.
    pub metadata: Extra,
}

/// How far an answer, or an item of it, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ResponsesStatus")]
pub enum Status {
    /// More is coming.
    InProgress,
    /// All of it is there.
    Completed,
    /// It ended early.
    Incomplete,
    /// It broke.
    Failed,
}

/// Why an answer is incomplete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ResponsesIncompleteDetails")]
pub struct IncompleteDetails {
    /// `max_output_tokens`, `content_filter`, or a word that only the upstream knows.
    pub reason: Cow<'static, str>,
}

/// How the model thinks, as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ResponsesReasoning")]
pub struct Reasoning {
    /// How much.
    pub effort: Option<String>,
    /// Whether thoughts are told as summaries.
    pub summary: Option<String>,
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schemars(rename = "ResponsesItem")]
pub enum Item {
    /// What the model thinks before it answers.
    Reasoning {
        /// Names the item.
        id: String,
        /// The thoughts, if a summary was asked for.
        summary: Vec<Part>,
        /// The thoughts, if none was.
        content: Vec<Part>,
        /// Always `null`: they are in the clear.
        encrypted_content: Option<()>,
        /// How far it is.
        status: Status,
    },
    /// What it says.
    Message {
        /// Names the item.
        id: String,
        /// How far it is.
        status: Status,
        /// Always `assistant`.
        role: Cow<'static, str>,
        /// One text.
        content: Vec<Part>,
    },
    /// A function that it calls.
    FunctionCall {
        /// Names the item.
        id: String,
        /// Names the call, for its result.
        call_id: String,
        /// Name of the function.
        name: String,
        /// Arguments, as JSON text; the model's own, so not always valid.
        arguments: String,
        /// How far it is.
        status: Status,
    },
}

/// A part of an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schemars(rename = "ResponsesPart")]
pub enum Part {
    /// Of what is said.
    OutputText {
        /// The text.
        text: String,
        /// Always empty here.
        annotations: Vec<Value>,
        /// How probable its tokens were, if asked for.
        logprobs: Vec<TokenLogprob>,
    },
    /// Of what is thought.
    ReasoningText {
        /// The text.
        text: String,
    },
    /// Of what is thought, as a summary.
    SummaryText {
        /// The text.
        text: String,
    },
}

/// Tokens as the model's tokenizer counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ResponsesUsage")]
pub struct Usage {
    /// Tokens of the prompt.
    pub input_tokens: u32,
    /// What they were.
    pub input_tokens_details: InputTokensDetails,
    /// Tokens generated.
    pub output_tokens: u32,
    /// What they were.
    pub output_tokens_details: OutputTokensDetails,
    /// The sum of both.
    pub total_tokens: u32,
}

/// What the prompt's tokens were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ResponsesInputTokensDetails")]
pub struct InputTokensDetails {
    /// Computed for an earlier request.
    pub cached_tokens: u32,
    /// Always 0: what is kept of a prompt is not told apart.
    pub cache_write_tokens: u32,
}

/// What the generated tokens were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ResponsesOutputTokensDetails")]
pub struct OutputTokensDetails {
    /// Thought, not said.
    pub reasoning_tokens: u32,
}
