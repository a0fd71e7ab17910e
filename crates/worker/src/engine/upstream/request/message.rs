//! One turn of a conversation, as it is sent to another server.

use fathom_proto::inference::ChatMessage;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Extra, parse};
use crate::Error;

/// Fields of a turn that this version writes itself.
const OURS: [&str; 7] = [
    "role",
    "content",
    "name",
    "reasoning_content",
    "tool_calls",
    "tool_call_id",
    "prefix",
];

/// One turn.
#[derive(Serialize)]
pub(super) struct Message<'a> {
    role: &'static str,
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
    /// DeepSeek's word for a turn that goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<bool>,
    #[serde(flatten)]
    extra: Extra<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(&'a str),
    Parts(&'a RawValue),
    /// Of a turn that only calls functions.
    None,
}

#[derive(Serialize)]
struct Call<'a> {
    id: &'a str,
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

impl<'a> Message<'a> {
    pub fn new(turn: &'a ChatMessage) -> Result<Self, Error> {
        let content = match &turn.parts {
            Some(parts) => Content::Parts(parse(parts, "messages")?),
            None if turn.content.is_empty() && !turn.tool_calls.is_empty() => Content::None,
            None => Content::Text(&turn.content),
        };
        let mut extra: Extra<'a> = match &turn.extra {
            Some(extra) => parse(extra, "messages")?,
            None => Extra::new(),
        };
        extra.retain(|name, _| !OURS.contains(&name.as_str()));
        let calls = turn.tool_calls.iter().map(|call| Call {
            id: &call.id,
            r#type: "function",
            function: Function {
                name: &call.name,
                arguments: &call.arguments,
            },
        });
        Ok(Self {
            role: turn.role.as_str(),
            content,
            name: turn.name.as_deref(),
            reasoning_content: turn.reasoning.as_deref(),
            tool_calls: calls.collect(),
            tool_call_id: turn.tool_call_id.as_deref(),
            prefix: turn.prefix.then_some(true),
            extra,
        })
    }
}
