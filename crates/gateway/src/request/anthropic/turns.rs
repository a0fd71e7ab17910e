//! Conversations.

use fathom_api::messages::{Content, InputMessage};
use fathom_proto::inference::{ChatMessage, ChatRole};

use super::block::{Block, blocks, misplaced};
use crate::error::ApiError;
use crate::request::object::Object;
use crate::request::speech::Speech;

/// The domain's form of a conversation. The result of a call is a turn of its own there.
pub fn conversation(
    system: Option<Content>,
    messages: Vec<InputMessage>,
) -> Result<Vec<ChatMessage>, ApiError> {
    let mut turns = Vec::with_capacity(messages.len() + 1);
    if let Some(system) = system {
        let said = text("system", system, "`system`")?;
        if !said.is_empty() {
            turns.push(said.turn(ChatRole::System));
        }
    }
    if messages.is_empty() {
        return Err(ApiError::invalid(
            "messages",
            "`messages` is empty; send at least one",
        ));
    }
    for (index, message) in messages.into_iter().enumerate() {
        let mut rest = Object::new(format!("messages[{index}]"), message.extra);
        // Answers that come back whole have them.
        rest.ignore(&[
            "id",
            "type",
            "model",
            "stop_reason",
            "stop_sequence",
            "usage",
        ]);
        let at = rest.path("content");
        match message.role.as_str() {
            "user" => user(&at, message.content, &mut turns)?,
            "assistant" => turns.push(assistant(&at, message.content)?),
            "system" => {
                let said = text(&at, message.content, "a turn of the `system`")?;
                turns.push(said.turn(ChatRole::System));
            }
            _ => return Err(rest.invalid("role", "must be `user`, `assistant` or `system`")),
        }
        rest.end()?;
    }
    let mut turns = combined(turns);
    if let Some(last) = turns.last_mut()
        && last.role == ChatRole::Assistant
    {
        begin_answer(last)?;
    }
    Ok(turns)
}

/// The turns, of which those of one speaker that follow one another are one: many templates want
/// them to alternate. Turns with images stay apart.
fn combined(turns: Vec<ChatMessage>) -> Vec<ChatMessage> {
    let mut all: Vec<ChatMessage> = Vec::with_capacity(turns.len());
    for turn in turns {
        match all.last_mut() {
            Some(last)
                if last.role == turn.role
                    && matches!(turn.role, ChatRole::User | ChatRole::Assistant)
                    && last.parts.is_none()
                    && turn.parts.is_none() =>
            {
                append(&mut last.content, &turn.content);
                if let Some(thought) = turn.reasoning {
                    append(last.reasoning.get_or_insert_default(), &thought);
                }
                last.tool_calls.extend(turn.tool_calls);
            }
            _ => all.push(turn),
        }
    }
    all
}

fn append(text: &mut String, more: &str) {
    if !text.is_empty() && !more.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(more);
}

/// The answer goes on from a last turn of the assistant.
fn begin_answer(turn: &mut ChatMessage) -> Result<(), ApiError> {
    let refused = |message| Err(ApiError::invalid("messages", message));
    if !turn.tool_calls.is_empty() {
        return refused(
            "the last of the `messages` calls tools; a turn of the `user` with the results of its \
             calls must follow",
        );
    }
    // A tokenizer has blanks at the beginning of words, where a model does not find them again.
    if turn.content.ends_with(char::is_whitespace) {
        return refused(
            "the last of the `messages`, from which the answer goes on, ends with white space; \
             leave it out",
        );
    }
    turn.prefix = true;
    Ok(())
}

fn text(at: &str, content: Content, place: &str) -> Result<Speech, ApiError> {
    let mut said = Speech::default();
    for (at, block) in blocks(at, content)? {
        match block {
            Block::Text(text) => said.text(text),
            _ => return Err(misplaced(&at, place)),
        }
    }
    Ok(said)
}

fn user(at: &str, content: Content, turns: &mut Vec<ChatMessage>) -> Result<(), ApiError> {
    let before = turns.len();
    let mut said = Speech::default();
    for (at, block) in blocks(at, content)? {
        match block {
            Block::Text(text) => said.text(text),
            Block::Image(url) => said.image(&url, None),
            Block::ToolResult { id, said: result } => {
                if !said.is_empty() {
                    turns.push(std::mem::take(&mut said).turn(ChatRole::User));
                }
                let mut turn = result.turn(ChatRole::Tool);
                turn.tool_call_id = Some(id);
                turns.push(turn);
            }
            Block::Thinking(_) | Block::ToolUse(_) => {
                return Err(misplaced(&at, "a turn of the `user`"));
            }
        }
    }
    if !said.is_empty() || turns.len() == before {
        turns.push(said.turn(ChatRole::User));
    }
    Ok(())
}

fn assistant(at: &str, content: Content) -> Result<ChatMessage, ApiError> {
    let mut said = Speech::default();
    let mut thought = String::new();
    let mut calls = Vec::new();
    for (at, block) in blocks(at, content)? {
        match block {
            Block::Text(text) => said.text(text),
            Block::Thinking(text) => thought.push_str(&text),
            Block::ToolUse(call) => calls.push(call),
            Block::Image(_) | Block::ToolResult { .. } => {
                return Err(misplaced(&at, "a turn of the `assistant`"));
            }
        }
    }
    let mut turn = said.turn(ChatRole::Assistant);
    turn.reasoning = Some(thought).filter(|thought| !thought.is_empty());
    turn.tool_calls = calls;
    Ok(turn)
}
