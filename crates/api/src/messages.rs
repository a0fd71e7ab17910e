//! `POST /v1/messages`, as Anthropic defines it.

pub mod events;

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::bounded::{self, TextOr, text_or};
use crate::bounds;
use crate::sampling::Extra;

/// A conversation to continue, or to count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AnthropicMessagesRequest")]
pub struct MessagesRequest {
    /// Name of the model.
    #[schemars(length(min = 1, max = bounds::MODEL_BYTES))]
    pub model: String,
    /// Turns, oldest first.
    #[serde(deserialize_with = "bounded::messages")]
    #[schemars(length(min = 1, max = bounds::MESSAGES))]
    pub messages: Vec<InputMessage>,
    /// The operator's instructions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<Content>,
    /// Most tokens to generate; required to continue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_tokens: Option<u32>,
    /// 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(
        min = bounds::ANTHROPIC_TEMPERATURE.0,
        max = bounds::ANTHROPIC_TEMPERATURE.1
    ))]
    pub temperature: Option<f32>,
    /// Above 0, at most 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = bounds::TOP_P.1), extend("exclusiveMinimum" = bounds::TOP_P.0))]
    pub top_p: Option<f32>,
    /// Only so many likeliest tokens are considered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// Texts that end the generation.
    #[serde(
        default,
        deserialize_with = "bounded::items",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(
        length(max = bounds::STOPS),
        inner(length(min = 1, max = bounds::STOP_BYTES))
    )]
    pub stop_sequences: Option<Vec<String>>,
    /// Functions that the model may call.
    #[serde(
        default,
        deserialize_with = "bounded::items",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(length(max = bounds::FUNCTIONS))]
    pub tools: Option<Vec<Extra>>,
    /// Whether it must: an object with a `type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<Extra>,
    /// Whether the model thinks before it answers: an object with a `type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Extra>,
    /// `effort` and `format` of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_config: Option<Extra>,
    /// `user_id`: who asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Extra>,
    /// Answer with an event stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AnthropicTurn")]
pub struct InputMessage {
    /// `user`, `assistant` or `system`.
    #[schemars(extend("enum" = ["user", "assistant", "system"]))]
    pub role: String,
    /// What is said.
    pub content: Content,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What is said in a turn.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "AnthropicContent")]
pub enum Content {
    /// `"text"`
    Text(String),
    /// `[{"type": "text", "text": …}, …]`
    Blocks(#[schemars(length(max = bounds::ITEMS))] Vec<Extra>),
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a string or a list of blocks";
        let read = text_or::<Extra, { bounds::ITEMS }, D>(deserializer, expected)?;
        Ok(match read {
            TextOr::Text(text) => Self::Text(text),
            TextOr::List(blocks) => Self::Blocks(blocks),
        })
    }
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AnthropicMessage")]
pub struct Message<'a> {
    /// Names the answer.
    pub id: Cow<'a, str>,
    /// Always `message`.
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
    /// Always `assistant`.
    pub role: Cow<'a, str>,
    /// The model that was asked.
    pub model: Cow<'a, str>,
    /// What the model thinks, says and calls, in this order.
    pub content: Vec<ContentBlock<'a>>,
    /// Why it ended; `null` in the first event of a stream.
    pub stop_reason: Option<Cow<'a, str>>,
    /// The text that ended it, if one did.
    pub stop_sequence: Option<Cow<'a, str>>,
    /// Token counts.
    pub usage: Usage,
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schemars(rename = "AnthropicContentBlock")]
pub enum ContentBlock<'a> {
    /// What the model thinks before it answers.
    Thinking {
        /// The text.
        thinking: Cow<'a, str>,
        /// Comes back with the block; nothing is signed here.
        signature: Cow<'a, str>,
    },
    /// What it says.
    Text {
        /// The text.
        text: Cow<'a, str>,
    },
    /// A function that it calls.
    ToolUse {
        /// Names the call.
        id: Cow<'a, str>,
        /// Name of the function.
        name: Cow<'a, str>,
        /// The arguments, an object.
        input: Value,
    },
}

/// Tokens as the model's tokenizer counts them. Those of the prompt are the sum of three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AnthropicUsage")]
pub struct Usage {
    /// Tokens of the prompt that were not computed for an earlier request.
    pub input_tokens: u32,
    /// Always 0: what is kept of a prompt is not told apart.
    pub cache_creation_input_tokens: u32,
    /// Tokens of the prompt that were computed for an earlier request.
    pub cache_read_input_tokens: u32,
    /// Tokens generated.
    pub output_tokens: u32,
    /// What they were.
    pub output_tokens_details: OutputTokensDetails,
}

/// What the generated tokens were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AnthropicOutputTokensDetails")]
pub struct OutputTokensDetails {
    /// Thought, not said.
    pub thinking_tokens: u32,
}

/// The answer of `/v1/messages/count_tokens`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AnthropicTokenCount")]
pub struct TokenCount {
    /// Tokens of the prompt, with everything that the model's template adds.
    pub input_tokens: u32,
}

/// `{"type": "error", "error": …}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AnthropicErrorBody")]
pub struct ErrorBody<'a> {
    /// Always `error`.
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
    /// What is wrong.
    pub error: ErrorObject<'a>,
    /// As in the header `request-id` and in the log.
    pub request_id: Option<Cow<'a, str>>,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AnthropicErrorObject")]
pub struct ErrorObject<'a> {
    /// For programs: `invalid_request_error`, …
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
    /// For people: what is wrong and what would be right.
    pub message: Cow<'a, str>,
}
