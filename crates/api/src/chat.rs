//! `POST /v1/chat/completions`

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::sampling::{Extra, OneOrMany, StreamOptions};
use crate::usage::{FinishReason, Usage};

/// A conversation to continue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// Name of the model.
    pub model: String,
    /// Turns, oldest first.
    pub messages: Vec<Message>,
    /// Most tokens to generate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// The newer name of `max_tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<u32>,
    /// 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// Above 0, at most 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// For the same text again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f32>,
    /// -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f32>,
    /// Texts that end the generation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<OneOrMany>,
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    pub role: String,
    /// What is said; `null` counts as empty.
    #[serde(default)]
    pub content: Option<Content>,
    /// Name of the speaker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Everything else, such as `tool_calls`.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What is said in a turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "must be a string or a list of parts")]
pub enum Content {
    /// `"text"`
    Text(String),
    /// `[{"type": "text", "text": …}, …]`
    Parts(Vec<Part>),
}

/// A part of a turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// `text`, `image_url`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// The text of a `text` part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatCompletion<'a> {
    /// Names the answer.
    pub id: Cow<'a, str>,
    /// Always `chat.completion`.
    pub object: Cow<'a, str>,
    /// Seconds since the epoch.
    pub created: u64,
    /// The model that was asked.
    pub model: Cow<'a, str>,
    /// One.
    pub choices: Vec<ChatChoice<'a>>,
    /// Token counts.
    pub usage: Usage,
}

/// An answer among several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatChoice<'a> {
    /// Which answer.
    pub index: u32,
    /// The model's turn.
    pub message: AssistantMessage<'a>,
    /// Always `null` here.
    pub logprobs: Option<()>,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

/// The model's turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AssistantMessage<'a> {
    /// Always `assistant`.
    pub role: Cow<'a, str>,
    /// What it says.
    pub content: Option<Cow<'a, str>>,
    /// Always `null` here.
    pub refusal: Option<()>,
}

/// An event of a stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatChunk<'a> {
    /// The same in every event.
    pub id: Cow<'a, str>,
    /// Always `chat.completion.chunk`.
    pub object: Cow<'a, str>,
    /// Seconds since the epoch, the same in every event.
    pub created: u64,
    /// The model that was asked.
    pub model: Cow<'a, str>,
    /// One, or none in the event that carries the usage.
    pub choices: Vec<ChunkChoice<'a>>,
    /// In the last event if asked for; `null` in the events before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Option<Usage>>,
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChunkChoice<'a> {
    /// Which answer.
    pub index: u32,
    /// What is new.
    pub delta: Delta<'a>,
    /// Always `null` here.
    pub logprobs: Option<()>,
    /// `null` until the end.
    pub finish_reason: Option<FinishReason>,
}

/// What is new in an event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Delta<'a> {
    /// `assistant`, in the first event only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Cow<'a, str>>,
    /// The next piece of text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Cow<'a, str>>,
}
