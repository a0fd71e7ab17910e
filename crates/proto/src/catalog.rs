//! The port that lists models. The router implements it.

use crate::Error;
use crate::id::ModelId;

/// Knows the models that clients can ask for.
#[tonic::async_trait]
pub trait Catalog: Send + Sync {
    /// Every model of the registry, ordered by name.
    async fn list_models(&self) -> Result<Vec<Model>, Error>;
}

/// One model of the registry, with what serves it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Name that clients use.
    pub id: ModelId,
    /// Who offers it.
    pub owned_by: String,
    /// When the row was made, in seconds since the epoch.
    pub created: i64,
    /// Context that the registry allows, in tokens.
    pub context_length: u32,
    /// What serves it; `None`: no worker does at present.
    pub deployment: Option<Deployment>,
}

impl Model {
    /// The context a client really has: the registry's, or the weights' where that is less.
    #[must_use]
    pub fn effective_context_length(&self) -> u32 {
        match &self.deployment {
            Some(deployment) => self.context_length.min(deployment.context_length),
            None => self.context_length,
        }
    }
}

/// What stands behind a model name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Kind of engine: `local`, `upstream` or `sim`.
    pub backend: String,
    /// Name of the weights; of an upstream, its own name for the model, and for operators its
    /// address.
    pub weights: String,
    /// Context that the weights can do, in tokens.
    pub context_length: u32,
}
