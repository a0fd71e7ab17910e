//! Request fields that the completion endpoints share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Fields beyond those named; what a model cannot do among them is for the server to refuse.
pub type Extra = serde_json::Map<String, serde_json::Value>;

/// Token ids, as text, and what is added to their logits.
pub type LogitBias = std::collections::BTreeMap<String, f32>;

/// One text or several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "must be a string or a list of strings")]
pub enum OneOrMany {
    /// `"text"`
    One(String),
    /// `["text", …]`
    Many(Vec<String>),
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
