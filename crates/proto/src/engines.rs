//! The port that changes what a worker serves while it runs. The worker implements it.

use crate::Error;
use crate::catalog::Deployment;
use crate::id::ModelId;

/// Loads and unloads engines. What it changes lasts until the worker ends: its configuration
/// says what it starts with.
#[tonic::async_trait]
pub trait Engines: Send + Sync {
    /// Every engine, in the order they were loaded.
    async fn list(&self) -> Result<Vec<EngineStatus>, Error>;

    /// Loads weights and returns once they serve. A name that another engine serves goes over to
    /// the new one; that engine ends when its running generations have, unless it serves other
    /// names.
    async fn load(&self, request: LoadEngine) -> Result<EngineStatus, Error>;

    /// Takes a name out; running generations go on. An engine without a name ends with its last
    /// generation.
    async fn unload(&self, model: &ModelId) -> Result<(), Error>;
}

/// Weights to load, and what they serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadEngine {
    /// A GGUF file in the worker's model folder: a name, not a path.
    pub file: String,
    /// Names that it answers to; at least one.
    pub serves: Vec<ModelId>,
    /// Most tokens of prompt and answer together; `None`: as the configuration's default.
    pub context_length: Option<u32>,
    /// Generations that can run at a time; `None`: as the configuration's default.
    pub slots: Option<u32>,
}

/// One engine of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineStatus {
    /// Names that it answers to.
    pub serves: Vec<ModelId>,
    /// What it is.
    pub deployment: Deployment,
    /// What it has to do at this moment.
    pub load: EngineLoad,
}

/// What an engine has to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineLoad {
    /// Generations that can run at a time.
    pub slots: u32,
    /// Those that run.
    pub running: u32,
    /// Those that wait.
    pub queued: u32,
    /// Tokens of context that are in use; 0 where the engine does not say.
    pub kv_used: u32,
    /// Tokens of context that there are; 0 where the engine does not say.
    pub kv_capacity: u32,
}
