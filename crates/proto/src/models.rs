//! The port that operators change models by. The router implements it.
//!
//! Its types are the resources of `/admin/v1/models` too: their JSON is what operators read and
//! write. Times are in seconds since the epoch.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::administration::{AuditPage, removable};
use crate::id::ModelId;
use crate::inference::Sampling;

mod state;

pub use state::{Canary, Guard, ModelState};

/// Changes models: which version of each answers, and what else holds of it. Every change leaves a
/// record that names `actor`; the caller of the port answers for that name.
///
/// Errors are [`crate::ErrorCode::ModelNotFound`], [`crate::ErrorCode::InvalidRequest`] with the
/// field at fault, and [`crate::ErrorCode::Conflict`] where the model is not as the change takes it
/// to be.
#[tonic::async_trait]
pub trait Models: Send + Sync {
    /// Every model, by name.
    async fn models(&self) -> Result<Vec<ManagedModel>, Error>;
    /// One model.
    async fn model(&self, id: &ModelId) -> Result<ManagedModel, Error>;
    /// Makes a model.
    async fn create(&self, actor: &str, model: NewModel) -> Result<ManagedModel, Error>;
    /// Changes what holds of a model whatever version answers.
    async fn update(
        &self,
        actor: &str,
        id: &ModelId,
        patch: ModelPatch,
    ) -> Result<ManagedModel, Error>;
    /// Tries a version out with some of the users, or with more or fewer of them.
    async fn deploy(
        &self,
        actor: &str,
        id: &ModelId,
        deploy: Deploy,
    ) -> Result<ManagedModel, Error>;
    /// Lets the version that is tried out answer everybody.
    async fn promote(
        &self,
        actor: &str,
        id: &ModelId,
        promote: Step,
    ) -> Result<ManagedModel, Error>;
    /// Lets a version answer that did so before, and ends a trial.
    async fn roll_back(
        &self,
        actor: &str,
        id: &ModelId,
        roll_back: RollBack,
    ) -> Result<ManagedModel, Error>;
    /// Ends a trial.
    async fn abort(&self, actor: &str, id: &ModelId, abort: Step) -> Result<ManagedModel, Error>;
    /// The versions of a model, the newest first.
    async fn versions(&self, id: &ModelId) -> Result<Vec<ModelVersion>, Error>;
    /// The changes of a model after one of them, the oldest first.
    async fn history(&self, id: &ModelId, page: AuditPage) -> Result<Vec<ModelChange>, Error>;
}

/// A model as operators see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ManagedModel {
    /// Name that clients use.
    pub id: ModelId,
    /// Who offers it.
    pub owned_by: String,
    /// Most tokens of prompt and output together.
    pub context_length: u32,
    /// When it was made.
    pub created_at: i64,
    /// What changes.
    #[serde(flatten)]
    pub state: ModelState,
    /// Id of its last change; 0: it has none.
    pub last_change: u64,
}

/// What can answer under a model's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelVersion {
    /// From 1.
    pub number: u32,
    /// The name that workers announce.
    pub target: ModelId,
    /// Where a request does not say.
    pub parameters: Sampling,
    /// When it was made.
    pub created_at: i64,
    /// Who made it.
    pub created_by: String,
    /// What its maker says of it.
    pub note: String,
}

/// One change of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelChange {
    /// From 1, in the order of all changes of all models.
    pub id: u64,
    /// When it was made.
    pub at: i64,
    /// Who made it: `<tenant>/<client or key>`, `operator:<user>` of the command line, or
    /// `fathom-router`, which ends trials that go badly.
    pub actor: String,
    /// What was done: `create`, `update`, `deploy`, `promote`, `rollback`, `abort`, or `guard`.
    pub action: String,
    /// The model.
    pub model: ModelId,
    /// Before.
    pub from: ModelState,
    /// After.
    pub to: ModelState,
    /// What the actor says of it.
    pub why: String,
}

/// A model to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewModel {
    /// Name that clients will use: 1 to 200 printable ASCII characters, without spaces.
    #[schemars(regex(pattern = r"^[!-~]{1,200}$"))]
    pub id: ModelId,
    /// Who offers it.
    #[schemars(length(min = 1, max = 200))]
    pub owned_by: String,
    /// Most tokens of prompt and output together.
    #[schemars(range(min = 1))]
    pub context_length: u32,
    /// The name that workers of its first version announce; absent: it has no versions and is
    /// served under its own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[!-~]{1,200}$"))]
    pub target: Option<ModelId>,
}

/// Changes to a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelPatch {
    /// The model that answers when no worker of this one can.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "removable"
    )]
    #[schemars(regex(pattern = r"^[!-~]{1,200}$"))]
    pub fallback: Option<Option<ModelId>>,
    /// Whether a second worker is asked when the first is slow to begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hedging: Option<bool>,
}

/// A version to be tried out: one that is there, or a new one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Deploy {
    /// A version that is there; absent: a new one, of the next two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The name that workers of a new version announce.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[!-~]{1,200}$"))]
    pub target: Option<ModelId>,
    /// Sampling of a new version where a request does not say.
    pub parameters: Sampling,
    /// Users of 100 that it answers, 1 to 99.
    #[schemars(range(min = 1, max = 99))]
    pub percent: u32,
    /// What ends the trial; absent: as it is, or the defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
    /// What the actor says of it; of a new version it is the note too.
    #[schemars(length(max = 1000))]
    pub why: String,
    /// Fails unless this is the model's last change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub if_last_change: Option<u64>,
}

/// Where to roll back to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RollBack {
    /// One of [`ModelState::previous`]; absent: the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<u32>,
    /// What the actor says of it.
    #[schemars(length(max = 1000))]
    pub why: String,
    /// Fails unless this is the model's last change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub if_last_change: Option<u64>,
}

/// A change that says all by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Step {
    /// What the actor says of it.
    #[schemars(length(max = 1000))]
    pub why: String,
    /// Fails unless this is the model's last change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub if_last_change: Option<u64>,
}
