//! `POST /v1/embeddings`

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bounds;
use crate::sampling::Extra;

/// Texts to turn into vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EmbeddingRequest {
    /// Name of the model.
    #[schemars(length(min = 1, max = bounds::MODEL_BYTES))]
    pub model: String,
    /// The texts.
    pub input: Input,
    /// `float` or `base64`; `float` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["float", "base64", null]))]
    pub encoding_format: Option<String>,
    /// Length of the vectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub dimensions: Option<u32>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "must be a string, a list of strings, or token ids"
)]
pub enum Input {
    /// One text.
    Text(#[schemars(length(min = 1))] String),
    /// Token ids of one text.
    Tokens(#[schemars(length(min = 1))] Vec<u32>),
    /// Several texts.
    Texts(#[schemars(length(min = 1, max = bounds::INPUTS), inner(length(min = 1)))] Vec<String>),
    /// Token ids of several texts.
    TokenLists(
        #[schemars(length(min = 1, max = bounds::INPUTS), inner(length(min = 1)))] Vec<Vec<u32>>,
    ),
}

/// The vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EmbeddingList<'a> {
    /// Always `list`.
    pub object: Cow<'a, str>,
    /// One for each text, in order.
    pub data: Vec<Embedding<'a>>,
    /// The model that was asked.
    pub model: Cow<'a, str>,
    /// Token counts.
    pub usage: EmbeddingUsage,
}

/// One vector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Embedding<'a> {
    /// Always `embedding`.
    pub object: Cow<'a, str>,
    /// Which text.
    pub index: u32,
    /// Its components.
    pub embedding: Vector<'a>,
}

/// Components of a vector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Vector<'a> {
    /// Numbers.
    Floats(Vec<f32>),
    /// Base64 of little-endian 32-bit floats.
    Base64(Cow<'a, str>),
}

/// Token counts of texts that nothing is generated for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EmbeddingUsage {
    /// Tokens of the texts.
    pub prompt_tokens: u32,
    /// The same.
    pub total_tokens: u32,
}
