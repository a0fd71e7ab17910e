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
    /// `thinking` and `reasoning_effort` of a request. [`Error::Unsupported`] names the one that is
    /// something else than a wish.
    pub fn asked_for(fields: &Map<String, Value>) -> Result<Self, Error> {
        let said = |name: &str| fields.get(name).filter(|value| !value.is_null());
        let unsupported = |param: &str, problem: &str| Error::Unsupported {
            param: param.to_owned(),
            problem: problem.to_owned(),
        };
        let effort = said("reasoning_effort")
            .map(|it| {
                it.as_str()
                    .ok_or_else(|| unsupported("reasoning_effort", "it is a word"))
            })
            .transpose()?;
        let kinds = "its `type` is `enabled`, `disabled` or `adaptive`";
        let kind = said("thinking")
            .map(|it| match it["type"].as_str() {
                Some(kind @ ("enabled" | "disabled" | "adaptive")) => Ok(kind),
                _ => Err(unsupported("thinking", kinds)),
            })
            .transpose()?;
        let (wanted, param) = match (kind, effort) {
            (Some("enabled"), _) => (Some(true), "thinking"),
            (Some("disabled"), _) => (Some(false), "thinking"),
            (_, Some("none")) => (Some(false), "reasoning_effort"),
            _ => (None, "thinking"),
        };
        Ok(Self {
            wanted,
            effort: effort.map(str::to_owned),
            param,
        })
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted(fields: Value) -> Result<Option<bool>, String> {
        let asked = Thoughts::asked_for(fields.as_object().unwrap());
        asked.map(|it| it.wanted).map_err(|error| match error {
            Error::Unsupported { param, .. } => param,
            other => other.to_string(),
        })
    }

    #[test]
    fn a_wish_is_read_and_what_is_none_is_refused_by_name() {
        for (fields, wish) in [
            (json!({}), None),
            (json!({"thinking": null, "reasoning_effort": null}), None),
            (
                json!({"thinking": {"type": "enabled", "budget_tokens": 5}}),
                Some(true),
            ),
            (json!({"thinking": {"type": "disabled"}}), Some(false)),
            (json!({"thinking": {"type": "adaptive"}}), None),
            (json!({"reasoning_effort": "none"}), Some(false)),
            (json!({"reasoning_effort": "high"}), None),
        ] {
            assert_eq!(wanted(fields), Ok(wish));
        }
        for (fields, param) in [
            (json!({"thinking": false}), "thinking"),
            (json!({"thinking": {"type": "off"}}), "thinking"),
            (json!({"reasoning_effort": 5}), "reasoning_effort"),
        ] {
            assert_eq!(wanted(fields), Err(param.to_owned()));
        }
    }
}
