//! Conversations.

use super::Json;

/// One turn of a conversation.
#[derive(Clone, PartialEq)]
pub struct ChatMessage {
    /// Who speaks.
    pub role: ChatRole,
    /// What is said.
    pub content: String,
    /// Name of the speaker.
    pub name: Option<String>,
    /// What the model thought before it said this.
    pub reasoning: Option<String>,
    /// Functions that the model called in this turn.
    pub tool_calls: Vec<ToolCall>,
    /// The call that this turn answers, for [`ChatRole::Tool`].
    pub tool_call_id: Option<String>,
    /// Whether this last turn, of [`ChatRole::Assistant`], is the beginning of the answer, which
    /// goes on after its last character.
    pub prefix: bool,
    /// Content in parts that are not all text, instead of `content`: a JSON list, for upstreams.
    pub parts: Option<Json>,
    /// Fields of the public message that this version does not know, for upstreams: a JSON object.
    pub extra: Option<Json>,
}

impl ChatMessage {
    /// A turn that only says something.
    pub fn new(role: ChatRole, content: impl Into<String>) -> Self {
        Self {
            role,
            content: content.into(),
            name: None,
            reasoning: None,
            tool_calls: Vec::new(),
            tool_call_id: None,
            prefix: false,
            parts: None,
            extra: None,
        }
    }
}

/// A call of a function.
#[derive(Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// Names the call.
    pub id: String,
    /// Name of the function.
    pub name: String,
    /// Arguments, as JSON text; the model's own, so not always valid.
    pub arguments: String,
}

/// Who speaks in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatRole {
    /// The operator's instructions.
    System,
    /// The person or program that asks.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
}

impl ChatRole {
    /// The name that chat templates and the public API use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}
