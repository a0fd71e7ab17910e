//! `fathom.inference.v1`: conversations.

use super::inference::{decode_json, encode_json};
use super::missing;
use crate::Error;
use crate::inference::{ChatMessage, ChatRole, ToolCall};
use crate::pb::inference as pb;

impl From<ChatMessage> for pb::ChatMessage {
    fn from(message: ChatMessage) -> Self {
        let role = match message.role {
            ChatRole::System => pb::ChatRole::System,
            ChatRole::User => pb::ChatRole::User,
            ChatRole::Assistant => pb::ChatRole::Assistant,
            ChatRole::Tool => pb::ChatRole::Tool,
        };
        let calls = message.tool_calls.into_iter().map(|call| pb::ToolCall {
            id: call.id,
            name: call.name,
            arguments: call.arguments,
        });
        Self {
            role: role.into(),
            content: message.content,
            name: message.name,
            reasoning: message.reasoning,
            tool_calls: calls.collect(),
            tool_call_id: message.tool_call_id,
            prefix: message.prefix,
            parts_json: encode_json(message.parts),
            extra_json: encode_json(message.extra),
        }
    }
}

impl TryFrom<pb::ChatMessage> for ChatMessage {
    type Error = Error;

    fn try_from(message: pb::ChatMessage) -> Result<Self, Error> {
        let role = match message.role() {
            pb::ChatRole::System => ChatRole::System,
            pb::ChatRole::User => ChatRole::User,
            pb::ChatRole::Assistant => ChatRole::Assistant,
            pb::ChatRole::Tool => ChatRole::Tool,
            pb::ChatRole::Unspecified => return Err(missing("prompt.chat.messages.role")),
        };
        let calls = message.tool_calls.into_iter().map(|call| ToolCall {
            id: call.id,
            name: call.name,
            arguments: call.arguments,
        });
        Ok(Self {
            role,
            content: message.content,
            name: message.name,
            reasoning: message.reasoning,
            tool_calls: calls.collect(),
            tool_call_id: message.tool_call_id,
            prefix: message.prefix,
            parts: decode_json(message.parts_json),
            extra: decode_json(message.extra_json),
        })
    }
}
