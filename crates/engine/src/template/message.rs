//! What goes into a chat template, in the form that Hugging Face gave it.

use minijinja::Value;
use minijinja::value::Serde;
use serde_json::{Map, Value as Json, json};

/// One message of a chat.
///
/// It has no `Debug`, which would carry its text into log lines.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ChatMessage {
    /// Who speaks, as the model's template names it: `system`, `user`,
    /// `assistant`, `tool` as a rule.
    pub role: String,
    /// What is said.
    pub content: String,
    /// Name of the speaker, for templates that use it.
    pub name: Option<String>,
    /// What the model thought before it said this.
    pub reasoning: Option<String>,
    /// Functions that the model called in this message.
    pub tool_calls: Vec<ToolCall>,
    /// The call that this message answers.
    pub tool_call_id: Option<String>,
}

/// How a chat is put to the model, beside what is said in it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ChatOptions {
    /// Whether the model is to think first, for templates that can say so;
    /// absent: as the template has it.
    pub thinking: Option<bool>,
    /// How much it is to think, in a word, for templates that take one.
    pub reasoning_effort: Option<String>,
    /// The last message is the beginning of the answer, which goes on after
    /// its last character.
    pub begun: bool,
}

/// A call of a function in a message.
#[derive(Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// Names the call.
    pub id: String,
    /// Name of the function.
    pub name: String,
    /// Arguments: JSON text, or what the model wrote in its place.
    pub arguments: String,
}

/// A function that the model may call.
#[derive(Clone, PartialEq, Eq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// JSON Schema of its arguments.
    pub parameters: Option<String>,
}

impl ChatMessage {
    /// A message that only says something.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self {
            role: role.into(),
            content: content.into(),
            ..Self::default()
        }
    }

    /// The message with `cover` over every text of it.
    pub(crate) fn covered(&self, cover: &mut dyn FnMut(&str) -> String) -> Self {
        Self {
            role: cover(&self.role),
            content: cover(&self.content),
            name: self.name.as_deref().map(&mut *cover),
            reasoning: self.reasoning.as_deref().map(&mut *cover),
            tool_calls: self
                .tool_calls
                .iter()
                .map(|call| ToolCall {
                    id: cover(&call.id),
                    name: cover(&call.name),
                    arguments: covered_json(&call.arguments, cover),
                })
                .collect(),
            tool_call_id: self.tool_call_id.as_deref().map(cover),
        }
    }

    /// As templates know it: fields that are absent are undefined.
    pub(super) fn value(&self) -> Value {
        let mut turn = Map::new();
        turn.insert("role".to_owned(), self.role.as_str().into());
        turn.insert("content".to_owned(), self.content.as_str().into());
        for (field, text) in [
            ("name", &self.name),
            ("reasoning_content", &self.reasoning),
            ("tool_call_id", &self.tool_call_id),
        ] {
            if let Some(text) = text {
                turn.insert(field.to_owned(), text.as_str().into());
            }
        }
        if !self.tool_calls.is_empty() {
            let calls = self.tool_calls.iter().map(ToolCall::json).collect();
            turn.insert("tool_calls".to_owned(), calls);
        }
        Value::from(Serde(turn))
    }
}

impl ToolCall {
    /// Templates want the arguments parsed.
    fn json(&self) -> Json {
        let arguments = parsed(&self.arguments);
        json!({
            "type": "function",
            "id": self.id,
            "function": { "name": self.name, "arguments": arguments },
        })
    }
}

impl Tool {
    /// The function with `cover` over every text of it.
    pub(crate) fn covered(&self, cover: &mut dyn FnMut(&str) -> String) -> Self {
        Self {
            name: cover(&self.name),
            description: self.description.as_deref().map(&mut *cover),
            parameters: self
                .parameters
                .as_deref()
                .map(|text| covered_json(text, cover)),
        }
    }

    /// As templates know it.
    pub(super) fn value(&self) -> Value {
        let mut function = Map::new();
        function.insert("name".to_owned(), self.name.as_str().into());
        let description = self.description.as_deref().unwrap_or_default();
        function.insert("description".to_owned(), description.into());
        let parameters = self
            .parameters
            .as_deref()
            .map_or_else(no_parameters, parsed);
        function.insert("parameters".to_owned(), parameters);
        Value::from(Serde(json!({ "type": "function", "function": function })))
    }
}

fn no_parameters() -> Json {
    json!({ "type": "object", "properties": {} })
}

/// The JSON in `text`, or `text` itself.
fn parsed(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

/// JSON text with `cover` over every text in it, as escapes may hide what it
/// looks for.
fn covered_json(text: &str, cover: &mut dyn FnMut(&str) -> String) -> String {
    match serde_json::from_str(text) {
        Ok(json) => covered_value(json, cover).to_string(),
        Err(_) => cover(text),
    }
}

fn covered_value(json: Json, cover: &mut dyn FnMut(&str) -> String) -> Json {
    match json {
        Json::String(text) => cover(&text).into(),
        Json::Array(items) => items
            .into_iter()
            .map(|item| covered_value(item, cover))
            .collect(),
        Json::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| (cover(&key), covered_value(value, cover)))
            .collect(),
        other => other,
    }
}
