//! Fields that only other routes have. They change the answer, so that one which is not honoured
//! is refused and not ignored.

use fathom_api::sampling::Extra;
use serde_json::Value;

use crate::error::ApiError;

/// A route, and fields that it has.
pub type Elsewhere<'a> = (&'a str, &'a [&'a str]);

/// What the chat has and a completion has not.
pub const CHAT: Elsewhere<'_> = (
    "POST /v1/chat/completions",
    &[
        "tools",
        "tool_choice",
        "top_logprobs",
        "response_format",
        "messages",
        "max_completion_tokens",
    ],
);
/// What a completion has and the chat has not.
pub const COMPLETIONS: Elsewhere<'_> = ("POST /v1/completions", &["best_of", "echo", "suffix"]);
/// What the chat has and a socket has no message for.
pub const MORE_THAN_TEXT: Elsewhere<'_> = (
    "POST /v1/chat/completions",
    &["tools", "tool_choice", "n", "logprobs", "top_logprobs"],
);

/// Refuses the fields of another route; takes those out that ask for nothing.
pub fn refuse(extra: &mut Extra, (route, fields): Elsewhere<'_>) -> Result<(), ApiError> {
    for &name in fields {
        if let Some(value) = extra.shift_remove(name)
            && !asks_for_nothing(name, &value)
        {
            return Err(ApiError::invalid(
                name,
                format!("`{name}` is not supported here; use `{route}`"),
            ));
        }
    }
    Ok(())
}

/// Refuses the predecessors of `tools`, whose answers have another form too.
pub fn refuse_functions(extra: &Extra) -> Result<(), ApiError> {
    for (old, new) in [("functions", "tools"), ("function_call", "tool_choice")] {
        if extra.get(old).is_some_and(|value| !value.is_null()) {
            return Err(ApiError::invalid(
                old,
                format!("`{old}` is not supported by this server; use `{new}`"),
            ));
        }
    }
    Ok(())
}

/// Refuses what asks for something beside text, for which no answer of ours has a place.
pub fn refuse_unanswerable(extra: &Extra) -> Result<(), ApiError> {
    for name in ["audio", "modalities", "moderation"] {
        let is_text = |kinds: &Vec<Value>| kinds.iter().all(|kind| kind == "text");
        let says_nothing = |value: &Value| {
            value.is_null() || name == "modalities" && value.as_array().is_some_and(is_text)
        };
        if extra.get(name).is_some_and(|value| !says_nothing(value)) {
            return Err(ApiError::invalid(
                name,
                format!("`{name}` is not supported by this server: its answers are text"),
            ));
        }
    }
    Ok(())
}

fn asks_for_nothing(name: &str, value: &Value) -> bool {
    value.is_null()
        || match name {
            "n" | "best_of" => value == 1,
            "echo" | "logprobs" => value == false,
            "top_logprobs" => value == 0,
            "suffix" => value == "",
            "tools" => value.as_array().is_some_and(Vec::is_empty),
            "tool_choice" => value == "none",
            "response_format" => value["type"] == "text",
            _ => false,
        }
}
