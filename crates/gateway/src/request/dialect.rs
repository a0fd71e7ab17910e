//! What a dialect lets a request hold, beside what all of them check.

use fathom_api::chat::{ChatRequest, Content, Message};
use fathom_api::completions::CompletionRequest;
use fathom_api::format::ResponseFormat;
use fathom_api::sampling::Extra;
use serde_json::Value;

use super::strict;
use crate::dialect::Dialect;
use crate::error::ApiError;

/// DeepSeek's limit.
const MAX_USER_ID_BYTES: usize = 512;

/// Checks a chat, and puts DeepSeek's words for efforts in place of others.
pub fn check_chat(dialect: Dialect, request: &mut ChatRequest) -> Result<(), ApiError> {
    if dialect != (Dialect::DeepSeek { beta: true }) {
        refuse_prefix(&request.messages)?;
    }
    let Dialect::DeepSeek { beta } = dialect else {
        return Ok(());
    };
    check_fields(&mut request.extra)?;
    if matches!(request.response_format, Some(ResponseFormat::JsonObject)) {
        check_json_is_named(&request.messages)?;
    }
    let tools = request.tools.as_deref().unwrap_or_default();
    match tools.iter().position(|it| it.function.strict == Some(true)) {
        Some(index) if !beta => Err(ApiError::invalid(
            format!("tools[{index}].function.strict"),
            "strict functions are beta; use `/beta/chat/completions`",
        )),
        Some(_) => strict::check(tools),
        None => Ok(()),
    }
}

/// Checks a completion.
pub fn check_completion(dialect: Dialect, request: &mut CompletionRequest) -> Result<(), ApiError> {
    match dialect {
        Dialect::OpenAi => Ok(()),
        Dialect::DeepSeek { .. } => check_fields(&mut request.extra),
    }
}

/// An answer cannot go on from a text that is taken for a whole turn.
pub(super) fn refuse_prefix(messages: &[Message]) -> Result<(), ApiError> {
    match messages.iter().position(|it| it.prefix == Some(true)) {
        Some(index) => Err(ApiError::invalid(
            format!("messages[{index}].prefix"),
            "prefixes of answers are beta; use `/beta/chat/completions`",
        )),
        None => Ok(()),
    }
}

fn check_fields(extra: &mut Extra) -> Result<(), ApiError> {
    match extra.get("user_id") {
        None | Some(Value::Null) => {}
        Some(Value::String(id)) if is_user_id(id) => {}
        Some(_) => {
            return Err(ApiError::invalid(
                "user_id",
                format!(
                    "`user_id` is 1 to {MAX_USER_ID_BYTES} of the characters a-z, A-Z, 0-9, `_` \
                     and `-`"
                ),
            ));
        }
    }
    match extra.get("thinking") {
        None | Some(Value::Null) => {}
        Some(thinking)
            if matches!(
                thinking["type"].as_str(),
                Some("enabled" | "disabled" | "adaptive")
            ) => {}
        Some(_) => {
            return Err(ApiError::invalid(
                "thinking.type",
                "the `type` of `thinking` must be `enabled`, `disabled` or `adaptive`",
            ));
        }
    }
    match extra.get_mut("reasoning_effort") {
        None | Some(Value::Null) => {}
        Some(effort) => match effort.as_str().and_then(effort_of) {
            Some(word) => *effort = word.into(),
            None => {
                return Err(ApiError::invalid(
                    "reasoning_effort",
                    "`reasoning_effort` must be `low`, `high` or `max`",
                ));
            }
        },
    }
    Ok(())
}

fn is_user_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=MAX_USER_ID_BYTES).contains(&id.len()) && id.bytes().all(allowed)
}

/// DeepSeek's word for an effort, which it knows by OpenAI's words too.
fn effort_of(word: &str) -> Option<&'static str> {
    Some(match word {
        "minimal" | "low" => "low",
        "medium" | "high" | "xhigh" => "high",
        "max" | "ultra" => "max",
        _ => return None,
    })
}

/// A model that is not told of JSON may write blanks until it is cut off, at DeepSeek; there this
/// is an error, so that a request that passes here passes there.
fn check_json_is_named(messages: &[Message]) -> Result<(), ApiError> {
    let named = messages.iter().any(|message| match &message.content {
        None => false,
        Some(Content::Text(text)) => names_json(text),
        Some(Content::Parts(parts)) => {
            let mut texts = parts.iter().filter_map(|part| part.text.as_deref());
            texts.any(names_json)
        }
    });
    if named {
        return Ok(());
    }
    Err(ApiError::invalid(
        "messages",
        "with `response_format` `json_object` the messages must hold the word `json`",
    ))
}

fn names_json(text: &str) -> bool {
    let mut windows = text.as_bytes().windows(4);
    windows.any(|word| word.eq_ignore_ascii_case(b"json"))
}
