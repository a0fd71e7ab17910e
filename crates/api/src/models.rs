//! `GET /v1/models`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// All models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelList {
    /// Always `list`.
    pub object: String,
    /// The models, ordered by name.
    pub data: Vec<Model>,
}

/// One model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Model {
    /// Name to ask for.
    pub id: String,
    /// Always `model`.
    pub object: String,
    /// When it was registered, in seconds since the epoch.
    pub created: i64,
    /// Who offers it.
    pub owned_by: String,
    /// What really stands behind the name.
    pub fathom: Backing,
}

/// What stands behind a model name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Backing {
    /// Kind of engine: `local`, `upstream`, `sim`; `null` while nothing serves the model.
    pub backend: Option<String>,
    /// Name of the weights; of an upstream, its own name for the model.
    pub weights: Option<String>,
    /// Tokens of prompt and output together that a request can have.
    pub context_length: u32,
    /// What the registry allows.
    pub registered_context_length: u32,
    /// What the weights can do.
    pub weights_context_length: Option<u32>,
}
