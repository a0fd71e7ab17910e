//! Conversations.

use fathom_api::bounds::MESSAGES;
use fathom_api::chat::{Content, Message, Part};
use fathom_api::tools::ToolCall as ApiToolCall;
use fathom_proto::inference::{ChatMessage, ChatRole, Json, Prompt, ToolCall};

use serde_json::Value;

use super::{extra, json};
use crate::error::ApiError;

/// The domain's form of a conversation.
pub fn conversation(messages: Vec<Message>) -> Result<Prompt, ApiError> {
    if messages.is_empty() {
        return Err(ApiError::invalid(
            "messages",
            "`messages` is empty; send at least one",
        ));
    }
    if messages.len() > MESSAGES {
        return Err(ApiError::invalid(
            "messages",
            format!(
                "`messages` holds {} turns; at most {MESSAGES} are allowed",
                messages.len()
            ),
        ));
    }
    let last = messages.len() - 1;
    let misplaced = |(i, message): (usize, &Message)| {
        message.prefix == Some(true) && (i != last || message.role != "assistant")
    };
    if let Some(i) = messages.iter().enumerate().position(misplaced) {
        return Err(ApiError::invalid(
            format!("messages[{i}].prefix"),
            "only the last message can be a `prefix`, and only one of the `assistant`",
        ));
    }
    let turns = messages
        .into_iter()
        .enumerate()
        .map(|(i, message)| turn(i, message));
    Ok(Prompt::Chat(turns.collect::<Result<_, _>>()?))
}

fn turn(index: usize, message: Message) -> Result<ChatMessage, ApiError> {
    let role = match message.role.as_str() {
        // OpenAI's newer name for the same thing.
        "system" | "developer" => ChatRole::System,
        "user" => ChatRole::User,
        "assistant" => ChatRole::Assistant,
        "tool" => ChatRole::Tool,
        _ => {
            return Err(ApiError::invalid(
                format!("messages[{index}].role"),
                "the role must be `system`, `developer`, `user`, `assistant` or `tool`",
            ));
        }
    };
    if role == ChatRole::Tool && message.tool_call_id.is_none() {
        return Err(ApiError::invalid(
            format!("messages[{index}].tool_call_id"),
            "a turn of a `tool` needs the `tool_call_id` of the call that it answers",
        ));
    }
    let tool_calls = message.tool_calls.unwrap_or_default();
    if role != ChatRole::Assistant && !tool_calls.is_empty() {
        return Err(ApiError::invalid(
            format!("messages[{index}].tool_calls"),
            "only a turn of the `assistant` has `tool_calls`",
        ));
    }
    let tool_calls = tool_calls.into_iter().enumerate();
    let (content, parts) = match message.content {
        None => (String::new(), None),
        Some(Content::Text(text)) => (text, None),
        Some(Content::Parts(parts)) => content(index, parts)?,
    };
    Ok(ChatMessage {
        role,
        content,
        name: message.name,
        reasoning: message.reasoning_content,
        tool_calls: tool_calls
            .map(|(i, call)| tool_call(index, i, call))
            .collect::<Result<_, _>>()?,
        tool_call_id: message.tool_call_id,
        prefix: message.prefix.unwrap_or(false),
        parts,
        extra: extra(&message.extra),
    })
}

/// The text, or, where there is more than text, or more said of it, the parts as they are.
fn content(index: usize, parts: Vec<Part>) -> Result<(String, Option<Json>), ApiError> {
    let lacks_text = |part: &Part| part.kind == "text" && part.text.is_none();
    if let Some(i) = parts.iter().position(lacks_text) {
        return Err(ApiError::invalid(
            format!("messages[{index}].content[{i}].text"),
            "a part of the type `text` needs a `text`",
        ));
    }
    let is_plain = |part: &Part| part.kind == "text" && part.extra.values().all(Value::is_null);
    if !parts.iter().all(is_plain) {
        return Ok((String::new(), Some(json(&parts))));
    }
    Ok((
        parts.into_iter().filter_map(|part| part.text).collect(),
        None,
    ))
}

fn tool_call(index: usize, i: usize, call: ApiToolCall) -> Result<ToolCall, ApiError> {
    if call.kind != "function" {
        return Err(ApiError::invalid(
            format!("messages[{index}].tool_calls[{i}].type"),
            "the type of a call must be `function`",
        ));
    }
    Ok(ToolCall {
        id: call.id,
        name: call.function.name,
        arguments: call.function.arguments,
    })
}
