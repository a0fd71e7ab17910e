//! Request fields that the completion endpoints share.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "must be a string or a list of strings")]
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

/// `stream_options`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StreamOptions {
    /// Send a chunk with the token counts before `[DONE]`.
    pub include_usage: bool,
}
