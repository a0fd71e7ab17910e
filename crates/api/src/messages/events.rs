//! Events of a stream: `message_start`; for each block `content_block_start`,
//! `content_block_delta`s and `content_block_stop`; `message_delta`, `message_stop`.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ContentBlock, ErrorObject, Message, Usage};

/// One event; its name is its `type`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schemars(rename = "AnthropicEvent")]
pub enum Event<'a> {
    /// The answer, with nothing in it yet.
    MessageStart {
        /// The answer.
        message: Message<'a>,
    },
    /// A block begins.
    ContentBlockStart {
        /// Its place in the answer.
        index: u32,
        /// The block, with nothing in it yet.
        content_block: ContentBlock<'a>,
    },
    /// A block goes on.
    ContentBlockDelta {
        /// Which block.
        index: u32,
        /// What is new of it.
        delta: BlockDelta<'a>,
    },
    /// A block is complete.
    ContentBlockStop {
        /// Which block.
        index: u32,
    },
    /// Why the answer ended.
    MessageDelta {
        /// The reason.
        delta: MessageDelta<'a>,
        /// The counts of all of it.
        usage: Usage,
    },
    /// The answer is complete.
    MessageStop,
    /// Nothing; it keeps the connection alive.
    Ping,
    /// The answer failed.
    Error {
        /// Why.
        error: ErrorObject<'a>,
        /// As in the header `request-id` and in the log.
        request_id: Option<Cow<'a, str>>,
    },
}

impl Event<'_> {
    /// The name of the event, which is its `type`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::MessageStart { .. } => "message_start",
            Self::ContentBlockStart { .. } => "content_block_start",
            Self::ContentBlockDelta { .. } => "content_block_delta",
            Self::ContentBlockStop { .. } => "content_block_stop",
            Self::MessageDelta { .. } => "message_delta",
            Self::MessageStop => "message_stop",
            Self::Ping => "ping",
            Self::Error { .. } => "error",
        }
    }
}

/// What is new of a block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schemars(rename = "AnthropicBlockDelta")]
pub enum BlockDelta<'a> {
    /// The next piece of a thought.
    ThinkingDelta {
        /// The text.
        thinking: Cow<'a, str>,
    },
    /// The end of a thought.
    SignatureDelta {
        /// Comes back with the block.
        signature: Cow<'a, str>,
    },
    /// The next piece of text.
    TextDelta {
        /// The text.
        text: Cow<'a, str>,
    },
    /// The next piece of a call's arguments.
    InputJsonDelta {
        /// JSON text, in sum.
        partial_json: Cow<'a, str>,
    },
}

/// Why the answer ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AnthropicMessageDelta")]
pub struct MessageDelta<'a> {
    /// The reason.
    pub stop_reason: Option<Cow<'a, str>>,
    /// The text that ended it, if one did.
    pub stop_sequence: Option<Cow<'a, str>>,
}
