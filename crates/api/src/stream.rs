//! Messages of the WebSocket `/v1/stream`: `auth`, then `request`, answered by
//! `reasoning`s, `response`s and `done`. Those of a socket for many answers are in [`lanes`].

pub mod lanes;

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::chat::Message;
use crate::error::ErrorObject;
use crate::format::ResponseFormat;
use crate::sampling::{self, Extra, LogitBias, OneOrMany};
use crate::usage::{FinishReason, Usage};
use crate::{bounded, bounds};

/// What a client sends.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage {
    /// Who it is; first, unless the handshake had an `Authorization` header.
    Auth {
        /// `Bearer …`, as in the header; secret.
        token: String,
    },
    /// What to generate.
    Request(Box<StreamRequest>),
}

/// What to generate: `prompt` is one turn of a user, `messages` a whole conversation.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct StreamRequest {
    /// Name of the model.
    #[schemars(length(min = 1, max = bounds::MODEL_BYTES))]
    pub model: String,
    /// One turn of a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Turns, oldest first, instead of `prompt`.
    #[serde(
        default,
        deserialize_with = "bounded::optional_messages",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(length(max = bounds::MESSAGES))]
    pub messages: Option<Vec<Message>>,
    /// Most tokens to generate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_tokens: Option<u32>,
    /// The newer name of `max_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_completion_tokens: Option<u32>,
    /// 0 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = bounds::TEMPERATURE.0, max = bounds::TEMPERATURE.1))]
    pub temperature: Option<f32>,
    /// Above 0, at most 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = bounds::TOP_P.1), extend("exclusiveMinimum" = bounds::TOP_P.0))]
    pub top_p: Option<f32>,
    /// For the same text again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// -2 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = bounds::PENALTY.0, max = bounds::PENALTY.1))]
    pub frequency_penalty: Option<f32>,
    /// -2 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = bounds::PENALTY.0, max = bounds::PENALTY.1))]
    pub presence_penalty: Option<f32>,
    /// Only so many likeliest tokens are considered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// Only tokens at least so probable, relative to the likeliest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = bounds::MIN_P.0, max = bounds::MIN_P.1))]
    pub min_p: Option<f32>,
    /// Added to the logits of single tokens, from -100 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "sampling::logit_bias")]
    pub logit_bias: Option<LogitBias>,
    /// What the answer must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_format: Option<ResponseFormat>,
    /// Texts that end the generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<OneOrMany>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What answered, as the `x-fathom-` headers of other routes say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AnsweredBy {
    /// The model.
    pub model: String,
    /// Its version; absent: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Version of the configuration of models.
    pub config_version: u64,
    /// `NAME/ARM` of the experiment that the request is part of; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
}

/// What the server sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage<'a> {
    /// The next piece of what the model thinks before it answers.
    Reasoning {
        /// The text.
        content: Cow<'a, str>,
    },
    /// The next piece of text.
    Response {
        /// The text.
        content: Cow<'a, str>,
    },
    /// The generation is complete; a normal close follows.
    Done {
        /// Id of the request.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<Cow<'a, str>>,
        /// Token counts.
        usage: Usage,
        /// Why it ended.
        finish_reason: FinishReason,
        /// What answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fathom: Option<AnsweredBy>,
    },
    /// The request is refused or failed; a close follows.
    Error {
        /// HTTP status that the REST endpoint would have answered with.
        status: u16,
        /// What is wrong.
        error: ErrorObject<'a>,
        /// When a retry may succeed, where it may.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
}
