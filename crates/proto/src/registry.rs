//! The port where workers say what they serve. The router implements it.

use std::time::Duration;

use crate::Error;
use crate::catalog::Deployment;
use crate::engines::EngineLoad;
use crate::id::{ModelId, WorkerId};

/// Knows the workers that are up.
#[tonic::async_trait]
pub trait Registry: Send + Sync {
    /// Adds a worker or renews its lease; idempotent.
    async fn register(&self, announcement: Announcement) -> Result<Lease, Error>;

    /// Takes a worker out at once; running generations go on. Changes nothing if the worker was
    /// announced with another `incarnation` since; 0: whatever was announced.
    async fn deregister(&self, worker: &WorkerId, incarnation: u64) -> Result<(), Error>;
}

/// What a worker says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The same for the worker's whole life.
    pub worker: WorkerId,
    /// New whenever it begins to announce itself anew; 0: it does not say.
    pub incarnation: u64,
    /// Where it serves: `http://HOST:PORT` or `unix:PATH`.
    pub endpoint: String,
    /// Where it runs, for example an availability zone; `None`: it does not say.
    pub zone: Option<String>,
    /// Version of its binary.
    pub version: String,
    /// What it serves.
    pub models: Vec<ServedModel>,
}

/// One model name that a worker answers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedModel {
    /// The name.
    pub model: ModelId,
    /// What stands behind it.
    pub deployment: Deployment,
    /// What the engine behind it has to do at this moment.
    pub load: EngineLoad,
}

/// The worker is forgotten unless it registers again within `duration`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Time from the registration on.
    pub duration: Duration,
}
