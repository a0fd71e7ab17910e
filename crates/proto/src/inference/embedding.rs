//! Texts as vectors.

use super::Json;
use crate::id::ModelId;

/// What to turn into vectors.
#[derive(Clone, PartialEq)]
pub struct EmbedRequest {
    /// Name of the model to ask.
    pub model: ModelId,
    /// The texts; at least one.
    pub inputs: Vec<EmbedInput>,
    /// Length of the vectors, for models that can shorten them; `None`: the model's own.
    pub dimensions: Option<u32>,
    /// Fields of the public request that this version does not know, for upstreams: a JSON object.
    pub extra: Option<Json>,
}

/// One text.
#[derive(Clone, PartialEq)]
pub enum EmbedInput {
    /// Plain text.
    Text(String),
    /// Token ids of the model's own vocabulary.
    Tokens(Vec<u32>),
}

/// Vectors, in the order of the inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    /// One for each input, all of one length.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens of all inputs, as the model's tokenizer counts them.
    pub prompt_tokens: u32,
}
