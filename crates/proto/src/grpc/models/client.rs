//! The calling side.

use tonic::transport::Channel;

use crate::Error;
use crate::administration::AuditPage;
use crate::grpc::MAX_MESSAGE_BYTES;
use crate::id::ModelId;
use crate::models::{
    Deploy, ManagedModel, ModelChange, ModelPatch, ModelVersion, Models, NewModel, RollBack, Step,
};
use crate::pb::router as pb;
use crate::pb::router::model_service_client::ModelServiceClient;

/// A remote [`Models`].
#[derive(Clone)]
pub struct ModelsClient(ModelServiceClient<Channel>);

impl ModelsClient {
    /// Calls over `channel`.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self(ModelServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES))
    }
}

/// The answer to a message.
macro_rules! call {
    ($self:ident.$rpc:ident($message:expr)) => {
        $self.0.clone().$rpc($message).await?.into_inner()
    };
}

#[tonic::async_trait]
impl Models for ModelsClient {
    async fn models(&self) -> Result<Vec<ManagedModel>, Error> {
        let message = pb::ListManagedModelsRequest {};
        Ok(all(call!(self.list_managed_models(message)).models))
    }

    async fn model(&self, id: &ModelId) -> Result<ManagedModel, Error> {
        let model = id.to_string();
        let message = pb::GetManagedModelRequest { model };
        one(call!(self.get_managed_model(message)).model)
    }

    async fn create(&self, actor: &str, model: NewModel) -> Result<ManagedModel, Error> {
        let message = pb::CreateModelRequest::from((actor, model));
        one(call!(self.create_model(message)).model)
    }

    async fn update(
        &self,
        actor: &str,
        id: &ModelId,
        patch: ModelPatch,
    ) -> Result<ManagedModel, Error> {
        let fallback = patch.fallback.map(|fallback| pb::FallbackChange {
            value: fallback.map(|model| model.to_string()),
        });
        let message = pb::UpdateModelRequest {
            actor: actor.to_owned(),
            model: id.to_string(),
            fallback,
            hedging: patch.hedging,
        };
        one(call!(self.update_model(message)).model)
    }

    async fn deploy(
        &self,
        actor: &str,
        id: &ModelId,
        deploy: Deploy,
    ) -> Result<ManagedModel, Error> {
        let message = pb::DeployVersionRequest {
            actor: actor.to_owned(),
            model: id.to_string(),
            version: deploy.version,
            target: deploy.target.map(|target| target.to_string()),
            parameters: Some(deploy.parameters.into()),
            percent: deploy.percent,
            guard: deploy.guard.map(Into::into),
            why: deploy.why,
            if_last_change: deploy.if_last_change,
        };
        one(call!(self.deploy_version(message)).model)
    }

    async fn promote(
        &self,
        actor: &str,
        id: &ModelId,
        promote: Step,
    ) -> Result<ManagedModel, Error> {
        let message = pb::PromoteCanaryRequest {
            actor: actor.to_owned(),
            model: id.to_string(),
            why: promote.why,
            if_last_change: promote.if_last_change,
        };
        one(call!(self.promote_canary(message)).model)
    }

    async fn roll_back(
        &self,
        actor: &str,
        id: &ModelId,
        roll_back: RollBack,
    ) -> Result<ManagedModel, Error> {
        let message = pb::RollBackModelRequest {
            actor: actor.to_owned(),
            model: id.to_string(),
            to: roll_back.to,
            why: roll_back.why,
            if_last_change: roll_back.if_last_change,
        };
        one(call!(self.roll_back_model(message)).model)
    }

    async fn abort(&self, actor: &str, id: &ModelId, abort: Step) -> Result<ManagedModel, Error> {
        let message = pb::AbortCanaryRequest {
            actor: actor.to_owned(),
            model: id.to_string(),
            why: abort.why,
            if_last_change: abort.if_last_change,
        };
        one(call!(self.abort_canary(message)).model)
    }

    async fn versions(&self, id: &ModelId) -> Result<Vec<ModelVersion>, Error> {
        let model = id.to_string();
        let message = pb::ListModelVersionsRequest { model };
        Ok(all(call!(self.list_model_versions(message)).versions))
    }

    async fn history(&self, id: &ModelId, page: AuditPage) -> Result<Vec<ModelChange>, Error> {
        let message = pb::ListModelChangesRequest {
            model: id.to_string(),
            after: page.after,
            limit: page.limit,
        };
        Ok(all(call!(self.list_model_changes(message)).changes))
    }
}

/// What an answer holds. One that is incomplete is not the caller's fault.
fn one(model: Option<pb::ManagedModel>) -> Result<ManagedModel, Error> {
    let model = model.ok_or_else(|| Error::internal("an answer of the router is empty"))?;
    Ok(model.into())
}

fn all<M, T: From<M>>(messages: Vec<M>) -> Vec<T> {
    messages.into_iter().map(Into::into).collect()
}
