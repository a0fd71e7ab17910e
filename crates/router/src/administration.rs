//! The port that operators change models by. What is changed here this router goes by at once,
//! others within their refresh.

use fathom_proto::Error as PublicError;
use fathom_proto::administration::AuditPage;
use fathom_proto::id::ModelId;
use fathom_proto::models::{
    Deploy, ManagedModel, ModelChange, ModelPatch, ModelVersion, Models, NewModel, RollBack, Step,
};

use crate::{Error, Router};

impl Router {
    async fn changed(
        &self,
        model: Result<ManagedModel, Error>,
    ) -> Result<ManagedModel, PublicError> {
        let model = model?;
        self.models.refresh().await;
        Ok(model)
    }
}

#[tonic::async_trait]
impl Models for Router {
    async fn models(&self) -> Result<Vec<ManagedModel>, PublicError> {
        Ok(self.models.store().models().await?)
    }

    async fn model(&self, id: &ModelId) -> Result<ManagedModel, PublicError> {
        Ok(self.models.store().model(id).await?)
    }

    async fn create(&self, actor: &str, model: NewModel) -> Result<ManagedModel, PublicError> {
        let made = self.models.store().create(actor, model).await;
        self.changed(made).await
    }

    async fn update(
        &self,
        actor: &str,
        id: &ModelId,
        patch: ModelPatch,
    ) -> Result<ManagedModel, PublicError> {
        let made = self.models.store().update(actor, id, patch).await;
        self.changed(made).await
    }

    async fn deploy(
        &self,
        actor: &str,
        id: &ModelId,
        deploy: Deploy,
    ) -> Result<ManagedModel, PublicError> {
        let made = self.models.store().deploy(actor, id, deploy).await;
        self.changed(made).await
    }

    async fn promote(
        &self,
        actor: &str,
        id: &ModelId,
        promote: Step,
    ) -> Result<ManagedModel, PublicError> {
        let made = self.models.store().promote(actor, id, promote).await;
        self.changed(made).await
    }

    async fn roll_back(
        &self,
        actor: &str,
        id: &ModelId,
        roll_back: RollBack,
    ) -> Result<ManagedModel, PublicError> {
        let made = self.models.store().roll_back(actor, id, roll_back).await;
        self.changed(made).await
    }

    async fn abort(
        &self,
        actor: &str,
        id: &ModelId,
        abort: Step,
    ) -> Result<ManagedModel, PublicError> {
        let made = self.models.store().abort(actor, id, abort).await;
        self.changed(made).await
    }

    async fn versions(&self, id: &ModelId) -> Result<Vec<ModelVersion>, PublicError> {
        Ok(self.models.store().versions(id).await?)
    }

    async fn history(
        &self,
        id: &ModelId,
        page: AuditPage,
    ) -> Result<Vec<ModelChange>, PublicError> {
        Ok(self.models.store().history(id, page).await?)
    }
}
