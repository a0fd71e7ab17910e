//! Items of a conversation, of which several make up a turn of the model.

use fathom_api::sampling::Extra;
use fathom_proto::inference::{ChatMessage, ChatRole, ToolCall};
use serde_json::Value;

use crate::error::ApiError;
use crate::request::object::Object;
use crate::request::speech::Speech;

/// Adds the turns that items make up.
pub fn read(items: Vec<Extra>, turns: &mut Vec<ChatMessage>) -> Result<(), ApiError> {
    // The turn of the model that is not ended.
    let mut open: Option<ChatMessage> = None;
    for (index, members) in items.into_iter().enumerate() {
        let mut item = Object::new(format!("input[{index}]"), members);
        // They name an item that was given out, and how far it was.
        item.ignore(&["id", "status", "phase"]);
        let kind = item.text("type")?;
        match kind.as_deref().unwrap_or("message") {
            "message" => {
                let turn = message(&mut item)?;
                if turn.role == ChatRole::Assistant {
                    let fits = |turn: &ChatMessage| {
                        turn.content.is_empty()
                            && turn.parts.is_none()
                            && turn.tool_calls.is_empty()
                    };
                    let begun = take_if(&mut open, fits, turns);
                    open = Some(ChatMessage {
                        reasoning: begun.and_then(|turn| turn.reasoning),
                        ..turn
                    });
                } else {
                    turns.extend(open.take());
                    turns.push(turn);
                }
            }
            "reasoning" => {
                let thought = reasoning(&mut item)?;
                turns.extend(open.take());
                open = Some(ChatMessage {
                    reasoning: Some(thought).filter(|thought| !thought.is_empty()),
                    ..ChatMessage::new(ChatRole::Assistant, "")
                });
            }
            "function_call" => {
                item.nothing_but("caller", &[serde_json::json!({"type": "direct"})])?;
                let call = ToolCall {
                    id: item.required_text("call_id")?,
                    name: item.required_text("name")?,
                    arguments: item.required_text("arguments")?,
                };
                let turn = open.get_or_insert_with(|| ChatMessage::new(ChatRole::Assistant, ""));
                turn.tool_calls.push(call);
            }
            "function_call_output" => {
                let id = item.required_text("call_id")?;
                let output = item.value("output");
                let mut turn = speech(&item.path("output"), output)?.turn(ChatRole::Tool);
                item.ignore(&["name"]);
                turn.tool_call_id = Some(id);
                turns.extend(open.take());
                turns.push(turn);
            }
            _ => {
                return Err(item.invalid(
                    "type",
                    "must be `message`, `reasoning`, `function_call` or `function_call_output` here",
                ));
            }
        }
        item.end()?;
    }
    // A thought that nothing follows says nothing.
    let is_said = |turn: &ChatMessage| {
        !turn.content.is_empty() || turn.parts.is_some() || !turn.tool_calls.is_empty()
    };
    turns.extend(open.filter(is_said));
    Ok(())
}

/// The turn that is not ended, if it `fits`; else it is ended.
fn take_if(
    open: &mut Option<ChatMessage>,
    fits: impl Fn(&ChatMessage) -> bool,
    turns: &mut Vec<ChatMessage>,
) -> Option<ChatMessage> {
    let turn = open.take()?;
    if fits(&turn) {
        return Some(turn);
    }
    turns.push(turn);
    None
}

fn message(item: &mut Object) -> Result<ChatMessage, ApiError> {
    let role = match item.required_text("role")?.as_str() {
        "user" => ChatRole::User,
        "assistant" => ChatRole::Assistant,
        "system" | "developer" => ChatRole::System,
        _ => {
            let problem = "must be `user`, `assistant`, `system` or `developer`";
            return Err(item.invalid("role", problem));
        }
    };
    let content = item.value("content");
    Ok(speech(&item.path("content"), content)?.turn(role))
}

/// What is said: a text, or a list of parts.
fn speech(at: &str, content: Option<Value>) -> Result<Speech, ApiError> {
    let mut said = Speech::default();
    let parts = match content {
        Some(Value::String(text)) => {
            said.text(text);
            return Ok(said);
        }
        Some(Value::Array(parts)) => parts,
        _ => {
            let message = format!("`{at}` must be a string or a list of parts");
            return Err(ApiError::invalid(at, message));
        }
    };
    for (index, value) in parts.into_iter().enumerate() {
        let at = format!("{at}[{index}]");
        part(Object::of(at, value)?, &mut said)?;
    }
    Ok(said)
}

fn part(mut part: Object, said: &mut Speech) -> Result<(), ApiError> {
    match part.required_text("type")?.as_str() {
        "input_text" => said.text(part.required_text("text")?),
        // Answers that come back have them.
        "output_text" => {
            part.ignore(&["annotations", "logprobs"]);
            said.text(part.required_text("text")?);
        }
        "refusal" => said.text(part.required_text("refusal")?),
        "input_image" => {
            let detail = part.text("detail")?;
            said.image(&part.required_text("image_url")?, detail);
        }
        _ => {
            return Err(part.invalid(
                "type",
                "must be `input_text`, `output_text`, `refusal` or `input_image` here",
            ));
        }
    }
    part.end()
}

/// What was thought, in full or, where that is not there, in summary.
fn reasoning(item: &mut Object) -> Result<String, ApiError> {
    let mut thought = texts(item, "content", "reasoning_text")?;
    let summary = texts(item, "summary", "summary_text")?;
    if thought.is_empty() {
        thought = summary;
    }
    if item.text("encrypted_content")?.is_some() && thought.is_empty() {
        let problem = "is another server's, and cannot be read here; leave the item out";
        return Err(item.invalid("encrypted_content", problem));
    }
    Ok(thought)
}

fn texts(item: &mut Object, name: &str, kind: &str) -> Result<String, ApiError> {
    let parts = item.list(name)?.unwrap_or_default().into_iter().enumerate();
    let texts = parts.map(|(index, value)| {
        let mut part = Object::of(format!("{}[{index}]", item.path(name)), value)?;
        part.word("type", &[kind])?;
        let text = part.required_text("text")?;
        part.end()?;
        Ok(text)
    });
    texts.collect()
}
