//! Request fields that the completion endpoints share.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use crate::bounded::{TextOr, text_or};
use crate::bounds;

/// Fields beyond those named; what a model cannot do among them is for the server to refuse.
pub type Extra = serde_json::Map<String, serde_json::Value>;

/// Token ids, as text, and what is added to their logits.
pub type LogitBias = std::collections::BTreeMap<String, f32>;

pub(crate) fn logit_bias(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["object", "null"],
        "maxProperties": bounds::LOGIT_BIASES,
        "propertyNames": {"pattern": "^[0-9]+$"},
        "additionalProperties": {
            "type": "number",
            "minimum": bounds::LOGIT_BIAS.0,
            "maximum": bounds::LOGIT_BIAS.1,
        },
    })
}

/// One text or several.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// `"text"`
    One(#[schemars(length(min = 1, max = bounds::STOP_BYTES))] String),
    /// `["text", …]`
    Many(
        #[schemars(
            length(max = bounds::STOPS),
            inner(length(min = 1, max = bounds::STOP_BYTES))
        )]
        Vec<String>,
    ),
}

impl OneOrMany {
    /// The texts, in order.
    #[must_use]
    pub fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a string or a list of strings";
        let read = text_or::<String, { bounds::ITEMS }, D>(deserializer, expected)?;
        Ok(match read {
            TextOr::Text(text) => Self::One(text),
            TextOr::List(texts) => Self::Many(texts),
        })
    }
}

/// `stream_options`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StreamOptions {
    /// Send a chunk with the token counts before `[DONE]`.
    pub include_usage: bool,
    /// Make the events of text equally long, so that their sizes tell no eavesdropper the words.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub include_obfuscation: bool,
}
