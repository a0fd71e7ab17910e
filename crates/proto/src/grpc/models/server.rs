//! The answering side.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::administration::AuditPage;
use crate::convert::models::actor;
use crate::models::Models;
use crate::pb::router as pb;
use crate::pb::router::model_service_server::{ModelService, ModelServiceServer};

/// Serves a [`Models`].
pub struct ModelsServer(Arc<dyn Models>);

impl ModelsServer {
    /// The tonic service in front of `port`.
    pub fn new(port: Arc<dyn Models>) -> ModelServiceServer<Self> {
        ModelServiceServer::new(Self(port))
    }
}

/// What tonic wants of every method.
type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl ModelService for ModelsServer {
    async fn list_managed_models(
        &self,
        _: Request<pb::ListManagedModelsRequest>,
    ) -> Answer<pb::ListManagedModelsResponse> {
        let models = all(self.0.models().await?);
        Ok(Response::new(pb::ListManagedModelsResponse { models }))
    }

    async fn get_managed_model(
        &self,
        request: Request<pb::GetManagedModelRequest>,
    ) -> Answer<pb::GetManagedModelResponse> {
        let id = request.into_inner().model.into();
        let model = Some(self.0.model(&id).await?.into());
        Ok(Response::new(pb::GetManagedModelResponse { model }))
    }

    async fn create_model(
        &self,
        request: Request<pb::CreateModelRequest>,
    ) -> Answer<pb::CreateModelResponse> {
        let mut message = request.into_inner();
        let who = std::mem::take(&mut message.actor);
        let model = self.0.create(actor(&who)?, message.into()).await?;
        let model = Some(model.into());
        Ok(Response::new(pb::CreateModelResponse { model }))
    }

    async fn update_model(
        &self,
        request: Request<pb::UpdateModelRequest>,
    ) -> Answer<pb::UpdateModelResponse> {
        let mut message = request.into_inner();
        let who = std::mem::take(&mut message.actor);
        let id = std::mem::take(&mut message.model).into();
        let model = self.0.update(actor(&who)?, &id, message.into()).await?;
        let model = Some(model.into());
        Ok(Response::new(pb::UpdateModelResponse { model }))
    }

    async fn deploy_version(
        &self,
        request: Request<pb::DeployVersionRequest>,
    ) -> Answer<pb::DeployVersionResponse> {
        let mut message = request.into_inner();
        let who = std::mem::take(&mut message.actor);
        let id = std::mem::take(&mut message.model).into();
        let model = self.0.deploy(actor(&who)?, &id, message.into()).await?;
        let model = Some(model.into());
        Ok(Response::new(pb::DeployVersionResponse { model }))
    }

    async fn promote_canary(
        &self,
        request: Request<pb::PromoteCanaryRequest>,
    ) -> Answer<pb::PromoteCanaryResponse> {
        let mut message = request.into_inner();
        let who = std::mem::take(&mut message.actor);
        let id = std::mem::take(&mut message.model).into();
        let model = self.0.promote(actor(&who)?, &id, message.into()).await?;
        let model = Some(model.into());
        Ok(Response::new(pb::PromoteCanaryResponse { model }))
    }

    async fn roll_back_model(
        &self,
        request: Request<pb::RollBackModelRequest>,
    ) -> Answer<pb::RollBackModelResponse> {
        let mut message = request.into_inner();
        let who = std::mem::take(&mut message.actor);
        let id = std::mem::take(&mut message.model).into();
        let model = self.0.roll_back(actor(&who)?, &id, message.into()).await?;
        let model = Some(model.into());
        Ok(Response::new(pb::RollBackModelResponse { model }))
    }

    async fn abort_canary(
        &self,
        request: Request<pb::AbortCanaryRequest>,
    ) -> Answer<pb::AbortCanaryResponse> {
        let mut message = request.into_inner();
        let who = std::mem::take(&mut message.actor);
        let id = std::mem::take(&mut message.model).into();
        let model = self.0.abort(actor(&who)?, &id, message.into()).await?;
        let model = Some(model.into());
        Ok(Response::new(pb::AbortCanaryResponse { model }))
    }

    async fn list_model_versions(
        &self,
        request: Request<pb::ListModelVersionsRequest>,
    ) -> Answer<pb::ListModelVersionsResponse> {
        let id = request.into_inner().model.into();
        let versions = all(self.0.versions(&id).await?);
        Ok(Response::new(pb::ListModelVersionsResponse { versions }))
    }

    async fn list_model_changes(
        &self,
        request: Request<pb::ListModelChangesRequest>,
    ) -> Answer<pb::ListModelChangesResponse> {
        let pb::ListModelChangesRequest {
            model,
            after,
            limit,
        } = request.into_inner();
        let page = AuditPage { after, limit };
        let changes = all(self.0.history(&model.into(), page).await?);
        Ok(Response::new(pb::ListModelChangesResponse { changes }))
    }
}

fn all<T, M: From<T>>(values: Vec<T>) -> Vec<M> {
    values.into_iter().map(Into::into).collect()
}
