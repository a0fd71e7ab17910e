//! What a caller wants of a model's thoughts, in fields of DeepSeek and of OpenAI.

use fathom_engine::{AnswerStyle, ChatOptions, Thinking};
use serde_json::{Map, Value};

use crate::Error;

/// Whether and how much the model is to think; a model that does not think takes no notice.
#[derive(Clone, Default)]
pub(super) struct Thoughts {
    /// Absent: as the template has it.
    wanted: Option<bool>,
    effort: Option<String>,
    /// The field that says so.
    param: &'static str,
}

impl Thoughts {
    /// `thinking` and `reasoning_effort` of a request.
    pub fn asked_for(fields: &Map<String, Value>) -> Self {
        let effort = fields.get("reasoning_effort").and_then(Value::as_str);
        let kind = fields.get("thinking").and_then(|it| it["type"].as_str());
        let (wanted, param) = match (kind, effort) {
            (Some("enabled"), _) => (Some(true), "thinking"),
            (Some("disabled"), _) => (Some(false), "thinking"),
            (_, Some("none")) => (Some(false), "reasoning_effort"),
            _ => (None, "thinking"),
        };
        Self {
            wanted,
            effort: effort.map(str::to_owned),
            param,
        }
    }

    /// How the chat is put to the model.
    pub fn options(&self, begun: bool) -> ChatOptions {
        ChatOptions {
            thinking: self.wanted,
            reasoning_effort: self.effort.clone(),
            begun,
        }
    }

    /// The way that a model would be asked to think, for a caller that wants it not to: where that
    /// makes no difference, the model cannot be kept from it.
    pub fn otherwise(&self, style: AnswerStyle) -> Option<ChatOptions> {
        let unwanted = self.wanted == Some(false) && style.thinking != Thinking::Never;
        unwanted.then(|| ChatOptions {
            thinking: Some(true),
            ..self.options(false)
        })
    }

    /// The refusal of a model that always thinks.
    pub fn refused(&self) -> Error {
        Error::Unsupported {
            param: self.param.to_owned(),
            problem: "it decides by itself whether it thinks; leave it out".to_owned(),
        }
    }
}
